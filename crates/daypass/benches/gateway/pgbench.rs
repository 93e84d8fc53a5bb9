//! Running pgbench, and reading what it says.

use std::path::Path;
use std::process::Command;

use crate::processor;
use crate::way::Way;

/// What a run did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// Transactions per second.
    pub(crate) tps: f64,
    /// Microseconds of processor time that the proxy took for each.
    pub(crate) cost: f64,
}

/// Runs it; `proxy` is the process in between, where there is one.
pub(crate) fn run(pgbench: &Path, way: &Way, proxy: Option<u32>, arguments: &[&str]) -> Run {
    let taken = || proxy.map_or(0.0, processor::seconds);
    let before = taken();
    let mut command = Command::new(pgbench);
    let output = way.tell(&mut command).arg("-n").args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {told}{why}", way.name);
    // A client that is gone is left out of the count, and the others go on.
    assert!(!why.contains("aborted"), "{}: {why}", way.name);
    // It says no rate where there was not one transaction: a machine as busy as that voids the round.
    let number = |name: &str| -> f64 {
        let rest = told.lines().find_map(|line| line.strip_prefix(name));
        let word = rest.and_then(|rest| rest.split([' ', '/']).next());
        word.and_then(|word| word.parse().ok()).unwrap_or(0.0)
    };
    Run {
        tps: number("tps = "),
        cost: (taken() - before) * 1e6 / number("number of transactions actually processed: "),
    }
}
