//! From trees to a [`Document`]: every file, section by section.

mod control;
mod demand;
mod end_when;
mod environment;
mod gateway;
mod path;
mod target;
mod test;
mod when;
mod window;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use daypass_core::name::Name;
use daypass_core::past::LONGEST;
use daypass_core::time::Span;

use crate::Source;
use crate::diagnostic::{At, Problems};
use crate::document::{Defaults, Document, People, Who};
use crate::fields::{Fields, Keys, Noted, expected, items, scalar};
use crate::nearest::quote;
use crate::ticket::Patterns;
use crate::tree::{self, Node, Value};

const FILE: Keys = Keys {
    what: "a policy file",
    known: &[
        "version",
        "defaults",
        "policy",
        "people",
        "windows",
        "tickets",
        "connectors",
        "resources",
        "environments",
        "guardrails",
        "rules",
        "tests",
    ],
    later: &[],
};

const DEFAULTS: Keys = Keys {
    what: "the defaults",
    known: &[
        "duration",
        "max",
        "pending",
        "activation",
        "settle",
        "cool_down",
        "delegates",
        "reason",
    ],
    later: &[],
};

const PEOPLE: Keys = Keys {
    what: "a set of people",
    known: &["group", "logins", "schedule"],
    later: &[],
};

/// What is declared, whether or not the rest of it could be read: a reference to it is then no second mistake.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    pub(crate) people: Names,
    pub(crate) windows: Names,
    pub(crate) tickets: Names,
    pub(crate) connectors: Names,
    pub(crate) resources: Names,
    environments: Names,
    guardrails: Names,
    rules: Names,
    patterns: Patterns,
}

/// The names of one section, over all files.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) at: BTreeMap<Name, At>,
    /// Something in the section could not be read at all: what is missing may be in it.
    pub(crate) torn: bool,
}

impl Declared {
    fn tear(&mut self) {
        for names in [
            &mut self.people,
            &mut self.windows,
            &mut self.tickets,
            &mut self.connectors,
            &mut self.resources,
            &mut self.environments,
            &mut self.guardrails,
            &mut self.rules,
        ] {
            names.torn = true;
        }
    }
}

/// What the files say, and what they declare.
pub(crate) struct Reading {
    pub(crate) document: Document,
    pub(crate) declared: Declared,
}

/// Reads every file; what is wrong is noted.
pub(crate) fn read(sources: &[Source], problems: &mut Problems<'_>) -> Reading {
    let mut reading = Reading {
        document: Document::default(),
        declared: Declared::default(),
    };
    for (index, source) in sources.iter().enumerate() {
        match tree::parse(index, source, problems) {
            Some(node) => file(&node, &mut reading, problems),
            None => reading.declared.tear(),
        }
    }
    reading
}

fn file(node: &Node, reading: &mut Reading, problems: &mut Problems<'_>) {
    if matches!(node.value, Value::Null) {
        problems.note(
            node.at,
            "the file is empty",
            "a policy file begins with version: 1",
        );
        return;
    }
    let Some(fields) = Fields::of(node, &FILE, problems) else {
        reading.declared.tear();
        return;
    };
    version(&fields, problems);
    let Reading { document, declared } = reading;
    declared.people.torn |= fields.misspelt("people");
    declared.windows.torn |= fields.misspelt("windows");
    declared.tickets.torn |= fields.misspelt("tickets");
    declared.connectors.torn |= fields.misspelt("connectors");
    declared.resources.torn |= fields.misspelt("resources");
    if let Some(node) = fields.get("defaults") {
        defaults(node, &mut document.defaults, problems);
    }
    if let Some(node) = fields.get("policy") {
        control::control(node, &mut document.control, problems);
    }
    if let Some(node) = fields.get("people") {
        people(node, document, declared, problems);
    }
    if let Some(node) = fields.get("windows") {
        document.windows.extend(window::windows(node, declared, problems));
    }
    if let Some(node) = fields.get("tickets") {
        document.tickets.extend(when::tickets(node, declared, problems));
    }
    for node in section(&fields, "connectors", problems) {
        document
            .connectors
            .extend(target::connector(node, declared, problems));
    }
    for node in section(&fields, "resources", problems) {
        document
            .resources
            .extend(target::resource(node, declared, problems));
    }
    if let Some(node) = fields.get("environments") {
        let read = environment::environments(node, declared, problems);
        document.environments.extend(read);
    }
    for node in section(&fields, "guardrails", problems) {
        document
            .guardrails
            .extend(path::guardrail(node, declared, problems));
    }
    for node in section(&fields, "rules", problems) {
        document.rules.extend(path::rule(node, declared, problems));
    }
    for node in section(&fields, "tests", problems) {
        document.tests.extend(test::test(node, problems));
    }
}

fn version(fields: &Fields<'_>, problems: &mut Problems<'_>) {
    let Some(node) = fields.required("version", problems) else {
        return;
    };
    if node.text() != Some("1") {
        let found = node.text().map_or_else(|| node.kind().to_owned(), quote);
        problems.note(
            node.at,
            format!("version {found} of the language is not known"),
            "this version of Daypass reads version: 1",
        );
    }
}

/// The items of a section of the file; a section that is there and empty has none.
fn section<'n>(fields: &Fields<'n>, key: &'static str, problems: &mut Problems<'_>) -> &'n [Node] {
    match fields.get(key) {
        None => &[],
        Some(node) if matches!(node.value, Value::Null) => &[],
        Some(node) => items(&format!("\"{key}\""), node, problems),
    }
}

