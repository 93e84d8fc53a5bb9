//! Many at once: nothing twice, nothing lost, nobody waiting for each other in a circle.

use std::collections::BTreeSet;
use std::sync::mpsc;

use daypass_core::event::{Actor, Subject, What};
use daypass_core::grant::{Grant, Reason};
use daypass_core::id::PersonId;
use daypass_core::person::{Change, Person, SystemRole};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::time::Span;
use daypass_core::world::World;
use daypass_store::{Error, EventFilter, From, Outcome, Scope};
use futures_util::future::join_all;

use crate::bench::{Bench, on_every_engine};
use crate::story::*;

on_every_engine!(
    of_64_last_votes_one_makes_the_grant,
    the_same_request_at_once_is_made_once,
    changes_of_one_row_are_not_lost,
    one_login_is_taken_once,
    of_many_administrators_who_go_at_once_one_stays,
    holders_of_one_opening_do_not_wait_in_a_circle,
    no_intent_slips_in_while_its_grant_ends,
    the_log_has_no_gaps_under_concurrency,
);

/// Runs them in parallel and waits for all.
async fn all<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

async fn of_64_last_votes_one_makes_the_grant(bench: Bench) {
    ask(&bench.store, Asked::new(1, &[1, 1])).await.unwrap();
    review(&bench.store, request_id(1), person_id(2), YES, None)
        .await
        .unwrap();
    let votes = all((100..164).map(|n| {
        let store = bench.store.clone();
        async move { review(&store, request_id(1), person_id(n), YES, None).await }
    }))
    .await;
    assert_eq!(votes.iter().filter(|vote| vote.is_ok()).count(), 1);
    for error in votes.into_iter().filter_map(Result::err) {
        assert!(
            matches!(&error, Error::Refused(refusal) if refusal.code == Code::AlreadyDecided),
            "{error}"
        );
    }
    let world = bench.store.load_world().await.unwrap();
    assert_eq!(world.grants.len(), 1);
    assert_eq!(
        bench.store.sequence(1000).await.unwrap().len(),
        4,
        "created, reviewed, approved, opened"
    );
    bench.store.verify().await.unwrap();
}

/// The same command twice has the effect of once, and nobody gets an error for it.
async fn the_same_request_at_once_is_made_once(bench: Bench) {
    let made = all((0..32).map(|_| {
        let store = bench.store.clone();
        async move { ask(&store, Asked::new(1, &[])).await.unwrap() }
    }))
    .await;
    assert_eq!(made.iter().filter(|made| !made.events.is_empty()).count(), 1);
    for one in &made {
        assert_eq!(one.world.requests, made[0].world.requests);
        assert_eq!(
            one.world.grants, made[0].world.grants,
            "with the grant that it led to at once"
        );
    }
    assert_eq!(bench.store.sequence(100).await.unwrap().len(), 3);
}

async fn changes_of_one_row_are_not_lost(bench: Bench) {
    add(&bench.store, person(1, "ana"), Vec::new()).await.unwrap();
    let joined = all((0..32).map(|n| {
        let store = bench.store.clone();
        async move {
            let id = person_id(1);
            let decide = move |world: &World, _| {
                let mut groups = found(world.people.get(&id))?.groups.clone();
                groups.insert(name(&format!("group-{n}")));
                Ok(Outcome::one(
                    Actor::System,
                    Subject::Person(id),
                    What::Person(Change::Groups { groups }),
                ))
            };
            store.transition(Scope::Person(id), decide).await.map(drop)
        }
    }))
    .await;
    assert_eq!(joined, vec![Ok(()); 32]);
    assert_eq!(
        bench
            .store
            .person(person_id(1))
            .await
            .unwrap()
            .unwrap()
            .groups
            .len(),
        33
    );
}

async fn one_login_is_taken_once(bench: Bench) {
    let added = all((0..16).map(|n| {
        let store = bench.store.clone();
        async move {
            add(
                &store,
                person(n, if n % 2 == 0 { "ana" } else { "Ana" }),
                Vec::new(),
            )
            .await
        }
    }))
    .await;
    assert_eq!(added.iter().filter(|added| added.is_ok()).count(), 1);
    for error in added.into_iter().filter_map(Result::err) {
        assert!(
            matches!(&error, Error::Refused(refusal) if refusal.code == Code::Exists),
            "{error}"
        );
    }
    bench.store.verify().await.unwrap();
}

