//! Delegation: who may make one, what it does to an account, and what a vote in somebody's place is held against.

use daypass_core::delegation::{Delegation, LONGEST};
use daypass_core::event::{Actor, Subject, What};
use daypass_core::id::PersonId;
use daypass_core::lock::{self, Lock, On};
use daypass_core::person::{Change, Kind, Person};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::{Event, Request, Standing};
use daypass_core::review::{Decision, Review, Step, Voter};
use daypass_core::text::Prose;
use daypass_core::time::Span;
use daypass_core::world::World;

use crate::samples::{at, person, request, step};

fn somebody(n: u8) -> Person {
    Person {
        changed_at: at(0),
        manager_since: at(0),
        ..Person::new(
            person(n),
            Kind::Person,
            Prose::new([1; 16], "ana"),
            Prose::new([2; 16], "Ana"),
        )
    }
}

/// To person 2, for so many seconds from one until the other.
fn away(from: i64, until: i64) -> Delegation {
    Delegation {
        to: person(2),
        from: at(from),
        until: at(until),
        why: Some(Prose::new([3; 16], "holiday")),
    }
}

fn made(delegation: Delegation, of: &Person, to: &Person) -> Result<Change, Code> {
    delegation.make(of, to, at(10)).map_err(|refusal| refusal.code)
}

#[test]
fn only_an_active_person_delegates_to_another_for_some_time() {
    let (ana, bo) = (somebody(1), somebody(2));
    let change = made(away(10, 60), &ana, &bo).unwrap();
    assert!(matches!(change, Change::Delegated { .. }));
    let off = |who: &Person| Person {
        active: false,
        ..who.clone()
    };
    let service = |who: &Person| Person {
        kind: Kind::Service,
        ..who.clone()
    };
    let itself = Delegation {
        to: person(1),
        ..away(10, 60)
    };
    let seconds = i64::try_from(LONGEST.micros() / 1_000_000).unwrap();
    for (delegation, of, to, expect) in [
        (away(10, 60), service(&ana), bo.clone(), Code::MayNotReview),
        (away(10, 60), off(&ana), bo.clone(), Code::NotEligible),
        (itself, ana.clone(), ana.clone(), Code::Invalid),
        (away(10, 60), ana.clone(), service(&bo), Code::Invalid),
        (away(10, 60), ana.clone(), off(&bo), Code::Invalid),
        (away(10, 10), ana.clone(), bo.clone(), Code::Invalid),
        (away(60, 30), ana.clone(), bo.clone(), Code::Invalid),
        (away(0, 10), ana.clone(), bo.clone(), Code::Invalid),
        (away(10, 11 + seconds), ana.clone(), bo.clone(), Code::OverMax),
    ] {
        assert_eq!(made(delegation, &of, &to), Err(expect));
    }
    assert!(made(away(10, 10 + seconds), &ana, &bo).is_ok(), "the longest");
}

#[test]
fn there_is_one_at_a_time_and_it_can_be_taken_back() {
    let bo = somebody(2);
    let ana = somebody(1).evolve(
        &made(away(20, 60), &somebody(1), &bo).unwrap(),
        Actor::System,
        at(10),
    );
    assert_eq!(
        made(away(70, 80), &ana, &bo),
        Err(Code::Exists),
        "one that is planned too"
    );
    assert!(away(70, 80).make(&ana, &bo, at(60)).is_ok(), "that one is over");
    assert_eq!(
        Delegation::end(&ana, at(60)).map_err(|no| no.code),
        Err(Code::WrongState)
    );
    let end = Delegation::end(&ana, at(30)).unwrap();
    assert_eq!(end, Change::DelegationEnded { to: person(2) });
    let ana = ana.evolve(&end, Actor::System, at(30));
    assert_eq!(ana.delegation, None);
    assert!(Delegation::end(&ana, at(31)).is_err());
}

#[test]
fn an_account_need_not_settle_after_it_and_does_not_bring_it_back() {
    let ana = somebody(1).evolve(
        &made(away(20, 60), &somebody(1), &somebody(2)).unwrap(),
        Actor::System,
        at(10),
    );
    assert_eq!((ana.changed_at, ana.manager_since), (at(0), at(0)));
    let back = ana
        .clone()
        .evolve(&Change::DelegationEnded { to: person(2) }, Actor::System, at(30));
    assert_eq!(back, somebody(1));
    let again = ana.evolve(&Change::Deactivated, Actor::System, at(30)).evolve(
        &Change::Reactivated,
        Actor::System,
        at(31),
    );
    assert_eq!(again.delegation, None);
}

