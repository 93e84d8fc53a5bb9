//! The kind `ssh`: the contract over a register in memory, and what shows that a certificate cannot be used any more.

mod register;

use std::sync::Arc;

use async_trait::async_trait;
use daypass_core::entitlement::{Fault, Spec};
use daypass_core::time::{Span, Timestamp};
use daypass_providers::ssh::{Ask, MOST_VALID, Opens, Register, Ssh};
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
        opens: Opens::Hosts,
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
        opens: Opens::Hosts,
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
            certifier.acknowledge("a", krl.version + 1, &[]).await.is_err(),
            "what does not exist"
        );
        certifier.acknowledge("a", krl.version, &[]).await.unwrap();
        certifier.acknowledge("b", krl.version - 1, &[]).await.unwrap();
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
            assert!(
                certifier.krl().await.unwrap().count > 0,
                "a host's clock may be further behind than we think"
            );
        } else {
            certifier.acknowledge("b", krl.version, &[]).await.unwrap();
            let by = gone(provider.inspect(&key, Some(&spec)).await.unwrap()).unwrap();
            assert_eq!(by, "a, b acknowledged version 1 of the revocation list");
            assert_eq!(provider.revoke(&key, Some(&spec)).await, Ok(Progress::Done));
        }
    }
}

/// A grant of `web` on hosts `a` and `b`, with a certificate.
async fn one(here: &Here, index: u8) -> (Arc<dyn Provider>, String, Spec) {
    let provider = here.provider();
    let hosts = json!({"hosts": [{"host": "a", "account": "a"}, {"host": "b", "account": "b"}]});
    let (key, spec) = spec_of(here, index, (hosts, json!({"principals": ["x"]})));
    let until = here.0.now() + Span::minutes(60);
    provider.provision(&key, &spec, "ana", until).await.unwrap();
    (provider, key, spec)
}

fn ask(until: Timestamp) -> Ask<'static> {
    Ask {
        public_key: KEY,
        key_id: "ana",
        until,
        opens: Opens::Hosts,
    }
}

fn is_gone(seen: &Inspection) -> bool {
    matches!(seen, Inspection::Gone { .. })
}

#[tokio::test]
async fn a_certificate_says_what_hosts_take_for_the_time() {
    let here = Here::default();
    let wrong = Span::hours(2);
    let (provider, key, spec) = one(&here, 1).await;
    let certifier = provider.certifier().unwrap();
    let now = here.0.now();
    // While the clock is ahead nobody can know. Then it is put right, and time goes on ahead of it.
    let early = certifier
        .draft(&key, &spec, &ask(now + Span::hours(1)))
        .await
        .unwrap();
    assert_eq!(early.valid_before, now + Span::minutes(5));
    here.0.put_right(wrong);
    let clock = now - wrong;
    let late = certifier
        .draft(&key, &spec, &ask(now + Span::minutes(3)))
        .await
        .unwrap();
    assert_eq!(
        (late.valid_after, late.valid_before),
        (clock - Span::minutes(1), clock + Span::minutes(3)),
        "valid at once for hosts, and to the grant's deadline"
    );
    // The early one becomes valid in two hours, for hosts. So long it is not gone, and stays on the list.
    provider.revoke(&key, Some(&spec)).await.unwrap();
    here.0.pass(Span::minutes(90));
    assert!(!is_gone(&provider.inspect(&key, Some(&spec)).await.unwrap()));
    assert_eq!(certifier.krl().await.unwrap().count, 2);
    here.0.pass(Span::minutes(35) + Span::seconds(29));
    assert!(!is_gone(&provider.inspect(&key, Some(&spec)).await.unwrap()));
    here.0.pass(Span::seconds(1));
    assert!(is_gone(&provider.inspect(&key, Some(&spec)).await.unwrap()));
}

