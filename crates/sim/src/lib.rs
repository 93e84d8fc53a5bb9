//! The simulation: core, policy, engine and store under a virtual clock and one seeded scheduler, with targets, a network, a
//! database and clocks that fail in every way that they can.
//!
//! A seed makes a `scenario`; `run` lets it happen; the `judge` compares what really stands at the targets with what was
//! recorded, at every instant. What it finds is shrunk and printed with the command that replays it. Nothing in here knows
//! the real time, so a seed runs the same everywhere.

mod accounts;
mod campaign;
mod command;
mod dice;
mod edge;
mod happen;
mod judge;
mod options;
mod planted;
mod report;
mod run;
mod scenario;
mod scheduler;
mod secrets;
mod server;
mod shrink;
mod target;
mod world;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::options::Options;

/// Nothing here panics with a lock in hand but providers that are told to, and they hold none.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What `cargo xtask simulate` runs: reads the command line, and answers with the process's exit code.
pub fn command_line(args: impl Iterator<Item = OsString>) -> ExitCode {
    match Options::parse(args) {
        Ok(options) => report::carry_out(&options),
        Err(error) => {
            eprintln!("✗ {error}\n  Try: cargo xtask simulate --help");
            ExitCode::FAILURE
        }
    }
}
