//! Emergencies: only the explicit verb takes access so, it goes the way of every grant, and somebody else looks back.

use daypass_core::break_glass::Owed;
use daypass_core::grant::Reason;
use daypass_core::id::RequestId;
use daypass_core::refusal::Code;
use daypass_core::request::Request;
use daypass_core::time::Span;
use daypass_engine::{Caller, Error, Lockable, LookBack, Made, NewRequest, Via};
use daypass_policy::{Decision, Source};

use crate::house::{House, POLICY, asked, code, name};

const GLASS: &str = "
  - name: emergency
    allow: [engineers, security]
    to: {env: production}
    max: 30m
    break_glass: {page: leads, review_by: security, within: 1h}
guardrails:
  - {name: short, to: {resource: orders}, max: 20m}
";

impl House {
    async fn with_glass() -> Self {
        let house = Self::new().await;
        house.put(&format!("{POLICY}{GLASS}")).await;
        house
    }

    async fn put(&self, text: &str) {
        let source = Source {
            name: "policy.yaml".into(),
            text: text.into(),
        };
        self.engine.load_policy(&[source]).await.unwrap();
    }

    async fn take(&self, who: &str, item: &str) -> Result<Made, Error> {
        self.engine
            .break_glass(self.caller(who), asked(&[item]), None)
            .await
    }

    async fn look(&self, who: &str, request: &Request, revoke: bool) -> Result<Made, Error> {
        let look = LookBack {
            digest: request.digest,
            comment: "right call".into(),
            revoke,
        };
        self.engine.acknowledge(self.caller(who), request.id, look).await
    }

    async fn owed(&self, id: RequestId) -> Owed {
        self.request(id).await.owed().cloned().unwrap()
    }
}

#[tokio::test]
async fn it_is_there_at_once_and_ends_like_any_other() {
    let mut house = House::with_glass().await;
    let made = house.take("ana", "orders/write").await.unwrap();
    let grant = made.grant.unwrap();
    assert!(grant.break_glass);
    house.reconcile().await;
    assert_eq!(house.state(grant.id).await, "active");
    assert!(house.target.stands(&house.key(grant.id).await));
    let until = house.grant(grant.id).await.expires_at().unwrap();
    assert_eq!(until, house.now() + Span::minutes(20), "the guardrail holds");
    house.live(Span::minutes(21)).await;
    assert_eq!(
        (house.state(grant.id).await, house.ended_reason(grant.id).await),
        ("ended", "expired")
    );
    let Owed::Due { overdue: false, .. } = house.owed(made.request.id).await else {
        panic!("that it ended does not settle it")
    };
    let log = house.log().await;
    let story = [
        "request.created",
        "request.approved",
        "grant.opened",
        "grant.begun",
        "entitlement.intended",
        "grant.activated",
        "grant.ended",
    ];
    let mut rest = log.iter();
    assert!(
        story.iter().all(|event| rest.any(|logged| logged == event)),
        "the same path: {log:?}"
    );
}

#[tokio::test]
async fn no_request_takes_it_and_the_word_takes_nothing_else() {
    let house = House::with_glass().await;
    let asked_for = house.ask("ana", &["orders/write"]).await.unwrap();
    assert_eq!(
        asked_for.request.state.name(),
        "pending",
        "it asks for two approvals"
    );
    assert!(asked_for.request.path.break_glass.is_none());
    assert_eq!(
        code(house.ask("cy", &["orders/write"]).await),
        Code::NotEligible,
        "whom only the emergency admits"
    );
    assert_eq!(
        code(house.take("ana", "staging/read").await),
        Code::NotEligible,
        "what an ordinary rule gives"
    );
    assert_eq!(code(house.take("ed", "orders/write").await), Code::NotEligible);
    let ana = house.caller("ana");
    let preview = house
        .engine
        .preview(ana, &asked(&["orders/write"]))
        .await
        .unwrap();
    let Decision::Allowed(allowed) = preview.decision else {
        panic!("it is allowed")
    };
    assert_eq!(allowed.path.rule, name("prod"));
    let preview = house
        .engine
        .preview_break_glass(ana, &asked(&["orders/write"]), None)
        .await
        .unwrap();
    let Decision::Allowed(allowed) = preview.decision else {
        panic!("it is allowed")
    };
    assert_eq!((allowed.path.rule, allowed.after.len()), (name("emergency"), 2));
}