#[tokio::test]
async fn a_host_that_came_to_the_resource_since_must_have_the_list_too() {
    let here = Here::default();
    let (provider, key, spec) = one(&here, 1).await;
    let certifier = provider.certifier().unwrap();
    certifier
        .draft(&key, &spec, &ask(here.0.now() + Span::hours(1)))
        .await
        .unwrap();
    let resource = spec.item.resource.to_string();
    certifier.give("c", &[resource].into()).await.unwrap();
    certifier.give("d", &["another".to_owned()].into()).await.unwrap();
    provider.revoke(&key, Some(&spec)).await.unwrap();
    let version = certifier.krl().await.unwrap().version;
    for host in ["a", "b"] {
        certifier.acknowledge(host, version, &[]).await.unwrap();
        assert!(
            !is_gone(&provider.inspect(&key, Some(&spec)).await.unwrap()),
            "c lets in as well"
        );
    }
    certifier.acknowledge("c", version, &[]).await.unwrap();
    let seen = provider.inspect(&key, Some(&spec)).await.unwrap();
    assert!(
        matches!(&seen, Inspection::Gone { shown_by } if shown_by.starts_with("a, b, c acknowledged")),
        "{seen:?}"
    );
}

#[tokio::test]
async fn there_is_an_end_to_certificates_for_one_access() {
    let here = Here::default();
    let (provider, key, spec) = one(&here, 1).await;
    let (other, other_key, other_spec) = one(&here, 2).await;
    let certifier = provider.certifier().unwrap();
    let ask = ask(here.0.now() + Span::hours(1));
    for _ in 0..MOST_VALID {
        certifier.draft(&key, &spec, &ask).await.unwrap();
    }
    let refused = certifier.draft(&key, &spec, &ask).await.unwrap_err();
    assert_eq!(refused.fault, Fault::RateLimited);
    let other = other.certifier().unwrap();
    other.draft(&other_key, &other_spec, &ask).await.unwrap();
    here.0.pass(Span::minutes(5));
    certifier.draft(&key, &spec, &ask).await.unwrap();
}

#[tokio::test]
async fn what_gives_less_says_so() {
    let here = Here::default();
    let provider = here.provider();
    let certifier = provider.certifier().unwrap();
    let until = here.0.now() + Span::hours(1);
    for (index, role, narrow) in [
        (1, json!({"principals": ["x"], "extensions": []}), false),
        (2, json!({"principals": ["x"], "force_command": "uptime"}), true),
        (
            3,
            json!({"principals": ["x"], "source_address": ["10.0.0.0/8"]}),
            true,
        ),
    ] {
        let (key, spec) = spec_of(&here, index, (json!({"host": "a"}), role));
        provider.provision(&key, &spec, "ana", until).await.unwrap();
        let draft = certifier.draft(&key, &spec, &ask(until)).await.unwrap();
        assert_eq!(certifier.sign(&draft).await.unwrap().narrow, narrow);
    }
}

#[test]
fn a_host_has_one_account() {
    let (one, same) = (
        json!({"host": "a", "account": "x"}),
        json!({"hosts": [{"host": "a", "account": "x"}]}),
    );
    assert!(Ssh.check_together(&[("web", &one), ("logs", &same)]).is_empty());
    for other in [json!({"host": "a", "account": "y"}), json!({"host": "a"})] {
        let found = Ssh.check_together(&[("web", &one), ("logs", &other)]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, 1, "told of the second");
        let message = &found[0].1.message;
        assert!(message.contains("account x in the resource web"), "{message}");
    }
}

#[tokio::test]
async fn revoking_goes_on_where_the_key_cannot_be_opened() {
    let here = Here::default();
    let (provider, key, spec) = one(&here, 1).await;
    let certifier = provider.certifier().unwrap();
    let before = certifier.krl().await.unwrap();
    let ask = ask(here.0.now() + Span::hours(1));
    certifier.draft(&key, &spec, &ask).await.unwrap();
    here.0.lose_the_key();
    assert!(
        certifier.authority().await.is_err(),
        "what hosts trust is never what somebody put there"
    );
    provider.revoke(&key, Some(&spec)).await.unwrap();
    let after = certifier.krl().await.unwrap();
    assert_eq!((after.version, after.count), (before.version + 1, 1));
    for host in ["a", "b"] {
        certifier.acknowledge(host, after.version, &[]).await.unwrap();
    }
    assert!(is_gone(&provider.inspect(&key, Some(&spec)).await.unwrap()));
}
