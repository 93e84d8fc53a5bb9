//! How a policy of the simulation is written down: the file that the product reads.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::policy::{Area, End, Guardrail, Hours, Policy, Resource, Rule, Set, Step};

impl Policy {
    /// The file.
    pub(crate) fn text(&self) -> String {
        let mut out = format!(
            "version: 1\ndefaults: {{duration: 10m, max: 40m, pending: {}, activation: {}, reason: optional, settle: {}, cool_down: {}{}}}\npeople:\n",
            self.pending,
            self.activation,
            self.settle,
            self.cool_down,
            self.delegates()
        );
        for (name, set) in &self.sets {
            let _ = match set {
                Set::Group(group) => writeln!(out, "  {name}: {{group: {group}}}"),
                Set::Logins(logins) => writeln!(out, "  {name}: {{logins: [{}]}}", logins.join(", ")),
            };
        }
        if !self.windows.is_empty() {
            out.push_str("windows:\n");
        }
        for (name, Hours { from, to }) in &self.windows {
            let (from, to) = (clock(*from), clock(*to));
            let _ = writeln!(out, "  {name}: {{from: \"{from}\", to: \"{to}\", tz: UTC}}");
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
        self.resources
            .iter()
            .for_each(|resource| resource.write(&mut out));
        out.push_str("environments:\n");
        let envs: BTreeSet<_> = self.resources.iter().map(|resource| &resource.env).collect();
        for env in envs {
            let _ = writeln!(
                out,
                "  {env}: {{resources: {{env: {env}}}, roles: {{read: {{sim: read}}, write: {{sim: write}}}}}}"
            );
        }
        if !self.guardrails.is_empty() {
            out.push_str("guardrails:\n");
        }
        self.guardrails.iter().for_each(|guard| guard.write(&mut out));
        out.push_str("rules:\n");
        self.rules.iter().for_each(|rule| rule.write(&mut out));
        if !self.control.is_empty() {
            let _ = writeln!(
                out,
                "policy: {{approval: {}, covers: [{}]}}",
                chain(&self.control),
                self.covers()
            );
        }
        out
    }

    /// Who may be a delegate, as one more of the defaults.
    fn delegates(&self) -> String {
        if self.delegates.is_empty() {
            return String::new();
        }
        format!(", delegates: [{}]", self.delegates.join(", "))
    }

    fn covers(&self) -> String {
        let word = |area: &Area| match area {
            Area::People => "people",
            Area::Groups => "groups",
            Area::Credentials => "credentials",
        };
        let words: Vec<_> = ["policy"]
            .into_iter()
            .chain(self.covers.iter().map(word))
            .collect();
        words.join(", ")
    }
}

impl Resource {
    fn write(&self, out: &mut String) {
        let role = |(name, opening): (&String, &Option<String>)| match opening {
            Some(opening) => format!("{name}: {{opening: {opening}}}"),
            None => format!("{name}: {{}}"),
        };
        let roles: Vec<_> = self.roles.iter().map(role).collect();
        let _ = writeln!(
            out,
            "  - {{name: {}, kind: sim, connector: {}, labels: {{env: {}}}, config: {{}}, roles: {{{}}}}}",
            self.name,
            self.connector,
            self.env,
            roles.join(", ")
        );
    }
}

impl Guardrail {
    fn write(&self, out: &mut String) {
        let mut words = vec![format!("name: {}", self.name)];
        words.extend(self.env.iter().map(|env| format!("to: {{env: {env}}}")));
        words.extend(self.max.iter().map(|max| format!("max: {max}")));
        let total = self.total.iter();
        words.extend(total.map(|(most, period)| format!("max_total: {most}/{period}")));
        if !self.forbid.is_empty() {
            words.push(format!("forbid: {{window: [{}]}}", self.forbid.join(", ")));
        }
        if !self.steps.is_empty() {
            words.push(format!("steps: {}", chain(&self.steps)));
        }
        let _ = writeln!(out, "  - {{{}}}", words.join(", "));
    }
}

impl Rule {
    fn write(&self, out: &mut String) {
        let mut words = vec![
            format!("name: {}", self.name),
            format!("allow: [{}]", self.allow.join(", ")),
            format!("to: {{env: {}}}", self.env),
        ];
        if let Some(roles) = &self.roles {
            let roles: Vec<_> = roles.iter().map(String::as_str).collect();
            words.push(format!("roles: [{}]", roles.join(", ")));
        }
        words.push(match &self.glass {
            Some((by, within)) => {
                format!("break_glass: {{page: {by}, review_by: {by}, within: {within}}}")
            }
            None if self.steps.is_empty() => "approval: none".to_owned(),
            None => format!("approval: {}", chain(&self.steps)),
        });
        words.push(format!("max: {}", self.max));
        self.bounds(&mut words);
        let _ = writeln!(out, "  - {{{}}}", words.join(", "));
    }

    fn bounds(&self, words: &mut Vec<String>) {
        let bounds = &self.bounds;
        let mut when = Vec::new();
        if !bounds.windows.is_empty() {
            when.push(format!("window: [{}]", bounds.windows.join(", ")));
        }
        let uses = bounds.uses.iter();
        when.extend(uses.map(|(count, period)| format!("uses: {count}/{period}")));
        if bounds.ends.contains(&End::TicketClosed) {
            when.push("ticket: required".to_owned());
        }
        if !when.is_empty() {
            words.push(format!("when: {{{}}}", when.join(", ")));
        }
        words.extend(bounds.cool_down.map(|span| format!("cool_down: {span}")));
        words.extend(bounds.network.map(|net| format!("source: [10.{net}.0.0/16]")));
        let end = |end: &End| match end {
            End::TicketClosed => "ticket_closed".to_owned(),
            End::LastSession => "last_session_closed".to_owned(),
            End::Idle(span) => format!("idle {span}"),
        };
        if !bounds.ends.is_empty() {
            let ends: Vec<_> = bounds.ends.iter().map(end).collect();
            words.push(format!("end_when: [{}]", ends.join(", ")));
        }
    }
}

/// A list of steps.
fn chain(steps: &[Step]) -> String {
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
    let steps: Vec<_> = steps.iter().map(step).collect();
    format!("[{}]", steps.join(", "))
}

fn clock(minutes: u64) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}
