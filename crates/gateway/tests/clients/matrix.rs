//! What each client must see, and what must be recorded of it.

use std::fs;
use std::time::Duration;

use daypass_gateway::Limits;
use daypass_gateway::control::{Reason, Which};
use daypass_gateway::record::{Outcome, Statement};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::install;
use crate::told::{ENDS, Told};
use crate::world::{World, authority, now};

/// What a client is, and can.
struct Client {
    /// The login is bound to our certificate.
    binds: bool,
    /// It asks for a cancellation without TLS, which the operator may refuse; of the others no gateway has to take that.
    cancels_in_the_clear: bool,
    /// What it sees beside what all see, or instead of it.
    differs: Vec<(&'static str, Value)>,
    /// What all see and this one cannot do.
    lacks: &'static [&'static str],
    /// What it runs a hundred times without waiting for answers.
    piped: &'static str,
    /// Texts that must be recorded of this one, beside those of all.
    records: &'static [&'static str],
}

/// What every client sees.
fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("stranger", json!("refused")),
        ("simple", json!(42)),
        ("text", json!([42, "ä'x"])),
        ("binary", json!([42, "ä'x"])),
        // The transaction failed, nothing of it is left, and the connection goes on.
        ("failed", json!(["22012", 0])),
        // Rows that went in, their sum, and rows that came out.
        ("copy", json!([1000, 500_500, 1000])),
        ("rows", json!([100_000, 5_000_050_000_u64])),
        ("notify", json!("hello")),
        // The victim, the bystander, and the victim's next query.
        ("cancel", json!(["57014", "went well", 1])),
        ("pipeline", json!(4950)),
        ("pipeline fails", json!(["22012", 0])),
        ("refused", json!(["42501", 1000])),
        ("ending", Value::Null),
        ("ended", json!("57P01")),
        ("stays", json!(1)),
    ]
}

