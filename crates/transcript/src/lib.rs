//! What terminals showed in a recording of SSH: as asciicast, as plain lines that somebody may look at, and searched.
//!
//! The lines are those of a recording, JSON each (`daypass_gateway::record`); what is no line of a terminal is passed over. **All of it is
//! somebody's who may want to harm the reader**, or to hide from them: sizes are clamped, work is bounded, what goes to somebody's terminal
//! goes through [`Plain`], and what is left out is said.

mod asciicast;
mod line;
mod plain;
mod screen;
mod search;

pub use asciicast::asciicast;
pub use line::{Program, programs};
pub use plain::{LeftOut, Plain};
pub use search::{Found, Search, Searched};
