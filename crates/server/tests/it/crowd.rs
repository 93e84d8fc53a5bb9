//! Whoever asks for as much as they can: others are served all the same, and access ends all the same.

use daypass_api::grant::GrantState;
use daypass_api::{IDEMPOTENCY_KEY, ProblemCode, Route};
use daypass_core::refusal::Code;
use daypass_providers::memory::Op;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::bed::{Bed, PASSWORD, ask, problem, soon};

#[tokio::test]
async fn one_call_for_credentials_of_a_grant_and_its_end_does_not_wait_for_it() {
    let bed = Bed::start().await;
    let grant = bed.granted().await;
    bed.reaches(grant, GrantState::Active).await;
    let (id, ana) = (grant.to_string(), bed.session("ana").await);
    bed.target.hold(Op::Credential);
    let first = bed.call(Route::Credentials, &[&id], Some(&ana)).send();
    let first = tokio::spawn(first);
    bed.target.has_held(Op::Credential, 1).await;
    let second = bed.call(Route::Credentials, &[&id], Some(&ana)).send();
    let second = second.await.unwrap();
    assert!(second.headers().contains_key("retry-after"));
    assert_eq!(problem(second).await.code, ProblemCode::RateLimited);
    assert_eq!(bed.target.held(Op::Credential), 1);

    bed.client("ana").await.release(grant).await.unwrap();
    bed.reaches(grant, GrantState::Ended).await;
    bed.target.let_go(Op::Credential);
    let first = soon("the first answer", first).await.unwrap().unwrap();
    assert_eq!(problem(first).await.code, ProblemCode::TargetFailed);
}

#[tokio::test]
async fn a_connector_is_asked_once_however_many_ask() {
    let bed = Bed::start().await;
    let (dee, root) = (bed.session("dee").await, bed.session("root").await);
    bed.target.hold(Op::Probe);
    let calls = [(Route::Connectors, &dee), (Route::Doctor, &root)]
        .into_iter()
        .cycle()
        .take(10)
        .map(|(route, token)| tokio::spawn(bed.call(route, &[], Some(token)).send()));
    let calls: Vec<_> = calls.collect();
    bed.target.has_held(Op::Probe, 1).await;
    bed.target.let_go(Op::Probe);
    for answer in soon("all answers", join_all(calls)).await {
        assert_eq!(answer.unwrap().unwrap().status().as_u16(), 200);
    }
    assert_eq!(bed.target.calls(Op::Probe), 1);
}

/// Begins a call whose body never comes.
async fn stuck(bed: &Bed, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(bed.server.address()).await.unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n",
        Route::Preview.path()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_body_that_does_not_come_has_its_senders_place_and_nobody_elses() {
    let bed = Bed::start().await;
    let grant = bed.granted().await;
    bed.reaches(grant, GrantState::Active).await;
    let ana = bed.session("ana").await;
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(stuck(&bed, &ana).await);
    }
    soon("ana's last place to be taken", async {
        loop {
            let call = bed
                .call(Route::Preview, &[], Some(&ana))
                .json(&ask("orders/read"));
            if call.send().await.unwrap().status().as_u16() == 429 {
                return;
            }
        }
    })
    .await;
    let cy = bed.session("cy").await;
    let others = bed.call(Route::Preview, &[], Some(&cy)).json(&ask("orders/read"));
    assert_ne!(others.send().await.unwrap().status().as_u16(), 429);
    // To read, and to give back, she has places all the same.
    let own = bed.call(Route::Release, &[&grant.to_string()], Some(&ana)).send();
    assert_eq!(own.await.unwrap().status().as_u16(), 200);
    let lock = bed.call(Route::Lock, &[], Some(&bed.session("root").await));
    let lock = lock.json(&json!({"on": {"person": "ana"}, "reason": "odd"}));
    let locked = lock.send().await.unwrap();
    assert!(locked.status().is_success(), "{}", locked.text().await.unwrap());
    drop(open);
}

#[tokio::test]
async fn one_person_has_a_few_streams() {
    let bed = Bed::start().await;
    let ana = bed.client("ana").await;
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(ana.events(None).await.unwrap());
    }
    let token = bed.session("ana").await;
    let ninth = bed.call(Route::Events, &[], Some(&token)).send().await.unwrap();
    assert_eq!(problem(ninth).await.code, ProblemCode::RateLimited);
    assert!(bed.client("cy").await.events(None).await.is_ok());
}

