//! Change control over HTTP: what is proposed, who sees it, and that it comes in force by others only.

use daypass_api::change::{Change, ChangeQuery, ChangeState, NewChangeReview};
use daypass_api::policy::{PolicyFile, PolicyFiles};
use daypass_api::request::Decision;
use daypass_api::{ProblemCode, Route};
use daypass_core::refusal::Code;

use crate::bed::{Bed, POLICY, problem};

const CONTROL: &str = "policy: {approval: [{from: security, within: 4h}]}\n";

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

fn code<T>(result: Result<T, daypass_api::client::Error>) -> Option<ProblemCode> {
    result.err().and_then(|error| error.code())
}

fn review(change: &Change, decision: Decision) -> NewChangeReview {
    NewChangeReview {
        decision,
        digest: change.digest,
        comment: None,
    }
}

/// A server whose policy security must agree to change, and what root proposes.
async fn proposed() -> (Bed, Change, String) {
    let bed = Bed::start().await;
    let root = bed.client("root").await;
    let controlled = format!("{POLICY}{CONTROL}");
    assert!(root.apply_policy(&files(&controlled)).await.unwrap().changed);
    let next = controlled.replace("max: 8h", "max: 2h");
    let applied = root.apply_policy(&files(&next)).await.unwrap();
    let in_force = root.policy().await.unwrap();
    assert!(
        !applied.changed && applied.revision == in_force.revision,
        "{applied:?}"
    );
    assert_eq!(in_force.files[0].text, controlled);
    (bed, *applied.change.unwrap(), next)
}

#[tokio::test]
async fn a_policy_waits_for_those_whom_it_asks_and_they_read_all_of_it() {
    let (bed, change, next) = proposed().await;
    let cy = bed.client("cy").await;
    let inbox = ChangeQuery {
        reviewable: Some(true),
        ..ChangeQuery::default()
    };
    let waiting = cy.changes(&inbox).await.unwrap().items;
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].steps[0].reviewers, ["cy"]);
    assert!(waiting[0].files.is_empty() && waiting[0].reviewable);
    let short = change.id.short().to_lowercase();
    let shown = cy.change(&short).await.unwrap();
    assert_eq!(
        (shown.files[0].text.as_str(), shown.digest),
        (next.as_str(), change.digest)
    );
    assert_eq!(shown.before[0].text, format!("{POLICY}{CONTROL}"));
    assert!(!shown.summary.is_empty());
    let agreed = review(&shown, Decision::Approve);
    let root = bed.client("root").await;
    let own = root.review_change(change.id, &agreed).await;
    assert_eq!(code(own), Some(Code::OwnRequest.into()));
    let after = cy.review_change(change.id, &agreed).await.unwrap();
    assert_eq!(after.state, ChangeState::Applied);
    assert_eq!(Some(root.policy().await.unwrap().revision), change.revision);
    let trail = bed.log_with("change.applied").await;
    let names: Vec<&str> = trail.iter().map(|event| event.name.as_str()).collect();
    assert!(names.contains(&"change.proposed"), "{names:?}");
}

#[tokio::test]
async fn who_has_no_part_in_a_change_does_not_learn_of_it() {
    let (bed, change, _) = proposed().await;
    let ana = bed.session("ana").await;
    let client = bed.client_of(&ana);
    assert!(
        client
            .changes(&ChangeQuery::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let (there, nowhere) = (change.id.to_string(), "C0000000000000000");
    let body = serde_json::json!({"decision": "approve", "digest": change.digest});
    for route in [Route::Change, Route::ReviewChange, Route::WithdrawChange] {
        let mut answers = Vec::new();
        for id in [there.as_str(), nowhere] {
            let call = bed.call(route, &[id], Some(&ana));
            let call = if route == Route::ReviewChange {
                call.json(&body)
            } else {
                call
            };
            let problem = problem(call.send().await.unwrap()).await;
            let short: String = id.chars().take(6).collect();
            answers.push((problem.status, problem.detail.replace(&short, "…")));
        }
        assert_eq!(answers[0], answers[1], "{route:?}");
        assert_eq!(answers[0].0, 404, "{route:?}");
    }
    // An auditor reads it, and takes no part.
    let dee = bed.client("dee").await;
    assert_eq!(dee.change(&there).await.unwrap().state, ChangeState::Pending);
    let no = dee
        .review_change(change.id, &review(&change, Decision::Deny))
        .await;
    assert_eq!(code(no), Some(Code::Forbidden.into()));
}

#[tokio::test]
async fn a_proposal_is_taken_back_or_denied() {
    let (bed, change, next) = proposed().await;
    let (root, cy) = (bed.client("root").await, bed.client("cy").await);
    let by_other = cy.withdraw_change(change.id).await;
    assert_eq!(code(by_other), Some(Code::NotHolder.into()));
    let back = root.withdraw_change(change.id).await.unwrap();
    assert_eq!(back.state, ChangeState::Withdrawn);
    let again = *root.apply_policy(&files(&next)).await.unwrap().change.unwrap();
    let other = NewChangeReview {
        digest: change.digest,
        ..review(&again, Decision::Deny)
    };
    let blind = cy.review_change(again.id, &other).await;
    assert_eq!(
        code(blind),
        Some(Code::DigestMismatch.into()),
        "the digest of the one before"
    );
    let denied = cy.review_change(again.id, &review(&again, Decision::Deny)).await;
    assert_eq!(denied.unwrap().state, ChangeState::Denied);
    let late = cy
        .review_change(again.id, &review(&again, Decision::Approve))
        .await;
    assert_eq!(code(late), Some(Code::AlreadyDecided.into()));
}
