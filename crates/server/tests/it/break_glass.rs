//! Emergencies over HTTP: taken by a person, marked everywhere, looked back at by another.

use std::collections::BTreeSet;

use daypass_api::break_glass::{Acknowledge, Review};
use daypass_api::grant::GrantState;
use daypass_api::preview::Preview;
use daypass_api::request::{Request, RequestQuery, RequestState};
use daypass_api::{Client, ProblemCode, Route};
use daypass_core::refusal::Code;
use daypass_policy::Source;

use crate::bed::{Bed, POLICY, approval, ask, problem};

const GLASS: &str = "
  - {name: emergency, allow: engineers, to: {env: production}, max: 30m, break_glass: {page: security, review_by: security, within: 24h}}
";

async fn start() -> Bed {
    let bed = Bed::start().await;
    let source = Source {
        name: "policy.yaml".to_owned(),
        text: format!("{POLICY}{GLASS}"),
    };
    bed.server.engine().load_policy(&[source]).await.unwrap();
    bed
}

fn code<T>(result: Result<T, daypass_api::client::Error>) -> Option<ProblemCode> {
    result.err().and_then(|error| error.code())
}

fn look(request: &Request, revoke: bool) -> Acknowledge {
    Acknowledge {
        digest: request.digest,
        comment: "right call".to_owned(),
        revoke,
    }
}

async fn inbox(client: &Client) -> Vec<Request> {
    let query = RequestQuery {
        reviewable: Some(true),
        ..RequestQuery::default()
    };
    client.requests(&query).await.unwrap().items
}

#[tokio::test]
async fn from_the_word_to_the_look_back() {
    let bed = start().await;
    let (ana, cy, dee) = (
        bed.client("ana").await,
        bed.client("cy").await,
        bed.client("dee").await,
    );
    let Preview::Allowed(path) = ana.preview_break_glass(&ask("orders/write")).await.unwrap() else {
        panic!("it is allowed")
    };
    let terms = path.break_glass.unwrap();
    assert_eq!(
        (terms.page.as_str(), terms.reviewers),
        ("security", vec!["cy".to_owned()])
    );

    let taken = ana.break_glass(&ask("orders/write")).await.unwrap();
    assert_eq!(taken.state, RequestState::Approved);
    let grant = taken.grant.unwrap();
    assert!(bed.reaches(grant, GrantState::Active).await.break_glass);
    assert!(ana.credentials(grant, &Default::default()).await.is_ok());

    let waiting = inbox(&cy).await;
    assert_eq!(waiting.len(), 1);
    let Review::Owed { reviewers, .. } = &waiting[0].break_glass.as_ref().unwrap().review else {
        panic!("{waiting:?}")
    };
    assert_eq!(reviewers, &["cy"]);
    assert_eq!(inbox(&ana).await, []);
    assert_eq!(
        code(ana.acknowledge(taken.id, &look(&taken, false)).await),
        Some(Code::OwnRequest.into())
    );
    let ordinary = cy.review(taken.id, &approval(&taken)).await;
    assert_eq!(code(ordinary), Some(Code::AlreadyDecided.into()));

    let after = cy.acknowledge(taken.id, &look(&taken, true)).await.unwrap();
    let Review::Reviewed {
        by, comment, late, ..
    } = after.break_glass.unwrap().review
    else {
        panic!("it is reviewed")
    };
    assert_eq!(
        (by.as_str(), comment.as_deref(), late),
        ("cy", Some("right call"), false)
    );
    let ended = bed.reaches(grant, GrantState::Ended).await;
    assert_eq!(ended.ended_detail.as_deref(), Some("by cy: right call"));
    assert_eq!(inbox(&cy).await, []);

    let events = dee.audit_events(&Default::default()).await.unwrap().items;
    let told: BTreeSet<&str> = events.iter().map(|event| event.summary.as_str()).collect();
    for expect in [
        "ana BREAKS THE GLASS for orders/write for 30m (rule emergency)",
        "opened with the glass broken: orders/write",
        "cy reviewed what was done with the glass broken: right call",
    ] {
        assert!(told.contains(expect), "{expect}: {told:#?}");
    }
}

#[tokio::test]
async fn what_is_owed_is_listed_for_who_sees_everything() {
    let bed = start().await;
    let taken = bed
        .client("ana")
        .await
        .break_glass(&ask("orders/write"))
        .await
        .unwrap();
    bed.ask("ana", "staging/read").await;
    let owing = RequestQuery {
        owing: Some(true),
        ..RequestQuery::default()
    };
    let listed = bed.client("dee").await.requests(&owing).await.unwrap().items;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].id, taken.id);
    let cy = bed.client("cy").await;
    cy.acknowledge(taken.id, &look(&taken, false)).await.unwrap();
    let listed = bed.client("dee").await.requests(&owing).await.unwrap().items;
    assert_eq!(listed, []);
}

#[tokio::test]
async fn nobody_takes_it_by_another_door() {
    let bed = start().await;
    let ana = bed.client("ana").await;
    // A field that would say so is refused on every other route, whoever sends it.
    let token = bed.session("ana").await;
    for route in [Route::AddRequest, Route::Preview] {
        let body = serde_json::json!({
            "items": [{"resource": "orders", "role": "write"}], "reason": "x", "break_glass": true,
        });
        let answer = bed
            .call(route, &[], Some(&token))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(problem(answer).await.code, Code::Invalid.into(), "{route:?}");
    }
    let request = ana.add_request(&ask("orders/write")).await.unwrap();
    assert_eq!(
        (request.state, request.break_glass),
        (RequestState::Pending, None)
    );
    // A program does not, whatever its scopes.
    let program = bed.client_of(&bed.api_token("ana", &["read", "request", "manage"]).await);
    assert_eq!(
        code(program.break_glass(&ask("orders/write")).await),
        Some(Code::Forbidden.into())
    );
    // Nor does who is not in the set, or what the rule is not about.
    let bo = bed.client("bo").await;
    assert_eq!(
        code(bo.break_glass(&ask("orders/write")).await),
        Some(Code::NotEligible.into())
    );
    assert_eq!(
        code(ana.break_glass(&ask("staging/read")).await),
        Some(Code::NotEligible.into())
    );
    let mut silent = ask("orders/write");
    silent.reason = None;
    assert_eq!(
        code(ana.break_glass(&silent).await),
        Some(Code::ReasonRequired.into())
    );
}

#[tokio::test]
async fn who_may_not_see_it_is_not_told_that_it_exists() {
    let bed = start().await;
    let taken = bed
        .client("ana")
        .await
        .break_glass(&ask("orders/write"))
        .await
        .unwrap();
    let bo = bed.client("bo").await;
    assert_eq!(
        code(bo.acknowledge(taken.id, &look(&taken, false)).await),
        Some(Code::NotFound.into())
    );
}
