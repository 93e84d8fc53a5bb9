//! What an administrator does by hand, past Daypass: without a token, without anybody being asked.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Azure;
use super::assignments::full_role;
use super::call::set;
use super::network::Rule;
use super::pim::Schedule;
use super::roles::id_of;
use super::scope::key;
use super::world::Lock;

/// "Azure built-in roles": what is given where a role is named that is not there.
const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";

fn by_hand(
    id: String,
    scope: &str,
    role: &str,
    principal: &str,
    now: Timestamp,
    ends: Option<Timestamp>,
) -> Schedule {
    Schedule {
        id,
        request: String::new(),
        scope: scope.to_owned(),
        role: role.to_owned(),
        principal: principal.to_owned(),
        made: now,
        starts: now,
        ends,
        live: true,
    }
}

impl Azure {
    /// Assigns a role, by its name or id, at a scope; the assignment's id. A role that is not there is `Reader`.
    pub fn assign(&self, principal: &str, role: &str, scope: &str) -> String {
        self.lock().by_hand(|data, now| {
            let role = id_of(data, role).unwrap_or_else(|| READER.to_owned());
            let name = data.new_id(0xa5);
            let id = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}");
            let shown = json!({
                "id": id, "name": name, "type": "Microsoft.Authorization/roleAssignments",
                "properties": {
                    "roleDefinitionId": full_role(scope, &role),
                    "principalId": principal,
                    "principalType": data.principal_kind(principal).unwrap_or("ServicePrincipal"),
                    "scope": scope,
                    "createdOn": now.to_string(), "updatedOn": now.to_string(),
                    "createdBy": "by-hand", "updatedBy": "by-hand",
                },
            });
            data.assignments.insert(key(&id), shown);
            id
        })
    }

    /// Takes an assignment away; whether it was there.
    pub fn unassign(&self, id: &str) -> bool {
        self.lock()
            .by_hand(|data, _| data.assignments.remove(&key(id)).is_some())
    }

    /// Puts a condition on a role assignment, as ABAC has it.
    pub fn assign_only_if(&self, id: &str, condition: &str) {
        self.lock().by_hand(|data, _| {
            if let Some(shown) = data.assignments.get_mut(&key(id)) {
                set(shown, "properties/condition", condition);
                set(shown, "properties/conditionVersion", "2.0");
            }
        });
    }

    /// A custom role with these actions, to be assigned at these scopes; its id's last part.
    pub fn role(&self, name: &str, actions: &[&str], scopes: &[&str]) -> String {
        self.lock().by_hand(|data, now| {
            let id = data.new_id(0x2d);
            let shown = json!({
                "id": format!("/providers/Microsoft.Authorization/roleDefinitions/{id}"),
                "name": id,
                "type": "Microsoft.Authorization/roleDefinitions",
                "properties": {
                    "roleName": name, "description": "", "type": "CustomRole", "assignableScopes": scopes,
                    "permissions": [{"actions": actions, "notActions": [], "dataActions": [], "notDataActions": []}],
                    "createdOn": now.to_string(), "updatedOn": now.to_string(),
                },
            });
            data.definitions.insert(id.clone(), shown);
            id
        })
    }

    /// Writes a rule, at once in force: `properties` as ARM takes them, unchecked.
    pub fn put_rule(&self, nsg: &str, name: &str, properties: Value) {
        self.lock().by_hand(|data, _| {
            if let Some(nsg) = data.nsgs.get_mut(&key(nsg)) {
                nsg.rules
                    .insert(name.to_ascii_lowercase(), Rule::new(name, properties));
            }
        });
    }

    /// Opens a port by a rule: inbound, TCP, from this prefix.
    pub fn open_by_hand(&self, nsg: &str, name: &str, priority: u16, port: u16, from: &str) {
        let rule = json!({
            "protocol": "Tcp", "access": "Allow", "direction": "Inbound", "priority": priority, "sourcePortRange": "*",
            "destinationPortRange": port.to_string(), "sourceAddressPrefix": from, "destinationAddressPrefix": "*",
        });
        self.put_rule(nsg, name, rule);
    }

    /// Takes a rule away; whether it was there.
    pub fn remove_rule(&self, nsg: &str, name: &str) -> bool {
        self.lock().by_hand(|data, _| {
            let nsg = data.nsgs.get_mut(&key(nsg));
            nsg.and_then(|nsg| nsg.rules.remove(&name.to_ascii_lowercase()))
                .is_some()
        })
    }

    /// Adds a member, or makes nothing of it where it is one.
    pub fn add_member(&self, group: &str, member: &str) {
        self.lock().by_hand(|data, _| {
            if let Some(group) = data.groups.get_mut(group)
                && !group.members.iter().any(|one| one == member)
            {
                group.members.push(member.to_owned());
            }
        });
    }

    /// Takes a member away; whether it was one.
    pub fn remove_member(&self, group: &str, member: &str) -> bool {
        self.lock().by_hand(|data, _| {
            let Some(group) = data.groups.get_mut(group) else {
                return false;
            };
            let before = group.members.len();
            group.members.retain(|one| one != member);
            before != group.members.len()
        })
    }

    /// Makes somebody an owner of a group.
    pub fn add_owner(&self, group: &str, owner: &str) {
        self.lock().by_hand(|data, _| {
            if let Some(group) = data.groups.get_mut(group) {
                group.owners.push(owner.to_owned());
            }
        });
    }

    /// Deletes somebody from the directory; role assignments stay, as they do in Azure.
    pub fn delete_principal(&self, id: &str) {
        self.lock().by_hand(|data, _| {
            data.principals.remove(id);
            data.groups.remove(id);
            for group in data.groups.values_mut() {
                group.members.retain(|one| one != id);
            }
        });
    }

    /// Locks a scope: against deletion (`CanNotDelete`), or against every change (`ReadOnly`).
    pub fn lock_scope(&self, scope: &str, read_only: bool) {
        let lock = Lock {
            scope: scope.to_owned(),
            read_only,
        };
        self.lock().by_hand(|data, _| data.locks.push(lock));
    }

    /// Lifts every lock on a scope.
    pub fn unlock_scope(&self, scope: &str) {
        self.lock()
            .by_hand(|data, _| data.locks.retain(|lock| key(&lock.scope) != key(scope)));
    }

    /// Stops a machine, or starts it again.
    pub fn set_running(&self, vm: &str, running: bool) {
        self.lock().by_hand(|data, _| {
            if let Some(vm) = data.resources.get_mut(&key(vm)).and_then(Value::as_object_mut) {
                vm.remove("_stopped");
                if !running {
                    vm.insert("_stopped".to_owned(), true.into());
                }
            }
        });
    }

    /// Makes somebody eligible for a role in PIM, by its name or id, until then; nothing: for ever. The schedule's id.
    pub fn make_eligible(
        &self,
        principal: &str,
        role: &str,
        scope: &str,
        until: Option<Timestamp>,
    ) -> String {
        self.lock().by_hand(|data, now| {
            let role = id_of(data, role).unwrap_or_else(|| READER.to_owned());
            let one = by_hand(data.new_id(0x5e), scope, &role, principal, now, until);
            let id = one.id.clone();
            data.eligible.push(one);
            id
        })
    }

    /// Makes somebody eligible for the membership of a group in PIM.
    pub fn make_eligible_member(&self, principal: &str, group: &str, until: Option<Timestamp>) -> String {
        self.lock().by_hand(|data, now| {
            let one = by_hand(data.new_id(0x9d), group, "member", principal, now, until);
            let id = one.id.clone();
            data.group_eligible.push(one);
            id
        })
    }

    /// Sets what a role wants of an active assignment in PIM at a scope: at most so long, with a justification, with a ticket.
    pub fn pim_wants(&self, scope: &str, role: &str, longest: Duration, justification: bool, ticket: bool) {
        self.lock().by_hand(|data, _| {
            let role = id_of(data, role).unwrap_or_else(|| READER.to_owned());
            let rules =
                json!({"longest": longest.as_secs(), "justification": justification, "ticket": ticket});
            data.pim_rules.insert(format!("{}|{role}", key(scope)), rules);
        });
    }

    /// Lets somebody have done something just now, for the Activity Log.
    pub fn act_as(&self, principal: &str, action: &str, resource: &str) {
        self.lock()
            .by_hand(|data, now| data.log(now, principal, action, resource, 200));
    }
}
