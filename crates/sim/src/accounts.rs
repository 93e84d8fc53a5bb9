//! What people do to accounts, their own and others': they delegate, and change who somebody is. Where others must agree to it, it
//! waits as a change.

use std::collections::BTreeSet;

use daypass_core::name::Name;
use daypass_core::person::{Kind, SystemRole};
use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};
use daypass_engine::{Caller, Engine, Error, NewDelegation, NewPerson, NewToken, Via};
use daypass_store::TokenKind;

use crate::command::{LOGGED_IN, caller};
use crate::judge::Wanted;
use crate::scenario::{Act, What};
use crate::world::World;

/// Carries out a command about an account; `None` where it is about something else.
pub(crate) async fn carry_out(
    world: &World,
    engine: &Engine,
    number: usize,
    what: &What,
) -> Result<Option<String>, Error> {
    match what {
        What::Delegate {
            who,
            to,
            after,
            lasts,
            proved,
        } => delegate(world, engine, (*who, *to), (*after, *lasts), *proved).await?,
        What::EndDelegation { of, by } => {
            let by = caller(world, engine, *by, LOGGED_IN)?;
            engine.end_delegation(by, &login(world, *of)).await?;
        }
        What::Edit { by, of, act } => {
            let by = caller(world, engine, *by, LOGGED_IN)?;
            edit(world, engine, (number, by), (*of, act)).await?;
        }
        _ => return Ok(None),
    }
    Ok(Some("done".into()))
}

/// What somebody is called.
pub(crate) fn login(world: &World, who: usize) -> String {
    let person = world.scenario().people.get(who);
    person.map(|person| person.login.clone()).unwrap_or_default()
}

async fn delegate(
    world: &World,
    engine: &Engine,
    (who, to): (usize, usize),
    (after, lasts): (Option<Span>, Span),
    proved: bool,
) -> Result<(), Error> {
    let now = engine.store().now().await?;
    let confirmed_at = if proved { now } else { Timestamp::EPOCH };
    let by = caller(world, engine, who, Via::Session { confirmed_at })?;
    let from = after.map(|after| now + after);
    let until = from.unwrap_or(now) + lasts;
    let to = login(world, to);
    world.judge().delegates(by.person, &to, until, proved);
    let why = None;
    let new = NewDelegation { to, from, until, why };
    engine.delegate(by, new).await?;
    Ok(())
}

async fn edit(
    world: &World,
    engine: &Engine,
    (number, by): (usize, Caller),
    (of, act): (usize, &Act),
) -> Result<(), Error> {
    let login = login(world, of);
    let wants = |wanted: Wanted| world.judge().wants(by.person, &login, wanted);
    let named = |who: usize| self::login(world, who);
    match act {
        Act::Add => {
            if let Some(new) = new_person(world, of) {
                wants(Wanted::Add(new.groups.clone()));
                engine.add_person(by, new).await?;
            }
        }
        Act::Join(group) => {
            change_groups(world, engine, by, &login, (groups([group]), BTreeSet::new())).await?;
        }
        Act::Leave(group) => {
            change_groups(world, engine, by, &login, (BTreeSet::new(), groups([group]))).await?;
        }
        Act::Manager(manager) => {
            let manager = manager.map(named);
            wants(Wanted::Manager(manager.clone()));
            engine.set_manager(by, &login, manager.as_deref()).await?;
        }
        Act::Owner(owner) => {
            let owner = named(*owner);
            wants(Wanted::Owner(owner.clone()));
            engine.set_owner(by, &login, &owner).await?;
        }
        Act::Administers(so) => {
            let role = if *so {
                SystemRole::Administrator
            } else {
                SystemRole::Member
            };
            wants(Wanted::Role(role));
            engine.set_role(by, &login, role).await?;
        }
        Act::Reactivate => {
            wants(Wanted::Reactivate);
            engine.reactivate(by, &login).await?;
        }
        Act::Password => {
            wants(Wanted::Password);
            let hash = "$argon2id$v=19$simulated".to_owned();
            engine.set_password(by, &login, None, hash).await?;
        }
        Act::Token(lifetime) => {
            let account = engine.find(&login)?.id;
            wants(Wanted::Token(*lifetime));
            let new = NewToken {
                hash: Hash::of(format!("{number} {}", world.time().now()).as_bytes()),
                kind: TokenKind::Api {
                    scopes: BTreeSet::new(),
                },
                name: "of a program".into(),
                lifetime: *lifetime,
            };
            engine.issue_token(by, account, new).await?;
        }
    }
    Ok(())
}

/// Lets somebody join and leave groups.
pub(crate) async fn change_groups(
    world: &World,
    engine: &Engine,
    by: Caller,
    login: &str,
    (join, leave): (BTreeSet<Name>, BTreeSet<Name>),
) -> Result<(), Error> {
    let wanted = Wanted::Groups(join.clone(), leave.clone());
    world.judge().wants(by.person, login, wanted);
    engine.change_groups(by, login, join, leave).await?;
    Ok(())
}

/// The account of somebody who is not there at the beginning.
fn new_person(world: &World, of: usize) -> Option<NewPerson> {
    let person = world.scenario().people.get(of)?;
    let late = person.late && !person.absent;
    let role = if person.administrator {
        SystemRole::Administrator
    } else {
        SystemRole::Member
    };
    late.then_some(NewPerson {
        login: person.login.parse().ok()?,
        display: person.login.clone(),
        kind: Kind::Person,
        role,
        groups: groups(&person.groups),
        manager: None,
        owner: None,
        mail: None,
        password: None,
    })
}

fn groups<'g>(names: impl IntoIterator<Item = &'g String>) -> BTreeSet<Name> {
    names.into_iter().filter_map(|name| name.parse().ok()).collect()
}
