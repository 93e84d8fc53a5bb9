//! Locks over HTTP: who may, what a locked account still may, and that what is held is taken away.

use daypass_api::grant::{AskCredential, GrantState, Revoke};
use daypass_api::lock::{ChangeLock, LockOn};
use daypass_api::{ProblemCode, Route};
use daypass_core::person::{Kind, SystemRole};
use daypass_core::refusal::Code;

use crate::bed::{Bed, approval, ask, problem};

fn of(on: LockOn) -> ChangeLock {
    let reason = "laptop stolen".to_owned();
    ChangeLock { on, reason }
}

fn person(login: &str) -> ChangeLock {
    of(LockOn::Person(login.to_owned()))
}

fn resource(name: &str) -> ChangeLock {
    of(LockOn::Resource(name.to_owned()))
}

fn code<T>(result: Result<T, daypass_api::client::Error>) -> Option<ProblemCode> {
    result.err().and_then(|error| error.code())
}

#[tokio::test]
async fn locking_a_person_takes_away_what_they_hold() {
    let bed = Bed::start().await;
    let (root, ana) = (bed.client("root").await, bed.client("ana").await);
    let grant = bed.granted().await;
    bed.reaches(grant, GrantState::Active).await;
    let locked = root.lock(&person("ana")).await.unwrap();
    assert_eq!((locked.ending, locked.lock.by.as_str()), (1, "root"));
    let ended = bed.reaches(grant, GrantState::Ended).await;
    assert_eq!(ended.ended_reason.as_deref(), Some("locked"));
    let refused = ana.credentials(grant, &AskCredential::default()).await;
    assert_eq!(code(refused), Some(Code::Locked.into()));
    assert_eq!(
        ana.whoami().await.unwrap().locked_since,
        Some(locked.lock.since),
        "they may log in and are told"
    );
    assert_eq!(
        code(ana.add_request(&ask("staging/read")).await),
        Some(Code::Locked.into())
    );
    let listed = bed.client("dee").await.locks().await.unwrap().items;
    assert_eq!(listed, [locked.lock]);
    assert_eq!(listed[0].reason.as_deref(), Some("laptop stolen"));
    root.unlock(&person("ana")).await.unwrap();
    assert_eq!(ana.whoami().await.unwrap().locked_since, None);
    assert_eq!(
        ana.grant(&grant.to_string()).await.unwrap().state,
        GrantState::Ended
    );
    ana.add_request(&ask("staging/read")).await.unwrap();
}

#[tokio::test]
async fn a_locked_resource_is_nobodys_and_the_catalogue_says_so() {
    let bed = Bed::start().await;
    let (root, ana) = (bed.client("root").await, bed.client("ana").await);
    let pending = bed.ask("ana", "orders/write").await;
    root.lock(&resource("orders")).await.unwrap();
    let review = bed
        .client("bo")
        .await
        .review(pending.id, &approval(&pending))
        .await;
    assert_eq!(code(review), Some(Code::Locked.into()));
    let offers = ana.resources(&Default::default()).await.unwrap().items;
    for offer in offers {
        let shown = serde_json::to_value(&offer.how).unwrap();
        let closed = shown["code"] == "locked";
        assert_eq!(closed, offer.item.resource.as_str() == "orders", "{shown}");
        assert!(!shown.to_string().contains("stolen"), "why is for auditors");
    }
    let names: Vec<_> = root
        .audit_events(&Default::default())
        .await
        .unwrap()
        .items
        .into_iter()
        .filter(|event| event.subject.kind == "lock")
        .map(|event| (event.name, event.subject.id, event.summary))
        .collect();
    let summary = "orders was locked: laptop stolen".to_owned();
    assert_eq!(
        names,
        [("lock.locked".to_owned(), "resource/orders".to_owned(), summary)]
    );
}

