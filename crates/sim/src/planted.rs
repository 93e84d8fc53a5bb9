//! The checkers, checked: each known fault is planted in turn, and must be caught within a stated number of seeds. The table
//! of docs/reliability.md is made here.

use std::fs;
use std::process::ExitCode;

use daypass_core::planted::{Fault, plant};

use crate::campaign::Campaign;
use crate::judge::Invariant;
use crate::options::{Options, Table};
use crate::report::tell;
use crate::scenario::Cut;

/// Within how many seeds a fault must be caught: the first of these that is enough stands in the table.
const WITHIN: [u64; 6] = [10, 30, 100, 300, 1000, 3000];

/// What stands around the table in the document.
const BEGIN: &str = "<!-- planted faults: begin -->\n";
const END: &str = "<!-- planted faults: end -->\n";

/// How a planted fault was caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caught {
    pub(crate) seed: u64,
    pub(crate) by: Invariant,
}

/// The invariants that a fault may break: what else breaks with it is no proof that the checkers see it.
pub(crate) const fn breaks(fault: Fault) -> &'static [Invariant] {
    use Invariant::{
        Agreed, Approved, Bounded, ComesToRest, Completed, Delegated, EndsInTime, InWindow, Intended, Limit,
        Limited, Locked, NeverAdopted, NotCut, Once, Replays, Seen,
    };
    match fault {
        Fault::SkipReadBack
        | Fault::TrustStaleFence
        | Fault::ForgetDoubt
        | Fault::TrustOldSight
        | Fault::HalfBundle => &[Seen],
        Fault::ForgetHolder => &[NotCut],
        Fault::CountTwice | Fault::CountShort | Fault::OwnRequest | Fault::CountLostStanding => &[Approved],
        Fault::OldDirectory | Fault::AnyGlass => &[Approved],
        Fault::KeepLeavers | Fault::SaidEnded => &[EndsInTime],
        Fault::AnySource | Fault::ForgetGuards | Fault::PartOfEnvironment => &[Approved],
        Fault::ForgetUses | Fault::ForgetHeld | Fault::AskAgain => &[Limited],
        Fault::OutliveWindow | Fault::ForbidOnlyNow => &[InWindow],
        Fault::ApplyStale | Fault::AskNobody => &[Agreed],
        Fault::EditAlone | Fault::OwnEdit | Fault::EditAnyway | Fault::HalfAnEdit => &[Agreed],
        // Who speaks for whom is the same at a request and at a change.
        Fault::HeardTwice | Fault::HandOn | Fault::TakenBack | Fault::PuppetsAgree => &[Approved, Agreed],
        Fault::OwnersAgree | Fault::AnyOwner => &[Approved],
        Fault::AnyDelegate | Fault::EndlessDelegation => &[Delegated],
        Fault::OutliveDelegation => &[Delegated, Approved, Agreed],
        Fault::OrphansKeep => &[EndsInTime],
        Fault::AnyTicket | Fault::ForgetTicket => &[Completed],
        Fault::IgnoreLocks => &[Locked],
        Fault::AdoptStanding => &[NeverAdopted],
        Fault::RenewFromNow => &[Limit, EndsInTime],
        Fault::BelieveLimits => &[Limit],
        Fault::CallBeforeIntent | Fault::BeginLate => &[Intended],
        Fault::GiveUp => &[ComesToRest, EndsInTime],
        Fault::FollowTheClock | Fault::ForgetTheShift | Fault::NoSweep | Fault::WaitForTheStore => {
            &[EndsInTime]
        }
        Fault::IgnoreKeys => &[Once],
        // A read that is taken too early is wrong either way: what is there is not seen, or what is gone is.
        Fault::IgnoreLag => &[NotCut, Seen],
        Fault::ExtendTheDead | Fault::ApproveForMore => &[Bounded],
        Fault::SkipEvent => &[Replays],
    }
}

/// Runs seeds from the first on, with a fault planted, until one breaks what the fault is about.
pub(crate) fn hunt(fault: Fault, from: u64, seeds: u64, threads: usize) -> Option<Caught> {
    // In batches, so that the first that catches it is the first of all, however many run at a time.
    let batch = 10;
    let mut at = from;
    while at < from + seeds {
        let campaign = Campaign {
            from: at,
            seeds: batch.min(from + seeds - at),
            threads,
            cut: Cut::default(),
            planted: Some(fault),
            enough: usize::MAX,
            tell: false,
        };
        let broken = campaign.run().broken;
        let expected = breaks(fault);
        if let Some((seed, violation)) = broken
            .iter()
            .find(|(_, violation)| expected.contains(&violation.invariant))
        {
            return Some(Caught {
                seed: *seed,
                by: violation.invariant,
            });
        }
        at += batch;
    }
    None
}

