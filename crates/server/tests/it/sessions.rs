//! Sessions over HTTP: listed, seen and killed by whom it is said that they may, and nothing told to who is watched.

use daypass_api::client;
use daypass_api::event::AuditQuery;
use daypass_api::grant::GrantState;
use daypass_api::session::{Kill, SessionQuery, SessionState};
use daypass_api::{Client, ProblemCode, Route};
use daypass_core::id::{GrantId, SessionId};
use daypass_core::refusal::Code;
use daypass_core::session::{Chunk, Counters, Gateway, Mode, OnFailure, Reason};
use daypass_core::text::Hash;
use daypass_core::time::Timestamp;
use daypass_engine::{Caller, NewSession, Via};
use serde_json::json;

use crate::bed::{Bed, next, problem};

/// A session under this grant, as a gateway would have it opened.
pub(crate) async fn open(bed: &Bed, grant: GrantId, item: &str) -> SessionId {
    let engine = bed.server.engine();
    let holder = engine.store().grant(grant).await.unwrap().unwrap().holder;
    let new = NewSession {
        id: engine.draw_session_id(),
        grant,
        holder,
        item: item.parse().unwrap(),
        protocol: "postgres".parse().unwrap(),
        place: None,
        credential: None,
        gateway: Gateway {
            name: "gw".parse().unwrap(),
            run: Hash::of(b"its run"),
            server: "gw".parse().unwrap(),
        },
        source: "192.0.2.7:51112".parse().unwrap(),
        program: Some("psql".to_owned()),
        recording: Some(Mode {
            values: false,
            on_failure: OnFailure::End,
        }),
        first: None,
    };
    engine.open_session(new).await.unwrap().session.id
}

async fn granted(bed: &Bed) -> GrantId {
    let grant = bed.granted().await;
    bed.reaches(grant, GrantState::Active).await;
    grant
}

async fn listed(client: &Client, query: SessionQuery) -> Vec<SessionId> {
    let page = client.sessions(&query).await.unwrap();
    page.items.iter().map(|session| session.id).collect()
}

fn code(error: client::Error) -> ProblemCode {
    match error {
        client::Error::Problem(problem) => problem.code,
        other => panic!("no problem: {other}"),
    }
}

#[tokio::test]
async fn a_session_is_shown_from_its_opening_to_its_end() {
    let bed = Bed::start().await;
    let grant = granted(&bed).await;
    let id = open(&bed, grant, "orders/write").await;
    let ana = bed.client("ana").await;
    let shown = ana.session(&id.to_string()[..6]).await.unwrap();
    assert_eq!(
        (shown.id, shown.grant, shown.state),
        (id, grant, SessionState::Open)
    );
    assert_eq!(
        (shown.holder.as_str(), shown.source.as_deref()),
        ("ana", Some("192.0.2.7:51112"))
    );
    assert_eq!(
        (shown.closed_at, shown.reason, shown.counters),
        (None, None, None)
    );

    let chunk = Chunk {
        number: 0,
        first: 1,
        last: 0,
        sealed: Hash::of(b"0"),
        chain: Hash::of(b"0"),
        bytes: 300,
        is_last: false,
    };
    let engine = bed.server.engine();
    engine.record_chunk(id, chunk).await.unwrap();
    let kill = Kill {
        reason: "wrong database".to_owned(),
    };
    let killed = ana.kill_session(id, &kill).await.unwrap();
    assert_eq!(killed.state, SessionState::Ending);
    let told = killed.kill.unwrap();
    assert_eq!(
        (told.by.as_str(), told.reason.as_deref()),
        ("ana", Some("wrong database"))
    );
    let counted = Counters {
        bytes_down: 12,
        ..Counters::default()
    };
    engine
        .close_session(id, Reason::Killed, Some(counted))
        .await
        .unwrap();
    let over = ana.session(&id.to_string()).await.unwrap();
    assert_eq!(
        (over.state, over.reason.as_deref()),
        (SessionState::Closed, Some("killed"))
    );
    assert_eq!(over.counters.map(|counters| counters.bytes_down), Some(12));
    let recording = over.recording.unwrap();
    assert_eq!((recording.chunks, recording.complete), (1, false), "it was cut");
    assert_eq!(
        code(ana.kill_session(id, &kill).await.unwrap_err()),
        Code::WrongState.into()
    );

    in_words(&bed, id).await;
}

/// The trail has it by its short id.
async fn in_words(bed: &Bed, id: SessionId) {
    bed.log_with("session.closed").await;
    let query = AuditQuery {
        subject: Some(id.to_string()[..6].to_owned()),
        ..AuditQuery::default()
    };
    let trail = bed.client("dee").await.audit_events(&query).await.unwrap().items;
    let told: Vec<_> = trail.iter().map(|event| event.summary.as_str()).collect();
    assert_eq!(
        told,
        [
            "ana connected to orders/write from 192.0.2.7:51112 by way of gw (recorded)",
            "chunk 0 of its recording is stored: up to line 0",
            "ana ends it: wrong database",
            "it is over: somebody ended it; its recording has no end",
        ]
    );
}

