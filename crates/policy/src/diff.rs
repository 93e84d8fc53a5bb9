//! What changed between two revisions, in lines for people and for the log.

use std::collections::BTreeMap;

use daypass_core::demand::Recording;
use daypass_core::name::Name;
use daypass_core::review::Silence;
use daypass_core::time::Span;

use crate::Policy;
use crate::condition::When;
use crate::diagnostic::At;
use crate::document::{Access, Defaults, Document, Drift, Guardrail, Resource, Rule, Step, Who};
use crate::environment::Environment;
use crate::gateway::{Denied, OnFailure};
use crate::trial::told;

/// More lines than this help nobody; the rest is counted.
const MOST: usize = 200;

/// What can be said of one thing: its fields, in words. Values that a provider reads are compared and not shown.
type Fields = BTreeMap<&'static str, Field>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    Shown(String),
    Hidden(String),
}

impl Policy {
    /// What changed, line by line: `+ rule prod-write`, `- resource old-vm`, `~ rule prod-write: max 2h → 4h`. Without an old
    /// policy everything is new. Ordered by section and name.
    #[must_use]
    pub fn diff(old: Option<&Self>, new: &Self) -> Vec<String> {
        let nothing = Document::default();
        let old = old.map_or(&nothing, |old| &old.document);
        let (before, after) = (things(old), things(&new.document));
        let mut lines = Vec::new();
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            lines.push((name, format!("- {} {}", name.0.word(), name.1)));
        }
        for (name, fields) in &after {
            let title = format!("{} {}", name.0.word(), name.1);
            let title = title.trim_end();
            match before.get(name) {
                None => lines.push((name, format!("+ {title}"))),
                Some(earlier) if earlier != fields => {
                    let changes = changes(earlier, fields).join(", ");
                    lines.push((name, format!("~ {title}: {changes}")));
                }
                Some(_) => {}
            }
        }
        lines.sort_by_key(|(one, _)| *one);
        let more = lines.len().saturating_sub(MOST);
        let mut lines: Vec<String> = lines.into_iter().take(MOST).map(|(_, line)| line).collect();
        if more > 0 {
            lines.push(format!("… and {more} more"));
        }
        lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
    }
}

/// The sections in the order they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    Defaults,
    Control,
    People,
    Window,
    Ticket,
    Connector,
    Resource,
    Role,
    Environment,
    Guardrail,
    Rule,
    Tests,
}

impl Section {
    const fn word(self) -> &'static str {
        match self {
            Self::Defaults => "defaults",
            Self::Control => "change control",
            Self::People => "people",
            Self::Window => "window",
            Self::Ticket => "ticket format",
            Self::Connector => "connector",
            Self::Resource => "resource",
            Self::Role => "role",
            Self::Environment => "environment",
            Self::Guardrail => "guardrail",
            Self::Rule => "rule",
            Self::Tests => "tests",
        }
    }
}

fn changes(before: &Fields, after: &Fields) -> Vec<String> {
    let mut names: Vec<&&str> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let shown = |field: Option<&Field>| match field {
        Some(Field::Shown(text)) => text.clone(),
        Some(Field::Hidden(_)) | None => String::from("nothing"),
    };
    names
        .into_iter()
        .filter(|name| before.get(**name) != after.get(**name))
        .map(|name| match (before.get(*name), after.get(*name)) {
            (Some(Field::Hidden(_)), _) | (_, Some(Field::Hidden(_))) => format!("{name} changed"),
            (one, other) => format!("{name} {} → {}", shown(one), shown(other)),
        })
        .collect()
}

