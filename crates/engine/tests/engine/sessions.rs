//! Sessions through a gateway: who may open, end, see and look into one, and what becomes of those that were left behind.

use std::collections::BTreeSet;

use daypass_core::id::{GrantId, SessionId};
use daypass_core::refusal::Code;
use daypass_core::session::{Chunk, Counters, Gateway, Mode, OnFailure, Reason, State};
use daypass_core::text::{Hash, Prose};
use daypass_core::time::Span;
use daypass_engine::{Error, Lockable, LookBack, NewSession, OpenedSession};
use daypass_policy::Source;

use crate::house::{House, POLICY, asked, code, name};

const RECORDED: Mode = Mode {
    values: false,
    on_failure: OnFailure::End,
};

impl House {
    fn session(&self, grant: GrantId) -> NewSession {
        NewSession {
            id: self.engine.draw_session_id(),
            grant,
            holder: self.caller("ana").person,
            item: "orders/write".parse().unwrap(),
            protocol: name("postgres"),
            place: None,
            credential: None,
            gateway: Gateway {
                name: name("gw"),
                run: Hash::of(b"its run"),
                server: name("gw"),
            },
            source: "192.0.2.7:51112".parse().unwrap(),
            program: Some("psql\u{202e} \n".into()),
            recording: Some(RECORDED),
            first: None,
        }
    }

    async fn open(&self, grant: GrantId) -> Result<OpenedSession, Error> {
        self.engine.open_session(self.session(grant)).await
    }

    async fn reason(&self, id: SessionId) -> Option<Reason> {
        match self.engine.store().session(id).await.unwrap().unwrap().state {
            State::Closed { reason, .. } => Some(reason),
            State::Open | State::Ending { .. } => None,
        }
    }

    async fn load(&self, text: &str) {
        let source = Source {
            name: "policy.yaml".into(),
            text: text.into(),
        };
        self.engine.load_policy(&[source]).await.unwrap();
    }
}

#[tokio::test]
async fn one_begins_for_the_holder_of_an_active_grant_and_ends_with_what_was_counted() {
    let mut house = House::new().await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    let grant = house.agreed(&made.request).await;
    assert_eq!(
        code(house.open(grant).await),
        Code::NotActive,
        "it is not there yet"
    );
    house.reconcile().await;
    let opened = house.open(grant).await.unwrap();
    assert_eq!(opened.ends_at.since(opened.now), Span::hours(1));
    assert_eq!(opened.session.source.text(), "192.0.2.7:51112");
    assert_eq!(
        opened.session.program.as_ref().map(Prose::text),
        Some("psql"),
        "what could mislead a reader is left out"
    );
    let id = opened.session.id;

    let twice = NewSession {
        id,
        ..house.session(grant)
    };
    assert_eq!(code(house.engine.open_session(twice).await), Code::Exists);
    let bo = NewSession {
        holder: house.caller("bo").person,
        ..house.session(grant)
    };
    assert_eq!(code(house.engine.open_session(bo).await), Code::NotHolder);
    let other = NewSession {
        item: "orders/read".parse().unwrap(),
        ..house.session(grant)
    };
    assert_eq!(code(house.engine.open_session(other).await), Code::NotActive);
    assert_eq!(
        code(house.open(GrantId::from_bytes([7; 10])).await),
        Code::NotFound
    );

    let counted = Counters {
        bytes_down: 12,
        ..Counters::default()
    };
    let engine = &house.engine;
    let closed = engine
        .close_session(id, Reason::Left, Some(counted))
        .await
        .unwrap();
    let again = engine.close_session(id, Reason::Lost, None).await.unwrap();
    assert_eq!(closed, again, "closing twice is closing once");
    let nobody = SessionId::from_bytes([7; 10]);
    assert_eq!(
        code(engine.close_session(nobody, Reason::Left, None).await),
        Code::NotFound
    );
    let log = house.log().await;
    let told: Vec<_> = log.iter().filter(|name| name.starts_with("session.")).collect();
    assert_eq!(told, [&"session.opened", &"session.closed"]);

    house.live(Span::hours(2)).await;
    assert_eq!(code(house.open(grant).await), Code::GrantOver);
}

