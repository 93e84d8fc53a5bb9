//! Changes of the policy itself, and of the local directory where it covers that: who must agree, and who may review such a change.

use std::collections::BTreeSet;

use daypass_core::change::{Change, State};
use daypass_core::edit::Area;
use daypass_core::id::PersonId;
use daypass_core::planted::{Fault, is};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::review::{Step, Voter};
use daypass_core::time::Timestamp;

use crate::scene::{Matter, Scene};
use crate::{Directory, Policy};

impl Policy {
    /// Who must agree before another policy replaces this one, in order; `None` where an administrator may do it alone.
    #[must_use]
    pub fn control(&self) -> Option<Vec<Step>> {
        let control = self.document.control.as_ref().filter(|_| !is(Fault::AskNobody))?;
        Some(control.steps.iter().map(|step| self.frozen(step, None)).collect())
    }

    /// Whether something of this kind waits for the steps of [`Self::control`].
    #[must_use]
    pub fn covers(&self, areas: &BTreeSet<Area>) -> bool {
        let control = self.document.control.as_ref();
        control.is_some_and(|control| !control.covers.is_disjoint(areas) && !is(Fault::EditAlone))
    }

    /// Whether different people could agree to this change, or to any that this person proposes: none of them the proposer, none
    /// of them somebody whom it concerns.
    ///
    /// # Errors
    /// The first step that cannot be filled, and whom it asks.
    pub fn can_agree<'a>(
        &self,
        of: impl Into<Matter<'a>>,
        steps: &[Step],
        directory: &'a dyn Directory,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let scene = Scene::new(of, directory, now);
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
        voter: Voter<'_>,
        directory: &dyn Directory,
        now: Timestamp,
    ) -> Result<Option<PersonId>, Refusal> {
        self.may_answer((step, escalated), voter, Scene::new(change, directory, now))
    }

    /// Who may review the open step of this change now and has not yet, in the order of their ids; the delegates of those who
    /// are away among them, and without those whom a later step needs and whose vote would be refused now.
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
        let scene = Scene::new(change, directory, now);
        let asked = self.asked(step, *escalated, &self.used(step, scene), scene);
        let waiting = self.unheard(asked, scene);
        let waiting = self.not_needed_elsewhere(waiting, *escalated, scene);
        waiting.into_iter().collect()
    }
}