fn things(document: &Document) -> BTreeMap<(Section, String), Fields> {
    let mut all = BTreeMap::new();
    // Where a policy says nothing the usual ones hold: what it says instead differs from those, not from nothing.
    all.insert((Section::Defaults, String::new()), defaults(&document.defaults));
    if let Some(control) = &document.control {
        let steps: Vec<String> = control.steps.iter().map(step).collect();
        let mut fields = Fields::from([("approval", Field::Shown(steps.join(" then ")))]);
        // What is so without a word needs none here.
        if control.covers.len() > 1 {
            let covers: Vec<&str> = control.covers.iter().map(|area| area.as_str()).collect();
            fields.insert("covers", Field::Shown(covers.join(", ")));
        }
        all.insert((Section::Control, String::new()), fields);
    }
    for people in &document.people {
        let who = match &people.who {
            Who::Group(group) => format!("group {group}"),
            Who::Logins(logins) => format!("logins {}", joined(logins.iter())),
            Who::Schedule(schedule) => format!("schedule {schedule}"),
        };
        let fields = Fields::from([("who", Field::Shown(who))]);
        all.insert((Section::People, people.name.to_string()), fields);
    }
    for window in &document.windows {
        let fields = Fields::from([("open", Field::Shown(window.to_string()))]);
        all.insert((Section::Window, window.name.to_string()), fields);
    }
    for format in &document.tickets {
        let fields = Fields::from([("format", Field::Shown(format.text().to_owned()))]);
        all.insert((Section::Ticket, format.name.to_string()), fields);
    }
    for connector in &document.connectors {
        let drift = match connector.drift {
            Drift::Remove => "remove",
            Drift::Alarm => "alarm",
        };
        let fields = Fields::from([
            ("kind", Field::Shown(connector.kind.to_string())),
            ("drift", Field::Shown(drift.to_owned())),
            ("config", Field::Hidden(connector.config.to_string())),
        ]);
        all.insert((Section::Connector, connector.name.to_string()), fields);
    }
    for one in &document.resources {
        all.insert((Section::Resource, one.name.to_string()), resource(one));
        for (role, what) in &one.roles {
            let mut fields = Fields::from([("config", Field::Hidden(what.config.to_string()))]);
            fields.extend(statements(what.statements.as_ref()));
            all.insert((Section::Role, format!("{}/{role}", one.name)), fields);
        }
    }
    for environment in &document.environments {
        let name = environment.name.to_string();
        all.insert((Section::Environment, name), of_environment(environment));
    }
    for one in &document.guardrails {
        all.insert((Section::Guardrail, one.name.to_string()), guardrail(one));
    }
    for one in &document.rules {
        all.insert((Section::Rule, one.name.to_string()), rule(one));
    }
    if !document.tests.is_empty() {
        let fields = Fields::from([("count", Field::Shown(document.tests.len().to_string()))]);
        all.insert((Section::Tests, String::new()), fields);
    }
    all
}

/// What can be said of a rule and is told elsewhere: who, what, which steps and how long.
const PATH: [&str; 6] = ["allow", "to", "roles", "approval", "duration", "max"];

/// What rules and guardrails ask besides that, in words, by their names. What is declared elsewhere under a name that stands in it
/// is told with it: a window of other hours is another condition.
pub(crate) struct Besides {
    pub(crate) rules: BTreeMap<String, Vec<String>>,
    pub(crate) guardrails: BTreeMap<String, Vec<String>>,
}

impl Besides {
    pub(crate) fn of(document: &Document) -> Self {
        let (mut rules, mut guardrails) = (BTreeMap::new(), BTreeMap::new());
        let windows = document.windows.iter();
        let windows = windows.map(|window| (window.name.as_str(), window.to_string()));
        let formats = document.tickets.iter();
        let formats = formats.map(|format| (format.name.as_str(), format.text().to_owned()));
        let declared: BTreeMap<&str, String> = formats.chain(windows).collect();
        for ((section, name), fields) in things(document) {
            let told = fields.iter().filter(|(field, _)| !PATH.contains(field));
            let told = told.filter_map(|(field, value)| match value {
                Field::Shown(text) => Some(format!("{field} {}", explained(field, text, &declared))),
                Field::Hidden(_) => None,
            });
            let told: Vec<String> = told.collect();
            match section {
                Section::Rule => rules.insert(name, told),
                Section::Guardrail => guardrails.insert(name, told),
                _ => None,
            };
        }
        Self { rules, guardrails }
    }
}

