//! The local directory: accounts, groups, managers, roles, passwords.

use std::collections::BTreeSet;

use daypass_core::event::{Actor, Subject, What};
use daypass_core::id::PersonId;
use daypass_core::lock::On;
use daypass_core::name::Name;
use daypass_core::person::{Change, Kind, Person, SystemRole};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::world::World;
use daypass_policy::Directory as _;
use daypass_store::{Outcome, Scope, Side};

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::{Error, not_found};
use crate::requests::check_text;
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
    /// The hash of their first password (argon2id, PHC form); the caller hashed it.
    pub password: Option<String>,
}

impl Engine {
    /// Makes an account.
    ///
    /// # Errors
    /// Where the caller is no administrator, or an active account has this login; where a token makes an account that somebody could
    /// log in with, or that may more than a member.
    pub async fn add_person(&self, caller: Caller, new: NewPerson) -> Result<Person, Error> {
        caller.administrator()?;
        if new.role != SystemRole::Member || new.password.is_some() {
            caller.interactive()?;
        }
        self.make_person(Actor::Person(caller.person), new).await
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
        self.make_person(
            Actor::System,
            NewPerson {
                role: SystemRole::Administrator,
                ..new
            },
        )
        .await
    }

    /// Lets somebody join and leave groups. What others change at the same time stays.
    ///
    /// # Errors
    /// Where the caller is no administrator, there is no such person, or a group is to be joined and left at once.
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
        self.decide_person(Scope::Person(id), id, move |person, _| {
            let mut groups = person.groups.clone();
            groups.retain(|group| !leave.contains(group));
            groups.extend(join);
            // An account that changes must settle before it reviews: nothing has changed here.
            if groups == person.groups {
                return Ok(Outcome::default());
            }
            Ok(changed(caller, id, Change::Groups { groups }))
        })
        .await
    }

    /// Sets or clears somebody's manager.
    ///
    /// # Errors
    /// Where the caller is no administrator, there is no such person, or somebody would be their own manager.
    pub async fn set_manager(
        &self,
        caller: Caller,
        login: &str,
        manager: Option<&str>,
    ) -> Result<Person, Error> {
        caller.administrator()?;
        let person = self.find(login)?.id;
        let manager = manager
            .map(|manager| self.find(manager))
            .transpose()?
            .map(|manager| manager.id);
        if manager == Some(person) {
            return Err(Refusal::new(Code::Invalid, "nobody is their own manager").into());
        }
        self.change(caller, person, Change::Manager { manager }).await
    }

    /// Gives somebody another role in Daypass.
    ///
    /// # Errors
    /// Where the caller is no administrator, or the last administrator would be gone.
    pub async fn set_role(&self, caller: Caller, login: &str, role: SystemRole) -> Result<Person, Error> {
        caller.administrator()?;
        let id = self.find(login)?.id;
        self.decide_person(Scope::Administrator(id), id, move |_, world| {
            if role != SystemRole::Administrator {
                not_the_last_administrator(world, id)?;
            }
            Ok(changed(caller, id, Change::Role { role }))
        })
        .await
    }

    /// Sets where mail for somebody goes, or that it goes nowhere.
    ///
    /// # Errors
    /// Where the caller is no administrator, there is no such person, or the text is no address.
    pub async fn set_mail(&self, caller: Caller, login: &str, mail: Option<&str>) -> Result<Person, Error> {
        caller.administrator()?;
        mail.map(check_mail).transpose()?;
        let id = self.find(login)?.id;
        let mail = mail.map(|mail| self.prose(mail));
        self.decide_person(Scope::Person(id), id, move |person, _| {
            let same = person.mail.as_ref().map(|known| known.text()) == mail.as_ref().map(|new| new.text());
            if same {
                return Ok(Outcome::default());
            }
            Ok(changed(caller, id, Change::Mail { mail }))
        })
        .await
    }

    /// Sets a password: one's own, with the proof of the present one, or anybody's for an administrator. All sessions and
    /// tokens of the account end. Whoever it is must settle before reviewing again.
    ///
    /// # Errors
    /// [`Code::Stale`] where another password was set since the proof; where the caller may not, or there is no such person.
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
                Scope::Person(person)
            }
        };
        self.decide_person(scope, person, move |_, _| {
            let mut outcome = changed(caller, person, Change::Credentials);
            outcome.side = vec![Side::Password { person, hash }, Side::EndTokens { person }];
            Ok(outcome)
        })
        .await
    }

    /// Switches an account off: its sessions and tokens end at once, and so does what it holds.
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
        self.end_all_of(Actor::Person(caller.person), id, "the account was switched off")
            .await?;
        Ok(person)
    }

    /// Switches an account on again. It must settle before it reviews.
    ///
    /// # Errors
    /// Where the caller is no administrator, or another account took the login meanwhile.
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
        if person.role != SystemRole::Member {
            caller.interactive()?;
        }
        self.change(caller, person.id, Change::Reactivated).await
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

    async fn make_person(&self, actor: Actor, new: NewPerson) -> Result<Person, Error> {
        check_text("display name", &new.display)?;
        let manager = new
            .manager
            .as_ref()
            .map(|manager| self.find(manager.as_str()))
            .transpose()?;
        let id = PersonId::from_bytes(self.random());
        let mut person = Person {
            id,
            login: self.prose(new.login.as_str()),
            display: self.prose(&new.display),
            kind: new.kind,
            role: new.role,
            groups: new.groups,
            manager: manager.map(|manager| manager.id),
            active: true,
            changed_at: daypass_core::time::Timestamp::EPOCH,
            manager_since: daypass_core::time::Timestamp::EPOCH,
            mail: None,
        };
        let committed = self
            .store()
            .transition(
                Scope::NewPerson {
                    id,
                    login: new.login.to_string(),
                },
                move |world, now| {
                    if world.people.values().any(|other| other.active) {
                        return Err(Refusal::new(
                            Code::Exists,
                            format!("there is a {} already", new.login),
                        ));
                    }
                    person.changed_at = now;
                    person.manager_since = now;
                    let added = Change::Added { person };
                    let mut outcome = Outcome::one(actor, Subject::Person(id), What::Person(added));
                    if let Some(hash) = new.password {
                        outcome.side.push(Side::Password { person: id, hash });
                    }
                    Ok(outcome)
                },
            )
            .await?;
        self.refresh_directory().await?;
        Ok(committed.world.people.get(&id).cloned().ok_or_else(gone)?)
    }

    async fn change(&self, caller: Caller, id: PersonId, change: Change) -> Result<Person, Error> {
        self.decide_person(Scope::Person(id), id, move |_, _| Ok(changed(caller, id, change)))
            .await
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

/// Refuses where this is the only active administrator. One who is locked counts for none: they could do nothing. The world is
/// that of [`Scope::Administrator`].
fn not_the_last_administrator(world: &World, id: PersonId) -> Result<(), Refusal> {
    let is_one = |person: &&Person| person.active && person.role == SystemRole::Administrator;
    let mut administrators = world.people.values().filter(is_one);
    // One that is not among them takes nobody away.
    let leaves = administrators.clone().any(|one| one.id == id);
    if leaves && !administrators.any(|one| one.id != id && world.locked(&On::Person(one.id)).is_none()) {
        return Err(
            Refusal::new(Code::InUse, "this is the last administrator").hint("make another one first")
        );
    }
    Ok(())
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
