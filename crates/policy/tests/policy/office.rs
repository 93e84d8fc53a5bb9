//! The people of the tests, and the one helper that asks a policy and compares its answer.

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::delegation::Delegation;
use daypass_core::event::Actor;
use daypass_core::id::PersonId;
use daypass_core::name::{Item, Name};
use daypass_core::person::{Change, Kind, Person};
use daypass_core::review::{Silence, Step};
use daypass_core::text::{Hash, Prose};
use daypass_core::time::{Span, Timestamp};
use daypass_policy::{Ask, Decision, Diagnostics, Directory, Policy, Source};

/// A directory of people, by login.
#[derive(Debug, Clone, Default)]
pub(crate) struct Office {
    people: BTreeMap<PersonId, Person>,
    locked: BTreeSet<PersonId>,
}

impl Office {
    /// One line each: `ana engineering,sre manager=bo`, with `service`, `owner=bo`, `off`, `new` (changed just now),
    /// `new-manager=bo` and `to=bo` (away, with bo as the delegate; `will=bo`, `was=bo`) besides.
    pub(crate) fn new(lines: &str) -> Self {
        let mut office = Self::default();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let mut words = line.split_whitespace();
            let login = words.next().unwrap();
            let mut person = Person::new(
                id(login),
                Kind::Person,
                Prose::new([0; 16], login),
                Prose::new([0; 16], login),
            );
            for word in words {
                match (word, word.split_once('=')) {
                    ("service", _) => person.kind = Kind::Service,
                    ("off", _) => person.active = false,
                    ("new", _) => person.changed_at = now(),
                    (_, Some(("to", login))) => person.delegation = Some(away(login, -1, 1)),
                    (_, Some(("will", login))) => person.delegation = Some(away(login, 1, 2)),
                    (_, Some(("was", login))) => person.delegation = Some(away(login, -2, 0)),
                    (_, Some(("new-manager", login))) => {
                        person.manager = Some(id(login));
                        person.manager_since = now();
                    }
                    (_, Some(("owner", login))) => person.owner = Some(id(login)),
                    (_, Some(("new-owner", login))) => {
                        person.owner = Some(id(login));
                        person.manager_since = now();
                    }
                    (_, Some(("manager", login))) => person.manager = Some(id(login)),
                    (groups, _) => {
                        person.groups = groups.split(',').map(|group| group.parse().unwrap()).collect();
                    }
                }
            }
            office.people.insert(person.id, person);
        }
        office
    }

    pub(crate) fn login(&self, id: PersonId) -> &str {
        self.people.get(&id).map_or("?", |person| person.login.text())
    }

    pub(crate) fn logins(&self, ids: &[PersonId]) -> Vec<String> {
        let mut logins: Vec<String> = ids.iter().map(|id| self.login(*id).to_owned()).collect();
        logins.sort();
        logins
    }

    pub(crate) fn back(&mut self, login: &str) {
        self.people.get_mut(&id(login)).unwrap().delegation = None;
    }

    pub(crate) fn lock(&mut self, login: &str) {
        self.locked.insert(id(login));
    }

    /// Somebody does this to an account, so many minutes ago.
    pub(crate) fn change(&mut self, login: &str, change: &Change, by: &str, ago: u64) {
        let person = self.people.remove(&id(login)).unwrap();
        let at = now() - Span::minutes(ago);
        let person = person.evolve(change, Actor::Person(id(by)), at);
        self.people.insert(person.id, person);
    }

    pub(crate) fn leave(&mut self, login: &str, group: &str) {
        self.people.get_mut(&id(login)).unwrap().groups.remove(group);
    }
}

impl Directory for Office {
    fn person(&self, id: PersonId) -> Option<&Person> {
        self.people.get(&id)
    }

    fn by_login(&self, login: &str) -> Option<&Person> {
        self.people.get(&id(login)).filter(|person| person.active)
    }

    fn members(&self, group: &Name) -> Vec<PersonId> {
        let of = |person: &&Person| person.active && person.groups.contains(group);
        self.people.values().filter(of).map(|person| person.id).collect()
    }

    fn delegators(&self, to: PersonId) -> Vec<PersonId> {
        let of = |person: &&Person| person.delegation.as_ref().is_some_and(|one| one.to == to);
        self.people.values().filter(of).map(|person| person.id).collect()
    }

