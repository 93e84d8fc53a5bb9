//! From the log to whoever listens: events get their place, and each is told to those who may see what it is about.

use std::collections::BTreeSet;
use std::sync::Arc;

use daypass_core::event::{Event, Subject, What};
use daypass_core::id::{GrantId, PersonId, RequestId};
use daypass_core::lock::On;
use daypass_core::person::{Change, Person};
use daypass_core::request::Request;
use daypass_core::review::Review;
use daypass_core::session;
use daypass_core::time::Timestamp;
use daypass_engine::{Caller, Engine};
use daypass_policy::Directory as _;
use daypass_store::{Entry, Error};

/// An event with the people who may see what it is about. Who sees everything is not named.
#[derive(Debug)]
pub(crate) struct Told {
    /// The event, with its place.
    pub entry: Entry,
    /// Who may see it.
    pub audience: BTreeSet<PersonId>,
}

impl Told {
    /// Whether this caller may see it.
    #[must_use]
    pub(crate) fn is_for(&self, caller: Caller) -> bool {
        caller.sees_all() || self.audience.contains(&caller.person)
    }

    /// Whether it is about this account, or about who answers for it: its sessions may have ended with it, and its role is no
    /// more than theirs.
    #[must_use]
    pub(crate) fn concerns(&self, person: &Person) -> bool {
        let about = |id: PersonId| self.entry.event.subject == Subject::Person(id);
        about(person.id) || person.owner.is_some_and(about)
    }
}

/// Finds who may see these events.
///
/// # Errors
/// Where the store does not answer.
pub(crate) async fn address(engine: &Engine, entries: Vec<Entry>) -> Result<Vec<Arc<Told>>, Error> {
    let mut told = Vec::with_capacity(entries.len());
    for entry in entries {
        let audience = audience(engine, &entry.event).await?;
        told.push(Arc::new(Told { entry, audience }));
    }
    Ok(told)
}

async fn audience(engine: &Engine, event: &Event) -> Result<BTreeSet<PersonId>, Error> {
    match &event.subject {
        Subject::Request(id) => of_request(engine, *id, event.at).await,
        Subject::Grant(id) => of_grant(engine, *id, event.at).await,
        // That somebody looks is nothing for whom they look at; chunks are many, and nothing for anybody but the log.
        Subject::Session(_)
            if matches!(
                event.what,
                What::Session(
                    session::Event::Watched | session::Event::Replayed | session::Event::Recorded { .. }
                )
            ) =>
        {
            Ok(BTreeSet::new())
        }
        Subject::Session(id) => match engine.store().session(*id).await? {
            Some(session) => of_grant(engine, session.grant, event.at).await,
            None => Ok(BTreeSet::new()),
        },
        Subject::Entitlement(key) => {
            let entitlement = engine.store().entitlement(key).await?;
            let holders = engine.store().held(std::slice::from_ref(key)).await?;
            let mut people: BTreeSet<_> = holders.grants.values().map(|grant| grant.holder).collect();
            people.extend(
                entitlement
                    .and_then(|entitlement| entitlement.spec)
                    .map(|spec| spec.holder),
            );
            Ok(people)
        }
        Subject::Person(id) => {
            let mut people = BTreeSet::from([*id]);
            people.extend(delegate(&event.what));
            Ok(people)
        }
        Subject::Change(id) => Ok(engine
            .store()
            .change(*id)
            .await?
            .map_or_else(BTreeSet::new, |change| engine.involved_in(&change, event.at))),
        Subject::Lock(On::Person(id)) => Ok(BTreeSet::from([*id])),
        Subject::Lock(On::Resource(_)) | Subject::Policy | Subject::Key(_) | Subject::Log => {
            Ok(BTreeSet::new())
        }
    }
}

/// Whom a change of the directory makes a delegate, or no longer one.
const fn delegate(what: &What) -> Option<PersonId> {
    match what {
        What::Person(Change::Delegated { delegation }) => Some(delegation.to),
        What::Person(Change::DelegationEnded { to }) => Some(*to),
        _ => None,
    }
}

async fn of_grant(engine: &Engine, id: GrantId, at: Timestamp) -> Result<BTreeSet<PersonId>, Error> {
    // A grant shares its bytes with the request that led to it.
    let mut people = of_request(engine, RequestId::from_bytes(id.bytes()), at).await?;
    people.extend(engine.store().grant(id).await?.map(|grant| grant.holder));
    Ok(people)
}

async fn of_request(engine: &Engine, id: RequestId, at: Timestamp) -> Result<BTreeSet<PersonId>, Error> {
    Ok(engine
        .store()
        .request(id)
        .await?
        .map_or_else(BTreeSet::new, |request| involved(engine, &request, at)))
}

/// Who asked, who may be asked, their delegates, and who answered: those to whom [`Engine::may_see`] shows the request.
fn involved(engine: &Engine, request: &Request, at: Timestamp) -> BTreeSet<PersonId> {
    let current = engine.current();
    let mut people = BTreeSet::from([request.ask.requester]);
    people.extend(request.reviews().iter().flat_map(Review::voices));
    let requester = current.directory.person(request.ask.requester);
    people.extend(requester.and_then(|account| account.owner));
    for step in request.path.asks() {
        let (policy, directory) = (&current.policy, current.directory.as_ref());
        for person in policy.reviewers(request.ask.requester, step, true, directory, Timestamp::MAX) {
            people.insert(person);
            people.extend(policy.delegate_of(person, directory, at));
        }
    }
    people
}
