//! Privileged Identity Management: assignments with an end, for resources and for groups alike.

mod ask;
mod policies;
mod requests;
mod shown;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::assignments::full_role;
use super::call::{Answer, Call, Reply};
use super::scope::{Target, key};
use super::world::Data;

pub(super) use ask::{asked, duration};

/// An assignment that PIM made, or an eligibility.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    /// Of the schedule; its instance has the same.
    pub(super) id: String,
    /// The request that made it; empty where an administrator did, by hand.
    pub(super) request: String,
    /// A scope, or a group's id.
    pub(super) scope: String,
    /// The last part of a role definition's id; `member` or `owner` in a group.
    pub(super) role: String,
    pub(super) principal: String,
    /// When it was asked for.
    pub(super) made: Timestamp,
    pub(super) starts: Timestamp,
    /// None: for ever.
    pub(super) ends: Option<Timestamp>,
    /// Whether it has begun: the access is there.
    pub(super) live: bool,
}

impl Schedule {
    /// Whether it is about the same.
    pub(super) fn is(&self, scope: &str, role: &str, principal: &str) -> bool {
        key(&self.scope) == key(scope) && self.role.eq_ignore_ascii_case(role) && self.principal == principal
    }

    fn over(&self, now: Timestamp) -> bool {
        self.ends.is_some_and(|ends| ends <= now)
    }

    fn begins(&self, now: Timestamp) -> bool {
        !self.live && self.starts <= now && !self.over(now)
    }
}

/// Everything of PIM for resources, 2020-10-01.
pub(super) fn answer(call: &Call, target: &Target, data: &mut Data) -> Answer {
    match target.kind.as_str() {
        "roleassignmentschedulerequests" | "roleassignmentschedulerequests/cancel" => {
            requests::answer(call, target, data)
        }
        "rolemanagementpolicyassignments" | "rolemanagementpolicies" => policies::answer(call, target, data),
        _ if call.method == "GET" => shown::answer(call, target, data),
        _ => Err(Reply::no_route(call)),
    }
}

impl Data {
    /// Lets begin and end what is due, at resources.
    pub(super) fn settle_schedules(&mut self, now: Timestamp) {
        let mut begun = Vec::new();
        for one in self.schedules.iter_mut().filter(|one| one.begins(now)) {
            one.live = true;
            begun.push(one.clone());
        }
        for one in begun {
            let (id, shown) = assignment(self, &one);
            self.assignments.insert(key(&id), shown);
        }
        let over: Vec<_> = self
            .schedules
            .iter()
            .filter(|one| one.over(now))
            .cloned()
            .collect();
        for one in over {
            self.end_schedule(&one.id);
        }
        self.eligible.retain(|one| !one.over(now));
    }

    /// Takes a schedule away, with the role assignment that it stands for.
    pub(super) fn end_schedule(&mut self, id: &str) {
        let Some(at) = self.schedules.iter().position(|one| one.id == id) else {
            return;
        };
        let one = self.schedules.remove(at);
        self.assignments.remove(&key(&assignment_id(&one)));
    }

    /// Lets begin and end what is due, in groups.
    pub(super) fn settle_group_schedules(&mut self, now: Timestamp) {
        for one in self.group_schedules.iter_mut().filter(|one| one.begins(now)) {
            one.live = true;
            if let Some(group) = self.groups.get_mut(&one.scope) {
                let list = if one.role == "owner" {
                    &mut group.owners
                } else {
                    &mut group.members
                };
                if !list.contains(&one.principal) {
                    list.push(one.principal.clone());
                }
            }
        }
        let over: Vec<_> = self
            .group_schedules
            .iter()
            .filter(|one| one.over(now))
            .cloned()
            .collect();
        for one in over {
            self.end_group_schedule(&one.id);
        }
        self.group_eligible.retain(|one| !one.over(now));
    }

    /// Takes a schedule of a group away, with the membership that it stands for.
    pub(super) fn end_group_schedule(&mut self, id: &str) {
        let Some(at) = self.group_schedules.iter().position(|one| one.id == id) else {
            return;
        };
        let one = self.group_schedules.remove(at);
        if let Some(group) = self.groups.get_mut(&one.scope) {
            let list = if one.role == "owner" {
                &mut group.owners
            } else {
                &mut group.members
            };
            list.retain(|member| *member != one.principal);
        }
    }
}

fn assignment_id(one: &Schedule) -> String {
    format!(
        "{}/providers/Microsoft.Authorization/roleAssignments/{}",
        one.scope, one.id
    )
}

/// The plain role assignment that a schedule stands for while it lives.
fn assignment(data: &Data, one: &Schedule) -> (String, Value) {
    let id = assignment_id(one);
    let shown = json!({
        "id": id,
        "name": one.id,
        "type": "Microsoft.Authorization/roleAssignments",
        "properties": {
            "roleDefinitionId": full_role(&one.scope, &one.role),
            "principalId": one.principal,
            "principalType": data.principal_kind(&one.principal),
            "scope": one.scope,
            "createdOn": one.starts.to_string(),
            "updatedOn": one.starts.to_string(),
            "createdBy": "",
            "updatedBy": "",
        },
    });
    (id, shown)
}
