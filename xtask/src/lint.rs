//! All that CI checks apart from the tests: cheap things first.

use crate::run::{cargo, run};
use crate::say::step;
use crate::{deny, tidy};

pub(crate) fn all() -> anyhow::Result<()> {
    step("formatting", || run(&mut cargo(["fmt", "--all", "--check"])))?;
    step("house rules", tidy::command)?;
    step("clippy (the first time about three minutes on two cores)", || {
        run(&mut cargo([
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    step("documentation", || {
        let mut doc = cargo([
            "doc",
            "--locked",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ]);
        run(doc.env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    step("licences, bans and sources", deny::check)?;
    eprintln!("✓ lint passed");
    Ok(())
}
