//! `cargo xtask simulate`: builds the simulation, optimised, and runs it with the arguments that were given.
//!
//! What the arguments mean, the simulation itself says (`cargo xtask simulate --help`).

use std::ffi::OsString;
use std::process::Command;

use crate::run::{cargo, run};

/// The profile that it is built with: hundreds of thousands of runs want optimised code, and every check of a debug build.
pub(crate) const PROFILE: &str = "simulation";

/// Builds and runs it.
pub(crate) fn command(args: &[OsString]) -> anyhow::Result<()> {
    run(simulation().args(args))
}

/// The simulation with no arguments yet.
pub(crate) fn simulation() -> Command {
    let mut command = cargo(["run", "--locked", "--quiet", "--package", "daypass-sim"]);
    command.args(["--profile", PROFILE, "--"]);
    command
}
