//! Changes that others must agree to, of the policy and of accounts: what is proposed, reviewed, taken back, and carried out by the
//! last review.

use std::collections::BTreeSet;
use std::sync::Arc;

use daypass_core::change::{Change, Event, Proposal, State};
use daypass_core::edit::Act;
use daypass_core::event::{Actor, PolicyEvent, Subject, What};
use daypass_core::id::{ChangeId, PersonId};
use daypass_core::person::{Person, SystemRole};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::review::{Decision, Review, Step, Voter};
use daypass_core::text::{Hash, Prose};
use daypass_core::time::Timestamp;
use daypass_core::world::World;
use daypass_policy::{Directory as _, Policy, Source, cared_for};
use daypass_store::{Committed, Outcome, Scope, Side};

use crate::caller::Caller;
use crate::current::Current;
use crate::delegations::Awaits;
use crate::edits::{self, Moment};
use crate::engine::Engine;
use crate::error::{Error, not_found};
use crate::requests::check_text;
use crate::services::{locked, role_of};

/// How many changes may wait at the same time: each keeps a whole policy.
const MOST_WAITING: usize = 50;
/// The most that is recorded of what changes, in bytes.
const LONGEST_SUMMARY: usize = 24 * 1024;

/// How many of them may be of one person who is no administrator: owners of service accounts propose tokens, and must not
/// keep the others from proposing anything.
const MOST_OF_A_MEMBER: usize = 5;

/// A reviewer's decision on a change, as they sent it.
#[derive(Debug, Clone)]
pub struct ChangeVerdict {
    /// Whether they agree to all of it. There is no agreeing to a part.
    pub agrees: bool,
    /// The digest of the change that they saw.
    pub digest: Hash,
    /// Why.
    pub comment: Option<String>,
}

impl ChangeVerdict {
    fn review(&self, caller: Caller, comment: Option<Prose>, now: Timestamp) -> Review {
        let decision = if self.agrees {
            Decision::Approve {
                duration: None,
                items: None,
            }
        } else {
            Decision::Deny
        };
        Review {
            reviewer: caller.person,
            on_behalf: None,
            // The change says which step is open.
            step: 0,
            decision,
            digest: self.digest,
            comment,
            at: now,
        }
    }
}

/// A policy that is to come in force, with what is kept of it.
#[derive(Clone)]
pub(crate) struct Next {
    pub(crate) policy: Arc<Policy>,
    files: Vec<(String, String)>,
}

impl Next {
    pub(crate) fn new(policy: &Policy, sources: &[Source]) -> Self {
        let file = |file: &Source| (file.name.clone(), file.text.clone());
        Self {
            policy: Arc::new(policy.clone()),
            files: sources.iter().map(file).collect(),
        }
    }

    fn hashes(&self) -> Vec<(String, Hash)> {
        let hash = |(name, text): &(String, String)| (name.clone(), Hash::of(text.as_bytes()));
        self.files.iter().map(hash).collect()
    }

    /// What puts it in force in the place of the policy that there is. Every change that waits was proposed for that one.
    pub(crate) fn in_force(
        self,
        actor: Actor,
        current: &Current,
        world: &World,
        change: Option<ChangeId>,
    ) -> Outcome {
        let revision = self.policy.revision();
        let event = PolicyEvent::Applied {
            revision,
            files: self.hashes(),
            summary: recorded(Policy::diff(Some(&current.policy), &self.policy)),
            change,
        };
        let mut outcome = Outcome::one(actor, Subject::Policy, What::Policy(event));
        outcome.side.push(Side::PolicySource {
            revision,
            sources: self.files,
        });
        for other in world.changes.values().filter(|other| Some(other.id) != change) {
            if let Some(event) = other.outdated(revision) {
                outcome.push(actor, Subject::Change(other.id), What::Change(event));
            }
        }
        outcome
    }

    /// What proposes it to those whom the policy in force asks.
    fn propose(
        self,
        (caller, id): (Caller, ChangeId),
        current: &Current,
        world: &World,
        now: Timestamp,
    ) -> Result<Outcome, Refusal> {
        let revision = self.policy.revision();
        if waiting(world, caller.person, revision).is_some() {
            return Ok(Outcome::default());
        }
        let proposal = Proposal::Policy {
            revision,
            files: self.hashes(),
            summary: recorded(Policy::diff(Some(&current.policy), &self.policy)),
        };
        let files = Side::Proposed {
            change: id,
            sources: self.files,
        };
        proposed((caller, id), proposal, Some(files), (current, world), now)
    }
}

