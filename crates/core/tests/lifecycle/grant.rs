//! Grants: which way they may go, and that no clock or extension takes them past their end.

use daypass_core::grant::{Event, Evidence, Grant, Proof, Reason, State};
use daypass_core::id::RequestId;
use daypass_core::refusal::Code;
use daypass_core::time::Span;

use crate::samples::{active, at, grant, person};

fn after(grant: Grant, event: &Event, seconds: i64) -> Grant {
    grant.evolve(event, at(seconds)).expect("the event follows")
}

#[test]
fn the_clock_starts_when_all_of_it_is_there() {
    let scheduled = grant(1, "k", State::Scheduled { start: at(0) });
    let begun = after(scheduled.clone(), &scheduled.begin(at(0)).unwrap(), 0);
    assert_eq!(
        begun.desired_until(at(0)),
        Some(at(300 + 3600)),
        "window and length, until it is confirmed"
    );
    assert_eq!(
        (begun.desired_until(at(299)), begun.desired_until(at(300))),
        (Some(at(300 + 3600)), None),
        "a window that has passed holds nothing"
    );
    let there = after(begun.clone(), &begun.activate(at(60)).unwrap(), 60);
    assert_eq!(there.expires_at(), Some(at(60 + 3600)));
    assert_eq!(there.latest_end, at(60 + 7200));
    assert_eq!(
        there.desired_until(at(60 + 3600)),
        None,
        "at the deadline nothing is wanted any more"
    );
}

#[test]
fn it_does_not_begin_early_or_expire_early() {
    assert!(
        grant(1, "k", State::Scheduled { start: at(10) })
            .begin(at(9))
            .is_err()
    );
    assert!(active(1, "k", 3600).end(Reason::Expired, at(3599)).is_err());
    assert!(active(1, "k", 3600).end(Reason::Expired, at(3600)).is_ok());
}

#[test]
fn one_that_begins_late_is_not_set_up_beyond_its_latest_end() {
    let mut late = grant(1, "a", State::Scheduled { start: at(0) });
    late.latest_end = at(10);
    let Ok(Event::Begun { window_ends }) = late.begin(at(20)) else {
        panic!("it is due")
    };
    assert_eq!(window_ends, at(10), "it fails at once, and is taken away");
}

#[test]
fn an_extension_is_bounded_and_never_revives() {
    let held = active(1, "k", 3600);
    let id = RequestId::from_bytes([8; 10]);
    let longer = after(
        held.clone(),
        &held.extend(id, Span::minutes(30), None, at(10)).unwrap(),
        10,
    );
    assert_eq!(longer.expires_at(), Some(at(5400)));
    let most = longer.extend(id, Span::hours(9), None, at(11)).unwrap();
    assert_eq!(
        after(longer.clone(), &most, 11).expires_at(),
        Some(longer.latest_end)
    );
    assert_eq!(
        longer.may_extend(Span::hours(9), None, at(11)).unwrap_err().code,
        Code::OverLatestEnd
    );
    assert_eq!(
        held.extend(id, Span::minutes(1), None, at(3600))
            .unwrap_err()
            .code,
        Code::GrantOver
    );
}

/// The extension's own path may name a time as well: the earlier of both holds.
#[test]
fn an_extension_does_not_pass_the_time_that_its_path_names() {
    let held = active(1, "k", 3600);
    let id = RequestId::from_bytes([8; 10]);
    let ends_by = Some(at(4000));
    let bounded = held.extend(id, Span::minutes(30), ends_by, at(10)).unwrap();
    assert_eq!(
        after(held.clone(), &bounded, 10).expires_at(),
        Some(at(4000)),
        "shortened"
    );
    let refused = held.may_extend(Span::minutes(30), ends_by, at(10)).unwrap_err();
    assert_eq!(refused.code, Code::OverLatestEnd);
    assert!(refused.what.contains(&at(4000).to_string()), "{}", refused.what);
    held.may_extend(Span::minutes(5), ends_by, at(10)).unwrap();
    let none = held
        .extend(id, Span::minutes(30), Some(at(3600)), at(10))
        .unwrap_err();
    assert_eq!(none.code, Code::OverLatestEnd, "no room at all");
}

#[test]
fn ending_lasts_until_every_item_has_evidence() {
    let ending = after(
        active(1, "k", 3600),
        &Event::Ending {
            reason: Reason::Expired,
        },
        3600,
    );
    assert!(ending.conclude(vec![]).is_err());
    let item = ending.parts[0].item().clone();
    let seen = Evidence {
        item,
        proof: Proof::TargetRead {
            at: at(3601),
            residue: vec![],
        },
    };
    let ended = after(ending.clone(), &ending.conclude(vec![seen]).unwrap(), 3601);
    assert!(matches!(ended.state, State::Ended { active_since: Some(since), .. } if since == at(0)));
    assert!(
        ended.end(Reason::Released, at(3602)).is_err(),
        "what has ended does not end again"
    );
}

#[test]
fn an_event_that_does_not_follow_is_no_state() {
    let event = Event::Activated {
        expires_at: at(9),
        latest_end: at(9),
    };
    assert!(
        grant(1, "k", State::Scheduled { start: at(0) })
            .evolve(&event, at(0))
            .is_none()
    );
    assert!(
        active(1, "k", 3600)
            .evolve(&Event::Ended { evidence: vec![] }, at(0))
            .is_none()
    );
    assert!(active(1, "k", 3600).evolve(&Event::Overdue, at(0)).is_none());
}

#[test]
fn credentials_go_to_the_holder_while_it_is_active() {
    let held = active(1, "k", 3600);
    let item = held.parts[0].item().clone();
    assert!(held.issue_credential(person(1), &item, at(1)).is_ok());
    assert_eq!(
        held.issue_credential(person(2), &item, at(1)).unwrap_err().code,
        Code::NotHolder
    );
    assert_eq!(
        held.issue_credential(person(1), &item, at(3600))
            .unwrap_err()
            .code,
        Code::GrantOver
    );
    let other = "orders/admin".parse().unwrap();
    assert_eq!(
        held.issue_credential(person(1), &other, at(1)).unwrap_err().code,
        Code::NotFound
    );
    let early = grant(1, "k", State::Scheduled { start: at(0) });
    assert_eq!(
        early.issue_credential(person(1), &item, at(1)).unwrap_err().code,
        Code::NotActive
    );
}
