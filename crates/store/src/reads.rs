//! What the store answers and takes beside transitions.

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::entitlement::{Entitlement, TargetKey};
use daypass_core::id::{GrantId, PersonId, RequestId, TokenId};
use daypass_core::lock::Lock;
use daypass_core::name::Name;
use daypass_core::person::Person;
use daypass_core::text::Hash;
use daypass_core::time::Timestamp;
use daypass_core::world::World;

use crate::counts::{self, Counts};
use crate::due::{self, Due, DueCursor};
use crate::error::Result;
use crate::events::{self, Entry, EventFilter, From};
use crate::idempotency::{self, Answer, Begun, Command};
use crate::log::{self, Head};
use crate::notices::{self, Backlog, Claim, Delivery, Fate};
use crate::policies::{self, AppliedPolicy, Revision};
use crate::replay;
use crate::store::Store;
use crate::tokens::{self, TokenRow};
use crate::{entitlements, locks, people, transition};

/// Each hands its work to a connection; the statements are in the file of their aggregate.
macro_rules! on {
    ($how:ident, $store:expr, |$link:ident| $work:expr) => {
        $store
            .$how(move |$link| Box::pin(async move { $work.await }))
            .await
    };
}

mod asked;

/// What the reconciler works from.
impl Store {
    /// An entitlement.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn entitlement(&self, key: &TargetKey) -> Result<Option<Entitlement>> {
        let key = key.clone();
        on!(read, self, |link| entitlements::by_key(link, &key))
    }

    /// What the ledger knows of a connector and was not seen absent.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn entitlements_of(&self, connector: &Name) -> Result<Vec<Entitlement>> {
        let connector = connector.clone();
        on!(read, self, |link| entitlements::standing_at(link, &connector))
    }

    /// The connectors with something to take away, now or later.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn connectors_in_use(&self) -> Result<BTreeSet<Name>> {
        on!(read, self, |link| entitlements::connectors_in_use(link))
    }

    /// How much each connector was last seen to have, or may have, although no grant wants it; those without are left out.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn unwanted(&self) -> Result<BTreeMap<Name, u64>> {
        on!(read, self, |link| entitlements::unwanted(link))
    }

    /// Where the ledger and the grants differ, by connector and key, `limit` of each at most: what was last seen, or may be there,
    /// although no grant wants it; and what a grant wants and was last seen absent.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn adrift(&self, limit: usize) -> Result<(Vec<Entitlement>, Vec<Entitlement>)> {
        on!(snapshot, self, |link| entitlements::adrift(link, limit))
    }

    /// The grants that have not ended and want one of these keys, those that share a key with them, and so on, with the
    /// entitlements of all their keys: what `core::plan` asks for. All of it at one moment.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn held(&self, keys: &[TargetKey]) -> Result<World> {
        let keys = keys.to_vec();
        on!(snapshot, self, |link| entitlements::held(link, &keys))
    }

    /// The first page of grants and entitlements that are due.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn due(&self, now: Timestamp, limit: usize) -> Result<Due> {
        self.due_behind(now, DueCursor::default(), limit).await
    }

    /// The next page of what is due.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn due_behind(&self, now: Timestamp, behind: DueCursor, limit: usize) -> Result<Due> {
        on!(read, self, |link| due::due(link, now, behind, limit))
    }

    /// The requests that nobody answered in time, the longest silent first.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn silent_requests(&self, now: Timestamp, limit: usize) -> Result<Vec<RequestId>> {
        on!(read, self, |link| due::silent(link, now, limit))
    }

    /// The earliest instant after this one at which time alone makes something due.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn next_due(&self, after: Timestamp) -> Result<Option<Timestamp>> {
        on!(read, self, |link| due::next(link, after))
    }
}

