//! How a name or a text becomes part of a statement: the only place where that happens.
//!
//! Most statements take parameters. DDL (`CREATE ROLE`, `GRANT`) cannot, so its parts come from here: types that only
//! the functions below can make. PostgreSQL's lexical rules: <https://www.postgresql.org/docs/current/sql-syntax-lexical.html>.

use std::fmt;

/// The longest identifier in bytes (`NAMEDATALEN - 1`). PostgreSQL cuts longer ones silently, so that two different names
/// could be one role; here they are refused.
pub(super) const MAX_BYTES: usize = 63;

/// A name, quoted for a statement.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Ident(String);

/// A text, quoted for a statement.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Literal(String);

/// What can be no part of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unquotable {
    /// Nothing at all.
    #[error("a name must not be empty")]
    Empty,
    /// PostgreSQL's texts end at a NUL.
    #[error("a NUL character cannot be part of it")]
    Nul,
    /// PostgreSQL would cut it.
    #[error("a name has at most {MAX_BYTES} bytes in PostgreSQL; this one has {0}")]
    TooLong(usize),
}

/// Quotes a name: of a role, database, schema or table.
pub(super) fn ident(name: &str) -> Result<Ident, Unquotable> {
    match name.len() {
        0 => Err(Unquotable::Empty),
        _ if name.contains('\0') => Err(Unquotable::Nul),
        length if length > MAX_BYTES => Err(Unquotable::TooLong(length)),
        _ => Ok(Ident(format!("\"{}\"", name.replace('"', "\"\"")))),
    }
}

/// Quotes a text. It relies on `standard_conforming_strings`, which every connection of ours sets: a backslash is itself.
pub(super) fn literal(text: &str) -> Result<Literal, Unquotable> {
    if text.contains('\0') {
        return Err(Unquotable::Nul);
    }
    Ok(Literal(format!("'{}'", text.replace('\'', "''"))))
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a quoted token as PostgreSQL's scanner does; what follows the token is returned too.
    fn scan(quoted: &str, quote: char) -> Option<(String, &str)> {
        let mut rest = quoted.strip_prefix(quote)?;
        let mut text = String::new();
        loop {
            let at = rest.find(quote)?;
            text.push_str(&rest[..at]);
            rest = &rest[at + quote.len_utf8()..];
            match rest.strip_prefix(quote) {
                Some(after) => {
                    text.push(quote);
                    rest = after;
                }
                None => return Some((text, rest)),
            }
        }
    }

    #[test]
    fn quotes_cannot_be_left() {
        assert_eq!(
            ident("a\"; DROP ROLE b; --").unwrap().to_string(),
            "\"a\"\"; DROP ROLE b; --\""
        );
        assert_eq!(
            literal("a'; DROP ROLE b; --\\").unwrap().to_string(),
            "'a''; DROP ROLE b; --\\'"
        );
    }

    #[test]
    fn what_postgresql_would_cut_or_end_is_refused() {
        assert_eq!(ident("").err(), Some(Unquotable::Empty));
        assert_eq!(ident("a\0b").err(), Some(Unquotable::Nul));
        assert_eq!(literal("a\0b").err(), Some(Unquotable::Nul));
        assert_eq!(ident(&"x".repeat(63)).err(), None);
        assert_eq!(ident(&"x".repeat(64)).err(), Some(Unquotable::TooLong(64)));
        assert_eq!(
            ident(&"é".repeat(32)).err(),
            Some(Unquotable::TooLong(64)),
            "bytes count, not characters"
        );
    }

    proptest! {
        #[test]
        fn a_quoted_name_is_one_token_and_means_itself(name in "[^\0]{1,15}") {
            let quoted = ident(&name).unwrap().to_string();
            prop_assert_eq!(scan(&quoted, '"'), Some((name, "")));
        }

        #[test]
        fn a_quoted_text_is_one_token_and_means_itself(text in "['\\\\\"$a-z \n;é-]{0,40}") {
            let quoted = literal(&text).unwrap().to_string();
            prop_assert_eq!(scan(&quoted, '\''), Some((text, "")));
        }

        #[test]
        fn nothing_panics(any in ".{0,80}") {
            let _ = (ident(&any), literal(&any));
        }
    }
}
