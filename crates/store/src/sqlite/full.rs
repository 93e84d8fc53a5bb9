//! A disk that fills up, and room that is made again. It needs the writing connection, so it is tested in here.

use std::path::Path;
use std::sync::Arc;

use daypass_core::event::{Actor, Subject, What};
use daypass_core::id::PersonId;
use daypass_core::person::{Change, Kind, Person};
use daypass_core::text::Prose;
use daypass_core::time::Timestamp;
use futures_util::future::join_all;

use crate::{Error, Outcome, Scope, Store};

async fn open(path: &Path) -> Store {
    Store::open_sqlite(path, Arc::new(|| Timestamp::EPOCH), "test")
        .await
        .unwrap()
}

/// No more pages than this, or no more than there are.
async fn limit(store: &Store, pages: Option<u32>) {
    let pages = pages.unwrap_or(1);
    let done = store.write(move |link| {
        Box::pin(async move {
            link.rows(&format!("PRAGMA max_page_count = {pages}"), &[])
                .await
                .map(drop)
        })
    });
    done.await.unwrap();
}

async fn add(store: &Store, n: u16) -> Result<(), Error> {
    let mut bytes = [0; 10];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    let id = PersonId::from_bytes(bytes);
    let login = format!("person-{n}");
    let person = Person::new(
        id,
        Kind::Person,
        Prose::new([1; 16], login.clone()),
        Prose::new([2; 16], format!("{n:04096}")),
    );
    let decide = move |_: &_, _| {
        let added = What::Person(Change::Added { person });
        Ok(Outcome::one(Actor::System, Subject::Person(id), added))
    };
    store
        .transition(Scope::NewPerson { id, login }, decide)
        .await
        .map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_recovers() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("store.sqlite");
    let store = open(&path).await;
    add(&store, 0).await.unwrap();
    limit(&store, None).await;
    let mut kept = 1;
    for n in 1..100 {
        match add(&store, n).await {
            Ok(()) => kept += 1,
            Err(error) => assert_eq!(error, Error::Full),
        }
    }
    assert!(kept < 50, "the disk never filled up");
    assert_eq!(
        store.people().await.unwrap().len(),
        kept,
        "what was refused is not there, what was answered is"
    );
    store.verify().await.unwrap();

    // Many at once: some may still fit; each is answered as it is.
    let answers = join_all((100..200).map(|n| add(&store, n))).await;
    kept += answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(answers.contains(&Err(Error::Full)));
    assert_eq!(store.people().await.unwrap().len(), kept);
    store.verify().await.unwrap();

    limit(&store, Some(100_000)).await;
    add(&store, 1000).await.unwrap();
    assert_eq!(store.people().await.unwrap().len(), kept + 1);
    store.verify().await.unwrap();
    drop(store);
    let store = open(&path).await;
    assert_eq!(store.people().await.unwrap().len(), kept + 1);
    store.verify().await.unwrap();
}
