//! Who is to hear of what: from one event, what it is about and the directory to a list of notices. Pure.
//!
//! Quiet on purpose. A reviewer is asked once for each step and reminded once; a requester hears of every outcome that they
//! did not bring about at that moment themselves. Channels that are no person's hear of everything: what they drop is theirs.

use std::collections::BTreeSet;

use daypass_core::break_glass::{BreakGlass, Owed};
use daypass_core::change::Change;
use daypass_core::event::{Actor, Event, Subject, What};
use daypass_core::grant::{self, Grant, Reason};
use daypass_core::id::PersonId;
use daypass_core::lock::{self, On};
use daypass_core::name::Name;
use daypass_core::person::SystemRole;
use daypass_core::request::{self, Request, State};
use daypass_core::review::{Decision, From, Silence, Step};
use daypass_core::time::{Span, Timestamp};
use daypass_policy::{Directory as _, Policy, owner_of};

use super::kind::Kind;
use crate::directory::Snapshot;

/// A grant that is there within so long of the decision needs no word of its own.
const AT_ONCE: Span = Span::minutes(1);

/// What an event is about, as it is now.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// The request; of a grant, the one that led to it.
    pub request: Option<Request>,
    /// The grant.
    pub grant: Option<Grant>,
    /// The change of the policy.
    pub change: Option<Change>,
}

/// By what it is decided who hears what.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// Says who reviews.
    pub policy: &'a Policy,
    /// Says who is who.
    pub directory: &'a Snapshot,
    /// How long before its deadline the holder of a grant is told.
    pub ending_before: Span,
}

/// Something that is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What kind.
    pub kind: Kind,
    /// From when on. In the future for what only time brings about.
    pub since: Timestamp,
    /// Who hears of it in person.
    pub people: BTreeSet<PersonId>,
}

/// What this event leads to.
#[must_use]
pub fn of(event: &Event, around: &Around, scene: &Scene<'_>) -> Vec<Notice> {
    let at = event.at;
    match &event.what {
        What::Request(request::Event::Created { request }) => scene.created(request, at),
        What::Request(happened) => match &around.request {
            Some(request) => scene.of_request(request, happened, at),
            None => Vec::new(),
        },
        What::Grant(happened) => match &around.grant {
            Some(grant) => scene.of_grant(grant, around.request.as_ref(), happened, at),
            None => Vec::new(),
        },
        What::Lock(happened) => scene.of_lock(&event.subject, event.actor, happened, at),
        What::Change(happened) => match &around.change {
            Some(change) => super::change::of(change, happened, at, scene),
            None => Vec::new(),
        },
        What::Person(_) => super::delegation::of(event),
        What::Entitlement(_) | What::Policy(_) | What::Key(_) | What::Log(_) | What::Session(_) => Vec::new(),
    }
}

/// Whether a notice still has to be told when its time has come. `person`: to whom; `None`: to a channel that hears of
/// everything.
#[must_use]
pub fn still(
    kind: Kind,
    event: &Event,
    around: &Around,
    scene: &Scene<'_>,
    (person, now): (Option<PersonId>, Timestamp),
) -> bool {
    match kind {
        // A channel hears late that somebody was asked; a person is not sent to what is decided.
        Kind::ReviewAsked => person.is_none_or(|person| scene.waits_for(around, event, Some(person), now)),
        Kind::ChangeAsked => person.is_none_or(|person| super::change::waits(around, scene, person, now)),
        Kind::ReviewReminder => scene.waits_for(around, event, person, now),
        Kind::EndingSoon => {
            let deadline = around.grant.as_ref().and_then(Grant::expires_at);
            deadline.is_some_and(|deadline| Some(deadline) == promised(event) && now < deadline)
        }
        _ => true,
    }
}

/// The deadline that this event gave its grant.
fn promised(event: &Event) -> Option<Timestamp> {
    match &event.what {
        What::Grant(
            grant::Event::Activated { expires_at, .. } | grant::Event::Extended { expires_at, .. },
        ) => Some(*expires_at),
        _ => None,
    }
}

