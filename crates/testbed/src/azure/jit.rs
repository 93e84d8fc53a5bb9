//! Just-in-time access of Defender for Cloud, 2020-01-01: what it opened, and the end of that.

use jiff::Timestamp;

use super::world::Data;

/// A rule that Defender wrote.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    /// The keys of the group and of the rule.
    pub(super) nsg: String,
    pub(super) rule: String,
    pub(super) ends: Timestamp,
}

impl Data {
    pub(super) fn settle_opened(&mut self, now: Timestamp) {
        let (over, still): (Vec<_>, Vec<_>) = std::mem::take(&mut self.opened)
            .into_iter()
            .partition(|one| one.ends <= now);
        self.opened = still;
        for one in over {
            if let Some(nsg) = self.nsgs.get_mut(&one.nsg) {
                nsg.rules.remove(&one.rule);
            }
        }
    }
}
