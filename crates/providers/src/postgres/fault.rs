//! What an error of PostgreSQL means for what follows.
//!
//! Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.

use daypass_core::entitlement::Fault;
use tokio_postgres::error::{DbError, SqlState};

use crate::Error;

/// What an error of the client library means. The statement is never part of it: it may hold a verifier.
pub(super) fn from(error: &tokio_postgres::Error, doing: &str) -> Error {
    match error.as_db_error() {
        Some(said) => Error::new(fault(said), describe(said, doing)),
        None => Error::new(Fault::Unavailable, format!("{doing}: {error}{}", cause(error))),
    }
}

fn cause(error: &tokio_postgres::Error) -> String {
    std::error::Error::source(error)
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default()
}

/// What the server said, in one line.
pub(super) fn describe(said: &DbError, doing: &str) -> String {
    let hint = match *said.code() {
        SqlState::INSUFFICIENT_PRIVILEGE => "; see the set-up in docs/providers/postgres.md",
        _ => "",
    };
    format!(
        "{doing}: {} (SQLSTATE {}){hint}",
        said.message(),
        said.code().code()
    )
}

fn fault(said: &DbError) -> Fault {
    let code = said.code();
    if *code == SqlState::INTERNAL_ERROR && said.message().starts_with("tuple concurrently") {
        return Fault::Conflict;
    }
    let table = [
        (
            Fault::Denied,
            &[SqlState::INVALID_PASSWORD, SqlState::INSUFFICIENT_PRIVILEGE][..],
        ),
        (
            Fault::NotFound,
            &[
                SqlState::INVALID_CATALOG_NAME,
                SqlState::UNDEFINED_OBJECT,
                SqlState::UNDEFINED_TABLE,
                SqlState::UNDEFINED_FUNCTION,
                SqlState::INVALID_SCHEMA_NAME,
            ],
        ),
        (
            Fault::Conflict,
            &[
                SqlState::DUPLICATE_OBJECT,
                SqlState::UNIQUE_VIOLATION,
                SqlState::LOCK_NOT_AVAILABLE,
                SqlState::T_R_SERIALIZATION_FAILURE,
                SqlState::T_R_DEADLOCK_DETECTED,
                SqlState::OBJECT_IN_USE,
            ],
        ),
        (Fault::RateLimited, &[SqlState::TOO_MANY_CONNECTIONS]),
        // A standby, or a server that is being moved: another answer is due soon.
        (Fault::Unavailable, &[SqlState::READ_ONLY_SQL_TRANSACTION]),
    ];
    let class = code.code().get(..2).unwrap_or_default();
    match table.iter().find(|(_, codes)| codes.contains(code)) {
        Some((fault, _)) => *fault,
        // Authorization; connection; operator intervention (shutting down, cancelled); resources; system errors.
        None if class == "28" => Fault::Denied,
        None if matches!(class, "08" | "57" | "53" | "58") => Fault::Unavailable,
        None => Fault::Bug,
    }
}