async fn of_many_administrators_who_go_at_once_one_stays(bench: Bench) {
    for n in 0..16 {
        let administrator = Person {
            role: SystemRole::Administrator,
            ..person(n, &format!("root-{n}"))
        };
        add(&bench.store, administrator, Vec::new()).await.unwrap();
    }
    add(&bench.store, person(100, "ana"), Vec::new()).await.unwrap();
    let second = bench.second().await.unwrap_or_else(|| bench.store.clone());
    let gone = all((0..16).map(|n| {
        let store = if n % 2 == 0 {
            bench.store.clone()
        } else {
            second.clone()
        };
        async move {
            let id = person_id(n);
            let decide = move |world: &World, _| {
                let one = |person: &Person| person.active && person.role == SystemRole::Administrator;
                assert!(world.people.values().all(one), "only whom it is about");
                if world.people.len() < 2 {
                    return Err(Refusal::new(Code::InUse, "the last one"));
                }
                let what = if n % 4 < 2 {
                    Change::Deactivated
                } else {
                    Change::Role {
                        role: SystemRole::Member,
                    }
                };
                let subject = Subject::Person(id);
                Ok(Outcome::one(Actor::System, subject, What::Person(what)))
            };
            store.transition(Scope::Administrator(id), decide).await
        }
    }))
    .await;
    assert_eq!(gone.iter().filter(|gone| gone.is_err()).count(), 1);
    let refused = gone.into_iter().find_map(Result::err).unwrap();
    assert!(
        matches!(&refused, Error::Refused(refusal) if refusal.code == Code::InUse),
        "{refused}"
    );
    let people = bench.store.people().await.unwrap();
    let left = people
        .iter()
        .filter(|person| person.active && person.role == SystemRole::Administrator);
    assert_eq!(left.count(), 1);
    // One who is none takes nobody away: there is nothing to look at.
    let seen = bench.store.transition(
        Scope::Administrator(person_id(100)),
        |_, _| Ok(Outcome::default()),
    );
    assert_eq!(seen.await.unwrap().world.people.len(), 1);
}

async fn holders_of_one_opening_do_not_wait_in_a_circle(bench: Bench) {
    for n in 0..12 {
        let items = if n % 2 == 0 {
            vec!["shared/a", "shared/b"]
        } else {
            vec!["shared/b", "shared/c"]
        };
        ask(
            &bench.store,
            Asked {
                items,
                ..Asked::new(n, &[])
            },
        )
        .await
        .unwrap();
    }
    let lives = all((0..12).map(|n| {
        let store = bench.store.clone();
        async move {
            let mut all = vec![change_grant(&store, grant_id(n), Grant::begin).await];
            all.push(intend(&store, grant_id(n), Span::ZERO).await);
            all.push(change_grant(&store, grant_id(n), Grant::activate).await);
            all.push(intend(&store, grant_id(n), Span::ZERO).await);
            all.push(change_grant(&store, grant_id(n), |grant, now| grant.end(Reason::Released, now)).await);
            all
        }
    }))
    .await;
    for result in lives.into_iter().flatten() {
        assert!(
            !matches!(&result, Err(Error::Unavailable(_) | Error::Corrupt(_))),
            "{}",
            result.unwrap_err()
        );
    }
    let world = bench.store.load_world().await.unwrap();
    assert!(world.grants.values().all(|grant| grant.state.name() == "ending"));
    bench.store.verify().await.unwrap();
}

async fn no_intent_slips_in_while_its_grant_ends(bench: Bench) {
    for n in 0..24 {
        ask(&bench.store, Asked::new(n, &[])).await.unwrap();
        change_grant(&bench.store, grant_id(n), Grant::begin)
            .await
            .unwrap();
    }
    all((0..24).flat_map(|n| [(n, true), (n, false)]).map(|(n, ends)| {
        let store = bench.store.clone();
        async move {
            if ends {
                change_grant(&store, grant_id(n), |grant, now| grant.end(Reason::Released, now))
                    .await
                    .unwrap();
            } else {
                let intended = intend(&store, grant_id(n), Span::minutes(1)).await;
                assert!(matches!(intended, Ok(_) | Err(Error::Refused(_))));
            }
        }
    }))
    .await;
    bench.store.sequence(1000).await.unwrap();
    for n in 0..24 {
        let timeline = bench.store.timeline(request_id(n)).await.unwrap();
        let names: Vec<_> = timeline.iter().map(|entry| entry.event.what.name()).collect();
        let place = |name| names.iter().position(|of| *of == name);
        let ending = place("grant.ending").unwrap();
        assert!(
            place("entitlement.intended").is_none_or(|intended| intended < ending),
            "{names:?}"
        );
    }
}

