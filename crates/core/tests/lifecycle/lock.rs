//! Locks: what they keep from coming about, what they never hold up, and how they follow each other.

use daypass_core::event::{Actor, Event, Subject, What};
use daypass_core::grant::{self, Reason, State};
use daypass_core::id::{PersonId, TokenId};
use daypass_core::lock::{self, Lock, On};
use daypass_core::person::Change;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::{self, Request};
use daypass_core::review::{Decision, Review};
use daypass_core::text::Prose;
use daypass_core::world::World;

use crate::samples::{active, at, grant, person, request as sample, step};

fn prose(text: &str) -> Prose {
    Prose::new([9; 16], text)
}

fn shut(on: &On, seconds: i64) -> Event {
    let by = person(7);
    let what = What::Lock(lock::Event::Locked {
        by,
        why: prose("stolen"),
    });
    Event::new(at(seconds), Actor::Person(by), Subject::Lock(on.clone()), what)
}

fn open(on: &On, seconds: i64) -> Event {
    let by = person(7);
    let what = What::Lock(lock::Event::Unlocked {
        by,
        why: prose("found"),
    });
    Event::new(at(seconds), Actor::Person(by), Subject::Lock(on.clone()), what)
}

fn orders() -> On {
    On::Resource("orders".parse().unwrap())
}

fn locked(all: &[On]) -> World {
    let mut world = World::default();
    for on in all {
        world.apply(&shut(on, 0)).unwrap();
    }
    world
}

#[test]
fn a_lock_is_shut_opened_and_shut_again_and_nothing_else() {
    let mut world = World::default();
    assert!(world.apply(&open(&orders(), 0)).is_err(), "it was never shut");
    world.apply(&shut(&orders(), 1)).unwrap();
    assert!(world.apply(&shut(&orders(), 2)).is_err(), "it is shut");
    let lock = world.locked(&orders()).unwrap();
    assert_eq!((lock.by, lock.at, lock.why.text()), (person(7), at(1), "stolen"));
    assert_eq!(
        Lock::lock(Some(lock), person(8), prose("x")).unwrap_err().code,
        Code::Exists
    );
    world.apply(&open(&orders(), 3)).unwrap();
    assert_eq!(world.locked(&orders()), None);
    let lock = world.locks.get(&orders());
    assert_eq!(
        Lock::unlock(lock, person(8), prose("x")).unwrap_err().code,
        Code::WrongState
    );
    world.apply(&shut(&orders(), 4)).unwrap();
    assert!(world.locked(&orders()).is_some());
}

#[test]
fn what_is_locked_is_spelt_one_way_and_read_back() {
    for on in [orders(), On::Person(person(3))] {
        assert_eq!(on.to_string().parse(), Ok(on.clone()));
        let json = serde_json::to_string(&on).unwrap();
        assert_eq!(serde_json::from_str::<On>(&json).unwrap(), on);
    }
    for text in [
        "",
        "orders",
        "person/orders",
        "resource/",
        "resource/a b",
        "group/x",
    ] {
        assert!(text.parse::<On>().is_err(), "{text:?}");
    }
}

#[test]
fn the_words_of_a_lock_are_not_in_the_log() {
    let event = shut(&orders(), 0);
    let bytes = String::from_utf8(event.canonical().unwrap()).unwrap();
    assert!(!bytes.contains("stolen"), "{bytes}");
    assert_eq!(event.what.prose().len(), 1, "they are kept beside it");
}

/// What would follow for a request and its grant, under these locks: (name, who causes it, what).
fn steps(request: &Request) -> Vec<(Actor, Subject, What)> {
    let asker = Actor::Person(request.ask.requester);
    let about = Subject::Request(request.id);
    let on_grant = Subject::Grant(active(1, "k", 3600).id);
    let review = Review {
        reviewer: person(2),
        on_behalf: None,
        step: 0,
        decision: Decision::Approve {
            duration: None,
            items: None,
        },
        digest: request.digest,
        comment: None,
        at: at(5),
    };
    let approval = match request.approve_at_once() {
        Ok(request::Event::Approved { approval, .. }) => approval,
        other => panic!("{other:?}"),
    };
    let reviewer = Actor::Person(person(2));
    let created = request::Event::Created {
        request: Box::new(request.clone()),
    };
    let approved = request::Event::Approved {
        review: Some(review.clone()),
        approval,
    };
    let reviewed = request::Event::Reviewed {
        review,
        step: 0,
        due_at: at(60),
    };
    let opened = grant::Event::Opened {
        grant: Box::new(grant(1, "k", State::Scheduled { start: at(0) })),
    };
    let begun = grant::Event::Begun { window_ends: at(300) };
    let activated = grant::Event::Activated {
        expires_at: at(60),
        latest_end: at(60),
    };
    let extended = grant::Event::Extended {
        request: request.id,
        expires_at: at(90),
    };
    let issued = grant::Event::CredentialIssued {
        item: "orders/write".parse().unwrap(),
        certificate: None,
    };
    vec![
        (asker, about.clone(), What::Request(created)),
        (reviewer, about.clone(), What::Request(reviewed)),
        (reviewer, about, What::Request(approved)),
        (Actor::System, on_grant.clone(), What::Grant(opened)),
        (Actor::System, on_grant.clone(), What::Grant(begun)),
        (Actor::System, on_grant.clone(), What::Grant(activated)),
        (Actor::System, on_grant.clone(), What::Grant(extended)),
        (asker, on_grant, What::Grant(issued)),
    ]
}

fn with_both(mut world: World, request: &Request) -> World {
    world.requests.insert(request.id, request.clone());
    let held = active(1, "k", 3600);
    world.grants.insert(held.id, held);
    world
}

