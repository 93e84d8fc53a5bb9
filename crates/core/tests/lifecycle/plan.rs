//! The plan: what is to be done, for each way that what should be and what was seen can differ.

use std::collections::BTreeMap;
use std::sync::Arc;

use daypass_core::end_when::{EndWhen, Watched};
use daypass_core::entitlement::{Entitlement, Observed};
use daypass_core::grant::{Grant, Proof, Reason, State};
use daypass_core::plan::{Action, Plan, plan};
use daypass_core::time::{Span, Timestamp};

use crate::samples::{active, at, entitlement, grant, intent, limits, part, target};

fn planned(grants: &[&Grant], entitlements: &[&Entitlement], now: Timestamp) -> Plan {
    let grants = grants.iter().map(|grant| (grant.id, (*grant).clone())).collect();
    let entitlements = entitlements
        .iter()
        .map(|known| (known.key.clone(), (*known).clone()))
        .collect();
    plan(&grants, &entitlements, &limits(), now)
}

#[track_caller]
fn check(grants: &[&Grant], entitlements: &[&Entitlement], now: i64, expect: &[Action]) {
    assert_eq!(planned(grants, entitlements, at(now)).actions, expect);
}

fn present(key: &str, until: i64) -> Entitlement {
    entitlement(
        key,
        Observed::Present {
            until: Some(at(until)),
            at: at(0),
        },
    )
}

fn absent(key: &str) -> Entitlement {
    entitlement(
        key,
        Observed::Absent {
            shown_by: None,
            at: at(5),
            residue: vec![],
        },
    )
}

fn unknown(key: &str) -> Entitlement {
    entitlement(key, Observed::Unknown { since: at(5) })
}

fn activating(n: u8, key: &str) -> Grant {
    begun(n, key, 0)
}

/// Being provisioned since then.
fn begun(n: u8, key: &str, since: i64) -> Grant {
    let state = State::Activating {
        since: at(since),
        window_ends: at(300),
    };
    grant(n, key, state)
}

fn ending(n: u8, key: &str) -> Grant {
    let state = State::Ending {
        reason: Reason::Expired,
        since: at(100),
        active_since: Some(at(0)),
        set_up_since: None,
        overdue: false,
    };
    grant(n, key, state)
}

fn provision(grant: &Grant, until: i64) -> Action {
    Action::Provision {
        part: Box::new(grant.parts[0].clone()),
        until: at(until),
    }
}

#[test]
fn an_active_grant_ends_by_what_it_says_and_by_nothing_else() {
    let after = Span::minutes(30);
    let seen = |quiet: Option<u64>, closed| Watched {
        quiet_for: quiet.map(Span::minutes),
        closed,
    };
    let idle = EndWhen::Idle { after };
    let (closed, ticket) = (EndWhen::LastSessionClosed, EndWhen::TicketClosed);
    for (end_when, watched, ends) in [
        (vec![idle], Some(seen(Some(30), false)), true),
        (vec![idle], Some(seen(Some(29), true)), false),
        (vec![idle], Some(seen(None, true)), false),
        (vec![idle], None, false),
        (vec![closed], Some(seen(Some(90), false)), false),
        (vec![closed], Some(seen(None, true)), true),
        (vec![ticket], Some(seen(Some(90), true)), false),
        (vec![ticket, closed, idle], Some(seen(Some(31), false)), true),
        (vec![], Some(seen(Some(90), true)), false),
    ] {
        let mut one = active(1, "k", 3600);
        one.end_when = end_when;
        let mut limits = limits();
        limits.watched = Arc::new(watched.map(|seen| (one.id, seen)).into_iter().collect());
        let (grants, known) = (BTreeMap::from([(one.id, one.clone())]), present("k", 3600));
        let known = BTreeMap::from([(known.key.clone(), known)]);
        let plan = plan(&grants, &known, &limits, at(60));
        let expect: &[Action] = if ends {
            &[Action::End(one.id, Reason::Completed)]
        } else {
            &[]
        };
        assert_eq!(plan.actions, expect, "{:?} {watched:?}", one.end_when);
    }
    // The deadline comes first.
    let mut over = active(1, "k", 60);
    over.end_when = vec![idle];
    let mut limits = limits();
    limits.watched = Arc::new(BTreeMap::from([(over.id, seen(Some(90), true))]));
    let plan = plan(
        &BTreeMap::from([(over.id, over.clone())]),
        &BTreeMap::new(),
        &limits,
        at(60),
    );
    assert!(plan.actions.contains(&Action::End(over.id, Reason::Expired)));
}

