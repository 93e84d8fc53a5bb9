//! HTTP around the engine: API, identity, notifications.

pub mod config;
pub mod edge;
pub mod http;
pub mod identity;
pub mod log;
pub mod metrics;
pub mod secrets;
