//! Pages of lists, newest first, and the place between two of them.

use std::fmt;
use std::str::FromStr;

use daypass_core::time::Timestamp;

use crate::error::Result;
use crate::value::Row;

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The part.
    pub items: Vec<T>,
    /// Where the next part begins, if there is more.
    pub next: Option<Cursor>,
}

/// The place behind an item. Written as `MICROSECONDS.ID`; what clients send back is parsed, never trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) at: Timestamp,
    pub(crate) id: String,
}

impl Cursor {
    /// Behind the last row, where the page is full.
    pub(crate) fn behind(rows: &[Row], limit: usize, (at, id): (usize, usize)) -> Result<Option<Self>> {
        let last = rows.last().filter(|_| rows.len() >= limit);
        last.map(|row| {
            Ok(Self {
                at: row.time(at)?,
                id: row.text(id)?.to_owned(),
            })
        })
        .transpose()
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.micros(), self.id)
    }
}

/// The text is no cursor of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not a cursor that an earlier page gave")]
pub struct BadCursor;

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (at, id) = text.split_once('.').ok_or(BadCursor)?;
        let plain = id.len() <= 64 && id.chars().all(|c| c.is_ascii_alphanumeric());
        let at = at.parse().map_err(|_| BadCursor)?;
        if plain {
            Ok(Self {
                at: Timestamp::from_micros(at),
                id: id.to_owned(),
            })
        } else {
            Err(BadCursor)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_text_and_back() {
        let cursor = Cursor {
            at: Timestamp::from_micros(5),
            id: String::from("R7K2M"),
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "5",
            ".R1",
            "x.R1",
            "5.a b",
            "5.a\0",
            "5.'; DROP TABLE grants; --",
            &format!("5.{}", "R".repeat(65)),
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text:?}");
        }
    }
}
