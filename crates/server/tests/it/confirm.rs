//! Proving anew who one is: what it takes, what it is good for, and how fast somebody may guess.

use std::time::Duration;

use daypass_api::client::Client;
use daypass_api::login::Confirm;
use daypass_api::{IDEMPOTENCY_KEY, ProblemCode, Route, Secret};
use daypass_core::refusal::Code;
use daypass_core::time::{Span, Timestamp};
use daypass_policy::Source;
use daypass_server::edge;
use reqwest::Response;
use serde_json::{Value, json};

use crate::bed::{Bed, PASSWORD, POLICY, approval, ask, problem};

/// The usual policy, in which everything wants a proof of this age.
async fn bed(mfa: &str) -> Bed {
    let bed = Bed::start().await;
    let text = format!("{POLICY}guardrails: [{{name: fresh, mfa: {mfa}}}]\n");
    let name = "policy.yaml".to_owned();
    bed.server
        .engine()
        .load_policy(&[Source { name, text }])
        .await
        .unwrap();
    bed
}

fn password(text: &str) -> Confirm {
    Confirm {
        password: Secret::new(text.to_owned()),
    }
}

async fn send(bed: &Bed, token: Option<&str>, body: &Value) -> Response {
    let call = bed.call(Route::Confirm, &[], token);
    call.json(body).send().await.unwrap()
}

/// The code of what asking for something comes to; `None` where it is had.
async fn asking(client: &Client, item: &str) -> Option<ProblemCode> {
    client
        .add_request(&ask(item))
        .await
        .err()
        .map(|error| error.code().unwrap())
}

const WANTED: Option<ProblemCode> = Some(ProblemCode::Refusal(Code::MfaRequired));

#[tokio::test]
async fn a_fresh_login_or_a_confirmation_is_what_it_takes() {
    let bed = bed("5s").await;
    let (one, other) = (bed.session("ana").await, bed.session("ana").await);
    let client = bed.client_of(&one);
    let before = client.whoami().await.unwrap().confirmed_at.unwrap();
    assert_eq!(asking(&client, "staging/read").await, None, "a login is a proof");
    wait(&bed, before).await;
    assert_eq!(asking(&client, "staging/read").await, WANTED);
    let at = client.confirm(&password(PASSWORD)).await.unwrap().confirmed_at;
    assert!(at > before);
    assert_eq!(client.whoami().await.unwrap().confirmed_at, Some(at));
    assert_eq!(asking(&client, "staging/read").await, None);
    assert_eq!(
        asking(&bed.client_of(&other), "staging/read").await,
        WANTED,
        "one session's proof is not another's"
    );
    let bo = bed.client("bo").await.whoami().await.unwrap().confirmed_at;
    assert!(bo.unwrap() != at, "nor somebody else's");
}

/// Until the server's own clock says that a proof of that instant is old. Time itself is what is waited for.
async fn wait(bed: &Bed, since: Timestamp) {
    while bed.server.engine().store().now().await.unwrap() < since + Span::seconds(5) {
        let nothing = std::future::pending::<()>();
        assert!(edge::within(Duration::from_millis(100), nothing).await.is_err());
    }
}

