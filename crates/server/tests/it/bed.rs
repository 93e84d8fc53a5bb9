//! What every test stands on: a server with five people, a policy and a target in memory.

use std::collections::BTreeSet;
use std::future::Future;
use std::io::Write;
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use daypass_api::client::{Client, Connection, EventStream};
use daypass_api::event::AuditEvent;
use daypass_api::grant::{Grant, GrantState};
use daypass_api::request::{Decision, NewRequest, NewReview, Request};
use daypass_api::{Item, Route};
use daypass_core::id::{GrantId, PersonId};
use daypass_core::person::{Kind, SystemRole};
use daypass_core::text::Hash;
use daypass_core::time::Span;
use daypass_engine::{NewPerson, NewToken};
use daypass_policy::Source;
use daypass_providers::Kind as TargetKind;
use daypass_providers::memory::{Memory, Target};
use daypass_server::config::{LogConfig, LogFormat, ServerConfig};
use daypass_server::{Server, edge};
use daypass_store::TokenKind;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// The policy of most tests.
pub(crate) const POLICY: &str = r#"
version: 1
defaults: {duration: 1h, max: 4h, pending: 2h, reason: required, settle: 0s}
people:
  engineers: {group: engineering}
  security: {group: security}
connectors:
  - {name: box, kind: memory, config: {}}
resources:
  - {name: orders, kind: memory, connector: box, labels: {env: production}, config: {}, roles: {read: {can: [read]}, write: {can: [write]}}}
  - {name: staging, kind: memory, connector: box, labels: {env: staging}, config: {}, roles: {read: {can: [read]}}}
rules:
  - {name: staging-self-service, allow: engineers, to: {env: staging}, approval: none, max: 8h}
  - name: prod-write
    allow: engineers
    to: {env: production}
    roles: [write]
    approval:
      - {from: manager, within: 15m, else: deny}
      - {from: security, within: 30m, else: deny}
    max: 2h
  - {name: prod-read, allow: engineers, to: {env: production}, roles: [read], approval: [{from: security, within: 30m, else: deny}], max: 2h}
"#;

/// Somebody who came by a session, in calls of the engine itself.
const LOGGED_IN: daypass_engine::Via = daypass_engine::Via::Session {
    confirmed_at: daypass_core::time::Timestamp::EPOCH,
};

/// Everybody's password.
pub(crate) const PASSWORD: &str = "a quiet river at night";

/// How long anything may take before a test gives up waiting.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something that must come.
pub(crate) async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    edge::within(PATIENCE, work)
        .await
        .unwrap_or_else(|late| panic!("{what}: {late}"))
}

static LOG: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(|| {
    // Everything that this process and its libraries have to say, for the search of secrets in it.
    let config = LogConfig {
        format: LogFormat::Json,
        level: "trace".to_owned(),
    };
    tracing::subscriber::set_global_default(daypass_server::log::subscriber(&config, || LogWriter)).unwrap();
    Mutex::default()
});

/// Everything that was logged since the first server started.
pub(crate) fn log() -> MutexGuard<'static, Vec<u8>> {
    LOG.lock().unwrap()
}

struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A server with people, policy and target.
pub(crate) struct Bed {
    pub(crate) server: Server,
    pub(crate) target: Target,
    pub(crate) kind: &'static Memory,
    pub(crate) folder: TempDir,
    pub(crate) http: reqwest::Client,
}

