//! Faults planted on purpose: what the simulation's checkers are tested by.
//!
//! A place in the code asks [`is`] whether its fault is planted. Without the feature `planted` the answer is a constant, so
//! that nothing of it is in the product; with it, it is what the thread was told last.

/// A fault that can be planted, each in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// An end counts as seen without looking.
    SkipReadBack,
}

#[cfg(feature = "planted")]
mod switch {
    use std::cell::Cell;

    use super::Fault;

    thread_local! {
        static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// Plants a fault on this thread, or takes the one that is there away.
    pub fn plant(fault: Option<Fault>) {
        PLANTED.set(fault);
    }

    /// Whether this fault is planted.
    #[must_use]
    pub fn is(fault: Fault) -> bool {
        PLANTED.get() == Some(fault)
    }
}

#[cfg(feature = "planted")]
pub use switch::{is, plant};

/// Whether this fault is planted: never.
#[cfg(not(feature = "planted"))]
#[must_use]
pub const fn is(_: Fault) -> bool {
    false
}
