//! What a change of an account does under the policy in force, for those who are to agree to it: what the person gains and loses, and
//! what they are asked to review.

use std::collections::BTreeSet;

use daypass_core::change::{Change, Proposal};
use daypass_core::delegation::Delegation;
use daypass_core::edit::{Act, Edit};
use daypass_core::event::Actor;
use daypass_core::id::PersonId;
use daypass_core::name::Name;
use daypass_core::person::{Person, SystemRole};
use daypass_core::time::Timestamp;
use daypass_core::world::World;
use daypass_policy::{Directory, Plan};

use super::{Moment, event};
use crate::current::Current;
use crate::directory::Snapshot;

/// What a change of an account would do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effects {
    /// What the person gains and loses. What others gain or lose because of them is not in it: see `reviews`.
    pub plan: Plan,
    /// What they are asked to review, line by line, such as `+ may review what asks security (3 rules or guardrails)`.
    pub reviews: Vec<String>,
}

impl Current {
    /// What a change of an account would do now; `None` where it waits for nobody, or is none of an account. `Err`: why it could
    /// not be done now. It takes as long as asking the policy about every role for one person.
    #[must_use]
    pub fn effects(&self, change: &Change, now: Timestamp) -> Option<Result<Effects, String>> {
        let Proposal::Directory { edit } = &change.proposal else {
            return None;
        };
        if !change.is_pending() {
            return None;
        }
        let (before, after) = match both(edit, self, now) {
            Ok(both) => both,
            Err(why) => return Some(Err(why)),
        };
        let reviews = self.reviews(&before, &after);
        let people = [edit.person];
        let (before, after) = (self.with(before), self.with(after));
        let plan = self.policy.plan_people(people, (&before, &after), now);
        Some(Ok(Effects { plan, reviews }))
    }

    fn reviews(&self, before: &Person, after: &Person) -> Vec<String> {
        let (was, is) = (self.policy.asked_as(before), self.policy.asked_as(after));
        let line = |mark: &str, set: &Name, times: usize, may: &str| {
            let times = if times == 1 {
                String::from("1 rule or guardrail")
            } else {
                format!("{times} rules or guardrails")
            };
            format!("{mark} {may} what asks {set} ({times})")
        };
        let gained = is.iter().filter(|(set, _)| !was.contains_key(*set));
        let gained = gained.map(|(set, times)| line("+", set, *times, "may review"));
        let lost = was.iter().filter(|(set, _)| !is.contains_key(*set));
        let lost = lost.map(|(set, times)| line("-", set, *times, "no longer reviews"));
        let votes = |person: &Person| person.active && self.policy.may_be_delegate(person).is_ok();
        let delegate = match (votes(before), votes(after)) {
            (false, true) => Some("+ may be a delegate, and review in the place of who delegates to them"),
            (true, false) => Some("- is nobody's delegate any more"),
            _ => None,
        };
        gained.chain(lost).chain(delegate.map(str::to_owned)).collect()
    }

    fn with(&self, person: Person) -> Instead<'_> {
        Instead {
            directory: &self.directory,
            person,
        }
    }
}

/// The account before and after. One that is not active now is asked about as if it were and had nothing, for it gains all.
fn both(edit: &Edit, current: &Current, now: Timestamp) -> Result<(Person, Person), String> {
    let directory = current.directory.as_ref();
    let known = directory.person(edit.person);
    let login = match &edit.act {
        Act::Add { person, .. } => Some(person.login.text()),
        _ => known.map(|known| known.login.text()),
    };
    let is_in_it = |person: &&Person| {
        let alike = login.is_some_and(|login| person.login.text().eq_ignore_ascii_case(login));
        person.active && (alike || person.role == SystemRole::Administrator)
    };
    let around = directory.people().filter(is_in_it).chain(known);
    let world = World {
        people: around.map(|person| (person.id, person.clone())).collect(),
        ..World::default()
    };
    // What would keep it from being carried out keeps it from being shown as if it could be.
    let moment = Moment {
        actor: Actor::System,
        current,
        world: &world,
        now,
    };
    let event = event(edit, moment).map_err(|refusal| refusal.to_string())?;
    let account = match (&edit.act, known) {
        (Act::Add { person, .. }, _) => person.as_ref().clone(),
        (_, Some(known)) => known.clone(),
        (_, None) => return Err(String::from("there is no such account")),
    };
    let after = account.clone().evolve(&event, Actor::System, now);
    let before = if account.active && known.is_some() {
        account
    } else {
        Person {
            active: true,
            groups: BTreeSet::new(),
            manager: None,
            ..account
        }
    };
    Ok((before, after))
}

/// The directory with one account as it would be.
struct Instead<'d> {
    directory: &'d Snapshot,
    person: Person,
}

impl Directory for Instead<'_> {
    fn person(&self, id: PersonId) -> Option<&Person> {
        if id == self.person.id {
            return Some(&self.person);
        }
        self.directory.person(id)
    }

    fn by_login(&self, login: &str) -> Option<&Person> {
        if self.person.active && self.person.login.text() == login {
            return Some(&self.person);
        }
        self.directory
            .by_login(login)
            .filter(|found| found.id != self.person.id)
    }

    fn members(&self, group: &Name) -> Vec<PersonId> {
        let mut members = self.directory.members(group);
        members.retain(|member| *member != self.person.id);
        if self.person.active && self.person.groups.contains(group) {
            members.push(self.person.id);
        }
        members
    }

    fn is_locked(&self, id: PersonId) -> bool {
        self.directory.is_locked(id)
    }

    fn delegation(&self, of: PersonId) -> Option<&Delegation> {
        self.directory.delegation(of)
    }

    fn delegators(&self, to: PersonId) -> Vec<PersonId> {
        self.directory.delegators(to)
    }
}
