//! Changes that wait for others: kept with what they propose, seen by whatever puts a policy in force, replayed from the log.

use daypass_core::change::{Change, Event, Lapse, Proposal};
use daypass_core::edit::{Act, Edit};
use daypass_core::event::{Actor, Subject, What};
use daypass_core::id::{ChangeId, PersonId};
use daypass_core::person::{Person, SystemRole};
use daypass_core::refusal::Refusal;
use daypass_core::review::{Decision, From as Whom, Review, Silence, Step, Voter};
use daypass_core::text::{Hash, Prose};
use daypass_core::time::Span;
use daypass_core::world::World;
use daypass_store::{ChangeFilter, Committed, Error, Outcome, Scope, Side, Store};

use crate::bench::{Bench, on_every_engine};
use crate::story::*;

on_every_engine!(
    a_change_is_kept_found_and_due,
    what_waits_is_seen_by_what_puts_a_policy_in_force,
    a_row_of_a_change_cannot_be_forged,
    a_change_of_an_account_sees_whom_it_meets_and_keeps_no_secret,
);

fn id(n: u8) -> ChangeId {
    ChangeId::from_bytes([n; 10])
}

fn anybody(_: &Step, _: bool, _: Voter<'_>) -> Result<Option<PersonId>, Refusal> {
    Ok(None)
}

/// One of security within an hour.
fn security() -> Step {
    Step {
        from: Whom::People(name("security")),
        count: 1,
        within: Span::hours(1),
        silence: Silence::Deny,
        mfa: None,
        guardrail: None,
    }
}

/// Person 1 proposes another policy.
pub(crate) async fn propose(store: &Store, n: u8) -> Result<Committed, Error> {
    let text = format!("version: 1 # {n}");
    let hash = Hash::of(text.as_bytes());
    let sources = vec![(String::from("p.yaml"), text)];
    let decide = move |world: &World, now| {
        let proposal = Proposal::Policy {
            revision: Hash::of(&[n]),
            files: vec![(String::from("p.yaml"), hash)],
            summary: vec![String::from("+ rule prod-write")],
        };
        let base = world.policy.unwrap();
        let change = Change::new(id(n), person_id(1), proposal, base, vec![security()], now).unwrap();
        let event = Event::Proposed {
            change: Box::new(change),
        };
        let actor = Actor::Person(person_id(1));
        let mut outcome = Outcome::one(actor, Subject::Change(id(n)), What::Change(event));
        outcome.side.push(Side::Proposed {
            change: id(n),
            sources,
        });
        Ok(outcome)
    };
    store.transition(Scope::Change(id(n)), decide).await
}

/// Person 2 says no, with a word.
async fn deny(store: &Store, n: u8) -> Result<Committed, Error> {
    let decide = move |world: &World, now| {
        let change = found(world.changes.get(&id(n)))?;
        let review = Review {
            reviewer: person_id(2),
            on_behalf: None,
            step: 0,
            decision: Decision::Deny,
            digest: change.digest,
            comment: Some(Prose::new([3; 16], "too wide")),
            at: now,
        };
        let event = change.review(review, world.policy, &anybody, now)?;
        let actor = Actor::Person(person_id(2));
        Ok(Outcome::one(actor, Subject::Change(id(n)), What::Change(event)))
    };
    store.transition(Scope::Change(id(n)), decide).await
}

