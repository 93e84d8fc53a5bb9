//! Every route, called by everybody. What the table says is what the server does, and whoever is not named is refused.

use std::collections::BTreeSet;

use daypass_api::grant::GrantState;
use daypass_api::{Audience, ProblemCode, Route, Scope};
use daypass_core::person::{Kind, SystemRole};
use daypass_core::refusal::Code;
use daypass_core::time::Span;
use daypass_store::TokenKind;

use crate::bed::{Bed, problem};
use crate::sessions;

/// Somebody who calls.
struct Caller {
    name: String,
    token: Option<String>,
    /// Their role; `None` for who is not let in at all.
    role: Option<SystemRole>,
    /// The scopes of an API token; `None` for a session.
    scopes: Option<Vec<Scope>>,
    /// A gateway that runs apart.
    is_gateway: bool,
}

/// What an auditor, who changes nothing, may not do although every member may.
const MEMBERS_ONLY: [Route; 11] = [
    Route::Delegate,
    Route::ReviewChange,
    Route::BreakGlass,
    Route::Acknowledge,
    Route::AddRequest,
    Route::Review,
    Route::Extend,
    Route::Credentials,
    Route::Certificate,
    Route::GatewayCredential,
    Route::AddSshKey,
];

impl Caller {
    /// What the table says, in the words of this test.
    fn may(&self, route: Route) -> bool {
        if route.audience() == Audience::Public {
            return true;
        }
        let Some(role) = self.role else { return false };
        if route.audience() == Audience::Gateway {
            return self.is_gateway;
        }
        let enough = match route.audience() {
            Audience::Public | Audience::Member => true,
            Audience::Gateway => false,
            Audience::Auditor => role != SystemRole::Member,
            Audience::Administrator => role == SystemRole::Administrator,
        };
        let scoped = match (&self.scopes, route.scope()) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(scopes), Some(scope)) => scopes.contains(&scope),
        };
        enough && scoped && !(role == SystemRole::Auditor && MEMBERS_ONLY.contains(&route))
    }
}

impl Caller {
    fn new(
        name: impl Into<String>,
        token: Option<String>,
        role: Option<SystemRole>,
        scopes: Option<&[Scope]>,
    ) -> Self {
        Self {
            name: name.into(),
            token,
            role,
            scopes: scopes.map(<[Scope]>::to_vec),
            is_gateway: false,
        }
    }
}

/// Somebody of each role, with a session and with each kind of token.
async fn members(bed: &Bed) -> Vec<Caller> {
    let roles = [
        ("ana", SystemRole::Member),
        ("dee", SystemRole::Auditor),
        ("root", SystemRole::Administrator),
    ];
    let mut callers = Vec::new();
    for (login, role) in roles {
        let session = bed.session(login).await;
        callers.push(Caller::new(
            format!("{login}'s session"),
            Some(session),
            Some(role),
            None,
        ));
        let one_each = Scope::ALL.chunks(1);
        for scopes in one_each.chain([Scope::ALL]) {
            let names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
            let token = bed.api_token(login, &names).await;
            callers.push(Caller::new(
                format!("{login}'s token for {names:?}"),
                Some(token),
                Some(role),
                Some(scopes),
            ));
        }
        let token = bed.api_token(login, &["sudo"]).await;
        let name = format!("{login}'s token for what nobody knows");
        callers.push(Caller::new(name, Some(token), Some(role), Some(&[])));
    }
    callers.extend(gateways(bed).await);
    callers
}

/// A gateway, and programs that are none although their tokens say something of it.
async fn gateways(bed: &Bed) -> Vec<Caller> {
    bed.add("gate", Kind::Service, SystemRole::Member, None, None)
        .await;
    let mut callers = Vec::new();
    let (gateway, both) = ([Scope::Gateway], [Scope::Read, Scope::Gateway]);
    let all: [(&[&str], &[Scope], bool); 4] = [
        (&["gateway", "gateway:orders"], &gateway, true),
        (&["gateway"], &gateway, true),
        (&["gateway:orders"], &[], false),
        (&["gateway", "gateway:orders", "read"], &both, false),
    ];
    for (written, scopes, is_gateway) in all {
        let token = bed.api_token("gate", written).await;
        let name = format!("a program's token for {written:?}");
        callers.push(Caller {
            is_gateway,
            ..Caller::new(name, Some(token), Some(SystemRole::Member), Some(scopes))
        });
    }
    callers
}

/// Who is nobody, or is not any more.
async fn strangers(bed: &Bed) -> Vec<Caller> {
    let guess = format!("dp_s_{}", "0".repeat(64));
    let run_out = bed.token("root", TokenKind::Session, Span::ZERO).await;
    bed.add("gone", Kind::Person, SystemRole::Administrator, None, None)
        .await;
    let session = bed.session("gone").await;
    let token = bed.api_token("gone", &["read", "request", "manage"]).await;
    bed.client("root")
        .await
        .deactivate(&"gone".parse().unwrap())
        .await
        .unwrap();
    vec![
        Caller::new("nobody", None, None, None),
        Caller::new("a guess", Some(guess), None, None),
        Caller::new("nonsense", Some("../../etc/passwd".to_owned()), None, None),
        Caller::new("a session that ran out", Some(run_out), None, None),
        Caller::new("a deactivated administrator's session", Some(session), None, None),
        Caller::new("a deactivated administrator's token", Some(token), None, None),
    ]
}

