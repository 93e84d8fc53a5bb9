//! The kinds: one that is connected, and three whose resources it reaches.

use std::collections::BTreeSet;
use std::sync::Arc;

use daypass_core::entitlement::{Fault, Spec};
use daypass_core::id::GrantId;
use daypass_core::name::Name;
use serde_json::Value;

use super::client::Client;
use super::config::{self, Assigned, Connector, Ports, Vms};
use super::effect::Effect as _;
use super::fits;
use super::group::Membership;
use super::identity::Cloud;
use super::ports::Opening;
use super::provider::Connected;
use super::role::Assignment;
use super::{CONNECTOR, GROUP, ROLE, VM};
use crate::command::keys;
use crate::config::{misconfigured, unknown};
use crate::inventory::Fit;
use crate::{ConfigProblem, Error, Kind, Needs, Placed, Provider, SecretUse, Secrets};

type Checked = Result<(), Vec<ConfigProblem>>;

/// The kind `azure`: a tenant. It has no resources of its own.
#[derive(Debug, Clone, Copy)]
pub struct Azure;

/// The kind `azure-vm`: ports of virtual machines, opened to the address that a request is bound to.
#[derive(Debug, Clone, Copy)]
pub struct AzureVm;

/// The kind `azure-role`: role assignments at a scope.
#[derive(Debug, Clone, Copy)]
pub struct AzureRole;

/// The kind `azure-group`: membership of an Entra group.
#[derive(Debug, Clone, Copy)]
pub struct AzureGroup;

/// What is wrong as a whole.
fn only(message: &str) -> Checked {
    Err(vec![ConfigProblem {
        pointer: String::new(),
        message: message.to_owned(),
    }])
}

/// The namespace with people's object ids.
fn subjects(connector: &Value) -> Option<Name> {
    Connector::read(connector)
        .ok()
        .and_then(|connector| connector.subjects)
}

/// The key of an item that cannot be read: it was checked with the policy, and a provisioning will refuse it.
fn alone(grant: GrantId, index: usize) -> String {
    keys::of_grant(grant, index)
}

/// An item as the spec that it will be.
fn spec_of(placed: &Placed<'_>, kind: &str) -> Option<Spec> {
    Some(Spec {
        kind: kind.parse().ok()?,
        item: placed.item.clone(),
        resource: placed.resource.clone(),
        role: placed.role.clone(),
        holder: placed.holder,
        grant: placed.grant,
        subject: placed.subject.map(str::to_owned),
        source: placed.source,
    })
}

fn connect(
    name: &Name,
    config: &Value,
    secrets: &Arc<dyn Secrets>,
    installation: &str,
) -> Result<Arc<dyn Provider>, Error> {
    let connector = Connector::read(config).map_err(|problems| misconfigured("connector", &problems))?;
    let identity = secrets.identity(&connector.identity).ok_or_else(|| {
        let what = format!("server.yaml names no identity {}", connector.identity);
        Error::new(Fault::Misconfigured, what)
    })?;
    Ok(Arc::new(Connected {
        client: Client::new(&identity)?,
        asker: keys::asker(installation, name)?,
        connector,
        notebook: secrets.notebook(),
        changes: tokio::sync::Mutex::new(()),
        deciding: tokio::sync::Mutex::new(()),
    }))
}

/// Whether the operator lets a connector call its tenant as the identity that it names.
fn allowed(connector: &Value, operator: &dyn Secrets) -> Checked {
    let connector = Connector::read(connector)?;
    let problem = |pointer: &str, message: String| {
        Err(vec![ConfigProblem {
            pointer: pointer.to_owned(),
            message,
        }])
    };
    let Some(identity) = operator.identity(&connector.identity) else {
        let known = operator.identities();
        if known.is_empty() {
            let what = "server.yaml names no identities; the operator adds this one under identities";
            return problem("/identity", what.to_owned());
        }
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        let what = unknown("identity", &connector.identity, &known);
        return problem("/identity", format!("{what} (server.yaml says which there are)"));
    };
    if !identity.tenant.eq_ignore_ascii_case(&connector.tenant) {
        let what = format!(
            "the identity {} of server.yaml is one of the tenant {}, not of this one",
            connector.identity, identity.tenant
        );
        return problem("/tenant", what);
    }
    match connector.cloud.as_deref().and_then(Cloud::named) {
        Some(cloud) if cloud != identity.cloud => {
            let what = format!(
                "the identity {} of server.yaml is one of another cloud",
                connector.identity
            );
            problem("/cloud", what)
        }
        _ => Ok(()),
    }
}

