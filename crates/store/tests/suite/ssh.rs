//! SSH authorities in the store: serials and versions only rise, whoever asks, and what is closed stays closed.

use std::collections::BTreeSet;

use daypass_core::refusal::Code;
use daypass_core::time::{Span, Timestamp};
use daypass_store::{Error, SshAccess, SshEnd, SshKeep};

use crate::bench::{Bench, on_every_engine};

on_every_engine!(
    the_first_key_stays,
    serials_are_unique_and_none_comes_after_the_close,
    a_version_rises_with_each_change_and_hosts_do_not_go_back,
    an_access_has_so_many_certificates_and_no_more,
    a_host_that_was_given_a_resource_is_remembered,
);

const KEEP: SshKeep = SshKeep {
    past_end: Span::hours(1),
    most: 50,
};

/// Where time and clock agree.
fn end(at: Timestamp) -> SshEnd {
    SshEnd { until: at, clock: at }
}

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
    assert_eq!(store.ssh_public("fleet").await.unwrap(), None);
    for key in [vec![1], vec![2]] {
        store.ssh_keep_public("fleet", key).await.unwrap();
    }
    assert_eq!(store.ssh_public("fleet").await.unwrap(), Some(vec![1]));
}

async fn serials_are_unique_and_none_comes_after_the_close(bench: Bench) {
    let store = &bench.store;
    let now = store.now().await.unwrap();
    let (soon, late) = (now + Span::minutes(5), now + Span::hours(1));
    let refused = |answer| matches!(answer, Err(Error::Refused(refusal)) if refusal.code == Code::NotActive);
    let issue = |connector, at| store.ssh_issue(connector, "g1", end(at), KEEP);
    assert!(refused(issue("fleet", soon).await), "it was never opened");
    store.ssh_open("fleet", "g1", late).await.unwrap();
    assert!(
        refused(issue("fleet", late + Span::seconds(1)).await),
        "for longer than it is open"
    );
    let issued = futures_util::future::join_all((0..12).map(|_| issue("fleet", soon))).await;
    let mut serials: Vec<u64> = issued.into_iter().map(Result::unwrap).collect();
    serials.sort_unstable();
    serials.dedup();
    assert_eq!(serials.len(), 12);
    // A store that is put back from a copy has an older counter, and the same clock.
    assert!(
        serials[0] >= u64::try_from(now.micros()).unwrap(),
        "none below the clock: {serials:?}"
    );
    store.ssh_open("other", "g1", late).await.unwrap();
    issue("other", soon).await.unwrap();

    assert_eq!(store.ssh_open_targets("fleet").await.unwrap(), ["g1"]);
    store.ssh_close("fleet", "g1", KEEP).await.unwrap();
    assert!(refused(issue("fleet", soon).await));
    assert!(store.ssh_open_targets("fleet").await.unwrap().is_empty());
    let (version, listed) = store.ssh_revoked("fleet").await.unwrap();
    assert!(version >= u64::try_from(now.micros()).unwrap(), "{version}");
    assert_eq!(listed, serials);
    let known = SshAccess {
        open_until: None,
        last_valid: Some(soon),
        revoked_in: version,
    };
    assert_eq!(store.ssh_access("fleet", "g1").await.unwrap(), Some(known));
    assert_eq!(store.ssh_revoked("other").await.unwrap(), (0, Vec::new()));
}

async fn a_version_rises_with_each_change_and_hosts_do_not_go_back(bench: Bench) {
    let store = &bench.store;
    let now = store.now().await.unwrap();
    let version = async || store.ssh_revoked("fleet").await.unwrap().0;
    let mut last = 0;
    for target in ["a", "b", "c"] {
        store
            .ssh_open("fleet", target, now + Span::hours(1))
            .await
            .unwrap();
        store
            .ssh_issue("fleet", target, end(now + Span::minutes(5)), KEEP)
            .await
            .unwrap();
        store.ssh_close("fleet", target, KEEP).await.unwrap();
        let next = version().await;
        assert!(next > last, "{next} after {last}");
        store.ssh_close("fleet", target, KEEP).await.unwrap();
        assert_eq!(version().await, next, "once more adds nothing");
        last = next;
    }
    store
        .ssh_open("fleet", "unused", now + Span::hours(1))
        .await
        .unwrap();
    store.ssh_close("fleet", "unused", KEEP).await.unwrap();
    store.ssh_close("fleet", "never there", KEEP).await.unwrap();
    assert_eq!(version().await, last, "nothing was issued for it");
    for version in [2, 3, 1] {
        store
            .ssh_acknowledge("fleet", "web-1", version, &BTreeSet::new())
            .await
            .unwrap();
    }
    let hosts = store.ssh_hosts("fleet").await.unwrap();
    assert_eq!(hosts["web-1"].version, 3);
    assert!(hosts["web-1"].at > Timestamp::EPOCH && store.ssh_hosts("other").await.unwrap().is_empty());
}

