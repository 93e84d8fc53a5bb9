//! The calls of one connector: how many are under way, and those that wait for a place.
//!
//! Removals go first, and have room of their own: whatever people have given to them does not stand before somebody's end.

use std::collections::VecDeque;

pub(super) struct Lane<C> {
    pub(super) under_way: usize,
    removals: VecDeque<C>,
    others: VecDeque<C>,
}

impl<C> Default for Lane<C> {
    fn default() -> Self {
        Self {
            under_way: 0,
            removals: VecDeque::new(),
            others: VecDeque::new(),
        }
    }
}

impl<C> Lane<C> {
    /// Whether more than half a batch of one kind waits.
    pub(super) fn is_full(&self, batch: usize) -> bool {
        self.removals.len().max(self.others.len()) >= batch.div_ceil(2)
    }

    /// Where a call waits.
    pub(super) const fn queue(&mut self, removes: bool) -> &mut VecDeque<C> {
        if removes {
            &mut self.removals
        } else {
            &mut self.others
        }
    }

    /// The call that is next.
    pub(super) fn next(&mut self) -> Option<C> {
        self.removals.pop_front().or_else(|| self.others.pop_front())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_waits_behind_ends_only() {
        let mut lane = Lane::default();
        for (removes, call) in [(false, 1), (false, 2), (true, 3), (true, 4)] {
            lane.queue(removes).push_back(call);
        }
        let order: Vec<_> = std::iter::from_fn(|| lane.next()).collect();
        assert_eq!(order, [3, 4, 1, 2]);
    }

    #[test]
    fn what_begins_leaves_room_for_what_ends() {
        let mut lane = Lane::default();
        lane.queue(false).extend([0; 10]);
        assert!(lane.queue(true).is_empty());
        assert!(lane.is_full(20) && !lane.is_full(21));
    }
}
