//! Delegation over HTTP: made, shown, used, told in the trail, taken back.

use daypass_api::delegation::{DelegationQuery, DelegationState, NewDelegation};
use daypass_api::policy::{PolicyFile, PolicyFiles};
use daypass_api::request::{RequestQuery, RequestState, StandIn};
use daypass_api::{ProblemCode, Route};
use daypass_core::person::{Kind, SystemRole};
use daypass_core::refusal::Code;
use daypass_core::time::{Span, Timestamp};
use serde_json::json;

use crate::bed::{Bed, POLICY, approval, problem};

fn code<T>(result: Result<T, daypass_api::client::Error>) -> Option<ProblemCode> {
    result.err().and_then(|error| error.code())
}

/// The usual server, where whoever is of `deputies` may be a delegate: dep.
async fn bed() -> Bed {
    let bed = Bed::start().await;
    bed.add("dep", Kind::Person, SystemRole::Member, Some("deputies"), None)
        .await;
    let text = POLICY.replace(
        "settle: 0s}\npeople:",
        "settle: 0s, delegates: [deputies]}\npeople:\n  deputies: {group: deputies}",
    );
    let files = PolicyFiles {
        files: vec![PolicyFile {
            name: "policy.yaml".to_owned(),
            text,
        }],
        replaces: None,
    };
    assert!(
        bed.client("root")
            .await
            .apply_policy(&files)
            .await
            .unwrap()
            .changed
    );
    bed
}

async fn now(bed: &Bed) -> Timestamp {
    bed.server.engine().store().now().await.unwrap()
}

async fn to_dep(bed: &Bed) -> NewDelegation {
    NewDelegation {
        to: "dep".to_owned(),
        from: None,
        until: now(bed).await + Span::hours(24),
        reason: Some("on holiday".to_owned()),
    }
}

#[tokio::test]
async fn a_delegate_answers_in_the_place_of_who_is_away() {
    let bed = bed().await;
    let (bo, dep) = (bed.client("bo").await, bed.client("dep").await);
    let mine = DelegationQuery::default();
    let request = bed.ask("ana", "orders/write").await;
    assert_eq!(
        code(dep.request(&request.id.to_string()).await),
        Some(Code::NotFound.into()),
        "nobody delegated to dep yet"
    );
    let made = bo.delegate(&to_dep(&bed).await).await.unwrap();
    assert_eq!((made.of.as_str(), made.to.as_str()), ("bo", "dep"));
    assert_eq!(made.state, DelegationState::Active);
    for who in [&bo, &dep] {
        let listed = who.delegations(&mine).await.unwrap().items;
        assert_eq!(listed, std::slice::from_ref(&made));
    }
    assert_eq!(
        bed.client("ana").await.delegations(&mine).await.unwrap().items,
        []
    );

    let inbox = RequestQuery {
        reviewable: Some(true),
        ..RequestQuery::default()
    };
    let waiting = dep.requests(&inbox).await.unwrap().items;
    assert_eq!(waiting[0].reviewable_for.as_deref(), Some("bo"));
    let stand_in = StandIn {
        delegate: "dep".to_owned(),
        r#for: "bo".to_owned(),
    };
    assert_eq!(waiting[0].steps[0].stand_ins, [stand_in]);
    assert_eq!(waiting[0].steps[0].answerers(), ["bo", "dep for bo"]);
    let own = bo.requests(&inbox).await.unwrap().items;
    assert_eq!((own.len(), own[0].reviewable_for.as_deref()), (1, None));

    let after = dep.review(request.id, &approval(&request)).await.unwrap();
    assert_eq!(after.steps[0].reviews[0].by(), "dep for bo");
    assert_eq!(
        code(bo.review(request.id, &approval(&request)).await),
        Some(Code::AlreadyReviewed.into())
    );
    let done = bed.approve("cy", &request).await;
    assert_eq!(done.state, RequestState::Approved);
    let trail = bed.log_with("request.approved").await;
    let told: Vec<&str> = trail.iter().map(|event| event.summary.as_str()).collect();
    assert!(told.contains(&"dep for bo approves step 1"), "{told:#?}");
    assert!(
        told.iter().any(|told| told.starts_with("dep reviews in their place from") && told.ends_with(": on holiday")),
        "{told:#?}"
    );

    assert_eq!(bo.end_delegation("bo").await.unwrap().of, "bo");
    assert_eq!(bo.delegations(&mine).await.unwrap().items, []);
    let other = bed.ask("ana", "orders/write").await;
    assert_eq!(
        code(dep.review(other.id, &approval(&other)).await),
        Some(Code::NotFound.into())
    );
}

#[tokio::test]
async fn who_may_make_see_and_end_one() {
    let bed = bed().await;
    let (bo, root) = (bed.client("bo").await, bed.client("root").await);
    let new = to_dep(&bed).await;
    let all = DelegationQuery { all: Some(true) };
    let token = bed.api_token("bo", &["read", "request", "manage"]).await;
    let by_token = bed.client_of(&token).delegate(&new).await;
    assert_eq!(code(by_token), Some(Code::Forbidden.into()));
    let to_cy = NewDelegation {
        to: "cy".to_owned(),
        ..new.clone()
    };
    assert_eq!(code(bo.delegate(&to_cy).await), Some(Code::Forbidden.into()));
    bo.delegate(&new).await.unwrap();
    assert_eq!(code(bo.delegate(&new).await), Some(Code::Exists.into()));
    assert_eq!(code(bo.delegations(&all).await), Some(Code::Forbidden.into()));
    assert_eq!(root.delegations(&all).await.unwrap().items.len(), 1);
    assert_eq!(
        bed.client("dee")
            .await
            .delegations(&all)
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    let ana = bed.client("ana").await;
    assert_eq!(code(ana.end_delegation("bo").await), Some(Code::NotFound.into()));
    assert_eq!(
        code(ana.end_delegation("no-one").await),
        Some(Code::NotFound.into())
    );
    assert_eq!(root.end_delegation("bo").await.unwrap().of, "bo");
    assert_eq!(code(bo.end_delegation("bo").await), Some(Code::WrongState.into()));
}

#[tokio::test]
async fn whose_it_is_no_body_says() {
    let bed = bed().await;
    let session = bed.session("ana").await;
    let until = now(&bed).await + Span::hours(1);
    for body in [
        json!({"to": "dep", "until": until, "of": "bo"}),
        json!({"to": "dep", "until": "tomorrow"}),
        json!({"to": "dep"}),
        json!({"to": ["dep"], "until": until}),
    ] {
        let call = bed.call(Route::Delegate, &[], Some(&session)).json(&body);
        let refused = problem(call.send().await.unwrap()).await;
        assert_eq!(refused.code, Code::Invalid.into(), "{body}");
    }
    let reviews = json!({"decision": "approve", "digest": "0".repeat(64), "for": "bo"});
    let request = bed.ask("ana", "orders/write").await;
    let dep = bed.session("cy").await;
    let id = request.id.to_string();
    let call = bed.call(Route::Review, &[&id], Some(&dep)).json(&reviews);
    assert_eq!(
        problem(call.send().await.unwrap()).await.code,
        Code::Invalid.into()
    );
}