async fn the_log_has_no_gaps_under_concurrency(bench: Bench) {
    let second = bench.second().await.unwrap_or_else(|| bench.store.clone());
    let writers = (0..40u8).map(|n| {
        let store = if n % 2 == 0 {
            bench.store.clone()
        } else {
            second.clone()
        };
        async move {
            ask(&store, Asked::new(n, &[1])).await.unwrap();
            review(&store, request_id(n), PersonId::from_bytes([200; 10]), YES, None)
                .await
                .unwrap();
            Vec::new()
        }
    });
    let writers: Vec<_> = writers.map(tokio::spawn).collect();
    let sequencers = (0..4).map(|n| {
        let store = if n % 2 == 0 {
            bench.store.clone()
        } else {
            second.clone()
        };
        async move {
            let mut placed = Vec::new();
            for _ in 0..20 {
                placed.extend(
                    store
                        .sequence(7)
                        .await
                        .unwrap()
                        .into_iter()
                        .map(|entry| entry.index),
                );
                tokio::task::yield_now().await;
            }
            placed
        }
    });
    let sequencers: Vec<_> = sequencers.map(tokio::spawn).collect();
    let mut placed = Vec::new();
    for task in writers.into_iter().chain(sequencers) {
        placed.extend(task.await.unwrap());
    }
    loop {
        let more = bench.store.sequence(50).await.unwrap();
        if more.is_empty() {
            break;
        }
        placed.extend(more.into_iter().map(|entry| entry.index));
    }
    let distinct: BTreeSet<u64> = placed.iter().copied().collect();
    assert_eq!(
        distinct.len(),
        placed.len(),
        "no event was given two places, and no sequencer told another's"
    );
    assert_eq!(distinct, (0..120).collect());
    let verified = bench.store.verify().await.unwrap();
    assert_eq!((verified.head.size, verified.waiting), (120, 0));
    assert_eq!(bench.store.log_head().await.unwrap(), verified.head);
    let listed = bench
        .store
        .events(From::First, EventFilter::default(), 1000)
        .await
        .unwrap();
    assert!(listed.iter().map(|entry| entry.index).eq(0..120));
}

/// What waits while the disk is busy is committed together. The disk is made busy by a decision that waits to be let go.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_together_is_committed_together() {
    let bench = Bench::file().await;
    let before = bench.store.commits();
    let (entered, has_entered) = mpsc::channel();
    let (let_go, held) = mpsc::channel::<()>();
    let store = bench.store.clone();
    let busy = move |_: &World, _| {
        entered.send(()).unwrap();
        held.recv().unwrap();
        Ok(Outcome::default())
    };
    let first = tokio::spawn(async move { store.transition(Scope::Policy, busy).await });
    tokio::task::spawn_blocking(move || has_entered.recv().unwrap())
        .await
        .unwrap();
    let store = &bench.store;
    let waiting = (0..64).map(|n| ask(store, Asked::new(n, &[1])));
    // Each is sent on its way when it is first polled; only then is the first one let go.
    let release = async move { let_go.send(()).unwrap() };
    let (answers, ()) = futures_util::future::join(join_all(waiting), release).await;
    assert!(answers.into_iter().all(|answer| answer.is_ok()));
    first.await.unwrap().unwrap();
    assert_eq!(
        bench.store.commits() - before,
        2,
        "one for the first, one for the 64 that waited"
    );
}

/// In a batch, a refusal takes back its own changes and nobody else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_in_a_batch_is_its_own() {
    let bench = Bench::file().await;
    let store = &bench.store;
    let answers = join_all((0..32).map(|n| async move {
        // Every second one asks under an id that the one before has, from somebody else: it changes nothing.
        let asked = Asked {
            requester: person_id(n),
            ..Asked::new(n / 2, &[1])
        };
        match n % 2 {
            0 => ask(store, asked).await,
            _ => {
                let id = asked.id;
                store
                    .transition(Scope::Request(id), move |world, _| {
                        let event = found(world.requests.get(&id))?.withdraw(person_id(99))?;
                        Ok(Outcome::one(
                            Actor::System,
                            Subject::Request(id),
                            What::Request(event),
                        ))
                    })
                    .await
            }
        }
    }))
    .await;
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.is_ok(), n % 2 == 0, "{n}");
    }
    assert_eq!(bench.store.load_world().await.unwrap().requests.len(), 16);
    bench.store.verify().await.unwrap();
}