#[tokio::test]
async fn none_begins_under_a_lock_or_for_who_was_switched_off() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    let root = house.caller("root");
    let resource = Lockable::Resource(name("orders"));
    // The lock alone: the grant has not begun to end yet.
    let open = house.session(grant);
    let shut = house.engine.lock(root, &resource, "looks odd").await;
    shut.unwrap();
    let refused = code(house.engine.open_session(open).await);
    assert!([Code::Locked, Code::GrantOver].contains(&refused), "{refused}");

    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    let open = house.session(grant);
    house
        .engine
        .deactivate(house.caller("root"), "ana")
        .await
        .unwrap();
    let refused = code(house.engine.open_session(open).await);
    assert!([Code::Forbidden, Code::GrantOver].contains(&refused), "{refused}");
}

#[tokio::test]
async fn what_must_be_recorded_is_not_opened_without() {
    let mut house = House::new().await;
    let recorded = POLICY.replace(
        "labels: {env: production}",
        "labels: {env: production}, access: gateway, recording: required",
    );
    house.load(&recorded).await;
    let grant = house.granted(&["orders/write"]).await;
    let without = |house: &House| NewSession {
        recording: None,
        ..house.session(grant)
    };
    assert_eq!(
        code(house.engine.open_session(without(&house)).await),
        Code::Recording
    );
    // What was agreed to because it is recorded stays so, whatever the policy says later.
    house.load(POLICY).await;
    assert_eq!(
        code(house.engine.open_session(without(&house)).await),
        Code::Recording
    );
    house.open(grant).await.unwrap();
}

#[tokio::test]
async fn what_a_policy_wants_recorded_since_is_not_opened_without() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    let without = |house: &House| NewSession {
        recording: None,
        ..house.session(grant)
    };
    house.engine.open_session(without(&house)).await.unwrap();
    let recorded = POLICY.replace(
        "labels: {env: production}",
        "labels: {env: production}, access: gateway, recording: required",
    );
    house.load(&recorded).await;
    assert_eq!(
        code(house.engine.open_session(without(&house)).await),
        Code::Recording
    );
    house.open(grant).await.unwrap();
}

#[tokio::test]
async fn who_may_end_a_grant_may_end_its_sessions_and_nobody_else_hears_of_them() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    let engine = &house.engine;
    for (who, killed) in [
        ("ana", Ok(())),
        ("bo", Ok(())),
        ("root", Ok(())),
        // One of those who could have been asked, and somebody who could not.
        ("di", Err(Code::Forbidden)),
        ("ed", Err(Code::NotFound)),
    ] {
        let id = house.open(grant).await.unwrap().session.id;
        let caller = house.caller(who);
        let outcome = engine.kill_session(caller, id, "wrong database").await;
        match killed {
            Ok(()) => {
                let session = outcome.unwrap();
                let kill = session.kill().unwrap();
                assert_eq!((kill.by, kill.why.text()), (caller.person, "wrong database"));
                assert!(session.is_live(), "until its gateway says that it is over");
                assert_eq!(
                    code(engine.kill_session(caller, id, "again").await),
                    Code::WrongState
                );
                engine.close_session(id, Reason::Killed, None).await.unwrap();
                assert_eq!(house.reason(id).await, Some(Reason::Killed));
            }
            Err(expected) => assert_eq!(code(outcome), expected, "{who}"),
        }
        let seen = engine.session_seen(caller, id).await;
        assert_eq!(seen.is_ok(), who != "ed", "{who}");
    }
    let id = house.open(grant).await.unwrap().session.id;
    let silent = engine.kill_session(house.caller("ana"), id, " ").await;
    assert_eq!(code(silent), Code::ReasonRequired);
}

