//! What a transition sees and holds still: the rows of its scope, locked in one order everywhere.
//!
//! The order is requests, grants by id, sessions, entitlements by key, people, locks, somebody's past: two transitions that meet wait, and never for each
//! other in a circle. What every decision depends on (the policy, and what is locked) changes only while nothing else is
//! decided: see [`Scope::is_exclusive`].

use daypass_core::entitlement::{Entitlement, TargetKey};
use daypass_core::grant::Grant;
use daypass_core::handle::Handle;
use daypass_core::id::{ChangeId, GrantId, PersonId, RequestId, SessionId};
use daypass_core::key::Key;
use daypass_core::lock::On;
use daypass_core::name::Name;
use daypass_core::past::Reach;
use daypass_core::person::{Person, SystemRole};
use daypass_core::request::Request;
use daypass_core::text::Hash;
use daypass_core::world::World;

use crate::error::{Error, Result};
use crate::link::Link;
use crate::value::{Row, Value};
use crate::{changes, counts, entitlements, keys, locks, past, people, sessions, texts};

/// How many requests of one person wait for others at most: who wants more takes one back. What is asked fills the mailboxes
/// of those who are to read it.
pub const MOST_OPEN: usize = 50;

/// How many grants of one person have not ended at most, emergencies apart: each is work at a target, now and when it ends, and
/// that of others waits behind it.
pub const MOST_HELD: u64 = 1_000;

/// What a transition is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// A request that is to be made. Loads what is there under its id already (the same command twice), and the grant that
    /// it is to extend.
    NewRequest {
        /// The id that it will have.
        id: RequestId,
        /// The grant that it is to extend.
        extends: Option<GrantId>,
        /// Whose other requests that wait are loaded too, up to [`MOST_OPEN`], and whose grants are counted that
        /// have not ended. Nobody else makes a request for them meanwhile.
        beside: Option<PersonId>,
    },
    /// A request, with the grant that it led to or extends.
    Request(RequestId),
    /// A grant, with the entitlements of its parts and every grant that has not ended and shares one of them.
    Grant(GrantId),
    /// An entitlement, with the grants that hold it and have not ended.
    Entitlement(TargetKey),
    /// An account that is to be made, with any active one of its login.
    NewPerson {
        /// The id that it will have.
        id: PersonId,
        /// The login that it will have.
        login: String,
    },
    /// An account, with any other active one of its login.
    Person(PersonId),
    /// An account that is to have a handle, or to come back with those that it has: with any other active one of its login, and
    /// those that have one of these handles, upper and lower case alike. Nobody else gets them meanwhile, as long as all come
    /// this way.
    Handles {
        /// Whose.
        person: PersonId,
        /// The namespace and the handle; `None`: all that the account has.
        handle: Option<(Name, Handle)>,
    },
    /// An account whose password was found right: nothing where another password was set meanwhile.
    Proved {
        /// Whose.
        person: PersonId,
        /// The SHA-256 of the hash in PHC form that the password was compared with.
        password: Hash,
    },
    /// An account that may cease to be an administrator. Where it is an active one, with all others; nobody else ceases to be
    /// one meanwhile, as long as all who do come this way.
    Administrator(PersonId),
    /// A lock, with the account where it is on a person.
    Lock(On),
    /// A change that waits for others, or that is to be proposed; with all others that wait, and the policy, which it may
    /// put in force; with the connectors in use.
    Change(ChangeId),
    /// A change of an account that waits for others, or that is to be proposed: as [`Self::Change`], with the account, any active
    /// one of the login, of the handle or of those that it has, and where it is an active administrator, all others.
    Edit {
        /// The change.
        change: ChangeId,
        /// Whose account.
        person: PersonId,
        /// The login of an account that is to be made.
        login: Option<String>,
        /// The handle that the account is to have.
        handle: Option<(Name, Handle)>,
    },
    /// The policy, with all changes that wait: they are proposals to change this one; with the connectors in use.
    Policy,
    /// The log itself. Nothing is loaded.
    Log,
    /// A key of Daypass's own. An authority issues nothing meanwhile.
    Key(Key),
    /// A session that is to be opened under a grant, which neither ends nor is lengthened meanwhile. Loads what is there under
    /// its id already.
    NewSession {
        /// The id that it will have.
        id: SessionId,
        /// The grant.
        grant: GrantId,
    },
    /// A session.
    Session(SessionId),
    /// Another of these, with what a person has had. Where something of it is counted, nobody else decides about the same
    /// person meanwhile who counts it too.
    Remembering {
        /// What it is about.
        about: Box<Self>,
        /// Whose past; where it is not said, that of who made the request or holds the grant that it is about.
        who: Option<PersonId>,
        /// How far back.
        reach: Reach,
    },
}

