//! `cargo deny`, installed into the user's cache directory where it is missing.
//!
//! Advisories are not checked: their database is fetched from elsewhere, and the same commit would pass today and fail
//! tomorrow. `cargo deny check advisories` is one command for whoever wants to know.

use std::path::Path;
use std::process::Command;

use crate::run::{cache_dir, cargo, root, run};

/// The version to use: part of the directory's name, so that a new one is installed beside the old.
const VERSION: &str = "0.20.2";

pub(crate) fn check() -> anyhow::Result<()> {
    let home = cache_dir()?.join("tools").join(format!("cargo-deny-{VERSION}"));
    let program = home.join("bin").join("cargo-deny");
    if !program.is_file() {
        eprintln!("   installing cargo-deny {VERSION} for the first time: about two minutes on two cores");
        run(&mut install(&home))?;
    }
    let mut deny = Command::new(program);
    deny.current_dir(root()).args([
        "--locked",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]);
    run(&mut deny)
}

fn install(home: &Path) -> Command {
    let mut command = cargo([
        "install",
        "--locked",
        "--version",
        VERSION,
        "cargo-deny",
        "--root",
    ]);
    command
        .arg(home)
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    // Its build is no part of ours.
    command.env_remove("CARGO_TARGET_DIR");
    command
}
