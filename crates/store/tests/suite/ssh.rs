//! SSH authorities in the store: serials and versions rise one by one, whoever asks, and what is closed stays closed.

use daypass_core::refusal::Code;
use daypass_core::time::{Span, Timestamp};
use daypass_store::{Error, SshAccess};

use crate::bench::{Bench, on_every_engine};

on_every_engine!(
    the_first_key_stays,
    serials_are_unique_and_none_comes_after_the_close,
    a_version_rises_with_each_change_and_hosts_do_not_go_back,
);

async fn the_first_key_stays(bench: Bench) {
    let store = &bench.store;
    assert_eq!(store.ssh_sealed("fleet").await.unwrap(), None);
    let keep = (0..8_u8).map(|n| store.ssh_keep_sealed("fleet", vec![n; 3]));
    let kept = futures_util::future::join_all(keep).await;
    let kept: Vec<_> = kept.into_iter().map(Result::unwrap).collect();
    assert!(
        kept.iter().all(|one| *one == kept[0]),
        "all get the same: {kept:?}"
    );
    let since = store.ssh_since("fleet").await.unwrap();
    assert!(
        since.is_some() && since <= Some(store.now().await.unwrap()),
        "{since:?}"
    );
    store.ssh_keep_sealed("fleet", vec![9; 3]).await.unwrap();
    assert_eq!(
        store.ssh_since("fleet").await.unwrap(),
        since,
        "it is the first one's"
    );
    assert_eq!(store.ssh_sealed("other").await.unwrap(), None);
    assert_eq!(store.ssh_since("other").await.unwrap(), None);
}

async fn serials_are_unique_and_none_comes_after_the_close(bench: Bench) {
    let store = &bench.store;
    let now = store.now().await.unwrap();
    let (soon, late) = (now + Span::minutes(5), now + Span::hours(1));
    let refused = |answer| matches!(answer, Err(Error::Refused(refusal)) if refusal.code == Code::NotActive);
    assert!(
        refused(store.ssh_issue("fleet", "g1", soon).await),
        "it was never opened"
    );
    store.ssh_open("fleet", "g1", late).await.unwrap();
    assert!(
        refused(store.ssh_issue("fleet", "g1", late + Span::seconds(1)).await),
        "for longer than it is open"
    );
    let issue = (0..12).map(|_| store.ssh_issue("fleet", "g1", soon));
    let issued = futures_util::future::join_all(issue).await;
    let mut serials: Vec<u64> = issued.into_iter().map(Result::unwrap).collect();
    serials.sort_unstable();
    assert_eq!(serials, (1..=12).collect::<Vec<_>>());
    store.ssh_open("other", "g1", late).await.unwrap();
    assert_eq!(
        store.ssh_issue("other", "g1", soon).await.unwrap(),
        1,
        "each authority counts for itself"
    );

    assert_eq!(store.ssh_open_targets("fleet").await.unwrap(), ["g1"]);
    store.ssh_close("fleet", "g1", now).await.unwrap();
    assert!(refused(store.ssh_issue("fleet", "g1", soon).await));
    assert!(store.ssh_open_targets("fleet").await.unwrap().is_empty());
    let known = SshAccess {
        open_until: None,
        last_valid: Some(soon),
        revoked_in: 1,
    };
    assert_eq!(store.ssh_access("fleet", "g1").await.unwrap(), Some(known));
    assert_eq!(
        store.ssh_revoked("fleet", now).await.unwrap(),
        (1, (1..=12).collect())
    );
    assert_eq!(
        store.ssh_revoked("fleet", soon).await.unwrap(),
        (1, Vec::new()),
        "what ran out falls out"
    );
    assert_eq!(store.ssh_revoked("other", now).await.unwrap(), (0, Vec::new()));
}

async fn a_version_rises_with_each_change_and_hosts_do_not_go_back(bench: Bench) {
    let store = &bench.store;
    let now = store.now().await.unwrap();
    for (round, target) in (1..).zip(["a", "b", "c"]) {
        store
            .ssh_open("fleet", target, now + Span::hours(1))
            .await
            .unwrap();
        store
            .ssh_issue("fleet", target, now + Span::minutes(5))
            .await
            .unwrap();
        for _ in 0..2 {
            store.ssh_close("fleet", target, now).await.unwrap();
            assert_eq!(store.ssh_revoked("fleet", now).await.unwrap().0, round);
        }
    }
    store
        .ssh_open("fleet", "unused", now + Span::hours(1))
        .await
        .unwrap();
    store.ssh_close("fleet", "unused", now).await.unwrap();
    store.ssh_close("fleet", "never there", now).await.unwrap();
    assert_eq!(
        store.ssh_revoked("fleet", now).await.unwrap().0,
        3,
        "nothing was issued for it"
    );
    for version in [2, 3, 1] {
        store.ssh_acknowledge("fleet", "web-1", version).await.unwrap();
    }
    let hosts = store.ssh_hosts("fleet").await.unwrap();
    assert_eq!(hosts["web-1"].version, 3);
    assert!(hosts["web-1"].at > Timestamp::EPOCH && store.ssh_hosts("other").await.unwrap().is_empty());
}
