//! Invariants about access: what is really open at the targets, against who may have it, over true time.

use daypass_core::entitlement::Observed;
use daypass_core::time::{Span, Timestamp};

use super::ledger::{Held, Phase};
use super::{Invariant, Judge};
use crate::scheduler::Owner;
use crate::target::Target;

/// The longest pause between two attempts, as `Settings::backoff_max` has it: once for the key and once for its connector.
const PAUSES: Span = Span::seconds(60);
/// How long after its intent a provisioning may begin, as the design has it.
const BEGINS_WITHIN: Span = Span::seconds(5);
/// Between the last thing that a process finds out and the call that it makes.
const JUST_NOW: Span = Span::seconds(1);
/// For everything that takes a moment: the store's answers, a server's start, being told.
const MOMENTS: Span = Span::seconds(20);

/// What the judge remembers of one key at one target.
#[derive(Debug, Default)]
pub(super) struct Spot {
    /// Since when it has been open and nobody held it.
    stray: Option<Timestamp>,
    /// Since when somebody has held it and it was not open.
    missing: Option<Timestamp>,
    /// Since when its limit at the target is not the deadline.
    off: Option<Timestamp>,
    /// When somebody last changed it past Daypass.
    pub(super) by_hand: Option<Timestamp>,
    /// When a server that could not know better last took it away: it had stood still, or had no store.
    pub(super) unknowing: Option<Timestamp>,
}

/// A call that takes effect.
#[derive(Debug)]
pub(crate) struct Landing {
    /// Whose it was, and when it was sent.
    pub(crate) by: Owner,
    pub(crate) sent: Timestamp,
    /// It was a removal, and took away what let people in.
    pub(crate) removed: bool,
}

impl Spot {
    /// Somebody who held it does not any more: whoever still does, or comes to, is looked after anew.
    pub(super) const fn forget(&mut self) {
        (self.missing, self.off) = (None, None);
    }
}

impl Judge {
    /// A provisioning call is made by a server, in its name.
    pub(crate) fn provision_called(&mut self, target: &Target, key: &str, until: Timestamp, by: &str) {
        let (now, spot) = (self.time.now(), (target.number, key.to_owned()));
        let intent = self
            .ledger
            .entitlements
            .get(&spot)
            .and_then(|known| known.intent.as_ref());
        let Some(intent) = intent.filter(|intent| intent.worker == by) else {
            let what = format!("{key} is provisioned by {by} without a durable intent of its own");
            return self.accuse(Invariant::Intended, what);
        };
        // Also where it is only asked again how far it is: that call may be given up too, and take effect late.
        let late = now > intent.at + BEGINS_WITHIN;
        let (intended, latest) = (intent.until, intent.latest_end);
        if late {
            let what = format!("{key} is provisioned long after that was intended");
            self.accuse(Invariant::Intended, what);
        }
        if latest.is_none_or(|latest| until > latest) {
            let what =
                format!("{key} is provisioned until {until}; its grants end at {latest:?} at the latest");
            self.accuse(Invariant::Limit, what);
        }
        if until != intended {
            let what = format!("{key} is provisioned until {until}, and intended is {intended}");
            self.accuse(Invariant::Intended, what);
        }
    }

    /// A call has taken effect.
    pub(crate) fn landed(&mut self, target: &Target, key: &str, landing: &Landing) {
        self.check_landing(target, key, landing);
        if landing.removed {
            self.check_removal(target, key, landing);
        }
    }

    /// Whether the process that sent this had just stood still: between its last check and the call, for all it knows.
    fn stood_still(&self, landing: &Landing) -> bool {
        let stall = self.stalls.get(&landing.by);
        stall.is_some_and(|stall| landing.sent <= stall.until + JUST_NOW)
    }

    /// Whether whoever sent this had just lost the store, alone.
    fn was_cut_off(&self, landing: &Landing) -> bool {
        let Owner::Server { number, .. } = landing.by else {
            return false;
        };
        let until = self.cut_off.get(&number);
        until.is_some_and(|until| landing.sent <= *until + JUST_NOW)
    }

    /// What was seen to be gone does not come back by a call of ours. A server that stood still between its last check and the
    /// call is beyond help: a sweep finds what it did.
    fn check_landing(&mut self, target: &Target, key: &str, landing: &Landing) {
        let (now, spot) = (self.time.now(), (target.number, key.to_owned()));
        let gone = self
            .ledger
            .entitlements
            .get(&spot)
            .is_some_and(|known| matches!(known.observed, Observed::Absent { .. }));
        let appeared = target.usable_since(key) == Some(now);
        if gone && appeared && !self.stood_still(landing) && self.ledger.held(&spot, now).is_none() {
            let what = format!(
                "{}:{key} appeared after it was seen to be gone",
                target.character.connector
            );
            self.accuse(Invariant::Seen, what);
        }
    }

    /// A removal takes effect: nobody holds what it took away, as far as whoever sent it could know.
    fn check_removal(&mut self, target: &Target, key: &str, landing: &Landing) {
        let (now, spot) = (self.time.now(), (target.number, key.to_owned()));
        // Without the store nobody can be asked; the removal goes by what was known last. Whoever looks before it is on record
        // thinks that somebody took it away by hand.
        let storeless = landing.sent <= self.storeless + JUST_NOW || self.was_cut_off(landing);
        if storeless || self.stood_still(landing) {
            self.spots.entry(spot).or_default().unknowing = Some(now);
            return;
        }
        let noted = self
            .ledger
            .entitlements
            .get(&spot)
            .and_then(|known| known.removing);
        let cut = self.ledger.sharing_free(&spot).find(|held| {
            let Phase::Active { since, until, .. } = held.phase else {
                return false;
            };
            // To whoever goes by a clock that was turned forward since, it has run out.
            let runs = now + self.jumps.ahead(held.reckoned, self.unwritable) < until;
            // It became active while a removal that was written down before could still take effect: it is provisioned
            // once more when that is over.
            let warned = noted.is_some_and(|(until, noted)| noted <= since && now <= until);
            runs && !warned
        });
        if let Some(cut) = cut {
            let what = format!(
                "{}:{key} is taken away, and {} holds it",
                target.character.connector, cut.grant.id
            );
            self.accuse(Invariant::NotCut, what);
        }
    }

