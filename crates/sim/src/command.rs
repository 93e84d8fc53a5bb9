//! A command on its way from a person to a server and back.

use std::collections::BTreeSet;
use std::sync::Arc;

use daypass_core::environment::EnvironmentRole;
use daypass_core::id::{GrantId, RequestId};
use daypass_core::person::Kind;
use daypass_core::review::Decision;
use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};
use daypass_engine::{Caller, ChangeVerdict, Engine, Error, Lockable, LookBack, NewRequest, Verdict, Via};
use daypass_policy::Source;
use tokio::sync::oneshot;

use crate::accounts;
use crate::dice::Dice;
use crate::judge::{Verb, Wanted};
use crate::scenario::{ChangeVote, On, Vote, What, address, closed, ticket};
use crate::scheduler::Owner;
use crate::world::World;

/// Somebody who logged in. No policy of the simulation wants a fresher proof than that.
pub(crate) const LOGGED_IN: Via = Via::Session {
    confirmed_at: Timestamp::EPOCH,
};

/// How often a client tries where no server answers.
const ATTEMPTS: u32 = 4;

/// Sends a command, as often as its scenario says.
pub(crate) async fn send(world: &World, number: usize, what: What) {
    let commands: Vec<_> = match what {
        What::Votes(votes) => votes.into_iter().map(What::Vote).collect(),
        What::VotesOnChange(votes) => votes.into_iter().map(What::VoteOnChange).collect(),
        What::Ask { copies, .. }
        | What::Extend { copies, .. }
        | What::Release { copies, .. }
        | What::Revoke { copies, .. } => (0..copies.max(1)).map(|_| what.clone()).collect(),
        what => vec![what],
    };
    for (copy, command) in commands.into_iter().enumerate() {
        let world = world.clone();
        world.clone().time().spawn(Owner::World, async move {
            let mut dice = Dice::of(world.seed(), &format!("command {number} {copy}"));
            if copy > 0 && dice.chance(500) {
                world.time().sleep(dice.span(Span::ZERO, Span::seconds(20))).await;
            }
            for _ in 0..ATTEMPTS {
                if deliver(&world, number, &command, &mut dice).await {
                    return;
                }
                world
                    .time()
                    .sleep(dice.span(Span::millis(500), Span::seconds(40)))
                    .await;
            }
        });
    }
}

/// Delivers it to some server; whether there was an answer. A client who gets none sends it again, and it may have been done.
async fn deliver(world: &World, number: usize, what: &What, dice: &mut Dice) -> bool {
    let servers = world.servers();
    let Some(up) = dice.pick(&servers).cloned() else {
        return false;
    };
    let (answer, answered) = oneshot::channel();
    let (command, engine, there) = (what.clone(), Arc::clone(&up.engine), world.clone());
    world.time().spawn(up.process.owner(), async move {
        let done = match carry_out(&there, &engine, number, command).await {
            Err(Error::Waits(change)) => {
                there.proposed(number, change.id);
                Ok(format!("{} waits", change.id))
            }
            done => done,
        };
        // The client may not be waiting any more.
        let _ = answer.send(done);
    });
    match answered.await {
        Ok(Ok(said)) => {
            world.say(|| format!("  [{number}] {} answers: {said}", up.process.name()));
            true
        }
        Ok(Err(Error::Refused(refusal))) => {
            world.say(|| format!("  [{number}] {} refuses: {refusal}", up.process.name()));
            true
        }
        Ok(Err(error)) => {
            world.say(|| format!("  [{number}] {} fails: {error}", up.process.name()));
            false
        }
        Err(_) => false,
    }
}

