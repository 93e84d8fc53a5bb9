//! Service accounts over HTTP: made with an owner, handed over, orphaned, and never more than who answers for them.

use std::collections::BTreeSet;

use daypass_api::client::Error;
use daypass_api::doctor::Verdict;
use daypass_api::gateway::{RegisterGateway, RenewLeases, VERSION};
use daypass_api::login::{NewToken, TokenQuery, Via};
use daypass_api::person::{Kind, NewPerson, PersonQuery, SetManager, SetOwner, SetRole, SystemRole};
use daypass_api::{Client, ProblemCode, Route, Scope};
use daypass_core::name::Name;
use daypass_core::refusal::Code;
use daypass_core::time::Span;
use daypass_server::config::Elsewhere;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::bed::{Bed, next, problem, soon};
use crate::recordings;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Error>) -> ProblemCode {
    outcome.unwrap_err().code().unwrap()
}

fn service(login: &str, owner: Option<&str>) -> NewPerson {
    NewPerson {
        login: name(login),
        display: None,
        kind: Kind::Service,
        role: SystemRole::Member,
        groups: BTreeSet::new(),
        manager: None,
        owner: owner.map(name),
        mail: None,
        password: None,
    }
}

fn token(login: &str) -> NewToken {
    NewToken {
        name: "pipeline".into(),
        scopes: BTreeSet::from([Scope::Read, Scope::Request, Scope::Manage]),
        resources: BTreeSet::new(),
        expires_in: Span::hours(1),
        login: Some(name(login)),
    }
}

fn owner(login: &str) -> SetOwner {
    SetOwner { owner: name(login) }
}

#[tokio::test]
async fn an_owner_is_named_at_once_and_has_the_tokens() {
    let bed = Bed::start().await;
    let (root, ana, dee) = (
        bed.client("root").await,
        bed.client("ana").await,
        bed.client("dee").await,
    );
    assert_eq!(
        code(root.add_person(&service("ci", None)).await),
        Code::Invalid.into()
    );
    assert_eq!(
        code(root.add_person(&service("ci", Some("robot"))).await),
        Code::Invalid.into(),
        "a program answers for nobody"
    );
    let ci = root.add_person(&service("ci", Some("ana"))).await.unwrap();
    assert_eq!((ci.owner.as_deref(), ci.orphaned), (Some("ana"), None));
    assert_eq!(ana.whoami().await.unwrap().person.owns, ["ci"]);
    let services = PersonQuery {
        kind: Some(Kind::Service),
        ..PersonQuery::default()
    };
    let listed = dee.people(&services).await.unwrap().items;
    let logins: Vec<_> = listed.iter().map(|one| one.login.as_str()).collect();
    assert_eq!(logins, ["ci", "robot"]);

    assert_eq!(code(root.add_token(&token("ci")).await), Code::Forbidden.into());
    assert_eq!(
        code(bed.client("cy").await.add_token(&token("ci")).await),
        Code::Forbidden.into()
    );
    let issued = ana.add_token(&token("ci")).await.unwrap();
    let of_ci = TokenQuery {
        login: Some("ci".into()),
    };
    assert_eq!(ana.tokens(&of_ci).await.unwrap().items.len(), 1);
    assert_eq!(
        code(bed.client("cy").await.tokens(&of_ci).await),
        Code::Forbidden.into()
    );
    let program = bed.client_of(issued.secret.expose());
    let me = program.whoami().await.unwrap().person;
    assert_eq!((me.login.as_str(), me.owner.as_deref()), ("ci", Some("ana")));
    let read = NewToken {
        name: "reads".to_owned(),
        scopes: BTreeSet::from([Scope::Read]),
        ..token("ci")
    };
    let reads = bed.client_of(ana.add_token(&read).await.unwrap().secret.expose());
    let lacks = reads
        .add_request(&crate::bed::ask("staging/read"))
        .await
        .unwrap_err();
    let command = "its owner issues one with: daypass service token ci NAME --scope read --scope request";
    assert!(format!("{lacks:?}").contains(command), "{lacks:?}");

    // Another owner: the tokens that the first one knows have ended.
    assert_eq!(
        code(ana.set_owner(&name("ci"), &owner("cy")).await),
        Code::Forbidden.into()
    );
    let ci = root.set_owner(&name("ci"), &owner("cy")).await.unwrap();
    assert_eq!(ci.owner.as_deref(), Some("cy"));
    assert_eq!(code(program.whoami().await), ProblemCode::Unauthenticated);
    assert_eq!(code(ana.add_token(&token("ci")).await), Code::Forbidden.into());
    let none = SetManager {
        manager: Some(name("bo")),
    };
    assert_eq!(
        code(root.set_manager(&name("ci"), &none).await),
        Code::Invalid.into()
    );
}

