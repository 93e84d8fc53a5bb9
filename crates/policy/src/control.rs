//! Changes of the policy itself, and of the local directory where it covers that: who must agree, and who may review such a change.

use std::collections::BTreeSet;

use daypass_core::change::{Change, State};
use daypass_core::delegation::Delegation;
use daypass_core::edit::Area;
use daypass_core::id::PersonId;
use daypass_core::name::Name;
use daypass_core::person::Person;
use daypass_core::planted::{Fault, is};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::review::{Review, Step, Voter};
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

    /// Whether something of this kind waits for the steps of [`Self::control`].
    #[must_use]
    pub fn covers(&self, areas: &BTreeSet<Area>) -> bool {
        let control = self.document.control.as_ref();
        control.is_some_and(|control| !control.covers.is_disjoint(areas) && !is(Fault::EditAlone))
    }

    /// Whether different people could agree to a change that this person proposes: none of them the proposer, none of them the
    /// one whose account it is about.
    ///
    /// # Errors
    /// The first step that cannot be filled, and whom it asks.
    pub fn can_agree(
        &self,
        (proposer, about): (PersonId, Option<PersonId>),
        steps: &[Step],
        directory: &dyn Directory,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let others = Others::new(directory, proposer, about);
        let scene = Scene::new(proposer, &others, now);
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
        let theirs = change.about() == Some(voter.person()) && !is(Fault::OwnEdit);
        if voter.person() != change.proposer && theirs {
            let what = "nobody reviews a change of their own account";
            return Err(Refusal::new(Code::OwnRequest, what));
        }
        let others = Others::new(directory, change.proposer, change.about());
        let scene = Scene::new(change.proposer, &others, now);
        let elsewhere = elsewhere(change, step);
        self.may_answer((step, escalated), voter, (change.reviews(), &elsewhere), scene)
    }

    /// Who may review the open step of this change now and has not yet, in the order of their ids; the delegates of those who
    /// are away among them.
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
        let others = Others::new(directory, change.proposer, change.about());
        let scene = Scene::new(change.proposer, &others, now);
        let asked = self.asked(step, *escalated, &elsewhere(change, step), scene);
        self.unheard(asked, change.reviews(), scene).into_iter().collect()
    }
}

/// The directory without the person whose account a change is about: they review it as little as who proposes it. The proposer
/// stays, whose manager may be asked; they are left out for themselves.
pub(crate) struct Others<'d> {
    directory: &'d dyn Directory,
    without: Option<PersonId>,
}

impl<'d> Others<'d> {
    pub(crate) fn new(directory: &'d dyn Directory, proposer: PersonId, about: Option<PersonId>) -> Self {
        let without = about.filter(|about| *about != proposer && !is(Fault::OwnEdit));
        Self { directory, without }
    }
}

impl Directory for Others<'_> {
    fn person(&self, id: PersonId) -> Option<&Person> {
        self.directory.person(id).filter(|_| self.without != Some(id))
    }

    fn by_login(&self, login: &str) -> Option<&Person> {
        let found = self.directory.by_login(login);
        found.filter(|person| self.without != Some(person.id))
    }

    fn members(&self, group: &Name) -> Vec<PersonId> {
        let mut members = self.directory.members(group);
        members.retain(|member| self.without != Some(*member));
        members
    }

    fn is_locked(&self, id: PersonId) -> bool {
        self.directory.is_locked(id)
    }

    fn delegation(&self, of: PersonId) -> Option<&Delegation> {
        let delegation = self.directory.delegation(of)?;
        let among = |id: PersonId| self.without != Some(id);
        (among(of) && among(delegation.to)).then_some(delegation)
    }

    fn delegators(&self, to: PersonId) -> Vec<PersonId> {
        let mut all = self.directory.delegators(to);
        all.retain(|of| self.delegation(*of).is_some());
        all
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
        .flat_map(Review::voices)
        .collect()
}
