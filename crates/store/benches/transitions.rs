//! Durable transitions per second against peers that commit the same bytes: raw SQLite, and `pgbench -N` on PostgreSQL.
//!
//! Each round runs peer and store one after the other, so that both see the same machine; what counts is the ratio. Run it
//! with `cargo bench -p daypass-store`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot run says so by panicking"
)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use daypass_core::event::{Actor, Subject, What};
use daypass_core::id::PersonId;
use daypass_core::person::{Change, Kind, Person};
use daypass_core::text::Prose;
use daypass_core::time::Timestamp;
use daypass_store::{Outcome, PostgresOptions, PostgresTls, Scope, Store};
use daypass_testbed::Postgres;
use futures_util::future::join_all;
use tempfile::TempDir;

const ROUNDS: usize = 7;
const PEOPLE: u8 = 64;
const COMMITS: usize = 150;
/// About what an event of a person and its row take.
const BYTES: usize = 700;

#[tokio::main]
async fn main() {
    let folder = TempDir::new().unwrap();
    let clock = Arc::new(|| Timestamp::EPOCH);
    let file = Store::open_sqlite(&folder.path().join("store.sqlite"), clock, "bench")
        .await
        .unwrap();
    people(&file).await;
    let raw = raw_open(&folder.path().join("raw.sqlite"));
    let (mut one, mut many) = (Vec::new(), Vec::new());
    println!("SQLite: raw commits/s, transitions/s with 1 client, with 64 clients");
    for _ in 0..ROUNDS {
        let peer = rate(COMMITS, || raw_commits(&raw));
        let single = transitions(&file, 1, COMMITS).await;
        let group = transitions(&file, 64, COMMITS * 20).await;
        println!("  {peer:8.0} {single:8.0} {group:8.0}");
        one.push(single / peer);
        many.push(group / peer);
    }
    println!(
        "  ratio to raw: {} with 1 client, {} with 64",
        spread(one),
        spread(many)
    );
    postgres().await;
}

async fn postgres() {
    let server = Postgres::options().durable(true).start().unwrap();
    let database = server.create_database("bench").unwrap();
    let peer = server.create_database("pgbench").unwrap();
    let options = PostgresOptions {
        host: String::from("127.0.0.1"),
        port: server.port(),
        database,
        user: String::from("postgres"),
        password: Some(server.password().into()),
        tls: PostgresTls::Disabled,
        connections: 16,
        patience: Duration::from_secs(60),
    };
    let store = Store::open_postgres(&options, "bench").await.unwrap();
    people(&store).await;
    pgbench(&server, &peer, &["-i", "-q", "-s", "1"]);
    for clients in [1, 8] {
        let mut ratios = Vec::new();
        println!("PostgreSQL, {clients} clients: pgbench -N tps, transitions/s");
        for _ in 0..ROUNDS {
            let told = pgbench(
                &server,
                &peer,
                &["-N", "-T", "2", "-c", &clients.to_string(), "-j", "2"],
            );
            let tps = told.lines().find_map(|line| line.strip_prefix("tps = ")).unwrap();
            let tps: f64 = tps.split(' ').next().unwrap().parse().unwrap();
            let ours = transitions(&store, clients, COMMITS * 4).await;
            println!("  {tps:8.0} {ours:8.0}");
            ratios.push(ours / tps);
        }
        println!("  ratio: {}", spread(ratios));
    }
}

fn pgbench(server: &Postgres, database: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(server.installed().program("pgbench"));
    command.args(arguments).arg(server.url(database));
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The median with the smallest and largest.
fn spread(mut ratios: Vec<f64>) -> String {
    ratios.sort_by(f64::total_cmp);
    format!(
        "{:.2} ({:.2} to {:.2})",
        ratios[ratios.len() / 2],
        ratios[0],
        ratios[ratios.len() - 1]
    )
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn rate(count: usize, work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    f64::from(u32::try_from(count).unwrap()) / begun.elapsed().as_secs_f64()
}

fn raw_open(path: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).unwrap();
    let setup = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE a (id INTEGER PRIMARY KEY, b BLOB); \
                 CREATE TABLE c (id INTEGER PRIMARY KEY, d BLOB); INSERT INTO c VALUES (1, zeroblob(10));";
    connection.execute_batch(setup).unwrap();
    connection
}

fn raw_commits(connection: &rusqlite::Connection) {
    for n in 0..COMMITS {
        let bytes = vec![u8::try_from(n % 256).unwrap(); BYTES];
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        connection
            .prepare_cached("INSERT INTO a (b) VALUES (?1)")
            .unwrap()
            .execute([&bytes])
            .unwrap();
        connection
            .prepare_cached("UPDATE c SET d = ?1")
            .unwrap()
            .execute([&bytes])
            .unwrap();
        connection.execute_batch("COMMIT").unwrap();
    }
}

async fn people(store: &Store) {
    for n in 0..PEOPLE {
        let id = PersonId::from_bytes([n; 10]);
        let login = format!("person-{n}");
        let person = Person::new(
            id,
            Kind::Person,
            Prose::new([1; 16], login.clone()),
            Prose::new([2; 16], login.clone()),
        );
        let added = What::Person(Change::Added { person });
        let decide = move |_: &_, _| Ok(Outcome::one(Actor::System, Subject::Person(id), added));
        store
            .transition(Scope::NewPerson { id, login }, decide)
            .await
            .unwrap();
    }
}

/// So many transitions by so many clients, each on a row of its own.
#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
async fn transitions(store: &Store, clients: usize, count: usize) -> f64 {
    let begun = Instant::now();
    let tasks = (0..clients).map(|n| {
        let (store, id) = (
            store.clone(),
            PersonId::from_bytes([u8::try_from(n).unwrap(); 10]),
        );
        tokio::spawn(async move {
            for _ in 0..count / clients {
                let decide = move |_: &_, _| {
                    Ok(Outcome::one(
                        Actor::System,
                        Subject::Person(id),
                        What::Person(Change::Credentials),
                    ))
                };
                store.transition(Scope::Person(id), decide).await.unwrap();
            }
        })
    });
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
    f64::from(u32::try_from(count / clients * clients).unwrap()) / begun.elapsed().as_secs_f64()
}
