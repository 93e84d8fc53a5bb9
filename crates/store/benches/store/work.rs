//! What is measured: requests that are asked for, agreed to, begun and given back, by many clients or by one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use daypass_core::grant::{Grant, Reason};
use daypass_core::id::{GrantId, PersonId, RequestId};
use daypass_store::{Error, Store};
use futures_util::future::join_all;

use crate::story::{Asked, YES, ask, change_grant, review};

/// Transitions from a request to its end: it is made; it is agreed to, which opens its grant; the grant begins; it ends.
const OF_ONE: usize = 4;

/// A store, and how many requests were made there.
pub(crate) struct Work {
    pub(crate) store: Store,
    made: AtomicU64,
}

impl Work {
    pub(crate) fn on(store: Store) -> Self {
        Self {
            store,
            made: AtomicU64::new(0),
        }
    }

    /// About so many transitions by so many clients, each on rows of its own: how many a second.
    #[expect(clippy::disallowed_methods, reason = "a bench measures time")]
    pub(crate) async fn transitions(&self, clients: usize, count: usize) -> f64 {
        let each = count / OF_ONE / clients;
        let begun = Instant::now();
        let tasks = (0..clients).map(|_| {
            let first = self
                .made
                .fetch_add(u64::try_from(each).unwrap(), Ordering::Relaxed);
            let store = self.store.clone();
            tokio::spawn(async move {
                for n in first..first + u64::try_from(each).unwrap() {
                    life(&store, n).await.unwrap();
                }
            })
        });
        join_all(tasks).await.into_iter().for_each(Result::unwrap);
        f64::from(u32::try_from(each * clients * OF_ONE).unwrap()) / begun.elapsed().as_secs_f64()
    }

    /// How many bytes of events a transition writes, as a mean of so many.
    pub(crate) async fn bytes(&self) -> usize {
        self.transitions(1, 40 * OF_ONE).await;
        while !self.store.sequence(1_000).await.unwrap().is_empty() {}
        let size = self.store.log_head().await.unwrap().size;
        let entries = self.store.log_bytes(0..size).await.unwrap();
        let made = usize::try_from(self.made.load(Ordering::Relaxed)).unwrap();
        entries.concat().len() / (made * OF_ONE)
    }
}

async fn life(store: &Store, n: u64) -> Result<(), Error> {
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&n.to_be_bytes());
    let id = RequestId::from_bytes(bytes);
    let asked = Asked {
        id,
        requester: PersonId::from_bytes(bytes),
        reason: String::from("The import of last night left orders without a customer"),
        ..Asked::new(0, &[1])
    };
    ask(store, asked).await?;
    review(store, id, PersonId::from_bytes([9; 10]), YES, Some("go ahead")).await?;
    let grant = GrantId::from(id);
    change_grant(store, grant, Grant::begin).await?;
    change_grant(store, grant, |grant, now| grant.end(Reason::Released, now)).await?;
    Ok(())
}
