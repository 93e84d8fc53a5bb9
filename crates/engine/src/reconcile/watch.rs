//! Grants that what is done with them may end: looks at their sessions, and what these looks come to.
//!
//! All of it is in this process's memory and in its own time. A restart begins the observation anew, and so does a look that
//! cannot tell or comes late: that makes access last longer, up to its deadline, and never shorter.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use daypass_core::end_when::{EndWhen, Watched};
use daypass_core::entitlement::Fault;
use daypass_core::grant::{Grant, State};
use daypass_core::id::GrantId;
use daypass_core::name::Name;
use daypass_core::time::{Span, Timestamp};
use daypass_providers::{Activity, Error as TargetError};
use daypass_store::Due;
use futures_util::FutureExt as _;

use super::calls::{Arrived, provider};
use super::{Reconciler, look};
use crate::engine::Engine;
use crate::error::Error;

/// How often a grant is looked at, at most; and how far apart two looks are that count as two.
const LOOK_EVERY: Span = Span::seconds(30);

/// A look that comes later than this after the last one begins the observation anew.
const TOO_LATE: Span = Span::seconds(120);

/// How often it is read which grants are to be looked at, where something has changed.
const LIST_EVERY: Span = Span::seconds(10);

/// How often that is read whatever the policy says: a request may be older than it.
const LIST_ANYWAY: Span = Span::minutes(5);

/// How many looks one connector gets at the same time: what sets access up and takes it away comes first.
const AT_ONCE: usize = 2;

/// Which grants are looked at.
#[derive(Default)]
pub(super) struct Watch {
    grants: BTreeMap<GrantId, Observation>,
    listed: Option<Listed>,
    /// Some policy of this process's time ended access by what sessions do.
    wanted: bool,
    under_way: BTreeMap<Name, usize>,
}

impl Watch {
    /// Whether one more look at this connector may begin.
    fn has_place(&self, connector: &Name) -> bool {
        self.under_way.get(connector).is_none_or(|looks| *looks < AT_ONCE)
    }

    /// When the next look can begin. One that waits for a place of its connector begins when a look there comes back, which wakes
    /// whoever sleeps until then.
    fn next_due(&self) -> Option<Timestamp> {
        let waiting = self.grants.values().filter(|seen| !seen.under_way);
        let waiting = waiting.filter(|seen| seen.connector().is_some_and(|one| self.has_place(one)));
        waiting.filter_map(Observation::due).min()
    }
}

#[derive(Clone, Copy)]
struct Listed {
    at: Timestamp,
    event: u64,
}

/// What is known of one of them, in this process's own time.
struct Observation {
    grant: Grant,
    looked_at: Option<Timestamp>,
    under_way: bool,
    /// Since when no session is known to have done anything.
    quiet_since: Option<Timestamp>,
    /// How many sessions there were at the last look.
    sessions: u32,
    /// A session was seen.
    seen: bool,
    /// The first of the looks without one since.
    none_since: Option<Timestamp>,
    watched: Watched,
}

impl Observation {
    const fn new(grant: Grant) -> Self {
        Self {
            grant,
            looked_at: None,
            under_way: false,
            quiet_since: None,
            sessions: 0,
            seen: false,
            none_since: None,
            watched: Watched {
                quiet_for: None,
                closed: false,
            },
        }
    }

    /// Takes in what a look told that came back now; `None`: it could not tell. Answers whether it came too late to go on from
    /// the one before.
    fn take_in(&mut self, told: Option<Activity>, now: Timestamp) -> bool {
        let late = self.looked_at.is_some_and(|at| now > at + TOO_LATE);
        self.looked_at = Some(now);
        self.watched = Watched::default();
        let Some(Activity { sessions, quiet }) = told else {
            (self.quiet_since, self.none_since) = (None, None);
            return late;
        };
        if late {
            (self.quiet_since, self.none_since) = (None, None);
        }
        if sessions < self.sessions {
            // One that is closed by now may have worked until then.
            self.quiet_since = None;
        }
        self.sessions = sessions;
        if sessions > 0 {
            self.seen = true;
            self.none_since = None;
            // The last work that is known of: of a session that is there, or what was known before.
            self.quiet_since = quiet.map(|quiet| {
                let since = now - quiet;
                self.quiet_since.map_or(now, |before| before.max(since))
            });
        } else {
            self.quiet_since = self.quiet_since.or(Some(now));
            let none_since = *self.none_since.get_or_insert(now);
            self.watched.closed = self.seen && now.since(none_since) >= LOOK_EVERY;
        }
        self.watched.quiet_for = self.quiet_since.map(|since| now.since(since));
        late
    }

    fn due(&self) -> Option<Timestamp> {
        self.looked_at.map(|at| at + LOOK_EVERY)
    }

