//! Sessions through a gateway: opened for who proved to be who they are, followed to their end, and ended early by who may end
//! the grant.
//!
//! The server itself calls most of this, for a gateway: who it is about was proved to it, and is no caller of the API. Who may see a
//! session is who may see its grant. Who may look *into* one is fewer: its recording is evidence about its holder, and holds what
//! others should not read. Those are auditors, administrators, who reviewed the request, and to whom it is owed to look back at an
//! emergency. Its holder is not, as such: whoever has their laptop would read there what they did on other days.

use std::net::SocketAddr;

use daypass_core::break_glass::Owed;
use daypass_core::demand::Recording;
use daypass_core::event::{Actor, Subject, What};
use daypass_core::id::{GrantId, PersonId, SessionId, TokenId};
use daypass_core::name::{Item, Name};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::session::{Chunk, Counters, Event, Gateway, Mode, New, Reason, Session};
use daypass_core::text::is_hostile;
use daypass_core::time::{Span, Timestamp};
use daypass_core::world::World;
use daypass_store::{Outcome, Scope};
use futures_util::{StreamExt as _, stream};

use crate::access::held;
use crate::caller::Caller;
use crate::current::Current;
use crate::engine::Engine;
use crate::error::{Error, not_found};
use crate::requests::check_text;
use crate::services::{lost, may_use};

/// How many transitions are offered to the store at once, so that it can commit them as a group.
const AT_ONCE: usize = 64;

/// How many sessions of ended grants are closed in one go.
const BATCH: usize = 500;

/// How much of what a program calls itself is kept, in characters.
const LONGEST_PROGRAM: usize = 128;

/// A session that a gateway asks for.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id, from [`Engine::draw_session_id`]: its recording has the same name, and may have to begin before.
    pub id: SessionId,
    /// Under which grant.
    pub grant: GrantId,
    /// Who proved to be who they are.
    pub holder: PersonId,
    /// For which item of the grant.
    pub item: Item,
    /// By which protocol.
    pub protocol: Name,
    /// Where there, as which user, where that is not said by the item: `root@web-2.internal`.
    pub place: Option<String>,
    /// What they came in with, where the store keeps it.
    pub credential: Option<TokenId>,
    /// Which gateway has it.
    pub gateway: Gateway,
    /// From which address, as the gateway sees it.
    pub source: SocketAddr,
    /// What the client's program calls itself.
    pub program: Option<String>,
    /// What is recorded, if anything is.
    pub recording: Option<Mode>,
    /// The first chunk of its recording, where that is stored: the log has the session with it, or neither.
    pub first: Option<Chunk>,
}

/// A session that may begin.
#[derive(Debug, Clone)]
pub struct OpenedSession {
    /// The session.
    pub session: Session,
    /// When its grant ends, by the store's time. It may be lengthened later; a lease asks again.
    pub ends_at: Timestamp,
    /// What the store's time was when that was decided: the difference is how long it may last.
    pub now: Timestamp,
}

impl Engine {
    /// An id for a session that is to be opened.
    #[must_use]
    pub fn draw_session_id(&self) -> SessionId {
        SessionId::from_bytes(self.random())
    }

    /// Opens a session under a grant that is active now, for its holder.
    ///
    /// # Errors
    /// Where the grant is not active, is somebody else's or gives something else; the holder or who answers for them is switched off
    /// or locked, or the resource is; it must be recorded and is not; or there is a session of this id.
    pub async fn open_session(&self, new: NewSession) -> Result<OpenedSession, Error> {
        let NewSession {
            id,
            grant,
            holder,
            first,
            ..
        } = new;
        let behind = self.behind(grant, holder).await?;
        let must_record = self.is_to_be_recorded(grant).await?;
        let program = new.program.as_deref().and_then(tidy);
        let fresh = New {
            id,
            holder,
            item: new.item,
            protocol: new.protocol,
            place: new.place,
            credential: new.credential,
            gateway: new.gateway,
            source: self.prose(&new.source.to_string()),
            program: program.map(|program| self.prose(&program)),
            recording: new.recording,
        };
        let committed = self
            .decide(Scope::NewSession { id, grant }, move |current, world, now| {
                let grant = held(world, grant)?;
                if world.sessions.contains_key(&id) {
                    return Err(Refusal::new(Code::Exists, "there is a session of this id"));
                }
                let is_recorded = fresh.recording.is_some();
                let demands = must_record || demands_recording(current, &fresh.item);
                let event = Session::open(fresh, grant, now)?;
                if lost(&current.directory, holder).is_some() {
                    return Err(Refusal::new(
                        Code::Forbidden,
                        "the account that holds this is switched off",
                    ));
                }
                may_use(current, world, grant, &behind)?;
                if demands && !is_recorded {
                    let what = "this is to be recorded, and it would not be";
                    return Err(Refusal::new(Code::Recording, what));
                }
                let begun = begun(&event, first)?;
                let mut outcome = told(Actor::Person(holder), id, [event]);
                outcome.append(told(Actor::System, id, begun));
                Ok(outcome)
            })
            .await?;
        let ends_at = held(&committed.world, grant)?.expires_at();
        Ok(OpenedSession {
            session: found(&committed.world, id)?.clone(),
            ends_at: ends_at.ok_or_else(|| not_found("the grant has no deadline"))?,
            now: committed.now,
        })
    }

