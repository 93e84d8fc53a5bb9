//! What becomes of access that was granted: give it back, end it early, hand out its credentials.

use std::collections::BTreeSet;

use daypass_core::entitlement::Fault;
use daypass_core::event::{Actor, Subject, What};
use daypass_core::grant::{Grant, Reason};
use daypass_core::id::{GrantId, PersonId};
use daypass_core::name::Item;
use daypass_core::planted;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::Request;
use daypass_core::world::World;
use daypass_providers::Credential;
use daypass_store::{Outcome, Scope};
use futures_util::{StreamExt as _, stream};

use crate::caller::Caller;
use crate::connectors::Connectors;
use crate::current::Current;
use crate::engine::Engine;
use crate::error::{Error, not_found};
use crate::passage::goes_through;
use crate::requests::check_text;
use crate::reveal::may_reveal;
use crate::services::{lost, may_use, strange};

/// How often credentials are asked of a target that says that something else changed the access at the same time: just
/// after a grant becomes active, its limit at the target is tightened.
const ATTEMPTS: u32 = 5;

/// How many transitions are offered to the store at once, so that it can commit them as a group.
const AT_ONCE: usize = 64;

/// A grant whose end began, and what its holder still has.
#[derive(Debug)]
pub struct Ended {
    /// The grant, now ending.
    pub grant: Grant,
    /// Grants of the same holder on the same items that live on: ending one never ends another.
    pub surviving: Vec<GrantId>,
}

/// Whether they are one of those who reviewed it.
fn reviewed(caller: Caller, request: &Request) -> bool {
    request.reviews().iter().any(|review| review.is_of(caller.person))
}

impl Engine {
    /// The holder gives a grant back.
    ///
    /// # Errors
    /// Where it is somebody else's, or over.
    pub async fn release(&self, caller: Caller, id: GrantId) -> Result<Ended, Error> {
        self.end(Actor::Person(caller.person), id, move |grant, now| {
            grant.release(caller.person, now)
        })
        .await
    }

    /// Somebody ends a grant early: an administrator, one of those who approved it, or the holder.
    ///
    /// # Errors
    /// Where the caller may not, or the grant is over.
    pub async fn revoke(&self, caller: Caller, id: GrantId, why: Option<&str>) -> Result<Ended, Error> {
        why.map_or(Ok(()), |why| check_text("reason", why))?;
        self.may_revoke(caller, id).await?;
        let why = why.map(|why| self.prose(why));
        let reason = Reason::Revoked {
            by: caller.person,
            why,
        };
        self.end(Actor::Person(caller.person), id, move |grant, now| {
            grant.end(reason, now)
        })
        .await
    }

    /// Fresh credentials for one item of an active grant, to its holder only. They are set at the target now, returned
    /// once and kept nowhere; the log tells that they were issued.
    ///
    /// # Errors
    /// Where somebody else asks, the access is not there, or the target does not answer.
    pub async fn credential(
        &self,
        caller: Caller,
        id: GrantId,
        item: Option<Item>,
    ) -> Result<(Item, Credential), Error> {
        let behind = self.behind(id, caller.person).await?;
        let recorded = self.is_to_be_recorded(id).await?;
        let committed = self
            .decide(Scope::Grant(id), move |current, world, now| {
                let grant = held(world, id)?;
                let item = one_item(grant, item.clone())?;
                // Ownership first: who is not the holder learns nothing about the resource.
                let event = grant.issue_credential(caller.person, &item, now)?;
                may_use(current, world, grant, &behind)?;
                may_reveal(current, &item, recorded)?;
                has_credentials(&current.connectors, grant, &item)?;
                Ok(Outcome::one(
                    Actor::Person(caller.person),
                    Subject::Grant(id),
                    What::Grant(event),
                ))
            })
            .await?;
        let issued = committed.events.iter().find_map(|event| match &event.what {
            What::Grant(daypass_core::grant::Event::CredentialIssued { item, .. }) => Some(item.clone()),
            _ => None,
        });
        let item = issued.ok_or_else(|| not_found("no credentials were issued"))?;
        let grant = held(&committed.world, id)?;
        let credential = self.set_credential(grant, &item).await?;
        Ok((item, credential))
    }