impl Scope {
    /// What it is about, whether or not it asks for the past.
    pub(crate) const fn about(&self) -> &Self {
        match self {
            Self::Remembering { about, .. } => about.about(),
            other => other,
        }
    }

    /// Whether every other decision depends on what this one changes. It then waits for those under way, and those that come
    /// wait for it: none is made on a policy or on locks that are no more.
    pub(crate) const fn is_exclusive(&self) -> bool {
        matches!(
            self.about(),
            Self::Lock(_) | Self::Change(_) | Self::Edit { .. } | Self::Policy
        )
    }
}

/// Loads the scope, with its rows locked until the transaction ends. The words of free texts are put back.
pub(crate) async fn load(link: &mut Link, scope: &Scope) -> Result<World> {
    let mut world = [World::default()];
    let [part] = &mut world;
    match scope.about() {
        Scope::NewRequest { id, extends, beside } => {
            link.reserve(&id.to_string()).await?;
            if let Some(person) = beside {
                others(link, part, *person).await?;
            }
            request(link, part, *id, *extends).await?;
        }
        Scope::Request(id) => request(link, part, *id, None).await?,
        Scope::Grant(id) => grant(link, part, *id).await?,
        Scope::Entitlement(key) => entitlement(link, part, key).await?,
        Scope::NewPerson { id, login } => new_person(link, part, *id, login).await?,
        Scope::Person(id) => {
            let text = "SELECT document FROM people WHERE id = $1 OR (state = 'active' AND lower(login) = \
                        (SELECT lower(login) FROM people WHERE id = $1)) ORDER BY id FOR UPDATE";
            take_people(part, &link.rows(text, &[(*id).into()]).await?)?;
        }
        Scope::Handles { person, handle } => {
            edited(link, part, *person, None).await?;
            handles(link, part, *person, handle.as_ref()).await?;
        }
        Scope::Proved { person, password } => proved(link, part, *person, *password).await?,
        Scope::Administrator(id) => administrator(link, part, *id).await?,
        Scope::Lock(on) => {
            if let On::Person(person) = on {
                let text = "SELECT document FROM people WHERE id = $1 FOR UPDATE";
                take_people(part, &link.rows(text, &[(*person).into()]).await?)?;
            }
            let text = "SELECT document FROM locks WHERE id = $1 FOR UPDATE";
            locks::take(part, &link.rows(text, &[on.to_string().into()]).await?)?;
        }
        Scope::Change(id) => {
            changes::waiting(link, part).await?;
            changes::one(link, part, *id).await?;
            policy(link).await?;
            part.connectors = entitlements::connectors_in_use(link).await?;
        }
        Scope::Edit {
            change,
            person,
            login,
            handle,
        } => {
            changes::waiting(link, part).await?;
            changes::one(link, part, *change).await?;
            policy(link).await?;
            edited(link, part, *person, login.as_deref()).await?;
            handles(link, part, *person, handle.as_ref()).await?;
        }
        Scope::Policy => {
            changes::waiting(link, part).await?;
            policy(link).await?;
            part.connectors = entitlements::connectors_in_use(link).await?;
        }
        Scope::Key(key) => keys::load(link, part, key).await?,
        Scope::NewSession { id, grant } => session(link, part, *id, *grant).await?,
        Scope::Session(id) => sessions::load(link, part, *id).await?,
        // Never: that is what it is not about.
        Scope::Remembering { .. } | Scope::Log => {}
    }
    past::hold(link, scope, part).await?;
    texts::open(link, &mut world).await?;
    let [world] = world;
    Ok(world)
}