impl Kind for Azure {
    fn name(&self) -> &'static str {
        CONNECTOR
    }

    fn subjects(&self, connector: &Value) -> Option<Name> {
        subjects(connector)
    }

    fn check_connector(&self, config: &Value) -> Checked {
        Connector::read(config).map(drop)
    }

    fn check_resource(&self, _config: &Value) -> Checked {
        only("azure is the kind of a connector; a resource is of kind azure-vm, azure-role or azure-group")
    }

    fn check_role(&self, _config: &Value) -> Checked {
        only("a role is one of a resource of kind azure-vm, azure-role or azure-group")
    }

    /// None: what an identity shows Entra is the operator's, and no policy has a say in it.
    fn secrets(&self, _connector: &Value) -> Vec<SecretUse> {
        Vec::new()
    }

    fn target_key(&self, grant: GrantId, index: usize, _resource: &Value, _role: &Value) -> String {
        alone(grant, index)
    }

    fn check_allowed(&self, connector: &Value, operator: &dyn Secrets) -> Checked {
        allowed(connector, operator)
    }

    fn reaches(&self, connector: &Value) -> BTreeSet<String> {
        let read = Connector::read(connector).into_iter();
        read.map(|read| format!("{} {}", read.tenant, read.identity))
            .collect()
    }

    fn connect(
        &self,
        name: &Name,
        config: &Value,
        secrets: Arc<dyn Secrets>,
        installation: &str,
    ) -> Result<Arc<dyn Provider>, Error> {
        connect(name, config, &secrets, installation)
    }
}

/// What the three kinds of resource have in common: all of a connector is [`Azure`]'s.
macro_rules! reached {
    ($kind:ty, $name:expr, $needs:expr, $thing:ty, $resource:expr, $role:expr, $place:expr, $fits:expr) => {
        impl Kind for $kind {
            fn name(&self) -> &'static str {
                $name
            }

            fn connector(&self) -> &'static str {
                CONNECTOR
            }

            fn subjects(&self, connector: &Value) -> Option<Name> {
                subjects(connector)
            }

            fn needs(&self, _resource: &Value, _role: &Value) -> Needs {
                $needs
            }

            fn check_connector(&self, config: &Value) -> Checked {
                Connector::read(config).map(drop)
            }

            fn check_resource(&self, config: &Value) -> Checked {
                $resource(config).map(drop)
            }

            fn check_role(&self, config: &Value) -> Checked {
                $role(config).map(drop)
            }

            fn check_resource_access(&self, gateway: bool, _config: &Value) -> Checked {
                match gateway {
                    true => only("the gateway does not speak for Azure: access must be direct"),
                    false => Ok(()),
                }
            }

            fn secrets(&self, _connector: &Value) -> Vec<SecretUse> {
                Vec::new()
            }

            fn target_key(&self, grant: GrantId, index: usize, _resource: &Value, _role: &Value) -> String {
                alone(grant, index)
            }

            fn key(&self, placed: &Placed<'_>) -> String {
                let spec = spec_of(placed, $name);
                let thing = spec.and_then(|spec| <$thing>::read(&spec).ok());
                thing.map_or_else(|| alone(placed.grant, placed.index), |thing| thing.key())
            }

            fn effect(&self, placed: &Placed<'_>) -> Vec<String> {
                let thing = spec_of(placed, $name).and_then(|spec| <$thing>::read(&spec).ok());
                thing.map(|thing| thing.effect()).unwrap_or_default()
            }

            /// Azure's log tells who called by their object id, which is known where the kind needs it.
            fn tells_deeds(&self, connector: &Value) -> bool {
                $name == ROLE && Connector::read(connector).is_ok_and(|connector| connector.activity_log)
            }

            fn is_place(&self, resource: &Value, offered: &Value) -> bool {
                $place(resource, offered)
            }

            fn fits(&self, role: &Value, offered: &Value) -> Option<Fit> {
                $fits(role, offered)
            }

            fn check_allowed(&self, connector: &Value, operator: &dyn Secrets) -> Checked {
                allowed(connector, operator)
            }

            fn connect(
                &self,
                name: &Name,
                config: &Value,
                secrets: Arc<dyn Secrets>,
                installation: &str,
            ) -> Result<Arc<dyn Provider>, Error> {
                connect(name, config, &secrets, installation)
            }
        }
    };
}

/// Whom it is given to must be known to Entra.
const SUBJECT: Needs = Needs {
    subject: true,
    source: false,
};

/// It is opened to an address.
const SOURCE: Needs = Needs {
    subject: false,
    source: true,
};

reached!(
    AzureVm,
    VM,
    SOURCE,
    Opening,
    Vms::read,
    Ports::read,
    fits::same_machines,
    fits::ports
);
reached!(
    AzureRole,
    ROLE,
    SUBJECT,
    Assignment,
    config::scope,
    Assigned::read,
    fits::one_scope,
    fits::assigned
);
reached!(
    AzureGroup,
    GROUP,
    SUBJECT,
    Membership,
    config::group,
    config::membership,
    fits::one_group,
    fits::member
);
