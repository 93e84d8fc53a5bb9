//! Who may have how much under way at the same time: a share for each caller, and places for all of them together.
//!
//! A total without shares is whoever's asks most. And what takes access away has places that nothing else is given: somebody
//! who fills the server must not thereby keep what they hold.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use daypass_api::{ProblemCode, Route};
use daypass_core::id::{GrantId, PersonId};
use daypass_core::text::Hash as TokenHash;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::edge;
use crate::http::access::{Client, Identity};
use crate::http::problem::{Answer, Failure};
use crate::identity::limit::{network, site};

/// How many changes of people who are logged in are under way at the same time.
const CHANGES: u32 = 512;
/// How many more that take access away.
const ENDS: u32 = 64;
/// How many calls of strangers that change something: logins.
const STRANGERS: u32 = 128;
/// How many reads of people who are logged in, and as many of strangers.
const READS: usize = 128;
/// How many changes of one caller, and beside them how many that take access away.
const OF_ONE: usize = 16;
/// How many reads of one caller.
const READS_OF_ONE: usize = 8;
/// How many calls one site of strangers has under way: somebody at home may have as many networks as there are places.
const OF_ONE_SITE: usize = 32;
/// How many lookups of one token are under way at the same time, and of all that one address presents for the first time.
const LOOKUPS: usize = 16;
/// How many calls of one caller wait for a share.
const QUEUE: usize = 64;
/// How long a call waits for a share or a place before it is told to come again.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many calls for credentials one person has under way.
const CREDENTIALS_OF_ONE: usize = 4;
/// How many calls of one kind each gateway that runs apart has under way, and how many wait: those who wait for an answer of others take
/// up to eight seconds each, and records come for each session.
const OF_ONE_GATEWAY: usize = 256;
const QUEUE_OF_ONE_GATEWAY: usize = 10_000;
/// How many of those that bring much, or ask the store for much: renewals come one at a time, for all sessions of a gateway.
const MUCH_OF_ONE_GATEWAY: usize = 16;
/// How many calls of all such gateways are under way.
const GATEWAYS: u32 = 4_096;
/// How many pages of one caller are being made, or on their way to them.
const PAGES_OF_ONE: usize = 16;
/// How many event streams one person has open.
const STREAMS_OF_ONE: usize = 8;

/// Whose share it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// An account.
    Person(PersonId),
    /// Nobody is logged in: the network of the client.
    Stranger(IpAddr),
}

impl Who {
    /// Whose call this is, as the gate established it.
    #[must_use]
    pub(crate) fn of(request: &Request) -> Self {
        let extensions = request.extensions();
        let person = extensions.get::<Identity>().map(|identity| identity.person.id);
        let client = || extensions.get::<Client>().map_or(NOWHERE, |client| client.0);
        person.map_or_else(|| Self::Stranger(network(client())), Self::Person)
    }
}

/// Whose token is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Presented {
    /// One that was good lately.
    Familiar(TokenHash),
    /// Any other, from this address.
    From(IpAddr),
}

/// Who comes from no known address shares with all who do.
const NOWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

/// Whether a call takes access away, or tells that it is gone, and does nothing else.
pub(crate) const fn takes_away(route: Route) -> bool {
    matches!(
        route,
        Route::Lock
            | Route::Revoke
            | Route::Release
            | Route::KillSession
            | Route::Logout
            | Route::RevokeToken
            | Route::PersonDeactivate
            | Route::TicketClosed
            | Route::EndDelegation
            | Route::SshAcknowledge
    )
}

/// So many at the same time for each key. Memory is held for keys that have something under way, and for no others.
pub(crate) struct Shares<K: Eq + Hash>(Arc<Known<K>>);

struct Known<K> {
    each: usize,
    queue: usize,
    slots: Mutex<HashMap<K, Slot>>,
}

struct Slot {
    permits: Arc<Semaphore>,
    /// Those that have a share and those that wait for one.
    present: usize,
}

