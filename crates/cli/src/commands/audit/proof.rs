//! `audit proof`: all that happened to a grant, in one file that a stranger verifies; and that verification.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use daypass_api::log::{GRANT_PROOF, GrantProof, ProvedEntry};
use daypass_core::event::{Event, Subject};
use daypass_core::text::{Hash, Prose, Words};
use daypass_tlog::key::Verifier;
use daypass_tlog::proof::verify_inclusion;
use daypass_tlog::{Checkpoint, leaf};

use super::reader::unsound;
use super::{chain, verify};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::instant;
use crate::line::{Field, Grid, Style};

/// The longest file that is read, in bytes.
const LONGEST: u64 = 64 << 20;

/// Write a file that proves what happened to a grant.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass audit proof G7K2M9 -f G7K2M9.json
  daypass audit verify G7K2M9.json --key log-key.pub     verifies it, anywhere and without the server

For auditors and administrators. The file has every entry of the log about the grant and its request, each with its proof,
the signed checkpoint, and the words that people wrote. docs/audit.md shows how to verify it with openssl and python alone.")]
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
) -> Result<Exit, Failure> {
    let proof = read(path)?;
    let chain::Believed {
        checkpoint,
        key,
        followed,
    } = chain::signed(proof.checkpoint.as_bytes(), keys, &proof.keys)?;
    verify::not_behind(&checkpoint, seen)?;
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
    let about = |event: &Event| match &event.subject {
        Subject::Grant(id) => id.to_string() == proof.grant,
        _ => false,
    };
    if !events.iter().any(|(_, event)| about(event)) {
        return Err(unsound(&format!(
            "none of the entries is about the grant {}",
            proof.grant
        )));
    }
    let spoken = words(&proof, &mut events)?;
    chain::tell(context, &followed);
    context.out.note(format!(
        "{}: {} entries are in the log of {} ({} entries); {spoken} texts are those that were written",
        path.display(),
        events.len(),
        key.name(),
        checkpoint.size
    ));
    let told: Vec<&Event> = events.iter().map(|(_, event)| event).collect();
    let name = |event: &&Event| event.what.name().to_owned();
    context.out.list(&told, name, &grid(&events), "it proves nothing");
    Ok(Exit::DONE)
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
    serde_json::from_slice(&bytes).map_err(|error| wrong(&format!("it is no event of this version: {error}")))
}

/// Puts the words into the events; how many there are. Each must be what the log has the hash of.
fn words(proof: &GrantProof, events: &mut [(u64, Event)]) -> Result<usize, Failure> {
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
    let mut used = BTreeSet::new();
    for (_, event) in events {
        for prose in event.what.prose_mut() {
            if let Some(words) = known.get(&prose.hash())
                && prose.open(words.clone())
            {
                used.insert(prose.hash());
            }
        }
    }
    match known.keys().find(|hash| !used.contains(*hash)) {
        None => Ok(used.len()),
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