#[tokio::test]
async fn what_changes_nothing_keeps_nothing_under_a_key() {
    let bed = Bed::start().await;
    let ana = bed.session("ana").await;
    for item in ["orders/read", "orders/write"] {
        let call = bed.call(Route::Preview, &[], Some(&ana)).json(&ask(item));
        let answer = call.header(IDEMPOTENCY_KEY, "one").send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        assert!(!answer.headers().contains_key("idempotency-replayed"));
    }
}

#[tokio::test]
async fn strangers_leave_nothing_in_the_metrics_and_are_slowed_where_nothing_is() {
    let bed = Bed::start().await;
    for method in ["BREW", "BREW2", "BREW3"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        bed.raw(method, "/nowhere", None).send().await.unwrap();
    }
    let text = bed.call(Route::Metrics, &[], None).send().await.unwrap();
    let text = text.text().await.unwrap();
    assert!(
        text.contains("method=\"other\"") && !text.contains("BREW"),
        "{text}"
    );
    for (method, path) in [(Method::GET, "/nowhere"), (Method::DELETE, "/healthz")] {
        let calls = (0..200).map(|_| bed.raw(method.clone(), path, None).send());
        let limited = join_all(calls).await;
        let limited = limited.iter().flatten();
        assert!(
            limited.into_iter().any(|answer| answer.status().as_u16() == 429),
            "{path}"
        );
    }
}

/// A client looks at the log before it calls: colleagues behind the same address as a stranger must be able to.
#[tokio::test]
async fn strangers_do_not_slow_who_is_logged_in_where_nothing_needs_a_login() {
    let bed = Bed::start().await;
    let ana = bed.session("ana").await;
    // Her token is taken once, and known from then on.
    let known = bed.call(Route::Grants, &[], Some(&ana)).send().await.unwrap();
    assert_eq!(known.status().as_u16(), 200);
    let look = |token| bed.call(Route::AuditCheckpoint, &[], token).send();
    let calls = (0..200).map(|_| look(None));
    let limited = join_all(calls).await;
    let mut limited = limited.iter().flatten();
    assert!(limited.any(|answer| answer.status().as_u16() == 429));
    let statuses = join_all((0..50).map(|_| look(Some(&ana)))).await;
    let mut statuses = statuses.iter().flatten();
    assert!(statuses.all(|answer| answer.status().as_u16() != 429));
    let nobodys = "dp_0000000000000000000000000000000000000000000";
    let forged = join_all((0..50).map(|_| look(Some(nobodys)))).await;
    let mut forged = forged.iter().flatten();
    assert!(forged.any(|answer| answer.status().as_u16() == 429));
}

#[tokio::test]
async fn ids_of_what_others_have_are_not_told() {
    let bed = Bed::start().await;
    let bos = bed.ask("ana", "orders/write").await;
    let eve = bed.session("robot").await;
    for (route, typed) in [(Route::Request, "R"), (Route::Grant, "G"), (Route::Change, "C")] {
        let none = bed.call(route, &[typed], Some(&eve)).send().await.unwrap();
        let none = problem(none).await;
        assert_eq!(none.code, Code::NotFound.into(), "{none:?}");
        assert!(none.detail.contains(&format!("{typed:?}")), "{none:?}");
    }
    // A few characters are enough for who sees only one.
    let ana = bed.session("ana").await;
    let own = bed.call(Route::Request, &["R"], Some(&ana)).send().await.unwrap();
    assert_eq!(own.json::<Value>().await.unwrap()["id"], bos.id.to_string());
}

#[tokio::test]
async fn strangers_who_guess_do_not_keep_anybody_from_proving_who_they_are() {
    let bed = Bed::start().await;
    let ana = bed.session("ana").await;
    let guess = json!({"login": "ana", "password": "a wrong guess"});
    let guesses = (0..20).map(|_| bed.call(Route::Login, &[], None).json(&guess).send());
    let guesses = join_all(guesses).await;
    assert!(
        guesses
            .iter()
            .flatten()
            .any(|answer| answer.status().as_u16() == 429)
    );
    let confirm = bed.call(Route::Confirm, &[], Some(&ana));
    let confirmed = confirm.json(&json!({"password": PASSWORD})).send().await.unwrap();
    assert_eq!(confirmed.status().as_u16(), 200);
}