#[tokio::test]
async fn few_may_look_into_a_session_and_that_they_did_is_told() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    let engine = &house.engine;
    let id = house.open(grant).await.unwrap().session.id;
    for (who, expected) in [
        ("root", None),
        ("bo", None),
        ("ana", Some(Code::Forbidden)),
        ("di", Some(Code::Forbidden)),
        ("ed", Some(Code::NotFound)),
    ] {
        let caller = house.caller(who);
        for outcome in [
            engine.note_watched(caller, id).await,
            engine.note_replayed(caller, id).await,
        ] {
            match expected {
                None => drop(outcome.unwrap()),
                Some(expected) => assert_eq!(code(outcome), expected, "{who}"),
            }
        }
    }
    engine.close_session(id, Reason::Left, None).await.unwrap();
    let root = house.caller("root");
    assert_eq!(code(engine.note_watched(root, id).await), Code::WrongState);
    engine.note_replayed(root, id).await.unwrap();
    engine.note_recording_removed(id).await.unwrap();
    engine.note_recording_removed(id).await.unwrap();
    assert_eq!(code(engine.note_replayed(root, id).await), Code::WrongState);
    let log = house.log().await;
    let count = |wanted| log.iter().filter(|name| **name == wanted).count();
    assert_eq!((count("session.watched"), count("session.replayed")), (2, 3));
    assert_eq!(count("session.recording_removed"), 1);
}

#[tokio::test]
async fn who_is_to_look_back_at_an_emergency_may_look_into_its_sessions() {
    const GLASS: &str = "
  - {name: glass, allow: engineers, to: {env: production}, max: 30m, break_glass: {page: leads, review_by: security, within: 1h}}
";
    let mut house = House::new().await;
    house.load(&format!("{POLICY}{GLASS}")).await;
    let taken = house
        .engine
        .break_glass(house.caller("ana"), asked(&["orders/write"]), None)
        .await
        .unwrap();
    house.reconcile().await;
    let grant = taken.grant.unwrap().id;
    let id = house.open(grant).await.unwrap().session.id;
    house.engine.note_replayed(house.caller("di"), id).await.unwrap();
    let look = LookBack {
        digest: taken.request.digest,
        comment: "right call".into(),
        revoke: false,
    };
    let engine = &house.engine;
    engine
        .acknowledge(house.caller("cy"), taken.request.id, look)
        .await
        .unwrap();
    // Nothing is owed any more: who looked back still may, the others need not.
    engine.note_replayed(house.caller("cy"), id).await.unwrap();
    assert_eq!(
        code(engine.note_replayed(house.caller("di"), id).await),
        Code::Forbidden
    );
}

#[tokio::test]
async fn what_a_gateway_left_behind_is_closed_but_for_what_it_still_has() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    let lost = house.open(grant).await.unwrap().session.id;
    let alive = house.open(grant).await.unwrap().session.id;
    let elsewhere = NewSession {
        gateway: Gateway {
            name: name("other"),
            run: Hash::of(b"its run"),
            server: name("other"),
        },
        ..house.session(grant)
    };
    let elsewhere = house.engine.open_session(elsewhere).await.unwrap().session.id;
    let engine = &house.engine;
    let still = BTreeSet::from([alive]);
    for closed in [1, 0] {
        let left = engine.store().live_sessions(Some(&name("gw"))).await.unwrap();
        let left = left.into_iter().map(|session| session.id);
        let gone = left.filter(|id| !still.contains(id));
        assert_eq!(engine.close_lost(gone).await.unwrap(), closed);
    }
    assert_eq!(engine.close_lost([lost]).await.unwrap(), 0, "it is closed once");
    assert_eq!(house.reason(lost).await, Some(Reason::Lost));
    assert_eq!(
        (house.reason(alive).await, house.reason(elsewhere).await),
        (None, None)
    );

    // Its recording goes on being followed, as far as it was stored.
    let chunk = Chunk {
        number: 0,
        first: 1,
        last: 0,
        sealed: Hash::of(b"0"),
        chain: Hash::of(b"0"),
        bytes: 300,
        is_last: false,
    };
    engine.record_chunk(lost, chunk).await.unwrap();
    let session = engine.record_chunk(lost, chunk).await.unwrap();
    assert_eq!(
        session.recording.unwrap().chunks,
        1,
        "told again, it is recorded once"
    );
    let gap = Chunk { number: 2, ..chunk };
    assert_eq!(code(engine.record_chunk(lost, gap).await), Code::WrongState);
}

