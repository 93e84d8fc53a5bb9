//! Surveys: what stands at a target without Daypass, beside the policy; and that they are in nobody's way.

use daypass_core::entitlement::Fault;
use daypass_core::grant::State;
use daypass_core::time::Span;
use daypass_engine::{Engine, HowAdrift, Row, StandingFilter, Surveyor};
use daypass_policy::Source;
use daypass_providers::inventory::Fit;
use daypass_providers::memory::{Op, Trouble};

use crate::house::{House, code, name};

const POLICY: &str = r#"
version: 1
defaults: {settle: 0s}
people:
  engineers: {group: engineering}
  leads: {group: eng-leads}
connectors:
  - {name: box, kind: memory, config: {}}
resources:
  - {name: attic, kind: memory, connector: box, config: {place: attic}, roles: {read: {can: [read]}, all: {can: [read, write]}}}
  - {name: cellar, kind: memory, connector: box, config: {place: cellar}, roles: {write: {can: [write]}}}
rules:
  - {name: attic, allow: engineers, to: {resource: attic}, approval: [{from: leads, within: 1h, else: deny}]}
  - {name: cellar, allow: leads, to: {resource: cellar}, approval: none}
"#;

async fn load(house: &House, text: &str) {
    let name = "policy.yaml".to_owned();
    let text = text.to_owned();
    house.engine.load_policy(&[Source { name, text }]).await.unwrap();
}

/// A house whose target has something of several people, more than fits in a page.
async fn furnished() -> (House, Surveyor) {
    let house = House::new().await;
    load(&house, POLICY).await;
    house.target.stand_by_hand("ana", Some("attic"), &["read"]);
    house.target.stand_by_hand("bo", Some("attic"), &["write"]);
    house.target.stand_by_hand("ed", Some("cellar"), &["read"]);
    house.target.stand_by_hand("zoe", Some("shed"), &["read"]);
    let surveyor = Surveyor::new(std::sync::Arc::clone(&house.engine));
    (house, surveyor)
}

/// Goes on until nothing is due at this instant.
async fn survey(surveyor: &mut Surveyor) {
    while surveyor.step().await.calls > 0 {
        surveyor.settle().await;
    }
}

fn rows(house: &House) -> Vec<Row> {
    let filter = StandingFilter::default();
    house
        .engine
        .standing_access(house.caller("root"), &filter)
        .unwrap()
        .0
}

fn who(rows: &[Row]) -> Vec<&str> {
    rows.iter()
        .map(|row| row.standing().unwrap().subject.id.as_str())
        .collect()
}

#[tokio::test]
async fn standing_access_stands_beside_the_role_that_would_give_it() {
    let (house, mut surveyor) = furnished().await;
    let root = house.caller("root");
    let before = house.engine.surveyed(root, &name("box")).unwrap();
    assert!(
        before.last.is_none() && before.under_way.is_none(),
        "nobody has looked yet, and that is told"
    );
    surveyor.step().await;
    surveyor.settle().await;
    let half = house
        .engine
        .surveyed(root, &name("box"))
        .unwrap()
        .under_way
        .unwrap();
    assert_eq!((half.done, half.of), (2, Some(4)));
    assert!(rows(&house).is_empty(), "half a survey tells nothing yet");
    survey(&mut surveyor).await;
    let rows = rows(&house);
    assert_eq!(who(&rows), ["ana", "bo", "ed", "zoe"]);
    let given = |at: usize| -> Vec<String> {
        let by = rows[at].given_by.iter();
        by.map(|(item, fit)| format!("{item} {fit:?}")).collect()
    };
    assert_eq!(given(0), ["attic/read Same", "attic/all More"]);
    assert_eq!(given(1), ["attic/all More"]);
    assert!(given(2).is_empty() && given(3).is_empty());
    assert_eq!(
        rows[2].place,
        Some(name("cellar")),
        "the place is known, though no role there gives it"
    );
    assert_eq!(rows[3].place, None);
    assert_eq!(rows[0].person, Some(house.caller("ana").person));
    assert!(rows[0].is_guessed && rows[3].person.is_none());
    assert_eq!(rows[0].given_by[0].1, Fit::Same);
    let current = house.engine.current();
    let eligible = |login: &str, item: &str| {
        Engine::is_eligible(
            &current,
            house.caller(login).person,
            &item.parse().unwrap(),
            house.now(),
        )
    };
    assert!(eligible("ana", "attic/read") && !eligible("bo", "attic/read") && eligible("bo", "cellar/write"));
}

