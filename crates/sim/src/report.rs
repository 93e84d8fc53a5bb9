//! What people read: the outcome of a campaign, a failure made small with the command that replays it, the planted faults.

use std::process::ExitCode;

use daypass_core::planted::plant;

use crate::campaign::Campaign;
use crate::edge::Stopwatch;
use crate::judge::Violation;
use crate::options::{HELP, Options, spell};
use crate::planted;
use crate::run::run;
use crate::scenario::{Cut, Scenario};
use crate::shrink::shrink;

/// How many seeds are run where nobody says.
const SEEDS: u64 = 100;
/// After so many seeds that break something, the campaign ends.
const ENOUGH: usize = 3;

/// Does what the command line says.
pub(crate) fn carry_out(options: &Options) -> ExitCode {
    if options.help {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match &options.planted {
        Some(name) => planted::carry_out(options, name.as_deref()),
        None if options.trace => traced(options),
        None => campaign(options),
    }
}

fn traced(options: &Options) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for seed in options.from..options.from + options.seeds.unwrap_or(1) {
        if !tell(seed, &options.cut) {
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// Prints a run as it happens; whether it broke nothing.
pub(crate) fn tell(seed: u64, cut: &Cut) -> bool {
    let ran = run(seed, cut, true);
    println!("── seed {seed}{}", spell(cut));
    for line in &ran.trace {
        println!("{line}");
    }
    match &ran.violation {
        None => println!(
            "✓ seed {seed}: nothing broken in {}, {} grants",
            ran.lasted, ran.grants
        ),
        Some(violation) => println!("✗ seed {seed}: {}", words(violation)),
    }
    ran.violation.is_none()
}

fn campaign(options: &Options) -> ExitCode {
    let campaign = Campaign {
        from: options.from,
        seeds: options.seeds.unwrap_or(SEEDS),
        threads: options.threads,
        cut: options.cut.clone(),
        planted: None,
        enough: ENOUGH,
        tell: true,
    };
    let watch = Stopwatch::start();
    let outcome = campaign.run();
    let seconds = watch.elapsed().as_secs_f64();
    let rate = f64::from(u32::try_from(outcome.runs).unwrap_or(u32::MAX)) / seconds.max(0.001);
    println!(
        "── {} seeds from {}, {} grants, {seconds:.0} s, {rate:.0} seeds a second",
        outcome.runs, campaign.from, outcome.grants
    );
    for (seed, violation) in &outcome.broken {
        failure(*seed, violation, &campaign.cut);
    }
    if outcome.broken.is_empty() {
        println!("✓ every invariant held in every run");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A failure, made small.
fn failure(seed: u64, violation: &Violation, cut: &Cut) {
    println!("✗ seed {seed}: {}", words(violation));
    println!(
        "  replay:  cargo xtask simulate --from {seed} --seeds 1{} --trace",
        spell(cut)
    );
    if *cut != Cut::default() {
        return;
    }
    plant(None);
    let small = shrink(seed, violation.invariant);
    let (all, left) = (
        Scenario::of(seed, cut).elements.len(),
        small.keep.as_ref().map_or(0, Vec::len),
    );
    println!("  shrunk from {all} elements to {left}:");
    println!(
        "  replay:  cargo xtask simulate --from {seed} --seeds 1{} --trace",
        spell(&small)
    );
    tell(seed, &small);
}

fn words(violation: &Violation) -> String {
    format!(
        "\"{}\" is broken at {}: {}",
        violation.invariant.name(),
        violation.at,
        violation.what
    )
}
