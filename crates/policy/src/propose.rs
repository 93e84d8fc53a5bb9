//! What one pastes into a policy: rules that make standing access something that is asked for, and resources that were found at a target.
//!
//! Each is a file of its own, valid beside the others. What a target calls things stands in it only as quoted text.

use std::fmt::Write as _;

use daypass_core::name::{Item, Name};
use daypass_core::text::is_hostile;
use daypass_core::time::Span;
use serde_json::Value;

/// A resource as a policy would have it.
#[derive(Debug, Clone, PartialEq)]
pub struct ProposedResource {
    /// Its name, which no other resource has.
    pub name: Name,
    /// Its kind.
    pub kind: Name,
    /// Its connector.
    pub connector: Name,
    /// What it is, for a comment.
    pub told: String,
    /// What rules select it by.
    pub labels: Vec<(Name, Name)>,
    /// What its provider reads.
    pub config: Value,
    /// Its roles; at least one.
    pub roles: Vec<(Name, Value)>,
}

/// Who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// This account.
    Login(Name),
    /// The people of this group.
    Group(Name),
}

/// Who is to ask from now on for what they had.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// Who.
    pub asks: Asks,
    /// For what, whether the policy has it or `resources` do.
    pub items: Vec<Item>,
    /// The resources that the policy lacks.
    pub resources: Vec<ProposedResource>,
    /// What they had, for comments.
    pub told: Vec<String>,
    /// The set of people that agrees, or `manager`.
    pub from: Name,
    /// The longest that it lasts.
    pub max: Span,
}

impl Proposal {
    /// The file.
    #[must_use]
    pub fn file(&self) -> String {
        let mut out = String::from("# Instead of what stands at the target for good:\n");
        for told in &self.told {
            line(&mut out, &format!("# - {}", plain(told)));
        }
        line(
            &mut out,
            "# A file of its own beside the others of the policy. Check and apply it, try it,",
        );
        line(&mut out, "# and only then take the standing access away.");
        line(&mut out, "version: 1");
        let (who, set) = match &self.asks {
            Asks::Login(login) => (login, format!("{{logins: [{}]}}", word(login.as_str()))),
            Asks::Group(group) => (group, format!("{{group: {}}}", word(group.as_str()))),
        };
        let name = Name::like(&format!("asks-{who}"));
        line(&mut out, &format!("\npeople:\n  {}: {set}", word(name.as_str())));
        listed(&mut out, &self.resources);
        line(&mut out, "\nrules:");
        for item in &self.items {
            let rule = Name::like(&format!("{who}-{}-{}", item.resource, item.role));
            line(&mut out, &format!("  - name: {}", word(rule.as_str())));
            line(&mut out, &format!("    allow: {}", word(name.as_str())));
            line(
                &mut out,
                &format!("    to: {{resource: {}}}", word(item.resource.as_str())),
            );
            line(&mut out, &format!("    roles: [{}]", word(item.role.as_str())));
            line(&mut out, "    approval:");
            let from = word(self.from.as_str());
            line(
                &mut out,
                &format!("      - {{from: {from}, within: 1h, else: deny}}"),
            );
            line(&mut out, &format!("    max: {}", self.max));
        }
        out
    }
}

/// The file with resources that were found.
#[must_use]
pub fn resources(found: &[ProposedResource]) -> String {
    let mut out = String::from(
        "# Found at the target. Keep what people are to ask for, and write rules for it.\nversion: 1\n",
    );
    listed(&mut out, found);
    out
}

fn listed(out: &mut String, resources: &[ProposedResource]) {
    if resources.is_empty() {
        return;
    }
    line(out, "\nresources:");
    for one in resources {
        line(out, &format!("  # {}", plain(&one.told)));
        let (roles, unwritable): (Vec<_>, Vec<_>) = one.roles.iter().partition(|(_, role)| is_writable(role));
        if !is_writable(&one.config) || roles.is_empty() {
            line(
                out,
                "  # is left out: it has characters in its name that nobody sees",
            );
            continue;
        }
        line(out, &format!("  - name: {}", word(one.name.as_str())));
        line(out, &format!("    kind: {}", word(one.kind.as_str())));
        line(out, &format!("    connector: {}", word(one.connector.as_str())));
        if !one.labels.is_empty() {
            let labels = one.labels.iter();
            let labels: Vec<String> = labels
                .map(|(name, value)| format!("{}: {}", word(name.as_str()), word(value.as_str())))
                .collect();
            line(out, &format!("    labels: {{{}}}", labels.join(", ")));
        }
        line(out, &format!("    config: {}", flow(&one.config)));
        line(out, "    roles:");
        for (name, role) in roles {
            line(out, &format!("      {}: {}", word(name.as_str()), flow(role)));
        }
        for (name, _) in unwritable {
            line(
                out,
                &format!("      # {name} is left out: it has characters that nobody sees"),
            );
        }
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// Text for a comment: of one line, and without what nobody sees.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if is_hostile(c) { ' ' } else { c })
        .collect()
}

/// Whether a policy may hold it: it has no text with what nobody sees, however that is written.
fn is_writable(value: &Value) -> bool {
    let plain = |text: &str| !text.chars().any(is_hostile);
    match value {
        Value::String(text) => plain(text),
        Value::Array(all) => all.iter().all(is_writable),
        Value::Object(all) => all.iter().all(|(key, value)| plain(key) && is_writable(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// A value in YAML's flow style.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => word(text),
        Value::Array(all) => {
            let all: Vec<String> = all.iter().map(flow).collect();
            format!("[{}]", all.join(", "))
        }
        Value::Object(all) => {
            let all: Vec<String> = all
                .iter()
                .map(|(key, value)| format!("{}: {}", word(key), flow(value)))
                .collect();
            format!("{{{}}}", all.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// Words that YAML, or some reader of it, takes for something else than text. Source: YAML 1.1, `bool` and `null`; YAML 1.2, core schema.
const RESERVED: [&str; 11] = [
    "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf",
];

/// A text: bare where it is certainly no more than a word, else in double quotes with everything escaped that is not plain.
/// Source: YAML 1.2.2, section 5.7 (escaped characters).
fn word(text: &str) -> String {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let bare = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if starts && text.chars().all(bare) && !RESERVED.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if is_hostile(c) || !(c == ' ' || c.is_alphanumeric() || c.is_ascii_graphic()) => {
                // A String takes whatever is written to it.
                let _written = write!(out, "\\U{:08x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
