//! `cargo xtask bench gateway`: installs what the benchmark needs, builds it and the product as it is shipped, and runs it.
//!
//! What is measured, and what its arguments mean, the benchmark itself says (`crates/daypass/benches/gateway`). It is there and
//! not here, because it speaks to the product with its own types, and `xtask` depends on none of them.

use std::ffi::OsString;
use std::time::Duration;

use crate::run::{cargo, run_within};
use crate::setup;

/// A run takes half an hour, and several times that where rounds are void.
const LONGEST: Duration = Duration::from_secs(4 * 3600);

/// Builds and runs it. Cargo gives the benchmark the binary, built by the profile `bench`, which is `release` by another name.
pub(crate) fn gateway(args: &[OsString]) -> anyhow::Result<()> {
    let asks = args.iter().any(|one| one == "--help" || one == "-h");
    if !asks {
        setup::bench_gateway()?;
    }
    let mut command = cargo([
        "bench",
        "--locked",
        "--package",
        "daypass",
        "--bench",
        "gateway",
        "--",
    ]);
    run_within(command.args(args), LONGEST)
}