/// The lines of a change as they are recorded: an entry of the log has its bounds, and `daypass policy plan` tells all of it.
fn recorded(lines: Vec<String>) -> Vec<String> {
    let all = lines.len();
    let mut bytes = 0;
    let fits = |line: &String| {
        bytes += line.len();
        bytes <= LONGEST_SUMMARY
    };
    let mut kept: Vec<String> = lines.into_iter().take_while(fits).collect();
    if kept.len() < all {
        kept.push(format!("… and {} more", all - kept.len()));
    }
    kept
}

/// What proposes something to those whom the policy in force asks, where others than the proposer could agree to it.
pub(crate) fn proposed(
    (caller, id): (Caller, ChangeId),
    proposal: Proposal,
    side: Option<Side>,
    (current, world): (&Current, &World),
    now: Timestamp,
) -> Result<Outcome, Refusal> {
    let nobody = || Refusal::new(Code::WrongState, "the policy in force asks nobody");
    let steps = current.policy.control().ok_or_else(nobody)?;
    few_wait(caller.person, current, world)?;
    let base = current.policy.revision();
    let change = Change::new(id, caller.person, proposal, base, steps, now)
        .map_err(|error| Refusal::new(Code::Invalid, error.to_string()))?;
    let directory = current.directory.as_ref();
    current.policy.can_agree(&change, &change.steps, directory, now)?;
    let event = Event::Proposed {
        change: Box::new(change),
    };
    let actor = Actor::Person(caller.person);
    let mut outcome = Outcome::one(actor, Subject::Change(id), What::Change(event));
    outcome.side.extend(side);
    Ok(outcome)
}

/// Each change that waits asks people. Those of who could do nothing any more themselves stand in nobody's way.
fn few_wait(proposer: PersonId, current: &Current, world: &World) -> Result<(), Refusal> {
    let pending = || world.changes.values().filter(|one| one.is_pending());
    let theirs = pending().filter(|one| one.proposer == proposer).count();
    if may_still_propose(current, world, proposer).is_err() && theirs >= MOST_OF_A_MEMBER {
        let what = format!(
            "{MOST_OF_A_MEMBER} changes of yours wait for others already, and only administrators may have more"
        );
        let hint = "take back those that are not needed: daypass cancel ID";
        return Err(Refusal::new(Code::InUse, what).hint(hint));
    }
    let could = |one: &&Change| {
        let account = current.directory.person(one.proposer);
        account.is_some_and(|account| account.active) && world.locked_account(one.proposer).is_none()
    };
    if pending().filter(could).count() >= MOST_WAITING {
        let what = format!("{MOST_WAITING} changes wait for others already");
        return Err(Refusal::new(Code::InUse, what).hint("daypass change ls shows them"));
    }
    Ok(())
}

/// The change by which this person has proposed this policy already, if it waits.
fn waiting(world: &World, proposer: PersonId, revision: Hash) -> Option<&Change> {
    let same = |change: &&Change| {
        let proposes = matches!(&change.proposal, Proposal::Policy { revision: of, .. } if *of == revision);
        change.is_pending() && change.proposer == proposer && proposes
    };
    world.changes.values().find(same)
}

impl Engine {
    /// Puts a policy in force, or proposes it where the policy in force says that others must agree. `Some`: what waits now.
    pub(crate) async fn apply_or_propose(&self, caller: Caller, next: Next) -> Result<Option<Change>, Error> {
        let id = ChangeId::from_bytes(self.random());
        let revision = next.policy.revision();
        let policy = Arc::clone(&next.policy);
        let committed = self
            .decide(Scope::Change(id), move |current, world, now| {
                next.may_come(current, world)?;
                match current.policy.control() {
                    Some(_) => next.propose((caller, id), current, world, now),
                    None => Ok(next.in_force(Actor::Person(caller.person), current, world, None)),
                }
            })
            .await?;
        let waits = waiting(&committed.world, caller.person, revision).cloned();
        if waits.is_none() {
            self.install(policy.as_ref().clone())?;
        }
        Ok(waits)
    }

