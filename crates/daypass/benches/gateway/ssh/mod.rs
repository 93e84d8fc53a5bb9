//! Benchmarks 2a and 2b: how fast much goes through by SSH, and what a short command costs, beside `ssh -J` and no hop at all.
//!
//! OpenSSH's own client and sshd on all ways, one cipher, one key exchange, one key. The product is the binary, with recording on.

pub(crate) mod access;
pub(crate) mod endings;
pub(crate) mod host;
pub(crate) mod memory;
mod processes;
pub(crate) mod sessions;

use std::process::Stdio;
use std::time::Duration;

use daypass_server::edge;
use serde_json::Value;

use crate::asked::Asked;
use crate::house::House;
use crate::rounds::Rounds;
use host::By;

/// How much goes through at once.
const MIB: u32 = 500;

const BULK: [(&str, &str); 2] = [
    ("throughput, Daypass / direct", "at least 0.65"),
    ("throughput, Daypass / ssh -J", "at least 1.2"),
];
const SHORT: [(&str, &str); 1] = [("time, Daypass / direct", "at most 1.1")];

/// What a machine is given for one measurement.
const LONGEST: Duration = Duration::from_secs(300);

pub(crate) async fn run(house: &House, asked: &Asked) -> Vec<Value> {
    println!("{MIB} MiB by ssh, seconds: direct, Daypass, ssh -J, direct");
    let much = format!("head -c {MIB}M /dev/zero");
    let mut rounds = Rounds::new(asked.rounds);
    while rounds.go_on() {
        if let Some([direct, ours, jump]) = round(house, &mut rounds, &much).await {
            rounds.note("throughput, Daypass / direct", direct / ours);
            rounds.note("throughput, Daypass / ssh -J", jump / ours);
            rounds.note("MiB/s, Daypass", f64::from(MIB) / ours);
            rounds.note("MiB/s, direct", f64::from(MIB) / direct);
        }
    }
    let mut all = rounds.lines("ssh, much at once", &BULK);
    println!("ssh … true, seconds: direct, Daypass, ssh -J, direct");
    let mut rounds = Rounds::new(asked.rounds);
    while rounds.go_on() {
        if let Some([direct, ours, jump]) = round(house, &mut rounds, "true").await {
            rounds.note("time, Daypass / direct", ours / direct);
            rounds.note("time, ssh -J / direct", jump / direct);
            rounds.note("ms, Daypass", ours * 1e3);
            rounds.note("ms, direct", direct * 1e3);
        }
    }
    all.extend(rounds.lines("ssh, a short command", &SHORT));
    all
}

/// Seconds: directly, through the gateway, and with `-J`.
async fn round(house: &House, rounds: &mut Rounds, command: &str) -> Option<[f64; 3]> {
    let before = time(house, By::Direct, command).await;
    let ours = time(house, By::Gateway, command).await;
    let jump = time(house, By::Jump, command).await;
    let after = time(house, By::Direct, command).await;
    println!("  {before:8.3} {ours:8.3} {jump:8.3} {after:8.3}");
    Some([rounds.steady(before, after)?, ours, jump])
}

async fn time(house: &House, by: By, command: &str) -> f64 {
    let begun = edge::instant();
    let mut client = house.daypass.ssh(by, 0);
    client.arg(command).stdout(Stdio::null());
    let done = edge::within(LONGEST, client.status()).await.expect("it ends");
    assert!(done.unwrap().success(), "{by:?}");
    begun.elapsed().as_secs_f64()
}
