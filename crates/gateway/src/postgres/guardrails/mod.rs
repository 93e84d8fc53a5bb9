//! Statements that a session may not send, by their kind. **A seat belt, no wall**: it sees what a statement says, not what
//! functions, triggers, rules and views behind it do (`SELECT f()` may delete everything). Privileges at the target enforce.
//!
//! What cannot be read is refused, and so is what hides what it does (DO, function calls by number). Nothing here decides
//! without a guardrail: such a session may send whatever PostgreSQL takes.

mod classes;
mod condition;
mod patience;
mod settings;
mod thread;

use bytes::{BufMut as _, BytesMut};

use super::frame::{Fields, Front, HEAD, Head};
use super::lexer::{Lexer, Token};
use super::message::{self, Said};
use super::statements::Judged;
use super::target::Guardrails;

pub(super) use thread::STACK;

/// What is sent in place of a refused statement: PostgreSQL's own parser refuses it whatever the state of the transaction, so that
/// the target does what it does after an error (fails the transaction, skips to the Sync), and nothing of the statement gets there.
const FAILS: &[u8] = b"refused_by_daypass\0";

/// The longest text that is judged. Reading takes a hundred times its size in memory, for a moment.
const LONGEST: usize = 256 * 1024;

/// How many operators a text may have. Each may be one level of the tree that it is read into, and a tree is dropped level by
/// level on the stack.
const OPERATORS: usize = 2_000;

/// Words that are operators to the parser.
const WORDS: [&str; 19] = [
    "and",
    "or",
    "not",
    "is",
    "in",
    "like",
    "ilike",
    "similar",
    "between",
    "collate",
    "at",
    "union",
    "intersect",
    "except",
    "isnull",
    "notnull",
    "overlaps",
    "operator",
    "join",
];

/// Settings that change how a text is read: whoever changes them makes the target read something else than we did.
const READING: [&str; 3] = [
    "standard_conforming_strings",
    "client_encoding",
    "backslash_quote",
];

/// Writes what is sent in place of a refused message.
pub(super) fn substitute(front: &Front<'_>, out: &mut BytesMut) {
    match front {
        Front::Parse { name, .. } => message::frame(out, b'P', |out| {
            out.put_slice(name);
            out.put_u8(0);
            out.put_slice(FAILS);
            out.put_u16(0);
        }),
        // It fails as any message of a batch does. The unnamed statement is left alone.
        Front::Bind { .. } => message::frame(out, b'P', |out| {
            out.put_slice(FAILS);
            out.put_slice(FAILS);
            out.put_u16(0);
        }),
        // A function call has the answers of a query.
        _ => message::frame(out, b'Q', |out| out.put_slice(FAILS)),
    }
}

/// The guardrails of one session, and how its target reads texts just now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guard {
    rails: Guardrails,
    /// `client_encoding` is UTF8. In others a byte that is a letter to us may be half of one to the target.
    utf8: bool,
    /// `standard_conforming_strings` is on. Where it is off, a backslash may end a string that we see going on.
    standard: bool,
}

/// Why a statement is refused, in words that follow "refused by a guardrail of this access: ".
pub(super) type Why = String;

impl Guard {
    pub(super) const fn new(rails: Guardrails) -> Self {
        Self {
            rails,
            utf8: false,
            standard: false,
        }
    }

    /// What the target says of itself before it is ready: frames.
    pub(super) fn greeted(&mut self, mut frames: &[u8]) {
        while let Ok(Some(head)) = Head::read(frames) {
            let Some((frame, rest)) = frames.split_at_checked(head.total()) else {
                return;
            };
            let mut fields = Fields(frame.get(HEAD..).unwrap_or_default());
            if let (b'S', Some(name), Some(value)) = (head.kind, fields.text(), fields.text()) {
                self.parameter(name, value);
            }
            frames = rest;
        }
    }

    /// The target says that a parameter of the session has this value now.
    pub(super) fn parameter(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"client_encoding" => self.utf8 = value.eq_ignore_ascii_case(b"utf8"),
            b"standard_conforming_strings" => self.standard = value == b"on",
            _ => {}
        }
    }

    /// Whether texts are read as UTF-8 with `standard_conforming_strings`, as far as the target has said.
    pub(super) const fn is_plain(&self) -> bool {
        self.utf8 && self.standard
    }

    /// Whether a text is read otherwise where those are otherwise: what is under way may change them.
    pub(super) fn depends_on_what_is_under_way(&self, text: &[u8]) -> bool {
        self.rails.any() && text.iter().any(|byte| *byte == b'\\' || !byte.is_ascii())
    }

    /// A function called by its number says nothing of what it does.
    pub(super) fn function_call(&self) -> Option<Said> {
        self.rails
            .any()
            .then(|| said("a function called by its number cannot be judged"))
    }

    /// Whether a text is refused, and in which words; and whether it surely changes no settings.
    pub(super) async fn judge(&self, text: &[u8]) -> Judged {
        if !self.rails.any() {
            return Judged::default();
        }
        let why = match self.read(text) {
            Ok(text) => thread::judge(text.to_owned(), self.rails).await,
            Err(why) => Err(why),
        };
        match why {
            Ok(keeps) => Judged { refused: None, keeps },
            Err(why) => said(&why).into(),
        }
    }

    /// The text as the target reads it, if that is known.
    fn read<'a>(&self, text: &'a [u8]) -> Result<&'a str, Why> {
        if !self.standard {
            return Err("standard_conforming_strings is off: texts cannot be judged".to_owned());
        }
        if !self.utf8 && !text.is_ascii() {
            return Err("client_encoding is not UTF8: texts that are not ASCII cannot be judged".to_owned());
        }
        let text =
            std::str::from_utf8(text).map_err(|_| "it is not UTF-8, and cannot be judged".to_owned())?;
        if text.len() > LONGEST {
            return Err(format!("it is longer than the {LONGEST} bytes that are judged"));
        }
        Ok(text)
    }
}

