//! Another process's handle to a database in memory: what its gate lets through, what it stops, and whose answer it loses.

use std::sync::{Arc, Mutex};

use daypass_core::time::Timestamp;
use daypass_store::{Access, Error, Gate};
use futures_util::future::BoxFuture;

use crate::bench::Bench;
use crate::story::*;

/// Writes down what passes, and fails where it is told to.
#[derive(Default)]
struct Turnstile {
    passed: Mutex<Vec<(&'static str, Access)>>,
    fails: Mutex<Option<&'static str>>,
}

impl Turnstile {
    fn pass(&self, side: &'static str, access: Access) -> Result<(), Error> {
        self.passed.lock().unwrap().push((side, access));
        let fails = *self.fails.lock().unwrap();
        match fails.filter(|fails| *fails == side) {
            Some(side) => Err(Error::Unavailable(format!("closed {side}"))),
            None => Ok(()),
        }
    }

    fn fail(&self, side: &'static str) {
        *self.fails.lock().unwrap() = Some(side);
    }

    fn work(&self) {
        *self.fails.lock().unwrap() = None;
    }

    fn passed(&self) -> Vec<(&'static str, Access)> {
        std::mem::take(&mut self.passed.lock().unwrap())
    }
}

impl Gate for Turnstile {
    fn before(&self, access: Access) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move { self.pass("before", access) })
    }

    fn after(&self, access: Access) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move { self.pass("after", access) })
    }
}

const READ: [(&str, Access); 2] = [("before", Access::Read), ("after", Access::Read)];
const WRITTEN: [(&str, Access); 2] = [("before", Access::Write), ("after", Access::Write)];

#[tokio::test]
async fn every_access_passes_it_twice_and_reaches_the_same_database() {
    let (bench, gate) = (Bench::memory().await, Arc::new(Turnstile::default()));
    let beside = bench.store.beside(gate.clone()).unwrap();
    assert_eq!(beside.installation(), bench.store.installation());
    assert_eq!(gate.passed(), []);
    ask(&beside, Asked::new(1, &[1])).await.unwrap();
    assert_eq!(gate.passed(), WRITTEN);
    assert!(beside.request(request_id(1)).await.unwrap().is_some());
    assert_eq!(gate.passed(), READ);
    assert!(bench.store.request(request_id(1)).await.unwrap().is_some());
    assert_eq!(gate.passed(), [], "the other handle has a way of its own");
}

#[tokio::test]
async fn an_error_before_keeps_the_access_from_happening() {
    let (bench, gate) = (Bench::memory().await, Arc::new(Turnstile::default()));
    let beside = bench.store.beside(gate.clone()).unwrap();
    gate.fail("before");
    let asked = ask(&beside, Asked::new(1, &[1])).await;
    assert_eq!(
        asked.err(),
        Some(Error::Unavailable(String::from("closed before")))
    );
    let read = beside.request(request_id(1)).await;
    assert!(matches!(read, Err(Error::Unavailable(_))));
    assert_eq!(gate.passed(), [WRITTEN[0], READ[0]]);
    assert_eq!(bench.store.request(request_id(1)).await.unwrap(), None);
}

#[tokio::test]
async fn an_error_after_loses_the_answer_and_not_the_effect() {
    let (bench, gate) = (Bench::memory().await, Arc::new(Turnstile::default()));
    let beside = bench.store.beside(gate.clone()).unwrap();
    gate.fail("after");
    let asked = ask(&beside, Asked::new(1, &[1])).await;
    assert_eq!(
        asked.err(),
        Some(Error::Unavailable(String::from("closed after")))
    );
    assert_eq!(gate.passed(), WRITTEN);
    assert!(bench.store.request(request_id(1)).await.unwrap().is_some());
    gate.work();
    let again = ask(&beside, Asked::new(1, &[1])).await.unwrap();
    assert_eq!(again.events, [], "it was made the first time");
    bench.store.verify().await.unwrap();
}

/// What a process remembers ends with it; only what is in the database does not.
#[tokio::test]
async fn a_handle_beside_knows_only_what_is_in_the_database() {
    let (bench, gate) = (Bench::memory().await, Arc::new(Turnstile::default()));
    let told = bench.store.now().await.unwrap();
    let mut changes = bench.store.changes();
    let beside = bench.store.beside(gate).unwrap();
    ask(&beside, Asked::new(1, &[1])).await.unwrap();
    assert!(
        !changes.has_changed().unwrap(),
        "the sequencer of another process"
    );
    changes.mark_unchanged();
    let twin = bench.store.beside(Arc::new(Turnstile::default())).unwrap();
    bench.set_clock(Timestamp::EPOCH);
    assert_eq!(twin.now().await.unwrap(), told, "what is recorded");
}

#[tokio::test]
async fn only_a_database_in_memory_has_gates() {
    let bench = Bench::file().await;
    let beside = bench.store.beside(Arc::new(Turnstile::default()));
    assert!(matches!(beside.err(), Some(Error::Unavailable(_))));
}
