//! What was done with a grant's access, as the target's own log tells it: entries of the grant's timeline.
//!
//! A target's log comes late (Azure's Activity Log by minutes), so it is read up to where it has settled, window after window, until
//! the grant's end has been read too. How far each connector has told stands with the grant.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::grant::{Event, Grant, State};
use crate::name::Name;
use crate::refusal::{Code, Refusal};
use crate::text::is_hostile;
use crate::time::Timestamp;

/// How many of them one entry of the log holds at most. What is beyond it is counted.
pub const MOST: usize = 100;

/// The longest text of one, in characters; what a target says is cut there.
const TEXT_MAX: usize = 300;

/// Something that was done at a target by who held access there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// When, by the target's clock.
    pub at: Timestamp,
    /// What, in the target's words, such as `Microsoft.Compute/virtualMachines/restart/action`.
    pub what: String,
    /// To what, in the target's words.
    pub on: String,
    /// How the target says that it went, such as `Succeeded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

impl Deed {
    /// One as a target tells of it: control characters are taken out of the texts, and they are cut.
    #[must_use]
    pub fn new(at: Timestamp, what: &str, on: &str, outcome: Option<&str>) -> Self {
        Self {
            at,
            what: plain(what),
            on: plain(on),
            outcome: outcome.map(plain),
        }
    }
}

fn plain(text: &str) -> String {
    let shown = text.chars().map(|c| if is_hostile(c) { ' ' } else { c });
    shown.take(TEXT_MAX).collect()
}

/// How far a connector has told of what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Until when, by the target's clock.
    pub through: Timestamp,
    /// To the end of the grant, or as far as it will ever tell.
    pub complete: bool,
}

/// What a connector told of a stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Telling {
    /// What was done, the oldest first; no more than [`MOST`].
    pub deeds: Vec<Deed>,
    /// How many more there were.
    pub unsaid: u64,
}

impl Telling {
    /// Of so many, the first [`MOST`] of them said and the others counted.
    pub fn of(deeds: impl IntoIterator<Item = Deed>) -> Self {
        let mut all = Self::default();
        for deed in deeds {
            if all.deeds.len() < MOST {
                all.deeds.push(deed);
            } else {
                all.unsaid = all.unsaid.saturating_add(1);
            }
        }
        all
    }
}

impl Grant {
    /// The connectors that have more to tell of what is done with it, or was.
    #[must_use]
    pub fn untold(&self) -> BTreeSet<&Name> {
        if self.there_since().is_none() {
            return BTreeSet::new();
        }
        let telling = self.parts.iter().filter(|part| part.tells);
        let names = telling.map(|part| &part.target.connector);
        names
            .filter(|name| self.told.get(*name).is_none_or(|told| !told.complete))
            .collect()
    }

    /// From when on a connector is to tell: where it stopped, or from when any of the access may have been there.
    #[must_use]
    pub fn told_from(&self, connector: &Name) -> Option<Timestamp> {
        let told = self.told.get(connector).map(|told| told.through);
        told.or_else(|| self.there_since())
    }

    /// The grant once a connector has told until then, if it was to tell.
    pub(crate) fn heard(mut self, connector: &Name, through: Timestamp, complete: bool) -> Option<Self> {
        let expected = self.untold().contains(connector);
        self.told.insert(connector.clone(), Told { through, complete });
        expected.then_some(self)
    }

    /// When it was seen to be gone.
    #[must_use]
    pub const fn gone_at(&self) -> Option<Timestamp> {
        match &self.state {
            State::Ended { at, .. } => Some(*at),
            _ => None,
        }
    }

    /// Since when any of its access may have been there, if it was ever there.
    const fn there_since(&self) -> Option<Timestamp> {
        match &self.state {
            State::Scheduled { .. } | State::Activating { .. } => None,
            State::Active { since, .. } => Some(*since),
            State::Ending {
                active_since,
                set_up_since,
                ..
            }
            | State::Ended {
                active_since,
                set_up_since,
                ..
            } => match active_since {
                Some(since) => Some(*since),
                None => *set_up_since,
            },
        }
    }

    /// What a connector's telling leads to. `lost`: it could not be read for so long that nobody tries any more.
    ///
    /// # Errors
    /// Where the connector has nothing to tell of this grant, or told as much before: another server was faster.
    pub fn tell(
        &self,
        connector: &Name,
        telling: Telling,
        through: Timestamp,
        lost: bool,
    ) -> Result<Event, Refusal> {
        let before = self
            .told_from(connector)
            .filter(|_| self.untold().contains(connector));
        if before.is_none_or(|before| through < before) {
            let what = format!("{connector} has told of this already");
            return Err(Refusal::new(Code::Stale, what));
        }
        Ok(Event::Told {
            connector: connector.clone(),
            deeds: telling.deeds,
            unsaid: telling.unsaid,
            through,
            complete: lost || self.gone_at().is_some_and(|gone| gone <= through),
            lost,
        })
    }
}
