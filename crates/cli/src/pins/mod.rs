//! What this machine saw of a server's log, and that the server never goes back behind it.
//!
//! Before its first call, and once a minute after, a command asks for the log's newest checkpoint and the proof that it goes on from
//! the one that was seen last: one small answer. A server that shows another log, a shorter one, or one signed by another key is asked
//! nothing more but what takes access away or only reads ([`doubt`]). Both checkpoints are signed: kept in a file, they are the proof to
//! show to others.

mod doubt;
mod file;
mod succession;

use std::path::Path;
use std::sync::Arc;

use daypass_api::ProblemCode;
use daypass_api::client::{Admission, Call, Client, Distrusted, Error, Guard};
use daypass_api::log::CheckpointQuery;
use daypass_core::refusal::Code;
use daypass_core::time::Timestamp;
use daypass_tlog::key::{Use, Verifier};
use daypass_tlog::note::Signature;
use daypass_tlog::witness::{Proposal, Refusal};
use daypass_tlog::{Checkpoint, Note};
use serde_json::json;
use tokio::sync::Mutex;

pub(crate) use self::file::{Pin, PinFile, Pinned, is_beside};
use self::succession::{By, Led, contradicts};
use crate::edge;
use crate::human::instant;
use crate::line::{Line, Style};
use crate::output::Output;

/// How often a command compares anew where others were faster.
const TRIES: usize = 5;
/// What to do about a log that is not the one that was seen.
const HINT: &str = "ask whoever runs the server what happened, by another way than through it. Where what was lost is explained: \
                    daypass audit accept --reason TEXT";
/// The same where it is the key.
const KEY_HINT: &str = "ask whoever runs the server for log-key.pub, by another way than through it. A key that was rotated leads to the next one; one \
                        that was lost, replaced or stolen leads nowhere: daypass audit accept --reason TEXT --key log-key.pub";

/// Looks at a server's log before the server is asked anything else.
pub(crate) struct PinGuard {
    file: PinFile,
    /// Keys that somebody gave; they win over one that was seen first.
    given: Vec<Verifier>,
    out: Output,
    /// What this process found when it looked last.
    last: Mutex<Option<Looked>>,
}

/// What was found.
struct Looked {
    at: Timestamp,
    /// Why the server is not believed.
    found: Option<Box<Distrusted>>,
    /// Whether that was told.
    told: bool,
}

impl Looked {
    /// Nothing was to be seen: until the next call, which looks again, that is reason enough for doubt.
    fn at_nothing(what: String) -> Self {
        let hint = String::from(HINT);
        Self {
            at: Timestamp::EPOCH,
            found: Some(Box::new(Distrusted {
                what,
                details: Vec::new(),
                hint,
            })),
            told: true,
        }
    }
}

/// What a server shows of its log.
pub(crate) struct Shown {
    proposal: Proposal,
    at: Timestamp,
}

impl Guard for PinGuard {
    fn admits<'a>(&'a self, client: &'a Client, call: Call) -> Admission<'a> {
        Box::pin(async move {
            let goes_on = doubt::goes_on(call);
            let mut last = self.last.lock().await;
            let now = edge::now();
            if !last.as_ref().is_some_and(|looked| file::is_fresh(looked.at, now)) {
                let found = match self.look(client, now).await {
                    Ok(()) => None,
                    Err(Error::Distrusted(found)) => Some(found),
                    Err(error @ Error::Unreachable { .. }) => return Err(error),
                    Err(error) if goes_on => {
                        let what = format!(
                            "it could not be seen whether the log of {} is the one of before: {error}",
                            self.file.server
                        );
                        self.warns(&what);
                        *last = Some(Looked::at_nothing(what));
                        return Ok(());
                    }
                    Err(error) => return Err(error),
                };
                let before = last.take();
                let told = before.is_some_and(|before| {
                    before.told && said(before.found.as_deref()) == said(found.as_deref())
                });
                *last = Some(Looked { at: now, found, told });
            }
            let Some(Looked {
                found: Some(found),
                told,
                ..
            }) = last.as_mut()
            else {
                return Ok(());
            };
            if !goes_on {
                let mut found = found.clone();
                found.what.push_str(". It was not asked");
                return Err(Error::Distrusted(found));
            }
            if !*told {
                self.warns(&found.what);
                for detail in &found.details {
                    self.out.warn(Line::new().text("  ").text(detail));
                }
                self.out.warn(Line::new().text(
                    "  This goes on, for it only reads or takes access away. What the server says may not be so; nothing else is asked of it",
                ));
                self.out.warn(Line::new().text("  Try: ").text(&found.hint));
                *told = true;
            }
            Ok(())
        })
    }
}

