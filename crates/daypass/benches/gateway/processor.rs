//! The processor time that a process took: what a proxy costs, whoever else uses the machine.

use std::path::Path;

/// How many ticks of the system's clock a process has run for, in seconds. Linux counts a hundred in a second for programs,
/// whatever it counts itself (`USER_HZ`, proc(5)).
pub(crate) fn seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat")).unwrap();
    // The name, in parentheses, may hold anything; after it the state is the first field, `utime` and `stime` the 12th and 13th.
    let (_, after) = stat.rsplit_once(')').unwrap();
    let ticks = after.split_whitespace().skip(11).take(2);
    ticks.map(|text| text.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}
