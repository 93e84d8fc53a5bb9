//! What only a file can show: one process at a time, and what survives the end of it.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use daypass_core::id::RequestId;
use daypass_core::time::Timestamp;
use daypass_store::{Clock, Error, Store};
use tempfile::TempDir;

use crate::story::*;

fn clock() -> Clock {
    Arc::new(|| Timestamp::from_micros(1_772_884_800_000_000))
}

async fn open(path: &Path) -> Result<Store, Error> {
    Store::open_sqlite(path, clock(), "test").await
}

fn numbered(n: u32) -> Asked {
    let mut bytes = [0; 10];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    Asked {
        id: RequestId::from_bytes(bytes),
        ..Asked::new(1, &[1])
    }
}

#[tokio::test]
async fn a_second_store_on_the_same_file_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.sqlite");
    let first = open(&path).await.unwrap();
    let Err(Error::Locked(told)) = open(&path).await else {
        panic!("two stores on one file")
    };
    assert!(told.contains("another Daypass server uses"), "{told}");
    // By another name too.
    #[cfg(unix)]
    {
        let link = folder.path().join("link.sqlite");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(open(&link).await, Err(Error::Locked(_))));
    }
    ask(&first, Asked::new(1, &[1])).await.unwrap();
    drop(first);
    let second = open(&path).await.unwrap();
    assert!(second.request(request_id(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_store_keeps_the_id_that_it_was_made_with() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.sqlite");
    drop(Store::open_sqlite(&path, clock(), "first").await.unwrap());
    assert_eq!(
        Store::open_sqlite(&path, clock(), "second")
            .await
            .unwrap()
            .installation(),
        "first"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().unwrap();
    let store = open(&folder.path().join("store.sqlite")).await.unwrap();
    ask(&store, Asked::new(1, &[1])).await.unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o077,
            0,
            "{:?}",
            file.file_name()
        );
    }
}

#[tokio::test]
async fn what_is_no_store_is_not_opened() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(
        &path,
        "these are my notes, and there are more than a hundred bytes of them, ".repeat(40),
    )
    .unwrap();
    assert!(matches!(open(&path).await, Err(Error::Corrupt(_))));
    assert!(matches!(
        open(&folder.path().join("no/such/folder.sqlite")).await,
        Err(Error::Unavailable(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_is_finished_when_the_store_is_let_go() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.sqlite");
    let store = open(&path).await.unwrap();
    let mut waiting: Vec<_> = (0..50)
        .map(|n| {
            let store = store.clone();
            Box::pin(async move { ask(&store, numbered(n)).await })
        })
        .collect();
    // Each is sent on its way, and nobody waits for the answer.
    for future in &mut waiting {
        let _ = futures_util::poll!(future);
    }
    drop(waiting);
    drop(store);
    let store = open(&path).await.unwrap();
    assert_eq!(store.load_world().await.unwrap().requests.len(), 50);
    store.verify().await.unwrap();
}

/// The process whose end the next test is about: it asks until it is killed, and says what was answered.
#[tokio::test]
#[ignore = "runs as the child of what_was_answered_survives_a_kill"]
async fn child_that_is_killed() {
    let Some(path) = std::env::var_os("DAYPASS_TEST_STORE").map(PathBuf::from) else {
        return;
    };
    let store = open(&path).await.unwrap();
    for n in 0.. {
        let made = ask(&store, numbered(n)).await.unwrap();
        println!("made {}", made.world.requests.keys().next().unwrap());
        if n % 7 == 0 {
            store.sequence(5).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.sqlite");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "sqlite_file::child_that_is_killed",
        "--exact",
        "--ignored",
        "--nocapture",
    ]);
    command.env("DAYPASS_TEST_STORE", &path).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let made = lines
        .map(Result::unwrap)
        .filter_map(|line| Some(line.split_once("made ")?.1.to_owned()));
    let told: BTreeSet<RequestId> = made.take(60).map(|id| id.parse().unwrap()).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(told.len(), 60);
    let store = open(&path).await.unwrap();
    let world = store.load_world().await.unwrap();
    assert!(
        told.iter().all(|id| world.requests.contains_key(id)),
        "what was answered is there"
    );
    let verified = store.verify().await.unwrap();
    assert_eq!(
        verified.head.size + verified.waiting,
        world.requests.len() as u64,
        "an event for each, and no other"
    );
    while !store.sequence(100).await.unwrap().is_empty() {}
    assert_eq!(store.verify().await.unwrap().waiting, 0);
}
