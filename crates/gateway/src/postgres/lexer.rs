//! PostgreSQL's tokens, as far as it takes to know what is text and what is not: strings, quoted names, comments, words.
//!
//! Source: PostgreSQL's documentation, "Lexical Structure". It reads what PostgreSQL reads while `standard_conforming_strings`
//! is on, which is the default since 9.1.

/// A token, with all of its text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// White space.
    Space(&'a str),
    /// A comment of either kind.
    Comment(&'a str),
    /// A keyword or a plain name.
    Word(&'a str),
    /// A quoted name, quotes included.
    Name(&'a str),
    /// A string in quotes: what is before its text, the text as it stands there, what is after.
    Quoted {
        /// `'`, `E'`, `U&'` and so on.
        open: &'a str,
        /// As it stands there: quotes in it are doubled.
        text: &'a str,
        /// `'`, or nothing where it does not end.
        close: &'a str,
        /// It goes on in another line: `'…'`, white space with a new line, `'…'`. PostgreSQL takes it for one string, of the kind
        /// that it began as.
        continued: bool,
    },
    /// A string in dollars.
    Dollar {
        /// `$…$`.
        tag: &'a str,
        /// Its text.
        text: &'a str,
        /// `$…$`, or nothing where it does not end.
        close: &'a str,
    },
    /// One character of anything else.
    Other(char),
}

impl<'a> Token<'a> {
    /// All of its characters.
    pub(super) fn chars(self) -> impl Iterator<Item = char> + 'a {
        let (first, second, third, other) = match self {
            Self::Space(text) | Self::Comment(text) | Self::Word(text) | Self::Name(text) => {
                (text, "", "", None)
            }
            Self::Quoted {
                open, text, close, ..
            } => (open, text, close, None),
            Self::Dollar { tag, text, close } => (tag, text, close, None),
            Self::Other(c) => ("", "", "", Some(c)),
        };
        let texts = first.chars().chain(second.chars()).chain(third.chars());
        texts.chain(other)
    }
}

/// The tokens of a text.
#[derive(Clone)]
pub(super) struct Lexer<'a>(&'a str);

impl<'a> Lexer<'a> {
    /// Of this text.
    #[must_use]
    pub(super) const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// Takes so many bytes; all of it where that is no border of a character.
    fn cut(&mut self, at: usize) -> &'a str {
        let (taken, rest) = self.0.split_at_checked(at).unwrap_or((self.0, ""));
        self.0 = rest;
        taken
    }

    fn cut_while(&mut self, is: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|c| !is(c)).unwrap_or(self.0.len());
        self.cut(end)
    }

    fn block_comment(&mut self) -> &'a str {
        let bytes = self.0.as_bytes();
        let (mut at, mut depth) = (0, 0_usize);
        while let Some(pair) = bytes.get(at..at + 2) {
            match pair {
                b"/*" => depth += 1,
                b"*/" => depth = depth.saturating_sub(1),
                _ => {
                    at += 1;
                    continue;
                }
            }
            at += 2;
            if depth == 0 {
                return self.cut(at);
            }
        }
        self.cut(bytes.len())
    }

    /// A string whose opening has so many bytes.
    fn quoted(&mut self, open: usize, escapes: bool) -> Token<'a> {
        let open = self.cut(open);
        let bytes = self.0.as_bytes();
        let (mut at, mut continued) = (0, false);
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'\\' if escapes => at += 2,
                b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 2,
                b'\'' => match continuation(bytes.get(at + 1..).unwrap_or_default()) {
                    Some(seam) => {
                        continued = true;
                        at += 1 + seam;
                    }
                    None => break,
                },
                _ => at += 1,
            }
        }
        let text = self.cut(at.min(bytes.len()));
        let close = if self.0.is_empty() { "" } else { self.cut(1) };
        Token::Quoted {
            open,
            text,
            close,
            continued,
        }
    }

    fn name(&mut self) -> &'a str {
        let mut end = 1;
        loop {
            match self.0.get(end..).and_then(|rest| rest.find('"')) {
                None => return self.cut(self.0.len()),
                Some(at) if self.0.as_bytes().get(end + at + 1) == Some(&b'"') => end += at + 2,
                Some(at) => return self.cut(end + at + 1),
            }
        }
    }

    /// `$tag$ … $tag$`, where this is one.
    fn dollar(&mut self) -> Option<Token<'a>> {
        let rest = self.0.get(1..)?;
        let end = rest.find('$')?;
        let name = rest.get(..end)?;
        let plain = name.chars().all(is_of_word) && !name.starts_with(|c: char| c.is_ascii_digit());
        if !plain || name.contains('$') {
            return None;
        }
        let tag = self.cut(end + 2);
        let end = self.0.find(tag).unwrap_or(self.0.len());
        let text = self.cut(end);
        let close = self.cut(tag.len().min(self.0.len()));
        Some(Token::Dollar { tag, text, close })
    }
}

