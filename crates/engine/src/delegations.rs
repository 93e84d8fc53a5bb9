//! Delegation for absence: somebody says who reviews in their place, and takes it back.

use daypass_core::delegation::Delegation;
use daypass_core::demand::is_fresh;
use daypass_core::event::{Actor, Subject, What};
use daypass_core::id::PersonId;
use daypass_core::lock::{self, On};
use daypass_core::person::Person;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::time::{Span, Timestamp};
use daypass_store::{Outcome, Scope};

use crate::caller::Caller;
use crate::current::Current;
use crate::engine::Engine;
use crate::error::{Error, not_found};
use crate::requests::check_text;

/// Within how long before it whoever delegates must have proved who they are. A session that somebody left open must not be
/// enough: a delegate reviews with a proof of their own, so what asks for one would be had by way of them.
const PROVED: Span = Span::minutes(15);

/// A delegation to make, as its maker typed it. Whose it is, is the [`Caller`], never a field.
#[derive(Debug, Clone)]
pub struct NewDelegation {
    /// The login of who is to review.
    pub to: String,
    /// From when on; from now where it is not said.
    pub from: Option<Timestamp>,
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub why: Option<String>,
}

/// Whether something waits for somebody's review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaits {
    /// It does not.
    No,
    /// It does, in their own right.
    Them,
    /// It does, in the place of this person, who is away.
    InPlaceOf(PersonId),
}

impl Awaits {
    /// Of what the policy says to the question whether somebody may review.
    pub(crate) fn of(right: Result<Option<PersonId>, Refusal>) -> Self {
        match right {
            Err(_) => Self::No,
            Ok(None) => Self::Them,
            Ok(Some(absent)) => Self::InPlaceOf(absent),
        }
    }

    /// Whether it does.
    #[must_use]
    pub const fn is_any(self) -> bool {
        !matches!(self, Self::No)
    }
}

impl Engine {
    /// The caller delegates: somebody whom the policy lets be a delegate reviews in their place for so long.
    ///
    /// # Errors
    /// Where the caller came by a token or has not proved freshly who they are, their account has not settled, the policy does not let this person be a
    /// delegate, they are locked or switched off, the caller has a delegation already, or the time is none or too long.
    pub async fn delegate(&self, caller: Caller, new: NewDelegation) -> Result<Person, Error> {
        caller.interactive()?;
        if let Some(why) = &new.why {
            check_text("reason", why)?;
        }
        let why = new.why.as_deref().map(|why| self.prose(why));
        let id = caller.person;
        let committed = self
            .decide(Scope::Person(id), move |current, world, now| {
                proved(caller, now)?;
                let of = world.people.get(&id).ok_or_else(gone)?;
                let known = daypass_policy::Directory::by_login(current.directory.as_ref(), &new.to);
                let to = known.ok_or_else(|| unknown(&new.to))?;
                let from = new.from.unwrap_or(now);
                if from < now && new.from.is_some() {
                    let what = "a delegation begins now or later, not in the past";
                    return Err(Refusal::new(Code::Invalid, what));
                }
                let delegation = Delegation {
                    to: to.id,
                    from,
                    until: new.until,
                    why,
                };
                let change = delegation.make(of, to, now)?;
                has_settled(of, current, now)?;
                current.policy.may_be_delegate(to)?;
                if let Some(lock) = world.locked(&On::Person(to.id)) {
                    return Err(lock::refusal(lock, Some(id)));
                }
                let (actor, subject) = (Actor::Person(id), Subject::Person(id));
                Ok(Outcome::one(actor, subject, What::Person(change)))
            })
            .await?;
        self.refresh_directory().await?;
        Ok(committed.world.people.get(&id).cloned().ok_or_else(gone)?)
    }

    /// Takes a delegation back: one's own, or anybody's for an administrator.
    ///
    /// # Errors
    /// Where there is none that is not over, or the caller may not.
    pub async fn end_delegation(&self, caller: Caller, login: &str) -> Result<Person, Error> {
        caller.interactive()?;
        let found = self.find(login).map(|person| person.id);
        let id = match found {
            Ok(id) if id == caller.person || caller.administrator().is_ok() => id,
            // Nobody else learns who there is, or who is away.
            _ => {
                let login: String = login.chars().take(80).collect();
                let what = format!("there is no delegation of {login:?} that you may end");
                return Err(not_found(what).into());
            }
        };
        let committed = self
            .decide(Scope::Person(id), move |_, world, now| {
                let of = world.people.get(&id).ok_or_else(gone)?;
                let change = Delegation::end(of, now)?;
                let actor = Actor::Person(caller.person);
                Ok(Outcome::one(actor, Subject::Person(id), What::Person(change)))
            })
            .await?;
        self.refresh_directory().await?;
        Ok(committed.world.people.get(&id).cloned().ok_or_else(gone)?)
    }

    /// The delegations whose time is not over that this person made or is the delegate of; with `all`, everybody's. By login.
    #[must_use]
    pub fn delegations(&self, person: PersonId, all: bool, now: Timestamp) -> Vec<(Person, Delegation)> {
        let directory = self.current().directory;
        let mut found: Vec<(Person, Delegation)> = directory
            .people()
            .filter_map(|of| Some((of.clone(), of.delegation.as_deref()?.clone())))
            .filter(|(of, one)| all || of.id == person || one.to == person)
            .filter(|(_, one)| !one.is_over(now))
            .collect();
        found.sort_by(|(one, _), (other, _)| one.login.text().cmp(other.login.text()));
        found
    }
}

fn proved(caller: Caller, now: Timestamp) -> Result<(), Refusal> {
    if is_fresh(caller.confirmed_at(), PROVED, now) {
        return Ok(());
    }
    let what = format!("who delegates must have proved who they are less than {PROVED} ago");
    Err(Refusal::new(Code::MfaRequired, what).hint("prove it: daypass confirm"))
}

/// Who may not review yet has nothing to hand over. Whoever has set somebody's password does not make themselves their delegate
/// by it: their votes would outlast that the password is taken back.
fn has_settled(of: &Person, current: &Current, now: Timestamp) -> Result<(), Refusal> {
    current.policy.has_settled(of, now).map_err(|refusal| {
        let what = format!("nothing is delegated yet: {}", refusal.what);
        Refusal::new(refusal.code, what)
            .hint("an administrator can put somebody else in the set that is asked")
    })
}

fn unknown(login: &str) -> Refusal {
    let login: String = login.chars().take(80).collect();
    let what = format!("there is no {login:?} in the directory");
    Refusal::new(Code::UnknownPerson, what)
}

fn gone() -> Refusal {
    not_found("the account is gone")
}