#[tokio::test]
async fn a_session_and_its_recording_begin_and_end_together() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    let first = Chunk {
        number: 0,
        first: 1,
        last: 0,
        sealed: Hash::of(b"0"),
        chain: Hash::of(b"0"),
        bytes: 300,
        is_last: false,
    };
    let gap = NewSession {
        first: Some(Chunk { number: 1, ..first }),
        ..house.session(grant)
    };
    let id = gap.id;
    assert_eq!(code(house.engine.open_session(gap).await), Code::WrongState);
    assert_eq!(house.engine.store().session(id).await.unwrap(), None, "neither");

    let new = NewSession {
        first: Some(first),
        ..house.session(grant)
    };
    let session = house.engine.open_session(new).await.unwrap().session;
    assert_eq!(session.recording.unwrap().chunks, 1);
    let last = Chunk {
        number: 1,
        chain: Hash::of(b"1"),
        is_last: true,
        ..first
    };
    let engine = &house.engine;
    for reason in [Reason::Left, Reason::Lost] {
        let over = engine
            .finish_session(session.id, last, reason, None)
            .await
            .unwrap();
        assert!(over.recording.unwrap().is_complete);
        assert_eq!(house.reason(session.id).await, Some(Reason::Left));
    }
    let log = house.log().await;
    let told: Vec<_> = log.iter().filter(|name| name.starts_with("session.")).collect();
    let expected = [
        "session.opened",
        "session.recorded",
        "session.recorded",
        "session.closed",
    ];
    assert_eq!(told, expected.each_ref());
}

#[tokio::test]
async fn who_only_takes_away_opens_none_and_ends_all() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    let id = house.open(grant).await.unwrap().session.id;
    house.engine.only_take_away();
    assert_eq!(code(house.open(grant).await), Code::OnlyTakesAway);
    let root = house.caller("root");
    for looked in [
        house.engine.note_watched(root, id).await,
        house.engine.note_replayed(root, id).await,
    ] {
        assert_eq!(
            code(looked),
            Code::OnlyTakesAway,
            "nobody would know later that they looked"
        );
    }
    house.engine.kill_session(root, id, "looks odd").await.unwrap();
    house
        .engine
        .close_session(id, Reason::Killed, None)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_outlives_its_grant_is_closed_for_the_grants_reason() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    let (silent, told) = (house.open(grant).await.unwrap(), house.open(grant).await.unwrap());
    let (silent, told) = (silent.session.id, told.session.id);
    let grace = Span::seconds(30);
    assert_eq!(house.engine.close_outliving_sessions(grace).await.unwrap(), 0);
    house
        .engine
        .revoke(house.caller("root"), grant, None)
        .await
        .unwrap();
    house.reconcile().await;
    assert_eq!(house.state(grant).await, "ended");
    assert_eq!(
        house.engine.close_outliving_sessions(grace).await.unwrap(),
        0,
        "its gateway may say it yet"
    );
    house
        .engine
        .close_session(told, Reason::TargetLost, Some(Counters::default()))
        .await
        .unwrap();
    house.pass(grace);
    assert_eq!(house.engine.close_outliving_sessions(grace).await.unwrap(), 1);
    assert_eq!(house.reason(silent).await, Some(Reason::Revoked));
    assert_eq!(house.reason(told).await, Some(Reason::TargetLost));
}
