//! Whether a chain can still be completed once somebody's vote is counted where they cast it: one person counts once in the
//! whole chain, so that a vote in an early step may use up the only one whom a later step has.

use std::collections::BTreeSet;

use daypass_core::change::Change;
use daypass_core::id::PersonId;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::{Request, State};
use daypass_core::review::{Decision, Review, Step, Voter};
use daypass_core::text::Hash;
use daypass_core::time::Timestamp;

use crate::scene::Scene;
use crate::{Directory, Policy, chain};

impl Policy {
    /// Whether the steps of this request can still be filled after this vote, where they could before it.
    ///
    /// # Errors
    /// [`Code::NoReviewer`], with the step that would wait for nobody.
    pub fn leaves_open(
        &self,
        request: &Request,
        vote: &Review,
        directory: &dyn Directory,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let scene = Scene::new(request, directory, now);
        self.uses_nobody_up((&request.path.steps, request.reviews()), vote, scene)
    }

    /// The same for a change.
    ///
    /// # Errors
    /// As [`Self::leaves_open`].
    pub fn leaves_change_open(
        &self,
        change: &Change,
        vote: &Review,
        directory: &dyn Directory,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let scene = Scene::new(change, directory, now);
        self.uses_nobody_up((&change.steps, change.reviews()), vote, scene)
    }

    fn uses_nobody_up(
        &self,
        (steps, reviews): (&[Step], &[Review]),
        vote: &Review,
        scene: Scene<'_>,
    ) -> Result<(), Refusal> {
        let mut after = reviews.to_vec();
        after.push(vote.clone());
        let Err(unfilled) = self.left(steps, &after, scene) else {
            return Ok(());
        };
        // What nobody could complete anyway is not made worse.
        if self.left(steps, reviews, scene).is_err() {
            return Ok(());
        }
        Err(self.needed_at((steps.get(unfilled), unfilled + 1), vote, scene))
    }

    /// The refusal of a vote whose voice is needed at another step: the voter's own, or that of somebody with whom delegations make
    /// them one.
    fn needed_at(&self, (step, there): (Option<&Step>, usize), vote: &Review, scene: Scene<'_>) -> Refusal {
        let here = vote.step + 1;
        let whom = step.map(|step| self.describe(&step.from)).unwrap_or_default();
        let too_few = format!("too few others could review it once you count at step {here}");
        let other = step.and_then(|step| self.one_voice_at(step, vote, scene));
        let Some(other) = other.and_then(|other| scene.directory.person(other)) else {
            let what = format!(
                "one person counts once in the whole chain, and you are needed at step {there}, which asks {whom}: {too_few}"
            );
            let hint = format!(
                "leave step {here} to the others whom it asks, and review step {there} when it is open"
            );
            return Refusal::new(Code::NoReviewer, what).hint(hint);
        };
        let other = other.login.text();
        let what = format!(
            "delegations make {other} and you one voice, which counts once in the whole chain, and {other} is needed at \
             step {there}, which asks {whom}: {too_few}"
        );
        let hint = format!(
            "leave step {here} to the others whom it asks; who is back ends their delegation: daypass delegate --end"
        );
        Refusal::new(Code::NoReviewer, what).hint(hint)
    }

    /// Whom a step asks that has one voice with who votes, where it does not ask the voter themselves.
    fn one_voice_at(&self, step: &Step, vote: &Review, scene: Scene<'_>) -> Option<PersonId> {
        let asked = self.asked(step, true, &BTreeSet::new(), scene);
        if asked.contains(&vote.reviewer) {
            return None;
        }
        let voices = self.voices(vote.voices(), scene);
        asked
            .into_iter()
            .find(|one| voices.contains(&self.voice(*one, scene)))
    }

