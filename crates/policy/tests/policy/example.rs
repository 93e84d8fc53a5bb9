//! The example policy and every example of the user's page: what is shown is what works.

use daypass_policy::{Diagnostic, Policy, Source, TestOutcome};

use crate::office::source;

const EXAMPLE: &str = include_str!("../../../../examples/policy.yaml");
const PAGE: &str = include_str!("../../../../docs/policy.md");

#[track_caller]
fn passes(sources: &[Source]) -> usize {
    let policy = Policy::load(sources).unwrap_or_else(|found| panic!("{found}"));
    let outcomes = policy.run_tests();
    let failed: Vec<&TestOutcome> = outcomes.iter().filter(|outcome| !outcome.passed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    outcomes.len()
}

#[test]
fn the_example_loads_and_passes_its_own_tests() {
    assert_eq!(passes(&[source("policy.yaml", EXAMPLE)]), 11);
}

/// The blocks of the page, by what stands after the three backticks.
fn blocks(info: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, &str, Vec<&str>)> = None;
    for (number, line) in PAGE.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(of)) => open = Some((number + 2, of.trim(), Vec::new())),
            (Some((at, of, lines)), Some("")) => {
                if *of == info {
                    blocks.push((*at, format!("{}\n", lines.join("\n"))));
                }
                open = None;
            }
            (Some((_, _, lines)), _) => lines.push(line),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block of the page is not closed");
    blocks
}

/// All `yaml` blocks of the page are the files of one policy, which loads and passes the tests that the page shows.
#[test]
fn the_examples_of_the_page_are_one_policy() {
    let sources: Vec<Source> = blocks("yaml")
        .into_iter()
        .map(|(line, text)| {
            let version = if text.starts_with("version:") {
                ""
            } else {
                "version: 1\n"
            };
            source(&format!("{line:04}"), &format!("{version}{text}"))
        })
        .collect();
    assert!(sources.len() >= 6, "the page has its examples");
    assert!(passes(&sources) >= 3, "the page shows tests");
}

/// Each `yaml refused` block is refused with exactly the `text refused` block after it.
#[test]
fn the_mistakes_of_the_page_are_told_as_it_says() {
    let (mistakes, answers) = (blocks("yaml refused"), blocks("text refused"));
    assert!(!mistakes.is_empty());
    assert_eq!(mistakes.len(), answers.len());
    for ((line, mistake), (_, answer)) in mistakes.iter().zip(&answers) {
        let found = Policy::load(&[source("policy/db.yaml", mistake)]).unwrap_err();
        assert_eq!(found.to_string(), answer.trim_end(), "the example at line {line}");
    }
}

/// Every word that the page's table lists is refused as not supported, at the place that the table names.
#[test]
fn what_the_page_calls_not_supported_is_refused_as_such() {
    let (_, table) = PAGE.split_once("| where | words |").unwrap();
    let mut words = 0;
    for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        for word in cells[1].split(", ").map(|word| word.trim_matches('`')) {
            let text = match cells[0] {
                "file" => format!("{word}: x"),
                "defaults" => format!("defaults: {{{word}: x}}"),
                "step" => format!("rules: [{{approval: [{{{word}: x}}]}}]"),
                "when" => format!("rules: [{{when: {{{word}: x}}}}]"),
                section => format!("{section}s: [{{{word}: x}}]"),
            };
            let found = Policy::load(&[source("p", &format!("version: 1\n{text}\n"))]).unwrap_err();
            let refused = |one: &Diagnostic| {
                one.message.starts_with(&format!("\"{word}\" in "))
                    && one.message.ends_with("not supported in this version")
            };
            assert!(
                found.all().iter().any(refused),
                "{word} in a {}: {found}",
                cells[0]
            );
            words += 1;
        }
    }
    assert!(words > 3, "{words} words");
}
