//! From no access, through two approvals, to real access and back to none, over HTTP.

use daypass_api::client::Error;
use daypass_api::grant::{AskCredential, Desired, Evidence, Extend, GrantState, Observed, Revoke};
use daypass_api::preview::Preview;
use daypass_api::request::{Decision, NewReview, RequestQuery, RequestState, StepState};
use daypass_api::{ProblemCode, Route};
use daypass_core::refusal::Code;
use daypass_core::time::Span;
use daypass_policy::Source;
use daypass_providers::Credential;
use daypass_providers::memory::Op;
use daypass_server::edge;
use futures_util::future::join_all;

use crate::bed::{Bed, POLICY, approval, ask, problem};

#[track_caller]
fn code<T: std::fmt::Debug>(outcome: Result<T, Error>) -> ProblemCode {
    match outcome {
        Err(Error::Problem(problem)) => problem.code,
        other => panic!("a problem was expected: {other:?}"),
    }
}

#[tokio::test]
async fn two_people_agree_and_the_access_comes_and_goes() {
    let bed = Bed::start().await;
    let (ana, bo, cy) = (
        bed.client("ana").await,
        bed.client("bo").await,
        bed.client("cy").await,
    );

    let Preview::Allowed(path) = ana.preview(&ask("orders/write")).await.unwrap() else {
        panic!("ana may ask")
    };
    let asked: Vec<_> = path.steps.iter().map(|step| step.reviewers.clone()).collect();
    assert_eq!(asked, [["bo"], ["cy"]]);

    let request = ana.add_request(&ask("orders/write")).await.unwrap();
    assert_eq!(
        (request.state, request.requester.as_str()),
        (RequestState::Pending, "ana")
    );
    let inbox = RequestQuery {
        reviewable: Some(true),
        ..RequestQuery::default()
    };
    assert_eq!(bo.requests(&inbox).await.unwrap().items.len(), 1);
    assert_eq!(
        cy.requests(&inbox).await.unwrap().items.len(),
        0,
        "security is not asked yet"
    );

    let request = bo.review(request.id, &approval(&request)).await.unwrap();
    let states: Vec<_> = request.steps.iter().map(|step| step.state).collect();
    assert_eq!(states, [StepState::Approved, StepState::Open]);
    assert_eq!(cy.requests(&inbox).await.unwrap().items[0].id, request.id);
    let less = NewReview {
        duration: Some(Span::minutes(30)),
        comment: Some("half will do".into()),
        ..approval(&request)
    };
    let request = cy.review(request.id, &less).await.unwrap();
    assert_eq!(request.approved.as_ref().unwrap().duration, Span::minutes(30));
    let id = request.grant.unwrap();
    bed.reaches(id, GrantState::Active).await;
}

