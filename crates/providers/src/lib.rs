//! What Daypass provisions on: the [`Provider`] trait with its contract, and one folder per target kind.
//!
//! A kind of target is one folder here and one line in [`ALL`]; nothing outside this crate matches on a kind. The contract
//! is kept by the suite in `tests/providers/conformance.rs`, which every provider passes. This is the only crate below the server that
//! may set timers: a call to a target is bounded in time by the provider that makes it.

pub mod azure;
pub mod command;
pub mod inventory;
pub mod memory;
pub mod postgres;
pub mod ssh;

mod config;
mod contract;
mod password;
mod secrets;
mod within;

pub use command::Program;
pub use config::ConfigProblem;
pub use contract::{
    Activity, Capabilities, Credential, Error, Inspection, Kind, Limit, Listed, Needs, Placed, Progress,
    Provider, SecretUse,
};
pub use secrets::{Notebook, Revealed, Secrets, Tls};

/// Every kind of target that a server offers. An explicit list: adding a kind is one line here.
pub const ALL: &[&dyn Kind] = &[
    &postgres::Postgres,
    &command::Command,
    &ssh::Ssh,
    &azure::Azure,
    &azure::AzureVm,
    &azure::AzureRole,
    &azure::AzureGroup,
];
