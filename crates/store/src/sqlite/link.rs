//! One connection to an SQLite database.

use daypass_core::refusal::{Code, Refusal};
use daypass_core::time::Timestamp;
use rusqlite::types::{ToSqlOutput, Value as Owned, ValueRef};
use rusqlite::{Connection, ErrorCode, Statement, ffi};

use crate::Clock;
use crate::error::{Error, Result};
use crate::value::{Row, Value};

/// A connection, with the clock that decides where the database has none.
pub(crate) struct Link {
    connection: Connection,
    clock: Clock,
}

impl Link {
    pub(crate) fn new(connection: Connection, clock: Clock) -> Self {
        // Every statement of this crate fits, each in a few lengths of lists.
        connection.set_prepared_statement_cache_capacity(256);
        Self { connection, clock }
    }

    pub(crate) fn clock(&self) -> Timestamp {
        (self.clock)()
    }

    pub(crate) fn rows(&mut self, text: &str, values: &[Value]) -> Result<Vec<Row>> {
        let mut statement = self.connection.prepare_cached(text).map_err(failure)?;
        bind(&mut statement, values)?;
        let columns = statement.column_count();
        let mut found = Vec::new();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(failure)? {
            let read = |at| row.get_ref(at).map_err(failure).and_then(value);
            found.push(Row((0..columns).map(read).collect::<Result<_>>()?));
        }
        Ok(found)
    }

    pub(crate) fn run(&mut self, text: &str, values: &[Value]) -> Result<u64> {
        let mut statement = self.connection.prepare_cached(text).map_err(failure)?;
        bind(&mut statement, values)?;
        let changed = statement.raw_execute().map_err(failure)?;
        u64::try_from(changed).map_err(Error::corrupt)
    }

    /// Begins, ends and saves transactions.
    pub(crate) fn control(&mut self, text: &str) -> Result<()> {
        self.run(text, &[]).map(drop)
    }

    /// Whether no transaction is open: SQLite ends one by itself where it cannot go on.
    pub(crate) fn is_idle(&self) -> bool {
        self.connection.is_autocommit()
    }
}

/// SQLite numbers `$1`, `$2` … by where they first stand, not by what they say: they are bound by name.
fn bind(statement: &mut Statement<'_>, values: &[Value]) -> Result<()> {
    for (at, value) in values.iter().enumerate() {
        let index = statement
            .parameter_index(&format!("${}", at + 1))
            .map_err(failure)?;
        let index =
            index.ok_or_else(|| Error::Corrupt(format!("a statement has no parameter ${}", at + 1)))?;
        let value = match value {
            Value::Null => ToSqlOutput::Owned(Owned::Null),
            Value::Int(value) => ToSqlOutput::Owned(Owned::Integer(*value)),
            Value::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            Value::Bytes(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
        };
        statement.raw_bind_parameter(index, value).map_err(failure)?;
    }
    Ok(())
}

fn value(value: ValueRef<'_>) -> Result<Value> {
    match value {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(value) => Ok(Value::Int(value)),
        ValueRef::Text(value) => String::from_utf8(value.to_vec())
            .map(Value::Text)
            .map_err(Error::corrupt),
        ValueRef::Blob(value) => Ok(Value::Bytes(value.to_vec())),
        ValueRef::Real(_) => Err(Error::corrupt("a number with a fraction where none is kept")),
    }
}

/// What a failure of SQLite means to whoever asked. The message names tables and columns, never values.
pub(crate) fn failure(error: rusqlite::Error) -> Error {
    let rusqlite::Error::SqliteFailure(code, _) = &error else {
        return Error::corrupt(error);
    };
    match (code.code, code.extended_code) {
        (ErrorCode::DiskFull, _) => Error::Full,
        (_, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => {
            Refusal::new(Code::Exists, "there is one of this id or name already").into()
        }
        (
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted,
            _,
        ) => Error::Unavailable(error.to_string()),
        _ => Error::corrupt(error),
    }
}
