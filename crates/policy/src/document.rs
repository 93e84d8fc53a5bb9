//! What a policy says, read and typed, before its parts are checked against each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use daypass_core::demand::Recording;
use daypass_core::edit::Area;
use daypass_core::end_when::EndWhen;
use daypass_core::environment::EnvironmentRole;
use daypass_core::name::{Item, Name};
use daypass_core::refusal::Code;
use daypass_core::review::{From, Silence};
use daypass_core::time::{Span, Timestamp};
use serde_json::Value as Json;

use crate::condition::When;
use crate::diagnostic::At;
use crate::environment::Environment;
use crate::gateway::{Denied, Watch};
use crate::limit::Total;
use crate::origin::Origin;
use crate::ticket::Format;
use crate::window::Window;

/// All files of a policy as one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Document {
    pub(crate) defaults: Defaults,
    /// What it takes to change the policy itself.
    pub(crate) control: Option<Control>,
    pub(crate) people: Vec<People>,
    pub(crate) windows: Vec<Window>,
    pub(crate) tickets: Vec<Format>,
    pub(crate) connectors: Vec<Connector>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) environments: Vec<Environment>,
    pub(crate) guardrails: Vec<Guardrail>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) tests: Vec<Test>,
}

/// What holds where a rule says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Defaults {
    /// Where they are written, if they are.
    pub(crate) at: Option<At>,
    /// How long access lasts where the request does not say.
    pub(crate) duration: Span,
    /// How long it may last where the rule does not say.
    pub(crate) max: Span,
    /// How long a request may stay undecided.
    pub(crate) pending: Span,
    /// How long access may take to become real.
    pub(crate) activation: Span,
    /// How long an account must have been left alone before it reviews.
    pub(crate) settle: Span,
    /// How long somebody who was denied something waits before they ask for it again.
    pub(crate) cool_down: Span,
    /// The sets of people that may be delegates of somebody who is away; nobody may where there are none.
    pub(crate) delegates: Vec<(Name, At)>,
    /// Whether a request needs a reason.
    pub(crate) reason_required: bool,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            at: None,
            duration: Span::hours(1),
            max: Span::hours(4),
            pending: Span::hours(2),
            activation: Span::minutes(15),
            settle: Span::hours(24),
            cool_down: Span::minutes(5),
            delegates: Vec::new(),
            reason_required: true,
        }
    }
}

/// A named set of people.
#[derive(Debug, Clone)]
pub(crate) struct People {
    pub(crate) name: Name,
    pub(crate) who: Who,
}

/// Whom a set holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// The people of a group of the directory; no service accounts.
    Group(Name),
    /// These accounts. The only way to name a service account.
    Logins(BTreeSet<Name>),
    /// Who is on call. Not readable yet: nobody.
    Schedule(String),
}

impl fmt::Display for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.who {
            Who::Group(group) if *group == self.name => write!(f, "{}", self.name),
            Who::Group(group) => write!(f, "{} (group {group})", self.name),
            Who::Logins(logins) => {
                let logins = crate::nearest::list(logins.iter().map(Name::as_str));
                write!(f, "{} ({logins})", self.name)
            }
            Who::Schedule(schedule) => write!(
                f,
                "{} (schedule {schedule}, which this version cannot read: nobody is in it)",
                self.name
            ),
        }
    }
}

/// One account, cluster or database server, reached with one set of credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    /// Its name.
    pub name: Name,
    /// The kind of provider that serves it.
    pub kind: Name,
    /// What becomes of access that is found there and that no grant holds.
    pub drift: Drift,
    /// What that provider reads.
    pub config: Json,
    pub(crate) at: At,
    pub(crate) places: Places,
}

/// What becomes of access of Daypass's own making that is found at a target and that no grant holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Drift {
    /// It is taken away, as what a grant ends with is.
    #[default]
    Remove,
    /// It is told, and left to people.
    Alarm,
}

