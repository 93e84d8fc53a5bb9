//! The connected providers of a policy revision, and how a part of a grant is derived from its configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use daypass_core::entitlement::{Spec, TargetKey};
use daypass_core::grant::{Grant, Part};
use daypass_core::handle::Handle;
use daypass_core::id::{GrantId, PersonId};
use daypass_core::name::{Item, Name};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::Request;
use daypass_policy::{Directory as _, Policy, Resource, Role};
use daypass_providers::{Kind, Placed, Provider, Secrets};

use crate::current::Current;
use crate::directory::Snapshot;

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

/// What must be known of who will hold access, beside what they ask for: it comes from the directory and from the connection, and
/// never from who asks.
#[derive(Clone, Copy)]
pub(crate) struct Holder<'a> {
    /// Their account.
    pub(crate) id: PersonId,
    /// The address that the request is bound to, where its rule binds it to one.
    pub(crate) source: Option<IpAddr>,
    /// Where their handles stand.
    pub(crate) directory: &'a Snapshot,
}

/// The address that a request is bound to, where its rule binds it to one. Words that were erased since bind it to none, and nothing is
/// opened to one then.
pub(crate) fn bound_to(request: &Request) -> Option<IpAddr> {
    let address = request.ask.source.as_ref()?;
    address.text().parse().ok()
}

/// An item as the policy has it now.
#[derive(Clone, Copy)]
struct Offered<'a> {
    item: &'a Item,
    resource: &'a Resource,
    role: &'a Role,
    kind: &'static dyn Kind,
}

fn offered<'a>(policy: &'a Policy, kinds: &Kinds, item: &'a Item) -> Result<Offered<'a>, Refusal> {
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
    Ok(Offered {
        item,
        resource,
        role,
        kind,
    })
}

/// To whom and to which address an item is given, where its kind has to know it.
fn given_to<'a>(
    policy: &Policy,
    offered: Offered<'_>,
    holder: Holder<'a>,
) -> Result<(Option<&'a Handle>, Option<IpAddr>), Refusal> {
    let Offered {
        item,
        resource,
        role,
        kind,
    } = offered;
    let needs = kind.needs(&resource.config, &role.config);
    let subject = if needs.subject {
        let named = policy.connector(resource.connector.as_str());
        let namespace = named.and_then(|connector| kind.subjects(&connector.config));
        let namespace = namespace.ok_or_else(|| no_namespace(item, resource))?;
        let known = holder.directory.person(holder.id);
        let handle = known.and_then(|person| person.handles.get(&namespace));
        Some(handle.ok_or_else(|| no_handle(item, &holder.directory.login(holder.id), &namespace))?)
    } else {
        None
    };
    let source = if needs.source {
        Some(holder.source.ok_or_else(|| no_source(item))?)
    } else {
        None
    };
    Ok((subject, source.map(|source| source.to_canonical())))
}

fn no_namespace(item: &Item, resource: &Resource) -> Refusal {
    let what = format!(
        "{item} is given to somebody whom the target knows, and the connector {} names no handles",
        resource.connector
    );
    Refusal::new(Code::NoHandle, what).hint("an administrator has to name their namespace in the connector")
}

fn no_handle(item: &Item, login: &str, namespace: &Name) -> Refusal {
    let what = format!("{item} is given to a handle in {namespace}, and the directory knows none of {login}");
    Refusal::new(Code::NoHandle, what).hint(format!(
        "ask an administrator: daypass user handle {login} {namespace} ID"
    ))
}

fn no_source(item: &Item) -> Refusal {
    let what = format!("{item} is opened to an address, and the rule binds nobody to theirs");
    Refusal::new(Code::Source, what)
        .hint("an administrator has to say in the rule from where it is asked for: source: [my-ip]")
}

/// Whether all that its target must know of who will hold it is known: asked before anybody is asked to agree, by the preview as by
/// the request. What is lengthened stays as it was given, so that it must be for the same.
///
/// # Errors
/// [`Code::NoHandle`] and [`Code::Source`], with what to do.
pub(crate) fn may_be_given(
    policy: &Policy,
    kinds: &Kinds,
    items: &BTreeSet<Item>,
    holder: Holder<'_>,
    extended: Option<&Grant>,
) -> Result<(), Refusal> {
    for item in items {
        let (subject, source) = given_to(policy, offered(policy, kinds, item)?, holder)?;
        let Some(part) = extended.and_then(|grant| grant.part(item)) else {
            continue;
        };
        if part.spec.subject.as_deref() != subject.map(Handle::as_str) {
            let what = format!("{item} was given to another handle of yours");
            return Err(Refusal::new(Code::NoHandle, what).hint("give it back and ask for it anew"));
        }
        if let Some(open_to) = part.spec.source
            && source != Some(open_to)
        {
            let what = format!("{item} is open to {open_to}, and you ask from elsewhere");
            return Err(Refusal::new(Code::Source, what).hint("ask for it anew from here"));
        }
    }
    Ok(())
}

/// What an item of a grant is at its target, frozen now.
///
/// # Errors
/// Where the policy has lost the resource or role, or what its target must know of the holder is not known.
pub(crate) fn part(
    policy: &Policy,
    kinds: &Kinds,
    (grant, index): (GrantId, usize),
    item: &Item,
    holder: Holder<'_>,
) -> Result<Part, Refusal> {
    let offered = offered(policy, kinds, item)?;
    let (subject, source) = given_to(policy, offered, holder)?;
    let Offered {
        resource, role, kind, ..
    } = offered;
    let key = kind.key(&Placed {
        grant,
        index,
        holder: holder.id,
        item,
        resource: &resource.config,
        role: &role.config,
        subject: subject.map(Handle::as_str),
        source,
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
            holder: holder.id,
            grant,
            subject: subject.map(ToString::to_string),
            source,
        },
        tells: connector.is_some_and(|connector| kind.tells_deeds(&connector.config)),
    })
}

impl Current {
    /// What giving an item of a request does at its target, in the vendor's own words; empty where its kind has none, or the policy
    /// has lost it.
    #[must_use]
    pub fn effect(&self, request: &Request, index: usize, item: &Item) -> Vec<String> {
        let Ok(offered) = offered(&self.policy, &self.kinds, item) else {
            return Vec::new();
        };
        let holder = Holder {
            id: request.ask.requester,
            source: bound_to(request),
            directory: &self.directory,
        };
        // What is not known cannot be told; that it is not known is said elsewhere.
        let (subject, source) = given_to(&self.policy, offered, holder).unwrap_or_default();
        offered.kind.effect(&Placed {
            grant: GrantId::from(request.id),
            index,
            holder: holder.id,
            item,
            resource: &offered.resource.config,
            role: &offered.role.config,
            subject: subject.map(Handle::as_str),
            source,
        })
    }
}
