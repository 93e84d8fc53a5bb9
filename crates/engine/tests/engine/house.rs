//! A small company to test in: people, a policy, a target, and a clock that only the test moves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use async_trait::async_trait;
use daypass_core::grant::{Grant, State};
use daypass_core::id::{GrantId, RequestId};
use daypass_core::name::Name;
use daypass_core::person::{Kind as PersonKind, SystemRole};
use daypass_core::refusal::Code;
use daypass_core::request::Request;
use daypass_core::review::Decision as Vote;
use daypass_core::time::{Span, Timestamp};
use daypass_engine::reconcile::Reconciler;
use daypass_engine::{
    Caller, Engine, Entropy, Error, Made, NewPerson, NewRequest, Parts, Settings, Verdict, Via,
};
use daypass_policy::Source;
use daypass_providers::memory::{Memory, Target};
use daypass_providers::{Error as TargetError, Kind, Revealed, Secrets};
use daypass_store::{ChangeFilter, EventFilter, From, Gate, Store};
use secrecy::SecretString;

pub(crate) const POLICY: &str = r#"
version: 1
defaults: {duration: 1h, max: 4h, pending: 2h, activation: 5m, reason: required, settle: 0s}
people:
  engineers: {group: engineering}
  leads: {group: eng-leads}
  security: {group: security}
connectors:
  - {name: box, kind: memory, config: {}}
resources:
  - {name: orders, kind: memory, connector: box, labels: {env: production}, config: {}, roles: {read: {can: [read]}, write: {can: [write]}}}
  - {name: staging, kind: memory, connector: box, labels: {env: staging}, config: {}, roles: {read: {can: [read]}}}
rules:
  - {name: staging-self-service, allow: engineers, to: {env: staging}, approval: none, max: 2h}
  - name: prod
    allow: engineers
    to: {env: production}
    approval:
      - {from: leads, within: 30m, else: deny}
      - {from: security, within: 30m, else: deny}
    max: 2h
"#;

/// Numbers that count up: different each time, the same in each run.
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let next = self.0.fetch_add(1, Ordering::Relaxed);
        bytes.fill(0);
        bytes
            .iter_mut()
            .zip(next.to_le_bytes())
            .for_each(|(to, from)| *to = from);
    }
}

struct NoSecrets;

#[async_trait]
impl Secrets for NoSecrets {
    async fn reveal(&self, _: &str, _: &str, _: u16) -> Result<Revealed, TargetError> {
        Err(TargetError::new(
            daypass_core::entitlement::Fault::Misconfigured,
            "no secrets here",
        ))
    }

    async fn replace(&self, _: &str, _: &SecretString) -> Result<(), TargetError> {
        Err(TargetError::new(
            daypass_core::entitlement::Fault::Misconfigured,
            "no secrets here",
        ))
    }
}

pub(crate) struct House {
    pub(crate) engine: Arc<Engine>,
    pub(crate) reconciler: Reconciler,
    pub(crate) target: Target,
    kind: &'static Memory,
    clock: Arc<AtomicI64>,
    /// By how much the wall clock was turned back so far: the servers' own clocks go on.
    behind: Arc<AtomicI64>,
    store: Store,
}

