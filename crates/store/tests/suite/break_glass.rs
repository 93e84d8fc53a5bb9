//! The review that is owed after an emergency: found while it is owed, due once, and kept with its words.

use daypass_core::break_glass::{BreakGlass, Owed};
use daypass_core::event::{Actor, Subject, What};
use daypass_core::review::{From as Whom, Silence, Step};
use daypass_core::text::Prose;
use daypass_core::time::Span;
use daypass_core::world::World;
use daypass_store::{Committed, Error, Outcome, RequestFilter, Scope, Store};

use crate::bench::{Bench, on_every_engine};
use crate::story::*;

on_every_engine!(
    it_is_owed_due_once_and_given,
    a_row_cannot_be_called_reviewed_by_hand,
);

/// An ask of person `n` with the glass broken; somebody has so long to look at it.
pub(crate) fn taken(n: u8, within: Span) -> Asked {
    let review = Step {
        from: Whom::People(name("security")),
        count: 1,
        within,
        silence: Silence::Deny,
        mfa: None,
        guardrail: None,
    };
    let page = name("oncall");
    Asked {
        break_glass: Some(BreakGlass { page, review }),
        ..Asked::new(n, &[])
    }
}

/// Person 250 looks at it.
pub(crate) async fn look(store: &Store, n: u8) -> Result<Committed, Error> {
    let id = request_id(n);
    let decide = move |world: &World, _| {
        let request = found(world.requests.get(&id))?;
        let comment = Prose::new([9; 16], "right call");
        let event = request.acknowledge(person_id(250), request.digest, comment, &Anybody)?;
        Ok(Outcome::one(
            Actor::Person(person_id(250)),
            Subject::Request(id),
            What::Request(event),
        ))
    };
    store.transition(Scope::Request(id), decide).await
}

/// What silence leads to, as the reconciler asks.
async fn silence(store: &Store, n: u8) -> usize {
    let id = request_id(n);
    let decide = move |world: &World, now| {
        let event = found(world.requests.get(&id))?.silence(now);
        Ok(event.map_or_else(Outcome::default, |event| {
            Outcome::one(Actor::System, Subject::Request(id), What::Request(event))
        }))
    };
    let committed = store.transition(Scope::Request(id), decide).await.unwrap();
    committed.events.len()
}

async fn owing(store: &Store) -> Vec<u8> {
    let filter = RequestFilter {
        owing: true,
        ..RequestFilter::default()
    };
    let found = store.requests(filter, None, 10).await.unwrap().items;
    let mut found: Vec<u8> = found.iter().map(|request| request.id.bytes()[0]).collect();
    found.sort_unstable();
    found
}

async fn it_is_owed_due_once_and_given(bench: Bench) {
    let store = &bench.store;
    ask(store, Asked::new(1, &[])).await.unwrap();
    // At once, so that it comes on a clock that nobody can move.
    ask(store, taken(2, Span::ZERO)).await.unwrap();
    ask(store, taken(3, Span::hours(24))).await.unwrap();
    assert_eq!(owing(store).await, [2, 3], "what was no emergency owes nothing");
    assert!(store.grant(grant_id(2)).await.unwrap().unwrap().break_glass);
    assert!(!store.grant(grant_id(1)).await.unwrap().unwrap().break_glass);
    let now = store.now().await.unwrap();
    assert_eq!(store.silent_requests(now, 10).await.unwrap(), [request_id(2)]);
    assert!(
        store
            .next_due(now)
            .await
            .unwrap()
            .is_some_and(|next| next <= now + Span::hours(24))
    );
    assert_eq!(silence(store, 2).await, 1);
    assert_eq!(silence(store, 2).await, 0, "it is told once");
    assert_eq!(store.silent_requests(now, 10).await.unwrap(), []);
    assert_eq!(owing(store).await, [2, 3], "overdue is still owed");
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.reviews_owed, counts.reviews_overdue), (2, 1));
    look(store, 2).await.unwrap();
    assert_eq!(owing(store).await, [3]);
    assert!(look(store, 2).await.is_err());
    let request = store.request(request_id(2)).await.unwrap().unwrap();
    let Some(Owed::Reviewed { comment, late, .. }) = request.owed() else {
        panic!("{:?}", request.state)
    };
    assert_eq!((comment.text(), *late), ("right call", true));
    store.verify().await.unwrap();
}

async fn a_row_cannot_be_called_reviewed_by_hand(bench: Bench) {
    ask(&bench.store, taken(1, Span::hours(1))).await.unwrap();
    let sql = "UPDATE requests SET previous_state = state, owing = 0, due_at = NULL, \
               document = replace(document, '\"due\"', '\"reviewed\"')";
    if let Some(done) = bench.by_hand(sql).await {
        done.unwrap();
        assert!(bench.store.verify().await.is_err());
    }
}
