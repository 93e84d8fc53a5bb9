//! The plan: from what should be and what was seen to what is to be done. Expiry, revocation, outage, restart and drift are
//! all this one function; the reconciler carries its actions out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::end_when::Watched;
use crate::entitlement::{Entitlement, Observed, TargetKey};
use crate::grant::{Evidence, Grant, Part, Proof, Reason, State};
use crate::id::GrantId;
use crate::name::Name;
use crate::planted::{Fault, is};
use crate::time::{Span, Timestamp};

/// What the plan takes into account beside the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The name of the worker that will carry the plan out; its own claims do not stand in its way.
    pub worker: String,
    /// A removal that takes longer than this is overdue.
    pub overdue_after: Span,
    /// Connectors whose drift is told and not removed.
    pub alarm_only: BTreeSet<Name>,
    /// What was seen of the sessions of grants that those may end. One that is missing goes on.
    pub watched: Arc<BTreeMap<GrantId, Watched>>,
}

/// One thing to do. Each is idempotent, and carrying it out leads to events that the next plan starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A scheduled grant's time has come.
    Begin(GrantId),
    /// All of a grant is there.
    Activate(GrantId),
    /// A grant must end.
    End(GrantId, Reason),
    /// A grant's removal takes too long; somebody should know.
    MarkOverdue(GrantId),
    /// A grant was seen to be gone.
    Conclude(GrantId, Vec<Evidence>),
    /// Make it so that the access is there, until then. Also how a limit at the target is moved.
    Provision {
        /// Which.
        part: Box<Part>,
        /// Until when, at the target.
        until: Timestamp,
    },
    /// Take it away, then look.
    Revoke(TargetKey),
}

/// What to do now, and when to look again if nothing else happens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// In the order in which to do them: ends before beginnings.
    pub actions: Vec<Action>,
    /// The earliest instant at which time alone changes the plan.
    pub next: Option<Timestamp>,
}

impl Plan {
    fn wake(&mut self, at: Timestamp) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}

/// Compares what should be with what was seen.
///
/// `grants` must hold every grant that has not ended and that shares a target with another one given, so that what one
/// still holds is not taken away for another. `entitlements` holds those that exist for their targets, and any others
/// that are to be cleared up.
#[must_use]
pub fn plan(
    grants: &BTreeMap<GrantId, Grant>,
    entitlements: &BTreeMap<TargetKey, Entitlement>,
    limits: &Limits,
    now: Timestamp,
) -> Plan {
    let view = View {
        grants,
        entitlements,
        desired: desired(grants, now),
        limits,
        now,
    };
    let mut plan = Plan::default();
    for grant in grants.values() {
        view.grant(grant, &mut plan);
    }
    view.provision(&mut plan);
    view.revoke(&mut plan);
    plan.actions.sort_by_key(|action| match action {
        Action::End(..) => 0,
        Action::Revoke(_) => 1,
        Action::Conclude(..) => 2,
        Action::MarkOverdue(_) => 3,
        Action::Begin(_) => 4,
        Action::Provision { .. } => 5,
        Action::Activate(_) => 6,
    });
    plan
}

/// Until when each target should be open: the latest of the grants that hold it, whoever holds them.
type Desired<'a> = BTreeMap<&'a TargetKey, (Timestamp, &'a Grant)>;

fn desired(grants: &BTreeMap<GrantId, Grant>, now: Timestamp) -> Desired<'_> {
    let mut desired = Desired::new();
    for grant in grants.values() {
        let Some(until) = grant.desired_until(now) else {
            continue;
        };
        for part in &grant.parts {
            let latest = desired.entry(&part.target).or_insert((until, grant));
            if until > latest.0 {
                *latest = (until, grant);
            }
        }
    }
    desired
}

struct View<'a> {
    grants: &'a BTreeMap<GrantId, Grant>,
    entitlements: &'a BTreeMap<TargetKey, Entitlement>,
    desired: Desired<'a>,
    limits: &'a Limits,
    now: Timestamp,
}

