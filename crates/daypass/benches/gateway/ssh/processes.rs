//! The processes that a server has begun for its sessions, as Linux tells of them.

use std::path::Path;

use rustix::process::Pid;

fn file(pid: i32, name: &str) -> Option<String> {
    std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join(name)).ok()
}

/// The parent of each process that there is.
fn parents() -> Vec<(i32, i32)> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let parent = |pid: i32| {
        let stat = file(pid, "stat")?;
        // The name, in parentheses, may hold anything; after it: the state, then the parent.
        let (_, after) = stat.rsplit_once(')')?;
        Some((pid, after.split_whitespace().nth(1)?.parse().ok()?))
    };
    pids.filter_map(parent).collect()
}

/// All that this process has begun, and they have; its own children first.
pub(crate) fn below(process: u32) -> Vec<Pid> {
    let all = parents();
    let mut found = vec![i32::try_from(process).unwrap()];
    let mut at = 0;
    while let Some(of) = found.get(at).copied() {
        found.extend(
            all.iter()
                .filter(|(_, parent)| *parent == of)
                .map(|(pid, _)| *pid),
        );
        at += 1;
    }
    found.into_iter().skip(1).filter_map(Pid::from_raw).collect()
}

/// Those that this process itself has begun.
pub(crate) fn children(process: u32) -> Vec<Pid> {
    let of = i32::try_from(process).unwrap();
    let all = parents().into_iter().filter(|(_, parent)| *parent == of);
    all.filter_map(|(pid, _)| Pid::from_raw(pid)).collect()
}

/// What those of them hold whose name begins like this, in KiB: what several share counts in shares.
pub(crate) fn held(all: &[Pid], name: &str) -> f64 {
    let mut sum = 0.0;
    for pid in all {
        let pid = pid.as_raw_pid();
        let called = file(pid, "comm").unwrap_or_default();
        let rollup = file(pid, "smaps_rollup").unwrap_or_default();
        let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        let pss = pss.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        if called.starts_with(name) {
            sum += pss.unwrap_or(0.0);
        }
    }
    sum
}
