//! `cargo xtask screenshots`: builds the product and has the example of that name take the pictures of its pages.

use std::ffi::OsString;
use std::time::Duration;

use crate::run::{cargo, run_within};
use crate::setup;

/// All screens in both themes and at two widths take some minutes.
const LONGEST: Duration = Duration::from_secs(1800);

/// The demo is the built binary, which an example does not bring with it.
pub(crate) fn command(args: &[OsString]) -> anyhow::Result<()> {
    setup::command()?;
    setup::browser::command()?;
    run_within(&mut cargo(["build", "--locked", "--package", "daypass"]), LONGEST)?;
    let mut example = cargo([
        "run",
        "--locked",
        "--package",
        "daypass",
        "--example",
        "screenshots",
        "--",
    ]);
    run_within(example.args(args), LONGEST)
}
