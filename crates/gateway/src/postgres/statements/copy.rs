//! COPY: data that goes past the queue, and Syncs that the target passes over meanwhile.

use super::entry::{Entry, unrecorded};
use super::{Answered, Statements};
use crate::postgres::frame::{Front, Malformed};

impl Statements {
    /// The target skips to a Sync. Where one that was sent before may count, it may be through with that already.
    pub(super) const fn front_of_skipped(&self, front: &Front<'_>) -> Result<(), Malformed> {
        match front {
            Front::CopyData | Front::CopyDone | Front::CopyFail | Front::Flush | Front::Terminate => Ok(()),
            _ if self.spare == 0 => Ok(()),
            _ => Err(Malformed::Untold),
        }
    }

    pub(super) const fn front_of_copy(&mut self, front: &Front<'_>) -> Result<(), Malformed> {
        match front {
            Front::CopyData | Front::Flush | Front::Terminate => Ok(()),
            Front::CopyDone | Front::CopyFail => {
                self.copying = false;
                Ok(())
            }
            Front::Sync => {
                self.passed_over += 1;
                Ok(())
            }
            _ => Err(Malformed::Kind),
        }
    }

    /// Data of a COPY from the client: they are of what was sent last. So many bytes.
    pub fn copied_in(&mut self, bytes: usize) {
        if self.skipping {
            return;
        }
        let is = |entry: &Entry| matches!(entry, Entry::Query(_) | Entry::Execute { .. });
        if let Some(Entry::Query(running) | Entry::Execute { running, .. }) = self.queue.last_mut(is) {
            running.copied += u64::try_from(bytes).unwrap_or(0);
        }
    }

    /// A piece of a COPY's data from the target, which is a row of it: so many bytes.
    pub fn copied_out(&mut self, bytes: usize) {
        if let Some(running) = self.running() {
            running.rows += 1;
            running.copied += u64::try_from(bytes).unwrap_or(0);
        }
    }

    pub(super) fn copy_begins(&mut self, answered: &mut Answered) -> Result<(), Malformed> {
        self.copy = true;
        self.copying = true;
        self.passed_over = 0;
        while let Some(entry) = self.queue.second() {
            match entry {
                Entry::Sync { .. } => self.passed_over += 1,
                Entry::CopyEnd => self.copying = false,
                // The target would take it for data, and fail.
                _ => return Err(Malformed::Kind),
            }
            let passed = self.queue.remove_second().and_then(Entry::running);
            answered
                .ended
                .extend(passed.map(|running| unrecorded(running.room)));
            if !self.copying {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The COPY is over; the answer is how many Syncs were sent before its end.
    pub(super) const fn copy_ends(&mut self) -> usize {
        let passed_over = if self.copy { self.passed_over } else { 0 };
        self.copy = false;
        self.copying = false;
        self.passed_over = 0;
        passed_over
    }

    /// A COPY failed that may or may not have passed over Syncs: whether anything was sent behind it that runs in one case only.
    pub(super) fn is_told(&self) -> bool {
        let behind = self.queue.iter().skip(1);
        let mut to_the_sync = behind.take_while(|entry| !matches!(entry, Entry::Sync { .. }));
        to_the_sync.all(|entry| matches!(entry, Entry::CopyEnd))
    }
}
