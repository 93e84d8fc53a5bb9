//! Invariants about the policy itself: where the one in force asks others, another comes in force only by what they said.

use daypass_core::change::{Change, Event, Lapse, Proposal};
use daypass_core::id::{ChangeId, PersonId};
use daypass_core::person::{Kind, SystemRole};
use daypass_core::review::{Decision, Review};
use daypass_core::text::Hash;
use daypass_core::time::Timestamp;

use super::approval::is_frozen;
use super::{Invariant, Judge};
use crate::scenario::ChangeVote;

/// A change that was proposed.
pub(super) struct Proposed {
    change: Change,
    reviews: Vec<Review>,
    waits: bool,
}

/// What is known of changes of the policy.
#[derive(Default)]
pub(super) struct Changes {
    /// The hash of the policy in force; none at the very beginning.
    in_force: Option<Hash>,
    proposed: std::collections::BTreeMap<ChangeId, Proposed>,
    /// Who applied which of the scenario's policies.
    sent: Vec<(PersonId, usize)>,
    votes: Vec<(ChangeId, PersonId, ChangeVote)>,
    /// A change was carried out, and what it proposes has not come in force yet.
    carried_out: Option<ChangeId>,
}

impl Judge {
    /// Somebody applies one of the scenario's policies.
    pub(crate) fn proposed(&mut self, by: PersonId, policy: usize) {
        self.changes.sent.push((by, policy));
    }

    /// Somebody sends a vote on a change.
    pub(crate) fn voted_on_change(&mut self, id: ChangeId, by: PersonId, vote: &ChangeVote) {
        self.changes.votes.push((id, by, vote.clone()));
    }

    /// Takes in what happened to a change.
    pub(super) fn change(&mut self, id: ChangeId, what: &Event, at: Timestamp) {
        if let Event::Proposed { change } = what {
            return self.change_proposed(change);
        }
        let Some(proposed) = self.changes.proposed.get_mut(&id) else {
            return self.accuse(Invariant::Agreed, format!("{id} was never proposed"));
        };
        if !proposed.waits {
            return self.accuse(Invariant::Agreed, format!("{id} waits no more, and {what:?}"));
        }
        match what {
            Event::Reviewed { review, .. } => proposed.reviews.push(review.clone()),
            Event::Applied { review } => {
                proposed.reviews.push(review.clone());
                self.changes.carried_out = Some(id);
                self.check_agreed(id, at);
            }
            Event::Lapsed { why: Lapse::Stale } if Some(proposed.change.policy) == self.changes.in_force => {
                self.accuse(Invariant::Agreed, format!("{id} lapses as stale, and is not"));
            }
            Event::Denied { review } => {
                let denied = review.clone();
                self.check_denied(id, &denied);
            }
            Event::Proposed { .. } | Event::Escalated { .. } | Event::Withdrawn | Event::Lapsed { .. } => {}
        }
        if !matches!(what, Event::Reviewed { .. } | Event::Escalated { .. })
            && let Some(proposed) = self.changes.proposed.get_mut(&id)
        {
            proposed.waits = false;
        }
    }

    /// A change is for the policy in force, asks whom that asks, and was proposed by who says so.
    fn change_proposed(&mut self, change: &Change) {
        let control = self
            .policy(self.ledger.policy)
            .map_or(&[][..], |policy| &policy.control);
        let same = change.steps.len() == control.len()
            && change
                .steps
                .iter()
                .zip(control)
                .all(|(frozen, own)| is_frozen(frozen, own, None));
        let wrong = if control.is_empty() || !same {
            Some("its steps are not those of the policy in force")
        } else if Some(change.policy) != self.changes.in_force {
            Some("it is for another policy than the one in force")
        } else if !self.may_propose(change) {
            Some("whoever proposed it did not, or may not")
        } else {
            None
        };
        let proposed = Proposed {
            change: change.clone(),
            reviews: Vec::new(),
            waits: true,
        };
        self.changes.proposed.insert(change.id, proposed);
        if let Some(what) = wrong {
            self.accuse(
                Invariant::Agreed,
                format!("{} was proposed, and {what}", change.id),
            );
        }
    }

    /// Whether who proposes a change administers, and sent that policy.
    fn may_propose(&self, change: &Change) -> bool {
        let Proposal::Policy { files, .. } = &change.proposal else {
            // Nobody proposes a change of an account here.
            return false;
        };
        self.administers(change.proposer)
            && self.changes.sent.iter().any(|(by, policy)| {
                let text = self.ledger.policies.get(*policy);
                *by == change.proposer && files.iter().all(|(_, file)| Some(file) == text)
            })
    }

