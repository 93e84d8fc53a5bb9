//! `cargo xtask`: everything that CI runs, and what tests need.

fn main() {}
