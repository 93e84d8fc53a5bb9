//! What a witness signed last of each log, and what it answers (C2SP `tlog-witness`). What is signed is on the disk before anybody sees
//! the signature; of one log, one checkpoint at a time is looked at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use daypass_core::text::Hash;
use daypass_tlog::key::{Signer, Verifier};
use daypass_tlog::witness::{Proposal, Refusal};
use daypass_tlog::{Checkpoint, Note};
use tokio::sync::Mutex;

use super::WitnessError;
use super::evidence::{self, Kind};
use crate::durable::replace;

/// The longest file of a checkpoint that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// What a witness says to a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Its signature, as a line with its end.
    Cosigned(String),
    /// The body is none, or the old size is beyond the new one.
    Malformed(String),
    /// It is not signed by a key that this witness has of the log.
    Unsigned,
    /// The log is none that this witness looks after.
    Unknown,
    /// What was signed last has this size.
    Stale(u64),
    /// There are two checkpoints of this size, both signed by the log.
    Twice(u64),
    /// The proof does not hold.
    Unproved,
    /// It could not be kept, so nothing is signed.
    Broken,
}

/// A log, and what was signed of it.
pub(super) struct Log {
    keys: Vec<Verifier>,
    file: PathBuf,
    last: Mutex<Option<Checkpoint>>,
    /// How large the log was when it was signed last, and when that was, in seconds since 1970; 0 where never.
    pub(super) size: AtomicU64,
    pub(super) signed_at: AtomicU64,
    /// How often since its start this witness signed, refused, was shown fewer entries than it had signed, and found a contradiction.
    pub(super) cosigned: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) smaller: AtomicU64,
    pub(super) contradictions: AtomicU64,
}

/// All of them.
pub(super) struct Book {
    key: Signer,
    pub(super) logs: BTreeMap<String, Log>,
}

impl Book {
    /// Reads what was signed last.
    ///
    /// # Errors
    /// Where a file is there and is not this witness's word: one that forgets what it signed is of no use.
    pub(super) fn open(folder: &Path, key: Signer, keys: Vec<Verifier>) -> Result<Self, WitnessError> {
        let mut logs: BTreeMap<String, Log> = BTreeMap::new();
        for log_key in keys {
            let origin = log_key.name().as_str().to_owned();
            if let Some(log) = logs.get_mut(&origin) {
                log.keys.push(log_key);
                continue;
            }
            let file = file_of(folder, &origin);
            let last = read(&file, &origin, key.verifier()).map_err(|why| WitnessError::State {
                file: file.clone(),
                why,
            })?;
            let (last, signed_at) = last.unzip();
            let log = Log {
                keys: vec![log_key],
                file,
                size: AtomicU64::new(last.as_ref().map_or(0, |last| last.size)),
                signed_at: AtomicU64::new(signed_at.unwrap_or_default()),
                last: Mutex::new(last),
                cosigned: AtomicU64::new(0),
                refused: AtomicU64::new(0),
                smaller: AtomicU64::new(0),
                contradictions: AtomicU64::new(0),
            };
            logs.insert(origin, log);
        }
        Ok(Self { key, logs })
    }

    /// Says of which logs nothing was signed: in a folder in which others were, the file of one may have been lost.
    pub(super) fn say_what_begins(&self) {
        for (origin, log) in &self.logs {
            if log.size.load(Ordering::Relaxed) == 0 && !log.file.exists() {
                tracing::warn!(
                    log = %origin, file = %log.file.display(),
                    "nothing was signed of this log here. Where that is not so, put the file back: what is shown first is signed"
                );
            }
        }
    }

    pub(super) const fn key(&self) -> &Verifier {
        self.key.verifier()
    }

    /// Looks at a proposal and signs it where it may. `at`: in seconds since 1970.
    pub(super) async fn add(&self, body: &[u8], at: u64) -> Answer {
        let proposal = match Proposal::parse(body) {
            Ok(proposal) => proposal,
            Err(error) => return Answer::Malformed(error.to_string()),
        };
        let new: Checkpoint = match proposal.note.text().parse() {
            Ok(new) => new,
            Err(error) => return Answer::Malformed(daypass_tlog::checkpoint::Malformed::to_string(&error)),
        };
        let Some(log) = self.logs.get(&new.origin) else {
            return Answer::Unknown;
        };
        let answer = self.look(log, &proposal, &new, at).await;
        match &answer {
            Answer::Cosigned(_) => log.cosigned.fetch_add(1, Ordering::Relaxed),
            _ => log.refused.fetch_add(1, Ordering::Relaxed),
        };
        let kind = match answer {
            Answer::Twice(_) => Kind::Fork,
            Answer::Unproved => Kind::Unproved,
            _ => return answer,
        };
        log.contradictions.fetch_add(1, Ordering::Relaxed);
        log.keep_contradiction(kind, &proposal, body, &new).await;
        answer
    }