    fn administers(&self, id: PersonId) -> bool {
        self.ledger.people.get(&id).is_some_and(|person| {
            person.active && person.role == SystemRole::Administrator && person.kind == Kind::Person
        })
    }

    /// A change is carried out: each step has its people, all different, none of them the proposer, who really agreed, and may.
    fn check_agreed(&mut self, id: ChangeId, at: Timestamp) {
        let (Some(proposed), Some(policy)) =
            (self.changes.proposed.get(&id), self.policy(self.ledger.policy))
        else {
            return;
        };
        let mut wrong = None;
        if Some(proposed.change.policy) != self.changes.in_force {
            wrong = Some("it was proposed for another policy than the one in force".to_owned());
        }
        if !self.administers(proposed.change.proposer) {
            wrong = Some("who proposed it does not administer any more".to_owned());
        }
        let mut people = std::collections::BTreeSet::from([proposed.change.proposer]);
        for (number, step) in policy.control.iter().enumerate() {
            let counts = |review: &&Review| {
                let who = review.reviewer;
                review.step == number
                    && self.said_yes(id, review)
                    && self
                        .may_review(policy, step, who, proposed.change.proposer, at)
                        .is_ok()
            };
            let mut have = 0;
            for review in proposed.reviews.iter().filter(counts) {
                have += u32::from(people.insert(review.reviewer));
            }
            if have < step.count {
                wrong = Some(format!("step {number} has {have} of {}", step.count));
            }
        }
        if let Some(what) = wrong {
            self.accuse(Invariant::Agreed, format!("{id} is carried out: {what}"));
        }
    }

    fn said_yes(&self, id: ChangeId, review: &Review) -> bool {
        let yes = matches!(
            review.decision,
            Decision::Approve {
                duration: None,
                items: None
            }
        );
        yes && self.changes.votes.iter().any(|(of, who, vote)| {
            *of == id && *who == review.reviewer && vote.agrees && !vote.token && !vote.other_digest
        })
    }

    fn check_denied(&mut self, id: ChangeId, review: &Review) {
        let said = self.changes.votes.iter().any(|(of, who, vote)| {
            *of == id && *who == review.reviewer && !vote.agrees && !vote.token && !vote.other_digest
        });
        if !said {
            self.accuse(
                Invariant::Agreed,
                format!("{id} is denied by {}, who never said so", review.reviewer),
            );
        }
    }

    /// Another policy comes in force: one that nobody need agree to, or that those agreed to whom the one before it asks.
    pub(super) fn policy_applied(&mut self, revision: Hash, files: &[(String, Hash)], by: Option<ChangeId>) {
        let is = |hash: &Hash| files.iter().any(|(_, file)| file == hash);
        let controlled = self.changes.in_force.is_some()
            && self
                .policy(self.ledger.policy)
                .is_some_and(|policy| !policy.control.is_empty());
        let wrong = match by {
            None if controlled => Some("others must agree to it, and nobody was asked"),
            Some(_) if self.changes.carried_out != by => Some("its change was not carried out"),
            Some(id) => {
                let proposed = self.changes.proposed.get(&id);
                let same = proposed.is_some_and(|proposed| {
                    matches!(&proposed.change.proposal, Proposal::Policy { files: agreed, .. } if agreed == files)
                });
                (!same).then_some("it is not what was agreed to")
            }
            None => None,
        };
        self.changes.carried_out = None;
        self.changes.in_force = Some(revision);
        if let Some(number) = self.ledger.policies.iter().position(is) {
            self.ledger.policy = number;
        }
        if let Some(what) = wrong {
            self.accuse(Invariant::Agreed, format!("a policy comes in force: {what}"));
        }
    }

    /// What was committed has been read: nothing is half carried out, and no change waits for a policy that is no more.
    pub(super) fn check_changes(&mut self) {
        let stale =
            self.changes.proposed.iter().find(|(_, proposed)| {
                proposed.waits && Some(proposed.change.policy) != self.changes.in_force
            });
        let stale = stale.map(|(id, _)| format!("{id} waits, and is for a policy that is no more"));
        let half = self
            .changes
            .carried_out
            .map(|id| format!("{id} is carried out, and nothing came of it"));
        if let Some(what) = stale.or(half) {
            self.accuse(Invariant::Agreed, what);
        }
    }

    /// The changes that still wait.
    pub(super) fn waiting_changes(&self) -> impl Iterator<Item = String> {
        let waits = self
            .changes
            .proposed
            .iter()
            .filter(|(_, proposed)| proposed.waits);
        waits.map(|(id, _)| format!("the change {id} waits"))
    }
}
