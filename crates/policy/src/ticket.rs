//! Ticket formats: what a ticket's name must look like. Nothing is looked up: a ticket is unverified, and shown as that.

use std::fmt;

use daypass_core::name::Name;
use regex::{Regex, RegexBuilder};

use crate::Policy;
use crate::diagnostic::At;

/// The longest pattern, in bytes.
pub(crate) const MAX_PATTERN: usize = 256;
/// What is put around one that is for a whole text.
const AROUND: usize = 8;
/// What a compiled pattern may take, in bytes: `\w{100}` fits, a bomb of nested counts does not.
const MAX_COMPILED: usize = 512 << 10;
/// The deepest nesting of a pattern.
const MAX_NESTING: u32 = 16;
/// The longest name of a ticket, in bytes.
const MAX_TICKET: usize = 128;

/// A pattern that a whole text must match, compiled within bounds. Matching takes time in proportion to the text.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub(crate) fn whole(text: &str) -> Result<Self, String> {
        // By itself first: else `a)|(b` would be sound between the brackets that are put around it.
        bounded(text)?;
        let regex = bounded(&format!(r"\A(?:{text})\z"))?;
        Ok(Self {
            text: text.to_owned(),
            regex,
        })
    }

    /// Compiles a pattern that may match anywhere in a text.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub(crate) fn anywhere(text: &str) -> Result<Self, String> {
        Ok(Self {
            text: text.to_owned(),
            regex: bounded(text)?,
        })
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// Compiles a pattern within the bounds.
fn bounded(text: &str) -> Result<Regex, String> {
    // What is put around a pattern does not count.
    if text.len() > MAX_PATTERN + AROUND {
        return Err(format!(
            "the pattern has {} bytes; at most {MAX_PATTERN} are taken",
            text.len()
        ));
    }
    RegexBuilder::new(text)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .nest_limit(MAX_NESTING)
        .build()
        .map_err(|error| told(&error))
}

/// What is wrong with a pattern, without the drawing that the library makes of it.
fn told(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => String::from("the pattern is too large once compiled"),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        }
    }
}

/// A named format.
#[derive(Debug, Clone)]
pub(crate) struct Format {
    pub(crate) name: Name,
    pub(crate) pattern: Pattern,
}

impl Format {
    pub(crate) fn text(&self) -> &str {
        &self.pattern.text
    }
}

/// Which tickets will do.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    /// Of any format that is declared; any text where none is.
    Any,
    /// Of one of these.
    Named(Vec<(Name, At)>),
}

impl fmt::Display for Wanted {
    /// As it is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("required"),
            Self::Named(names) => {
                let names: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
                f.write_str(&names.join(", "))
            }
        }
    }
}

impl Policy {
    /// Whether this is the name of a ticket that will do.
    pub(crate) fn is_ticket(&self, wanted: &Wanted, given: Option<&str>) -> bool {
        let Some(given) = given.filter(|given| !given.trim().is_empty() && given.len() <= MAX_TICKET) else {
            return false;
        };
        let any = matches!(wanted, Wanted::Any) && self.document.tickets.is_empty();
        any || self.formats(wanted).any(|format| format.pattern.is_match(given))
    }

    fn formats<'p>(&'p self, wanted: &'p Wanted) -> impl Iterator<Item = &'p Format> {
        self.document.tickets.iter().filter(move |format| match wanted {
            Wanted::Any => true,
            Wanted::Named(names) => names.iter().any(|(name, _)| *name == format.name),
        })
    }

    /// ` of the format jira ([A-Z]+-[0-9]+)`, or nothing where any text will do.
    pub(crate) fn formats_told(&self, wanted: &Wanted) -> String {
        let formats: Vec<String> = self
            .formats(wanted)
            .map(|format| format!("{} ({})", format.name, format.text()))
            .collect();
        if formats.is_empty() {
            return String::new();
        }
        format!(" of the format {}", formats.join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_pattern_is_for_the_whole_text() {
        let pattern = Pattern::whole("[A-Z]+-[0-9]+|x").unwrap();
        for (text, expect) in [
            ("PAY-7", true),
            ("x", true),
            (" PAY-7", false),
            ("PAY-7\n", false),
            ("ax", false),
        ] {
            assert_eq!(pattern.is_match(text), expect, "{text:?}");
        }
    }

    #[test]
    fn what_is_unsound_or_would_cost_too_much_is_no_pattern() {
        for (text, expect) in [
            ("a)|(b", "unopened group"),
            ("[", "unclosed character class"),
            ("(a", "unclosed group"),
            (r"(?:\w{100}){100}", "too large"),
            (r"((a{100}){100}){100}", "too large"),
            (&"(".repeat(100), "unclosed group"),
            (&format!("{}a{}", "(".repeat(60), ")".repeat(60)), "nest"),
            (&"a".repeat(300), "300 bytes"),
            (r"(a)\1", "backreferences are not supported"),
            ("(?=a)", "look-around"),
        ] {
            let error = Pattern::whole(text).unwrap_err();
            assert!(
                error.contains(expect) && error.lines().count() == 1,
                "{text}: {error}"
            );
        }
    }

    /// In engines that backtrace this takes longer than the universe.
    #[test]
    fn matching_takes_time_in_proportion_to_the_text() {
        let pattern = Pattern::whole("(a|aa|aaa)*b").unwrap();
        assert!(!pattern.is_match(&"a".repeat(100_000)));
    }
}