    /// Records that a chunk of a session's recording is stored. Told again, it is recorded once. Also of a session that is over: what
    /// was stored before a crash is taken over afterwards.
    ///
    /// # Errors
    /// Where there is no such session or recording, or the chunk is not the next.
    pub async fn record_chunk(&self, id: SessionId, chunk: Chunk) -> Result<Session, Error> {
        self.session_event(Actor::System, id, move |session, _| session.record(chunk))
            .await
    }

    /// Records that a session is over. Closing twice is closing once: what was said first counts.
    ///
    /// # Errors
    /// Where there is no such session.
    pub async fn close_session(
        &self,
        id: SessionId,
        reason: Reason,
        counters: Option<Counters>,
    ) -> Result<Session, Error> {
        self.session_event(Actor::System, id, move |session, _| {
            Ok(session.close(reason, counters))
        })
        .await
    }

    /// The same, and that the last chunk of its recording is stored.
    ///
    /// # Errors
    /// Where there is no such session or recording, or the chunk is not the next.
    pub async fn finish_session(
        &self,
        id: SessionId,
        last: Chunk,
        reason: Reason,
        counters: Option<Counters>,
    ) -> Result<Session, Error> {
        self.session_event(Actor::System, id, move |session, now| {
            session.finish(last, reason, counters, now)
        })
        .await
    }

    /// Somebody ends a session early: its holder, or who may end its grant. The gateway that has it is to be told.
    ///
    /// # Errors
    /// Where the caller may not, or the session is over or being ended already.
    pub async fn kill_session(&self, caller: Caller, id: SessionId, why: &str) -> Result<Session, Error> {
        check_text("reason", why)?;
        if why.trim().is_empty() {
            return Err(Refusal::new(
                Code::ReasonRequired,
                "say why, for the person whose session it is",
            )
            .into());
        }
        let (session, grant) = self.session_seen(caller, id).await?;
        if session.holder != caller.person && !self.ends(caller, &grant).await? {
            return Err(Refusal::new(
                Code::Forbidden,
                "only its holder, who answers for it, its reviewers or an administrator can end a session",
            )
            .into());
        }
        let (by, why) = (caller.person, self.prose(why));
        self.session_event(Actor::Person(by), id, move |session, _| {
            session.end(by, why).map(Some)
        })
        .await
    }

    /// Records that somebody watches a session, before they see anything of it.
    ///
    /// # Errors
    /// Where the caller may not, or there is nothing to watch.
    pub async fn note_watched(&self, caller: Caller, id: SessionId) -> Result<Session, Error> {
        self.may_look_into(caller, id).await?;
        self.session_event(Actor::Person(caller.person), id, |session, _| {
            session.watch().map(Some)
        })
        .await
    }

    /// Records that somebody looks at the recording of a session, before they see anything of it.
    ///
    /// # Errors
    /// Where the caller may not, or there is no recording.
    pub async fn note_replayed(&self, caller: Caller, id: SessionId) -> Result<Session, Error> {
        self.may_look_into(caller, id).await?;
        self.session_event(Actor::Person(caller.person), id, |session, _| {
            session.replay().map(Some)
        })
        .await
    }

    /// Records that the recording of a session is about to be removed, its time being over. Told again, it is recorded once.
    ///
    /// # Errors
    /// Where the session is not over or was not recorded.
    pub async fn note_recording_removed(&self, id: SessionId) -> Result<Session, Error> {
        self.session_event(Actor::System, id, |session, _| session.remove_recording())
            .await
    }

