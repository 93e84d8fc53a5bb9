//! Ends: why a grant is said to end must be so in the judge's own account, and so must what is said to show that it has.

use std::collections::BTreeSet;

use daypass_core::grant::{Evidence, Grant, Proof, Reason};
use daypass_core::id::{GrantId, PersonId, RequestId};
use daypass_core::time::Timestamp;

use super::access::Spot;
use super::ledger::Phase;
use super::{Invariant, Judge};

/// A way to end a grant that somebody sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    /// Its holder gives it back.
    Release,
    /// Somebody ends it.
    Revoke,
    /// Who looks back at an emergency ends it with that.
    LookBack,
}

/// What people sent to end grants.
pub(super) type Sent = BTreeSet<(RequestId, PersonId, Verb)>;

impl Judge {
    /// Somebody sends a command that ends the grant that a request led to.
    pub(crate) fn sent_end(&mut self, request: RequestId, by: PersonId, verb: Verb) {
        self.ends.insert((request, by, verb));
    }

    /// Whoever sent one was told that the grant ends.
    pub(crate) fn said_ended(&mut self, request: RequestId) {
        let held = self.ledger.grants.get(&request.into());
        if let Some(held) = held.filter(|held| held.is_live()) {
            let what = format!("{} is said to end, and goes on", held.grant.id);
            self.accuse(Invariant::EndsInTime, what);
        }
    }

    pub(super) fn ending(&mut self, id: GrantId, reason: &Reason, at: Timestamp) {
        let Some(held) = self.ledger.grants.get(&id) else {
            return;
        };
        let (grant, phase, parts) = (held.grant.clone(), held.phase.clone(), held.parts.clone());
        let wrong = self.no_cause(&grant, &phase, reason, at);
        if let Some(held) = self.ledger.grants.get_mut(&id) {
            held.phase = Phase::Ending {
                reason: reason.clone(),
                active_since: match phase {
                    Phase::Active { since, .. } => Some(since),
                    _ => None,
                },
                overdue: false,
            };
            held.had = held.had.map(|(since, until)| (since, until.min(at)));
            held.noticed = Some(at);
        }
        for part in &parts {
            self.spots.entry(part.clone()).or_default().forget();
        }
        if let Some((invariant, what)) = wrong {
            self.accuse(invariant, format!("{id} ends as {}, and {what}", reason.name()));
        }
    }

    /// What is wrong with a reason to end, if anything is. `Locked` is judged where locks are.
    fn no_cause(
        &self,
        grant: &Grant,
        phase: &Phase,
        reason: &Reason,
        at: Timestamp,
    ) -> Option<(Invariant, String)> {
        let cut = |what: &str| Some((Invariant::NotCut, what.to_owned()));
        match reason {
            Reason::Expired => match phase {
                Phase::Active { until, .. } if self.latest(grant.id) < *until => {
                    Some((Invariant::NotCut, format!("its deadline is {until}")))
                }
                Phase::Active { .. } => None,
                _ => cut("it was never active"),
            },
            Reason::Failed { .. } => match phase {
                Phase::Activating { until, .. } => {
                    let in_the_way = self.parts_of(grant.id).iter().any(|(target, key)| {
                        let target = self.targets.get(*target);
                        target.is_some_and(|target| target.shows(key).is_foreign())
                    });
                    (self.latest(grant.id) < *until && !in_the_way).then(|| {
                        (
                            Invariant::NotCut,
                            format!("it had until {until}, and nothing was in its way"),
                        )
                    })
                }
                _ => cut("it was not being set up"),
            },
            Reason::Released if self.was_sent(grant, grant.holder, Verb::Release) => None,
            Reason::Released => cut("its holder never gave it back"),
            Reason::Revoked { by, .. } => self.no_right_to_revoke(grant, *by),
            Reason::Ineligible { .. } => {
                let lost = self.may_have_lost(grant, phase, at);
                let owner = self.ledger.owner(grant.holder);
                let was_off = |who| self.was_off(who, grant.id);
                (!lost && !was_off(grant.holder) && !owner.is_some_and(|owner| was_off(owner.id)))
                    .then(|| (Invariant::NotCut, format!("its holder had lost nothing at {at}")))
            }
            Reason::Removed => self.nobody_removed(grant, phase),
            Reason::Locked => None,
            Reason::Completed => self.is_not_completed(grant, phase),
        }
    }

    /// The latest that the time that decides can be now, reckoned from when a deadline was last set: clocks that were turned
    /// forward since end access early, which is the side to err on.
    fn latest(&self, grant: GrantId) -> Timestamp {
        let reckoned = self.ledger.grants.get(&grant).map(|held| held.reckoned);
        self.time.now()
            + reckoned
                .map(|since| self.jumps.ahead(since, self.unwritable))
                .unwrap_or_default()
    }

    fn parts_of(&self, grant: GrantId) -> &[(usize, String)] {
        self.ledger.grants.get(&grant).map_or(&[], |held| &held.parts)
    }

