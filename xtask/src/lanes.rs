//! The lanes of tests: which crates, and how long they may take.
//!
//! A budget is a promise to whoever waits, not a test: a lane that is late says so and passes, because machines differ. One
//! that takes [`LATEST`] times as long hangs: it is killed.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::run::{cargo, output};
use crate::say::{human, step};
use crate::simulate;

/// A set of crates whose tests run together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    pub(crate) needs_postgres: bool,
    about: &'static str,
    packages: &'static [&'static str],
    /// Which of their targets, as cargo is told; all where it says nothing.
    targets: &'static [&'static str],
    /// Whether programs in other languages are compiled or run.
    pub(crate) needs_languages: bool,
    /// Whether pages are looked at in a browser.
    pub(crate) needs_browser: bool,
    /// What the simulation is told, once the tests are through; a lane that has it is built as the simulation is.
    simulations: &'static [&'static [&'static str]],
    /// For the tests alone, once they are built, on two cores.
    budget: Duration,
}

/// After how many times its budget a lane is killed.
const LATEST: u32 = 4;

/// In the order in which they run: what fails fast comes first.
const LANES: &[Lane] = &[
    Lane {
        name: "core",
        needs_postgres: false,
        about: "words, states, policy, log, recordings and what is read of them, xtask",
        packages: &[
            "daypass-core",
            "daypass-policy",
            "daypass-tlog",
            "daypass-recording",
            "daypass-transcript",
            "xtask",
        ],
        targets: &[],
        needs_languages: false,
        needs_browser: false,
        simulations: &[],
        budget: Duration::from_secs(60),
    },
    Lane {
        name: "testbed",
        needs_postgres: true,
        about: "throwaway services, and the stand-in for Azure held against Microsoft's descriptions where they are at hand",
        packages: &["daypass-testbed"],
        // By itself: xtask, which the lane above has, uses testbed without.
        targets: &["--features", "azure"],
        needs_languages: false,
        needs_browser: false,
        simulations: &[],
        // Half of it once, for npm.
        budget: Duration::from_secs(90),
    },
    Lane {
        name: "store",
        needs_postgres: true,
        about: "our own tables, on SQLite and on PostgreSQL",
        packages: &["daypass-store"],
        targets: &[],
        needs_languages: false,
        needs_browser: false,
        simulations: &[],
        budget: Duration::from_secs(120),
    },
    Lane {
        name: "providers",
        needs_postgres: true,
        about: "the provider contract, against real targets",
        packages: &["daypass-providers"],
        targets: &[],
        needs_languages: false,
        needs_browser: false,
        simulations: &[],
        budget: Duration::from_secs(120),
    },
    Lane {
        name: "gateway",
        needs_postgres: true,
        about: "sessions: leases, codecs, guardrails, PostgreSQL and SSH with real clients and targets",
        packages: &["daypass-gateway"],
        targets: &["--lib", "--test", "it"],
        needs_languages: false,
        needs_browser: false,
        simulations: &[],
        budget: Duration::from_secs(120),
    },
    Lane {
        name: "clients",
        needs_postgres: true,
        about: "clients in Python, JavaScript, Go and Java, Ansible and rsync, through the gateway",
        packages: &["daypass-gateway"],
        targets: &["--test", "clients"],
        needs_languages: true,
        needs_browser: false,
        simulations: &[],
        budget: Duration::from_secs(120),
    },
    Lane {
        name: "server",
        needs_postgres: true,
        about: "use cases, reconciler, HTTP API, command line, hostile bytes",
        packages: &[
            "daypass-engine",
            "daypass-api",
            "daypass-server",
            "daypass-cli",
            "daypass-fuzz",
        ],
        targets: &[],
        needs_languages: false,
        needs_browser: false,
        simulations: &[],
        budget: Duration::from_secs(300),
    },
    Lane {
        name: "simulation",
        needs_postgres: false,
        about: "everything that can fail failing: 5,000 seeds, and every planted fault caught",
        packages: &["daypass-sim"],
        targets: &[],
        needs_languages: false,
        needs_browser: false,
        simulations: &[
            &["--seeds", "5000"],
            &["--planted", "--check", "docs/reliability.md"],
        ],
        budget: Duration::from_secs(480),
    },
    Lane {
        name: "story",
        needs_postgres: true,
        about: "the built binary, end to end, and its faults",
        packages: &["daypass"],
        targets: &["--bins", "--test", "story"],
        needs_languages: false,
        needs_browser: false,
        simulations: &[],
        budget: Duration::from_secs(300),
    },
    Lane {
        name: "pages",
        needs_postgres: true,
        about: "the pages in Chromium: journeys, accessibility, hostile texts",
        packages: &["daypass"],
        targets: &["--test", "pages"],
        needs_languages: false,
        needs_browser: true,
        simulations: &[],
        budget: Duration::from_secs(180),
    },
];

pub(crate) fn all() -> Vec<&'static Lane> {
    LANES.iter().collect()
}