    /// Fresh credentials for one item of a grant, for a gateway and nobody else: only where the item is reached through one. Whoever
    /// calls has checked who is to use it ([`Self::open_session`] is what decides that).
    ///
    /// # Errors
    /// Where the item is reached directly, the access is not there, or the target does not answer.
    pub async fn gateway_credential(&self, grant: &Grant, item: &Item) -> Result<Credential, Error> {
        goes_through(&self.current(), item)?;
        self.set_credential(grant, item).await
    }

    /// Sets a credential at the target.
    async fn set_credential(&self, grant: &Grant, item: &Item) -> Result<Credential, Error> {
        let current = self.current();
        let part = grant.part(item);
        let part = part.ok_or_else(|| not_found("the item is gone"))?;
        let provider = current.connectors.get(&part.target.connector).ok_or_else(|| {
            Refusal::new(
                Code::NotFound,
                format!("the connector {} is gone", part.target.connector),
            )
        })?;
        let mut attempt = 1;
        loop {
            match provider.credential(&part.target.key, &part.spec).await {
                Err(error) if error.fault == Fault::Conflict && attempt < ATTEMPTS => attempt += 1,
                answer => return Ok(answer?),
            }
        }
    }

    /// Begins the end of everything that somebody holds whose account was switched off, or whom nobody answers for, unless that
    /// is mended; how many grants that were.
    pub(crate) async fn end_all_of(&self, actor: Actor, holder: PersonId) -> Result<usize, Error> {
        if planted::is(planted::Fault::KeepLeavers) {
            return Ok(0);
        }
        let held = self.store().live_grants_of(holder).await?;
        let ids = held.iter().map(|grant| grant.id).collect();
        let lost = |current: &Current, _: &World, grant: &Grant| lost(&current.directory, grant.holder);
        self.end_each(actor, ids, lost).await
    }

    /// Begins the end of what somebody holds that was given to a handle which is not theirs any more; how many grants that were.
    pub(crate) async fn end_strange(&self, actor: Actor, holder: PersonId) -> Result<usize, Error> {
        let held = self.store().live_grants_of(holder).await?;
        self.end_strangers(actor, &held).await
    }

    /// The same of these grants.
    pub(crate) async fn end_strangers(&self, actor: Actor, held: &[Grant]) -> Result<usize, Error> {
        let directory = self.current().directory;
        let strangers = held.iter().filter(|grant| strange(&directory, grant).is_some());
        let ids = strangers.map(|grant| grant.id).collect();
        let why = |current: &Current, _: &World, grant: &Grant| strange(&current.directory, grant);
        self.end_each(actor, ids, why).await
    }

    /// Begins the end of each of these grants for the reason that `why` finds in the transaction itself, if it still finds
    /// one; how many began to end. What is over meanwhile is passed over: all the better.
    pub(crate) async fn end_each(
        &self,
        actor: Actor,
        ids: Vec<GrantId>,
        why: impl Fn(&Current, &World, &Grant) -> Option<Reason> + Clone + Send + 'static,
    ) -> Result<usize, Error> {
        let ending = stream::iter(ids).map(|id| {
            let why = why.clone();
            self.decide(Scope::Grant(id), move |current, world, now| {
                let live = world.grants.get(&id).filter(|grant| grant.is_live());
                let found = live.and_then(|grant| Some((grant, why(current, world, grant)?)));
                found.map_or_else(
                    || Ok(Outcome::default()),
                    |(grant, reason)| {
                        let event = What::Grant(grant.end(reason, now)?);
                        Ok(Outcome::one(actor, Subject::Grant(id), event))
                    },
                )
            })
        });
        let outcomes: Vec<_> = ending.buffer_unordered(AT_ONCE).collect().await;
        let mut ended = 0;
        for outcome in outcomes {
            ended += outcome?.events.len();
        }
        Ok(ended)
    }

    async fn may_revoke(&self, caller: Caller, id: GrantId) -> Result<(), Error> {
        let grant = self
            .store()
            .grant(id)
            .await?
            .ok_or_else(|| not_found(format!("there is no grant {}", id.short())))?;
        if self.ends(caller, &grant).await? {
            return Ok(());
        }
        if caller.sees_all() {
            return Err(Refusal::new(
                Code::Forbidden,
                "only its holder, who answers for it, its reviewers or an administrator can end a grant",
            )
            .into());
        }
        // Who may not know of it gets the answer that an unknown id gets.
        Err(not_found(format!("there is no grant {}", id.short())).into())
    }

