//! A server that shows one log, then another: what a client makes of it.

use std::path::Path;
use std::sync::{Arc, Mutex as Lock};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use daypass_api::client::Connection;
use daypass_api::route::path;
use daypass_api::{PROBLEM_JSON, Problem};
use daypass_tlog::key::Signer;
use daypass_tlog::proof::Proof;
use daypass_tlog::{Tree, leaf};

use super::*;
use crate::output::{Format, Streams};

/// What the server has: its leaves, and the seed of the key that signs them. Nothing where it signs nothing.
type Log = Arc<Lock<Option<(Vec<u8>, u8)>>>;

fn signer(seed: u8) -> Signer {
    Signer::new("daypass/test".parse().unwrap(), Use::Note, [seed; 32].into()).unwrap()
}

fn tree(leaves: &[u8]) -> Tree {
    leaves.iter().map(|byte| leaf(&[*byte])).collect()
}

fn nothing() -> Response {
    let problem = Problem::new(Code::NotFound, "nothing of this log is signed (yet)");
    let body = serde_json::to_string(&problem).unwrap();
    (StatusCode::NOT_FOUND, [(CONTENT_TYPE, PROBLEM_JSON)], body).into_response()
}

async fn checkpoint(State(log): State<Log>, Query(query): Query<CheckpointQuery>) -> Response {
    let Some((leaves, seed)) = log.lock().unwrap().clone() else {
        return nothing();
    };
    let whole = tree(&leaves);
    let mut note = Note::new(Checkpoint::of("daypass/test", &whole).to_string()).unwrap();
    note.sign(&signer(seed), 0);
    let old = query.from.unwrap();
    let proof = Proof::of_consistency(old, whole.size()).map_or(Vec::new(), |proof| {
        let part = |level: u8, index: u64| {
            let begin = usize::try_from(index << level).unwrap();
            tree(&leaves[begin..begin + (1 << level)]).head()
        };
        proof
            .build(|subtree| Some(part(subtree.level, subtree.index)))
            .unwrap()
    });
    Proposal { old, proof, note }.to_string().into_response()
}

async fn key(State(log): State<Log>) -> Response {
    match *log.lock().unwrap() {
        Some((_, seed)) => format!("{}\n", signer(seed).verifier()).into_response(),
        None => nothing(),
    }
}

/// A server with a log that a test can change.
async fn serve() -> (Log, Client) {
    let log = Log::default();
    let router = Router::new()
        .route(path::AUDIT_CHECKPOINT, get(checkpoint))
        .route(path::AUDIT_KEY, get(key))
        .route(path::LOCKS, get(async || "{\"items\": [], \"next\": null}"))
        .with_state(Arc::clone(&log));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let client = Client::new(&Connection {
        server,
        ..Connection::default()
    })
    .unwrap();
    (log, client)
}

fn shows(log: &Log, leaves: &[u8], seed: u8) {
    *log.lock().unwrap() = Some((leaves.to_vec(), seed));
}

fn guard(home: &Path, client: &Client, given: &[u8]) -> Arc<PinGuard> {
    let out = Output {
        format: Format::Table,
        quiet: false,
        streams: Streams::default(),
    };
    let given = given.iter().map(|seed| signer(*seed).verifier().clone());
    PinGuard::new(home, client.server(), given.collect(), out)
}

/// One command a while after the last: a minute is over for each of them.
async fn command(home: &Path, client: &Client, given: &[u8]) -> Result<(), String> {
    let guard = guard(home, client, given);
    let file = PinFile::new(home, client.server());
    if let Ok(Some(pin)) = file.read() {
        file.put(&Pin {
            checked_at: Timestamp::EPOCH,
            ..pin
        })
        .unwrap();
    }
    let guarded = client.clone().guarded(guard);
    guarded.locks().await.map(drop).map_err(|error| match error {
        Error::Distrusted(found) => format!("{}\n{}", found.what, found.details.join("\n")),
        other => panic!("{other}"),
    })
}

fn size(home: &Path, client: &Client) -> Option<u64> {
    let pin = PinFile::new(home, client.server()).read().unwrap()?;
    Some(pin.log?.read().unwrap().1.size)
}

#[tokio::test]
async fn a_log_that_goes_on_moves_the_pin() {
    let (log, client) = serve().await;
    let home = tempfile::tempdir().unwrap();
    command(home.path(), &client, &[]).await.unwrap();
    assert_eq!(size(home.path(), &client), None, "nothing is signed there");
    for (leaves, seen) in [("abc", 3), ("abc", 3), ("abcdefg", 7), ("abcdefgh", 8)] {
        shows(&log, leaves.as_bytes(), 1);
        command(home.path(), &client, &[]).await.unwrap();
        assert_eq!(size(home.path(), &client), Some(seen));
    }
}

