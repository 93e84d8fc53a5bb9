//! Channels against receivers that really listen: an hour of failures is lived through by a clock that the test turns.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::name::{Item, Name};
use daypass_core::person::{Kind as PersonKind, SystemRole};
use daypass_core::review::Decision;
use daypass_core::time::{Span, Timestamp};
use daypass_engine::{Caller, Engine, Entropy, NewPerson, NewRequest, Parts, Settings, Verdict, Via};
use daypass_policy::Source;
use daypass_providers::memory::Memory;
use daypass_store::Store;
use serde_json::Value;
use tempfile::TempDir;

use super::courier::{Courier, Turn};
use super::{couriers, rules};
use crate::config::ServerConfig;
use crate::secrets::ConfiguredSecrets;

const POLICY: &str = "
version: 1
defaults: {duration: 1h, max: 4h, pending: 4h, reason: required, settle: 0s, cool_down: 0s}
people: {engineers: {group: engineering}, leads: {group: eng-leads}}
connectors: [{name: box, kind: memory, config: {}}]
resources: [{name: orders, kind: memory, connector: box, labels: {env: production}, config: {}, roles: {write: {can: [write]}}}]
rules: [{name: prod, allow: engineers, to: {env: production}, approval: [{from: leads, within: 3h, else: deny}], max: 2h}]
";

/// 24 bytes and more, as a key must have.
const KEY: &[u8; 32] = b"what receivers verify notices by";

struct Counting(AtomicI64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let next = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        bytes.fill(0);
        bytes.iter_mut().zip(next).for_each(|(to, from)| *to = from);
    }
}

