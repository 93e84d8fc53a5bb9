//! Throwaway real services for tests, benches and the demo: one copy of "start it, wait for it, break it, remove it".
//!
//! - [`postgres`]: a PostgreSQL server of our own, in a temporary directory, on a loopback port;
//! - [`pgbouncer`]: a PgBouncer of our own, in front of one;
//! - [`browser`]: Chromium behind its driver;
//! - [`sshd`]: an OpenSSH server that takes certificates, as a host of Daypass does;
//! - [`tcp_proxy`]: a TCP proxy that pauses, cuts, refuses, and says when certain bytes have passed;
//! - `azure`, with the feature of that name: a stand-in for Azure Resource Manager, Microsoft Graph and the tokens of Entra.
//!
//! The API is synchronous and small, because `xtask` depends on it and must start fast. What is *absent*: anything that
//! finds or uses a service which somebody else started. Unix only.

#[cfg(feature = "azure")]
pub mod azure;
pub mod browser;
pub mod error;
mod keeper;
pub mod pgbouncer;
mod port;
pub mod postgres;
mod program;
mod run_as;
mod shown;
pub mod sshd;
pub mod tcp_proxy;
pub mod wait;

#[cfg(feature = "azure")]
pub use azure::Azure;
pub use browser::Browser;
pub use error::{Error, Result};
pub use pgbouncer::PgBouncer;
pub use postgres::Postgres;
pub use shown::Shown;
pub use sshd::Sshd;
pub use tcp_proxy::TcpProxy;
