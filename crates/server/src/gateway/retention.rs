//! Recordings whose time is over are removed, and the log says so. One that fails halfway is found again.

use daypass_core::time::Span;

use super::Front;
use super::records::recording;
use crate::app::Parts;

/// How many are removed in one go.
const BATCH: usize = 100;

impl Front {
    /// Removes what is older than it is kept.
    pub(super) async fn remove_old(&self, app: &Parts, keep: Span) {
        loop {
            match self.remove_batch(app, keep).await {
                Ok(BATCH) => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(%error, "recordings whose time is over could not be removed");
                    return;
                }
            }
        }
    }

    /// How many went.
    async fn remove_batch(&self, app: &Parts, keep: Span) -> Result<usize, daypass_engine::Error> {
        let store = app.engine.store();
        let over = store.now().await? - keep;
        let mut gone = 0;
        for session in store.recorded_sessions(over, BATCH).await? {
            let Ok(recording) = recording(session.id) else {
                continue;
            };
            match self.records.all().remove(&recording).await {
                Ok((removed, None)) => {
                    tracing::info!(session = %session.id, chunks = removed.chunks, "a recording was removed: its time was over");
                    app.engine.note_recording_removed(session.id).await?;
                    gone += 1;
                }
                // It is found again by the next look.
                Ok((_, Some(error))) | Err(error) => {
                    tracing::warn!(session = %session.id, %error, "a recording whose time is over is still stored, at least in part");
                }
            }
        }
        Ok(gone)
    }
}
