//! A long random life: afterwards the log replayed gives the tables, on every database.

use std::collections::BTreeMap;

use daypass_core::entitlement::{Event, Fault};
use daypass_core::event::{Actor, Subject, What};
use daypass_core::grant::Reason;
use daypass_core::lock::On;
use daypass_core::person::{Change, SystemRole};
use daypass_core::plan::{Action, Limits, plan};
use daypass_core::review::Decision;
use daypass_core::text::Prose;
use daypass_core::time::Span;
use daypass_store::{Committed, Error, GrantFilter, Outcome, Scope};

use crate::bench::{Bench, on_every_engine};
use crate::story::*;
use crate::{break_glass, locks};

on_every_engine!(the_log_replayed_gives_the_tables);

/// A generator with a seed (splitmix64, <https://prng.di.unimi.it/splitmix64.c>): a walk that fails can be walked again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u8) -> u8 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u8::try_from((z ^ (z >> 31)) % u64::from(sides)).unwrap()
    }
}

async fn the_log_replayed_gives_the_tables(bench: Bench) {
    let store = &bench.store;
    let mut dice = Dice(8);
    let mut names: BTreeMap<&'static str, u32> = BTreeMap::new();
    for n in 0..5000u16 {
        match step(&bench, &mut dice, n / 60).await {
            Ok(committed) => {
                for event in &committed.events {
                    *names.entry(event.what.name()).or_default() += 1;
                }
            }
            Err(Error::Refused(_) | Error::Illegal(_)) => {}
            Err(error) => panic!("step {n}: {error}"),
        }
        if n % 100 == 0 {
            store.sequence(60).await.unwrap();
            assert_eq!(
                store.replay().await.unwrap(),
                store.load_world().await.unwrap(),
                "step {n}"
            );
        }
    }
    let waiting = store.verify().await.unwrap().waiting;
    assert!(waiting > 0, "some of it is not in the log yet, and counts");
    while !store.sequence(500).await.unwrap().is_empty() {}
    let world = store.load_world().await.unwrap();
    assert_eq!(store.replay().await.unwrap(), world);
    assert_eq!(store.verify().await.unwrap().waiting, 0);
    // The walk went everywhere.
    let never: Vec<_> = EVERYWHERE
        .iter()
        .filter(|name| !names.contains_key(**name))
        .collect();
    assert!(never.is_empty(), "{never:?} never happened; {names:?}");
}

const EVERYWHERE: [&str; 33] = [
    "request.created",
    "request.reviewed",
    "request.escalated",
    "request.approved",
    "request.denied",
    "request.withdrawn",
    "request.lapsed",
    "request.acknowledged",
    "request.review_overdue",
    "grant.opened",
    "grant.begun",
    "grant.activated",
    "grant.extended",
    "grant.credential_issued",
    "grant.ending",
    "grant.overdue",
    "grant.ended",
    "entitlement.intended",
    "entitlement.provisioned",
    "entitlement.revoked",
    "entitlement.verified_absent",
    "entitlement.failing",
    "entitlement.drift_found",
    "person.added",
    "person.groups",
    "person.role",
    "person.mail",
    "person.handle",
    "person.deactivated",
    "person.reactivated",
    "lock.locked",
    "lock.unlocked",
    "policy.applied",
];

/// One of a few requests and what became of them; which few moves on, so that each is seen from its beginning to its end.
async fn step(bench: &Bench, dice: &mut Dice, few: u16) -> Result<Committed, Error> {
    let store = &bench.store;
    let few = u8::try_from(few).unwrap();
    let n = few + dice.roll(5);
    bench.advance(Span::seconds(u64::from(dice.roll(5))));
    match dice.roll(16) {
        0 | 1 => made(bench, dice, n).await,
        2 | 3 => reviewed(bench, dice, n).await,
        4 => request(bench, dice, n).await,
        5 | 6 => grant(bench, dice, n).await,
        7 | 13 => planned(bench, n).await,
        8 | 9 => {
            let Some(grant) = store.grant(grant_id(n)).await? else {
                return Ok(nothing(bench).await);
            };
            let seen = store.entitlement(&grant.parts[0].target).await?;
            if seen.is_some_and(|seen| seen.observed.name() == "present") && dice.roll(4) != 0 {
                return Ok(nothing(bench).await);
            }
            intend(store, grant.id, Span::seconds(u64::from(dice.roll(60)))).await
        }
        10 | 11 => entitlement(bench, dice, n).await,
        12 => person_changes(bench, dice).await,
        15 if dice.roll(3) == 0 => break_glass::look(store, n).await,
        14 if dice.roll(6) == 0 => locked(bench, dice, n).await,
        _ if dice.roll(10) == 0 => apply_policy(store, &format!("version: {}", dice.roll(3))).await,
        _ => Ok(nothing(bench).await),
    }
}

