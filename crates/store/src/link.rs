//! A connection to either database. All statements of this crate run through here; nothing above knows which one it is.
//!
//! The methods are async because PostgreSQL's are. SQLite's never wait, so that its thread runs the same code by polling it
//! once ([`ready`]).

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use daypass_core::time::Timestamp;

use crate::error::{Error, Result};
use crate::value::{Row, Statement, Value, check};
use crate::{postgres, sqlite};

/// A future that a caller hands in to run on a link.
pub(crate) type Running<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// How many values one statement lists at most. Longer lists are cut into several.
const LIST: usize = 128;

/// A connection, or a transaction on one.
pub(crate) enum Link {
    Sqlite(sqlite::Link),
    Postgres(postgres::Link),
}

impl Link {
    /// The rows of a query. A final ` FOR UPDATE` locks them where rows have locks; SQLite has one writer at a time.
    pub(crate) async fn rows(&mut self, text: &str, values: &[Value]) -> Result<Vec<Row>> {
        check(values)?;
        match self {
            Self::Sqlite(link) => link.rows(text.strip_suffix(" FOR UPDATE").unwrap_or(text), values),
            Self::Postgres(link) => link.rows(text, values).await,
        }
    }

    /// The only row of a query, if there is one.
    pub(crate) async fn row(&mut self, text: &str, values: &[Value]) -> Result<Option<Row>> {
        Ok(self.rows(text, values).await?.into_iter().next())
    }

    /// Runs a statement; how many rows it changed.
    pub(crate) async fn run(&mut self, text: &str, values: &[Value]) -> Result<u64> {
        check(values)?;
        match self {
            Self::Sqlite(link) => link.run(text, values),
            Self::Postgres(link) => link.run(text, values).await,
        }
    }

    /// Runs statements in order; on PostgreSQL without waiting for each answer before sending the next.
    pub(crate) async fn batch(&mut self, statements: &[Statement]) -> Result<()> {
        for (_, values) in statements {
            check(values)?;
        }
        match self {
            Self::Sqlite(link) => statements
                .iter()
                .try_for_each(|(text, values)| link.run(text, values).map(drop)),
            Self::Postgres(link) => link.batch(statements).await,
        }
    }

    /// The rows of a query over a list of any length, which stands where the text says `LIST`: as `IN (LIST)` for single
    /// values, as `(VALUES LIST)` for elements of several. Elements may come twice.
    pub(crate) async fn listed(&mut self, text: &str, width: usize, values: &[Value]) -> Result<Vec<Row>> {
        let mut all = Vec::new();
        for chunk in values.chunks(LIST * width) {
            // Few lengths, so that few statements are prepared: the last element is repeated.
            let elements = chunk.len().div_ceil(width).next_power_of_two();
            let last = chunk.rchunks(width).next().unwrap_or_default();
            let mut padded = chunk.to_vec();
            while padded.len() < elements * width {
                padded.extend_from_slice(last);
            }
            all.append(
                &mut self
                    .rows(&text.replace("LIST", &placeholders(1, elements, width)), &padded)
                    .await?,
            );
        }
        Ok(all)
    }

    /// The next `count` ids for events, in rising order.
    pub(crate) async fn event_ids(&mut self, count: usize) -> Result<Vec<i64>> {
        let count = i64::try_from(count).map_err(Error::corrupt)?;
        match self {
            Self::Sqlite(link) => {
                let rows = link.rows("SELECT max(id) FROM events", &[])?;
                let last = rows
                    .first()
                    .map_or(Ok(None), |row| row.maybe_int(0))?
                    .unwrap_or(0);
                Ok((1..=count).map(|nth| last + nth).collect())
            }
            Self::Postgres(link) => {
                let text = "SELECT nextval('event_ids') FROM generate_series(1, $1::bigint)";
                let rows = link.rows(text, &[Value::Int(count)]).await?;
                rows.iter().map(|row| row.int(0)).collect()
            }
        }
    }

    /// The clock of this process, where it decides; `None`: the database's does.
    pub(crate) fn local_clock(&self) -> Option<Timestamp> {
        match self {
            Self::Sqlite(link) => Some(link.clock()),
            Self::Postgres(_) => None,
        }
    }

    /// Waits until nobody else makes a thing of this name, and keeps others waiting until the transaction ends: a row that is
    /// not there yet cannot be locked. On SQLite one transaction at a time writes anyway.
    pub(crate) async fn reserve(&mut self, name: &str) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(link) => {
                let values = [Value::from(name)];
                check(&values)?;
                let text = "SELECT CAST(pg_advisory_xact_lock(hashtextextended($1, 0)) AS TEXT)";
                link.rows(text, &values).await.map(drop)
            }
        }
    }
}

/// The numbers of so many elements, from `$first` on.
pub(crate) fn placeholders(first: usize, elements: usize, width: usize) -> String {
    let element = |first: usize| {
        let numbers: Vec<String> = (first..first + width)
            .map(|number| format!("${number}"))
            .collect();
        if width > 1 {
            format!("({})", numbers.join(", "))
        } else {
            numbers.concat()
        }
    };
    (0..elements)
        .map(|nth| element(nth * width + first))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Runs a future that never waits.
pub(crate) fn ready<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Error::corrupt("a statement on SQLite waited for something else")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_numbered_through() {
        assert_eq!(placeholders(1, 3, 1), "$1, $2, $3");
        assert_eq!(placeholders(3, 2, 2), "($3, $4), ($5, $6)");
    }
}