#[tokio::test]
async fn who_leaves_leaves_orphans_and_is_told_so() {
    let bed = Bed::start().await;
    let root = bed.client("root").await;
    root.add_person(&service("ci", Some("ana"))).await.unwrap();
    let gone = root.deactivate(&name("ana")).await.unwrap();
    assert_eq!(gone.owns, ["ci"]);
    let services = PersonQuery {
        kind: Some(Kind::Service),
        ..PersonQuery::default()
    };
    let listed = root.people(&services).await.unwrap().items;
    let ci = listed.iter().find(|one| one.login == "ci").unwrap();
    assert!(
        ci.orphaned.as_ref().unwrap().contains("ana is switched off"),
        "{ci:?}"
    );
    let check = |checks: Vec<daypass_api::doctor::Check>| {
        let mut checks = checks.into_iter();
        checks.find(|check| check.about == "service accounts").unwrap()
    };
    let found = check(root.doctor().await.unwrap().checks);
    assert_eq!(found.verdict, Verdict::Failing);
    assert!(
        found.found.contains("ci") && !found.found.contains("robot"),
        "{found:?}"
    );
    root.set_owner(&name("ci"), &owner("bo")).await.unwrap();
    let found = check(root.doctor().await.unwrap().checks);
    assert_eq!(found.verdict, Verdict::Good, "{found:?}");
}

#[tokio::test]
async fn a_program_administers_nothing_that_its_owner_may_not() {
    let bed = Bed::start().await;
    let (root, ana) = (bed.client("root").await, bed.client("ana").await);
    root.add_person(&service("ci", Some("ana"))).await.unwrap();
    let administrator = SetRole {
        role: SystemRole::Administrator,
    };
    root.set_role(&name("ci"), &administrator).await.unwrap();
    let issued = ana.add_token(&token("ci")).await.unwrap();
    let program = bed.client_of(issued.secret.expose());
    assert_eq!(
        code(program.add_person(&service("mal", Some("ana"))).await),
        Code::Forbidden.into()
    );
    assert_eq!(
        code(program.people(&PersonQuery::default()).await),
        Code::Forbidden.into()
    );
}

#[tokio::test]
async fn what_is_no_owner_is_refused_as_such() {
    let bed = Bed::start().await;
    let root = bed.session("root").await;
    for (login, body, status) in [
        ("robot", json!({}), 422),
        ("robot", json!({"owner": null}), 422),
        ("robot", json!({"owner": ""}), 422),
        ("robot", json!({"owner": "bo\u{202e}"}), 422),
        ("robot", json!({"owner": ["bo"]}), 422),
        ("robot", json!({"owner": "bo", "role": "administrator"}), 422),
        ("robot", json!({"owner": "nobody"}), 404),
        ("nobody", json!({"owner": "bo"}), 404),
        ("../people", json!({"owner": "bo"}), 404),
        ("ana", json!({"owner": "bo"}), 400),
    ] {
        let call = bed.call(Route::PersonOwner, &[login], Some(&root)).json(&body);
        let answer = call.send().await.unwrap();
        let got = problem(answer).await;
        assert_eq!(got.status, status, "{login} {body}: {got:?}");
    }
    let token = bed.api_token("root", &["manage"]).await;
    let call = bed
        .call(Route::PersonOwner, &["robot"], Some(&token))
        .json(&json!({"owner": "bo"}));
    assert_eq!(
        problem(call.send().await.unwrap()).await.code,
        Code::Forbidden.into()
    );
}

/// A program sees no more than who answers for it, at once, on a stream that is open too.
#[tokio::test]
async fn a_stream_of_a_program_follows_the_role_of_its_owner() {
    let bed = Bed::start().await;
    let (root, dee) = (bed.client("root").await, bed.client("dee").await);
    let siem = NewPerson {
        role: SystemRole::Auditor,
        ..service("siem", Some("dee"))
    };
    root.add_person(&siem).await.unwrap();
    let read = NewToken {
        scopes: BTreeSet::from([Scope::Read]),
        ..token("siem")
    };
    let issued = dee.add_token(&read).await.unwrap();
    let secret = issued.secret.into_inner();
    let siem = bed.client_of(secret.expose_secret());
    let mut stream = siem.events(None).await.unwrap();
    bed.ask("ana", "staging/read").await;
    while next(&mut stream).await.name != "request.created" {}
    let member = SetRole {
        role: SystemRole::Member,
    };
    root.set_role(&name("dee"), &member).await.unwrap();
    let later = bed.ask("ana", "orders/write").await;
    root.deactivate(&name("siem")).await.unwrap();
    let rest = async {
        while let Ok(Some(event)) = stream.next().await {
            assert_ne!(event.subject.id, later.id.to_string(), "{}", event.name);
        }
    };
    soon("the end of the stream", rest).await;
}

