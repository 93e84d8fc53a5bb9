//! The local directory: accounts, groups, managers, roles, passwords. What the policy covers of it waits for others: see `edits`.

use std::collections::BTreeSet;

use daypass_core::edit::not_the_last_administrator;
use daypass_core::event::{Actor, Subject, What};
use daypass_core::handle::Handle;
use daypass_core::id::PersonId;
use daypass_core::name::Name;
use daypass_core::person::{Change, Kind, Person, SystemRole};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::world::World;
use daypass_policy::Directory as _;
use daypass_store::{Outcome, Scope, Side};

use crate::caller::Caller;
use crate::edits::{Moment, Wish, carry_out, person};
use crate::engine::Engine;
use crate::error::{Error, not_found};
use crate::requests::check_text;
use crate::services::{not_of_services, owner_of_new};
use crate::tokens::{Proof, absent};

/// The longest mail address, in bytes. Source: RFC 5321, 4.5.3.1.3, less its angle brackets.
const MAX_MAIL: usize = 254;

/// An account to make.
#[derive(Debug, Clone)]
pub struct NewPerson {
    /// What they log in with.
    pub login: Name,
    /// The name shown beside it.
    pub display: String,
    /// A person or a program.
    pub kind: Kind,
    /// What they may do in Daypass.
    pub role: SystemRole,
    /// The groups they belong to.
    pub groups: BTreeSet<Name>,
    /// Whom `from: manager` means.
    pub manager: Option<Name>,
    /// Who answers for it: a person, where it is a service account.
    pub owner: Option<Name>,
    /// Where mail for them goes.
    pub mail: Option<String>,
    /// The hash of their first password (argon2id, PHC form); the caller hashed it.
    pub password: Option<String>,
}

impl Engine {
    /// Makes an account.
    ///
    /// # Errors
    /// [`Error::Waits`] where others must agree; where the caller is no administrator, or an active account has this login; where a
    /// token makes an account that somebody could log in with, or that may more than a member.
    pub async fn add_person(&self, caller: Caller, new: NewPerson) -> Result<Person, Error> {
        caller.administrator()?;
        if new.role != SystemRole::Member || new.password.is_some() {
            caller.interactive()?;
        }
        let (id, wish) = self.new_person(new)?;
        self.edited(caller, id, wish).await
    }

    /// Makes the first administrator of an empty directory. It works once.
    ///
    /// # Errors
    /// Where somebody is there already.
    pub async fn bootstrap(&self, new: NewPerson) -> Result<Person, Error> {
        if self.current().directory.people().next().is_some() {
            return Err(Refusal::new(
                Code::Exists,
                "there are people already; an administrator adds the next one",
            )
            .hint("daypass user add LOGIN")
            .into());
        }
        let new = NewPerson {
            role: SystemRole::Administrator,
            ..new
        };
        let (id, wish) = self.new_person(new)?;
        // Nobody is there who could be asked.
        let current = self.current();
        let committed = self
            .store()
            .transition(wish.scope(id), move |world, now| {
                let edit = wish.edit(id, None)?.ok_or_else(gone)?;
                let moment = Moment {
                    actor: Actor::System,
                    current: &current,
                    world,
                    now,
                };
                carry_out(&edit, wish.secret(), moment)
            })
            .await?;
        self.refresh_directory().await?;
        Ok(person(&committed, id)?)
    }

    /// Lets somebody join and leave groups. What others change at the same time stays.
    ///
    /// # Errors
    /// [`Error::Waits`] where others must agree; where the caller is no administrator, there is no such person, or a group is to be joined and left at once.
    pub async fn change_groups(
        &self,
        caller: Caller,
        login: &str,
        join: BTreeSet<Name>,
        leave: BTreeSet<Name>,
    ) -> Result<Person, Error> {
        caller.administrator()?;
        if let Some(both) = join.intersection(&leave).next() {
            let what = format!("{both} cannot be joined and left at once");
            return Err(Refusal::new(Code::Invalid, what).into());
        }
        let id = self.find(login)?.id;
        self.edited(caller, id, Wish::Groups { join, leave }).await
    }

