//! `audit verify`: the whole log of a server, an exported folder, or the proof of one grant. On a copy of the store itself the
//! `daypass` binary does it, which has the store.

use std::path::{Path, PathBuf};

use clap::Args;
use daypass_api::log::CheckpointQuery;
use daypass_core::time::Timestamp;
use daypass_tlog::succession::Successor;
use daypass_tlog::{Checkpoint, Hash, Note};
use serde::Serialize;

use super::quorum::Quorum;
use super::reader::{self, Sound};
use super::source::Source;
use super::{chain, fresh, proof, trust};
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::{ago, instant};
use crate::line::{Line, Style};
use crate::pins::{Pin, PinFile, Pinned, is_beside};

/// The newest checkpoint that enough witnesses signed.
pub(super) const WITNESSED: CheckpointQuery = CheckpointQuery {
    from: None,
    witnessed: Some(true),
};

/// Check that the log is whole, and what was signed.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  daypass audit verify --key log-key.pub                          the server's log, over HTTP
  daypass audit verify log/ --key log-key.pub                     what `daypass audit export --dir log` wrote
  daypass audit verify G7K2M9.json --key log-key.pub              what `daypass audit proof G7K2M9 -f G7K2M9.json` wrote
  daypass audit verify --store copy.sqlite --key log-key.pub      a store, or a copy of one, and its tables
  daypass audit verify --config server.yaml --key log-key.pub     the store that a server.yaml names
  daypass audit verify --key log-key.pub --seen march/checkpoint  and that it goes on from what you saw in March
  daypass audit verify --key log-key.pub --witness w.pub          and that a witness on another machine signed it

A key that the log had before will do where it announced the next one: the log is then verified from the one to the other, and you
are told. Over HTTP for auditors and administrators. Get the key from the server's operator by another way than from the server.
It ends with 1 and the first thing that is wrong, which may be that nothing is signed any more. docs/audit.md: what each check finds,
and how to do it with public tools.")]
pub struct VerifyArgs {
    /// A folder that was exported or a file with a grant's proof; without one the server's log
    #[arg(value_name = "PATH")]
    what: Option<PathBuf>,

    /// Whom to believe.
    #[command(flatten)]
    pub trust: trust::Trust,

    /// A store on SQLite, or a copy of one: its log, and its tables against the log
    #[arg(long, value_name = "FILE", conflicts_with_all = ["what", "config"])]
    pub store: Option<PathBuf>,

    /// The same for the store that this server.yaml names
    #[arg(long, value_name = "FILE", conflicts_with = "what")]
    pub config: Option<PathBuf>,
}

/// What was found in order, for programs.
#[derive(Serialize)]
struct Found {
    size: u64,
    head: String,
    signed_by: String,
    /// How one came to that key from one that was given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    announced: Vec<Announced>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_event: Option<Timestamp>,
}

/// That a key of the log announced the next one.
#[derive(Serialize)]
struct Announced {
    by: String,
    key: String,
    entry: u64,
}

impl Announced {
    fn of(one: &Successor) -> Self {
        Self {
            by: one.from.to_string(),
            key: one.key.to_string(),
            entry: one.index,
        }
    }
}

impl VerifyArgs {
    /// Whether it is about a store, which no client has.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        self.store.is_some() || self.config.is_some()
    }

    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        if self.is_local() {
            return Err(Failure::error("only the whole program can look into a store")
                .hint("daypass audit verify --store FILE"));
        }
        let keys = self.trust.keys().map_err(trust::failure)?;
        let mut seen = self.trust.seen(&keys).map_err(trust::failure)?;
        let quorum = Quorum::of(&self.trust.witness, self.trust.witnesses)?;
        let mut pin = None;
        let source = match &self.what {
            None => {
                let client = context.client()?;
                pin = context.pinned(client.server())?;
                seen.extend(pin.iter().filter_map(|pin| pin.seen.clone()));
                let source = Source::Server(client);
                if let (Some(quorum), Source::Server(client)) = (&quorum, &source) {
                    // Not the newest of all: that one they sign in a moment. The log must go on from what they signed.
                    let note = client.log_checkpoint_by(&WITNESSED).await?;
                    let believed = chain::believed(&source, &note, &keys).await?;
                    quorum.demand(context, &note)?;
                    seen.push(believed.checkpoint);
                }
                source
            }
            Some(path) if path.is_dir() => Source::Folder(path.clone()),
            Some(path) => return proof::verify(context, path, (&keys, &seen), quorum.as_ref()),
        };
        let progress = context.out.progress();
        let sound = reader::read(&source, (&keys, &seen), |_, _| Ok(())).await;
        drop(progress);
        let sound = sound?;
        if let (Source::Folder(_), Some(quorum)) = (&source, &quorum) {
            quorum.demand(context, &sound.note)?;
        }
        if let Some(pin) = pin {
            pin.moves(&sound)?;
        }
        let now = edge::now();
        let unsigned = match &source {
            Source::Server(client) => fresh::unsigned(client, std::slice::from_ref(&sound.key), now).await?,
            Source::Folder(_) => 0,
        };
        let place = self.what.as_deref().map(Path::display);
        context
            .out
            .note(looked_at(place.map(|place| place.to_string()), seen.len()));
        tell(context, &sound, now);
        if unsigned > 0 {
            context.out.note(format!(
                "{} entries of the last minutes are not signed yet",
                unsigned
            ));
        }
        Ok(Exit::DONE)
    }
}