    /// Records a review of a change. The last one that was needed carries it out in the same transaction.
    ///
    /// # Errors
    /// Where the caller may not review, did already or saw another change; where another policy came in force meanwhile;
    /// where what is proposed would not be put in force if it were applied now.
    pub async fn review_change(
        &self,
        caller: Caller,
        id: ChangeId,
        verdict: ChangeVerdict,
    ) -> Result<Change, Error> {
        caller.interactive()?;
        let comment = verdict.comment.as_deref();
        comment.map_or(Ok(()), |comment| check_text("comment", comment))?;
        let comment = comment.map(|comment| self.prose(comment));
        let known = self.store().change(id).await?.ok_or_else(|| absent(id))?;
        let (next, secret) = match known.proposal {
            Proposal::Policy { .. } if verdict.agrees => (self.still_sound(id).await?, None),
            Proposal::Policy { .. } => (None, None),
            Proposal::Directory { .. } => (None, self.store().change_secret(id).await?),
        };
        let installs = next.as_ref().map(|next| Arc::clone(&next.policy));
        let committed = self
            .decide(scope(&known), move |current, world, now| {
                let change = world.changes.get(&id).ok_or_else(|| absent(id))?;
                let directory = current.directory.as_ref();
                let may = |step: &Step, escalated: bool, voter: Voter<'_>| {
                    current
                        .policy
                        .may_review_change(change, (step, escalated), voter, directory, now)
                };
                let review = verdict.review(caller, comment, now);
                let event = change.review(review, world.policy, &may, now)?;
                if let Event::Reviewed { review, .. } = &event {
                    let directory = current.directory.as_ref();
                    current
                        .policy
                        .leaves_change_open(change, review, directory, now)?;
                }
                if let Some(next) = &next {
                    next.may_come(current, world)?;
                }
                let Proposal::Directory { edit } = &change.proposal else {
                    return follow(current, world, (caller, change), event, next);
                };
                let moment = Moment {
                    actor: Actor::Person(caller.person),
                    current,
                    world,
                    now,
                };
                edits::follow(change, edit, event, secret, moment)
            })
            .await?;
        if matches!(known.proposal, Proposal::Directory { .. }) {
            self.refresh_directory().await?;
        }
        if committed
            .events
            .iter()
            .any(|event| matches!(event.what, What::Policy(_)))
            && let Some(policy) = installs
        {
            self.install(policy.as_ref().clone())?;
        }
        committed_change(&committed, id)
    }

    /// Takes a change back: who proposed it, or answers for the program that did.
    ///
    /// # Errors
    /// Where it is somebody else's, or decided already.
    pub async fn withdraw_change(&self, caller: Caller, id: ChangeId) -> Result<Change, Error> {
        let committed = self
            .decide(Scope::Change(id), move |current, world, _| {
                let change = world.changes.get(&id).ok_or_else(|| absent(id))?;
                let proposer = current.directory.person(change.proposer);
                let theirs = proposer.is_some_and(|account| account.owner == Some(caller.person));
                let event = change.withdraw(if theirs { change.proposer } else { caller.person })?;
                let actor = Actor::Person(caller.person);
                Ok(Outcome::one(actor, Subject::Change(id), What::Change(event)))
            })
            .await?;
        committed_change(&committed, id)
    }

    /// Whether somebody may look at a change: who proposed it, who may be asked or was, the delegates of those, and who sees
    /// everything.
    #[must_use]
    pub fn may_see_change(&self, caller: Caller, change: &Change, now: Timestamp) -> bool {
        if caller.sees_all() {
            return true;
        }
        self.involved_in(change, now).contains(&caller.person)
    }

    /// Who proposed a change or answers for the program that did, who may be asked, their delegates, and who answered.
    #[must_use]
    pub fn involved_in(&self, change: &Change, now: Timestamp) -> BTreeSet<PersonId> {
        let current = self.current();
        let mut people = BTreeSet::from([change.proposer]);
        let proposer = current.directory.person(change.proposer);
        people.extend(proposer.and_then(|account| account.owner));
        people.extend(change.reviews().iter().flat_map(Review::voices));
        for step in &change.steps {
            let directory = current.directory.as_ref();
            let policy = &current.policy;
            for person in policy.reviewers(change.proposer, step, true, directory, Timestamp::MAX) {
                people.insert(person);
                people.extend(policy.delegate_of(person, directory, now));
            }
        }
        people
    }

    /// Whether the change waits for this person, among others.
    #[must_use]
    pub fn change_awaits(&self, person: PersonId, change: &Change, now: Timestamp) -> Awaits {
        let current = self.current();
        let directory = current.directory.as_ref();
        let waits = current.policy.change_waits_for(change, directory, now);
        let (
            Some((_, step)),
            State::Pending {
                escalated, due_at, ..
            },
        ) = (change.open_step(), &change.state)
        else {
            return Awaits::No;
        };
        if now >= *due_at || !waits.contains(&person) {
            return Awaits::No;
        }
        let (asked, voter) = ((step, *escalated), Voter::Would(person));
        let policy = &current.policy;
        Awaits::of(policy.may_review_change(change, asked, voter, directory, now))
    }

    /// Escalates or lapses the changes that nobody answered in time; answers how many.
    pub(crate) async fn silence_of_changes(&self, now: Timestamp) -> Result<usize, Error> {
        let silent = self
            .store()
            .silent_changes(now, self.parts.settings.batch)
            .await?;
        let mut changed = 0;
        for id in silent {
            let transition = self.store().transition(Scope::Change(id), move |world, now| {
                let event = world.changes.get(&id).and_then(|change| change.silence(now));
                Ok(event.map_or_else(Outcome::default, |event| {
                    Outcome::one(Actor::System, Subject::Change(id), What::Change(event))
                }))
            });
            changed += transition.await?.events.len();
        }
        Ok(changed)
    }

    /// What a change proposes, checked anew as if it were applied now. `None` where it waits no more: the review itself then
    /// says why.
    async fn still_sound(&self, id: ChangeId) -> Result<Option<Next>, Error> {
        let Some(change) = self.store().change(id).await?.filter(Change::is_pending) else {
            return Ok(None);
        };
        let files = self.store().change_files(id).await?.unwrap_or_default();
        let source = |(name, text): (String, String)| Source { name, text };
        let sources: Vec<Source> = files.into_iter().map(source).collect();
        let checked = self.sound(&sources)?;
        let Proposal::Policy { revision, .. } = &change.proposal else {
            return Ok(None);
        };
        if checked.policy.revision() != *revision {
            let what = "the files that are kept are not those that were proposed";
            return Err(Refusal::new(Code::PolicyInvalid, what).into());
        }
        Ok(Some(Next::new(&checked.policy, &sources)))
    }
}

