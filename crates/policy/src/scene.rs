//! What is to be reviewed, seen from those who may be asked: whose it is, who is too near to it to answer, and which votes there
//! are. Every question about reviewers is asked of one of these, so that preview, vote, count and notices cannot come apart.

use daypass_core::change::{CONCERNED, Change, Proposal};
use daypass_core::id::PersonId;
use daypass_core::planted::{Fault, is};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::Request;
use daypass_core::review::{Review, Step};
use daypass_core::time::Timestamp;

use crate::Directory;

/// What is to be reviewed.
#[derive(Debug, Clone, Copy)]
pub enum Matter<'a> {
    /// What this account would ask for, or propose: nothing more is known of it.
    Ask(PersonId),
    /// A request.
    Request(&'a Request),
    /// A change.
    Change(&'a Change),
}

impl From<PersonId> for Matter<'_> {
    fn from(who: PersonId) -> Self {
        Self::Ask(who)
    }
}

impl<'a> From<&'a Request> for Matter<'a> {
    fn from(request: &'a Request) -> Self {
        Self::Request(request)
    }
}

impl<'a> From<&'a Change> for Matter<'a> {
    fn from(change: &'a Change) -> Self {
        Self::Change(change)
    }
}

impl<'a> Matter<'a> {
    /// Whose it is: who asks, or proposes.
    const fn of(self) -> PersonId {
        match self {
            Self::Ask(who) => who,
            Self::Request(request) => request.ask.requester,
            Self::Change(change) => change.proposer,
        }
    }

    fn reviews(self) -> &'a [Review] {
        match self {
            Self::Ask(_) => &[],
            Self::Request(request) => request.reviews(),
            Self::Change(change) => change.reviews(),
        }
    }

    fn steps(self) -> &'a [Step] {
        match self {
            Self::Ask(_) => &[],
            Self::Request(request) => &request.path.steps,
            Self::Change(change) => &change.steps,
        }
    }

    fn open(self) -> Option<(usize, &'a Step)> {
        match self {
            Self::Ask(_) => None,
            Self::Request(request) => request.open_step(),
            Self::Change(change) => change.open_step(),
        }
    }
}

/// How many people can be too near to something: whose it is, who answers for them, whose account it is about, who answers for
/// that one, and two more whom the edit names.
const NEAR: usize = 6;

/// A question about reviewers: of what, by which directory, when.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'d> {
    pub(crate) matter: Matter<'d>,
    /// Whose it is.
    pub(crate) requester: PersonId,
    near: [Option<PersonId>; NEAR],
    pub(crate) directory: &'d dyn Directory,
    pub(crate) now: Timestamp,
    /// Whether it is asked if accounts have settled. It is not where what was agreed to is looked at again: it was settled when
    /// they agreed, and a new password since then is no reason to take access away.
    pub(crate) settling: bool,
}

impl<'d> Scene<'d> {
    pub(crate) fn new(matter: impl Into<Matter<'d>>, directory: &'d dyn Directory, now: Timestamp) -> Self {
        let matter = matter.into();
        Self {
            matter,
            requester: matter.of(),
            near: near(matter, directory),
            directory,
            now,
            settling: true,
        }
    }

    /// The same where what has to settle is left out.
    pub(crate) const fn settled(self) -> Self {
        Self {
            settling: false,
            ..self
        }
    }

    /// Who is too near to it to answer: who asks, who answers for them or did when they asked, and whom a change concerns.
    /// Whoever has had a hand in one of these accounts could be the one who asks.
    pub(crate) fn near(&self) -> impl Iterator<Item = PersonId> + use<> {
        self.near.into_iter().flatten()
    }

    /// Whether this is this person's own, whether or not they still may.
    pub(crate) fn is_own(&self, person: PersonId) -> bool {
        self.near.contains(&Some(person)) && !is(Fault::OwnRequest)
    }

    /// The refusal for whose own it is.
    pub(crate) fn own(&self, person: PersonId) -> Refusal {
        let what = match self.matter {
            _ if person == self.requester => "nobody reviews their own request",
            Matter::Change(change) if is_about(change, person, self.directory) => CONCERNED,
            _ => {
                "nobody reviews what a service account asks for that they answer for, or answered for when it asked"
            }
        };
        Refusal::new(Code::OwnRequest, what)
    }

    /// The votes that were cast by then.
    pub(crate) fn reviews(&self) -> impl Iterator<Item = &'d Review> + use<'d> {
        let now = self.now;
        let all = self.matter.reviews().iter();
        all.filter(move |review| review.at <= now)
    }

    /// Its steps.
    pub(crate) fn steps(&self) -> &'d [Step] {
        self.matter.steps()
    }

    /// All of its votes.
    pub(crate) fn all_reviews(&self) -> &'d [Review] {
        self.matter.reviews()
    }

    /// The step that is open, where one is.
    pub(crate) fn open(&self) -> Option<(usize, &'d Step)> {
        self.matter.open()
    }

    /// Which step of it this is; `None` where it stands beside the chain.
    pub(crate) fn place(&self, step: &Step) -> Option<usize> {
        let open = self.matter.open().filter(|(_, open)| *open == step);
        let open = open.map(|(index, _)| index);
        open.or_else(|| self.matter.steps().iter().position(|one| one == step))
    }
}

fn near(matter: Matter<'_>, directory: &dyn Directory) -> [Option<PersonId>; NEAR] {
    let owner = |account: PersonId| directory.person(account)?.owner;
    let mut near = [None; NEAR];
    let mut places = near.iter_mut();
    let mut note = |person: Option<PersonId>| {
        if person.is_some()
            && let Some(place) = places.next()
        {
            *place = person;
        }
    };
    note(Some(matter.of()));
    if !is(Fault::OwnersAgree) {
        note(owner(matter.of()));
    }
    match matter {
        Matter::Ask(_) => {}
        Matter::Request(_) if is(Fault::OwnersAgree) => {}
        Matter::Request(request) => note(request.ask.owner),
        Matter::Change(_) if is(Fault::OwnEdit) => {}
        Matter::Change(change) => {
            if let Proposal::Directory { edit } = &change.proposal {
                note(owner(edit.person));
                edit.concerned().for_each(|person| note(Some(person)));
            }
        }
    }
    near
}

/// Whether a change concerns this person, by what it says or as who answers for the account.
fn is_about(change: &Change, person: PersonId, directory: &dyn Directory) -> bool {
    let owner = |account: PersonId| directory.person(account)?.owner;
    change.concerns(person) || change.about().and_then(owner) == Some(person)
}