/// One of a key's shares, given back when it is dropped.
pub(crate) struct Share<K: Eq + Hash> {
    of: Arc<Known<K>>,
    key: K,
    permit: Option<OwnedSemaphorePermit>,
}

impl<K: Eq + Hash + Clone> Shares<K> {
    /// `each` at the same time for each key, and `queue` more that wait.
    #[must_use]
    pub(crate) fn new(each: usize, queue: usize) -> Self {
        Self(Arc::new(Known {
            each,
            queue,
            slots: Mutex::default(),
        }))
    }

    /// A share, if one is free now.
    #[must_use]
    pub(crate) fn try_take(&self, key: K) -> Option<Share<K>> {
        let (mut share, permits) = self.enter(key)?;
        share.permit = Some(permits.try_acquire_owned().ok()?);
        Some(share)
    }

    /// A share, once one is free; `None` where too many wait already, or none came free in time.
    pub(crate) async fn take_within(&self, limit: Duration, key: K) -> Option<Share<K>> {
        let (mut share, permits) = self.enter(key)?;
        share.permit = match Arc::clone(&permits).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => Some(edge::within(limit, permits.acquire_owned()).await.ok()?.ok()?),
        };
        Some(share)
    }

    fn enter(&self, key: K) -> Option<(Share<K>, Arc<Semaphore>)> {
        let known = &self.0;
        let mut slots = known.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(key.clone()).or_insert_with(|| Slot {
            permits: Arc::new(Semaphore::new(known.each)),
            present: 0,
        });
        if slot.present >= known.each + known.queue {
            return None;
        }
        slot.present += 1;
        let share = Share {
            of: Arc::clone(known),
            key,
            permit: None,
        };
        Some((share, Arc::clone(&slot.permits)))
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut slots = self.of.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut(&self.key) {
            slot.present = slot.present.saturating_sub(1);
            if slot.present == 0 {
                slots.remove(&self.key);
            }
        }
    }
}

/// A caller's share, given back when it is dropped.
pub(crate) struct Own {
    _share: Option<Share<Who>>,
    _site: Option<Share<IpAddr>>,
    /// Of a gateway that runs apart, in place of the first.
    _gateway: Option<Share<(PersonId, Route)>>,
}

/// A call's place, given back when it is dropped.
pub(crate) struct Place {
    own: Own,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// Gives the place back to all, and leaves the caller's own share: for what is done and has still to leave.
    #[must_use]
    pub(crate) fn done(self) -> Own {
        self.own
    }
}

/// All shares and places of a server.
pub(crate) struct Places {
    changes: Arc<Semaphore>,
    ends: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    gateways: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    strangers_reads: Arc<Semaphore>,
    of_changes: Shares<Who>,
    of_ends: Shares<Who>,
    of_reads: Shares<Who>,
    of_pages: Shares<Who>,
    of_sites: Shares<IpAddr>,
    of_tokens: Shares<Presented>,
    of_credentials: Shares<PersonId>,
    of_gateways: Shares<(PersonId, Route)>,
    much_of_gateways: Shares<(PersonId, Route)>,
    of_grants: Shares<GrantId>,
    /// Event streams of each person.
    pub streams: Shares<PersonId>,
    /// What plays, or shows, sessions to each person in a page.
    screens: Shares<PersonId>,
    /// What each person's streams have missed is read for one of them at a time.
    pub replays: Shares<PersonId>,
}

