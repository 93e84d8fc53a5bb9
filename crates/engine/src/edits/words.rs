//! What an edit of an account does, in words: one line for each thing, as reviewers read it. Pure.

use daypass_core::edit::{Act, Edit};
use daypass_core::handle::Handle;
use daypass_core::id::PersonId;
use daypass_core::name::Name;
use daypass_core::person::{Kind, Person, SystemRole};
use daypass_core::text::Prose;

use crate::directory::Snapshot;

/// What an edit does, line by line, such as `+ ana joins security`. Mail addresses are told where `addresses` says so: to those who
/// are to agree to one.
#[must_use]
pub fn told(edit: &Edit, people: &Snapshot, addresses: bool) -> Vec<String> {
    let who = people.login(edit.person);
    let manager = |id: &Option<PersonId>| id.map_or_else(|| String::from("nobody"), |id| people.login(id));
    match &edit.act {
        Act::Add { person, password } => added(person, *password, people, addresses),
        Act::Groups { join, leave } => {
            let joins = join.iter().map(|group| format!("+ {who} joins {group}"));
            let leaves = leave.iter().map(|group| format!("- {who} leaves {group}"));
            joins.chain(leaves).collect()
        }
        Act::Manager { from, to } => {
            let (from, to) = (manager(from), manager(to));
            vec![format!("~ the manager of {who}: {from} → {to}")]
        }
        Act::Owner { from, to } => {
            let (from, to) = (manager(from), people.login(*to));
            vec![format!(
                "~ who answers for {who}: {from} → {to}; all tokens of it end"
            )]
        }
        Act::Role { from, to } => vec![format!("~ the role of {who}: {} → {}", role(*from), role(*to))],
        Act::Mail { from, to } => vec![mail(&who, from.as_ref(), to.as_ref(), addresses)],
        Act::Handle { namespace, from, to } => vec![handle(&who, namespace, from.as_ref(), to.as_ref())],
        Act::Reactivate {
            role: of,
            groups,
            handles,
        } => {
            let mut lines = vec![format!("+ {who} is switched on again, as {}", role(*of))];
            lines.extend(groups.iter().map(|group| format!("+ {who} is in {group}")));
            let known = handles.iter();
            lines.extend(known.map(|(namespace, handle)| format!("+ {who} is {handle} in {namespace}")));
            lines
        }
        Act::Password => vec![format!(
            "~ another password for {who}; all sessions and tokens of theirs end"
        )],
        Act::Token {
            name,
            scopes,
            lifetime,
            ..
        } => {
            let may: Vec<&str> = scopes.iter().map(String::as_str).collect();
            let (name, may) = (plain(name), may.join(", "));
            vec![format!(
                "+ a token of {who} called {name}, for {lifetime}, which may {may}"
            )]
        }
    }
}

fn added(person: &Person, password: bool, people: &Snapshot, addresses: bool) -> Vec<String> {
    let who = plain(&person.login);
    let kind = match person.kind {
        Kind::Person => "the account",
        Kind::Service => "the service account",
    };
    let with = if password { ", with a first password" } else { "" };
    let (display, role) = (plain(&person.display), role(person.role));
    let mut lines = vec![format!("+ {kind} {who} ({display}), as {role}{with}")];
    lines.extend(
        person
            .groups
            .iter()
            .map(|group: &Name| format!("+ {who} joins {group}")),
    );
    if let Some(owner) = person.owner {
        lines.push(format!("+ {} answers for {who}", people.login(owner)));
    }
    if let Some(manager) = person.manager {
        lines.push(format!("+ the manager of {who} is {}", people.login(manager)));
    }
    if let Some(to) = person.mail.as_deref() {
        lines.push(mail(&who, None, Some(to), addresses));
    }
    lines
}

/// A handle is shown whole: it is what those who are to agree must look at.
fn handle(who: &str, namespace: &Name, from: Option<&Handle>, to: Option<&Handle>) -> String {
    match (from, to) {
        (None, Some(to)) => format!("+ {who} is {to} in {namespace}, and gets what is given there"),
        (Some(from), Some(to)) => {
            format!("~ {who} in {namespace}: {from} → {to}; what was given to the first ends")
        }
        (from, None) => {
            let from = from.map_or("", Handle::as_str);
            format!("- {who} is not {from} in {namespace} any more; what was given to it ends")
        }
    }
}

fn mail(who: &str, from: Option<&Prose>, to: Option<&Prose>, addresses: bool) -> String {
    if !addresses {
        return format!("~ mail for {who} goes elsewhere");
    }
    let shown = |mail: Option<&Prose>| mail.map_or_else(|| String::from("nowhere"), plain);
    format!("~ mail for {who}: {} → {}", shown(from), shown(to))
}

/// What somebody wrote, with nothing in it that a reader could take for something else; what was erased is told as that.
fn plain(text: &Prose) -> String {
    let shown: String = text
        .text()
        .chars()
        .filter(|c| !daypass_core::text::is_hostile(*c))
        .collect();
    if shown.is_empty() {
        String::from("(erased)")
    } else {
        shown
    }
}

const fn role(role: SystemRole) -> &'static str {
    match role {
        SystemRole::Member => "member",
        SystemRole::Auditor => "auditor",
        SystemRole::Administrator => "administrator",
    }
}