async fn an_access_has_so_many_certificates_and_no_more(bench: Bench) {
    let store = &bench.store;
    let now = store.now().await.unwrap();
    let few = SshKeep { most: 3, ..KEEP };
    let (over, soon) = (end(now), end(now + Span::minutes(5)));
    for target in ["a", "b"] {
        store
            .ssh_open("fleet", target, now + Span::hours(1))
            .await
            .unwrap();
    }
    // One that is over does not count.
    store.ssh_issue("fleet", "a", over, few).await.unwrap();
    for _ in 0..3 {
        store.ssh_issue("fleet", "a", soon, few).await.unwrap();
    }
    let refused = store.ssh_issue("fleet", "a", soon, few).await;
    assert!(
        matches!(&refused, Err(Error::Refused(refusal)) if refusal.code == Code::TooManyOpen),
        "{refused:?}"
    );
    store.ssh_issue("fleet", "b", soon, few).await.unwrap();
}

async fn a_host_that_was_given_a_resource_is_remembered(bench: Bench) {
    let store = &bench.store;
    let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    for resources in [&["web", "logs"][..], &["web"], &[]] {
        store.ssh_give("fleet", "a", &names(resources)).await.unwrap();
    }
    store.ssh_give("fleet", "b", &names(&["web"])).await.unwrap();
    assert_eq!(store.ssh_given("fleet", "web").await.unwrap(), names(&["a", "b"]));
    assert_eq!(
        store.ssh_given("fleet", "logs").await.unwrap(),
        names(&["a"]),
        "whatever it was given since"
    );
    assert!(store.ssh_given("other", "web").await.unwrap().is_empty());
}

/// What ran out is listed for an hour, and that it falls out is a new version.
async fn what_ran_out_long_ago_is_forgotten(bench: Bench) {
    let store = &bench.store;
    let now = store.now().await.unwrap();
    let open = async |target, at| {
        store
            .ssh_open("fleet", target, at + Span::minutes(5))
            .await
            .unwrap();
        let end = end(at + Span::minutes(5));
        store.ssh_issue("fleet", target, end, KEEP).await.unwrap()
    };
    let serial = open("a", now).await;
    store.ssh_close("fleet", "a", KEEP).await.unwrap();
    let listed = store.ssh_revoked("fleet").await.unwrap();
    assert_eq!(listed.1, [serial]);
    bench.advance(Span::minutes(64));
    let later = open("b", now + Span::minutes(64)).await;
    assert_eq!(
        store.ssh_revoked("fleet").await.unwrap(),
        listed,
        "59 minutes past its end"
    );
    bench.advance(Span::minutes(1));
    store.ssh_close("fleet", "b", KEEP).await.unwrap();
    let fewer = store.ssh_revoked("fleet").await.unwrap();
    assert_eq!(fewer.1, [later]);
    assert!(fewer.0 > listed.0, "another list is another version");
    assert_eq!(
        store.ssh_access("fleet", "a").await.unwrap(),
        None,
        "nothing of it is kept"
    );
    bench.advance(Span::hours(2));
    store.ssh_close("fleet", "never there", KEEP).await.unwrap();
    let none = store.ssh_revoked("fleet").await.unwrap();
    assert!(none.1.is_empty() && none.0 > fewer.0);
}

/// The end of a certificate goes by the clock, whatever the time that decides.
async fn a_clock_that_was_put_right_counts_for_ends(bench: Bench) {
    let store = &bench.store;
    let ahead = store.now().await.unwrap();
    store
        .ssh_open("fleet", "a", ahead + Span::hours(1))
        .await
        .unwrap();
    let serial = store.ssh_issue("fleet", "a", end(ahead + Span::minutes(5)), KEEP);
    let serial = serial.await.unwrap();
    // Two hours of it were wrong.
    bench.set_clock(ahead - Span::hours(2));
    let told = store.told().await.unwrap();
    assert_eq!((told.now, told.clock), (ahead, ahead - Span::hours(2)));
    store.ssh_close("fleet", "a", KEEP).await.unwrap();
    bench.advance(Span::hours(3));
    store.ssh_close("fleet", "never there", KEEP).await.unwrap();
    assert_eq!(
        store.ssh_revoked("fleet").await.unwrap().1,
        [serial],
        "hosts take it two hours from now on, and until five minutes later"
    );
    bench.advance(Span::minutes(5));
    store.ssh_close("fleet", "never there", KEEP).await.unwrap();
    assert!(store.ssh_revoked("fleet").await.unwrap().1.is_empty());
}

// A database's clock is not ours to turn.
#[tokio::test(flavor = "multi_thread")]
async fn forgotten_in_memory() {
    what_ran_out_long_ago_is_forgotten(Bench::memory().await).await;
    a_clock_that_was_put_right_counts_for_ends(Bench::memory().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_in_a_file() {
    what_ran_out_long_ago_is_forgotten(Bench::file().await).await;
    a_clock_that_was_put_right_counts_for_ends(Bench::file().await).await;
}
