//! Sessions: kept with their grant held still, listed, found by what they were left by, and brought back by a replay.

use daypass_core::event::{Actor, Subject, What};
use daypass_core::id::SessionId;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::session::{Chunk, Counters, Event, Gateway, Mode, New, OnFailure, Reason, Session};
use daypass_core::text::{Hash, Prose};
use daypass_core::time::{Span, Timestamp};
use daypass_core::world::World;
use daypass_store::{Committed, Error, Outcome, Scope, SessionFilter, Store};

use crate::bench::{Bench, on_every_engine};
use crate::story::*;

on_every_engine!(
    one_lives_under_its_grant_and_the_log_brings_it_back,
    lists_are_paged_and_filtered,
    what_a_gateway_or_a_grant_left_is_found,
    none_is_opened_while_its_grant_ends,
    a_row_that_was_changed_by_hand_is_found,
);

fn session_id(n: u8) -> SessionId {
    SessionId::from_bytes([n; 10])
}

pub(crate) async fn open(store: &Store, n: u8, grant: u8, gateway: &str) -> Result<Committed, Error> {
    let (id, of) = (session_id(n), grant_id(grant));
    let new = New {
        id,
        holder: person_id(grant),
        item: "orders/write".parse().unwrap(),
        protocol: name("postgres"),
        place: Some("root@web-1".to_owned()),
        credential: None,
        gateway: Gateway {
            name: name(gateway),
            run: Hash::of(b"its run"),
            server: name(gateway),
        },
        source: Prose::new([n; 16], "192.0.2.7:51112"),
        program: Some(Prose::new([n; 16], "psql")),
        recording: Some(Mode {
            values: true,
            on_failure: OnFailure::End,
        }),
    };
    let decide = move |world: &World, now| {
        let event = Session::open(new, found(world.grants.get(&of))?, now)?;
        Ok(Outcome::one(
            Actor::Person(person_id(grant)),
            Subject::Session(id),
            What::Session(event),
        ))
    };
    store
        .transition(Scope::NewSession { id, grant: of }, decide)
        .await
}

async fn happens(
    store: &Store,
    n: u8,
    how: impl FnOnce(&Session, Timestamp) -> Result<Event, Refusal> + Send + 'static,
) -> Result<Committed, Error> {
    let id = session_id(n);
    let decide = move |world: &World, now| {
        let event = how(found(world.sessions.get(&id))?, now)?;
        Ok(Outcome::one(
            Actor::System,
            Subject::Session(id),
            What::Session(event),
        ))
    };
    store.transition(Scope::Session(id), decide).await
}

async fn close(store: &Store, n: u8, reason: Reason) {
    happens(store, n, move |session, _| {
        Ok(session.close(reason, Some(Counters::default())).unwrap())
    })
    .await
    .unwrap();
}

/// People 1 and 2 with an active grant each.
async fn two(bench: &Bench) {
    for n in [1, 2] {
        ask(&bench.store, Asked::new(n, &[])).await.unwrap();
        activate(&bench.store, n).await;
    }
}

async fn one_lives_under_its_grant_and_the_log_brings_it_back(bench: Bench) {
    let store = &bench.store;
    two(&bench).await;
    let (mut changes, mut duties) = (store.changes(), store.duties());
    changes.mark_unchanged();
    duties.mark_unchanged();
    open(store, 1, 1, "gw").await.unwrap();
    assert!(changes.has_changed().unwrap());
    assert!(
        !duties.has_changed().unwrap(),
        "nothing is to be done about it at a target"
    );
    let again = open(store, 1, 1, "gw").await;
    assert!(matches!(again, Err(Error::Illegal(_))), "{again:?}");
    let chunk = |number: u64, last, is_last| Chunk {
        number,
        first: if number == 0 { 1 } else { last },
        last,
        sealed: Hash::of(&[1]),
        chain: Hash::of(&number.to_be_bytes()),
        bytes: 300,
        is_last,
    };
    for one in [chunk(0, 0, false), chunk(1, 1, false), chunk(2, 2, true)] {
        happens(store, 1, move |session, _| Ok(session.record(one)?.unwrap()))
            .await
            .unwrap();
    }
    let behind = happens(store, 1, move |_, _| {
        Ok(Event::Recorded {
            chunk: chunk(4, 9, false),
        })
    })
    .await;
    assert!(matches!(behind, Err(Error::Illegal(_))));
    happens(store, 1, |session, _| session.watch()).await.unwrap();
    happens(store, 1, |session, _| {
        session.end(person_id(9), Prose::new([8; 16], "wrong database"))
    })
    .await
    .unwrap();
    close(store, 1, Reason::Killed).await;
    let session = store.session(session_id(1)).await.unwrap().unwrap();
    assert_eq!(session.source.text(), "192.0.2.7:51112");
    assert_eq!(session.program.as_ref().map(Prose::text), Some("psql"));
    assert_eq!(session.kill().map(|kill| kill.why.text()), Some("wrong database"));
    assert!(
        session
            .recording
            .as_ref()
            .is_some_and(|recording| recording.is_complete)
    );
    assert_eq!(store.session(session_id(2)).await.unwrap(), None);
    let id = session_id(1).to_string();
    assert_eq!(store.resolve_session(&id[..5]).await.unwrap(), session_id(1));
    assert_eq!(store.sessions_like("S", 9).await.unwrap(), [session_id(1)]);
    assert!(store.resolve_session("S9").await.is_err());

    store.sequence(1000).await.unwrap();
    assert_eq!(store.replay().await.unwrap(), store.load_world().await.unwrap());
    store.verify().await.unwrap();
}

