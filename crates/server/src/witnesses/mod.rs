//! The witnesses of this server's log: after each checkpoint they are asked for their signatures, which are kept beside it.
//!
//! Nothing waits for them: neither signing nor access. What one says never stops the server either: a witness that lies could then stop
//! everything. That one has seen more than the store holds, or another log, is an alarm: a line in the log, `doctor`, and a metric.

mod ask;
mod run;

use std::sync::{Mutex, PoisonError};

use daypass_core::time::Timestamp;
use daypass_store::{Error, KeptCheckpoint, Store};
use daypass_tlog::key::Verifier;

pub(crate) use self::ask::Ask;
pub(crate) use self::run::run;
use crate::config::WitnessesConfig;
use crate::secrets::SecretError;

/// Why a witness cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Its certificate authority cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The connection cannot be set up.
    #[error("the witness {name}: {why}")]
    Http {
        /// Its name.
        name: String,
        /// What is wrong.
        why: String,
    },
}

/// How a witness stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum View {
    /// It was not asked yet.
    New,
    /// It signed, up to so many entries, at that time.
    Cosigned(u64, Timestamp),
    /// It does not answer, or not as a witness does.
    Away(String),
    /// It signed what this store does not go on from.
    Conflict(String),
}

/// The witnesses of this server.
pub(crate) struct Witnesses {
    all: Vec<One>,
    /// How many must have signed.
    pub(crate) quorum: usize,
}

struct One {
    key: Verifier,
    view: Mutex<View>,
}

impl Witnesses {
    pub(crate) fn new(config: &WitnessesConfig) -> Self {
        let one = |key: &Verifier| One {
            key: key.clone(),
            view: Mutex::new(View::New),
        };
        Self {
            all: config.all.iter().map(|at| one(&at.key)).collect(),
            quorum: config.quorum,
        }
    }

    /// How each stands, by its key.
    pub(crate) fn views(&self) -> Vec<(Verifier, View)> {
        let view = |one: &One| one.view.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.all.iter().map(|one| (one.key.clone(), view(one))).collect()
    }

    /// Notes how one stands; how it stood before.
    fn stands(&self, key: &Verifier, view: View) -> Option<View> {
        let one = self.all.iter().find(|one| one.key == *key)?;
        let mut stands = one.view.lock().unwrap_or_else(PoisonError::into_inner);
        Some(std::mem::replace(&mut *stands, view))
    }

    /// The newest checkpoint that enough witnesses signed, with their lines.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub(crate) async fn newest(&self, store: &Store) -> Result<Option<KeptCheckpoint>, Error> {
        if self.all.is_empty() {
            return Ok(None);
        }
        let names = self.all.iter().map(|one| one.key.name().to_string()).collect();
        match store.newest_cosigned(names, self.quorum).await? {
            Some(kept) => Ok(Some(with_lines(store, kept).await?)),
            None => Ok(None),
        }
    }
}

/// A checkpoint with the lines of the witnesses who signed it.
///
/// # Errors
/// Where the store does not answer.
pub(crate) async fn with_lines(store: &Store, mut kept: KeptCheckpoint) -> Result<KeptCheckpoint, Error> {
    for signed in store.cosignatures(kept.size).await? {
        kept.note.push_str(&signed.line);
        kept.note.push('\n');
    }
    Ok(kept)
}