async fn made(bench: &Bench, dice: &mut Dice, n: u8) -> Result<Committed, Error> {
    let steps = [vec![], vec![1], vec![1, 2]][usize::from(dice.roll(3))].clone();
    let items = [
        vec!["orders/write"],
        vec!["shared/port"],
        vec!["shared/port", "billing/read"],
    ];
    let items = items[usize::from(dice.roll(3))].clone();
    // Silence at once, so that it comes on a clock that nobody can move.
    let within = if dice.roll(4) == 0 {
        Span::ZERO
    } else {
        Span::minutes(15)
    };
    let active = GrantFilter {
        states: vec![String::from("active")],
        ..GrantFilter::default()
    };
    let active = bench
        .store
        .grants(active, None, 1)
        .await?
        .items
        .pop()
        .filter(|_| dice.roll(2) == 0);
    let extends = active.map(|grant| grant.id);
    if extends.is_none() && steps.is_empty() && dice.roll(2) == 0 {
        return ask(&bench.store, break_glass::taken(n, within)).await;
    }
    ask(
        &bench.store,
        Asked {
            items,
            within,
            extends,
            ..Asked::new(n, &steps)
        },
    )
    .await
}

async fn reviewed(bench: &Bench, dice: &mut Dice, n: u8) -> Result<Committed, Error> {
    let decision = match dice.roll(6) {
        0 => Decision::Deny,
        1 => Decision::Approve {
            duration: Some(Span::minutes(20)),
            items: None,
        },
        _ => YES,
    };
    review(
        &bench.store,
        request_id(n),
        person_id(200 + dice.roll(5)),
        decision,
        Some("seen"),
    )
    .await
}

async fn nothing(bench: &Bench) -> Committed {
    bench
        .store
        .transition(Scope::Policy, |_, _| Ok(Outcome::default()))
        .await
        .unwrap()
}

async fn request(bench: &Bench, dice: &mut Dice, n: u8) -> Result<Committed, Error> {
    let (id, withdraw) = (request_id(n), dice.roll(6) == 0);
    let decide = move |world: &daypass_core::world::World, now| {
        let request = found(world.requests.get(&id))?;
        let event = if withdraw {
            Some(request.withdraw(person_id(n))?)
        } else {
            request.silence(now)
        };
        Ok(event.map_or_else(Outcome::default, |event| {
            Outcome::one(Actor::System, Subject::Request(id), What::Request(event))
        }))
    };
    bench.store.transition(Scope::Request(id), decide).await
}

async fn grant(bench: &Bench, dice: &mut Dice, n: u8) -> Result<Committed, Error> {
    let what = dice.roll(20);
    change_grant(&bench.store, grant_id(n), move |grant, now| match what {
        0 => grant.release(grant.holder, now),
        1 => {
            let why = Some(Prose::new([6; 16], "seen enough"));
            grant.end(
                Reason::Revoked {
                    by: person_id(201),
                    why,
                },
                now,
            )
        }
        2..=5 => grant.mark_overdue(),
        6..=9 => grant.issue_credential(grant.holder, grant.parts[0].item(), now),
        _ => grant.begin(now),
    })
    .await
}

