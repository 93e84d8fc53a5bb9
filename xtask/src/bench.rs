//! `cargo xtask bench …`: installs what a benchmark needs, builds it and the product as it is shipped, and runs it.
//!
//! What is measured, and what its arguments mean, each benchmark itself says (`crates/daypass/benches/gateway`, `crates/gateway/benches/ssh`). They are there and
//! not here, because they speak to the product with its own types, and `xtask` depends on none of them.

use std::ffi::OsString;
use std::time::Duration;

use crate::run::{cargo, run_within};
use crate::setup;

/// A run takes half an hour, and several times that where rounds are void.
const LONGEST: Duration = Duration::from_secs(4 * 3600);

/// PostgreSQL. Cargo gives the benchmark the binary, built by the profile `bench`, which is `release` by another name.
pub(crate) fn gateway(args: &[OsString]) -> anyhow::Result<()> {
    run(("daypass", "gateway"), args, setup::bench_gateway)
}

/// SSH.
pub(crate) fn ssh(args: &[OsString]) -> anyhow::Result<()> {
    run(("daypass-gateway", "ssh"), args, setup::bench_ssh)
}

fn run(
    (package, name): (&str, &str),
    args: &[OsString],
    needs: fn() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let asks = args.iter().any(|one| one == "--help" || one == "-h");
    if !asks {
        needs()?;
    }
    let mut command = cargo(["bench", "--locked", "--package", package, "--bench", name, "--"]);
    run_within(command.args(args), LONGEST)
}