impl Default for Places {
    fn default() -> Self {
        let places = |count: u32| Arc::new(Semaphore::new(usize::try_from(count).unwrap_or(1)));
        Self {
            changes: places(CHANGES),
            ends: places(ENDS),
            strangers: places(STRANGERS),
            gateways: places(GATEWAYS),
            reads: Arc::new(Semaphore::new(READS)),
            strangers_reads: Arc::new(Semaphore::new(READS)),
            of_changes: Shares::new(OF_ONE, QUEUE),
            of_ends: Shares::new(OF_ONE, QUEUE),
            of_reads: Shares::new(READS_OF_ONE, QUEUE),
            of_pages: Shares::new(PAGES_OF_ONE, QUEUE),
            of_sites: Shares::new(OF_ONE_SITE, QUEUE),
            of_tokens: Shares::new(LOOKUPS, QUEUE),
            of_credentials: Shares::new(CREDENTIALS_OF_ONE, 0),
            of_gateways: Shares::new(OF_ONE_GATEWAY, QUEUE_OF_ONE_GATEWAY),
            much_of_gateways: Shares::new(MUCH_OF_ONE_GATEWAY, QUEUE_OF_ONE_GATEWAY),
            of_grants: Shares::new(1, 0),
            streams: Shares::new(STREAMS_OF_ONE, 0),
            screens: Shares::new(STREAMS_OF_ONE, 0),
            replays: Shares::new(1, STREAMS_OF_ONE),
        }
    }
}

impl Places {
    /// A caller's share of changes, whose place comes later: [`Self::change`].
    ///
    /// # Errors
    /// Where the caller, or their site, has as much under way as is taken.
    pub(crate) async fn own(&self, who: Who, route: Option<Route>) -> Answer<Own> {
        if let (Who::Person(gateway), Some(route)) = (who, route.filter(|route| route.is_of_gateways())) {
            let is_much = matches!(
                route,
                Route::GatewayRenew | Route::GatewayRecord | Route::GatewayRegister
            );
            let shares = if is_much {
                &self.much_of_gateways
            } else {
                &self.of_gateways
            };
            let share = shares.take_within(PATIENCE, (gateway, route)).await;
            return Ok(Own {
                _share: None,
                _site: None,
                _gateway: Some(share.ok_or_else(too_much)?),
            });
        }
        let ends = route.is_some_and(takes_away);
        let shares = if ends { &self.of_ends } else { &self.of_changes };
        self.share(shares, who).await
    }

    /// A place for a change.
    ///
    /// # Errors
    /// Where all together have as much under way as is taken.
    pub(crate) fn change(&self, own: Own, who: Who, route: Option<Route>) -> Answer<Place> {
        let ends = route.is_some_and(takes_away);
        let free = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
        let permit = match who {
            Who::Stranger(_) => free(&self.strangers),
            // Whatever people have under way: sessions depend on it.
            Who::Person(_) if route.is_some_and(Route::is_of_gateways) => free(&self.gateways),
            Who::Person(_) => free(&self.changes).or_else(|| free(&self.ends).filter(|_| ends)),
        };
        Ok(Place {
            own,
            _permit: permit.ok_or_else(full)?,
        })
    }

    /// A place for a read.
    ///
    /// # Errors
    /// Where the caller, or all together, have as much under way as is taken.
    pub(crate) async fn read(&self, who: Who) -> Answer<Place> {
        let own = self.share(&self.of_reads, who).await?;
        let places = match who {
            Who::Person(_) => &self.reads,
            Who::Stranger(_) => &self.strangers_reads,
        };
        let permit = edge::within(PATIENCE, Arc::clone(places).acquire_owned()).await;
        Ok(Place {
            own,
            _permit: permit.ok().and_then(Result::ok).ok_or_else(full)?,
        })
    }

    /// A caller's share of pages. What a page asks has its own place and share, which are free again once the page has the answers.
    ///
    /// # Errors
    /// Where the caller, or their site, has as many under way as are made at the same time.
    pub(crate) async fn page(&self, who: Who) -> Answer<Own> {
        self.share(&self.of_pages, who).await
    }

    /// A person's share of what is drawn for them, for as long as any of it is here.
    ///
    /// # Errors
    /// Where they have too many.
    pub(crate) fn screen(&self, person: PersonId) -> Answer<Share<PersonId>> {
        self.screens.try_take(person).ok_or_else(too_much)
    }

