//! Change control over accounts over HTTP: the answer is 202 and the change, reviewers read what it does, and nobody gets around them.

use std::collections::BTreeSet;

use daypass_api::change::{Change, ChangeKind, ChangeQuery, ChangeState, NewChangeReview, Proposed};
use daypass_api::client::Error;
use daypass_api::login::NewToken;
use daypass_api::person::{ChangeGroups, Kind, NewPerson, SetHandle, SetPassword, SetRole, SystemRole};
use daypass_api::policy::{PolicyFile, PolicyFiles};
use daypass_api::request::Decision;
use daypass_api::{Client, ProblemCode, Route, Scope, Secret};
use daypass_core::name::Name;
use daypass_core::refusal::Code;
use daypass_core::time::Span;

use crate::bed::{Bed, PASSWORD, POLICY};

const COVERS: &str =
    "policy: {approval: [{from: security, within: 4h}], covers: [policy, people, groups, credentials]}\n";

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

async fn covered() -> (Bed, Client, Client) {
    let bed = Bed::start().await;
    let (root, cy) = (bed.client("root").await, bed.client("cy").await);
    let file = PolicyFile {
        name: "policy.yaml".into(),
        text: format!("{POLICY}{COVERS}"),
    };
    let files = PolicyFiles {
        files: vec![file],
        replaces: None,
    };
    assert!(root.apply_policy(&files).await.unwrap().changed);
    (bed, root, cy)
}

#[track_caller]
fn waits<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Proposed {
    match outcome {
        Err(Error::Waits(proposed)) => *proposed,
        other => panic!("it does not wait: {other:?}"),
    }
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Error>) -> ProblemCode {
    outcome.unwrap_err().code().unwrap()
}

async fn decide(client: &Client, change: &Change, decision: Decision) -> Result<Change, Error> {
    let review = NewChangeReview {
        decision,
        digest: change.digest,
        comment: None,
    };
    client.review_change(change.id, &review).await
}

fn joins(group: &str) -> ChangeGroups {
    ChangeGroups {
        add: [name(group)].into(),
        ..ChangeGroups::default()
    }
}

