//! `audit proof`: all that happened to a grant, in one file that a stranger verifies; and that verification.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use daypass_api::log::{GRANT_PROOF, GrantProof, ProvedEntry};
use daypass_core::event::Event;
use daypass_core::text::{Hash, Prose, Words};
use daypass_tlog::key::Verifier;
use daypass_tlog::proof::verify_inclusion;
use daypass_tlog::{Checkpoint, leaf};

use super::quorum::Quorum;
use super::reader::unsound;
use super::{chain, course, trust};
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::instant;
use crate::line::{Field, Grid, Line, Style};

/// The longest file that is read, in bytes.
const LONGEST: u64 = 64 << 20;

/// Write a file that proves what happened to a grant.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass audit proof G7K2M9 -f G7K2M9.json
  daypass audit verify G7K2M9.json --key log-key.pub     verifies it, anywhere and without the server

For auditors and administrators. The file has every entry of the log about the grant, its requests and its targets, each with its
proof, the signed checkpoint, and the words that people wrote. It shows what happened until then, not that nothing came later.
docs/audit.md shows how to verify it with openssl and python alone, and what only the whole log proves.")]
pub struct ProofArgs {
    /// The grant's (short) id
    #[arg(value_name = "GRANT")]
    grant: String,

    /// The file; it must not be there yet. Without one, standard output
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl ProofArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let proof = context.client()?.grant_proof(&self.grant).await?;
        let mut text =
            serde_json::to_string_pretty(&proof).map_err(|error| Failure::error(error.to_string()))?;
        text.push('\n');
        let Some(path) = &self.file else {
            let written = std::io::stdout().lock().write_all(text.as_bytes());
            written.map_err(|error| Failure::error(format!("standard output: {error}")))?;
            return Ok(Exit::DONE);
        };
        let made = std::fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
        made.map_err(|error| Failure::error(format!("{} cannot be written: {error}", path.display())))?;
        context.out.note(format!(
            "{} entries about {} are in {}",
            proof.entries.len(),
            proof.grant,
            path.display()
        ));
        Ok(Exit::DONE)
    }
}

/// Verifies such a file, and shows what it proves.
///
/// # Errors
/// The first thing in it that is not proved.
pub(super) fn verify(
    context: &Context,
    path: &Path,
    (keys, seen): (&[Verifier], &[Checkpoint]),
    quorum: Option<&Quorum>,
) -> Result<Exit, Failure> {
    let proof = read(path)?;
    let chain::Believed {
        checkpoint,
        key,
        followed,
    } = chain::signed(proof.checkpoint.as_bytes(), keys, &proof.keys)?;
    same_as_seen(&checkpoint, seen)?;
    if let Some(quorum) = quorum {
        let cosigned = quorum.demand(proof.checkpoint.as_bytes(), checkpoint.size, edge::now())?;
        let line = Line::new().with(Style::Good, "✓ ");
        context.out.note(line.text(cosigned.told(checkpoint.size)));
    }
    let mut events = Vec::with_capacity(proof.entries.len());
    for entry in &proof.entries {
        events.push((entry.index, proved(entry, &checkpoint)?));
    }
    if !events
        .windows(2)
        .all(|pair| matches!(pair, [(one, _), (other, _)] if one < other))
    {
        return Err(unsound("the entries are not in the order of the log"));
    }
    let course = course::follow(&proof.grant, &events).map_err(|why| unsound(&why))?;
    let (spoken, missing) = words(&proof, &mut events)?;
    chain::tell(context, &followed);
    let out = &context.out;
    out.note(format!(
        "{}: {} entries are in the log of {} ({} entries)",
        path.display(),
        events.len(),
        key.name(),
        checkpoint.size
    ));
    out.note(format!(
        "as of entry {}: {}; what came later is not excluded by this file",
        course.last, course.state
    ));
    let without = match missing {
        0 => String::new(),
        n => format!("; the words of {n} more are missing: erased, or left out of this file"),
    };
    out.note(format!("{spoken} texts are those that were written{without}"));
    let told: Vec<&Event> = events.iter().map(|(_, event)| event).collect();
    let name = |event: &&Event| event.what.name().to_owned();
    context.out.list(&told, name, &grid(&events), "it proves nothing");
    Ok(Exit::DONE)
}

/// A file has one checkpoint and no proof of how the log goes on from another: only one of the same size says anything.
fn same_as_seen(checkpoint: &Checkpoint, seen: &[Checkpoint]) -> Result<(), Failure> {
    let mut marks = trust::marks(seen)?;
    if marks
        .add(checkpoint.size, checkpoint.head, trust::Whose::Yours)
        .is_err()
    {
        return Err(unsound(
            "the checkpoint is not the one of the same size that you saw: there are two logs",
        ));
    }
    match seen.iter().find(|seen| seen.size != checkpoint.size) {
        None => Ok(()),
        Some(other) => Err(Failure::error(format!(
            "the file cannot be held against the checkpoint of {} entries that you saw: it is about one of {}, and has no proof that \
             one goes on from the other",
            other.size, checkpoint.size
        ))
        .hint("without --seen; or daypass audit verify --seen FILE, which looks at the whole log")),
    }
}

