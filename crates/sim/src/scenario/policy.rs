//! A policy as the simulation knows it: what it writes into the file, and what the judge holds every approval against.
//! It shares no code with the policy language.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use daypass_core::time::Span;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Policy {
    pub(crate) settle: Span,
    pub(crate) pending: Span,
    pub(crate) activation: Span,
    pub(crate) sets: BTreeMap<String, Set>,
    pub(crate) connectors: Vec<(String, bool)>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) guardrails: Vec<Guardrail>,
    pub(crate) rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Set {
    Group(String),
    Logins(Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resource {
    pub(crate) name: String,
    pub(crate) connector: String,
    pub(crate) env: String,
    /// Roles, each with the opening that it shares with others, if it does.
    pub(crate) roles: BTreeMap<String, Option<String>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Guardrail {
    pub(crate) name: String,
    pub(crate) env: Option<String>,
    pub(crate) max: Span,
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
    /// The file.
    pub(crate) fn text(&self) -> String {
        let mut out = format!(
            "version: 1\ndefaults: {{duration: 10m, max: 40m, pending: {}, activation: {}, reason: optional, settle: {}}}\npeople:\n",
            self.pending, self.activation, self.settle
        );
        for (name, set) in &self.sets {
            let _ = match set {
                Set::Group(group) => writeln!(out, "  {name}: {{group: {group}}}"),
                Set::Logins(logins) => writeln!(out, "  {name}: {{logins: [{}]}}", logins.join(", ")),
            };
        }
        out.push_str("connectors:\n");
        for (name, alarm) in &self.connectors {
            let drift = if *alarm { "alarm" } else { "remove" };
            let _ = writeln!(
                out,
                "  - {{name: {name}, kind: sim, drift: {drift}, config: {{}}}}"
            );
        }
        out.push_str("resources:\n");
        for resource in &self.resources {
            let role = |(name, opening): (&String, &Option<String>)| match opening {
                Some(opening) => format!("{name}: {{opening: {opening}}}"),
                None => format!("{name}: {{}}"),
            };
            let roles: Vec<_> = resource.roles.iter().map(role).collect();
            let _ = writeln!(
                out,
                "  - {{name: {}, kind: sim, connector: {}, labels: {{env: {}}}, config: {{}}, roles: {{{}}}}}",
                resource.name,
                resource.connector,
                resource.env,
                roles.join(", ")
            );
        }
        if !self.guardrails.is_empty() {
            out.push_str("guardrails:\n");
        }
        for Guardrail { name, env, max } in &self.guardrails {
            let to = env
                .as_ref()
                .map(|env| format!("to: {{env: {env}}}, "))
                .unwrap_or_default();
            let _ = writeln!(out, "  - {{name: {name}, {to}max: {max}}}");
        }
        out.push_str("rules:\n");
        for rule in &self.rules {
            rule.write(&mut out);
        }
        out
    }

    pub(crate) fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.name == name)
    }

    /// The longest that a rule gives on these resources, guardrails applied.
    pub(crate) fn max<'a>(&self, rule: &Rule, resources: impl Iterator<Item = &'a str> + Clone) -> Span {
        let guards = |guard: &&Guardrail| {
            guard.env.as_ref().is_none_or(|env| {
                resources.clone().any(|name| {
                    self.resources
                        .iter()
                        .any(|resource| resource.name == name && resource.env == *env)
                })
            })
        };
        let guardrails = self.guardrails.iter().filter(guards).map(|guard| guard.max);
        guardrails.chain([rule.max]).min().unwrap_or(rule.max)
    }
}

impl Rule {
    fn write(&self, out: &mut String) {
        let roles = self.roles.as_ref().map(|roles| {
            let roles: Vec<_> = roles.iter().map(String::as_str).collect();
            format!(", roles: [{}]", roles.join(", "))
        });
        let step = |step: &Step| {
            let otherwise = match &step.escalate {
                Some((to, within)) => format!("{{escalate: {to}, within: {within}}}"),
                None => "deny".to_owned(),
            };
            format!(
                "{{from: {}, count: {}, within: {}, else: {otherwise}}}",
                step.from, step.count, step.within
            )
        };
        let approval = match &self.glass {
            Some((by, within)) => {
                format!("break_glass: {{page: {by}, review_by: {by}, within: {within}}}")
            }
            None if self.steps.is_empty() => "approval: none".to_owned(),
            None => {
                let steps: Vec<_> = self.steps.iter().map(step).collect();
                format!("approval: [{}]", steps.join(", "))
            }
        };
        let _ = writeln!(
            out,
            "  - {{name: {}, allow: [{}], to: {{env: {}}}{}, {approval}, max: {}}}",
            self.name,
            self.allow.join(", "),
            self.env,
            roles.unwrap_or_default(),
            self.max
        );
    }
}