#[tokio::test]
async fn a_change_of_an_account_is_read_agreed_to_and_done() {
    let (bed, root, cy) = covered().await;
    let proposed = waits(root.change_groups(&name("bo"), &joins("engineering")).await).change;
    assert_eq!(
        (proposed.kind, proposed.state),
        (ChangeKind::Account, ChangeState::Pending)
    );
    assert_eq!(proposed.summary, ["+ bo joins engineering"]);
    assert_eq!(proposed.steps[0].reviewers, ["cy"]);
    let inbox = ChangeQuery {
        reviewable: Some(true),
        ..ChangeQuery::default()
    };
    assert_eq!(cy.changes(&inbox).await.unwrap().items.len(), 1);
    let shown = cy.change(&proposed.id.to_string()).await.unwrap();
    assert_eq!(
        (shown.digest, shown.revision, shown.obstacle),
        (proposed.digest, None, None)
    );
    let plan = shown.plan.unwrap();
    assert_eq!((plan.people, plan.left_out), (1, 0));
    assert!(!plan.changes.is_empty() && plan.changes.iter().all(|change| change.people == ["bo"]));
    assert!(shown.files.is_empty());
    let own = decide(&root, &proposed, Decision::Approve).await;
    assert_eq!(code(own), Code::OwnRequest.into());
    let done = decide(&cy, &proposed, Decision::Approve).await.unwrap();
    assert_eq!(done.state, ChangeState::Applied);
    assert!(cy.change(&proposed.id.to_string()).await.unwrap().plan.is_none());
    let trail = bed.log_with("change.applied").await;
    let told = trail
        .iter()
        .find(|event| event.name == "change.proposed")
        .unwrap();
    assert_eq!(told.summary, "root proposes: + bo joins engineering");
    let ana = bed.client("ana").await;
    assert!(
        ana.changes(&ChangeQuery::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn an_account_and_its_password_come_with_the_agreement() {
    let (bed, root, cy) = covered().await;
    let eve = NewPerson {
        login: name("eve"),
        display: None,
        kind: Kind::Person,
        role: SystemRole::Member,
        groups: BTreeSet::new(),
        manager: None,
        owner: None,
        mail: Some("eve@example.com".into()),
        password: Some(Secret::new(PASSWORD)),
    };
    let change = waits(root.add_person(&eve).await).change;
    assert_eq!(change.summary.len(), 2, "{:?}", change.summary);
    assert!(change.summary[1].contains("eve@example.com"));
    assert!(!serde_json::to_string(&change).unwrap().contains("argon2"));
    let shown = cy.change(&change.id.to_string()).await.unwrap();
    assert!(!serde_json::to_string(&shown).unwrap().contains("argon2"));
    decide(&cy, &change, Decision::Approve).await.unwrap();
    let session = bed.client("eve").await.whoami().await.unwrap();
    assert_eq!(session.person.mail.as_deref(), Some("eve@example.com"));
    // Somebody else's password stays what it was until others agree; one's own waits for nobody.
    let other = SetPassword {
        current: None,
        password: Secret::new("another quiet river"),
    };
    let change = waits(root.set_password(&name("eve"), &other).await).change;
    bed.client("eve").await;
    decide(&cy, &change, Decision::Deny).await.unwrap();
    let own = SetPassword {
        current: Some(Secret::new(PASSWORD)),
        password: Secret::new("another quiet river"),
    };
    bed.client("eve")
        .await
        .set_password(&name("eve"), &own)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_handle_waits_for_others_and_goes_without_them() {
    let (_bed, root, cy) = covered().await;
    let handle = |id: Option<&str>| SetHandle {
        namespace: name("entra"),
        id: id.map(str::to_owned),
    };
    let ana = name("ana");
    let change = waits(root.set_handle(&ana, &handle(Some("7f1c-ana"))).await).change;
    assert_eq!(
        change.summary,
        ["+ ana is 7f1c-ana in entra, and gets what is given there"]
    );
    decide(&cy, &change, Decision::Approve).await.unwrap();
    let moved = waits(root.set_handle(&ana, &handle(Some("other"))).await).change;
    assert!(
        moved.summary[0].contains("7f1c-ana → other"),
        "{:?}",
        moved.summary
    );
    let gone = root.set_handle(&ana, &handle(None)).await.unwrap();
    assert!(gone.handles.is_empty());
    // What was to be replaced is no more: nothing comes of it.
    let lapsed = decide(&cy, &moved, Decision::Approve).await.unwrap();
    assert_eq!(lapsed.state, ChangeState::Lapsed);
}

#[tokio::test]
async fn a_token_of_a_service_is_good_for_nothing_until_others_agree() {
    let (bed, root, cy) = covered().await;
    let service = NewPerson {
        login: name("deployer"),
        display: None,
        kind: Kind::Service,
        role: SystemRole::Member,
        groups: BTreeSet::new(),
        manager: None,
        owner: Some(name("root")),
        mail: None,
        password: None,
    };
    let change = waits(root.add_person(&service).await).change;
    decide(&cy, &change, Decision::Approve).await.unwrap();
    let new = NewToken {
        name: "nightly".into(),
        scopes: [Scope::Read].into(),
        resources: [].into(),
        expires_in: Span::hours(1),
        login: Some(name("deployer")),
    };
    let proposed = waits(root.add_token(&new).await);
    let secret = proposed.secret.expect("it is shown this once");
    assert_eq!(proposed.change.summary.len(), 1);
    let call = async || {
        bed.call(Route::Whoami, &[], Some(secret.expose()))
            .send()
            .await
            .unwrap()
            .status()
    };
    assert_eq!(call().await, 401);
    decide(&cy, &proposed.change, Decision::Approve).await.unwrap();
    assert_eq!(call().await, 200);
    let own = NewToken { login: None, ..new };
    root.add_token(&own).await.unwrap();
}

#[tokio::test]
async fn the_same_command_twice_is_one_change_and_a_stranger_proposes_nothing() {
    let (bed, root, cy) = covered().await;
    let role = SetRole {
        role: SystemRole::Administrator,
    };
    let once = root.keyed("promote-bo");
    let first = waits(once.set_role(&name("bo"), &role).await).change;
    let again = waits(once.set_role(&name("bo"), &role).await).change;
    assert_eq!(first.id, again.id);
    let ana = bed.client("ana").await;
    let refused = ana.set_role(&name("ana"), &role).await;
    assert_eq!(code(refused), Code::Forbidden.into());
    // With cy alone to agree, nobody could agree to a change of cy's account.
    let refused = root.set_role(&name("cy"), &role).await;
    assert_eq!(code(refused), Code::NoReviewer.into());
    root.withdraw_change(first.id).await.unwrap();
    let late = decide(&cy, &first, Decision::Approve).await;
    assert_eq!(code(late), Code::AlreadyDecided.into());
    root.deactivate(&name("bo")).await.unwrap();
    waits(root.reactivate(&name("bo")).await);
}
