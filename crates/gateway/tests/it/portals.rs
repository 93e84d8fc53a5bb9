//! The extended protocol in parts: what is bound and not executed, fetched in parts, fails at the end of its batch, and what
//! guardrails make of a batch.

use daypass_gateway::Limits;
use daypass_gateway::record::Outcome;

use crate::raw::{Raw, extended, frame, query, sync};
use crate::world::World;

fn done(tags: &[&str]) -> Outcome {
    Outcome::Done(tags.iter().map(|tag| (*tag).to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_come_to_its_end_says_what_it_did() {
    let world = World::with(|_| {}, |settings| settings.plaintext = true, Limits::default()).await;
    let (mut raw, _) = Raw::login(&world).await;
    let table = "CREATE TABLE t (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)";
    raw.send(&query(table)).await;
    assert_eq!(raw.answers().await, "CZ");
    let string = "BEGIN; INSERT INTO t VALUES (1); COMMIT; SELECT 1/0";
    raw.send(&query(string)).await;
    assert_eq!(raw.answers().await, "CCCE[22012]Z");
    let twice = "INSERT INTO t VALUES (1)";
    raw.send(&[extended(twice), sync()].concat()).await;
    assert_eq!(raw.answers().await, "12CE[23505]Z");
    // The target keeps answers back until there are some kilobytes of them.
    let waits = "BEGIN; INSERT INTO t VALUES (2); COMMIT; SELECT repeat('x', 9000) FROM generate_series(1, 5); SELECT pg_sleep(600)";
    raw.send(&query(waits)).await;
    for kind in *b"CCCTD" {
        assert_eq!(raw.message().await.unwrap().0, kind);
    }
    drop(raw);
    world.judge.closings(1).await;
    let all = world.judge.statements();
    let seen: Vec<_> = all
        .iter()
        .skip(1)
        .map(|one| (&*one.text, one.before.join(", "), one.outcome.clone()))
        .collect();
    let failed = |code: &str| Outcome::Failed(code.to_owned());
    let committed = || "BEGIN, INSERT 0 1, COMMIT".to_owned();
    // The last of them may be kept back.
    let waited = all.last().unwrap().before.join(", ");
    assert!(waited.starts_with(&committed()), "{waited}");
    let end = "(the end of a batch: what it did and had not committed is undone)";
    assert_eq!(
        seen,
        [
            (string, committed(), failed("22012")),
            (twice, String::new(), done(&["INSERT 0 1"])),
            (end, String::new(), failed("23505")),
            (waits, waited, Outcome::Cut),
        ]
    );
    let line = world.judge.records()[1].1.line();
    assert!(
        line.contains(r#""done":["BEGIN","INSERT 0 1","COMMIT"],"failed":"22012""#),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_fetched_in_parts_is_recorded_in_parts() {
    let world = World::with(|_| {}, |settings| settings.plaintext = true, Limits::default()).await;
    let (mut raw, _) = Raw::login(&world).await;
    let text = "SELECT generate_series(1, 5)";
    let two = || frame(b'E', b"\0\0\0\0\x02");
    let parse = frame(b'P', &[b"\0", text.as_bytes(), b"\0\0\0"].concat());
    let bind = frame(b'B', b"\0\0\0\0\0\0\0\0");
    raw.send(&query("BEGIN")).await;
    assert_eq!(raw.answers().await, "CZ");
    raw.send(&[parse, bind, two(), sync()].concat()).await;
    assert_eq!(raw.answers().await, "12DDsZ");
    raw.send(&[two(), two(), sync()].concat()).await;
    assert_eq!(raw.answers().await, "DDsDCZ");
    drop(raw);
    world.judge.closings(1).await;
    let all = world.judge.statements();
    let parts = all.iter().filter(|one| &*one.text == text);
    let seen: Vec<_> = parts
        .map(|one| (one.goes_on, one.rows, one.outcome.clone()))
        .collect();
    assert_eq!(
        seen,
        [
            (false, 2, Outcome::Suspended),
            (true, 2, Outcome::Suspended),
            (true, 1, done(&["SELECT 1"])),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_planning_runs_is_recorded() {
    let world = World::with(|_| {}, |settings| settings.plaintext = true, Limits::default()).await;
    world
        .target(
            "CREATE TABLE seen (n int); GRANT ALL ON seen TO dp_ada;
             CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS 'INSERT INTO seen VALUES (1) RETURNING n';
             CREATE FUNCTION sneaks() RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN writes(); END'",
        )
        .await;
    let (mut raw, _) = Raw::login(&world).await;
    let parse = |text: &str| frame(b'P', &[b"\0", text.as_bytes(), b"\0\0\0"].concat());
    let bind = || frame(b'B', b"\0\0\0\0\0\0\0\0");
    raw.send(&[parse("SELECT sneaks()"), bind(), sync()].concat())
        .await;
    assert_eq!(raw.answers().await, "12Z");
    raw.send(&query("SELECT n FROM seen")).await;
    assert_eq!(raw.answers().await, "TDCZ", "it did something");
    drop(raw);
    world.judge.closings(1).await;
    let all = world.judge.statements();
    let seen: Vec<_> = all.iter().map(|one| (&*one.text, one.outcome.clone())).collect();
    assert_eq!(
        seen,
        [
            ("SELECT sneaks()", Outcome::Bound),
            ("SELECT n FROM seen", done(&["SELECT 1"]))
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn portals_that_nobody_executes_hold_nobody_up() {
    let world = World::with(|_| {}, |settings| settings.plaintext = true, Limits::default()).await;
    let (mut raw, _) = Raw::login(&world).await;
    let text = format!("SELECT 1 -- {}", "x".repeat(100_000));
    let parse = frame(b'P', &[b"s\0", text.as_bytes(), b"\0\0\0"].concat());
    let bind = |name: usize| {
        frame(
            b'B',
            &[name.to_string().as_bytes(), b"\0s\0\0\0\0\0\0\0"].concat(),
        )
    };
    let mut all = parse;
    (0..30).for_each(|name| all.extend(bind(name)));
    all.extend(sync());
    raw.send(&all).await;
    assert_eq!(raw.answers().await, format!("1{}Z", "2".repeat(30)));
    drop(raw);
    let closing = world.judge.closings(1).await.remove(0);
    assert_eq!((closing.counters.recorded, closing.counters.unrecorded), (30, 0));
    assert!(
        world
            .judge
            .statements()
            .iter()
            .all(|one| one.outcome == Outcome::Bound)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_with_a_backslash_is_refused_only_where_it_may_be_read_otherwise() {
    let world = World::with(
        |rules| rules.guardrails.qualified = true,
        |settings| settings.plaintext = true,
        Limits::default(),
    )
    .await;
    let (mut raw, _) = Raw::login(&world).await;
    let text = "SELECT '\\', 'ä'";
    let batch = |first: &str| [extended(first), extended(text), sync()].concat();
    for first in [
        "SELECT 1",
        "SELECT count(*), lower('X') FROM pg_class WHERE oid > 5",
    ] {
        raw.send(&batch(first)).await;
        assert_eq!(raw.answers().await, "12DC12DCZ", "{first}");
    }
    for first in [
        "SELECT set_config('standard_conforming' || '_strings', 'off', false)",
        "SELECT set_config('search_path', 'public', false)",
    ] {
        raw.send(&batch(first)).await;
        assert_eq!(raw.answers().await, "12DCE[42501]Z", "{first}");
    }
    // What was set in a batch that failed is taken back.
    raw.send(&[extended(text), sync()].concat()).await;
    assert_eq!(raw.answers().await, "12DCZ");
}