    /// Whether this person may agree to the open step of a request now, and in whose place: whether the step asks them, and
    /// whether the others are enough for what is left once they count there. What lists say of a vote before it is cast.
    ///
    /// # Errors
    /// What the vote would be refused with.
    pub fn may_agree(
        &self,
        request: &Request,
        person: PersonId,
        directory: &dyn Directory,
        now: Timestamp,
    ) -> Result<Option<PersonId>, Refusal> {
        let (Some((place, step)), State::Pending { escalated, .. }) = (request.open_step(), &request.state)
        else {
            return Err(Refusal::new(Code::NotReviewer, "it waits for nobody"));
        };
        let voter = Voter::Would(person);
        let on_behalf = self.may_review(request, step, *escalated, voter, directory, now)?;
        let vote = agreeing(person, on_behalf, place, now);
        self.leaves_open(request, &vote, directory, now)?;
        Ok(on_behalf)
    }

    /// Of these people, who may agree to the open step of this without being missed in another one.
    pub(crate) fn not_needed_elsewhere(
        &self,
        mut people: BTreeSet<PersonId>,
        escalated: bool,
        scene: Scene<'_>,
    ) -> BTreeSet<PersonId> {
        let Some((place, step)) = scene.open() else {
            return people;
        };
        let (steps, reviews) = (scene.steps(), scene.all_reviews());
        // With as many for each step as all of them want, nobody's vote can leave too few.
        let left = self.missing(steps, reviews, scene);
        let wanted: u64 = left.iter().map(|(missing, _)| u64::from(*missing)).sum();
        let plenty = |(missing, people): &(u32, Vec<PersonId>)| {
            *missing == 0 || u64::try_from(people.len()).is_ok_and(|have| have >= wanted)
        };
        if left.iter().all(plenty) {
            return people;
        }
        people.retain(|person| {
            let right = self.may_answer((step, escalated), Voter::Would(*person), scene);
            let vote = |on_behalf| agreeing(*person, on_behalf, place, scene.now);
            right.is_ok_and(|on_behalf| {
                self.uses_nobody_up((steps, reviews), &vote(on_behalf), scene)
                    .is_ok()
            })
        });
        people
    }

    /// Whether people who have not voted yet could fill what the votes that count leave of each step; `Err` is the first that
    /// they could not.
    fn left(&self, steps: &[Step], reviews: &[Review], scene: Scene<'_>) -> Result<(), usize> {
        chain::fill(&self.missing(steps, reviews, scene))
    }

    /// How many each step still misses, and who has not voted yet and could fill it.
    fn missing(&self, steps: &[Step], reviews: &[Review], scene: Scene<'_>) -> Vec<(u32, Vec<PersonId>)> {
        let voted = self.voices(reviews.iter().flat_map(Review::voices), scene);
        let counts = |step: &Step, review| {
            self.right((step, true), Voter::Did(review), &BTreeSet::new(), scene)
                .is_ok()
        };
        let missing = |(index, step): (usize, &Step)| {
            let here = reviews.iter().filter(|review| review.step == index);
            let agree = here.filter(|review| review.decision != Decision::Deny);
            let have = agree.filter(|review| counts(step, review)).count();
            step.count
                .max(1)
                .saturating_sub(u32::try_from(have).unwrap_or(u32::MAX))
        };
        let missing: Vec<u32> = steps.iter().enumerate().map(missing).collect();
        let wanted: u64 = missing.iter().map(|missing| u64::from(*missing)).sum();
        let most = usize::try_from(wanted).unwrap_or(usize::MAX);
        let most = most.saturating_add(voted.len());
        steps
            .iter()
            .zip(missing)
            .map(|(step, missing)| {
                let mut people = self.could_fill(step, scene, most);
                people.retain(|one| !voted.contains(&self.voice(*one, scene)));
                (missing, people)
            })
            .collect()
    }
}

/// A vote that agrees to all of it. What it saw is not asked here.
fn agreeing(reviewer: PersonId, on_behalf: Option<PersonId>, step: usize, at: Timestamp) -> Review {
    Review {
        reviewer,
        on_behalf,
        step,
        decision: Decision::Approve {
            duration: None,
            items: None,
        },
        digest: Hash::of(&[]),
        comment: None,
        at,
    }
}