    fn is_locked(&self, id: PersonId) -> bool {
        self.locked.contains(&id)
    }
}

/// A delegation from so many hours from now until so many.
fn away(login: &str, from: i64, until: i64) -> Box<Delegation> {
    let hour = |hours: i64| Timestamp::from_micros(now().micros() + hours * 3_600_000_000);
    Box::new(Delegation {
        to: id(login),
        from: hour(from),
        until: hour(until),
        why: None,
    })
}

pub(crate) fn id(login: &str) -> PersonId {
    let hash = Hash::of(login.as_bytes());
    PersonId::from_bytes(hash.bytes()[..10].try_into().unwrap())
}

pub(crate) fn now() -> Timestamp {
    "2026-03-07T12:00:00Z".parse().unwrap()
}

pub(crate) fn items(texts: &str) -> BTreeSet<Item> {
    texts.split('+').map(|item| item.parse().unwrap()).collect()
}

pub(crate) fn source(name: &str, text: &str) -> Source {
    Source {
        name: name.to_owned(),
        text: text.to_owned(),
    }
}

pub(crate) fn load(text: &str) -> Result<Policy, Diagnostics> {
    Policy::load(&[source("policy.yaml", text)])
}

/// A policy that must load.
#[track_caller]
pub(crate) fn policy(text: &str) -> Policy {
    load(text).unwrap_or_else(|found| panic!("{found}"))
}

/// `ana orders-prod/write+reports/read 1h`; the length may be missing. A `!` before it all breaks the glass.
pub(crate) fn ask(policy: &Policy, office: &Office, question: &str) -> Decision {
    let break_glass = question.starts_with('!');
    let mut words = question.trim_start_matches('!').split_whitespace();
    let who = id(words.next().unwrap());
    let items = items(words.next().unwrap());
    let duration: Option<Span> = words.next().map(|word| word.parse().unwrap());
    let ask = Ask {
        duration,
        break_glass,
        ..Ask::new(who, &items, now())
    };
    policy.decide(&ask, office)
}

/// `prod-write: manager (bo) then 2 of leads (cy, di); 1h of 2h`, or `over-max: …, hint: …`.
pub(crate) fn told(decision: &Decision, office: &Office) -> String {
    match decision {
        Decision::Refused(refusal) => {
            let hint = refusal.hint.as_deref().unwrap_or("none");
            format!("{}: {}\nhint: {hint}", refusal.code, refusal.what)
        }
        Decision::Allowed(allowed) => {
            let steps: Vec<String> = allowed
                .path
                .steps
                .iter()
                .zip(&allowed.reviewers)
                .map(|(step, reviewers)| {
                    format!("{} ({})", step_told(step), office.logins(reviewers).join(", "))
                })
                .collect();
            let steps = if steps.is_empty() {
                String::from("nobody")
            } else {
                steps.join(" then ")
            };
            let others: Vec<&str> = allowed.others.iter().map(|other| other.rule.as_str()).collect();
            let others = if others.is_empty() {
                String::new()
            } else {
                format!("; or {}", others.join(", "))
            };
            let after = allowed
                .path
                .break_glass
                .as_ref()
                .map_or_else(String::new, |glass| {
                    let (page, from, within) = (&glass.page, &glass.review.from, glass.review.within);
                    let who = office.logins(&allowed.after).join(", ");
                    format!("; pages {page}, reviewed by {from} ({who}) within {within}")
                });
            format!(
                "{}: {steps}; {} of {}{after}{others}",
                allowed.path.rule, allowed.duration, allowed.path.max
            )
        }
    }
}

fn step_told(step: &Step) -> String {
    let count = if step.count > 1 {
        format!("{} of ", step.count)
    } else {
        String::new()
    };
    let escalation = match &step.silence {
        Silence::Escalate { to, .. } => format!(" else {to}"),
        Silence::Deny => String::new(),
    };
    format!("{count}{}{escalation}", step.from)
}

/// Asks and compares the whole answer.
#[track_caller]
pub(crate) fn check(policy: &Policy, office: &Office, question: &str, expect: &str) {
    let got = told(&ask(policy, office, question), office);
    let expect: Vec<&str> = expect.lines().map(str::trim).collect();
    assert_eq!(got, expect.join("\n"), "{question}");
}
