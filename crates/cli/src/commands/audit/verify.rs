//! `audit verify`: the whole log of a server, an exported folder, or the proof of one grant. On a copy of the store itself the
//! `daypass` binary does it, which has the store.

use std::path::{Path, PathBuf};

use clap::Args;
use daypass_api::log::CheckpointQuery;
use daypass_api::route::Route;
use daypass_core::time::Timestamp;
use daypass_tlog::key::Verifier;
use daypass_tlog::succession::Successor;
use daypass_tlog::{Checkpoint, Hash, Note};
use serde::Serialize;

use super::quorum::{Cosigned, Quorum};
use super::reader::{self, Against, Sound};
use super::source::Source;
use super::{chain, fresh, proof, trust};
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::{ago, instant};
use crate::line::{Line, Style};
use crate::pins::{self, PinFile};

/// The newest checkpoint that enough witnesses signed, as the server says.
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
  daypass audit verify --key log-key.pub --witness w.pub          and that a witness on another machine signed it lately

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
struct Found<'a> {
    size: u64,
    head: String,
    signed_by: String,
    /// How one came to that key from one that was given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    announced: Vec<Announced>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_event: Option<Timestamp>,
    /// Which witnesses signed how much of it, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    cosigned: Option<&'a Cosigned>,
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
        let seen = self.trust.seen(&keys).map_err(trust::failure)?;
        let quorum = Quorum::of(&self.trust)?;
        let whole = match &self.what {
            None => on_server(context, &keys, seen, quorum.as_ref()).await?,
            Some(path) if path.is_dir() => in_folder(context, path, (&keys, &seen), quorum.as_ref()).await?,
            Some(path) => return proof::verify(context, path, (&keys, &seen), quorum.as_ref()),
        };
        let place = self.what.as_deref().map(Path::display);
        context
            .out
            .note(looked_at(place.map(|place| place.to_string()), whole.seen));
        tell(context, &whole, edge::now());
        if whole.unsigned > 0 {
            context.out.note(format!(
                "{} entries of the last minutes are not signed yet",
                whole.unsigned
            ));
        }
        Ok(Exit::DONE)
    }
}

/// A log that was verified.
struct Whole {
    sound: Sound,
    /// How many checkpoints it was held against that somebody saw.
    seen: usize,
    /// Who else signed it.
    cosigned: Option<Cosigned>,
    unsigned: u64,
}

/// The log of a server, and what was seen of it from here.
async fn on_server(
    context: &Context,
    keys: &[Verifier],
    mut seen: Vec<Checkpoint>,
    quorum: Option<&Quorum>,
) -> Result<Whole, Failure> {
    let client = context.client()?;
    // What is pinned is moved before it is read, and not while the log is.
    client.admitted(Route::AuditCheckpoint).await?;
    let pins = context
        .pins()
        .map(|folder| PinFile::new(&folder, client.server()));
    if let Some(pins) = &pins {
        match pinned(pins) {
            Ok(pinned) => seen.extend(pinned),
            Err(why) => context.out.warn(format!(
                "what was seen of the server's log cannot be read, so the log is not held against it: {why}"
            )),
        }
    }
    let source = Source::Server(Box::new(client.clone()));
    let witnessed = match quorum {
        None => None,
        Some(quorum) => Some((quorum, quorum.lately(&source, keys).await?)),
    };
    let against = Against {
        keys,
        seen: &seen,
        witnessed: witnessed.as_ref().map(|(_, witnessed)| &witnessed.checkpoint),
    };
    let sound = all_of(context, &source, against).await?;
    let now = edge::now();
    if let Some((quorum, witnessed)) = &witnessed {
        let size = sound.checkpoint.size;
        quorum.covers(&witnessed.cosigned, (sound.unwitnessed, sound.last), (size, now))?;
    }
    if let Some(pins) = &pins
        && let Err(why) = moves(pins, &sound, now)
    {
        let what = format!("what was seen of the server's log cannot be kept: {why}");
        context.out.warn(what);
    }
    let unsigned = fresh::unsigned(&client, std::slice::from_ref(&sound.key), now).await?;
    Ok(Whole {
        sound,
        seen: seen.len(),
        cosigned: witnessed.map(|(_, witnessed)| witnessed.cosigned),
        unsigned,
    })
}

/// A log that was exported. Its own checkpoint is what the witnesses must have signed, whenever that was.
async fn in_folder(
    context: &Context,
    path: &Path,
    (keys, seen): (&[Verifier], &[Checkpoint]),
    quorum: Option<&Quorum>,
) -> Result<Whole, Failure> {
    let source = Source::Folder(path.to_owned());
    let against = Against {
        keys,
        seen,
        witnessed: None,
    };
    let sound = all_of(context, &source, against).await?;
    let demand = |quorum: &Quorum| quorum.demand(&sound.note, sound.checkpoint.size, edge::now());
    let cosigned = quorum.map(demand).transpose()?;
    Ok(Whole {
        sound,
        seen: seen.len(),
        cosigned,
        unsigned: 0,
    })
}

async fn all_of(context: &Context, source: &Source, against: Against<'_>) -> Result<Sound, Failure> {
    let _progress = context.out.progress();
    reader::read(source, against, |_, _| Ok(())).await
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

/// What was seen of a server's log from this machine.
fn pinned(pins: &PinFile) -> Result<Option<Checkpoint>, String> {
    let pin = pins.read()?;
    let Some(log) = pin.and_then(|pin| pin.log) else {
        return Ok(None);
    };
    Ok(Some(log.read()?.checkpoint))
}

/// Pins what was verified.
fn moves(pins: &PinFile, sound: &Sound, now: Timestamp) -> Result<(), String> {
    let whole = pins::Whole {
        key: &sound.key,
        led: sound.followed.iter().map(|one| one.from.to_string()).collect(),
        size: sound.checkpoint.size,
        note: Note::parse(&sound.note).map_err(|error| error.to_string())?,
    };
    pins.verified(&whole, now)
}

/// What was found.
fn tell(context: &Context, whole: &Whole, now: Timestamp) {
    let Whole { sound, cosigned, .. } = whole;
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
        cosigned: cosigned.as_ref(),
    };
    let lines = || {
        let good = |text: String| Line::new().with(Style::Good, "✓ ").text(text);
        let last = last.map_or_else(String::new, |at| {
            format!(", the last of {} ({})", instant(at), ago(at, now))
        });
        let mut lines = vec![
            good(format!("{} entries{last}", checkpoint.size)),
            good(format!("head {}", hex(&checkpoint.head))),
            good(format!("signed by {key}")),
        ];
        lines.extend(
            cosigned
                .as_ref()
                .map(|cosigned| good(cosigned.told(checkpoint.size))),
        );
        lines.push(good(format!(
            "each follows from those before it: {} requests, {} grants, {} accounts",
            world.requests.len(),
            world.grants.len(),
            world.people.len()
        )));
        lines
    };
    context.out.one(&found, || hex(&checkpoint.head), lines);
}

/// As 64 digits.
pub(super) fn hex(hash: &Hash) -> String {
    daypass_core::text::Hash::from_bytes(*hash).to_string()
}