impl PinGuard {
    /// A guard for one server, whose pins are in this folder.
    pub(crate) fn new(folder: &Path, server: &str, given: Vec<Verifier>, out: Output) -> Arc<Self> {
        Arc::new(Self {
            file: PinFile::new(folder, server),
            given,
            out,
            last: Mutex::new(None),
        })
    }

    /// Whether the server's log was found to be another one than was seen, when this process looked last.
    pub(crate) async fn doubts(&self) -> bool {
        let last = self.last.lock().await;
        last.as_ref().is_some_and(|looked| looked.found.is_some())
    }

    fn warns(&self, what: &str) {
        self.out.warn(Line::new().with(Style::Bad, "! ").text(what));
    }

    /// Compares what is shown with what was seen, and moves the pin.
    async fn look(&self, client: &Client, now: Timestamp) -> Result<(), Error> {
        for first in std::iter::once(true).chain(std::iter::repeat_n(false, TRIES)) {
            let before = self.file.read().map_err(|why| self.unreadable(why))?;
            // Another command has just looked. One that was overtaken while it looked compares what it was shown with the new pin.
            let by_given = |pin: &Pin| match &pin.log {
                Some(pinned) => self.is_by_given(pinned),
                None => self.given.is_empty(),
            };
            if first
                && before
                    .as_ref()
                    .is_some_and(|pin| pin.is_fresh(now) && by_given(pin))
            {
                return Ok(());
            }
            let after = self.compare(client, before.as_ref(), now).await?;
            match self.file.swap(before.as_ref(), &after) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(why) => {
                    let what = format!("what was seen of the server's log cannot be kept: {why}");
                    self.out.warn(Line::new().text(what));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// What the pin is to be, where the server may be believed.
    async fn compare(&self, client: &Client, before: Option<&Pin>, now: Timestamp) -> Result<Pin, Error> {
        let pinned = before.and_then(|pin| pin.log.as_ref());
        let seen = match pinned {
            None => None,
            Some(pinned) => {
                let path = self.file.path();
                let broken = |why| self.unreadable(format!("{}: {why}", path.display()));
                Some((pinned, pinned.read().map_err(broken)?))
            }
        };
        let pin = |log| Pin {
            server: self.file.server.clone(),
            checked_at: now,
            log,
        };
        let from = seen.as_ref().map_or(0, |(_, (_, checkpoint))| checkpoint.size);
        let Some(shown) = Shown::ask(client, from, now).await? else {
            return match seen {
                None => Ok(pin(None)),
                Some(seen) => Err(self.distrusted(
                    "its log was signed when it was seen last, and nothing of it is signed now",
                    Some(&seen),
                    None,
                )),
            };
        };
        let Some(by) = self.by(client, seen.as_ref(), &shown).await? else {
            let what = "its log is not signed by the key that it was signed by before, or that was given, nor by one that this key announced";
            let mut found = self.distrusted(what, seen.as_ref(), Some(&shown));
            if let Error::Distrusted(found) = &mut found {
                found.hint = String::from(KEY_HINT);
            }
            return Err(found);
        };
        let last = seen.as_ref().map(|(_, (_, checkpoint))| checkpoint);
        let key = match &by {
            By::Key(key, _) | By::Former(key) => key,
        };
        let checkpoint = match shown.check(key, last) {
            Ok(checkpoint) => checkpoint,
            Err(what) => return Err(self.distrusted(what, seen.as_ref(), Some(&shown))),
        };
        let (key, led) = match (by, pinned) {
            (By::Key(key, led), _) => (key, led),
            // What the pinned key signed stays pinned.
            (By::Former(_), pinned) => return Ok(pin(pinned.cloned())),
        };
        if contradicts(&led.followed, &checkpoint, last) {
            let what = "its log is not the one in which its key announced the next one";
            return Err(self.distrusted(what, seen.as_ref(), Some(&shown)));
        }
        for one in &led.followed {
            self.out.note(format!(
                "the log's key was rotated: {} announced {} in entry {}. What this machine goes by is the new one from now on; have it \
                 confirmed by whoever runs the server",
                one.from, one.key, one.index
            ));
        }
        Ok(pin(Some(self.moved(
            &shown,
            (&key, &checkpoint, led),
            seen.as_ref(),
        ))))
    }

    /// The pin after a checkpoint that goes on from it.
    fn moved(
        &self,
        shown: &Shown,
        (key, checkpoint, led): (&Verifier, &Checkpoint, Led),
        seen: Option<&Seen<'_>>,
    ) -> Pinned {
        let before = seen.map(|(pinned, _)| *pinned);
        let same_key = before.is_some_and(|pinned| pinned.key == key.to_string());
        let fresh = Pinned {
            key: key.to_string(),
            given: !self.given.is_empty() || (same_key && before.is_some_and(|pinned| pinned.given)),
            since: before
                .filter(|_| same_key)
                .map_or(shown.at, |pinned| pinned.since),
            checkpoint: shown.proposal.note.to_string(),
            seen_at: shown.at,
            led: led.by,
            beside: led.beside,
        };
        match seen {
            // Nothing new: what was seen first stays, with its time.
            Some((pinned, (_, last))) if same_key && last.size == checkpoint.size => Pinned {
                checkpoint: pinned.checkpoint.clone(),
                seen_at: pinned.seen_at,
                ..fresh
            },
            _ => fresh,
        }
    }

    fn unreadable(&self, why: String) -> Error {
        Error::Distrusted(Box::new(Distrusted {
            what: format!(
                "what was seen of the log of {} cannot be read: {why}",
                self.file.server
            ),
            details: Vec::new(),
            hint: String::from(
                "daypass audit accept --reason TEXT writes it anew, from what the server shows now",
            ),
        }))
    }

    fn distrusted(&self, what: &str, seen: Option<&Seen<'_>>, shown: Option<&Shown>) -> Error {
        let mut details = told(seen, shown);
        let note = |shown: &Shown| shown.proposal.note.to_string();
        let evidence = json!({
            "server": self.file.server,
            "what": what,
            "seen": seen.map(|(pinned, _)| json!({"at": pinned.seen_at, "key": pinned.key, "checkpoint": pinned.checkpoint})),
            "shown": shown.map(|shown| json!({"at": shown.at, "checkpoint": note(shown), "answer": shown.proposal.to_string()})),
        });
        let same = format!(
            "{what}\n{}\n{}",
            seen.map_or("", |(pinned, _)| &pinned.checkpoint),
            shown.map_or("", |shown| shown.proposal.note.text())
        );
        details.push(match self.file.keep_evidence(&evidence, &same) {
            Ok(path) => format!("both, as they were signed: {}", path.display()),
            Err(why) => format!("they could not be kept: {why}"),
        });
        Error::Distrusted(Box::new(Distrusted {
            what: format!("{}: {what}", self.file.server),
            details,
            hint: String::from(HINT),
        }))
    }
}

/// What it said, without when.
fn said(found: Option<&Distrusted>) -> Option<&str> {
    found.map(|found| found.what.as_str())
}

/// A pin, and what stands in it.
type Seen<'a> = (&'a Pinned, (Verifier, Checkpoint));

impl Shown {
    /// Asks a server for its newest checkpoint, with the proof that it goes on from the log of so many entries. `None` where nothing of its
    /// log is signed.
    pub(crate) async fn ask(client: &Client, from: u64, at: Timestamp) -> Result<Option<Self>, Error> {
        let query = CheckpointQuery {
            from: Some(from),
            ..CheckpointQuery::default()
        };
        let body = match client.log_checkpoint_by(&query).await {
            Err(error) if error.code() == Some(ProblemCode::Refusal(Code::NotFound)) => return Ok(None),
            body => body?,
        };
        let proposal = Proposal::parse(&body)
            .ok()
            .filter(|proposal| proposal.old == from);
        let proposal = proposal.ok_or_else(|| odd(client, "no checkpoint of a log"))?;
        Ok(Some(Self { proposal, at }))
    }

    /// Its checkpoint as it was signed.
    pub(crate) const fn note(&self) -> &Note {
        &self.proposal.note
    }

    /// Which of these keys signed it.
    pub(crate) fn signed_by<'a>(&self, keys: &'a [Verifier]) -> Option<&'a Verifier> {
        keys.iter().find(|key| self.proposal.note.verify(key).is_ok())
    }

