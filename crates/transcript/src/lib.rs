//! What happened in a recording, for people: its records in words ([`told`]), and what terminals showed: as asciicast, as plain lines that
//! somebody may look at, as frames that a page draws, and searched.
//!
//! The lines are those of a recording, JSON each (`daypass_gateway::record`); what is no line of a terminal is passed over. **All of it is
//! somebody's who may want to harm the reader**, or to hide from them: sizes are clamped, work is bounded, what goes to somebody's terminal
//! goes through [`Plain`], and what is left out is said.

mod asciicast;
mod frames;
mod line;
mod plain;
mod screen;
mod screens;
mod search;
pub mod told;

pub use asciicast::asciicast;
pub use frames::{Frame, Frames, Look, Run, Skipped};
pub use line::{Program, programs};
pub use plain::{LeftOut, Plain};
pub use screens::{Change, Screens};
pub use search::{Found, Search, Searched};
