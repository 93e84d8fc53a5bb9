//! Sessions: when one may begin, how its recording is followed, how it ends, and what does not follow.

use daypass_core::event::{Actor, Event as Recorded, Subject, What};
use daypass_core::grant::{Grant, Reason as Why, State as Phase};
use daypass_core::id::SessionId;
use daypass_core::lock::{self, On};
use daypass_core::only_take_away;
use daypass_core::refusal::Code;
use daypass_core::session::{
    Chunk, Counters, Event, Gateway, MOST, Mode, New, OnFailure, Reason, Session, State,
};
use daypass_core::text::{Hash, Prose};
use daypass_core::world::{Step, World};

use crate::samples::{active, at, grant, person};

const ID: SessionId = SessionId::from_bytes([9; 10]);

fn new(recording: Option<Mode>) -> New {
    New {
        id: ID,
        holder: person(1),
        item: "orders/write".parse().unwrap(),
        protocol: "postgres".parse().unwrap(),
        place: None,
        credential: None,
        gateway: Gateway {
            name: "gw-1".parse().unwrap(),
            run: Hash::of(b"its run"),
            server: "gw-1".parse().unwrap(),
        },
        source: Prose::new([1; 16], "192.0.2.7:51112"),
        program: Some(Prose::new([2; 16], "psql")),
        recording,
    }
}

fn recorded() -> Option<Mode> {
    Some(Mode {
        values: false,
        on_failure: OnFailure::End,
    })
}

fn open_under(grant: &Grant) -> World {
    let mut world = World::default();
    world.grants.insert(grant.id, grant.clone());
    let event = Session::open(new(recorded()), grant, at(10)).unwrap();
    apply(&mut world, 10, event).unwrap();
    world
}

fn opened() -> World {
    open_under(&active(1, "g_1", 3600))
}

fn apply(world: &mut World, second: i64, event: Event) -> Result<Step, ()> {
    let event = Recorded::new(
        at(second),
        Actor::System,
        Subject::Session(ID),
        What::Session(event),
    );
    // As it is read back from the log.
    let bytes = event.canonical().unwrap();
    let read = Recorded::read(&bytes).unwrap();
    world.apply(&read).map_err(drop)
}

fn session(world: &World) -> Session {
    world.sessions[&ID].clone()
}

fn chunk(number: u64, first: u64, last: u64) -> Chunk {
    Chunk {
        number,
        first,
        last,
        sealed: Hash::of(format!("sealed {number}").as_bytes()),
        chain: Hash::of(format!("chain {number}").as_bytes()),
        bytes: 100,
        is_last: false,
    }
}

fn closed(reason: Reason, cut: bool) -> Event {
    Event::Closed {
        reason,
        counters: None,
        cut,
    }
}

#[test]
fn its_end_and_the_end_of_its_recording_are_told_together() {
    let mut world = opened();
    let first = Event::Recorded {
        chunk: chunk(0, 1, 0),
    };
    apply(&mut world, 10, first).unwrap();
    let last = Chunk {
        is_last: true,
        ..chunk(1, 1, 3)
    };
    let told = session(&world).finish(last, Reason::Left, None, at(20)).unwrap();
    let whole = [Event::Recorded { chunk: last }, closed(Reason::Left, false)];
    assert_eq!(told, whole, "the recording counts as whole");
    let early = session(&world)
        .finish(chunk(1, 1, 3), Reason::Left, None, at(20))
        .unwrap();
    assert_eq!(early.last(), Some(&closed(Reason::Left, true)), "it has no end");
    for event in told {
        apply(&mut world, 20, event).unwrap();
    }
    let again = session(&world).finish(last, Reason::Lost, None, at(30)).unwrap();
    assert_eq!(again, [], "told again, there is nothing to tell");
    let gap = session(&opened()).finish(last, Reason::Left, None, at(20));
    assert_eq!(gap.unwrap_err().code, Code::WrongState);
}

