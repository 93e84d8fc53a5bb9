//! Notices: who is to hear what, and in which words. Delivering them is the server's.
//!
//! [`Engine::queue_notices`] goes through the log once and turns each event into rows of the store's outbox;
//! [`Engine::notice`] puts a row into words when it is to be sent, from the log and from what is there then. Both decisions
//! are pure (`audience`, `words`), so that a test can ask them about any event.

mod audience;
mod change;
mod delegation;
mod kind;
mod words;

use std::collections::BTreeSet;

use daypass_core::event::{Event, Subject, What};
use daypass_core::id::{PersonId, RequestId};
use daypass_core::person::Change;
use daypass_core::time::{Span, Timestamp};
use daypass_policy::Directory as _;
use daypass_store::{Delivery, Entry, EventFilter, From};

pub use audience::{Around, Notice, Scene, of, open_at, still};
pub use kind::{BadKind, Kind};
pub use words::{Letter, Line, letter};

use crate::current::Current;
use crate::engine::Engine;
use crate::error::Error;

/// How many entries of the log are looked through at once.
const BATCH: usize = 200;

/// A way by which notices leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Its name, which rows in the store carry.
    pub name: String,
    /// Whether it goes to people, each by themselves; else it hears of everything once.
    pub personal: bool,
    /// What it hears of; `None`: all.
    pub kinds: Option<BTreeSet<Kind>>,
}

/// What is told, and how long it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// By which ways.
    pub channels: Vec<Channel>,
    /// How long before its deadline the holder of a grant is told.
    pub ending_before: Span,
    /// What happened longer ago is not told any more.
    pub max_age: Span,
}

/// A notice that is to be sent now.
#[derive(Debug, Clone)]
pub struct Ready {
    /// What kind.
    pub kind: Kind,
    /// The event behind it.
    pub entry: Entry,
    /// In words.
    pub letter: Letter,
    /// To whom, with their address; `None`: to whoever listens.
    pub to: Option<Addressee>,
}

/// A person who is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressee {
    /// Who.
    pub person: PersonId,
    /// Their login.
    pub login: String,
    /// Their address.
    pub mail: String,
}

impl Engine {
    /// Goes on through the log and queues what is to be told; whether there may be more at once. Several servers may call
    /// it: each entry is turned into notices once. It looks at entries before the place `before` only: those up to which this
    /// server has read directory and policy anew, so that nobody is asked by what another server has changed before.
    ///
    /// # Errors
    /// Where the store fails; nothing is lost or queued by halves then.
    pub async fn queue_notices(&self, rules: &Rules, before: u64) -> Result<bool, Error> {
        let store = self.store();
        let next = store.notices_begin().await?;
        let from = next.checked_sub(1).map_or(From::First, From::After);
        let mut entries = store.events(from, EventFilter::default(), BATCH).await?;
        entries.retain(|entry| entry.index < before);
        let Some(last) = entries.last() else {
            return Ok(false);
        };
        let (end, full) = (last.index + 1, entries.len() == BATCH);
        let oldest = store.now().await? - rules.max_age;
        let mut all = Vec::new();
        for entry in entries.iter().filter(|entry| entry.event.at > oldest) {
            if !is_told(&entry.event.what) {
                continue;
            }
            let around = self.around(&entry.event).await?;
            let current = self.current();
            let scene = scene(&current, rules);
            for notice in of(&entry.event, &around, &scene) {
                deliveries(entry, &notice, rules, &current, &mut all);
            }
        }
        // `false`: another server was quicker. What comes next, the next look shows.
        let mine = store.queue_notices(next, end, all).await?;
        Ok(full || !mine)
    }