    async fn look(&self, log: &Log, proposal: &Proposal, new: &Checkpoint, at: u64) -> Answer {
        let signed = |key: &&Verifier| proposal.note.verify(key).is_ok();
        let Some(key) = log.keys.iter().find(signed) else {
            return Answer::Unsigned;
        };
        // Held until it is kept: nobody else may be compared with what is about to be replaced.
        let mut last = log.last.lock().await;
        let before = last.as_ref().map(|last| (last.size, &last.head));
        match proposal.check(key, &new.origin, before) {
            Ok(_) => {}
            Err(Refusal::Stale(size)) => {
                // Signed by the log, but anybody may send what it signed before: no alarm by itself.
                if new.size < size {
                    log.smaller.fetch_add(1, Ordering::Relaxed);
                }
                return Answer::Stale(size);
            }
            Err(Refusal::Twice(size)) => return Answer::Twice(size),
            Err(Refusal::Forked(_)) => return Answer::Unproved,
            Err(Refusal::Unverified(_)) => return Answer::Unsigned,
            Err(other) => return Answer::Malformed(other.to_string()),
        }
        let mut note = match Note::new(proposal.note.text().to_owned()) {
            Ok(note) => note,
            Err(error) => return Answer::Malformed(error.to_string()),
        };
        // Of what was sent only the log's own word is kept.
        let own = proposal.note.signatures().iter().filter(|one| one.is_by(key));
        note.add(own.cloned());
        let line = format!("{}\n", note.sign(&self.key, at));
        let is_new = last.as_ref() != Some(new);
        if is_new && let Err(error) = keep(log.file.clone(), note.to_string()).await {
            tracing::error!(%error, log = %new.origin, "what is to be signed cannot be kept, so it is not signed");
            return Answer::Broken;
        }
        log.size.store(new.size, Ordering::Relaxed);
        log.signed_at.store(at, Ordering::Relaxed);
        *last = Some(new.clone());
        Answer::Cosigned(line)
    }
}

impl Log {
    /// Keeps a proposal that contradicts what was signed, and says so. Two checkpoints of one size prove two logs, and are said each time;
    /// a proof that does not hold may be anybody's, and is said when something new is kept.
    async fn keep_contradiction(&self, kind: Kind, proposal: &Proposal, body: &[u8], new: &Checkpoint) {
        let (beside, text) = (self.file.clone(), proposal.note.text().to_owned());
        let body = body.to_owned();
        let kept = tokio::task::spawn_blocking(move || evidence::keep(&beside, kind, &text, &body)).await;
        let kept = kept.unwrap_or_else(|error| Err(error.to_string()));
        let (log, seen) = (&new.origin, self.size.load(Ordering::Relaxed));
        let file = match &kept {
            Ok(Some(file)) => file.display().to_string(),
            Ok(None) => String::from("kept before"),
            Err(why) => why.clone(),
        };
        match kind {
            Kind::Fork => tracing::error!(
                %log, size = new.size, %file,
                "FORK: the log signed two checkpoints of the same size. There are two logs; this witness signed the first and signs no other"
            ),
            Kind::Unproved if matches!(kept, Ok(Some(_))) => tracing::warn!(
                %log, seen, size = new.size, %file,
                "the log signed a checkpoint, and what came with it does not prove that it goes on from what was signed here. Where the log's own \
                 server sent it, its log was rewritten or put back; nothing is signed"
            ),
            Kind::Unproved => tracing::debug!(%log, seen, size = new.size, %file, "a proof does not hold"),
        }
    }
}

/// Where the last checkpoint of a log is kept.
fn file_of(folder: &Path, origin: &str) -> PathBuf {
    let digits: String = Hash::of(origin.as_bytes()).to_string().chars().take(16).collect();
    folder.join(format!("{digits}.checkpoint"))
}

/// What was signed last, and when it was signed first.
fn read(file: &Path, origin: &str, key: &Verifier) -> Result<Option<(Checkpoint, u64)>, String> {
    let bytes = match std::fs::metadata(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
        Ok(meta) if meta.len() > LONGEST => return Err(format!("it is longer than {LONGEST} bytes")),
        Ok(_) => std::fs::read(file).map_err(|error| error.to_string())?,
    };
    let note = Note::parse(&bytes).map_err(|error| error.to_string())?;
    let seen = note.verify(key).map_err(|error| error.to_string())?;
    let checkpoint: Checkpoint = note
        .text()
        .parse()
        .map_err(|error: daypass_tlog::checkpoint::Malformed| error.to_string())?;
    if checkpoint.origin == origin {
        Ok(Some((checkpoint, seen.at)))
    } else {
        Err(format!("it is a checkpoint of {}", checkpoint.origin))
    }
}

async fn keep(file: PathBuf, note: String) -> std::io::Result<()> {
    let written = tokio::task::spawn_blocking(move || replace(&file, note.as_bytes())).await;
    written.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}
