//! HTTP around the engine: API, identity, notifications.
//!
//! [`ServerConfig`](config::ServerConfig) is the operator's own file, and [`Server`] runs it: inside the binary, the demo or
//! a test. When to stop, its owner says. `api` has one thin file of handlers for each resource, `http` what stands
//! before and around them, `identity` who comes in, `notify` who is told, `gateway` what goes through
//! Daypass, `wire` the one place where core types become wire types, `loops` what
//! runs beside the requests.
//!
//! Absent here: decisions. Who may have what is the engine's and the policy's; what is kept is the store's.

mod api;
mod app;
mod authorities;
pub mod config;
mod durable;
pub mod edge;
mod events;
mod gateway;
mod halt;
mod heavy;
mod http;
mod identity;
pub mod log;
mod loops;
mod metrics;
mod notebook;
mod notify;
mod personas;
mod probe;
mod proposal;
mod reseal;
mod sealing;
mod secrets;
mod server;
mod setup;
mod signing;
mod stale;
mod steady;
mod upkeep;
mod web;
mod wire;
mod witness;
mod witnesses;

pub use daypass_recording::new_pair as new_recording_pair;
pub use gateway::{Apart, ApartError, StartError as GatewayError};
pub use http::listen::TlsError;
pub use identity::password::Error as PasswordError;
pub use notify::{MailError, NotifyError, WebhookError};
pub use personas::{Entrance, Persona, Personas};
pub use secrets::SecretError;
pub use server::{Server, StartError, open, verify};
pub use setup::{HashError, hash_password, new_sealing_key, try_programs, try_secrets};
pub use signing::{SigningError, new_log_key};
pub use witness::{Witness, WitnessConfig, WitnessError};
pub use witnesses::AskError;
