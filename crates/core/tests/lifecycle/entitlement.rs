//! Entitlements: fencing, and what may be written down about a target.

use daypass_core::entitlement::{Entitlement, Event, Observed};
use daypass_core::refusal::Code;

use crate::samples::{at, entitlement, intent, spec, target};

fn unknown() -> Observed {
    Observed::Unknown { since: at(0) }
}

#[test]
fn each_intent_begins_an_epoch() {
    let first =
        Entitlement::intend(None, target("k"), spec("orders/write"), intent("me", 30), at(0)).unwrap();
    let one = Entitlement::evolve(None, &first, at(0)).unwrap();
    assert_eq!((one.epoch, one.observed.name()), (1, "unknown"));
    let second = Entitlement::intend(
        Some(&one),
        target("k"),
        spec("orders/write"),
        intent("me", 60),
        at(1),
    )
    .unwrap();
    assert_eq!(
        Entitlement::evolve(Some(one.clone()), &second, at(1))
            .unwrap()
            .epoch,
        2
    );
    assert!(
        Entitlement::evolve(None, &second, at(1)).is_none(),
        "an epoch is not skipped"
    );
}

#[test]
fn a_running_claim_keeps_others_out_and_a_lapsed_one_does_not() {
    let mut claimed = entitlement("k", unknown());
    claimed.intent = Some(intent("other", 30));
    let refusal = Entitlement::intend(
        Some(&claimed),
        target("k"),
        spec("orders/write"),
        intent("me", 60),
        at(29),
    );
    assert_eq!(refusal.unwrap_err().code, Code::Stale);
    assert!(
        Entitlement::intend(
            Some(&claimed),
            target("k"),
            spec("orders/write"),
            intent("me", 60),
            at(30)
        )
        .is_ok()
    );
}

#[test]
fn who_was_overtaken_records_nothing() {
    let mut later = entitlement("k", unknown());
    later.epoch = 2;
    let seen = Event::Provisioned { until: None };
    assert_eq!(
        later.observe(seen.clone(), 1, "me", at(1)).unwrap_err().code,
        Code::Stale
    );
    assert!(later.observe(seen, 2, "me", at(1)).is_ok());
}

#[test]
fn absence_is_not_believed_while_a_provisioning_of_another_may_land() {
    let mut claimed = entitlement("k", unknown());
    claimed.intent = Some(intent("other", 30));
    let gone = Event::VerifiedAbsent { residue: vec![] };
    assert_eq!(
        claimed.observe(gone.clone(), 1, "me", at(29)).unwrap_err().code,
        Code::Stale
    );
    assert!(claimed.observe(gone, 1, "me", at(30)).is_ok());
    assert!(
        claimed.observe(Event::Revoked, 1, "me", at(1)).is_ok(),
        "taking it away does not wait"
    );
}

#[test]
fn what_the_ledger_never_knew_becomes_an_entitlement_without_a_spec() {
    let drift = Event::DriftFound { key: target("stray") };
    let found = Entitlement::evolve(None, &drift, at(0)).unwrap();
    assert_eq!((found.spec, found.observed), (None, unknown()));
    assert!(Entitlement::evolve(None, &Event::Revoked, at(0)).is_none());
}
