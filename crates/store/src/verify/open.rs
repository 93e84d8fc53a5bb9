//! Opening somebody's store to look into it, and for nothing else: no tables are made, no rows written, and a store of another
//! version is said to be one.

use std::path::Path;
use std::sync::Arc;

use daypass_core::time::Timestamp;

use super::{Expect, Verified, run};
use crate::error::{Error, Result};
use crate::link::Link;
use crate::postgres::{self, PostgresOptions};
use crate::sqlite::{self, Readers};
use crate::store::within;

/// Checks a store on SQLite, or a copy of one. Nothing is written to its file; a server may be at work on it. A copy that has its
/// `-wal` beside it needs a folder that can be written, for SQLite keeps its `-shm` there.
///
/// # Errors
/// As [`crate::Store::verify`], and where there is no such file, it is no store of this version, or a server began to use it meanwhile.
pub async fn verify_sqlite(path: &Path, expect: Expect) -> Result<Verified> {
    // Nothing here asks for the time.
    let clock: crate::Clock = Arc::new(|| Timestamp::EPOCH);
    let whole = !sqlite::wal(path).exists();
    let readers = if whole {
        Readers::of_nobody(path, clock)
    } else {
        Readers::new(path, clock)
    };
    let verified = readers
        .read(move |link| {
            Box::pin(async move {
                version(link, &sqlite::steps()).await?;
                run(link, &expect).await
            })
        })
        .await;
    if whole && sqlite::wal(path).exists() {
        return Err(Error::Unavailable(format!(
            "a server began to use {} while it was looked into; look again",
            path.display()
        )));
    }
    verified.map_err(|error| match error {
        Error::Unavailable(why) if !whole => Error::Unavailable(format!(
            "{why}. A copy is FILE and FILE-wal together, in a folder that can be written"
        )),
        other => other,
    })
}

/// Checks a store on PostgreSQL, at one moment. Every transaction is read-only.
///
/// # Errors
/// As [`crate::Store::verify`], and where it cannot be reached or is no store of this version.
pub async fn verify_postgres(options: &PostgresOptions, expect: Expect) -> Result<Verified> {
    let line = postgres::open_reading(options)?;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    let checked = within(&line, begin, move |link| {
        Box::pin(async move {
            version(link, &postgres::steps()).await?;
            run(link, &expect).await
        })
    });
    checked.await
}

/// Whether the tables are those of this program: what it would otherwise find out by making them so.
async fn version(link: &mut Link, steps: &refinery::Runner) -> Result<()> {
    let text = "SELECT CAST(version AS BIGINT), CAST(checksum AS TEXT) FROM refinery_schema_history ORDER BY version";
    let another = |why: &str| Error::Corrupt(format!("{why}. Verify it with the daypass that serves it"));
    let rows = link.rows(text, &[]).await.map_err(|error| match error {
        Error::Corrupt(why) => another(&format!(
            "it is no store of Daypass, or it was never served: {why}"
        )),
        other => other,
    })?;
    let mut kept = Vec::with_capacity(rows.len());
    for row in &rows {
        kept.push((row.int(0)?, row.text(1)?.to_owned()));
    }
    let steps = steps.get_migrations().iter();
    let ours = steps.map(|step| (i64::from(step.version()), step.checksum().to_string()));
    if ours.eq(kept) {
        Ok(())
    } else {
        Err(another("its tables are not those of this version"))
    }
}