#[tokio::test]
async fn what_an_emergency_is_not() {
    let house = House::with_glass().await;
    let (ana, now) = (house.caller("ana"), house.now());
    let token = Caller {
        via: Via::Token,
        ..ana
    };
    let ask = asked(&["orders/write"]);
    let by_token = house.engine.break_glass(token, ask.clone(), None).await;
    assert_eq!(code(by_token), Code::MayNotReview, "a person must");
    let silent = NewRequest {
        reason: "  ".into(),
        ..ask.clone()
    };
    assert_eq!(
        code(house.engine.break_glass(ana, silent, None).await),
        Code::ReasonRequired
    );
    let later = NewRequest {
        start: Some(now + Span::hours(1)),
        ..ask.clone()
    };
    assert_eq!(
        code(house.engine.break_glass(ana, later, None).await),
        Code::Invalid
    );
    let longer = NewRequest {
        duration: Some(Span::minutes(30)),
        ..ask.clone()
    };
    assert_eq!(
        code(house.engine.break_glass(ana, longer, None).await),
        Code::OverMax,
        "the guardrail says twenty minutes"
    );
    let made = house.take("ana", "orders/write").await.unwrap();
    let more = NewRequest {
        items: [].into(),
        extends: made.grant.map(|grant| grant.id),
        ..ask
    };
    assert_eq!(
        code(house.engine.break_glass(ana, more, None).await),
        Code::Invalid
    );
}

#[tokio::test]
async fn one_key_is_one_emergency_and_no_request() {
    let house = House::with_glass().await;
    let ana = house.caller("ana");
    let ask = asked(&["orders/write"]);
    let first = house
        .engine
        .break_glass(ana, ask.clone(), Some("k"))
        .await
        .unwrap();
    let again = house
        .engine
        .break_glass(ana, ask.clone(), Some("k"))
        .await
        .unwrap();
    assert_eq!((first.request.id, again.fresh), (again.request.id, false));
    assert_eq!(
        code(house.engine.request(ana, ask, Some("k")).await),
        Code::Exists,
        "the key made something else"
    );
}

#[tokio::test]
async fn somebody_else_who_is_asked_looks_back_once() {
    let house = House::with_glass().await;
    let request = house.take("cy", "orders/write").await.unwrap().request;
    for (who, expect) in [
        ("cy", Code::OwnRequest),
        ("bo", Code::NotReviewer),
        ("root", Code::NotReviewer),
        ("ana", Code::NotReviewer),
    ] {
        assert_eq!(code(house.look(who, &request, false).await), expect, "{who}");
    }
    let di = house.caller("di");
    let look = |comment: &str| LookBack {
        digest: request.digest,
        comment: comment.into(),
        revoke: false,
    };
    assert_eq!(
        code(house.engine.acknowledge(di, request.id, look(" ")).await),
        Code::ReasonRequired
    );
    let token = Caller {
        via: Via::Token,
        ..di
    };
    let by_token = house.engine.acknowledge(token, request.id, look("ok")).await;
    assert_eq!(code(by_token), Code::MayNotReview);
    let awaits = |person| house.engine.awaits(person, &request, house.now());
    assert!(awaits(di.person).is_any());
    assert!(!awaits(house.caller("cy").person).is_any());
    let sees = house.engine.may_see(di, &request, house.now());
    assert!(sees, "who is asked may see it");

    let after = house.look("di", &request, false).await.unwrap();
    assert!(after.grant.unwrap().is_live(), "to look at it ends nothing");
    let Owed::Reviewed { by, late: false, .. } = house.owed(request.id).await else {
        panic!("it is reviewed")
    };
    assert_eq!(by, di.person);
    assert_eq!(
        code(house.look("di", &request, false).await),
        Code::AlreadyReviewed
    );
    let ordinary = house.ask("ana", &["orders/read"]).await.unwrap().request;
    assert_eq!(code(house.look("di", &ordinary, false).await), Code::WrongState);
}

