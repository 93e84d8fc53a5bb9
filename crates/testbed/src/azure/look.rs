//! What is so, looked at from outside the API: no lag, no rights, no faults.

use std::net::IpAddr;

use serde_json::Value;

use super::Azure;
use super::call::text;
use super::scope::key;

/// A role assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Its id.
    pub id: String,
    /// The object id of who holds it.
    pub principal: String,
    /// The role's name.
    pub role: String,
    /// Where.
    pub scope: String,
    /// What was written beside it.
    pub description: String,
}

impl Azure {
    /// Whether a packet comes through to a machine: by the rules in force of the groups at its subnet and its interface, each of which
    /// has to allow it. With several interfaces: at any. `protocol` is `Tcp` or `Udp`. A machine that is not there is not open.
    #[must_use]
    pub fn is_open(&self, vm: &str, port: u16, protocol: &str, from: IpAddr) -> bool {
        self.lock().by_hand(|data, _| {
            let Some(vm) = data.resources.get(&key(vm)) else {
                return false;
            };
            let nics = vm
                .pointer("/properties/networkProfile/networkInterfaces")
                .and_then(Value::as_array);
            let mut nics = nics
                .into_iter()
                .flatten()
                .filter_map(|one| data.resources.get(&key(text(one, "/id"))));
            nics.any(|nic| super::effective::lets_in(data, nic, from, port, protocol))
        })
    }

    /// The group of rules at a machine's first interface; empty where there is none.
    #[must_use]
    pub fn nsg_of(&self, vm: &str) -> String {
        self.lock().by_hand(|data, _| {
            let vm = data.resources.get(&key(vm));
            let nic = vm.map(|vm| key(text(vm, "/properties/networkProfile/networkInterfaces/0/id")));
            let nic = nic.and_then(|nic| data.resources.get(&nic));
            nic.map(|nic| text(nic, "/properties/networkSecurityGroup/id").to_owned())
                .unwrap_or_default()
        })
    }

    /// The names of a group's own rules, with their properties.
    #[must_use]
    pub fn rules(&self, nsg: &str) -> Vec<(String, Value)> {
        self.lock().by_hand(|data, _| {
            let nsg = data.nsgs.get(&key(nsg));
            let all = nsg.into_iter().flat_map(|nsg| nsg.rules.values());
            all.map(|rule| (rule.name.clone(), rule.properties.clone()))
                .collect()
        })
    }

    /// The direct members of a group.
    #[must_use]
    pub fn members(&self, group: &str) -> Vec<String> {
        self.lock().by_hand(|data, _| {
            data.groups
                .get(group)
                .map(|group| group.members.clone())
                .unwrap_or_default()
        })
    }

    /// What is assigned at exactly this scope.
    #[must_use]
    pub fn assignments(&self, scope: &str) -> Vec<Assignment> {
        self.lock().by_hand(|data, _| {
            let all = data.assignments.values();
            all.filter(|one| key(text(one, "/properties/scope")) == key(scope))
                .map(|one| Assignment {
                    id: text(one, "/id").to_owned(),
                    principal: text(one, "/properties/principalId").to_owned(),
                    role: super::rights::definition(data, text(one, "/properties/roleDefinitionId"))
                        .map(|role| text(role, "/properties/roleName").to_owned())
                        .unwrap_or_default(),
                    scope: text(one, "/properties/scope").to_owned(),
                    description: text(one, "/properties/description").to_owned(),
                })
                .collect()
        })
    }

    /// Whether somebody may do something at a scope, by their roles and those of their groups.
    #[must_use]
    pub fn may(&self, principal: &str, action: &str, scope: &str) -> bool {
        self.lock()
            .by_hand(|data, _| super::rights::may(data, principal, action, scope))
    }

    /// Who did what, as the Activity Log will tell it: object id, action, resource.
    #[must_use]
    pub fn activity(&self) -> Vec<(String, String, String)> {
        let world = self.lock();
        let all = world.activity().iter();
        all.map(|entry| (entry.caller.clone(), entry.action.clone(), entry.resource.clone()))
            .collect()
    }
}
