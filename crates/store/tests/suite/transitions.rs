//! What a transition leaves behind: all of it, or nothing.

use daypass_core::event::{Actor, Subject, What};
use daypass_core::grant::{self, Evidence, Grant, Proof, Reason, State};
use daypass_core::person::Change;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::review::Decision;
use daypass_core::text::Prose;
use daypass_core::time::{Span, Timestamp};
use daypass_store::{Error, GrantFilter, Outcome, Scope, Side};

use crate::bench::{Bench, on_every_engine};
use crate::story::*;

on_every_engine!(
    a_request_is_kept_with_its_words,
    a_refusal_leaves_nothing_behind,
    an_illegal_event_leaves_nothing_behind,
    no_event_is_no_error,
    a_decision_that_fails_leaves_the_store_working,
    the_last_vote_opens_the_grant_in_the_same_transaction,
    events_of_one_decision_keep_their_order,
    what_waits_is_woken_by_events_only,
    the_words_of_a_revocation_survive,
    the_world_of_a_grant_has_its_co_holders,
    time_never_goes_back,
);

async fn a_request_is_kept_with_its_words(bench: Bench) {
    let mut asked = Asked::new(1, &[1]);
    asked.reason = String::from("restore the row that Ana deleted\n— \"today\"");
    asked.ticket = Some(String::from("PAY-7"));
    let made = ask(&bench.store, asked).await.unwrap();
    let kept = bench.store.request(request_id(1)).await.unwrap().unwrap();
    assert_eq!(Some(&kept), made.world.requests.get(&request_id(1)));
    assert_eq!(
        kept.ask.reason.text(),
        "restore the row that Ana deleted\n— \"today\""
    );
    assert_eq!(kept.ask.ticket.unwrap().text(), "PAY-7");
    assert_eq!(bench.store.request(request_id(2)).await.unwrap(), None);
}

async fn a_refusal_leaves_nothing_behind(bench: Bench) {
    ask(&bench.store, Asked::new(1, &[1])).await.unwrap();
    let before = bench.store.load_world().await.unwrap();
    let own = review(&bench.store, request_id(1), person_id(1), YES, Some("me")).await;
    assert!(matches!(own, Err(Error::Refused(refusal)) if refusal.code == Code::OwnRequest));
    assert_eq!(bench.store.load_world().await.unwrap(), before);
    assert_eq!(
        bench.store.sequence(10).await.unwrap().len(),
        1,
        "the event of the request alone"
    );
}

