//! A session: one connection that was used under a grant, through a gateway, from its opening to what is known of its end; and how
//! far the log follows its recording.
//!
//! What keeps a session open is not here: a lease, which a gateway renews and which no log tells of. A session that is open here may
//! have ended a moment ago; one that is closed has.

mod recording;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::recording::{Chunk, Mode, OnFailure, Recording};
use crate::entitlement::TargetKey;
use crate::grant::{self, Grant};
use crate::id::{GrantId, PersonId, SessionId, TokenId};
use crate::name::{Item, Name};
use crate::refusal::{Code, Refusal};
use crate::text::{Hash, Prose};
use crate::time::Timestamp;

/// The largest number that an event can hold: canonical JSON writes larger ones in another way than they are (RFC 8785, 3.2.2.3).
pub const MOST: u64 = (1 << 53) - 1;

/// One connection under a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id, which also names its recording.
    pub id: SessionId,
    /// Under which grant.
    pub grant: GrantId,
    /// Who holds that, and proved to be who they are.
    pub holder: PersonId,
    /// For which item of it.
    pub item: Item,
    /// Where that is provisioned.
    pub target: TargetKey,
    /// By which protocol: `postgres`.
    pub protocol: Name,
    /// Where there, as which user, where an item may be several: `root@web-2.internal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What they came in with, where the store keeps it: a password, or a key of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<TokenId>,
    /// Which gateway has it.
    pub gateway: Gateway,
    /// From which address, as the gateway saw it.
    pub source: Prose,
    /// What the client's program calls itself. Anybody can say anything here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Prose>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Its recording; `None` where nothing is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<Recording>,
    /// Whether it is over.
    pub state: State,
}

/// Which gateway has a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// What it is called.
    pub name: Name,
    /// Which run of it: the SHA-256 of what that run drew when it started and shows with each question. Nobody else gets at its sessions.
    pub run: Hash,
    /// The server that it asks, by what that one calls its own gateway.
    pub server: Name,
}

/// Whether a session is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// It is not.
    Open,
    /// Somebody asked that it ends; its gateway has not said yet that it did.
    Ending {
        /// Who and why.
        kill: Kill,
    },
    /// It is.
    Closed {
        /// Why.
        reason: Reason,
        /// Who had asked that it ends, where somebody had: it may have ended for another reason first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kill: Option<Kill>,
        /// When that was known.
        at: Timestamp,
        /// What its gateway had counted; `None` where nobody could say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        counters: Option<Counters>,
    },
}

/// Somebody asked that a session ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    /// Who.
    pub by: PersonId,
    /// Why, in their words.
    pub why: Prose,
    /// When.
    pub at: Timestamp,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The client left.
    Left,
    /// The grant's time was over.
    Expired,
    /// The grant was ended early; its own end says by whom and why.
    Revoked,
    /// Somebody ended this session: its [`Kill`] says who and why.
    Killed,
    /// The person or the resource was locked.
    Locked,
    /// Its lease could not be renewed in time.
    LeaseLost,
    /// What happened in it could not be recorded any more.
    RecordingFailed,
    /// The target ended the connection, or could not be reached.
    TargetLost,
    /// The client did what the protocol does not allow.
    ProtocolViolation,
    /// The gateway stopped.
    Stopping,
    /// Its gateway is gone: nobody knows when and why it ended.
    Lost,
}

impl Reason {
    /// The reason's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Killed => "killed",
            Self::Locked => "locked",
            Self::LeaseLost => "lease_lost",
            Self::RecordingFailed => "recording_failed",
            Self::TargetLost => "target_lost",
            Self::ProtocolViolation => "protocol_violation",
            Self::Stopping => "stopping",
            Self::Lost => "lost",
        }
    }

    /// Why a session is over whose grant ended so.
    #[must_use]
    pub const fn of_grant(reason: &grant::Reason) -> Self {
        match reason {
            grant::Reason::Expired => Self::Expired,
            grant::Reason::Locked => Self::Locked,
            grant::Reason::Revoked { .. }
            | grant::Reason::Released
            | grant::Reason::Completed
            | grant::Reason::Ineligible { .. }
            | grant::Reason::Removed
            | grant::Reason::Failed { .. } => Self::Revoked,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Left => "the client left",
            Self::Expired => "the time of the grant was over",
            Self::Revoked => "the grant was ended",
            Self::Killed => "somebody ended it",
            Self::Locked => "the person or the resource was locked",
            Self::LeaseLost => "its lease could not be renewed in time",
            Self::RecordingFailed => "it could not be recorded any more",
            Self::TargetLost => "the target ended the connection",
            Self::ProtocolViolation => "the client did what the protocol does not allow",
            Self::Stopping => "the gateway stopped",
            Self::Lost => "its gateway is gone",
        })
    }
}

