//! Removing recordings that are old enough, so that each removal can be logged.

use std::collections::BTreeSet;

use daypass_core::time::Timestamp;

use crate::error::Error;
use crate::id::RecordingId;
use crate::recordings::Recordings;

/// What was removed of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Which recording.
    pub recording: RecordingId,
    /// How many chunks went.
    pub chunks: u64,
    /// How many bytes they had.
    pub bytes: u64,
    /// Nothing of it is left; otherwise the next run goes on.
    pub is_gone: bool,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Expired {
    /// What was removed, to be logged.
    pub removed: Vec<Removed>,
    /// What could not be, and why.
    pub failed: Vec<(RecordingId, Error)>,
}

impl Recordings {
    /// Which recordings are stored, are older than this instant, and are not being written in this process.
    ///
    /// How old one is, the log says: `logged` answers when the last of its chunks was logged. The storage's own times are not asked,
    /// because whoever can write there can set them. Nothing is to be answered for one that is to stay, or that is written by another
    /// server; and for one that the log does not know, which stays too: [`Recordings::resume`] takes it over.
    ///
    /// # Errors
    /// Where storage cannot be listed.
    pub async fn due(
        &self,
        before: Timestamp,
        logged: impl Fn(&RecordingId) -> Option<Timestamp>,
    ) -> Result<Vec<RecordingId>, Error> {
        let mut all = BTreeSet::new();
        let note = |stored: crate::storage::Stored| all.extend(stored.chunk.map(|(recording, _)| recording));
        self.inner().storage.each(note).await?;
        all.retain(|recording| {
            let is_old = logged(recording).is_some_and(|at| at < before);
            is_old && !self.inner().live.has(recording)
        });
        Ok(all.into_iter().collect())
    }

    /// Removes a recording, its last chunk first and chunk 0 at the end, so that what is left of a removal that fails halfway is
    /// old, is found again, and lets nobody begin a recording of that name. Whoever wants to tell a removal from a theft
    /// logs first that it is meant.
    ///
    /// # Errors
    /// Where it is being written, or storage cannot be listed. Where a removal fails, the answer says how far it came, with why.
    pub async fn remove(&self, recording: &RecordingId) -> Result<(Removed, Option<Error>), Error> {
        let _claim = self.inner().live.claim(recording)?;
        let storage = &self.inner().storage;
        let mut removed = Removed {
            recording: recording.clone(),
            chunks: 0,
            bytes: 0,
            is_gone: false,
        };
        let mut strange = false;
        for stored in storage.of(recording).await?.into_iter().rev() {
            let Some(path) = stored.path else {
                strange = true;
                continue;
            };
            if let Err(error) = storage.remove(&path).await {
                return Ok((removed, Some(error)));
            }
            removed.chunks = removed.chunks.saturating_add(1);
            removed.bytes = removed.bytes.saturating_add(stored.bytes);
        }
        removed.is_gone = !strange;
        Ok((removed, strange.then(|| Error::Strange(recording.clone()))))
    }

    /// Removes all that is [due](Self::due). What is gone already is not told again.
    ///
    /// # Errors
    /// Where storage cannot be listed. What fails for one recording stands in the answer, and does not keep the others.
    pub async fn expire(
        &self,
        before: Timestamp,
        logged: impl Fn(&RecordingId) -> Option<Timestamp>,
    ) -> Result<Expired, Error> {
        let mut expired = Expired::default();
        for recording in self.due(before, logged).await? {
            match self.remove(&recording).await {
                // Somebody began to write or to remove it meanwhile.
                Err(Error::Busy(_)) => {}
                Err(error) => expired.failed.push((recording, error)),
                Ok((removed, error)) => {
                    expired.removed.push(removed);
                    expired.failed.extend(error.map(|error| (recording, error)));
                }
            }
        }
        Ok(expired)
    }
}