    fn was_sent(&self, grant: &Grant, by: PersonId, verb: Verb) -> bool {
        self.ends.contains(&(grant.request, by, verb))
    }

    /// The holder, who answers for it, an administrator or whoever reviewed it may, or had it reviewed in their place; and who looks
    /// back, which is judged where that is recorded.
    fn no_right_to_revoke(&self, grant: &Grant, by: PersonId) -> Option<(Invariant, String)> {
        if self.was_sent(grant, by, Verb::LookBack) && grant.break_glass {
            return None;
        }
        if !self.was_sent(grant, by, Verb::Revoke) {
            return Some((Invariant::NotCut, format!("{by} never said so")));
        }
        let administers = self.ledger.administered.contains(&by);
        let answers = self.ledger.standings.answered.contains(&(by, grant.holder));
        let asked = self.ledger.requests.get(&grant.request);
        let reviews = asked.map_or(&[][..], |asked| &asked.reviews);
        let reviewed = reviews.iter().any(|review| review.is_of(by));
        let may = by == grant.holder || answers || administers || reviewed;
        (!may).then(|| (Invariant::Approved, format!("{by} may not end it")))
    }

    /// Whether the account was off at some time while the grant was there. Who switches an account off ends what it holds a
    /// moment later, and it may be on again by then.
    fn was_off(&self, holder: PersonId, grant: GrantId) -> bool {
        let is_off = self
            .ledger
            .people
            .get(&holder)
            .is_none_or(|person| !person.active);
        let opened = self.ledger.grants.get(&grant).map(|held| held.opened);
        is_off || self.ledger.off.get(&holder).copied() >= opened
    }

    fn nobody_removed(&self, grant: &Grant, phase: &Phase) -> Option<(Invariant, String)> {
        let Phase::Active { seen, .. } = phase else {
            return Some((Invariant::NotCut, "it was not active".to_owned()));
        };
        let parts = self.parts_of(grant.id);
        // What its target ended at the limit that it was given was not taken away either, but its time is over.
        let over = self
            .ledger
            .grants
            .get(&grant.id)
            .is_none_or(|held| held.holds(self.time.now()).is_none());
        let by_hand = |part: &(usize, String)| {
            let Some(character) = self.targets.get(part.0).map(|target| &target.character) else {
                return false;
            };
            // What became active on a read that lags may have been taken away just before.
            let since = *seen - (character.propagation + character.timeout);
            let taken = |spot: &Spot| spot.by_hand.max(spot.unknowing) >= Some(since);
            character.breaks_promise || self.spots.get(part).is_some_and(taken)
        };
        let removed = parts.iter().any(by_hand);
        (!over && !removed).then(|| (Invariant::NotCut, "nobody removed anything".to_owned()))
    }

    /// What is said of an end is true: the access is not usable, or somebody else's right to it goes on, or it never was.
    pub(super) fn check_evidence(&mut self, id: GrantId, evidence: &[Evidence], at: Timestamp) {
        let Some(held) = self.ledger.grants.get(&id) else {
            return;
        };
        let wrong = held.grant.parts.iter().zip(&held.parts).find_map(|(part, spot)| {
            let seen = evidence.iter().find(|seen| seen.item == *part.item());
            let wrong = self.no_proof(spot, seen.map(|seen| &seen.proof), at)?;
            Some(format!("{id} ended, and for {} stands {wrong}", spot.1))
        });
        if let Some(what) = wrong {
            self.accuse(Invariant::Seen, what);
        }
    }

    fn no_proof(&self, spot: &(usize, String), proof: Option<&Proof>, at: Timestamp) -> Option<String> {
        let now = self.time.now();
        match proof {
            None => Some("nothing".to_owned()),
            Some(Proof::TargetRead { at: read, .. }) => {
                let target = self.targets.get(spot.0)?;
                let character = &target.character;
                let open_since = target.usable_since(&spot.1);
                let others = self.ledger.held(spot, now).is_some();
                // A read shows what was, up to the time that a change may take to show, before it.
                let read = now - at.since(*read) - (character.propagation + character.timeout);
                let since = open_since.filter(|since| *since < read)?;
                (!others && !character.breaks_promise)
                    .then(|| format!("a read that showed it gone, and it has been open since {since}"))
            }
            Some(Proof::Shown { by, .. }) => Some(format!("what no target here says: {by}")),
            Some(Proof::HeldBy { grant }) => {
                let other = self.ledger.grants.get(grant);
                let holds = other.is_some_and(|other| {
                    other.parts.contains(spot) && other.holds(now - self.jumps.lost(other.reckoned)).is_some()
                });
                (!holds).then(|| format!("{grant}, which does not hold it"))
            }
            Some(Proof::NeverProvisioned) => {
                let known = self.ledger.entitlements.get(spot);
                known
                    .is_some_and(|known| known.ever_intended)
                    .then(|| "that it was never provisioned, and it was to be".to_owned())
            }
        }
    }
}
