//! The pure core of Daypass: the words, the state machines and `plan`.
//!
//! There is no async, no IO, no clock and no randomness in this crate: `now` and random bytes are parameters, so that a
//! simulation can drive all of it and every test is exact. Start reading at [`request`], then [`grant`], then [`plan`].

mod ballot;
pub mod behind;
pub mod break_glass;
pub mod canonical;
pub mod certificate;
pub mod change;
pub mod deed;
pub mod delegation;
pub mod demand;
pub mod edit;
pub mod end_when;
pub mod ending;
pub mod entitlement;
pub mod environment;
pub mod event;
pub mod evidence;
pub mod grant;
pub mod handle;
pub mod id;
pub mod key;
pub mod lock;
pub mod name;
pub mod only_take_away;
pub mod past;
pub mod person;
pub mod plan;
pub mod planted;
mod recount;
pub mod refusal;
pub mod request;
pub mod review;
pub mod session;
pub mod text;
pub mod time;
pub mod world;
