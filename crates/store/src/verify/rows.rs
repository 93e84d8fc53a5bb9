//! The rows of the tables as they stand: each document under its own id, with the columns beside it that decide something.

use std::collections::BTreeMap;
use std::fmt::Display;

use daypass_core::change::Change;
use daypass_core::entitlement::Entitlement;
use daypass_core::event::{Event, PolicyEvent, What};
use daypass_core::grant::{Grant, State as GrantState};
use daypass_core::key::Standing;
use daypass_core::lock::Lock;
use daypass_core::person::Person;
use daypass_core::request::Request;
use daypass_core::text::Hash;
use daypass_core::time::Timestamp;
use daypass_core::world::World;
use serde::de::DeserializeOwned;

use super::Check;
use crate::error::{Error, Result};
use crate::grants;
use crate::link::Link;
use crate::people;
use crate::value::Row;

/// The state that the tables hold. Free texts are closed.
pub(super) async fn load(link: &mut Link) -> Result<World> {
    let text = "SELECT id, state, document FROM requests ORDER BY id";
    let requests = taken("request", &link.rows(text, &[]).await?, |one: &Request| {
        (one.id, one.state.name())
    })?;
    let text = "SELECT id, state, document, holder, due_at, wakes_at, over_at FROM grants ORDER BY id";
    let rows = link.rows(text, &[]).await?;
    let grants = taken("grant", &rows, |one: &Grant| (one.id, one.state.name()))?;
    for row in &rows {
        if let Some(grant) = grants.get(&row.parse(0)?) {
            deadlines(row, grant)?;
        }
    }
    let text = "SELECT connector || ':' || target_key, state, document FROM entitlements ORDER BY connector, target_key";
    let rows = link.rows(text, &[]).await?;
    let entitlements = taken("entitlement", &rows, |one: &Entitlement| {
        (one.key.clone(), one.observed.name())
    })?;
    let text = "SELECT id, state, document, login FROM people ORDER BY id";
    let rows = link.rows(text, &[]).await?;
    let people = taken("person", &rows, |one: &Person| {
        (one.id, if one.active { "active" } else { "inactive" })
    })?;
    let text = "SELECT id, state, document FROM locks ORDER BY id";
    let locks = taken("lock", &link.rows(text, &[]).await?, |one: &Lock| {
        (one.on.clone(), one.state.name())
    })?;
    let text = "SELECT id, state, document FROM changes ORDER BY id";
    let changes = taken("change", &link.rows(text, &[]).await?, |one: &Change| {
        (one.id, one.state.name())
    })?;
    let text = "SELECT id, state, document FROM key_states ORDER BY id";
    let keys = taken("key", &link.rows(text, &[]).await?, |one: &Standing| {
        (one.key.clone(), one.phase.name())
    })?;
    let policy = link.row("SELECT revision FROM policy_state", &[]).await?;
    Ok(World {
        requests,
        grants,
        entitlements,
        people,
        locks,
        changes,
        keys,
        directory: people::changes(link).await?,
        policy: policy.map(|row| row.parse(0)).transpose()?,
        ..World::default()
    })
}

/// The documents of rows of `id, state, document`.
fn taken<K: Ord + Display, V: DeserializeOwned>(
    kind: &str,
    rows: &[Row],
    named: impl Fn(&V) -> (K, &'static str),
) -> Result<BTreeMap<K, V>> {
    let mut all = BTreeMap::new();
    for row in rows {
        let (id, state) = (row.text(0)?, row.text(1)?);
        let differs = |what: String| Check::Tables.differs(format!("{kind} {id}: {what}"));
        let document: V = serde_json::from_str(row.text(2)?)
            .map_err(|error| differs(format!("its document cannot be read: {error}")))?;
        let (key, named) = named(&document);
        if key.to_string() != id {
            return Err(differs(format!("its document is that of {key}")));
        }
        if named != state {
            return Err(differs(format!(
                "its column state says {state}, its document {named}"
            )));
        }
        all.insert(key, document);
    }
    Ok(all)
}

/// The columns by which the reconciler finds what is due.
fn deadlines(row: &Row, grant: &Grant) -> Result<()> {
    let (mut due_at, wakes_at) = grants::times(&grant.state, Timestamp::EPOCH);
    if matches!(grant.state, GrantState::Activating { .. }) {
        // Since when it is due was the time of the writing.
        due_at = row.maybe_time(4)?;
    }
    let over_at = grants::over_at(&grant.state);
    for (column, nth, said) in [
        ("due_at", 4, due_at),
        ("wakes_at", 5, wakes_at),
        ("over_at", 6, over_at),
    ] {
        let stands = row.maybe_time(nth)?;
        if stands != said {
            let told = |at: Option<Timestamp>| at.map_or_else(|| "nothing".to_owned(), |at| at.to_string());
            let what = format!(
                "grant {}: its column {column} says {}, its document {}",
                grant.id,
                told(stands),
                told(said)
            );
            return Err(Check::Tables.differs(what));
        }
    }
    if row.text(3)? != grant.holder.to_string() {
        return Err(Check::Tables.differs(format!(
            "grant {}: its column holder names somebody else",
            grant.id
        )));
    }
    Ok(())
}

/// The files of each policy that was in force, against the hashes that its event has of them.
pub(super) async fn policies(link: &mut Link) -> Result<()> {
    let text = "SELECT events.bytes, policies.revision, policies.sources \
                FROM policies LEFT JOIN events ON events.id = policies.event_id ORDER BY policies.event_id";
    for row in &link.rows(text, &[]).await? {
        let revision = row.text(1)?;
        let differs = |what: &str| Check::Tables.differs(format!("policy {revision}: {what}"));
        let event: Event = serde_json::from_slice(row.bytes(0)?).map_err(Error::corrupt)?;
        let What::Policy(PolicyEvent::Applied {
            revision: of, files, ..
        }) = &event.what
        else {
            return Err(differs("the event beside it put no policy in force"));
        };
        let sources: Vec<(String, String)> = row.json(2)?;
        let hashed: Vec<(String, Hash)> = sources
            .into_iter()
            .map(|(name, text)| (name, Hash::of(text.as_bytes())))
            .collect();
        if of.to_string() != revision || hashed != *files {
            return Err(differs(
                "its files in the tables are not those that the log has the hashes of",
            ));
        }
    }
    Ok(())
}
