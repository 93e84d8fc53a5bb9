//! Explicit grants in a role's configuration: `{on: table, schema: public, name: orders, privileges: [select, insert]}`.
//!
//! There is no raw SQL: each grant names a kind of thing, the thing, and privileges of that kind.

use serde_json::Value;

use super::config::{Grant, name};
use super::quote::{Ident, Unquotable, ident};
use crate::config::{self, Problems};

/// What privileges are granted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Object {
    /// The resource's database.
    Database,
    /// A schema.
    Schema(String),
    /// A table, view or the like: schema and name.
    Table(String, String),
    /// A sequence: schema and name.
    Sequence(String, String),
    /// All tables and views that are in a schema when the access is provisioned.
    AllTables(String),
    /// All sequences in a schema.
    AllSequences(String),
    /// All functions and procedures in a schema.
    AllRoutines(String),
}

/// Privileges, as PostgreSQL's words for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Privileges(Vec<&'static str>);

/// The words of `on`, with the privileges that can be granted there.
const KINDS: [(&str, &[&str]); 7] = [
    ("database", &["connect", "temporary", "create"]),
    ("schema", &["usage", "create"]),
    ("table", TABLE),
    ("sequence", SEQUENCE),
    ("all-tables", TABLE),
    ("all-sequences", SEQUENCE),
    ("all-routines", &["execute"]),
];

const TABLE: &[&str] = &["select", "insert", "update", "delete", "truncate"];
const SEQUENCE: &[&str] = &["usage", "select", "update"];

/// Table privileges that are not granted one by one: what is done with them stays behind.
const PLANTS: [(&str, &str); 3] = [
    (
        "trigger",
        "a trigger runs its author's code with the rights of everybody who writes to the table",
    ),
    ("references", "a foreign key stays behind and blocks others"),
    (
        "maintain",
        "it locks tables and gives nothing that a short access is for",
    ),
];

/// Reads one grant.
pub(super) fn read(value: &Value, at: &str, problems: &mut Problems) -> Option<Grant> {
    let object = config::Object::read(value, at, &["on", "schema", "name", "privileges"], problems)?;
    let on = object.need_text("on", problems)?;
    let Some((_, known)) = KINDS.iter().find(|(kind, _)| *kind == on) else {
        problems.add(
            &object.at("on"),
            config::unknown("thing to grant on", on, &KINDS.map(|(kind, _)| kind)),
        );
        return None;
    };
    let schema = match object.get("schema") {
        None => Some("public"),
        Some(_) => name(&object, "schema", problems),
    };
    let named = matches!(on, "table" | "sequence");
    let own = if named {
        object.need("name", problems);
        name(&object, "name", problems)
    } else {
        if object.get("name").is_some() {
            problems.add(&object.at("name"), format!("a grant on {on} takes no name"));
        }
        None
    };
    if on == "database" && object.get("schema").is_some() {
        problems.add(&object.at("schema"), "a grant on the database takes no schema");
    }
    if on == "schema" && object.get("schema").is_none() {
        problems.add(at, "the key schema is missing");
    }
    let privileges = privileges(&object, known, problems);
    let schema = schema?.to_owned();
    let on = match (on, own) {
        ("database", _) => Object::Database,
        ("schema", _) => Object::Schema(schema),
        ("all-tables", _) => Object::AllTables(schema),
        ("all-sequences", _) => Object::AllSequences(schema),
        ("all-routines", _) => Object::AllRoutines(schema),
        ("table", Some(own)) => Object::Table(schema, own.to_owned()),
        ("sequence", Some(own)) => Object::Sequence(schema, own.to_owned()),
        _ => return None,
    };
    Some(Grant {
        on,
        privileges: Privileges(privileges),
    })
}

fn privileges(
    object: &config::Object<'_>,
    known: &'static [&'static str],
    problems: &mut Problems,
) -> Vec<&'static str> {
    let mut out = Vec::new();
    let list = object.list("privileges", problems);
    if list.is_empty() {
        problems.add(
            &object.at("privileges"),
            format!("name privileges: {}", known.join(", ")),
        );
    }
    for (at, item) in list {
        let word = item.as_str().unwrap_or_default().to_ascii_lowercase();
        match (
            known.iter().find(|known| **known == word),
            PLANTS.iter().find(|(plant, _)| *plant == word),
        ) {
            (Some(known), _) => out.push(*known),
            (None, Some((plant, why))) => problems.add(&at, format!("{plant} is not granted: {why}")),
            (None, None) => problems.add(&at, config::unknown("privilege here", &word, known)),
        }
    }
    out
}

impl Grant {
    /// The statement that grants it to a role, in the resource's database.
    pub(super) fn sql(&self, database: &Ident, role: &Ident) -> Result<String, Unquotable> {
        let on = match &self.on {
            Object::Database => format!("DATABASE {database}"),
            Object::Schema(schema) => format!("SCHEMA {}", ident(schema)?),
            Object::Table(schema, name) => format!("TABLE {}.{}", ident(schema)?, ident(name)?),
            Object::Sequence(schema, name) => format!("SEQUENCE {}.{}", ident(schema)?, ident(name)?),
            Object::AllTables(schema) => format!("ALL TABLES IN SCHEMA {}", ident(schema)?),
            Object::AllSequences(schema) => format!("ALL SEQUENCES IN SCHEMA {}", ident(schema)?),
            Object::AllRoutines(schema) => format!("ALL ROUTINES IN SCHEMA {}", ident(schema)?),
        };
        // The privileges are words of KINDS, never the policy's own text.
        Ok(format!(
            "GRANT {} ON {on} TO {role}",
            self.privileges.0.join(", ")
        ))
    }
}
