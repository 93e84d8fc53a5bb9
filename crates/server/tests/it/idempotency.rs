//! One key, one effect: on repetition, at the same time, for another body, and where the answer held a secret.

use daypass_api::{IDEMPOTENCY_KEY, ProblemCode, Route};
use daypass_core::refusal::Code;
use futures_util::future::join_all;
use reqwest::Response;
use serde_json::Value;

use crate::bed::{Bed, ask, problem};

async fn send(bed: &Bed, token: &str, key: &str, body: &impl serde::Serialize) -> Response {
    let call = bed
        .call(Route::AddRequest, &[], Some(token))
        .header(IDEMPOTENCY_KEY, key);
    call.json(body).send().await.unwrap()
}

#[tokio::test]
async fn the_second_call_gets_the_first_ones_answer() {
    let bed = Bed::start().await;
    let ana = bed.session("ana").await;
    let first = send(&bed, &ana, "k1", &ask("orders/write")).await;
    assert_eq!(
        (
            first.status().as_u16(),
            first.headers().get("idempotency-replayed")
        ),
        (201, None)
    );
    let first: Value = first.json().await.unwrap();
    let second = send(&bed, &ana, "k1", &ask("orders/write")).await;
    assert_eq!(second.status().as_u16(), 201);
    assert_eq!(second.headers()["idempotency-replayed"], "true");
    assert_eq!(second.json::<Value>().await.unwrap(), first);

    let other = problem(send(&bed, &ana, "k1", &ask("orders/read")).await).await;
    assert_eq!(
        (other.status, other.code),
        (422, ProblemCode::IdempotencyMismatch)
    );
    let cy = bed.session("cy").await;
    let theirs = problem(send(&bed, &cy, "k1", &ask("orders/write")).await).await;
    assert_eq!(
        theirs.code,
        Code::NotEligible.into(),
        "another person's key is another key"
    );
    let list = bed
        .client("ana")
        .await
        .requests(&Default::default())
        .await
        .unwrap();
    assert_eq!(list.items.len(), 1);
}

#[tokio::test]
async fn at_the_same_time_it_is_done_once() {
    let bed = Bed::start().await;
    let ana = bed.session("ana").await;
    let body = ask("orders/write");
    let answers = join_all((0..16).map(|_| send(&bed, &ana, "k2", &body))).await;
    let mut made = 0;
    for answer in answers {
        match answer.status().as_u16() {
            201 => made += 1,
            409 => {
                assert_eq!(answer.headers()["retry-after"], "1");
                assert_eq!(problem(answer).await.code, ProblemCode::IdempotencyInProgress);
            }
            status => panic!("{status}"),
        }
    }
    assert!(made >= 1);
    let list = bed
        .client("ana")
        .await
        .requests(&Default::default())
        .await
        .unwrap();
    assert_eq!(list.items.len(), 1);
}

#[tokio::test]
async fn a_refusal_is_an_answer_too() {
    let bed = Bed::start().await;
    let ana = bed.session("ana").await;
    for replayed in [None, Some("true")] {
        let answer = send(&bed, &ana, "k3", &ask("nowhere/write")).await;
        let header = answer
            .headers()
            .get("idempotency-replayed")
            .map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header.as_deref(), replayed);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["type"], "urn:daypass:unknown-resource");
    }
}

#[tokio::test]
async fn answers_with_secrets_are_not_kept() {
    let bed = Bed::start().await;
    let ana = bed.session("ana").await;
    let body = serde_json::json!({"name": "ci", "scopes": ["read"], "expires_in": "1h"});
    let call = || {
        bed.call(Route::AddToken, &[], Some(&ana))
            .header(IDEMPOTENCY_KEY, "k4")
            .json(&body)
    };
    let first = call().send().await.unwrap();
    assert_eq!(first.status().as_u16(), 201);
    assert!(
        first.json::<Value>().await.unwrap()["secret"]
            .as_str()
            .unwrap()
            .starts_with("dp_t_")
    );
    let second = problem(call().send().await.unwrap()).await;
    assert_eq!((second.status, second.code), (409, Code::WrongState.into()));
    let tokens = bed
        .client_of(&ana)
        .tokens(&Default::default())
        .await
        .unwrap()
        .items;
    assert_eq!(
        tokens.iter().filter(|token| token.name == "ci").count(),
        1,
        "it was not issued twice"
    );
}