/// What varies in a path, filled with what nothing has: whoever is let in finds nothing to break.
fn nowhere(route: Route) -> Vec<&'static str> {
    match route {
        Route::AuditTile => vec!["0", "000"],
        Route::AuditEntries => vec!["000"],
        Route::Grant
        | Route::GrantProof
        | Route::Revoke
        | Route::Release
        | Route::Extend
        | Route::Credentials
        | Route::Certificate => {
            vec!["G0000000000000000"]
        }
        Route::Session | Route::KillSession => vec!["S0000000000000000"],
        Route::RevokeToken => vec!["T0000000000000000"],
        Route::Change | Route::ReviewChange | Route::WithdrawChange => vec!["C0000000000000000"],
        _ if route.path().contains("{id}") => vec!["R0000000000000000"],
        Route::SshHost | Route::SshAcknowledge => vec!["nobody-of-this-name"; 2],
        _ if route.path().contains('{') => vec!["nobody-of-this-name"],
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn every_route_admits_whom_its_entry_names_and_nobody_else() {
    let bed = Bed::with(|config| config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]).await;
    let mut denied = BTreeSet::new();
    let mut admitted = BTreeSet::new();
    let callers = members(&bed).await.into_iter().chain(strangers(&bed).await);
    for (index, caller) in callers.enumerate() {
        for (nth, route) in Route::ALL.iter().copied().enumerate() {
            // Logging out works, and would end the caller's part in this test.
            let token = match (route, &caller.role, &caller.scopes) {
                (Route::Logout, Some(_), None) => Some(bed.session("ana").await),
                (Route::Logout, Some(_), Some(scopes)) => {
                    let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
                    Some(bed.api_token("ana", &scopes).await)
                }
                _ => caller.token.clone(),
            };
            let call = bed.call(route, &nowhere(route), token.as_deref());
            // Each has addresses of their own, so that nobody runs into somebody else's rate limit, or into one by calling every route.
            let answer = call
                .header("x-forwarded-for", format!("198.51.{}.{index}", 100 + nth / 50))
                .send()
                .await
                .unwrap();
            let status = answer.status().as_u16();
            let what = format!("{} calls {route:?}: {status}", caller.name);
            if caller.may(route) {
                admitted.insert(route);
                assert!(![401, 403, 405, 429].contains(&status) && status < 500, "{what}");
            } else {
                denied.insert(route);
                let code = problem(answer).await.code;
                let expect = match caller.role {
                    None => ProblemCode::Unauthenticated,
                    Some(_) if code == Code::MayNotReview.into() => {
                        assert!(route == Route::Review && caller.scopes.is_some(), "{what}");
                        code
                    }
                    Some(_) => Code::Forbidden.into(),
                };
                assert_eq!(code, expect, "{what}");
            }
        }
    }
    let guarded: BTreeSet<_> = Route::ALL
        .iter()
        .copied()
        .filter(|route| route.audience() != Audience::Public)
        .collect();
    assert_eq!(
        denied, guarded,
        "every route that is not public has somebody whom it refused"
    );
    assert_eq!(
        admitted,
        Route::ALL.iter().copied().collect(),
        "every route has somebody whom it admits"
    );
}

#[tokio::test]
async fn two_authorization_headers_are_none() {
    let bed = Bed::start().await;
    let (ana, root) = (bed.session("ana").await, bed.session("root").await);
    let call = bed
        .call(Route::Whoami, &[], Some(&ana))
        .header("authorization", format!("Bearer {root}"));
    assert_eq!(
        problem(call.send().await.unwrap()).await.code,
        ProblemCode::Unauthenticated
    );
}

#[tokio::test]
async fn what_somebody_may_not_see_is_what_is_not_there() {
    let bed = Bed::start().await;
    let request = bed.ask("ana", "orders/write").await;
    bed.add("eve", Kind::Person, SystemRole::Member, Some("engineering"), None)
        .await;
    let grant = bed.ask("ana", "staging/read").await.grant.unwrap();
    let eve = bed.session("eve").await;
    bed.reaches(grant, GrantState::Active).await;
    let session = sessions::open(&bed, grant, "staging/read").await.to_string();
    let kill = serde_json::json!({"reason": "x"});
    let (request, grant) = (request.id.to_string(), grant.to_string());
    let body = serde_json::json!({
        "decision": "approve", "digest": "0".repeat(64), "duration": "1h",
    });
    let look = serde_json::json!({"digest": "0".repeat(64), "comment": "x"});
    for (route, there, nowhere, body) in [
        (Route::Acknowledge, &request, "R0000000000000000", Some(&look)),
        (Route::Request, &request, "R0000000000000000", None),
        (Route::Cancel, &request, "R0000000000000000", None),
        (Route::Review, &request, "R0000000000000000", Some(&body)),
        (Route::Grant, &grant, "G0000000000000000", None),
        (Route::Session, &session, "S0000000000000000", None),
        (Route::KillSession, &session, "S0000000000000000", Some(&kill)),
        (Route::Revoke, &grant, "G0000000000000000", None),
        (Route::Release, &grant, "G0000000000000000", None),
        (Route::Credentials, &grant, "G0000000000000000", None),
        (
            Route::Certificate,
            &grant,
            "G0000000000000000",
            Some(&serde_json::json!({"public_key": "ssh-ed25519 AAAA"})),
        ),
        (
            Route::Extend,
            &grant,
            "G0000000000000000",
            Some(&serde_json::json!({"duration": "1h", "reason": "x"})),
        ),
    ] {
        let mut answers = Vec::new();
        for id in [there.as_str(), nowhere] {
            let call = bed.call(route, &[id], Some(&eve));
            let call = if let Some(body) = body {
                call.json(body)
            } else {
                call
            };
            let problem = problem(call.send().await.unwrap()).await;
            let short: String = id.chars().take(6).collect();
            answers.push((
                problem.status,
                problem.code,
                problem.detail.replace(&short, "…"),
                problem.hint,
            ));
        }
        assert_eq!(answers[0], answers[1], "{route:?}");
        assert_eq!(answers[0].0, 404, "{route:?}");
    }
}
