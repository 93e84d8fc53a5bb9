//! Requests: who may decide them, when, and what a decision leads to.

use std::cell::RefCell;
use std::collections::BTreeSet;

use daypass_core::id::PersonId;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::{Event, Request, Standing, State};
use daypass_core::review::{Decision, From, Review, Silence, Silent, Step, Voter};
use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};

use crate::samples::{at, person, request, step};

/// Who is no reviewer (any more), and whether the requester may still hold what they ask for.
#[derive(Default)]
struct Standings {
    lost: RefCell<BTreeSet<PersonId>>,
    ineligible: bool,
}

impl Standing for Standings {
    fn may_review(
        &self,
        _: &Request,
        _: &Step,
        _: bool,
        voter: Voter<'_>,
    ) -> Result<Option<PersonId>, Refusal> {
        if self.lost.borrow().contains(&voter.person()) {
            return Err(Refusal::new(Code::NotReviewer, "no reviewer"));
        }
        Ok(None)
    }

    fn may_hold(&self, _: &Request) -> Result<(), Refusal> {
        if self.ineligible {
            Err(Refusal::new(Code::NotEligible, "not eligible"))
        } else {
            Ok(())
        }
    }
}

fn approve(request: &Request, who: u8) -> Review {
    Review {
        reviewer: person(who),
        on_behalf: None,
        step: 99,
        decision: Decision::Approve {
            duration: None,
            items: None,
        },
        digest: request.digest,
        comment: None,
        at: Timestamp::EPOCH,
    }
}

/// Has person `who` approve, and answers the request after it.
fn approved_by(request: Request, who: u8, now: Timestamp) -> Result<Request, Code> {
    let event = request
        .review(approve(&request, who), &Standings::default(), now)
        .map_err(|refusal| refusal.code)?;
    Ok(request.evolve(&event, now).expect("its own event follows"))
}

#[track_caller]
fn refused(request: &Request, review: Review, now: Timestamp, code: Code) {
    let refusal = request
        .review(review, &Standings::default(), now)
        .expect_err("it is refused");
    assert_eq!(refusal.code, code, "{refusal}");
}

#[test]
fn two_different_people_approve_two_steps() {
    let request = request(vec![step("leads", 1), step("security", 1)]);
    let request = approved_by(request, 2, at(1)).unwrap();
    assert!(
        matches!(request.state, State::Pending { step: 1, due_at, .. } if due_at == at(1) + Span::minutes(15))
    );
    let request = approved_by(request, 3, at(2)).unwrap();
    let State::Approved {
        approval, at: when, ..
    } = &request.state
    else {
        panic!("{:?}", request.state)
    };
    assert_eq!((approval.reviews().len(), *when), (2, at(2)));
    assert_eq!(
        approval.reviews()[1].step,
        1,
        "the step is the server's, not what the review claimed"
    );
}

#[test]
fn one_person_never_counts_twice() {
    let request = approved_by(request(vec![step("leads", 1), step("security", 1)]), 2, at(1)).unwrap();
    refused(&request, approve(&request, 2), at(2), Code::AlreadyReviewed);
    // The second step asks others, which is true and does not say why.
    let others = Standings::default();
    others.lost.borrow_mut().insert(person(2));
    let refusal = request.review(approve(&request, 2), &others, at(2)).unwrap_err();
    assert_eq!(refusal.code, Code::AlreadyReviewed);
}

#[test]
fn nobody_reviews_their_own() {
    let request = request(vec![step("leads", 1)]);
    refused(&request, approve(&request, 1), at(1), Code::OwnRequest);
}

#[test]
fn another_digest_is_another_request() {
    let request = request(vec![step("leads", 1)]);
    let stale = Review {
        digest: Hash::of(b"another"),
        ..approve(&request, 2)
    };
    refused(&request, stale, at(1), Code::DigestMismatch);
}

