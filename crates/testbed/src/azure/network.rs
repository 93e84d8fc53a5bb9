//! Network security groups and their rules, 2023-09-01: written asynchronously, one change at a time.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::call::{Answer, Call, Reply, page, set, text};
use super::operations::{Work, result_link, state_link};
use super::rules::check;
use super::scope::{Target, key, subscription};
use super::world::Data;

/// A group of rules.
#[derive(Debug, Clone)]
pub(super) struct Nsg {
    pub(super) id: String,
    /// By their names in small letters.
    pub(super) rules: BTreeMap<String, Rule>,
}

/// A rule, and what is still under way with it.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) properties: Value,
    /// What was in force before the change that is under way, or that failed.
    before: Option<Value>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Succeeded,
    Updating,
    Deleting,
    Failed,
}

impl Rule {
    /// A rule that is in force.
    pub(super) fn new(name: &str, properties: Value) -> Self {
        Self {
            name: name.to_owned(),
            properties,
            before: None,
            state: State::Succeeded,
        }
    }

    /// What packets meet: a change counts when its operation has ended.
    pub(super) fn in_force(&self) -> Option<&Value> {
        match self.state {
            State::Succeeded => Some(&self.properties),
            State::Updating | State::Deleting | State::Failed => self.before.as_ref(),
        }
    }

    fn busy(&self) -> bool {
        matches!(self.state, State::Updating | State::Deleting)
    }

    pub(super) fn priority(&self) -> i64 {
        self.properties
            .get("priority")
            .and_then(Value::as_i64)
            .unwrap_or_default()
    }
}

impl Nsg {
    /// The operation on a rule has ended.
    pub(super) fn conclude(&mut self, rule: &str, well: bool) {
        let Some(found) = self.rules.get_mut(rule) else {
            return;
        };
        match (found.state, well) {
            (State::Deleting, true) => {
                self.rules.remove(rule);
            }
            (State::Deleting, false) => {
                let whole = found.before.as_ref() == Some(&found.properties);
                found.state = if whole { State::Succeeded } else { State::Failed };
            }
            (State::Updating, true) => {
                found.state = State::Succeeded;
                found.before = None;
            }
            (State::Updating, false) => found.state = State::Failed,
            (State::Succeeded | State::Failed, _) => {}
        }
    }

    /// As it is shown.
    pub(super) fn show(&self, data: &Data) -> Value {
        let rules: Vec<_> = self.rules.values().map(|rule| self.show_rule(rule)).collect();
        let busy = self.rules.values().any(Rule::busy);
        let (nics, subnets) = super::effective::attached(data, &self.id);
        let ids = |all: Vec<String>| all.into_iter().map(|id| json!({"id": id})).collect::<Vec<_>>();
        let mut properties = json!({
            "provisioningState": if busy { "Updating" } else { "Succeeded" },
            "securityRules": rules,
            "defaultSecurityRules": default_rules(&self.id),
        });
        if !nics.is_empty() {
            set(&mut properties, "networkInterfaces", ids(nics));
        }
        if !subnets.is_empty() {
            set(&mut properties, "subnets", ids(subnets));
        }
        json!({
            "id": self.id,
            "name": self.id.rsplit('/').next(),
            "type": "Microsoft.Network/networkSecurityGroups",
            "location": "westeurope",
            "properties": properties,
        })
    }

    fn show_rule(&self, rule: &Rule) -> Value {
        let mut properties = rule.properties.clone();
        set(
            &mut properties,
            "provisioningState",
            match rule.state {
                State::Succeeded => "Succeeded",
                State::Updating => "Updating",
                State::Deleting => "Deleting",
                State::Failed => "Failed",
            },
        );
        json!({
            "id": format!("{}/securityRules/{}", self.id, rule.name),
            "name": rule.name,
            "type": "Microsoft.Network/networkSecurityGroups/securityRules",
            "properties": properties,
        })
    }
}

/// The rules that every group ends with ("Network security groups", Azure Virtual Network): name, priority, direction, access,
/// from, to.
pub(super) const DEFAULT: [(&str, i64, &str, &str, &str, &str); 6] = [
    (
        "AllowVnetInBound",
        65000,
        "Inbound",
        "Allow",
        "VirtualNetwork",
        "VirtualNetwork",
    ),
    (
        "AllowAzureLoadBalancerInBound",
        65001,
        "Inbound",
        "Allow",
        "AzureLoadBalancer",
        "*",
    ),
    ("DenyAllInBound", 65500, "Inbound", "Deny", "*", "*"),
    (
        "AllowVnetOutBound",
        65000,
        "Outbound",
        "Allow",
        "VirtualNetwork",
        "VirtualNetwork",
    ),
    (
        "AllowInternetOutBound",
        65001,
        "Outbound",
        "Allow",
        "*",
        "Internet",
    ),
    ("DenyAllOutBound", 65500, "Outbound", "Deny", "*", "*"),
];

fn default_rules(nsg: &str) -> Vec<Value> {
    let one = |(name, priority, direction, access, from, to): &(&str, i64, &str, &str, &str, &str)| {
        json!({
            "id": format!("{nsg}/defaultSecurityRules/{name}"),
            "name": name,
            "type": "Microsoft.Network/networkSecurityGroups/defaultSecurityRules",
            "properties": {
                "provisioningState": "Succeeded", "protocol": "*", "sourcePortRange": "*", "destinationPortRange": "*",
                "sourceAddressPrefix": from, "destinationAddressPrefix": to, "access": access, "priority": priority,
                "direction": direction,
            },
        })
    };
    DEFAULT.iter().map(one).collect()
}