/// Behind the end of a string: how many bytes there are up to its going on, the quote included (`quotecontinue` of PostgreSQL's
/// `scan.l`). Comments of the kind `--` are white space there.
fn continuation(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut lines) = (0, false);
    loop {
        match bytes.get(at..)? {
            [b'\'', ..] if lines => return Some(at + 1),
            [b'\n' | b'\r', ..] => {
                lines = true;
                at += 1;
            }
            [b' ' | b'\t' | b'\x0c' | b'\x0b', ..] => at += 1,
            [b'-', b'-', rest @ ..] => {
                at += 2 + rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'))?
            }
            _ => return None,
        }
    }
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let mut chars = self.0.chars();
        let first = chars.next()?;
        let second = chars.next();
        Some(match (first, second) {
            (c, _) if c.is_ascii_whitespace() || c == '\x0b' => {
                Token::Space(self.cut_while(|c| c.is_ascii_whitespace() || c == '\x0b'))
            }
            ('-', Some('-')) => Token::Comment(self.cut_while(|c| c != '\n' && c != '\r')),
            ('/', Some('*')) => Token::Comment(self.block_comment()),
            ('\'', _) => self.quoted(1, false),
            ('e' | 'E', Some('\'')) => self.quoted(2, true),
            ('b' | 'B' | 'x' | 'X' | 'n' | 'N', Some('\'')) => self.quoted(2, false),
            ('u' | 'U', Some('&')) if chars.next() == Some('\'') => self.quoted(3, false),
            ('"', _) => Token::Name(self.name()),
            ('$', _) => self.dollar().unwrap_or_else(|| {
                self.cut(1);
                Token::Other('$')
            }),
            // Behind a number it begins one. Versions differ in where a number with letters ends (`1e'…'`, `1_0$a$`).
            (c, _) if c.is_ascii_digit() => Token::Word(self.cut_while(is_of_word)),
            // A `$` inside of a word begins no string.
            (c, _) if is_of_word(c) => Token::Word(self.cut_while(|c| is_of_word(c) || c == '$')),
            (c, _) => {
                self.cut(c.len_utf8());
                Token::Other(c)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown: Vec<String> = Lexer::new(text)
            .filter_map(|token| match token {
                Token::Space(_) => None,
                Token::Comment(_) => Some("comment".to_owned()),
                Token::Word(word) => Some(word.to_owned()),
                Token::Name(name) => Some(name.to_owned()),
                Token::Quoted { text, .. } => Some(format!("<{text}>")),
                Token::Dollar { text, .. } => Some(format!("<<{text}>>")),
                Token::Other(c) => Some(c.to_string()),
            })
            .collect();
        assert_eq!(shown.join(" "), expected, "{text}");
    }

    #[test]
    fn strings_names_and_comments_are_what_postgresql_takes_them_for() {
        check("SELECT 'it''s', 1", "SELECT <it''s> , 1");
        check(r"SELECT 'a\', E'a\'b'", r"SELECT <a\> , <a\'b>");
        check("a/* x /* y */ ' */b--'\nc", "a comment b comment c");
        check("$$ a'b $$ $t$ $$ $t$ $1 a$b$c", "<< a'b >> << $$ >> $ 1 a$b$c");
        check("U&'x' \"a\"\"b;\" n'x'", "<x> \"a\"\"b;\" <x>");
        check("'never ends", "<never ends>");
        check("$x$ never ends", "<< never ends>>");
        check("\"never", "\"never");
        check("/* never", "comment");
        check("E'\\", "<\\>");
    }

    /// PostgreSQL's documentation, 4.1.2: each of its examples, and what its words say of others.
    #[test]
    fn constants_are_what_the_documentation_of_postgresql_says() {
        // 4.1.2.1: two constants with a new line between them are one, and with a space only are an error.
        check("SELECT 'foo'\n'bar'", "SELECT <foo'\n'bar>");
        check("SELECT 'foo'      'bar'", "SELECT <foo> <bar>");
        check("SELECT 'foo' -- and\n  'bar'", "SELECT <foo' -- and\n  'bar>");
        check(
            "SELECT 'foo'\r--\n\t'bar'\n\n'!'",
            "SELECT <foo'\r--\n\t'bar'\n\n'!>",
        );
        check("SELECT 'foo' /* and */\n'bar'", "SELECT <foo> comment <bar>");
        check("SELECT 'foo' --'bar'", "SELECT <foo> comment");
        check("'Dianne''s horse'", "<Dianne''s horse>");
        // 4.1.2.2: an escape constant goes on as one.
        check(r"E'foo\'bar' e'\\'", r"<foo\'bar> <\\>");
        check("E'a'\n'\\'b' 'c\\'", "<a'\n'\\'b> <c\\>");
        check("E'a' '\\' b", "<a> <\\> b");
        // 4.1.2.3: Unicode escapes end no string.
        check(r"U&'d\0061t\+000061'", r"<d\0061t\+000061>");
        check(
            r"U&'d!0061t!+000061' UESCAPE '!'",
            "<d!0061t!+000061> UESCAPE <!>",
        );
        check("U&'\\'\n'\\' x", "<\\'\n'\\> x");
        check("U&\"d\\0061\" u & 'x'", "U & \"d\\0061\" u & <x>");
        // 4.1.2.4: dollars, with tags that are as case-sensitive as they are long.
        check("$$Dianne's horse$$", "<<Dianne's horse>>");
        check(
            "$SomeTag$Dianne's $somety$ horse$SomeTag$",
            "<<Dianne's $somety$ horse>>",
        );
        check(
            "$function$ BEGIN RETURN ($1 ~ $q$[\\t\\r]$q$); END; $function$",
            "<< BEGIN RETURN ($1 ~ $q$[\\t\\r]$q$); END; >>",
        );
        check("$TAG$String$tag$ $TAG$", "<<String$tag$ >>");
        check("foo$bar$ 'x'", "foo$bar$ <x>");
        check("$1a$ 'x'", "$ 1a $ <x>");
        check("1$a$'$a$ ;", "1 <<'>> ;");
        // 4.1.2.5 and 4.1.2.6: bits, and numbers.
        check("B'1001' X'1FF' b'1'\n'0'", "<1001> <1FF> <1'\n'0>");
        check(
            "3.5 4. .001 5e2 1.925e-3 0x1F 1_500",
            "3 . 5 4 . . 001 5e2 1 . 925e - 3 0x1F 1_500",
        );
        // 4.1.2.7 and 4.1.5: other constants, and comments in comments.
        check("REAL'1.23' N'x'", "REAL <1.23> <x>");
        check("/* multi /* nested */ * / ' */ x -- '\n y", "comment x comment y");
        check("a+--b\n*/*c*/-1", "a + comment * comment - 1");
    }

    proptest::proptest! {
        #[test]
        fn no_byte_is_lost(text in "[a'\"$/*\\-\\\\;é\n eE&uU1]{0,60}") {
            let mut out = String::new();
            for token in Lexer::new(&text) {
                out.extend(token.chars());
            }
            proptest::prop_assert_eq!(out, text);
        }
    }
}
