//! What a log asks of a witness, and what a witness looks at before it signs (C2SP `tlog-witness`).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::{self, Checkpoint};
use crate::key::Verifier;
use crate::note::{self, Note, Unverified};
use crate::proof::{Invalid, verify_consistency};
use crate::tree::Hash;

/// The most hashes of a proof: a tree of 64 levels needs no more.
const LONGEST_PROOF: usize = 63;

/// "This is my checkpoint now, and it goes on from the one of this size": the body of `add-checkpoint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The size of the last checkpoint that the log believes the witness to have signed; 0 where none.
    pub old: u64,
    /// That the old tree is the beginning of the new one.
    pub proof: Vec<Hash>,
    /// The new checkpoint.
    pub note: Note,
}

/// The body is no proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It does not begin with `old` and a size.
    #[error("the first line is not the size of the old tree")]
    Old,
    /// A line of the proof is no SHA-256 in base64, or there are more than 63.
    #[error("the proof is malformed")]
    Proof,
    /// What follows is no signed note.
    #[error(transparent)]
    Note(#[from] note::Malformed),
}

/// Why a witness does not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The note is no checkpoint.
    #[error(transparent)]
    Malformed(#[from] checkpoint::Malformed),
    /// It is another log's.
    #[error("the checkpoint is of another log than {0}")]
    Origin(String),
    /// The log did not sign it.
    #[error(transparent)]
    Unverified(#[from] Unverified),
    /// It is smaller than what it is to go on from.
    #[error("a checkpoint of {size} leaves does not go on from one of {old}")]
    Smaller {
        /// The size that it is to go on from.
        old: u64,
        /// The size of the new one.
        size: u64,
    },
    /// The last one that was signed has another size.
    #[error("the last checkpoint signed here has {0} leaves")]
    Stale(u64),
    /// The log signed two checkpoints of this size: there are two logs.
    #[error("another checkpoint of {0} leaves was signed here")]
    Twice(u64),
    /// The new tree does not begin with the old one: history was rewritten.
    #[error("the log does not go on from the checkpoint signed before: {0}")]
    Forked(#[from] Invalid),
}

impl Proposal {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        if body.len() > note::LONGEST {
            return Err(note::Malformed::TooLong.into());
        }
        let text = std::str::from_utf8(body).map_err(|_| note::Malformed::Text)?;
        let (head, note) = text.split_once("\n\n").ok_or(Malformed::Proof)?;
        let mut lines = head.split('\n');
        let written = lines.next().and_then(|line| line.strip_prefix("old "));
        let written = written.ok_or(Malformed::Old)?;
        let old: u64 = written.parse().map_err(|_| Malformed::Old)?;
        if old.to_string() != written {
            return Err(Malformed::Old);
        }
        let mut proof = Vec::new();
        for line in lines {
            let hash = STANDARD.decode(line).map_err(|_| Malformed::Proof)?;
            proof.push(Hash::try_from(hash).map_err(|_| Malformed::Proof)?);
        }
        if proof.len() > LONGEST_PROOF {
            return Err(Malformed::Proof);
        }
        let note = Note::parse(note.as_bytes())?;
        Ok(Self { old, proof, note })
    }

    /// Whether a witness that knows this log's key and signed `last` before (`None`: nothing of this log) may sign: the checkpoint
    /// that it then signs, which it must have kept before anybody sees the signature.
    ///
    /// # Errors
    /// Where it must not.
    pub fn check(
        &self,
        log: &Verifier,
        origin: &str,
        last: Option<(u64, &Hash)>,
    ) -> Result<Checkpoint, Refusal> {
        let new: Checkpoint = self.note.text().parse()?;
        if new.origin != origin {
            return Err(Refusal::Origin(origin.to_owned()));
        }
        self.note.verify(log)?;
        if new.size < self.old {
            return Err(Refusal::Smaller {
                old: self.old,
                size: new.size,
            });
        }
        let empty = crate::Tree::default().head();
        let (size, head) = last.unwrap_or((0, &empty));
        // Two heads of one size are proof by themselves, whatever the rest of the proposal is.
        if size == new.size && *head != new.head {
            return Err(Refusal::Twice(size));
        }
        if size != self.old {
            return Err(Refusal::Stale(size));
        }
        verify_consistency((size, head), (new.size, &new.head), &self.proof)?;
        Ok(new)
    }
}

/// The body of the request.
impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        for hash in &self.proof {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        write!(f, "\n{}", self.note)
    }
}
