//! Invariants about changes that wait for others: where the policy in force asks them, another comes in force, and accounts that it
//! covers change, only by what they said.

use daypass_core::change::{Change, Event, Lapse, Proposal};
use daypass_core::edit::{Act, Edit};
use daypass_core::event::Actor;
use daypass_core::id::{ChangeId, PersonId};
use daypass_core::person::{Kind, SystemRole};
use daypass_core::review::{Decision, Review};
use daypass_core::text::Hash;
use daypass_core::time::Timestamp;

use super::approval::is_frozen;
use super::edits::Sent;
use super::standing::{Said, Whose};
use super::{Invariant, Judge};
use crate::scenario::ChangeVote;
use crate::scenario::policy::Area;

/// A change that was proposed.
pub(super) struct Proposed {
    change: Change,
    reviews: Vec<Review>,
    waits: bool,
}

impl Proposed {
    fn whose(&self) -> Whose {
        Whose {
            requester: self.change.proposer,
            owner: None,
            about: self.change.about(),
            named: named(&self.change.proposal),
        }
    }
}

/// Whom a change of an account names beside whose it is.
fn named(proposal: &Proposal) -> [Option<PersonId>; 2] {
    let Proposal::Directory { edit } = proposal else {
        return [None; 2];
    };
    match &edit.act {
        Act::Add { person, .. } => [person.owner, person.manager],
        Act::Owner { from, to } => [*from, Some(*to)],
        Act::Manager { to, .. } => [*to, None],
        Act::Token { owner, .. } => [Some(*owner), None],
        Act::Groups { .. }
        | Act::Role { .. }
        | Act::Mail { .. }
        | Act::Handle { .. }
        | Act::Reactivate { .. }
        | Act::Password => [None; 2],
    }
}

/// What is known of changes that wait or waited.
#[derive(Default)]
pub(super) struct Changes {
    /// The hash of the policy in force; none at the very beginning.
    in_force: Option<Hash>,
    proposed: std::collections::BTreeMap<ChangeId, Proposed>,
    /// Who applied which of the scenario's policies.
    sent: Vec<(PersonId, usize)>,
    /// What was sent about accounts.
    pub(super) wanted: Vec<Sent>,
    votes: Vec<(ChangeId, PersonId, ChangeVote)>,
    /// A change was carried out, and what it proposes has not come about yet.
    pub(super) carried_out: Option<ChangeId>,
}

impl Changes {
    pub(super) const fn is_policy_in_force(&self) -> bool {
        self.in_force.is_some()
    }

    /// What was proposed.
    pub(super) fn proposed(&self, id: ChangeId) -> Option<&Change> {
        self.proposed.get(&id).map(|proposed| &proposed.change)
    }
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
    pub(super) fn change(&mut self, id: ChangeId, what: &Event, actor: Actor, at: Timestamp) {
        if let Event::Proposed { change } = what {
            return self.change_proposed(change);
        }
        let Some(proposed) = self.changes.proposed.get_mut(&id) else {
            return self.accuse(Invariant::Agreed, format!("{id} was never proposed"));
        };
        if !proposed.waits {
            return self.accuse(Invariant::Agreed, format!("{id} waits no more, and {what:?}"));
        }
        let proposer = proposed.change.proposer;
        match what {
            Event::Reviewed { review, .. } => self.change_reviewed(id, review, at),
            Event::Applied { review } => {
                self.change_reviewed(id, review, at);
                self.changes.carried_out = Some(id);
                self.check_agreed(id, at);
            }
            Event::Withdrawn if actor != Actor::Person(proposer) => {
                self.accuse(Invariant::Agreed, format!("{id} is taken back by {actor:?}"));
            }
            Event::Lapsed {
                why: Lapse::Overtaken,
            } => self.check_overtaken(id),
            Event::Lapsed { why: Lapse::Stale } if Some(proposed.change.policy) == self.changes.in_force => {
                self.accuse(Invariant::Agreed, format!("{id} lapses as stale, and is not"));
            }
            Event::Denied { review } => {
                self.change_reviewed(id, review, at);
                self.check_denied(id, review);
            }
            Event::Proposed { .. } | Event::Escalated { .. } | Event::Withdrawn | Event::Lapsed { .. } => {}
        }
        if !matches!(what, Event::Reviewed { .. } | Event::Escalated { .. })
            && let Some(proposed) = self.changes.proposed.get_mut(&id)
        {
            proposed.waits = false;
        }
    }