/// A thing to reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its name.
    pub name: Name,
    /// What it is; the connector's kind, or a kind of its own below it (`azure-vm` of `azure`).
    pub kind: Name,
    /// The connector that reaches it.
    pub connector: Name,
    /// What rules select it by.
    pub labels: BTreeMap<Name, Name>,
    /// The set of people to turn to.
    pub owner: Option<Name>,
    /// How its access is used.
    pub access: Access,
    /// Whether what is done with its access is recorded; nothing is said where it is missing.
    pub recording: Option<Recording>,
    /// How its sessions are recorded.
    pub(crate) gateway: Option<Watch>,
    /// The statements that are refused, whatever the role.
    pub(crate) statements: Option<Denied>,
    /// What the provider reads.
    pub config: Json,
    /// The permissions that can be asked for; never empty.
    pub roles: BTreeMap<Name, Role>,
    pub(crate) at: At,
    pub(crate) connector_at: At,
    pub(crate) owner_at: At,
    pub(crate) access_at: At,
    pub(crate) recording_at: At,
    pub(crate) places: Places,
}

impl Resource {
    /// The label `env`.
    #[must_use]
    pub fn environment(&self) -> Option<&Name> {
        self.labels.get("env")
    }
}

/// How access to a resource is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// With credentials that the holder is given.
    #[default]
    Direct,
    /// Through the gateway, which never reveals the target's credentials.
    Gateway,
}

/// A named permission on a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// The statements that are refused besides those of the resource.
    pub(crate) statements: Option<Denied>,
    /// What the provider reads.
    pub config: Json,
    pub(crate) at: At,
    pub(crate) places: Places,
}

/// Where each part of a free-form configuration stands, by JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Places(BTreeMap<String, At>);

impl Places {
    pub(crate) fn new(places: Vec<(String, At)>) -> Self {
        Self(places.into_iter().collect())
    }

    /// The place of a part; of the nearest part around it where it is missing.
    pub(crate) fn find(&self, pointer: &str) -> Option<At> {
        let mut pointer = pointer;
        loop {
            if let Some(at) = self.0.get(pointer) {
                return Some(*at);
            }
            (pointer, _) = pointer.rsplit_once('/')?;
        }
    }
}

/// Which resources a rule or guardrail is about: all of this must hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    pub(crate) at: At,
    pub(crate) kind: Option<Vec<(Name, At)>>,
    pub(crate) resource: Option<Vec<(Name, At)>>,
    pub(crate) labels: Vec<Label>,
}

/// A label that a resource must have, with the values that will do.
#[derive(Debug, Clone)]
pub(crate) struct Label {
    pub(crate) label: Name,
    pub(crate) at: At,
    pub(crate) values: Vec<(Name, At)>,
}

impl Selector {
    pub(crate) fn admits(&self, resource: &Resource) -> bool {
        let named = |names: &[(Name, At)], name: &Name| names.iter().any(|(one, _)| one == name);
        self.kind
            .as_ref()
            .is_none_or(|kinds| named(kinds, &resource.kind))
            && self
                .resource
                .as_ref()
                .is_none_or(|names| named(names, &resource.name))
            && self.labels.iter().all(|Label { label, values, .. }| {
                resource
                    .labels
                    .get(label)
                    .is_some_and(|value| named(values, value))
            })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = |values: &[(Name, At)]| {
            let texts: Vec<&str> = values.iter().map(|(value, _)| value.as_str()).collect();
            texts.join("|")
        };
        let mut parts: Vec<String> = self
            .labels
            .iter()
            .map(|one| format!("{}: {}", one.label, values(&one.values)))
            .collect();
        parts.extend(self.kind.iter().map(|of| format!("kind: {}", values(of))));
        parts.extend(self.resource.iter().map(|of| format!("resource: {}", values(of))));
        f.write_str(&parts.join(", "))
    }
}

/// A floor under every rule.
#[derive(Debug, Clone)]
pub(crate) struct Guardrail {
    pub(crate) name: Name,
    pub(crate) at: At,
    /// Every resource, where it is missing.
    pub(crate) to: Option<Selector>,
    pub(crate) max: Option<Span>,
    /// How long one person may have access in any period.
    pub(crate) max_total: Option<Total>,
    /// Windows in which there is no access at all; with the place of each name.
    pub(crate) forbid: Vec<(Name, At)>,
    /// Who must agree besides, after the steps of the rule.
    pub(crate) steps: Vec<Step>,
    /// Within how long whoever asks or reviews must have proved who they are.
    pub(crate) mfa: Option<Span>,
    /// Whether access must be recorded.
    pub(crate) record: bool,
}

