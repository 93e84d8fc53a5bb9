//! The house rules that no compiler and no clippy lint keeps.
//!
//! A rule is a function from the tree to findings. Its module says why it exists, and its tests show a tree that breaks
//! it. What clippy can say is left to clippy: function length, unwrapping, panics, `#[allow]` without a reason, reading
//! the clock (see `clippy.toml` and `[workspace.lints]`).

mod docs;
mod layers;
mod rust;
mod territory;
mod tree;
mod words;

use std::fmt;

use anyhow::bail;
use tree::Tree;

/// One place that breaks one rule, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// Counted from 1.
    line: usize,
    rule: &'static str,
    what: String,
    fix: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            rule,
            what,
            fix,
        } = self;
        write!(f, "{path}:{line}: [{rule}] {what}\n    Try: {fix}")
    }
}

/// Every rule. A new one is a function here and a test beside it.
const RULES: &[fn(&Tree) -> Vec<Finding>] = &[
    rust::begins_with_its_purpose,
    rust::files_are_short,
    rust::names_say_something,
    rust::crates_take_the_lints,
    layers::crates_depend_as_the_table_says,
    layers::only_the_simulation_plants_faults,
    layers::pure_crates_stay_pure,
    territory::our_sql_is_in_the_store,
    territory::html_is_in_the_web,
    words::nothing_is_left_to_do,
    words::no_machine_is_named,
    docs::links_lead_somewhere,
    docs::named_code_exists,
    docs::changelog_has_unreleased,
    docs::decisions_are_numbered,
];

/// `cargo xtask tidy`.
pub(crate) fn command() -> anyhow::Result<()> {
    let tree = Tree::of_the_workspace()?;
    let findings = check(&tree);
    if findings.is_empty() {
        eprintln!("✓ {} files keep {} house rules", tree.files().len(), RULES.len());
        return Ok(());
    }
    let count = findings.len();
    let text: Vec<_> = findings.iter().map(ToString::to_string).collect();
    bail!("{count} findings\n{}", text.join("\n"))
}

fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<_> = RULES.iter().flat_map(|rule| rule(tree)).collect();
    findings.sort();
    findings
}

/// Asserts where a rule finds something in a tree of made-up files: `path:line`, in order.
#[cfg(test)]
#[track_caller]
fn finds(rule: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)], expected: &[&str]) {
    let mut findings = rule(&Tree::of(files));
    findings.sort();
    let got: Vec<_> = findings
        .iter()
        .map(|finding| format!("{}:{}", finding.path, finding.line))
        .collect();
    assert_eq!(got, expected, "{findings:#?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        if let Err(findings) = command() {
            panic!("{findings}");
        }
    }

    #[test]
    fn a_finding_says_where_what_and_what_to_do() {
        let finding = Finding {
            path: "a.rs".into(),
            line: 3,
            rule: "r",
            what: "is wrong".into(),
            fix: "make it right",
        };
        assert_eq!(
            finding.to_string(),
            "a.rs:3: [r] is wrong\n    Try: make it right"
        );
    }
}
