//! Replaying a recording: chunk by chunk, each verified before anything of it is shown.

use std::fmt;

use crate::chunk;
use crate::digest::Digest;
use crate::error::Error;
use crate::id::RecordingId;
use crate::keys::Identities;
use crate::place::Place;
use crate::recordings::Recordings;
use crate::sealed::Sealed;
use crate::verify;

/// The lines of one chunk.
#[derive(Clone, PartialEq, Eq)]
pub struct Piece {
    /// The number of the first.
    pub first: u64,
    /// What they say.
    pub lines: Vec<String>,
}

/// What was said in a session is nothing for our own logs.
impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Piece({} lines from {})", self.lines.len(), self.first)
    }
}

/// A recording that is being replayed. It holds one chunk at a time.
#[derive(Debug)]
pub struct Replay<'a> {
    recordings: Recordings,
    recording: RecordingId,
    logged: &'a [Sealed],
    /// Each chunk once.
    chunks: Vec<&'a Sealed>,
    identities: &'a Identities,
    /// How many chunks are through.
    at: usize,
    before: Digest,
    over: bool,
}

impl Recordings {
    /// Opens a recording. `logged`: what the log has of it, in order. It must be an event that somebody does: the caller's.
    ///
    /// # Errors
    /// Where the list itself is wrong: a chunk is missing in it, or of another recording.
    pub fn replay<'a>(
        &self,
        recording: &RecordingId,
        logged: &'a [Sealed],
        identities: &'a Identities,
    ) -> Result<Replay<'a>, Error> {
        if let Some(fault) = verify::list(recording, logged).into_iter().next() {
            return Err(fault.into());
        }
        Ok(Replay {
            recordings: self.clone(),
            recording: recording.clone(),
            logged,
            chunks: verify::distinct(logged),
            identities,
            at: 0,
            before: Digest::start(recording),
            over: false,
        })
    }
}

impl Replay<'_> {
    /// The next lines, verified; nothing after the end. A recording that was cut ends in the error that says so, after all lines that
    /// there are.
    ///
    /// # Errors
    /// At the first chunk that is not as it was logged or does not open, with what is wrong; [`Replay::skip`] passes over it. Where storage
    /// cannot be read, the same chunk can be asked for again.
    pub async fn next(&mut self) -> Result<Option<Piece>, Error> {
        while let Some(&sealed) = self.chunks.get(self.at) {
            let bytes = self.recordings.fetch(sealed, self.logged).await?;
            let place = Place {
                recording: self.recording.clone(),
                number: sealed.number,
                first: sealed.first,
                last: sealed.last,
                before: self.before,
                is_last: sealed.is_last,
            };
            let lines = chunk::open(&bytes, sealed, &place, self.identities)?;
            self.skip();
            if !lines.is_empty() {
                let first = sealed.first;
                return Ok(Some(Piece { first, lines }));
            }
        }
        match verify::cut(self.logged) {
            Some(fault) if !self.over => {
                self.over = true;
                Err(fault.into())
            }
            _ => Ok(None),
        }
    }

    /// Passes over the next chunk, as where it cannot be read and the rest is wanted.
    pub fn skip(&mut self) {
        if let Some(sealed) = self.chunks.get(self.at) {
            self.before = sealed.chain;
            self.at = self.at.saturating_add(1);
        }
    }
}