/// What came in.
#[derive(Debug, Clone)]
struct Received {
    headers: HeaderMap,
    body: Bytes,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A receiver of webhooks.
#[derive(Clone, Default)]
struct Receiver {
    /// What it answers; 0: what it has taken, it says that it has not.
    status: Arc<AtomicU16>,
    /// All that came, whatever was answered.
    all: Arc<Mutex<Vec<Received>>>,
    /// What it took, by id.
    taken: Arc<Mutex<BTreeMap<String, Received>>>,
    /// How often something came that it had taken before.
    again: Arc<AtomicU16>,
}

impl Receiver {
    async fn listen() -> (Self, u16) {
        let receiver = Self::default();
        receiver.status.store(200, Ordering::SeqCst);
        let app = axum::Router::new()
            .route("/hook", post(take))
            .with_state(receiver.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (receiver, port)
    }

    fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn all(&self) -> Vec<Received> {
        self.all.lock().unwrap().clone()
    }

    /// What it took: the type of each, in the order of the log.
    fn taken(&self) -> Vec<Value> {
        let mut all: Vec<Value> = self.taken.lock().unwrap().values().map(Received::json).collect();
        all.sort_by_key(|event| event["sequence"].as_str().unwrap().to_owned());
        all
    }
}

async fn take(
    State(receiver): State<Receiver>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, [(header::HeaderName, &'static str); 1], String) {
    let received = Received { headers, body };
    let id = received.header("webhook-id").to_owned();
    receiver.all.lock().unwrap().push(received.clone());
    let status = receiver.status.load(Ordering::SeqCst);
    if status == 0 || status == 200 {
        let before = receiver.taken.lock().unwrap().insert(id, received);
        receiver
            .again
            .fetch_add(u16::from(before.is_some()), Ordering::SeqCst);
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    // A redirect to itself, which nobody is to follow; and more than anybody is to read.
    (status, [(header::LOCATION, "/hook")], "x".repeat(1 << 20))
}

pub(super) struct Office {
    pub(super) engine: Arc<Engine>,
    pub(super) store: Store,
    config: ServerConfig,
    clock: Arc<AtomicI64>,
    _folder: TempDir,
}

impl Office {
    /// ana asks, bo leads, root administers; `notices` is that section of the configuration, where PORT stands for a port.
    pub(super) async fn new(notices: &str, port: u16) -> Self {
        let folder = TempDir::new().unwrap();
        secret(folder.path(), "hook", &format!("whsec_{}", STANDARD.encode(KEY)));
        secret(folder.path(), "smtp", "a password for mail");
        let text = format!(
            "secrets:\n  hook: {{file: hook, hosts: [\"127.0.0.1:PORT\"], tls: disable}}\n  \
             smtp: {{file: smtp, hosts: [\"127.0.0.1:PORT\"], tls: disable}}\nnotices:\n{notices}"
        );
        let text = text.replace("PORT", &port.to_string());
        let config = ServerConfig::parse(&folder.path().join("server.yaml"), &text).unwrap();
        let clock = Arc::new(AtomicI64::new(1_800_000_000_000_000));
        let hands = Arc::clone(&clock);
        let reading: daypass_store::Clock =
            Arc::new(move || Timestamp::from_micros(hands.load(Ordering::SeqCst)));
        let store = Store::memory(Arc::clone(&reading), "test").await.unwrap();
        let kind: &'static Memory = Box::leak(Box::new(Memory::new()));
        let parts = Parts {
            store: store.clone(),
            kinds: vec![kind],
            secrets: Arc::new(ConfiguredSecrets::new(BTreeMap::new())),
            entropy: Arc::new(Counting(AtomicI64::new(1))),
            clock: reading,
            settings: Settings::default(),
        };
        let engine = Arc::new(Engine::open(parts).await.unwrap());
        engine.bootstrap(person("root", None)).await.unwrap();
        let office = Self {
            engine,
            store,
            config,
            clock,
            _folder: folder,
        };
        let root = office.caller("root");
        for (login, group) in [("ana", "engineering"), ("bo", "eng-leads")] {
            office
                .engine
                .add_person(root, person(login, Some(group)))
                .await
                .unwrap();
            let mail = format!("{login}@example.com");
            office.engine.set_mail(root, login, Some(&mail)).await.unwrap();
        }
        let source = Source {
            name: "policy.yaml".into(),
            text: POLICY.into(),
        };
        office.engine.load_policy(&[source]).await.unwrap();
        office.queue().await;
        office
    }

    fn caller(&self, login: &str) -> Caller {
        let person = self.engine.find(login).unwrap();
        Caller {
            person: person.id,
            role: person.role,
            via: Via::Session {
                confirmed_at: self.now(),
            },
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.load(Ordering::SeqCst))
    }

    pub(super) fn pass(&self, span: Span) {
        self.clock
            .fetch_add(i64::try_from(span.micros()).unwrap(), Ordering::SeqCst);
    }

    pub(super) fn set_back(&self, span: Span) {
        self.clock
            .fetch_sub(i64::try_from(span.micros()).unwrap(), Ordering::SeqCst);
    }

    pub(super) fn couriers(&self) -> Vec<Courier> {
        let hands = Arc::clone(&self.clock);
        let clock: super::courier::Clock =
            Arc::new(move || Timestamp::from_micros(hands.load(Ordering::SeqCst)));
        couriers(&self.config, &self.engine, &clock).unwrap()
    }

    pub(super) async fn queue(&self) {
        while !self.store.sequence(100).await.unwrap().is_empty() {}
        let rules = rules(&self.config.notices);
        while self.engine.queue_notices(&rules, u64::MAX).await.unwrap() {}
    }

    pub(super) async fn ask(&self, reason: &str) -> daypass_core::request::Request {
        let asked = NewRequest {
            items: BTreeSet::from(["orders/write".parse::<Item>().unwrap()]),
            environments: Vec::new(),
            duration: None,
            start: None,
            extends: None,
            reason: reason.to_owned(),
            ticket: None,
        };
        self.engine
            .request(self.caller("ana"), asked, None)
            .await
            .unwrap()
            .request
    }

    async fn deny(&self, request: &daypass_core::request::Request) {
        let verdict = Verdict {
            vote: Decision::Deny,
            digest: request.digest,
            comment: Some("use the replica".to_owned()),
        };
        self.engine
            .review(self.caller("bo"), request.id, verdict)
            .await
            .unwrap();
    }

    /// Turns until nothing is due.
    async fn told(&self, courier: &Courier) -> Turn {
        let mut all = Turn::default();
        loop {
            let turn = courier.turn(self.now(), &|| 7).await.unwrap();
            all.sent += turn.sent;
            all.failed += turn.failed;
            all.dead += turn.dead;
            all.moot += turn.moot;
            if turn.is_idle() {
                return all;
            }
        }
    }
}

fn person(login: &str, group: Option<&str>) -> NewPerson {
    NewPerson {
        login: login.parse().unwrap(),
        display: login.to_owned(),
        kind: PersonKind::Person,
        role: SystemRole::Member,
        groups: group
            .into_iter()
            .map(|group| group.parse::<Name>().unwrap())
            .collect(),
        manager: None,
        owner: None,
        mail: None,
        password: None,
    }
}

fn secret(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

const HOOK: &str = "  base_url: https://daypass.example\n  webhooks: [{name: chat, url: \"http://127.0.0.1:PORT/hook\", key: {secret: hook}}]\n";

/// Verifies as a receiver would: nothing of the sender's code.
fn verify(received: &Received) {
    let (id, time) = (
        received.header("webhook-id"),
        received.header("webhook-timestamp"),
    );
    let mut signed = format!("{id}.{time}.").into_bytes();
    signed.extend_from_slice(&received.body);
    let signature = received.header("webhook-signature").strip_prefix("v1,").unwrap();
    let expected = hmac(KEY, &signed);
    assert_eq!(STANDARD.decode(signature).unwrap(), expected);
}

/// HMAC-SHA256 by the letter of RFC 2104, for keys no longer than a block.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    let padded = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(block, key)| *block ^= key);
        block
    };
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner)
        .finalize()
        .to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_a_signed_cloud_event() {
    let (receiver, port) = Receiver::listen().await;
    let office = Office::new(HOOK, port).await;
    let request = office.ask("PAY-7: a stuck \"order\" <b>").await;
    office.queue().await;
    let couriers = office.couriers();
    assert_eq!(office.told(&couriers[0]).await.sent, 1);
    let all = receiver.all();
    let received = &all[0];
    verify(received);
    assert!(
        received
            .header("content-type")
            .starts_with("application/cloudevents+json")
    );
    let event = received.json();
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["type"], "io.daypass.request.review_asked");
    assert_eq!(event["source"], "urn:daypass:test");
    assert_eq!(event["subject"], request.id.to_string());
    assert_eq!(event["id"], received.header("webhook-id"));
    assert!(
        !event["id"].as_str().unwrap().contains('.'),
        "what is signed is parted by dots"
    );
    assert_eq!(event["data"]["request"]["reason"], "PAY-7: a stuck \"order\" <b>");
    assert_eq!(event["data"]["request"]["requester"], "ana");
    assert_eq!(
        event["data"]["url"],
        format!("https://daypass.example/requests/{}", request.id)
    );
    let sent_at: i64 = received.header("webhook-timestamp").parse().unwrap();
    assert_eq!(sent_at, office.now().micros() / 1_000_000);
    assert!(
        !String::from_utf8_lossy(&received.body).contains("@example.com"),
        "addresses stay here"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_for_an_hour_loses_nothing_and_notices_what_comes_twice() {
    let (receiver, port) = Receiver::listen().await;
    let office = Office::new(HOOK, port).await;
    let couriers = office.couriers();
    let courier = &couriers[0];
    let began = office.now();
    let mut failed = 0;
    let mut minute = 0;
    // In each minute of it somebody asks and is denied; the receiver fails in every way it can.
    while office.now().since(began) < Span::hours(1) {
        receiver.answers([500, 302, 404, 429, 0][minute % 5]);
        if minute < 20 {
            let request = office.ask(&format!("reason {minute}")).await;
            office.deny(&request).await;
        }
        office.queue().await;
        failed += office.told(courier).await.failed;
        office.pass(Span::minutes(1));
        minute += 1;
    }
    assert!(failed > 100, "it was tried again and again: {failed}");
    assert!(failed < 3_000, "and not all the time: {failed}");
    let stands = office.store.notices_waiting(office.now()).await.unwrap();
    assert_eq!(
        (stands[0].waiting, stands[0].dead),
        (40, 0),
        "all of it waits: {stands:?}"
    );
    // Back again: within the longest pause everything is there.
    receiver.answers(200);
    for _ in 0..8 {
        office.told(courier).await;
        office.pass(Span::minutes(1));
    }
    let stands = office.store.notices_waiting(office.now()).await.unwrap();
    assert!(stands.iter().all(|one| one.waiting == 0), "{stands:?}");
    let taken = receiver.taken();
    let of = |kind: &str| taken.iter().filter(|event| event["type"] == kind).count();
    assert_eq!(
        (
            taken.len(),
            of("io.daypass.request.review_asked"),
            of("io.daypass.request.decided")
        ),
        (40, 20, 20),
        "nothing is lost"
    );
    assert!(
        receiver.again.load(Ordering::SeqCst) > 0,
        "what it took and said it had not comes again"
    );
    // Each attempt is signed by itself, and carries the id of the first.
    let mut times: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for received in receiver.all() {
        verify(&received);
        let id = received.header("webhook-id").to_owned();
        times
            .entry(id)
            .or_default()
            .insert(received.header("webhook-timestamp").to_owned());
    }
    assert_eq!(times.len(), 40);
    assert!(
        times.values().all(|of_one| of_one.len() > 1),
        "an old signature is not used again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_dead_receiver_delays_no_other() {
    let (receiver, port) = Receiver::listen().await;
    let two = HOOK.replace(
        "webhooks: [",
        "webhooks: [{name: gone, url: \"http://127.0.0.1:PORT/nowhere\", key: {secret: hook}}, ",
    );
    let office = Office::new(&two, port).await;
    office.ask("one").await;
    office.queue().await;
    let couriers = office.couriers();
    let names: Vec<_> = couriers.iter().map(|one| one.channel.as_str()).collect();
    assert_eq!(names, ["webhook/gone", "webhook/chat"]);
    assert_eq!(office.told(&couriers[0]).await.failed, 1);
    assert_eq!(office.told(&couriers[1]).await.sent, 1);
    assert_eq!(receiver.taken().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_days_it_is_given_up_in_sight() {
    let (receiver, port) = Receiver::listen().await;
    let office = Office::new(HOOK, port).await;
    let couriers = office.couriers();
    receiver.answers(503);
    let request = office.ask("one").await;
    office.deny(&request).await;
    office.queue().await;
    let mut dead = 0;
    for _ in 0..(74 * 12) {
        dead += office.told(&couriers[0]).await.dead;
        office.pass(Span::minutes(5));
    }
    let stands = office.store.notices_waiting(office.now()).await.unwrap();
    assert_eq!((dead, stands[0].waiting, stands[0].dead), (2, 0, 2), "{stands:?}");
    receiver.answers(200);
    assert!(office.told(&couriers[0]).await.is_idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_send_it_once_and_a_fallen_one_is_stood_in_for() {
    let (receiver, port) = Receiver::listen().await;
    let office = Office::new(HOOK, port).await;
    for n in 0..10 {
        office.ask(&format!("reason {n}")).await;
    }
    office.queue().await;
    let (here, there) = (office.couriers(), office.couriers());
    let (one, other) = tokio::join!(office.told(&here[0]), office.told(&there[0]));
    assert_eq!(one.sent + other.sent, 10);
    assert_eq!(
        (receiver.taken().len(), receiver.again.load(Ordering::SeqCst)),
        (10, 0)
    );
    // One that claimed and fell before it sent anything.
    office.ask("the last").await;
    office.queue().await;
    let claim = daypass_store::Claim {
        channel: here[0].channel.clone(),
        worker: "fallen".to_owned(),
        now: office.now(),
        until: office.now() + Span::minutes(2),
        limit: 8,
    };
    assert_eq!(office.store.claim_notices(&claim).await.unwrap().len(), 1);
    assert!(office.told(&there[0]).await.is_idle());
    office.pass(Span::minutes(2));
    assert_eq!(office.told(&there[0]).await.sent, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_none_sends_nothing_and_says_so_without_it() {
    let (receiver, port) = Receiver::listen().await;
    let office = Office::new(&HOOK.replace("secret: hook", "secret: smtp"), port).await;
    office.ask("one").await;
    office.queue().await;
    let couriers = office.couriers();
    assert_eq!(office.told(&couriers[0]).await.failed, 1);
    assert_eq!(receiver.all().len(), 0, "nothing leaves unsigned");
    // `daypass server --check` says so before.
    let found = crate::setup::try_secrets(&office.config).unwrap_err().to_string();
    assert!(
        found.contains("no key of a webhook") && !found.contains("a password for mail"),
        "{found}"
    );
    let good = Office::new(HOOK, port).await;
    crate::setup::try_secrets(&good.config).unwrap();
}
