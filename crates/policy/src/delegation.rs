//! Who reviews in the place of somebody who is away, and who counts as one with whom.
//!
//! The policy names the sets of people that may be delegates; without them no delegation has an effect. A delegate has the
//! vote that the absent person would have at this moment, and nobody else's: what was delegated to the absent person is not
//! handed on.
//!
//! Whoever delegated and their delegate have *one voice* as long as that is so, and so have all who delegated to the same
//! person. It is the same answer wherever people are counted: at a vote, and where it is asked whether enough are there.

use std::collections::BTreeSet;

use daypass_core::id::PersonId;
use daypass_core::person::Person;
use daypass_core::planted::{Fault, is};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::review::{Review, Step, Voter};
use daypass_core::time::Timestamp;

use crate::nearest::list;
use crate::scene::{Matter, Scene};
use crate::{Directory, Policy, chain};

impl Policy {
    /// Whether this person may be a delegate: a person, no auditor, in one of the sets that the policy names for that.
    ///
    /// # Errors
    /// The refusal that whoever would delegate to them is shown.
    pub fn may_be_delegate(&self, person: &Person) -> Result<(), Refusal> {
        let sets = &self.document.defaults.delegates;
        if sets.is_empty() {
            let what = "the policy in force lets nobody delegate";
            let hint = "an administrator can name who may be a delegate: defaults: {delegates: [SET]}";
            return Err(Refusal::new(Code::Forbidden, what).hint(hint));
        }
        let theirs = self.index.sets_of(person);
        let named = |place: Option<usize>| place.is_some_and(|place| theirs.contains(&place));
        let among = sets.iter().any(|(set, _)| named(self.index.set(set)));
        if person.is_reviewer() && (among || is(Fault::AnyDelegate)) {
            return Ok(());
        }
        let sets: Vec<String> = sets
            .iter()
            .filter_map(|(set, _)| Some(self.people(set)?.to_string()))
            .collect();
        let what = format!(
            "{} is none of those whom the policy lets be delegates",
            person.login.text()
        );
        let hint = format!("delegate to one of {}", list(sets.iter().map(String::as_str)));
        Err(Refusal::new(Code::Forbidden, what).hint(hint))
    }

    /// The delegate of this person at this instant, where the policy lets that one be a delegate.
    #[must_use]
    pub fn delegate_of(
        &self,
        person: PersonId,
        directory: &dyn Directory,
        now: Timestamp,
    ) -> Option<PersonId> {
        if self.document.defaults.delegates.is_empty() {
            return None;
        }
        let delegation = directory.delegation(person).filter(|one| one.covers(now))?;
        let to = directory.person(delegation.to)?;
        self.may_be_delegate(to).is_ok().then_some(to.id)
    }

    /// Those whose delegate this person is at this instant, in the order of their ids.
    #[must_use]
    pub fn delegators_of(
        &self,
        delegate: PersonId,
        directory: &dyn Directory,
        now: Timestamp,
    ) -> BTreeSet<PersonId> {
        if self.document.defaults.delegates.is_empty() {
            return BTreeSet::new();
        }
        let all = directory.delegators(delegate).into_iter();
        all.filter(|one| self.delegate_of(*one, directory, now) == Some(delegate))
            .collect()
    }