/// The directory, its credentials, and the policy.
impl Store {
    /// Everybody, active or not.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn people(&self) -> Result<Vec<Person>> {
        on!(snapshot, self, |link| people::all(link))
    }

    /// Everybody, active or not, and how often the directory had changed by then.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn directory(&self) -> Result<(Vec<Person>, u64)> {
        on!(snapshot, self, |link| people::directory(link))
    }

    /// An account.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn person(&self, id: PersonId) -> Result<Option<Person>> {
        on!(read, self, |link| people::by_id(link, id))
    }

    /// The active account of this login, upper and lower case alike.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn person_by_login(&self, login: &str) -> Result<Option<Person>> {
        let login = login.to_owned();
        on!(read, self, |link| people::by_login(link, &login))
    }

    /// The hash of somebody's password in PHC form, if they have one.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn password(&self, person: PersonId) -> Result<Option<String>> {
        on!(read, self, |link| people::password(link, person))
    }

    /// The session or token whose secret has this hash, while its owner's account is active. Whether it has run out, the
    /// caller compares.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn token(&self, hash: Hash) -> Result<Option<TokenRow>> {
        on!(read, self, |link| tokens::by_hash(link, hash))
    }

    /// Somebody's sessions and tokens, oldest first.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn tokens_of(&self, person: PersonId) -> Result<Vec<TokenRow>> {
        on!(read, self, |link| tokens::of_person(link, person))
    }

    /// Whose a session or token is.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn token_owner(&self, token: TokenId) -> Result<Option<PersonId>> {
        on!(read, self, |link| tokens::owner(link, token))
    }

    /// Notes that a session or token was used. Call it rarely: each call that changes something is a commit.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn token_used(&self, token: TokenId, at: Timestamp) -> Result<()> {
        on!(write, self, |link| tokens::used(link, token, at))
    }

    /// Forgets sessions and tokens that ran out before this instant; how many.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn forget_tokens(&self, before: Timestamp) -> Result<u64> {
        on!(write, self, |link| tokens::forget(link, before))
    }

    /// The policy revision in force, with its files.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn policy_in_force(&self) -> Result<Option<Revision>> {
        on!(read, self, |link| policies::in_force(link))
    }

    /// The policy revision with this hash, if it ever was in force.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn policy_revision(&self, revision: Hash) -> Result<Option<Revision>> {
        on!(read, self, |link| policies::by_revision(link, revision))
    }

    /// Which revisions were put in force before this place, or until now, newest first and without their files.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn policies_applied(&self, before: Option<i64>, limit: usize) -> Result<Vec<AppliedPolicy>> {
        on!(read, self, |link| policies::applied(link, before, limit))
    }

    /// The last revisions that were put in force, newest first.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn policy_history(&self, limit: usize) -> Result<Vec<Revision>> {
        on!(read, self, |link| policies::history(link, limit))
    }
}

/// Locks.
impl Store {
    /// What is locked, by whom, since when and why.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn locks(&self) -> Result<Vec<Lock>> {
        on!(snapshot, self, |link| locks::shut(link))
    }

    /// Grants that give something on this resource and have not begun to end.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn live_grants_on(&self, resource: &Name) -> Result<Vec<GrantId>> {
        let resource = resource.clone();
        on!(read, self, |link| locks::live_on(link, &resource))
    }

    /// Grants that have not begun to end although their holder, or a resource of theirs, is locked.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn held_under_locks(&self, limit: usize) -> Result<Vec<GrantId>> {
        on!(read, self, |link| locks::held_under(link, limit))
    }
}

/// The log.
impl Store {
    /// Gives up to `limit` committed events their places in the log; answers them with their places. Several servers may
    /// call it at the same time.
    ///
    /// # Errors
    /// Where the store does not answer or has no room.
    pub async fn sequence(&self, limit: usize) -> Result<Vec<Entry>> {
        on!(write, self, |link| log::sequence(link, limit))
    }

