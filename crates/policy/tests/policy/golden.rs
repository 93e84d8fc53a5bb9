//! One file for each part of the language: a policy whose own tests must pass, and beside it what every rule says to each of
//! them. A wanted change is written with `DAYPASS_GOLDEN=write cargo test -p daypass-policy golden`, and read before it is
//! committed.

use std::fmt::Write as _;
use std::path::Path;

use crate::office::{load, source};
use daypass_policy::Policy;

/// The names of the files, so that a part whose file is lost is missed.
const PARTS: &[&str] = &[
    "window",
    "forbid",
    "ticket",
    "if",
    "source",
    "unknown",
    "uses",
    "max_total",
    "cool_down",
    "demands",
];

#[track_caller]
fn golden(part: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let name = format!("{part}.yaml");
    let text = std::fs::read_to_string(folder.join(&name)).unwrap();
    let policy = Policy::load(&[source(&name, &text)]).unwrap_or_else(|found| panic!("{found}"));
    let outcomes = policy.run_tests();
    assert!(outcomes.len() > 1, "{name} has tests");
    for outcome in &outcomes {
        assert!(outcome.passed, "{outcome:#?}");
    }
    let mut told = String::new();
    for (question, explanation) in policy.explain_tests() {
        writeln!(
            told,
            "{question}\n  {}\n",
            explanation.to_string().replace('\n', "\n  ")
        )
        .unwrap();
    }
    let told = format!("{}\n", told.trim_end());
    let answer = folder.join(format!("{part}.txt"));
    if std::env::var("DAYPASS_GOLDEN").is_ok_and(|value| value == "write") {
        std::fs::write(&answer, &told).unwrap();
    }
    let expect = std::fs::read_to_string(&answer).unwrap_or_default();
    assert!(told == expect, "{} says:\n{told}", answer.display());
}

#[test]
fn every_part_of_the_language_says_what_its_file_says() {
    for part in PARTS {
        golden(part);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(files, 2 * PARTS.len(), "each file is named in PARTS");
}

/// What cannot be tested away: a golden file that does not load would be no test.
#[test]
fn a_golden_file_must_load() {
    assert!(load("version: 1\nrules: [{}]\n").is_err());
}
