//! A policy as the simulation knows it: what the judge holds every decision against. It shares no code with the policy
//! language; how it is written down is in `text`.

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::time::Span;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Policy {
    pub(crate) settle: Span,
    pub(crate) pending: Span,
    pub(crate) activation: Span,
    /// How long somebody waits who was denied something, where the rule does not say.
    pub(crate) cool_down: Span,
    pub(crate) sets: BTreeMap<String, Set>,
    pub(crate) windows: BTreeMap<String, Hours>,
    pub(crate) connectors: Vec<(String, bool)>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) guardrails: Vec<Guardrail>,
    pub(crate) rules: Vec<Rule>,
    /// Who must agree to another policy; nobody need where it is empty.
    pub(crate) control: Vec<Step>,
    /// To what else they must.
    pub(crate) covers: BTreeSet<Area>,
    /// The sets of those who may be delegates.
    pub(crate) delegates: Vec<String>,
}

/// What a policy may cover beside itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Area {
    /// Accounts: making one, its role, manager, owner, and switching it on.
    People,
    /// Who is in which group.
    Groups,
    /// Passwords of others, and tokens of programs.
    Credentials,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Set {
    Group(String),
    Logins(Vec<String>),
}

/// Hours of every day in UTC, in minutes since midnight. What ends before it begins ends on the following day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hours {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resource {
    pub(crate) name: String,
    pub(crate) connector: String,
    pub(crate) env: String,
    /// Roles, each with the opening that it shares with others, if it does.
    pub(crate) roles: BTreeMap<String, Option<String>>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Guardrail {
    pub(crate) name: String,
    pub(crate) env: Option<String>,
    pub(crate) max: Option<Span>,
    /// So much in any period of this length.
    pub(crate) total: Option<(Span, Span)>,
    /// Windows in which there must be no access.
    pub(crate) forbid: Vec<String>,
    /// Whom it asks after those of the rule.
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) allow: Vec<String>,
    pub(crate) env: String,
    pub(crate) roles: Option<BTreeSet<String>>,
    pub(crate) steps: Vec<Step>,
    pub(crate) max: Span,
    /// For emergencies: who must look back at it, and within how long.
    pub(crate) glass: Option<(String, Span)>,
    pub(crate) bounds: Bounds,
}

/// What bounds a rule beside people and lengths.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Bounds {
    /// So many times in any period of this length.
    pub(crate) uses: Option<(u32, Span)>,
    pub(crate) cool_down: Option<Span>,
    /// One of these must be open.
    pub(crate) windows: Vec<String>,
    /// It is asked from an address of this network, `10.N.0.0/16`.
    pub(crate) network: Option<u8>,
    /// What ends access before its time.
    pub(crate) ends: Vec<End>,
}

/// What ends access before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    TicketClosed,
    LastSession,
    /// Nobody has done anything for so long.
    Idle(Span),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// A set, or `manager`.
    pub(crate) from: String,
    pub(crate) count: u32,
    pub(crate) within: Span,
    pub(crate) escalate: Option<(String, Span)>,
}

impl Policy {
    pub(crate) fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.name == name)
    }

    pub(crate) fn resource(&self, name: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.name == name)
    }

    /// Whether others must agree to a change of accounts of this kind.
    pub(crate) fn is_covered(&self, areas: &[Area]) -> bool {
        !self.control.is_empty() && areas.iter().any(|area| self.covers.contains(area))
    }

    /// The guardrails over any of these resources.
    pub(crate) fn over<'a>(
        &self,
        resources: impl Iterator<Item = &'a str> + Clone,
    ) -> impl Iterator<Item = &Guardrail> {
        self.guardrails
            .iter()
            .filter(move |guard| resources.clone().any(|name| self.guards(guard, name)))
    }

    /// Whether a guardrail is over this resource.
    pub(crate) fn guards(&self, guard: &Guardrail, resource: &str) -> bool {
        let of = |env: &String| self.resource(resource).is_some_and(|one| one.env == *env);
        guard.env.as_ref().is_none_or(of)
    }

    /// The longest that a rule gives on these resources, guardrails applied.
    pub(crate) fn max<'a>(&self, rule: &Rule, resources: impl Iterator<Item = &'a str> + Clone) -> Span {
        let guardrails = self.over(resources).filter_map(|guard| guard.max);
        guardrails.chain([rule.max]).min().unwrap_or(rule.max)
    }

    /// Whom a request by this rule for these resources asks: each step, with the guardrail that brought it.
    pub(crate) fn steps<'p, 'a>(
        &'p self,
        rule: &'p Rule,
        resources: impl Iterator<Item = &'a str> + Clone,
    ) -> Vec<(&'p Step, Option<&'p str>)> {
        let own = rule.steps.iter().map(|step| (step, None));
        let brought = self
            .over(resources)
            .flat_map(|guard| guard.steps.iter().map(|step| (step, Some(guard.name.as_str()))));
        // In an emergency nobody can be waited for.
        own.chain(brought.filter(|_| rule.glass.is_none())).collect()
    }

    /// What a role of an environment stands for: that role of each of its resources.
    pub(crate) fn stands_for(&self, env: &str, role: &str) -> impl Iterator<Item = String> {
        let (env, role) = (env.to_owned(), role.to_owned());
        let of = self.resources.iter().filter(move |resource| resource.env == env);
        of.map(move |resource| format!("{}/{role}", resource.name))
    }
}
