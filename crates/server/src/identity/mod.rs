//! Who is calling: passwords, sessions, API tokens and how fast somebody may try.

pub(crate) mod familiar;
pub(crate) mod limit;
pub(crate) mod password;
pub(crate) mod token;
