//! The HTTP API: its wire types, its routes, its problems, and the typed client.
//!
//! Nothing in here decides anything. The server answers with these types and the client reads them, so that the two cannot
//! come apart. Inputs refuse unknown fields; outputs may gain fields. People are named by login, things by full id; times
//! are RFC 3339 in UTC and lengths of time are written as in policy (`90m`).

pub mod access;
pub mod break_glass;
pub mod catalogue;
pub mod change;
pub mod client;
pub mod connector;
pub mod delegation;
pub mod doctor;
pub mod environment;
pub mod event;
pub mod explain;
pub mod gateway;
pub mod grant;
pub mod item;
pub mod key;
pub mod lock;
pub mod log;
pub mod login;
pub mod page;
pub mod person;
pub mod plan;
pub mod policy;
pub mod preview;
pub mod problem;
pub mod report;
pub mod request;
pub mod route;
pub mod secret;
pub mod session;
pub mod ssh;
pub mod standing;
pub mod ticket;
pub mod why;

pub use client::Client;
pub use item::Item;
pub use page::Page;
pub use problem::{Problem, ProblemCode};
pub use route::{Audience, Method, Route, Scope};
pub use secret::Secret;

/// The header that makes a POST safe to repeat. Source: draft-ietf-httpapi-idempotency-key-header.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The media type of problem details. Source: RFC 9457, section 3.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The port that a server listens on where nobody says.
pub const DEFAULT_PORT: u16 = 7373;