#[tokio::test]
async fn the_same_command_is_sent_again_under_the_same_key() {
    let bed = bed("5s").await;
    let session = bed.session("ana").await;
    let client = bed.client_of(&session);
    wait(&bed, client.whoami().await.unwrap().confirmed_at.unwrap()).await;
    let send = || {
        let call = bed.call(Route::AddRequest, &[], Some(&session));
        call.header(IDEMPOTENCY_KEY, "once")
            .json(&ask("staging/read"))
            .send()
    };
    let refused = problem(send().await.unwrap()).await;
    assert_eq!(
        (refused.status, refused.code),
        (401, ProblemCode::from(Code::MfaRequired))
    );
    assert!(refused.hint.unwrap().contains("daypass confirm"));
    client.confirm(&password(PASSWORD)).await.unwrap();
    assert_eq!(
        send().await.unwrap().status().as_u16(),
        201,
        "the refusal was not kept"
    );
    assert_eq!(client.requests(&Default::default()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_reviewer_sees_that_it_is_wanted_and_gives_it() {
    let bed = bed("1h").await;
    let request = bed.ask("ana", "orders/read").await;
    let cy = bed.client("cy").await;
    let shown = cy.request(&request.id.to_string()).await.unwrap();
    assert_eq!(shown.steps[0].mfa.unwrap().to_string(), "1h");
    cy.review(request.id, &approval(&request)).await.unwrap();
}

#[tokio::test]
async fn an_api_token_proves_nothing() {
    let bed = bed("1h").await;
    let token = bed.api_token("ana", &["read", "request", "manage"]).await;
    let client = bed.client_of(&token);
    assert_eq!(asking(&client, "staging/read").await, WANTED);
    let refused = client.confirm(&password(PASSWORD)).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::Forbidden.into()));
    assert_eq!(asking(&client, "staging/read").await, WANTED);
    assert_eq!(client.whoami().await.unwrap().confirmed_at, None);
}

#[tokio::test]
async fn what_is_not_the_password_confirms_nothing() {
    let bed = Bed::start().await;
    let ana = bed.session("ana").await;
    let long = "x".repeat(5_000);
    for wrong in [
        "",
        "wrong",
        "a quiet river at night\0",
        "A QUIET RIVER AT NIGHT",
        &long,
    ] {
        let answer = problem(send(&bed, Some(&ana), &json!({"password": wrong})).await).await;
        assert_eq!(
            (answer.status, answer.code),
            (401, ProblemCode::LoginFailed),
            "{wrong:.20}"
        );
        assert_eq!(answer.detail, "the password is wrong");
    }
    for body in [
        json!({}),
        json!(null),
        json!({"password": 7}),
        json!({"password": ["a"]}),
        json!({"password": PASSWORD, "confirmed_at": "2030-01-01T00:00:00Z"}),
        json!({"password": PASSWORD, "login": "root"}),
    ] {
        let answer = problem(send(&bed, Some(&ana), &body).await).await;
        assert_eq!(answer.code, Code::Invalid.into(), "{body}");
    }
    let nobody = problem(send(&bed, None, &json!({"password": PASSWORD})).await).await;
    assert_eq!(nobody.code, ProblemCode::Unauthenticated);
}

#[tokio::test]
async fn guessing_is_limited_for_each_session() {
    let bed = Bed::start().await;
    let ana = bed.session("ana").await;
    let mut looked_at = 0;
    for _ in 0..64 {
        let answer = problem(send(&bed, Some(&ana), &json!({"password": "guess"})).await).await;
        match answer.code {
            ProblemCode::LoginFailed => looked_at += 1,
            code => assert_eq!(code, ProblemCode::RateLimited),
        }
    }
    assert!((1..20).contains(&looked_at), "{looked_at} of 64");
    let right = problem(send(&bed, Some(&ana), &json!({"password": PASSWORD})).await).await;
    assert_eq!(right.code, ProblemCode::RateLimited);
    let login = json!({"login": "ana", "password": PASSWORD});
    let login = bed
        .call(Route::Login, &[], None)
        .json(&login)
        .send()
        .await
        .unwrap();
    assert_eq!(
        login.status().as_u16(),
        200,
        "whoever has the session does not keep its owner from logging in"
    );
}

#[tokio::test]
async fn who_is_locked_switched_off_or_has_another_password_confirms_nothing() {
    let bed = Bed::start().await;
    let root = bed.client("root").await;
    let ana = bed.session("ana").await;
    let lock = |reason: &str| json!({"on": {"person": "ana"}, "reason": reason});
    let session = bed.session("root").await;
    let locks = |route, reason: &'static str| {
        let call = bed.call(route, &[], Some(&session));
        call.json(&lock(reason)).send()
    };
    assert!(locks(Route::Lock, "stolen").await.unwrap().status().is_success());
    let answer = problem(send(&bed, Some(&ana), &json!({"password": PASSWORD})).await).await;
    assert_eq!(answer.code, Code::Locked.into());
    assert!(locks(Route::Unlock, "back").await.unwrap().status().is_success());
    let answer = send(&bed, Some(&ana), &json!({"password": PASSWORD})).await;
    assert_eq!(answer.status().as_u16(), 200);
    // Another password ends the session; the new session takes the new password only.
    let hash = bed.server.hash("another quiet river".into()).await.unwrap();
    let engine = bed.server.engine();
    let caller = daypass_engine::Caller {
        person: bed.id("root"),
        role: daypass_core::person::SystemRole::Administrator,
        via: daypass_engine::Via::Session {
            confirmed_at: Timestamp::EPOCH,
        },
    };
    engine.set_password(caller, "ana", None, hash).await.unwrap();
    let answer = problem(send(&bed, Some(&ana), &json!({"password": PASSWORD})).await).await;
    assert_eq!(answer.code, ProblemCode::Unauthenticated);
    let ana = bed.session("ana").await;
    let answer = problem(send(&bed, Some(&ana), &json!({"password": PASSWORD})).await).await;
    assert_eq!(answer.code, ProblemCode::LoginFailed);
    root.deactivate(&"ana".parse().unwrap()).await.unwrap();
    let answer = problem(send(&bed, Some(&ana), &json!({"password": "another quiet river"})).await).await;
    assert_eq!(answer.code, ProblemCode::Unauthenticated);
}

