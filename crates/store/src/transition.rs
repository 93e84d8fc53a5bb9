//! The one way in which state changes: load and lock, decide, and write state, event, leaf and outbox together.

use daypass_core::behind::changes_directory;
use daypass_core::event::{Actor, Event, Subject, What};
use daypass_core::lock;
use daypass_core::planted::{Fault, is};
use daypass_core::refusal::Refusal;
use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};
use daypass_core::world::World;
use daypass_tlog as tlog;

use crate::error::{Error, Result};
use crate::events::{self, Place};
use crate::floor::Floor;
use crate::link::Link;
use crate::scope::{self, Scope};
use crate::side::{self, Side};
use crate::texts;
use crate::value::Statement;
use crate::{changes, entitlements, grants, keys, locks, past, people, policies, requests, sessions};

/// What a decision leads to. No events: nothing is to be recorded, which is no error.
#[derive(Default)]
pub struct Outcome {
    /// What happened, in order. Each is applied to the world that was decided on, and must follow from it.
    pub events: Vec<(Actor, Subject, What)>,
    /// Rows beside the state, which a replay does not bring back.
    pub side: Vec<Side>,
}

impl Outcome {
    /// One event.
    #[must_use]
    pub fn one(actor: Actor, subject: Subject, what: What) -> Self {
        Self {
            events: vec![(actor, subject, what)],
            side: Vec::new(),
        }
    }

    /// Another event, after those that are there.
    pub fn push(&mut self, actor: Actor, subject: Subject, what: What) {
        self.events.push((actor, subject, what));
    }

    /// All of another outcome, after what is there.
    pub fn append(&mut self, other: Self) {
        self.events.extend(other.events);
        self.side.extend(other.side);
    }
}

/// What was committed.
#[derive(Debug, Clone)]
pub struct Committed {
    /// What the scope covers, as it is now.
    pub world: World,
    /// What was recorded.
    pub events: Vec<Event>,
    /// When.
    pub now: Timestamp,
}

/// The decision. It is called at most once, with what was locked.
pub(crate) type Decide = Box<dyn FnOnce(&World, Timestamp) -> Result<Outcome, Refusal> + Send>;

/// Runs one transition inside a transaction that the caller begins and commits. `decide` is taken when it is called: while
/// it is still there, nothing was decided, and the caller may begin anew.
pub(crate) async fn run(
    link: &mut Link,
    scope: &Scope,
    decide: &mut Option<Decide>,
    floor: &Floor,
) -> Result<Committed> {
    let mut world = scope::load(link, scope).await?;
    // After the locks: whoever held them before has an earlier time.
    let moment = moment(link, floor).await?;
    let now = moment.now;
    (world.policy, world.directory) = (moment.policy, moment.directory);
    if moment.locked {
        let locks = locks::shut(link).await?.into_iter();
        world.locks.extend(locks.map(|lock| (lock.on.clone(), lock)));
        world.owners = people::owners_locked(link).await?;
    }
    past::recall(link, scope, &mut world, now).await?;
    let decide = decide
        .take()
        .ok_or_else(|| Error::corrupt("a transition was run twice"))?;
    let outcome = decide(&world, now)?;
    if outcome.events.is_empty() && outcome.side.is_empty() {
        return Ok(Committed {
            world,
            events: Vec::new(),
            now,
        });
    }
    let ids = link.event_ids(outcome.events.len()).await?;
    let (mut writes, events) = writes(&mut world, outcome, &ids, now)?;
    writes.extend(floor.unkept(moment.shift).map(keep_shift));
    link.batch(&writes).await?;
    Ok(Committed { world, events, now })
}

/// One reading of the time. Where the clock was set back at some time, or was ahead and was put right, the two differ for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The time that decides.
    pub now: Timestamp,
    /// What the clock says: what other machines take for the time.
    pub clock: Timestamp,
}

/// What every decision takes into account beside its rows.
struct Moment {
    /// The time that decides.
    now: Timestamp,
    /// What the clock said just then.
    clock: Timestamp,
    /// By how much it runs ahead of the clock, as far as that is kept in the store.
    shift: Span,
    /// The policy revision in force.
    policy: Option<Hash>,
    /// How often the directory changed.
    directory: u64,
    /// Whether anything is locked.
    locked: bool,
}

