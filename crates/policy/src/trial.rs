//! Runs the policy's own tests: each asks [`Policy::decide`] with a directory of its own.
//!
//! In that directory the person and their manager are what the test says; every account that a set names by login exists, and
//! every group that a set names has enough members besides. So a test tells whom the steps ask, not who works here today.

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::id::{GrantId, PersonId, RequestId};
use daypass_core::name::{Item, Name};
use daypass_core::past::{Answer, Asked, Held, Past, Time};
use daypass_core::person::{Kind, Person};
use daypass_core::refusal::Refusal;
use daypass_core::review::{From, Step};
use daypass_core::text::{Hash, Prose};
use daypass_core::time::{Span, Timestamp};

use crate::decide::Decision;
use crate::diagnostic::Location;
use crate::document::{Expect, Test, Who};
use crate::explain::Explanation;
use crate::nearest::quote;
use crate::{Ask, Directory, Policy};

/// When a test asks that does not say, counted from 1970: long after any account of its directory last changed.
const SOME_DAY: Span = Span::MAX;

/// What came of one of the policy's tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestOutcome {
    /// Where the test is written.
    pub location: Location,
    /// What it asks: `ana asks for orders-prod/write for 1h`.
    pub question: String,
    /// The answer it expects.
    pub expected: String,
    /// The answer that came.
    pub got: String,
    /// Whether they agree.
    pub passed: bool,
}

impl Policy {
    /// Runs the policy's own tests, in file order.
    #[must_use]
    pub fn run_tests(&self) -> Vec<TestOutcome> {
        let town = Town::new(self);
        self.document
            .tests
            .iter()
            .map(|test| self.run_test(test, &town))
            .collect()
    }

    /// What every rule says to each of the policy's own tests: its question, and the explanation, in file order.
    #[must_use]
    pub fn explain_tests(&self) -> Vec<(String, Explanation)> {
        let town = Town::new(self);
        let tests = self.document.tests.iter();
        tests
            .map(|test| {
                // What names no environment that there is asks for the rest.
                let items = self.asked_for(test).unwrap_or_else(|_| test.items.clone());
                let past = self.past(test, &items);
                let told = self.explain(&asked(test, &items, &past), &town.with(test));
                (question(test), told)
            })
            .collect()
    }

    /// What the person of a test, who asks for these items, has had.
    fn past(&self, test: &Test, items: &BTreeSet<Item>) -> Past {
        let now = now(test);
        let rules = || self.document.rules.iter().map(|rule| &rule.name);
        let made = |rule: &Name, answer| Asked {
            request: RequestId::from_bytes([0; 10]),
            rule: rule.clone(),
            items: items.clone(),
            at: now,
            answer,
        };
        let used = rules().flat_map(|rule| (0..test.before.uses).map(|_| made(rule, Answer::Counts)));
        let denied = test.before.denied.map(|ago| Answer::Denied {
            // A slash is in no login.
            by: id("somebody/else"),
            at: now - ago,
            comment: None,
        });
        let denied = rules()
            .next()
            .zip(denied)
            .map(|(rule, answer)| made(rule, answer));
        let held = test.before.had.iter().map(|had| Held {
            grant: GrantId::from(RequestId::from_bytes([0; 10])),
            resources: had.items.iter().map(|item| item.resource.clone()).collect(),
            time: Time::Begun {
                from: had.from,
                until: had.from + had.duration,
            },
        });
        Past {
            asked: used.chain(denied).collect(),
            held: held.collect(),
            ..Past::nothing().clone()
        }
    }

    /// The items that a test asks for, those that its environments stand for included.
    fn asked_for(&self, test: &Test) -> Result<BTreeSet<Item>, Refusal> {
        let mut items = self.expand(&test.environments)?;
        items.extend(test.items.iter().cloned());
        Ok(items)
    }

    fn run_test(&self, test: &Test, town: &Town) -> TestOutcome {
        let decision = match self.asked_for(test) {
            Ok(items) => self.decide(&asked(test, &items, &self.past(test, &items)), &town.with(test)),
            Err(refusal) => Decision::Refused(refusal),
        };
        TestOutcome {
            location: test.at.location(&self.sources),
            question: question(test),
            expected: expected(&test.expect),
            got: got(&decision),
            passed: agrees(&test.expect, &decision),
        }
    }
}