#[test]
fn a_schedule_is_waited_for_and_then_begun() {
    let scheduled = grant(1, "k", State::Scheduled { start: at(10) });
    assert_eq!(
        planned(&[&scheduled], &[], at(9)),
        Plan {
            actions: vec![],
            next: Some(at(10))
        }
    );
    check(&[&scheduled], &[], 10, &[Action::Begin(scheduled.id)]);
}

#[test]
fn what_is_activating_is_provisioned_with_a_limit_and_then_activated() {
    let one = activating(1, "k");
    check(&[&one], &[], 1, &[provision(&one, 300 + 3600)]);
    check(&[&one], &[&unknown("k")], 1, &[provision(&one, 300 + 3600)]);
    check(
        &[&one],
        &[&present("k", 300 + 3600)],
        1,
        &[Action::Activate(one.id)],
    );
}

#[test]
fn confirmation_tightens_the_limit_at_the_target() {
    let one = active(1, "k", 3600);
    check(&[&one], &[&present("k", 3900)], 1, &[provision(&one, 3600)]);
    check(&[&one], &[&present("k", 3600)], 1, &[]);
}

#[test]
fn a_bundle_is_all_or_nothing() {
    let mut bundle = activating(1, "a");
    bundle.parts.push(part("orders/read", "b"));
    check(
        &[&bundle],
        &[&present("a", 3900)],
        1,
        &[Action::Provision {
            part: Box::new(bundle.parts[1].clone()),
            until: at(3900),
        }],
    );
    let late = planned(&[&bundle], &[&present("a", 3900)], at(300)).actions;
    assert!(
        matches!(&late[0], Action::End(id, Reason::Failed { why }) if *id == bundle.id && why.contains("orders/read")),
        "{late:?}"
    );
    let State::Activating { .. } = bundle.state else {
        panic!()
    };
    bundle.state = ending(1, "a").state;
    check(
        &[&bundle],
        &[&present("a", 3900), &absent("b")],
        301,
        &[
            Action::Revoke(target("a")),
            Action::MarkOverdue(activating(1, "a").id),
        ],
    );
}

#[test]
fn a_deadline_ends_it_and_takes_it_away_in_the_same_plan() {
    let one = active(1, "k", 3600);
    assert_eq!(
        planned(&[&one], &[&present("k", 3600)], at(3599)).next,
        Some(at(3600))
    );
    check(
        &[&one],
        &[&present("k", 3600)],
        3600,
        &[Action::End(one.id, Reason::Expired), Action::Revoke(target("k"))],
    );
}

#[test]
fn a_clock_that_jumps_back_revives_nothing() {
    let mut gone = ending(1, "k");
    check(
        &[&gone],
        &[&present("k", 3600)],
        1,
        &[Action::Revoke(target("k"))],
    );
    gone.state = State::Ended {
        reason: Reason::Expired,
        active_since: None,
        set_up_since: None,
        ending_since: at(100),
        at: at(101),
        evidence: vec![],
    };
    check(&[&gone], &[&absent("k")], 1, &[]);
}

#[test]
fn it_ends_only_with_evidence() {
    let one = ending(1, "k");
    check(&[&one], &[&unknown("k")], 110, &[Action::Revoke(target("k"))]);
    let concluded = planned(&[&one], &[&absent("k")], at(110)).actions;
    assert!(
        matches!(&concluded[..], [Action::Conclude(id, evidence)]
            if *id == one.id && matches!(evidence[0].proof, Proof::TargetRead { at: seen, .. } if seen == at(5))),
        "{concluded:?}"
    );
    let never = planned(&[&one], &[], at(110)).actions;
    assert!(
        matches!(&never[..], [Action::Conclude(_, evidence)] if evidence[0].proof == Proof::NeverProvisioned),
        "{never:?}"
    );
}

#[test]
fn a_removal_that_takes_long_is_overdue_once() {
    let mut one = ending(1, "k");
    let due = at(100) + Span::minutes(2);
    assert_eq!(planned(&[&one], &[&unknown("k")], at(110)).next, Some(due));
    check(
        &[&one],
        &[&unknown("k")],
        220,
        &[Action::Revoke(target("k")), Action::MarkOverdue(one.id)],
    );
    one.state = State::Ending {
        reason: Reason::Expired,
        since: at(100),
        active_since: None,
        set_up_since: None,
        overdue: true,
    };
    check(&[&one], &[&unknown("k")], 221, &[Action::Revoke(target("k"))]);
}

