//! What is on its way costs: room for its records, and what there is to stop.

use super::Statements;
use super::entry::{END, Entry};
use crate::postgres::frame::Front;
use crate::record::BUDGET;

impl Statements {
    /// How many bytes of room a message needs before it is passed on; `None` where it leads to no record.
    #[must_use]
    pub fn cost(&self, front: &Front<'_>) -> Option<usize> {
        match front {
            Front::Query { text } | Front::Parse { text, .. } => Some(text.len()),
            // Twice: digits. No more than a quarter of all room, so that what executes it need not wait for this.
            Front::Bind { statement, rest, .. } => {
                let values = if self.record_values { 2 * rest.len() } else { 0 };
                Some((self.text_len(statement) + values).min(BUDGET / 4))
            }
            Front::FunctionCall { rest, .. } => Some(rest.len().saturating_mul(2)),
            Front::Execute { portal, .. } => Some(self.executes(portal)),
            // It may fail, and with it what is recorded as done.
            Front::Sync if self.open => Some(END.len()),
            _ => None,
        }
    }

    /// How long the text of a prepared statement is, by what was sent before.
    fn text_len(&self, statement: &[u8]) -> usize {
        let sent = self.queue.parsed(statement);
        sent.unwrap_or_else(|| self.names.text_len(statement))
    }

    /// How many bytes an Execute of this portal will be recorded with besides what its Bind has room for, by what was sent before it: what
    /// was bound once may be executed thousands of times at once.
    fn executes(&self, portal: &[u8]) -> usize {
        match self.queue.bound(portal) {
            Some((_, true)) => 0,
            Some((cost, false)) => cost,
            None if self.names.is_bound_only(portal) && !self.queue.executes(portal) => 0,
            None => self.names.portal_len(portal),
        }
    }

    /// Whether a text may still be kept.
    #[must_use]
    pub fn has_room_to_prepare(&self, text: &[u8]) -> bool {
        self.names.has_room_to_prepare(text)
    }

    /// Whether a portal may still be kept. They go with their transaction.
    #[must_use]
    pub fn has_room_to_bind(&self, portal: &[u8], rest: &[u8]) -> bool {
        self.names.has_room_to_bind(portal, rest)
    }

    /// Whether no more than one of what was sent runs something: a cancellation stops one.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        let runs = |entry: &&Entry| {
            matches!(
                entry,
                Entry::Query(_) | Entry::FunctionCall(_) | Entry::Execute { .. }
            )
        };
        self.queue.iter().filter(runs).take(2).count() < 2
    }
}
