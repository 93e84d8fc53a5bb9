//! Makes the elements of a scenario happen, each at its time: trouble at once, commands through some server, as a client
//! would send them: again after a while where no answer comes, and sometimes twice.

use daypass_core::time::Span;

use crate::command;
use crate::dice::Dice;
use crate::scenario::{Element, What};
use crate::scheduler::Owner;
use crate::server;
use crate::world::World;

/// Lets the elements of these numbers happen.
pub(crate) fn all(world: &World, numbers: &[usize]) {
    let begin = world.time().now();
    for number in numbers.iter().copied() {
        let Some(Element { at, what }) = world.scenario().elements.get(number).cloned() else {
            continue;
        };
        let world = world.clone();
        world.clone().time().spawn(Owner::World, async move {
            world.time().until(begin + at).await;
            world.say(|| format!("[{number}] {what:?}"));
            one(&world, number, what).await;
        });
    }
}

async fn one(world: &World, number: usize, what: What) {
    let now = world.time().now();
    match what {
        What::Outage { target, how, lasts } => {
            if let Some(target) = world.targets().get(target) {
                target.breaks(how, now + lasts);
                world.judge().disturbed_until(Some(target.number), now + lasts);
            }
        }
        What::StoreGone { lasts } => {
            world.store_goes(now + lasts);
            world.judge().storeless_until(now + lasts);
        }
        What::StoreFull { lasts } => {
            world.store_fills(now + lasts);
            world.judge().unwritable_until(now + lasts);
        }
        What::CutOff { server, lasts } => {
            world.cuts_off(server, now + lasts);
            world.judge().cut_off_until(server, now + lasts);
        }
        What::Crash { server, points, at } => {
            if let Some(up) = world.server(server) {
                up.process.crash_after(points, at);
            }
        }
        What::Stall { server, lasts } => {
            if let Some(up) = world.server(server) {
                world.judge().stalled_until(up.process.owner(), now + lasts);
                world.time().stall(up.process.owner(), now + lasts);
            }
        }
        What::Jump { by } => jump(world, by).await,
        What::Hand { target, deed } => {
            let drawn = Dice::of(world.seed(), &format!("hand {number}")).index(1000);
            if let Some(target) = world.targets().get(target)
                && let Some(key) = target.by_hand(deed, drawn)
            {
                world.say(|| format!("  {}:{key} changed by hand", target.character.connector));
                world.judge().changed_by_hand(target, &key);
            }
        }
        What::Connect { ask, stays } => connect(world, ask, stays).await,
        what => command::send(world, number, what).await,
    }
}

/// Turns the database's clock. Servers that run have read it just before, as they do every few seconds, and look at it
/// again just after.
async fn jump(world: &World, by: i64) {
    let mut seen = false;
    for up in world.servers() {
        seen |= up.engine.store().now().await.is_ok();
    }
    // What a store did not take the note of, the next start does not know.
    let noted = seen && !world.store_is_full() && !world.store_is_gone();
    world.judge().jumped(by, noted);
    world.jump(by);
    world.disturb_all();
    let mut dice = Dice::of(world.seed(), &format!("jump {by}"));
    world.time().sleep(dice.span(Span::ZERO, Span::seconds(5))).await;
    for up in world.servers() {
        up.wake();
    }
}

/// The holder of what an ask led to connects, wherever they can.
async fn connect(world: &World, ask: usize, stays: Span) {
    let Some(request) = world.request_of(ask) else {
        return;
    };
    let open: Vec<_> = world.judge().openings(request);
    let inside: Vec<_> = open
        .into_iter()
        .filter_map(|(target, key)| Some((world.targets().get(target)?.clone(), key)))
        .filter(|(target, key)| target.connect(key))
        .collect();
    world.time().sleep(stays).await;
    for (target, key) in inside {
        target.leave(&key);
    }
}

/// Starts a server again after it crashed: mostly soon, sometimes much later.
pub(crate) fn restart(world: &World, number: usize, start: u64) {
    let world = world.clone();
    world.clone().time().spawn(Owner::World, async move {
        let mut dice = Dice::of(world.seed(), &format!("downtime {number} {start}"));
        let most = if dice.chance(200) {
            Span::minutes(20)
        } else {
            Span::seconds(20)
        };
        if world.is_troubled() {
            world.time().sleep(dice.span(Span::ZERO, most)).await;
        }
        server::start(&world, number);
    });
}