    async fn share(&self, shares: &Shares<Who>, who: Who) -> Answer<Own> {
        let share = shares.take_within(PATIENCE, who).await.ok_or_else(too_much)?;
        let site = match who {
            Who::Person(_) => None,
            Who::Stranger(network) => {
                let site = self.of_sites.take_within(PATIENCE, site(network)).await;
                Some(site.ok_or_else(too_much)?)
            }
        };
        Ok(Own {
            _share: Some(share),
            _site: site,
            _gateway: None,
        })
    }

    /// A share for looking a token up, before anybody knows whose it is.
    ///
    /// # Errors
    /// Where as many lookups of this one, or from this address, are under way as are made at the same time.
    pub(crate) async fn lookup(&self, presented: Presented) -> Answer<Share<Presented>> {
        let share = self.of_tokens.take_within(PATIENCE, presented).await;
        share.ok_or_else(too_much)
    }

    /// A place for a call for credentials, of which a grant has one at a time.
    ///
    /// # Errors
    /// Where one for the grant is under way, or too many of the person.
    pub(crate) fn credentials(
        &self,
        person: PersonId,
        grant: GrantId,
    ) -> Answer<(Share<PersonId>, Share<GrantId>)> {
        let of_grant = self.of_grants.try_take(grant).ok_or_else(|| {
            let what = "credentials of this grant are being set just now";
            Failure::new(ProblemCode::RateLimited, what).retry_after(Duration::from_secs(1))
        })?;
        Ok((self.personal_credential(person)?, of_grant))
    }

    /// A person's share of credentials for the gateway, which are for no grant.
    ///
    /// # Errors
    /// Where they have too many calls under way.
    pub(crate) fn personal_credential(&self, person: PersonId) -> Answer<Share<PersonId>> {
        self.of_credentials.try_take(person).ok_or_else(too_much)
    }

    /// A person's share of answers that do not end; what these are called.
    ///
    /// # Errors
    /// Where they have too many.
    pub(crate) fn stream(&self, person: PersonId, called: &str) -> Answer<Share<PersonId>> {
        self.streams.try_take(person).ok_or_else(|| {
            let what = format!("{STREAMS_OF_ONE} {called} of yours are open");
            Failure::new(ProblemCode::RateLimited, what).retry_after(Duration::from_secs(5))
        })
    }

    /// Waits until no change is under way.
    pub(crate) async fn all_changed(&self) {
        for (places, count) in [
            (&self.changes, CHANGES),
            (&self.ends, ENDS),
            (&self.strangers, STRANGERS),
            (&self.gateways, GATEWAYS),
        ] {
            // Nobody closes them.
            let _all = places.acquire_many(count).await;
        }
    }
}

fn too_much() -> Failure {
    let what = "as many calls of yours as are taken at the same time are under way";
    Failure::new(ProblemCode::RateLimited, what).retry_after(Duration::from_secs(1))
}

