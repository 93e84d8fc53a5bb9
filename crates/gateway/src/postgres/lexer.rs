//! PostgreSQL's tokens, as far as it takes to know what is text and what is not: strings, quoted names, comments, words.
//!
//! Source: PostgreSQL's documentation, "Lexical Structure". It reads what PostgreSQL reads while `standard_conforming_strings`
//! is on, which is the default since 9.1.

/// A token, with all of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// The tokens of a text.
#[derive(Debug, Clone)]
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
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'\\' if escapes => at += 2,
                b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 2,
                b'\'' => break,
                _ => at += 1,
            }
        }
        let text = self.cut(at.min(bytes.len()));
        let close = if self.0.is_empty() { "" } else { self.cut(1) };
        Token::Quoted { open, text, close }
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

    proptest::proptest! {
        #[test]
        fn no_byte_is_lost(text in "[a'\"$/*\\-\\\\;é\n eE&uU1]{0,60}") {
            let mut out = String::new();
            for token in Lexer::new(&text) {
                match token {
                    Token::Space(t) | Token::Comment(t) | Token::Word(t) | Token::Name(t) => out.push_str(t),
                    Token::Quoted { open, text, close } => { out.push_str(open); out.push_str(text); out.push_str(close); }
                    Token::Dollar { tag, text, close } => { out.push_str(tag); out.push_str(text); out.push_str(close); }
                    Token::Other(c) => out.push(c),
                }
            }
            proptest::prop_assert_eq!(out, text);
        }
    }
}
