//! How a server that starts finds out with which keys its log is signed, and where to go on from.

use std::path::Path;

use daypass_core::event::{Actor, LogEvent, Subject, What};
use daypass_core::text::Hash;
use daypass_engine::Engine;
use daypass_store::{KeptCheckpoint, Outcome, Scope, Store};
use daypass_tlog::key::{Signer, Verifier};
use daypass_tlog::{Checkpoint, Note, Tree};

use super::line::{self, Line, Told};
use super::state::{self, StateFile};
use super::{LogSigner, SigningError, key, rollback, standing_on};
use crate::config::SigningConfig;

/// What the store and the file have, before anything of it is believed.
struct Found {
    newest: Option<KeptCheckpoint>,
    keys: Vec<Signer>,
    told: Vec<Told>,
    /// The key that the log began with, or has.
    first: Verifier,
}

impl LogSigner {
    /// Reads the keys (or makes one, where this log was never signed) and finds where to go on from. Where the store does not go on
    /// from what was signed, it [refuses](Self::refuses): access must end all the same, so that is no reason not to start.
    ///
    /// # Errors
    /// Where there is no key, or what it signed is not to be had.
    pub(crate) async fn open(config: &SigningConfig, engine: &Engine) -> Result<Self, SigningError> {
        let store = engine.store();
        let state = StateFile::new(&config.state);
        let found = Found::read(config, &state, store).await?;
        let whole = found.line(&config.file, u64::MAX)?;
        let kept = found.kept(&config.file)?;
        let mut known: Vec<&Verifier> = found.keys.iter().map(Signer::verifier).collect();
        known.extend(whole.former.iter().chain(whole.signers()));
        let told = state.read(&known).map_err(|why| SigningError::State {
            file: state.path().display().to_string(),
            why,
        })?;
        let has = |key: &&Verifier| found.keys.iter().any(|one| one.verifier() == *key);
        if !whole.heads().iter().any(has) {
            return Err(SigningError::Behind {
                file: config.file.display().to_string(),
                key: whole.current.to_string(),
            });
        }
        if told.is_none() && kept.is_some() {
            tracing::info!(
                file = %state.path().display(),
                "nothing outside the store says what was signed last; the newest checkpoint in it does"
            );
        }
        let mut signer = Self {
            name: own_name(&config.file),
            file: config.file.clone(),
            keys: Vec::new(),
            state,
            tree: Tree::default(),
            line: found.line(&config.file, 0)?,
            kept_outside: true,
            refuses: None,
        };
        match standing_on_both(store, told, kept.clone()).await? {
            Stands::Nothing => {}
            Stands::On(tree) => signer.stand(store, &found, tree).await?,
            Stands::Not(signed) if config.accept_rollback == Some(signed.size) => {
                // First: who is cut off in between is told of the rollback once more.
                let ended = engine.end_what_had_not_begun().await?;
                tracing::warn!(
                    ended,
                    "what was agreed to and had not begun ends: it may be long over"
                );
                signer.go_back(store, &signed, (&found, kept)).await?;
            }
            Stands::Not(signed) => {
                signer.refuses = Some(rollback(store.log_head().await?, &signed));
                signer.line = whole;
            }
        }
        signer.keys = found.keys;
        Ok(signer)
    }

    /// Goes on from this tree, which was signed.
    async fn stand(&mut self, store: &Store, found: &Found, tree: Tree) -> Result<(), SigningError> {
        let (size, head) = (tree.size(), tree.head());
        for one in found.told.iter().filter(|one| one.index < size) {
            if !line::stands(store, one, (size, &head)).await? {
                let why = format!(
                    "its entry {}, about the key, is not one that was signed",
                    one.index
                );
                return Err(found.other(size, why));
            }
        }
        self.line = found.line(&self.file, size)?;
        self.tree = tree;
        Ok(())
    }

    /// The operator accepts that the store does not go on from what was signed. The log says so.
    async fn go_back(
        &mut self,
        store: &Store,
        signed: &Checkpoint,
        (found, kept): (&Found, Option<Checkpoint>),
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
        if let Some((newest, checkpoint)) = found.newest.as_ref().zip(kept)
            && let Some(tree) = standing_on(store, &checkpoint).await?
        {
            self.state.write(&newest.note).map_err(file)?;
            self.stand(store, found, tree).await?;
        } else {
            self.state.forget().map_err(file)?;
        }
        Ok(())
    }
}

/// Whether the store's log goes on from what was signed.
enum Stands {
    /// Nothing was.
    Nothing,
    /// It does, from all of it; the tree of the most.
    On(Tree),
    /// Not from this.
    Not(Checkpoint),
}

