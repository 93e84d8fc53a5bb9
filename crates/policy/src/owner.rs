//! Service accounts and the people who answer for them.
//!
//! A program cannot be asked why. So every service account has an owner, an active person: they hold its tokens, hear what becomes
//! of what it asks for, and count as the requester of it. One whose owner is gone is orphaned, and gets nothing until
//! it has another.

use daypass_core::id::PersonId;
use daypass_core::person::{Kind, Person};
use daypass_core::planted;
use daypass_core::refusal::{Code, Refusal};

use crate::Directory;
use crate::standing::Scene;

/// Who answers for a service account, if somebody does: a person whose account is switched on. `None` for a person.
#[must_use]
pub fn owner_of<'d>(account: &Person, directory: &'d dyn Directory) -> Option<&'d Person> {
    let owner = account.owner.filter(|_| account.kind == Kind::Service)?;
    let owner = directory.person(owner)?;
    (owner.active && owner.kind == Kind::Person).then_some(owner)
}

/// Whether somebody answers for this account: for a person they do themselves.
///
/// # Errors
/// [`Code::Orphaned`], with what is missing and who can mend it.
pub fn cared_for(account: &Person, directory: &dyn Directory) -> Result<(), Refusal> {
    if account.kind == Kind::Person || owner_of(account, directory).is_some() {
        return Ok(());
    }
    let login = account.login.text();
    let gone = account.owner.and_then(|owner| directory.person(owner));
    let why = match gone {
        Some(owner) => format!("its owner {} is switched off", owner.login.text()),
        None => String::from("it has no owner"),
    };
    let what = format!("nobody answers for the service account {login}: {why}");
    let hint = format!("an administrator can name another: daypass service owner {login} PERSON");
    Err(Refusal::new(Code::Orphaned, what).hint(hint))
}

impl<'d> Scene<'d> {
    /// Whether this is this person's own: they ask, or answer for the service account that does, whether or not they still may.
    pub(crate) fn is_own(&self, person: PersonId) -> bool {
        let owner = || self.directory.person(self.requester)?.owner;
        (person == self.requester || owner() == Some(person)) && !planted::is(planted::Fault::OwnRequest)
    }

    /// The refusal for whose own it is.
    pub(crate) fn own(&self, person: PersonId) -> Refusal {
        if person == self.requester {
            return Refusal::new(Code::OwnRequest, "nobody reviews their own request");
        }
        owners_own()
    }

    /// Whose manager `from: manager` means: the requester's, or that of who answers for it.
    pub(crate) fn managed(&self) -> Option<&'d Person> {
        let requester = self.directory.person(self.requester)?;
        match requester.kind {
            Kind::Person => Some(requester),
            Kind::Service => owner_of(requester, self.directory),
        }
    }
}

/// What an owner is told who would review what their service account asks for.
pub(crate) fn owners_own() -> Refusal {
    let what =
        "nobody reviews what a service account asks for that they answer for, or answered for when it asked";
    Refusal::new(Code::OwnRequest, what)
}
