//! The words of free texts. Everything else knows a text by its salted hash; here the words are kept, and put back.

use std::collections::BTreeMap;

use daypass_core::change::Change;
use daypass_core::grant::Grant;
use daypass_core::lock::Lock;
use daypass_core::person::Person;
use daypass_core::request::Request;
use daypass_core::session::Session;
use daypass_core::text::{Hash, Prose, Words};
use daypass_core::world::World;

use crate::error::{Error, Result};
use crate::events::Entry;
use crate::link::Link;
use crate::value::{Statement, Value};

/// What free texts are part of.
pub(crate) trait Spoken {
    fn prose_mut(&mut self) -> Vec<&mut Prose>;
}

macro_rules! spoken {
    ($($of:ty),*) => { $(impl Spoken for $of {
        fn prose_mut(&mut self) -> Vec<&mut Prose> { <$of>::prose_mut(self) }
    })* };
}
spoken!(Request, Grant, Person, Lock, Change, Session);

impl Spoken for Entry {
    fn prose_mut(&mut self) -> Vec<&mut Prose> {
        self.event.what.prose_mut()
    }
}

impl Spoken for World {
    fn prose_mut(&mut self) -> Vec<&mut Prose> {
        let requests = self.requests.values_mut().flat_map(Request::prose_mut);
        let grants = self.grants.values_mut().flat_map(Grant::prose_mut);
        let people = self.people.values_mut().flat_map(Person::prose_mut);
        let locks = self.locks.values_mut().flat_map(Lock::prose_mut);
        let changes = self.changes.values_mut().flat_map(Change::prose_mut);
        let sessions = self.sessions.values_mut().flat_map(Session::prose_mut);
        let all = requests.chain(grants).chain(people).chain(locks);
        all.chain(changes).chain(sessions).collect()
    }
}

/// Puts the words back into all of these. What was erased stays without.
pub(crate) async fn open<T: Spoken + Send>(link: &mut Link, things: &mut [T]) -> Result<()> {
    let mut closed: Vec<&mut Prose> = things
        .iter_mut()
        .flat_map(Spoken::prose_mut)
        .filter(|prose| prose.words().is_none())
        .collect();
    if closed.is_empty() {
        return Ok(());
    }
    let mut hashes: Vec<Hash> = closed.iter().map(|prose| prose.hash()).collect();
    hashes.sort_unstable();
    hashes.dedup();
    let hashes: Vec<Value> = hashes.into_iter().map(Value::from).collect();
    let rows = link
        .listed(
            "SELECT hash, salt, words FROM texts WHERE hash IN (LIST)",
            1,
            &hashes,
        )
        .await?;
    let mut known = BTreeMap::new();
    for row in &rows {
        let salt = row
            .bytes(1)?
            .try_into()
            .map_err(|_| Error::corrupt("a salt is not of 16 bytes"))?;
        let text = String::from_utf8(row.bytes(2)?.to_vec()).map_err(Error::corrupt)?;
        known.insert(row.hash(0)?, Words { salt, text });
    }
    for prose in &mut closed {
        if let Some(words) = known.get(&prose.hash())
            && !prose.open(words.clone())
        {
            return Err(Error::Corrupt(format!(
                "the words kept for {} are not those that were written",
                prose.hash()
            )));
        }
    }
    Ok(())
}

/// The same for one.
pub(crate) async fn opened<T: Spoken + Send>(link: &mut Link, mut thing: T) -> Result<T> {
    open(link, std::slice::from_mut(&mut thing)).await?;
    Ok(thing)
}

/// What keeps the words of these texts.
pub(crate) fn keep<'a>(all: impl IntoIterator<Item = &'a Prose>) -> Vec<Statement> {
    let statement = |prose: &Prose| {
        let words = prose.words()?;
        let values = vec![
            prose.hash().into(),
            words.salt.to_vec().into(),
            words.text.clone().into_bytes().into(),
        ];
        Some((
            "INSERT INTO texts (hash, salt, words) VALUES ($1, $2, $3) ON CONFLICT (hash) DO NOTHING",
            values,
        ))
    };
    all.into_iter().filter_map(statement).collect()
}
