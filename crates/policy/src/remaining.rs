//! Whether a chain can still be completed once somebody's vote is counted where they cast it: one person counts once in the
//! whole chain, so that a vote in an early step may use up the only one whom a later step has.

use std::collections::BTreeSet;

use daypass_core::change::Change;
use daypass_core::id::PersonId;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::Request;
use daypass_core::review::{Decision, Review, Step, Voter};
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
        let (here, there) = (vote.step + 1, unfilled + 1);
        let whom = steps.get(unfilled).map(|step| self.describe(&step.from));
        let what = format!(
            "one person counts once in the whole chain, and you are needed at step {there}, which asks {}: \
             too few others could review it once you count at step {here}",
            whom.unwrap_or_default()
        );
        let hint =
            format!("leave step {here} to the others whom it asks, and review step {there} when it is open");
        Err(Refusal::new(Code::NoReviewer, what).hint(hint))
    }

    /// Whether people who have not voted yet could fill what the votes that count leave of each step; `Err` is the first that
    /// they could not.
    fn left(&self, steps: &[Step], reviews: &[Review], scene: Scene<'_>) -> Result<(), usize> {
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
        let candidates: Vec<(u32, Vec<PersonId>)> = steps
            .iter()
            .zip(missing)
            .map(|(step, missing)| {
                let mut people = self.could_fill(step, scene, most);
                people.retain(|one| !voted.contains(&self.voice(*one, scene)));
                (missing, people)
            })
            .collect();
        chain::fill(&candidates)
    }
}