/// A gateway that runs apart says which run of it asks, and registers before it listens.
async fn it_says_which_run_asks(caller: &Client, served: &BTreeSet<Name>) {
    let renew = RenewLeases { leases: Vec::new() };
    assert_eq!(code(caller.gateway_renew(&renew).await), Code::Invalid.into());
    let caller = caller.of_run(&"07".repeat(32).into());
    assert!(caller.gateway_renew(&renew).await.unwrap().renewed.is_empty());
    assert_eq!(
        code(caller.gateway_events().await.map(|_| ())),
        Code::NotFound.into(),
        "it has not registered"
    );
    let mut register = RegisterGateway {
        version: VERSION + 1,
        end_points: Vec::new(),
    };
    assert_eq!(
        code(caller.register_gateway(&register).await),
        Code::Invalid.into()
    );
    register.version = VERSION;
    let registered = caller.register_gateway(&register).await.unwrap();
    assert_eq!(
        (registered.name, registered.resources),
        (name("robot"), served.clone())
    );
    caller.gateway_events().await.unwrap();
}

#[tokio::test]
async fn a_gateways_token_is_a_programs_and_for_that_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = recordings::gateway(folder.path());
    config.apart = vec![Elsewhere {
        name: name("robot"),
        resources: BTreeSet::from([name("orders"), name("staging")]),
        address: config.postgres.clone().unwrap().address,
        certificate: None,
    }];
    let bed = Bed::with(|server| server.gateway = Some(config)).await;
    let root = bed.client("root").await;
    let gateway = NewToken {
        scopes: BTreeSet::from([Scope::Gateway]),
        resources: BTreeSet::from([name("orders"), name("staging")]),
        ..token("robot")
    };
    let more = |scopes: &[Scope]| scopes.iter().copied().collect::<BTreeSet<_>>();
    for wrong in [
        NewToken {
            scopes: more(&[Scope::Gateway, Scope::Read]),
            ..gateway.clone()
        },
        NewToken {
            resources: BTreeSet::new(),
            ..gateway.clone()
        },
        NewToken {
            login: None,
            ..gateway.clone()
        },
        NewToken {
            scopes: more(&[Scope::Read]),
            ..gateway.clone()
        },
    ] {
        assert_eq!(
            code(root.add_token(&wrong).await),
            Code::Invalid.into(),
            "{wrong:?}"
        );
    }
    // Nor does a token name what the operator does not let it serve.
    let more = NewToken {
        resources: BTreeSet::from([name("orders"), name("payments")]),
        ..gateway.clone()
    };
    assert_eq!(code(root.add_token(&more).await), Code::Forbidden.into());
    let issued = root.add_token(&gateway).await.unwrap();
    let Via::Token { scopes, resources } = &issued.token.via else {
        panic!("another kind: {issued:?}")
    };
    assert_eq!((scopes, resources), (&gateway.scopes, &gateway.resources));
    let caller = bed.client_of(issued.secret.expose());
    assert_eq!(code(caller.whoami().await), Code::Forbidden.into());
    it_says_which_run_asks(&caller, &gateway.resources).await;
    let renew = RenewLeases { leases: Vec::new() };
    assert_eq!(code(root.gateway_renew(&renew).await), Code::Forbidden.into());

    // Who owns a program does not make a gateway of it: whoever runs the server says which there are.
    root.add_person(&service("other", Some("root"))).await.unwrap();
    let other = NewToken {
        login: Some(name("other")),
        ..gateway
    };
    assert_eq!(code(root.add_token(&other).await), Code::Forbidden.into());
    let token = bed.api_token("other", &["gateway", "gateway:orders"]).await;
    let other = bed.client_of(&token).of_run(&"08".repeat(32).into());
    assert_eq!(code(other.gateway_renew(&renew).await), Code::Forbidden.into());
}
