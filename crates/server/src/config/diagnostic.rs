//! What is wrong with `server.yaml`: where, what, and what to write instead.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_saphyr::{Location, Spanned};

/// One thing that is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// Line and column, both counted from 1; `None` where the file could not be read at all.
    pub at: Option<(u64, u64)>,
    /// What is wrong and why.
    pub what: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.what)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  Try: {hint}")?;
        }
        Ok(())
    }
}

impl ConfigError {
    /// Something wrong at a value.
    pub(super) fn at<T>(file: &Path, value: &Spanned<T>, what: impl Into<String>) -> Self {
        Self::new(file, Some(value.referenced), what)
    }

    /// Something wrong, perhaps at a place.
    pub(super) fn new(file: &Path, at: Option<Location>, what: impl Into<String>) -> Self {
        let at = at.filter(|at| at.line() > 0).map(|at| (at.line(), at.column()));
        Self {
            file: file.to_owned(),
            at,
            what: what.into(),
            hint: None,
        }
    }

    /// The same with what to write instead.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What the YAML reader refused.
    pub(super) fn from_yaml(file: &Path, error: &serde_saphyr::Error) -> Self {
        let error = error.without_snippet();
        let at = error.location();
        match error {
            serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => {
                unknown(file, at, "key", field, expected)
            }
            serde_saphyr::Error::SerdeUnknownVariant {
                variant, expected, ..
            } => unknown(file, at, "value", variant, expected),
            serde_saphyr::Error::SerdeMissingField { field, .. } => {
                Self::new(file, at, format!("\"{field}\" is missing"))
            }
            other => Self::new(file, at, other.to_string()),
        }
    }
}

fn unknown(file: &Path, at: Option<Location>, kind: &str, got: &str, known: &[&str]) -> ConfigError {
    let shown: String = got.chars().take(60).collect();
    let error = ConfigError::new(file, at, format!("there is no {kind} \"{shown}\" here"));
    match nearest(got, known) {
        Some(near) => error.hint(near),
        None if known.is_empty() => error,
        None => error.hint(format!("one of {}", known.join(", "))),
    }
}

/// The known word that was probably meant.
fn nearest<'a>(got: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|word| (strsim::jaro_winkler(got, word), *word))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}
