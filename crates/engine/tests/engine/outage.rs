//! The store goes, and comes back: what is removed from memory meanwhile, and what was changed behind one's back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use daypass_core::id::GrantId;
use daypass_core::time::Span;
use daypass_engine::NewRequest;
use daypass_engine::reconcile::Reconciler;
use daypass_providers::memory::{Op, Trouble};
use daypass_store::{Access, Error, Gate, Result};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::end_when;
use crate::house::{House, asked};

/// The way to the store, which can be cut.
#[derive(Default)]
struct Line {
    cut: AtomicBool,
}

impl Gate for Line {
    fn before(&self, _: Access) -> BoxFuture<'_, Result<()>> {
        let cut = self.cut.load(Ordering::SeqCst);
        async move {
            if cut {
                Err(Error::Unavailable("cut".into()))
            } else {
                Ok(())
            }
        }
        .boxed()
    }

    fn after(&self, _: Access) -> BoxFuture<'_, Result<()>> {
        async { Ok(()) }.boxed()
    }
}

/// A server that reconciles, with a line that can be cut, beside the house's own, which answers people.
async fn server(house: &House, worker: &str) -> (Reconciler, Arc<Line>) {
    let line = Arc::new(Line::default());
    let engine = house.behind(Arc::clone(&line) as _).await;
    (Reconciler::new(Arc::new(engine), worker.into()), line)
}

/// Steps, with and without a store, until no call is under way.
async fn work(reconciler: &mut Reconciler) {
    for _ in 0..20 {
        drop(reconciler.step().await);
        while reconciler.settle().await {}
    }
}

async fn granted(house: &House, reconciler: &mut Reconciler) -> GrantId {
    let made = house.ask("ana", &["staging/read"]).await.unwrap();
    work(reconciler).await;
    let grant = made.grant.unwrap().id;
    assert_eq!(house.state(grant).await, "active");
    grant
}

/// What the server remembers may be a few seconds old when the store goes. It cuts what was lengthened since, as it must; but
/// it knows that it was itself, and nobody by hand.
#[tokio::test]
async fn what_was_lengthened_just_before_an_outage_comes_back_after_it() {
    let house = House::new().await;
    let (mut reconciler, line) = server(&house, "two").await;
    let grant = granted(&house, &mut reconciler).await;
    house.pass(Span::minutes(59));
    work(&mut reconciler).await;
    let more = NewRequest {
        extends: Some(grant),
        duration: Some(Span::minutes(30)),
        ..asked(&["staging/read"])
    };
    house
        .engine
        .request(house.caller("ana"), more, None)
        .await
        .unwrap();
    // The target is told the new limit; what is remembered for an outage is not read anew for that, so soon.
    work(&mut reconciler).await;
    line.cut.store(true, Ordering::SeqCst);
    house.pass(Span::minutes(5));
    work(&mut reconciler).await;
    let key = house.key(grant).await;
    assert!(!house.target.stands(&key), "without a store, what ran out goes");

    line.cut.store(false, Ordering::SeqCst);
    house.pass(Span::minutes(1));
    work(&mut reconciler).await;
    assert_eq!(house.state(grant).await, "active");
    assert!(house.target.stands(&key));
}

/// A look at the sessions came back just as the store went. What it showed is old when the store is back, and somebody has come
/// since.
#[tokio::test]
async fn what_was_seen_of_sessions_before_an_outage_ends_nothing_after_it() {
    let house = end_when::house("end_when: [last_session_closed]").await;
    let (mut reconciler, line) = server(&house, "two").await;
    let grant = granted(&house, &mut reconciler).await;
    let first = end_when::open(&house, grant, "staging/read").await;
    house.pass(Span::seconds(30));
    work(&mut reconciler).await;
    house.target.close(first);
    house.pass(Span::seconds(30));
    work(&mut reconciler).await;
    house.pass(Span::seconds(30));
    reconciler.step().await.unwrap();
    while reconciler.settle().await {}
    line.cut.store(true, Ordering::SeqCst);
    work(&mut reconciler).await;

    house.pass(Span::minutes(10));
    let second = end_when::open(&house, grant, "staging/read").await;
    line.cut.store(false, Ordering::SeqCst);
    work(&mut reconciler).await;
    assert_eq!(house.state(grant).await, "active", "somebody is at work");
    house.target.close(second);
    for _ in 0..3 {
        house.pass(Span::seconds(30));
        work(&mut reconciler).await;
    }
    assert_eq!(house.ended_reason(grant).await, "completed");
}

/// A grant that was being set up when it was last read has become active since, for all that one knows: its activation window
/// is not its end.
#[tokio::test]
async fn without_the_store_what_was_being_set_up_is_not_cut_when_its_window_passes() {
    let house = House::new().await;
    let (mut reconciler, line) = server(&house, "two").await;
    // It is begun, nobody knows yet what became of its call, and that is what is remembered.
    house.target.fail_next(Op::Provision, Trouble::LosesAnswer);
    house.target.fail_next(Op::Provision, Trouble::LosesAnswer);
    let made = house.ask("ana", &["staging/read"]).await.unwrap();
    work(&mut reconciler).await;
    house.pass(Span::seconds(6));
    work(&mut reconciler).await;
    line.cut.store(true, Ordering::SeqCst);
    house.pass(Span::minutes(6));
    work(&mut reconciler).await;
    let key = house.key(made.grant.unwrap().id).await;
    assert!(
        house.target.stands(&key),
        "the window has passed, and an hour has not"
    );
    house.pass(Span::minutes(60));
    work(&mut reconciler).await;
    assert!(!house.target.stands(&key));
}