#[test]
fn a_vote_after_the_end_is_refused() {
    let mut decided = request(vec![step("leads", 1)]);
    refused(&decided, approve(&decided, 2), at(15 * 60), Code::AlreadyDecided);
    decided = decided.evolve(&Event::Withdrawn, at(1)).unwrap();
    refused(&decided, approve(&decided, 2), at(2), Code::AlreadyDecided);
}

#[test]
fn one_denial_ends_it() {
    let request = request(vec![step("leads", 2)]);
    let no = Review {
        decision: Decision::Deny,
        ..approve(&request, 2)
    };
    let event = request.review(no, &Standings::default(), at(1)).unwrap();
    let request = request.evolve(&event, at(1)).unwrap();
    assert!(matches!(&request.state, State::Denied { reviews, .. } if reviews.len() == 1));
    refused(&request, approve(&request, 3), at(2), Code::AlreadyDecided);
}

#[test]
fn a_review_approves_less_and_never_more() {
    let request = request(vec![step("leads", 1)]);
    let bounded = |duration, items: Option<&[&str]>| Review {
        decision: Decision::Approve {
            duration,
            items: items.map(|items| items.iter().map(|item| item.parse().unwrap()).collect()),
        },
        ..approve(&request, 2)
    };
    refused(
        &request,
        bounded(Some(Span::hours(2)), None),
        at(1),
        Code::ReviewForMore,
    );
    refused(
        &request,
        bounded(None, Some(&["orders/admin"])),
        at(1),
        Code::ReviewForMore,
    );
    refused(&request, bounded(None, Some(&[])), at(1), Code::NothingLeft);
    refused(
        &request,
        bounded(Some(Span::ZERO), None),
        at(1),
        Code::NothingLeft,
    );
    let less = bounded(Some(Span::minutes(30)), Some(&["orders/read"]));
    let Ok(Event::Approved { approval, .. }) = request.review(less, &Standings::default(), at(1)) else {
        panic!("less is fine")
    };
    assert_eq!(
        (approval.duration(), approval.items().len()),
        (Span::minutes(30), 1)
    );
}

#[test]
fn an_extension_is_approved_for_all_items_or_none() {
    let mut extension = request(vec![step("leads", 1)]);
    let first = extension.ask.items.first().cloned().expect("an item");
    extension.ask.extends = Some(daypass_core::id::GrantId::from(extension.id));
    let bounded = |duration, items| Review {
        decision: Decision::Approve { duration, items },
        ..approve(&extension, 2)
    };
    let fewer = bounded(None, Some(BTreeSet::from([first])));
    refused(&extension, fewer, at(1), Code::Invalid);
    let shorter = bounded(Some(Span::minutes(1)), Some(extension.ask.items.clone()));
    assert!(extension.review(shorter, &Standings::default(), at(1)).is_ok());
}

#[test]
fn a_reviewer_who_lost_their_standing_does_not_count_at_the_tally() {
    let request = approved_by(request(vec![step("leads", 1), step("security", 1)]), 2, at(1)).unwrap();
    let standings = Standings::default();
    standings.lost.borrow_mut().insert(person(2));
    let event = request.review(approve(&request, 3), &standings, at(2)).unwrap();
    assert!(
        matches!(event, Event::Reviewed { step: 0, .. }),
        "the first step is open again: {event:?}"
    );
}

#[test]
fn the_right_to_hold_is_checked_at_every_tally() {
    let request = request(vec![step("leads", 1)]);
    let standings = Standings {
        ineligible: true,
        ..Standings::default()
    };
    let refusal = request
        .review(approve(&request, 2), &standings, at(1))
        .unwrap_err();
    assert_eq!(refusal.code, Code::NotEligible);
}