impl Bed {
    /// A server in memory.
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// A server whose configuration is changed first.
    pub(crate) async fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let bed = Self::empty(change).await;
        bed.bootstrap().await;
        let source = Source {
            name: "policy.yaml".to_owned(),
            text: POLICY.to_owned(),
        };
        bed.server.engine().load_policy(&[source]).await.unwrap();
        for (login, kind, role, group, manager) in [
            ("bo", Kind::Person, SystemRole::Member, Some("eng-leads"), None),
            (
                "ana",
                Kind::Person,
                SystemRole::Member,
                Some("engineering"),
                Some("bo"),
            ),
            ("cy", Kind::Person, SystemRole::Member, Some("security"), None),
            ("dee", Kind::Person, SystemRole::Auditor, None, None),
            ("robot", Kind::Service, SystemRole::Member, None, None),
        ] {
            bed.add(login, kind, role, group, manager).await;
        }
        bed
    }

    /// A server with nobody and nothing on it.
    pub(crate) async fn empty(change: impl FnOnce(&mut ServerConfig)) -> Self {
        drop(log());
        let folder = tempfile::tempdir().unwrap();
        let mut config = ServerConfig::ephemeral(folder.path());
        change(&mut config);
        let kind: &'static Memory = Box::leak(Box::new(Memory::new()));
        let kinds: [&'static dyn TargetKind; 2] = [kind, &daypass_providers::ssh::Ssh];
        let server = Server::start(config, &kinds).await.unwrap();
        Self {
            server,
            target: kind.target(&"box".parse().unwrap()),
            kind,
            folder,
            http: reqwest::Client::new(),
        }
    }

    /// The hash of everybody's password, made once: it is slow on purpose.
    async fn hash(&self) -> String {
        static HASH: OnceCell<String> = OnceCell::const_new();
        HASH.get_or_init(|| async { self.server.hash(PASSWORD.into()).await.unwrap() })
            .await
            .clone()
    }

    /// Makes the first administrator, `root`.
    pub(crate) async fn bootstrap(&self) {
        let hash = self.hash().await;
        let root = person("root", Kind::Person, SystemRole::Administrator, Some(hash));
        self.server.engine().bootstrap(root).await.unwrap();
    }

    /// Makes an account, by way of the engine.
    pub(crate) async fn add(
        &self,
        login: &str,
        kind: Kind,
        role: SystemRole,
        group: Option<&str>,
        manager: Option<&str>,
    ) {
        let engine = self.server.engine();
        let root = engine.find("root").unwrap();
        let caller = daypass_engine::Caller {
            person: root.id,
            role: root.role,
            via: LOGGED_IN,
        };
        let hash = match kind {
            Kind::Person => Some(self.hash().await),
            Kind::Service => None,
        };
        let mut new = person(login, kind, role, hash);
        new.groups = group.map(|group| group.parse().unwrap()).into_iter().collect();
        new.manager = manager.map(|manager| manager.parse().unwrap());
        engine.add_person(caller, new).await.unwrap();
    }

    /// The id of an account.
    pub(crate) fn id(&self, login: &str) -> PersonId {
        self.server.engine().find(login).unwrap().id
    }

    /// A session of an account, made without a login: what follows is under test, not the login.
    pub(crate) async fn session(&self, login: &str) -> String {
        self.token(login, TokenKind::Session, Span::hours(1)).await
    }

    /// An API token of an account with these scopes.
    pub(crate) async fn api_token(&self, login: &str, scopes: &[&str]) -> String {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self.token(login, TokenKind::Api { scopes }, Span::hours(1)).await
    }

    pub(crate) async fn token(&self, login: &str, kind: TokenKind, lifetime: Span) -> String {
        let prefix = if kind == TokenKind::Session {
            "dp_s_"
        } else {
            "dp_t_"
        };
        let secret = format!(
            "{prefix}{}{}",
            hex(edge::random::<16>()),
            hex(edge::random::<16>())
        );
        let new = NewToken {
            hash: Hash::of(secret.as_bytes()),
            kind,
            name: "test".to_owned(),
            lifetime,
        };
        let engine = self.server.engine();
        let person = engine.find(login).unwrap();
        let caller = daypass_engine::Caller {
            person: person.id,
            role: person.role,
            via: LOGGED_IN,
        };
        engine.issue_token(caller, person.id, new).await.unwrap();
        secret
    }

    /// The typed client of somebody.
    pub(crate) async fn client(&self, login: &str) -> Client {
        self.client_of(&self.session(login).await)
    }

    /// The typed client with this token.
    pub(crate) fn client_of(&self, token: &str) -> Client {
        let connection = Connection {
            server: self.server.url(),
            token: Some(token.into()),
            ca_pem: None,
        };
        Client::new(&connection).unwrap()
    }

    /// A call of a route, with the token where there is one.
    pub(crate) fn call(&self, route: Route, at: &[&str], token: Option<&str>) -> RequestBuilder {
        let method = Method::from_bytes(route.method().as_str().as_bytes()).unwrap();
        self.raw(method, &route.at(at), token)
    }

    /// A call of any path.
    pub(crate) fn raw(&self, method: Method, path: &str, token: Option<&str>) -> RequestBuilder {
        let call = self.http.request(method, format!("{}{path}", self.server.url()));
        match token {
            Some(token) => call.bearer_auth(token),
            None => call,
        }
    }

    /// Asks for something.
    pub(crate) async fn ask(&self, login: &str, item: &str) -> Request {
        self.client(login).await.add_request(&ask(item)).await.unwrap()
    }

    /// Approves as it stands.
    pub(crate) async fn approve(&self, login: &str, request: &Request) -> Request {
        self.client(login)
            .await
            .review(request.id, &approval(request))
            .await
            .unwrap()
    }

    /// `orders/write` for ana, agreed by bo and cy.
    pub(crate) async fn granted(&self) -> GrantId {
        let request = self.ask("ana", "orders/write").await;
        self.approve("bo", &request).await;
        self.approve("cy", &request).await.grant.unwrap()
    }

    /// The log, once something of this name is in it: what happens gets its place there a moment later.
    pub(crate) async fn log_with(&self, name: &str) -> Vec<AuditEvent> {
        let auditor = self.client("dee").await;
        let mut stream = auditor.events(None).await.unwrap();
        soon("an event in the log", async {
            loop {
                let trail = auditor.audit_events(&Default::default()).await.unwrap().items;
                if trail.iter().any(|event| event.name == name) {
                    return trail;
                }
                stream.next().await.unwrap().unwrap();
            }
        })
        .await
    }

    /// Waits until a grant is in a state, woken by events.
    pub(crate) async fn reaches(&self, id: GrantId, state: GrantState) -> Grant {
        let auditor = self.client("dee").await;
        let mut stream = auditor.events(None).await.unwrap();
        soon("a grant's next state", async {
            loop {
                let grant = auditor.grant(&id.to_string()).await.unwrap();
                if grant.state == state {
                    return grant;
                }
                stream.next().await.unwrap().unwrap();
            }
        })
        .await
    }
}