async fn events_of_one_decision_keep_their_order(bench: Bench) {
    add(&bench.store, person(1, "ana"), Vec::new()).await.unwrap();
    // Many, few, many.
    for (round, count) in [40_u32, 3, 32].into_iter().enumerate() {
        let joined = move |nth: u32| {
            let groups = [name(&format!("team-{round}-{nth}"))].into();
            let change = What::Person(Change::Groups { groups });
            (Actor::System, Subject::Person(person_id(1)), change)
        };
        let decide = move |_: &_, _| {
            Ok(Outcome {
                events: (0..count).map(joined).collect(),
                side: Vec::new(),
            })
        };
        let scope = Scope::Person(person_id(1));
        bench.store.transition(scope, decide).await.unwrap();
    }
    let kept = bench.store.sequence(1_000).await.unwrap().into_iter().skip(1);
    let joined = kept.map(|entry| match entry.event.what {
        What::Person(Change::Groups { groups }) => groups.first().unwrap().to_string(),
        other => panic!("{other:?}"),
    });
    let expected = [40, 3, 32].into_iter().enumerate();
    let expected =
        expected.flat_map(|(round, count)| (0..count).map(move |nth| format!("team-{round}-{nth}")));
    assert_eq!(joined.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    bench.store.verify().await.unwrap();
}

async fn an_illegal_event_leaves_nothing_behind(bench: Bench) {
    ask(&bench.store, Asked::new(1, &[])).await.unwrap();
    let before = bench.store.load_world().await.unwrap();
    let id = grant_id(1);
    let illegal = bench.store.transition(Scope::Grant(id), move |world, now| {
        // The first event follows and the second does not: neither is kept.
        let begun = found(world.grants.get(&id))?.begin(now)?;
        let mut outcome = Outcome::one(Actor::System, Subject::Grant(id), What::Grant(begun));
        outcome.push(
            Actor::System,
            Subject::Grant(id),
            What::Grant(grant::Event::Overdue),
        );
        outcome.side.push(Side::Password {
            person: person_id(1),
            hash: String::from("x"),
        });
        Ok(outcome)
    });
    let error = illegal.await.unwrap_err();
    assert!(matches!(error, Error::Illegal(_)), "{error}");
    assert_eq!(
        error.to_string(),
        format!("refused: grant.overdue does not follow for grant {id}, which is activating")
    );
    assert_eq!(bench.store.load_world().await.unwrap(), before);
    assert_eq!(bench.store.password(person_id(1)).await.unwrap(), None);
}

async fn no_event_is_no_error(bench: Bench) {
    ask(&bench.store, Asked::new(1, &[1])).await.unwrap();
    let again = ask(&bench.store, Asked::new(1, &[1])).await.unwrap();
    assert!(again.events.is_empty());
    assert!(
        again.world.requests.contains_key(&request_id(1)),
        "the first one is found"
    );
    assert_eq!(bench.store.sequence(10).await.unwrap().len(), 1);
}

async fn a_decision_that_fails_leaves_the_store_working(bench: Bench) {
    let failed = bench
        .store
        .transition(Scope::Policy, |_, _| panic!("a bug in a decision"));
    assert!(matches!(failed.await, Err(Error::Corrupt(_))));
    ask(&bench.store, Asked::new(1, &[1])).await.unwrap();
}

async fn the_last_vote_opens_the_grant_in_the_same_transaction(bench: Bench) {
    ask(&bench.store, Asked::new(1, &[1, 1])).await.unwrap();
    let first = review(&bench.store, request_id(1), person_id(2), YES, Some("fine"))
        .await
        .unwrap();
    assert!(first.world.grants.is_empty());
    let last = review(&bench.store, request_id(1), person_id(3), YES, None)
        .await
        .unwrap();
    assert_eq!(last.events.len(), 2);
    let grant = bench.store.grant(grant_id(1)).await.unwrap().unwrap();
    assert_eq!(last.world.grants.get(&grant_id(1)), Some(&grant));
    assert_eq!(
        bench.store.grant_of_request(request_id(1)).await.unwrap(),
        Some(grant)
    );
    let request = bench.store.request(request_id(1)).await.unwrap().unwrap();
    assert_eq!(
        request.reviews()[0].comment.as_ref().unwrap().text(),
        "fine",
        "words survive into the approval"
    );
    let late = review(&bench.store, request_id(1), person_id(4), Decision::Deny, None).await;
    assert!(matches!(late, Err(Error::Refused(refusal)) if refusal.code == Code::AlreadyDecided));
}

async fn what_waits_is_woken_by_events_only(bench: Bench) {
    let mut changes = bench.store.changes();
    let refused = |_: &_, _| Err(Refusal::new(Code::Invalid, "no"));
    bench.store.transition(Scope::Policy, refused).await.unwrap_err();
    assert!(!changes.has_changed().unwrap());
    ask(&bench.store, Asked::new(1, &[1])).await.unwrap();
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    ask(&bench.store, Asked::new(1, &[1])).await.unwrap();
    assert!(
        !changes.has_changed().unwrap(),
        "nothing was recorded the second time"
    );
}

async fn the_words_of_a_revocation_survive(bench: Bench) {
    let words = "left the team";
    ask(&bench.store, Asked::new(1, &[])).await.unwrap();
    let why = Some(Prose::new([8; 16], words));
    let reason = Reason::Revoked {
        by: person_id(2),
        why,
    };
    change_grant(&bench.store, grant_id(1), move |grant, now| {
        grant.end(reason, now)
    })
    .await
    .unwrap();
    let said = |grant: &Grant| match &grant.state {
        State::Ending {
            reason: Reason::Revoked { why: Some(why), .. },
            ..
        }
        | State::Ended {
            reason: Reason::Revoked { why: Some(why), .. },
            ..
        } => why.text().to_owned(),
        other => panic!("{other:?}"),
    };
    let ending = bench.store.grant(grant_id(1)).await.unwrap().unwrap();
    assert_eq!(said(&ending), words);
    let concluded = change_grant(&bench.store, grant_id(1), |grant, _| {
        let item = grant.parts[0].item().clone();
        grant.conclude(vec![Evidence {
            item,
            proof: Proof::NeverProvisioned,
        }])
    });
    assert_eq!(
        said(&concluded.await.unwrap().world.grants[&grant_id(1)]),
        words,
        "known to who decides"
    );
    let page = bench
        .store
        .grants(GrantFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(said(&page.items[0]), words);
    bench.store.sequence(10).await.unwrap();
    let told = bench.store.timeline(request_id(1)).await.unwrap();
    let ending = told
        .into_iter()
        .find(|entry| entry.event.what.name() == "grant.ending")
        .unwrap();
    assert_eq!(ending.event.what.prose()[0].text(), words);
}

async fn the_world_of_a_grant_has_its_co_holders(bench: Bench) {
    for (n, items) in [
        (1, vec!["shared/port"]),
        (2, vec!["shared/port", "shared/other"]),
        (3, vec!["shared/other"]),
    ] {
        ask(
            &bench.store,
            Asked {
                items,
                ..Asked::new(n, &[])
            },
        )
        .await
        .unwrap();
    }
    ask(&bench.store, Asked::new(4, &[])).await.unwrap();
    activate(&bench.store, 1).await;
    let seen = change_grant(&bench.store, grant_id(2), Grant::begin)
        .await
        .unwrap()
        .world;
    assert_eq!(
        seen.grants.keys().copied().collect::<Vec<_>>(),
        [grant_id(1), grant_id(2), grant_id(3)]
    );
    assert_eq!(seen.entitlements.len(), 1, "that of the shared port");
    let seen = intend(&bench.store, grant_id(2), Span::ZERO).await.unwrap().world;
    assert_eq!(seen.grants.len(), 2, "those that hold this one");
}

async fn time_never_goes_back(bench: Bench) {
    let made = ask(&bench.store, Asked::new(1, &[1])).await.unwrap();
    bench.set_clock(Timestamp::EPOCH);
    assert!(bench.store.now().await.unwrap() >= made.now);
    let next = ask(&bench.store, Asked::new(2, &[1])).await.unwrap();
    assert!(next.now >= made.now);
    // A time that was only told, and not recorded, counts as well.
    bench.set_clock(made.now + Span::hours(1));
    let told = bench.store.now().await.unwrap();
    bench.set_clock(Timestamp::EPOCH);
    let last = review(&bench.store, request_id(2), person_id(9), Decision::Deny, None).await;
    match last {
        Ok(last) => assert!(last.now >= told),
        Err(error) => assert!(error.to_string().contains("lapsed"), "{error}"),
    }
}
