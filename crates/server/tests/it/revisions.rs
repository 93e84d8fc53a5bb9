//! The revisions of the policy over HTTP: which there were, by whom, and what differs between two.

use daypass_api::policy::{DiffQuery, PolicyFile, PolicyFiles, RevisionQuery};
use daypass_core::refusal::Code;
use daypass_core::text::Hash;

use crate::bed::{Bed, POLICY};

fn files(text: &str) -> PolicyFiles {
    PolicyFiles {
        files: vec![PolicyFile {
            name: "policy.yaml".into(),
            text: text.into(),
        }],
        replaces: None,
    }
}

#[tokio::test]
async fn every_revision_is_kept_and_compared_with_any_other() {
    let bed = Bed::start().await;
    let root = bed.client("root").await;
    let next = POLICY.replace("approval: none, max: 8h", "approval: none, max: 2h");
    for text in [&*next, POLICY] {
        root.apply_policy(&files(text)).await.unwrap();
    }
    let dee = bed.client("dee").await;
    let all = dee.policy_revisions(&RevisionQuery::default()).await.unwrap();
    let told: Vec<_> = all
        .items
        .iter()
        .map(|one| (one.by.as_str(), one.in_force))
        .collect();
    assert_eq!(
        told,
        [("root", true), ("root", false), ("daypass", true)],
        "{all:?}"
    );
    assert!(all.next.is_none() && all.items.iter().all(|one| one.files.is_empty()));
    assert_eq!(all.items[0].revision, all.items[2].revision, "it came back");

    let first = RevisionQuery {
        limit: Some(1),
        cursor: None,
    };
    let page = dee.policy_revisions(&first).await.unwrap();
    let rest = RevisionQuery {
        limit: Some(500),
        cursor: page.next,
    };
    let rest = dee.policy_revisions(&rest).await.unwrap();
    assert_eq!(rest.items, all.items[1..]);
    assert_eq!(rest.next, None);

    let between = dee.policy_revision(all.items[1].revision).await.unwrap();
    assert_eq!(between.files[0].text, next);
    let diff = DiffQuery {
        from: all.items[0].revision,
        to: all.items[1].revision,
    };
    let diff = dee.policy_diff(&diff).await.unwrap();
    assert_eq!(
        diff.summary.unwrap(),
        ["~ rule staging-self-service: max 8h → 2h"]
    );
    let lines = &diff.files[0].lines;
    let gone = lines.iter().find(|line| line.after.is_none()).unwrap();
    let new = lines.iter().find(|line| line.before.is_none()).unwrap();
    assert!(
        gone.text.contains("max: 8h") && new.text.contains("max: 2h"),
        "{lines:?}"
    );
    assert_eq!(gone.before, new.after);
    assert!(dee.policy().await.unwrap().approval.is_empty());
}

#[tokio::test]
async fn what_was_never_in_force_is_not_there() {
    let bed = Bed::start().await;
    let dee = bed.client("dee").await;
    let never = Hash::of(b"never");
    let missing = dee.policy_revision(never).await.unwrap_err();
    assert_eq!(missing.code(), Some(Code::NotFound.into()));
    let here = dee.policy().await.unwrap().revision;
    for (from, to) in [(here, never), (never, here)] {
        let missing = dee.policy_diff(&DiffQuery { from, to }).await.unwrap_err();
        assert_eq!(missing.code(), Some(Code::NotFound.into()));
    }
    let bad = RevisionQuery {
        cursor: Some("x".into()),
        limit: None,
    };
    let bad = dee.policy_revisions(&bad).await.unwrap_err();
    assert_eq!(bad.code(), Some(Code::Invalid.into()));
}
