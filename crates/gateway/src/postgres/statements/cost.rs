//! What is on its way costs: room for its records, and what there is to stop.

use super::Statements;
use super::entry::Entry;
use crate::postgres::frame::Front;

impl Statements {
    /// How many bytes of room a message needs before it is passed on; `None` where it leads to no record.
    #[must_use]
    pub fn cost(&self, front: &Front<'_>) -> Option<usize> {
        match front {
            Front::Query { text } | Front::Parse { text, .. } => Some(text.len()),
            Front::Bind { rest, .. } if self.record_values => Some(rest.len().saturating_mul(2)),
            Front::FunctionCall { rest, .. } => Some(rest.len().saturating_mul(2)),
            Front::Execute { portal, .. } => Some(self.executes(portal)),
            Front::Bind { .. } => Some(0),
            _ => None,
        }
    }

    /// How many bytes of text an Execute of this portal will be recorded with, by what was sent before it: what was prepared once may be
    /// executed thousands of times at once.
    fn executes(&self, portal: &[u8]) -> usize {
        let sent = self.queue.iter().rev();
        let bound = sent.clone().find_map(|entry| match entry {
            Entry::Bind {
                portal: to,
                statement,
                ..
            } if to == portal => Some(statement),
            _ => None,
        });
        let Some(statement) = bound else {
            return self.names.portal(portal).0.len();
        };
        let parsed = sent.clone().find_map(|entry| match entry {
            Entry::Parse { name, running } if name == statement => running.text.as_ref(),
            _ => None,
        });
        parsed.map_or_else(|| self.names.text_of(statement).len(), |text| text.len())
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
