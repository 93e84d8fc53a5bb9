//! The dependency rule: which crate may know which.
//!
//! The rule is the table in ARCHITECTURE.md, so that what people read and what is checked are one thing. Manifests are
//! read as text, not through `cargo metadata`: the rule then works on a made-up tree in a test, and needs no registry.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::tree::{File, Tree};

const TABLE: &str = "ARCHITECTURE.md";

/// What one crate may use of ours, by directory names.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    line: usize,
    may: May,
}

#[derive(Debug, PartialEq, Eq)]
enum May {
    All,
    These(BTreeSet<String>),
}

/// What only tests use is free to be used by the tests of every crate.
const TEST_CRATES: &[&str] = &["testbed"];

/// Drift between the table and the manifests is how layers dissolve: one convenient import at a time.
pub(super) fn crates_depend_as_the_table_says(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(document) = tree.get(TABLE) else {
        return vec![finding(
            TABLE,
            1,
            "is missing, and with it the dependency rule",
            "write the crate table",
        )];
    };
    let mut table = table(document);
    for (name, manifest) in manifests(tree) {
        let Some(row) = table.remove(name) else {
            let what = format!("the crate {name} has no row in the table of {TABLE}");
            findings.push(finding(
                &manifest.path,
                1,
                &what,
                "add a row: what it holds, what it may depend on",
            ));
            continue;
        };
        for Dependency { line, on, only_tests } in ours(manifest) {
            let may = match &row.may {
                May::All => true,
                May::These(these) => these.contains(on) || (only_tests && TEST_CRATES.contains(&on)),
            };
            if !may {
                let what = format!("{name} depends on {on}, which the table in {TABLE} does not allow");
                let fix =
                    "move the code to where it may be, or change the rule in the table and say why in an ADR";
                findings.push(finding(&manifest.path, line, &what, fix));
            }
        }
    }
    for (name, row) in table {
        let what = format!("the table has a row for {name}, and there is no such crate");
        findings.push(finding(
            TABLE,
            row.line,
            &what,
            "remove the row until the crate exists",
        ));
    }
    findings
}

/// The rows of the first table whose heading begins with `| crate |`: name first, what it may depend on last.
fn table(document: &File) -> BTreeMap<String, Row> {
    let rows = document
        .lines()
        .skip_while(|(_, line)| !line.starts_with("| crate |"))
        .skip(2)
        .take_while(|(_, line)| line.starts_with('|'));
    rows.filter_map(|(line, text)| {
        let cells: Vec<_> = text.trim_matches('|').split('|').map(str::trim).collect();
        let (name, may) = (cells.first()?, cells.last()?);
        let may = match *may {
            "all" => May::All,
            names => May::These(code_spans(names).map(str::to_owned).collect()),
        };
        Some((code_spans(name).next()?.to_owned(), Row { line, may }))
    })
    .collect()
}

/// What stands between backticks.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The manifests of our crates, with the directory's name.
/// Faults on purpose belong to the simulation: a crate of the product that asked for them would ship them.
pub(super) fn only_the_simulation_plants_faults(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, manifest) in manifests(tree).filter(|(name, _)| *name != "sim") {
        for (number, line) in manifest.text.lines().enumerate() {
            let code = line.split('#').next().unwrap_or_default();
            let declares = name == "core" && code.trim() == "planted = []";
            if code.contains("planted") && !declares {
                let what = format!("{name} asks for the feature `planted`");
                let fix = "only crates/sim may; take it out";
                findings.push(finding(&manifest.path, number + 1, &what, fix));
            }
        }
    }
    findings
}

fn manifests(tree: &Tree) -> impl Iterator<Item = (&str, &File)> {
    tree.files().iter().filter_map(|file| {
        let dir = file.path.strip_suffix("/Cargo.toml")?;
        if file.is_of_another_workspace() {
            return None;
        }
        Some((dir.strip_prefix("crates/").unwrap_or(dir), file))
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Dependency<'a> {
    line: usize,
    on: &'a str,
    only_tests: bool,
}

/// The dependencies of a manifest on crates of ours.
fn ours(manifest: &File) -> Vec<Dependency<'_>> {
    dependencies(manifest)
        .filter_map(|dependency| {
            let on = match dependency.on {
                "daypass" => "daypass",
                name => name.strip_prefix("daypass-")?,
            };
            Some(Dependency { on, ..dependency })
        })
        .collect()
}

/// Every dependency of a manifest: a key of a table whose name ends in `dependencies`.
fn dependencies(manifest: &File) -> impl Iterator<Item = Dependency<'_>> {
    let mut section = "";
    manifest.lines().filter_map(move |(line, text)| {
        if let Some(name) = text.strip_prefix('[') {
            section = name.trim_end_matches(']');
            // `[dependencies.name]`
            let (kind, name) = section.rsplit_once("dependencies.")?;
            return Some(Dependency {
                line,
                on: name,
                only_tests: kind.ends_with("dev-"),
            });
        }
        let on = text
            .split(['.', '=', ' '])
            .next()
            .filter(|name| !name.is_empty() && !name.starts_with('#'))?;
        let only_tests = section.ends_with("dev-dependencies");
        section
            .ends_with("dependencies")
            .then_some(Dependency { line, on, only_tests })
    })
}

/// Pure crates: tests of theirs need no clock, no disk and no runtime, and a simulation can replay them.
const PURE: &[&str] = &["core", "policy", "tlog"];

