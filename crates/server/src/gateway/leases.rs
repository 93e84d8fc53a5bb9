//! The leases of this server's gateways: who may keep a session open, and how they hear that they may not any more.
//!
//! Leases are in memory and no transitions. A renewal asks the store; what ends is told at once besides.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use daypass_core::event::What;
use daypass_core::grant::{self, Grant, State};
use daypass_core::id::{GrantId, PersonId, SessionId};
use daypass_core::lock::{self, On};
use daypass_core::name::{Item, Name};
use daypass_core::person::Change;
use daypass_core::session::{self, Session};
use daypass_core::time::{Span, Timestamp};
use daypass_core::world::World;
use daypass_engine::{Current, owner_locked};
use daypass_gateway::control::{Ending, LeaseId, Reason, Renewed, Term, Unavailable, Which};
use daypass_policy::Directory as _;
use daypass_providers::Credential;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{broadcast, watch};

use super::open::unavailable;
use super::{Asker, Front};
use crate::app::{App, Parts};
use crate::edge;
use crate::http::listen::stopped;

/// What a lease is for.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) session: SessionId,
    pub(super) grant: GrantId,
    pub(super) item: Item,
    holder: PersonId,
    protocol: Name,
    /// The run of a gateway that has it.
    gateway: session::Gateway,
    /// The password that it logged in at its target with, where that is one; nothing of one that an earlier run of this server opened. Its `Debug` shows no secret.
    pub(super) credential: Option<Arc<Credential>>,
    /// An earlier run of this server opened it.
    taken_over: bool,
    /// When it was given or renewed last.
    renewed: Instant,
}

impl Held {
    pub(super) fn new(session: &Session, credential: Option<Arc<Credential>>) -> Self {
        Self {
            credential,
            taken_over: false,
            ..Self::taken_over(session)
        }
    }

    /// Of a session that an earlier run of this server opened, and that goes on at its gateway.
    pub(super) fn taken_over(session: &Session) -> Self {
        Self {
            session: session.id,
            grant: session.grant,
            holder: session.holder,
            item: session.item.clone(),
            protocol: session.protocol.clone(),
            gateway: session.gateway.clone(),
            credential: None,
            taken_over: true,
            renewed: edge::instant(),
        }
    }

    /// Whether an earlier run of this server opened it.
    pub(super) const fn is_taken_over(&self) -> bool {
        self.taken_over
    }
}

/// All leases that this server gave.
#[derive(Default)]
pub(super) struct Leases {
    live: Mutex<HashMap<LeaseId, Held>>,
    told: Mutex<Vec<UnboundedSender<Ending>>>,
}

impl Leases {
    fn live(&self) -> MutexGuard<'_, HashMap<LeaseId, Held>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> MutexGuard<'_, Vec<UnboundedSender<Ending>>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lease has its session's name: there is one for each.
    pub(super) fn id(session: SessionId) -> LeaseId {
        LeaseId::from(session.to_string().as_str())
    }

    pub(super) fn enter(&self, held: Held) -> LeaseId {
        let id = Self::id(held.session);
        self.live().insert(id.clone(), held);
        id
    }

    /// Its session is over. It does not come back.
    pub(super) fn leave(&self, id: &LeaseId) -> Option<Held> {
        self.live().remove(id)
    }

    /// What this run of a gateway has under a lease; nothing where another has it.
    pub(super) fn held(&self, by: &Asker, id: &LeaseId) -> Option<Held> {
        let live = self.live();
        live.get(id).filter(|held| by.has(&held.gateway)).cloned()
    }

    /// Whether a gateway has a session that this ends.
    pub(super) fn concerns(&self, by: &Asker, which: &Which) -> bool {
        let live = self.live();
        let mut its = live.values().filter(|held| by.has(&held.gateway));
        match which {
            Which::Lease(id) => live.get(id).is_some_and(|held| by.has(&held.gateway)),
            Which::Grant(id) => {
                let grant = id.0.parse::<GrantId>().ok();
                its.any(|held| Some(held.grant) == grant)
            }
            Which::Person(id) => {
                let person = id.0.parse::<PersonId>().ok();
                its.any(|held| Some(held.holder) == person)
            }
            Which::Every => its.next().is_some(),
        }
    }