#[tokio::test]
async fn one_key_on_two_things_is_two_commands() {
    let bed = Bed::start().await;
    let (one, other) = (
        bed.ask("ana", "orders/write").await,
        bed.ask("ana", "orders/write").await,
    );
    let ana = bed.session("ana").await;
    for request in [one, other] {
        let call = bed
            .call(Route::Cancel, &[&request.id.to_string()], Some(&ana))
            .header(IDEMPOTENCY_KEY, "k5");
        let answer: Value = call.send().await.unwrap().json().await.unwrap();
        assert_eq!(
            (answer["state"].as_str(), answer["id"].as_str()),
            (Some("withdrawn"), Some(&*request.id.to_string()))
        );
    }
}

#[tokio::test]
async fn keys_are_short_and_plain() {
    let bed = Bed::start().await;
    let ana = bed.session("ana").await;
    for key in ["", " ", "a b", &"k".repeat(201)] {
        let answer = problem(send(&bed, &ana, key, &ask("orders/write")).await).await;
        assert_eq!(
            (answer.status, answer.code),
            (400, Code::Invalid.into()),
            "{key:?}"
        );
    }
    let twice = bed
        .call(Route::AddRequest, &[], Some(&ana))
        .header(IDEMPOTENCY_KEY, "a")
        .header(IDEMPOTENCY_KEY, "b");
    assert_eq!(
        problem(twice.json(&ask("orders/write")).send().await.unwrap())
            .await
            .status,
        400
    );
}

/// Somebody with a token of an administrator's, or a script of their own, has spent what may be kept: they lock all the same.
#[tokio::test]
async fn what_takes_access_away_needs_nothing_that_is_kept() {
    let bed = Bed::start().await;
    let grant = bed.granted().await.to_string();
    let root = bed.session("root").await;
    let first = || {
        let call = bed
            .call(Route::AddRequest, &[], Some(&root))
            .json(&ask("nowhere/read"));
        call.header(IDEMPOTENCY_KEY, "first").send()
    };
    let status = first().await.unwrap().status();
    let spend = (0..12).map(|worker| {
        let (bed, root) = (&bed, &root);
        async move {
            for n in 0.. {
                let call = bed
                    .call(Route::AddRequest, &[], Some(root))
                    .json(&ask("nowhere/read"));
                let answer = call.header(IDEMPOTENCY_KEY, format!("{worker}-{n}")).send().await;
                if answer.unwrap().status().as_u16() == 429 {
                    return;
                }
            }
        }
    });
    join_all(spend).await;
    // What was carried out is answered again.
    let again = first().await.unwrap();
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(again.status(), status);
    for resource in ["staging", "orders"] {
        let lock = bed
            .call(Route::Lock, &[], Some(&root))
            .header(IDEMPOTENCY_KEY, resource);
        let lock = lock.json(&serde_json::json!({"on": {"resource": resource}, "reason": "odd"}));
        let answer = lock.send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }
    let revoke = bed
        .call(Route::Revoke, &[&grant], Some(&root))
        .header(IDEMPOTENCY_KEY, "end");
    assert_ne!(revoke.send().await.unwrap().status().as_u16(), 429);
}

/// Programs send these for each host: what their account may have kept is not spent on them.
#[tokio::test]
async fn certificates_and_acknowledgements_of_hosts_keep_nothing() {
    for route in [Route::Certificate, Route::SshAcknowledge] {
        assert!(route.keeps_nothing(), "{route:?}");
    }
}