/// What was counted in a session. None is larger than [`MOST`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Bytes from the client to the target.
    pub bytes_up: u64,
    /// Bytes from the target to the client.
    pub bytes_down: u64,
    /// Records that were delivered.
    pub recorded: u64,
    /// Records that could not be delivered: the session is marked.
    pub unrecorded: u64,
    /// Statements that a guardrail refused.
    pub refused: u64,
    /// The target may still be working on what the session began: it could be brought neither to cancel it nor to end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_work: bool,
}

impl Counters {
    /// The same with what is too large for an event brought back to what is not: a gateway counts, and may be in strange hands.
    #[must_use]
    fn bounded(self) -> Self {
        Self {
            bytes_up: self.bytes_up.min(MOST),
            bytes_down: self.bytes_down.min(MOST),
            recorded: self.recorded.min(MOST),
            unrecorded: self.unrecorded.min(MOST),
            refused: self.refused.min(MOST),
            may_work: self.may_work,
        }
    }
}

/// What happened to a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// It was opened.
    Opened {
        /// As it was.
        session: Box<Session>,
    },
    /// A chunk of its recording is stored.
    Recorded {
        /// Which.
        chunk: Chunk,
    },
    /// Somebody asked that it ends.
    Killed {
        /// Who.
        by: PersonId,
        /// Why, in their words.
        why: Prose,
    },
    /// It is over.
    Closed {
        /// Why.
        reason: Reason,
        /// What its gateway had counted; `None` where nobody could say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        counters: Option<Counters>,
        /// The log has no last chunk of its recording, which should have one.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        cut: bool,
    },
    /// Somebody looked at it while it happened.
    Watched,
    /// Somebody looked at its recording.
    Replayed,
    /// Its recording is to be removed, its time being over. Whatever is missing from now on was not stolen.
    RecordingRemoved,
}

/// What a session is to be, before it is known whether it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// The id that it will have.
    pub id: SessionId,
    /// Who proved to be who they are.
    pub holder: PersonId,
    /// For which item of the grant.
    pub item: Item,
    /// By which protocol.
    pub protocol: Name,
    /// Where there, as which user, where that is not said by the item.
    pub place: Option<String>,
    /// What they came in with, where the store keeps it.
    pub credential: Option<TokenId>,
    /// Which gateway has it.
    pub gateway: Gateway,
    /// From which address.
    pub source: Prose,
    /// What the client's program calls itself.
    pub program: Option<Prose>,
    /// What is recorded, if anything is.
    pub recording: Option<Mode>,
}

impl State {
    /// The state's name, as the table of legal transitions has it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ending { .. } => "ending",
            Self::Closed { .. } => "closed",
        }
    }
}

impl Session {
    /// Since when it is over, while there is a recording of it.
    #[must_use]
    pub fn kept_since(&self) -> Option<Timestamp> {
        let kept = self
            .recording
            .as_ref()
            .is_some_and(|recording| recording.removed_at.is_none());
        match &self.state {
            State::Closed { at, .. } if kept => Some(*at),
            _ => None,
        }
    }

    /// Whether it is not over.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }

    /// Who asked that it ends, if somebody did.
    #[must_use]
    pub const fn kill(&self) -> Option<&Kill> {
        match &self.state {
            State::Open => None,
            State::Ending { kill } => Some(kill),
            State::Closed { kill, .. } => kill.as_ref(),
        }
    }

