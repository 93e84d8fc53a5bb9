//! One run of one seed, from an empty database to the rest at the end.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use daypass_core::name::Name;
use daypass_core::person::{Kind, SystemRole};
use daypass_core::time::{Span, Timestamp};
use daypass_engine::NewPerson;
use daypass_store::Store;
use futures_util::FutureExt as _;

use crate::command::sources;
use crate::dice::Dice;
use crate::happen;
use crate::judge::{Invariant, Violation};
use crate::scenario::{self, Cut, Scenario, What};
use crate::scheduler::{Owner, Rest, Scheduler};
use crate::server::{self, builder, clock, open};
use crate::world::World;

/// How many tasks may be gone on with before a run counts as one that never ends.
const POLLS: u64 = 3_000_000;
/// How long everything may take to come to its end once nothing goes wrong any more.
const REST: Span = Span::hours(4);

/// What became of a run.
#[derive(Debug, Clone)]
pub(crate) struct Ran {
    pub(crate) violation: Option<Violation>,
    pub(crate) trace: Vec<String>,
    /// How often some task was gone on with.
    pub(crate) polls: u64,
    /// How much time passed in it.
    pub(crate) lasted: Span,
    /// How many grants there were.
    pub(crate) grants: u64,
}

/// Runs a seed, without what is cut.
pub(crate) fn run(seed: u64, cut: &Cut, traced: bool) -> Ran {
    let scenario = &Arc::new(Scenario::of(seed, cut));
    let keep = &scenario.elements_of(cut);
    let mut scheduler = Scheduler::new(Dice::of(scenario.seed, "schedule"));
    let time = scheduler.time();
    let offset = Arc::new(AtomicI64::new(0));
    let began = time.now();
    let store = Store::memory(clock(&time, &offset), "sim").now_or_never();
    let Some(Ok(store)) = store else {
        return Ran {
            violation: Some(wrong(began, "no store")),
            trace: Vec::new(),
            polls: 0,
            lasted: Span::ZERO,
            grants: 0,
        };
    };
    let world = World::new(Arc::clone(scenario), time.clone(), store, offset, traced);
    let built = build(&world);
    // Without some people nobody might ever be able to change the policy, and it is not put in force.
    let cut_short = built.is_err() && cut.people.is_some();
    let mut violation = built
        .err()
        .map(|error| wrong(began, &error))
        .filter(|_| !cut_short);
    if violation.is_none() && !cut_short {
        world.judge().begin();
        world.set_troubled(true);
        (0..scenario.servers).for_each(|number| server::start(&world, number));
        happen::all(&world, keep);
        violation = live(&world, &mut scheduler, keep);
    }
    // The servers hold the world that holds them.
    (0..scenario.servers).for_each(|number| world.set_server(number, None));
    Ran {
        violation,
        trace: world.trace(),
        polls: scheduler.polls(),
        lasted: time.now().since(began),
        grants: world.judge().grants(),
    }
}

fn wrong(at: Timestamp, what: &str) -> Violation {
    Violation {
        invariant: Invariant::ComesToRest,
        what: what.to_owned(),
        at,
    }
}

/// The house, before anything goes wrong: people and a policy.
fn build(world: &World) -> Result<(), String> {
    let process = builder(world);
    let built = async {
        let engine = open(&process, world.store().clone())
            .await
            .map_err(|error| error.to_string())?;
        let scenario = world.scenario();
        let names = |names: &[String]| names.iter().filter_map(|name| name.parse().ok()).collect();
        let login = |login: &str| login.parse::<Name>().map_err(|error| error.to_string());
        let mut root = None;
        for person in scenario.people.iter().rev() {
            if person.absent || person.late {
                continue;
            }
            let new = NewPerson {
                login: login(&person.login)?,
                display: person.login.clone(),
                kind: if person.service {
                    Kind::Service
                } else {
                    Kind::Person
                },
                role: if person.administrator {
                    SystemRole::Administrator
                } else {
                    SystemRole::Member
                },
                groups: names(&person.groups),
                manager: None,
                owner: person.service.then(|| login("root")).transpose()?,
                mail: None,
                password: None,
            };
            let done = match root {
                None => engine.bootstrap(new).await,
                Some(root) => engine.add_person(root, new).await,
            };
            let made = done.map_err(|error| error.to_string())?;
            root.get_or_insert(daypass_engine::Caller {
                person: made.id,
                role: made.role,
                via: daypass_engine::Via::Session {
                    confirmed_at: Timestamp::EPOCH,
                },
            });
        }
        if let Some(root) = root {
            answerable(&engine, scenario, root).await?;
        }
        engine
            .load_policy(&sources(world, 0))
            .await
            .map_err(|error| match error {
                daypass_engine::Error::Policy(found) => format!("{found:?}"),
                error => error.to_string(),
            })?;
        Ok::<(), String>(())
    };
    built
        .now_or_never()
        .unwrap_or_else(|| Err("the house was not built at once".into()))?;
    world.collect(Owner::World);
    Ok(())
}

