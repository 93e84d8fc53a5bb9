//! What PIM keeps of an assignment with an end: for resources and for groups alike.

use jiff::Timestamp;

use super::scope::key;
use super::world::Data;

/// An assignment that PIM made, or an eligibility.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    /// Of the schedule; its instance has the same.
    pub(super) id: String,
    /// The request that made it.
    pub(super) request: String,
    /// A scope, or a group's id.
    pub(super) scope: String,
    /// The last part of a role definition's id; `member` or `owner` in a group.
    pub(super) role: String,
    pub(super) principal: String,
    pub(super) starts: Timestamp,
    /// None: for ever.
    pub(super) ends: Option<Timestamp>,
    pub(super) made: Timestamp,
}

impl Schedule {
    /// Whether it is about the same.
    pub(super) fn is(&self, scope: &str, role: &str, principal: &str) -> bool {
        key(&self.scope) == key(scope) && self.role.eq_ignore_ascii_case(role) && self.principal == principal
    }

    fn over(&self, now: Timestamp) -> bool {
        self.ends.is_some_and(|ends| ends <= now)
    }
}

impl Data {
    pub(super) fn settle_schedules(&mut self, now: Timestamp) {
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
        let path = format!(
            "{}/providers/Microsoft.Authorization/roleAssignments/{}",
            one.scope, one.id
        );
        self.assignments.remove(&key(&path));
    }

    pub(super) fn settle_group_schedules(&mut self, now: Timestamp) {
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
