//! What a provider brings to the conformance suite: a target of its own that can be looked at from outside.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use daypass_core::entitlement::Spec;
use daypass_core::id::{GrantId, PersonId};
use daypass_core::time::Timestamp;
use daypass_providers::{Credential, Error, Kind, Placed, Provider};
use serde_json::Value;

/// What a spec of the suite gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ability {
    Read,
    Write,
}

/// What a provider lists, without limits.
pub(crate) async fn keys(provider: &dyn Provider) -> Result<Vec<String>, Error> {
    Ok(provider.list_managed().await?.into_keys().collect())
}

/// A target, with the provider under test in front of it. What is not the provider goes round it: to the target itself.
#[async_trait]
pub(crate) trait Stand: Send + Sync {
    fn kind(&self) -> &dyn Kind;

    /// The provider, of the installation under test.
    fn provider(&self) -> Arc<dyn Provider>;

    /// The same target, as another installation of Daypass sees it.
    fn other_installation(&self) -> Arc<dyn Provider>;

    /// Resource and role configuration that gives these.
    fn config(&self, gives: &[Ability]) -> (Value, Value);

    /// Configurations that try to do harm, or that name what is not there. None of them can be provisioned.
    fn hostile(&self) -> Vec<(Value, Value)>;

    /// The target's own clock.
    async fn now(&self) -> Timestamp;

    /// Logs in at the target.
    async fn open(&self, credential: &Credential) -> Option<Box<dyn Use>>;

    /// Makes, by hand, what the provider would make for this key.
    async fn add_by_hand(&self, key: &str);

    /// Everything at the target that is not about `daypass`'s own keys, as text that changes if any of it does; what was
    /// added by hand is part of it.
    async fn everything_else(&self) -> String;

    /// What the target calls who a grant of the suite is for, where the kind wants to know.
    fn subject(&self, _grant: u8) -> Option<String> {
        None
    }

    /// The address that a grant of the suite is for, where the kind opens something to one.
    fn source(&self, _grant: u8) -> Option<IpAddr> {
        None
    }

    async fn down(&self);

    async fn up(&self);
}

/// An open use of the access.
#[async_trait]
pub(crate) trait Use: Send {
    async fn may(&mut self, ability: Ability) -> bool;

    /// Waits until it has been cut; `false` if it is still open after some seconds.
    async fn is_cut(&mut self) -> bool;
}

/// The spec of a grant's only item.
pub(crate) fn spec_of(stand: &dyn Stand, grant: u8, (resource, role): (Value, Value)) -> (String, Spec) {
    let (subject, source) = (stand.subject(grant), stand.source(grant));
    let grant = GrantId::from_bytes([grant; 10]);
    let holder = PersonId::from_bytes([7; 10]);
    let item = "orders/role".parse().unwrap();
    let key = stand.kind().key(&Placed {
        grant,
        index: 0,
        holder,
        item: &item,
        resource: &resource,
        role: &role,
        subject: subject.as_deref(),
        source,
    });
    let spec = Spec {
        kind: stand.kind().name().parse().unwrap(),
        item,
        resource,
        role,
        holder,
        grant,
        subject,
        source,
    };
    (key, spec)
}
