//! The target in memory: the suite, and its switches.

use std::sync::Arc;

use async_trait::async_trait;
use daypass_core::entitlement::Fault;
use daypass_core::name::Name;
use daypass_core::time::{Span, Timestamp};
use daypass_providers::inventory::Fit;
use daypass_providers::memory::{Memory, Op, SessionId, Target, Trouble};
use daypass_providers::{Credential, Error, Inspection, Kind, Provider, Revealed, Secrets};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::conformance::{self, HOSTILE_TEXT};
use crate::stand::{Ability, Stand, Use, keys, spec_of};

struct Here {
    kind: Memory,
    connector: Name,
    config: Value,
}

struct NoSecrets;

#[async_trait]
impl Secrets for NoSecrets {
    async fn reveal(&self, _: &str, _: &str, _: u16) -> Result<Revealed, Error> {
        Err(Error::new(Fault::NotFound, "there are none"))
    }

    async fn replace(&self, _: &str, _: &SecretString) -> Result<(), Error> {
        Err(Error::new(Fault::NotFound, "there are none"))
    }
}

impl Here {
    fn new() -> Self {
        Self::of(json!({}))
    }

    fn of(config: Value) -> Self {
        Self {
            kind: Memory::new(),
            connector: "here".parse().unwrap(),
            config,
        }
    }

    fn target(&self) -> Target {
        self.kind.target(&self.connector)
    }

    fn connect(&self, installation: &str) -> Arc<dyn Provider> {
        self.kind
            .connect(&self.connector, &self.config, Arc::new(NoSecrets), installation)
            .unwrap()
    }
}

fn now() -> Timestamp {
    "2026-03-07T12:00:00Z".parse().unwrap()
}

#[async_trait]
impl Stand for Here {
    fn kind(&self) -> &dyn Kind {
        &self.kind
    }

    fn provider(&self) -> Arc<dyn Provider> {
        self.connect("this")
    }

    fn other_installation(&self) -> Arc<dyn Provider> {
        self.connect("other")
    }

    fn config(&self, gives: &[Ability]) -> (Value, Value) {
        let can: Vec<_> = gives.iter().map(|ability| word(*ability)).collect();
        (json!({}), json!({ "can": can }))
    }

    fn hostile(&self) -> Vec<(Value, Value)> {
        vec![
            (json!({}), json!({"may": []})),
            (json!({}), json!({"can": [7]})),
            (json!({}), json!("read")),
        ]
    }

    async fn now(&self) -> Timestamp {
        now()
    }

    async fn open(&self, credential: &Credential) -> Option<Box<dyn Use>> {
        let session = self.target().open(credential, now()).ok()?;
        Some(Box::new(Open {
            target: self.target(),
            session,
        }))
    }

    async fn add_by_hand(&self, key: &str) {
        self.target().add_by_hand(key, "secret");
    }

    async fn everything_else(&self) -> String {
        let (key, _) = spec_of(self, 6, self.config(&[]));
        let target = self.target();
        format!(
            "{} {:?} {:?}",
            target.stands(&key),
            target.until(&key),
            target.holder(&key)
        )
    }

    async fn down(&self) {
        self.target().set_down(true);
    }

    async fn up(&self) {
        self.target().set_down(false);
    }
}

fn word(ability: Ability) -> &'static str {
    match ability {
        Ability::Read => "read",
        Ability::Write => "write",
    }
}

struct Open {
    target: Target,
    session: SessionId,
}

#[async_trait]
impl Use for Open {
    async fn may(&mut self, ability: Ability) -> bool {
        self.target.may(self.session, word(ability))
    }

    async fn is_cut(&mut self) -> bool {
        !self.target.is_open(self.session)
    }
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    let here = Here::new();
    conformance::all(&here).await;
    assert_eq!(HOSTILE_TEXT.len(), 9);
}

#[tokio::test]
async fn memory_with_openings_for_all_keeps_the_contract() {
    conformance::all(&Here::of(json!({"shared": true}))).await;
}

#[tokio::test]
async fn an_opening_for_all_has_one_key_and_needs_a_connector_that_says_so() {
    let door = || (json!({}), json!({"can": ["read"], "opening": "door"}));
    let (alone, shared) = (Here::new(), Here::of(json!({"shared": true})));
    assert!(!alone.provider().capabilities().shared && shared.provider().capabilities().shared);
    let ((first, spec), (second, _)) = (spec_of(&shared, 1, door()), spec_of(&shared, 2, door()));
    assert_eq!(first, second);
    let refused = alone.provider().provision(&first, &spec, "ana", now()).await;
    assert_eq!(refused.unwrap_err().fault, Fault::Misconfigured);
    shared
        .provider()
        .provision(&first, &spec, "ana", now())
        .await
        .unwrap();
    assert!(shared.target().stands(&second));
    for (config, pointer) in [
        (json!({"shared": "yes"}), "/shared"),
        (json!({"share": true}), "/share"),
    ] {
        let problems = shared.kind.check_connector(&config).unwrap_err();
        assert_eq!(problems[0].pointer, pointer);
    }
    let nameless = json!({"can": [], "opening": ""});
    assert_eq!(
        shared.kind.check_role(&nameless).unwrap_err()[0].pointer,
        "/opening"
    );
}

