//! Changes that wait for others: who may decide them, when, and what a decision leads to.

use daypass_core::change::{Change, Event, Lapse, Proposal, State};
use daypass_core::event::{Actor, Event as Happened, Subject, What};
use daypass_core::id::{ChangeId, PersonId};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::review::{Decision, From, Review, Silence, Step, Voter};
use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};
use daypass_core::world::World;

use crate::samples::{at, person, step};

fn base() -> Hash {
    Hash::of(b"in force")
}

/// Person 1 proposes a policy.
fn proposed(steps: Vec<Step>) -> Change {
    let proposal = Proposal::Policy {
        revision: Hash::of(b"next"),
        files: vec![(String::from("policy.yaml"), Hash::of(b"version: 1"))],
        summary: vec![String::from("+ rule prod-write")],
    };
    Change::new(
        ChangeId::from_bytes([1; 10]),
        person(1),
        proposal,
        base(),
        steps,
        at(0),
    )
    .unwrap()
}

fn vote(change: &Change, who: u8, decision: Decision) -> Review {
    Review {
        reviewer: person(who),
        on_behalf: None,
        step: 99,
        decision,
        digest: change.digest,
        comment: None,
        at: Timestamp::EPOCH,
    }
}

fn yes(change: &Change, who: u8) -> Review {
    let decision = Decision::Approve {
        duration: None,
        items: None,
    };
    vote(change, who, decision)
}

fn anybody(_: &Step, _: bool, _: Voter<'_>) -> Result<Option<PersonId>, Refusal> {
    Ok(None)
}

fn agreed(change: &Change, who: u8, now: Timestamp) -> Change {
    let event = change
        .review(yes(change, who), Some(base()), &anybody, now)
        .unwrap();
    change.clone().evolve(&event, now).expect("its own event follows")
}

#[track_caller]
fn refused(change: &Change, review: Review, policy: Option<Hash>, now: Timestamp) -> Code {
    change
        .review(review, policy, &anybody, now)
        .expect_err("it is refused")
        .code
}

#[test]
fn two_different_people_fill_two_steps() {
    let change = proposed(vec![step("leads", 1), step("security", 1)]);
    let change = agreed(&change, 2, at(1));
    assert!(matches!(change.state, State::Pending { step: 1, .. }));
    assert_eq!(
        refused(&change, yes(&change, 2), Some(base()), at(2)),
        Code::AlreadyReviewed
    );
    let change = agreed(&change, 3, at(2));
    assert!(
        matches!(&change.state, State::Applied { reviews, at: when } if reviews.len() == 2 && *when == at(2))
    );
    assert_eq!(
        refused(&change, yes(&change, 4), Some(base()), at(3)),
        Code::AlreadyDecided
    );
}

#[test]
fn what_was_not_seen_not_asked_or_is_stale_is_not_agreed_to() {
    let change = proposed(vec![step("leads", 1)]);
    let now = at(1);
    assert_eq!(
        refused(&change, yes(&change, 1), Some(base()), now),
        Code::OwnRequest
    );
    let blind = Review {
        digest: Hash::of(b"x"),
        ..yes(&change, 2)
    };
    assert_eq!(refused(&change, blind, Some(base()), now), Code::DigestMismatch);
    let other = Some(Hash::of(b"another"));
    assert_eq!(refused(&change, yes(&change, 2), other, now), Code::Stale);
    assert_eq!(refused(&change, yes(&change, 2), None, now), Code::Stale);
    let less = Decision::Approve {
        duration: Some(Span::minutes(1)),
        items: None,
    };
    assert_eq!(
        refused(&change, vote(&change, 2, less), Some(base()), now),
        Code::Invalid
    );
    let late = change.due_at().unwrap();
    assert_eq!(
        refused(&change, yes(&change, 2), Some(base()), late),
        Code::AlreadyDecided
    );
}

#[test]
fn a_vote_that_lost_its_standing_does_not_count() {
    let change = agreed(&proposed(vec![step("leads", 2)]), 2, at(1));
    let lost = |_: &Step, _: bool, voter: Voter<'_>| {
        if voter.person() == person(2) {
            return Err(Refusal::new(Code::NotReviewer, "left"));
        }
        Ok(None)
    };
    let event = change
        .review(yes(&change, 3), Some(base()), &lost, at(2))
        .unwrap();
    assert!(matches!(event, Event::Reviewed { step: 0, .. }), "{event:?}");
}