/// Groups themselves: shown and listed. The stand-in makes them by [`super::Azure`]'s own methods.
pub(super) fn groups(call: &Call, target: &Target, data: &Data) -> Answer {
    match (call.method.as_str(), target.name(0).is_empty()) {
        ("GET", true) => {
            let below = format!("{}/", key(&target.scope));
            let all = data.nsgs.iter().filter(|(id, _)| id.starts_with(&below));
            let all = all.map(|(_, nsg)| nsg.show(data)).collect();
            Ok(Reply::ok(page(
                call,
                all,
                data.page_size,
                "nextLink",
                "$skiptoken",
            )))
        }
        ("GET", false) => Ok(Reply::ok(nsg(data, &target.parent(1))?.show(data))),
        _ => Err(Reply::no_route(call)),
    }
}

fn nsg<'d>(data: &'d Data, id: &str) -> Result<&'d Nsg, Reply> {
    data.nsgs.get(&key(id)).ok_or_else(|| {
        let message = format!(
            "The Resource 'Microsoft.Network/networkSecurityGroups/{}' was not found. For more details please go to \
             https://aka.ms/ARMResourceNotFoundFix",
            id.rsplit('/').next().unwrap_or_default()
        );
        Reply::arm(404, "ResourceNotFound", message)
    })
}

/// Their rules.
pub(super) fn rules(call: &Call, target: &Target, data: &mut Data) -> Answer {
    let parent = target.parent(1);
    let group = nsg(data, &parent)?;
    let rule = target.name(1).to_ascii_lowercase();
    match (call.method.as_str(), rule.is_empty()) {
        ("GET", true) => {
            let all = group.rules.values().map(|rule| group.show_rule(rule)).collect();
            Ok(Reply::ok(page(
                call,
                all,
                data.page_size,
                "nextLink",
                "$skiptoken",
            )))
        }
        ("GET", false) => {
            let found = group.rules.get(&rule).ok_or_else(|| no_rule(call))?;
            Ok(Reply::ok(group.show_rule(found)))
        }
        ("PUT", false) => put(call, target, data, &key(&parent)),
        ("DELETE", false) => delete(call, data, &key(&parent), &rule),
        _ => Err(Reply::no_route(call)),
    }
}

fn no_rule(call: &Call) -> Reply {
    Reply::arm(404, "NotFound", format!("Resource {} not found.", call.path))
}

/// One change of a group at a time. That a second one is refused so, and not made to wait, is seen in practice, not documented.
fn free(data: &Data, group: &str) -> Result<(), Reply> {
    let busy = data
        .nsgs
        .get(group)
        .is_some_and(|nsg| nsg.rules.values().any(Rule::busy));
    if !busy {
        return Ok(());
    }
    let message = "Another operation on this or dependent resource is in progress. To retrieve status of the operation use uri: \
                   https://aka.ms/azureasyncoperation.";
    Err(Reply::arm(409, "AnotherOperationInProgress", message))
}

fn put(call: &Call, target: &Target, data: &mut Data, group: &str) -> Answer {
    free(data, group)?;
    let name = target.name(1).to_owned();
    let mut properties = call.body.get("properties").cloned().unwrap_or_default();
    if let Some(object) = properties.as_object_mut() {
        object.remove("provisioningState");
    }
    check(&name, &properties)?;
    let same_place = |rule: &Rule| {
        !rule.name.eq_ignore_ascii_case(&name)
            && Some(rule.priority()) == properties.get("priority").and_then(Value::as_i64)
            && text(&rule.properties, "/direction") == text(&properties, "/direction")
    };
    let other = data
        .nsgs
        .get(group)
        .and_then(|nsg| nsg.rules.values().find(|rule| same_place(rule)));
    if let Some(other) = other {
        let message = format!(
            "Security rule {} conflicts with rule {name}. Rules cannot have the same Priority and Direction. To learn more, see \
             aka.ms/nsgrules.",
            other.name
        );
        return Err(Reply::arm(400, "SecurityRuleConflict", message));
    }
    let work = Work::Rule(group.to_owned(), name.to_ascii_lowercase());
    let operation = data.begin(call, work);
    let nsg = data.nsgs.get_mut(group).ok_or_else(|| no_rule(call))?;
    let old = nsg.rules.get(&name.to_ascii_lowercase());
    let status = if old.is_some() { 200 } else { 201 };
    let rule = Rule {
        before: old.and_then(Rule::in_force).cloned(),
        name: name.clone(),
        properties,
        state: State::Updating,
    };
    let shown = nsg.show_rule(&rule);
    nsg.rules.insert(name.to_ascii_lowercase(), rule);
    let below = subscription(group).unwrap_or_default();
    let link = state_link(call, &below, &operation);
    Ok(Reply::new(status, shown)
        .with("Azure-AsyncOperation", link)
        .with("Retry-After", "0"))
}

fn delete(call: &Call, data: &mut Data, group: &str, name: &str) -> Answer {
    free(data, group)?;
    let there = data.nsgs.get_mut(group).and_then(|nsg| nsg.rules.get_mut(name));
    let Some(rule) = there else {
        return Ok(Reply::empty(204));
    };
    rule.before = rule.in_force().cloned();
    rule.state = State::Deleting;
    let operation = data.begin(call, Work::Rule(group.to_owned(), name.to_owned()));
    let below = subscription(group).unwrap_or_default();
    Ok(Reply::empty(202)
        .with("Azure-AsyncOperation", state_link(call, &below, &operation))
        .with("Location", result_link(call, &below, &operation))
        .with("Retry-After", "0"))
}