/// One complete path to access.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) name: Name,
    pub(crate) at: At,
    /// Sets of people, any of them.
    pub(crate) allow: Vec<(Name, At)>,
    pub(crate) to: Selector,
    /// Every role, where it is missing.
    pub(crate) roles: Option<Vec<(Name, At)>>,
    /// Empty for `approval: none`, and for an emergency.
    pub(crate) steps: Vec<Step>,
    /// For emergencies: granted at once to who says so in words, and reviewed afterwards.
    pub(crate) break_glass: Option<BreakGlass>,
    pub(crate) duration: Option<Span>,
    pub(crate) max: Option<Span>,
    /// How long somebody who was denied something waits before they ask for it by this rule.
    pub(crate) cool_down: Option<Span>,
    /// What must hold besides.
    pub(crate) when: When,
    /// From where it may be asked for; from anywhere, where it is missing.
    pub(crate) origin: Option<Origin>,
    /// What ends its access early, with the place of each.
    pub(crate) end_when: Vec<(EndWhen, At)>,
    /// Within how long whoever asks or reviews must have proved who they are.
    pub(crate) mfa: Option<Span>,
    /// The sets of people that hear of access by it.
    pub(crate) notify: Vec<(Name, At)>,
}

/// What a rule for emergencies asks for.
#[derive(Debug, Clone)]
pub(crate) struct BreakGlass {
    /// The set of people that is to be told at once.
    pub(crate) page: (Name, At),
    /// The set of people of whom one must look at it afterwards.
    pub(crate) review_by: (Name, At),
    /// Within how long.
    pub(crate) within: Span,
}

/// What it takes to change the policy itself, and whatever else it covers.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    pub(crate) at: At,
    /// What waits for the steps; the policy always does.
    pub(crate) covers: BTreeSet<Area>,
    /// Never empty.
    pub(crate) steps: Vec<Step>,
}

/// A stage of approval as it is written.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) at: At,
    pub(crate) from: (From, At),
    pub(crate) count: u32,
    /// As long as the request stays undecided, where it is missing.
    pub(crate) within: Option<Span>,
    pub(crate) silence: Silence,
    /// Within how long whoever reviews it must have proved who they are.
    pub(crate) mfa: Option<Span>,
    /// Where the others of an escalation are named.
    pub(crate) escalate_at: At,
}

/// A question and the answer that the policy must give.
#[derive(Debug, Clone)]
pub(crate) struct Test {
    pub(crate) at: At,
    pub(crate) who: Name,
    pub(crate) groups: BTreeSet<Name>,
    pub(crate) manager: Option<Name>,
    pub(crate) items: BTreeSet<Item>,
    /// Roles of environments that it asks for besides.
    pub(crate) environments: Vec<EnvironmentRole>,
    pub(crate) duration: Option<Span>,
    pub(crate) now: Option<Timestamp>,
    pub(crate) start: Option<Timestamp>,
    pub(crate) ticket: Option<String>,
    /// The address that it asks from.
    pub(crate) from: Option<IpAddr>,
    /// How long ago the asker proved who they are; `None`: they cannot.
    pub(crate) confirmed: Option<Span>,
    /// Whether it asks as in an emergency.
    pub(crate) break_glass: bool,
    pub(crate) before: Before,
    pub(crate) expect: Expect,
}

/// What the person of a test has had already.
#[derive(Debug, Clone, Default)]
pub(crate) struct Before {
    /// How often just now, by every rule that counts it.
    pub(crate) uses: u32,
    /// How long ago the same was denied.
    pub(crate) denied: Option<Span>,
    /// What was, is or will be held.
    pub(crate) had: Vec<Had>,
}

/// Something that the person of a test has had.
#[derive(Debug, Clone)]
pub(crate) struct Had {
    pub(crate) items: BTreeSet<Item>,
    pub(crate) from: Timestamp,
    pub(crate) duration: Span,
}

/// The answer that a test expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expect {
    /// It is refused with this code.
    Refused(Code),
    /// It is allowed, and what is said here is so.
    Allowed {
        rule: Option<Name>,
        /// Whom each step asks, and how many of them where that is said.
        steps: Option<Vec<(From, Option<u32>)>>,
        max: Option<Span>,
        /// When the access is over at the latest.
        ends_by: Option<Timestamp>,
        /// Who must look at it afterwards.
        review_by: Option<Name>,
    },
}
