//! Who is in a set, and who may review: active people, settled, no auditors, and never the requester.

use std::collections::BTreeSet;

use daypass_core::id::PersonId;
use daypass_core::name::Name;
use daypass_core::person::{Kind, Person, SystemRole};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::{Request, State};
use daypass_core::review::{From, Review, Silence, Step, Voter};
use daypass_core::time::{Span, Timestamp};

use crate::document::{People, Who};
use crate::scene::{Matter, Scene};
use crate::{Directory, Policy};

impl Policy {
    /// Whether this person may review this step of the request: the step asks them, and their account is active, a person's,
    /// settled, and not the requester's. `Some`: in the place of one of whom that is true, who is away and delegated to them.
    /// Whether they did already, and by what credential they came, is not asked here; whether somebody did with whom they have
    /// one voice, is. Of who did it is asked whether that still counts.
    ///
    /// Where the people that a step asks first can no longer fill it (no manager, or who remains has counted in another step),
    /// those it escalates to may review at once.
    ///
    /// # Errors
    /// The refusal that the person is shown.
    pub fn may_review(
        &self,
        request: &Request,
        step: &Step,
        escalated: bool,
        voter: Voter<'_>,
        directory: &dyn Directory,
        now: Timestamp,
    ) -> Result<Option<PersonId>, Refusal> {
        self.may_answer((step, escalated), voter, Scene::new(request, directory, now))
    }

    /// Whether this person may answer this step, of a request or of a change, and in whose place.
    pub(crate) fn may_answer(
        &self,
        step: (&Step, bool),
        voter: Voter<'_>,
        scene: Scene<'_>,
    ) -> Result<Option<PersonId>, Refusal> {
        let used = self.used(step.0, scene);
        // One voice is about being counted, and a denial is not: whom the step asks themselves may always say no.
        if let Voter::WouldDeny(person) = voter
            && self.own_right(step, person, &used, scene).is_ok()
        {
            return Ok(None);
        }
        // Before the question whether they may: the next step asks others, and "not you" would not say why.
        if let Voter::Would(person) | Voter::WouldDeny(person) = voter {
            self.not_heard(person, scene)?;
        }
        self.right(step, voter, &used, scene)
    }

    /// Who cannot fill this step any more: who reviewed another one, and whose vote in this one does not count.
    pub(crate) fn used(&self, step: &Step, scene: Scene<'_>) -> BTreeSet<PersonId> {
        let place = scene.place(step);
        let counts = |review: &Review| {
            let voter = Voter::Did(review);
            self.right((step, true), voter, &BTreeSet::new(), scene).is_ok()
        };
        let gone = scene
            .reviews()
            .filter(|review| Some(review.step) != place || !counts(review));
        gone.flat_map(Review::voices).collect()
    }

    /// Whether the step asks this person themselves.
    pub(crate) fn own_right(
        &self,
        (step, escalated): (&Step, bool),
        person: PersonId,
        elsewhere: &BTreeSet<PersonId>,
        scene: Scene<'_>,
    ) -> Result<(), Refusal> {
        if scene.is_own(person) {
            return Err(scene.own(person));
        }
        let Some(account) = scene.directory.person(person) else {
            return Err(Refusal::new(Code::UnknownPerson, "there is no such person"));
        };
        let asked = self.is_asked(&step.from, account, scene)
            || match &step.silence {
                Silence::Escalate { to, .. } if self.is_asked(to, account, scene) => {
                    escalated || !self.can_fill(step, elsewhere, scene)
                }
                _ => false,
            };
        if !asked {
            let what = format!("this step asks {}", self.describe(&step.from));
            return Err(Refusal::new(Code::NotReviewer, what));
        }
        self.may_review_at_all(account, scene)
    }

