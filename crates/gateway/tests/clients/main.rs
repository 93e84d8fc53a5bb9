//! Clients in other languages, as their makers publish them, go through a gateway to a real PostgreSQL and a real sshd: what each of them
//! saw is compared with what it would see directly, and with what was recorded.
//!
//! A binary of its own, because it needs more than Rust and PostgreSQL: `cargo xtask test clients` installs what is missing.
#![cfg(test)]

#[expect(dead_code, reason = "the other tests use more of it")]
#[path = "../it/control.rs"]
mod control;
mod install;
mod matrix;
mod ssh;
#[expect(dead_code, reason = "the other tests use more of it")]
#[path = "../it/ssh_world.rs"]
mod ssh_world;
mod told;
#[expect(dead_code, reason = "the other tests use more of it")]
#[path = "../it/world.rs"]
mod world;
