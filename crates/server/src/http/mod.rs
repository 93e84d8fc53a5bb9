//! HTTP itself: the listener, who is at the other end, and what every answer carries.

pub mod address;
pub mod listen;
