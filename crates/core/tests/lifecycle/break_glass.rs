//! Emergencies: approved at once, a review owed as state, given once by somebody else, overdue once.

use daypass_core::break_glass::{BreakGlass, Owed};
use daypass_core::event::{Actor, Event as Recorded, Subject, What};
use daypass_core::id::PersonId;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::{Event, Request, Standing, State};
use daypass_core::review::{Step, Voter};
use daypass_core::text::{Hash, Prose};
use daypass_core::world::World;

use crate::samples::{at, person, request as sample, step};

/// Only person 2 is asked, and only by the review's own step.
struct OnlyTwo;

impl Standing for OnlyTwo {
    fn may_review(
        &self,
        request: &Request,
        step: &Step,
        escalated: bool,
        voter: Voter<'_>,
    ) -> Result<Option<PersonId>, Refusal> {
        let glass = request.path.break_glass.as_ref().unwrap();
        assert_eq!((step, escalated), (&glass.review, false));
        if voter.person() == person(2) {
            Ok(None)
        } else {
            Err(Refusal::new(Code::NotReviewer, "not asked"))
        }
    }

    fn may_hold(&self, _: &Request) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Person 1 broke the glass; security has fifteen minutes to look at it.
fn taken() -> Request {
    let plain = sample(vec![]);
    let mut path = plain.path;
    path.break_glass = Some(Box::new(BreakGlass {
        page: "oncall".parse().unwrap(),
        review: step("security", 1),
    }));
    let request = Request::new(plain.id, plain.ask, path, at(0)).unwrap();
    let event = request.approve_at_once().unwrap();
    request.evolve(&event, at(10)).unwrap()
}

fn comment() -> Prose {
    Prose::new([8; 16], "right call")
}

fn look(request: &Request, who: u8) -> Result<Event, Code> {
    let look = request.acknowledge(person(who), request.digest, comment(), &OnlyTwo);
    look.map_err(|refusal| refusal.code)
}

#[test]
fn it_is_approved_at_once_and_owes_a_review_from_then() {
    let request = taken();
    assert!(matches!(request.state, State::Approved { .. }));
    let due_at = at(10 + 15 * 60);
    assert_eq!(
        request.owed(),
        Some(&Owed::Due {
            due_at,
            overdue: false
        })
    );
    assert_ne!(
        request.digest,
        sample(vec![]).digest,
        "that it is an emergency is bound by the digest"
    );
    assert_eq!(request.path.asks().count(), 1);
    let ordinary = sample(vec![]);
    let event = ordinary.approve_at_once().unwrap();
    assert_eq!(ordinary.evolve(&event, at(10)).unwrap().owed(), None);
}

#[test]
fn somebody_who_is_asked_looks_at_it_once() {
    let request = taken();
    assert_eq!(look(&request, 1), Err(Code::OwnRequest), "not who did it");
    assert_eq!(look(&request, 3), Err(Code::NotReviewer));
    let other = request.acknowledge(person(2), Hash::of(b"other"), comment(), &OnlyTwo);
    assert_eq!(other.unwrap_err().code, Code::DigestMismatch);
    let event = look(&request, 2).unwrap();
    let after = request.evolve(&event, at(20)).unwrap();
    let Some(Owed::Reviewed {
        by, late, comment, ..
    }) = after.owed()
    else {
        panic!("{:?}", after.state)
    };
    assert_eq!((*by, *late, comment.text()), (person(2), false, "right call"));
    assert_eq!(look(&after, 2), Err(Code::AlreadyReviewed));
    assert_eq!(
        after.clone().evolve(&event, at(30)),
        None,
        "nothing is reviewed twice"
    );
    assert_eq!(after.silence(at(99_999)), None);
}

#[test]
fn silence_marks_it_overdue_once_and_it_goes_on_being_owed() {
    let request = taken();
    let due = 10 + 15 * 60;
    assert_eq!(request.silence(at(due - 1)), None);
    let event = request.silence(at(due)).unwrap();
    assert_eq!(event, Event::ReviewOverdue);
    let overdue = request.evolve(&event, at(due)).unwrap();
    assert_eq!(overdue.silence(at(due + 99_999)), None, "it is told once");
    assert_eq!(overdue.clone().evolve(&event, at(due + 1)), None);
    assert!(overdue.owed().is_some_and(Owed::is_due));
    let event = look(&overdue, 2).unwrap();
    let after = overdue.evolve(&event, at(due + 5)).unwrap();
    assert!(matches!(after.owed(), Some(Owed::Reviewed { late: true, .. })));
}

#[test]
fn what_was_no_emergency_owes_nothing() {
    let ordinary = sample(vec![]);
    let event = ordinary.approve_at_once().unwrap();
    let approved = ordinary.evolve(&event, at(10)).unwrap();
    assert_eq!(look(&approved, 2), Err(Code::WrongState));
    assert_eq!(look(&sample(vec![step("leads", 1)]), 2), Err(Code::WrongState));
    let acknowledged = Event::Acknowledged {
        by: person(2),
        digest: approved.digest,
        comment: comment(),
        on_behalf: None,
    };
    assert_eq!(approved.clone().evolve(&acknowledged, at(20)), None);
    assert_eq!(approved.evolve(&Event::ReviewOverdue, at(20)), None);
}

#[test]
fn nothing_else_follows_what_was_approved() {
    let request = taken();
    assert_eq!(request.approve_at_once().unwrap_err().code, Code::AlreadyDecided);
    let escalated = Event::Escalated { due_at: at(99) };
    for event in [Event::Withdrawn, Event::Lapsed { silent: None }, escalated] {
        assert_eq!(request.clone().evolve(&event, at(20)), None, "{event:?}");
    }
}

#[test]
fn a_replay_has_the_same_review_owed() {
    let plain = sample(vec![]);
    let taken = taken();
    let made = Request::new(plain.id, plain.ask, taken.path.clone(), at(0)).unwrap();
    let approved = made.approve_at_once().unwrap();
    let events = [
        Event::Created {
            request: Box::new(made),
        },
        approved,
        Event::ReviewOverdue,
        look(&taken, 2).unwrap(),
    ];
    let (mut live, mut replayed) = (World::default(), World::default());
    for (seconds, event) in (0..).zip(events) {
        let subject = Subject::Request(taken.id);
        let event = Recorded::new(at(seconds), Actor::System, subject, What::Request(event));
        live.apply(&event).unwrap();
        let bytes = event.canonical().unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("right call"));
        replayed.apply(&serde_json::from_slice(&bytes).unwrap()).unwrap();
    }
    assert_eq!(
        serde_json::to_value(&live.requests).unwrap(),
        serde_json::to_value(&replayed.requests).unwrap()
    );
}