/// A text that is read otherwise where settings are otherwise, and what came before it in a batch may have changed them: the target says
/// so only at the end of the batch.
pub(super) fn unreported() -> Said {
    said(
        "how it is read may have been changed by what ran before it in the same batch: end the batch first (Sync)",
    )
}

fn said(why: &str) -> Said {
    Said::error("42501", format!("refused by a guardrail of this access: {why}")).hint(Some(
        "nothing of it reached the target; ask for a role that may do this".to_owned(),
    ))
}

/// Judges a text, on a thread whose stack is deep enough; whether it surely changes no settings.
pub(super) fn judge(text: &str, rails: Guardrails) -> Result<bool, Why> {
    let seen = look(text)?;
    classes::judge(text, rails, seen)
}

/// What PostgreSQL's tokens say, read without the parser: how many statements there are. The parser is somebody else's, for many
/// databases; where it sees another number, one of the two is deceived.
fn look(text: &str) -> Result<usize, Why> {
    let (mut statements, mut operators, mut twice, mut empty, mut shows) = (0, 0, 0, true, false);
    let mut number = None;
    for token in Lexer::new(text) {
        let behind = number.take();
        if behind.is_some_and(|number| runs_into(number, token)) {
            return Err(
                "a number in it runs into what follows: versions of PostgreSQL read it otherwise".to_owned(),
            );
        }
        match token {
            Token::Space(_) | Token::Comment(_) => continue,
            Token::Other(';') => {
                statements += usize::from(!empty);
                (empty, shows) = (true, false);
                continue;
            }
            Token::Other(',' | '.' | '(' | ')') => {}
            Token::Other(_) => operators += 1,
            Token::Word(word) => {
                number = word.starts_with(|c: char| c.is_ascii_digit()).then_some(word);
                shows |= empty
                    && ["show", "reset", "set"]
                        .iter()
                        .any(|first| word.eq_ignore_ascii_case(first));
                twice += usize::from(word.eq_ignore_ascii_case(TWICE));
                operators += usize::from(WORDS.iter().any(|other| word.eq_ignore_ascii_case(other)));
                settings(word, shows)?;
            }
            Token::Name(name) => settings(name, shows)?,
            Token::Quoted { continued: true, .. } => {
                return Err("a string in it goes on in another line".to_owned());
            }
            Token::Quoted { text, close, .. } | Token::Dollar { text, close, .. } => {
                if close.is_empty() {
                    return Err("a string in it does not end".to_owned());
                }
                settings(text, false)?;
            }
        }
        empty = false;
    }
    if operators > OPERATORS {
        return Err(format!(
            "it has more than the {OPERATORS} operators that are judged"
        ));
    }
    if twice > MOST_TWICE {
        return Err(format!(
            "it says {TWICE} more than {MOST_TWICE} times, which takes long to judge"
        ));
    }
    Ok(statements + usize::from(!empty))
}

/// What the parser reads in two ways, one after the other, each with all that is inside of it: nested, it takes twice as long at each
/// level.
const TWICE: &str = "position";

/// How often it may stand in a text.
const MOST_TWICE: usize = 8;

/// Whether something stands behind a number that is or is not part of it, depending on the version.
fn runs_into(number: &str, next: Token<'_>) -> bool {
    match next {
        Token::Quoted { .. } | Token::Dollar { .. } | Token::Name(_) | Token::Other('$') => true,
        Token::Other('&') => !number.bytes().all(|byte| byte.is_ascii_digit()),
        _ => false,
    }
}

/// Refuses what names a setting that changes how texts are read. SHOW, RESET and SET are judged by their kind.
fn settings(text: &str, shows: bool) -> Result<(), Why> {
    let lower = text.to_ascii_lowercase();
    match READING.iter().find(|name| lower.contains(*name)) {
        Some(name) if !shows => Err(format!("{name} decides how a text is read, and stays as it is")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