/// When a test asks.
fn now(test: &Test) -> Timestamp {
    test.now.unwrap_or(Timestamp::EPOCH + SOME_DAY + SOME_DAY)
}

/// What a test asks, for these items.
fn asked<'t>(test: &'t Test, items: &'t BTreeSet<Item>, past: &'t Past) -> Ask<'t> {
    Ask {
        duration: test.duration,
        ticket: test.ticket.as_deref(),
        break_glass: test.break_glass,
        start: test.start,
        from: test.from,
        past,
        environments: &test.environments,
        confirmed: test.confirmed.map(|ago| now(test) - ago),
        reads_policy: true,
        ..Ask::new(id(test.who.as_str()), items, now(test))
    }
}

/// The people that a test's world is made of.
#[derive(Clone, Default)]
struct Town {
    people: BTreeMap<PersonId, Person>,
    members: BTreeMap<Name, BTreeSet<PersonId>>,
}

impl Town {
    /// Everybody whom the policy names.
    fn new(policy: &Policy) -> Self {
        let most = policy
            .document
            .rules
            .iter()
            .map(|rule| rule.steps.iter().map(|step| step.count).sum::<u32>())
            .max()
            .unwrap_or(0);
        let guardrails = policy.document.guardrails.iter();
        let guarding = guardrails.flat_map(|guardrail| guardrail.steps.iter().map(|step| step.count));
        let most = most.saturating_add(guarding.sum());
        let mut town = Self::default();
        for people in &policy.document.people {
            match &people.who {
                Who::Group(group) => {
                    for number in 0..=most {
                        // A slash is in no login, so this is nobody whom the policy or a test names.
                        let login = format!("{group}/{number}");
                        town.add(person(&login, BTreeSet::from([group.clone()])));
                    }
                }
                Who::Logins(logins) => {
                    for login in logins {
                        town.add(person(login.as_str(), BTreeSet::new()));
                    }
                }
                Who::Schedule(_) => {}
            }
        }
        town
    }

    /// The same with the person and the manager of a test.
    fn with(&self, test: &Test) -> Self {
        let mut town = self.clone();
        if let Some(manager) = &test.manager
            && !town.people.contains_key(&id(manager.as_str()))
        {
            town.add(person(manager.as_str(), BTreeSet::new()));
        }
        let mut asker = person(test.who.as_str(), test.groups.clone());
        asker.manager = test.manager.as_ref().map(|manager| id(manager.as_str()));
        town.add(asker);
        town
    }

    fn add(&mut self, person: Person) {
        for group in &person.groups {
            self.members.entry(group.clone()).or_default().insert(person.id);
        }
        self.people.insert(person.id, person);
    }
}

impl Directory for Town {
    fn person(&self, id: PersonId) -> Option<&Person> {
        self.people.get(&id)
    }

    fn by_login(&self, login: &str) -> Option<&Person> {
        self.people.get(&id(login))
    }

    fn members(&self, group: &Name) -> Vec<PersonId> {
        self.members
            .get(group)
            .map(|members| members.iter().copied().collect())
            .unwrap_or_default()
    }

    fn is_locked(&self, _: PersonId) -> bool {
        false
    }
}

fn id(login: &str) -> PersonId {
    let mut bytes = [0; 10];
    for (to, from) in bytes.iter_mut().zip(Hash::of(login.as_bytes()).bytes()) {
        *to = *from;
    }
    PersonId::from_bytes(bytes)
}

fn person(login: &str, groups: BTreeSet<Name>) -> Person {
    Person {
        groups,
        ..Person::new(
            id(login),
            Kind::Person,
            Prose::new([0; 16], login),
            Prose::new([0; 16], login),
        )
    }
}

