//! Sealing everything by another key.
//!
//! The new key comes first in the file, before the old one. Then every value is sealed anew, in one transaction. Then the old line is
//! taken out. Between any two of these all values can be opened, and the next run goes on from there: it makes no other key while the
//! file has two.
//!
//! Servers that share a store have a file each, which nobody but their operator can change everywhere at once. There the operator puts
//! the new line first in each of them and takes the old one out of each; what is in between is done here.

use std::collections::BTreeMap;

use daypass_api::key::{OtherKey, Sealing};
use daypass_core::event::{Actor, Subject, What};
use daypass_core::id::PersonId;
use daypass_core::key::{Event, Key};
use daypass_core::refusal::Code;
use daypass_providers::Error as TargetError;
use daypass_store::{Outcome, Scope, Sealed, Side, Store};

use crate::app::Parts;
use crate::authorities::about;
use crate::http::problem::{Answer, Failure};
use crate::sealing::{KeyFile, KeyId, Keyring, sealed_by};

/// How often what another server sealed meanwhile by the old key is sealed anew.
const ROUNDS: usize = 5;

fn file(app: &Parts) -> Answer<&KeyFile> {
    app.sealing.as_ref().ok_or_else(|| {
        Failure::new(
            Code::NotFound,
            "server.yaml names no sealing_key, so nothing is sealed",
        )
        .hint("docs/operations.md says how to make one")
    })
}

fn failed(error: TargetError) -> Failure {
    Failure::new(Code::Invalid, error.detail)
}

/// By which keys everything is sealed.
///
/// # Errors
/// Where there is no key, or the file or the store cannot be read.
pub(crate) async fn look(app: &Parts) -> Answer<Sealing> {
    let ring = file(app)?.read().await.map_err(failed)?;
    let store = app.engine.store();
    let mut count: BTreeMap<Option<KeyId>, u64> = BTreeMap::new();
    for value in store.sealed().await? {
        *count.entry(sealed_by(&value.bytes)).or_default() += 1;
    }
    let first = ring.ids().next();
    let values = count.remove(&first).unwrap_or_default();
    for other in ring.ids().skip(1) {
        count.entry(Some(other)).or_default();
    }
    let others = count.into_iter().map(|(id, values)| OtherKey {
        id: id.map(|id| id.to_string()),
        values,
        here: id.is_none_or(|id| ring.ids().any(|known| known == id)),
    });
    Ok(Sealing {
        id: first.map(|first| first.to_string()).unwrap_or_default(),
        values,
        others: others.collect(),
        at: store.now().await?,
    })
}

/// Begins where the file has one key, and goes on where it has more.
///
/// # Errors
/// Where somebody else has to do something first, a value cannot be opened, or the file or the store cannot be written.
pub(crate) async fn rotate(app: &Parts, by: PersonId) -> Answer<Sealing> {
    // The newest store, once it is put back, may be sealed by a key that the file would lose here.
    app.engine.may_give().map_err(Failure::from)?;
    let (file, store) = (file(app)?, app.engine.store());
    let mut ring = file.read().await.map_err(failed)?;
    // What cannot be opened now must not be found out half way.
    anew(store, &ring).await?;
    if ring.ids().nth(1).is_none() {
        if !file.is_ours() {
            return Err(by_hand(file, "servers that share a PostgreSQL have a file each"));
        }
        if let Err(error) = file.add().await {
            return Err(by_hand(file, &error.detail));
        }
        ring = file.read().await.map_err(failed)?;
    }
    for _ in 0..ROUNDS {
        if !reseal(store, &ring, by).await? {
            break;
        }
    }
    let now = look(app).await?;
    // Whoever needs an old key still, keeps it.
    if file.is_ours() && now.others.iter().all(|other| other.values == 0) {
        if let Err(error) = file.keep_first().await {
            tracing::warn!(%error, "the file of sealing_key keeps a key that is not needed any more");
        }
        return look(app).await;
    }
    Ok(now)
}

/// What to do where the file is not written here.
fn by_hand(file: &KeyFile, why: &str) -> Failure {
    let what = format!(
        "the file {} is not changed from here: {why}",
        file.path().display()
    );
    Failure::new(Code::Invalid, what).hint(
        "put a new key as the first line, before the old one, into the file of each server (head -c 32 /dev/urandom | base64); \
         when all have it, run this again, and then take the old line out everywhere",
    )
}

/// Everything that is not sealed by the first key, with what it becomes.
async fn anew(store: &Store, ring: &Keyring) -> Answer<Vec<(Sealed, Vec<u8>)>> {
    let first = ring.ids().next();
    let mut all = Vec::new();
    for value in store.sealed().await? {
        if sealed_by(&value.bytes) == first {
            continue;
        }
        let about = about(store, value.slot, &value.connector);
        let again = ring
            .open(&about, &value.bytes)
            .and_then(|plain| ring.seal(None, &about, &plain));
        let again = again.map_err(|error| {
            Failure::new(Code::Invalid, format!("{}: {}", value.connector, error.detail))
                .hint("run this again then: nothing was changed; an authority whose key is lost is replaced by another connector (docs/providers/ssh.md)")
        })?;
        all.push((value, again));
    }
    Ok(all)
}

/// Seals by the first key whatever is not; whether there was anything.
async fn reseal(store: &Store, ring: &Keyring, by: PersonId) -> Answer<bool> {
    let pending = anew(store, ring).await?;
    let (Some(first), false) = (ring.ids().next(), pending.is_empty()) else {
        return Ok(false);
    };
    let event = Event::Resealed {
        id: first.to_string(),
        values: u64::try_from(pending.len()).unwrap_or(u64::MAX),
    };
    let decide = move |_: &_, _| {
        let mut outcome = Outcome::one(Actor::Person(by), Subject::Key(Key::Sealing), What::Key(event));
        let sealed = pending.into_iter();
        outcome
            .side
            .extend(sealed.map(|(was, sealed)| Side::Resealed { was, sealed }));
        Ok(outcome)
    };
    store.transition(Scope::Key(Key::Sealing), decide).await?;
    Ok(true)
}
