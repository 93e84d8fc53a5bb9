//! One connection to a PostgreSQL database, from the pool.

use std::time::Duration;

use bytes::BytesMut;
use daypass_core::refusal::{Code, Refusal};
use deadpool_postgres::Object;
use futures_util::future::{join, join_all};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::edge::within;
use crate::error::{Error, Result};
use crate::value::{Row, Statement, Value};

/// A connection. Dropped within a transaction it is not given back to the pool but closed, which rolls back. So is one on which
/// no answer came, and with it those that were idle beside it: they lead to the same place.
pub(crate) struct Link {
    client: Option<Object>,
    patience: Duration,
    /// How a transaction begins that is open, as far as nothing was said in it yet.
    beginning: Option<String>,
    open: bool,
    silent: bool,
    contended: bool,
}

impl Link {
    pub(super) const fn new(client: Object, patience: Duration) -> Self {
        Self {
            client: Some(client),
            patience,
            beginning: None,
            open: false,
            silent: false,
            contended: false,
        }
    }

    /// Begins a transaction: `how` is sent together with the first query in it.
    pub(crate) fn begin(&mut self, how: &str) {
        self.open = true;
        self.contended = false;
        self.beginning = Some(how.to_owned());
    }

    /// Commits, once all that was written is known to have worked: a `COMMIT` that is sent along with it might come to stand
    /// without what failed on this side. Where the connection breaks in this very moment, nobody knows whether it did.
    pub(crate) async fn commit(&mut self) -> Result<()> {
        self.begun().await?;
        self.control("COMMIT").await.map_err(|error| match error {
            Error::Unavailable(why) => Error::Unavailable(format!(
                "{why} (while committing: look whether it was recorded before you repeat it)"
            )),
            other => other,
        })?;
        self.open = false;
        Ok(())
    }

    pub(crate) async fn rollback(&mut self) -> Result<()> {
        if self.beginning.take().is_none() {
            self.control("ROLLBACK").await?;
        }
        self.open = false;
        Ok(())
    }

    /// Begins what was to begin, before anything is written: of a query, which is sent together with it, nothing stays.
    async fn begun(&mut self) -> Result<()> {
        match self.beginning.take() {
            Some(how) => self.control(&how).await,
            None => Ok(()),
        }
    }

    /// Whether the last failure was that others changed the same rows: what failed may simply be tried again.
    pub(crate) const fn is_contended(&self) -> bool {
        self.contended
    }

    async fn control(&mut self, text: &str) -> Result<()> {
        let done = within(self.patience, self.client()?.batch_execute(text)).await;
        self.note(done)
    }

    pub(crate) async fn rows(&mut self, text: &str, values: &[Value]) -> Result<Vec<Row>> {
        let beginning = self.beginning.take();
        let client = self.client()?;
        let query = async {
            client
                .query(&client.prepare_cached(text).await?, &parameters(values))
                .await
        };
        let found = async {
            match &beginning {
                None => query.await,
                Some(how) => {
                    let (begun, found) = join(client.batch_execute(how), query).await;
                    begun.and(found)
                }
            }
        };
        let found = within(self.patience, found).await;
        self.note(found)?.iter().map(row).collect()
    }

    pub(crate) async fn run(&mut self, text: &str, values: &[Value]) -> Result<u64> {
        self.begun().await?;
        let client = self.client()?;
        let done = async {
            client
                .execute(&client.prepare_cached(text).await?, &parameters(values))
                .await
        };
        let done = within(self.patience, done).await;
        self.note(done)
    }

    /// Sends all of them, then waits: the answers come in the same order.
    pub(crate) async fn batch(&mut self, statements: &[Statement]) -> Result<()> {
        self.begun().await?;
        let client = self.client()?;
        let done = async {
            let mut prepared = Vec::with_capacity(statements.len());
            for (text, values) in statements {
                prepared.push((client.prepare_cached(text).await?, parameters(values)));
            }
            let sent = prepared
                .iter()
                .map(|(statement, values)| client.execute(statement, values));
            // The first failure is the cause; those behind it only say that the transaction has failed.
            let done = join_all(sent).await.into_iter().find(Result::is_err);
            done.unwrap_or(Ok(0))
        };
        let done = within(self.patience, done).await;
        self.note(done).map(drop)
    }

    /// The connection, while anybody answers on it. To one that fell silent nothing more is said, not even that it be rolled back.
    fn client(&self) -> Result<&Object> {
        if self.silent {
            return Err(Error::Unavailable(String::from(
                "its connection fell silent before",
            )));
        }
        self.client
            .as_ref()
            .ok_or_else(|| Error::corrupt("a connection was used after its end"))
    }

    /// What a call came to. The outer error is that no answer came in time.
    fn note<T>(&mut self, result: Result<Result<T, tokio_postgres::Error>>) -> Result<T> {
        let result = result.inspect_err(|_| self.silent = true)?;
        result.map_err(|error| {
            let again = [
                SqlState::T_R_SERIALIZATION_FAILURE,
                SqlState::T_R_DEADLOCK_DETECTED,
            ];
            self.contended = error.code().is_some_and(|code| again.contains(code));
            self.silent = error.is_closed();
            failure(error)
        })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if !self.open && !self.silent {
            return;
        }
        let Some(client) = self.client.take() else {
            return;
        };
        let pool = Object::pool(&client).filter(|_| self.silent);
        drop(Object::take(client));
        if let Some(pool) = pool {
            drop(pool.retain(|_, _| false));
        }
    }
}

fn parameters(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl std::fmt::Debug for Value {
    /// `ToSql` asks for it; it shows nothing.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Value")
    }
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(value) => value.to_sql(kind, out),
            Self::Text(value) => value.to_sql(kind, out),
            Self::Bytes(value) => value.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::TEXT | Type::BYTEA)
    }

    to_sql_checked!();
}

fn row(row: &tokio_postgres::Row) -> Result<Row> {
    let value = |(at, column): (usize, &tokio_postgres::Column)| {
        let value = match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(at).map(Value::from),
            Type::TEXT => row.try_get::<_, Option<String>>(at).map(Value::from),
            Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(at).map(Value::from),
            ref other => {
                return Err(Error::Corrupt(format!(
                    "a column of the type {other}, which no table of ours has"
                )));
            }
        };
        value.map_err(failure)
    };
    row.columns()
        .iter()
        .enumerate()
        .map(value)
        .collect::<Result<_>>()
        .map(Row)
}

/// What a failure of PostgreSQL means to whoever asked. Its detail, which repeats values, is left out.
pub(crate) fn failure(error: tokio_postgres::Error) -> Error {
    let Some(told) = error.as_db_error() else {
        // Not an answer but the lack of one: refused, cut, timed out, or a certificate that does not fit.
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        return Error::Unavailable(text);
    };
    let code = told.code();
    let text = format!("{} ({})", told.message(), code.code());
    if *code == SqlState::DISK_FULL {
        return Error::Full;
    }
    if *code == SqlState::UNIQUE_VIOLATION {
        return Refusal::new(Code::Exists, "there is one of this id or name already").into();
    }
    // 08 connection, 25 transaction state, 28 login, 40 rollback, 53 resources, 55 locks, 57 operator, 58 system.
    let passing = ["08", "25", "28", "3D", "40", "53", "55", "57", "58"]
        .iter()
        .any(|class| code.code().starts_with(class));
    if passing {
        Error::Unavailable(text)
    } else {
        Error::Corrupt(text)
    }
}
