//! The store's suite. Every test runs on SQLite in memory, on SQLite in a file, and on a real PostgreSQL.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what went wrong by panicking; clippy knows only its functions, not what they share"
)]

mod appended;
mod bench;
mod break_glass;
mod changes;
mod clock;
mod concurrency;
mod cosigned;
mod due;
mod gate;
mod hostile;
mod keys;
mod legal;
mod locks;
mod log;
mod notes;
mod notices;
mod people;
mod postgres_server;
mod queries;
mod reports;
mod sessions;
mod signed;
mod signed_anew;
mod sqlite_file;
mod ssh;
mod story;
mod tampering;
mod transitions;
mod walk;
