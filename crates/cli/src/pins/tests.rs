//! A server that shows one log, then another: what a client makes of it.

use std::path::Path;
use std::sync::{Arc, Mutex as Lock};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_api::client::Connection;
use daypass_api::log::{KeyLink, KeyLinks, ProvedEntry};
use daypass_api::route::{Route, path};
use daypass_api::{PROBLEM_JSON, Problem};
use daypass_tlog::key::Signer;
use daypass_tlog::proof::Proof;
use daypass_tlog::{Tree, leaf};

use daypass_api::log::CheckpointQuery;
use daypass_core::refusal::Code;
use daypass_tlog::key::Use;
use daypass_tlog::witness::Proposal;
use daypass_tlog::{Checkpoint, Note};

use super::*;
use crate::output::{Format, Streams};

mod given;
mod standing;

/// What a server has: its leaves, the seeds of the keys that sign them, and how one comes from one key to the next.
#[derive(Clone, Default)]
pub(crate) struct Has {
    leaves: Vec<Vec<u8>>,
    seeds: Vec<u8>,
    links: Vec<KeyLink>,
}

/// Nothing where it signs nothing.
pub(crate) type Log = Arc<Lock<Option<Has>>>;

pub(crate) fn signer(seed: u8) -> Signer {
    Signer::new("daypass/test".parse().unwrap(), Use::Note, [seed; 32].into()).unwrap()
}

pub(crate) fn tree(leaves: &[Vec<u8>]) -> Tree {
    leaves.iter().map(|bytes| leaf(bytes)).collect()
}

/// The hashes of a proof about these leaves.
pub(crate) fn built(proof: Proof, leaves: &[Vec<u8>]) -> Vec<daypass_tlog::Hash> {
    let part = |level: u8, index: u64| {
        let begin = usize::try_from(index << level).unwrap();
        tree(&leaves[begin..begin + (1 << level)]).head()
    };
    proof
        .build(|subtree| Some(part(subtree.level, subtree.index)))
        .unwrap()
}

pub(crate) fn signed(leaves: &[Vec<u8>], seeds: &[u8]) -> Note {
    let mut note = Note::new(Checkpoint::of("daypass/test", &tree(leaves)).to_string()).unwrap();
    for seed in seeds {
        note.sign(&signer(*seed), 0);
    }
    note
}

fn nothing() -> Response {
    let problem = Problem::new(Code::NotFound, "nothing of this log is signed (yet)");
    let body = serde_json::to_string(&problem).unwrap();
    (StatusCode::NOT_FOUND, [(CONTENT_TYPE, PROBLEM_JSON)], body).into_response()
}

async fn checkpoint(State(log): State<Log>, Query(query): Query<CheckpointQuery>) -> Response {
    let Some(Has { leaves, seeds, .. }) = log.lock().unwrap().clone() else {
        return nothing();
    };
    let note = signed(&leaves, &seeds);
    let Some(old) = query.from else {
        return note.to_string().into_response();
    };
    let size = u64::try_from(leaves.len()).unwrap();
    let proof = Proof::of_consistency(old, size).map_or(Vec::new(), |proof| built(proof, &leaves));
    Proposal { old, proof, note }.to_string().into_response()
}

async fn key(State(log): State<Log>) -> Response {
    match &*log.lock().unwrap() {
        Some(has) => format!("{}\n", signer(has.seeds[0]).verifier()).into_response(),
        None => nothing(),
    }
}

async fn links(State(log): State<Log>) -> Response {
    let links = log
        .lock()
        .unwrap()
        .as_ref()
        .map_or(Vec::new(), |has| has.links.clone());
    serde_json::to_string(&KeyLinks { links })
        .unwrap()
        .into_response()
}

/// A server with a log that a test can change.
async fn serve() -> (Log, Client) {
    serve_with(Router::new()).await
}

/// The same with more routes.
pub(crate) async fn serve_with(more: Router) -> (Log, Client) {
    let log = Log::default();
    let router = Router::new()
        .route(path::AUDIT_CHECKPOINT, get(checkpoint))
        .route(path::AUDIT_KEY, get(key))
        .route(path::AUDIT_KEY_LINKS, get(links))
        .route(path::LOCKS, get(async || "{\"items\": [], \"next\": null}"))
        .with_state(Arc::clone(&log))
        .merge(more);
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

pub(crate) fn shows(log: &Log, leaves: &[u8], seed: u8) {
    let leaves = leaves.iter().map(|byte| vec![*byte]).collect();
    *log.lock().unwrap() = Some(Has {
        leaves,
        seeds: vec![seed],
        links: Vec::new(),
    });
}

pub(crate) fn guard(home: &Path, client: &Client, given: &[u8]) -> Arc<PinGuard> {
    let out = Output {
        format: Format::Table,
        quiet: false,
        streams: Streams::default(),
    };
    let given = given.iter().map(|seed| signer(*seed).verifier().clone());
    PinGuard::new(home, client.server(), given.collect(), ACCEPT, out)
}

/// One command that asks for something, a while after the last: a minute is over for each of them.
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
    let asked = guarded.admitted(Route::AddRequest).await;
    asked.map_err(|error| match error {
        Error::Distrusted(found) => format!("{}\n{}", found.what, found.details.join("\n")),
        other => panic!("{other}"),
    })
}

