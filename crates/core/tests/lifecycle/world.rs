//! The world: only legal transitions, the same for a live write and a replay.

use daypass_core::event::{Actor, Event, Subject, What};
use daypass_core::grant::{self, State};
use daypass_core::id::TokenId;
use daypass_core::person::{Change, Kind, Person, SystemRole};
use daypass_core::text::Prose;
use daypass_core::world::{LEGAL, World};
use daypass_core::{entitlement, request};

use crate::samples::{at, grant, intent, person, request as sample, spec, step, target};

fn somebody(n: u8) -> Person {
    Person {
        changed_at: at(0),
        manager_since: at(0),
        ..Person::new(
            person(n),
            Kind::Person,
            Prose::new([1; 16], "ana"),
            Prose::new([2; 16], "Ana"),
        )
    }
}

fn happened(seconds: i64, subject: Subject, what: What) -> Event {
    Event::new(at(seconds), Actor::System, subject, what)
}

fn story() -> Vec<Event> {
    let request = sample(vec![step("leads", 1)]);
    let opened = grant(1, "k", State::Scheduled { start: at(0) });
    let (r, g, e) = (
        Subject::Request(request.id),
        Subject::Grant(opened.id),
        Subject::Entitlement(target("k")),
    );
    vec![
        happened(
            0,
            r.clone(),
            What::Request(request::Event::Created {
                request: Box::new(request),
            }),
        ),
        happened(1, r, What::Request(request::Event::Withdrawn)),
        happened(
            2,
            g.clone(),
            What::Grant(grant::Event::Opened {
                grant: Box::new(opened),
            }),
        ),
        happened(3, g, What::Grant(grant::Event::Begun { window_ends: at(300) })),
        happened(
            4,
            e.clone(),
            What::Entitlement(entitlement::Event::Intended {
                key: target("k"),
                spec: Box::new(spec("orders/write")),
                intent: intent("me", 30),
                epoch: 1,
                may_appear_until: None,
            }),
        ),
        happened(
            5,
            e,
            What::Entitlement(entitlement::Event::Provisioned {
                until: Some(at(3900)),
            }),
        ),
    ]
}

#[test]
fn a_replay_of_what_was_written_gives_the_same_world() {
    let mut live = World::default();
    let mut log = Vec::new();
    for event in story() {
        live.apply(&event).unwrap();
        log.push(event.canonical().unwrap());
    }
    let mut replayed = World::default();
    for bytes in &log {
        replayed.apply(&serde_json::from_slice(bytes).unwrap()).unwrap();
    }
    // The words of reasons are not in the log; everything else is.
    assert_eq!(
        serde_json::to_value(&live.requests).unwrap(),
        serde_json::to_value(&replayed.requests).unwrap()
    );
    assert_eq!(
        (live.grants, live.entitlements),
        (replayed.grants, replayed.entitlements)
    );
}

#[test]
fn an_event_out_of_order_changes_nothing() {
    let events = story();
    for (index, event) in events.iter().enumerate().skip(1) {
        if matches!(
            event.what,
            What::Grant(grant::Event::Opened { .. }) | What::Entitlement(entitlement::Event::Intended { .. })
        ) {
            continue;
        }
        let mut world = World::default();
        assert!(
            world.apply(event).is_err(),
            "event {index} without those before it"
        );
        assert_eq!(world, World::default());
    }
    let mut world = World::default();
    world.apply(&events[0]).unwrap();
    assert!(world.apply(&events[0]).is_err(), "nothing is made twice");
}

#[test]
fn an_event_about_another_thing_is_refused() {
    let mut event = story().remove(0);
    event.subject = Subject::Policy;
    assert!(World::default().apply(&event).is_err());
}

/// A decision that was made from an older directory is made anew; a login is no reason for that.
#[test]
fn the_directory_changes_with_its_people_and_not_with_their_tokens() {
    let mut world = World::default();
    let ana = somebody(1);
    let (id, token) = (ana.id, TokenId::from_bytes([1; 10]));
    let issued = Change::TokenIssued {
        token,
        expires_at: at(60),
        key: None,
    };
    for (change, count) in [
        (Change::Added { person: ana }, 1),
        (issued, 1),
        (Change::TokenRevoked { token }, 1),
        (
            Change::Role {
                role: SystemRole::Auditor,
            },
            2,
        ),
        (Change::Groups { groups: [].into() }, 3),
        (Change::Manager { manager: None }, 4),
        (Change::Mail { mail: None }, 5),
        (Change::Credentials, 6),
        (Change::Deactivated, 7),
        (Change::Reactivated, 8),
        (Change::Owner { owner: id }, 9),
        (
            Change::Handle {
                namespace: "entra".parse().unwrap(),
                handle: None,
            },
            10,
        ),
    ] {
        let event = happened(count, Subject::Person(id), What::Person(change));
        world.apply(&event).unwrap();
        assert_eq!(i64::try_from(world.directory), Ok(count), "{:?}", event.what);
    }
}

#[test]
fn the_table_of_legal_transitions_has_no_way_back() {
    for (kind, from, to) in LEGAL {
        // A review that is owed after an emergency is given to what was approved; it stays approved.
        if (from, to) == (&"approved", &"approved") {
            continue;
        }
        // What was done with access is told after its end too: the logs of targets come late. It stays ended.
        if (*kind, from, to) == ("grant", &"ended", &"ended") {
            continue;
        }
        let final_states = ["approved", "denied", "withdrawn", "lapsed", "ended"];
        assert!(!final_states.contains(from), "{kind}: {from} → {to}");
    }
}
