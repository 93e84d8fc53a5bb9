//! What ends because of what the directory says of its holder: accounts that were switched off, service accounts whom nobody answers
//! for, and what was given to a handle that is not the holder's any more.
//!
//! Whoever changes the directory ends it too. Here it is made sure, where they were cut short, or another server opened a grant before
//! it knew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use daypass_core::event::Actor;
use daypass_core::handle::Handles;
use daypass_core::id::PersonId;
use daypass_core::time::Timestamp;
use daypass_policy::Directory as _;

use crate::directory::Snapshot;
use crate::engine::Engine;
use crate::error::Error;
use crate::services::lost;

/// How many grants are read at once.
const PAGE: usize = 500;

/// What was last looked through.
#[derive(Default)]
pub(super) struct Leavers {
    /// The directory.
    directory: Option<Arc<Snapshot>>,
    /// Accounts of which nothing is left; with when they, or who answers for them, last changed.
    off: BTreeMap<PersonId, Timestamp>,
    /// Who had which handles; `None`: nobody has looked since this process began.
    handles: Option<BTreeMap<PersonId, Handles>>,
}

impl Leavers {
    /// Ends what the directory as it is now no longer lets its holders hold, where it is another than the last one; how many grants.
    pub(super) async fn end(&mut self, engine: &Engine) -> Result<usize, Error> {
        let directory = engine.current().directory;
        if self
            .directory
            .as_ref()
            .is_some_and(|seen| Arc::ptr_eq(seen, &directory))
        {
            return Ok(0);
        }
        let ended = self.switched_off(engine, &directory).await? + self.strangers(engine, &directory).await?;
        self.directory = Some(directory);
        Ok(ended)
    }

    async fn switched_off(&mut self, engine: &Engine, directory: &Snapshot) -> Result<usize, Error> {
        let mut ended = 0;
        self.off.retain(|id, _| lost(directory, *id).is_some());
        for person in directory.people() {
            // Who was on and off again since the last look may have got something in between.
            let owner = person.owner.and_then(|owner| directory.person(owner));
            let changed = owner.map_or(person.changed_at, |owner| owner.changed_at.max(person.changed_at));
            let ended_since = self.off.get(&person.id) == Some(&changed);
            if !ended_since && lost(directory, person.id).is_some() {
                ended += engine.end_all_of(Actor::System, person.id).await?;
                self.off.insert(person.id, changed);
            }
        }
        Ok(ended)
    }

    /// The first time, what is held is looked through; afterwards, what those hold who are called something else since.
    async fn strangers(&mut self, engine: &Engine, directory: &Snapshot) -> Result<usize, Error> {
        let known = directory.people().filter(|person| !person.handles.is_empty());
        let now: BTreeMap<_, _> = known.map(|person| (person.id, person.handles.clone())).collect();
        let mut ended = 0;
        match &self.handles {
            Some(before) if *before == now => {}
            Some(before) => {
                let changed = before.keys().chain(now.keys());
                let changed = changed.filter(|id| before.get(*id) != now.get(*id));
                for id in changed.copied().collect::<BTreeSet<_>>() {
                    ended += engine.end_strange(Actor::System, id).await?;
                }
            }
            None => ended += all_strangers(engine).await?,
        }
        self.handles = Some(now);
        Ok(ended)
    }
}

async fn all_strangers(engine: &Engine) -> Result<usize, Error> {
    let (mut ended, mut after) = (0, None);
    loop {
        let given = engine.store().live_given(after, PAGE).await?;
        ended += engine.end_strangers(Actor::System, &given).await?;
        after = given.last().map(|grant| grant.id);
        if given.len() < PAGE {
            return Ok(ended);
        }
    }
}