#[tokio::test]
async fn a_token_makes_nobody_who_could_log_in_or_do_more_than_a_member() {
    let bed = Bed::start().await;
    let token = bed.api_token("root", &["manage"]).await;
    for (role, password) in [
        ("administrator", None),
        ("auditor", None),
        ("member", Some(PASSWORD)),
    ] {
        let body = json!({"login": "mal", "role": role, "password": password});
        let refused = bed.call(Route::AddPerson, &[], Some(&token)).json(&body).send();
        assert_eq!(problem(refused.await.unwrap()).await.status, 403, "{role}");
    }
    let plain = bed
        .call(Route::AddPerson, &[], Some(&token))
        .json(&json!({"login": "mal"}));
    assert!(plain.send().await.unwrap().status().is_success());

    let dee = ["dee"];
    for (route, login, status) in [
        (Route::PersonDeactivate, dee, 200),
        (Route::PersonReactivate, dee, 403),
        // A member who left, with a password that is still good.
        (Route::PersonDeactivate, ["cy"], 200),
        (Route::PersonReactivate, ["cy"], 403),
        (Route::PersonDeactivate, ["mal"], 200),
        (Route::PersonReactivate, ["mal"], 200),
    ] {
        let answer = bed.call(route, &login, Some(&token)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{route:?} {login:?}");
    }
}

#[tokio::test]
async fn to_end_others_access_a_token_must_be_one_to_manage_with() {
    let bed = Bed::start().await;
    let id = bed.granted().await.to_string();
    for (login, scopes, status) in [
        ("bo", &["request"][..], 403),
        ("bo", &["manage"], 403),
        ("ana", &["request"], 200),
    ] {
        let token = bed.api_token(login, scopes).await;
        let revoked = bed
            .call(Route::Revoke, &[&id], Some(&token))
            .send()
            .await
            .unwrap();
        assert_eq!(revoked.status().as_u16(), status, "{login} {scopes:?}");
    }
    let id = bed.granted().await.to_string();
    let token = bed.api_token("bo", &["request", "manage"]).await;
    let revoked = bed
        .call(Route::Revoke, &[&id], Some(&token))
        .send()
        .await
        .unwrap();
    assert_eq!(revoked.status().as_u16(), 200);
}

#[tokio::test]
async fn who_guesses_at_tokens_is_slowed_and_whoever_was_here_lately_is_not() {
    let bed = Bed::start().await;
    let ana = bed.session("ana").await;
    let first = bed.call(Route::Whoami, &[], Some(&ana)).send().await.unwrap();
    assert_eq!(first.status().as_u16(), 200);
    let guess = |n: usize| {
        bed.call(Route::Whoami, &[], Some(&format!("dp_t_{n:064x}")))
            .send()
    };
    let spend = async {
        loop {
            let guesses = join_all((0..50).map(guess)).await;
            if guesses
                .into_iter()
                .any(|answer| answer.unwrap().status().as_u16() == 429)
            {
                return;
            }
        }
    };
    soon("the budget's end", spend).await;
    // Among as many guesses as there are, so that none comes when there is some of it again.
    let others = (0..200).map(guess);
    let own = (0..8).map(|_| bed.call(Route::Whoami, &[], Some(&ana)).send());
    let (others, own) = futures_util::future::join(join_all(others), join_all(own)).await;
    let statuses = |answers: Vec<Result<reqwest::Response, reqwest::Error>>| -> Vec<u16> {
        let status = |answer: Result<reqwest::Response, _>| answer.unwrap().status().as_u16();
        answers.into_iter().map(status).collect()
    };
    assert!(statuses(others).contains(&429));
    assert_eq!(statuses(own), [200; 8]);
}

#[tokio::test]
async fn a_policy_may_be_as_large_to_be_planned_as_to_be_applied() {
    let bed = Bed::start().await;
    let root = bed.session("root").await;
    let text = format!("{}{}", crate::bed::POLICY, "# a long remark\n".repeat(20_000));
    let files = json!({"files": [{"name": "policy.yaml", "text": text}]});
    let plan = bed.call(Route::PlanPolicy, &[], Some(&root)).json(&files);
    let planned = plan.send().await.unwrap();
    assert_eq!(
        planned.status().as_u16(),
        200,
        "{}",
        planned.text().await.unwrap()
    );
    let login = bed
        .call(Route::Login, &[], None)
        .json(&json!({"login": "ana", "password": "x".repeat(9_000)}));
    assert_eq!(
        login.send().await.unwrap().status().as_u16(),
        413,
        "a stranger sends little"
    );
}