#[tokio::test]
async fn filters_find_by_connector_resource_login_and_name() {
    let (house, mut surveyor) = furnished().await;
    survey(&mut surveyor).await;
    let root = house.caller("root");
    let find = |filter: StandingFilter| house.engine.standing_access(root, &filter).unwrap().0;
    let of = |who: &str| StandingFilter {
        who: Some(who.to_owned()),
        ..StandingFilter::default()
    };
    assert_eq!(who(&find(of("zoe"))), ["zoe"]);
    assert!(find(of("nobody")).is_empty());
    let resource = Some(name("attic"));
    assert_eq!(
        who(&find(StandingFilter {
            resource,
            ..StandingFilter::default()
        })),
        ["ana", "bo"]
    );
    let connector = Some(name("other"));
    assert!(
        find(StandingFilter {
            connector,
            ..StandingFilter::default()
        })
        .is_empty()
    );
}

#[tokio::test]
async fn another_policy_needs_no_other_survey_and_another_target_does() {
    let (house, mut surveyor) = furnished().await;
    survey(&mut surveyor).await;
    let calls = house.target.calls(Op::Survey);
    load(
        &house,
        &POLICY.replace("roles: {write: {can: [write]}}", "roles: {read: {can: [read]}}"),
    )
    .await;
    survey(&mut surveyor).await;
    assert_eq!(house.target.calls(Op::Survey), calls);
    assert_eq!(rows(&house)[2].given_by.len(), 1, "the role that is new gives it");
    load(
        &house,
        &POLICY.replace("kind: memory, config: {}", "kind: memory, config: {shared: true}"),
    )
    .await;
    let known = house.engine.surveyed(house.caller("root"), &name("box")).unwrap();
    assert!(
        known.last.is_none(),
        "what another configuration showed is not told of this one"
    );
    survey(&mut surveyor).await;
    assert_eq!(rows(&house).len(), 4);
}

#[tokio::test]
async fn it_is_made_anew_after_an_hour_or_when_an_administrator_asks() {
    let (house, mut surveyor) = furnished().await;
    survey(&mut surveyor).await;
    house.target.remove_by_hand("zoe");
    survey(&mut surveyor).await;
    assert_eq!(rows(&house).len(), 4, "it is what was seen, and says when");
    assert_eq!(rows(&house)[0].seen_at(), house.now());
    let next = surveyor.step().await.next.unwrap();
    assert_eq!(next, house.now() + Span::hours(1));
    let asked = house
        .engine
        .ask_survey(house.caller("root"), &name("box"))
        .unwrap();
    assert!(asked.asked_for);
    survey(&mut surveyor).await;
    assert_eq!(who(&rows(&house)), ["ana", "bo", "ed"]);
    house.target.remove_by_hand("ed");
    house.pass(Span::hours(1));
    survey(&mut surveyor).await;
    assert_eq!(who(&rows(&house)), ["ana", "bo"]);
    let refused = house.engine.ask_survey(house.caller("ana"), &name("box"));
    assert_eq!(
        code(refused.map_err(Into::into)),
        daypass_core::refusal::Code::Forbidden
    );
    let refused = house.engine.ask_survey(house.caller("root"), &name("nowhere"));
    assert_eq!(
        code(refused.map_err(Into::into)),
        daypass_core::refusal::Code::NotFound
    );
    let all = StandingFilter::default();
    let refused = house.engine.standing_access(house.caller("ana"), &all);
    assert_eq!(
        code(refused.map_err(Into::into)),
        daypass_core::refusal::Code::Forbidden
    );
}

#[tokio::test]
async fn a_target_that_says_that_it_is_too_much_is_left_alone_and_then_asked_where_it_was() {
    let (house, mut surveyor) = furnished().await;
    surveyor.step().await;
    surveyor.settle().await;
    for _ in 0..3 {
        house
            .target
            .fail_next(Op::Survey, Trouble::Fails(Fault::RateLimited));
    }
    let mut pauses = Vec::new();
    for _ in 0..3 {
        survey(&mut surveyor).await;
        let failing = house
            .engine
            .surveyed(house.caller("root"), &name("box"))
            .unwrap()
            .failing;
        assert_eq!(failing.unwrap().1, Fault::RateLimited);
        let next = surveyor.step().await.next.unwrap();
        pauses.push(next.since(house.now()));
        house.pass(next.since(house.now()));
    }
    assert!(
        pauses.is_sorted() && pauses[0] >= Span::millis(500) && pauses[2] > Span::seconds(1),
        "{pauses:?}"
    );
    survey(&mut surveyor).await;
    assert_eq!(
        house.target.calls(Op::Survey),
        5,
        "the first page is not asked for again"
    );
    assert_eq!(who(&rows(&house)), ["ana", "bo", "ed", "zoe"]);
    assert_eq!(
        house
            .engine
            .surveyed(house.caller("root"), &name("box"))
            .unwrap()
            .failing,
        None
    );
}

