//! The simulation: core, policy, engine and store under a virtual clock and one seeded scheduler, with targets, a network, a
//! database and clocks that fail in every way that they can.
//!
//! A seed makes a [`scenario`]; `run` lets it happen; the `judge` compares what really stands at the targets with what was
//! recorded, at every instant. What it finds is shrunk and printed with the command that replays it. Nothing in here knows
//! the real time, so a seed runs the same everywhere.

mod command;
mod dice;
mod happen;
mod judge;
mod run;
mod scenario;
mod scheduler;
mod secrets;
mod server;
mod target;
mod world;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Nothing here panics with a lock in hand but providers that are told to, and they hold none.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What `cargo xtask simulate` runs.
pub fn command_line(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<_> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
    let from: u64 = args.first().and_then(|arg| arg.parse().ok()).unwrap_or(1);
    let count: u64 = args.get(1).and_then(|arg| arg.parse().ok()).unwrap_or(1);
    let traced = args.get(2).is_some();
    let mut polls = 0;
    for seed in from..from + count {
        let scenario = std::sync::Arc::new(scenario::draw::scenario(seed));
        let keep: Vec<_> = (0..scenario.elements.len()).collect();
        let ran = run::run(&scenario, &keep, traced);
        polls += ran.polls;
        for line in &ran.trace {
            println!("{line}");
        }
        if let Some(violation) = ran.violation {
            println!("seed {seed}: {:?} at {}: {}", violation.invariant, violation.at, violation.what);
        }
    }
    println!("{polls} polls");
    ExitCode::SUCCESS
}