/// Gives people their managers, and programs those who answer for them.
async fn answerable(
    engine: &daypass_engine::Engine,
    scenario: &Scenario,
    root: daypass_engine::Caller,
) -> Result<(), String> {
    for person in &scenario.people {
        if person.absent || person.late {
            continue;
        }
        let manager = person
            .manager
            .and_then(|at| scenario.people.get(at))
            .filter(|one| !one.absent)
            .map(|manager| manager.login.as_str());
        if let Some(manager) = manager {
            // A program has no manager; whom one was drawn for answers for it, where that is a person.
            let of_a_program = |login: &str| engine.find(login).is_ok_and(|one| one.kind == Kind::Service);
            let done = match (person.service, of_a_program(manager)) {
                (false, _) => engine.set_manager(root, &person.login, Some(manager)).await,
                (true, false) => engine.set_owner(root, &person.login, manager).await,
                (true, true) => continue,
            };
            done.map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// Lets everything happen, then lets everything come to its end.
fn live(world: &World, scheduler: &mut Scheduler, keep: &[usize]) -> Option<Violation> {
    let elements = keep.iter().filter_map(|at| world.scenario().elements.get(*at));
    let ends = |element: &scenario::Element| match &element.what {
        What::Outage { lasts, .. }
        | What::StoreGone { lasts }
        | What::StoreFull { lasts }
        | What::CutOff { lasts, .. }
        | What::Stall { lasts, .. } => element.at + *lasts,
        _ => element.at,
    };
    let length = elements.map(ends).max().unwrap_or_default() + Span::minutes(2);
    let begin = world.time().now();
    let mut rest = scheduler.run(begin + length, POLLS, || look(world));
    world.set_troubled(false);
    let end = begin + length + REST;
    while rest == Rest::Reached && world.time().now() < end && !world.judge().unfinished().is_empty() {
        rest = scheduler.run(world.time().now() + Span::minutes(5), POLLS, || look(world));
    }
    // Once more, so that what would come back has come back.
    if rest == Rest::Reached {
        rest = scheduler.run(world.time().now() + Span::minutes(10), POLLS, || look(world));
    }
    // And then nothing is asked any more.
    if rest == Rest::Reached {
        world.judge().rest();
        rest = scheduler.run(world.time().now() + Span::minutes(10), POLLS, || look(world));
    }
    let mut judge = world.judge();
    if rest == Rest::Busy {
        judge.accuse(Invariant::ComesToRest, "it goes on for ever without time passing");
    }
    let unfinished = judge.unfinished();
    if !unfinished.is_empty() {
        judge.accuse(Invariant::ComesToRest, unfinished.join("; "));
    }
    match world.store().verify().now_or_never() {
        Some(Ok(_)) => {}
        other => judge.accuse(Invariant::Replays, format!("{other:?}")),
    }
    judge.violation().cloned()
}

/// Looks at everything; whether to go on.
fn look(world: &World) -> bool {
    let out_of_order = !world.is_anybody_there();
    let mut judge = world.judge();
    if out_of_order {
        judge.disturbed(None);
    }
    judge.look();
    judge.violation().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Flavour;

    #[test]
    fn two_runs_of_one_seed_are_the_same() {
        for seed in 1..40 {
            let (one, other) = (run(seed, &Cut::default(), true), run(seed, &Cut::default(), true));
            assert_eq!(one.trace, other.trace, "seed {seed}");
            assert_eq!(one.violation, None, "seed {seed}");
            assert!(!one.trace.is_empty());
        }
    }

    #[test]
    fn tracing_changes_nothing() {
        for seed in 40..60 {
            let (seen, unseen) = (
                run(seed, &Cut::default(), true),
                run(seed, &Cut::default(), false),
            );
            assert_eq!(
                (seen.polls, seen.grants),
                (unseen.polls, unseen.grants),
                "seed {seed}"
            );
        }
    }

    #[test]
    fn every_flavour_comes_up_and_leads_to_access() {
        for flavour in [
            Flavour::Plain,
            Flavour::Crowded,
            Flavour::Hasty,
            Flavour::Debated,
            Flavour::Mass,
            Flavour::Thrifty,
        ] {
            let of_it = (1..2000).filter(|seed| Scenario::of(*seed, &Cut::default()).flavour == flavour);
            let grants: u64 = of_it
                .take(8)
                .map(|seed| run(seed, &Cut::default(), false).grants)
                .sum();
            assert!(grants > 0, "{flavour:?}");
        }
    }

    #[test]
    fn an_empty_house_comes_to_rest() {
        let nothing = Cut {
            keep: Some(Vec::new()),
            ..Cut::default()
        };
        let ran = run(1, &nothing, false);
        assert_eq!((ran.violation, ran.grants), (None, 0));
    }
}
