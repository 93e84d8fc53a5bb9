//! Entitlements: fencing, and what may be written down about a target.

use daypass_core::entitlement::{Entitlement, Event, Observed, Observer};
use daypass_core::refusal::{Code, Refusal};

use crate::samples::{at, by, entitlement, intent, spec, target};

fn unknown() -> Observed {
    Observed::Unknown { since: at(0) }
}

/// What a worker's new intent leads to, where it knows what became of its last one or does not.
fn intend(
    existing: Option<&Entitlement>,
    (worker, claim_ends): (&str, i64),
    certain: bool,
    now: i64,
) -> Result<Event, Refusal> {
    let (key, spec) = (target("k"), spec("orders/write"));
    Entitlement::intend(existing, key, spec, intent(worker, claim_ends), certain, at(now))
}

fn after(entitlement: &Entitlement, event: &Event, now: i64) -> Entitlement {
    Entitlement::evolve(Some(entitlement.clone()), event, at(now)).expect("the event follows")
}

#[test]
fn each_intent_begins_an_epoch() {
    let first = intend(None, ("me", 30), true, 0).unwrap();
    let one = Entitlement::evolve(None, &first, at(0)).unwrap();
    assert_eq!((one.epoch, one.observed.name()), (1, "unknown"));
    let second = intend(Some(&one), ("me", 60), true, 1).unwrap();
    assert_eq!(after(&one, &second, 1).epoch, 2);
    assert!(
        Entitlement::evolve(None, &second, at(1)).is_none(),
        "an epoch is not skipped"
    );
}

#[test]
fn a_running_claim_keeps_others_out_and_a_lapsed_one_does_not() {
    let mut claimed = entitlement("k", unknown());
    claimed.intent = Some(intent("other", 30));
    let refusal = intend(Some(&claimed), ("me", 60), true, 29);
    assert_eq!(refusal.unwrap_err().code, Code::Stale);
    assert!(intend(Some(&claimed), ("me", 60), true, 30).is_ok());
}

#[test]
fn who_was_overtaken_records_nothing() {
    let mut later = entitlement("k", unknown());
    later.epoch = 2;
    let seen = Event::Provisioned { until: None };
    assert_eq!(
        later.observe(seen.clone(), &by("me", 1, 1)).unwrap_err().code,
        Code::Stale
    );
    assert!(later.observe(seen, &by("me", 2, 1)).is_ok());
}

#[test]
fn absence_is_not_believed_while_a_provisioning_of_another_may_land() {
    let mut claimed = entitlement("k", unknown());
    claimed.intent = Some(intent("other", 30));
    let gone = Event::VerifiedAbsent {
        residue: vec![],
        shown_by: None,
    };
    assert_eq!(
        claimed.observe(gone.clone(), &by("me", 1, 29)).unwrap_err().code,
        Code::Stale
    );
    assert!(claimed.observe(gone, &by("me", 1, 30)).is_ok());
    assert!(
        claimed.observe(Event::Revoked, &by("me", 1, 1)).is_ok(),
        "taking it away does not wait"
    );
}

/// A call that timed out may take effect after the removal that followed it was seen.
#[test]
fn absence_is_not_believed_while_a_provisioning_of_ones_own_without_an_answer_may_land() {
    let mut claimed = entitlement("k", unknown());
    claimed.intent = Some(intent("me", 30));
    let gone = Event::VerifiedAbsent {
        residue: vec![],
        shown_by: None,
    };
    let uncertain = |looked| Observer {
        certain: false,
        ..by("me", 1, looked)
    };
    assert_eq!(
        claimed.observe(gone.clone(), &uncertain(29)).unwrap_err().code,
        Code::Stale
    );
    assert!(claimed.observe(gone.clone(), &uncertain(30)).is_ok());
    assert!(
        claimed.observe(gone, &by("me", 1, 1)).is_ok(),
        "one that knows that its call is over has nothing to wait for"
    );
    let there = Event::Provisioned { until: None };
    assert!(claimed.observe(there, &uncertain(1)).is_ok());
}

