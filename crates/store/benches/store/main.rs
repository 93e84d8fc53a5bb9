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
mod work;

const ROUNDS: usize = 7;
const COMMITS: usize = 150;

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