    /// How many sessions there are of a protocol.
    pub(super) fn of_protocol(&self, protocol: &str) -> usize {
        let live = self.live();
        live.values()
            .filter(|held| held.protocol.as_str() == protocol)
            .count()
    }

    /// Whether a session of this grant is open here.
    pub(super) fn uses(&self, grant: GrantId) -> bool {
        self.live().values().any(|held| held.grant == grant)
    }

    /// Those that nobody has asked about for so long: their gateway is gone, or never heard that they were given.
    pub(super) fn abandoned(&self, after: Duration) -> Vec<LeaseId> {
        let now = edge::instant();
        let live = self.live();
        let old = live
            .iter()
            .filter(|(_, held)| now.saturating_duration_since(held.renewed) > after);
        old.map(|(id, _)| id.clone()).collect()
    }

    /// What ends from now on.
    pub(super) fn endings(&self) -> UnboundedReceiver<Ending> {
        let (sender, receiver) = unbounded_channel();
        let mut told = self.told();
        told.retain(|sender| !sender.is_closed());
        told.push(sender);
        receiver
    }

    fn tell(&self, which: Which, reason: Reason) {
        let ending = Ending { which, reason };
        self.told().retain(|sender| sender.send(ending.clone()).is_ok());
    }

    /// Something may have been missed: gateways ask for another channel, and renew everything.
    fn look_again(&self) {
        self.told().clear();
    }

    /// Renews leases: one answer for each, in this order.
    ///
    /// # Errors
    /// Where the store does not answer: nothing is renewed then.
    pub(super) async fn renew(
        &self,
        app: &Parts,
        (by, within): (&Asker, Span),
        leases: &[LeaseId],
    ) -> Result<Vec<Renewed>, Unavailable> {
        let held: Vec<Option<Held>> = leases.iter().map(|id| self.held(by, id)).collect();
        let store = app.engine.store();
        // The time first: what is read after it can only be newer.
        let now = store.now().await.map_err(unavailable)?;
        let sessions: Vec<SessionId> = held.iter().flatten().map(|held| held.session).collect();
        let sessions = store.sessions_of_ids(&sessions).await.map_err(unavailable)?;
        let sessions: HashMap<SessionId, Session> = sessions
            .into_iter()
            .map(|session| (session.id, session))
            .collect();
        let grants: BTreeSet<GrantId> = held.iter().flatten().map(|held| held.grant).collect();
        let grants: Vec<GrantId> = grants.into_iter().collect();
        let grants = store.grants_of_ids(&grants).await.map_err(unavailable)?;
        let locks = app.engine.locked_now().await.map_err(unavailable)?;
        let by_id: HashMap<GrantId, &Grant> = grants.iter().map(|grant| (grant.id, grant)).collect();
        let current = app.engine.current();
        let renewed = held.iter().map(|held| match held {
            // Its token does not name the resource any more.
            Some(held) if !by.serves(&held.item.resource) => Renewed::Ended(Reason::Revoked(String::from(
                "this gateway does not serve it any more",
            ))),
            Some(held) => renewed(
                held,
                (sessions.get(&held.session), by_id.get(&held.grant).copied()),
                (&locks, &current),
                (within, now),
            ),
            // Closed, or another gateway's: whoever asks opens another.
            None => Renewed::Ended(Reason::LeaseLost),
        });
        let renewed: Vec<Renewed> = renewed.collect();
        self.note_renewed(leases, &renewed);
        Ok(renewed)
    }

    /// Their gateway is there. One that is told no, or asks for something else, does not keep a lease.
    fn note_renewed(&self, leases: &[LeaseId], renewed: &[Renewed]) {
        let now = edge::instant();
        let mut live = self.live();
        for (id, answer) in leases.iter().zip(renewed) {
            if matches!(answer, Renewed::Until(_))
                && let Some(held) = live.get_mut(id)
            {
                held.renewed = now;
            }
        }
    }
}

