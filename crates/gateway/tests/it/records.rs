//! What happened is recorded: all of it, what it did, and no password.

use std::collections::BTreeMap;
use std::time::Duration;

use daypass_gateway::Limits;
use daypass_gateway::control::{OnFailure, Reason, Which};
use daypass_gateway::postgres::target::Guardrails;
use daypass_gateway::record::{Outcome, Value, What};

use crate::raw::{Raw, query};
use crate::world::{World, for_a_while, now, soon};

fn done(tags: &[&str]) -> Outcome {
    Outcome::Done(tags.iter().map(|tag| (*tag).to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_recorded_with_what_it_did() {
    let world = World::start().await;
    let client = world.connect().await;
    client
        .batch_execute("CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 5)")
        .await
        .unwrap();
    client.query("SELECT n FROM t WHERE n > $1", &[&2]).await.unwrap();
    client.execute("UPDATE t SET n = n + 1", &[]).await.unwrap();
    assert!(client.query("SELECT 1 / (n - n) FROM t", &[]).await.is_err());
    assert!(client.query("SELECT * FROM nothing", &[]).await.is_err());
    client.simple_query("SELECT pg_sleep(0.2)").await.unwrap();
    drop(client);
    world.judge.closings(1).await;
    let all = world.judge.statements();
    let seen: Vec<_> = all
        .iter()
        .map(|one| (&*one.text, one.rows, one.outcome.clone()))
        .collect();
    let failed = |code: &str| Outcome::Failed(code.to_owned());
    assert_eq!(
        seen,
        [
            (
                "CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 5)",
                5,
                done(&["CREATE TABLE", "INSERT 0 5"])
            ),
            ("SELECT n FROM t WHERE n > $1", 3, done(&["SELECT 3"])),
            ("UPDATE t SET n = n + 1", 5, done(&["UPDATE 5"])),
            ("SELECT 1 / (n - n) FROM t", 0, failed("22012")),
            ("SELECT * FROM nothing", 0, failed("42P01")),
            ("SELECT pg_sleep(0.2)", 1, done(&["SELECT 1"])),
        ]
    );
    let slow = all.last().unwrap().took;
    assert!(
        (Duration::from_millis(200)..Duration::from_secs(10)).contains(&slow),
        "{slow:?}"
    );
    assert!(
        all.iter().all(|one| one.values.is_none()),
        "values are not asked for"
    );
    let numbers: Vec<_> = world
        .judge
        .records()
        .iter()
        .map(|(_, record)| record.number)
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_recorded_where_they_are_asked_for() {
    let world = World::ruled(|rules| rules.recording.values = true).await;
    let client = world.connect().await;
    let text = "SELECT $1::text, $2::int4, $3::text";
    client.query(text, &[&"ada", &7, &None::<&str>]).await.unwrap();
    client
        .query(text, &[&"x".repeat(5_000), &8, &"bo"])
        .await
        .unwrap();
    let two = |judge: &crate::control::Judge| {
        let all = judge.statements();
        (all.len() == 2).then_some(all)
    };
    let all = world.judge.until("two records", two).await;
    let values = |index: usize| all[index].values.clone().unwrap().to_vec();
    // tokio-postgres sends all values in binary form.
    assert_eq!(
        values(0),
        [
            Value::Binary("616461".to_owned()),
            Value::Binary("00000007".to_owned()),
            Value::Null
        ]
    );
    assert_eq!(values(1)[0], Value::Cut("78".repeat(4_096)));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_recorded() {
    let world = World::start().await;
    let client = world.connect().await;
    assert!(
        client
            .simple_query("ALTER ROLE dp_ada PASSWORD 'hunter2'; SELECT 1/0")
            .await
            .is_err()
    );
    assert!(
        client
            .query("ALTER ROLE dp_nobody PASSWORD 'hunter2'", &[])
            .await
            .is_err()
    );
    drop(client);
    world.judge.closings(1).await;
    let lines = world.judge.records();
    let all: String = lines.iter().map(|(_, record)| record.line()).collect();
    assert!(!all.contains("hunter2"), "{all}");
    assert!(all.contains("ALTER ROLE dp_ada PASSWORD '***'"), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_statement_is_recorded_and_does_not_reach_the_target() {
    let rails = Guardrails {
        read_only: false,
        no_ddl: true,
        qualified: true,
    };
    let world = World::ruled(|rules| rules.guardrails = rails).await;
    world
        .target("CREATE TABLE t AS SELECT 1 AS n; GRANT ALL ON t TO dp_ada")
        .await;
    let said = world.fails("DELETE FROM t").await;
    assert!(
        said.contains("ERROR:  42501: refused by a guardrail of this access: DELETE without a condition"),
        "{said}"
    );
    let client = world.connect().await;
    let error = client.query("DELETE FROM t", &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42501");
    let error = client.execute("DROP TABLE t", &[]).await.unwrap_err();
    assert!(error.as_db_error().unwrap().message().contains("no DDL: DROP"));
    assert_eq!(
        client.execute("DELETE FROM t WHERE n = $1", &[&1]).await.unwrap(),
        1
    );
    drop(client);
    let closings = world.judge.closings(2).await;
    assert_eq!(
        closings
            .iter()
            .map(|closing| closing.counters.refused)
            .sum::<u64>(),
        3
    );
    let outcome = |text: &str| {
        let all = world.judge.statements();
        let found = all
            .iter()
            .filter(|one| &*one.text == text)
            .map(|one| one.outcome.clone());
        found.collect::<Vec<_>>()
    };
    assert!(matches!(
        outcome("DELETE FROM t").as_slice(),
        [Outcome::Refused(_), Outcome::Refused(_)]
    ));
    assert!(matches!(
        outcome("DROP TABLE t").as_slice(),
        [Outcome::Refused(_)]
    ));
    assert_eq!(outcome("DELETE FROM t WHERE n = $1"), [done(&["DELETE 1"])]);
    let log = world.base.postgres.log().unwrap();
    assert!(!log.contains("STATEMENT:  DELETE FROM t\n") && !log.contains("DROP TABLE t\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_nothing_is_lost() {
    let world = World::start().await;
    let mut bench = world.program("pgbench");
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    std::fs::write(&script, "SELECT 1;\n").unwrap();
    bench
        .args(["-n", "-M", "prepared", "-c", "4", "-t", "500", "-f"])
        .arg(&script);
    bench.arg(world.conninfo("ada"));
    let output = crate::world::finish(bench).await;
    assert!(output.status.success(), "{}", crate::world::err(&output));
    // It has a fifth session, to look around: all of them are to be over.
    soon(world.gateway.drained()).await;
    let closings = world.judge.closings(4).await;
    assert!(closings.iter().all(|closing| closing.counters.unrecorded == 0));
    let mut sessions: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    for (session, record) in world.judge.records() {
        sessions.entry(session).or_default().push(record.number);
    }
    let selects = world
        .judge
        .statements()
        .iter()
        .filter(|one| one.text.starts_with("SELECT 1"))
        .count();
    let all: Vec<_> = world.judge.statements();
    let others: Vec<_> = all
        .iter()
        .filter(|one| !one.text.starts_with("SELECT 1"))
        .map(|one| &one.text)
        .collect();
    assert_eq!(selects, 2_000, "{} records in all; {others:?}", all.len());
    for numbers in sessions.values() {
        let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
        assert_eq!(*numbers, expected, "in their order, without a gap");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_waits_for_its_records() {
    let world = World::ruled(|rules| rules.sink_waits = true).await;
    let client = world.connect().await;
    let text = format!("SELECT 1 -- {}", "x".repeat(100_000));
    let many = async {
        for _ in 0..24 {
            client.simple_query(&text).await.unwrap();
        }
    };
    let mut many = Box::pin(many);
    // A mebibyte may be ahead: ten of them, and not twenty-four.
    assert!(
        for_a_while(Duration::from_millis(1_500), &mut many)
            .await
            .is_none(),
        "it ran ahead of its records"
    );
    world.judge.rules().sink_waits = false;
    world.judge.wake();
    soon(many).await;
    drop(client);
    let closing = world.judge.closings(1).await.remove(0);
    assert_eq!((closing.counters.recorded, closing.counters.unrecorded), (24, 0));
    assert_eq!(world.judge.statements().len(), 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_ends_or_goes_on_marked() {
    for on_failure in [OnFailure::End, OnFailure::GoOn] {
        let world = World::ruled(|rules| {
            rules.sink_fails = true;
            rules.recording.on_failure = on_failure;
        })
        .await;
        let mut client = world.connect().await;
        client.simple_query("SELECT 1").await.unwrap();
        if on_failure == OnFailure::End {
            let said = crate::life::last_words(&mut client).await;
            assert!(said.contains("could not be recorded any more"), "{said}");
        } else {
            world.judge.rules().sink_fails = false;
            client.simple_query("SELECT 2").await.unwrap();
            world.judge.rules().sink_fails = true;
            client.simple_query("SELECT 3").await.unwrap();
            drop(client);
        }
        let closing = world.judge.closings(1).await.remove(0);
        match on_failure {
            OnFailure::End => assert_eq!(closing.reason, Reason::RecordingFailed),
            OnFailure::GoOn => assert_eq!(closing.reason, Reason::Left),
        }
        assert!(closing.counters.unrecorded > 0, "{:?}", closing.counters);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_statements_of_a_session_that_is_cut_are_recorded_too() {
    let world = World::with(|_| {}, |settings| settings.plaintext = true, Limits::default()).await;
    let (mut raw, _) = Raw::login(&world).await;
    let all = [
        query("SELECT 1"),
        query("SELECT pg_sleep(600)"),
        query("SELECT 2"),
    ]
    .concat();
    raw.send(&all).await;
    assert_eq!(raw.answers().await, "TDCZ");
    let begun = now();
    world.judge.end(Which::Every, Reason::Killed("now".to_owned()));
    assert_eq!(raw.answers().await, "E[57P01]");
    assert!(begun.elapsed() < Duration::from_secs(5));
    world.judge.closings(1).await;
    let outcomes: Vec<_> = world
        .judge
        .statements()
        .into_iter()
        .map(|one| one.outcome)
        .collect();
    assert_eq!(outcomes, [done(&["SELECT 1"]), Outcome::Cut, Outcome::Cut]);
}

/// The numbers of all records, which must be whole, and how many are in them: statements, and those that are lost.
fn numbered(world: &World) -> (usize, u64) {
    let records = world.judge.records();
    let numbers: Vec<_> = records.iter().map(|(_, record)| record.number).collect();
    let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, expected);
    let lost = records.iter().map(|(_, record)| match &record.what {
        What::Lost(lost) => lost.records,
        _ => 0,
    });
    (world.judge.statements().len(), lost.sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_ahead_of_storage_asks_for_it_and_goes_on() {
    let world = World::ruled(|rules| rules.storage_lags = true).await;
    let client = world.connect().await;
    let text = format!("SELECT 1 -- {}", "x".repeat(100_000));
    for _ in 0..30 {
        client.simple_query(&text).await.unwrap();
        // What is taken and not stored counts too.
        assert!(world.judge.flushes().1 <= 10);
    }
    assert!(world.judge.flushes().0 > 0);
    drop(client);
    let closing = world.judge.closings(1).await.remove(0);
    assert_eq!((closing.counters.recorded, closing.counters.unrecorded), (30, 0));
    assert_eq!((closing.last_record, numbered(&world)), (30, (30, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_and_not_stored_is_sent_again_when_its_taker_dies() {
    let world = World::ruled(|rules| rules.storage_lags = true).await;
    let client = world.connect().await;
    for round in 0..3 {
        for number in 0..5 {
            let text = format!("SELECT {round}, {number}");
            client.simple_query(&text).await.unwrap();
        }
        let taken = |judge: &crate::control::Judge| (judge.flushes().1 >= 5).then_some(());
        world.judge.until("five are taken", taken).await;
        world.judge.sink_dies();
        assert_eq!(world.judge.flushes().1, 0);
    }
    drop(client);
    let closing = world.judge.closings(1).await.remove(0);
    assert_eq!((closing.counters.recorded, closing.counters.unrecorded), (15, 0));
    assert_eq!(numbered(&world), (15, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_while_a_session_goes_on_is_a_record_of_its_own() {
    // From the beginning: the recording could not begin.
    let world = World::ruled(|rules| {
        rules.sink_fails = true;
        rules.recording.on_failure = OnFailure::GoOn;
        rules.recording.begun = false;
    })
    .await;
    let client = world.connect().await;
    for number in 0..5 {
        client.simple_query(&format!("SELECT {number}")).await.unwrap();
    }
    world.judge.rules().sink_fails = false;
    let lost = |judge: &crate::control::Judge| judge.records().first().cloned();
    let (_, first) = world.judge.until("they are taken again", lost).await;
    assert!(
        matches!(first.what, What::Lost(lost) if lost.records == 5),
        "{first:?}"
    );
    client.simple_query("SELECT 'seen'").await.unwrap();
    world.judge.recorded("SELECT 'seen'").await;
    // And later.
    let before = world.judge.failures();
    world.judge.rules().sink_fails = true;
    // What is kept takes nearly all the room that there is, and is not to hold up what is lost.
    let kept = format!("SELECT 'kept' -- {}", "x".repeat(900_000));
    client.simple_query(&kept).await.unwrap();
    // Three tries, and the fourth comes when it is lost already what is new.
    let tried = |judge: &crate::control::Judge| (judge.failures() > before + 3).then_some(());
    world.judge.until("it is tried", tried).await;
    let long = format!("SELECT 1 -- {}", "x".repeat(200_000));
    for _ in 0..20 {
        soon(client.simple_query(&long)).await.unwrap();
    }
    world.judge.rules().sink_fails = false;
    world.judge.recorded(&kept).await;
    drop(client);
    let closing = world.judge.closings(1).await.remove(0);
    assert_eq!((closing.counters.recorded, closing.counters.unrecorded), (2, 25));
    assert_eq!((closing.last_record, numbered(&world)), (4, (2, 25)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_good_is_sent_once_and_ends_the_session() {
    let world = World::ruled(|rules| {
        rules.sink_fails = true;
        rules.sink_refuses = true;
        // Whatever the policy says of recordings that fail.
        rules.recording.on_failure = OnFailure::GoOn;
    })
    .await;
    let mut client = world.connect().await;
    let _ = client.simple_query("SELECT 1").await;
    let said = crate::life::last_words(&mut client).await;
    assert!(said.starts_with("57P01") && said.contains("recorded"), "{said}");
    let closing = world.judge.closings(1).await.remove(0);
    assert_eq!(closing.reason, Reason::RecordingFailed);
    assert_eq!((closing.counters.recorded, closing.counters.unrecorded), (0, 1));
    assert_eq!(world.judge.failures(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_recorded_and_is_not_does_not_begin() {
    let world = World::ruled(|rules| rules.recording.begun = false).await;
    let said = world.fails("SELECT 1").await;
    assert!(said.contains("Daypass cannot decide just now"), "{said}");
    assert_eq!(world.gateway.sessions(), 0);
    let log = world.base.postgres.log().unwrap();
    assert!(!log.contains(&format!("database={}", world.database)), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_too_long_for_a_line_is_cut_and_says_so() {
    let world = World::ruled(|rules| rules.recording.longest_line = 8 * 1024).await;
    let client = world.connect().await;
    let text = format!("SELECT 1 -- {}", "x".repeat(100_000));
    client.simple_query(&text).await.unwrap();
    drop(client);
    world.judge.closings(1).await;
    let (_, record) = world.judge.records().remove(0);
    assert!(record.line().len() <= 8 * 1024);
    let kept = world.judge.statements()[0].text.len() as u64;
    assert_eq!(record.cut.unwrap().text.unwrap().bytes, text.len() as u64 - kept);
}
