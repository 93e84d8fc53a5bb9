//! Environments over HTTP: listed, previewed, asked for, and found again by the idempotency key.

use std::collections::BTreeSet;

use daypass_api::catalogue::How;
use daypass_api::environment::{EnvironmentQuery, EnvironmentRole};
use daypass_api::grant::GrantState;
use daypass_api::preview::Preview;
use daypass_api::request::NewRequest;
use daypass_api::{ProblemCode, Route};
use daypass_core::refusal::Code;
use daypass_policy::Source;
use serde_json::json;

use crate::bed::{Bed, POLICY, ask, problem};

/// The bed's policy with environments over what this selects.
pub(crate) async fn environments(bed: &Bed, over: &str) {
    let environments = format!(
        "environments:\n  test: {{resources: {over}, roles: {{look: {{memory: read}}}}}}\n  \
         live: {{resources: {{env: production}}, roles: {{look: {{memory: read}}}}}}\nrules:\n"
    );
    let source = Source {
        name: "policy.yaml".to_owned(),
        text: POLICY.replace("rules:\n", &environments),
    };
    bed.server.engine().load_policy(&[source]).await.unwrap();
}

fn look(environment: &str) -> NewRequest {
    let role = EnvironmentRole {
        environment: environment.parse().unwrap(),
        role: "look".parse().unwrap(),
    };
    NewRequest {
        items: BTreeSet::new(),
        environments: BTreeSet::from([role]),
        ..ask("staging/read")
    }
}

/// What is asked for by the name of an environment is explained by it.
async fn explained(ana: &daypass_api::Client) {
    let ask = |name: &str| json!({"items": [], "environments": [{"environment": name, "role": "look"}]});
    let explain = async |name: &str| {
        ana.explain_policy(&serde_json::from_value(ask(name)).unwrap())
            .await
    };
    let answer = explain("test").await.unwrap();
    assert_eq!(answer.items[0].to_string(), "staging/read");
    let Preview::Allowed(path) = &answer.decision else {
        panic!("{answer:?}")
    };
    assert_eq!(path.environments[0].to_string(), "env:test/look");
    let unknown = explain("tset").await.unwrap_err();
    assert_eq!(unknown.code(), Some(Code::UnknownResource.into()));
}

#[tokio::test]
async fn an_environment_is_listed_previewed_and_asked_for() {
    let bed = Bed::start().await;
    environments(&bed, "{env: staging}").await;
    let ana = bed.client("ana").await;
    let listed = ana
        .environments(&EnvironmentQuery::default())
        .await
        .unwrap()
        .items;
    let names: Vec<_> = listed.iter().map(|offer| offer.environment.to_string()).collect();
    assert_eq!(names, ["env:test/look", "env:live/look"]);
    assert!(matches!(listed[0].how, How::Instant { .. }), "{listed:?}");
    assert!(matches!(listed[1].how, How::Reviewed { .. }), "{listed:?}");
    assert_eq!(listed[0].items[0].to_string(), "staging/read");
    explained(&ana).await;
    for (query, expect) in [
        (
            EnvironmentQuery {
                instant: Some(true),
                ..EnvironmentQuery::default()
            },
            "env:test/look",
        ),
        (
            EnvironmentQuery {
                env: Some("production".into()),
                ..EnvironmentQuery::default()
            },
            "env:live/look",
        ),
    ] {
        let listed = ana.environments(&query).await.unwrap().items;
        assert_eq!(listed.len(), 1, "{query:?}");
        assert_eq!(listed[0].environment.to_string(), expect);
    }
    let Preview::Allowed(path) = ana.preview(&look("test")).await.unwrap() else {
        panic!("it is refused")
    };
    assert_eq!(path.environments[0].to_string(), "env:test/look");
    assert_eq!(path.items[0].to_string(), "staging/read");
    let made = ana.add_request(&look("test")).await.unwrap();
    assert_eq!(made.items, path.items);
    let wrong = ana.add_request(&look("tset")).await.unwrap_err();
    assert_eq!(wrong.code(), Some(Code::UnknownResource.into()));
}

#[tokio::test]
async fn a_repeated_command_gets_its_first_answer_though_the_environment_grew() {
    let bed = Bed::start().await;
    environments(&bed, "{env: staging}").await;
    let ana = bed.client("ana").await.keyed("the-same");
    let first = ana.add_request(&look("test")).await.unwrap();
    environments(&bed, "{env: [staging, production]}").await;
    assert_eq!(ana.add_request(&look("test")).await.unwrap().id, first.id);
    let other = ana.add_request(&look("live")).await.unwrap_err();
    assert_eq!(other.code(), Some(ProblemCode::IdempotencyMismatch));
}

#[tokio::test]
async fn a_body_that_names_none_or_a_hostile_one_is_refused() {
    let bed = Bed::start().await;
    environments(&bed, "{env: staging}").await;
    let token = bed.session("ana").await;
    for body in [
        json!({"reason": "x"}),
        json!({"reason": "x", "environments": []}),
        json!({"reason": "x", "environments": [{"environment": "test"}]}),
        json!({"reason": "x", "environments": [{"environment": "env:test", "role": "look"}]}),
        json!({"reason": "x", "environments": [{"environment": "te st", "role": "look"}]}),
        json!({"reason": "x", "environments": [{"environment": "test", "role": "look", "items": []}]}),
        json!({"reason": "x", "environments": "env:test/look"}),
        json!({"reason": "x", "items": [{"resource": "env:test", "role": "look"}]}),
    ] {
        let call = bed.call(Route::AddRequest, &[], Some(&token)).json(&body);
        let answer = problem(call.send().await.unwrap()).await;
        assert_eq!(answer.code, Code::Invalid.into(), "{body}: {answer:?}");
    }
}

#[tokio::test]
async fn an_environment_whose_limit_is_spent_says_so() {
    let bed = Bed::start().await;
    environments(&bed, "{env: staging}").await;
    let policy = &bed.server.engine().current().policy.sources()[0].text.clone();
    let limited = Source {
        name: "policy.yaml".to_owned(),
        text: format!("{policy}guardrails: [{{name: little, to: {{env: staging}}, max_total: 30m/24h}}]\n"),
    };
    bed.server.engine().load_policy(&[limited]).await.unwrap();
    let ana = bed.client("ana").await;
    let staging = || async {
        let listed = ana.environments(&EnvironmentQuery::default()).await.unwrap();
        listed.items.into_iter().next().unwrap().how
    };
    assert!(matches!(staging().await, How::Instant { depends: None, .. }));
    let made = ana.add_request(&look("test")).await.unwrap();
    // Until its clock runs another one at the same moment would share its time.
    bed.reaches(made.grant.unwrap(), GrantState::Active).await;
    let How::Instant {
        depends: Some(depends),
        ..
    } = staging().await
    else {
        panic!("less is left than what is asked for where nothing is said")
    };
    assert_eq!(depends.on, ["duration"], "{depends:?}");
    let (why, hint) = (depends.detail, depends.hint.unwrap_or_default());
    assert!(why.contains("28m of that is left"), "{why}");
    assert!(hint.contains("daypass request env:test/look --for 28m"), "{hint}");
}