/// What is recorded of every client, and how each ended.
fn recorded() -> [(&'static str, Outcome); 5] {
    let done = |tag: &str| Outcome::Done(vec![tag.to_owned()]);
    [
        ("SELECT 6 * 7", done("SELECT 1")),
        ("SELECT 1 / 0", Outcome::Failed("22012".to_owned())),
        ("SELECT pg_sleep(50)", Outcome::Failed("57014".to_owned())),
        ("SELECT pg_sleep(4)", done("SELECT 1")),
        ("SELECT pg_sleep(60)", Outcome::Cut),
    ]
}

async fn check(command: Command, client: Client) {
    let world = World::with(
        |rules| rules.guardrails.qualified = true,
        |settings| settings.plain_cancel = client.cancels_in_the_clear,
        Limits::default(),
    )
    .await;
    let dir = tempfile::tempdir().unwrap();
    let stranger = dir.path().join("stranger.crt");
    fs::write(&stranger, authority().pem()).unwrap();
    let mut told = Told::start(command, &world, &stranger);
    told.until("ending").await;
    world
        .target_says(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query = 'SELECT pg_sleep(60)'",
            "1",
        )
        .await;
    let begun = now();
    world.judge.end(
        Which::Person(ENDS.into()),
        Reason::Revoked("bo: wrong ticket".to_owned()),
    );
    told.until("ended").await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    told.end().await;

    let mut expected = all();
    expected.retain(|(check, _)| {
        !client.lacks.contains(check) && client.differs.iter().all(|(other, _)| other != check)
    });
    expected.extend(client.differs);
    let expected: std::collections::BTreeMap<String, Value> = expected
        .into_iter()
        .map(|(check, saw)| (check.to_owned(), saw))
        .collect();
    assert_eq!(told.saw, expected);
    let closed = world.judge.closings(world.judge.leases().len()).await;
    assert!(closed.len() > 3, "{closed:?}");
    records(&world.judge.statements(), client.piped, client.records);
    let logins = world.judge.bound();
    assert!(
        !logins.is_empty() && logins.iter().all(|bound| *bound == client.binds),
        "{logins:?}"
    );
}

/// All that it ran was recorded, and how it ended.
fn records(all: &[Statement], piped: &str, texts: &[&str]) {
    let named = |text: &str| all.iter().filter(|one| &*one.text == text).collect::<Vec<_>>();
    for (text, outcome) in recorded() {
        let found = named(text);
        assert!(
            found.iter().any(|one| one.outcome == outcome),
            "{text}: {:?}",
            found.first().map(|one| &one.outcome)
        );
    }
    let refused = named("DELETE FROM things");
    assert!(
        !refused.is_empty()
            && refused
                .iter()
                .all(|one| matches!(one.outcome, Outcome::Refused(_)))
    );
    assert_eq!(named(piped).len(), 100, "one record for each");
    for text in texts {
        assert!(!named(text).is_empty(), "no record of {text}");
    }
    let copied = all
        .iter()
        .filter(|one| one.text.to_ascii_lowercase().starts_with("copy"));
    let copied: Vec<_> = copied.map(|one| (one.rows, one.copied > 0)).collect();
    assert_eq!(copied, [(1000, true), (1000, true)], "one in, one out");
    let many = all
        .iter()
        .filter(|one| one.text.starts_with("FETCH") || one.text.starts_with("SELECT n FROM generate_series"));
    assert_eq!(many.map(|one| one.rows).sum::<u64>(), 100_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn psycopg() {
    let client = Client {
        binds: true,
        cancels_in_the_clear: false,
        // TLS without asking first, and the newest version of the protocol that libpq knows.
        differs: vec![("direct", json!(1)), ("newest", json!(1))],
        lacks: &[],
        piped: "SELECT $1::int",
        records: &[
            "SELECT $1::int + 1, $2::text",
            "COPY things (n, word) FROM STDIN",
            "COPY things (n, word) TO STDOUT",
            "LISTEN news",
            "NOTIFY news, 'hello'",
        ],
    };
    check(install::python("psycopg_client.py").await, client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncpg() {
    let client = Client {
        binds: false,
        cancels_in_the_clear: false,
        // Its own time-out, by which it asks for a cancellation, is what its caller sees.
        differs: vec![("cancel", json!(["cancelled", "went well", 1]))],
        // It sends and takes binary values only.
        lacks: &["text"],
        piped: "INSERT INTO piped VALUES ($1)",
        records: &[
            "SELECT $1::int + 1, $2::text",
            "SELECT n FROM generate_series(1, 100000) n",
            "NOTIFY news, 'hello'",
        ],
    };
    check(install::python("asyncpg_client.py").await, client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_postgres() {
    let client = Client {
        binds: true,
        cancels_in_the_clear: true,
        differs: vec![],
        lacks: &[],
        piped: "SELECT $1::int AS n",
        records: &[
            "SELECT $1::int + 1 AS n, $2::text AS word",
            "COPY things (n, word) FROM STDIN",
            "SELECT n FROM generate_series(1, 100000) n",
        ],
    };
    check(install::node().await, client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pgx() {
    let client = Client {
        binds: true,
        cancels_in_the_clear: false,
        differs: vec![],
        lacks: &[],
        piped: "SELECT $1::int",
        records: &[
            "SELECT $1::int + 1, $2::text",
            "COPY things (n, word) TO STDOUT",
            "FETCH 1000 FROM many",
        ],
    };
    check(install::go("pgx").await, client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jdbc() {
    let client = Client {
        binds: true,
        cancels_in_the_clear: true,
        differs: vec![],
        lacks: &[],
        piped: "INSERT INTO piped VALUES ($1)",
        records: &[
            "SELECT $1::int + 1, $2::text",
            "COPY things (n, word) FROM STDIN",
            "SELECT n FROM generate_series(1, 100000) n",
            "NOTIFY news, 'hello'",
        ],
    };
    check(install::java().await, client).await;
}