    /// Who is asked about it: that of its first item. None has no item.
    fn connector(&self) -> Option<&Name> {
        self.grant.parts.first().map(|part| &part.target.connector)
    }

    /// Whether the last look shows it to be over, and was made a short while ago: a store that did not answer, or a process that
    /// stood still, must not let it decide about those who have come since.
    fn is_over(&self, now: Timestamp) -> bool {
        let fresh = self.looked_at.is_some_and(|at| now <= at + LOOK_EVERY);
        fresh && self.grant.end_when.iter().any(|when| when.is_so(&self.watched))
    }
}

/// What a look at a grant's sessions told.
pub(super) struct Looked {
    grant: GrantId,
    connector: Name,
    told: Result<Option<Activity>, TargetError>,
}

impl Reconciler {
    /// Reads which grants are to be looked at, starts looks that are due, and ends what they show to be over; answers how
    /// much of the ledger changed. The looks themselves wait for nothing and keep nothing waiting.
    pub(super) async fn watch_sessions(&mut self, now: Timestamp) -> Result<usize, Error> {
        self.list_watched().await?;
        self.start_looks();
        let uptime = self.pauses();
        let over: Vec<GrantId> = self
            .watch
            .grants
            .iter()
            .filter(|(_, seen)| seen.is_over(uptime))
            .map(|(id, _)| *id)
            .collect();
        let mut changed = 0;
        for id in over {
            changed += self.end_watched(id, now).await?;
        }
        Ok(changed)
    }

    /// When the next look is due, in the store's time.
    pub(super) fn next_look(&self, now: Timestamp) -> Option<Timestamp> {
        let due = self.watch.next_due()?;
        Some(now + due.since(self.pauses()))
    }

    /// Takes in what a look told.
    pub(super) fn looked(&mut self, looked: Looked) {
        let now = self.pauses();
        let Looked {
            grant,
            connector,
            told,
        } = looked;
        if let Some(count) = self.watch.under_way.get_mut(&connector) {
            *count = count.saturating_sub(1);
        }
        if let Err(error) = &told {
            tracing::debug!(%grant, fault = %error.fault, detail = error.detail, "nothing can be told of its sessions");
        }
        if let Some(seen) = self.watch.grants.get_mut(&grant) {
            seen.under_way = false;
            if seen.take_in(told.ok().flatten(), now) {
                tracing::warn!(%grant, %connector, "its sessions are looked at too seldom to tell when they are over");
            }
        }
    }

    async fn list_watched(&mut self) -> Result<(), Error> {
        let uptime = self.pauses();
        self.watch.wanted |= self.engine.current().policy.watches_sessions();
        let every = if self.watch.wanted {
            LIST_EVERY
        } else {
            LIST_ANYWAY
        };
        if self.watch.listed.is_some_and(|listed| uptime < listed.at + every) {
            return Ok(());
        }
        // Its number is drawn before it is committed: one that was slow is found when the time for that has come.
        let event = self.engine.store().last_event().await?;
        let same = |listed: &Listed| listed.event == event && uptime < listed.at + LIST_ANYWAY;
        if self.watch.listed.as_ref().is_some_and(same) {
            return Ok(());
        }
        let mut listed = BTreeMap::new();
        for grant in self.engine.store().watched_grants().await? {
            if !grant.end_when.iter().any(EndWhen::is_about_sessions) {
                continue;
            }
            let before = self.watch.grants.remove(&grant.id);
            let mut seen = before.unwrap_or_else(|| Observation::new(grant.clone()));
            seen.grant = grant;
            listed.insert(seen.grant.id, seen);
        }
        self.watch.wanted |= !listed.is_empty();
        self.watch.grants = listed;
        self.watch.listed = Some(Listed { at: uptime, event });
        Ok(())
    }

    /// Starts what is due, what has waited longest first: where a connector answers slowly, each has its turn.
    fn start_looks(&mut self) {
        let uptime = self.pauses();
        let due = |seen: &&Observation| !seen.under_way && seen.due().is_none_or(|due| due <= uptime);
        let mut waiting: Vec<(Option<Timestamp>, GrantId)> = self
            .watch
            .grants
            .values()
            .filter(due)
            .map(|seen| (seen.looked_at, seen.grant.id))
            .collect();
        waiting.sort_unstable();
        for (_, id) in waiting {
            self.start_look(id);
        }
    }

    /// Starts a look where its connector has a place for one.
    fn start_look(&mut self, id: GrantId) {
        let Some(grant) = self.watch.grants.get(&id).map(|seen| seen.grant.clone()) else {
            return;
        };
        let Some(key) = grant.parts.first().map(|part| part.target.clone()) else {
            return;
        };
        if !self.watch.has_place(&key.connector) {
            return;
        }
        *self.watch.under_way.entry(key.connector.clone()).or_default() += 1;
        if let Some(seen) = self.watch.grants.get_mut(&id) {
            seen.under_way = true;
        }
        let engine = Arc::clone(&self.engine);
        self.running.push(Box::pin(async move {
            // A provider with a bug fails its own look.
            let told = AssertUnwindSafe(all_of(&engine, &grant)).catch_unwind().await;
            let failed = |_| Err(TargetError::new(Fault::Bug, "the look failed unexpectedly"));
            Arrived::Looked(Looked {
                grant: id,
                connector: key.connector,
                told: told.unwrap_or_else(failed),
            })
        }));
    }

