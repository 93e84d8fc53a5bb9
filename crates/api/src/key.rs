//! The key that seals what the server keeps, and those that the log is signed with.

use daypass_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /keys/sealing`, and the answer of `POST /keys/sealing/rotate`: which keys the server's file has, and what is sealed by which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sealing {
    /// The id of the key in the file's first line. It tells nothing of the key.
    #[schema(example = "5f1c0a9be2d47730")]
    pub id: String,
    /// How many values it seals.
    pub values: u64,
    /// Every other key: in the file, or needed.
    pub others: Vec<OtherKey>,
    /// When that was so.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// A key that is not in the file's first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OtherKey {
    /// Its id; none for values of a version that did not say by which key they are sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How many values it seals. Where it is none, its line is not needed any more.
    pub values: u64,
    /// Whether the file has it. Where it has not, what it seals cannot be opened.
    pub here: bool,
}

/// `GET /keys/log`, and the answer of `POST /keys/log/rotate`: with which keys the log is signed. Each is a public key, `name+id+key` as in
/// C2SP `signed-note`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogKey {
    /// The log's key.
    #[schema(example = "daypass/9f86d081884c7d65+0c1d2e3f+AVp2c2lk0v1kzvDkJmZb9p1b6a3uYxkRIF6eQ3Lk7nTQ")]
    pub key: String,
    /// Since when it is at this step; none where it was never rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Where it is on its way to another: how far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<LogRotation>,
    /// The servers that sign the log, with the keys that each has.
    pub servers: Vec<LogServer>,
}

/// How far the rotation of the log's key is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum LogRotation {
    /// The log's key has announced the next one, which signs beside it where it is to be had.
    Staged {
        /// The next one.
        next: String,
        /// The servers that do not have it; it becomes the log's once all do.
        waiting: Vec<String>,
    },
    /// The next one is the log's key. The one before signs beside it until the operator ends that.
    Retiring {
        /// The one before.
        old: String,
        /// The servers that do not have the log's key, and would sign no more.
        behind: Vec<String>,
    },
}

/// A server that signs the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogServer {
    /// Its host and the file of its keys.
    #[schema(example = "web-1:/etc/daypass/secrets/log-key")]
    pub name: String,
    /// The public halves of the keys in it.
    pub keys: Vec<String>,
    /// Those of them that sign nothing: not yet, or not any more.
    pub spare: Vec<String>,
}

/// `POST /keys/log/rotate`; it may be left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateLog {
    /// Take the next step at once: without waiting for servers that lack the key; and that the key of before signs no more.
    #[serde(default)]
    pub now: bool,
    /// Somebody else may have the present key: take all steps at once. Nobody is to believe it about the key after it.
    #[serde(default)]
    pub stolen: bool,
}