    /// Closes what a gateway left behind: those of these sessions that are not over. How many that were.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn close_lost(&self, sessions: impl IntoIterator<Item = SessionId>) -> Result<usize, Error> {
        self.close_each(sessions.into_iter().map(|id| (id, Reason::Lost)).collect())
            .await
    }

    /// Closes sessions whose grant was seen to be gone and had begun to end so long ago, in case nobody else says that they are over.
    /// How many that were. `grace`: how long a gateway may take to say it, with what it counted.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn close_outliving_sessions(&self, grace: Span) -> Result<usize, Error> {
        let begun = self.store().now().await? - grace;
        let mut over = Vec::new();
        for session in self.store().outliving_sessions(begun, BATCH).await? {
            let grant = self.store().grant(session.grant).await?;
            let reason = grant.as_ref().and_then(daypass_core::grant::Grant::reason);
            over.push((session.id, reason.map_or(Reason::Lost, Reason::of_grant)));
        }
        self.close_each(over).await
    }

    /// A session that the caller may see, with its grant: who may see that.
    ///
    /// # Errors
    /// Where there is none, or they may not know of it. The two are one.
    pub async fn session_seen(
        &self,
        caller: Caller,
        id: SessionId,
    ) -> Result<(Session, daypass_core::grant::Grant), Error> {
        let unknown = || not_found(format!("there is no session {}", id.short()));
        let session = self.store().session(id).await?.ok_or_else(unknown)?;
        let grant = self.store().grant(session.grant).await?.ok_or_else(unknown)?;
        if session.holder == caller.person || caller.sees_all() {
            return Ok((session, grant));
        }
        let request = self.store().request(grant.request).await?;
        let now = self.store().now().await?;
        match request {
            Some(request) if self.may_see(caller, &request, now) => Ok((session, grant)),
            _ => Err(unknown().into()),
        }
    }

    /// Whether somebody may look into a session, for who offers them that. See [`Self::may_look_into`].
    ///
    /// # Errors
    /// Where they may not know of it.
    pub async fn looks_into(&self, caller: Caller, id: SessionId) -> Result<bool, Error> {
        self.session_seen(caller, id).await?;
        match self.may_look_into(caller, id).await {
            Ok(()) => Ok(true),
            Err(Error::Refused(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether somebody may look into a session that they may see.
    ///
    /// # Errors
    /// Where they may not, or may not know of it.
    pub async fn may_look_into(&self, caller: Caller, id: SessionId) -> Result<(), Error> {
        let (_, grant) = self.session_seen(caller, id).await?;
        if caller.sees_all() {
            return Ok(());
        }
        let request = self.store().request(grant.request).await?;
        let now = self.store().now().await?;
        let is_reviewer = request.is_some_and(|request| {
            let reviewed = request.reviews().iter().any(|review| review.is_of(caller.person));
            let looked = matches!(request.owed(), Some(Owed::Reviewed { by, .. }) if *by == caller.person);
            let may_look = matches!(request.owed(), Some(Owed::Due { .. }))
                && self.awaits(caller.person, &request, now).is_any();
            request.ask.requester != caller.person && (reviewed || looked || may_look)
        });
        if is_reviewer {
            return Ok(());
        }
        Err(Refusal::new(
            Code::Forbidden,
            "what happened in a session is for auditors, administrators and who reviewed its request",
        )
        .into())
    }

    async fn close_each(&self, sessions: Vec<(SessionId, Reason)>) -> Result<usize, Error> {
        let closing = stream::iter(sessions).map(|(id, reason)| {
            self.store().transition(Scope::Session(id), move |world, _| {
                let session = world.sessions.get(&id);
                let event = session.and_then(|session| session.close(reason, None));
                Ok(told(Actor::System, id, event))
            })
        });
        let outcomes: Vec<_> = closing.buffer_unordered(AT_ONCE).collect().await;
        let mut closed = 0;
        for outcome in outcomes {
            closed += outcome?.events.len();
        }
        Ok(closed)
    }

    async fn session_event<Events: IntoIterator<Item = Event>>(
        &self,
        actor: Actor,
        id: SessionId,
        how: impl FnOnce(&Session, Timestamp) -> Result<Events, Refusal> + Send + 'static,
    ) -> Result<Session, Error> {
        let committed = self
            .store()
            .transition(Scope::Session(id), move |world, now| {
                Ok(told(actor, id, how(found(world, id)?, now)?))
            })
            .await?;
        Ok(found(&committed.world, id)?.clone())
    }
}

/// What happened to a session, for the store.
fn told(actor: Actor, id: SessionId, events: impl IntoIterator<Item = Event>) -> Outcome {
    let mut outcome = Outcome::default();
    for event in events {
        outcome.push(actor, Subject::Session(id), What::Session(event));
    }
    outcome
}

/// That its recording has begun, of one that is being opened.
fn begun(opened: &Event, first: Option<Chunk>) -> Result<Option<Event>, Refusal> {
    match (opened, first) {
        (Event::Opened { session }, Some(first)) => session.record(first),
        _ => Ok(None),
    }
}

fn found(world: &World, id: SessionId) -> Result<&Session, Refusal> {
    world
        .sessions
        .get(&id)
        .ok_or_else(|| not_found(format!("there is no session {}", id.short())))
}

/// Whether the policy in force wants what is done with this item recorded. A resource that left the policy is not left unrecorded for it.
fn demands_recording(current: &Current, item: &Item) -> bool {
    let resource = current.policy.resource(item.resource.as_str());
    resource.is_none_or(|resource| resource.recording == Some(Recording::Required))
}

/// What a program calls itself, as far as that can be shown: anybody can say anything there.
fn tidy(program: &str) -> Option<String> {
    let plain = program.chars().filter(|c| !is_hostile(*c));
    let text: String = plain.take(LONGEST_PROGRAM).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
