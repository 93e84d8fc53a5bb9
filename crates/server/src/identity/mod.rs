//! Who is calling: passwords, sessions, API tokens and how fast somebody may try.

pub mod limit;
pub mod password;
pub mod token;
