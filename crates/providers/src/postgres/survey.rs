//! The inventory of a server: who can log in there without Daypass and what they have, and what a policy could name.
//!
//! Nothing here needs more than any login may read: the catalogs of roles, of databases and of what depends on roles are open to
//! everybody. PostgreSQL does not keep when somebody last logged in; whoever is connected at that moment is told as using it.
//!
//! Memberships are of the whole server, and what a policy names is a role in a database. So a membership is told once for each database
//! in which the role, or one that it is a member of, owns something or has privileges.

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::entitlement::Fault;
use daypass_core::name::Name;
use serde_json::{Value, json};

use super::config::{Resource, Role};
use super::connection::Session;
use super::names::PREFIX;
use super::people::{self, Database, Login, Membership, Own};
use super::roles::Oid;
use super::server::Server;
use crate::Error;
use crate::inventory::{Cursor, Fit, Found, Offer, Page, Standing, Subject, SubjectKind, told};

/// How many logins a page has.
const LOGINS: i64 = 200;

/// How many roles without login are looked at to propose roles of resources.
const GROUPS: i64 = 500;

/// Where nothing narrower is meant.
const EVERYWHERE: &str = "the whole server";

/// Roles that PostgreSQL comes with and that reach the data of every database, though no privilege names them. Source: PostgreSQL's
/// documentation, chapter "Predefined Roles".
const ALL_DATA: [&str; 2] = ["pg_read_all_data", "pg_write_all_data"];

pub(super) async fn survey(server: &Server, from: Option<Cursor>) -> Result<Page, Error> {
    let (after, done) = from.as_ref().map_or(Ok((0, 0)), read)?;
    let session = server.door.connect(&server.door.config().database).await?;
    let databases = people::databases(&session).await?;
    let logins = people::logins(&session, &server.installation, (after, LOGINS)).await?;
    let mut page = Page {
        of: Some(people::count(&session).await?),
        done: done + u64::try_from(logins.len()).unwrap_or(0),
        ..Page::default()
    };
    if from.is_none() {
        page.standing.extend(databases.iter().filter_map(open));
        page.found = found(&session, &databases).await?;
    }
    let is_last = i64::try_from(logins.len()).unwrap_or(0) < LOGINS;
    page.next = logins
        .last()
        .filter(|_| !is_last)
        .map(|last| Cursor(format!("{} {}", last.oid, page.done)));
    let theirs: Vec<Login> = logins.into_iter().filter(|login| !login.is_ours).collect();
    let oids: Vec<Oid> = theirs.iter().map(|login| login.oid).collect();
    let memberships = people::memberships(&session, &oids).await?;
    let roles: BTreeSet<Oid> = memberships.values().flatten().map(|one| one.role).collect();
    let roles: Vec<Oid> = roles.into_iter().collect();
    let seen = Seen {
        home: &server.door.config().database,
        places: people::places(&session, &roles).await?,
        own: people::own(&session, &oids).await?,
        memberships,
        databases,
    };
    for login in &theirs {
        page.standing.extend(seen.of(login));
    }
    Ok(page)
}

/// The number of the last login that was read, and how many there were up to it.
fn read(cursor: &Cursor) -> Result<(Oid, u64), Error> {
    let parts = cursor.0.split_once(' ');
    let parts = parts.and_then(|(after, done)| Some((after.parse().ok()?, done.parse().ok()?)));
    parts.ok_or_else(|| Error::new(Fault::Conflict, "the survey must begin anew"))
}

/// What was read for a page of logins.
struct Seen<'a> {
    /// The connector's own database.
    home: &'a str,
    databases: Vec<Database>,
    memberships: BTreeMap<Oid, Vec<Membership>>,
    places: BTreeMap<Oid, BTreeSet<String>>,
    own: BTreeMap<Oid, Vec<Own>>,
}

impl Seen<'_> {
    /// All that a login has.
    fn of(&self, login: &Login) -> Vec<Standing> {
        let mut out: Vec<Standing> = login
            .powers
            .iter()
            .map(|power| standing(login, (*power).to_owned(), EVERYWHERE.to_owned()))
            .collect();
        let owned = self
            .databases
            .iter()
            .filter(|database| database.owner == login.oid);
        out.extend(owned.map(|database| standing(login, "owner".to_owned(), on(&database.name))));
        for own in self.own.get(&login.oid).into_iter().flatten() {
            out.push(standing(
                login,
                has(own),
                own.database.as_deref().map_or(EVERYWHERE.to_owned(), on),
            ));
        }
        for membership in self.memberships.get(&login.oid).into_iter().flatten() {
            self.membership(login, membership, &mut out);
        }
        if out.is_empty() {
            out.push(standing(login, "may log in".to_owned(), EVERYWHERE.to_owned()));
        }
        out
    }

    fn membership(&self, login: &Login, membership: &Membership, out: &mut Vec<Standing>) {
        let name = &membership.name;
        let right = match (membership.usable, membership.admin) {
            (true, false) => format!("member of {name}"),
            (true, true) => format!("member of {name}, and may make others members of it"),
            // It may do nothing with the role itself.
            (false, true) => format!("may make members of {name}"),
            (false, false) => return,
        };
        let tell = |on: String, offer: Option<Offer>| Standing {
            by: membership.by.as_deref().map(told),
            offer: offer.filter(|_| membership.usable && membership.is_plain),
            ..standing(login, right.clone(), on)
        };
        let everywhere = self.databases.iter().map(|database| &database.name);
        let places: Vec<&String> = match self.places.get(&membership.role) {
            _ if ALL_DATA.contains(&name.as_str()) => everywhere.collect(),
            Some(places) => places.iter().collect(),
            None => Vec::new(),
        };
        if places.is_empty() {
            // Predefined roles such as pg_monitor: where one connects for it makes no difference.
            let offer = name.starts_with("pg_").then(|| offer(self.home, name)).flatten();
            out.push(tell(EVERYWHERE.to_owned(), offer));
        }
        out.extend(
            places
                .into_iter()
                .map(|database| tell(on(database), offer(database, name))),
        );
    }
}