    /// Every free text in it, for the store to put the words back.
    pub fn prose_mut(&mut self) -> Vec<&mut Prose> {
        let kill = match &mut self.state {
            State::Open => None,
            State::Ending { kill } => Some(&mut kill.why),
            State::Closed { kill, .. } => kill.as_mut().map(|kill| &mut kill.why),
        };
        let mut all = vec![&mut self.source];
        all.extend(self.program.as_mut());
        all.extend(kill);
        all
    }

    /// What opening one under this grant leads to.
    ///
    /// # Errors
    /// Where the grant is not active now, is somebody else's, or gives something else.
    pub fn open(new: New, grant: &Grant, now: Timestamp) -> Result<Event, Refusal> {
        if grant.holder != new.holder {
            return Err(Refusal::new(Code::NotHolder, "only its holder can use a grant"));
        }
        let Some(part) = grant.part(&new.item) else {
            let what = format!("grant {} does not give {}", grant.id.short(), new.item);
            return Err(Refusal::new(Code::NotActive, what));
        };
        if !grant.is_live() || grant.expires_at().is_some_and(|expires_at| expires_at <= now) {
            return Err(
                Refusal::new(Code::GrantOver, format!("grant {} is over", grant.id.short()))
                    .hint("ask again: daypass request"),
            );
        }
        if grant.expires_at().is_none() {
            let what = format!("the access of grant {} is not there yet", grant.id.short());
            return Err(Refusal::new(Code::NotActive, what).hint("daypass status shows when it is"));
        }
        let session = Self {
            id: new.id,
            grant: grant.id,
            holder: new.holder,
            item: new.item,
            target: part.target.clone(),
            protocol: new.protocol,
            place: new.place,
            credential: new.credential,
            gateway: new.gateway,
            source: new.source,
            program: new.program,
            opened_at: now,
            recording: new.recording.map(Recording::new),
            state: State::Open,
        };
        Ok(Event::Opened {
            session: Box::new(session),
        })
    }

    /// What a chunk of its recording leads to; `None` where the log has it already, which a crash between the two leaves behind.
    ///
    /// # Errors
    /// Where it does not follow what the log has.
    pub fn record(&self, chunk: Chunk) -> Result<Option<Event>, Refusal> {
        let Some(recording) = &self.recording else {
            return Err(self.wrong_state("is not recorded"));
        };
        let is_known = recording.chain == Some(chunk.chain)
            && recording.chunks.checked_sub(1) == Some(chunk.number)
            && chunk.last == recording.lines;
        if is_known {
            return Ok(None);
        }
        if recording.clone().with(&chunk).is_none() {
            let what = format!("has {} chunks, and another came than the next", recording.chunks);
            return Err(self.wrong_state(&what));
        }
        Ok(Some(Event::Recorded { chunk }))
    }

    /// What somebody ending it leads to.
    ///
    /// # Errors
    /// Where it is over, or somebody did already.
    pub fn end(&self, by: PersonId, why: Prose) -> Result<Event, Refusal> {
        match &self.state {
            State::Open => Ok(Event::Killed { by, why }),
            State::Ending { kill } => Err(self.wrong_state(&format!("is being ended since {}", kill.at))),
            State::Closed { at, .. } => Err(self.wrong_state(&format!("is over since {at}"))),
        }
    }

    /// What its end leads to; `None` where that is known already.
    #[must_use]
    pub fn close(&self, reason: Reason, counters: Option<Counters>) -> Option<Event> {
        self.is_live().then(|| Event::Closed {
            // Nobody asked for it, so whoever says so is wrong about that. That it is over counts all the same.
            reason: match reason {
                Reason::Killed if self.kill().is_none() => Reason::Lost,
                other => other,
            },
            counters: counters.map(Counters::bounded),
            cut: self.is_cut(),
        })
    }

    /// The same with the last chunk of its recording, which the log gets first: what is known at once is said at once.
    ///
    /// # Errors
    /// Where the chunk does not follow what the log has.
    pub fn finish(
        &self,
        last: Chunk,
        reason: Reason,
        counters: Option<Counters>,
        now: Timestamp,
    ) -> Result<Vec<Event>, Refusal> {
        let recorded = self.record(last)?;
        let after = match &recorded {
            Some(event) => self.clone().evolve(event, now),
            None => None,
        };
        let closed = after.as_ref().unwrap_or(self).close(reason, counters);
        Ok(recorded.into_iter().chain(closed).collect())
    }