#[tokio::test]
async fn a_cursor_that_leads_nowhere_begins_the_survey_anew_and_tells_nothing_twice() {
    let (house, mut surveyor) = furnished().await;
    surveyor.step().await;
    surveyor.settle().await;
    house
        .target
        .fail_next(Op::Survey, Trouble::Fails(Fault::Conflict));
    survey(&mut surveyor).await;
    house.pass(Span::minutes(1));
    survey(&mut surveyor).await;
    assert_eq!(who(&rows(&house)), ["ana", "bo", "ed", "zoe"]);
}

#[tokio::test]
async fn a_survey_that_hangs_holds_up_nothing_that_is_given_or_taken() {
    let (mut house, mut surveyor) = furnished().await;
    house.target.hold(Op::Survey);
    let step = surveyor.step().await;
    assert_eq!(step.calls, 1);
    let grant = house
        .ask("bo", &["cellar/write"])
        .await
        .unwrap()
        .grant
        .unwrap()
        .id;
    house.reconcile().await;
    assert_eq!(house.state(grant).await, "active");
    house.engine.release(house.caller("bo"), grant).await.unwrap();
    house.reconcile().await;
    assert!(matches!(house.grant(grant).await.state, State::Ended { .. }));
    assert_eq!(
        surveyor.step().await.calls,
        1,
        "and no second one begins beside it"
    );
    house.target.let_go(Op::Survey);
    survey(&mut surveyor).await;
    assert_eq!(rows(&house).len(), 4);
}

#[tokio::test]
async fn drift_is_what_nobody_holds_and_what_the_policy_gives_just_in_time() {
    let (mut house, mut surveyor) = furnished().await;
    survey(&mut surveyor).await;
    let root = house.caller("root");
    let drift = house.engine.drift(root).await.unwrap();
    assert_eq!(who(&drift.standing), ["ana", "bo"]);
    assert!(drift.adrift.is_empty() && drift.complete);
    load(
        &house,
        &POLICY.replace(
            "kind: memory, config: {}",
            "kind: memory, drift: alarm, config: {}",
        ),
    )
    .await;
    house.target.add_unrecorded("left_behind", "test");
    house.live(Span::minutes(2)).await;
    let drift = house.engine.drift(root).await.unwrap();
    let adrift: Vec<_> = drift
        .adrift
        .iter()
        .map(|one| (one.how, one.entitlement.key.key.as_str()))
        .collect();
    assert_eq!(adrift, [(HowAdrift::LeftToPeople, "left_behind")]);
    // What is on its way out because its grant ends is no drift.
    let grant = house
        .ask("bo", &["cellar/write"])
        .await
        .unwrap()
        .grant
        .unwrap()
        .id;
    house.reconcile().await;
    house.target.fail_next(Op::Revoke, Trouble::Fails(Fault::Denied));
    house.engine.release(house.caller("bo"), grant).await.unwrap();
    house.reconcile().await;
    assert_eq!(house.state(grant).await, "ending");
    assert_eq!(house.engine.drift(root).await.unwrap().adrift.len(), 1);
    // Somebody clears up by hand.
    house.target.remove_by_hand("left_behind");
    house.live(Span::minutes(2)).await;
    assert!(house.engine.drift(root).await.unwrap().adrift.is_empty());
}

#[tokio::test]
async fn what_is_found_and_no_resource_is_is_proposed() {
    let (house, mut surveyor) = furnished().await;
    survey(&mut surveyor).await;
    let (found, surveyed) = house.engine.found(house.caller("root"), &name("box")).unwrap();
    let told: Vec<_> = found.iter().map(|found| found.told.as_str()).collect();
    assert_eq!(told, ["place shed"]);
    assert!(surveyed.last.is_some());
    house.engine.found(house.caller("ana"), &name("box")).unwrap_err();
}
