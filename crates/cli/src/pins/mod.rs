//! What this machine saw of a server's log, and that the server never goes back behind it.
//!
//! Before its first call, and once a minute after, a command asks for the log's newest checkpoint and the proof that it goes on from
//! the one that was seen last: one small answer. A server that shows another log, a shorter one, or one signed by another key is asked
//! nothing more but what takes access away or only reads ([`doubt`]). What was seen and what is shown is kept in a file; what that proves to
//! others depends on what was found ([`finding`]).

mod blind;
mod doubt;
mod file;
mod finding;
mod pinned;
mod shown;
mod succession;
mod verified;

use std::path::Path;
use std::sync::Arc;

use daypass_api::client::{Admission, Call, Client, Distrusted, Error, Guard};
use daypass_core::time::Timestamp;
use daypass_tlog::key::Verifier;
use serde_json::json;
use tokio::sync::Mutex;

pub(crate) use self::blind::Blind;
use self::file::{Forked, is_fresh};
pub(crate) use self::file::{Pin, PinFile};
use self::finding::Finding;
pub(crate) use self::finding::{differences, told};
pub(crate) use self::pinned::Pinned;
use self::pinned::{ByFormer, Largest};
pub(crate) use self::shown::Shown;
use self::succession::{By, Led, contradicts};
pub(crate) use self::verified::Whole;
use crate::edge;
use crate::human::instant;
use crate::line::{Line, Style};
use crate::output::Output;

/// How often a command compares anew where others were faster.
const TRIES: usize = 5;
/// How a user goes on from what is shown now.
pub(crate) const ACCEPT: &str = "daypass audit accept --reason TEXT";

/// Looks at a server's log before the server is asked anything else.
pub(crate) struct PinGuard {
    file: PinFile,
    /// Keys that somebody gave; they win over one that was seen first.
    given: Vec<Verifier>,
    /// The command that goes on from what is shown.
    accept: String,
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

/// A pin, and the largest checkpoint in it.
pub(crate) type Seen<'a> = (&'a Pinned, Largest);

/// Why there is no new pin.
#[derive(Debug)]
enum Wrong {
    /// The log is not the one that was seen.
    Found(Finding, Box<Distrusted>),
    /// It could not be seen, or the pin cannot be read.
    Otherwise(Error),
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        Self::Otherwise(error)
    }
}

impl From<Wrong> for Error {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::Found(_, found) => Self::Distrusted(found),
            Wrong::Otherwise(error) => error,
        }
    }
}

