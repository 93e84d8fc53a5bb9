//! What was sent and waits for its answer, in its order. What it costs to execute something is known without looking through all of it.

use std::collections::HashMap;
use std::collections::vec_deque::{Iter, VecDeque};

use super::entry::Entry;

/// What was sent last of a name, and how many of its kind there are.
#[derive(Default)]
struct Sent {
    entries: usize,
    /// How many bytes a record of it takes.
    cost: usize,
    /// Nothing behind it executes it.
    fresh: bool,
}

type ByName = HashMap<Vec<u8>, Sent>;

/// See the module.
#[derive(Default)]
pub(super) struct Queue {
    entries: VecDeque<Entry>,
    parses: ByName,
    binds: ByName,
    executes: ByName,
}

fn add(all: &mut ByName, name: &[u8], cost: usize) {
    let sent = match all.get_mut(name) {
        Some(sent) => sent,
        None => all.entry(name.to_vec()).or_default(),
    };
    *sent = Sent {
        entries: sent.entries + 1,
        cost,
        fresh: true,
    };
}

fn remove(all: &mut ByName, name: &[u8]) {
    let left = all.get_mut(name).map(|sent| {
        sent.entries = sent.entries.saturating_sub(1);
        sent.entries
    });
    if left == Some(0) {
        all.remove(name);
    }
}

impl Queue {
    pub(super) fn push(&mut self, entry: Entry) {
        match &entry {
            Entry::Parse { name, running } => {
                let text = running.text.as_ref().map_or(0, |text| text.len());
                add(&mut self.parses, name, text);
            }
            Entry::Bind {
                portal,
                statement,
                running,
            } => {
                let text = self.parses.get(statement).map_or(0, |sent| sent.cost);
                add(&mut self.binds, portal, text + running.size);
            }
            Entry::Execute { portal, .. } => {
                if let Some(bind) = self.binds.get_mut(portal) {
                    bind.fresh = false;
                }
                add(&mut self.executes, portal, 0);
            }
            _ => {}
        }
        self.entries.push_back(entry);
    }

    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        match &entry {
            Entry::Parse { name, .. } => remove(&mut self.parses, name),
            Entry::Bind { portal, .. } => remove(&mut self.binds, portal),
            Entry::Execute { portal, .. } => remove(&mut self.executes, portal),
            _ => {}
        }
        Some(entry)
    }

    pub(super) fn front(&self) -> Option<&Entry> {
        self.entries.front()
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut Entry> {
        self.entries.front_mut()
    }

    /// The one behind the first.
    pub(super) fn second(&self) -> Option<&Entry> {
        self.entries.get(1)
    }

    /// Takes out the one behind the first, which is nothing that has a name.
    pub(super) fn remove_second(&mut self) -> Option<Entry> {
        self.entries.remove(1)
    }

    pub(super) fn iter(&self) -> Iter<'_, Entry> {
        self.entries.iter()
    }

    pub(super) fn last_mut(&mut self, is: impl Fn(&Entry) -> bool) -> Option<&mut Entry> {
        self.entries.iter_mut().rev().find(|entry| is(entry))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many bytes the text has that was sent last to be prepared by this name.
    pub(super) fn parsed(&self, statement: &[u8]) -> Option<usize> {
        self.parses.get(statement).map(|sent| sent.cost)
    }

    /// How many bytes a record of what was bound last to this portal takes, and whether nothing executes it yet.
    pub(super) fn bound(&self, portal: &[u8]) -> Option<(usize, bool)> {
        self.binds.get(portal).map(|sent| (sent.cost, sent.fresh))
    }

    /// Whether something waits that executes this portal.
    pub(super) fn executes(&self, portal: &[u8]) -> bool {
        self.executes.contains_key(portal)
    }
}
