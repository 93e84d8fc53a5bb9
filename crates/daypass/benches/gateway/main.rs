//! The gateway beside PgBouncer, beside `ssh -J` and beside no proxy at all: what a session costs, and how fast a thousand of them end.
//!
//! `cargo xtask bench gateway` installs what it needs and runs it; `-- --help` says what it takes. The product is the binary, with a
//! real policy, real grants and recording on; all three ways have TLS to the client, the same certificate and the same cipher.
//! In each round the peer is measured, then the others, then the peer again; what counts is the ratio.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench that cannot run says so by panicking"
)]

mod asked;
mod connect;
mod daypass;
mod endings;
mod house;
mod memory;
mod pgbench;
mod processor;
mod rates;
mod rounds;
mod rows;
mod sessions;
mod ssh;
mod way;

use serde_json::{Value, json};

use asked::{Asked, Part};
use house::House;

/// What each session costs in open files: one to the client and one to the target, and the same once more for who measures.
const FILES: u64 = 16_384;

fn main() {
    let Some(asked) = Asked::read(std::env::args().skip(1)) else {
        return;
    };
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .expect("nobody has chosen yet");
    more_files();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut house = runtime.block_on(House::open(&asked));
    let mut all = vec![house.about()];
    for part in &asked.parts {
        println!("\n── {part:?}");
        let measured = match part {
            Part::Rates => rates::run(&house, &asked),
            Part::Rows => runtime.block_on(rows::run(&house, &asked)),
            Part::Connect => connect::run(&house, &asked),
            Part::Endings => runtime.block_on(endings::run(&mut house, &asked)),
            Part::Ssh => runtime.block_on(ssh::run(&house, &asked)),
            Part::SshEndings => runtime.block_on(ssh::endings::run(&mut house, &asked)),
            Part::SshMemory => runtime.block_on(ssh::memory::run(&mut house, &asked)),
            Part::Memory => runtime.block_on(memory::run(&mut house, &asked)),
        };
        all.extend(measured);
    }
    drop(house);
    report(&all);
}

/// Twice a thousand sessions have more files open than many systems let a program have unless it asks.
fn more_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let current = now.maximum.map_or(FILES, |most| most.min(FILES));
    assert!(
        current >= 8_192,
        "this machine lets nobody open 8192 files: ulimit -Hn"
    );
    let wanted = Rlimit {
        current: Some(current.max(now.current.unwrap_or(0))),
        maximum: now.maximum,
    };
    setrlimit(Resource::Nofile, wanted).expect("below what is allowed");
}

/// The table once more, and all of it for programs.
fn report(all: &[Value]) {
    println!(
        "\n{:<44}{:>32}{:>12}  target",
        "what", "median (least to most)", "rounds"
    );
    for one in all.iter().filter(|one| one.get("median").is_some()) {
        let spread = format!(
            "{:.3} ({:.3} to {:.3})",
            one["median"].as_f64().unwrap(),
            one["least"].as_f64().unwrap(),
            one["most"].as_f64().unwrap()
        );
        let what = one["what"].as_str().unwrap();
        let rounds = format!("{}/{}", one["rounds"], one["tries"]);
        let target = one["target"].as_str().unwrap_or_default();
        println!("{what:<52}{spread:>34}{rounds:>9}  {target}");
    }
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("../bench-gateway.json");
    std::fs::write(&file, format!("{:#}\n", json!(all))).unwrap();
    println!("{}", file.canonicalize().unwrap().display());
}