async fn a_change_is_kept_found_and_due(bench: Bench) {
    let store = &bench.store;
    apply_policy(store, "version: 1").await.unwrap();
    let made = propose(store, 1).await.unwrap();
    let change = store.change(id(1)).await.unwrap().unwrap();
    assert_eq!(made.world.changes.get(&id(1)), Some(&change));
    let files = store.change_files(id(1)).await.unwrap().unwrap();
    assert_eq!(files, [(String::from("p.yaml"), String::from("version: 1 # 1"))]);
    let short: String = id(1).to_string().chars().take(6).collect();
    assert_eq!(store.resolve_change(&short).await.unwrap(), id(1));
    let due = change.due_at().unwrap();
    assert_eq!(store.next_due(change.created_at).await.unwrap(), Some(due));
    assert_eq!(store.silent_changes(due - Span::millis(1), 9).await.unwrap(), []);
    assert!(store.silent_changes(due, 9).await.unwrap().contains(&id(1)));
    deny(store, 1).await.unwrap();
    let denied = store.change(id(1)).await.unwrap().unwrap();
    let comment = denied.reviews()[0].comment.as_ref().unwrap();
    assert_eq!(comment.text(), "too wide", "its words are put back");
    assert_eq!(store.silent_changes(due, 9).await.unwrap(), []);
    propose(store, 2).await.unwrap();
    let listed = async |state: Option<&str>| {
        let filter = ChangeFilter {
            state: state.map(str::to_owned),
            proposer: Some(person_id(1)),
        };
        let page = store.change_list(filter, None, 9).await.unwrap();
        page.items.into_iter().map(|change| change.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(Some("denied")).await, [id(1)]);
    assert_eq!(listed(Some("pending")).await, [id(2)]);
    assert_eq!(listed(None).await.len(), 2);
    assert!(deny(store, 1).await.is_err(), "it is decided");
    store.verify().await.unwrap();
}

async fn what_waits_is_seen_by_what_puts_a_policy_in_force(bench: Bench) {
    let store = &bench.store;
    apply_policy(store, "version: 1").await.unwrap();
    propose(store, 1).await.unwrap();
    propose(store, 2).await.unwrap();
    deny(store, 2).await.unwrap();
    let decide = |world: &World, _| {
        let waiting: Vec<_> = world.changes.keys().copied().collect();
        assert_eq!(waiting, [id(1)], "what is decided is not loaded");
        let mut outcome = Outcome::default();
        for id in waiting {
            let event = Event::Lapsed { why: Lapse::Stale };
            outcome.push(Actor::System, Subject::Change(id), What::Change(event));
        }
        Ok(outcome)
    };
    let committed = store.transition(Scope::Policy, decide).await.unwrap();
    assert_eq!(committed.events.len(), 1);
    store.verify().await.unwrap();
}

async fn a_row_of_a_change_cannot_be_forged(bench: Bench) {
    let store = &bench.store;
    apply_policy(store, "version: 1").await.unwrap();
    propose(store, 1).await.unwrap();
    deny(store, 1).await.unwrap();
    for sql in [
        "UPDATE changes SET previous_state = state, state = 'applied'",
        "UPDATE changes SET previous_state = 'pending', state = 'applied'",
        "INSERT INTO changes (id, state, proposer, created_at, document) VALUES ('C2', 'applied', 'P2', 0, '{}')",
    ] {
        if let Some(done) = bench.by_hand(sql).await {
            assert!(done.is_err(), "{sql}");
        }
    }
    store.verify().await.unwrap();
}

/// What the scope of an edit shows: the account, who has its login, and all administrators where it is one.
async fn seen(store: &Store, who: u8, login: Option<&str>) -> Vec<PersonId> {
    let scope = Scope::Edit {
        change: id(9),
        person: person_id(who),
        login: login.map(str::to_owned),
        handle: None,
    };
    let committed = store.transition(scope, |_, _| Ok(Outcome::default())).await;
    committed.unwrap().world.people.into_keys().collect()
}

async fn a_change_of_an_account_sees_whom_it_meets_and_keeps_no_secret(bench: Bench) {
    let store = &bench.store;
    apply_policy(store, "version: 1").await.unwrap();
    let administrator = |n, login| Person {
        role: SystemRole::Administrator,
        ..person(n, login)
    };
    for one in [
        administrator(1, "root"),
        administrator(2, "max"),
        person(3, "ana"),
        person(4, "bo"),
    ] {
        add(store, one, Vec::new()).await.unwrap();
    }
    assert_eq!(seen(store, 3, None).await, [person_id(3)]);
    assert_eq!(seen(store, 1, None).await, [person_id(1), person_id(2)]);
    assert_eq!(seen(store, 8, Some("BO")).await, [person_id(4)]);
    let propose = |n: u8| {
        let decide = move |world: &World, now| {
            let edit = Box::new(Edit {
                person: person_id(3),
                act: Act::Password,
            });
            let (base, proposal) = (world.policy.unwrap(), Proposal::Directory { edit });
            let change = Change::new(id(n), person_id(1), proposal, base, vec![security()], now).unwrap();
            let what = What::Change(Event::Proposed {
                change: Box::new(change),
            });
            let mut outcome = Outcome::one(Actor::Person(person_id(1)), Subject::Change(id(n)), what);
            outcome.side.push(Side::Withheld {
                change: id(n),
                secret: String::from("$argon2id$x"),
            });
            Ok(outcome)
        };
        let scope = Scope::Edit {
            change: id(n),
            person: person_id(3),
            login: None,
            handle: None,
        };
        store.transition(scope, decide)
    };
    propose(5).await.unwrap();
    propose(6).await.unwrap();
    let secret = async |n: u8| store.change_secret(id(n)).await.unwrap();
    assert_eq!(secret(5).await.as_deref(), Some("$argon2id$x"));
    deny(store, 5).await.unwrap();
    assert_eq!(secret(5).await, None);
    assert_eq!(
        secret(6).await.as_deref(),
        Some("$argon2id$x"),
        "another one's stays"
    );
    let lapse = |_: &World, _| {
        let what = What::Change(Event::Lapsed {
            why: Lapse::Overtaken,
        });
        Ok(Outcome::one(Actor::System, Subject::Change(id(6)), what))
    };
    store.transition(Scope::Change(id(6)), lapse).await.unwrap();
    assert_eq!(secret(6).await, None);
    store.verify().await.unwrap();
}
