//! The connected providers of a policy revision, and how a part of a grant is derived from its configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use daypass_core::entitlement::{Spec, TargetKey};
use daypass_core::grant::Part;
use daypass_core::id::{GrantId, PersonId};
use daypass_core::name::{Item, Name};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::Request;
use daypass_policy::Policy;
use daypass_providers::{Kind, Placed, Provider, Secrets};

use crate::current::Current;

/// The kinds of target that this server knows. An explicit list: registration has no magic.
pub type Kinds = Vec<&'static dyn Kind>;

/// One provider for each connector of a policy.
#[derive(Default)]
pub struct Connectors {
    by_name: BTreeMap<Name, Arc<dyn Provider>>,
}

impl Connectors {
    /// Connects what the policy names. No target is called yet: one that is down must not keep the server from starting.
    ///
    /// # Errors
    /// Where a kind is unknown or a configuration is unusable.
    pub fn new(
        policy: &Policy,
        kinds: &Kinds,
        secrets: &Arc<dyn Secrets>,
        installation: &str,
    ) -> Result<Self, Refusal> {
        let mut by_name = BTreeMap::new();
        for connector in policy.connectors() {
            let kind = find(kinds, &connector.kind)?;
            let provider = kind
                .connect(
                    &connector.name,
                    &connector.config,
                    Arc::clone(secrets),
                    installation,
                )
                .map_err(|error| {
                    Refusal::new(
                        Code::PolicyInvalid,
                        format!("connector {}: {error}", connector.name),
                    )
                })?;
            by_name.insert(connector.name.clone(), provider);
        }
        Ok(Self { by_name })
    }

    /// The provider of a connector, while the policy names it.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<&Arc<dyn Provider>> {
        self.by_name.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Arc<dyn Provider>)> {
        self.by_name.iter()
    }
}

/// The kind of this name.
///
/// # Errors
/// Where this server has none.
pub(crate) fn find(kinds: &Kinds, name: &Name) -> Result<&'static dyn Kind, Refusal> {
    kinds
        .iter()
        .copied()
        .find(|kind| kind.name() == name.as_str())
        .ok_or_else(|| {
            let known: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
            Refusal::new(Code::PolicyInvalid, format!("there is no target kind {name}"))
                .hint(format!("this server knows: {}", known.join(", ")))
        })
}

/// What an item of a grant is at its target, frozen now.
///
/// # Errors
/// Where the policy has lost the resource or role.
pub(crate) fn part(
    policy: &Policy,
    kinds: &Kinds,
    grant: GrantId,
    index: usize,
    holder: PersonId,
    item: &Item,
) -> Result<Part, Refusal> {
    let resource = policy.resource(item.resource.as_str()).ok_or_else(|| {
        Refusal::new(
            Code::UnknownResource,
            format!("there is no resource {} any more", item.resource),
        )
    })?;
    let role = resource.roles.get(&item.role).ok_or_else(|| {
        Refusal::new(
            Code::UnknownRole,
            format!("{} has no role {} any more", item.resource, item.role),
        )
    })?;
    let kind = find(kinds, &resource.kind)?;
    let key = kind.key(&Placed {
        grant,
        index,
        holder,
        item,
        resource: &resource.config,
        role: &role.config,
        subject: None,
        source: None,
    });
    let connector = policy.connector(resource.connector.as_str());
    Ok(Part {
        target: TargetKey {
            connector: resource.connector.clone(),
            key,
        },
        spec: Spec {
            kind: resource.kind.clone(),
            item: item.clone(),
            resource: resource.config.clone(),
            role: role.config.clone(),
            holder,
            grant,
            subject: None,
            source: None,
        },
        tells: connector.is_some_and(|connector| kind.tells_deeds(&connector.config)),
    })
}

impl Current {
    /// What giving an item of a request does at its target, in the vendor's own words; empty where its kind has none, or the policy
    /// has lost it.
    #[must_use]
    pub fn effect(&self, request: &Request, index: usize, item: &Item) -> Vec<String> {
        let resource = self.policy.resource(item.resource.as_str());
        let role = resource.and_then(|resource| resource.roles.get(&item.role));
        let Some((resource, role)) = resource.zip(role) else {
            return Vec::new();
        };
        let placed = Placed {
            grant: GrantId::from(request.id),
            index,
            holder: request.ask.requester,
            item,
            resource: &resource.config,
            role: &role.config,
            subject: None,
            source: None,
        };
        find(&self.kinds, &resource.kind).map_or_else(|_| Vec::new(), |kind| kind.effect(&placed))
    }
}
