//! Which recordings are being written or removed in this process: each by one at a time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Error;
use crate::id::RecordingId;
use crate::watch::{Watcher, Watchers};

#[derive(Debug, Default)]
pub(crate) struct Live(Mutex<HashMap<RecordingId, Arc<Watchers>>>);

/// A recording is this one's alone until it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    live: Arc<Live>,
    recording: RecordingId,
    watchers: Arc<Watchers>,
}

impl Live {
    fn all(&self) -> MutexGuard<'_, HashMap<RecordingId, Arc<Watchers>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn claim(self: &Arc<Self>, recording: &RecordingId) -> Result<Claim, Error> {
        let watchers = Arc::new(Watchers::default());
        match self.all().entry(recording.clone()) {
            Entry::Occupied(_) => return Err(Error::Busy(recording.clone())),
            Entry::Vacant(place) => place.insert(Arc::clone(&watchers)),
        };
        Ok(Claim {
            live: Arc::clone(self),
            recording: recording.clone(),
            watchers,
        })
    }

    pub(crate) fn has(&self, recording: &RecordingId) -> bool {
        self.all().contains_key(recording)
    }

    pub(crate) fn watch(&self, recording: &RecordingId) -> Option<Watcher> {
        let watchers = Arc::clone(self.all().get(recording)?);
        Some(watchers.watch())
    }
}

impl Claim {
    pub(crate) fn recording(&self) -> &RecordingId {
        &self.recording
    }

    pub(crate) fn watchers(&self) -> &Watchers {
        &self.watchers
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.live.all().remove(&self.recording);
        // Whoever watches hears the end, also where somebody else holds the list for a moment.
        self.watchers.close();
    }
}