/// What was signed last, by the file outside the store and by the store itself. As a rule they are the same; where the file could not
/// be written for a while, the store has more, and the log goes on from both.
async fn standing_on_both(
    store: &Store,
    told: Option<Checkpoint>,
    kept: Option<Checkpoint>,
) -> Result<Stands, SigningError> {
    let mut all: Vec<Checkpoint> = told.into_iter().chain(kept).collect();
    all.sort_by_key(|signed| std::cmp::Reverse(signed.size));
    let mut stands = Stands::Nothing;
    for signed in all {
        match standing_on(store, &signed).await? {
            None => return Ok(Stands::Not(signed)),
            Some(tree) if matches!(stands, Stands::Nothing) => stands = Stands::On(tree),
            Some(_) => {}
        }
    }
    Ok(stands)
}

impl Found {
    async fn read(config: &SigningConfig, state: &StateFile, store: &Store) -> Result<Self, SigningError> {
        let newest = store.newest_checkpoint().await?;
        let keys = open_keys(config, state, newest.as_ref(), store.installation())?;
        let told = line::all(store).await?;
        let first = match line::first(&told) {
            Some(first) => Some(first),
            None => present(&keys, newest.as_ref(), &told),
        };
        let first = first.ok_or_else(|| {
            other(
                newest.as_ref(),
                &keys,
                "none of the file's keys signed it".to_owned(),
            )
        })?;
        Ok(Self {
            newest,
            keys,
            told,
            first,
        })
    }

    /// The log's keys before the entry with this place.
    fn line(&self, file: &Path, before: u64) -> Result<Line, SigningError> {
        let mut line = Line::new(self.first.clone());
        for one in self.told.iter().filter(|one| one.index < before) {
            line.take(&one.said).map_err(|why| {
                let why = format!("entry {}: {why} (the key is in {})", one.index, file.display());
                self.other(self.newest.as_ref().map_or(0, |newest| newest.size), why)
            })?;
        }
        Ok(line)
    }

    /// The newest checkpoint in the store, which must be of a key that the log had then.
    fn kept(&self, file: &Path) -> Result<Option<Checkpoint>, SigningError> {
        let Some(newest) = &self.newest else {
            return Ok(None);
        };
        let line = self.line(file, newest.size)?;
        let checkpoint = state::checkpoint(newest.note.as_bytes(), &line.heads())
            .map_err(|why| self.other(newest.size, why))?;
        if checkpoint.size == newest.size {
            Ok(Some(checkpoint))
        } else {
            let why = format!("it says {} entries", checkpoint.size);
            Err(self.other(newest.size, why))
        }
    }

    fn other(&self, size: u64, why: String) -> SigningError {
        SigningError::Other {
            size,
            key: names(&self.keys),
            why,
        }
    }
}

/// The key of the file that signs a log which never changed its key: the one that signed it, or the first. The next key, which signs
/// beside it once it was announced, is not it.
fn present(keys: &[Signer], newest: Option<&KeptCheckpoint>, told: &[Told]) -> Option<Verifier> {
    let Some(newest) = newest else {
        return keys.first().map(|key| key.verifier().clone());
    };
    let note = Note::parse(newest.note.as_bytes()).ok()?;
    let mut candidates = keys.iter().map(Signer::verifier);
    let found = candidates.find(|key| {
        let next = told.iter().any(
            |one| matches!(&one.said, daypass_core::key::Event::Staged { next } if *next == key.to_string()),
        );
        !next && note.verify(key).is_ok()
    });
    found.cloned()
}

/// What a server calls itself: where to bring a key to.
fn own_name(file: &Path) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = Some(host.trim()).filter(|host| !host.is_empty());
    format!("{}:{}", host.unwrap_or("this-host"), file.display())
}

fn names(keys: &[Signer]) -> String {
    let names: Vec<_> = keys.iter().map(|key| key.verifier().to_string()).collect();
    names.join(", ")
}

fn other(newest: Option<&KeptCheckpoint>, keys: &[Signer], why: String) -> SigningError {
    SigningError::Other {
        size: newest.map_or(0, |newest| newest.size),
        key: names(keys),
        why,
    }
}

/// The keys: read, or one made for a log that nobody has signed yet.
fn open_keys(
    config: &SigningConfig,
    state: &StateFile,
    newest: Option<&KeptCheckpoint>,
    installation: &str,
) -> Result<Vec<Signer>, SigningError> {
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
    tracing::info!(key = %names(&made), "made the key of the log; keep a copy of it, and not beside the copies of the store");
    Ok(made)
}