pub(crate) fn size(home: &Path, client: &Client) -> Option<u64> {
    let pin = PinFile::new(home, client.server()).read().unwrap()?;
    Some(pin.log?.read().unwrap().checkpoint.size)
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
    // The right one again: nothing has to be accepted.
    shows(&log, b"abcdefgh", 1);
    command(home.path(), &client, &[]).await.unwrap();
    shows(&log, b"abcdefgX", 1);
    let told = command(home.path(), &client, &[]).await.unwrap_err();
    assert!(told.contains("two checkpoints of the same size"), "{told}");
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
    guarded.admitted(Route::AddRequest).await.unwrap();
    shows(&log, b"X", 1);
    guarded.admitted(Route::AddRequest).await.unwrap();
    let other = client.clone().guarded(guard(home.path(), &client, &[]));
    other.admitted(Route::AddRequest).await.unwrap();
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

#[tokio::test]
async fn in_doubt_it_is_said_and_access_is_still_taken_away() {
    let (log, client) = serve().await;
    let home = tempfile::tempdir().unwrap();
    shows(&log, b"abcdefg", 1);
    command(home.path(), &client, &[]).await.unwrap();
    shows(&log, b"abcd", 1);
    assert!(command(home.path(), &client, &[]).await.is_err());
    let guard = guard(home.path(), &client, &[]);
    let guarded = client.clone().guarded(Arc::clone(&guard) as Arc<dyn Guard>);
    guarded.locks().await.unwrap();
    assert!(guard.doubts().await);
    guarded.admitted(Route::Revoke).await.unwrap();
    for route in [Route::AddRequest, Route::Unlock, Route::Review] {
        let refused = guarded.admitted(route).await.unwrap_err();
        assert!(matches!(refused, Error::Distrusted(_)), "{refused}");
    }
    assert_eq!(size(home.path(), &client), Some(7), "the pin stays");
    let kept = std::fs::read_dir(home.path()).unwrap().flatten();
    let evidence = kept.filter(|entry| entry.file_name().to_string_lossy().contains(".evidence-"));
    assert_eq!(evidence.count(), 1);
}

#[tokio::test]
async fn a_log_that_is_not_shown_is_in_doubt_too() {
    let (log, client) = serve().await;
    let home = tempfile::tempdir().unwrap();
    shows(&log, b"abc", 1);
    command(home.path(), &client, &[]).await.unwrap();
    let file = PinFile::new(home.path(), client.server());
    let pin = file.read().unwrap().unwrap();
    file.put(&Pin {
        checked_at: Timestamp::EPOCH,
        ..pin
    })
    .unwrap();
    log.lock().unwrap().as_mut().unwrap().seeds.clear();
    let guard = guard(home.path(), &client, &[]);
    let guarded = client.clone().guarded(Arc::clone(&guard) as Arc<dyn Guard>);
    guarded.locks().await.unwrap();
    assert!(guard.doubts().await, "a host takes nothing of it");
    let refused = guarded.admitted(Route::AddRequest).await.unwrap_err();
    assert!(matches!(refused, Error::NotDaypass { .. }), "{refused}");
    shows(&log, b"abcd", 1);
    guarded.admitted(Route::AddRequest).await.unwrap();
    assert!(!guard.doubts().await);
}

/// These leaves, then the entry with which one key announces another; and the link that shows it.
fn announced(leaves: &[u8], (from, to): (u8, u8)) -> (Vec<Vec<u8>>, KeyLink) {
    let mut all: Vec<Vec<u8>> = leaves.iter().map(|byte| vec![*byte]).collect();
    let entry = json!({
        "subject": {"kind": "key", "id": "log"},
        "what": {"key": {"event": "staged", "next": signer(to).verifier().to_string()}},
    });
    let index = u64::try_from(all.len()).unwrap();
    all.push(entry.to_string().into_bytes());
    let proof = built(Proof::of_inclusion(index, index + 1).unwrap(), &all);
    let link = KeyLink {
        checkpoint: signed(&all, &[from]).to_string(),
        entry: ProvedEntry {
            index,
            entry: STANDARD.encode(all.last().unwrap()),
            proof: proof.iter().map(|hash| STANDARD.encode(hash)).collect(),
        },
    };
    (all, link)
}

fn pinned(home: &Path, client: &Client) -> (String, bool, u64) {
    let pin = PinFile::new(home, client.server()).read().unwrap().unwrap();
    let log = pin.log.unwrap();
    let size = log.read().unwrap().checkpoint.size;
    (log.key, log.beside_at.is_some(), size)
}

fn key_line(seed: u8) -> String {
    signer(seed).verifier().to_string()
}

#[tokio::test]
async fn a_rotated_key_is_gone_over_to_at_once_and_not_back() {
    let (log, client) = serve().await;
    let home = tempfile::tempdir().unwrap();
    shows(&log, b"abc", 1);
    command(home.path(), &client, &[]).await.unwrap();
    let (leaves, link) = announced(b"abc", (1, 2));
    let has = |more: &[u8], seeds: &[u8]| {
        let more = more.iter().map(|byte| vec![*byte]);
        *log.lock().unwrap() = Some(Has {
            leaves: leaves.iter().cloned().chain(more).collect(),
            seeds: seeds.to_vec(),
            links: vec![link.clone()],
        });
    };
    // Both sign.
    has(b"", &[1, 2]);
    command(home.path(), &client, &[]).await.unwrap();
    assert_eq!(pinned(home.path(), &client), (key_line(2), true, 4));
    // A server that lacks the new key signs with the former one alone: that counts, as far as the log goes on.
    has(b"d", &[1]);
    command(home.path(), &client, &[]).await.unwrap();
    assert_eq!(pinned(home.path(), &client), (key_line(2), true, 5));
    shows(&log, b"abcX", 1);
    assert!(command(home.path(), &client, &[]).await.is_err());
    has(b"de", &[1, 2]);
    command(home.path(), &client, &[]).await.unwrap();
    assert_eq!(pinned(home.path(), &client), (key_line(2), true, 6));
    // The former one is out of use, and whoever has it now is nobody.
    has(b"def", &[2]);
    command(home.path(), &client, &[]).await.unwrap();
    assert_eq!(pinned(home.path(), &client), (key_line(2), false, 7));
    has(b"defg", &[1]);
    let told = command(home.path(), &client, &[]).await.unwrap_err();
    assert!(told.contains("not signed by the key"), "{told}");
    // The former key's file is still what this user gives.
    has(b"defgh", &[2]);
    command(home.path(), &client, &[1]).await.unwrap();
    assert_eq!(pinned(home.path(), &client), (key_line(2), false, 9));
}

#[tokio::test]
async fn a_key_that_is_long_gone_leads_to_the_present_one_where_it_is_proved() {
    let (log, client) = serve().await;
    let (leaves, link) = announced(b"abc", (1, 2));
    let (mut whole, mut second) = announced(b"xyz", (2, 3));
    // The second rotation is in the same log.
    whole.splice(..3, leaves.iter().cloned().chain([b"d".to_vec(), b"e".to_vec()]));
    let index = u64::try_from(whole.len()).unwrap() - 1;
    let proof = built(Proof::of_inclusion(index, index + 1).unwrap(), &whole);
    second.checkpoint = signed(&whole, &[2]).to_string();
    second.entry.index = index;
    second.entry.proof = proof.iter().map(|hash| STANDARD.encode(hash)).collect();
    let shown = |links: Vec<KeyLink>| {
        *log.lock().unwrap() = Some(Has {
            leaves: whole.clone(),
            seeds: vec![3],
            links,
        });
    };
    let mut forged = link.clone();
    forged.entry.entry = second.entry.entry.clone();
    for (links, given, leads) in [
        (vec![link.clone(), second.clone()], &[][..], true),
        (vec![link.clone(), second.clone()], &[1], true),
        // One of a key that was stolen is not handed out, nor any before it.
        (Vec::new(), &[], false),
        (vec![second.clone()], &[], false),
        (vec![link.clone()], &[], false),
        (vec![forged, second.clone()], &[], false),
        (vec![link, second], &[4], false),
    ] {
        let home = tempfile::tempdir().unwrap();
        shows(&log, b"abc", 1);
        command(home.path(), &client, &[]).await.unwrap();
        shown(links);
        let outcome = command(home.path(), &client, given).await;
        assert_eq!(outcome.is_ok(), leads, "{given:?}: {outcome:?}");
        let expect = if leads {
            (key_line(3), false, 7)
        } else {
            (key_line(1), false, 3)
        };
        assert_eq!(pinned(home.path(), &client), expect);
    }
}
