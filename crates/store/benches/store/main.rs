//! Durable transitions per second, and the log, against peers that do as much with the same bytes.
//!
//! Each round runs peer and store one after the other, so that both see the same machine; what counts is the ratio. Run it with
//! `cargo bench -p daypass-store`, or one of its parts: `cargo bench -p daypass-store -- sqlite|postgres|log`. The last line of each is
//! the same as JSON.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot run says so by panicking"
)]

mod log;
mod postgres;
mod spread;
mod sqlite;
#[path = "../../tests/suite/story.rs"]
#[allow(
    dead_code,
    reason = "the tests' ways to requests and grants; not all are needed here"
)]
mod story;
mod work;

/// Rounds that count.
const ROUNDS: usize = 7;
/// Rounds at most, those in which the peer varied included.
const TRIES: usize = 21;
/// What is timed at once: enough that a round takes some tenths of a second.
const COMMITS: usize = 2_000;

/// Whether these are as many as are wanted.
fn enough(rounds: &[f64]) -> bool {
    rounds.len() == ROUNDS
}

#[tokio::main]
async fn main() {
    // Cargo says `--bench` too.
    let named: Vec<String> = std::env::args()
        .skip(1)
        .filter(|one| !one.starts_with('-'))
        .collect();
    let wanted = |part: &str| named.is_empty() || named.iter().any(|one| one == part);
    if wanted("sqlite") {
        println!("{}", sqlite::run().await);
    }
    if wanted("postgres") {
        println!("{}", postgres::run().await);
    }
    if wanted("log") {
        println!("{}", log::run().await);
    }
}