impl House {
    /// ana asks; bo leads; cy and di are security; ed is nobody; root administers.
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(AtomicI64::new(1_800_000_000_000_000));
        let store = Store::memory(reading(&clock), "test").await.unwrap();
        Self::on(store, clock).await
    }

    /// The same on this store, whose time need not be the one that the house turns.
    pub(crate) async fn on(store: Store, clock: Arc<AtomicI64>) -> Self {
        let behind = Arc::default();
        let kind: &'static Memory = Box::leak(Box::new(Memory::new()));
        let engine = Arc::new(engine(&store, kind, (&clock, &behind)).await);
        let target = kind.target(&name("box"));
        let reconciler = Reconciler::new(Arc::clone(&engine), "one".into());
        let house = Self {
            engine,
            reconciler,
            target,
            kind,
            clock,
            behind,
            store,
        };
        house.engine.bootstrap(person("root", &[])).await.unwrap();
        let root = house.caller("root");
        for (login, groups) in [
            ("ana", &["engineering"][..]),
            ("bo", &["eng-leads"]),
            ("cy", &["security"]),
            ("di", &["security"]),
            ("ed", &[]),
        ] {
            house
                .engine
                .add_person(root, person(login, groups))
                .await
                .unwrap();
        }
        let sources = [Source {
            name: "policy.yaml".into(),
            text: POLICY.into(),
        }];
        house.engine.load_policy(&sources).await.unwrap();
        house
    }

    /// The target behind another connector.
    pub(crate) fn target_of(&self, connector: &str) -> Target {
        self.kind.target(&name(connector))
    }

    /// Puts another policy in force.
    pub(crate) async fn under(&self, policy: &str) {
        let sources = [Source {
            name: "policy.yaml".into(),
            text: policy.into(),
        }];
        self.engine.load_policy(&sources).await.unwrap();
    }

    /// The same store and target with a new engine and reconciler, as after a crash.
    pub(crate) async fn restart(self, worker: &str) -> Self {
        let engine = Arc::new(engine(&self.store, self.kind, (&self.clock, &self.behind)).await);
        let reconciler = Reconciler::new(Arc::clone(&engine), worker.into());
        Self {
            engine,
            reconciler,
            ..self
        }
    }

    /// Another server on the same store.
    pub(crate) async fn beside(&self) -> Engine {
        engine(&self.store, self.kind, (&self.clock, &self.behind)).await
    }

    /// Another server whose way to the store is through a gate.
    pub(crate) async fn behind(&self, gate: Arc<dyn Gate>) -> Engine {
        let store = self.store.beside(gate).unwrap();
        engine(&store, self.kind, (&self.clock, &self.behind)).await
    }

    pub(crate) fn caller(&self, login: &str) -> Caller {
        let person = self.engine.find(login).unwrap();
        Caller {
            person: person.id,
            role: person.role,
            via: Via::Session {
                confirmed_at: self.now(),
            },
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.load(Ordering::SeqCst))
    }

    pub(crate) fn pass(&self, span: Span) {
        self.clock
            .fetch_add(i64::try_from(span.micros()).unwrap(), Ordering::SeqCst);
    }

    /// Turns the wall clock back. The store's time does not follow.
    pub(crate) fn back(&self, span: Span) {
        let span = i64::try_from(span.micros()).unwrap();
        self.clock.fetch_sub(span, Ordering::SeqCst);
        self.behind.fetch_add(span, Ordering::SeqCst);
    }

    /// Steps until nothing is left to do at this instant.
    pub(crate) async fn reconcile(&mut self) {
        for _ in 0..500 {
            let step = self.reconciler.step().await.unwrap();
            if step.calls == 0 {
                return;
            }
            while self.reconciler.settle().await {}
        }
        panic!("the reconciler does not come to rest");
    }

    /// Lets time pass, as the reconciler asks for it, until `until` or until nothing is due.
    pub(crate) async fn live(&mut self, span: Span) {
        let until = self.now() + span;
        loop {
            self.reconcile().await;
            let next = self.reconciler.step().await.unwrap().next;
            match next.filter(|next| *next <= until) {
                Some(next) => self.pass(next.since(self.now()).max(Span::millis(1))),
                None => break,
            }
        }
        self.pass(until.since(self.now()));
        self.reconcile().await;
    }

    pub(crate) async fn ask(&self, who: &str, items: &[&str]) -> Result<Made, Error> {
        self.engine.request(self.caller(who), asked(items), None).await
    }

    pub(crate) async fn approve(&self, who: &str, request: &Request) -> Result<Made, Error> {
        let vote = Vote::Approve {
            duration: None,
            items: None,
        };
        let verdict = Verdict {
            vote,
            digest: request.digest,
            comment: None,
        };
        self.engine.review(self.caller(who), request.id, verdict).await
    }

    /// ana holds `items`, and all of it is there.
    pub(crate) async fn granted(&mut self, items: &[&str]) -> GrantId {
        let made = self.ask("ana", items).await.unwrap();
        let grant = self.agreed(&made.request).await;
        self.reconcile().await;
        grant
    }

    /// bo and cy agree to a request; the grant that it leads to.
    pub(crate) async fn agreed(&self, request: &Request) -> GrantId {
        self.approve("bo", request).await.unwrap();
        self.approve("cy", request).await.unwrap().grant.unwrap().id
    }

    pub(crate) async fn grant(&self, id: GrantId) -> Grant {
        self.store.grant(id).await.unwrap().unwrap()
    }

    pub(crate) async fn state(&self, id: GrantId) -> &'static str {
        self.grant(id).await.state.name()
    }

    pub(crate) async fn request(&self, id: RequestId) -> Request {
        self.store.request(id).await.unwrap().unwrap()
    }

    /// The key at the target of a grant's first part.
    pub(crate) async fn key(&self, id: GrantId) -> String {
        self.grant(id).await.parts[0].target.key.clone()
    }

    /// The names of all events, in order.
    pub(crate) async fn log(&self) -> Vec<&'static str> {
        while !self.store.sequence(100).await.unwrap().is_empty() {}
        let entries = self
            .store
            .events(From::First, EventFilter::default(), 10_000)
            .await
            .unwrap();
        entries.iter().map(|entry| entry.event.what.name()).collect()
    }

    /// Everything that the log and the changes hold, as they are kept.
    pub(crate) async fn words(&self) -> String {
        while !self.store.sequence(100).await.unwrap().is_empty() {}
        let entries = self
            .store
            .events(From::First, EventFilter::default(), 10_000)
            .await;
        let events: Vec<_> = entries.unwrap().into_iter().map(|entry| entry.event).collect();
        let changes = self.store.change_list(ChangeFilter::default(), None, 1_000).await;
        let told = (
            serde_json::to_string(&events),
            serde_json::to_string(&changes.unwrap().items),
        );
        format!("{}{}", told.0.unwrap(), told.1.unwrap())
    }

    pub(crate) async fn ended_reason(&self, id: GrantId) -> &'static str {
        match self.grant(id).await.state {
            State::Ending { reason, .. } | State::Ended { reason, .. } => reason.name(),
            other => other.name(),
        }
    }
}