pub(crate) fn find(name: &str) -> anyhow::Result<&'static Lane> {
    let names = || LANES.iter().map(|lane| lane.name).collect::<Vec<_>>().join(", ");
    LANES
        .iter()
        .find(|lane| lane.name == name)
        .with_context(|| format!("no lane {name:?}; there are {}", names()))
}

pub(crate) fn help() -> String {
    LANES
        .iter()
        .map(|lane| {
            format!(
                "  {:<10} {:>12}   {}\n",
                lane.name,
                human(lane.budget),
                lane.about
            )
        })
        .collect()
}

/// Builds and runs lane after lane, each to its end, and reports the time of each.
pub(crate) fn run(lanes: &[&'static Lane]) -> anyhow::Result<()> {
    every_package_has_a_lane(&packages()?)?;
    eprintln!(
        "The first build takes about six minutes on two cores, later ones seconds. The tests of {} then take {} at most.",
        lanes.iter().map(|lane| lane.name).collect::<Vec<_>>().join(", "),
        human(lanes.iter().map(|lane| lane.budget).sum()),
    );
    let mut failed = Vec::new();
    let mut report = Vec::new();
    for lane in lanes {
        let line = match run_lane(lane) {
            Ok(took) if took > lane.budget => {
                format!(
                    "passed, LATE with {}: make it faster, or say why in xtask/src/lanes.rs",
                    human(took)
                )
            }
            Ok(took) => format!("passed in {}", human(took)),
            Err(error) => {
                eprintln!("✗ {error:#}");
                failed.push(lane.name);
                format!("FAILED: cargo xtask test {}", lane.name)
            }
        };
        report.push(format!(
            "   {:<10} {:>12}   {line}",
            lane.name,
            human(lane.budget)
        ));
    }
    eprintln!("── lanes, their budgets and how they went\n{}", report.join("\n"));
    if !failed.is_empty() {
        bail!("the tests failed in {}", failed.join(", "));
    }
    eprintln!("✓ all tests passed");
    Ok(())
}

/// Builds a lane, then runs it; the answer is the time of the run alone.
fn run_lane(lane: &Lane) -> anyhow::Result<Duration> {
    let test = |more: &[&str]| {
        let packages = lane.packages.iter().flat_map(|package| ["--package", package]);
        let mut command = cargo(["test", "--locked"]);
        if !lane.simulations.is_empty() {
            command.args(["--profile", simulate::PROFILE]);
        }
        command.args(packages).args(lane.targets).args(more);
        command
    };
    step(&format!("lane {}: build", lane.name), || {
        crate::run::run(&mut test(&["--no-run"]))
    })?;
    let mut took = run_tests(lane, &mut test(&["--no-fail-fast"]))?;
    for args in lane.simulations {
        took += run_tests(lane, simulate::simulation().args(*args))?;
    }
    Ok(took)
}

/// Runs the tests of a lane, and kills them where they hang.
fn run_tests(lane: &Lane, tests: &mut Command) -> anyhow::Result<Duration> {
    let ((), took) = step(&format!("lane {}: {}", lane.name, lane.about), || {
        crate::run::run_within(tests, lane.budget.saturating_mul(LATEST))
    })?;
    Ok(took)
}

/// The names of the workspace's packages.
fn packages() -> anyhow::Result<Vec<String>> {
    let text = output(&mut cargo(["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&text).context("cargo metadata")?;
    let packages = metadata
        .pointer("/packages")
        .and_then(serde_json::Value::as_array)
        .context("no packages")?;
    Ok(packages
        .iter()
        .filter_map(|package| package.pointer("/name")?.as_str().map(str::to_owned))
        .collect())
}

/// A crate without a lane would have tests that nobody runs.
fn every_package_has_a_lane(packages: &[String]) -> anyhow::Result<()> {
    for package in packages {
        if !LANES.iter().any(|lane| lane.packages.contains(&package.as_str())) {
            bail!("{package} is in no lane: add it to LANES in xtask/src/lanes.rs");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_crate_is_forgotten() {
        every_package_has_a_lane(&packages().unwrap()).unwrap();
        assert!(every_package_has_a_lane(&["daypass-new".to_owned()]).is_err());
    }

    #[test]
    fn a_lane_that_hangs_is_killed_and_named() {
        let lane = Lane {
            name: "swamp",
            needs_postgres: false,
            about: "where one gets stuck",
            packages: &[],
            targets: &[],
            needs_languages: false,
            needs_browser: false,
            simulations: &[],
            budget: Duration::from_millis(50),
        };
        let error = run_tests(&lane, Command::new("sleep").arg("3600")).unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "lane swamp: where one gets stuck: sleep 3600 had not ended after 0.2 s and was killed"
        );
    }

    #[test]
    fn no_crate_is_tested_twice() {
        let mut all: Vec<_> = LANES
            .iter()
            .flat_map(|lane| lane.packages.iter().map(|package| (package, lane.targets)))
            .collect();
        all.sort();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
