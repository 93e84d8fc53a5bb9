//! What is wrong with a policy, where, and what was probably meant.

use std::fmt;
use std::sync::Arc;

use miette::{LabeledSpan, NamedSource, SourceCode};
use serde::{Deserialize, Serialize};

use crate::Source;

/// More diagnostics than this help nobody; the rest is counted.
const MOST: usize = 100;

/// A place in a policy file. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    /// The file's name, as it was handed in.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl fmt::Display for Location {
    /// `policy/db.yaml:19:5`; with `{:#}` without the column, for sentences.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        if f.alternate() {
            return Ok(());
        }
        write!(f, ":{}", self.column)
    }
}

/// A place within the sources of one load: small enough to sit in every node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct At {
    /// Index of the source.
    pub(crate) file: usize,
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// In bytes from the file's beginning.
    pub(crate) start: usize,
    /// In bytes; 0 where the place is a point.
    pub(crate) len: usize,
}

impl At {
    /// The same place in the words of the caller.
    pub(crate) fn location(self, sources: &[Source]) -> Location {
        Location {
            file: sources
                .get(self.file)
                .map_or_else(String::new, |source| source.name.clone()),
            line: self.line,
            column: self.column,
        }
    }
}

/// One thing that is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Where.
    pub location: Location,
    /// What is wrong, in a sentence without a full stop.
    pub message: String,
    /// What to write instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Start and length in bytes within the file, for a snippet.
    #[serde(skip)]
    pub(crate) span: (usize, usize),
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// Everything that one load found wrong: never empty, in the order of the files. Displayed it is one line each.
#[derive(Debug, Clone)]
pub struct Diagnostics {
    found: Vec<Diagnostic>,
    left_out: usize,
    sources: Vec<Source>,
}

impl Diagnostics {
    /// These, where there are any.
    pub(crate) fn new(found: Vec<Diagnostic>, sources: &[Source]) -> Option<Self> {
        let left_out = found.len().saturating_sub(MOST);
        let found: Vec<Diagnostic> = found.into_iter().take(MOST).collect();
        (!found.is_empty()).then(|| Self {
            found,
            left_out,
            sources: sources.to_vec(),
        })
    }

    /// The diagnostics, ordered by file, line and column; at most a hundred.
    #[must_use]
    pub fn all(&self) -> &[Diagnostic] {
        &self.found
    }

    /// How many more there were.
    #[must_use]
    pub const fn left_out(&self) -> usize {
        self.left_out
    }

    /// The same, each with the text around it, for miette's renderers.
    #[must_use]
    pub fn reports(&self) -> Vec<Report> {
        let texts: Vec<(&str, Arc<str>)> = self
            .sources
            .iter()
            .map(|source| (source.name.as_str(), Arc::from(source.text.as_str())))
            .collect();
        self.found
            .iter()
            .map(|diagnostic| Report {
                diagnostic: diagnostic.clone(),
                source: texts
                    .iter()
                    .find(|(name, _)| *name == diagnostic.location.file)
                    .map(|(name, text)| NamedSource::new(name, Arc::clone(text)).with_language("YAML")),
            })
            .collect()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.found.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{diagnostic}")?;
        }
        match self.left_out {
            0 => Ok(()),
            more => write!(f, "\n… and {more} more"),
        }
    }
}

impl std::error::Error for Diagnostics {}

/// A diagnostic with the text of its file, as miette draws it.
#[derive(Debug)]
pub struct Report {
    diagnostic: Diagnostic,
    source: Option<NamedSource<Arc<str>>>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for Report {}

impl miette::Diagnostic for Report {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let hint = self.diagnostic.hint.as_ref()?;
        Some(Box::new(hint))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (start, length) = self.diagnostic.span;
        let label = LabeledSpan::new(Some(String::from("here")), start, length);
        self.source
            .is_some()
            .then(|| Box::new(std::iter::once(label)) as Box<dyn Iterator<Item = LabeledSpan>>)
    }
}

/// Collects what is wrong while a policy is read and checked.
pub(crate) struct Problems<'s> {
    sources: &'s [Source],
    found: Vec<(At, Diagnostic)>,
    left_out: usize,
}

impl<'s> Problems<'s> {
    pub(crate) const fn new(sources: &'s [Source]) -> Self {
        Self {
            sources,
            found: Vec::new(),
            left_out: 0,
        }
    }

    /// Notes one. The hint may be empty.
    pub(crate) fn note(&mut self, at: At, message: impl Into<String>, hint: impl Into<String>) {
        if self.is_full() {
            self.left_out += 1;
            return;
        }
        let hint: String = hint.into();
        let diagnostic = Diagnostic {
            location: at.location(self.sources),
            message: message.into(),
            hint: (!hint.is_empty()).then_some(hint),
            span: (at.start, at.len),
        };
        self.found.push((at, diagnostic));
    }

    /// Whether what is noted from here on is only counted: its words need not be looked for.
    pub(crate) const fn is_full(&self) -> bool {
        self.found.len() >= MOST
    }

    /// The place of a character of a scalar, where the scalar stands in the file as it is read: on one line, with no escapes.
    /// Else the place of the scalar.
    pub(crate) fn inside(&self, at: At, text: &str, offset: usize) -> At {
        let file = self.sources.get(at.file).map(|source| source.text.as_str());
        let rest = file.and_then(|file| file.get(at.start..)).unwrap_or_default();
        let quoted = usize::from(rest.starts_with(['"', '\'']));
        let stands = rest.get(quoted..).is_some_and(|rest| rest.starts_with(text));
        if !stands || text.contains('\n') {
            return at;
        }
        let bytes: usize = text.chars().take(offset).map(char::len_utf8).sum();
        At {
            column: at
                .column
                .saturating_add(u32::try_from(quoted + offset).unwrap_or(0)),
            start: at.start + quoted + bytes,
            len: 0,
            ..at
        }
    }

    /// How a place is told in the text of another diagnostic.
    pub(crate) fn place(&self, at: At) -> String {
        format!("{:#}", at.location(self.sources))
    }

    pub(crate) const fn count(&self) -> usize {
        self.found.len() + self.left_out
    }

    /// All of them, or nothing where none was found.
    pub(crate) fn finish(mut self) -> Result<(), Diagnostics> {
        if self.found.is_empty() {
            return Ok(());
        }
        self.found.sort_by_key(|(at, _)| *at);
        // What an alias stands for is read once for each use.
        self.found.dedup();
        Err(Diagnostics {
            found: self.found.into_iter().map(|(_, diagnostic)| diagnostic).collect(),
            left_out: self.left_out,
            sources: self.sources.to_vec(),
        })
    }
}
