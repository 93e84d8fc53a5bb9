//! HTTP itself: the listener, who is at the other end, the gate, and what every answer carries.

pub(crate) mod access;
pub(crate) mod address;
pub(crate) mod idempotency;
pub(crate) mod intake;
pub(crate) mod leaving;
pub(crate) mod listen;
pub(crate) mod observe;
pub(crate) mod places;
pub(crate) mod problem;