#[tokio::test]
async fn access_that_was_agreed_works_until_it_is_taken_away() {
    let bed = Bed::start().await;
    let (ana, bo) = (bed.client("ana").await, bed.client("bo").await);
    let id = bed.granted().await;
    let grant = bed.reaches(id, GrantState::Active).await;
    let entitlement = &grant.entitlements[0];
    assert_eq!(
        (entitlement.desired, entitlement.observed),
        (Desired::Present, Observed::Present)
    );
    let credential = ana.credentials(id, &AskCredential::default()).await.unwrap();
    let credential = Credential {
        fields: credential.fields,
        secret: credential.secret.into_inner(),
    };
    let session = bed.target.open(&credential, edge::now()).unwrap();
    assert!(bed.target.may(session, "write"));

    let ending = bo
        .revoke(
            id,
            &Revoke {
                reason: Some("use the replica".into()),
            },
        )
        .await
        .unwrap();
    assert_eq!(
        ending.grant.ended_detail.as_deref(),
        Some("by bo: use the replica")
    );
    let grant = bed.reaches(id, GrantState::Ended).await;
    assert!(
        matches!(grant.entitlements[0].evidence, Some(Evidence::TargetRead { .. })),
        "{grant:?}"
    );
    assert!(!bed.target.is_open(session), "the open session was cut");
    assert!(bed.target.open(&credential, edge::now()).is_err());

    let query = daypass_api::event::AuditQuery {
        subject: Some(id.to_string()),
        ..Default::default()
    };
    let trail = bed.client("dee").await.audit_events(&query).await.unwrap().items;
    let names: Vec<_> = trail.iter().map(|event| event.name.as_str()).collect();
    for name in [
        "request.created",
        "request.approved",
        "entitlement.provisioned",
        "grant.activated",
        "grant.credential_issued",
        "grant.ending",
        "entitlement.verified_absent",
        "grant.ended",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    assert!(trail.is_sorted_by_key(|event| event.seq));
    // What Daypass did by itself, by the name that it has in the table; of one thing, and of everything.
    for subject in [Some(id.to_string()), None] {
        let query = daypass_api::event::AuditQuery {
            actor: Some(daypass_api::event::ITSELF.into()),
            subject,
            ..Default::default()
        };
        let itself = bed.client("dee").await.audit_events(&query).await.unwrap().items;
        assert!(
            itself.iter().any(|event| event.name == "grant.activated"),
            "{itself:?}"
        );
        assert!(itself.iter().all(|event| event.actor.is_none()), "{itself:?}");
    }
}

#[tokio::test]
async fn a_deadline_ends_access_by_itself() {
    let bed = Bed::start().await;
    let ana = bed.client("ana").await;
    let short = daypass_api::request::NewRequest {
        duration: Some(Span::seconds(1)),
        ..ask("staging/read")
    };
    let id = ana.add_request(&short).await.unwrap().grant.unwrap();
    let grant = bed.reaches(id, GrantState::Ended).await;
    assert_eq!(grant.ended_reason.as_deref(), Some("expired"));
    assert!(bed.target.calls(Op::Revoke) > 0);
}

#[tokio::test]
async fn more_time_is_another_request_and_giving_back_ends_it() {
    let bed = Bed::start().await;
    let ana = bed.client("ana").await;
    let id = ana
        .add_request(&ask("staging/read"))
        .await
        .unwrap()
        .grant
        .unwrap();
    let before = bed.reaches(id, GrantState::Active).await.expires_at.unwrap();
    let more = Extend {
        duration: Span::minutes(30),
        reason: Some("not done yet".into()),
        ticket: None,
    };
    let extension = ana.extend(id, &more).await.unwrap();
    assert_eq!(
        (extension.extends, extension.grant, extension.state),
        (Some(id), Some(id), RequestState::Approved)
    );
    assert_eq!(
        ana.grant(&id.to_string()).await.unwrap().expires_at,
        Some(before + Span::minutes(30))
    );
    ana.release(id).await.unwrap();
    assert_eq!(
        bed.reaches(id, GrantState::Ended).await.ended_reason.as_deref(),
        Some("released")
    );
    assert_eq!(
        code(ana.credentials(id, &AskCredential::default()).await),
        Code::GrantOver.into()
    );
}

#[tokio::test]
async fn who_may_not_review_cannot() {
    let bed = Bed::start().await;
    let (ana, bo, cy) = (
        bed.client("ana").await,
        bed.client("bo").await,
        bed.client("cy").await,
    );
    let request = ana.add_request(&ask("orders/write")).await.unwrap();
    assert_eq!(
        code(ana.review(request.id, &approval(&request)).await),
        Code::OwnRequest.into()
    );
    assert_eq!(
        code(cy.review(request.id, &approval(&request)).await),
        Code::NotReviewer.into()
    );
    let root = bed.client("root").await;
    assert_eq!(
        code(root.review(request.id, &approval(&request)).await),
        Code::NotReviewer.into()
    );
    let token = bed.client_of(&bed.api_token("bo", &["read", "request", "manage"]).await);
    assert_eq!(
        code(token.review(request.id, &approval(&request)).await),
        Code::MayNotReview.into()
    );

    let other = NewReview {
        digest: "0".repeat(64).parse().unwrap(),
        ..approval(&request)
    };
    assert_eq!(
        code(bo.review(request.id, &other).await),
        Code::DigestMismatch.into()
    );
    let more = NewReview {
        duration: Some(Span::hours(4)),
        ..approval(&request)
    };
    assert_eq!(
        code(bo.review(request.id, &more).await),
        Code::ReviewForMore.into()
    );
    let bounded = NewReview {
        decision: Decision::Deny,
        duration: Some(Span::hours(1)),
        ..approval(&request)
    };
    assert_eq!(code(bo.review(request.id, &bounded).await), Code::Invalid.into());

    bo.review(request.id, &approval(&request)).await.unwrap();
    // One person counts once in the whole chain, and is told so although the open step asks others.
    assert_eq!(
        code(bo.review(request.id, &approval(&request)).await),
        Code::AlreadyReviewed.into()
    );
    let denial = NewReview {
        decision: Decision::Deny,
        comment: Some("use the replica".into()),
        ..approval(&request)
    };
    assert_eq!(
        cy.review(request.id, &denial).await.unwrap().state,
        RequestState::Denied
    );
    assert_eq!(
        code(cy.review(request.id, &approval(&request)).await),
        Code::AlreadyDecided.into()
    );
    assert_eq!(code(ana.cancel(request.id).await), Code::AlreadyDecided.into());
}

#[tokio::test]
async fn the_requester_is_whoever_calls_whatever_the_body_says() {
    let bed = Bed::start().await;
    let session = bed.session("ana").await;
    for (field, value) in [
        ("requester", "bo"),
        ("holder", "bo"),
        ("rule", "prod-read"),
        ("digest", "00"),
        ("via", "session"),
    ] {
        let mut body = serde_json::to_value(ask("orders/write")).unwrap();
        body[field] = value.into();
        let answer = bed
            .call(Route::AddRequest, &[], Some(&session))
            .json(&body)
            .send()
            .await
            .unwrap();
        let problem = problem(answer).await;
        assert_eq!(
            (problem.status, problem.code),
            (422, Code::Invalid.into()),
            "{field}"
        );
        assert!(problem.detail.contains(field), "{problem:?}");
    }
    let request = bed.ask("ana", "orders/write").await;
    for field in ["reviewer", "step", "at", "via", "role"] {
        let mut body = serde_json::to_value(approval(&request)).unwrap();
        body[field] = "cy".into();
        let session = bed.session("bo").await;
        let call = bed
            .call(Route::Review, &[&request.id.to_string()], Some(&session))
            .json(&body);
        assert_eq!(problem(call.send().await.unwrap()).await.status, 422, "{field}");
    }
}

#[tokio::test]
async fn many_last_votes_at_once_make_one_grant() {
    let bed = Bed::start().await;
    for n in 0..16 {
        bed.add(
            &format!("sec{n}"),
            daypass_core::person::Kind::Person,
            daypass_core::person::SystemRole::Member,
            Some("security"),
            None,
        )
        .await;
    }
    let request = bed.ask("ana", "orders/read").await;
    let mut voters = Vec::new();
    for n in 0..64 {
        voters.push(bed.client(&format!("sec{}", n % 16)).await);
    }
    let vote = approval(&request);
    let votes = join_all(voters.iter().map(|voter| voter.review(request.id, &vote))).await;
    assert_eq!(votes.iter().filter(|vote| vote.is_ok()).count(), 1);
    let grants = bed.client("dee").await.grants(&Default::default()).await.unwrap();
    assert_eq!(grants.items.len(), 1);
}

#[tokio::test]
async fn lists_show_what_is_the_callers_and_go_on_behind_a_cursor() {
    let bed = Bed::start().await;
    let ana = bed.client("ana").await;
    for _ in 0..5 {
        ana.add_request(&ask("orders/write")).await.unwrap();
    }
    bed.add(
        "eve",
        daypass_core::person::Kind::Person,
        daypass_core::person::SystemRole::Member,
        Some("engineering"),
        Some("bo"),
    )
    .await;
    let eve = bed.client("eve").await;
    eve.add_request(&ask("orders/write")).await.unwrap();
    let all = |mine| RequestQuery {
        mine: Some(mine),
        limit: Some(2),
        ..RequestQuery::default()
    };
    let mut seen = Vec::new();
    let mut query = all(false);
    loop {
        let page = ana.requests(&query).await.unwrap();
        assert!(page.items.len() <= 2);
        seen.extend(
            page.items
                .into_iter()
                .map(|request| (request.id, request.requester)),
        );
        let Some(next) = page.next else { break };
        query.cursor = Some(next);
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.iter().all(|(_, requester)| requester == "ana"), "{seen:?}");
    assert_eq!(eve.requests(&all(false)).await.unwrap().items.len(), 1);
    let reviewable = |cursor| RequestQuery {
        reviewable: Some(true),
        limit: Some(4),
        cursor,
        ..RequestQuery::default()
    };
    let bo = bed.client("bo").await;
    let first = bo.requests(&reviewable(None)).await.unwrap();
    let rest = bo.requests(&reviewable(first.next.clone())).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len(), rest.next), (4, 2, None));
    assert!(first.items.iter().all(|request| request.reviewable));
    let short: String = seen[0].0.to_string().chars().take(10).collect();
    assert_eq!(
        ana.request(&short).await.unwrap().id,
        seen[0].0,
        "the first characters are enough to look"
    );
}

/// What is shown is what is asked: who has counted already cannot fill another step, and those it escalates to are asked at once.
#[tokio::test]
async fn the_reviewers_of_a_step_are_those_whom_it_waits_for() {
    let bed = Bed::start().await;
    let chain = "{from: first, within: 15m, else: deny}\n      - {from: first, within: 15m, else: {escalate: second, within: 15m}}";
    let text = POLICY
        .replace(
            "{from: manager, within: 15m, else: deny}\n      - {from: security, within: 30m, else: deny}",
            chain,
        )
        .replace(
            "  security: {group",
            "  first: {logins: [cy]}\n  second: {logins: [bo]}\n  security: {group",
        );
    let source = Source {
        name: "policy.yaml".to_owned(),
        text,
    };
    bed.server.engine().load_policy(&[source]).await.unwrap();
    let request = bed.ask("ana", "orders/write").await;
    assert_eq!(request.steps[0].reviewers, ["cy"]);
    let request = bed.approve("cy", &request).await;
    assert_eq!(request.steps[1].reviewers, ["bo"]);
    assert!(bed.approve("bo", &request).await.grant.is_some());
}
