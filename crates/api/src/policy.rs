//! The policy: its files, what is wrong with them, what its tests say.

use std::fmt;

use daypass_core::text::Hash;
use daypass_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::change::Change;

/// One file of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// Its name, as diagnostics show it.
    #[schema(example = "policy/db.yaml")]
    pub name: String,
    /// Its text.
    pub text: String,
}

/// `PUT /policy` and `POST /policy/check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFiles {
    /// All of its files; a revision is the whole.
    pub files: Vec<PolicyFile>,
    /// The revision that this one is meant to replace. Another one in force meanwhile is refused (`stale`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub replaces: Option<Hash>,
}

/// `GET /policy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Policy {
    /// The revision in force.
    #[schema(value_type = String)]
    pub revision: Hash,
    /// Its files.
    pub files: Vec<PolicyFile>,
    /// Whom a change of it asks, step by step, such as `2 of security`; nobody where it is empty, and an administrator may do it alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approval: Vec<String>,
}

/// A revision that is in force, or was: `GET /policy/revisions`, and `GET /policy/revisions/{revision}` for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyRevision {
    /// The SHA-256 over the names and texts of its files.
    #[schema(value_type = String)]
    pub revision: Hash,
    /// When it came in force; of one that did so several times, the last time where one is shown.
    #[schema(value_type = String, format = DateTime)]
    pub applied_at: Timestamp,
    /// The login of who put it in force: the last who had to agree, where others had to. `daypass` where a start did, with the
    /// operator's files.
    #[schema(example = "root")]
    pub by: String,
    /// Whether it is the one in force now.
    pub in_force: bool,
    /// Its files; only where one is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PolicyFile>,
}

/// The query of `GET /policy/revisions`: newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RevisionQuery {
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The most entries to answer with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The query of `GET /policy/diff`: two revisions that are in force or were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DiffQuery {
    /// The earlier one, or whichever is to stand on that side.
    #[param(value_type = String)]
    pub from: Hash,
    /// The other.
    #[param(value_type = String)]
    pub to: Hash,
}

/// What differs between two revisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyDiff {
    /// The one side.
    #[schema(value_type = String)]
    pub from: Hash,
    /// The other.
    #[schema(value_type = String)]
    pub to: Hash,
    /// What it means, line by line, such as `~ rule prod-write: max 2h → 4h`. Missing where one of them does not load any more: it is
    /// of an older version of Daypass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Vec<String>>,
    /// The files that differ.
    pub files: Vec<FileDiff>,
}

/// What differs in one file. A file that is new, or gone, has lines of one side only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileDiff {
    /// Its name.
    pub name: String,
    /// The lines that differ, with some around them. Where their numbers jump, lines are left out that are the same.
    pub lines: Vec<DiffLine>,
}

/// A line, and in which of the two it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiffLine {
    /// Its number in the one side, from 1, where it stands there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<usize>,
    /// Its number in the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<usize>,
    /// The line.
    pub text: String,
}

/// The answer of `PUT /policy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyApplied {
    /// The revision in force now.
    #[schema(value_type = String)]
    pub revision: Hash,
    /// Whether it is another than before.
    pub changed: bool,
    /// What changed, line by line, such as `+ rule prod-write`.
    pub summary: Vec<String>,
    /// How many of its own tests passed.
    pub tests: usize,
    /// The change that waits for others to agree, where the policy in force asks for that: it was proposed, and nothing has
    /// changed yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Box<Change>>,
}

/// The answer of `POST /policy/check`. Problems of the policy are the answer, not a problem of the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyCheck {
    /// The revision that it would be; absent where it does not load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub revision: Option<Hash>,
    /// What is wrong with it, its targets' configuration included. With any of these it cannot be applied.
    pub diagnostics: Vec<Diagnostic>,
    /// Its own tests; empty where it does not load.
    pub tests: Vec<TestOutcome>,
    /// What it would change, line by line.
    pub summary: Vec<String>,
}

impl PolicyCheck {
    /// Whether it could be applied.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.diagnostics.is_empty() && self.tests.iter().all(|test| test.passed)
    }
}

/// Something wrong in a policy's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Diagnostic {
    /// The file.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

/// What came of one test of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TestOutcome {
    /// Where the test stands, such as `policy/db.yaml:44`.
    pub location: String,
    /// Whether it passed.
    pub passed: bool,
    /// What it asks, in one line.
    pub name: String,
    /// What it expected.
    pub expected: String,
    /// What came.
    pub got: String,
}
