//! Service accounts and the people who answer for them.
//!
//! A program cannot be asked why. So every service account has an owner, an active person: they hold its tokens, hear what becomes
//! of what it asks for, and count as the requester of it. One whose owner is gone is orphaned, and gets nothing until
//! it has another.

use daypass_core::person::{Kind, Person, SystemRole};
use daypass_core::planted::{Fault, is};
use daypass_core::refusal::{Code, Refusal};

use crate::Directory;
use crate::scene::Scene;

/// Who answers for a service account, if somebody does: a person whose account is switched on. `None` for a person.
#[must_use]
pub fn owner_of<'d>(account: &Person, directory: &'d dyn Directory) -> Option<&'d Person> {
    let owner = account.owner.filter(|_| account.kind == Kind::Service)?;
    let owner = directory.person(owner)?;
    (owner.active && owner.kind == Kind::Person).then_some(owner)
}

/// What an account may do in Daypass now: a service account never more than who answers for it, who has its tokens.
#[must_use]
pub fn role_of(account: &Person, directory: &dyn Directory) -> SystemRole {
    match account.kind {
        Kind::Person => account.role,
        Kind::Service => {
            let owner = owner_of(account, directory).map(|owner| owner.role);
            owner.unwrap_or(SystemRole::Member).min(account.role)
        }
    }
}

/// Whether somebody answers for this account: for a person they do themselves.
///
/// # Errors
/// [`Code::Orphaned`], with what is missing and who can mend it.
pub fn cared_for(account: &Person, directory: &dyn Directory) -> Result<(), Refusal> {
    let cared = account.kind == Kind::Person || owner_of(account, directory).is_some();
    if cared || is(Fault::AnyOwner) {
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
    /// Whose manager `from: manager` means: the requester's, or that of who answers for it.
    pub(crate) fn managed(&self) -> Option<&'d Person> {
        let requester = self.directory.person(self.requester)?;
        match requester.kind {
            Kind::Person => Some(requester),
            Kind::Service => owner_of(requester, self.directory),
        }
    }
}