fn full() -> Failure {
    Failure::new(ProblemCode::Unavailable, "too much at the same time").retry_after(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn person(n: u8) -> Who {
        Who::Person(PersonId::from_bytes([n; 10]))
    }

    /// As many places as one gets without waiting.
    fn takes(places: &Places, who: Who, route: Route) -> Vec<Place> {
        std::iter::from_fn(|| take(places, who, route)?.ok()).collect()
    }

    fn take(places: &Places, who: Who, route: Route) -> Option<Answer<Place>> {
        let own = places.own(who, Some(route)).now_or_never()?;
        Some(own.and_then(|own| places.change(own, who, Some(route))))
    }

    #[test]
    fn a_credential_for_no_grant_holds_up_nobody_else() {
        let places = Places::default();
        let [ana, bo] = [1, 2].map(|n| PersonId::from_bytes([n; 10]));
        let of_ana: Vec<_> = std::iter::from_fn(|| places.personal_credential(ana).ok()).collect();
        assert_eq!(of_ana.len(), CREDENTIALS_OF_ONE);
        assert!(places.personal_credential(bo).is_ok());
    }

    #[tokio::test]
    async fn nobody_has_more_than_a_share() {
        let places = Places::default();
        let one = takes(&places, person(1), Route::AddRequest);
        assert_eq!(one.len(), OF_ONE);
        assert_eq!(takes(&places, person(2), Route::AddRequest).len(), OF_ONE);
        assert_eq!(takes(&places, person(1), Route::Release).len(), OF_ONE);
        drop(one);
        assert_eq!(takes(&places, person(1), Route::AddRequest).len(), OF_ONE);
        let reads: Vec<_> = std::iter::from_fn(|| places.read(person(1)).now_or_never()?.ok()).collect();
        assert_eq!(reads.len(), READS_OF_ONE);
    }

    #[tokio::test]
    async fn a_full_server_takes_what_takes_access_away_and_knows_its_strangers_apart() {
        let places = Places::default();
        let held: Vec<_> = (0..64)
            .map(|n| takes(&places, person(n), Route::AddRequest))
            .collect();
        assert_eq!(held.iter().map(Vec::len).sum::<usize>(), 512);
        let late = person(100);
        assert!(take(&places, late, Route::AddRequest).unwrap().is_err());
        for route in [
            Route::Lock,
            Route::Revoke,
            Route::Release,
            Route::PersonDeactivate,
        ] {
            assert!(take(&places, late, route).unwrap().is_ok());
        }
        let stranger = Who::Stranger(NOWHERE);
        assert_eq!(takes(&places, stranger, Route::Login).len(), OF_ONE);
    }

    #[tokio::test]
    async fn a_stranger_with_many_networks_has_no_more_than_a_site() {
        let places = Places::default();
        let of = |site: u16, network: u16| {
            let address = std::net::Ipv6Addr::new(0x2001, 0xdb8, site, network, 0, 0, 0, 1);
            Who::Stranger(super::network(address.into()))
        };
        let held: Vec<_> = (0..100)
            .flat_map(|n| takes(&places, of(1, n), Route::Login))
            .collect();
        assert_eq!(held.len(), OF_ONE_SITE);
        assert_eq!(takes(&places, of(2, 1), Route::Login).len(), OF_ONE);
    }

    #[tokio::test]
    async fn lookups_of_one_address_are_few_and_a_familiar_token_has_its_own() {
        let places = Places::default();
        let takes = |presented| -> Vec<_> {
            std::iter::from_fn(|| places.lookup(presented).now_or_never()?.ok()).collect()
        };
        let held = takes(Presented::From(NOWHERE));
        assert_eq!(held.len(), LOOKUPS);
        assert!(takes(Presented::From(NOWHERE)).is_empty());
        let familiar = Presented::Familiar(TokenHash::of(b"ana"));
        assert_eq!(takes(familiar).len(), LOOKUPS);
    }

    #[test]
    fn a_grant_has_one_call_for_credentials_and_a_person_a_few() {
        let places = Places::default();
        let (ana, bo) = (PersonId::from_bytes([1; 10]), PersonId::from_bytes([2; 10]));
        let grant = |n| GrantId::from_bytes([n; 10]);
        let first = places.credentials(ana, grant(0));
        assert!(first.is_ok() && places.credentials(ana, grant(0)).is_err());
        let others: Vec<_> = (1..10).map(|n| places.credentials(ana, grant(n))).collect();
        assert_eq!(others.iter().filter(|other| other.is_ok()).count(), 3);
        assert!(places.credentials(bo, grant(20)).is_ok());
        drop((first, others));
        assert!(places.credentials(ana, grant(0)).is_ok());
    }

    #[tokio::test]
    async fn who_waits_comes_in_and_nothing_is_kept_of_who_left() {
        let shares = Shares::new(1, 1);
        let first = shares.try_take("ana");
        let long = Duration::from_secs(60);
        let mut second = Box::pin(shares.take_within(long, "ana"));
        assert!(futures_util::poll!(&mut second).is_pending());
        assert!(
            shares.take_within(long, "ana").await.is_none(),
            "one may wait, not two"
        );
        drop(first);
        assert!(second.await.is_some());
        assert!(shares.0.slots.lock().unwrap().is_empty());
    }
}