#[track_caller]
fn refused(result: Result<(), Refusal>, what: &What) {
    let refusal = result.expect_err(what.name());
    assert_eq!(refusal.code, Code::Locked, "{}", what.name());
}

#[test]
fn nothing_comes_nearer_for_who_or_what_is_locked() {
    let request = sample(vec![]);
    for on in [orders(), On::Person(person(1))] {
        let world = with_both(locked(std::slice::from_ref(&on)), &request);
        for (actor, subject, what) in steps(&request) {
            refused(lock::check(&world, actor, &subject, &what), &what);
        }
        let mut world = world;
        world.apply(&open(&on, 1)).unwrap();
        for (actor, subject, what) in steps(&request) {
            lock::check(&world, actor, &subject, &what).unwrap();
        }
    }
}

#[test]
fn a_lock_of_the_owner_is_one_of_the_service() {
    let request = sample(vec![]);
    let mut world = with_both(locked(&[On::Person(person(5))]), &request);
    for (actor, subject, what) in steps(&request) {
        lock::check(&world, actor, &subject, &what).unwrap();
    }
    world.owners.insert(person(1), person(5));
    for (actor, subject, what) in steps(&request) {
        refused(lock::check(&world, actor, &subject, &what), &what);
    }
    // What a program tells of ends is taken all the same, until it is locked itself.
    let program = Actor::Person(person(9));
    world.owners.insert(person(9), person(5));
    let grant = Subject::Grant(active(1, "k", 3600).id);
    let ending = |reason| What::Grant(grant::Event::Ending { reason });
    let revoked = ending(Reason::Revoked {
        by: person(9),
        why: None,
    });
    refused(lock::check(&world, program, &grant, &revoked), &revoked);
    let completed = ending(Reason::Completed);
    lock::check(&world, program, &grant, &completed).unwrap();
    let own = locked(&[On::Person(person(9))]);
    world.locks.extend(own.locks);
    refused(lock::check(&world, program, &grant, &completed), &completed);
}

#[test]
fn a_lock_is_on_what_it_names_and_on_nothing_else() {
    let request = sample(vec![]);
    let others = [
        On::Person(person(3)),
        On::Resource("orders-staging".parse().unwrap()),
        // A person may be called like a resource: they are two things.
        On::Resource("write".parse().unwrap()),
    ];
    let world = with_both(locked(&others), &request);
    for (actor, subject, what) in steps(&request) {
        lock::check(&world, actor, &subject, &what).unwrap();
    }
}

#[test]
fn ends_and_denials_are_never_held_up() {
    let request = sample(vec![step("leads", 1)]);
    let world = with_both(locked(&[orders(), On::Person(person(1))]), &request);
    let held = active(1, "k", 3600);
    let denial = Review {
        reviewer: person(2),
        on_behalf: None,
        step: 0,
        decision: Decision::Deny,
        digest: request.digest,
        comment: None,
        at: at(5),
    };
    let (about, grant) = (Subject::Request(request.id), Subject::Grant(held.id));
    let ending = |reason| What::Grant(grant::Event::Ending { reason });
    for (actor, subject, what) in [
        (
            Actor::Person(person(2)),
            &about,
            What::Request(request::Event::Denied { review: denial }),
        ),
        (
            Actor::System,
            &about,
            What::Request(request::Event::Lapsed { silent: None }),
        ),
        (
            Actor::Person(person(1)),
            &about,
            What::Request(request::Event::Withdrawn),
        ),
        (Actor::Person(person(1)), &grant, ending(Reason::Released)),
        (Actor::System, &grant, ending(Reason::Locked)),
        (Actor::System, &grant, What::Grant(grant::Event::Overdue)),
    ] {
        lock::check(&world, actor, subject, &what)
            .unwrap_or_else(|refusal| panic!("{}: {refusal}", what.name()));
    }
}

#[test]
fn who_is_locked_does_nothing_that_opens_anything() {
    let me = person(2);
    let world = with_both(locked(&[On::Person(me)]), &sample(vec![]));
    let token = TokenId::from_bytes([1; 10]);
    let issued = Change::TokenIssued {
        token,
        expires_at: at(60),
        key: None,
    };
    let about = |id: PersonId, change: Change| (Subject::Person(id), What::Person(change));
    let mut refused_all = vec![
        about(me, Change::Credentials),
        about(me, Change::Groups { groups: [].into() }),
        about(person(3), Change::Deactivated),
        about(person(3), issued.clone()),
        (
            Subject::Lock(On::Person(me)),
            What::Lock(lock::Event::Unlocked {
                by: me,
                why: prose("I say so"),
            }),
        ),
        // Somebody else's grant.
        (
            Subject::Grant(active(1, "k", 3600).id),
            What::Grant(grant::Event::Ending {
                reason: Reason::Revoked { by: me, why: None },
            }),
        ),
    ];
    refused_all.extend(
        steps(&sample(vec![]))
            .into_iter()
            .filter(|(actor, ..)| *actor == Actor::Person(me))
            .map(|(_, subject, what)| (subject, what)),
    );
    for (subject, what) in refused_all {
        refused(lock::check(&world, Actor::Person(me), &subject, &what), &what);
    }
    for (subject, what) in [about(me, issued), about(me, Change::TokenRevoked { token })] {
        lock::check(&world, Actor::Person(me), &subject, &what).unwrap();
    }
}

#[test]
fn a_refusal_does_not_tell_the_reason_of_a_lock() {
    let world = locked(&[orders(), On::Person(person(1))]);
    for lock in world.locks.values() {
        let told = lock::refusal(lock, Some(person(1)));
        assert!(!format!("{told:?}").contains("stolen"));
    }
}
