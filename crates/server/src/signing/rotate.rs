//! Another key for the log, in steps: the present key says in the log which comes next, the next one becomes the log's while both
//! sign, and the one before signs no more when the operator says so.
//!
//! Each step is one event, and waits until what it builds on was signed; so that a server which is killed between two steps goes on
//! from there, and whoever has the key of before finds its word for the one after it. The private halves are in files, one of each
//! server: the next key becomes the log's when every server that runs has it, or somebody does not wait.

use std::time::Duration;

use daypass_api::key::{LogKey, LogRotation, LogServer, RotateLog};
use daypass_core::event::{Actor, Subject, What};
use daypass_core::id::PersonId;
use daypass_core::key::{Event, Key, Phase, Standing as KeyStanding};
use daypass_core::refusal::Code;
use daypass_core::time::{Span, Timestamp};
use daypass_core::world::World;
use daypass_store::{LogServer as Row, Outcome, Scope};
use daypass_tlog::Note;
use daypass_tlog::key::Verifier;

use super::key;
use super::line::{self, Line, Turn};
use super::run::{Known, Standing};
use crate::app::Parts;
use crate::edge;
use crate::http::problem::{Answer, Failure};

/// A server that said nothing for longer runs no more.
pub(super) const SILENT: Span = Span::minutes(3);
/// How long a command waits for what was recorded to be signed: so often, and so long each time.
const LOOKS: u32 = 60;
const LOOK: Duration = Duration::from_millis(100);

fn known(app: &Parts) -> Answer<Known> {
    if let Standing::Refused(why) | Standing::Held(why) = app.signing.standing() {
        return Err(
            Failure::new(Code::Invalid, format!("the log is not signed here: {why}"))
                .hint("docs/audit.md says what to do; its key can be rotated when it is signed again"),
        );
    }
    app.signing.known().ok_or_else(|| {
        Failure::new(
            Code::NotFound,
            "server.yaml names no signing_key, so the log is not signed",
        )
        .hint("docs/audit.md says how to sign it")
    })
}

async fn standing(app: &Parts) -> Answer<Option<KeyStanding>> {
    Ok(app.engine.store().key_standing(&Key::Log).await?)
}

/// The log's keys, how far a rotation is, and which server has which.
///
/// # Errors
/// Where the log is not signed, or the store does not answer.
pub(crate) async fn look(app: &Parts) -> Answer<LogKey> {
    let Known { line, .. } = app.signing.known().ok_or_else(|| {
        Failure::new(
            Code::NotFound,
            "server.yaml names no signing_key, so the log is not signed",
        )
    })?;
    let standing = standing(app).await?;
    // What is recorded and not yet signed is not told yet.
    let since = standing
        .filter(|standing| standing.phase.name() == line.phase())
        .map(|standing| standing.since);
    let rotation = match &line.turn {
        Turn::Settled => None,
        Turn::Staged { next } => Some(LogRotation::Staged {
            next: next.to_string(),
            waiting: lacking(app, next).await?,
        }),
        Turn::Retiring { old } => Some(LogRotation::Retiring {
            old: old.to_string(),
            behind: lacking(app, &line.current).await?,
        }),
    };
    let servers = servers(app).await?.into_iter().map(|row| LogServer {
        spare: row
            .keys
            .iter()
            .filter(|key| !in_use(&line, key))
            .cloned()
            .collect(),
        name: row.name,
        keys: row.keys,
    });
    Ok(LogKey {
        key: line.current.to_string(),
        since,
        rotation,
        servers: servers.collect(),
    })
}

fn in_use(line: &Line, key: &str) -> bool {
    line.signers().iter().any(|one| one.to_string() == key)
}

/// This server, and the others on the same store that said lately that they run.
async fn servers(app: &Parts) -> Answer<Vec<Row>> {
    let Some(known) = app.signing.known() else {
        return Ok(Vec::new());
    };
    let store = app.engine.store();
    let now = store.now().await?;
    let others = store.log_servers().await?.into_iter();
    let others = others.filter(|row| row.name != known.name && now.since(row.at) <= SILENT);
    Ok(std::iter::once(row(&known, now)).chain(others).collect())
}

/// What this server says of itself.
pub(super) fn row(known: &Known, at: Timestamp) -> Row {
    Row {
        name: known.name.clone(),
        keys: known.here.iter().map(ToString::to_string).collect(),
        at,
    }
}

/// The running servers that do not have a key.
async fn lacking(app: &Parts, key: &Verifier) -> Answer<Vec<String>> {
    let key = key.to_string();
    let rows = servers(app).await?.into_iter();
    let lacking = rows.filter(|row| !row.keys.contains(&key));
    Ok(lacking.map(|row| row.name).collect())
}

/// Begins to give the log another key, or goes on with what was begun.
///
/// # Errors
/// Where the log is not signed, somebody has to do something first, or the file or the store cannot be written.
pub(crate) async fn rotate(app: &Parts, by: PersonId, how: RotateLog) -> Answer<LogKey> {
    known(app)?;
    let actor = Actor::Person(by);
    let begins = Phase::of(standing(app).await?.as_ref()) == Phase::Settled;
    if begins {
        stage(app, actor).await?;
    }
    let steps = match (how.stolen, how.now || !begins) {
        (true, _) => 2,
        (false, true) => 1,
        (false, false) => 0,
    };
    for _ in 0..steps {
        if signed(app).await?.turn == Turn::Settled {
            break;
        }
        step(app, actor, how).await?;
    }
    signed(app).await?;
    look(app).await
}