/// The next event of a stream.
pub(crate) async fn next(stream: &mut EventStream) -> daypass_api::event::Event {
    soon("an event", stream.next())
        .await
        .unwrap()
        .expect("the stream goes on")
}

pub(crate) fn ask(item: &str) -> NewRequest {
    let item: daypass_core::name::Item = item.parse().unwrap();
    NewRequest {
        items: BTreeSet::from([Item::from(item)]),
        environments: BTreeSet::new(),
        duration: None,
        start: None,
        reason: Some("PAY-7".to_owned()),
        ticket: None,
    }
}

pub(crate) fn approval(request: &Request) -> NewReview {
    NewReview {
        decision: Decision::Approve,
        digest: request.digest,
        duration: None,
        items: None,
        comment: None,
    }
}

fn person(login: &str, kind: Kind, role: SystemRole, password: Option<String>) -> NewPerson {
    NewPerson {
        login: login.parse().unwrap(),
        display: login.to_owned(),
        kind,
        role,
        groups: BTreeSet::new(),
        manager: None,
        // Programs are root's, who is there first.
        owner: (kind == Kind::Service).then(|| "root".parse().unwrap()),
        mail: None,
        password,
    }
}

fn hex<const N: usize>(bytes: [u8; N]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The problem in an answer, which must be one in every respect.
pub(crate) async fn problem(response: Response) -> daypass_api::Problem {
    let status = response.status().as_u16();
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let (kind, id) = (header("content-type"), header("x-request-id"));
    let body: Value = response.json().await.unwrap();
    assert_eq!(kind.as_deref(), Some("application/problem+json"), "{body}");
    assert_eq!(body["status"], status, "{body}");
    assert_eq!(body["instance"].as_str(), id.as_deref(), "{body}");
    assert!(
        body["type"].as_str().unwrap().starts_with("urn:daypass:"),
        "{body}"
    );
    serde_json::from_value(body).unwrap()
}