/// What was looked at, and against what.
fn looked_at(place: Option<String>, seen: usize) -> String {
    let place = place.unwrap_or_else(|| "the server's log".to_owned());
    let seen = match seen {
        0 => String::new(),
        1 => ", and goes on from the checkpoint that you saw".to_owned(),
        n => format!(", and goes on from the {n} checkpoints that you saw"),
    };
    format!("{place} is whole{seen}")
}

/// What was seen of a server's log from this machine, while its whole log is verified.
struct Pinning {
    file: PinFile,
    before: Option<Pin>,
    seen: Option<Checkpoint>,
}

impl Context {
    fn pinned(&self, server: &str) -> Result<Option<Pinning>, Failure> {
        let Some(folder) = self.pins() else {
            return Ok(None);
        };
        let file = PinFile::new(&folder, server);
        let before = file.read().map_err(Failure::error)?;
        let pinned = before.as_ref().and_then(|pin| pin.log.as_ref());
        let seen = pinned
            .map(Pinned::read)
            .transpose()
            .map_err(Failure::error)?
            .map(|(_, checkpoint)| checkpoint);
        Ok(Some(Pinning { file, before, seen }))
    }
}

impl Pinning {
    /// The log was read whole and goes on from what was seen: the key that it was held against is pinned from now on, as one that was given.
    fn moves(self, sound: &Sound) -> Result<(), Failure> {
        let now = edge::now();
        let before = self.before.as_ref().and_then(|pin| pin.log.as_ref());
        let note = Note::parse(&sound.note).map_err(|error| Failure::error(error.to_string()))?;
        let (key, led) = match before {
            // Both sign, and the former one was given: from the new one it does not go back.
            Some(pinned) if pinned.led.contains(&sound.key.to_string()) => {
                let (own, _) = pinned.read().map_err(Failure::error)?;
                if note.verify(&own).is_err() {
                    return Ok(());
                }
                (pinned.key.clone(), pinned.led.clone())
            }
            Some(pinned) if sound.followed.is_empty() && pinned.key == sound.key.to_string() => {
                (pinned.key.clone(), pinned.led.clone())
            }
            _ => {
                let led = sound.followed.iter().map(|one| one.from.to_string());
                (sound.key.to_string(), led.collect())
            }
        };
        let after = Pin {
            server: self.file.server.clone(),
            checked_at: now,
            log: Some(Pinned {
                since: before
                    .filter(|pinned| pinned.key == key)
                    .map_or(now, |pinned| pinned.since),
                beside: is_beside(&note, &led),
                led,
                key,
                given: true,
                checkpoint: String::from_utf8_lossy(&sound.note).into_owned(),
                seen_at: now,
            }),
        };
        // Another command that moved it meanwhile has seen more.
        let _moved = self
            .file
            .swap(self.before.as_ref(), &after)
            .map_err(Failure::error)?;
        Ok(())
    }
}

/// What was found.
pub(super) fn tell(context: &Context, sound: &Sound, now: Timestamp) {
    let Sound {
        checkpoint,
        key,
        followed,
        next,
        world,
        last,
        ..
    } = sound;
    chain::tell(context, followed);
    if let Some((next, index)) = next.as_ref().filter(|(next, _)| *next != key.to_string()) {
        context.out.note(format!(
            "entry {index} says that the key after the present one is {next}; have it from the operator too"
        ));
    }
    let found = Found {
        size: checkpoint.size,
        head: hex(&checkpoint.head),
        signed_by: key.to_string(),
        announced: followed.iter().map(Announced::of).collect(),
        last_event: *last,
    };
    let lines = || {
        let good = |text: String| Line::new().with(Style::Good, "✓ ").text(text);
        let last = last.map_or_else(String::new, |at| {
            format!(", the last of {} ({})", instant(at), ago(at, now))
        });
        vec![
            good(format!("{} entries{last}", checkpoint.size)),
            good(format!("head {}", hex(&checkpoint.head))),
            good(format!("signed by {key}")),
            good(format!(
                "each follows from those before it: {} requests, {} grants, {} accounts",
                world.requests.len(),
                world.grants.len(),
                world.people.len()
            )),
        ]
    };
    context.out.one(&found, || hex(&checkpoint.head), lines);
}

/// As 64 digits.
pub(super) fn hex(hash: &Hash) -> String {
    daypass_core::text::Hash::from_bytes(*hash).to_string()
}