    /// Who is to be asked in the place of these people: the delegate of each who is away, where that one could answer for them;
    /// else they themselves. `of`: what it is about, to which some never answer.
    #[must_use]
    pub fn instead_of<'a>(
        &self,
        people: &BTreeSet<PersonId>,
        of: impl Into<Matter<'a>>,
        directory: &'a dyn Directory,
        now: Timestamp,
    ) -> BTreeSet<PersonId> {
        let scene = Scene::new(of, directory, now);
        let instead = |person: &PersonId| self.stand_in(*person, scene).unwrap_or(*person);
        people.iter().map(instead).collect()
    }

    /// The delegate of this person, where that one may review at all.
    pub(crate) fn stand_in(&self, person: PersonId, scene: Scene<'_>) -> Option<PersonId> {
        let delegate = self.delegate_of(person, scene.directory, scene.now)?;
        self.may(delegate, scene).then_some(delegate)
    }

    /// The delegate with whom this person has one voice in this. A delegation to somebody who could not vote anyway binds nobody,
    /// nor does one that was made after the vote of who made it: they were two people when it was cast, and whoever has voted
    /// takes nobody else's vote from them by it.
    fn bound(&self, person: PersonId, scene: Scene<'_>) -> Option<PersonId> {
        let delegate = self.delegate_of(person, scene.directory, scene.now)?;
        let from = scene.directory.delegation(person)?.from;
        let had_voted = |review: &Review| review.is_of(person) && review.at < from;
        let binds = !scene.is_own(delegate) && !scene.reviews().any(had_voted);
        binds.then_some(delegate)
    }

    /// The one who stands for everybody who has one voice with this person.
    pub(crate) fn voice(&self, person: PersonId, scene: Scene<'_>) -> PersonId {
        if is(Fault::HeardTwice) {
            return person;
        }
        let mut way = vec![person];
        let mut last = person;
        while let Some(next) = self.bound(last, scene) {
            if let Some(begin) = way.iter().position(|one| *one == next) {
                // They delegate in a circle: one of it stands for all.
                return way.iter().skip(begin).min().copied().unwrap_or(next);
            }
            way.push(next);
            last = next;
        }
        last
    }

    /// The voices of these people: as many as they count for.
    pub(crate) fn voices(
        &self,
        people: impl IntoIterator<Item = PersonId>,
        scene: Scene<'_>,
    ) -> BTreeSet<PersonId> {
        people.into_iter().map(|one| self.voice(one, scene)).collect()
    }

    /// Whether these steps could be filled, were it not for delegations that make several people one voice.
    pub(crate) fn delegations_bind(&self, steps: &[Step], scene: Scene<'_>) -> bool {
        let alone = |step: &Step| {
            let people = self.asked(step, true, &BTreeSet::new(), scene);
            (step.count.max(1), people.into_iter().collect())
        };
        let candidates: Vec<(u32, Vec<PersonId>)> = steps.iter().map(alone).collect();
        self.fillable(steps, scene).is_err() && chain::fill(&candidates).is_ok()
    }

    /// Refuses somebody with whom one voice somebody else has voted already.
    pub(crate) fn not_heard(&self, person: PersonId, scene: Scene<'_>) -> Result<(), Refusal> {
        let voice = self.voice(person, scene);
        let one_voice = |other: &PersonId| *other != person && self.voice(*other, scene) == voice;
        let Some(other) = scene.reviews().flat_map(Review::voices).find(one_voice) else {
            return Ok(());
        };
        let known = scene.directory.person(other);
        let other = known.map_or("somebody", |known| known.login.text());
        let what = format!(
            "{other} was heard already, and delegations make you one voice: together you count once in the whole chain"
        );
        Err(Refusal::new(Code::AlreadyReviewed, what)
            .hint("who is back ends their delegation: daypass delegate --end"))
    }

    /// In which right somebody may answer this step: their own, or that of somebody who is away. `counted`: who has counted
    /// in another step.
    pub(crate) fn right(
        &self,
        step: (&Step, bool),
        voter: Voter<'_>,
        counted: &BTreeSet<PersonId>,
        scene: Scene<'_>,
    ) -> Result<Option<PersonId>, Refusal> {
        let person = voter.person();
        if let Voter::Did(Review {
            on_behalf: Some(absent),
            at,
            ..
        }) = voter
        {
            return self.still_for((person, *absent, *at), step, counted, scene);
        }
        let own = self.own_right(step, person, counted, scene).map(|()| None);
        let Err(refused) = &own else { return own };
        // What else stands in their own way stands in their way as a delegate.
        if matches!(voter, Voter::Did(_)) || refused.code != Code::NotReviewer {
            return own;
        }
        let heard = |absent: &PersonId| scene.reviews().any(|review| review.is_of(*absent));
        let mut absent: Vec<PersonId> = self
            .delegators_of(person, scene.directory, scene.now)
            .into_iter()
            .filter(|absent| self.own_right(step, *absent, counted, scene).is_ok())
            .collect();
        // Who has been heard already has nothing left to say: of another one that may be different.
        absent.sort_by_key(heard);
        let absent = absent.first().copied();
        let (Some(absent), Some(account)) = (absent, scene.directory.person(person)) else {
            return own;
        };
        self.may_review_at_all(account, scene)?;
        Ok(Some(absent))
    }

    /// Whether a vote that was cast in somebody's place counts now. That the delegation has run out since does not undo it;
    /// that it was taken back, or that another took its place, does.
    fn still_for(
        &self,
        (person, absent, at): (PersonId, PersonId, Timestamp),
        step: (&Step, bool),
        counted: &BTreeSet<PersonId>,
        scene: Scene<'_>,
    ) -> Result<Option<PersonId>, Refusal> {
        let delegation = scene.directory.delegation(absent);
        let stands = delegation.is_some_and(|one| one.to == person && one.covers(at));
        let Some(account) = scene.directory.person(person).filter(|_| stands) else {
            let what = "the delegation by which this was reviewed was taken back";
            return Err(Refusal::new(Code::NotReviewer, what));
        };
        self.may_be_delegate(account)?;
        self.may_review_at_all(account, scene)?;
        self.own_right(step, absent, counted, scene)?;
        Ok(Some(absent))
    }

    /// Who may answer now, of those whom a step asks and of the delegates of those who are away: nobody who was heard.
    pub(crate) fn unheard(&self, asked: BTreeSet<PersonId>, scene: Scene<'_>) -> BTreeSet<PersonId> {
        let stand_ins: Vec<PersonId> = asked
            .iter()
            .filter_map(|person| self.stand_in(*person, scene))
            .collect();
        let heard = |person: PersonId| {
            scene.reviews().any(|review| review.is_of(person)) || self.not_heard(person, scene).is_err()
        };
        let mut may = asked;
        may.extend(stand_ins);
        may.retain(|person| !heard(*person));
        may
    }
}