impl Guard for PinGuard {
    fn admits<'a>(&'a self, client: &'a Client, call: Call) -> Admission<'a> {
        Box::pin(async move {
            let goes_on = doubt::goes_on(call);
            let mut last = self.last.lock().await;
            let now = edge::now();
            if !last.as_ref().is_some_and(|looked| is_fresh(looked.at, now)) {
                self.refresh(&mut last, client, now, (goes_on, false)).await?;
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
    /// A guard for one server, whose pins are in this folder. `accept` is the command that goes on from what is shown.
    pub(crate) fn new(
        folder: &Path,
        server: &str,
        given: Vec<Verifier>,
        accept: impl Into<String>,
        out: Output,
    ) -> Arc<Self> {
        Arc::new(Self {
            file: PinFile::new(folder, server),
            given,
            accept: accept.into(),
            out,
            last: Mutex::new(None),
        })
    }

    /// Whether the server's log was found to be another one than was seen, when this process looked last.
    pub(crate) async fn doubts(&self) -> bool {
        let last = self.last.lock().await;
        last.as_ref().is_some_and(|looked| looked.found.is_some())
    }

    /// Looks now, however short a time ago somebody did: before something is done by what the server said. Whether its log was found to be
    /// another one. `client` is without a guard.
    ///
    /// # Errors
    /// Where the server is not reached.
    pub(crate) async fn doubts_now(&self, client: &Client) -> Result<bool, Error> {
        let mut last = self.last.lock().await;
        self.refresh(&mut last, client, edge::now(), (true, true)).await?;
        Ok(last.as_ref().is_some_and(|looked| looked.found.is_some()))
    }

    fn warns(&self, what: &str) {
        self.out.warn(Line::new().with(Style::Bad, "! ").text(what));
    }

    /// Looks, and notes what was found. `goes_on`: where nothing can be seen, that is doubt, and no failure. `anew`: also where another
    /// command has just looked.
    async fn refresh(
        &self,
        last: &mut Option<Looked>,
        client: &Client,
        now: Timestamp,
        (goes_on, anew): (bool, bool),
    ) -> Result<(), Error> {
        let found = match self.look(client, now, anew).await {
            Ok(()) => None,
            Err(Error::Distrusted(found)) => Some(found),
            Err(error @ (Error::Unreachable { .. } | Error::Untrusted { .. })) => return Err(error),
            Err(error) if goes_on => {
                let server = &self.file.server;
                let what =
                    format!("it could not be seen whether the log of {server} is the one of before: {error}");
                if last.as_ref().and_then(said) != Some(&what) {
                    self.warns(&what);
                }
                *last = Some(Looked {
                    // Until the next call, which looks again, that is reason enough for doubt.
                    at: Timestamp::EPOCH,
                    found: Some(Box::new(Distrusted {
                        what,
                        details: Vec::new(),
                        hint: Finding::NoCheckpoint.hint(&self.accept),
                    })),
                    told: true,
                });
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let now_said = found.as_ref().map(|found| found.what.as_str());
        let told = last
            .take()
            .is_some_and(|before| before.told && said(&before) == now_said);
        *last = Some(Looked { at: now, found, told });
        Ok(())
    }

    /// Compares what is shown with what was seen, and moves the pin.
    async fn look(&self, client: &Client, now: Timestamp, anew: bool) -> Result<(), Error> {
        for first in std::iter::once(true).chain(std::iter::repeat_n(false, TRIES)) {
            let before = self.file.read().map_err(|why| self.unreadable(why))?;
            let base = match &before {
                None => self.known_elsewhere(client, now).await?,
                known => known.clone(),
            };
            if let Some(forked) = base.as_ref().and_then(|pin| pin.forked.as_ref()) {
                return Err(self.still_forked(forked));
            }
            // Another command has just looked. One that was overtaken while it looked compares what it was shown with the new pin.
            let by_given = |pin: &Pin| match &pin.log {
                Some(pinned) => self.is_by_given(pinned),
                None => self.given.is_empty(),
            };
            let is_done = |pin: &Pin| pin.is_fresh(now) && by_given(pin);
            if first && !anew && before.as_ref().is_some_and(is_done) {
                return Ok(());
            }
            let after = match self.compare(client, base.as_ref(), now).await {
                Ok(after) => after,
                Err(wrong) => {
                    self.stands(before.as_ref(), base, &wrong, now);
                    return Err(wrong.into());
                }
            };
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

    /// Two heads of one size are a proof, which no later answer takes away: it stands until somebody accepts it.
    fn stands(&self, before: Option<&Pin>, base: Option<Pin>, wrong: &Wrong, now: Timestamp) {
        let (Wrong::Found(Finding::TwoHeads, found), Some(base)) = (wrong, base) else {
            return;
        };
        let details = found.details.clone();
        let after = Pin {
            checked_at: now,
            forked: Some(Forked { at: now, details }),
            ..base
        };
        // Where another command was faster, it has found the same, or finds it next; where nothing can be kept, the next look does.
        let _kept = self.file.swap(before, &after);
    }

    /// At the first use of an address: what was seen of the log of the same name at another one.
    async fn known_elsewhere(&self, client: &Client, now: Timestamp) -> Result<Option<Pin>, Error> {
        let others = self.file.others().into_iter().filter_map(|pin| {
            let seen = pin.log.as_ref()?.read().ok()?;
            Some((seen, pin))
        });
        let others: Vec<_> = others.collect();
        if others.is_empty() {
            return Ok(None);
        }
        let Some(shown) = Shown::ask(client, 0, now).await? else {
            return Ok(None);
        };
        let origin = shown.unverified().map(|checkpoint| checkpoint.origin);
        let same = others
            .into_iter()
            .filter(|(seen, _)| Some(&seen.checkpoint.origin) == origin.as_ref());
        let largest = same.max_by_key(|(seen, _)| seen.checkpoint.size);
        Ok(largest.map(|(_, pin)| Pin {
            server: self.file.server.clone(),
            ..pin
        }))
    }

    /// What the pin is to be, where the server may be believed.
    async fn compare(&self, client: &Client, before: Option<&Pin>, now: Timestamp) -> Result<Pin, Wrong> {
        let seen = match before.and_then(|pin| pin.log.as_ref()) {
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
            forked: before.and_then(|pin| pin.forked.clone()),
        };
        let wrong = |finding, shown: Option<&Shown>| self.distrusted(finding, seen.as_ref(), shown);
        let from = seen.as_ref().map_or(0, |(_, seen)| seen.checkpoint.size);
        let Some(shown) = Shown::ask(client, from, now).await? else {
            return match seen {
                Some(_) => Err(wrong(Finding::Unsigned, None)),
                None if !self.given.is_empty() => Err(wrong(Finding::NeverSigned, None)),
                None => Ok(pin(None)),
            };
        };
        let Some(by) = self.by(client, seen.as_ref(), &shown).await? else {
            return Err(wrong(Finding::OtherKey, Some(&shown)));
        };
        let last = seen.as_ref().map(|(_, seen)| &seen.checkpoint);
        let key = match &by {
            By::Key(key, _) | By::Former(key) => key,
        };
        let checkpoint = match shown.check(key, last) {
            Ok(checkpoint) => checkpoint,
            Err(finding) => return Err(wrong(finding, Some(&shown))),
        };
        let (key, led) = match (by, &seen) {
            (By::Key(key, led), _) => (key, led),
            (By::Former(_), None) => return Ok(pin(None)),
            // The pinned key stays; what the former one shows from now on must go on from this too.
            (By::Former(_), Some((pinned, seen))) => {
                let mut pinned = (*pinned).clone();
                if checkpoint.size > seen.checkpoint.size {
                    let checkpoint = shown.note().to_string();
                    pinned.by_former = Some(ByFormer {
                        checkpoint,
                        seen_at: now,
                    });
                }
                return Ok(pin(Some(pinned)));
            }
        };
        if contradicts(&led.followed, &checkpoint, last) {
            return Err(wrong(Finding::OtherAnnouncement, Some(&shown)));
        }
        self.tells(&led);
        Ok(pin(Some(self.moved(&shown, (&key, led), seen.as_ref()))))
    }

    fn tells(&self, led: &Led) {
        for one in &led.followed {
            self.out.note(format!(
                "the log's key was rotated: {} announced {} in entry {}. What this machine goes by is the new one from now on; have it \
                 confirmed by whoever runs the server",
                one.from, one.key, one.index
            ));
        }
    }

    /// The pin after a checkpoint that goes on from it.
    fn moved(&self, shown: &Shown, (key, led): (&Verifier, Led), seen: Option<&Seen<'_>>) -> Pinned {
        let before = seen.map(|(pinned, _)| *pinned);
        let given = !self.given.is_empty();
        let fresh = Pinned::new((key, given), led.by, shown.note(), shown.at, before);
        match seen {
            // Nothing new: what was seen first stays, with its time.
            Some((pinned, seen)) if pinned.key == fresh.key && seen.says(shown.note()) => Pinned {
                checkpoint: pinned.checkpoint.clone(),
                seen_at: pinned.seen_at,
                by_former: pinned.by_former.clone(),
                ..fresh
            },
            _ => fresh,
        }
    }

    /// What is pinned where somebody accepts what is shown; `None` where nobody signed it who may. `explicit`: whoever accepts it gave the key
    /// with it, which then counts whatever was seen.
    ///
    /// # Errors
    /// Where the server does not answer as one.
    pub(crate) async fn accepted(
        &self,
        client: &Client,
        (seen, shown): (Option<&Seen<'_>>, &Shown),
        explicit: bool,
    ) -> Result<Option<Pinned>, Error> {
        let by = self.by(client, seen.filter(|_| !explicit), shown).await?;
        let Some(By::Key(key, led)) = by else {
            return Ok(None);
        };
        if daypass_tlog::signed(shown.note().to_string().as_bytes(), [&key]).is_err() {
            return Ok(None);
        }
        let before = seen.map(|(pinned, _)| *pinned);
        let given = !self.given.is_empty();
        let pinned = Pinned::new((&key, given), led.by, shown.note(), shown.at, before);
        Ok(Some(pinned))
    }

    fn unreadable(&self, why: String) -> Error {
        Error::Distrusted(Box::new(Distrusted {
            what: format!(
                "what was seen of the log of {} cannot be read: {why}",
                self.file.server
            ),
            details: Vec::new(),
            hint: format!("{} writes it anew, from what the server shows now", self.accept),
        }))
    }

    fn still_forked(&self, forked: &Forked) -> Error {
        Error::Distrusted(Box::new(Distrusted {
            what: format!(
                "{}: there are two logs of its: that was proved on {}, and nobody has accepted it here",
                self.file.server,
                instant(forked.at)
            ),
            details: forked.details.clone(),
            hint: Finding::TwoHeads.hint(&self.accept),
        }))
    }

    fn distrusted(&self, finding: Finding, seen: Option<&Seen<'_>>, shown: Option<&Shown>) -> Wrong {
        let what = finding.what();
        let mut details = told(seen.map(|(_, seen)| seen), shown);
        let evidence = json!({
            "server": self.file.server,
            "what": what,
            "proves": finding.proves(),
            "seen": seen.map(|(_, seen)| json!({"at": seen.at, "key": seen.key.to_string(), "checkpoint": seen.note})),
            "shown": shown.map(|shown| json!({"at": shown.at, "checkpoint": shown.note().to_string(), "answer": shown.proposal.to_string()})),
        });
        let same = format!(
            "{what}\n{}\n{}",
            seen.map_or("", |(_, seen)| &seen.note),
            shown.map_or("", |shown| shown.note().text())
        );
        details.push(match self.file.keep_evidence(&evidence, &same) {
            Ok(path) => format!("both, as they were signed: {}", path.display()),
            Err(why) => format!("they could not be kept: {why}"),
        });
        details.push(finding.proves().to_owned());
        let found = Distrusted {
            what: format!("{}: {what}", self.file.server),
            details,
            hint: finding.hint(&self.accept),
        };
        Wrong::Found(finding, Box::new(found))
    }
}

/// What it said, without when.
fn said(looked: &Looked) -> Option<&str> {
    looked.found.as_ref().map(|found| found.what.as_str())
}

#[cfg(test)]
pub(crate) mod tests;