/// What brings IO, time or chance with it.
const IMPURE: &[&str] = &[
    "async-std",
    "axum",
    "getrandom",
    "hyper",
    "rand",
    "reqwest",
    "rusqlite",
    "smol",
    "tokio",
    "tokio-postgres",
    "tracing",
    "ureq",
    "uuid",
];

/// `core`, `policy` and `tlog` decide; whoever asks brings the time and the randomness.
pub(super) fn pure_crates_stay_pure(tree: &Tree) -> Vec<Finding> {
    let pure = manifests(tree).filter(|(name, _)| PURE.contains(name));
    pure.flat_map(|(name, manifest)| {
        dependencies(manifest)
            .filter(|dependency| !dependency.only_tests && IMPURE.contains(&dependency.on))
            .map(|dependency| {
                let what = format!("{name} is pure and depends on {}", dependency.on);
                let fix = "take what it gives as a parameter";
                finding(&manifest.path, dependency.line, &what, fix)
            })
            .collect::<Vec<_>>()
    })
    .collect()
}

fn finding(path: &str, line: usize, what: &str, fix: &'static str) -> Finding {
    Finding {
        path: path.to_owned(),
        line,
        rule: "layers",
        what: what.to_owned(),
        fix,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finds;

    const DOCUMENT: &str = "\
# Architecture

| crate | holds | may depend on (of ours) |
| --- | --- | --- |
| `core` | words | nothing |
| `store` | SQL | `core` |
| `daypass` | the binary | all |
| `testbed` | services | nothing |

| crate | another table |
";
    const CORE: (&str, &str) = (
        "crates/core/Cargo.toml",
        "[dependencies]\nserde.workspace = true\n",
    );
    const STORE: (&str, &str) = (
        "crates/store/Cargo.toml",
        "[dependencies]\ndaypass-core.workspace = true\n[dev-dependencies]\ndaypass-testbed.workspace = true\n",
    );
    const BINARY: (&str, &str) = (
        "crates/daypass/Cargo.toml",
        "[dependencies]\ndaypass-store = { path = \"../store\" }\n",
    );
    const TESTBED: (&str, &str) = ("crates/testbed/Cargo.toml", "[dependencies]\n");

    #[test]
    fn a_tree_that_keeps_the_rule_has_no_finding() {
        let files = [("ARCHITECTURE.md", DOCUMENT), CORE, STORE, BINARY, TESTBED];
        finds(crates_depend_as_the_table_says, &files, &[]);
    }

    #[test]
    fn faults_are_planted_by_the_simulation_alone() {
        let asks = "[dependencies]\ndaypass-core = { workspace = true, features = [\"planted\"] }\n";
        let declares = "[features]\n# faults, planted on purpose\nplanted = []\n";
        let fine = [
            ("crates/sim/Cargo.toml", asks),
            ("crates/core/Cargo.toml", declares),
        ];
        finds(only_the_simulation_plants_faults, &fine, &[]);
        let forbidden = [("crates/engine/Cargo.toml", asks)];
        finds(
            only_the_simulation_plants_faults,
            &forbidden,
            &["crates/engine/Cargo.toml:2"],
        );
    }

    #[test]
    fn a_forbidden_import_is_found_however_it_is_written() {
        for import in [
            "[dependencies]\ndaypass-store.workspace = true\n",
            "[dependencies]\ndaypass-store = { workspace = true }\n",
            "[dependencies]\n[dependencies.daypass-store]\n",
            "[dependencies]\n[target.'cfg(unix)'.dependencies]\ndaypass-store = \"1\"\n",
            "# dev too\n[dev-dependencies]\ndaypass-store.workspace = true\n",
        ] {
            let files = [
                ("ARCHITECTURE.md", DOCUMENT),
                ("crates/core/Cargo.toml", import),
                STORE,
                BINARY,
                TESTBED,
            ];
            let findings = crates_depend_as_the_table_says(&Tree::of(&files));
            assert_eq!(findings.len(), 1, "{import}");
            assert!(
                findings
                    .iter()
                    .all(|finding| finding.what.contains("core depends on store")),
                "{findings:?}"
            );
        }
    }

    #[test]
    fn the_test_crate_is_for_tests() {
        let misuse = (
            "crates/core/Cargo.toml",
            "[dependencies]\ndaypass-testbed.workspace = true\n",
        );
        let files = [("ARCHITECTURE.md", DOCUMENT), misuse, STORE, BINARY, TESTBED];
        finds(
            crates_depend_as_the_table_says,
            &files,
            &["crates/core/Cargo.toml:2"],
        );
    }

    #[test]
    fn rows_and_crates_must_match_both_ways() {
        let files = [
            ("ARCHITECTURE.md", DOCUMENT),
            CORE,
            BINARY,
            TESTBED,
            ("crates/new/Cargo.toml", "[package]"),
        ];
        finds(
            crates_depend_as_the_table_says,
            &files,
            &["ARCHITECTURE.md:6", "crates/new/Cargo.toml:1"],
        );
        finds(crates_depend_as_the_table_says, &[], &["ARCHITECTURE.md:1"]);
    }

    #[test]
    fn a_pure_crate_with_a_runtime_is_found() {
        let core =
            "[dependencies]\nserde = \"1\"\ntokio = { version = \"1\" }\n[dev-dependencies]\nrand = \"1\"\n";
        let files = [
            ("crates/core/Cargo.toml", core),
            ("crates/store/Cargo.toml", core),
        ];
        finds(pure_crates_stay_pure, &files, &["crates/core/Cargo.toml:3"]);
    }
}