#[tokio::test]
async fn an_account_that_changed_just_now_does_not_look_back() {
    let house = House::with_glass().await;
    house
        .put(&format!("{POLICY}{GLASS}").replace("settle: 0s", "settle: 24h"))
        .await;
    let request = house.take("ana", "orders/write").await.unwrap().request;
    assert_eq!(code(house.look("di", &request, false).await), Code::MayNotReview);
    house.pass(Span::hours(25));
    house.look("di", &request, false).await.unwrap();
}

#[tokio::test]
async fn looking_back_may_end_it_in_the_same_moment() {
    let mut house = House::with_glass().await;
    let made = house.take("ana", "orders/write").await.unwrap();
    let grant = made.grant.unwrap().id;
    house.reconcile().await;
    let after = house.look("di", &made.request, true).await.unwrap();
    let Some(daypass_core::grant::State::Ending {
        reason: Reason::Revoked { by, why: Some(why) },
        ..
    }) = after.grant.map(|grant| grant.state)
    else {
        panic!("it is ending")
    };
    assert_eq!((by, why.text()), (house.caller("di").person, "right call"));
    house.reconcile().await;
    assert_eq!(house.state(grant).await, "ended");
    // What is over already does not stand in the way.
    let made = house.take("ana", "orders/write").await.unwrap();
    house.reconcile().await;
    house.live(Span::minutes(30)).await;
    house.look("di", &made.request, true).await.unwrap();
}

#[tokio::test]
async fn silence_is_told_once_and_the_review_goes_on_being_owed() {
    let mut house = House::with_glass().await;
    let request = house.take("ana", "orders/write").await.unwrap().request;
    house.live(Span::minutes(59)).await;
    let Owed::Due { overdue: false, .. } = house.owed(request.id).await else {
        panic!("there is time")
    };
    house.live(Span::minutes(2)).await;
    let Owed::Due { overdue: true, .. } = house.owed(request.id).await else {
        panic!("time is over")
    };
    house.live(Span::hours(2)).await;
    let log = house.log().await;
    let told = log.iter().filter(|event| **event == "request.review_overdue");
    assert_eq!(told.count(), 1);
    house.look("cy", &request, false).await.unwrap();
    let Owed::Reviewed { late: true, .. } = house.owed(request.id).await else {
        panic!("it is reviewed")
    };
}

#[tokio::test]
async fn a_lock_holds_in_an_emergency_too() {
    let mut house = House::with_glass().await;
    let made = house.take("ana", "orders/write").await.unwrap();
    house.reconcile().await;
    let root = house.caller("root");
    let orders = Lockable::Resource(name("orders"));
    house.engine.lock(root, &orders, "stolen").await.unwrap();
    house.reconcile().await;
    assert_eq!(house.ended_reason(made.grant.unwrap().id).await, "locked");
    assert_eq!(code(house.take("ana", "orders/write").await), Code::Locked);
    let di = Lockable::Person("di".into());
    house.engine.lock(root, &di, "stolen").await.unwrap();
    assert_eq!(code(house.look("di", &made.request, false).await), Code::Locked);
    house.look("cy", &made.request, false).await.unwrap();
}

#[tokio::test]
async fn more_time_is_asked_for_in_the_ordinary_way() {
    let mut house = House::with_glass().await;
    let made = house.take("ana", "orders/write").await.unwrap();
    let grant = made.grant.unwrap().id;
    house.reconcile().await;
    let more = NewRequest {
        items: [].into(),
        duration: Some(Span::minutes(5)),
        extends: Some(grant),
        ..asked(&[])
    };
    let refused = house.engine.request(house.caller("ana"), more, None).await;
    assert_eq!(
        code(refused),
        Code::OverLatestEnd,
        "the emergency's own limit stays, whoever agrees"
    );
}