/// What else somebody has asked for and has. Nobody else makes a request for them meanwhile.
async fn others(link: &mut Link, world: &mut World, person: PersonId) -> Result<()> {
    link.reserve(&format!("requests of {person}")).await?;
    take_requests(world, &open_of(link, person).await?)?;
    world.holds = counts::held_by(link, person).await?;
    Ok(())
}

async fn session(link: &mut Link, world: &mut World, id: SessionId, grant: GrantId) -> Result<()> {
    let text = "SELECT document FROM grants WHERE id = $1 FOR UPDATE";
    take_grants(world, &link.rows(text, &[grant.into()]).await?)?;
    sessions::load(link, world, id).await
}

/// Not locked: they may be decided meanwhile, and then fewer wait.
async fn open_of(link: &mut Link, person: PersonId) -> Result<Vec<Row>> {
    let text = "SELECT document FROM requests WHERE requester = $1 AND state = 'pending' LIMIT $2";
    link.rows(text, &[person.into(), MOST_OPEN.into()]).await
}

async fn policy(link: &mut Link) -> Result<()> {
    link.rows("SELECT state FROM policy_state FOR UPDATE", &[])
        .await
        .map(drop)
}

async fn new_person(link: &mut Link, world: &mut World, id: PersonId, login: &str) -> Result<()> {
    link.reserve(&login.to_ascii_lowercase()).await?;
    let text = "SELECT document FROM people WHERE id = $1 OR (state = 'active' AND lower(login) = lower($2)) \
                ORDER BY id FOR UPDATE";
    take_people(world, &link.rows(text, &[id.into(), login.into()]).await?)
}

/// The account first: whoever sets a password holds it. Then a statement of its own, which sees what they have set.
async fn proved(link: &mut Link, world: &mut World, id: PersonId, password: Hash) -> Result<()> {
    let own = link
        .rows(
            "SELECT document FROM people WHERE id = $1 FOR UPDATE",
            &[id.into()],
        )
        .await?;
    let kept = people::password(link, id).await?;
    if kept.is_some_and(|kept| Hash::of(kept.as_bytes()) == password) {
        take_people(world, &own)?;
    }
    Ok(())
}

/// With those whom it may meet: nothing else is decided meanwhile.
async fn edited(link: &mut Link, world: &mut World, id: PersonId, login: Option<&str>) -> Result<()> {
    administrator(link, world, id).await?;
    let alike = "SELECT document FROM people WHERE state = 'active' AND (lower(login) = lower($2) OR lower(login) = \
                 (SELECT lower(login) FROM people WHERE id = $1)) ORDER BY id FOR UPDATE";
    let values = [id.into(), login.unwrap_or_default().into()];
    take_people(world, &link.rows(alike, &values).await?)
}

/// Those that have this handle, or one of those of the account, which is loaded: a reservation for each, then a statement that sees
/// what others have done before it was ours.
async fn handles(
    link: &mut Link,
    world: &mut World,
    id: PersonId,
    handle: Option<&(Name, Handle)>,
) -> Result<()> {
    let wanted: Vec<(Name, Handle)> = match handle {
        Some(one) => vec![one.clone()],
        None => {
            let account = world.people.get(&id).map(|person| person.handles.clone());
            account.into_iter().flatten().collect()
        }
    };
    for (namespace, handle) in wanted {
        // No login: those are reserved too.
        let name = format!("handle: {namespace} {}", handle.as_str().to_ascii_lowercase());
        link.reserve(&name).await?;
        let text = "SELECT document FROM people WHERE state = 'active' AND id <> $1 \
                    AND lower(document) LIKE lower($2) ESCAPE '!'";
        let rows = link.rows(text, &[id.into(), pattern(&handle)?.into()]).await?;
        for row in &rows {
            let person: Person = row.json(0)?;
            // The text may stand elsewhere in the document.
            let theirs = person.handles.get(&namespace);
            if theirs.is_some_and(|theirs| theirs.is_like(&handle)) {
                world.people.insert(person.id, person);
            }
        }
    }
    Ok(())
}

/// What a document is like in which this handle stands.
fn pattern(handle: &Handle) -> Result<String> {
    let json = serde_json::to_string(handle).map_err(Error::corrupt)?;
    let literal = json.chars().flat_map(|c| {
        let escape = matches!(c, '!' | '%' | '_').then_some('!');
        escape.into_iter().chain([c])
    });
    Ok(format!("%:{}%", literal.collect::<String>()))
}