    /// A server asks a target about a key, or for something.
    pub(crate) fn called(&mut self, target: &Target, op: &str, key: &str) {
        // A sweep looks at whatever bears our mark, also where it lets nobody in any more.
        let swept = op == "list" || (op == "inspect" && target.shows(key).is_ours());
        if self.resting && !swept {
            let what = format!("{}:{key} is asked for ever: {op}", target.character.connector);
            self.accuse(Invariant::ComesToRest, what);
        }
    }

    /// How long access may stay open that nobody holds, at a target where all is in order, if Daypass knows of it.
    fn bound(target: &Target) -> Span {
        let character = &target.character;
        PAUSES + MOMENTS + character.ceiling.times(3) + character.propagation.times(3)
    }

    /// The same for what only a sweep finds.
    fn found_within(&self, target: &Target) -> Span {
        Self::bound(target) + self.scenario.sweep_every.times(2) + target.character.propagation
    }

    /// Whether what stands there is left to people: the connector says so, and no grant of ours is ending there.
    pub(super) fn is_left_alone(&self, target: &Target, key: &str) -> bool {
        let ending = |phase: &Phase| matches!(phase, Phase::Ending { .. });
        let spot = (target.number, key.to_owned());
        target.character.alarm_only && !self.ledger.sharing(&spot).any(|held| ending(&held.phase))
    }

    /// Looks at every target. Called at each instant, once all that happens at it has happened.
    pub(crate) fn look(&mut self) {
        let now = self.time.now();
        // What lasts for less, no bound is about.
        if now.since(self.looked) < Span::millis(500) {
            return;
        }
        self.looked = now;
        self.look_for_idle();
        self.look_for_orphans();
        for target in self.targets.clone() {
            let calm = self.disturbed.get(target.number).copied().unwrap_or(now);
            let written = calm.max(self.unwritable);
            for (key, shown) in target.truth() {
                let spot = (target.number, key);
                self.look_for_strays(&target, &spot, shown.is_usable(now), calm);
            }
            let held: Vec<_> = self
                .ledger
                .grants
                .values()
                .filter(|held| matches!(held.phase, Phase::Active { .. }))
                .flat_map(|held| held.parts.clone())
                .collect();
            for spot in held.into_iter().filter(|spot| spot.0 == target.number) {
                self.look_for_cuts(&target, &spot, written);
            }
        }
    }

    fn look_for_strays(&mut self, target: &Target, spot: &(usize, String), usable: bool, calm: Timestamp) {
        let now = self.time.now();
        // Time that nobody noticed passing is time by which an end may be late.
        let held = self
            .ledger
            .sharing_free(spot)
            .any(|held| held.holds(now - self.jumps.lost(held.reckoned)).is_some());
        let known = self
            .ledger
            .entitlements
            .get(spot)
            .filter(|known| !matches!(known.observed, Observed::Absent { .. }));
        let (bound, calm) = match known {
            Some(known) => (Self::bound(target), calm.max(known.since)),
            None => (self.found_within(target), calm.max(self.unwritable)),
        };
        let left_alone = self.is_left_alone(target, &spot.1);
        let state = self.spots.entry(spot.clone()).or_default();
        if !usable || held || left_alone {
            state.stray = None;
            return;
        }
        let since = *state.stray.get_or_insert(now);
        if now.since(since.max(calm)) > bound {
            let what = format!(
                "{}:{} has been open since {since}, and nobody holds it",
                target.character.connector, spot.1
            );
            self.accuse(Invariant::EndsInTime, what);
        }
    }

    fn look_for_cuts(&mut self, target: &Target, spot: &(usize, String), calm: Timestamp) {
        let now = self.time.now();
        let Some(limit) = self.ledger.held(spot, now) else {
            return;
        };
        let shown = target.shows(&spot.1);
        let bound = self.found_within(target);
        let lost = |held: &Held| self.jumps.lost(held.reckoned) > Span::ZERO;
        // Where time was lost earlier on, the store's clock is behind for good, and a deadline comes earlier by the target's own.
        let early = limit <= now || self.ledger.sharing_free(spot).any(lost);
        let own_clock = target.character.own_expiry && early;
        let state = self.spots.entry(spot.clone()).or_default();
        if shown.is_usable(now) {
            state.missing = None;
        } else {
            let since = *state.missing.get_or_insert(now);
            if now.since(since.max(calm)) > bound && !own_clock {
                let what = format!(
                    "{}:{} is held, and has not been open since {since}",
                    target.character.connector, spot.1
                );
                return self.accuse(Invariant::NotCut, what);
            }
        }
        let right = shown
            .standing
            .is_none_or(|standing| standing.until.is_none_or(|until| until == limit));
        let state = self.spots.entry(spot.clone()).or_default();
        if right {
            state.off = None;
        } else {
            let since = *state.off.get_or_insert(now);
            if now.since(since.max(calm)) > bound {
                let what = format!(
                    "{}:{} has the limit {:?}, and its deadline is {limit}",
                    target.character.connector, spot.1, shown.standing
                );
                self.accuse(Invariant::Limit, what);
            }
        }
    }
}
