//! Signs the log: checkpoints (C2SP `tlog-checkpoint`) with a key outside the database, and nothing that does not go on from what
//! was signed before.
//!
//! The signer has a tree of its own. Before it signs it brings that up to date from the entries' bytes, and holds it against the
//! head that the store claims. What it signed last it keeps in a file outside the database, so that a store which was put back
//! from a copy is noticed by the server itself. Several servers on one PostgreSQL do this each on its own; they sign the same.

mod key;
mod run;
mod state;

use daypass_core::event::{Actor, LogEvent, Subject, What};
use daypass_core::text::Hash;
use daypass_core::time::Timestamp;
use daypass_engine::Engine;
use daypass_store::{Error as StoreError, Head, KeptCheckpoint, Outcome, Scope, Store};
use daypass_tlog::key::{Signer, Verifier};
use daypass_tlog::{Checkpoint, Note, Tree, leaf};

pub use self::key::new_log_key;
pub(crate) use self::key::read;
pub(crate) use self::run::{Signing, Standing, run};
use self::state::StateFile;
use crate::config::SigningConfig;
use crate::secrets::SecretError;

/// How many entries are read at once.
const BATCH: u64 = 1_000;

/// Why a server does not sign, and does not start.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The key is not to be had.
    #[error(transparent)]
    Key(#[from] SecretError),
    /// The key is gone, and this log was signed before.
    #[error(
        "signing_key: there is no file {file}, and this store's log was signed before, up to {size} entries. Put the key back from \
         its copy; a second server on the same store needs a copy of the first one's. Without it, take signing_key out of \
         server.yaml: the log is then not signed any more, and whoever verifies it sees that"
    )]
    Gone {
        /// The file.
        file: String,
        /// How many entries were signed.
        size: u64,
    },
    /// The store's checkpoints are another key's.
    #[error(
        "signing_key: the newest checkpoint in the store ({size} entries) is not of this key {key}: {why}. Put back the key that \
         signed it, or the store that belongs to this key"
    )]
    Other {
        /// How many entries it covers.
        size: u64,
        /// This key.
        key: String,
        /// What is wrong with the checkpoint.
        why: String,
    },
    /// The file with what was signed last is no such file.
    #[error(
        "signing_key: {file}, which says what was signed last: {why}. Put it back from its copy; docs/audit.md says what it is for"
    )]
    State {
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// What had not begun could not be ended, where the operator accepts that the store went back.
    #[error(transparent)]
    Engine(#[from] daypass_engine::Error),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why nothing was signed this time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSigned {
    /// The store does not go on from what was signed. It will not by itself.
    #[error("{0}")]
    Diverged(String),
    /// The store does not answer; later it may.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for NotSigned {
    fn from(error: StoreError) -> Self {
        match error {
            // Places without entries, a head that is none: it will not be better later.
            StoreError::Corrupt(why) => Self::Diverged(why),
            other => Self::Store(other),
        }
    }
}

/// The signer of this server's log.
pub(crate) struct LogSigner {
    key: Signer,
    state: StateFile,
    /// The tree up to what was signed last, or is known to be right.
    tree: Tree,
    /// Whether what was signed can be kept outside the store.
    kept_outside: bool,
    /// Why nothing is signed: the store does not go on from what was signed, and did not when this began.
    refuses: Option<String>,
}

impl LogSigner {
    /// Reads the key (or makes it, where this log was never signed) and finds where to go on from. Where the store does not go on
    /// from what was signed, it [refuses](Self::refuses): access must end all the same, so that is no reason not to start.
    ///
    /// # Errors
    /// Where there is no key, or what it signed is not to be had.
    pub(crate) async fn open(config: &SigningConfig, engine: &Engine) -> Result<Self, SigningError> {
        let store = engine.store();
        let newest = store.newest_checkpoint().await?;
        let state = StateFile::new(&config.state);
        let key = open_key(config, &state, newest.as_ref(), store.installation())?;
        let kept = match &newest {
            Some(newest) => Some(own(newest, key.verifier())?),
            None => None,
        };
        let told = state.read(key.verifier()).map_err(|why| SigningError::State {
            file: state.path().display().to_string(),
            why,
        })?;
        let mut signer = Self {
            key,
            state,
            tree: Tree::default(),
            kept_outside: true,
            refuses: None,
        };
        if told.is_none() && kept.is_some() {
            tracing::info!(
                file = %signer.state.path().display(),
                "nothing outside the store says what was signed last; the newest checkpoint in it does"
            );
        }
        if let Some(signed) = told.or_else(|| kept.clone()) {
            match standing_on(store, &signed).await? {
                Some(tree) => signer.tree = tree,
                None if config.accept_rollback == Some(signed.size) => {
                    // First: who is cut off in between is told of the rollback once more.
                    let ended = engine.end_what_had_not_begun().await?;
                    tracing::warn!(
                        ended,
                        "what was agreed to and had not begun ends: it may be long over"
                    );
                    signer.go_back(store, &signed, newest.zip(kept)).await?;
                }
                None => signer.refuses = Some(rollback(store.log_head().await?, &signed)),
            }
        }
        Ok(signer)
    }

    pub(crate) const fn verifier(&self) -> &Verifier {
        self.key.verifier()
    }

    /// The operator accepts that the store does not go on from what was signed. The log says so.
    async fn go_back(
        &mut self,
        store: &Store,
        signed: &Checkpoint,
        newest: Option<(KeptCheckpoint, Checkpoint)>,
    ) -> Result<(), SigningError> {
        let head = store.log_head().await?;
        tracing::warn!(
            signed = signed.size,
            kept = head.size,
            "the operator accepts that the store went back"
        );
        let event = LogEvent::Continued {
            signed_size: signed.size,
            signed_head: Hash::from_bytes(signed.head),
            kept_size: head.size,
            kept_head: head.root,
        };
        let decide = move |_: &_, _| Ok(Outcome::one(Actor::System, Subject::Log, What::Log(event)));
        store.transition(Scope::Log, decide).await?;
        let file = |why: std::io::Error| SigningError::State {
            file: self.state.path().display().to_string(),
            why: why.to_string(),
        };
        // From what the store itself has of signed entries; where it has none, each entry is looked at anew.
        if let Some((kept, checkpoint)) = newest
            && let Some(tree) = standing_on(store, &checkpoint).await?
        {
            self.state.write(&kept.note).map_err(file)?;
            self.tree = tree;
        } else {
            self.state.forget().map_err(file)?;
        }
        Ok(())
    }

    /// Signs what is new; answers how many entries are covered now.
    ///
    /// # Errors
    /// Where the store does not go on from what was signed: nothing is signed then. Where it does not answer.
    pub(crate) async fn sign(&mut self, store: &Store, now: Timestamp) -> Result<u64, NotSigned> {
        let head = store.log_head().await?;
        let mut tree = self.tree.clone();
        if head.size < tree.size() {
            let (signed, kept) = (tree.size(), head.size);
            return Err(NotSigned::Diverged(format!(
                "{signed} entries were signed, and the store holds {kept}"
            )));
        }
        while tree.size() < head.size {
            let range = tree.size()..head.size.min(tree.size() + BATCH);
            let entries = store.log_bytes(range).await?;
            tree.extend(entries.iter().map(|bytes| leaf(bytes)));
        }
        if tree.head() != *head.root.bytes() {
            let what = format!(
                "the head that the store claims for {} entries is not that of the entries which were signed and came since",
                head.size
            );
            return Err(NotSigned::Diverged(what));
        }
        if tree.size() > self.tree.size() {
            self.keep(store, &tree, now).await?;
            self.tree = tree;
        }
        Ok(self.tree.size())
    }

    async fn keep(&mut self, store: &Store, tree: &Tree, at: Timestamp) -> Result<(), NotSigned> {
        let text = Checkpoint::of(self.verifier().name().as_str(), tree).to_string();
        let mut note = Note::new(text).map_err(|error| NotSigned::Diverged(error.to_string()))?;
        note.sign(&self.key, 0);
        let note = note.to_string();
        // Outside first: a crash in between leaves a store that goes on from it.
        let (state, line) = (self.state.clone(), note.clone());
        let written = tokio::task::spawn_blocking(move || state.write(&line)).await;
        let written = written.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        match written {
            Ok(()) => self.kept_outside = true,
            Err(error) if self.kept_outside => {
                self.kept_outside = false;
                tracing::warn!(
                    %error,
                    file = %self.state.path().display(),
                    "what was signed cannot be kept outside the store; one that is put back from a copy would go unnoticed here"
                );
            }
            Err(_) => {}
        }
        let size = tree.size();
        store.keep_checkpoint(KeptCheckpoint { size, note, at }).await?;
        Ok(())
    }

    /// Why it signs nothing, where it was so from the start.
    pub(crate) fn refuses(&self) -> Option<&str> {
        self.refuses.as_deref()
    }

    pub(crate) const fn is_kept_outside(&self) -> bool {
        self.kept_outside
    }
}

/// The key: read, or made for a log that nobody has signed yet.
fn open_key(
    config: &SigningConfig,
    state: &StateFile,
    newest: Option<&KeptCheckpoint>,
    installation: &str,
) -> Result<Signer, SigningError> {
    if config.file.exists() {
        return Ok(key::read(&config.file)?);
    }
    if newest.is_some() || state.path().exists() {
        return Err(SigningError::Gone {
            file: config.file.display().to_string(),
            size: newest.map_or(0, |newest| newest.size),
        });
    }
    let made = key::make(&config.file, installation)?;
    tracing::info!(key = %made.verifier(), "made the key of the log; keep a copy of it, and not beside the copies of the store");
    Ok(made)
}

/// The newest checkpoint in the store, which must be this key's.
fn own(newest: &KeptCheckpoint, key: &Verifier) -> Result<Checkpoint, SigningError> {
    let wrong = |why: String| SigningError::Other {
        size: newest.size,
        key: key.name().to_string(),
        why,
    };
    let checkpoint = state::checkpoint(newest.note.as_bytes(), key).map_err(wrong)?;
    if checkpoint.size == newest.size {
        Ok(checkpoint)
    } else {
        Err(wrong(format!("it says {} entries", checkpoint.size)))
    }
}

/// The tree at a checkpoint, where the store's log goes on from it.
async fn standing_on(store: &Store, signed: &Checkpoint) -> Result<Option<Tree>, StoreError> {
    match store.log_tree(signed.size).await {
        Ok(tree) => Ok(Some(tree).filter(|tree| tree.head() == signed.head)),
        // It has not so many entries, or lost some of them.
        Err(StoreError::Corrupt(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

fn rollback(head: Head, signed: &Checkpoint) -> String {
    let (signed, kept) = (signed.size, head.size);
    let other = if kept >= signed { ", which are others" } else { "" };
    format!(
        "{signed} entries were signed, and the store holds {kept}{other}. It was put back from a copy, or somebody rewrote it; what was \
         recorded in between is lost. Put the newest store back. Or, if the loss is real: daypass server --accept-rollback {signed}, \
         which goes on from here, ends what had not begun, and leaves an event in the log (docs/audit.md)"
    )
}
