//! Invariants about ends before their time: a grant that is said to be completed is, and one whose ticket was closed, or that
//! nobody has used for as long as its rule says, does end.

use std::collections::BTreeMap;

use daypass_core::grant::Grant;
use daypass_core::id::GrantId;
use daypass_core::time::{Span, Timestamp};

use super::ledger::{Asked, Held, Phase};
use super::{Invariant, Judge};
use crate::scenario::Scenario;
use crate::scenario::policy::End;
use crate::target::Target;

/// How old a look at the sessions may be that something is decided by, and how far apart two looks may be that count as two.
const OLD: Span = Span::seconds(120);
/// For what takes a moment.
const MOMENTS: Span = Span::seconds(5);

/// What people said of tickets.
#[derive(Debug, Default)]
pub(super) struct Closings {
    next: u64,
    /// Some rule ends what nobody uses.
    idle_ends: bool,
    /// Those that have not been answered: which ticket, and when that was sent.
    under_way: BTreeMap<u64, (String, Timestamp)>,
}

impl Closings {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut rules = scenario.policies.iter().flat_map(|policy| &policy.rules);
        let idle = |end: &End| matches!(end, End::Idle(_));
        Self {
            idle_ends: rules.any(|rule| rule.bounds.ends.iter().any(idle)),
            ..Self::default()
        }
    }
}

impl Judge {
    /// Somebody says that a ticket is closed; the number of that call.
    pub(crate) fn closes(&mut self, ticket: &str) -> u64 {
        let number = self.closings.next;
        self.closings.next += 1;
        let sent = (ticket.to_owned(), self.time.now());
        self.closings.under_way.insert(number, sent);
        number
    }

    /// That call was answered. Where it was done, all that was there before it and waited for the ticket is ending.
    pub(crate) fn closed(&mut self, call: u64, done: bool) {
        let Some((ticket, sent)) = self.closings.under_way.remove(&call) else {
            return;
        };
        let left = self.ledger.grants.values().find(|held| {
            held.opened < sent
                && held.is_live()
                && self.ends(&held.grant).contains(&End::TicketClosed)
                && self.is_for(&held.grant, &ticket)
        });
        if let (true, Some(held)) = (done, left) {
            let what = format!("{} was closed, and {} goes on", ticket, held.grant.id);
            self.accuse(Invariant::Completed, what);
        }
    }

    /// Whether a grant was asked for with this ticket.
    fn is_for(&self, grant: &Grant, ticket: &str) -> bool {
        let asked = self.ledger.requests.get(&grant.request);
        asked.is_some_and(|asked| names(asked, ticket))
    }

    /// Whether it was lengthened with this ticket.
    fn was_lengthened_for(&self, grant: &Grant, ticket: &str) -> bool {
        let mut requests = self.ledger.requests.values();
        requests.any(|asked| {
            let lengthens = asked.request.ask.extends == Some(grant.id) && asked.approved.is_some();
            lengthens && names(asked, ticket)
        })
    }

    /// What ends a grant before its time, by the rule that it was asked for under.
    fn ends(&self, grant: &Grant) -> &[End] {
        let rule = self.ledger.requests.get(&grant.request).and_then(|asked| {
            let policy = self.policy(asked.policy)?;
            policy.rule(asked.request.path.rule.as_str())
        });
        rule.map_or(&[], |rule| &rule.bounds.ends)
    }

    /// What is wrong with the word that a grant is completed, if anything is.
    pub(super) fn is_not_completed(&self, grant: &Grant, phase: &Phase) -> Option<(Invariant, String)> {
        let so = self.ends(grant).iter().any(|end| match (end, phase) {
            (End::TicketClosed, _) => {
                let mut closing = self.closings.under_way.values();
                closing
                    .any(|(ticket, _)| self.is_for(grant, ticket) || self.was_lengthened_for(grant, ticket))
            }
            (End::LastSession, Phase::Active { since, .. }) => {
                self.was_used(grant.id, *since) && self.was_quiet(grant.id, Span::ZERO)
            }
            (End::Idle(long), Phase::Active { since, .. }) => {
                self.time.now() >= *since + *long && self.was_quiet(grant.id, *long)
            }
            _ => false,
        });
        (!so).then(|| {
            (
                Invariant::Completed,
                "nothing that it waits for has come true".to_owned(),
            )
        })
    }