fn standing(login: &Login, right: String, on: String) -> Standing {
    let kind = match login.is_admin {
        true => SubjectKind::Program,
        false => SubjectKind::Person,
    };
    Standing {
        subject: Subject {
            id: login.name.clone(),
            name: told(&login.name),
            kind,
        },
        right: told(&right),
        on,
        by: None,
        last_used: login.connected,
        until: login.until,
        offer: None,
    }
}

fn on(database: &str) -> String {
    told(&format!("database {database}"))
}

/// What a role has by itself, in words.
fn has(own: &Own) -> String {
    let things = |count: i64| match count {
        1 => "1 thing".to_owned(),
        count => format!("{count} things"),
    };
    match (own.owned, own.named) {
        (owned, 0) => format!("owner of {}", things(owned)),
        (0, named) => format!("privileges of its own on {}", things(named)),
        (owned, named) => format!(
            "owner of {}, and privileges of its own on {}",
            things(owned),
            things(named)
        ),
    }
}

/// That everybody may connect to a database, as PostgreSQL has it where nobody says otherwise.
fn open(database: &Database) -> Option<Standing> {
    database.is_open.then(|| Standing {
        subject: Subject {
            id: "PUBLIC".to_owned(),
            name: "PUBLIC".to_owned(),
            kind: SubjectKind::Everybody,
        },
        right: "may connect".to_owned(),
        on: on(&database.name),
        by: None,
        last_used: None,
        until: None,
        offer: None,
    })
}

/// The same just in time: a role that makes its holder a member. `None` where policy could not say it.
fn offer(database: &str, role: &str) -> Option<Offer> {
    let (resource, config) = (json!({ "database": database }), json!({"member_of": [role]}));
    let fits = Resource::read(&resource).is_ok() && Role::read(&config).is_ok();
    fits.then(|| Offer {
        kind: "postgres",
        resource,
        role: config,
        called: (Name::like(database), Name::like(role)),
    })
}

/// Whether a role gives what another one does: it makes its holder a member of all the same roles at least.
pub(super) fn fits(role: &Role, offered: &Role) -> Option<Fit> {
    let (gives, wanted): (BTreeSet<_>, BTreeSet<_>) = (
        role.member_of.iter().collect(),
        offered.member_of.iter().collect(),
    );
    let has_grants = offered.grants.iter().all(|grant| role.grants.contains(grant));
    if !has_grants || !wanted.is_subset(&gives) {
        return None;
    }
    let same = wanted == gives && role.grants.len() == offered.grants.len();
    Some(if same { Fit::Same } else { Fit::More })
}

/// The databases as resources, each with the roles that count for something there.
async fn found(session: &Session, databases: &[Database]) -> Result<Vec<Found>, Error> {
    let groups = people::groups(session, GROUPS).await?;
    let oids: Vec<Oid> = groups.iter().map(|(oid, _)| *oid).collect();
    let places = people::places(session, &oids).await?;
    let is_in = |oid: &Oid, database: &Database| {
        let places = places.get(oid);
        places.is_some_and(|places| places.contains(&database.name))
    };
    let propose = |database: &Database| {
        let resource = json!({ "database": database.name });
        Resource::read(&resource).ok()?;
        let here = groups.iter().filter(|(oid, _)| is_in(oid, database));
        let mut roles: Vec<(Name, Value)> = here.filter_map(|(_, name)| role(name)).collect();
        if roles.is_empty() {
            let [read, _] = ALL_DATA;
            roles.push((Name::like("read"), json!({"member_of": [read]})));
        }
        Some(Found {
            kind: "postgres",
            name: Name::like(&database.name),
            told: on(&database.name),
            resource,
            roles,
            labels: BTreeMap::new(),
        })
    };
    Ok(databases.iter().filter_map(propose).collect())
}

fn role(name: &str) -> Option<(Name, Value)> {
    let config = json!({"member_of": [name]});
    let fits = !name.starts_with(PREFIX) && Role::read(&config).is_ok();
    fits.then(|| (Name::like(name), config))
}