/// What the plan makes of a grant and its co-holders.
async fn planned(bench: &Bench, n: u8) -> Result<Committed, Error> {
    let id = grant_id(n);
    let limits = Limits {
        worker: String::from("w"),
        overdue_after: Span::minutes(2),
        alarm_only: std::collections::BTreeSet::new(),
        watched: Default::default(),
    };
    let decide = move |world: &daypass_core::world::World, now| {
        let grant = found(world.grants.get(&id))?;
        let actions = plan(&world.grants, &world.entitlements, &limits, now).actions;
        let event = actions.into_iter().find_map(|action| match action {
            Action::Activate(of) if of == id => Some(grant.activate(now)),
            Action::End(of, reason) if of == id => Some(grant.end(reason, now)),
            Action::Conclude(of, evidence) if of == id => Some(grant.conclude(evidence)),
            _ => None,
        });
        let event = event.transpose()?;
        Ok(event.map_or_else(Outcome::default, |event| {
            Outcome::one(Actor::System, Subject::Grant(id), What::Grant(event))
        }))
    };
    bench.store.transition(Scope::Grant(id), decide).await
}

async fn entitlement(bench: &Bench, dice: &mut Dice, n: u8) -> Result<Committed, Error> {
    let Some(grant) = bench.store.grant(grant_id(n)).await? else {
        return Ok(nothing(bench).await);
    };
    let part = &grant.parts[usize::from(dice.roll(2)) % grant.parts.len()];
    let key = part.target.clone();
    let event = match dice.roll(8) {
        0..=3 => Event::Provisioned {
            until: grant.desired_until(bench.store.now().await?),
        },
        4 => Event::Revoked,
        5 if !grant.is_live() || dice.roll(8) == 0 => Event::VerifiedAbsent {
            shown_by: None,
            residue: vec![String::from("table t")],
        },
        5 | 6 => Event::Failing {
            fault: Fault::Unavailable,
            doing: String::from("revoke"),
            detail: String::from("no route to host"),
        },
        _ if dice.roll(3) != 0 => return Ok(nothing(bench).await),
        _ => {
            let of = key.clone();
            let drift = move |_: &_, _| Ok(about(&of, Event::DriftFound { key: of.clone() }));
            return bench.store.transition(Scope::Entitlement(key), drift).await;
        }
    };
    observe(&bench.store, &key, event).await
}

async fn person_changes(bench: &Bench, dice: &mut Dice) -> Result<Committed, Error> {
    let n = dice.roll(6);
    let change = match dice.roll(6) {
        0 => Change::Groups {
            groups: [name("leads"), name("sre")].into(),
        },
        1 if n > 3 => Change::Handle {
            namespace: name("entra"),
            handle: (dice.roll(6) > 1).then(|| format!("id-{n}").parse().unwrap()),
        },
        1 => Change::Manager {
            manager: Some(person_id(dice.roll(6))),
        },
        2 if n > 2 => Change::Mail {
            mail: (n > 3).then(|| Prose::new([n; 16], "ana@example.com")),
        },
        2 => Change::Role {
            role: SystemRole::Auditor,
        },
        3 => Change::Deactivated,
        4 if n > 3 => Change::Owner {
            owner: person_id(dice.roll(6)),
        },
        4 => Change::Reactivated,
        // Three logins for six accounts.
        _ => return add(&bench.store, person(n, &format!("login{}", n / 2)), Vec::new()).await,
    };
    change_person(&bench.store, person_id(n), change, Vec::new()).await
}

/// Opens the lock that is shut, if there is one; else shuts one and ends what is held under it.
async fn locked(bench: &Bench, dice: &mut Dice, n: u8) -> Result<Committed, Error> {
    let store = &bench.store;
    if let Some(lock) = store.locks().await?.pop() {
        return locks::set(store, lock.on, false).await;
    }
    let on = match dice.roll(2) {
        0 => On::Person(person_id(n)),
        _ => On::Resource(name("shared")),
    };
    let committed = locks::set(store, on, true).await?;
    for id in store.held_under_locks(100).await? {
        change_grant(store, id, |grant, now| grant.end(Reason::Locked, now)).await?;
    }
    assert_eq!(store.held_under_locks(100).await?, []);
    Ok(committed)
}