/// The step that was open at an instant, by the reviews that came before it.
#[must_use]
pub fn open_at(request: &Request, at: Timestamp) -> Option<(usize, &Step)> {
    let agreed = |index: usize| {
        let counts = |review: &&daypass_core::review::Review| {
            review.step == index && review.at < at && matches!(review.decision, Decision::Approve { .. })
        };
        let number = request.reviews().iter().filter(counts).count();
        u32::try_from(number).unwrap_or(u32::MAX)
    };
    let mut steps = request.path.steps.iter().enumerate();
    steps.find(|(index, step)| agreed(*index) < step.count.max(1))
}

/// The step that silence brought others into. The state says it as long as it waits for them; counting approvals would also
/// count those of people who have lost their standing since, which the chain does not.
pub(super) fn escalated_step(request: &Request, at: Timestamp, due_at: Timestamp) -> Option<(usize, &Step)> {
    match &request.state {
        State::Pending {
            step,
            due_at: waits_until,
            escalated: true,
            ..
        } if *waits_until == due_at => request.path.steps.get(*step).map(|open| (*step, open)),
        _ => open_at(request, at),
    }
}

impl Scene<'_> {
    fn created(&self, request: &Request, at: Timestamp) -> Vec<Notice> {
        let (Some(step), State::Pending { due_at, .. }) = (request.path.steps.first(), &request.state) else {
            return Vec::new();
        };
        self.asked(request, self.reviewers(request, step, false, at), at, *due_at)
    }

    fn of_request(&self, request: &Request, happened: &request::Event, at: Timestamp) -> Vec<Notice> {
        use request::Event as E;
        let requester = BTreeSet::from([self.hears_for(request.ask.requester)]);
        match happened {
            E::Reviewed { review, step, due_at } if *step != review.step => {
                let Some(open) = request.path.steps.get(*step) else {
                    return Vec::new();
                };
                self.asked(request, self.reviewers(request, open, false, at), at, *due_at)
            }
            // The step goes on waiting for those who were asked.
            E::Reviewed { .. } | E::Created { .. } => Vec::new(),
            E::Escalated { due_at } => {
                let Some((_, open)) = escalated_step(request, at, *due_at) else {
                    return Vec::new();
                };
                let before = self.reviewers(request, open, false, at);
                let more = self.reviewers(request, open, true, at);
                self.asked(request, more.difference(&before).copied().collect(), at, *due_at)
            }
            E::Approved { .. } => match &request.path.break_glass {
                Some(glass) => self.emergency(request, glass, at),
                // Whom nobody had to agree with was told by the command itself.
                None if request.path.steps.is_empty() => vec![notice(Kind::Decided, at, [])],
                None => vec![notice(Kind::Decided, at, requester)],
            },
            E::Denied { .. } | E::Lapsed { .. } => vec![notice(Kind::Decided, at, requester)],
            E::Withdrawn => vec![notice(Kind::Decided, at, [])],
            E::Acknowledged { .. } => vec![notice(Kind::BreakGlassReviewed, at, requester)],
            E::ReviewOverdue => {
                let mut people = self.administrators();
                if let Some(glass) = &request.path.break_glass {
                    let paged = self.paged(request, glass);
                    people.extend(self.instead(&paged, request, at));
                    people.extend(paged);
                }
                vec![notice(Kind::BreakGlassOverdue, at, people)]
            }
        }
    }

    /// What asks these people, now and once more when half of their time is over. Who is away has peace: their delegate is
    /// asked.
    fn asked(
        &self,
        request: &Request,
        mut people: BTreeSet<PersonId>,
        at: Timestamp,
        due_at: Timestamp,
    ) -> Vec<Notice> {
        let heard = |person: &PersonId| {
            let mut reviews = request.reviews().iter().filter(|review| review.at <= at);
            reviews.any(|review| review.is_of(*person))
        };
        people.retain(|person| !heard(person));
        let mut people = self.instead(&people, request, at);
        people.retain(|person| !heard(person));
        vec![
            notice(Kind::ReviewAsked, at, people.clone()),
            notice(Kind::ReviewReminder, half_way(at, due_at), people),
        ]
    }

    fn emergency(&self, request: &Request, glass: &BreakGlass, at: Timestamp) -> Vec<Notice> {
        let reviewers = self.everybody(request, &glass.review, true, Timestamp::MAX);
        let mut people = self.paged(request, glass);
        // An emergency gives nobody peace: who is away hears of it, and so does their delegate.
        people.extend(self.instead(&people, request, at));
        let reviewers = self.instead(&reviewers, request, at);
        // Whoever took it knows. If it was somebody else in their name, they must know.
        people.insert(self.hears_for(request.ask.requester));
        vec![
            notice(Kind::BreakGlass, at, people),
            notice(
                Kind::ReviewReminder,
                half_way(at, at + glass.review.within),
                reviewers,
            ),
        ]
    }

    /// Who is told of an emergency: those whom the rule pages, and those who are to look at it. Nobody has to have settled
    /// to be told.
    fn paged(&self, request: &Request, glass: &BreakGlass) -> BTreeSet<PersonId> {
        let mut people = self.set(request, &glass.page);
        people.extend(self.everybody(request, &glass.review, true, Timestamp::MAX));
        people
    }

    /// The people of a set, but for the requester, whether or not they have settled.
    fn set(&self, request: &Request, name: &Name) -> BTreeSet<PersonId> {
        let all = Step {
            from: From::People(name.clone()),
            count: 1,
            within: Span::ZERO,
            silence: Silence::Deny,
            mfa: None,
            guardrail: None,
        };
        self.everybody(request, &all, false, Timestamp::MAX)
    }

    /// Who else hears of this access, by its rule. Whom an emergency told that it was taken hear no more of its being there.
    fn told_by_rule(&self, request: Option<&Request>, begins: bool) -> BTreeSet<PersonId> {
        let Some(request) = request else {
            return BTreeSet::new();
        };
        let sets = request.path.demands.notify.iter();
        let mut people: BTreeSet<PersonId> = sets.flat_map(|set| self.set(request, set)).collect();
        if let Some(glass) = request.path.break_glass.as_ref().filter(|_| begins) {
            let paged = self.paged(request, glass);
            people.retain(|person| !paged.contains(person));
        }
        people
    }

    fn of_grant(
        &self,
        grant: &Grant,
        request: Option<&Request>,
        happened: &grant::Event,
        at: Timestamp,
    ) -> Vec<Notice> {
        use grant::Event as E;
        match happened {
            E::Activated { expires_at, .. } => {
                let decided = request.and_then(|request| match &request.state {
                    State::Approved { at, .. } => Some(*at),
                    _ => None,
                });
                let late = decided.is_none_or(|decided| at.since(decided) > AT_ONCE);
                let mut people = self.told_by_rule(request, true);
                people.extend(late.then(|| self.hears_for(grant.holder)));
                let active = notice(Kind::Active, at, people);
                std::iter::once(active)
                    .chain(self.ending_soon(grant, at, *expires_at))
                    .collect()
            }
            E::Extended { expires_at, .. } => self.ending_soon(grant, at, *expires_at).into_iter().collect(),
            E::Ending { .. } => vec![notice(Kind::Ending, at, [])],
            E::Overdue => {
                let mut people = self.administrators();
                people.insert(self.hears_for(grant.holder));
                vec![notice(Kind::Overdue, at, people)]
            }
            E::Ended { .. } => {
                // Who did not hear that it was there need not hear that it is gone.
                let was_there = grant.active_since().is_some();
                let mut people = self.told_by_rule(request.filter(|_| was_there), false);
                let hears = self.hears_for(grant.holder);
                people.extend((!by_holder(grant, hears)).then_some(hears));
                vec![notice(Kind::Ended, at, people)]
            }
            E::Opened { .. } | E::Begun { .. } | E::CredentialIssued { .. } | E::Told { .. } => Vec::new(),
        }
    }

    /// A word before the deadline, unless the whole grant is not much longer than that.
    fn ending_soon(&self, grant: &Grant, at: Timestamp, deadline: Timestamp) -> Option<Notice> {
        let long = deadline.since(at) > self.ending_before.times(2);
        long.then(|| {
            notice(
                Kind::EndingSoon,
                deadline - self.ending_before,
                [self.hears_for(grant.holder)],
            )
        })
    }

    fn of_lock(&self, on: &Subject, actor: Actor, happened: &lock::Event, at: Timestamp) -> Vec<Notice> {
        let kind = match happened {
            lock::Event::Locked { .. } => Kind::Locked,
            lock::Event::Unlocked { .. } => Kind::Unlocked,
        };
        let mut people = self.administrators();
        if let Subject::Lock(On::Person(person)) = on {
            people.insert(self.hears_for(*person));
        }
        if let Actor::Person(actor) = actor {
            people.remove(&actor);
        }
        vec![notice(kind, at, people)]
    }

    /// Whether a request still waits for what this event asked: of this person, or of anybody.
    fn waits_for(&self, around: &Around, event: &Event, person: Option<PersonId>, now: Timestamp) -> bool {
        let Some(request) = &around.request else {
            return false;
        };
        if let (Some(glass), Some(owed)) = (&request.path.break_glass, request.owed()) {
            let mut reviewers = self.everybody(request, &glass.review, true, now);
            reviewers.extend(self.instead(&reviewers, request, now));
            return matches!(owed, Owed::Due { .. })
                && person.is_none_or(|person| reviewers.contains(&person));
        }
        let State::Pending { due_at, step, .. } = &request.state else {
            return false;
        };
        // A step that others came to since, or the next one, has a row of its own.
        let asked = match &event.what {
            What::Request(request::Event::Created { request }) => match &request.state {
                State::Pending { due_at, step, .. } => (Some(*step), *due_at),
                _ => return false,
            },
            What::Request(request::Event::Reviewed { due_at, step, .. }) => (Some(*step), *due_at),
            What::Request(request::Event::Escalated { due_at }) => (
                escalated_step(request, event.at, *due_at).map(|(index, _)| index),
                *due_at,
            ),
            _ => return false,
        };
        let waiting = self.policy.waiting_for(request, self.directory, now);
        asked == (Some(*step), *due_at) && person.is_none_or(|person| waiting.contains(&person))
    }

    /// Whom a step asks at an instant. Who had reviewed another one by then cannot fill this one too; where that leaves too
    /// few, those it escalates to are asked at once.
    fn reviewers(
        &self,
        request: &Request,
        step: &Step,
        escalated: bool,
        at: Timestamp,
    ) -> BTreeSet<PersonId> {
        self.policy
            .reviewers_beside(request, step, escalated, self.directory, at)
    }

    /// Whom a step asks that stands beside the chain.
    fn everybody(
        &self,
        request: &Request,
        step: &Step,
        escalated: bool,
        at: Timestamp,
    ) -> BTreeSet<PersonId> {
        let people = self
            .policy
            .reviewers(request, step, escalated, self.directory, at);
        people.into_iter().collect()
    }

    /// Who hears what somebody is to hear: of a service account, which reads nothing, its owner.
    pub(super) fn hears_for(&self, id: PersonId) -> PersonId {
        let account = self.directory.person(id);
        let owner = account.and_then(|account| owner_of(account, self.directory));
        owner.map_or(id, |owner| owner.id)
    }

    /// Whom to ask in the place of these.
    fn instead(&self, people: &BTreeSet<PersonId>, request: &Request, at: Timestamp) -> BTreeSet<PersonId> {
        self.policy.instead_of(people, request, self.directory, at)
    }

    fn administrators(&self) -> BTreeSet<PersonId> {
        let is_one = |id: &PersonId| {
            let person = self.directory.person(*id);
            person.is_some_and(|person| person.active && person.role == SystemRole::Administrator)
        };
        let all = self.directory.people().map(|person| person.id);
        all.filter(is_one).collect()
    }
}

/// Whether the holder ended it, or who hears for them: whoever gives something back need not be told.
fn by_holder(grant: &Grant, hears: PersonId) -> bool {
    let (grant::State::Ending { reason, .. } | grant::State::Ended { reason, .. }) = &grant.state else {
        return false;
    };
    match reason {
        Reason::Released | Reason::Completed => true,
        Reason::Revoked { by, .. } => [grant.holder, hears].contains(by),
        _ => false,
    }
}

fn half_way(from: Timestamp, to: Timestamp) -> Timestamp {
    from + Span::from_micros(to.since(from).micros() / 2)
}

pub(super) fn notice(kind: Kind, since: Timestamp, people: impl IntoIterator<Item = PersonId>) -> Notice {
    Notice {
        kind,
        since,
        people: people.into_iter().collect(),
    }
}