    fn parts(&self, id: GrantId) -> impl Iterator<Item = (&Target, &str)> {
        let parts = self.ledger.grants.get(&id).map_or(&[][..], |held| &held.parts);
        parts
            .iter()
            .filter_map(|(target, key)| Some((self.targets.get(*target)?, key.as_str())))
    }

    /// Whether a session may have been seen since then. What a read shows may be older.
    fn was_used(&self, id: GrantId, since: Timestamp) -> bool {
        self.parts(id).any(|(target, key)| {
            let since = since - (target.character.oldest_read() + target.character.timeout);
            target
                .sessions(key)
                .iter()
                .any(|(_, until)| until.is_none_or(|until| until >= since))
        })
    }

    /// Whether looks at the sessions may all have shown none for so long. One that lasts longer than looks are apart is seen; a
    /// server that stood still goes by what it saw before.
    fn was_quiet(&self, id: GrantId, long: Span) -> bool {
        let now = self.time.now();
        if self.stalls.values().any(|stall| now <= stall.until + MOMENTS) {
            return true;
        }
        self.parts(id).all(|(target, key)| {
            let character = &target.character;
            let apart = OLD + MOMENTS + character.timeout.times(2) + character.oldest_read().times(2);
            let from = now - long.max(apart);
            target.sessions(key).iter().all(|(since, until)| {
                let until = until.unwrap_or(now).min(now);
                until < from || until.since((*since).max(from)) < apart
            })
        })
    }

    /// A grant that nobody has used for as long as its rule says, and for a while longer, has ended.
    pub(super) fn look_for_idle(&mut self) {
        if !self.closings.idle_ends {
            return;
        }
        let now = self.time.now();
        let idle = self.ledger.grants.values().find(|held| {
            let Phase::Active { since, .. } = held.phase else {
                return false;
            };
            let idle = self.ends(&held.grant).iter().find_map(|end| match end {
                End::Idle(long) => Some(*long),
                _ => None,
            });
            idle.is_some_and(|long| {
                self.quiet_since(held, since)
                    .is_some_and(|quiet| now.since(quiet) > long)
            })
        });
        if let Some(held) = idle {
            let what = format!("{} goes on, and nobody has used it for long", held.grant.id);
            self.accuse(Invariant::Completed, what);
        }
    }

    /// Since when everybody could have seen that nobody uses a grant, with the time that looking takes.
    fn quiet_since(&self, held: &Held, active: Timestamp) -> Option<Timestamp> {
        let mut quiet = active.max(self.unwritable);
        for (target, key) in self.parts(held.grant.id) {
            // What is not there tells of no sessions.
            if !target.shows(key).is_ours() {
                return None;
            }
            let last = target.sessions(key).last().map(|(_, until)| *until);
            quiet = quiet.max(match last {
                Some(None) => return None,
                Some(Some(until)) => until,
                None => active,
            });
            let calm = self.disturbed.get(target.number).copied().unwrap_or(active);
            quiet = quiet.max(calm) + self.looked_at_within(target);
        }
        Some(quiet)
    }

    /// How long it may take until a look is made and known.
    fn looked_at_within(&self, target: &Target) -> Span {
        OLD + MOMENTS + target.character.timeout.times(2) + target.character.oldest_read().times(2)
    }
}

fn names(asked: &Asked, ticket: &str) -> bool {
    let named = asked.request.ask.ticket.as_ref();
    named.is_some_and(|named| named.text() == ticket)
}
