//! Invariants about what is held by those who have lost the right to anything: accounts that were switched off, and programs whom
//! nobody answers for any more.

use daypass_core::id::PersonId;
use daypass_core::person::Kind;
use daypass_core::time::{Span, Timestamp};

use super::ledger::Held;
use super::{Invariant, Judge};

/// How long what they hold may go on where the store and a server are there.
const WITHIN: Span = Span::seconds(100);

impl Judge {
    /// Since when, in true time, an account has had no right to anything.
    fn lost_since(&self, id: PersonId) -> Option<Timestamp> {
        let account = self.ledger.people.get(&id)?;
        let off = |id: PersonId| self.ledger.off.get(&id).copied();
        if !account.active {
            return off(id);
        }
        let owner = self.ledger.owner(id).filter(|_| account.kind == Kind::Service)?;
        (!owner.active).then(|| off(owner.id)).flatten()
    }

    /// What somebody holds ends who has lost the right to anything.
    pub(super) fn look_for_orphans(&mut self) {
        if self.ledger.off.is_empty() {
            return;
        }
        let now = self.time.now();
        // What is wrong with all of them is wrong with each.
        let calm = self.disturbed.iter().min().copied();
        let calm = calm.unwrap_or(now).max(self.unwritable);
        let goes_on = |held: &&Held| {
            let since = self.lost_since(held.grant.holder).filter(|_| held.is_live());
            since.is_some_and(|since| now.since(since.max(calm).max(held.opened)) > WITHIN)
        };
        let found = self
            .ledger
            .grants
            .values()
            .find(goes_on)
            .map(|held| held.grant.id);
        if let Some(id) = found {
            let what = format!("{id} goes on, and its holder is off or answered for by nobody");
            self.accuse(Invariant::EndsInTime, what);
        }
    }
}