    /// Whether this key signed it.
    fn is_by(&self, key: &Verifier) -> bool {
        self.proposal.note.verify(key).is_ok()
    }

    /// Signatures under the name of these keys by none of them, nor by one of `led`.
    fn others<'a>(&'a self, known: &'a [Verifier], led: &[String]) -> impl Iterator<Item = &'a Signature> {
        let led: Vec<Verifier> = led.iter().filter_map(|key| key.parse().ok()).collect();
        let of_name = |one: &&Signature| known.iter().any(|key| key.name() == one.name());
        let signatures = self.proposal.note.signatures().iter().filter(of_name);
        signatures.filter(move |one| !known.iter().chain(&led).any(|key| one.is_by(key)))
    }

    /// Its checkpoint, where it goes on from the last.
    pub(crate) fn check(
        &self,
        key: &Verifier,
        last: Option<&Checkpoint>,
    ) -> Result<Checkpoint, &'static str> {
        let last = last.map(|last| (last.size, &last.head));
        self.proposal
            .check(key, key.name().as_str(), last)
            .map_err(|refusal| match refusal {
                Refusal::Smaller { .. } => {
                    "its log went back: it has fewer entries than it had when it was seen last"
                }
                Refusal::Forked(_) if last.is_some_and(|(size, _)| self.size() == Some(size)) => {
                    "its log is another one: there are two checkpoints of the same size"
                }
                Refusal::Forked(_) | Refusal::Stale(_) => {
                    "its log is another one: it does not go on from what was seen last"
                }
                Refusal::Origin(_) | Refusal::Malformed(_) | Refusal::Unverified(_) => {
                    "what it shows is no checkpoint of the log that was seen"
                }
            })
    }

    fn size(&self) -> Option<u64> {
        let checkpoint: Option<Checkpoint> = self.proposal.note.text().parse().ok();
        checkpoint.map(|checkpoint| checkpoint.size)
    }
}