#[test]
fn silence_never_approves() {
    let lapses = request(vec![step("leads", 1)]);
    assert_eq!(lapses.silence(at(15 * 60 - 1)), None);
    let lapsed = |step, escalated| {
        let silent = Some(Silent { step, escalated });
        Some(Event::Lapsed { silent })
    };
    assert_eq!(lapses.silence(at(15 * 60)), lapsed(0, false));
    let over = lapses
        .clone()
        .evolve(&lapsed(0, false).unwrap(), at(15 * 60))
        .unwrap();
    assert!(matches!(
        over.state,
        State::Lapsed {
            silent: Some(Silent {
                step: 0,
                escalated: false
            }),
            ..
        }
    ));
    // What lapsed before it was kept where is read as it was written.
    let before: Event = serde_json::from_str(r#"{"event":"lapsed"}"#).unwrap();
    assert_eq!(serde_json::to_string(&before).unwrap(), r#"{"event":"lapsed"}"#);

    let silence = Silence::Escalate {
        to: From::People("heads".parse().unwrap()),
        within: Span::minutes(10),
    };
    let escalates = request(vec![Step {
        silence,
        ..step("leads", 1)
    }]);
    let event = escalates.silence(at(15 * 60)).unwrap();
    assert_eq!(event, Event::Escalated { due_at: at(25 * 60) });
    let escalated = escalates.evolve(&event, at(15 * 60)).unwrap();
    assert_eq!(
        escalated.silence(at(25 * 60)),
        lapsed(0, true),
        "it escalates once"
    );
}

#[test]
fn only_the_requester_withdraws() {
    let request = request(vec![step("leads", 1)]);
    assert_eq!(request.withdraw(person(2)).unwrap_err().code, Code::NotHolder);
    assert_eq!(request.withdraw(person(1)), Ok(Event::Withdrawn));
    // What is approved is no question any more: what it gave is given back.
    let approved = approved_by(request, 2, at(1)).unwrap();
    let refusal = approved.withdraw(person(1)).unwrap_err();
    let grant = daypass_core::id::GrantId::from(approved.id).short();
    assert_eq!(refusal.code, Code::AlreadyDecided);
    assert!(
        refusal
            .hint
            .is_some_and(|hint| hint.ends_with(&format!("daypass release {grant}")))
    );
    assert_eq!(approved.withdraw(person(2)).unwrap_err().hint, None);
}

#[test]
fn only_a_request_that_asks_nobody_is_approved_at_once() {
    assert!(request(vec![]).approve_at_once().is_ok());
    assert!(request(vec![step("leads", 1)]).approve_at_once().is_err());
}

#[test]
fn the_digest_binds_what_was_asked_and_not_the_words() {
    let one = request(vec![step("leads", 1)]);
    let other = request(vec![step("leads", 2)]);
    assert_ne!(one.digest, other.digest);
    let mut erased = one.clone();
    erased.ask.reason = serde_json::from_str(&serde_json::to_string(&one.ask.reason).unwrap()).unwrap();
    let again = Request::new(one.id, erased.ask, one.path.clone(), one.created_at).unwrap();
    assert_eq!(again.digest, one.digest, "erasing the words leaves the digest");
}

/// Requests of before there were named times are read as they were, and keep their digest.
#[test]
fn a_path_without_a_named_time_is_written_as_before() {
    let mut made = request(vec![step("leads", 1)]);
    let plain = serde_json::to_value(&made.path).unwrap();
    assert!(plain.get("ends_by").is_none(), "{plain}");
    assert_eq!(
        serde_json::from_value::<daypass_core::request::Path>(plain).unwrap(),
        made.path
    );
    made.path.ends_by = Some(at(60));
    let named = serde_json::to_value(&made.path).unwrap();
    assert_eq!(
        serde_json::from_value::<daypass_core::request::Path>(named).unwrap(),
        made.path
    );
    let other = Request::new(made.id, made.ask.clone(), made.path.clone(), at(0)).unwrap();
    assert_ne!(
        other.digest, made.digest,
        "reviewers agree to the named time as well"
    );
}