#[tokio::test]
async fn others_sessions_are_listed_for_who_may_see_their_grant() {
    let bed = Bed::start().await;
    let grant = granted(&bed).await;
    let first = open(&bed, grant, "orders/write").await;
    let second = open(&bed, grant, "orders/write").await;
    let engine = bed.server.engine();
    engine.close_session(first, Reason::Left, None).await.unwrap();
    let all = SessionQuery::default();
    let of_grant = SessionQuery {
        grant: Some(grant.to_string()),
        ..SessionQuery::default()
    };
    let live = SessionQuery {
        live: Some(true),
        ..SessionQuery::default()
    };
    for (who, expected, under_grant) in [
        ("ana", 2, Some(2)),
        ("dee", 2, Some(2)),
        ("root", 2, Some(2)),
        // Who approved it finds them by the grant.
        ("bo", 0, Some(2)),
        ("robot", 0, None),
    ] {
        let client = bed.client(who).await;
        assert_eq!(listed(&client, all.clone()).await.len(), expected, "{who}");
        match under_grant {
            Some(count) => assert_eq!(listed(&client, of_grant.clone()).await.len(), count, "{who}"),
            None => {
                let refused = client.sessions(&of_grant).await.unwrap_err();
                assert_eq!(code(refused), Code::NotFound.into(), "{who}");
            }
        }
    }
    let dee = bed.client("dee").await;
    assert_eq!(listed(&dee, live).await, [second]);
    found_by_person_and_resource(&bed).await;
    said_who_may_end(&bed, &of_grant, second).await;
    let mine = SessionQuery {
        mine: Some(true),
        ..SessionQuery::default()
    };
    assert_eq!(listed(&dee, mine).await, []);
    let one = SessionQuery {
        limit: Some(1),
        ..SessionQuery::default()
    };
    let page = dee.sessions(&one).await.unwrap();
    let rest = SessionQuery {
        cursor: page.next.clone(),
        ..one
    };
    assert_eq!(
        (page.items[0].id, listed(&dee, rest).await),
        (second, vec![first])
    );
}

async fn found_by_person_and_resource(bed: &Bed) {
    // By whose they are and where: whoever sees only their own finds nobody else's.
    let of = |holder: Option<&str>, resource: Option<&str>| SessionQuery {
        holder: holder.map(str::to_owned),
        resource: resource.map(str::to_owned),
        ..SessionQuery::default()
    };
    for (who, query, expected) in [
        ("dee", of(Some("ana"), None), 2),
        ("dee", of(Some("ana"), Some("orders")), 2),
        ("dee", of(None, Some("staging")), 0),
        ("dee", of(Some("bo"), None), 0),
        ("dee", of(Some("nobody"), None), 0),
        ("ana", of(Some("ana"), None), 2),
        ("bo", of(Some("ana"), None), 0),
    ] {
        let client = bed.client(who).await;
        assert_eq!(
            listed(&client, query.clone()).await.len(),
            expected,
            "{who} {query:?}"
        );
    }
}

async fn said_who_may_end(bed: &Bed, of_grant: &SessionQuery, second: SessionId) {
    // Who may end one is told so, of those that are open.
    for (who, may) in [("ana", true), ("bo", true), ("root", true), ("dee", false)] {
        let found = bed.client(who).await.sessions(of_grant).await.unwrap().items;
        for session in found {
            assert_eq!(session.endable, may && session.id == second, "{who}");
        }
    }
}

#[tokio::test]
async fn a_token_ends_its_owners_sessions_and_others_only_where_it_may_manage() {
    let bed = Bed::start().await;
    let grant = granted(&bed).await;
    let kill = json!({"reason": "enough"});
    for (who, scopes, expected) in [
        ("ana", &["read"][..], Some(Code::Forbidden)),
        ("ana", &["request"], None),
        ("root", &["request"], Some(Code::Forbidden)),
        ("root", &["request", "manage"], None),
    ] {
        let id = open(&bed, grant, "orders/write").await.to_string();
        let token = bed.api_token(who, scopes).await;
        let call = bed.call(Route::KillSession, &[&id], Some(&token)).json(&kill);
        let answer = call.send().await.unwrap();
        match expected {
            None => assert_eq!(answer.status().as_u16(), 200, "{who} {scopes:?}"),
            Some(code) => assert_eq!(problem(answer).await.code, code.into(), "{who} {scopes:?}"),
        }
    }
}

#[tokio::test]
async fn who_is_watched_is_not_told_so() {
    let bed = Bed::start().await;
    let grant = granted(&bed).await;
    let id = open(&bed, grant, "orders/write").await;
    bed.log_with("session.opened").await;
    let (ana, dee) = (bed.client("ana").await, bed.client("dee").await);
    let (mut told, mut all) = (ana.events(None).await.unwrap(), dee.events(None).await.unwrap());
    let engine = bed.server.engine();
    let person = engine.find("dee").unwrap();
    let caller = Caller {
        person: person.id,
        role: person.role,
        via: Via::Session {
            confirmed_at: Timestamp::EPOCH,
        },
    };
    engine.note_watched(caller, id).await.unwrap();
    engine.note_replayed(caller, id).await.unwrap();
    engine.close_session(id, Reason::Left, None).await.unwrap();
    assert_eq!(next(&mut told).await.name, "session.closed");
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(next(&mut all).await.name);
    }
    assert_eq!(seen, ["session.watched", "session.replayed", "session.closed"]);
}
