//! What becomes of each token, by what stood before it.

use super::{CALLS, HIDDEN, calls_a_password, command, inside, suspect};
use crate::postgres::lexer::Token;

/// Words between what is a password and what it is: `password IS DISTINCT FROM '…'`.
const BETWEEN: [&str; 13] = [
    "in", "like", "ilike", "similar", "is", "not", "distinct", "from", "to", "any", "all", "array", "as",
];

/// See the module.
pub(super) struct Redaction {
    pub(super) out: String,
    /// In so many strings.
    depth: usize,
    /// A value that stands here is a password.
    expected: bool,
    /// In a string it may stand here without quotes.
    assigned: bool,
    /// A command line stands here.
    program: bool,
    /// The statement gives values to columns that stand in parentheses.
    writes: bool,
    /// One of them is a password: which value is its is not looked for.
    all: bool,
    parens: usize,
    /// Strings in these parentheses are passwords.
    within: Option<usize>,
    /// A password was called by the token before.
    called: bool,
    /// What was hidden just now stood in quotes of its own.
    quoted: bool,
    /// Nothing more is shown: nobody can say where a password ends.
    over: bool,
}

impl Redaction {
    pub(super) fn new(length: usize, depth: usize) -> Self {
        Self {
            out: String::with_capacity(length),
            depth,
            expected: false,
            assigned: false,
            program: false,
            writes: false,
            all: false,
            parens: 0,
            within: None,
            called: false,
            quoted: false,
            over: false,
        }
    }

    pub(super) fn token(&mut self, token: Token<'_>) {
        if self.over {
            return;
        }
        let called = matches!(token, Token::Space(_) | Token::Comment(_)) && self.called;
        match token {
            Token::Space(text) => self.space(text),
            Token::Comment(text) => self.comment(text),
            Token::Quoted {
                open,
                text,
                close,
                continued,
            } => {
                // A password may go over the seam of a string that goes on in another line.
                let hide = self.hides() || (continued && suspect(text.as_bytes()).is_some());
                self.string((open, text, close), hide, true);
            }
            Token::Dollar { tag, text, close } => self.string((tag, text, close), self.hides(), false),
            Token::Word(word) => self.word(word),
            Token::Name(name) => self.name(name),
            Token::Other(c) => self.other(c),
        }
        self.called |= called;
    }

    const fn hides(&self) -> bool {
        self.expected || self.all || self.within.is_some()
    }

    /// Whether a value may stand here without quotes.
    const fn is_bare(&self) -> bool {
        self.depth > 0 && self.expected && self.assigned
    }

    /// Puts the mark, once.
    fn hide(&mut self) {
        if !self.out.ends_with(HIDDEN) {
            self.out.push_str(HIDDEN);
        }
    }

    fn space(&mut self, text: &str) {
        if self.depth > 0 && self.out.ends_with(HIDDEN) {
            self.expected = false;
        }
        self.out.push_str(text);
    }

    fn comment(&mut self, text: &str) {
        if self.is_bare() {
            self.hide();
        } else if let Some(at) = suspect(text.as_bytes()) {
            // In a string it may be no comment: `--password …`.
            self.out.push_str(text.get(..at).unwrap_or_default());
            self.hide();
            if text.starts_with("/*") {
                self.out.push_str("*/");
            }
        } else {
            self.out.push_str(text);
        }
    }

    fn string(&mut self, (open, text, close): (&str, &str, &str), hide: bool, doubled: bool) {
        self.out.push_str(open);
        let shown = if hide {
            HIDDEN.to_owned()
        } else if self.program {
            command(text)
        } else {
            inside(text, false, self.depth, doubled)
        };
        self.out.push_str(&shown);
        self.out.push_str(close);
        // What follows may be another spelling of it: it stays expected. A string that is only the word is a key, mostly.
        if !hide && calls_a_password(text) && !text.contains(' ') {
            (self.expected, self.called) = (true, true);
            return;
        }
        self.program = false;
        self.called = false;
    }

    fn word(&mut self, word: &str) {
        self.quoted = false;
        if self.is_bare() {
            self.hide();
            return;
        }
        let is = |all: &[&str]| all.iter().any(|one| word.eq_ignore_ascii_case(one));
        let calls = calls_a_password(word);
        self.program = is(&["program"]);
        self.writes |= is(&["insert", "update", "merge"]);
        self.expected = calls || (self.expected && is(&BETWEEN));
        self.called = calls || is(&CALLS) || (self.expected && self.called);
        self.assigned = false;
        self.out.push_str(word);
    }

    fn name(&mut self, name: &str) {
        if self.is_bare() {
            self.hide();
            self.quoted = true;
            return;
        }
        self.expected = calls_a_password(name);
        self.called = self.expected;
        self.assigned = false;
        self.out.push_str(name);
    }

    fn other(&mut self, c: char) {
        let called = std::mem::take(&mut self.called);
        if std::mem::take(&mut self.quoted) && matches!(c, ',' | '}') {
            self.expected = false;
        }
        match c {
            '[' | '{' if self.is_bare() => {
                self.hide();
                self.over = true;
                return;
            }
            '(' => {
                if called && self.within.is_none() {
                    self.within = Some(self.parens);
                }
                self.parens += 1;
                self.assigned = self.expected;
            }
            ')' => {
                self.column(called);
                self.parens = self.parens.saturating_sub(1);
                if self.within.is_some_and(|outer| self.parens <= outer) {
                    self.within = None;
                }
                self.expected = false;
            }
            ';' if self.depth == 0 => {
                (self.writes, self.all, self.within) = (false, false, None);
                (self.parens, self.expected) = (0, false);
            }
            '=' | ':' | '>' | '&' if self.expected => self.assigned = true,
            _ if self.is_bare() => {
                self.hide();
                return;
            }
            ',' => {
                self.column(called);
                // A key and what it is of: `jsonb_build_object('password', '…')`.
                self.expected &= called && self.out.ends_with('\'');
            }
            _ => self.expected = false,
        }
        self.out.push(c);
    }

    /// The name of a password has ended, in a list of columns perhaps.
    const fn column(&mut self, called: bool) {
        self.all |= called && self.writes && self.parens > 0;
    }
}