/// The words of a condition, with what the names among them stand for.
fn explained(field: &str, text: &str, declared: &BTreeMap<&str, String>) -> String {
    if !["window", "forbid", "ticket"].contains(&field) {
        return text.to_owned();
    }
    let words = text.split([' ', ',']).filter(|word| !word.is_empty());
    let told = words.map(|word| {
        declared
            .get(word)
            .map_or_else(|| word.to_owned(), |what| format!("{word} ({what})"))
    });
    told.collect::<Vec<_>>().join(" ")
}

fn of_environment(environment: &Environment) -> Fields {
    Fields::from([
        ("resources", Field::Shown(environment.resources.to_string())),
        ("roles", Field::Shown(environment.roles_in_words())),
    ])
}

fn defaults(defaults: &Defaults) -> Fields {
    let Defaults {
        at: _,
        duration,
        max,
        pending,
        activation,
        settle,
        cool_down,
        delegates,
        reason_required,
    } = defaults;
    let span = |span: &Span| Field::Shown(span.to_string());
    let reason = if *reason_required { "required" } else { "optional" };
    Fields::from([
        ("duration", span(duration)),
        ("max", span(max)),
        ("pending", span(pending)),
        ("activation", span(activation)),
        ("settle", span(settle)),
        ("cool_down", span(cool_down)),
        ("delegates", self::delegates(delegates)),
        ("reason", Field::Shown(reason.to_owned())),
    ])
}

fn delegates(sets: &[(Name, At)]) -> Field {
    let sets: Vec<&str> = sets.iter().map(|(set, _)| set.as_str()).collect();
    Field::Shown(if sets.is_empty() {
        String::from("nobody")
    } else {
        sets.join(", ")
    })
}

fn resource(resource: &Resource) -> Fields {
    let labels: Vec<String> = resource
        .labels
        .iter()
        .map(|(label, value)| format!("{label}: {value}"))
        .collect();
    let access = match resource.access {
        Access::Direct => "direct",
        Access::Gateway => "gateway",
    };
    let owner = resource
        .owner
        .as_ref()
        .map_or_else(|| String::from("nobody"), ToString::to_string);
    let values = resource.gateway.is_some_and(|watch| watch.values);
    let on_failure = resource.gateway.map_or(OnFailure::End, |watch| watch.on_failure);
    let recording = resource.recording.map_or("not said", Recording::as_str);
    let mut fields = Fields::from([
        ("values", Field::Shown(values.to_string())),
        (
            "on_recording_failure",
            Field::Shown(on_failure.as_str().to_owned()),
        ),
        ("recording", Field::Shown(recording.to_owned())),
        ("kind", Field::Shown(resource.kind.to_string())),
        ("connector", Field::Shown(resource.connector.to_string())),
        ("labels", Field::Shown(format!("{{{}}}", labels.join(", ")))),
        ("owner", Field::Shown(owner)),
        ("access", Field::Shown(access.to_owned())),
        ("config", Field::Hidden(resource.config.to_string())),
    ]);
    fields.extend(statements(resource.statements.as_ref()));
    fields
}

/// The statements that are refused, where some are.
fn statements(denied: Option<&Denied>) -> Option<(&'static str, Field)> {
    denied.map(|denied| ("statements", Field::Shown(denied.to_string())))
}

fn guardrail(guardrail: &Guardrail) -> Fields {
    // All of it by name: what is added to it cannot be forgotten here.
    let Guardrail {
        name: _,
        at: _,
        to,
        max,
        max_total,
        forbid,
        steps,
        mfa,
        record,
    } = guardrail;
    let to = to
        .as_ref()
        .map_or_else(|| String::from("everything"), ToString::to_string);
    let mut fields = Fields::from([("to", Field::Shown(to))]);
    if let Some(max) = max {
        fields.insert("max", Field::Shown(max.to_string()));
    }
    if let Some(total) = max_total {
        fields.insert("max_total", Field::Shown(total.to_string()));
    }
    if !forbid.is_empty() {
        let windows = joined(forbid.iter().map(|(name, _)| name));
        fields.insert("forbid", Field::Shown(format!("window {windows}")));
    }
    if !steps.is_empty() {
        let steps: Vec<String> = steps.iter().map(step).collect();
        fields.insert("steps", Field::Shown(steps.join(" then ")));
    }
    if let Some(mfa) = mfa {
        fields.insert("mfa", Field::Shown(mfa.to_string()));
    }
    if *record {
        fields.insert("record", Field::Shown(String::from("required")));
    }
    fields
}

