//! Keys that are rotated: each step is an event that a replay brings back, and does what it says to what is kept sealed.

use daypass_core::event::{Actor, Subject, What};
use daypass_core::key::{Event, Key, Phase};
use daypass_store::{Error, Outcome, Scope, Side, SshEnd, SshKeep, SshSlot, SshStep};

use daypass_core::time::Span;

use crate::bench::{Bench, on_every_engine};

on_every_engine!(
    an_authority_goes_to_its_next_key_step_by_step,
    what_was_sealed_anew_meanwhile_is_not_overwritten,
);

fn fleet() -> Key {
    Key::Ssh("fleet".parse().unwrap())
}

async fn take(bench: &Bench, event: Event, step: SshStep) -> Result<(), Error> {
    let decide = move |_: &_, _| {
        let mut outcome = Outcome::one(Actor::System, Subject::Key(fleet()), What::Key(event));
        let connector = "fleet".to_owned();
        outcome.side.push(Side::SshKeys { connector, step });
        Ok(outcome)
    };
    bench
        .store
        .transition(Scope::Key(fleet()), decide)
        .await
        .map(drop)
}

fn staged(next: &str) -> (Event, SshStep) {
    let step = SshStep::Stage {
        sealed: vec![2; 3],
        public: vec![20],
        current: vec![10],
    };
    (Event::Staged { next: next.into() }, step)
}

async fn an_authority_goes_to_its_next_key_step_by_step(bench: Bench) {
    let store = &bench.store;
    store.ssh_keep_sealed("fleet", vec![1; 3]).await.unwrap();
    let (event, step) = staged("b");
    take(&bench, event, step).await.unwrap();
    let keys = store.ssh_keys("fleet").await.unwrap();
    assert_eq!((keys.sealed, keys.public), (Some(vec![1; 3]), Some(vec![10])));
    assert_eq!(
        keys.next.map(|next| (next.sealed, next.public)),
        Some((vec![2; 3], vec![20]))
    );
    let (version, _) = store.ssh_revoked("fleet").await.unwrap();
    assert!(version > 0, "hosts are to look at it anew");
    // Another one beside it, or the end of what is not begun, does not follow.
    let (event, step) = staged("c");
    assert!(matches!(take(&bench, event, step).await, Err(Error::Illegal(_))));
    let at = store.now().await.unwrap();
    let gone = Event::Withdrawn {
        old: "a".into(),
        early: false,
    };
    assert!(matches!(
        take(&bench, gone.clone(), SshStep::Withdraw { at }).await,
        Err(Error::Illegal(_))
    ));

    // A certificate of its time, which is what is waited for afterwards; and one of the time after.
    let until = at + Span::minutes(30);
    let keep = SshKeep {
        past_end: Span::hours(1),
        most: 50,
    };
    store.ssh_open("fleet", "g_0", until).await.unwrap();
    let told = store.told().await.unwrap();
    let end = |minutes| SshEnd {
        until: told.now + Span::minutes(minutes),
        clock: told.clock + Span::minutes(minutes),
    };
    store.ssh_issue("fleet", "g_0", end(5), keep).await.unwrap();
    let changed = Event::Changed {
        to: "b".into(),
        from: "a".into(),
        without: Vec::new(),
    };
    take(&bench, changed, SshStep::Change { old: vec![3; 3], at })
        .await
        .unwrap();
    store.ssh_issue("fleet", "g_0", end(9), keep).await.unwrap();
    let keys = store.ssh_keys("fleet").await.unwrap();
    assert_eq!((keys.sealed, keys.public), (Some(vec![2; 3]), Some(vec![20])));
    assert_eq!((keys.since, keys.next), (Some(at), None));
    let old = keys.old.unwrap();
    assert_eq!(
        (old.sealed, old.public),
        (vec![3; 3], vec![10]),
        "the private one is gone"
    );
    assert_eq!(old.last_valid, Some(end(5).clock));

    take(&bench, gone, SshStep::Withdraw { at }).await.unwrap();
    let keys = store.ssh_keys("fleet").await.unwrap();
    assert_eq!((keys.old, keys.withdrawn), (None, vec![vec![10]]));
    let (last, _) = store.ssh_revoked("fleet").await.unwrap();
    assert!(last >= version + 2);
    let standings = store.key_standings().await.unwrap();
    assert_eq!(standings.len(), 1);
    assert_eq!(
        (&standings[0].key, &standings[0].phase),
        (&fleet(), &Phase::Settled)
    );
    store.sequence(100).await.unwrap();
    store.verify().await.unwrap();
}

async fn what_was_sealed_anew_meanwhile_is_not_overwritten(bench: Bench) {
    let store = &bench.store;
    for connector in ["fleet", "other"] {
        store.ssh_keep_sealed(connector, vec![1; 3]).await.unwrap();
    }
    let mut all = store.sealed().await.unwrap();
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|one| one.slot == SshSlot::Current));
    // The second was another one by the time that this is recorded.
    all[1].bytes = vec![9; 3];
    let decide = move |_: &_, _| {
        let event = Event::Resealed {
            id: "5f".into(),
            values: 2,
        };
        let mut outcome = Outcome::one(Actor::System, Subject::Key(Key::Sealing), What::Key(event));
        let sealed = all.into_iter().map(|was| Side::Resealed {
            was,
            sealed: vec![4; 3],
        });
        outcome.side.extend(sealed);
        Ok(outcome)
    };
    store.transition(Scope::Key(Key::Sealing), decide).await.unwrap();
    let now: Vec<_> = store
        .sealed()
        .await
        .unwrap()
        .into_iter()
        .map(|one| one.bytes)
        .collect();
    assert_eq!(now, [vec![4; 3], vec![1; 3]]);
    store.sequence(100).await.unwrap();
    store.verify().await.unwrap();
}