    /// Plans for a grant with what was seen of its sessions.
    async fn end_watched(&mut self, id: GrantId, now: Timestamp) -> Result<usize, Error> {
        let engine = Arc::clone(&self.engine);
        let grant = engine.store().grant(id).await?;
        let Some(grant) = grant.filter(|grant| matches!(grant.state, State::Active { .. })) else {
            self.watch.grants.remove(&id);
            return Ok(0);
        };
        let Some(seen) = self.watch.grants.get(&id).map(|seen| seen.watched) else {
            return Ok(0);
        };
        let due = Due {
            grants: vec![grant],
            ..Due::default()
        };
        let view = look(&engine, due).await?;
        self.limits.watched = Arc::new(BTreeMap::from([(id, seen)]));
        let changed = self.act(&view, now).await;
        self.limits.watched = Arc::default();
        changed
    }
}

/// What is done with all items of a grant together: it is quiet if all of them are.
async fn all_of(engine: &Engine, grant: &Grant) -> Result<Option<Activity>, TargetError> {
    let mut all = Activity {
        sessions: 0,
        quiet: None,
    };
    let mut untold = false;
    for part in &grant.parts {
        let told = provider(engine, &part.target)?
            .activity(&part.target.key, &part.spec)
            .await?;
        let Some(Activity { sessions, quiet }) = told else {
            return Ok(None);
        };
        all.sessions = all.sessions.saturating_add(sessions);
        untold |= sessions > 0 && quiet.is_none();
        all.quiet = all.quiet.into_iter().chain(quiet).min();
    }
    all.quiet = all.quiet.filter(|_| !untold);
    Ok(Some(all))
}

#[cfg(test)]
mod tests {
    use daypass_core::entitlement::{Spec, TargetKey};
    use daypass_core::grant::Part;
    use daypass_core::id::{PersonId, RequestId};

    use super::*;

    fn observation(number: u8, connector: &str, looked_at: Timestamp) -> Observation {
        let grant = Grant {
            id: GrantId::from_bytes([number; 10]),
            request: RequestId::from_bytes([number; 10]),
            holder: PersonId::from_bytes([1; 10]),
            parts: vec![Part {
                target: TargetKey {
                    connector: connector.parse().unwrap(),
                    key: number.to_string(),
                },
                spec: Spec {
                    kind: "memory".parse().unwrap(),
                    item: "orders/read".parse().unwrap(),
                    resource: serde_json::Value::Null,
                    role: serde_json::Value::Null,
                    holder: PersonId::from_bytes([1; 10]),
                    grant: GrantId::from_bytes([number; 10]),
                    subject: None,
                    source: None,
                },
                tells: false,
            }],
            duration: Span::hours(1),
            activation: Span::minutes(5),
            max: Span::hours(1),
            latest_end: Timestamp::EPOCH,
            break_glass: false,
            end_when: Vec::new(),
            told: BTreeMap::new(),
            state: State::Active {
                since: Timestamp::EPOCH,
                expires_at: Timestamp::EPOCH,
            },
        };
        Observation {
            looked_at: Some(looked_at),
            ..Observation::new(grant)
        }
    }

    /// A target that does not answer has looks waiting that are long due. Nobody is woken for them: the look that comes back wakes.
    #[test]
    fn what_waits_for_a_place_is_not_waited_for() {
        let at = |seconds| Timestamp::EPOCH + Span::seconds(seconds);
        let looks = [(1, "hangs"), (2, "hangs"), (3, "hangs"), (4, "answers")];
        let mut watch = Watch::default();
        for (number, connector) in looks {
            let seen = observation(number, connector, at(u64::from(number)));
            watch.grants.insert(seen.grant.id, seen);
        }
        assert_eq!(watch.next_due(), Some(at(1) + LOOK_EVERY));
        for number in [1, 2] {
            let id = GrantId::from_bytes([number; 10]);
            watch.grants.get_mut(&id).unwrap().under_way = true;
        }
        watch.under_way.insert("hangs".parse().unwrap(), AT_ONCE);
        assert_eq!(watch.next_due(), Some(at(4) + LOOK_EVERY));
        watch.under_way.insert("hangs".parse().unwrap(), AT_ONCE - 1);
        assert_eq!(watch.next_due(), Some(at(3) + LOOK_EVERY));
    }
}
