//! A server on which every route has something to answer about, and for each caller: which calls of theirs succeed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use daypass_api::delegation::NewDelegation;
use daypass_api::grant::GrantState;
use daypass_api::lock::{ChangeLock, LockOn};
use daypass_api::login::NewToken;
use daypass_api::policy::{PolicyFile, PolicyFiles};
use daypass_api::request::{NewRequest, Request};
use daypass_api::ssh::NewSshKey;
use daypass_api::{Client, Route, Scope};
use daypass_core::id::{GrantId, PersonId, SessionId};
use daypass_core::person::{Kind, SystemRole};
use daypass_core::text::Hash;
use daypass_core::time::Span;
use daypass_policy::Source;
use daypass_server::config::{GatewayConfig, SshGateway};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bed::{Bed, PASSWORD, ask};
use crate::described::named;
use crate::{sessions, signing};

/// Self-service, two kinds of review, an emergency, hosts, delegates, and changes of the policy itself that wait.
const POLICY: &str = r#"
version: 1
defaults: {duration: 1h, max: 4h, pending: 2h, reason: required, settle: 0s, delegates: [leads]}
people:
  engineers: {group: engineering}
  security: {group: security}
  leads: {group: eng-leads}
connectors:
  - {name: box, kind: memory, config: {}}
  - {name: fleet, kind: ssh, config: {certificate: 5m}}
resources:
  - {name: orders, kind: memory, connector: box, labels: {env: production}, config: {}, roles: {read: {can: [read]}, write: {can: [write]}}}
  - {name: kept, kind: memory, connector: box, labels: {env: staging}, config: {}, roles: {read: {can: [read]}}}
  - {name: given-back, kind: memory, connector: box, labels: {env: staging}, config: {}, roles: {read: {can: [read]}}}
  - {name: revoked, kind: memory, connector: box, labels: {env: staging}, config: {}, roles: {read: {can: [read]}}}
  - {name: asked, kind: memory, connector: box, labels: {env: staging}, config: {}, roles: {read: {can: [read]}}}
  - {name: web-1, kind: ssh, connector: fleet, labels: {env: staging}, config: {host: web-1.internal, account: robot}, roles: {deploy: {principals: [deploy]}}}
environments:
  test: {resources: {env: staging}, roles: {look: {memory: read}}}
rules:
  - {name: self-service, allow: engineers, to: {env: staging}, approval: none, max: 8h}
  - {name: reviewed, allow: engineers, to: {env: production}, approval: [{from: manager, within: 15m}, {from: security, within: 30m}], max: 2h}
  - {name: emergency, allow: engineers, to: {env: production}, max: 30m, break_glass: {page: security, review_by: engineers, within: 24h}}
policy: {approval: [{from: engineers, within: 4h}], covers: [policy]}
"#;

/// An ed25519 key of nobody's. Source: made with `ssh-keygen -t ed25519`.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN93Jm2+fLA5SIZ40iwmnLBGQ7jaG4Y8PFTsWQG+/IhI eve@example";
/// How many times somebody can log out.
const LOGOUTS: usize = 40;

/// Somebody who calls.
pub(super) struct Caller {
    pub(super) name: &'static str,
    /// What kinds of calls are made beside those given here: those at each border of what the description allows, those by chance.
    /// None where it is empty.
    pub(super) phases: &'static str,
    /// What `hooks.py` is told.
    pub(super) told: Value,
}

/// The server and who calls it, in the order in which they do.
pub(super) struct World {
    pub(super) bed: Bed,
    pub(super) callers: Vec<Caller>,
    /// Where the sealing key is: it is read anew each time.
    pub(super) secrets: TempDir,
}

/// Calls that succeed, as `calls.py` makes them, in this order.
#[derive(Default)]
struct Calls(Vec<Value>);

impl Calls {
    fn add(&mut self, route: Route, at: Value, body: Value) -> &mut Self {
        let mut call = json!({"route": named(route)});
        if !at.is_null() {
            call["path_parameters"] = at;
        }
        if !body.is_null() {
            call["body"] = body;
            call["media_type"] = "application/json".into();
        }
        self.0.push(call);
        self
    }

    /// Reads of these, which take nothing.
    fn reads(&mut self, routes: &[Route]) -> &mut Self {
        for route in routes {
            self.add(*route, Value::Null, Value::Null);
        }
        self
    }

    fn body(&mut self, route: Route, body: Value) -> &mut Self {
        self.add(route, Value::Null, body)
    }