async fn lists_are_paged_and_filtered(bench: Bench) {
    let store = &bench.store;
    two(&bench).await;
    for n in 1..=5 {
        open(store, n, 1 + n % 2, "gw").await.unwrap();
        bench.advance(Span::seconds(1));
    }
    close(store, 2, Reason::Left).await;
    let list = |filter: SessionFilter| async move {
        let page = store.sessions(filter, None, 10).await.unwrap();
        let mut ids: Vec<_> = page.items.iter().map(|session| session.id.bytes()[0]).collect();
        // On a database's own clock two may be of one instant.
        ids.sort_unstable();
        ids
    };
    let all = SessionFilter::default();
    assert_eq!(list(all.clone()).await, [1, 2, 3, 4, 5]);
    let holder = Some(person_id(1));
    assert_eq!(
        list(SessionFilter {
            holder,
            ..all.clone()
        })
        .await,
        [2, 4]
    );
    let grant = Some(grant_id(2));
    assert_eq!(list(SessionFilter { grant, ..all.clone() }).await, [1, 3, 5]);
    let live = SessionFilter {
        holder,
        live: true,
        ..all.clone()
    };
    assert_eq!(list(live).await, [4]);

    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = store.sessions(all.clone(), after, 2).await.unwrap();
        assert!(page.items.len() <= 2);
        seen.extend(page.items.iter().map(|session| (session.opened_at, session.id)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut newest_first = seen.clone();
    newest_first.sort_unstable_by(|one, other| other.cmp(one));
    assert_eq!((seen.len(), &seen), (5, &newest_first));
}

async fn what_a_gateway_or_a_grant_left_is_found(bench: Bench) {
    let store = &bench.store;
    ask(store, Asked::new(1, &[])).await.unwrap();
    let key = activate(store, 1).await;
    open(store, 1, 1, "gw-a").await.unwrap();
    open(store, 2, 1, "gw-b").await.unwrap();
    open(store, 3, 1, "gw-b").await.unwrap();
    close(store, 3, Reason::Left).await;
    let ids = |sessions: Vec<Session>| {
        let mut ids: Vec<_> = sessions.iter().map(|session| session.id).collect();
        ids.sort_unstable();
        ids
    };
    let of = |gateway: &str| Some(name(gateway));
    assert_eq!(
        ids(store.live_sessions(of("gw-b").as_ref()).await.unwrap()),
        [session_id(2)]
    );
    assert_eq!(ids(store.live_sessions(of("gw").as_ref()).await.unwrap()), []);
    assert_eq!(
        ids(store.live_sessions(None).await.unwrap()),
        [session_id(1), session_id(2)]
    );

    assert_eq!(
        ids(store.outliving_sessions(Timestamp::MAX, 9).await.unwrap()),
        []
    );
    let before = store.now().await.unwrap();
    bench.advance(Span::seconds(1));
    finish(store, 1, &key).await;
    let left = [session_id(1), session_id(2)];
    assert_eq!(
        ids(store.outliving_sessions(Timestamp::MAX, 9).await.unwrap()),
        left
    );
    assert_eq!(
        store.outliving_sessions(Timestamp::MAX, 1).await.unwrap().len(),
        1
    );
    assert_eq!(
        ids(store.outliving_sessions(before, 9).await.unwrap()),
        [],
        "just now"
    );
    for n in [1, 2] {
        close(store, n, Reason::Lost).await;
    }
    assert_eq!(
        ids(store.outliving_sessions(Timestamp::MAX, 9).await.unwrap()),
        []
    );
    assert_eq!(ids(store.live_sessions(None).await.unwrap()), []);
}

/// Whichever of the two is first: none is opened under a grant whose end has begun.
async fn none_is_opened_while_its_grant_ends(bench: Bench) {
    let store = &bench.store;
    two(&bench).await;
    let ends = change_grant(store, grant_id(1), |grant, now| {
        grant.end(daypass_core::grant::Reason::Released, now)
    });
    let opens = futures_util::future::join_all((1..=8).map(|n| open(store, n, 1, "gw")));
    let (ended, opened) = futures_util::join!(ends, opens);
    let ended = ended.unwrap();
    for outcome in opened {
        match outcome {
            Ok(committed) => assert!(committed.now <= ended.now),
            Err(Error::Refused(refusal)) => assert_eq!(refusal.code, Code::GrantOver),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(open(store, 9, 1, "gw").await.is_err());
    while !store.sequence(100).await.unwrap().is_empty() {}
    store.verify().await.unwrap();
}

async fn a_row_that_was_changed_by_hand_is_found(bench: Bench) {
    let store = &bench.store;
    two(&bench).await;
    open(store, 1, 1, "gw").await.unwrap();
    close(store, 1, Reason::Left).await;
    store.sequence(1000).await.unwrap();
    store.verify().await.unwrap();
    for (sql, back) in [
        ("holder = 'P2'", format!("holder = '{}'", person_id(1))),
        ("server = 'other'", String::from("server = 'gw'")),
        (
            "document = replace(document, 'left', 'lost')",
            String::from("document = replace(document, 'lost', 'left')"),
        ),
    ] {
        let Some(done) = bench.by_hand(&format!("UPDATE sessions SET {sql}")).await else {
            return;
        };
        done.unwrap();
        let error = store.verify().await.unwrap_err().to_string();
        assert!(error.contains("session"), "{sql}: {error}");
        bench
            .by_hand(&format!("UPDATE sessions SET {back}"))
            .await
            .unwrap()
            .unwrap();
        store.verify().await.unwrap();
    }
    let reopened = bench
        .by_hand("UPDATE sessions SET previous_state = state, state = 'open'")
        .await
        .unwrap();
    assert!(reopened.is_err(), "the database refuses it");
}