    /// Puts a queued notice into words. `None`: nobody need hear it any more. One of a kind that this version does not know is
    /// `None` too; whoever delivers leaves it for the newer server that queued it.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn notice(
        &self,
        delivery: &Delivery,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Option<Ready>, Error> {
        let Ok(kind) = delivery.notice.parse::<Kind>() else {
            // A newer server queued it, and this one does not know what it is.
            return Ok(None);
        };
        let from = delivery.index.checked_sub(1).map_or(From::First, From::After);
        let entries = self.store().events(from, EventFilter::default(), 1).await?;
        let Some(entry) = entries
            .into_iter()
            .next()
            .filter(|entry| entry.index == delivery.index)
        else {
            return Ok(None);
        };
        let around = self.around(&entry.event).await?;
        let current = self.current();
        let person = delivery.recipient;
        if !still(
            kind,
            &entry.event,
            &around,
            &scene(&current, rules),
            (person, now),
        ) {
            return Ok(None);
        }
        let to = match person {
            None => None,
            Some(person) => match addressee(&current, person) {
                Some(to) => Some(to),
                None => return Ok(None),
            },
        };
        let letter = letter(kind, &entry.event, &around, &current.directory, person);
        Ok(Some(Ready {
            kind,
            entry,
            letter,
            to,
        }))
    }

    /// What an event is about, as it is now.
    async fn around(&self, event: &Event) -> Result<Around, Error> {
        let store = self.store();
        Ok(match &event.subject {
            Subject::Request(id) => Around {
                request: store.request(*id).await?,
                ..Around::default()
            },
            Subject::Grant(id) => Around {
                // A grant shares its bytes with the request that led to it.
                request: store.request(RequestId::from_bytes(id.bytes())).await?,
                grant: store.grant(*id).await?,
                change: None,
            },
            Subject::Change(id) => Around {
                change: store.change(*id).await?,
                ..Around::default()
            },
            _ => Around::default(),
        })
    }
}

fn scene<'a>(current: &'a Current, rules: &Rules) -> Scene<'a> {
    Scene {
        policy: &current.policy,
        directory: &current.directory,
        ending_before: rules.ending_before,
    }
}

/// Whether an event can lead to a notice: most do not, and what they are about need not be read.
const fn is_told(what: &What) -> bool {
    matches!(
        what,
        What::Request(_)
            | What::Grant(_)
            | What::Lock(_)
            | What::Change(_)
            | What::Person(Change::Delegated { .. } | Change::DelegationEnded { .. })
    )
}

fn deliveries(entry: &Entry, notice: &Notice, rules: &Rules, current: &Current, all: &mut Vec<Delivery>) {
    let wanted = |channel: &&Channel| {
        channel
            .kinds
            .as_ref()
            .is_none_or(|kinds| kinds.contains(&notice.kind))
    };
    for channel in rules.channels.iter().filter(wanted) {
        let mut add = |recipient: Option<PersonId>| {
            all.push(Delivery {
                channel: channel.name.clone(),
                index: entry.index,
                notice: notice.kind.name().to_owned(),
                recipient,
                lane: lane(&entry.event, recipient),
                since: notice.since,
                tries: 0,
            });
        };
        if channel.personal {
            let reachable = |person: &&PersonId| addressee(current, **person).is_some();
            notice
                .people
                .iter()
                .filter(reachable)
                .for_each(|person| add(Some(*person)));
        } else {
            add(None);
        }
    }
}

fn addressee(current: &Current, person: PersonId) -> Option<Addressee> {
    let known = current.directory.person(person).filter(|person| person.active)?;
    let mail = known
        .mail
        .as_ref()
        .map(|mail| mail.text())
        .filter(|mail| !mail.is_empty())?;
    Some(Addressee {
        person,
        login: current.directory.login(person),
        mail: mail.to_owned(),
    })
}

/// What keeps its order: all about one request and its grant, to one reader.
fn lane(event: &Event, recipient: Option<PersonId>) -> String {
    let about: String = match &event.subject {
        // They share all but the first letter.
        Subject::Request(id) => id.to_string().chars().skip(1).collect(),
        Subject::Grant(id) => id.to_string().chars().skip(1).collect(),
        other => other.id(),
    };
    recipient.map_or_else(|| about.clone(), |person| format!("{about}/{person}"))
}
