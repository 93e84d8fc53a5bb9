//! The pages as people use them: in Chromium, with the built binary behind them.
//!
//! Whatever a browser complains of (a violation of the content security policy, an error of a script, a request that failed) fails the test in
//! which it happens; `person.rs` sees to that.
#![cfg(test)]

mod asking;
mod axe;
mod demo;
mod hands;
mod live;
mod log;
mod looks;
mod person;
mod policy;
mod replay;
mod sessions;
mod world;

#[path = "../story/ssh_gateway/gate.rs"]
#[expect(dead_code, reason = "the story's; not all of it is wanted here")]
mod gate;
#[path = "../story/gated.rs"]
mod gated;
#[path = "../story/house.rs"]
#[expect(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "the story's; not all of it is wanted here"
)]
mod house;
#[path = "../story/http.rs"]
#[expect(dead_code, reason = "the story's; not all of it is wanted here")]
mod http;
#[path = "../story/running.rs"]
#[expect(dead_code, reason = "the story's; not all of it is wanted here")]
mod running;
#[path = "../story/target.rs"]
#[expect(dead_code, reason = "the story's; not all of it is wanted here")]
mod target;
