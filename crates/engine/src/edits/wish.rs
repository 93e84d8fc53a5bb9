//! What somebody wants of an account, and which edit that is by what the account is now.

use std::collections::BTreeSet;

use daypass_core::edit::{Act, Edit};
use daypass_core::handle::Handle;
use daypass_core::id::{PersonId, TokenId};
use daypass_core::name::Name;
use daypass_core::person::{Kind, Person, SystemRole};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::text::{Hash, Prose};
use daypass_core::time::Span;
use daypass_store::Scope;

use crate::error::not_found;

/// An API token to issue, as it is kept: its secret stays with whoever drew it.
#[derive(Clone)]
pub(crate) struct NewSecret {
    /// Who wants it, and answers for the account.
    pub(crate) by: PersonId,
    pub(crate) token: TokenId,
    pub(crate) hash: Hash,
    pub(crate) name: Prose,
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) lifetime: Span,
}

/// What is wanted. It has no `Debug`: it may hold the hash of a password.
#[derive(Clone)]
pub(crate) enum Wish {
    /// This account, with the hash of its first password.
    Add(Box<Person>, Option<String>),
    /// To join and leave groups, whichever of them it is in.
    Groups {
        join: BTreeSet<Name>,
        leave: BTreeSet<Name>,
    },
    /// This manager.
    Manager(Option<PersonId>),
    /// This owner.
    Owner(PersonId),
    /// This role.
    Role(SystemRole),
    /// This address.
    Mail(Option<Prose>),
    /// To be called this by targets of a namespace, or nothing any more.
    Handle(Name, Option<Handle>),
    /// To be switched on again.
    Reactivate,
    /// A password of this hash.
    Password(String),
    /// An API token.
    Token(NewSecret),
}

impl Wish {
    /// The edit that it is for the account as it is; `None` where all is so already.
    ///
    /// # Errors
    /// Where there is no such account, or it is not one that this can be done to.
    pub(crate) fn edit(&self, id: PersonId, account: Option<&Person>) -> Result<Option<Edit>, Refusal> {
        let act = match (self, account) {
            (Self::Add(person, password), _) => Some(Act::Add {
                person: person.clone(),
                password: password.is_some(),
            }),
            (_, None) => return Err(not_found("the account is gone")),
            (Self::Reactivate, Some(account)) if account.active => {
                let what = format!("{} is active already", account.login.text());
                return Err(Refusal::new(Code::Exists, what));
            }
            (Self::Reactivate, Some(account)) => Some(Act::Reactivate {
                role: account.role,
                groups: account.groups.clone(),
                handles: account.handles.clone(),
            }),
            (_, Some(account)) if !account.active => {
                return Err(Refusal::new(Code::NotEligible, "this account is switched off"));
            }
            (_, Some(account)) => self.act(account)?,
        };
        Ok(act.map(|act| Edit { person: id, act }))
    }

    /// What it does to an active account. Nothing where it is so already: an account that changes has to settle.
    fn act(&self, account: &Person) -> Result<Option<Act>, Refusal> {
        Ok(match self {
            Self::Add(..) | Self::Reactivate => None,
            Self::Groups { join, leave } => {
                let join: BTreeSet<Name> = join.difference(&account.groups).cloned().collect();
                let leave: BTreeSet<Name> = leave.intersection(&account.groups).cloned().collect();
                let nothing = join.is_empty() && leave.is_empty();
                (!nothing).then_some(Act::Groups { join, leave })
            }
            Self::Manager(to) => (account.manager != *to).then_some(Act::Manager {
                from: account.manager,
                to: *to,
            }),
            Self::Owner(_) if account.kind != Kind::Service => {
                let what = "a person answers for themselves; only a service account has an owner";
                return Err(Refusal::new(Code::Invalid, what));
            }
            Self::Owner(to) => (account.owner != Some(*to)).then_some(Act::Owner {
                from: account.owner,
                to: *to,
            }),
            Self::Role(to) => (account.role != *to).then_some(Act::Role {
                from: account.role,
                to: *to,
            }),
            Self::Mail(to) => {
                let from = account.mail.as_deref().cloned();
                let same = from.as_ref().map(Prose::text) == to.as_ref().map(Prose::text);
                (!same).then(|| Act::Mail { from, to: to.clone() })
            }
            Self::Handle(namespace, to) => {
                let from = account.handles.get(namespace).cloned();
                (from != *to).then(|| Act::Handle {
                    namespace: namespace.clone(),
                    from,
                    to: to.clone(),
                })
            }
            Self::Password(_) if account.kind == Kind::Service => {
                return Err(Refusal::new(Code::Invalid, "a service account has no password"));
            }
            Self::Password(_) => Some(Act::Password),
            Self::Token(new) if account.owner != Some(new.by) => return Err(somebody_elses(account)),
            Self::Token(new) => Some(Act::Token {
                owner: new.by,
                token: new.token,
                name: new.name.clone(),
                scopes: new.scopes.clone(),
                lifetime: new.lifetime,
            }),
        })
    }

    /// The login of an account that is to be made.
    pub(crate) fn login(&self) -> Option<String> {
        match self {
            Self::Add(person, _) => Some(person.login.text().to_owned()),
            _ => None,
        }
    }

    /// The handle that the account is to have.
    pub(crate) fn handle(&self) -> Option<(Name, Handle)> {
        match self {
            Self::Handle(namespace, to) => Some((namespace.clone(), to.clone()?)),
            _ => None,
        }
    }

    /// What is secret of it, as it is kept.
    pub(crate) fn secret(&self) -> Option<String> {
        match self {
            Self::Add(_, hash) => hash.clone(),
            Self::Password(hash) => Some(hash.clone()),
            Self::Token(new) => Some(new.hash.to_string()),
            _ => None,
        }
    }

    /// What is looked at where nobody need agree.
    pub(crate) fn scope(&self, id: PersonId) -> Scope {
        match self {
            Self::Add(person, _) => Scope::NewPerson {
                id,
                login: person.login.text().to_owned(),
            },
            Self::Role(_) => Scope::Administrator(id),
            Self::Handle(..) | Self::Reactivate => Scope::Handles {
                person: id,
                handle: self.handle(),
            },
            _ => Scope::Person(id),
        }
    }
}

fn somebody_elses(account: &Person) -> Refusal {
    if account.kind == Kind::Person {
        return Refusal::new(
            Code::Forbidden,
            "nobody issues a token that acts as another person",
        )
        .hint(
            "they issue it themselves; or make a service account: daypass service add LOGIN --owner PERSON",
        );
    }
    let login = account.login.text();
    let what = format!("only who answers for the service account {login} issues its tokens");
    Refusal::new(Code::Forbidden, what).hint(format!(
        "ask its owner; or let an administrator name another: daypass service owner {login} PERSON"
    ))
}