#[tokio::test]
async fn every_route_that_opens_anything_is_shut_to_who_is_locked() {
    let bed = Bed::start().await;
    let administrator = SystemRole::Administrator;
    bed.add("mallory", Kind::Person, administrator, None, None).await;
    let mallory = bed.session("mallory").await;
    bed.add("gate", Kind::Service, SystemRole::Member, None, None)
        .await;
    let gate = bed.api_token("gate", &["gateway", "gateway:orders"]).await;
    for login in ["mallory", "gate"] {
        bed.client("root").await.lock(&person(login)).await.unwrap();
    }
    let nowhere = |route: Route| match route {
        Route::Grant
        | Route::Revoke
        | Route::Release
        | Route::Extend
        | Route::Credentials
        | Route::Certificate => "G0000000000000000",
        Route::Session | Route::KillSession => "S0000000000000000",
        Route::RevokeToken => "T0000000000000000",
        Route::Change | Route::ReviewChange | Route::WithdrawChange => "C0000000000000000",
        _ if route.path().contains("{id}") => "R0000000000000000",
        _ => "nobody-of-this-name",
    };
    let still = [
        Route::Login,
        Route::Logout,
        Route::Preview,
        Route::PreviewBreakGlass,
        Route::CheckPolicy,
        Route::PlanPolicy,
        Route::ExplainPolicy,
        Route::Cancel,
        Route::WithdrawChange,
        Route::Revoke,
        Route::Release,
        Route::KillSession,
        Route::RevokeToken,
        Route::GatewayClose,
        Route::GatewayRecord,
    ];
    for route in Route::ALL.iter().copied() {
        if matches!(route, Route::Events | Route::Logout) {
            continue;
        }
        let whose = if route.is_of_gateways() { &gate } else { &mallory };
        let answer = bed
            .call(route, &[nowhere(route)], Some(whose))
            .send()
            .await
            .unwrap();
        let reads = route.method() == daypass_api::Method::Get && !route.is_of_gateways();
        if reads || still.contains(&route) {
            assert!(
                answer.status().is_success() || problem(answer).await.code != Code::Locked.into(),
                "{route:?} is open"
            );
        } else {
            assert_eq!(problem(answer).await.code, Code::Locked.into(), "{route:?}");
        }
    }
    // They may read what they hold, and give it back; what others hold is not theirs to end.
    let grant = bed.ask("ana", "staging/read").await.grant.unwrap();
    let refused = bed.client_of(&mallory).revoke(grant, &Revoke::default()).await;
    assert_eq!(code(refused), Some(Code::Locked.into()));
    let unlock = bed.client_of(&mallory).unlock(&person("mallory")).await;
    assert_eq!(code(unlock), Some(Code::Locked.into()));
}

#[tokio::test]
async fn who_may_lock_and_what_there_is_to_lock() {
    let bed = Bed::start().await;
    let root = bed.client("root").await;
    for login in ["ana", "dee"] {
        let refused = bed.client(login).await.lock(&resource("orders")).await;
        assert_eq!(code(refused), Some(Code::Forbidden.into()), "{login}");
    }
    let ana = bed.client("ana").await;
    assert_eq!(code(ana.locks().await), Some(Code::Forbidden.into()));
    for (lock, expect) in [
        (person("nobody"), Code::UnknownPerson),
        (resource("nothing"), Code::UnknownResource),
        (resource("a b"), Code::UnknownResource),
        (person("root"), Code::InUse),
    ] {
        assert_eq!(code(root.lock(&lock).await), Some(expect.into()), "{lock:?}");
    }
    let silent = ChangeLock {
        reason: " ".to_owned(),
        ..resource("orders")
    };
    assert_eq!(code(root.lock(&silent).await), Some(Code::ReasonRequired.into()));
    // In an emergency a program may shut; a person opens again.
    let program = bed.client_of(&bed.api_token("root", &["manage"]).await);
    program.lock(&resource("orders")).await.unwrap();
    assert_eq!(
        code(program.lock(&resource("orders")).await),
        Some(Code::Exists.into())
    );
    assert_eq!(
        code(program.unlock(&resource("orders")).await),
        Some(Code::Forbidden.into())
    );
    root.unlock(&resource("orders")).await.unwrap();
    assert_eq!(
        code(root.unlock(&resource("orders")).await),
        Some(Code::WrongState.into())
    );
}
