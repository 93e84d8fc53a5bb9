//! Removing recordings that are old enough, so that each removal can be logged.

use std::collections::BTreeMap;

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
    /// Which recordings had their last chunk stored before this instant, by the storage's clock, and are not being written in this
    /// process. Several servers on one storage know of each other's: whoever calls takes out those that live elsewhere.
    ///
    /// # Errors
    /// Where storage cannot be listed.
    pub async fn due(&self, before: Timestamp) -> Result<Vec<RecordingId>, Error> {
        let mut newest: BTreeMap<RecordingId, Timestamp> = BTreeMap::new();
        let note = |stored: crate::storage::Stored| {
            if let Some((recording, _)) = stored.chunk {
                let at = newest.entry(recording).or_insert(stored.at);
                *at = stored.at.max(*at);
            }
        };
        self.inner().storage.each(note).await?;
        Ok(newest
            .into_iter()
            .filter(|(recording, at)| *at < before && !self.inner().live.has(recording))
            .map(|(recording, _)| recording)
            .collect())
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
        for stored in storage.of(recording).await?.into_iter().rev() {
            if let Err(error) = storage.remove(&stored.path).await {
                return Ok((removed, Some(error)));
            }
            removed.chunks = removed.chunks.saturating_add(1);
            removed.bytes = removed.bytes.saturating_add(stored.bytes);
        }
        removed.is_gone = true;
        Ok((removed, None))
    }

    /// Removes all that is [due](Self::due), but those that `keep` names. What is gone already is not told again.
    ///
    /// # Errors
    /// Where storage cannot be listed. What fails for one recording stands in the answer, and does not keep the others.
    pub async fn expire(
        &self,
        before: Timestamp,
        keep: impl Fn(&RecordingId) -> bool,
    ) -> Result<Expired, Error> {
        let mut expired = Expired::default();
        for recording in self.due(before).await? {
            if keep(&recording) {
                continue;
            }
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
