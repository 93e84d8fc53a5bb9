//! Changes of the policy itself: who must agree to another one, and who may review such a change.

use std::collections::BTreeSet;

use daypass_core::change::{Change, State};
use daypass_core::id::PersonId;
use daypass_core::planted::{Fault, is};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::review::Step;
use daypass_core::time::Timestamp;

use crate::standing::Scene;
use crate::{Directory, Policy};

impl Policy {
    /// Who must agree before another policy replaces this one, in order; `None` where an administrator may do it alone.
    #[must_use]
    pub fn control(&self) -> Option<Vec<Step>> {
        let control = self.document.control.as_ref().filter(|_| !is(Fault::AskNobody))?;
        Some(control.steps.iter().map(|step| self.frozen(step, None)).collect())
    }

    /// Whether different people, none of them the proposer, could agree to a change that this person proposes.
    ///
    /// # Errors
    /// The first step that cannot be filled, and whom it asks.
    pub fn can_agree(
        &self,
        proposer: PersonId,
        steps: &[Step],
        directory: &dyn Directory,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let scene = Scene {
            requester: proposer,
            directory,
            now,
        };
        let Err(unfilled) = self.fillable(steps, scene) else {
            return Ok(());
        };
        let whom = steps.get(unfilled).map(|step| self.describe(&step.from));
        let what = format!(
            "nobody could agree to it: step {} asks {}, and too few others are there who may review",
            unfilled + 1,
            whom.unwrap_or_default()
        );
        Err(Refusal::new(Code::NoReviewer, what)
            .hint("an account reviews once its groups and password have been left alone for as long as `settle` says"))
    }

    /// Whether this person may review this step of the change, as [`Self::may_review`] says of a request.
    ///
    /// # Errors
    /// The refusal that the person is shown.
    pub fn may_review_change(
        &self,
        change: &Change,
        (step, escalated): (&Step, bool),
        person: PersonId,
        directory: &dyn Directory,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let scene = Scene {
            requester: change.proposer,
            directory,
            now,
        };
        self.may_answer((step, escalated), person, || elsewhere(change, step), scene)
    }

    /// Who may review the open step of this change now and has not yet, in the order of their ids.
    #[must_use]
    pub fn change_waits_for(
        &self,
        change: &Change,
        directory: &dyn Directory,
        now: Timestamp,
    ) -> Vec<PersonId> {
        let (Some((_, step)), State::Pending { escalated, .. }) = (change.open_step(), &change.state) else {
            return Vec::new();
        };
        let scene = Scene {
            requester: change.proposer,
            directory,
            now,
        };
        let mut asked = self.asked(step, *escalated, &elsewhere(change, step), scene);
        for review in change.reviews() {
            asked.remove(&review.reviewer);
        }
        asked.into_iter().collect()
    }
}

/// Who has reviewed another step of the change than this one.
fn elsewhere(change: &Change, step: &Step) -> BTreeSet<PersonId> {
    let open = change.open_step().filter(|(_, open)| *open == step);
    let open = open
        .map(|(index, _)| index)
        .or_else(|| change.steps.iter().position(|one| one == step));
    change
        .reviews()
        .iter()
        .filter(|review| Some(review.step) != open)
        .map(|review| review.reviewer)
        .collect()
}