async fn carry_out(world: &World, engine: &Engine, number: usize, what: What) -> Result<String, Error> {
    let request = match &what {
        What::Extend { ask, .. }
        | What::Withdraw { ask, .. }
        | What::Release { ask, .. }
        | What::Revoke { ask, .. }
        | What::LookBack { ask, .. } => world.request_of(*ask),
        _ => None,
    };
    let person = |who: usize| caller(world, engine, who, LOGGED_IN);
    match (what, request) {
        (
            What::Ask {
                who,
                items,
                duration,
                start_after,
                glass,
                environment,
                ..
            },
            _,
        ) => {
            let asked = NewRequest {
                items: items.iter().filter_map(|item| item.parse().ok()).collect(),
                environments: environment.iter().filter_map(of_environment).collect(),
                duration,
                start: start_after.map(|after| start(world, number, after)),
                ..asked(number)
            };
            ask(world, engine, (number, who), asked, glass).await
        }
        (What::Extend { who, duration, .. }, Some(request)) => {
            let asked = NewRequest {
                duration: Some(duration),
                extends: Some(GrantId::from(request)),
                ..asked(number)
            };
            ask(world, engine, (number, who), asked, false).await
        }
        (What::Vote(vote), _) => review(world, engine, vote).await,
        (What::Withdraw { who, .. }, Some(request)) => {
            engine.withdraw(person(who)?, request).await?;
            Ok("withdrawn".into())
        }
        (What::Release { who, .. }, Some(request)) => {
            let caller = person(who)?;
            world.judge().sent_end(request, caller.person, Verb::Release);
            engine.release(caller, request.into()).await?;
            world.judge().said_ended(request);
            Ok("released".into())
        }
        (What::Revoke { who, .. }, Some(request)) => {
            let caller = person(who)?;
            world.judge().sent_end(request, caller.person, Verb::Revoke);
            engine.revoke(caller, request.into(), None).await?;
            world.judge().said_ended(request);
            Ok("revoked".into())
        }
        (What::LookBack { who, revoke, .. }, Some(request)) => {
            look_back(world, engine, person(who)?, (request, revoke)).await
        }
        (What::Policy { number: policy, who }, _) => {
            propose(world, engine, person(who)?, (number, policy)).await
        }
        (What::VoteOnChange(vote), _) => review_change(world, engine, vote).await,
        (What::WithdrawChange { proposal, who }, _) => take_back(world, engine, person(who)?, proposal).await,
        (what, _) => in_the_house(world, engine, number, what).await,
    }
}

async fn look_back(
    world: &World,
    engine: &Engine,
    caller: Caller,
    (request, revoke): (RequestId, bool),
) -> Result<String, Error> {
    let Some(seen) = engine.store().request(request).await? else {
        return Ok("it is gone".into());
    };
    let look = LookBack {
        digest: seen.digest,
        comment: "so it was".into(),
        revoke,
    };
    if revoke {
        world.judge().sent_end(request, caller.person, Verb::LookBack);
    }
    engine.acknowledge(caller, request, look).await?;
    Ok("looked back".into())
}

/// Puts a policy in force, or proposes it.
async fn propose(
    world: &World,
    engine: &Engine,
    caller: Caller,
    (number, policy): (usize, usize),
) -> Result<String, Error> {
    world.judge().proposed(caller.person, policy);
    let checked = engine.apply_policy(caller, &sources(world, policy)).await?;
    Ok(match checked.change {
        Some(change) => {
            world.proposed(number, change.id);
            format!("{} waits", change.id)
        }
        None => "in force".into(),
    })
}

async fn take_back(world: &World, engine: &Engine, caller: Caller, proposal: usize) -> Result<String, Error> {
    let Some(change) = world.change_of(proposal) else {
        return Ok("nothing to take back".into());
    };
    engine.withdraw_change(caller, change).await?;
    Ok("taken back".into())
}

async fn review_change(world: &World, engine: &Engine, vote: ChangeVote) -> Result<String, Error> {
    let Some(id) = world.change_of(vote.proposal) else {
        return Ok("nothing to review".into());
    };
    let via = if vote.token { Via::Token } else { LOGGED_IN };
    let caller = caller(world, engine, vote.who, via)?;
    let Some(change) = engine.store().change(id).await? else {
        return Ok("it is gone".into());
    };
    let digest = if vote.other_digest {
        Hash::of(b"another change")
    } else {
        change.digest
    };
    world.judge().voted_on_change(id, caller.person, &vote);
    let verdict = ChangeVerdict {
        agrees: vote.agrees,
        digest,
        comment: None,
    };
    let change = engine.review_change(caller, id, verdict).await?;
    Ok(format!("{id} {}", change.state.name()))
}

/// Somebody who administers says that a ticket is closed.
async fn close(world: &World, engine: &Engine, caller: Caller, number: usize) -> Result<String, Error> {
    let ticket = closed(number);
    let call = world.judge().closes(&ticket);
    let ended = engine.ticket_closed(caller, &ticket).await;
    world.judge().closed(call, ended.is_ok());
    Ok(format!("{} ended", ended?.len()))
}

fn of_environment((environment, role): &(String, String)) -> Option<EnvironmentRole> {
    Some(EnvironmentRole {
        environment: environment.parse().ok()?,
        role: role.parse().ok()?,
    })
}

/// What every ask of an element has: its number as the reason, by which the judge knows it again.
fn asked(number: usize) -> NewRequest {
    NewRequest {
        items: BTreeSet::new(),
        environments: Vec::new(),
        duration: None,
        start: None,
        extends: None,
        reason: number.to_string(),
        ticket: Some(ticket(number)),
    }
}