    /// Sets or clears somebody's manager.
    ///
    /// # Errors
    /// [`Error::Waits`] where others must agree; where the caller is no administrator, there is no such person, it is a service
    /// account, or somebody would be their own manager.
    pub async fn set_manager(
        &self,
        caller: Caller,
        login: &str,
        manager: Option<&str>,
    ) -> Result<Person, Error> {
        caller.administrator()?;
        let person = self.find(login)?;
        if manager.is_some() {
            not_of_services(&self.current().directory, &person, "manager")?;
        }
        let person = person.id;
        let manager = manager
            .map(|manager| self.find(manager))
            .transpose()?
            .map(|manager| manager.id);
        if manager == Some(person) {
            return Err(Refusal::new(Code::Invalid, "nobody is their own manager").into());
        }
        self.edited(caller, person, Wish::Manager(manager)).await
    }

    /// Gives somebody another role in Daypass.
    ///
    /// # Errors
    /// [`Error::Waits`] where others must agree; where the caller is no administrator, or the last administrator would be gone.
    pub async fn set_role(&self, caller: Caller, login: &str, role: SystemRole) -> Result<Person, Error> {
        caller.administrator()?;
        let id = self.find(login)?.id;
        self.edited(caller, id, Wish::Role(role)).await
    }

    /// Sets where mail for somebody goes, or that it goes nowhere.
    ///
    /// # Errors
    /// [`Error::Waits`] where others must agree; where the caller is no administrator, there is no such person, it is a service
    /// account, or the text is no address.
    pub async fn set_mail(&self, caller: Caller, login: &str, mail: Option<&str>) -> Result<Person, Error> {
        caller.administrator()?;
        mail.map(check_mail).transpose()?;
        let account = self.find(login)?;
        if mail.is_some() {
            not_of_services(&self.current().directory, &account, "mail")?;
        }
        let id = account.id;
        let mail = mail.map(|mail| self.prose(mail));
        self.edited(caller, id, Wish::Mail(mail)).await
    }

    /// Says what targets of a namespace call somebody, or that they know them no more. What was given to another handle of theirs
    /// ends.
    ///
    /// # Errors
    /// [`Error::Waits`] where others must agree; where the caller is no administrator, there is no such account, the text is no
    /// handle, or another active account has it.
    pub async fn set_handle(
        &self,
        caller: Caller,
        login: &str,
        namespace: Name,
        handle: Option<&str>,
    ) -> Result<Person, Error> {
        caller.administrator()?;
        let handle = handle.map(str::parse::<Handle>).transpose();
        let handle = handle.map_err(|bad| Refusal::new(Code::Invalid, bad.to_string()))?;
        let id = self.find(login)?.id;
        let person = self.edited(caller, id, Wish::Handle(namespace, handle)).await?;
        self.end_strange(Actor::Person(caller.person), id).await?;
        Ok(person)
    }

    /// Sets a password: one's own, with the proof of the present one, or anybody's for an administrator. All sessions and
    /// tokens of the account end. Whoever it is must settle before reviewing again.
    ///
    /// # Errors
    /// [`Error::Waits`] where others must agree to somebody else's; [`Code::Stale`] where another password was set since the proof;
    /// where the caller may not, or there is no such person.
    pub async fn set_password(
        &self,
        caller: Caller,
        login: &str,
        proof: Option<Proof>,
        hash: String,
    ) -> Result<Person, Error> {
        caller.interactive()?;
        let person = self.find(login)?.id;
        let scope = match proof {
            Some(proof) if proof.person == person => proof.into(),
            _ if person == caller.person => {
                let what = "one's own password takes the present one";
                return Err(Refusal::new(Code::Forbidden, what).into());
            }
            _ => {
                caller.administrator()?;
                return self.edited(caller, person, Wish::Password(hash)).await;
            }
        };
        self.decide_person(scope, person, move |_, _| {
            let mut outcome = changed(caller, person, Change::Credentials);
            outcome.side = vec![Side::Password { person, hash }, Side::EndTokens { person }];
            Ok(outcome)
        })
        .await
    }

    /// Switches an account off: its sessions and tokens end at once, and so does what it holds, and what the service accounts
    /// hold that it answers for.
    ///
    /// # Errors
    /// Where the caller is no administrator, or the last administrator would be gone.
    pub async fn deactivate(&self, caller: Caller, login: &str) -> Result<Person, Error> {
        caller.administrator()?;
        let id = self.find(login)?.id;
        let person = self
            .decide_person(Scope::Administrator(id), id, move |_, world| {
                not_the_last_administrator(world, id)?;
                let mut outcome = changed(caller, id, Change::Deactivated);
                outcome.side.push(Side::EndTokens { person: id });
                Ok(outcome)
            })
            .await?;
        self.end_all_of(Actor::Person(caller.person), id).await?;
        self.end_all_of_services(Actor::Person(caller.person), id).await?;
        Ok(person)
    }