fn rule(rule: &Rule) -> Fields {
    let Rule {
        name: _,
        at: _,
        allow,
        to,
        roles,
        steps,
        break_glass,
        duration,
        max,
        cool_down,
        when,
        origin,
        end_when,
        mfa,
        notify,
    } = rule;
    let names = |names: &[(Name, At)]| joined(names.iter().map(|(name, _)| name));
    let roles = roles
        .as_ref()
        .map_or_else(|| String::from("all"), |roles| names(roles));
    let span = |span: &Option<Span>| {
        let text = span.map_or_else(|| String::from("default"), |span| span.to_string());
        Field::Shown(text)
    };
    let steps: Vec<String> = steps.iter().map(step).collect();
    let approval = if let Some(glass) = break_glass {
        let (page, review_by) = (&glass.page.0, &glass.review_by.0);
        format!(
            "break glass: pages {page}, reviewed by {review_by} within {}",
            glass.within
        )
    } else if steps.is_empty() {
        String::from("none")
    } else {
        steps.join(" then ")
    };
    let mut fields = Fields::from([
        ("allow", Field::Shown(names(allow))),
        ("to", Field::Shown(to.to_string())),
        ("roles", Field::Shown(roles)),
        ("approval", Field::Shown(approval)),
        ("duration", span(duration)),
        ("max", span(max)),
    ]);
    if let Some(mfa) = mfa {
        fields.insert("mfa", Field::Shown(mfa.to_string()));
    }
    if !notify.is_empty() {
        fields.insert("notify", Field::Shown(names(notify)));
    }
    if !end_when.is_empty() {
        let end_when: Vec<String> = end_when.iter().map(|(when, _)| when.to_string()).collect();
        fields.insert("end_when", Field::Shown(end_when.join(", ")));
    }
    if cool_down.is_some() {
        fields.insert("cool_down", span(cool_down));
    }
    if let Some(origin) = origin {
        fields.insert("source", Field::Shown(origin.to_string()));
    }
    fields.append(&mut conditions(when));
    fields
}

/// What must hold besides.
fn conditions(when: &When) -> Fields {
    let When {
        windows,
        ticket,
        uses,
        expression,
        unknown,
    } = when;
    let mut fields = Fields::new();
    if !windows.is_empty() {
        let windows = joined(windows.iter().map(|(name, _)| name));
        fields.insert("window", Field::Shown(windows));
    }
    if let Some(wanted) = ticket {
        fields.insert("ticket", Field::Shown(wanted.to_string()));
    }
    if let Some(uses) = uses {
        fields.insert("uses", Field::Shown(uses.to_string()));
    }
    if let Some(expression) = expression {
        fields.insert("if", Field::Shown(expression.text.clone()));
    }
    if !unknown.is_empty() {
        let unknown: Vec<String> = unknown.iter().map(ToString::to_string).collect();
        fields.insert("when", Field::Shown(unknown.join(", ")));
    }
    fields
}

fn step(step: &Step) -> String {
    let Step {
        at: _,
        from,
        count,
        within,
        silence,
        mfa,
        escalate_at: _,
    } = step;
    let mut text = told(&from.0, *count);
    if let Some(within) = within {
        text.push_str(&format!(" within {within}"));
    }
    if let Silence::Escalate { to, within } = silence {
        text.push_str(&format!(" else {to} within {within}"));
    }
    if let Some(mfa) = mfa {
        text.push_str(&format!(" mfa {mfa}"));
    }
    text
}

fn joined<'a>(names: impl Iterator<Item = &'a Name>) -> String {
    names.map(Name::as_str).collect::<Vec<_>>().join(", ")
}