#[tokio::test]
async fn a_target_can_keep_limits_coarsely() {
    let here = Here::new();
    here.target().set_coarse(Span::minutes(1));
    let (key, spec) = spec_of(&here, 1, here.config(&[Ability::Read]));
    let until = now() + Span::seconds(90);
    here.provider()
        .provision(&key, &spec, "ana", until)
        .await
        .unwrap();
    let seen = here.provider().inspect(&key, Some(&spec)).await.unwrap();
    assert!(
        !seen.shows(until) && seen.shows(now() + Span::minutes(1)),
        "{seen:?}"
    );
}

#[tokio::test]
async fn each_fault_can_be_asked_for_and_changes_nothing() {
    let here = Here::new();
    let provider = here.provider();
    let (key, spec) = spec_of(&here, 1, here.config(&[Ability::Read]));
    for fault in [
        Fault::NotFound,
        Fault::Denied,
        Fault::RateLimited,
        Fault::Conflict,
        Fault::Unavailable,
        Fault::Bug,
    ] {
        here.target().fail_next(Op::Provision, Trouble::Fails(fault));
        let failed = provider.provision(&key, &spec, "ana", now()).await.unwrap_err();
        assert_eq!(failed.fault, fault);
        assert!(!here.target().stands(&key));
    }
    provider.provision(&key, &spec, "ana", now()).await.unwrap();
    assert_eq!(here.target().calls(Op::Provision), 7);
    here.target()
        .fail_next(Op::Revoke, Trouble::Fails(Fault::Unavailable));
    assert!(provider.revoke(&key, None).await.is_err());
    assert!(here.target().stands(&key));
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_effect() {
    let here = Here::new();
    let provider = here.provider();
    let (key, spec) = spec_of(&here, 1, here.config(&[Ability::Read]));
    here.target().fail_next(Op::Provision, Trouble::LosesAnswer);
    let failed = provider.provision(&key, &spec, "ana", now()).await.unwrap_err();
    assert_eq!(failed.fault, Fault::Unavailable);
    assert!(here.target().stands(&key));
    here.target().fail_next(Op::Revoke, Trouble::LosesAnswer);
    assert!(provider.revoke(&key, None).await.is_err());
    assert!(!here.target().stands(&key));
}

#[tokio::test]
async fn what_a_hand_does_at_the_target_is_seen() {
    let here = Here::new();
    let provider = here.provider();
    let (key, spec) = spec_of(&here, 1, here.config(&[Ability::Read]));
    provider
        .provision(&key, &spec, "ana", now() + Span::hours(1))
        .await
        .unwrap();
    assert_eq!(here.target().holder(&key).as_deref(), Some("ana"));
    assert!(here.target().remove_by_hand(&key));
    let absent = Ok(Inspection::Absent { residue: Vec::new() });
    assert_eq!(provider.inspect(&key, Some(&spec)).await, absent);
    here.target().add_unrecorded(&key, "this");
    assert_eq!(keys(&*provider).await, Ok(vec![key.clone()]));
    provider.revoke(&key, None).await.unwrap();
    assert!(!here.target().stands(&key));
}

#[tokio::test]
async fn a_survey_comes_in_pages_and_leaves_out_what_daypass_made() {
    let here = Here::new();
    let provider = here.provider();
    let (key, spec) = spec_of(&here, 1, here.config(&[Ability::Read]));
    provider
        .provision(&key, &spec, "ana", now() + Span::hours(1))
        .await
        .unwrap();
    for (who, place) in [("ana", Some("attic")), ("bo", None), ("cy", Some("attic"))] {
        here.target().stand_by_hand(who, place, &["read"]);
    }
    let first = provider.survey(None).await.unwrap().unwrap();
    assert_eq!((first.done, first.of), (2, Some(3)));
    let places: Vec<_> = first.found.iter().map(|found| found.told.as_str()).collect();
    assert_eq!(places, ["the target", "place attic"]);
    let second = provider.survey(first.next.clone()).await.unwrap().unwrap();
    assert_eq!((second.done, second.next), (3, None));
    let pages = [first.standing, second.standing].concat();
    let who: Vec<_> = pages.iter().map(|one| one.subject.id.as_str()).collect();
    assert_eq!(who, ["ana", "bo", "cy"]);
    let offer = pages[0].offer.clone().unwrap();
    let kind = here.kind();
    assert!(kind.is_place(&json!({"place": "attic"}), &offer.resource));
    assert!(!kind.is_place(&json!({}), &offer.resource));
    assert_eq!(kind.fits(&json!({"can": ["read"]}), &offer.role), Some(Fit::Same));
    assert_eq!(
        kind.fits(&json!({"can": ["read", "write"]}), &offer.role),
        Some(Fit::More)
    );
    assert_eq!(kind.fits(&json!({"can": ["write"]}), &offer.role), None);
}
