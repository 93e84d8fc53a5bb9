//! All that the stand-in knows, as plain data: copied whole where reads have to lag behind writes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::activity::Entry;
use super::jit::Opened;
use super::network::Nsg;
use super::operations::Operation;
use super::pim::Schedule;

/// Who can hold access.
#[derive(Debug, Clone)]
pub(super) struct Principal {
    pub(super) id: String,
    /// `User` or `ServicePrincipal`.
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// The login of a user, the client id of a program.
    pub(super) login: String,
    /// The permissions of Graph that an administrator consented to.
    pub(super) app_roles: BTreeSet<String>,
}

/// A group of Entra.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) name: String,
    /// Object ids, in the order in which they were added.
    pub(super) members: Vec<String>,
    pub(super) owners: Vec<String>,
    /// Whether roles of Entra can be given to it, which takes more to change its members.
    pub(super) role_assignable: bool,
}

/// A lock on a scope.
#[derive(Debug, Clone)]
pub(super) struct Lock {
    pub(super) scope: String,
    /// `ReadOnly`, or else `CanNotDelete`.
    pub(super) read_only: bool,
}

/// What the services keep.
#[derive(Debug, Clone, Default)]
pub(super) struct Data {
    pub(super) tenant: String,
    /// How many ids were made up so far.
    pub(super) made: u64,
    pub(super) principals: BTreeMap<String, Principal>,
    pub(super) groups: BTreeMap<String, Group>,
    /// Display names by id.
    pub(super) subscriptions: BTreeMap<String, String>,
    /// Which management group a subscription or management group is in; scopes as `scope::key` makes them.
    pub(super) parents: BTreeMap<String, String>,
    /// Everything that is shown as it was put: resource groups, machines, networks. By `scope::key`.
    pub(super) resources: BTreeMap<String, Value>,
    pub(super) nsgs: BTreeMap<String, Nsg>,
    /// By their last part, in small letters.
    pub(super) definitions: BTreeMap<String, Value>,
    /// By `scope::key`.
    pub(super) assignments: BTreeMap<String, Value>,
    pub(super) locks: Vec<Lock>,
    pub(super) operations: BTreeMap<String, Operation>,
    pub(super) operations_take: Duration,
    /// PIM for resources.
    pub(super) schedules: Vec<Schedule>,
    pub(super) eligible: Vec<Schedule>,
    pub(super) requests: BTreeMap<String, Value>,
    /// What `PUT` or an administrator made of a role's rules in PIM, by scope and role.
    pub(super) pim_rules: BTreeMap<String, Value>,
    /// PIM for groups.
    pub(super) group_schedules: Vec<Schedule>,
    pub(super) group_eligible: Vec<Schedule>,
    pub(super) group_requests: BTreeMap<String, Value>,
    /// Defender's policies, and what was opened by them.
    pub(super) jit: BTreeMap<String, Value>,
    pub(super) opened: Vec<Opened>,
    pub(super) activity: Vec<Entry>,
    pub(super) activity_lag: Duration,
    /// How many entries a list gives at once where nobody asks for a number.
    pub(super) page_size: usize,
}

impl Data {
    /// A new id; the first digits say of what, so that a person can read a log.
    pub(super) fn new_id(&mut self, of: u32) -> String {
        self.made += 1;
        format!("{of:08x}-0000-4000-8000-{:012x}", self.made)
    }

    /// Ends what has run out by now.
    pub(super) fn settle(&mut self, now: Timestamp) {
        self.settle_operations(now);
        self.settle_schedules(now);
        self.settle_opened(now);
        self.settle_group_schedules(now);
    }

    /// `User`, `Group` or `ServicePrincipal`; nothing where nobody has that id.
    pub(super) fn principal_kind(&self, id: &str) -> Option<&'static str> {
        if self.groups.contains_key(id) {
            return Some("Group");
        }
        self.principals.get(id).map(|principal| principal.kind)
    }

    /// The principal, and every group that it is in, directly or through others.
    pub(super) fn all_of(&self, id: &str) -> BTreeSet<String> {
        let mut all = BTreeSet::from([id.to_owned()]);
        loop {
            let more: Vec<_> = self
                .groups
                .values()
                .filter(|group| !all.contains(&group.id))
                .filter(|group| group.members.iter().any(|member| all.contains(member)))
                .map(|group| group.id.clone())
                .collect();
            if more.is_empty() {
                return all;
            }
            all.extend(more);
        }
    }
}
