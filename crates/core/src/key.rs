//! Keys that Daypass itself works with, and how far each is on its way to another one.
//!
//! The keys are not here: a key that signs is kept sealed in the store, and one that seals in the operator's file. Here is what the log
//! tells of them, and the order in which the steps may come. A key that is rotated in another way gets its own variant of [`Key`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::time::Timestamp;

/// Which key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Key {
    /// The one under which the server seals what it keeps: `sealing`.
    Sealing,
    /// The one that the log is signed with: `log`. Its events name keys whole, as `name+id+key` of C2SP `signed-note`.
    Log,
    /// The authority of a connector of kind `ssh`: `ssh/fleet`.
    Ssh(Name),
}

/// The text names no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no key {0:?}: it is sealing, log, or ssh/ and the connector's name")]
pub struct NoKey(String);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sealing => f.write_str("sealing"),
            Self::Log => f.write_str("log"),
            Self::Ssh(connector) => write!(f, "ssh/{connector}"),
        }
    }
}

impl FromStr for Key {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let unknown = || NoKey(text.chars().take(80).collect());
        if text == "sealing" {
            return Ok(Self::Sealing);
        }
        if text == "log" {
            return Ok(Self::Log);
        }
        let connector = text.strip_prefix("ssh/").ok_or_else(unknown)?;
        connector.parse().map(Self::Ssh).map_err(|_| unknown())
    }
}

impl TryFrom<String> for Key {
    type Error = NoKey;

    fn try_from(text: String) -> Result<Self, NoKey> {
        text.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.to_string()
    }
}

/// What happened to a key. Fingerprints are public.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Everything that is sealed is sealed under this one now.
    Resealed {
        /// The id of the sealing key.
        id: String,
        /// How many values were sealed anew.
        values: u64,
    },
    /// An authority has its next key, which hosts are told to trust and nothing is signed with yet. Of the log: the key that signs
    /// says which comes next.
    Staged {
        /// Its fingerprint.
        next: String,
    },
    /// An authority signs with its next key. The one before is destroyed and still trusted, for what it signed. Of the log: the next
    /// key is the log's, and the one before signs beside it.
    Changed {
        /// The fingerprint of the one that signs now.
        to: String,
        /// Of the one that did.
        from: String,
        /// The hosts that had not said that they trust the new one, or the servers that did not have it: somebody did not wait.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        without: Vec<String>,
    },
    /// Hosts are told to trust the key before no more. Of the log: it signs no more.
    Withdrawn {
        /// Its fingerprint.
        old: String,
        /// Before the last certificate that it signed had run out: somebody did not wait for that. Of the log: somebody else may have
        /// it, so that nobody is to believe it about the key after it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        early: bool,
    },
}

/// How far a key is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// There is one.
    Settled,
    /// There is a next one, which hosts are to trust before it signs.
    Staged {
        /// The fingerprint of the next one.
        next: String,
    },
    /// The next one signs; the one before is trusted while what it signed may be valid.
    Retiring {
        /// The fingerprint of the one before.
        old: String,
    },
}

impl Phase {
    /// How far a key is; one that was never rotated is settled.
    #[must_use]
    pub fn of(standing: Option<&Standing>) -> Self {
        standing.map_or(Self::Settled, |standing| standing.phase.clone())
    }

    /// Its name, as the table of legal transitions has it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Staged { .. } => "staged",
            Self::Retiring { .. } => "retiring",
        }
    }
}

/// A key that was ever rotated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Which.
    pub key: Key,
    /// How far it is.
    #[serde(flatten)]
    pub phase: Phase,
    /// Since when.
    pub since: Timestamp,
}

impl Standing {
    /// The standing after an event; `None` where the event does not follow.
    #[must_use]
    pub fn evolve(before: Option<&Self>, key: &Key, event: &Event, at: Timestamp) -> Option<Self> {
        let phase = match (key, before.map(|before| &before.phase), event) {
            (Key::Sealing, None | Some(Phase::Settled), Event::Resealed { .. }) => Phase::Settled,
            (Key::Ssh(_) | Key::Log, None | Some(Phase::Settled), Event::Staged { next }) => {
                Phase::Staged { next: next.clone() }
            }
            (Key::Ssh(_) | Key::Log, Some(Phase::Staged { next }), Event::Changed { to, from, .. })
                if to == next =>
            {
                Phase::Retiring { old: from.clone() }
            }
            (Key::Ssh(_) | Key::Log, Some(Phase::Retiring { old }), Event::Withdrawn { old: gone, .. })
                if gone == old =>
            {
                Phase::Settled
            }
            _ => return None,
        };
        Some(Self {
            key: key.clone(),
            phase,
            since: at,
        })
    }
}