/// The next intent does not make the last one's call harmless.
#[test]
fn an_intent_keeps_what_an_unresolved_earlier_one_may_still_do() {
    let mut given_up = entitlement("k", unknown());
    given_up.intent = Some(intent("me", 30));
    let again = intend(Some(&given_up), ("me", 15), false, 10).unwrap();
    let claimed = after(&given_up, &again, 10);
    assert_eq!(claimed.may_appear_until, Some(at(30)));
    // The second call was answered; the first one still was not.
    let gone = Event::VerifiedAbsent {
        residue: vec![],
        shown_by: None,
    };
    let refused = claimed.observe(gone.clone(), &by("me", 2, 29));
    assert_eq!(refused.unwrap_err().code, Code::Stale);
    assert!(claimed.observe(gone, &by("me", 2, 30)).is_ok());

    let known = intend(Some(&given_up), ("me", 15), true, 10).unwrap();
    assert_eq!(after(&given_up, &known, 10).may_appear_until, None);
    let late = intend(Some(&given_up), ("me", 60), false, 30).unwrap();
    assert_eq!(after(&given_up, &late, 30).may_appear_until, None);
}

#[test]
fn what_was_seen_too_early_is_unsettled_until_it_is_seen_later() {
    let mut given_up = entitlement("k", unknown());
    given_up.intent = Some(intent("me", 40));
    given_up.may_appear_until = Some(at(30));
    let early = after(&given_up, &Event::Provisioned { until: None }, 29);
    assert_eq!(early.unsettled_until(), Some(at(30)));
    let late = after(&early, &Event::Provisioned { until: None }, 30);
    assert_eq!((late.unsettled_until(), late.may_appear_until), (None, None));
}

#[test]
fn a_removal_on_its_way_makes_what_was_seen_unknown_and_what_is_seen_doubtful() {
    let there = Event::Provisioned { until: None };
    let seen = after(&entitlement("k", unknown()), &there, 1);
    let removing = after(&seen, &Event::Removing { until: at(60) }, 2);
    assert_eq!(removing.observed, Observed::Unknown { since: at(2) });
    // Somebody comes to hold it, and it is provisioned for them before the removal is certainly over.
    let intended = intend(Some(&removing), ("other", 40), true, 3).unwrap();
    let held = after(&after(&removing, &intended, 3), &there, 4);
    assert_eq!(
        (held.observed.name(), held.unsettled_until()),
        ("present", Some(at(60)))
    );
    let shorter = after(&held, &Event::Removing { until: at(50) }, 5);
    assert_eq!(
        shorter.may_vanish_until,
        Some(at(60)),
        "the later one is not forgotten"
    );
    let again = after(&held, &there, 60);
    assert_eq!((again.unsettled_until(), again.may_vanish_until), (None, None));
}

#[test]
fn what_the_ledger_never_knew_becomes_an_entitlement_without_a_spec() {
    let drift = Event::DriftFound { key: target("stray") };
    let found = Entitlement::evolve(None, &drift, at(0)).unwrap();
    assert_eq!((found.spec, found.observed), (None, unknown()));
    assert!(Entitlement::evolve(None, &Event::Revoked, at(0)).is_none());
}

/// A look that is no newer than a removal may show what was there before it, whatever a call answered since.
#[test]
fn what_was_removed_is_kept_until_it_was_seen_to_be_gone_or_back() {
    let there = Event::Provisioned { until: None };
    let seen = after(&entitlement("k", unknown()), &there, 1);
    assert!(!seen.may_show_removed(at(0)), "nothing was removed");
    let removing = after(&seen, &Event::Removing { until: at(60) }, 2);
    assert!(removing.may_show_removed(at(60)), "it may land until then");
    let revoked = after(&removing, &Event::Revoked, 5);
    let intended = intend(Some(&revoked), ("me", 40), true, 6).unwrap();
    let asked = after(&revoked, &intended, 6);
    assert!(asked.may_show_removed(at(5)) && !asked.may_show_removed(at(6)));
    let gone = Event::VerifiedAbsent {
        residue: vec![],
        shown_by: None,
    };
    for known in [gone, there] {
        assert!(!after(&asked, &known, 9).may_show_removed(at(5)), "{known:?}");
    }
}