fn read(path: &Path) -> Result<GrantProof, Failure> {
    let wrong = |what: String| {
        Failure::error(format!("{}: {what}", path.display()))
            .hint("daypass audit proof GRANT -f FILE writes one")
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| wrong(error.to_string()))?;
    file.take(LONGEST)
        .read_to_end(&mut bytes)
        .map_err(|error| wrong(error.to_string()))?;
    let proof: GrantProof = serde_json::from_slice(&bytes)
        .map_err(|error| wrong(format!("it is no proof of a grant: {error}")))?;
    if proof.format == GRANT_PROOF {
        Ok(proof)
    } else {
        Err(wrong(format!(
            "it is of the form \"{}\", not {GRANT_PROOF}",
            proof.format.escape_debug()
        )))
    }
}

/// The event of an entry that is in the log.
fn proved(entry: &ProvedEntry, checkpoint: &Checkpoint) -> Result<Event, Failure> {
    let index = entry.index;
    let wrong = |what: &dyn std::fmt::Display| unsound(&format!("entry {index}: {what}"));
    let bytes = STANDARD.decode(&entry.entry).map_err(|error| wrong(&error))?;
    let mut hashes = Vec::with_capacity(entry.proof.len());
    for hash in &entry.proof {
        let hash = STANDARD.decode(hash).map_err(|error| wrong(&error))?;
        hashes
            .push(<[u8; 32]>::try_from(hash).map_err(|_| wrong(&"a hash of its proof is not of 32 bytes"))?);
    }
    let whole = (checkpoint.size, &checkpoint.head);
    verify_inclusion((index, &leaf(&bytes)), whole, &hashes).map_err(|error| wrong(&error))?;
    Event::read(&bytes).map_err(|error| wrong(&error))
}

/// Puts the words into the events; how many there are, and how many are missing. Each must be what the log has the hash of.
fn words(proof: &GrantProof, events: &mut [(u64, Event)]) -> Result<(usize, usize), Failure> {
    let mut known: BTreeMap<Hash, Words> = BTreeMap::new();
    for words in &proof.words {
        let wrong = || {
            unsound(&format!(
                "the words of {} are not those that were written",
                words.hash
            ))
        };
        let salt = salt(&words.salt).ok_or_else(wrong)?;
        if Prose::new(salt, words.text.clone()).hash() != words.hash {
            return Err(wrong());
        }
        let text = words.text.clone();
        known.insert(words.hash, Words { salt, text });
    }
    let (mut used, mut missing) = (BTreeSet::new(), BTreeSet::new());
    for (_, event) in events {
        for prose in event.what.prose_mut() {
            if let Some(words) = known.get(&prose.hash())
                && prose.open(words.clone())
            {
                used.insert(prose.hash());
            } else {
                missing.insert(prose.hash());
            }
        }
    }
    match known.keys().find(|hash| !used.contains(*hash)) {
        None => Ok((used.len(), missing.len())),
        Some(hash) => Err(unsound(&format!(
            "the words of {hash} are in none of the entries"
        ))),
    }
}

fn salt(digits: &str) -> Option<[u8; 16]> {
    let mut salt = [0; 16];
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (place, byte) in salt.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(place * 2..place * 2 + 2)?, 16).ok()?;
    }
    Some(salt)
}

fn grid(events: &[(u64, Event)]) -> Grid {
    let mut grid = Grid::new(["ENTRY", "TIME", "EVENT", "ABOUT", "WORDS"]);
    for (index, event) in events {
        let mut what = event.what.clone();
        let said: Vec<String> = what
            .prose_mut()
            .into_iter()
            .filter_map(|prose| prose.words().map(|words| words.text.clone()))
            .collect();
        grid.row([
            Field(Style::Faint, index.to_string()),
            Field::from(instant(event.at)),
            Field::from(event.what.name()),
            Field(Style::Strong, event.subject.id()),
            Field::from(said.join("; ")),
        ]);
    }
    grid
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(size: u64, head: u8) -> Checkpoint {
        Checkpoint {
            origin: "daypass/test".to_owned(),
            size,
            head: [head; 32],
            extensions: Vec::new(),
        }
    }

    #[test]
    fn a_file_is_held_only_against_a_checkpoint_of_its_own_size() {
        same_as_seen(&of(5, 1), &[]).unwrap();
        same_as_seen(&of(5, 1), &[of(5, 1), of(5, 1)]).unwrap();
        let refused = |seen: &[Checkpoint]| format!("{:?}", same_as_seen(&of(5, 1), seen).unwrap_err());
        assert!(refused(&[of(5, 2)]).contains("there are two logs"));
        for other in [of(4, 1), of(6, 1)] {
            assert!(refused(&[of(5, 1), other]).contains("cannot be held against the checkpoint of"));
        }
        // Whatever there is to verify: in either order, the two are two logs.
        for seen in [[of(3, 1), of(3, 2)], [of(3, 2), of(3, 1)]] {
            assert!(refused(&seen).contains("two checkpoints of 3 entries have two heads"));
        }
    }
}
