//! Sessions through Daypass: whoever has access connects here with their own tools, and reaches the target with a secret that
//! never leaves this process.
//!
//! A connection goes one way whatever its protocol: the person proves who they are, [`control::Control`] is asked for a
//! lease, the lease is renewed for as long as the session lives, and the session is closed with what was counted. What a
//! gateway may do it learns from `Control` alone, so that one that runs beside the server and one that runs far from it are the
//! same. Without a renewed lease every session ends ([`life`]).
//!
//! What is *absent*: a database, a policy, and the secrets of people (their proofs are checked by whoever is `Control`).

mod address;
mod bounded;
pub mod control;
mod edge;
pub mod gateway;
pub mod http;
pub mod life;
pub mod postgres;
pub mod protocol;
pub mod record;
pub mod scram;
pub mod session;
pub mod ssh;
pub mod tls;
pub mod wire;

pub use control::Control;
pub use gateway::Gateway;
pub use gateway::Limits;
pub use protocol::Protocol;