#[test]
fn what_has_no_delegation_in_it_keeps_its_bytes() {
    let account = serde_json::to_string(&somebody(1)).unwrap();
    let review = serde_json::to_string(&vote(&request(vec![step("leads", 1)]), 2)).unwrap();
    assert!(
        !account.contains("delegation") && !review.contains("for"),
        "{account} {review}"
    );
    let instead = Review {
        on_behalf: Some(person(1)),
        ..vote(&request(vec![]), 2)
    };
    let written = serde_json::to_value(&instead).unwrap();
    assert_eq!(written["for"], serde_json::to_value(person(1)).unwrap());
    assert_eq!(serde_json::from_value::<Review>(written).unwrap(), instead);
}

/// Person 3 is away, and whoever asks reviews in their place; person 4 in that of this one.
struct Instead(PersonId);

impl Standing for Instead {
    fn may_review(
        &self,
        _: &Request,
        _: &Step,
        _: bool,
        voter: Voter<'_>,
    ) -> Result<Option<PersonId>, Refusal> {
        Ok(match voter {
            Voter::Would(who) | Voter::WouldDeny(who) if who == person(3) => None,
            Voter::Would(who) | Voter::WouldDeny(who) if who == person(4) => Some(self.0),
            Voter::Would(_) | Voter::WouldDeny(_) => Some(person(3)),
            Voter::Did(review) => review.on_behalf,
        })
    }

    fn may_hold(&self, _: &Request) -> Result<(), Refusal> {
        Ok(())
    }
}

fn vote(request: &Request, who: u8) -> Review {
    Review {
        reviewer: person(who),
        // What a caller says of it does not count.
        on_behalf: None,
        step: 0,
        decision: Decision::Approve {
            duration: None,
            items: None,
        },
        digest: request.digest,
        comment: None,
        at: at(0),
    }
}

fn voted(request: &Request, who: u8, absent: u8) -> Result<Request, Code> {
    let event = request
        .review(vote(request, who), &Instead(person(absent)), at(1))
        .map_err(|refusal| refusal.code)?;
    Ok(request.clone().evolve(&event, at(1)).unwrap())
}

#[test]
fn a_vote_in_somebodys_place_uses_up_both_voices() {
    let request = request(vec![step("leads", 3)]);
    let after = voted(&request, 2, 9).unwrap();
    assert_eq!(after.reviews()[0].on_behalf, Some(person(3)));
    assert_eq!(
        voted(&after, 2, 9),
        Err(Code::AlreadyReviewed),
        "the delegate again"
    );
    assert_eq!(voted(&after, 3, 9), Err(Code::AlreadyReviewed), "who was away");
    assert_eq!(
        voted(&after, 4, 3),
        Err(Code::AlreadyReviewed),
        "another one for them"
    );
    assert_eq!(
        voted(&after, 4, 2),
        Err(Code::AlreadyReviewed),
        "somebody for the delegate"
    );
    assert!(voted(&after, 4, 9).is_ok());
    assert_eq!(voted(&request, 4, 1), Err(Code::OwnRequest), "for the requester");
    assert_eq!(
        voted(&request, 1, 9),
        Err(Code::OwnRequest),
        "the requester for somebody"
    );
}

#[test]
fn nothing_is_delegated_by_or_to_who_is_locked() {
    let request = request(vec![step("leads", 1)]);
    let event = request
        .review(vote(&request, 2), &Instead(person(9)), at(1))
        .unwrap();
    let (actor, subject) = (Actor::Person(person(2)), Subject::Request(request.id));
    let check = |locked: u8, subject: &Subject, what: &What, actor| {
        let on = On::Person(person(locked));
        let shut = lock::Event::Locked {
            by: person(8),
            why: Prose::new([4; 16], "why"),
        };
        let mut world = World::default();
        world.requests.insert(request.id, request.clone());
        let lock = Lock::evolve(None, on.clone(), &shut, at(0)).unwrap();
        world.locks.insert(on, lock);
        lock::check(&world, actor, subject, what).map_err(|refusal| refusal.code)
    };
    assert!(matches!(event, Event::Approved { .. }));
    let what = What::Request(event);
    assert_eq!(check(3, &subject, &what, actor), Err(Code::Locked), "who is away");
    assert_eq!(
        check(2, &subject, &what, actor),
        Err(Code::Locked),
        "the delegate"
    );
    assert_eq!(check(7, &subject, &what, actor), Ok(()));
    let what = What::Person(made(away(20, 60), &somebody(1), &somebody(2)).unwrap());
    let (actor, subject) = (Actor::Person(person(1)), Subject::Person(person(1)));
    assert_eq!(check(2, &subject, &what, actor), Err(Code::Locked), "to whom");
    assert_eq!(check(7, &subject, &what, actor), Ok(()));
}

#[test]
fn thirty_days_are_the_longest() {
    assert_eq!(LONGEST, Span::hours(720));
}
