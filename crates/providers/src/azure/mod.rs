//! Azure: ports of virtual machines, role assignments, and membership of Entra groups.
//!
//! Users' page: `docs/providers/azure.md`. Where to read:
//!
//! | file | what |
//! | --- | --- |
//! | `config`, `scope` | what policy writes, and which text is an id of ARM |
//! | `identity`, `certificate`, `edge` | what `server.yaml` says of who calls, and the tokens that come of it |
//! | `client`, `error` | calls to ARM and Graph, and what a refusal means |
//! | `ids` | names that follow from a key, and the mark by which we know again what we made |
//! | `role`, `pim` | role assignments, and those whose limit Privileged Identity Management keeps |
//! | `group`, `group_pim` | memberships, which bear no mark and so are noted; and those whose limit PIM keeps |
//! | `rules`, `machines`, `ports` | rules of network security groups: judged, read, written |
//! | `jit` | just-in-time policies of Defender, which end by themselves |
//! | `activity` | what was done, as the Activity Log tells it |
//! | `effect` | what giving something would do, in Azure's words |
//! | `survey`, `survey_roles`, `survey_ports`, `survey_groups` | what stands there without Daypass, and what a policy could name |
//! | `fits` | which resources and roles of the policy are what a survey offers |
//! | `probe` | what is missing for all of it |
//! | `provider` | the verbs |
//!
//! One connector is one tenant, and reaches resources of three kinds. It never sends anything to an address that policy names.

mod activity;
mod certificate;
mod client;
mod config;
mod edge;
mod effect;
mod error;
mod fits;
mod group;
mod group_pim;
mod identity;
mod ids;
mod jit;
mod kinds;
mod machines;
mod pim;
mod ports;
mod probe;
mod provider;
mod role;
mod rules;
mod scope;
mod survey;
mod survey_groups;
mod survey_ports;
mod survey_roles;

pub use identity::{Cloud, Identity, Login};
pub use kinds::{Azure, AzureGroup, AzureRole, AzureVm};

/// The kind of the connector.
const CONNECTOR: &str = "azure";

/// Ports of virtual machines.
const VM: &str = "azure-vm";

/// Role assignments.
const ROLE: &str = "azure-role";

/// Membership of groups.
const GROUP: &str = "azure-group";