async fn engine(
    store: &Store,
    kind: &'static Memory,
    (clock, behind): (&Arc<AtomicI64>, &Arc<AtomicI64>),
) -> Engine {
    let (wall, back) = (Arc::clone(clock), Arc::clone(behind));
    let steady = move || wall.load(Ordering::SeqCst) + back.load(Ordering::SeqCst);
    let mut kinds: Vec<&'static dyn Kind> = vec![kind];
    kinds.extend(daypass_providers::ALL);
    Engine::open(Parts {
        store: store.clone(),
        kinds,
        secrets: Arc::new(NoSecrets),
        entropy: Arc::new(Counting(AtomicU64::new(
            u64::try_from(clock.load(Ordering::SeqCst)).unwrap(),
        ))),
        clock: Arc::new(move || Timestamp::from_micros(steady())),
        settings: Settings::default(),
    })
    .await
    .unwrap()
}

fn reading(clock: &Arc<AtomicI64>) -> daypass_store::Clock {
    let clock = Arc::clone(clock);
    Arc::new(move || Timestamp::from_micros(clock.load(Ordering::SeqCst)))
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn person(login: &str, groups: &[&str]) -> NewPerson {
    NewPerson {
        login: name(login),
        display: login.to_uppercase(),
        kind: PersonKind::Person,
        role: SystemRole::Member,
        groups: groups.iter().map(|group| name(group)).collect(),
        manager: None,
        owner: None,
        mail: None,
        password: None,
    }
}

pub(crate) fn asked(items: &[&str]) -> NewRequest {
    NewRequest {
        items: items
            .iter()
            .map(|item| item.parse().unwrap())
            .collect::<BTreeSet<_>>(),
        environments: Vec::new(),
        duration: None,
        start: None,
        extends: None,
        reason: "PAY-7: a stuck order".into(),
        ticket: None,
    }
}

/// The code of a refusal.
#[track_caller]
pub(crate) fn code<T>(result: Result<T, Error>) -> Code {
    match result {
        Err(Error::Refused(refusal)) => refusal.code,
        Err(other) => panic!("a failure, no refusal: {other}"),
        Ok(_) => panic!("it was not refused"),
    }
}
