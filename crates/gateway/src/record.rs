//! Records of what happened in a session: lossless. A session that is faster than its records are stored waits for them.

mod deliver;
mod fit;
mod line;
mod recorder;
mod text;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use daypass_core::time::Timestamp;

use crate::ssh::event::Event;

pub(crate) use recorder::BUDGET;
pub use recorder::{Recorder, Room};
pub use text::Text;

/// Something that happened in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Counted from 1 in each session, without gaps: what is missing is seen. It is the number of its line in the recording.
    pub number: u64,
    /// When it began.
    pub at: Timestamp,
    /// What.
    pub what: What,
    /// What of it is not here, because it would not fit into one line.
    pub cut: Option<Cut>,
}

/// What was left out of a record that was too long for a line of the recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cut {
    /// Of the end of its text.
    pub text: Option<Missing>,
    /// So many of the values that were bound, the last ones.
    pub values: u64,
    /// So many of the things that a string of statements did, the last ones.
    pub results: u64,
}

/// The part of a text that is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// How many bytes.
    pub bytes: u64,
    /// SHA-256 of the whole text, passwords taken out: who has the script that ran can see that it is it.
    pub sha256: [u8; 32],
}

/// What happened; one variant for each kind of protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A statement, or a string of them.
    Statement(Statement),
    /// Nobody took records for a time, and the session was to go on: here they are missing.
    Lost(Lost),
    /// Something in a session of SSH.
    Ssh(Event),
}

/// Records that are missing. It is a record itself, with a number of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// How many.
    pub records: u64,
    /// When the last of them began.
    pub until: Timestamp,
}

/// A statement, or a string of them that a client sent as one.
#[derive(Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its text. Passwords are taken out of it.
    pub text: Text,
    /// It ran by its name, and SQL may have changed what that stands for: it may be another text.
    pub perhaps: bool,
    /// It goes on with what was suspended.
    pub goes_on: bool,
    /// The values that were bound to it, where they are asked for.
    pub values: Option<Arc<[Value]>>,
    /// From when it was passed on until its end was.
    pub took: Duration,
    /// Rows that came back or were touched.
    pub rows: u64,
    /// Bytes of data that a COPY took or gave. The data itself is not recorded.
    pub copied: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Where it is a string that did not come to its end: what was done of it before, as in [`Outcome::Done`]. It is undone, unless it was
    /// committed.
    pub before: Vec<String>,
}

/// What was said in a session is nothing for our own logs.
impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Statement({} bytes, {} rows)", self.text.len(), self.rows)
    }
}

/// A value that was bound.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// NULL.
    Null,
    /// As text.
    Text(String),
    /// In the target's binary form, as hexadecimal digits.
    Binary(String),
    /// Longer than is recorded: its beginning.
    Cut(String),
    /// It may be a password.
    Hidden,
    /// So many more that are not recorded.
    LeftOut(u64),
}

/// How a statement ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It ran; what the target says that it did (`INSERT 0 1`), once for each statement of a string.
    Done(Vec<String>),
    /// It failed, with this SQLSTATE.
    Failed(String),
    /// It gave as many rows as were asked for, and waits: where it is executed again, it goes on ([`Statement::goes_on`]).
    Suspended,
    /// It was bound and planned, and not executed: planning may run functions that say that they always answer the same.
    Bound,
    /// A guardrail refused it: it did not reach the target.
    Refused(String),
    /// The session ended before it did: whether it ran is not known. It runs no more.
    Cut,
    /// The session ended before it did, and the target could not be brought to stop it: it may still be working on it.
    MayWork,
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, text) = match self {
            Self::Null => return f.write_str("Null"),
            Self::Hidden => return f.write_str("Hidden"),
            Self::LeftOut(count) => return write!(f, "LeftOut({count})"),
            Self::Text(text) => ("Text", text),
            Self::Binary(text) => ("Binary", text),
            Self::Cut(text) => ("Cut", text),
        };
        write!(f, "{kind}({} bytes)", text.len())
    }
}