    /// Whether somebody may end this grant: its holder, who answers for them, who reviewed its request, and administrators.
    pub(crate) async fn ends(&self, caller: Caller, grant: &Grant) -> Result<bool, Error> {
        if self.ends_unasked(caller, grant) {
            return Ok(true);
        }
        let request = self.store().request(grant.request).await?;
        Ok(request.is_some_and(|request| reviewed(caller, &request)))
    }

    /// Those of these grants that somebody may end, as [`Self::revoke`] decides it, whether or not there is something to end.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn endable(&self, caller: Caller, grants: &[Grant]) -> Result<BTreeSet<GrantId>, Error> {
        let (own, others): (Vec<&Grant>, Vec<&Grant>) =
            grants.iter().partition(|grant| self.ends_unasked(caller, grant));
        let requests: Vec<_> = others.iter().map(|grant| grant.request).collect();
        let requests = if requests.is_empty() {
            Vec::new()
        } else {
            self.store().requests_of_ids(&requests).await?
        };
        let reviewed: BTreeSet<_> = requests
            .iter()
            .filter(|request| reviewed(caller, request))
            .map(|request| request.id)
            .collect();
        let others = others
            .into_iter()
            .filter(|grant| reviewed.contains(&grant.request));
        Ok(own.into_iter().chain(others).map(|grant| grant.id).collect())
    }

    /// The part of [`Self::ends`] that nothing has to be read for.
    fn ends_unasked(&self, caller: Caller, grant: &Grant) -> bool {
        let owns = self.current().directory.owns(caller.person, grant.holder);
        grant.holder == caller.person || owns || caller.administrator().is_ok()
    }

    async fn end(
        &self,
        actor: Actor,
        id: GrantId,
        how: impl FnOnce(&Grant, daypass_core::time::Timestamp) -> Result<daypass_core::grant::Event, Refusal>
        + Send
        + 'static,
    ) -> Result<Ended, Error> {
        let committed = self
            .store()
            .transition(Scope::Grant(id), move |world, now| {
                let event = how(held(world, id)?, now)?;
                if planted::is(planted::Fault::SaidEnded) {
                    return Ok(Outcome::default());
                }
                Ok(Outcome::one(actor, Subject::Grant(id), What::Grant(event)))
            })
            .await?;
        let grant = held(&committed.world, id)?.clone();
        let mut surviving = Vec::new();
        for other in self.store().live_grants_of(grant.holder).await? {
            let shares = other
                .parts
                .iter()
                .any(|part| grant.parts.iter().any(|ended| ended.item() == part.item()));
            if other.id != id && shares {
                surviving.push(other.id);
            }
        }
        Ok(Ended { grant, surviving })
    }
}

pub(crate) fn held(world: &World, id: GrantId) -> Result<&Grant, Refusal> {
    world
        .grants
        .get(&id)
        .ok_or_else(|| not_found(format!("there is no grant {}", id.short())))
}

/// Some targets give the access itself, and have nothing to hand out. That is said before anything is told to have been issued.
fn has_credentials(connectors: &Connectors, grant: &Grant, item: &Item) -> Result<(), Refusal> {
    let part = grant.part(item);
    let provider = part.and_then(|part| connectors.get(&part.target.connector));
    if provider.is_none_or(|provider| provider.capabilities().credential) {
        return Ok(());
    }
    if provider.is_some_and(|provider| provider.certifier().is_some()) {
        let what = format!("{item} has no credentials: the holder's own key is certified");
        return Err(Refusal::new(Code::Invalid, what).hint(format!("daypass ssh {item}")));
    }
    let what = format!("{item} has no credentials: the access is there without any");
    Err(Refusal::new(Code::Invalid, what).hint("daypass status shows until when"))
}

/// The item that is meant: the one named, or the only one there is.
pub(crate) fn one_item(grant: &Grant, item: Option<Item>) -> Result<Item, Refusal> {
    match (item, grant.parts.as_slice()) {
        (Some(item), _) => Ok(item),
        (None, [only]) => Ok(only.item().clone()),
        (None, _) => Err(Refusal::new(
            Code::Invalid,
            "the grant has several items; say which",
        )),
    }
}
