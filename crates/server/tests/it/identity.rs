//! Logging in and out, tokens, and how fast somebody may try.

use daypass_api::client::Error;
use daypass_api::login::{Login, NewToken, Via};
use daypass_api::{ProblemCode, Route, Scope, Secret};
use daypass_core::refusal::Code;
use daypass_core::time::Span;
use reqwest::Response;

use crate::bed::{Bed, PASSWORD, problem};

async fn log_in(bed: &Bed, login: &str, password: &str, from: &str) -> Response {
    let body = Login {
        login: login.into(),
        password: Secret::new(password),
        profile: None,
    };
    bed.call(Route::Login, &[], None)
        .header("x-forwarded-for", from)
        .json(&body)
        .send()
        .await
        .unwrap()
}

async fn proxied() -> Bed {
    Bed::with(|config| config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]).await
}

#[tokio::test]
async fn a_password_becomes_a_session_that_ends_with_logging_out() {
    let bed = Bed::start().await;
    let body = Login {
        login: "ana".into(),
        password: Secret::new(PASSWORD),
        profile: Some("laptop".into()),
    };
    let nobody = daypass_api::client::Client::new(&daypass_api::client::Connection {
        server: bed.server.url(),
        ..Default::default()
    });
    let logged_in = nobody.unwrap().login(&body).await.unwrap();
    assert!(logged_in.token.expose().starts_with("dp_s_"));
    let ana = bed.client_of(logged_in.token.expose());
    let whoami = ana.whoami().await.unwrap();
    assert_eq!((whoami.person.login.as_str(), whoami.via), ("ana", Via::Session));
    assert_eq!(whoami.person.manager.as_deref(), Some("bo"));
    let names: Vec<_> = ana
        .tokens(&Default::default())
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|token| token.name)
        .collect();
    assert!(names.contains(&"laptop".to_owned()));
    ana.logout().await.unwrap();
    assert!(
        matches!(ana.whoami().await, Err(Error::Problem(problem)) if problem.code == ProblemCode::Unauthenticated)
    );
}

#[tokio::test]
async fn what_was_wrong_is_not_told() {
    let bed = Bed::start().await;
    let mut told = Vec::new();
    for (login, password) in [
        ("ana", "wrong"),
        ("nobody", PASSWORD),
        ("robot", PASSWORD),
        ("", ""),
        ("ana\0", PASSWORD),
    ] {
        let answer = problem(log_in(&bed, login, password, "192.0.2.1").await).await;
        told.push((
            answer.status,
            answer.code,
            answer.title,
            answer.detail,
            answer.hint,
        ));
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].0, told[0].1), (401, ProblemCode::LoginFailed));
}

#[tokio::test]
async fn guessing_is_slowed_and_its_victim_still_gets_in() {
    let bed = proxied().await;
    let mut limited = None;
    for _ in 0..20 {
        let answer = log_in(&bed, "ana", "guess", "198.51.100.1").await;
        if answer.status().as_u16() == 429 {
            limited = Some(answer);
            break;
        }
    }
    let limited = limited.expect("twenty guesses in a row are too many");
    assert!(
        limited.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            >= 1
    );
    assert_eq!(problem(limited).await.code, ProblemCode::RateLimited);
    assert_eq!(
        log_in(&bed, "ana", PASSWORD, "198.51.100.2")
            .await
            .status()
            .as_u16(),
        200,
        "ana, from elsewhere"
    );
    // The client writes what it likes into the header; the proxy's own word, on the right, is what counts.
    let forged = log_in(&bed, "ana", "guess", "198.51.100.77, 198.51.100.1").await;
    assert_eq!(forged.status().as_u16(), 429);
}

#[tokio::test]
async fn a_header_from_a_stranger_is_not_believed() {
    let bed = Bed::start().await;
    let mut last = 0;
    for n in 0..20 {
        last = log_in(&bed, "ana", "guess", &format!("203.0.113.{n}"))
            .await
            .status()
            .as_u16();
    }
    assert_eq!(last, 429, "without a trusted proxy the address is the peer's");
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say() {
    let bed = Bed::start().await;
    let ana = bed.client("ana").await;
    let new = |scopes: &[Scope], expires_in| NewToken {
        name: "ci".into(),
        scopes: scopes.iter().copied().collect(),
        resources: [].into(),
        expires_in,
        login: None,
    };
    let issued = ana.add_token(&new(&[Scope::Read], Span::hours(1))).await.unwrap();
    let reader = bed.client_of(issued.secret.expose());
    assert!(matches!(reader.whoami().await.unwrap().via, Via::Token { .. }));
    let refused = reader
        .add_request(&crate::bed::ask("staging/read"))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some(Code::Forbidden.into()));
    assert!(
        format!("{refused:?}").contains("daypass token create NAME --scope read --scope request"),
        "{refused:?}"
    );
    assert!(
        reader
            .add_token(&new(&[Scope::Manage], Span::hours(1)))
            .await
            .is_err(),
        "a token makes no tokens"
    );
    for (scopes, span) in [
        (&[][..], Span::hours(1)),
        (&[Scope::Read][..], Span::ZERO),
        (&[Scope::Read][..], Span::hours(24 * 400)),
    ] {
        assert_eq!(
            ana.add_token(&new(scopes, span)).await.unwrap_err().code(),
            Some(Code::Invalid.into())
        );
    }
    ana.revoke_token(issued.token.id).await.unwrap();
    assert_eq!(
        reader.whoami().await.unwrap_err().code(),
        Some(ProblemCode::Unauthenticated)
    );
}

#[tokio::test]
async fn nobody_gets_a_token_that_acts_as_another_person() {
    let bed = Bed::start().await;
    let root = bed.client("root").await;
    let of = |login: &str| NewToken {
        name: "x".into(),
        scopes: [Scope::Read].into(),
        resources: [].into(),
        expires_in: Span::hours(1),
        login: Some(login.parse().unwrap()),
    };
    assert_eq!(
        root.add_token(&of("ana")).await.unwrap_err().code(),
        Some(Code::Forbidden.into())
    );
    assert_eq!(
        bed.client("bo")
            .await
            .add_token(&of("robot"))
            .await
            .unwrap_err()
            .code(),
        Some(Code::Forbidden.into())
    );
    let issued = root.add_token(&of("robot")).await.unwrap();
    let robot = bed.client_of(issued.secret.expose());
    assert_eq!(robot.whoami().await.unwrap().person.login, "robot");
    assert_eq!(
        bed.client("bo")
            .await
            .revoke_token(issued.token.id)
            .await
            .unwrap_err()
            .code(),
        Some(Code::NotFound.into())
    );
    root.revoke_token(issued.token.id).await.unwrap();
    assert!(robot.whoami().await.is_err());
}

#[tokio::test]
async fn a_session_runs_out() {
    let bed = Bed::with(|config| config.session_lifetime = Span::millis(1)).await;
    let answer = log_in(&bed, "ana", PASSWORD, "192.0.2.1").await;
    let body: serde_json::Value = answer.json().await.unwrap();
    let ana = bed.client_of(body["token"].as_str().unwrap());
    assert_eq!(
        ana.whoami().await.unwrap_err().code(),
        Some(ProblemCode::Unauthenticated)
    );
}
