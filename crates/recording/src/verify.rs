//! Holding what is stored against what the log says, without any key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::chunk::InClear;
use crate::digest::Digest;
use crate::error::Error;
use crate::fault::Fault;
use crate::id::RecordingId;
use crate::recordings::Recordings;
use crate::sealed::Sealed;
use crate::storage::Found;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How many chunks the log has.
    pub chunks: u64,
    /// How many lines they have.
    pub lines: u64,
    /// How many bytes are stored for them, as the log has it.
    pub bytes: u64,
    /// All that is wrong; nothing where the recording is whole.
    pub faults: Vec<Fault>,
}

impl Recordings {
    /// Reads all chunks and says whether they are those of the log, and all of them. `logged`: what the log has, in order.
    ///
    /// # Errors
    /// Where storage cannot be read: that says nothing about the recording.
    pub async fn verify(&self, recording: &RecordingId, logged: &[Sealed]) -> Result<Verdict, Error> {
        let mut faults = list(recording, logged);
        let distinct = distinct(logged);
        for sealed in distinct.iter().filter(|sealed| sealed.recording == *recording) {
            if let Err(error) = self.fetch(sealed, logged).await {
                match error {
                    Error::Fault(fault) => faults.push(fault),
                    other => return Err(other),
                }
            }
        }
        let mut strange = 0;
        for stored in self.inner().storage.of(recording).await? {
            match stored.chunk {
                Some((_, number)) if logged.iter().any(|sealed| sealed.number == number) => {}
                Some((_, number)) => faults.push(Fault::NotInLog { number }),
                None => strange += 1,
            }
        }
        if strange > 0 {
            faults.push(Fault::Strange { objects: strange });
        }
        faults.extend(cut(logged));
        Ok(Verdict {
            chunks: u64::try_from(distinct.len()).unwrap_or(u64::MAX),
            lines: distinct.last().map_or(0, |sealed| sealed.last),
            bytes: distinct
                .iter()
                .fold(0, |sum: u64, sealed| sum.saturating_add(sealed.bytes)),
            faults,
        })
    }

    /// The bytes of a chunk, if they are those that were logged; otherwise what is there instead.
    pub(crate) async fn fetch(&self, sealed: &Sealed, logged: &[Sealed]) -> Result<bytes::Bytes, Error> {
        let number = sealed.number;
        let bytes = match self.inner().storage.read(&sealed.recording, number).await? {
            Found::Nothing => return Err(Fault::Missing { number }.into()),
            Found::TooLarge => return Err(Fault::Changed { number }.into()),
            Found::Bytes(bytes) => bytes,
        };
        let hash = Digest::of(&bytes);
        if hash == sealed.sealed {
            return Ok(bytes);
        }
        if let Some(other) = logged.iter().find(|other| other.sealed == hash) {
            let holds = other.number;
            return Err(Fault::Exchanged { number, holds }.into());
        }
        // What it says of itself proves nothing; that it is not what was logged is proven.
        match InClear::read(&bytes).map(|found| found.place) {
            Some(place) if place.recording != sealed.recording => Err(Fault::Foreign {
                number,
                holds: place.number,
                of: place.recording,
            }),
            _ => Err(Fault::Changed { number }),
        }
        .map_err(Error::Fault)
    }
}

/// The list without what it says twice: two servers that take over the same chunk after a crash both log it, in the same words. Other
/// words about the same chunk are no repetition, and stay.
pub(crate) fn distinct(logged: &[Sealed]) -> Vec<&Sealed> {
    let mut seen: HashMap<u64, &Sealed> = HashMap::new();
    let mut all = Vec::with_capacity(logged.len());
    for sealed in logged {
        match seen.entry(sealed.number) {
            Entry::Occupied(before) if *before.get() == sealed => continue,
            Entry::Occupied(_) => {}
            Entry::Vacant(place) => {
                place.insert(sealed);
            }
        }
        all.push(sealed);
    }
    all
}

/// What is wrong with the list itself: each chunk must follow the one before, and nothing the last.
pub(crate) fn list(recording: &RecordingId, logged: &[Sealed]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let (mut expected, mut stored, mut ended) = (0u64, 0u64, false);
    for sealed in distinct(logged) {
        let number = sealed.number;
        if sealed.recording != *recording {
            let of = sealed.recording.clone();
            faults.push(Fault::LogForeign { number, of });
            continue;
        }
        if number != expected {
            faults.push(Fault::LogGap { number: expected });
        } else if sealed.first != stored.saturating_add(1) || sealed.last < stored {
            faults.push(Fault::LogLines { number });
        }
        if ended {
            faults.push(Fault::AfterEnd { number });
        }
        expected = number.saturating_add(1);
        stored = sealed.last;
        ended |= sealed.is_last;
    }
    faults
}

/// Whether the end is missing.
pub(crate) fn cut(logged: &[Sealed]) -> Option<Fault> {
    let after = logged.iter().map(|sealed| sealed.last).max().unwrap_or(0);
    (!logged.iter().any(|sealed| sealed.is_last)).then_some(Fault::Cut { after })
}
