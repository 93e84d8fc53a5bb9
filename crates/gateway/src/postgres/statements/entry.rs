//! What waits for its answer, and what is recorded of it once it is there.

use std::sync::Arc;
use std::time::Instant;

use daypass_core::time::Timestamp;

use crate::postgres::frame;
use crate::postgres::message::Said;
use crate::record::{Outcome, Room, Statement, Value};

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
#[derive(Debug)]
pub struct Ended {
    /// What is recorded, and the room that was taken for it.
    pub record: Option<(Timestamp, Statement)>,
    /// The room.
    pub room: Room,
}

/// Something that waits for its answer.
#[derive(Debug)]
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
    /// `ignored`: sent while the target reads a COPY's data, where it is ignored, unless the COPY had failed before.
    Sync {
        ignored: bool,
    },
    CopyEnd,
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) text: Option<Arc<str>>,
    pub(super) values: Option<Vec<Value>>,
    /// How many bytes the values had.
    pub(super) size: usize,
    pub(super) now: Now,
    pub(super) rows: u64,
    pub(super) tags: Vec<String>,
    pub(super) failed: Option<String>,
    pub(super) refused: Option<Said>,
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
            _ => None,
        }
    }
}

impl Running {
    pub(super) fn ended(self, now: Now) -> Ended {
        let outcome = match (self.refused, self.failed) {
            (Some(said), _) => Outcome::Refused(said.message),
            (None, Some(code)) => Outcome::Failed(code),
            (None, None) => Outcome::Done(self.tags),
        };
        let statement = Statement {
            text: self.text.unwrap_or_default(),
            values: self.values,
            took: now.instant.saturating_duration_since(self.now.instant),
            rows: self.rows,
            outcome,
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

/// The name in `DEALLOCATE [PREPARE] name`.
pub(super) fn deallocated(text: &str) -> Option<Vec<u8>> {
    let mut words = text.trim_end_matches([';', ' ', '\n']).split_ascii_whitespace();
    if !words.next()?.eq_ignore_ascii_case("deallocate") {
        return None;
    }
    let mut name = words.next()?;
    if name.eq_ignore_ascii_case("prepare") {
        name = words.next()?;
    }
    let quoted = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    Some(
        quoted
            .map_or_else(|| name.to_lowercase(), |name| name.replace("\"\"", "\""))
            .into_bytes(),
    )
}

/// Bound values as they are recorded.
pub(super) fn recorded(rest: &[u8]) -> Vec<Value> {
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
            match (whole && shown.len() == bytes.len(), binary) {
                (false, _) => Value::Cut(text),
                (true, true) => Value::Binary(text),
                (true, false) => Value::Text(text),
            }
        }
    };
    frame::values(rest).into_iter().take(VALUES).map(one).collect()
}