fn renewed(
    held: &Held,
    (session, grant): (Option<&Session>, Option<&Grant>),
    (locks, current): (&World, &Current),
    (within, now): (Span, Timestamp),
) -> Renewed {
    match session.map(|session| &session.state) {
        Some(session::State::Open) => {}
        Some(session::State::Ending { kill }) => {
            return Renewed::Ended(Reason::Killed(kill.why.text().to_owned()));
        }
        // It is written down that it is over: by another server of this name, or because nobody asked for so long.
        Some(session::State::Closed { .. }) | None => return Renewed::Ended(Reason::LeaseLost),
    }
    let on = [On::Person(held.holder), On::Resource(held.item.resource.clone())];
    let shut = on.iter().any(|on| locks.locked(on).is_some());
    if shut || owner_locked(current, locks, held.holder).is_some() {
        return Renewed::Ended(locked());
    }
    if current
        .directory
        .person(held.holder)
        .is_none_or(|person| !person.active)
    {
        return Renewed::Ended(Reason::Revoked(String::from("the account was switched off")));
    }
    match grant.map(|grant| &grant.state) {
        Some(State::Active { expires_at, .. }) if now < *expires_at => Renewed::Until(Term {
            renew_within: within.to_std(),
            ends_in: edge::until(*expires_at, now),
        }),
        Some(State::Active { .. }) => Renewed::Ended(Reason::Expired),
        Some(State::Ending { reason, .. } | State::Ended { reason, .. }) => Renewed::Ended(words(reason)),
        Some(State::Scheduled { .. } | State::Activating { .. }) | None => Renewed::Ended(Reason::LeaseLost),
    }
}

fn locked() -> Reason {
    Reason::Locked(String::from("ask an administrator"))
}

/// Why a grant ended, for the person whose session it was.
fn words(reason: &grant::Reason) -> Reason {
    use grant::Reason as R;
    let revoked = |why: &str| Reason::Revoked(why.to_owned());
    match reason {
        R::Expired => Reason::Expired,
        R::Locked => locked(),
        R::Revoked { why: Some(why), .. } if !why.text().is_empty() => revoked(why.text()),
        R::Revoked { .. } => revoked("somebody ended it early"),
        R::Released => revoked("it was given back"),
        R::Completed => revoked("what it was for is done"),
        R::Ineligible { why } => revoked(&format!("the right to it was lost: {why}")),
        R::Removed => revoked("it was taken away at the target"),
        R::Failed { why } => revoked(&format!("it failed: {why}")),
    }
}

/// Tells gateways what ends, as it takes its place in the log, until told to stop.
pub(super) async fn tell(app: App, front: Arc<Front>, mut stop: watch::Receiver<bool>) {
    let mut events = app.events.subscribe();
    loop {
        let next = tokio::select! {
            () = stopped(&mut stop) => return,
            next = events.recv() => next,
        };
        match next {
            Ok(told) => front.note(&told.entry.event.what, &told.entry.event.subject),
            Err(broadcast::error::RecvError::Lagged(_)) => front.leases.look_again(),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

impl Front {
    fn note(&self, what: &What, subject: &daypass_core::event::Subject) {
        use daypass_core::event::Subject;
        match (what, subject) {
            (What::Grant(grant::Event::Ending { reason }), Subject::Grant(id)) => {
                self.leases
                    .tell(Which::Grant(id.to_string().as_str().into()), words(reason));
            }
            (What::Grant(grant::Event::Ended { .. }), Subject::Grant(id)) => self.upstreams.forget(*id),
            (What::Person(Change::Deactivated), Subject::Person(id)) => {
                let reason = Reason::Revoked(String::from("the account was switched off"));
                self.leases
                    .tell(Which::Person(id.to_string().as_str().into()), reason);
            }
            (What::Lock(lock::Event::Locked { .. }), Subject::Lock(On::Person(id))) => {
                self.leases
                    .tell(Which::Person(id.to_string().as_str().into()), locked());
            }
            (What::Lock(lock::Event::Locked { .. }), Subject::Lock(On::Resource(name))) => {
                let on_it = |held: &&Held| held.item.resource == *name;
                let on_it: Vec<_> = self
                    .leases
                    .live()
                    .values()
                    .filter(on_it)
                    .map(|held| held.session)
                    .collect();
                for session in on_it {
                    self.leases.tell(Which::Lease(Leases::id(session)), locked());
                }
            }
            (What::Session(session::Event::Killed { why, .. }), Subject::Session(id)) => {
                // Gateways remember it for a session that is just being opened.
                self.leases.tell(
                    Which::Lease(Leases::id(*id)),
                    Reason::Killed(why.text().to_owned()),
                );
            }
            _ => {}
        }
    }
}