/// What the administrator does, to people, to the policy, and to what is to be shut; and what people do to accounts.
async fn in_the_house(world: &World, engine: &Engine, number: usize, what: What) -> Result<String, Error> {
    if let Some(said) = accounts::carry_out(world, engine, number, &what).await? {
        return Ok(said);
    }
    let root = caller(world, engine, world.scenario().people.len() - 1, LOGGED_IN)?;
    let login = |who: usize| accounts::login(world, who);
    let wants = |who: usize, wanted: Wanted| world.judge().wants(root.person, &login(who), wanted);
    let lockable = |on: &On| match on {
        On::Person(who) => Some(Lockable::Person(login(*who))),
        On::Resource(name) => name.parse().ok().map(Lockable::Resource),
    };
    match what {
        What::Groups { who, groups } => {
            let wanted: BTreeSet<_> = groups.iter().filter_map(|group| group.parse().ok()).collect();
            let leaves = engine
                .find(&login(who))?
                .groups
                .difference(&wanted)
                .cloned()
                .collect();
            accounts::change_groups(world, engine, root, &login(who), (wanted, leaves)).await?;
        }
        What::Manager { who, manager } => {
            let manager = manager.map(login);
            wants(who, Wanted::Manager(manager.clone()));
            engine.set_manager(root, &login(who), manager.as_deref()).await?;
        }
        What::Deactivate { who } => {
            engine.deactivate(root, &login(who)).await?;
        }
        What::Reactivate { who } => {
            wants(who, Wanted::Reactivate);
            engine.reactivate(root, &login(who)).await?;
        }
        What::CloseTicket { ticket } => return close(world, engine, root, ticket).await,
        What::Lock { on } => {
            let Some(what) = lockable(&on) else {
                return Ok("nothing to lock".into());
            };
            engine.lock(root, &what, "to be safe").await?;
        }
        What::Unlock { on } => {
            let Some(what) = lockable(&on) else {
                return Ok("nothing to unlock".into());
            };
            engine.unlock(root, &what, "all is well").await?;
        }
        _ => return Ok("there is nothing that it is about".into()),
    }
    Ok("done".into())
}

/// The files of a policy.
pub(crate) fn sources(world: &World, number: usize) -> Vec<Source> {
    let text = world
        .scenario()
        .policies
        .get(number)
        .map(crate::scenario::policy::Policy::text)
        .unwrap_or_default();
    vec![Source {
        name: "policy.yaml".into(),
        text,
    }]
}

/// The same instant for every copy of a command.
fn start(world: &World, number: usize, after: Span) -> Timestamp {
    let at = world
        .scenario()
        .elements
        .get(number)
        .map_or(Span::ZERO, |element| element.at);
    world.judge().beginning() + at + after
}

async fn ask(
    world: &World,
    engine: &Engine,
    (number, who): (usize, usize),
    asked: NewRequest,
    glass: bool,
) -> Result<String, Error> {
    let caller = caller(world, engine, who, LOGGED_IN)?;
    let (key, from) = (number.to_string(), address(number));
    let made = if glass {
        engine.break_glass_from(caller, asked, Some(&key), from).await?
    } else {
        engine.request_from(caller, asked, Some(&key), from).await?
    };
    world.judge().answered(number, made.request.id);
    world.made(number, made.request.id);
    Ok(format!("{} {}", made.request.id, made.request.state.name()))
}

async fn review(world: &World, engine: &Engine, vote: Vote) -> Result<String, Error> {
    let Some(id) = world.request_of(vote.ask) else {
        return Ok("nothing to review".into());
    };
    let via = if vote.token { Via::Token } else { LOGGED_IN };
    let caller = caller(world, engine, vote.who, via)?;
    let Some(request) = engine.store().request(id).await? else {
        return Ok("it is gone".into());
    };
    let items = vote
        .fewer
        .then(|| request.ask.items.iter().take(1).cloned().collect());
    let decision = if vote.approve {
        Decision::Approve {
            duration: vote.shorter,
            items,
        }
    } else {
        Decision::Deny
    };
    let digest = if vote.other_digest {
        Hash::of(b"another request")
    } else {
        request.digest
    };
    world.judge().voted(id, caller.person, &vote);
    let verdict = Verdict {
        vote: decision,
        digest,
        comment: None,
    };
    let made = engine.review(caller, id, verdict).await?;
    Ok(format!("{} {}", made.request.id, made.request.state.name()))
}

/// Who calls, as the server's login would have established it.
pub(crate) fn caller(world: &World, engine: &Engine, who: usize, via: Via) -> Result<Caller, Error> {
    let person = engine.find(&accounts::login(world, who))?;
    // A program does not log in as a person does.
    let via = if person.kind == Kind::Service {
        Via::Token
    } else {
        via
    };
    Ok(Caller {
        person: person.id,
        role: person.role,
        via,
    })
}
