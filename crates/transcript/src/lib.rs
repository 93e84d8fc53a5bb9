//! What terminals showed in a recording of SSH: as asciicast, as the text that somebody read, and searched.
//!
//! The lines are those of a recording, JSON each (`daypass_gateway::record`); what is no line of a terminal is passed over. **All of it is
//! somebody's who may want to harm the reader**: sizes are clamped, and what goes to a terminal goes through [`harmless`].

mod asciicast;
mod line;
mod safe;
mod screen;

pub use asciicast::asciicast;
pub use line::{Program, programs};
pub use safe::harmless;
pub use screen::{Found, search, transcript};