/// The account first, then the reservation, then a statement that sees what others have done before it was ours.
async fn administrator(link: &mut Link, world: &mut World, id: PersonId) -> Result<()> {
    let own = "SELECT document FROM people WHERE id = $1 FOR UPDATE";
    take_people(world, &link.rows(own, &[id.into()]).await?)?;
    let counts = |person: &Person| person.active && person.role == SystemRole::Administrator;
    if !world.people.values().any(counts) {
        return Ok(());
    }
    // No login: those are reserved too.
    link.reserve("role: administrator").await?;
    let active = "SELECT document FROM people WHERE state = 'active' AND id <> $1";
    take_people(world, &link.rows(active, &[id.into()]).await?)?;
    world
        .people
        .retain(|other, person| *other == id || counts(person));
    Ok(())
}

async fn request(link: &mut Link, world: &mut World, id: RequestId, extends: Option<GrantId>) -> Result<()> {
    let mut ids = vec![GrantId::from(id)];
    ids.extend(extends);
    if let Some(row) = link
        .row(
            "SELECT document FROM requests WHERE id = $1 FOR UPDATE",
            &[id.into()],
        )
        .await?
    {
        let request: Request = row.json(0)?;
        ids.extend(request.ask.extends);
        world.requests.insert(id, request);
    }
    let ids: Vec<Value> = ids.into_iter().map(Value::from).collect();
    let grants = "SELECT document FROM grants WHERE id IN (LIST) ORDER BY id FOR UPDATE";
    take_grants(world, &link.listed(grants, 1, &ids).await?)
}

async fn grant(link: &mut Link, world: &mut World, id: GrantId) -> Result<()> {
    let sharing = "SELECT document FROM grants WHERE id IN (SELECT $1 UNION \
                   SELECT other.grant_id FROM grant_parts AS mine JOIN grant_parts AS other \
                   ON other.connector = mine.connector AND other.target_key = mine.target_key AND other.ended = 0 \
                   WHERE mine.grant_id = $1) ORDER BY id FOR UPDATE";
    take_grants(world, &link.rows(sharing, &[id.into()]).await?)?;
    let held = "SELECT document FROM entitlements WHERE (connector, target_key) IN \
                (SELECT connector, target_key FROM grant_parts WHERE grant_id = $1) \
                ORDER BY connector, target_key FOR UPDATE";
    take_entitlements(world, &link.rows(held, &[id.into()]).await?)
}

/// The holders are locked too: an intent must not slip in while the grant that it is for begins to end.
async fn entitlement(link: &mut Link, world: &mut World, key: &TargetKey) -> Result<()> {
    let values = [Value::from(&key.connector), Value::from(key.key.as_str())];
    let holders = "SELECT document FROM grants WHERE id IN \
                   (SELECT grant_id FROM grant_parts WHERE connector = $1 AND target_key = $2 AND ended = 0) \
                   ORDER BY id FOR UPDATE";
    take_grants(world, &link.rows(holders, &values).await?)?;
    let own = "SELECT document FROM entitlements WHERE connector = $1 AND target_key = $2 FOR UPDATE";
    take_entitlements(world, &link.rows(own, &values).await?)
}

pub(crate) fn take_requests(world: &mut World, rows: &[Row]) -> Result<()> {
    for row in rows {
        let request: Request = row.json(0)?;
        world.requests.insert(request.id, request);
    }
    Ok(())
}

pub(crate) fn take_grants(world: &mut World, rows: &[Row]) -> Result<()> {
    for row in rows {
        let grant: Grant = row.json(0)?;
        world.grants.insert(grant.id, grant);
    }
    Ok(())
}

pub(crate) fn take_entitlements(world: &mut World, rows: &[Row]) -> Result<()> {
    for row in rows {
        let entitlement: Entitlement = row.json(0)?;
        world.entitlements.insert(entitlement.key.clone(), entitlement);
    }
    Ok(())
}

pub(crate) fn take_people(world: &mut World, rows: &[Row]) -> Result<()> {
    for row in rows {
        let person: Person = row.json(0)?;
        world.people.insert(person.id, person);
    }
    Ok(())
}
