//! Signs the log: checkpoints (C2SP `tlog-checkpoint`) with a key outside the database, and nothing that does not go on from what
//! was signed before.
//!
//! The signer has a tree of its own. Before it signs it brings that up to date from the entries' bytes, and holds it against the
//! head that the store claims. What it signed last it keeps in a file outside the database, so that a store which was put back
//! from a copy is noticed by the server itself. Several servers on one PostgreSQL do this each on its own; they sign the same.

mod key;
pub(crate) mod line;
mod open;
pub(crate) mod rotate;
mod run;
mod state;

use std::path::{Path, PathBuf};

use daypass_core::key::Event as KeyEvent;
use daypass_core::time::Timestamp;
use daypass_store::{Error as StoreError, Head, KeptCheckpoint, Store};
use daypass_tlog::key::{Signer, Verifier};
use daypass_tlog::{Checkpoint, Note, Tree, leaf};

pub use self::key::new_log_key;
pub(crate) use self::key::read;
use self::line::{Line, Turn};
pub(crate) use self::run::{Signing, Standing, run};
use self::state::StateFile;
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
    /// The log's key is another one by now, and this server's file does not have it.
    #[error(
        "signing_key: this log is signed with {key}, and {file} does not have that key: the log's key was rotated. Copy the file of a \
         server that has it, or put the line back from its copy"
    )]
    Behind {
        /// The file.
        file: String,
        /// The public half of the log's key.
        key: String,
    },
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
    /// This server lacks a key, or somebody else is to sign first. It may come.
    #[error("{0}")]
    Held(String),
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
    /// What this server calls itself.
    name: String,
    /// The file of its keys.
    file: PathBuf,
    /// The keys in it, as they were read last.
    keys: Vec<Signer>,
    state: StateFile,
    /// The tree up to what was signed last, or is known to be right.
    tree: Tree,
    /// The log's keys, as those entries say.
    line: Line,
    /// Whether what was signed can be kept outside the store.
    kept_outside: bool,
    /// Why nothing is signed: the store does not go on from what was signed, and did not when this began.
    refuses: Option<String>,
}

impl LogSigner {
    /// The log's keys, as the entries say that were signed.
    pub(crate) const fn line(&self) -> &Line {
        &self.line
    }

    /// The public halves of the keys that this server has.
    pub(crate) fn here(&self) -> Vec<Verifier> {
        self.keys.iter().map(|key| key.verifier().clone()).collect()
    }

    /// What this server calls itself.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The file of its keys.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Signs what is new; answers how many entries are covered now.
    ///
    /// # Errors
    /// Where the store does not go on from what was signed: nothing is signed then. Where it does not answer, or a key is missing.
    pub(crate) async fn sign(&mut self, store: &Store, now: Timestamp) -> Result<u64, NotSigned> {
        self.look_into_file().await;
        let head = store.log_head().await?;
        let (mut tree, mut line) = (self.tree.clone(), self.line.clone());
        if head.size < tree.size() {
            let (signed, kept) = (tree.size(), head.size);
            return Err(NotSigned::Diverged(format!(
                "{signed} entries were signed, and the store holds {kept}"
            )));
        }
        while tree.size() < head.size {
            let range = tree.size()..head.size.min(tree.size() + BATCH);
            for entry in store.log_bytes(range).await? {
                if let Some(said) = line::said(&entry) {
                    self.follow(store, &mut line, (tree.size(), &entry), &said)
                        .await?;
                }
                tree.push(leaf(&entry));
            }
        }
        if tree.head() != *head.root.bytes() {
            let what = format!(
                "the head that the store claims for {} entries is not that of the entries which were signed and came since",
                head.size
            );
            return Err(NotSigned::Diverged(what));
        }
        if tree.size() > self.tree.size() {
            self.keep(store, &tree, &line, now).await?;
            self.tree = tree;
            self.line = line;
        }
        Ok(self.tree.size())
    }

    /// An entry about the log's key. One that announces a key which neither this server has nor one that signed before it, somebody
    /// wrote who has the database alone; to sign it would be to bless that key.
    async fn follow(
        &self,
        store: &Store,
        line: &mut Line,
        (index, entry): (u64, &[u8]),
        said: &KeyEvent,
    ) -> Result<(), NotSigned> {
        let announces = line.current.clone();
        line.take(said)
            .map_err(|why| NotSigned::Diverged(format!("entry {index}: {why}")))?;
        let Turn::Staged { next } = &line.turn else {
            return Ok(());
        };
        if self.has(next)
            || line::announcement(store, (index, entry), &announces)
                .await?
                .is_some()
        {
            return Ok(());
        }
        Err(NotSigned::Held(format!(
            "entry {index} says that the log's next key is {next}, which {} does not have, and nobody who has the present one has signed \
             that. If you rotate the key: copy the file of the server on which you do. If you do not, somebody wrote this into the \
             database",
            self.file.display()
        )))
    }

    fn has(&self, key: &Verifier) -> bool {
        self.keys.iter().any(|one| one.verifier() == key)
    }

    /// The keys of the file as it is now. One that cannot be read at the moment changes nothing.
    async fn look_into_file(&mut self) {
        let file = self.file.clone();
        match tokio::task::spawn_blocking(move || key::read(&file)).await {
            Ok(Ok(keys)) => self.keys = keys,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the file of signing_key cannot be read; the keys that were in it are used");
            }
            Err(error) => tracing::warn!(%error, "the file of signing_key could not be read"),
        }
    }

    async fn keep(
        &mut self,
        store: &Store,
        tree: &Tree,
        line: &Line,
        at: Timestamp,
    ) -> Result<(), NotSigned> {
        let text = Checkpoint::of(line.current.name().as_str(), tree).to_string();
        let mut note = Note::new(text).map_err(|error| NotSigned::Diverged(error.to_string()))?;
        if !line.heads().into_iter().any(|key| self.has(key)) {
            return Err(NotSigned::Held(format!(
                "the log is signed with {} now, which {} does not have: copy the file of a server that has it",
                line.current,
                self.file.display()
            )));
        }
        // In this order: who looks at the first signature of this name only, and has the key of before, finds it.
        for key in line.signers() {
            if let Some(key) = self.keys.iter().find(|one| one.verifier() == key) {
                note.sign(key, 0);
            }
        }
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