    /// Somebody says something to a change: one whom the step asks, or in the place of one, who was not heard.
    fn change_reviewed(&mut self, id: ChangeId, review: &Review, at: Timestamp) {
        let wrong = self.changes.proposed.get(&id).and_then(|proposed| {
            let policy = self.policy(self.ledger.policy)?;
            let step = policy.control.get(review.step)?;
            let reviews = (proposed.reviews.as_slice(), review);
            self.wrong_to_say((policy, step), reviews, proposed.whose(), at)
        });
        if let Some(proposed) = self.changes.proposed.get_mut(&id) {
            proposed.reviews.push(review.clone());
        }
        if let Some(what) = wrong {
            self.accuse(Invariant::Agreed, format!("{id} is reviewed: {what}"));
        }
    }

    /// An account that a change is about is another than the one that was to be changed.
    fn check_overtaken(&mut self, id: ChangeId) {
        let proposal = self.changes.proposed(id).map(|change| &change.proposal);
        let as_it_was = match proposal {
            Some(Proposal::Directory { edit }) => self.is_as_it_was(edit),
            _ => true,
        };
        if as_it_was {
            let what = format!("{id} lapses as overtaken, and the account is as it was");
            self.accuse(Invariant::Agreed, what);
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

    /// Whether who proposes a change administers, and sent that policy; or sent that edit of an account, which others must agree to.
    fn may_propose(&self, change: &Change) -> bool {
        let files = match &change.proposal {
            Proposal::Policy { files, .. } => files,
            // Whether they administer is looked at when it is carried out.
            Proposal::Directory { edit } => {
                let policy = self.policy(self.ledger.policy);
                let covered = policy.is_some_and(|policy| policy.is_covered(&areas(edit)));
                return covered && self.is_as_it_was(edit) && self.was_wanted(change.proposer, edit);
            }
        };
        self.administers(change.proposer)
            && self.changes.sent.iter().any(|(by, policy)| {
                let text = self.ledger.policies.get(*policy);
                *by == change.proposer && files.iter().all(|(_, file)| Some(file) == text)
            })
    }

    pub(super) fn administers(&self, id: PersonId) -> bool {
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
        if !self.could_do(&proposed.change) {
            wrong = Some("who proposed it could not do it any more".to_owned());
        }
        let mut people = std::collections::BTreeSet::from([proposed.change.proposer]);
        for (number, step) in policy.control.iter().enumerate() {
            let counts = |review: &&Review| {
                let counts = self.counts((policy, step), Said::by(review), proposed.whose(), at);
                review.step == number && self.said_yes(id, review) && counts.is_ok()
            };
            let mut have = 0;
            for review in proposed.reviews.iter().filter(counts) {
                let heard = review.voices().any(|voice| people.contains(&voice));
                people.extend(review.voices());
                have += u32::from(!heard);
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

/// To what others may have to agree before an account is edited so.
fn areas(edit: &Edit) -> Vec<Area> {
    let with_groups = |any: bool| {
        [Area::People]
            .into_iter()
            .chain(any.then_some(Area::Groups))
            .collect()
    };
    match &edit.act {
        Act::Add { person, .. } => with_groups(!person.groups.is_empty()),
        Act::Reactivate { groups, .. } => with_groups(!groups.is_empty()),
        Act::Groups { .. } => vec![Area::Groups],
        Act::Handle { to: None, .. } => Vec::new(),
        Act::Handle { .. } => vec![Area::People],
        Act::Manager { .. } | Act::Owner { .. } | Act::Role { .. } | Act::Mail { .. } => vec![Area::People],
        Act::Password | Act::Token { .. } => vec![Area::Credentials],
    }
}