    fn id(&mut self, route: Route, id: impl ToString, body: Value) -> &mut Self {
        self.add(route, json!({"id": id.to_string()}), body)
    }

    fn login(&mut self, route: Route, login: &str, body: Value) -> &mut Self {
        self.add(route, json!({"login": login}), body)
    }
}

fn policy(more: &str) -> PolicyFiles {
    let file = PolicyFile {
        name: "policy.yaml".to_owned(),
        text: format!("{POLICY}{more}"),
    };
    PolicyFiles {
        files: vec![file],
        replaces: None,
    }
}

async fn start(secrets: &Path) -> Bed {
    let sealing_key = secrets.join("sealing-key");
    std::fs::write(&sealing_key, format!("{}=\n", "A".repeat(43))).unwrap();
    std::fs::set_permissions(&sealing_key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let bed = Bed::with(|config| {
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        config.sealing_key = Some(sealing_key);
        config.gateway = Some(GatewayConfig {
            ssh: Some(SshGateway {
                listen: "127.0.0.1:0".parse().unwrap(),
                address: ("127.0.0.1".to_owned(), 0),
                host_key: secrets.join("host-key"),
                passwords: false,
                own_keys: Span::hours(1),
            }),
            ..crate::recordings::gateway(secrets)
        });
        signing::by_key(config);
    })
    .await;
    for (login, group, manager) in [
        ("eve", Some("engineering"), Some("ana")),
        ("zoe", None, None),
        ("yan", None, None),
        ("xia", None, None),
    ] {
        bed.add(login, Kind::Person, SystemRole::Member, group, manager)
            .await;
    }
    let source = Source {
        name: "policy.yaml".to_owned(),
        text: POLICY.to_owned(),
    };
    bed.server.engine().load_policy(&[source]).await.unwrap();
    bed
}

/// What was asked for, and has become a grant that is active.
async fn held(bed: &Bed, client: &Client, item: &str) -> GrantId {
    let grant = client.add_request(&ask(item)).await.unwrap().grant.unwrap();
    bed.reaches(grant, GrantState::Active).await;
    grant
}

/// What there is, by name.
struct Things {
    /// Ana's, that wait for others; the first is to be taken back.
    waiting: [Request; 2],
    /// Eve's, for ana to review, and eve's emergency, for ana to look at.
    eves: [Request; 2],
    /// Ana's: to keep, to give back, for a host.
    grants: [GrantId; 3],
    /// Eve's, to be revoked.
    others: GrantId,
    /// Two proposals of root's: one to review, one to take back.
    changes: [daypass_api::change::Change; 2],
    /// Sessions of ana's and of eve's, each to be killed.
    sessions: [SessionId; 2],
    /// Of the policy in force.
    revision: Hash,
    /// A token of ana's.
    token: daypass_core::id::TokenId,
    /// A key of hers, with what shows that she has it.
    ssh_key: NewSshKey,
}

/// A key that was made just now, signed for this person by OpenSSH's own program.
fn ssh_key(person: PersonId) -> NewSshKey {
    let folder = tempfile::tempdir().unwrap();
    let (key, text) = (folder.path().join("key"), folder.path().join("text"));
    let keygen = |args: &[&str], last: [&Path; 2]| {
        let mut keygen = Command::new("ssh-keygen");
        let done = keygen.args(args).args(last).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    keygen(&["-q", "-t", "ed25519", "-N", ""], [Path::new("-f"), &key]);
    std::fs::write(&text, NewSshKey::text(person)).unwrap();
    keygen(
        &["-q", "-Y", "sign", "-n", NewSshKey::PURPOSE, "-f"],
        [&key, &text],
    );
    NewSshKey {
        name: "laptop".to_owned(),
        public_key: std::fs::read_to_string(key.with_extension("pub")).unwrap(),
        signature: std::fs::read_to_string(text.with_extension("sig")).unwrap(),
        expires_in: Span::hours(1),
    }
}

async fn things(bed: &Bed) -> Things {
    let (root, ana, eve) = (
        bed.client("root").await,
        bed.client("ana").await,
        bed.client("eve").await,
    );
    let mut changes = Vec::new();
    for more in ["# one\n", "# two\n"] {
        let wanted = policy(more);
        changes.push(*root.apply_policy(&wanted).await.unwrap().change.unwrap());
    }
    let token = NewToken {
        name: "t".to_owned(),
        scopes: [Scope::Read].into(),
        resources: [].into(),
        expires_in: Span::hours(1),
        login: None,
    };
    let grants = [
        held(bed, &ana, "kept/read").await,
        held(bed, &ana, "given-back/read").await,
        held(bed, &ana, "web-1/deploy").await,
    ];
    let others = held(bed, &eve, "revoked/read").await;
    Things {
        revision: root.policy().await.unwrap().revision,
        sessions: [
            sessions::open(bed, grants[0], "kept/read").await,
            sessions::open(bed, others, "revoked/read").await,
        ],
        waiting: [
            ana.add_request(&ask("orders/write")).await.unwrap(),
            ana.add_request(&ask("orders/read")).await.unwrap(),
        ],
        eves: [
            eve.add_request(&ask("orders/read")).await.unwrap(),
            eve.break_glass(&ask("orders/write")).await.unwrap(),
        ],
        grants,
        others,
        changes: changes.try_into().unwrap(),
        token: ana.add_token(&token).await.unwrap().token.id,
        ssh_key: ssh_key(ana.whoami().await.unwrap().person.id),
    }
}

fn wanted(item: &str) -> Value {
    let wanted = NewRequest {
        duration: Some(Span::minutes(10)),
        ..ask(item)
    };
    serde_json::to_value(wanted).unwrap()
}

/// What anybody may.
fn nobodys() -> Calls {
    let mut calls = Calls::default();
    calls
        .body(Route::Login, json!({"login": "ana", "password": PASSWORD}))
        .add(Route::SshAuthority, json!({"connector": "fleet"}), Value::Null)
        .add(Route::SshKrl, json!({"connector": "fleet"}), Value::Null)
        .reads(&[Route::Healthz, Route::Readyz]);
    calls
}

/// What a member may.
fn anas(things: &Things, until: &str) -> Calls {
    let (
        Things {
            waiting,
            eves,
            grants,
            changes,
            ..
        },
        mut calls,
    ) = (things, Calls::default());
    calls
        .body(Route::Confirm, json!({"password": PASSWORD}))
        .body(Route::Preview, wanted("orders/write"))
        .body(Route::AddRequest, wanted("asked/read"))
        .id(Route::Request, waiting[1].id, Value::Null)
        .id(
            Route::Review,
            eves[0].id,
            json!({"decision": "approve", "digest": eves[0].digest}),
        )
        .id(Route::Cancel, waiting[0].id, Value::Null)
        .id(
            Route::Acknowledge,
            eves[1].id,
            json!({"digest": eves[1].digest, "comment": "right"}),
        )
        .body(Route::BreakGlass, wanted("orders/read"))
        .body(Route::PreviewBreakGlass, wanted("orders/read"))
        .id(Route::Grant, grants[0], Value::Null)
        .id(Route::Session, things.sessions[0], Value::Null)
        .id(Route::KillSession, things.sessions[0], json!({"reason": "done"}))
        .id(Route::Release, grants[1], Value::Null)
        .id(
            Route::Extend,
            grants[0],
            json!({"duration": "10m", "reason": "more"}),
        )
        .id(Route::Credentials, grants[0], json!({}))
        .body(Route::GatewayCredential, Value::Null)
        .body(Route::AddSshKey, serde_json::to_value(&things.ssh_key).unwrap())
        .id(Route::Certificate, grants[2], json!({"public_key": KEY}))
        .id(Route::Change, changes[0].id, Value::Null)
        .id(
            Route::ReviewChange,
            changes[0].id,
            json!({"decision": "deny", "digest": changes[0].digest}),
        )
        .body(
            Route::AddToken,
            json!({"name": "n", "scopes": ["read"], "expires_in": "1h"}),
        )
        .id(Route::RevokeToken, things.token, Value::Null)
        .body(
            Route::ExplainPolicy,
            json!({"items": [{"resource": "orders", "role": "read"}]}),
        )
        .body(Route::Delegate, json!({"to": "bo", "until": until}))
        .reads(&[
            Route::Whoami,
            Route::Requests,
            Route::Grants,
            Route::Sessions,
            Route::Resources,
            Route::Environments,
            Route::Changes,
            Route::Tokens,
            Route::Delegations,
        ]);
    calls
}

/// What a host's program may.
fn robots() -> Calls {
    let (mut calls, at) = (
        Calls::default(),
        json!({"connector": "fleet", "host": "web-1.internal"}),
    );
    calls
        .add(Route::SshHost, at.clone(), Value::Null)
        .add(Route::SshAcknowledge, at, json!({"version": 0}));
    calls
}

/// What an administrator may do with accounts.
fn accounts(calls: &mut Calls) {
    calls
        .login(Route::PersonGroups, "zoe", json!({"add": ["engineering"]}))
        .login(Route::PersonManager, "zoe", json!({"manager": "bo"}))
        .login(Route::PersonOwner, "robot", json!({"owner": "bo"}))
        .login(Route::PersonRole, "zoe", json!({"role": "auditor"}))
        .login(Route::PersonMail, "zoe", json!({"mail": "zoe@example.com"}))
        .login(
            Route::PersonHandle,
            "zoe",
            json!({"namespace": "entra", "id": "7f1c9c5e-0a0d-4a7e-9a0e-3c1d2b4f5a6b"}),
        )
        .login(
            Route::PersonPassword,
            "zoe",
            json!({"password": "another quiet river"}),
        )
        .login(Route::PersonDeactivate, "zoe", Value::Null)
        .login(Route::PersonReactivate, "yan", Value::Null);
}

/// What an administrator may.
fn roots(things: &Things) -> Calls {
    let mut calls = Calls::default();
    let files = serde_json::to_value(policy("")).unwrap();
    let yan = json!({"person": "yan"});
    calls
        .id(Route::Session, things.sessions[1], Value::Null)
        .id(
            Route::KillSession,
            things.sessions[1],
            json!({"reason": "enough"}),
        )
        .id(Route::Revoke, things.others, json!({"reason": "enough"}))
        .body(Route::ApplyPolicy, files.clone())
        .body(
            Route::ApplyPolicy,
            serde_json::to_value(policy("# three\n")).unwrap(),
        )
        .body(Route::CheckPolicy, files.clone())
        .body(
            Route::CheckPolicy,
            json!({"files": [{"name": "p.yaml", "text": "version: 9\n"}]}),
        )
        .body(Route::PlanPolicy, files.clone())
        .body(
            Route::ExplainPolicy,
            json!({
                "subject": "eve", "items": [{"resource": "orders", "role": "read"}], "files": files["files"],
            }),
        )
        .body(Route::AddPerson, json!({"login": "new", "password": PASSWORD}))
        .body(
            Route::AddPerson,
            json!({"login": "program", "kind": "service", "owner": "bo"}),
        );
    accounts(&mut calls);
    calls
        .body(Route::Lock, json!({"on": yan, "reason": "lost"}))
        .body(Route::Unlock, json!({"on": {"person": "xia"}, "reason": "found"}))
        .login(Route::EndDelegation, "cy", Value::Null)
        .body(Route::TicketClosed, json!({"ticket": "PAY-7"}))
        .add(Route::Survey, json!({"name": "box"}), Value::Null)
        .add(Route::Found, json!({"name": "box"}), Value::Null)
        .reads(&[
            Route::AuditEvents,
            Route::Policy,
            Route::People,
            Route::Groups,
            Route::Locks,
            Route::Connectors,
            Route::Standing,
            Route::Drift,
            Route::Doctor,
            Route::Metrics,
        ]);
    let query = json!({"from": things.revision, "to": things.revision});
    calls
        .0
        .push(json!({"route": named(Route::PolicyDiff), "query": query}));
    let query = json!({"subject": "ana", "resource": "kept"});
    calls.0.push(json!({"route": named(Route::Why), "query": query}));
    let query = json!({"subject": "eve", "resource": "orders", "role": "read"});
    calls.0.push(json!({"route": named(Route::Why), "query": query}));
    calls
}

/// Ids and names that mean something, for the places of paths; none of a caller's own account.
fn paths(things: &Things) -> Value {
    let ids = |ids: &[String]| json!({"id": ids});
    let mut paths = serde_json::Map::new();
    for route in Route::ALL {
        let path = route.path();
        let known = if path.starts_with("/api/v1/requests/{id}") {
            let [a, b] = things.waiting.each_ref().map(|request| request.id.to_string());
            let [c, d] = things.eves.each_ref().map(|request| request.id.to_string());
            ids(&[a, b, c, d])
        } else if path.starts_with("/api/v1/grants/{id}") {
            let [a, b, c] = things.grants.map(|grant| grant.to_string());
            ids(&[a, b, c, things.others.to_string()])
        } else if path.starts_with("/api/v1/sessions/{id}") {
            ids(&things.sessions.map(|session| session.to_string()))
        } else if path.starts_with("/api/v1/changes/{id}") {
            ids(&things.changes.each_ref().map(|change| change.id.to_string()))
        } else if path.contains("{login}") {
            json!({"login": ["eve", "zoe", "yan", "cy"]})
        } else if path.starts_with("/api/v1/ssh/{connector}") {
            json!({"connector": ["fleet", "box"], "host": ["web-1.internal", "web-2"]})
        } else if path.starts_with("/api/v1/audit/tile") {
            json!({"level": ["0", "1"], "index": ["000.p/1", "000.p/20", "x001/000", "000.p/256"]})
        } else {
            json!({"name": ["box", "fleet"]})
        };
        paths.insert(path.replace("{*", "{"), known);
    }
    paths.into()
}

/// The same for the fields of bodies and queries.
fn known(things: &Things) -> Value {
    json!({
        "resource": ["orders", "kept", "web-1"],
        "role": ["read", "write", "deploy"],
        "environment": ["test"],
        "duration": ["10m", "1h", "9h"],
        "expires_in": ["1h", "30d"],
        "digest": [things.waiting[1].digest, things.eves[1].digest, things.changes[0].digest],
        "subject": ["ana", "eve", "zoe"],
        "login": ["eve", "zoe", "robot"],
        "person": ["eve", "zoe", "xia"],
        "owner": ["bo", "zoe"],
        "manager": ["bo", "cy"],
        "to": ["bo", "cy"],
        "actor": ["root", "ana"],
        "public_key": [KEY],
        "start": ["2030-01-01T00:00:00Z"],
        "at": ["2020-01-01T00:00:00Z"],
    })
}

/// What must come first: taking back what others may be asked about. And the log, as it was before all of this.
fn first(things: &Things) -> Calls {
    let mut calls = Calls::default();
    let tile = "000.p/1";
    calls
        .id(Route::WithdrawChange, things.changes[1].id, Value::Null)
        .reads(&[Route::AuditCheckpoint, Route::AuditKey])
        .add(
            Route::AuditTile,
            json!({"level": "0", "index": tile}),
            Value::Null,
        )
        .add(Route::AuditEntries, json!({"index": tile}), Value::Null)
        .id(Route::GrantProof, things.grants[0], Value::Null);
    for query in [json!({"leaf": 0}), json!({"from": 1})] {
        let call = json!({"route": named(Route::AuditProof), "query": query});
        calls.0.push(call);
    }
    calls
}

/// Makes it all.
pub(super) async fn build() -> World {
    let secrets = tempfile::tempdir().unwrap();
    let bed = start(secrets.path()).await;
    let things = things(&bed).await;
    let (root, cy) = (bed.client("root").await, bed.client("cy").await);
    let yan = "yan".parse().unwrap();
    root.deactivate(&yan).await.unwrap();
    let lock = ChangeLock {
        on: LockOn::Person("xia".to_owned()),
        reason: "lost".to_owned(),
    };
    root.lock(&lock).await.unwrap();
    let until = bed.server.engine().store().now().await.unwrap() + Span::hours(24);
    let delegation = NewDelegation {
        to: "bo".to_owned(),
        from: None,
        until,
        reason: None,
    };
    cy.delegate(&delegation).await.unwrap();
    signing::all_signed(&bed.server).await;
    let (paths, known) = (paths(&things), known(&things));
    let mut callers = Vec::new();
    for (name, token, calls) in [
        // Before anybody else comes upon that change by chance, and has a say in it.
        ("root, first", Some(bed.session("root").await), first(&things)),
        ("nobody", None, nobodys()),
        (
            "ana",
            Some(bed.session("ana").await),
            anas(&things, &until.to_string()),
        ),
        (
            "robot",
            Some(
                bed.api_token("robot", &["read", "request", "manage", "tickets"])
                    .await,
            ),
            robots(),
        ),
        ("root", Some(bed.session("root").await), roots(&things)),
    ] {
        let mut to_end = Vec::new();
        if token.is_some() && matches!(name, "ana" | "root") {
            for _ in 0..LOGOUTS {
                to_end.push(bed.session(name).await);
            }
        }
        let told =
            json!({"token": token, "to_end": to_end, "calls": calls.0, "paths": paths, "known": known});
        // Who is let in nowhere, or hardly, needs no calls by chance.
        let phases = match name {
            "root, first" => "",
            "nobody" | "robot" => "examples,coverage",
            _ => "examples,coverage,fuzzing",
        };
        callers.push(Caller { name, phases, told });
    }
    World {
        bed,
        callers,
        secrets,
    }
}