#[test]
fn one_begins_under_an_active_grant_of_its_holder_and_under_no_other() {
    let good = active(1, "g_1", 3600);
    let mut world = World::default();
    world.grants.insert(good.id, good.clone());
    let event = Session::open(new(None), &good, at(10)).unwrap();
    assert_eq!(
        apply(&mut world, 10, event.clone()),
        Ok(Step {
            from: "none",
            to: "open"
        })
    );
    assert_eq!(session(&world).target, good.parts[0].target);
    assert!(apply(&mut world, 10, event.clone()).is_err(), "twice");

    let refused = |grant: &Grant, second| Session::open(new(None), grant, at(second)).unwrap_err().code;
    assert_eq!(
        refused(&good, 3600),
        Code::GrantOver,
        "at the deadline it is over"
    );
    assert_eq!(refused(&active(2, "g_2", 3600), 10), Code::NotHolder);
    let scheduled = grant(1, "g_1", Phase::Scheduled { start: at(0) });
    assert_eq!(refused(&scheduled, 10), Code::NotActive);
    let ending = grant(
        1,
        "g_1",
        Phase::Ending {
            reason: Why::Released,
            since: at(5),
            active_since: Some(at(0)),
            set_up_since: None,
            overdue: false,
        },
    );
    assert_eq!(refused(&ending, 10), Code::GrantOver);
    let mut other = new(None);
    other.item = "orders/read".parse().unwrap();
    assert_eq!(
        Session::open(other, &good, at(10)).unwrap_err().code,
        Code::NotActive
    );

    // Nor does the log take one, whoever wrote it there.
    for under in [
        None,
        Some(scheduled),
        Some(ending),
        Some(active(1, "g_9", 3600)),
        Some(active(1, "g_1", 10)),
    ] {
        let mut world = World::default();
        world.grants.extend(under.map(|grant| (grant.id, grant)));
        assert!(apply(&mut world, 10, event.clone()).is_err());
    }
    assert!(
        apply(
            &mut World {
                sessions: [].into(),
                ..world
            },
            11,
            event
        )
        .is_err(),
        "another instant"
    );
}

#[test]
fn a_locked_person_or_resource_opens_none_and_who_only_takes_away_neither() {
    let mut world = World::default();
    let grant = active(1, "g_1", 3600);
    world.grants.insert(grant.id, grant.clone());
    let what = What::Session(Session::open(new(None), &grant, at(10)).unwrap());
    let by = Actor::Person(person(1));
    assert_eq!(lock::check(&world, by, &Subject::Session(ID), &what), Ok(()));
    assert_eq!(
        only_take_away::check(&what).unwrap_err().code,
        Code::OnlyTakesAway
    );
    for on in [On::Person(person(1)), On::Resource("orders".parse().unwrap())] {
        let mut world = world.clone();
        let shut = Recorded::new(
            at(9),
            Actor::Person(person(2)),
            Subject::Lock(on),
            What::Lock(lock::Event::Locked {
                by: person(2),
                why: Prose::new([3; 16], "stolen"),
            }),
        );
        world.apply(&shut).unwrap();
        for actor in [by, Actor::System] {
            let refused = lock::check(&world, actor, &Subject::Session(ID), &what);
            assert_eq!(refused.unwrap_err().code, Code::Locked);
        }
        // What is known of its end is taken whoever is locked; and who is may end their own.
        let ends = What::Session(closed(Reason::Locked, false));
        assert_eq!(
            lock::check(&world, Actor::System, &Subject::Session(ID), &ends),
            Ok(())
        );
        assert_eq!(only_take_away::check(&ends), Ok(()));
        let kill = |by| {
            let event = Event::Killed {
                by,
                why: Prose::new([4; 16], "not me"),
            };
            What::Session(event)
        };
        world.sessions = opened().sessions;
        let own = lock::check(&world, by, &Subject::Session(ID), &kill(person(1)));
        assert_eq!(own, Ok(()));
        let looks = lock::check(&world, by, &Subject::Session(ID), &What::Session(Event::Replayed));
        assert_eq!(looks.is_err(), world.locked(&On::Person(person(1))).is_some());
    }
}

#[test]
fn chunks_are_followed_in_order_to_the_last() {
    let mut world = opened();
    let take = |world: &mut World, chunk| apply(world, 20, Event::Recorded { chunk });
    assert!(take(&mut world, chunk(1, 1, 5)).is_err(), "chunk 0 is first");
    assert!(take(&mut world, chunk(0, 1, 5)).is_err(), "and has no lines");
    take(&mut world, chunk(0, 1, 0)).unwrap();
    let again = session(&world).record(chunk(0, 1, 0));
    assert_eq!(again, Ok(None), "told twice, it is recorded once");
    for wrong in [
        chunk(2, 1, 5),
        chunk(1, 2, 5),
        chunk(1, 0, 5),
        chunk(1, 1, MOST + 1),
        Chunk {
            bytes: MOST + 1,
            ..chunk(1, 1, 5)
        },
        Chunk {
            chain: chunk(0, 1, 0).chain,
            ..chunk(1, 1, 5)
        },
        chunk(0, 1, 0),
    ] {
        assert!(
            session(&world)
                .clone()
                .evolve(&Event::Recorded { chunk: wrong }, at(20))
                .is_none()
        );
    }
    let other = session(&world).record(Chunk {
        sealed: Hash::of(b"stranger"),
        chain: Hash::of(b"stranger"),
        ..chunk(0, 1, 0)
    });
    assert_eq!(
        other.unwrap_err().code,
        Code::WrongState,
        "another chunk of a number that there is"
    );
    take(&mut world, chunk(1, 1, 5)).unwrap();
    let last = Chunk {
        is_last: true,
        ..chunk(2, 6, 5)
    };
    take(&mut world, last).unwrap();
    let recording = session(&world).recording.unwrap();
    assert_eq!((recording.chunks, recording.lines, recording.bytes), (3, 5, 300));
    assert!(recording.is_complete);
    assert!(
        take(&mut world, chunk(3, 6, 9)).is_err(),
        "nothing comes after the end"
    );
    assert!(
        apply(&mut world, 30, closed(Reason::Left, true)).is_err(),
        "it was not cut"
    );
    apply(&mut world, 30, closed(Reason::Left, false)).unwrap();
}

