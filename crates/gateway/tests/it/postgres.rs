//! What PostgreSQL itself does decides what a record must say: here it is asked.

use daypass_gateway::Limits;
use daypass_gateway::control::{Reason, Which};
use daypass_gateway::postgres::target::Guardrails;
use daypass_gateway::record::{Outcome, Statement, Value};

use crate::raw::{Raw, extended, frame, query, sync};
use crate::world::{World, for_a_while, now, soon};

async fn in_the_clear() -> World {
    World::with(|_| {}, |settings| settings.plaintext = true, Limits::default()).await
}

fn texts(all: &[Statement]) -> Vec<&str> {
    all.iter().map(|one| &*one.text).collect()
}

/// A table that refuses every COPY once it has asked for the data, and before it has read any.
async fn a_table_that_refuses(world: &World) {
    world
        .target(
            "CREATE TABLE t (n int); GRANT ALL ON t TO dp_ada;
             CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(0.3); RAISE EXCEPTION 'no'; END$$;
             CREATE TRIGGER no BEFORE INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION no()",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_hides_behind_a_copy_that_fails_before_it_reads() {
    let world = in_the_clear().await;
    a_table_that_refuses(&world).await;
    let copy = extended("COPY t FROM STDIN");
    let behind = [frame(b'c', b""), query("SELECT 'hidden'")].concat();
    for wait in [false, true] {
        let (mut raw, _) = Raw::login(&world).await;
        raw.send(&[copy.clone(), sync()].concat()).await;
        if wait {
            for expected in [b'1', b'2', b'G'] {
                assert_eq!(soon(raw.message()).await.unwrap().0, expected);
            }
        }
        raw.send(&behind).await;
        let answers = soon(raw.answers()).await;
        assert!(answers.ends_with("E[08P01]"), "{answers}");
    }
    let closings = world.judge.closings(2).await;
    assert!(closings.iter().all(|one| one.reason == Reason::ProtocolViolation));
    let all = world.judge.statements();
    let hidden: Vec<_> = all.iter().filter(|one| &*one.text == "SELECT 'hidden'").collect();
    assert_eq!(hidden.len(), 2, "{:?}", texts(&all));
    assert!(hidden.iter().all(|one| one.outcome == Outcome::Cut));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decent_client_goes_on_after_a_copy_that_fails_before_it_reads() {
    let world = in_the_clear().await;
    a_table_that_refuses(&world).await;
    let (mut raw, _) = Raw::login(&world).await;
    raw.send(&[extended("COPY t FROM STDIN"), sync()].concat()).await;
    raw.send(&[frame(b'd', b"1\n"), frame(b'c', b""), sync()].concat())
        .await;
    // The first Sync counts: there are two answers.
    assert_eq!(soon(raw.answers()).await, "12GE[P0001]Z");
    assert_eq!(soon(raw.answers()).await, "Z");
    raw.send(&query("SELECT 1")).await;
    assert_eq!(soon(raw.answers()).await, "TDCZ");
    drop(raw);
    world.judge.closings(1).await;
    let all = world.judge.statements();
    assert_eq!(texts(&all), ["COPY t FROM STDIN", "SELECT 1"]);
    assert_eq!(all[0].outcome, Outcome::Failed("P0001".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_name_stood_for_before_is_not_recorded_as_what_ran() {
    let world = in_the_clear().await;
    let (mut raw, _) = Raw::login(&world).await;
    raw.send(&[frame(b'P', b"a\0SELECT 'harmless'\0\0\0"), sync()].concat())
        .await;
    assert_eq!(raw.answers().await, "1Z");
    raw.send(&query("DEALLOCATE a; PREPARE a AS SELECT 'other'"))
        .await;
    assert_eq!(raw.answers().await, "CCZ");
    let run = [
        frame(b'B', b"\0a\0\0\0\0\0\0\0"),
        frame(b'E', b"\0\0\0\0\0"),
        sync(),
    ]
    .concat();
    raw.send(&run).await;
    assert_eq!(raw.answers().await, "2DCZ");
    drop(raw);
    world.judge.closings(1).await;
    let all = world.judge.statements();
    let certain: Vec<_> = all
        .iter()
        .filter(|one| !one.perhaps)
        .map(|one| &*one.text)
        .collect();
    assert_eq!(certain, ["DEALLOCATE a; PREPARE a AS SELECT 'other'"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_call_is_recorded_with_its_number_and_arguments() {
    let world = in_the_clear().await;
    let number: u32 = world
        .target("SELECT 'length(text)'::regprocedure::oid")
        .await
        .parse()
        .unwrap();
    let (mut raw, _) = Raw::login(&world).await;
    let body = [&number.to_be_bytes()[..], b"\0\0\0\x01\0\0\0\x03ada\0\0"].concat();
    raw.send(&frame(b'F', &body)).await;
    assert_eq!(raw.answers().await, "VZ");
    drop(raw);
    world.judge.closings(1).await;
    let all = world.judge.statements();
    assert!(
        all[0].text.contains(&format!("number {number},")),
        "{}",
        &*all[0].text
    );
    assert_eq!(all[0].values, Some([Value::Text("ada".to_owned())].into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_takes_all_the_room_for_records_goes_on() {
    let world = in_the_clear().await;
    let (mut raw, _) = Raw::login(&world).await;
    // Each takes more than a third of the room, and the target answers none of them before the Sync, or before it is asked to.
    let text = format!("SELECT 1 -- {}", "x".repeat(400_000));
    let batch = [extended(&text), extended(&text), extended(&text), sync()].concat();
    let mut answers = String::new();
    let both = async {
        raw.send(&batch).await;
        answers = raw.answers().await;
    };
    assert!(
        for_a_while(std::time::Duration::from_secs(10), both)
            .await
            .is_some(),
        "it waits for ever"
    );
    assert_eq!(answers, "12DC12DC12DCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_any_length_is_passed_on_and_the_session_goes_on() {
    let world = World::start().await;
    let client = world.connect().await;
    let text = "DO $$BEGIN RAISE EXCEPTION '%', repeat('x', 200000); END$$";
    let error = client.simple_query(text).await.unwrap_err();
    assert_eq!(error.as_db_error().unwrap().message().len(), 200_000);
    assert_eq!(
        client.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0),
        1
    );
    assert_eq!(
        world.judge.recorded(text).await.outcome,
        Outcome::Failed("P0001".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_and_rows_of_a_copy_are_recorded() {
    let world = in_the_clear().await;
    let (mut raw, _) = Raw::login(&world).await;
    raw.send(&query("CREATE TABLE t (n int)")).await;
    raw.answers().await;
    let data = [frame(b'd', b"1\n2\n"), frame(b'd', b"3\n"), frame(b'c', b"")].concat();
    raw.send(&[query("COPY t FROM STDIN"), data].concat()).await;
    assert_eq!(raw.answers().await, "GCZ");
    raw.send(&query("COPY t TO STDOUT")).await;
    assert_eq!(raw.answers().await, "HdddcCZ");
    drop(raw);
    world.judge.closings(1).await;
    let counts: Vec<_> = world
        .judge
        .statements()
        .iter()
        .map(|one| (one.rows, one.copied))
        .collect();
    assert_eq!(counts, [(0, 0), (3, 6), (3, 6)]);
}

/// Texts in which PostgreSQL reads `SELECT 'dropped'` as a statement of its own, and others may not.
const HIDING: &[&str] = &[
    "SELECT E'x'\n'\\''; DROP TABLE t; --'",
    "SELECT E'x'--y\r\t'\\''; DROP TABLE t; --'",
    "SELECT E'x' -- y\n -- z\n'\\''; DROP TABLE t; --'",
    "SELECT U&'x'\n'\\005c'; DROP TABLE t; --'",
    "SELECT 'x\\'; DROP TABLE t; --'",
    "SELECT N'x\\'; DROP TABLE t; --'",
    "SELECT 1$a$'$a$; DROP TABLE t; --'",
    "SELECT $a$'$A$'$a$; DROP TABLE t; --'",
    "SELECT /* /* */ ' */ 1; DROP TABLE t; --'",
    "SELECT 1 -- '\r; DROP TABLE t; --'",
    "SELECT 1 */*'*/ 1; DROP TABLE t; --'",
    "SELECT 1 AS a$b$; DROP TABLE t; --$b$",
    "SELECT 1 AS \"a'\"\"\"; DROP TABLE t; --'",
    "SELECT 1 AS \u{e9}$b$; DROP TABLE t; --$b$",
    "SELECT B'1' 'x'; DROP TABLE t; --'",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_hides_in_a_string_from_guardrails() {
    let rails = Guardrails {
        no_ddl: true,
        ..Guardrails::default()
    };
    let guarded = World::with(
        |rules| rules.guardrails = rails,
        |settings| settings.plaintext = true,
        Limits::default(),
    )
    .await;
    let free = in_the_clear().await;
    for world in [&guarded, &free] {
        let (mut raw, _) = Raw::login(world).await;
        let mut dropped = 0;
        for text in HIDING {
            world
                .target("DROP TABLE IF EXISTS t; CREATE TABLE t (n int); ALTER TABLE t OWNER TO dp_ada")
                .await;
            raw.send(&query(text)).await;
            let answers = raw.answers().await;
            let left = world.target("SELECT to_regclass('t') IS NOT NULL").await;
            if std::ptr::eq(world, &raw const guarded) {
                assert_eq!((answers.as_str(), left.as_str()), ("E[42501]Z", "t"), "{text}");
            } else {
                dropped += usize::from(left == "f");
            }
        }
        // Without guardrails they do what they hide, or PostgreSQL takes them for an error.
        assert!(
            std::ptr::eq(world, &raw const guarded) || dropped >= 12,
            "{dropped}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_waits_for_what_may_change_how_it_is_read() {
    let rails = Guardrails {
        no_ddl: true,
        ..Guardrails::default()
    };
    let world = World::with(
        |rules| rules.guardrails = rails,
        |settings| settings.plaintext = true,
        Limits::default(),
    )
    .await;
    world
        .target(
            "CREATE TABLE t (n int); ALTER TABLE t OWNER TO dp_ada;
             CREATE FUNCTION off() RETURNS text LANGUAGE sql AS $$SELECT set_config('standard_conforming_strings', 'off', false)$$",
        )
        .await;
    let (mut raw, _) = Raw::login(&world).await;
    // All at once: by the time that the second is read, the target says that strings are others now.
    let hidden = "SELECT '\\'; DROP TABLE t; --'";
    let other = "SELECT 'x\\''; DROP TABLE t; --'";
    raw.send(&[query("SELECT off()"), query(other), extended(hidden), sync()].concat())
        .await;
    assert_eq!(raw.answers().await, "TDCSZ");
    assert_eq!(raw.answers().await, "E[42501]Z");
    assert_eq!(raw.answers().await, "E[42501]Z");
    assert_eq!(world.target("SELECT count(*) FROM t").await, "0", "it is there");

    // Without the end of a batch the target does not say what changed, though all of it was answered.
    let (mut raw, _) = Raw::login(&world).await;
    raw.send(&[extended("SELECT off()"), query(other)].concat()).await;
    assert!(raw.answers().await.ends_with("E[42501]Z"));
    assert_eq!(world.target("SELECT count(*) FROM t").await, "0", "it is there");
}

/// What works on at the target.
const ACTIVE: &str = "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'dp_%' AND state = 'active' AND datname = current_database() AND pid <> pg_backend_pid()";

/// A statement that goes on when it is cancelled.
const STUBBORN: &str = "DO $$BEGIN LOOP BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END$$";

fn kill(world: &World) {
    world.judge.end(Which::Every, Reason::Killed("now".to_owned()));
}

/// Each commits by itself, and a cancellation stops one: the connection is terminated beside it, and not seconds later.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_pipelined_does_not_go_on_to_commit() {
    let world = in_the_clear().await;
    world
        .target("CREATE TABLE t (n int); ALTER TABLE t OWNER TO dp_ada")
        .await;
    let (mut raw, _) = Raw::login(&world).await;
    let all: Vec<u8> = (0..4000)
        .flat_map(|n| query(&format!("INSERT INTO t SELECT {n} FROM pg_sleep(0.001)")))
        .collect();
    raw.send(&all).await;
    assert_eq!(raw.answers().await, "CZ");
    kill(&world);
    soon(world.gateway.drained()).await;
    assert_eq!(world.target(ACTIVE).await, "0");
    let committed: u32 = world.target("SELECT count(*) FROM t").await.parse().unwrap();
    assert!(committed < 400, "{committed} went on to commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_was_sent_is_stopped_and_not_the_first_of_it_only() {
    let world = in_the_clear().await;
    let (mut raw, _) = Raw::login(&world).await;
    let all: Vec<u8> = (600..606)
        .flat_map(|n| query(&format!("SELECT pg_sleep({n})")))
        .collect();
    raw.send(&all).await;
    world.target_says(ACTIVE, "1").await;
    kill(&world);
    world.target_says(World::BACKENDS, "0").await;
    let closing = world.judge.closings(1).await.remove(0);
    assert!(!closing.counters.may_work);
    let all = world.judge.statements();
    assert_eq!(all.len(), 6);
    assert!(all.iter().all(|one| one.outcome == Outcome::Cut));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_stop_when_it_is_cancelled_is_terminated() {
    let world = in_the_clear().await;
    let (mut raw, _) = Raw::login(&world).await;
    raw.send(&query(STUBBORN)).await;
    world.target_says(ACTIVE, "1").await;
    kill(&world);
    assert_eq!(raw.answers().await, "E[57P01]");
    world.target_says(World::BACKENDS, "0").await;
    let closing = world.judge.closings(1).await.remove(0);
    assert!(!closing.counters.may_work);
    assert_eq!(world.judge.statements()[0].outcome, Outcome::Cut);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_stopped_is_said_to_go_on() {
    let world = World::with(
        |rules| rules.user = "dp_stuck".to_owned(),
        |settings| settings.plaintext = true,
        Limits::default(),
    )
    .await;
    world
        .target("CREATE ROLE dp_stuck LOGIN PASSWORD 'upstream-secret'")
        .await;
    let (mut raw, _) = Raw::login(&world).await;
    raw.send(&query(STUBBORN)).await;
    world.target_says(ACTIVE, "1").await;
    world.target("ALTER ROLE dp_stuck NOLOGIN").await;
    kill(&world);
    let closing = world.judge.closings(1).await.remove(0);
    assert!(closing.counters.may_work);
    assert_eq!(world.judge.statements()[0].outcome, Outcome::MayWork);
    assert_eq!(world.target(ACTIVE).await, "1", "it does");
    world
        .target("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dp_stuck'")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_hears_of_the_end_before_a_client_that_does_not_listen() {
    let world = in_the_clear().await;
    let (mut raw, _) = Raw::login(&world).await;
    // The client reads none of it: the goodbye has no room.
    raw.send(&query(
        "SELECT repeat('x', 100000) FROM generate_series(1, 1000000)",
    ))
    .await;
    world.target_says(ACTIVE, "1").await;
    let begun = now();
    kill(&world);
    world.target_says(World::BACKENDS, "0").await;
    assert!(
        begun.elapsed() < std::time::Duration::from_millis(1_900),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_task_is_dropped_leaves_nothing_running_and_its_record() {
    let world = in_the_clear().await;
    let (mut raw, _) = Raw::login(&world).await;
    let (_idle, _) = Raw::login(&world).await;
    raw.send(&query("SELECT pg_sleep(600)")).await;
    world.target_says(ACTIVE, "1").await;
    world.drop_what_serves();
    world.target_says(World::BACKENDS, "0").await;
    let closings = world.judge.closings(2).await;
    let may_work = closings.iter().filter(|one| one.counters.may_work).count();
    assert_eq!(may_work, 1, "nobody waited for it, and the other did nothing");
    assert_eq!(
        world.judge.recorded("SELECT pg_sleep(600)").await.outcome,
        Outcome::MayWork
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_and_does_not_read_gives_their_place_back() {
    let world = World::with(
        // More than the sockets between us hold.
        |rules| rules.ask = Some(vec!["x".repeat(64 << 20)]),
        |settings| settings.plaintext = true,
        Limits::default(),
    )
    .await;
    let raw = Raw::prove(&world).await;
    let gone = async {
        while world.gateway.sessions() == 0 {
            tokio::task::yield_now().await;
        }
        world.gateway.drained().await;
    };
    soon(gone).await;
    drop(raw);
}