/// Hunts all faults, or the one that is named, and does with the table what the command line says.
pub(crate) fn carry_out(options: &Options, name: Option<&str>) -> ExitCode {
    let most = options.seeds.unwrap_or(WITHIN.into_iter().max().unwrap_or(1));
    let named = |fault: &Fault| name.is_none_or(|name| fault.told().0 == name);
    let faults: Vec<_> = Fault::ALL.iter().copied().filter(named).collect();
    if faults.is_empty() {
        let all: Vec<_> = Fault::ALL.iter().map(|fault| fault.told().0).collect();
        eprintln!("✗ there is no such fault; there are {}", all.join(", "));
        return ExitCode::FAILURE;
    }
    if name.is_some() && matches!(options.table, Table::Write(_)) {
        eprintln!("✗ the table has all faults: write it without the name of one");
        return ExitCode::FAILURE;
    }
    let mut rows = Vec::new();
    let mut missed = 0;
    for fault in faults {
        let caught = hunt(fault, options.from, most, options.threads);
        let (name, what) = fault.told();
        match caught {
            Some(Caught { seed, by }) => {
                eprintln!("✓ {name}: caught by seed {seed}: \"{}\" is broken", by.name());
                let seeds = seed + 1 - options.from;
                let within = WITHIN
                    .into_iter()
                    .find(|within| seeds <= *within)
                    .unwrap_or(seeds);
                rows.push(format!("| `{name}` | {what} | {} | {within} |", by.name()));
            }
            None => {
                eprintln!("✗ {name}: not caught by {most} seeds");
                missed += 1;
            }
        }
        if let (true, Some(Caught { seed, .. })) = (options.trace, caught) {
            plant(Some(fault));
            tell(seed, &options.cut);
            plant(None);
        }
    }
    let table = format!(
        "| fault | what it undoes | caught by | within seeds |\n| --- | --- | --- | --- |\n{}\n",
        rows.join("\n")
    );
    let stands = match &options.table {
        Table::Print => {
            print!("{table}");
            true
        }
        Table::Check(file) => check(file, &table),
        Table::Write(_) if missed > 0 => false,
        Table::Write(file) => write(file, &table),
    };
    if missed == 0 && stands {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The document's parts before, in and after its table.
fn parts(document: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (table, after) = rest.split_once(END)?;
    Some((before, table, after))
}

fn check(file: &str, table: &str) -> bool {
    let document = fs::read_to_string(file).unwrap_or_default();
    let same = parts(&document).is_some_and(|(_, stands, _)| stands.trim() == table.trim());
    if !same {
        print!("{table}");
        eprintln!(
            "✗ {file} holds another table of planted faults\n  Try: cargo xtask simulate --planted --write {file}"
        );
    }
    same
}

fn write(file: &str, table: &str) -> bool {
    let document = fs::read_to_string(file).unwrap_or_default();
    let Some((before, _, after)) = parts(&document) else {
        eprintln!("✗ {file} has no place for the table: it needs a line {BEGIN}  and a line {END}");
        return false;
    };
    let written = fs::write(file, format!("{before}{BEGIN}\n{table}\n{END}{after}"));
    written.map_err(|error| eprintln!("✗ {file}: {error}")).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_fault_has_a_name_of_its_own() {
        let names: BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.told().0).collect();
        assert_eq!(names.len(), Fault::ALL.len());
        assert!(!names.contains("unnamed"));
    }

    #[test]
    fn every_invariant_has_a_fault_that_breaks_it() {
        let broken: BTreeSet<_> = Fault::ALL.iter().flat_map(|fault| breaks(*fault)).collect();
        let all: BTreeSet<_> = Invariant::ALL.iter().collect();
        assert_eq!(broken, all);
    }

    #[test]
    fn the_table_is_found_in_its_document() {
        let document = format!("before\n{BEGIN}| a |\n{END}after\n");
        assert_eq!(parts(&document), Some(("before\n", "| a |\n", "after\n")));
        assert_eq!(parts("no table"), None);
    }

    #[test]
    fn a_planted_fault_is_planted_where_it_was_and_nowhere_else() {
        let caught = hunt(Fault::CallBeforeIntent, 1, 10, 2).unwrap();
        assert_eq!(caught.by, Invariant::Intended);
        assert_eq!(
            hunt(Fault::CallBeforeIntent, 1, 10, 1),
            Some(caught),
            "however many threads"
        );
    }
}
