//! What is wrong with a draft, and what its own tests say: the API's answer, beside the lines that it is about.

use daypass_api::policy::{Diagnostic, PolicyCheck, TestOutcome};

use super::draft::Draft;

/// See the module.
pub(super) struct Findings {
    pub(super) faults: Vec<Fault>,
    pub(super) tests: Vec<TestOutcome>,
    pub(super) failed: usize,
    /// Whether it loads.
    pub(super) loads: bool,
    /// What it would change.
    pub(super) summary: Vec<String>,
}

/// One thing that is wrong.
pub(super) struct Fault {
    /// Which field of the page holds the file.
    pub(super) field: Option<usize>,
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// The line itself, where there is one.
    pub(super) text: Option<String>,
}

/// A line is shown as far as this, in characters.
const LONGEST_LINE: usize = 200;

impl Findings {
    pub(super) fn of(check: PolicyCheck, draft: &Draft) -> Self {
        let failed = check.tests.iter().filter(|test| !test.passed).count();
        let mut tests = check.tests;
        // What failed is read first; otherwise as they stand in the files.
        tests.sort_by_key(|test| test.passed);
        Self {
            loads: check.revision.is_some(),
            faults: check
                .diagnostics
                .into_iter()
                .map(|one| Fault::of(one, draft))
                .collect(),
            tests,
            failed,
            summary: check.summary,
        }
    }
}

impl Fault {
    fn of(found: Diagnostic, draft: &Draft) -> Self {
        let field = draft
            .files
            .iter()
            .position(|file| !file.dropped && file.name == found.file);
        let text = field
            .and_then(|at| draft.files.get(at))
            .and_then(|file| file.text.lines().nth(found.line.checked_sub(1)?))
            .map(|line| line.chars().take(LONGEST_LINE).collect())
            .filter(|line: &String| !line.trim().is_empty());
        Self {
            field,
            text,
            file: found.file,
            line: found.line,
            column: found.column,
            message: found.message,
            help: found.help,
        }
    }
}
