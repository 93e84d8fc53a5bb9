//! Accounts, groups, sessions and tokens on the wire.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use daypass_api::{login, person as api};
use daypass_core::id::PersonId;
use daypass_core::name::Name;
use daypass_core::person::Person;
use daypass_core::text::Hash;
use daypass_engine::Snapshot;
use daypass_policy::cared_for;
use daypass_store::{TokenKind, TokenRow};

use crate::http::access::{resources, scopes};

/// An account.
#[must_use]
pub(crate) fn person(person: &Person, people: &Snapshot) -> api::Person {
    api::Person {
        id: person.id,
        login: people.login(person.id),
        display: person.display.text().to_owned(),
        kind: person.kind.into(),
        role: person.role.into(),
        groups: person.groups.clone(),
        manager: person.manager.map(|manager| people.login(manager)),
        owner: person.owner.map(|owner| people.login(owner)),
        orphaned: cared_for(person, people).err().map(|refusal| refusal.what),
        owns: people
            .services_of(person.id)
            .iter()
            .map(|service| people.login(*service))
            .collect(),
        mail: person
            .mail
            .as_ref()
            .map(|mail| mail.text().to_owned())
            .filter(|mail| !mail.is_empty()),
        handles: person
            .handles
            .iter()
            .map(|(namespace, handle)| (namespace.clone(), handle.to_string()))
            .collect(),
        active: person.active,
        changed_at: person.changed_at,
    }
}

/// A group with its active members.
#[must_use]
pub(crate) fn group(name: &Name, members: &[PersonId], people: &Snapshot) -> api::Group {
    let mut members: Vec<String> = members.iter().map(|member| people.login(*member)).collect();
    members.sort_unstable();
    api::Group {
        name: name.clone(),
        members,
    }
}

/// A session or token, without its secret.
#[must_use]
pub(crate) fn token(row: &TokenRow, people: &Snapshot) -> login::Token {
    login::Token {
        id: row.id,
        login: people.login(row.person),
        name: row.name.clone(),
        via: via(row),
        created_at: row.created_at,
        expires_at: row.expires_at,
    }
}

/// The digest of a public key, as `ssh-keygen -l` shows it.
pub(super) fn fingerprint(digest: &Hash) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(digest.bytes()))
}

/// What kind of credential it is.
#[must_use]
pub(crate) fn via(row: &TokenRow) -> login::Via {
    match &row.kind {
        TokenKind::Session => login::Via::Session,
        TokenKind::Api { scopes: written } => login::Via::Token {
            scopes: scopes(written),
            resources: resources(written),
        },
        TokenKind::Gateway { .. } => login::Via::Gateway,
        TokenKind::SshKey => login::Via::SshKey {
            fingerprint: fingerprint(&row.hash),
        },
    }
}