#[tokio::test]
async fn nothing_of_the_password_is_kept_under_a_key() {
    let bed = Bed::start().await;
    let ana = bed.session("ana").await;
    let send = |password: &'static str| {
        let call = bed.call(Route::Confirm, &[], Some(&ana));
        call.header(IDEMPOTENCY_KEY, "k")
            .json(&json!({"password": password}))
            .send()
    };
    let first = send(PASSWORD).await.unwrap();
    assert_eq!(first.status().as_u16(), 200);
    // Had a hash of the first body been kept, this would be a mismatch.
    let second = problem(send("wrong").await.unwrap()).await;
    assert_eq!(second.code, ProblemCode::LoginFailed);
}

/// What a browser sends from a page of ours, or from elsewhere.
async fn form(bed: &Bed, session: &str, (site, kind): (&str, &str), fields: &[(&str, &str)]) -> Response {
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    http.build()
        .unwrap()
        .post(format!("{}/ask/staging/read", bed.server.url()))
        .header("cookie", format!("daypass={session}"))
        .header("sec-fetch-site", site)
        .form(fields)
        .header("content-type", kind)
        .send()
        .await
        .unwrap()
}

/// As a form is sent, and as a script sends one.
const PLAIN: (&str, &str) = ("same-origin", "application/x-www-form-urlencoded");
const SCRIPT: (&str, &str) = ("same-origin", "application/x-www-form-urlencoded;charset=UTF-8");

#[tokio::test]
async fn a_page_asks_for_the_proof_and_goes_on_with_what_was_sent() {
    let bed = bed("5s").await;
    let session = bed.session("ana").await;
    let client = bed.client_of(&session);
    wait(&bed, client.whoami().await.unwrap().confirmed_at.unwrap()).await;
    let reason = "a <b>look</b> & \"more\"";
    let typed = [("reason", reason), ("key", "0123456789abcdef")];
    for kind in [PLAIN, SCRIPT] {
        let asks = form(&bed, &session, kind, &typed).await;
        assert_eq!(asks.status(), 401);
        let page = asks.text().await.unwrap();
        assert!(
            page.contains("Is it you?") && page.contains("action=\"/ask/staging/read\""),
            "{page}"
        );
        assert!(!page.contains("<b>look"), "{page}");
    }

    let with = |proof| [&typed[..], &[("proof", proof)]].concat();
    for kind in [PLAIN, SCRIPT] {
        let wrong = form(&bed, &session, kind, &with("guessed wrongly")).await;
        assert_eq!(wrong.status(), 401);
        let page = wrong.text().await.unwrap();
        assert!(
            page.contains("the password is wrong") && !page.contains("guessed wrongly"),
            "{page}"
        );
    }
    let elsewhere = form(&bed, &session, ("cross-site", PLAIN.1), &with(PASSWORD)).await;
    assert_eq!(elsewhere.status(), 403, "no other site proves anything");
    assert_eq!(client.requests(&Default::default()).await.unwrap().items, []);

    let done = form(&bed, &session, SCRIPT, &with(PASSWORD)).await;
    assert_eq!(done.status(), 303, "{}", done.text().await.unwrap());
    let made = client.requests(&Default::default()).await.unwrap().items;
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].reason, reason);
}
