//! Reads environments: a selector of resources, and roles that stand for roles of each kind of them.

use daypass_core::name::Name;

use super::path::selector;
use super::{Declared, declare};
use crate::diagnostic::{At, Problems};
use crate::environment::{Environment, Role, Stands};
use crate::fields::{Fields, Keys, expected, scalar};
use crate::tree::{Node, Value};

const ENVIRONMENT: Keys = Keys {
    what: "an environment",
    known: &["resources", "roles"],
    later: &[],
};

pub(super) fn environments(
    node: &Node,
    declared: &mut Declared,
    problems: &mut Problems<'_>,
) -> Vec<Environment> {
    let Value::Map(entries) = &node.value else {
        if !matches!(node.value, Value::Null) {
            expected(
                "a map of names to environments",
                "\"environments\"",
                node,
                problems,
            );
        }
        return Vec::new();
    };
    let mut read = Vec::new();
    for (key, node) in entries {
        let Some(name) = named("environments", &key.text, key.at, problems) else {
            continue;
        };
        let fresh = declare("environment", &name, key.at, &mut declared.environments, problems);
        if let (Some(environment), Ok(())) = (environment(name, node, problems), fresh) {
            read.push(environment);
        }
    }
    read
}

fn environment(name: Name, node: &Node, problems: &mut Problems<'_>) -> Option<Environment> {
    let fields = Fields::of(node, &ENVIRONMENT, problems)?;
    let resources = fields
        .required("resources", problems)
        .and_then(|node| selector("resources", node, problems));
    let roles = fields
        .required("roles", problems)
        .and_then(|node| roles(node, problems));
    Some(Environment {
        name,
        resources: resources?,
        roles: roles?,
    })
}

fn roles(node: &Node, problems: &mut Problems<'_>) -> Option<Vec<Role>> {
    let entries = map("\"roles\"", "{debug: {postgres: read}}", node, problems)?;
    let read: Vec<Option<Role>> = entries
        .iter()
        .map(|(key, node)| {
            let name = named("roles", &key.text, key.at, problems);
            let what = format!("the role {}", key.text);
            let entries = map(&what, "{postgres: read}", node, problems)?;
            let stands: Vec<Option<Stands>> = entries
                .iter()
                .map(|(key, node)| {
                    let kind = named(&what, &key.text, key.at, problems);
                    let role = scalar(&key.text, node, problems);
                    Some(Stands {
                        kind: kind?,
                        kind_at: key.at,
                        role: role?,
                        role_at: node.at,
                    })
                })
                .collect();
            Some(Role {
                name: name?,
                at: key.at,
                stands: stands.into_iter().collect::<Option<_>>()?,
            })
        })
        .collect();
    read.into_iter().collect()
}

/// The entries of a map that has some.
fn map<'n>(
    what: &str,
    example: &str,
    node: &'n Node,
    problems: &mut Problems<'_>,
) -> Option<&'n [(crate::tree::Key, Node)]> {
    match &node.value {
        Value::Map(entries) if entries.is_empty() => {
            let hint = format!("write for instance {example}");
            problems.note(node.at, format!("{what} stands for nothing"), hint);
            None
        }
        Value::Map(entries) => Some(entries),
        _ => {
            expected(&format!("a map such as {example}"), what, node, problems);
            None
        }
    }
}

fn named(what: &str, text: &str, at: At, problems: &mut Problems<'_>) -> Option<Name> {
    match text.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            problems.note(at, format!("{what}: {error}"), "");
            None
        }
    }
}