/// What is looked at to decide about a change.
fn scope(change: &Change) -> Scope {
    match &change.proposal {
        Proposal::Policy { .. } => Scope::Change(change.id),
        Proposal::Directory { edit } => Scope::Edit {
            change: change.id,
            person: edit.person,
            login: match &edit.act {
                Act::Add { person, .. } => Some(person.login.text().to_owned()),
                _ => None,
            },
            handle: match &edit.act {
                Act::Handle { namespace, to, .. } => to.clone().map(|to| (namespace.clone(), to)),
                _ => None,
            },
        },
    }
}

/// What a review leads to: where it was the last, the policy comes in force with it.
fn follow(
    current: &Current,
    world: &World,
    (caller, change): (Caller, &Change),
    event: Event,
    next: Option<Next>,
) -> Result<Outcome, Refusal> {
    let actor = Actor::Person(caller.person);
    let last = matches!(event, Event::Applied { .. });
    if !matches!(event, Event::Denied { .. }) {
        may_still_propose(current, world, change.proposer)?;
    }
    let mut outcome = Outcome::one(actor, Subject::Change(change.id), What::Change(event));
    if last {
        let next = next.ok_or_else(|| Refusal::new(Code::WrongState, "the change waits no more"))?;
        outcome.append(next.in_force(actor, current, world, Some(change.id)));
    }
    Ok(outcome)
}

/// What somebody proposed is not carried out once they could not do it themselves any more: a program may no more than who
/// answers for it.
pub(crate) fn may_still_propose(current: &Current, world: &World, proposer: PersonId) -> Result<(), Refusal> {
    let directory = current.directory.as_ref();
    let may = |person: &Person| {
        person.active
            && role_of(person, directory) == SystemRole::Administrator
            && cared_for(person, directory).is_ok()
    };
    if directory.person(proposer).is_some_and(may) {
        let lock = world.locked_account(proposer);
        return lock.map_or(Ok(()), |lock| Err(locked(current, lock, proposer)));
    }
    let what = "whoever proposed this is no administrator any more; it can only be denied";
    Err(Refusal::new(Code::Forbidden, what).hint("an administrator can propose it anew"))
}

fn committed_change(committed: &Committed, id: ChangeId) -> Result<Change, Error> {
    let change = committed.world.changes.get(&id).cloned();
    Ok(change.ok_or_else(|| absent(id))?)
}

fn absent(id: ChangeId) -> Refusal {
    not_found(format!("there is no change {}", id.short()))
}
