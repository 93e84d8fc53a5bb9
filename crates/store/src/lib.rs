//! Every statement on Daypass's own tables, on SQLite and PostgreSQL, and the one way in which state changes.
//!
//! [`Store::transition`] loads and locks a scope, calls a pure decision, and writes state, event, leaf hash and outbox in one
//! transaction. Everything else reads, or keeps rows that are no state (credentials, idempotency keys). The statements are
//! the same text on both databases, one file per aggregate; `link` runs them on either.
//!
//! What is *absent*: rules. Who may do what is decided above; here it is kept.

mod changes;
mod checkpoints;
mod cosignatures;
mod counts;
mod due;
mod entitlements;
mod error;
mod events;
mod floor;
mod gate;
mod grants;
mod holdings;
mod idempotency;
mod kept;
mod keys;
mod link;
mod locks;
mod log;
mod notes;
mod notices;
mod page;
mod past;
mod people;
mod policies;
mod postgres;
mod purpose;
mod reads;
mod replay;
mod report;
mod requests;
mod resolve;
mod scope;
mod select;
mod sessions;
mod side;
mod signers;
mod sqlite;
mod ssh;
mod store;
mod texts;
mod tiles;
mod tokens;
mod transition;
mod value;
mod verify;

use std::sync::Arc;

use daypass_core::time::Timestamp;

pub use changes::ChangeFilter;
pub use checkpoints::KeptCheckpoint;
pub use cosignatures::Cosignature;
pub use counts::Counts;
pub use due::{Due, DueCursor};
pub use error::{Error, Result};
pub use events::{Entry, EventFilter, From};
pub use gate::{Access, Gate};
pub use grants::GrantFilter;
pub use holdings::Holding;
pub use idempotency::{Answer, Begun, Command};
pub use kept::kept;
pub use keys::{Sealed, SshKeys, SshNext, SshOld, SshSlot, SshStep};
pub use log::Head;
pub use notices::{Backlog, Claim, Delivery, Fate, ORDER_KEPT};
pub use page::{BadCursor, Cursor, Page};
pub use policies::{AppliedPolicy, Revision};
pub use postgres::{PostgresOptions, PostgresTls};
pub use report::{
    Busy, Counted, Exposure, Late, LateGrant, LateReview, MOST_RESOURCES, Opened, Report, ReportFilter,
    SPREAD, Standing, Unused, Waits,
};
pub use requests::RequestFilter;
pub use scope::{MOST_HELD, MOST_OPEN, Scope};
pub use sessions::SessionFilter;
pub use side::Side;
pub use signers::LogServer;
pub use ssh::{SshAccess, SshEnd, SshHost, SshKeep};
pub use store::Store;
pub use tokens::{TokenKind, TokenRow, Verifier};
pub use transition::{Committed, Outcome, Told};
pub use verify::{Check, Expect, Followed, Verified, verify_postgres, verify_sqlite};

/// Where an embedded store takes the time from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