/// Declares a name once.
fn declare(
    what: &str,
    name: &Name,
    at: At,
    declared: &mut Names,
    problems: &mut Problems<'_>,
) -> Result<(), Noted> {
    match declared.at.entry(name.clone()) {
        Entry::Vacant(vacant) => {
            vacant.insert(at);
            Ok(())
        }
        Entry::Occupied(first) => {
            let place = problems.place(*first.get());
            problems.note(
                at,
                format!("the {what} {name} is there twice"),
                format!("the first is at {place}; names are unique over all files"),
            );
            Err(Noted)
        }
    }
}

fn defaults(node: &Node, defaults: &mut Defaults, problems: &mut Problems<'_>) {
    let Some(fields) = Fields::of(node, &DEFAULTS, problems) else {
        return;
    };
    if let Some(first) = defaults.at {
        let hint = format!("the first are at {}", problems.place(first));
        problems.note(fields.at, "the defaults are there twice", hint);
        return;
    }
    let wrote = |key| fields.has(key);
    let mut read = Defaults {
        at: Some(fields.at),
        ..Defaults::default()
    };
    for (key, value) in [
        ("duration", &mut read.duration),
        ("max", &mut read.max),
        ("pending", &mut read.pending),
        ("activation", &mut read.activation),
    ] {
        if let Ok(Some(span)) = length(&fields, key, problems) {
            *value = span;
        }
    }
    if let Ok(Some(span)) = fields.optional("settle", problems) {
        read.settle = span;
    }
    if let Ok(Some(span)) = cool_down(&fields, problems) {
        read.cool_down = span;
    }
    let delegates = fields.get("delegates");
    if let Some(sets) = delegates.and_then(|node| path::names("delegates", node, problems)) {
        read.delegates = sets;
    }
    if let Some(node) = fields.get("reason") {
        match node.text() {
            Some("required") => read.reason_required = true,
            Some("optional") => read.reason_required = false,
            _ => expected("required or optional", "\"reason\"", node, problems),
        }
    }
    if read.duration > read.max {
        if let (true, Some(node)) = (wrote("max"), fields.get("duration")) {
            let what = format!("duration {} is longer than max {}", read.duration, read.max);
            problems.note(node.at, what, "shorten the one or lengthen the other");
        } else if wrote("duration") {
            // Only `duration` is written: what nobody said must not contradict it.
            read.max = read.duration;
        }
        read.duration = read.duration.min(read.max);
    }
    *defaults = read;
}

/// A length of time that is not nothing.
fn length(fields: &Fields<'_>, key: &str, problems: &mut Problems<'_>) -> Result<Option<Span>, Noted> {
    let span: Option<Span> = fields.optional(key, problems)?;
    if let (Some(Span::ZERO), Some(node)) = (span, fields.get(key)) {
        problems.note(node.at, format!("{key} must be longer than nothing"), "");
        return Err(Noted);
    }
    Ok(span)
}

/// How long a denial keeps somebody from asking again; nothing at all is a length here.
fn cool_down(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Result<Option<Span>, Noted> {
    let span: Option<Span> = fields.optional("cool_down", problems)?;
    if let (Some(long), Some(node)) = (span.filter(|span| *span > LONGEST), fields.get("cool_down")) {
        let what = format!("cool_down: {long} is too long; the longest is {LONGEST}");
        problems.note(node.at, what, "");
        return Err(Noted);
    }
    Ok(span)
}

fn people(node: &Node, document: &mut Document, declared: &mut Declared, problems: &mut Problems<'_>) {
    let Value::Map(entries) = &node.value else {
        if !matches!(node.value, Value::Null) {
            expected("a map of names to sets", "\"people\"", node, problems);
        }
        return;
    };
    for (key, node) in entries {
        let name: Name = match key.text.parse() {
            Ok(name) => name,
            Err(error) => {
                problems.note(key.at, format!("people: {error}"), "");
                declared.people.torn = true;
                continue;
            }
        };
        if name.as_str() == "manager" {
            let hint = "\"manager\" is always the requester's manager; call the set something else";
            problems.note(key.at, "no set of people may be called manager", hint);
            continue;
        }
        if declare("set of people", &name, key.at, &mut declared.people, problems).is_err() {
            continue;
        }
        if let Some(who) = who(node, problems) {
            document.people.push(People { name, who });
        }
    }
}

fn who(node: &Node, problems: &mut Problems<'_>) -> Option<Who> {
    let fields = Fields::of(node, &PEOPLE, problems)?;
    match (fields.get("group"), fields.get("logins"), fields.get("schedule")) {
        (Some(group), None, None) => scalar("group", group, problems).map(Who::Group),
        (None, Some(logins), None) => {
            let items = items("\"logins\"", logins, problems);
            let read: Vec<Option<Name>> = items
                .iter()
                .map(|item| scalar("logins", item, problems))
                .collect();
            if items.is_empty() && matches!(logins.value, Value::List(_)) {
                let hint = "name at least one account, or remove the set";
                problems.note(logins.at, "this set of people is empty", hint);
                return None;
            }
            read.into_iter().collect::<Option<_>>().map(Who::Logins)
        }
        (None, None, Some(schedule)) => {
            let text: String = scalar("schedule", schedule, problems)?;
            Some(Who::Schedule(text))
        }
        _ if !fields.is_understood() => None,
        _ => {
            let what = "a set of people has exactly one of group, logins and schedule";
            problems.note(fields.at, what, "write for instance {group: engineering}");
            None
        }
    }
}
