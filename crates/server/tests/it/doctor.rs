//! The server looks itself over, and says what is wrong and to whom.

use std::collections::BTreeSet;

use daypass_api::doctor::{Check, LOOKED_AT, Verdict};
use daypass_api::gateway::{RegisterGateway, VERSION};
use daypass_server::config::Elsewhere;

use crate::bed::{Bed, soon};
use crate::recordings;

async fn checks(bed: &Bed) -> Vec<Check> {
    bed.client("dee").await.doctor().await.unwrap().checks
}

fn about<'c>(checks: &'c [Check], about: &str) -> &'c Check {
    let one = checks.iter().find(|check| check.about == about);
    one.unwrap_or_else(|| panic!("nothing about {about} in {checks:#?}"))
}

#[tokio::test]
async fn a_server_that_is_well_says_so_and_what_it_still_lacks() {
    let bed = Bed::start().await;
    soon("the first pass", async {
        while about(&checks(&bed).await, "reconciler").verdict != Verdict::Good {}
    })
    .await;
    let checks = checks(&bed).await;
    for good in ["reconciler", "connector box", "overdue", "emergencies"] {
        assert_eq!(about(&checks, good).verdict, Verdict::Good, "{good}: {checks:#?}");
    }
    // It works, and somebody should look at it.
    for (warning, what) in [
        ("policy", "has no tests"),
        ("notices", "go nowhere"),
        ("administrators", "one alone"),
        ("transport", "without TLS"),
    ] {
        let check = about(&checks, warning);
        assert_eq!(check.verdict, Verdict::Warning, "{check:?}");
        assert!(check.found.contains(what) && check.advice.is_some(), "{check:?}");
    }
    assert!(
        !checks.iter().any(|check| check.verdict == Verdict::Failing),
        "{checks:#?}"
    );
    // Whoever may not have it looked over is told what they did not see.
    for check in &checks {
        let named = LOOKED_AT.iter().any(|one| {
            let rest = check.about.strip_prefix(one);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        });
        assert!(named, "{} is missing in LOOKED_AT", check.about);
    }
}

#[tokio::test]
async fn what_does_not_work_is_said_with_what_to_do() {
    let bed = Bed::start().await;
    bed.target.set_down(true);
    let found = checks(&bed).await;
    let connector = about(&found, "connector box");
    assert_eq!(connector.verdict, Verdict::Failing);
    assert!(connector.found.starts_with("unavailable"), "{connector:?}");
    assert!(connector.advice.is_some());

    let cy = "cy".parse().unwrap();
    bed.client("root").await.deactivate(&cy).await.unwrap();
    let found = checks(&bed).await;
    let people = about(&found, "people security");
    assert_eq!(people.verdict, Verdict::Warning);
    for part in [
        "prod-write, prod-read ask 1 of",
        "and nobody of them may now",
        "policy.yaml:",
    ] {
        assert!(people.found.contains(part), "no {part} in {people:?}");
    }
    let advice = people.advice.as_deref().unwrap_or_default();
    assert!(
        advice.starts_with("daypass group add security LOGIN"),
        "{people:?}"
    );
    assert!(!advice.contains("0s"), "nothing settles for 0s: {people:?}");
}

#[tokio::test]
async fn a_gateway_that_is_not_there_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = recordings::gateway(folder.path());
    config.apart = vec![Elsewhere {
        name: "robot".parse().unwrap(),
        resources: BTreeSet::from(["orders".parse().unwrap()]),
        address: config.postgres.clone().unwrap().address,
        certificate: None,
    }];
    let bed = Bed::with(|server| server.gateway = Some(config)).await;
    let found = checks(&bed).await;
    let robot = about(&found, "gateway robot");
    assert_eq!(robot.verdict, Verdict::Failing, "{robot:?}");

    let token = bed.api_token("robot", &["gateway", "gateway:orders"]).await;
    let gateway = bed.client_of(&token).of_run(&"07".repeat(32).into());
    let register = RegisterGateway {
        version: VERSION,
        end_points: Vec::new(),
    };
    gateway.register_gateway(&register).await.unwrap();
    let stream = gateway.gateway_events().await.unwrap();
    let found = checks(&bed).await;
    assert_eq!(about(&found, "gateway robot").verdict, Verdict::Good, "{found:?}");
    drop(stream);
    soon("it is missed", async {
        while about(&checks(&bed).await, "gateway robot").verdict == Verdict::Good {}
    })
    .await;
}

#[tokio::test]
async fn without_a_policy_nothing_works() {
    let bed = Bed::empty(|_| ()).await;
    bed.bootstrap().await;
    let found = bed.client("root").await.doctor().await.unwrap().checks;
    let policy = about(&found, "policy");
    assert_eq!(policy.verdict, Verdict::Failing, "{policy:?}");
}
