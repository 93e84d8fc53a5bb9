//! What waits for its answer, and what is recorded of it once it is there.

use std::sync::Arc;
use std::time::Instant;

use daypass_core::time::Timestamp;

use crate::postgres::frame::{self, Fields, Malformed};
use crate::postgres::message::Said;
use crate::postgres::redact::hide_value;
use crate::record::{Outcome, Room, Statement, Text, Value};

/// How many bytes of a bound value are recorded.
const VALUE: usize = 4_096;

/// How many values of one statement are recorded.
const VALUES: usize = 1_000;

/// Now, by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For the record.
    pub at: Timestamp,
    /// For durations.
    pub instant: Instant,
}

/// A statement whose end is known.
pub struct Ended {
    /// What is recorded, and the room that was taken for it.
    pub record: Option<(Timestamp, Statement)>,
    /// The room.
    pub room: Room,
}

/// Something that waits for its answer.
pub(super) enum Entry {
    Query(Running),
    FunctionCall(Running),
    Parse {
        name: Vec<u8>,
        running: Running,
    },
    Bind {
        portal: Vec<u8>,
        statement: Vec<u8>,
        running: Running,
    },
    Describe,
    Execute {
        portal: Vec<u8>,
        running: Running,
    },
    Close {
        kind: u8,
        name: Vec<u8>,
    },
    /// The end of a batch, with room for a record of it where it has something that may fail then.
    Sync {
        running: Option<Running>,
    },
    CopyEnd,
}

/// How many of the things that a string of statements did are kept; the rest is counted.
const MOST_TAGS: usize = 1000;
/// PostgreSQL's own are at most 64 bytes (`COMPLETION_TAG_BUFSIZE`).
const LONGEST_TAG: usize = 64;

pub(super) struct Running {
    pub(super) text: Option<Text>,
    pub(super) perhaps: bool,
    pub(super) values: Option<Arc<[Value]>>,
    /// Its text says something of a password.
    pub(super) secret: bool,
    /// How many bytes of a record the values take.
    pub(super) size: usize,
    pub(super) now: Now,
    pub(super) rows: u64,
    /// Bytes of data that a COPY took or gave.
    pub(super) copied: u64,
    pub(super) tags: Vec<String>,
    /// How many more there were than are kept.
    pub(super) more_tags: u64,
    /// The target has answered something that is more than a description.
    pub(super) heard: bool,
    pub(super) failed: Option<String>,
    pub(super) goes_on: bool,
    pub(super) suspended: bool,
    pub(super) refused: Option<Said>,
    /// It surely changes no settings.
    pub(super) keeps: bool,
    pub(super) room: Room,
}

impl Entry {
    pub(super) fn running(self) -> Option<Running> {
        match self {
            Self::Query(running)
            | Self::FunctionCall(running)
            | Self::Parse { running, .. }
            | Self::Bind { running, .. }
            | Self::Execute { running, .. } => Some(running),
            Self::Sync { running } => running,
            _ => None,
        }
    }
}

impl Running {
    /// Of a message that is passed on.
    pub(super) const fn new(now: Now, room: Room) -> Self {
        Self {
            text: None,
            perhaps: false,
            values: None,
            secret: false,
            size: 0,
            now,
            rows: 0,
            copied: 0,
            tags: Vec::new(),
            more_tags: 0,
            heard: false,
            failed: None,
            goes_on: false,
            suspended: false,
            refused: None,
            keeps: false,
            room,
        }
    }

    /// Something of it was done: the answer is what the target says of it.
    pub(super) fn tag(&mut self, body: &[u8]) -> Result<String, Malformed> {
        let tag = Fields(body).text().ok_or(Malformed::Body)?;
        let tag = String::from_utf8_lossy(tag).into_owned();
        let counted = tag.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok());
        if let (Some(counted), false) = (counted, tag.starts_with("SELECT")) {
            // Rows that came back were counted: those of a FETCH or RETURNING are in the tag too.
            self.rows = self.rows.max(counted);
        }
        if self.tags.len() < MOST_TAGS {
            self.tags.push(tag.chars().take(LONGEST_TAG).collect());
        } else {
            self.more_tags = self.more_tags.saturating_add(1);
        }
        Ok(tag)
    }

    pub(super) fn ended(mut self, now: Now) -> Ended {
        if self.more_tags > 0 {
            self.tags.push(format!("(and {} more)", self.more_tags));
        }
        let (outcome, before) = match (self.refused, self.failed) {
            (Some(said), _) => (Outcome::Refused(said.message), Vec::new()),
            (None, Some(code)) => (Outcome::Failed(code), self.tags),
            (None, None) if self.suspended => (Outcome::Suspended, Vec::new()),
            (None, None) => (Outcome::Done(self.tags), Vec::new()),
        };
        let statement = Statement {
            text: self.text.unwrap_or_default(),
            perhaps: self.perhaps,
            goes_on: self.goes_on,
            values: self.values,
            took: now.instant.saturating_duration_since(self.now.instant),
            rows: self.rows,
            copied: self.copied,
            outcome,
            before,
        };
        Ended {
            record: Some((self.now.at, statement)),
            room: self.room,
        }
    }
}

pub(super) fn unrecorded(room: Room) -> Ended {
    Ended { record: None, room }
}

/// What is recorded for the text of the end of a batch that fails.
pub(super) const END: &str = "(the end of a batch: what it did and had not committed is undone)";

/// What is recorded for the text of a function that is called by its number.
pub(super) fn called(number: u32) -> String {
    format!("(the function of the number {number}, called without a text)")
}

/// Bound values as they are recorded.
pub(super) fn recorded(rest: &[u8]) -> Arc<[Value]> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let one = |value: frame::Value<'_>| match value {
        frame::Value::Null => Value::Null,
        frame::Value::Bytes { bytes, whole, binary } => {
            let shown = bytes.get(..VALUE).unwrap_or(bytes);
            let text = if binary {
                hex(shown)
            } else {
                String::from_utf8_lossy(shown).into_owned()
            };
            let value = match (whole && shown.len() == bytes.len(), binary) {
                (false, _) => Value::Cut(text),
                (true, true) => Value::Binary(text),
                (true, false) => Value::Text(text),
            };
            hide_value(value, bytes)
        }
    };
    let values = frame::values(rest, VALUES);
    let mut all: Vec<Value> = values.here.into_iter().map(one).collect();
    if values.missing > 0 {
        all.push(Value::LeftOut(u64::try_from(values.missing).unwrap_or(u64::MAX)));
    }
    all.into()
}
