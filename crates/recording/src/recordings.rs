//! The place of all recordings: where a new one is begun, and one that was interrupted goes on.

use std::path::Path;
use std::sync::Arc;

use object_store::ObjectStore;

use crate::chunk::InClear;
use crate::digest::Digest;
use crate::error::Error;
use crate::id::RecordingId;
use crate::keys::{Recipients, ServerKey};
use crate::limits::Limits;
use crate::live::Live;
use crate::sealed::Sealed;
use crate::storage::{Found, Storage};
use crate::verify;
use crate::watch::Watcher;
use crate::writer::Writer;

/// All recordings of an installation. Clones are the same.
#[derive(Debug, Clone)]
pub struct Recordings(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) storage: Storage,
    pub(crate) key: ServerKey,
    pub(crate) limits: Limits,
    pub(crate) live: Arc<Live>,
}

impl Recordings {
    /// Those in a folder, which is made where it is missing. Each chunk is synced before it counts as stored, and so is its folder
    /// (on Unix).
    ///
    /// # Errors
    /// Where the folder cannot be made or the limits make no sense.
    pub fn local(folder: &Path, key: ServerKey, limits: Limits) -> Result<Self, Error> {
        Self::with(Storage::local(folder)?, key, limits)
    }

    /// Those in another object store. It must be durable when it answers, and refuse to overwrite where it is told
    /// (`PutMode::Create`).
    ///
    /// # Errors
    /// Where the limits make no sense.
    pub fn new(store: Arc<dyn ObjectStore>, key: ServerKey, limits: Limits) -> Result<Self, Error> {
        Self::with(Storage::new(store), key, limits)
    }

    fn with(storage: Storage, key: ServerKey, limits: Limits) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner {
            storage,
            key,
            limits: limits.check()?,
            live: Arc::default(),
        })))
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    /// Begins a recording. Its chunk 0, without lines, is stored at once: a session whose recording cannot begin need not begin,
    /// and of two who begin the same recording one is refused. It waits in [`Writer::sealed`] to be logged.
    ///
    /// # Errors
    /// Where the recording exists or is being written, or nothing can be stored.
    pub async fn create(&self, recording: &RecordingId, recipients: Recipients) -> Result<Writer, Error> {
        let claim = self.0.live.claim(recording)?;
        if !self.0.storage.of(recording).await?.is_empty() {
            return Err(Error::Exists(recording.clone()));
        }
        let mut writer = Writer::new(Arc::clone(&self.0), claim, recipients);
        match writer.begin().await {
            Err(Error::Taken { recording, .. }) => Err(Error::Exists(recording)),
            other => other.map(|()| writer),
        }
    }

    /// Goes on with a recording after its writer is gone. `logged`: what the log has of it, in order.
    ///
    /// Chunks that were stored and not logged are taken over where they follow what the log has and carry this server's mark:
    /// they wait in [`Writer::sealed`] to be logged. What the session's sender had no answer for, it sends again. To take over
    /// without going on, drop the writer once they are logged: the recording is then shown as cut.
    ///
    /// # Errors
    /// Where it is being written, there is nothing of it, the list is not one of this recording, or something is stored after its end that
    /// this server did not store.
    pub async fn resume(
        &self,
        recording: &RecordingId,
        recipients: Recipients,
        logged: &[Sealed],
    ) -> Result<Writer, Error> {
        let claim = self.0.live.claim(recording)?;
        if let Some(fault) = verify::list(recording, logged).into_iter().next() {
            return Err(fault.into());
        }
        let stored = self.0.storage.of(recording).await?;
        if stored.is_empty() && logged.is_empty() {
            return Err(Error::Unknown(recording.clone()));
        }
        let newest = stored.last().and_then(|stored| stored.chunk.as_ref());
        let mut writer = Writer::new(Arc::clone(&self.0), claim, recipients);
        for sealed in verify::distinct(logged) {
            writer.follow(sealed);
        }
        while newest.is_some_and(|(_, newest)| *newest >= writer.number()) {
            let sealed = self.orphan(&writer).await?;
            writer.follow(&sealed);
            writer.adopt(sealed);
        }
        Ok(writer)
    }

    /// The chunk that is stored where the writer's next would be, if this server stored it there.
    async fn orphan(&self, writer: &Writer) -> Result<Sealed, Error> {
        let next = writer.place();
        let stranger = || Error::Stranger {
            recording: next.recording.clone(),
            number: next.number,
        };
        if writer.is_finished() {
            return Err(stranger());
        }
        let Found::Bytes(bytes) = self.0.storage.read(&next.recording, next.number).await? else {
            return Err(stranger());
        };
        let found = InClear::read(&bytes).ok_or_else(stranger)?;
        let place = &found.place;
        let follows = (&place.recording, place.number, place.first, place.before)
            == (&next.recording, next.number, next.first, next.before);
        if !follows || place.lines().is_none() || !found.is_ours(&self.0.key) {
            return Err(stranger());
        }
        Ok(Sealed {
            recording: next.recording.clone(),
            number: place.number,
            first: place.first,
            last: place.last,
            sealed: Digest::of(&bytes),
            chain: found.chain,
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            is_last: place.is_last,
        })
    }

    /// Watches a recording that is being written in this process; nothing where none is. It must be an event that somebody does: the
    /// caller's.
    #[must_use]
    pub fn watch(&self, recording: &RecordingId) -> Option<Watcher> {
        self.0.live.watch(recording)
    }
}
