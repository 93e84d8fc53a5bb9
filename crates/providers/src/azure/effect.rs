//! What giving something would do, in Azure's own words: for people who decide whether it is to be given.

use super::config::Via;
use super::group::Membership;
use super::ids::last;
use super::ports::Opening;
use super::role::Assignment;

/// A thing that can be given.
pub(super) trait Effect {
    /// A line for each thing that Azure would be told.
    fn effect(&self) -> Vec<String>;
}

impl Effect for Assignment {
    fn effect(&self) -> Vec<String> {
        let what = match self.pim {
            true => "roleAssignmentScheduleRequests: AdminAssign",
            false => "roleAssignments: assign",
        };
        let role = super::config::role_name(&self.definition);
        vec![format!("{what} {role} to {} at {}", self.principal, self.scope)]
    }
}

impl Effect for Membership {
    fn effect(&self) -> Vec<String> {
        let what = match self.pim {
            true => "assignmentScheduleRequests: adminAssign",
            false => "members/$ref: add",
        };
        vec![format!(
            "{what} {} as a member of the group {}",
            self.principal, self.group
        )]
    }
}

impl Effect for Opening {
    fn effect(&self) -> Vec<String> {
        let machines: Vec<_> = self.vms.ids.iter().map(|id| last(id)).collect();
        let machines = machines.join(", ");
        let line = |(protocol, ports): (&super::config::Protocol, &std::collections::BTreeSet<u16>)| {
            let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
            let ports = ports.join(", ");
            match self.vms.via {
                Via::Nsg => format!(
                    "securityRules: Allow Inbound {} {ports} from {} to {machines}",
                    protocol.arm(),
                    self.source
                ),
                Via::Jit => format!(
                    "jitNetworkAccessPolicies/initiate: {} {ports} from {} to {machines}",
                    protocol.arm(),
                    self.source
                ),
            }
        };
        self.ports.0.iter().map(line).collect()
    }
}