    /// Switches an account on again. It must settle before it reviews.
    ///
    /// # Errors
    /// [`Error::Waits`] where others must agree; where the caller is no administrator, or another account took the login meanwhile.
    pub async fn reactivate(&self, caller: Caller, login: &str) -> Result<Person, Error> {
        caller.administrator()?;
        let current = self.current();
        if current.directory.by_login(login).is_some() {
            return Err(Refusal::new(Code::Exists, format!("{login} is active already")).into());
        }
        let gone = current
            .directory
            .people()
            .filter(|person| person.login.text() == login)
            // Several may have had this login, one after the other: the last of them is meant.
            .max_by_key(|person| person.changed_at)
            .cloned();
        let person = gone.ok_or_else(|| unknown(login))?;
        // Who has a password can log in again with it: whether somebody is back, a person says.
        if person.role != SystemRole::Member || self.store().password(person.id).await?.is_some() {
            caller.interactive()?;
        }
        self.edited(caller, person.id, Wish::Reactivate).await
    }

    /// The active account of this login.
    ///
    /// # Errors
    /// Where there is none.
    pub fn find(&self, login: &str) -> Result<Person, Refusal> {
        self.current()
            .directory
            .by_login(login)
            .cloned()
            .ok_or_else(|| unknown(login))
    }

    /// The account that is to be made, with the hash of its first password.
    fn new_person(&self, new: NewPerson) -> Result<(PersonId, Wish), Error> {
        check_text("display name", &new.display)?;
        new.mail.as_deref().map(check_mail).transpose()?;
        let manager = new
            .manager
            .as_ref()
            .map(|manager| self.find(manager.as_str()))
            .transpose()?;
        let owner = owner_of_new(&self.current().directory, &new)?;
        let id = PersonId::from_bytes(self.random());
        let login = self.prose(new.login.as_str());
        let made = Person::new(id, new.kind, login, self.prose(&new.display));
        let person = Person {
            role: new.role,
            groups: new.groups,
            manager: manager.map(|manager| manager.id),
            mail: new.mail.map(|mail| Box::new(self.prose(&mail))),
            owner,
            ..made
        };
        Ok((id, Wish::Add(Box::new(person), new.password)))
    }

    /// Changes an account by what its row says while it is locked: another server may have changed it since the directory
    /// was read here.
    async fn decide_person(
        &self,
        scope: Scope,
        id: PersonId,
        decide: impl FnOnce(&Person, &World) -> Result<Outcome, Refusal> + Send + 'static,
    ) -> Result<Person, Error> {
        let absent = absent(&scope);
        let committed = self
            .store()
            .transition(scope, move |world, _| {
                decide(world.people.get(&id).ok_or(absent)?, world)
            })
            .await?;
        self.refresh_directory().await?;
        Ok(committed.world.people.get(&id).cloned().ok_or_else(gone)?)
    }
}

/// Refuses what cannot be one plain address: mail goes to nobody else, and to no header of anybody's choosing.
fn check_mail(text: &str) -> Result<(), Refusal> {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"<>()[]\\,;:\"".contains(c);
    let parts = text.rsplit_once('@').filter(|(local, domain)| {
        !local.is_empty() && !local.contains('@') && !domain.is_empty() && !domain.starts_with('.')
    });
    if text.len() <= MAX_MAIL && text.chars().all(plain) && parts.is_some() {
        return Ok(());
    }
    let shown: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    Err(Refusal::new(Code::Invalid, format!("{shown:?} is no mail address")).hint("ana@example.com"))
}

/// What a change by a person leads to.
fn changed(caller: Caller, id: PersonId, change: Change) -> Outcome {
    Outcome::one(
        Actor::Person(caller.person),
        Subject::Person(id),
        What::Person(change),
    )
}

fn gone() -> Refusal {
    not_found("the account is gone")
}

fn unknown(login: &str) -> Refusal {
    let login: String = login.chars().take(80).collect();
    Refusal::new(
        Code::UnknownPerson,
        format!("there is no {login:?} in the directory"),
    )
}