#[test]
fn one_no_ends_it_and_the_proposer_alone_takes_it_back() {
    let change = proposed(vec![step("leads", 3)]);
    let no = vote(&change, 2, Decision::Deny);
    let event = change.review(no, Some(base()), &anybody, at(1)).unwrap();
    let denied = change.clone().evolve(&event, at(1)).unwrap();
    assert_eq!(denied.state.name(), "denied");
    assert_eq!(denied.withdraw(person(1)).unwrap_err().code, Code::AlreadyDecided);
    assert_eq!(change.withdraw(person(2)).unwrap_err().code, Code::NotHolder);
    assert_eq!(change.withdraw(person(1)), Ok(Event::Withdrawn));
}

#[test]
fn silence_never_agrees() {
    let escalates = Step {
        silence: Silence::Escalate {
            to: From::Manager,
            within: Span::hours(1),
        },
        ..step("leads", 1)
    };
    let change = proposed(vec![escalates]);
    let first = change.due_at().unwrap();
    assert_eq!(change.silence(first - Span::seconds(1)), None);
    let event = change.silence(first).unwrap();
    let change = change.evolve(&event, first).unwrap();
    assert_eq!(change.due_at(), Some(first + Span::hours(1)));
    let lapsed = Event::Lapsed { why: Lapse::Silence };
    assert_eq!(change.silence(first + Span::hours(1)), Some(lapsed));
    assert_eq!(change.outdated(base()), None);
    let stale = Event::Lapsed { why: Lapse::Stale };
    assert_eq!(change.outdated(Hash::of(b"another")), Some(stale));
}

/// Every part that reviewers rely on is under the digest.
#[test]
fn the_digest_covers_all_that_is_proposed() {
    let change = proposed(vec![step("leads", 1)]);
    let again = |change: Change| {
        let Change {
            id,
            proposer,
            proposal,
            policy,
            steps,
            created_at,
            ..
        } = change;
        Change::new(id, proposer, proposal, policy, steps, created_at)
            .unwrap()
            .digest
    };
    assert_eq!(again(change.clone()), change.digest);
    let Proposal::Policy {
        revision, summary, ..
    } = change.proposal.clone()
    else {
        panic!("it is about the policy");
    };
    let files = vec![(String::from("policy.yaml"), Hash::of(b"version: 2"))];
    let others = [
        Change {
            proposer: person(9),
            ..change.clone()
        },
        Change {
            policy: Hash::of(b"y"),
            ..change.clone()
        },
        Change {
            steps: vec![step("leads", 2)],
            ..change.clone()
        },
        Change {
            created_at: at(1),
            ..change.clone()
        },
        Change {
            proposal: Proposal::Policy {
                revision,
                files,
                summary,
            },
            ..change.clone()
        },
    ];
    for other in others {
        assert_ne!(again(other), change.digest);
    }
}

#[test]
fn a_replay_gives_the_same_and_nothing_is_decided_twice() {
    let change = proposed(vec![step("leads", 1)]);
    let subject = Subject::Change(change.id);
    let happened =
        |seconds, event| Happened::new(at(seconds), Actor::System, subject.clone(), What::Change(event));
    let applied = change
        .review(yes(&change, 2), Some(base()), &anybody, at(1))
        .unwrap();
    let made = Event::Proposed {
        change: Box::new(change),
    };
    let events = [happened(0, made), happened(1, applied.clone())];
    let mut world = World::default();
    for event in &events {
        let read: Happened = serde_json::from_slice(&event.canonical().unwrap()).unwrap();
        assert_eq!(&read, event);
        world.apply(&read).unwrap();
    }
    assert_eq!(world.state_of(&subject), "applied");
    assert!(world.apply(&happened(2, applied)).is_err());
    assert!(world.apply(&happened(2, Event::Withdrawn)).is_err());
    assert!(World::default().apply(&events[1]).is_err());
}