/// Takes the next step of a rotation that was begun, if nothing is waited for any more.
///
/// # Errors
/// Where the store does not answer.
pub(crate) async fn advance(app: &Parts) -> Answer<()> {
    if !matches!(app.signing.standing(), Standing::Signed { .. }) {
        return Ok(());
    }
    let staged = matches!(Phase::of(standing(app).await?.as_ref()), Phase::Staged { .. });
    let seen = app
        .signing
        .known()
        .is_some_and(|known| known.line.phase() == "staged");
    if staged && seen {
        step(app, Actor::System, RotateLog::default()).await?;
    }
    Ok(())
}

/// The log's keys once all that was recorded of them is signed, or as they are after a while.
async fn signed(app: &Parts) -> Answer<Line> {
    for _ in 0..LOOKS {
        let known = known(app)?;
        if Phase::of(standing(app).await?.as_ref()).name() == known.line.phase() {
            return Ok(known.line);
        }
        app.signing.wake();
        edge::sleep(LOOK).await;
    }
    Err(Failure::new(
        daypass_api::ProblemCode::Unavailable,
        "what was recorded of the rotation is not signed yet",
    )
    .hint("run the command again: it goes on from here; daypass doctor says whether the log is signed"))
}

/// The next key: one that the operator put into the file, or else a fresh one.
async fn stage(app: &Parts, actor: Actor) -> Answer<()> {
    let known = known(app)?;
    let (path, line) = (known.file.clone(), known.line.clone());
    let prepared = tokio::task::spawn_blocking(move || {
        let usable = |key: &Verifier| {
            *key != line.current && key.name() == line.current.name() && !line.former.contains(key)
        };
        let keys = key::read(&path)?;
        let there = keys.iter().map(|key| key.verifier().clone()).find(usable);
        there.map_or_else(|| key::add(&path, &line.current), Ok)
    });
    let prepared = prepared.await.map_err(|error| Failure::internal(&error))?;
    let next = prepared.map_err(|error| {
        Failure::new(Code::Invalid, error.to_string()).hint(
            "nothing was changed. Let the server's account write the file and its folder, or put a second line with the next key into \
             it by hand (docs/audit.md)",
        )
    })?;
    let next = next.to_string();
    tracing::info!(%next, "the log's next key is in the file of signing_key; keep a copy of it");
    record(app, actor, Phase::Settled, Event::Staged { next }).await
}

async fn step(app: &Parts, actor: Actor, how: RotateLog) -> Answer<()> {
    let Known { line, .. } = known(app)?;
    let at_once = how.now || how.stolen;
    match line.turn {
        Turn::Settled => Ok(()),
        Turn::Staged { next } => {
            let without = lacking(app, &next).await?;
            if (!without.is_empty() && !at_once) || !is_announced(app, &line.current).await? {
                return Ok(());
            }
            let (from, to) = (line.current.to_string(), next.to_string());
            let phase = Phase::Staged { next: to.clone() };
            record(app, actor, phase, Event::Changed { to, from, without }).await
        }
        Turn::Retiring { old } if at_once => {
            let behind = lacking(app, &line.current).await?;
            if !behind.is_empty() && !how.stolen {
                let what = format!(
                    "these servers do not have the log's key {} and would sign no more: {}",
                    line.current,
                    behind.join(", ")
                );
                return Err(Failure::new(Code::Invalid, what).hint(
                    "copy the file of a server that has it, or stop them; one that was stopped is forgotten after three minutes",
                ));
            }
            if !has_signed(app, &line.current).await? {
                let what = "the log's new key has signed nothing yet";
                return Err(Failure::new(daypass_api::ProblemCode::Unavailable, what)
                    .hint("see daypass doctor on each server, and run this again"));
            }
            let old = old.to_string();
            let phase = Phase::Retiring { old: old.clone() };
            let early = how.stolen;
            record(app, actor, phase, Event::Withdrawn { old, early }).await
        }
        Turn::Retiring { .. } => Ok(()),
    }
}

/// Whether the present key has signed what announces the next one.
async fn is_announced(app: &Parts, key: &Verifier) -> Answer<bool> {
    let store = app.engine.store();
    let told = line::all(store).await?;
    let Some(last) = told.iter().rfind(|one| matches!(one.said, Event::Staged { .. })) else {
        return Ok(false);
    };
    let shown = line::announcement(store, (last.index, &last.bytes), key).await?;
    Ok(shown.is_some())
}

async fn has_signed(app: &Parts, key: &Verifier) -> Answer<bool> {
    let newest = app.engine.store().newest_checkpoint().await?;
    let note = newest.and_then(|newest| Note::parse(newest.note.as_bytes()).ok());
    Ok(note.is_some_and(|note| note.verify(key).is_ok()))
}

/// Records the step that follows `from`, unless somebody else has just taken it.
async fn record(app: &Parts, actor: Actor, from: Phase, event: Event) -> Answer<()> {
    let decide = move |world: &World, _| {
        if Phase::of(world.keys.get(&Key::Log)) != from {
            return Ok(Outcome::default());
        }
        Ok(Outcome::one(actor, Subject::Key(Key::Log), What::Key(event)))
    };
    app.engine
        .store()
        .transition(Scope::Key(Key::Log), decide)
        .await?;
    Ok(())
}