fn question(test: &Test) -> String {
    let environments = test.environments.iter().map(ToString::to_string);
    let items: Vec<String> = environments
        .chain(test.items.iter().map(ToString::to_string))
        .collect();
    let length = test
        .duration
        .map(|duration| format!(" for {duration}"))
        .unwrap_or_default();
    let verb = if test.break_glass {
        "breaks the glass for"
    } else {
        "asks for"
    };
    let at = test.now.map_or_else(String::new, |now| format!(" at {now}"));
    let start = test
        .start
        .map_or_else(String::new, |start| format!(" to begin at {start}"));
    let ticket = test.ticket.as_ref().map_or_else(String::new, |ticket| {
        format!(" with the ticket {}", quote(ticket))
    });
    let from = test.from.map_or_else(String::new, |from| format!(" from {from}"));
    let mut before = String::new();
    if test.before.uses > 0 {
        before.push_str(&format!(" after {} uses", test.before.uses));
    }
    if let Some(ago) = test.before.denied {
        before.push_str(&format!(" denied {ago} ago"));
    }
    for had in &test.before.had {
        let items: Vec<String> = had.items.iter().map(ToString::to_string).collect();
        let items = items.join(" and ");
        before.push_str(&format!(
            ", having {items} for {} from {}",
            had.duration, had.from
        ));
    }
    let proof = match test.confirmed {
        Some(Span::ZERO) => String::new(),
        Some(ago) => format!(" {ago} after proving who they are"),
        None => String::from(" without a proof of who they are"),
    };
    format!(
        "{} {verb} {}{length}{ticket}{from}{proof}{at}{start}{before}",
        test.who,
        items.join(" and ")
    )
}

fn expected(expect: &Expect) -> String {
    match expect {
        Expect::Refused(code) => format!("refused: {code}"),
        Expect::Allowed {
            rule,
            steps,
            max,
            ends_by,
            review_by,
        } => {
            let mut parts = vec![String::from("allowed")];
            parts.extend(rule.as_ref().map(|rule| format!("rule {rule}")));
            parts.extend(steps.as_ref().map(|steps| {
                let steps: Vec<String> = steps
                    .iter()
                    .map(|(from, count)| match count {
                        Some(count) => told(from, *count),
                        None => from.to_string(),
                    })
                    .collect();
                format!("steps [{}]", steps.join(", "))
            }));
            parts.extend(max.map(|max| format!("max {max}")));
            parts.extend(ends_by.map(|ends_by| format!("ends by {ends_by}")));
            parts.extend(review_by.as_ref().map(|set| format!("reviewed by {set}")));
            parts.join(", ")
        }
    }
}

fn got(decision: &Decision) -> String {
    match decision {
        Decision::Refused(refusal) => format!("refused: {} ({refusal})", refusal.code),
        Decision::Allowed(allowed) => {
            let steps: Vec<String> = allowed
                .path
                .steps
                .iter()
                .map(|step| told(&step.from, step.count))
                .collect();
            let after = allowed
                .path
                .break_glass
                .as_ref()
                .map_or_else(String::new, |glass| {
                    format!(", at once, reviewed by {} afterwards", glass.review.from)
                });
            let ends_by = allowed
                .path
                .ends_by
                .map_or_else(String::new, |ends_by| format!(", ends by {ends_by}"));
            format!(
                "allowed, rule {}, steps [{}], max {}{ends_by}{after}",
                allowed.path.rule,
                steps.join(", "),
                allowed.path.max
            )
        }
    }
}

/// A step in short: `security`, `2 of security`.
pub(crate) fn told(from: &From, count: u32) -> String {
    match count {
        0 | 1 => from.to_string(),
        count => format!("{count} of {from}"),
    }
}

fn agrees(expect: &Expect, decision: &Decision) -> bool {
    match (expect, decision) {
        (Expect::Refused(code), Decision::Refused(refusal)) => *code == refusal.code,
        (
            Expect::Allowed {
                rule,
                steps,
                max,
                ends_by,
                review_by,
            },
            Decision::Allowed(allowed),
        ) => {
            let after = allowed.path.break_glass.as_ref().map(|glass| &glass.review.from);
            let expected = review_by.clone().map(From::People);
            rule.as_ref().is_none_or(|rule| *rule == allowed.path.rule)
                && max.is_none_or(|max| max == allowed.path.max)
                && (ends_by.is_none() || *ends_by == allowed.path.ends_by)
                && (expected.is_none() || expected.as_ref() == after)
                && steps
                    .as_ref()
                    .is_none_or(|steps| same_steps(steps, &allowed.path.steps))
        }
        _ => false,
    }
}

fn same_steps(expected: &[(From, Option<u32>)], steps: &[Step]) -> bool {
    expected.len() == steps.len()
        && expected
            .iter()
            .zip(steps)
            .all(|((from, count), step)| *from == step.from && count.is_none_or(|count| count == step.count))
}
