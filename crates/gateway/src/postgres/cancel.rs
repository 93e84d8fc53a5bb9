//! Which random key stands for which connection to a target: so a cancellation reaches that one and no other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::startup::CancelKey;
use super::target::PostgresTarget;
use super::upstream;
use crate::edge;

/// A connection to a target, for whoever cancels what it does.
#[derive(Debug, Clone)]
pub(super) struct Cancellable {
    pub(super) target: Arc<PostgresTarget>,
    pub(super) key: CancelKey,
}

/// All keys that were given out and whose session lives.
#[derive(Debug, Default)]
pub(super) struct Cancels(Mutex<HashMap<u32, (u32, Cancellable)>>);

/// A key that was given out; it is good for nothing once this is gone.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) key: CancelKey,
    cancels: Arc<Cancels>,
}

impl Drop for Given {
    fn drop(&mut self) {
        self.cancels.all().remove(&self.key.process);
    }
}

impl Cancels {
    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<u32, (u32, Cancellable)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a key out. Both of its halves are random: 63 bits that nobody guesses.
    pub(super) fn give(self: &Arc<Self>, cancellable: Cancellable) -> Given {
        let mut all = self.all();
        loop {
            // Clients take it for a process id, which is positive.
            let process = u32::from_be_bytes(edge::random()) >> 1;
            if process == 0 || all.contains_key(&process) {
                continue;
            }
            let key = u32::from_be_bytes(edge::random());
            all.insert(process, (key, cancellable));
            let key = CancelKey { process, key };
            let cancels = Arc::clone(self);
            return Given { key, cancels };
        }
    }

    /// Cancels, where the key is one that was given out. The asker learns nothing either way.
    pub(super) async fn cancel(&self, asked: CancelKey) {
        let found = self.all().get(&asked.process).cloned();
        let Some((key, cancellable)) = found else { return };
        if verify_slices_are_equal(&key.to_be_bytes(), &asked.key.to_be_bytes()).is_err() {
            return;
        }
        if let Err(error) = upstream::cancel(&cancellable.target.place, cancellable.key).await {
            tracing::warn!(%error, "a cancellation did not reach the target");
        }
    }
}
