//! The kind `ssh`: the contract over a register in memory, and what shows that a certificate cannot be used any more.

mod register;

use std::sync::Arc;

use async_trait::async_trait;
use daypass_core::entitlement::Fault;
use daypass_core::time::{Span, Timestamp};
use daypass_providers::ssh::{Ask, Register, Ssh};
use daypass_providers::{Credential, Error, Inspection, Kind, Progress, Provider, Revealed, Secrets};
use secrecy::SecretString;
use serde_json::{Value, json};

use self::register::{InMemory, State};
use crate::conformance;
use crate::stand::{Ability, Stand, Use, spec_of};

struct Operator(InMemory);

#[async_trait]
impl Secrets for Operator {
    async fn reveal(&self, _: &str, _: &str, _: u16) -> Result<Revealed, Error> {
        Err(Error::new(Fault::NotFound, "there are none"))
    }

    async fn replace(&self, _: &str, _: &SecretString) -> Result<(), Error> {
        Err(Error::new(Fault::NotFound, "there are none"))
    }

    fn register(&self) -> Option<Arc<dyn Register>> {
        Some(Arc::new(self.0.clone()))
    }
}

#[derive(Default)]
struct Here(State);

impl Here {
    fn connect(&self, installation: &str) -> Arc<dyn Provider> {
        let operator = Arc::new(Operator(InMemory::new(installation, &self.0)));
        Ssh.connect(&"fleet".parse().unwrap(), &json!({}), operator, installation)
            .unwrap()
    }
}

#[async_trait]
impl Stand for Here {
    fn kind(&self) -> &dyn Kind {
        &Ssh
    }

    fn provider(&self) -> Arc<dyn Provider> {
        self.connect("this")
    }

    fn other_installation(&self) -> Arc<dyn Provider> {
        self.connect("other")
    }

    fn config(&self, _: &[Ability]) -> (Value, Value) {
        (
            json!({"host": "web-1.internal", "account": "web-1"}),
            json!({"principals": ["deploy"]}),
        )
    }

    fn hostile(&self) -> Vec<(Value, Value)> {
        let (resource, role) = self.config(&[]);
        vec![
            (resource.clone(), json!({"principals": []})),
            (resource.clone(), json!({})),
            (resource, json!({"principals": ["root,deploy"]})),
            (json!({"host": "a b"}), role),
        ]
    }

    async fn now(&self) -> Timestamp {
        self.0.now()
    }

    async fn open(&self, _: &Credential) -> Option<Box<dyn Use>> {
        None
    }

    async fn add_by_hand(&self, key: &str) {
        self.0.add_by_hand(key);
    }

    async fn everything_else(&self) -> String {
        self.0.of("by hand")
    }

    async fn down(&self) {
        self.0.set_down(true);
    }

    async fn up(&self) {
        self.0.set_down(false);
    }
}

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEtBLR0QXeUZI8QYg3GQ5XoJH3WYM0eqF0C4sNeUMJvo x";

#[tokio::test]
async fn ssh_keeps_the_contract() {
    conformance::all(&Here::default()).await;
}

#[tokio::test]
async fn a_certificate_never_outlives_its_grant_and_its_serial_is_new() {
    let here = Here::default();
    let provider = here.provider();
    let certifier = provider.certifier().unwrap();
    let (key, spec) = spec_of(&here, 1, here.config(&[]));
    let now = here.0.now();
    let ask = |minutes| Ask {
        public_key: KEY,
        key_id: "ana",
        until: now + Span::minutes(minutes),
    };
    let early = certifier.draft(&key, &spec, &ask(60)).await.unwrap_err();
    assert_eq!(early.fault, Fault::NotFound, "nothing was provisioned");
    provider
        .provision(&key, &spec, "ana", now + Span::minutes(60))
        .await
        .unwrap();
    let long = certifier.draft(&key, &spec, &ask(60)).await.unwrap();
    assert_eq!((long.serial, long.valid_before), (1, now + Span::minutes(5)));
    assert_eq!(long.principals, ["deploy@orders"], "of this resource only");
    let short = certifier.draft(&key, &spec, &ask(2)).await.unwrap();
    assert_eq!((short.serial, short.valid_before), (2, now + Span::minutes(2)));
    here.0.set_down(true);
    assert_eq!(
        certifier.draft(&key, &spec, &ask(2)).await.unwrap_err().fault,
        Fault::Unavailable
    );
    here.0.set_down(false);
    provider.revoke(&key, Some(&spec)).await.unwrap();
    assert_eq!(
        certifier.draft(&key, &spec, &ask(60)).await.unwrap_err().fault,
        Fault::NotFound
    );
}

#[tokio::test]
async fn it_is_gone_when_all_hosts_acknowledged_or_all_time_passed() {
    let here = Here::default();
    let provider = here.provider();
    let certifier = provider.certifier().unwrap();
    let hosts = json!({"hosts": [{"host": "a", "account": "a"}, {"host": "b"}]});
    let now = here.0.now();
    let ask = Ask {
        public_key: KEY,
        key_id: "ana",
        until: now + Span::minutes(60),
    };
    let gone = |seen| match seen {
        Inspection::Gone { shown_by } => Some(shown_by),
        Inspection::Present { .. } => None,
        other => panic!("{other:?}"),
    };
    for by_time in [false, true] {
        let (key, spec) = spec_of(
            &here,
            u8::from(by_time),
            (hosts.clone(), json!({"principals": ["x"]})),
        );
        provider
            .provision(&key, &spec, "ana", now + Span::minutes(60))
            .await
            .unwrap();
        certifier.draft(&key, &spec, &ask).await.unwrap();
        let before = certifier.krl().await.unwrap().version;
        let waits = provider.revoke(&key, Some(&spec)).await.unwrap();
        assert!(matches!(waits, Progress::Pending { .. }), "{waits:?}");
        provider.revoke(&key, Some(&spec)).await.unwrap();
        let krl = certifier.krl().await.unwrap();
        assert_eq!(krl.version, before + 1, "asking again adds nothing");
        assert!(
            certifier.acknowledge("a", krl.version + 1).await.is_err(),
            "what does not exist"
        );
        certifier.acknowledge("a", krl.version).await.unwrap();
        certifier.acknowledge("b", krl.version - 1).await.unwrap();
        assert_eq!(
            gone(provider.inspect(&key, Some(&spec)).await.unwrap()),
            None,
            "b has not"
        );
        if by_time {
            here.0.pass(Span::minutes(5) + Span::seconds(29));
            assert_eq!(
                gone(provider.inspect(&key, Some(&spec)).await.unwrap()),
                None,
                "clocks may differ"
            );
            here.0.pass(Span::seconds(1));
            let by = gone(provider.inspect(&key, None).await.unwrap()).unwrap();
            assert!(by.contains("ran out at 2026-03-07T12:05:00Z"), "{by}");
            assert_eq!(
                certifier.krl().await.unwrap().count,
                0,
                "what ran out needs no list"
            );
        } else {
            certifier.acknowledge("b", krl.version).await.unwrap();
            let by = gone(provider.inspect(&key, Some(&spec)).await.unwrap()).unwrap();
            assert_eq!(by, "a, b acknowledged version 1 of the revocation list");
            assert_eq!(provider.revoke(&key, Some(&spec)).await, Ok(Progress::Done));
        }
    }
}
