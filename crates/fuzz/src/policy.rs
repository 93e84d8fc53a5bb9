//! A policy's text, as far as an answer to somebody's question.

use std::collections::BTreeSet;

use daypass_core::id::PersonId;
use daypass_core::name::{Item, Name};
use daypass_core::person::{Kind, Person};
use daypass_core::text::Prose;
use daypass_core::time::Timestamp;
use daypass_policy::{Ask, Directory, Policy, Source};

/// How long what is told of a bad policy may be, in bytes: a screenful or two, however bad it is.
const MOST_TOLD: usize = 40_000;
/// How many roles are asked for.
const MOST_ASKED: usize = 8;

/// Two people: one asks, the other is in every group.
struct Pair([Person; 2]);

impl Pair {
    fn new(groups: BTreeSet<Name>) -> Self {
        let person = |id: u8, login: &str, groups| Person {
            groups,
            manager: Some(PersonId::from_bytes([2; 10])),
            ..Person::new(
                PersonId::from_bytes([id; 10]),
                Kind::Person,
                Prose::new([0; 16], login),
                Prose::new([0; 16], login),
            )
        };
        Self([person(1, "ana", groups.clone()), person(2, "bo", groups)])
    }
}

impl Directory for Pair {
    fn person(&self, id: PersonId) -> Option<&Person> {
        self.0.iter().find(|person| person.id == id)
    }

    fn by_login(&self, login: &str) -> Option<&Person> {
        self.0.iter().find(|person| person.login.text() == login)
    }

    fn members(&self, group: &Name) -> Vec<PersonId> {
        let of = |person: &&Person| person.groups.contains(group);
        self.0.iter().filter(of).map(|person| person.id).collect()
    }

    fn is_locked(&self, _: PersonId) -> bool {
        false
    }
}

pub(crate) fn policy(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let source = Source {
        name: "policy.yaml".to_owned(),
        text,
    };
    let policy = match Policy::load(std::slice::from_ref(&source)) {
        Ok(policy) => policy,
        Err(found) => {
            let told = found.to_string();
            assert!(!told.is_empty(), "refused without a word");
            assert!(told.len() < MOST_TOLD, "{} bytes are told", told.len());
            let drives = told.chars().any(|c| c.is_control() && c != '\n');
            assert!(!drives, "what is told could drive a terminal: {told:?}");
            return;
        }
    };
    let again = Policy::load(&[source]).map(|again| again.revision());
    assert_eq!(
        again.ok(),
        Some(policy.revision()),
        "the same text is another policy"
    );
    let _outcomes = policy.run_tests();
    let groups = ["engineering", "security", "all", "a"];
    let pair = Pair::new(groups.iter().filter_map(|group| group.parse().ok()).collect());
    let roles = policy.resources().iter().flat_map(|resource| {
        let item = |role: &Name| Item {
            resource: resource.name.clone(),
            role: role.clone(),
        };
        resource.roles.keys().map(item).collect::<Vec<_>>()
    });
    for item in roles.take(MOST_ASKED) {
        let items = BTreeSet::from([item]);
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        for emergency in [false, true] {
            let ask = Ask {
                break_glass: emergency,
                ..Ask::new(PersonId::from_bytes([1; 10]), &items, now)
            };
            let (first, second) = (policy.decide(&ask, &pair), policy.decide(&ask, &pair));
            assert_eq!(
                format!("{first:?}"),
                format!("{second:?}"),
                "one question, two answers"
            );
        }
    }
}