    /// What somebody watching it leads to.
    ///
    /// # Errors
    /// Where it is over, or not recorded: what is watched are the records.
    pub fn watch(&self) -> Result<Event, Refusal> {
        match (&self.state, &self.recording) {
            (State::Closed { .. }, _) => Err(self.wrong_state("is over").hint("daypass session replay")),
            (_, None) => Err(self.wrong_state("is not recorded")),
            (_, Some(_)) => Ok(Event::Watched),
        }
    }

    /// What somebody looking at its recording leads to.
    ///
    /// # Errors
    /// Where there is none, or it was removed.
    pub fn replay(&self) -> Result<Event, Refusal> {
        match &self.recording {
            None => Err(self.wrong_state("is not recorded")),
            Some(Recording {
                removed_at: Some(at), ..
            }) => Err(self.wrong_state(&format!("has no recording any more: its time was over at {at}"))),
            Some(_) => Ok(Event::Replayed),
        }
    }

    /// What the end of its recording's time leads to; `None` where that was told already.
    ///
    /// # Errors
    /// Where the session is not over, or was never recorded.
    pub fn remove_recording(&self) -> Result<Option<Event>, Refusal> {
        match &self.recording {
            None => Err(self.wrong_state("is not recorded")),
            Some(_) if self.is_live() => Err(self.wrong_state("is not over")),
            Some(recording) => Ok(recording.removed_at.is_none().then_some(Event::RecordingRemoved)),
        }
    }

    /// Whether this may be the beginning of one under this grant, at this instant.
    #[must_use]
    pub fn begins(&self, grant: Option<&Grant>, at: Timestamp) -> bool {
        let fresh = self.state == State::Open
            && self.opened_at == at
            && self
                .recording
                .as_ref()
                .is_none_or(|recording| *recording == Recording::new(recording.mode));
        let given = grant.is_some_and(|grant| {
            let gives = |part: &grant::Part| part.target == self.target && *part.item() == self.item;
            grant.id == self.grant
                && grant.holder == self.holder
                && grant.expires_at().is_some_and(|expires_at| at < expires_at)
                && grant.parts.iter().any(gives)
        });
        fresh && given
    }

    /// The session after an event, or `None` where the event does not follow from its state.
    #[must_use]
    pub fn evolve(mut self, event: &Event, at: Timestamp) -> Option<Self> {
        match (event, &self.state) {
            (Event::Recorded { chunk }, _) => {
                self.recording = Some(self.recording?.with(chunk)?);
            }
            (Event::Killed { by, why }, State::Open) => {
                let kill = Kill {
                    by: *by,
                    why: why.clone(),
                    at,
                };
                self.state = State::Ending { kill };
            }
            (
                Event::Closed {
                    reason,
                    counters,
                    cut,
                },
                State::Open | State::Ending { .. },
            ) => {
                let kill = self.kill().cloned();
                let is_true = *cut == self.is_cut() && (*reason != Reason::Killed || kill.is_some());
                self.state = is_true.then_some(State::Closed {
                    reason: *reason,
                    kill,
                    at,
                    counters: *counters,
                })?;
            }
            (Event::Watched, _) => drop(self.watch().ok()?),
            (Event::Replayed, _) => drop(self.replay().ok()?),
            (Event::RecordingRemoved, _) => {
                self.remove_recording().ok()??;
                self.recording.as_mut()?.removed_at = Some(at);
            }
            (Event::Opened { .. } | Event::Killed { .. } | Event::Closed { .. }, _) => return None,
        }
        Some(self)
    }

    /// Whether the log has no end of its recording, although there is one to have.
    fn is_cut(&self) -> bool {
        self.recording
            .as_ref()
            .is_some_and(|recording| !recording.is_complete)
    }

    fn wrong_state(&self, what: &str) -> Refusal {
        Refusal::new(Code::WrongState, format!("session {} {what}", self.id.short()))
    }
}