    /// A page of the log.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn events(&self, from: From, filter: EventFilter, limit: usize) -> Result<Vec<Entry>> {
        on!(read, self, |link| events::list(link, from, &filter, limit))
    }

    /// All that happened to a request, to the grant that it led to, to what was provisioned for it while that lasted, and to
    /// the requests that lengthened it. A grant shares its bytes with its request.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn timeline(&self, request: RequestId) -> Result<Vec<Entry>> {
        on!(snapshot, self, |link| events::timeline(link, request))
    }

    /// The number of the latest event, whether or not it has its place in the log; 0 where there is none. It tells whether
    /// anything has changed; where several servers commit at once, one that is in between may be missed for a moment.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn last_event(&self) -> Result<u64> {
        on!(read, self, |link| events::last(link))
    }

    /// The log's size and the head of its tree.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn log_head(&self) -> Result<Head> {
        on!(read, self, |link| log::head(link))
    }

    /// The state that the tables hold, with free texts closed.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn load_world(&self) -> Result<World> {
        on!(snapshot, self, |link| replay::load(link))
    }

    /// The state that all events make of an empty world, with free texts closed.
    ///
    /// # Errors
    /// Where an event is not what its leaf is the hash of, or does not follow.
    pub async fn replay(&self) -> Result<World> {
        on!(snapshot, self, |link| async move {
            replay::replay(link, 0, |_, _| Ok(()))
                .await
                .map(|replay| replay.world)
        })
    }
}

/// The outbox of notices.
impl Store {
    /// Where the next look through the log for notices begins. The first time ever, that is the log's present end: nobody
    /// hears of what was before.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn notices_begin(&self) -> Result<u64> {
        on!(write, self, |link| notices::begin(link))
    }

    /// Queues what the entries of the log from `from` up to `to` (exclusive) lead to; all of it, or nothing. `false`: another
    /// process was quicker, and nothing is done.
    ///
    /// # Errors
    /// Where the store does not answer or has no room.
    pub async fn queue_notices(&self, from: u64, to: u64, all: Vec<Delivery>) -> Result<bool> {
        on!(write, self, |link| notices::queue(link, from, to, all))
    }

    /// Takes what is due at a channel, the longest due first; nobody else gets it until the claim ends.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn claim_notices(&self, claim: &Claim) -> Result<Vec<Delivery>> {
        let claim = claim.clone();
        on!(write, self, |link| notices::claim(link, &claim))
    }

    /// Records what became of a delivery; whether that counted. What was delivered counts whoever did it, a failure only
    /// while the claim is still this worker's.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn settle_notice(&self, delivery: &Delivery, worker: &str, fate: Fate) -> Result<bool> {
        let (delivery, worker) = (delivery.clone(), worker.to_owned());
        on!(write, self, |link| notices::settle(
            link, &delivery, &worker, fate
        ))
    }

    /// Gives up what could have been told before this instant and never was, on whatever channel; how many.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn give_up_notices(&self, before: Timestamp) -> Result<BTreeMap<String, u64>> {
        on!(write, self, |link| notices::give_up(link, before))
    }

    /// Forgets what was given up and could have been told before this instant; how many.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn forget_notices(&self, before: Timestamp) -> Result<u64> {
        on!(write, self, |link| notices::forget(link, before))
    }

    /// How every channel stands that has anything to tell, or had to give something up.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn notices_waiting(&self, now: Timestamp) -> Result<Vec<Backlog>> {
        on!(read, self, |link| notices::backlog(link, now))
    }
}

/// For metrics.
impl Store {
    /// How many there are of what.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn counts(&self) -> Result<Counts> {
        on!(read, self, |link| counts::counts(link))
    }
}

/// Commands that carry an idempotency key.
impl Store {
    /// Begins a command, or answers how the first of its key stands.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn begin(&self, command: &Command, body: Hash) -> Result<Begun> {
        let (command, floor) = (command.clone(), self.floor().clone());
        on!(write, self, |link| async move {
            let (now, _) = transition::now(link, &floor).await?;
            idempotency::begin(link, &command, body, now).await
        })
    }

    /// Keeps what a command was answered.
    ///
    /// # Errors
    /// Where the store does not answer or has no room.
    pub async fn finish(&self, command: &Command, answer: Answer) -> Result<()> {
        let command = command.clone();
        on!(write, self, |link| idempotency::finish(link, &command, answer))
    }

    /// Lets a command be sent again that failed without effect.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn give_up(&self, command: &Command) -> Result<()> {
        let command = command.clone();
        on!(write, self, |link| idempotency::give_up(link, &command))
    }

    /// Forgets commands that were begun before this instant; how many.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn forget_commands(&self, before: Timestamp) -> Result<u64> {
        on!(write, self, |link| idempotency::forget(link, before))
    }
}
