//! What is measured: transitions, each on a row of its own, by many clients or by one.

use std::time::Instant;

use daypass_core::event::{Actor, Subject, What};
use daypass_core::id::PersonId;
use daypass_core::person::{Change, Kind, Person};
use daypass_core::text::Prose;
use daypass_store::{Outcome, Scope, Store};
use futures_util::future::join_all;

const PEOPLE: u8 = 64;

/// Those whom the transitions are about.
pub(crate) async fn people(store: &Store) {
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

/// So many transitions by so many clients, each on a row of its own: how many a second.
#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
pub(crate) async fn transitions(store: &Store, clients: usize, count: usize) -> f64 {
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