impl View<'_> {
    fn observed(&self, key: &TargetKey) -> Option<&Observed> {
        self.entitlements
            .get(key)
            .map(|entitlement| &entitlement.observed)
    }

    /// Whether some grant in a state that `of` picks has a part at this target.
    fn any(&self, key: &TargetKey, of: impl Fn(&State) -> bool) -> bool {
        self.grants
            .values()
            .any(|grant| of(&grant.state) && grant.is_on(key))
    }

    /// What becomes of a grant itself.
    fn grant(&self, grant: &Grant, plan: &mut Plan) {
        match &grant.state {
            State::Scheduled { start } if *start <= self.now => plan.actions.push(Action::Begin(grant.id)),
            State::Scheduled { start } => plan.wake(*start),
            State::Activating { since, window_ends } => self.activating(grant, (*since, *window_ends), plan),
            State::Active { expires_at, .. } => self.active(grant, *expires_at, plan),
            State::Ending { since, overdue, .. } => self.ending(grant, *since, *overdue, plan),
            State::Ended { .. } => {}
        }
    }

    fn activating(&self, grant: &Grant, (since, window_ends): (Timestamp, Timestamp), plan: &mut Plan) {
        // Provisioned for this grant: another may have held the same opening before.
        let there = |part: &&Part| {
            self.entitlements.get(&part.target).is_some_and(|seen| {
                matches!(seen.observed, Observed::Present { .. })
                    && (seen.intended_at >= Some(since) || is(Fault::TrustOldSight))
            })
        };
        if self.now >= window_ends {
            // Even if the last item has just been seen: the window is what bounds the limit that the targets were given.
            let missing: Vec<_> = grant
                .parts
                .iter()
                .filter(|part| !there(part))
                .map(|part| part.item().to_string())
                .collect();
            let why = format!(
                "not provisioned within {}: {}",
                grant.activation,
                missing.join(", ")
            );
            plan.actions.push(Action::End(grant.id, Reason::Failed { why }));
        } else if grant.parts.iter().all(|part| there(&part))
            || (is(Fault::HalfBundle) && grant.parts.iter().any(|part| there(&part)))
        {
            plan.actions.push(Action::Activate(grant.id));
        } else {
            plan.wake(window_ends);
        }
    }

    fn active(&self, grant: &Grant, expires_at: Timestamp, plan: &mut Plan) {
        let gone = |part: &Part| matches!(self.observed(&part.target), Some(Observed::Absent { .. }));
        if self.now >= expires_at {
            plan.actions.push(Action::End(grant.id, Reason::Expired));
        } else if grant.parts.iter().any(gone) {
            plan.actions.push(Action::End(grant.id, Reason::Removed));
        } else if self.is_completed(grant) {
            plan.actions.push(Action::End(grant.id, Reason::Completed));
        } else {
            plan.wake(expires_at);
        }
    }

    /// Whether the work that it was for is over, as far as its sessions tell.
    fn is_completed(&self, grant: &Grant) -> bool {
        let seen = self.limits.watched.get(&grant.id);
        seen.is_some_and(|seen| grant.end_when.iter().any(|when| when.is_so(seen)))
    }

    fn ending(&self, grant: &Grant, since: Timestamp, overdue: bool, plan: &mut Plan) {
        let evidence: Option<Vec<_>> = grant
            .parts
            .iter()
            .map(|part| {
                Some(Evidence {
                    item: part.item().clone(),
                    proof: self.proof(part)?,
                })
            })
            .collect();
        let due = since + self.limits.overdue_after;
        if let Some(evidence) = evidence {
            plan.actions.push(Action::Conclude(grant.id, evidence));
        } else if !overdue && self.now >= due {
            plan.actions.push(Action::MarkOverdue(grant.id));
        } else if !overdue {
            plan.wake(due);
        }
    }

    /// What shows that an ending grant's item is gone, if anything does yet.
    fn proof(&self, part: &Part) -> Option<Proof> {
        if let Some((_, holder)) = self.desired.get(&part.target) {
            return Some(Proof::HeldBy { grant: holder.id });
        }
        match self.observed(&part.target) {
            None => Some(Proof::NeverProvisioned),
            Some(Observed::Absent {
                at,
                shown_by: Some(by),
                ..
            }) => Some(Proof::Shown {
                at: *at,
                by: by.clone(),
            }),
            Some(Observed::Absent { at, residue, .. }) => Some(Proof::TargetRead {
                at: *at,
                residue: residue.clone(),
            }),
            Some(Observed::Unknown { .. } | Observed::Present { .. }) => None,
        }
    }

    /// What should be there and was not seen so, with the limit that it should have.
    fn provision(&self, plan: &mut Plan) {
        for (key, (until, holder)) in &self.desired {
            let seen = self.entitlements.get(*key);
            if let Some(other) = seen.and_then(|seen| seen.claimed_by_other(&self.limits.worker, self.now)) {
                plan.wake(other.claim_ends);
                continue;
            }
            let wanting = seen.is_none_or(|seen| self.wanting(seen, *until, plan));
            let part = holder.parts.iter().find(|part| part.target == **key);
            if let Some(part) = part.filter(|_| wanting) {
                plan.actions.push(Action::Provision {
                    part: Box::new(part.clone()),
                    until: *until,
                });
            }
        }
    }

    /// Whether what was seen of something that is held is not what should be there.
    fn wanting(&self, seen: &Entitlement, until: Timestamp, plan: &mut Plan) -> bool {
        let new_holder = || {
            self.any(&seen.key, |state| {
                matches!(state, State::Activating { since, .. }
                    if seen.intended_at < Some(*since) && !is(Fault::TrustOldSight))
            })
        };
        match &seen.observed {
            Observed::Unknown { .. } => true,
            Observed::Present { until: limit, .. } => {
                let unsettled = seen.unsettled_until();
                if let Some(settles) = unsettled.filter(|settles| self.now < *settles) {
                    plan.wake(settles);
                }
                limit.is_some_and(|limit| limit != until)
                    || unsettled.is_some_and(|settles| settles <= self.now)
                    || new_holder()
            }
            // Taken away by hand: an active holder ends for it; only one that is being set up asks for it anew.
            Observed::Absent { .. } => self.any(&seen.key, |state| matches!(state, State::Activating { .. })),
        }
    }

    /// What nobody holds and was not seen absent.
    fn revoke(&self, plan: &mut Plan) {
        for (key, seen) in self.entitlements {
            let gone = matches!(seen.observed, Observed::Absent { .. });
            let told_only = self.limits.alarm_only.contains(&key.connector)
                && !self.any(key, |state| matches!(state, State::Ending { .. }));
            let forgotten =
                is(Fault::ForgetHolder) && self.any(key, |state| matches!(state, State::Ending { .. }));
            if !gone && !told_only && (!self.desired.contains_key(key) || forgotten) {
                plan.actions.push(Action::Revoke(key.clone()));
            }
        }
    }
}