/// The key that a server says its log is signed with.
pub(crate) async fn key_of(client: &Client) -> Result<Verifier, Error> {
    let line = client.log_key().await?;
    let key = std::str::from_utf8(&line)
        .ok()
        .and_then(|line| line.trim_end().parse().ok());
    key.filter(|key: &Verifier| key.what() == Use::Note)
        .ok_or_else(|| odd(client, "no key of a log"))
}

/// What was seen and what is shown, a line each.
pub(crate) fn told(seen: Option<&Seen<'_>>, shown: Option<&Shown>) -> Vec<String> {
    let of = |checkpoint: &Checkpoint, at: Timestamp| {
        let head = daypass_core::text::Hash::from_bytes(checkpoint.head);
        format!("{} entries, head {head}, on {}", checkpoint.size, instant(at))
    };
    let mut lines = Vec::new();
    if let Some((pinned, (key, checkpoint))) = seen {
        lines.push(format!("seen:  {}", of(checkpoint, pinned.seen_at)));
        lines.push(format!("       signed by {key}"));
    }
    if let Some(shown) = shown {
        let checkpoint: Option<Checkpoint> = shown.proposal.note.text().parse().ok();
        lines.push(match checkpoint {
            Some(checkpoint) => format!("shown: {}", of(&checkpoint, shown.at)),
            None => String::from("shown: what is no checkpoint"),
        });
        let by: Vec<&str> = shown
            .proposal
            .note
            .signatures()
            .iter()
            .map(|signature| signature.name().as_str())
            .collect();
        lines.push(format!("       with signatures in the name of {}", by.join(", ")));
    } else {
        lines.push(String::from("shown: nothing"));
    }
    lines
}

fn odd(client: &Client, what: &str) -> Error {
    Error::NotDaypass {
        server: client.server().to_owned(),
        detail: format!("it is {what}"),
    }
}

#[cfg(test)]
mod tests;