#[tokio::test]
async fn a_log_that_went_back_or_is_another_one_is_asked_nothing() {
    let (log, client) = serve().await;
    let home = tempfile::tempdir().unwrap();
    shows(&log, b"abcdefg", 1);
    command(home.path(), &client, &[]).await.unwrap();
    for (leaves, seed, says) in [
        ("abcde", 1, "went back"),
        ("abcdefX", 1, "two checkpoints of the same size"),
        ("abcdXfghij", 1, "does not go on"),
        ("abcdefg", 2, "not signed by the key"),
        ("abcdefgh", 2, "not signed by the key"),
    ] {
        shows(&log, leaves.as_bytes(), seed);
        let told = command(home.path(), &client, &[]).await.unwrap_err();
        assert!(told.contains(says), "{leaves}: {told}");
        assert!(told.contains("seen:  7 entries"), "{told}");
        assert_eq!(size(home.path(), &client), Some(7), "the pin stays");
    }
    *log.lock().unwrap() = None;
    let told = command(home.path(), &client, &[]).await.unwrap_err();
    assert!(told.contains("nothing of it is signed now"), "{told}");
    let kept = std::fs::read_dir(home.path()).unwrap().flatten();
    let evidence: Vec<_> = kept
        .filter(|entry| entry.file_name().to_string_lossy().contains(".evidence-"))
        .collect();
    assert_eq!(evidence.len(), 6, "each finding is kept");
    let fork = evidence
        .iter()
        .map(|entry| std::fs::read_to_string(entry.path()).unwrap())
        .find(|text| text.contains("two checkpoints"))
        .unwrap();
    let fork: serde_json::Value = serde_json::from_str(&fork).unwrap();
    for side in ["seen", "shown"] {
        let note = Note::parse(fork[side]["checkpoint"].as_str().unwrap().as_bytes()).unwrap();
        note.verify(signer(1).verifier()).unwrap();
    }
    // The right one again: nothing has to be accepted.
    shows(&log, b"abcdefgh", 1);
    command(home.path(), &client, &[]).await.unwrap();
}

#[tokio::test]
async fn a_key_that_was_given_wins() {
    let (log, client) = serve().await;
    let home = tempfile::tempdir().unwrap();
    shows(&log, b"abc", 1);
    let told = command(home.path(), &client, &[2]).await.unwrap_err();
    assert!(told.contains("that was given"), "{told}");
    command(home.path(), &client, &[]).await.unwrap();
    shows(&log, b"abcd", 2);
    command(home.path(), &client, &[1, 2]).await.unwrap();
    command(home.path(), &client, &[]).await.unwrap();
    assert_eq!(
        size(home.path(), &client),
        Some(4),
        "the key that was given is pinned"
    );
}

#[tokio::test]
async fn within_a_minute_nobody_looks_again() {
    let (log, client) = serve().await;
    let home = tempfile::tempdir().unwrap();
    shows(&log, b"abc", 1);
    let guarded = client.clone().guarded(guard(home.path(), &client, &[]));
    guarded.locks().await.unwrap();
    shows(&log, b"X", 1);
    guarded.locks().await.unwrap();
    let other = client.clone().guarded(guard(home.path(), &client, &[]));
    other.locks().await.unwrap();
    assert!(command(home.path(), &client, &[]).await.is_err());
}

#[tokio::test]
async fn two_commands_at_once_are_each_shown_one_log() {
    let (log, client) = serve().await;
    let home = tempfile::tempdir().unwrap();
    shows(&log, b"abc", 1);
    command(home.path(), &client, &[]).await.unwrap();
    let file = PinFile::new(home.path(), client.server());
    let before = file.read().unwrap();
    // Both compare with the same pin; one is shown another log than the other.
    let (one, other) = (guard(home.path(), &client, &[]), guard(home.path(), &client, &[]));
    shows(&log, b"abcde", 1);
    let first = one.compare(&client, before.as_ref(), edge::now()).await.unwrap();
    shows(&log, b"abcX", 1);
    let second = other
        .compare(&client, before.as_ref(), edge::now())
        .await
        .unwrap();
    assert_eq!(file.swap(before.as_ref(), &first), Ok(true));
    assert_eq!(file.swap(before.as_ref(), &second), Ok(false));
    // It compares anew with what the first has seen, and finds it out.
    assert!(other.compare(&client, Some(&first), edge::now()).await.is_err());
}

#[tokio::test]
async fn a_pin_that_cannot_be_read_is_not_taken_for_none() {
    let (log, client) = serve().await;
    let home = tempfile::tempdir().unwrap();
    shows(&log, b"abc", 1);
    std::fs::write(PinFile::new(home.path(), client.server()).path(), "x").unwrap();
    let told = command(home.path(), &client, &[]).await.unwrap_err();
    assert!(told.contains("cannot be read"), "{told}");
}
