//! HTTP around the engine: API, identity, notifications.

pub mod config;
pub mod edge;
pub mod identity;
pub mod secrets;