    /// Whom this step asks, in the order of their ids: those who may review it now, whether or not they did already, or have
    /// reviewed another one.
    ///
    /// Where too few of those it asks first can review, those it escalates to are asked at once.
    #[must_use]
    pub fn reviewers<'a>(
        &self,
        of: impl Into<Matter<'a>>,
        step: &Step,
        escalated: bool,
        directory: &'a dyn Directory,
        now: Timestamp,
    ) -> Vec<PersonId> {
        let scene = Scene::new(of, directory, now);
        self.asked(step, escalated, &BTreeSet::new(), scene)
            .into_iter()
            .collect()
    }

    /// The same at an instant, beside the votes that had been cast by then: who reviewed another step cannot fill this one too.
    #[must_use]
    pub fn reviewers_beside<'a>(
        &self,
        of: impl Into<Matter<'a>>,
        step: &Step,
        escalated: bool,
        directory: &'a dyn Directory,
        at: Timestamp,
    ) -> BTreeSet<PersonId> {
        let scene = Scene::new(of, directory, at);
        self.asked(step, escalated, &self.used(step, scene), scene)
    }

    /// Who may review the open step of this request now and has not reviewed the request yet, in the order of their ids; the
    /// delegates of those who are away among them, and without those whom a later step needs and whose vote would be refused now.
    /// Empty where the request waits for nobody.
    #[must_use]
    pub fn waiting_for(&self, request: &Request, directory: &dyn Directory, now: Timestamp) -> Vec<PersonId> {
        let State::Pending { escalated, .. } = &request.state else {
            return Vec::new();
        };
        let scene = Scene::new(request, directory, now);
        let waiting = self.unheard(self.asked_now(request, scene), scene);
        let waiting = self.not_needed_elsewhere(waiting, *escalated, scene);
        waiting.into_iter().collect()
    }

    /// The same without those who would answer in somebody's place.
    #[must_use]
    pub fn waiting_themselves(
        &self,
        request: &Request,
        directory: &dyn Directory,
        now: Timestamp,
    ) -> Vec<PersonId> {
        let asked = self.asked_now(request, Scene::new(request, directory, now));
        let mut waiting = self.waiting_for(request, directory, now);
        waiting.retain(|person| asked.contains(person));
        waiting
    }

    /// Whom the open step of a request asks now, whether or not they were heard; nobody where none is open.
    fn asked_now(&self, request: &Request, scene: Scene<'_>) -> BTreeSet<PersonId> {
        let (Some((_, step)), State::Pending { escalated, .. }) = (request.open_step(), &request.state)
        else {
            return BTreeSet::new();
        };
        self.asked(step, *escalated, &self.used(step, scene), scene)
    }

    /// Who could ever fill this step: those it asks first and those it escalates to; so many of them at most. Of those who have
    /// one voice, only that.
    pub(crate) fn could_fill(&self, step: &Step, scene: Scene<'_>, most: usize) -> Vec<PersonId> {
        let others = match &step.silence {
            Silence::Escalate { to, .. } => Some(to),
            Silence::Deny => None,
        };
        let mut found = Vec::new();
        for id in [&step.from]
            .into_iter()
            .chain(others)
            .flat_map(|from| self.named(from, scene))
        {
            if found.len() >= most {
                break;
            }
            let voice = self.voice(id, scene);
            if self.may(id, scene) && !found.contains(&voice) {
                found.push(voice);
            }
        }
        found
    }

    pub(crate) fn asked(
        &self,
        step: &Step,
        escalated: bool,
        counted: &BTreeSet<PersonId>,
        scene: Scene<'_>,
    ) -> BTreeSet<PersonId> {
        let mut asked = self.eligible(&step.from, scene);
        if let Silence::Escalate { to, .. } = &step.silence
            && (escalated || !self.suffice(step, &asked, counted, scene))
        {
            asked.extend(self.eligible(to, scene));
        }
        asked
    }

    /// Whether those whom the step asks first can fill it, without those who cannot any more (`used`).
    fn can_fill(&self, step: &Step, counted: &BTreeSet<PersonId>, scene: Scene<'_>) -> bool {
        self.suffice(step, &self.eligible(&step.from, scene), counted, scene)
    }

    /// Whether these people are enough for the step, without those who have counted. Who has one voice counts once.
    fn suffice(
        &self,
        step: &Step,
        people: &BTreeSet<PersonId>,
        counted: &BTreeSet<PersonId>,
        scene: Scene<'_>,
    ) -> bool {
        let counted = self.voices(counted.iter().copied(), scene);
        let voices = self.voices(people.iter().copied(), scene);
        enough(step, voices.difference(&counted).count())
    }

    /// Who of these may review now.
    pub(crate) fn eligible(&self, from: &From, scene: Scene<'_>) -> BTreeSet<PersonId> {
        let named = self.named(from, scene).into_iter();
        named.filter(|id| self.may(*id, scene)).collect()
    }

    pub(crate) fn may(&self, id: PersonId, scene: Scene<'_>) -> bool {
        let person = scene.directory.person(id);
        person.is_some_and(|person| self.may_review_at_all(person, scene).is_ok())
    }

    /// Who is named, whether or not they may review.
    pub(crate) fn members(&self, from: &From, scene: Scene<'_>) -> BTreeSet<PersonId> {
        self.named(from, scene).into_iter().collect()
    }

    /// The same in no order, and perhaps somebody twice.
    fn named(&self, from: &From, scene: Scene<'_>) -> Vec<PersonId> {
        let people = match from {
            From::Manager => return self.manager(scene).into_iter().collect(),
            From::People(name) => self.people(name),
        };
        match people.map(|people| &people.who) {
            Some(Who::Group(group)) => scene.directory.members(group),
            Some(Who::Logins(logins)) => logins
                .iter()
                .filter_map(|login| scene.directory.by_login(login.as_str()))
                .map(|person| person.id)
                .collect(),
            Some(Who::Schedule(_)) | None => Vec::new(),
        }
    }

    pub(crate) fn is_asked(&self, from: &From, person: &Person, scene: Scene<'_>) -> bool {
        match from {
            From::Manager => self.manager(scene) == Some(person.id),
            From::People(name) => self
                .index
                .set(name)
                .is_some_and(|set| self.index.sets_of(person).contains(&set)),
        }
    }

    /// The requester's manager. One who was set within the settling time does not count yet, as if there were none: else an
    /// administrator makes themselves anybody's manager and approves. That of a service account is its owner's; an owner who was
    /// set within that time brings none either.
    fn manager(&self, scene: Scene<'_>) -> Option<PersonId> {
        let requester = scene.directory.person(scene.requester)?;
        let managed = scene.managed()?;
        let settled = |person: &Person| {
            !scene.settling || scene.now.since(person.manager_since) >= self.document.defaults.settle
        };
        managed.manager.filter(|_| settled(requester) && settled(managed))
    }

    pub(crate) fn may_review_at_all(&self, person: &Person, scene: Scene<'_>) -> Result<(), Refusal> {
        let refuse = |what: String| Err(Refusal::new(Code::MayNotReview, what));
        if scene.is_own(person.id) {
            return Err(scene.own(person.id));
        }
        if !person.active {
            return refuse(String::from("this account is switched off"));
        }
        if scene.directory.is_locked(person.id) {
            let what = "this account is locked: it reviews nothing, and what it reviewed does not count";
            return Err(Refusal::new(Code::Locked, what).hint("an administrator can unlock it"));
        }
        if person.kind == Kind::Service {
            return refuse(String::from("a service account never reviews"));
        }
        if person.role == SystemRole::Auditor {
            return refuse(String::from("an auditor reads everything and changes nothing"));
        }
        if !scene.settling {
            return Ok(());
        }
        self.has_settled(person, scene.now)?;
        self.no_puppet(person.id, scene)
    }

    /// Whether this account has been left alone for as long as it has to settle, so that it may review, and delegate that.
    ///
    /// # Errors
    /// [`Code::MayNotReview`], with from when on it may.
    pub fn has_settled(&self, person: &Person, now: Timestamp) -> Result<(), Refusal> {
        let settle = self.document.defaults.settle;
        if now.since(person.changed_at) >= settle {
            return Ok(());
        }
        let until = person.changed_at + settle;
        let what = format!(
            "the groups, manager or password of this account changed less than {settle} ago; it may review from {until}"
        );
        Err(Refusal::new(Code::MayNotReview, what))
    }

    /// How long an account has to be left alone before it reviews.
    #[must_use]
    pub const fn settle(&self) -> Span {
        self.document.defaults.settle
    }

    pub(crate) fn people(&self, name: &Name) -> Option<&People> {
        self.index
            .set(name)
            .and_then(|place| self.document.people.get(place))
    }

    /// Whom a step asks, in words.
    pub(crate) fn describe(&self, from: &From) -> String {
        match from {
            From::Manager => String::from("the requester's manager"),
            From::People(name) => self.people(name).map_or_else(
                || format!("{name}, which the policy no longer has"),
                ToString::to_string,
            ),
        }
    }
}

fn enough(step: &Step, have: usize) -> bool {
    u32::try_from(have).unwrap_or(u32::MAX) >= step.count.max(1)
}