async fn moment(link: &mut Link, floor: &Floor) -> Result<Moment> {
    let local = link.local_clock();
    let text = if local.is_some() {
        "SELECT (SELECT max(at) FROM events), (SELECT revision FROM policy_state), shift, changes, \
         (SELECT id FROM locks WHERE state = 'locked' LIMIT 1) FROM clock_state, directory_state \
         WHERE clock_state.id = 1 AND directory_state.id = 1"
    } else {
        "SELECT (SELECT max(at) FROM events), (SELECT revision FROM policy_state), shift, changes, \
         (SELECT id FROM locks WHERE state = 'locked' LIMIT 1), \
         (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM clock_state, directory_state \
         WHERE clock_state.id = 1 AND directory_state.id = 1"
    };
    let row = link
        .row(text, &[])
        .await?
        .ok_or_else(|| Error::corrupt("a query without a row"))?;
    let clock = local.map_or_else(|| row.time(5), Ok)?;
    let recorded = row.maybe_time(0)?.unwrap_or(Timestamp::EPOCH);
    let shift = Span::from_micros(row.count(2)?);
    Ok(Moment {
        now: floor.raise(clock, recorded, shift),
        clock,
        shift,
        policy: row.maybe_text(1)?.map(|_| row.parse(1)).transpose()?,
        directory: row.count(3)?,
        locked: row.maybe_text(4)?.is_some(),
    })
}

/// The time that would decide now; and by how much it runs ahead of the clock, where the store does not know that yet.
pub(crate) async fn now(link: &mut Link, floor: &Floor) -> Result<(Timestamp, Option<Span>)> {
    let moment = moment(link, floor).await?;
    Ok((moment.now, floor.unkept(moment.shift)))
}

/// The time that decides and what the clock said just then; and by how much it runs ahead of the clock, where the store does not
/// know that yet.
pub(crate) async fn told(link: &mut Link, floor: &Floor) -> Result<(Told, Option<Span>)> {
    let moment = moment(link, floor).await?;
    let told = Told {
        now: moment.now,
        clock: moment.clock,
    };
    Ok((told, floor.unkept(moment.shift)))
}

/// What keeps the shift for the next start, and for other servers.
pub(crate) fn keep_shift(shift: Span) -> Statement {
    (
        "UPDATE clock_state SET shift = $1 WHERE shift < $1",
        vec![shift.micros().into()],
    )
}

/// From events to statements: pure, and the same for both databases.
fn writes(
    world: &mut World,
    outcome: Outcome,
    ids: &[i64],
    now: Timestamp,
) -> Result<(Vec<Statement>, Vec<Event>)> {
    let Outcome { events, side } = outcome;
    let mut writes = Vec::new();
    let mut recorded = Vec::with_capacity(events.len());
    for ((actor, subject, what), id) in events.into_iter().zip(ids) {
        writes.append(&mut texts::keep(what.prose()));
        let event = Event::new(now, actor, subject, what);
        let bytes = event.canonical().map_err(Error::corrupt)?;
        events::fits(&event, bytes.len())?;
        let event = as_recorded(event, &bytes)?;
        lock::check(world, event.actor, &event.subject, &event.what)?;
        let step = world.apply(&event)?;
        let skip = is(Fault::SkipEvent) && event.what.name() == "entitlement.verified_absent";
        if !skip {
            writes.append(&mut events::insert(Place { id: *id, step }, &event, bytes));
        }
        writes.append(&mut match &event.subject {
            Subject::Request(id) => requests::write(world.requests.get(id), step)?,
            Subject::Grant(id) => grants::write(world.grants.get(id), &event.what, step, now)?,
            Subject::Entitlement(key) => entitlements::write(world.entitlements.get(key), step)?,
            Subject::Person(id) => people::write(world.people.get(id), step)?,
            Subject::Lock(on) => locks::write(world.locks.get(on), step)?,
            Subject::Change(id) => changes::write(world.changes.get(id), step)?,
            Subject::Key(key) => keys::write(world.keys.get(key), step)?,
            Subject::Session(id) => sessions::write(world.sessions.get(id), step)?,
            Subject::Policy => policies::write(world.policy, step, (*id, event.actor, now), &side)?,
            Subject::Log => Vec::new(),
        });
        if changes_directory(&event) {
            writes.push(people::changed());
        }
        recorded.push(event);
    }
    for row in side {
        writes.append(&mut side::write(row)?);
    }
    Ok((writes, recorded))
}

/// The event as a replay will read it, with the words still in it: canonical JSON writes some numbers in another way than
/// they were given, and live state must not differ from replayed state.
fn as_recorded(mut event: Event, bytes: &[u8]) -> Result<Event> {
    let mut read: Event = serde_json::from_slice(bytes).map_err(Error::corrupt)?;
    let words: Vec<_> = event
        .what
        .prose_mut()
        .into_iter()
        .map(|prose| prose.words().cloned())
        .collect();
    for (prose, words) in read.what.prose_mut().into_iter().zip(words) {
        if let Some(words) = words
            && !prose.open(words)
        {
            return Err(Error::corrupt("an event does not come back as it was written"));
        }
    }
    Ok(read)
}

/// The hash under which an event stands in the log.
pub(crate) fn leaf(bytes: &[u8]) -> Hash {
    Hash::from_bytes(tlog::leaf(bytes))
}
