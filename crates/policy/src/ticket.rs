//! Ticket formats: what a ticket's name must look like. Nothing is looked up: a ticket is unverified, and shown as that.

use std::collections::BTreeMap;
use std::fmt;

use daypass_core::name::Name;
use regex::bytes::{Regex, RegexBuilder};

use crate::Policy;
use crate::diagnostic::At;
use crate::tree::is_hidden;

/// The longest pattern, in bytes.
pub(crate) const MAX_PATTERN: usize = 256;
/// What a compiled pattern may take, in bytes: `\w{100}` fits, a bomb of nested counts does not. Matching costs at most as many
/// steps for each byte of a text as it has states.
const MAX_COMPILED: usize = 32 << 10;
/// The most patterns of a policy that differ, in formats and in conditions: together they stay below 8 MiB.
const MAX_PATTERNS: usize = 200;
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

/// The patterns of a policy, each of them compiled once.
#[derive(Debug, Default)]
pub(crate) struct Patterns(BTreeMap<(Part, String), Pattern>);

/// How much of a text a pattern is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Whole,
    Anywhere,
}

impl Patterns {
    /// A pattern for a whole text.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub(crate) fn whole(&mut self, text: &str) -> Result<Pattern, String> {
        self.get(Part::Whole, text)
    }

    /// A pattern that may match anywhere in a text.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub(crate) fn anywhere(&mut self, text: &str) -> Result<Pattern, String> {
        self.get(Part::Anywhere, text)
    }

    fn get(&mut self, part: Part, text: &str) -> Result<Pattern, String> {
        let key = (part, text.to_owned());
        if let Some(known) = self.0.get(&key) {
            return Ok(known.clone());
        }
        if self.0.len() >= MAX_PATTERNS {
            return Err(format!(
                "the policy has more than {MAX_PATTERNS} different patterns"
            ));
        }
        let pattern = Pattern::compile(part, text)?;
        self.0.insert(key, pattern.clone());
        Ok(pattern)
    }
}

impl Pattern {
    fn compile(part: Part, text: &str) -> Result<Self, String> {
        if text.len() > MAX_PATTERN {
            return Err(format!(
                "the pattern has {} bytes; at most {MAX_PATTERN} are taken",
                text.len()
            ));
        }
        // By itself first: else `a)|(b` would be sound between the brackets that are put around it.
        let alone = bounded(text)?;
        let regex = match part {
            Part::Anywhere => alone,
            Part::Whole => bounded(&format!(r"\A(?:{text})\z"))?,
        };
        Ok(Self {
            text: text.to_owned(),
            regex,
        })
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text.as_bytes())
    }
}

/// Compiles a pattern within the bounds. Its classes are those of ASCII: `\d` is `[0-9]`, and takes no digit of another script
/// that looks like one of these.
fn bounded(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text)
        .unicode(false)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .nest_limit(MAX_NESTING)
        .build()
        .map_err(|error| told(&error))
}

/// What is wrong with a pattern, without the drawing that the library makes of it.
fn told(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => {
            String::from("the pattern is too large once compiled; write smaller counts")
        }
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            let last = last.trim_start_matches("error: ");
            if last.contains("Unicode") {
                return format!("{last}: a class is of ASCII; write (?u:…) around one that is not");
            }
            last.to_owned()
        }
    }
}

/// Why this can be no ticket's name, whatever a policy says of its form; `None` where it can.
///
/// The name is short, so that a policy's patterns cost little, and everything in it is seen: a reviewer reads what is matched.
#[must_use]
pub fn flaw(ticket: &str) -> Option<String> {
    if ticket.len() > MAX_TICKET {
        return Some(format!(
            "the ticket has {} bytes; at most {MAX_TICKET} are taken",
            ticket.len()
        ));
    }
    let unseen = |c: &char| is_hidden(*c) || (c.is_whitespace() && *c != ' ');
    let c = ticket.chars().find(unseen)?;
    Some(format!(
        "the ticket holds the character U+{:04X}, which nobody sees",
        u32::from(c)
    ))
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
        let Some(given) = given.filter(|given| !given.trim().is_empty() && flaw(given).is_none()) else {
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
    use super::{MAX_PATTERNS, Pattern, Patterns, flaw};

    fn whole(text: &str) -> Result<Pattern, String> {
        Patterns::default().whole(text)
    }

    #[test]
    fn a_pattern_is_for_the_whole_text() {
        let pattern = whole("[A-Z]+-[0-9]+|x").unwrap();
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
            ("(?:[ab]{1,100}){1,40}c", "too large"),
            (&"(".repeat(100), "unclosed group"),
            (&format!("{}a{}", "(".repeat(60), ")".repeat(60)), "nest"),
            (&"a".repeat(257), "257 bytes"),
            (r"(a)\1", "backreferences are not supported"),
            ("(?=a)", "look-around"),
            (r"\p{L}+", "(?u:"),
        ] {
            for error in [
                whole(text).unwrap_err(),
                Patterns::default().anywhere(text).unwrap_err(),
            ] {
                assert!(
                    error.contains(expect) && error.lines().count() == 1,
                    "{text}: {error}"
                );
            }
        }
    }

    #[test]
    fn ordinary_patterns_are_taken_and_are_about_ascii() {
        for (pattern, yes, no) in [
            (r"\w{12}", "abcdefghij_1", "abcdefghijä"),
            (r"\w{2,10}-\d{1,8}", "PAY-12345678", "PAY-"),
            (r"\w{100}", &*"a".repeat(100), "a"),
            (r"CHG\d+", "CHG0042", "CHG\u{664}\u{662}"),
            (r"(?i:inc|chg)\d{7}", "inc0000001", "inc1"),
            ("Störung-[0-9]+", "Störung-7", "Storung-7"),
            ("(?u:[a-zäöüß]+)", "größe", "7"),
        ] {
            let pattern = whole(pattern).unwrap();
            assert!(pattern.is_match(yes) && !pattern.is_match(no), "{pattern:?}");
        }
    }

    #[test]
    fn a_policy_has_only_so_many_patterns() {
        let mut patterns = Patterns::default();
        for number in 0..MAX_PATTERNS {
            patterns.whole(&format!("A-{number}")).unwrap();
        }
        patterns.whole("A-0").unwrap();
        let error = patterns.anywhere("A-0").unwrap_err();
        assert!(error.contains("more than 200"), "{error}");
    }

    #[test]
    fn everything_in_a_ticket_is_seen() {
        for text in ["PAY-7", "Änderung 12", "変更-7", "", " "] {
            assert_eq!(flaw(text), None, "{text:?}");
        }
        for text in [
            "\u{200b}",
            "PAY-7\n",
            "PAY\t7",
            "PAY\u{a0}7",
            "PAY\u{2028}7",
            "\u{202e}7-YAP",
            "PAY-7\u{feff}",
            "PAY\u{ad}-7",
            "PAY\u{1b}[2J",
        ] {
            assert!(flaw(text).is_some(), "{text:?}");
        }
        assert!(flaw(&"a".repeat(128)).is_none() && flaw(&"a".repeat(129)).is_some());
    }

    /// In engines that backtrace this takes longer than the universe.
    #[test]
    fn matching_takes_time_in_proportion_to_the_text() {
        let pattern = whole("(a|aa|aaa)*b").unwrap();
        assert!(!pattern.is_match(&"a".repeat(100_000)));
    }
}
