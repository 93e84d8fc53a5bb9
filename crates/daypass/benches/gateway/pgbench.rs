//! Running pgbench, and reading what it says.

use std::path::Path;
use std::process::Command;

use crate::way::Way;

/// Transactions per second.
pub(crate) fn tps(pgbench: &Path, way: &Way, arguments: &[&str]) -> f64 {
    let mut command = Command::new(pgbench);
    let output = way.tell(&mut command).arg("-n").args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {told}{why}", way.name);
    // A client that is gone is left out of the count, and the others go on.
    assert!(!why.contains("aborted"), "{}: {why}", way.name);
    let tps = told.lines().find_map(|line| line.strip_prefix("tps = "));
    let tps = tps.and_then(|rest| rest.split(' ').next());
    tps.and_then(|tps| tps.parse().ok())
        .unwrap_or_else(|| panic!("{}: no rate in: {told}{why}", way.name))
}