#[test]
fn what_another_grant_still_holds_is_not_taken_away() {
    let (first, second) = (ending(1, "shared"), active(2, "shared", 7000));
    let actions = planned(&[&first, &second], &[&present("shared", 3600)], at(110)).actions;
    let [Action::Conclude(id, evidence), Action::Provision { until, .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(
        (*id, &evidence[0].proof),
        (first.id, &Proof::HeldBy { grant: second.id })
    );
    assert_eq!(*until, at(7000), "the opening lasts as long as its last holder");
}

#[test]
fn a_shared_opening_is_shortened_to_its_last_holder_and_goes_with_it() {
    let (first, second) = (active(1, "shared", 100), active(2, "shared", 200));
    check(&[&first, &second], &[&present("shared", 200)], 50, &[]);
    check(
        &[&first, &second],
        &[&present("shared", 200)],
        100,
        &[Action::End(active(1, "shared", 100).id, Reason::Expired)],
    );
    check(
        &[&second],
        &[&present("shared", 200)],
        200,
        &[
            Action::End(second.id, Reason::Expired),
            Action::Revoke(target("shared")),
        ],
    );
}

#[test]
fn access_taken_away_by_hand_ends_the_grant() {
    let one = active(1, "k", 3600);
    check(
        &[&one],
        &[&absent("k")],
        10,
        &[Action::End(one.id, Reason::Removed)],
    );
}

#[test]
fn access_that_nobody_holds_is_removed_or_only_told() {
    check(&[], &[&unknown("stray")], 10, &[Action::Revoke(target("stray"))]);
    let entitlements = [(target("stray"), unknown("stray"))].into();
    let mut told = limits();
    told.alarm_only.insert("pg-main".parse().unwrap());
    assert_eq!(plan(&[].into(), &entitlements, &told, at(10)).actions, []);
    let ending = ending(1, "stray");
    let grants = [(ending.id, ending)].into();
    assert_eq!(
        plan(&grants, &entitlements, &told, at(10)).actions,
        [Action::Revoke(target("stray"))],
        "its own end is no drift"
    );
}

#[test]
fn a_claim_of_another_worker_is_waited_for() {
    let mut claimed = unknown("k");
    claimed.intent = Some(intent("other", 30));
    let waiting = planned(&[&activating(1, "k")], &[&claimed], at(1));
    assert_eq!((waiting.actions, waiting.next), (vec![], Some(at(30))));
    claimed.intent = Some(intent("me", 30));
    check(
        &[&activating(1, "k")],
        &[&claimed],
        1,
        &[provision(&activating(1, "k"), 3900)],
    );
}

/// Another grant may have held the same opening before, its removal was on its way when this one began, and a target that
/// answers from a lagging copy shows what was before.
#[test]
fn what_was_provisioned_before_a_grant_began_is_provisioned_anew_for_it() {
    let seen = |intended| {
        let (until, seen_at) = (Some(at(3900)), at(7));
        Entitlement {
            intended_at: Some(at(intended)),
            ..entitlement("k", Observed::Present { until, at: seen_at })
        }
    };
    let one = begun(1, "k", 6);
    check(&[&one], &[&seen(5)], 7, &[provision(&one, 3900)]);
    check(&[&one], &[&seen(6)], 7, &[Action::Activate(one.id)]);
    // One that was there before it keeps what it has meanwhile.
    let before = active(2, "k", 3900);
    check(&[&one, &before], &[&seen(5)], 7, &[provision(&one, 3900)]);
}

#[test]
fn what_a_removal_may_still_cut_is_provisioned_once_more_when_it_cannot() {
    let one = active(1, "k", 3600);
    let mut cut = present("k", 3600);
    cut.may_vanish_until = Some(at(60));
    let before = planned(&[&one], &[&cut], at(59));
    assert_eq!((before.actions, before.next), (vec![], Some(at(60))));
    check(&[&one], &[&cut], 60, &[provision(&one, 3600)]);
    cut.observed = Observed::Present {
        until: Some(at(3600)),
        at: at(60),
    };
    let after = planned(&[&one], &[&cut], at(61));
    assert_eq!((after.actions, after.next), (vec![], Some(at(3600))));
}

#[test]
fn what_an_earlier_provisioning_may_still_change_is_provisioned_once_more_when_it_cannot() {
    let one = active(1, "k", 3600);
    let mut doubtful = present("k", 3600);
    doubtful.may_appear_until = Some(at(60));
    let before = planned(&[&one], &[&doubtful], at(59));
    assert_eq!((before.actions, before.next), (vec![], Some(at(60))));
    check(&[&one], &[&doubtful], 60, &[provision(&one, 3600)]);
}
