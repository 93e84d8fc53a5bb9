//! The policy over HTTP: all of it or nothing, with everything that is wrong.

use daypass_api::ProblemCode;
use daypass_api::catalogue::{How, ResourceQuery};
use daypass_api::connector::Rotate;
use daypass_api::policy::{PolicyFile, PolicyFiles};
use daypass_core::refusal::Code;
use daypass_providers::memory::{Op, Trouble};

use crate::bed::{Bed, POLICY, ask};

fn files(text: &str) -> PolicyFiles {
    let file = PolicyFile {
        name: "policy.yaml".into(),
        text: text.into(),
    };
    PolicyFiles {
        files: vec![file],
        replaces: None,
    }
}

#[tokio::test]
async fn a_sound_policy_comes_in_force_and_changes_what_is_offered() {
    let bed = Bed::start().await;
    let root = bed.client("root").await;
    let before = root.policy().await.unwrap();
    assert_eq!(before.files[0].text, POLICY);
    let next = POLICY.replace("approval: none, max: 8h", "approval: none, max: 2h");
    let applied = root
        .apply_policy(&PolicyFiles {
            replaces: Some(before.revision),
            ..files(&next)
        })
        .await
        .unwrap();
    assert!(applied.changed && !applied.summary.is_empty(), "{applied:?}");
    let stale = root
        .apply_policy(&PolicyFiles {
            replaces: Some(before.revision),
            ..files(POLICY)
        })
        .await
        .unwrap_err();
    assert_eq!(stale.code(), Some(Code::Stale.into()));
    assert!(!root.apply_policy(&files(&next)).await.unwrap().changed);

    let ana = bed.client("ana").await;
    let offers = ana.resources(&ResourceQuery::default()).await.unwrap().items;
    let how = |item: &str| {
        offers
            .iter()
            .find(|offer| offer.item.to_string() == item)
            .map(|offer| &offer.how)
    };
    assert!(
        matches!(how("staging/read"), Some(How::Instant { max, .. }) if max.to_string() == "2h"),
        "{offers:?}"
    );
    assert!(
        matches!(how("orders/write"), Some(How::Reviewed { steps, .. }) if *steps == ["manager", "security"])
    );
    let instant = ResourceQuery {
        instant: Some(true),
        ..ResourceQuery::default()
    };
    assert_eq!(ana.resources(&instant).await.unwrap().items.len(), 1);
    let cy = bed
        .client("cy")
        .await
        .resources(&ResourceQuery::default())
        .await
        .unwrap()
        .items;
    assert!(
        cy.iter()
            .all(|offer| matches!(&offer.how, How::Closed { code, .. } if code == "not-eligible")),
        "{cy:?}"
    );
}

#[tokio::test]
async fn what_is_wrong_is_told_with_file_and_line_and_changes_nothing() {
    let bed = Bed::start().await;
    let root = bed.client("root").await;
    let before = root.policy().await.unwrap().revision;
    let misspelt = POLICY
        .replace("guardrails", "")
        .replace("resources:", "resorces:");
    let daypass_api::client::Error::Problem(problem) =
        root.apply_policy(&files(&misspelt)).await.unwrap_err()
    else {
        panic!("a problem was expected")
    };
    assert_eq!(problem.code, Code::PolicyInvalid.into());
    let first = &problem.diagnostics[0];
    assert_eq!(
        (first.file.as_str(), first.line > 1),
        ("policy.yaml", true),
        "{first:?}"
    );
    let check = root.check_policy(&files(&misspelt)).await.unwrap();
    assert!(!check.is_sound() && check.revision.is_none());

    let bad_role = POLICY.replace("{can: [write]}", "{may: [write]}");
    let check = root.check_policy(&files(&bad_role)).await.unwrap();
    assert!(
        check.diagnostics.iter().any(|found| found.line > 1),
        "the provider's own check: {check:?}"
    );
    assert_eq!(
        root.apply_policy(&files(&bad_role)).await.unwrap_err().code(),
        Some(Code::PolicyInvalid.into())
    );

    let failing = format!(
        "{POLICY}tests:\n  - {{as: ana, in: [engineering], ask: staging/read, expect: {{refused: over-max}}}}\n"
    );
    let daypass_api::client::Error::Problem(problem) = root.apply_policy(&files(&failing)).await.unwrap_err()
    else {
        panic!("a problem was expected")
    };
    assert_eq!(
        (problem.code, problem.tests.len()),
        (Code::PolicyTestFailed.into(), 1)
    );
    assert_eq!(root.policy().await.unwrap().revision, before);
}

#[tokio::test]
async fn a_connector_that_still_has_access_cannot_be_dropped() {
    let bed = Bed::start().await;
    let grant = bed.granted().await;
    bed.reaches(grant, daypass_api::grant::GrantState::Active).await;
    let root = bed.client("root").await;
    let other = POLICY
        .replace("name: box", "name: crate")
        .replace("connector: box", "connector: crate");
    assert_eq!(
        root.apply_policy(&files(&other)).await.unwrap_err().code(),
        Some(Code::InUse.into())
    );
}

#[tokio::test]
async fn connectors_tell_how_they_are() {
    let bed = Bed::start().await;
    let dee = bed.client("dee").await;
    let healthy = dee.connectors().await.unwrap().items;
    assert_eq!(healthy[0].health, daypass_api::connector::Health::Healthy);
    assert_eq!((healthy[0].provisioned_at, healthy[0].revoked_at), (None, None));
    assert_eq!((healthy[0].unwanted, &healthy[0].stuck), (0, &None));
    let grant = bed.granted().await;
    bed.reaches(grant, daypass_api::grant::GrantState::Active).await;
    let given = dee.connectors().await.unwrap().items;
    assert!(
        given[0].provisioned_at.is_some() && given[0].revoked_at.is_none(),
        "{given:?}"
    );
    // What it said is told for some seconds; this one has not said anything yet.
    let bed = Bed::start().await;
    let dee = bed.client("dee").await;
    bed.target.fail_next(
        Op::Probe,
        Trouble::Fails(daypass_core::entitlement::Fault::Denied),
    );
    let failing = dee.connectors().await.unwrap().items;
    assert!(
        matches!(&failing[0].health, daypass_api::connector::Health::Failing { fault, .. } if fault == "denied")
    );
    let rotated = bed
        .client("root")
        .await
        .rotate(&"box".parse().unwrap(), Rotate::default())
        .await;
    assert!(
        matches!(rotated, Ok(_) | Err(daypass_api::client::Error::Problem(_))),
        "{rotated:?}"
    );
}

#[tokio::test]
async fn a_target_that_fails_is_told_and_retried() {
    let bed = Bed::start().await;
    let id = bed.granted().await;
    bed.reaches(id, daypass_api::grant::GrantState::Active).await;
    bed.target.fail_next(
        Op::Credential,
        Trouble::Fails(daypass_core::entitlement::Fault::Unavailable),
    );
    let ana = bed.client("ana").await;
    let failed = ana.credentials(id, &Default::default()).await.unwrap_err();
    assert_eq!(failed.code(), Some(ProblemCode::TargetFailed));
    assert!(ana.credentials(id, &Default::default()).await.is_ok());
    drop(ask("orders/read"));
}