#[test]
fn one_that_ends_without_the_end_of_its_recording_was_cut() {
    let mut world = opened();
    apply(
        &mut world,
        20,
        Event::Recorded {
            chunk: chunk(0, 1, 0),
        },
    )
    .unwrap();
    assert!(
        apply(&mut world, 30, closed(Reason::Left, false)).is_err(),
        "it is cut, and that is said"
    );
    let event = session(&world).close(Reason::Left, None).unwrap();
    assert_eq!(event, closed(Reason::Left, true));
    apply(&mut world, 30, event).unwrap();
    // What was stored before a crash is found afterwards.
    apply(
        &mut world,
        31,
        Event::Recorded {
            chunk: chunk(1, 1, 3),
        },
    )
    .unwrap();
    assert_eq!(session(&world).recording.unwrap().chunks, 2);
}

#[test]
fn it_closes_once_and_for_a_reason_that_can_be() {
    let mut world = opened();
    assert!(
        apply(&mut world, 20, closed(Reason::Killed, true)).is_err(),
        "nobody asked for it"
    );
    let claimed = session(&world).close(Reason::Killed, None).unwrap();
    assert_eq!(
        claimed,
        closed(Reason::Lost, true),
        "that it is over counts all the same"
    );

    let kill = session(&world)
        .end(person(2), Prose::new([5; 16], "wrong database"))
        .unwrap();
    apply(&mut world, 20, kill.clone()).unwrap();
    assert!(apply(&mut world, 20, kill).is_err());
    assert!(
        session(&world)
            .end(person(3), Prose::new([6; 16], "me too"))
            .is_err()
    );
    assert!(
        session(&world).is_live(),
        "its gateway has not said that it is over"
    );
    let counted = Counters {
        bytes_up: u64::MAX,
        refused: 2,
        may_work: false,
        ..Counters::default()
    };
    let event = session(&world).close(Reason::Killed, Some(counted)).unwrap();
    apply(&mut world, 25, event).unwrap();
    let State::Closed {
        reason,
        kill: Some(kill),
        at: when,
        counters: Some(counters),
    } = session(&world).state
    else {
        panic!("{:?}", session(&world).state)
    };
    assert_eq!(
        (reason, kill.by, kill.at, when),
        (Reason::Killed, person(2), at(20), at(25))
    );
    assert_eq!(
        (counters.bytes_up, counters.refused),
        (MOST, 2),
        "what an event can hold"
    );

    assert_eq!(session(&world).close(Reason::Lost, None), None);
    assert!(apply(&mut world, 26, closed(Reason::Lost, true)).is_err());
    assert!(
        session(&world)
            .end(person(2), Prose::new([5; 16], "again"))
            .is_err()
    );
    assert!(
        apply(&mut world, 26, Event::Watched).is_err(),
        "there is nothing to watch any more"
    );
}

#[test]
fn its_recording_is_looked_at_until_it_is_removed() {
    let mut world = opened();
    apply(&mut world, 12, Event::Watched).unwrap();
    apply(&mut world, 12, Event::Replayed).unwrap();
    assert!(
        apply(&mut world, 12, Event::RecordingRemoved).is_err(),
        "it is not over"
    );
    apply(&mut world, 20, closed(Reason::Left, true)).unwrap();
    apply(&mut world, 21, Event::Replayed).unwrap();
    apply(&mut world, 22, Event::RecordingRemoved).unwrap();
    assert_eq!(
        session(&world).recording.clone().unwrap().removed_at,
        Some(at(22))
    );
    assert_eq!(session(&world).remove_recording(), Ok(None));
    for event in [
        Event::RecordingRemoved,
        Event::Replayed,
        Event::Recorded {
            chunk: chunk(0, 1, 0),
        },
    ] {
        assert!(apply(&mut world, 23, event).is_err());
    }
}

#[test]
fn without_a_recording_there_is_nothing_to_look_at() {
    let good = active(1, "g_1", 3600);
    let mut world = World::default();
    world.grants.insert(good.id, good.clone());
    let event = Session::open(new(None), &good, at(10)).unwrap();
    apply(&mut world, 10, event).unwrap();
    for event in [
        Event::Watched,
        Event::Replayed,
        Event::Recorded {
            chunk: chunk(0, 1, 0),
        },
    ] {
        assert!(apply(&mut world, 11, event).is_err());
    }
    assert_eq!(
        session(&world).close(Reason::Left, None),
        Some(closed(Reason::Left, false))
    );
    apply(&mut world, 12, closed(Reason::Left, false)).unwrap();
    assert!(session(&world).remove_recording().is_err());
}
