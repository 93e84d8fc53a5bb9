//! Benchmark 7: what an idle connection that is recorded holds in the gateway, beside what one holds in PgBouncer with TLS.
//!
//! Each time in a process that has just begun: one that had as many connections before keeps what they had.

use std::time::Duration;

use daypass_server::edge;
use serde_json::Value;

use crate::asked::Asked;
use crate::house::House;
use crate::rounds::Rounds;
use crate::way::Way;

/// People, and sessions of each.
const HOLDERS: usize = 5;
const EACH: usize = 100;

/// After so long nothing is under way any more: what was recorded goes to its file within five seconds.
const IDLE: Duration = Duration::from_secs(8);

const TARGETS: [(&str, &str); 1] = [("KiB, Daypass", "at most 100")];

pub(crate) async fn run(house: &mut House, asked: &Asked) -> Vec<Value> {
    println!("500 idle connections, KiB each: PgBouncer, Daypass, PgBouncer");
    let mut rounds = Rounds::new(asked.rounds);
    while rounds.go_on() {
        let before = pgbouncer(house).await;
        let ours = daypass(house).await;
        let after = pgbouncer(house).await;
        println!("  {before:8.1} {ours:8.1} {after:8.1}");
        if let Some(peer) = rounds.steady(before, after) {
            rounds.note("KiB, Daypass", ours);
            rounds.note("KiB, PgBouncer", peer);
            rounds.note("Daypass / PgBouncer", ours / peer);
        }
    }
    rounds.lines("memory of an idle connection", &TARGETS)
}

async fn pgbouncer(house: &House) -> f64 {
    let process = house.another_pgbouncer();
    let way = Way {
        port: process.port(),
        ..house.pgbouncer.clone()
    };
    let each = held(house, process.id(), &[way], HOLDERS * EACH).await;
    drop(process);
    house.until_calm().await;
    each
}

async fn daypass(house: &mut House) -> f64 {
    house.daypass.restart().await;
    let ways: Vec<Way> = house.daypass.people().take(HOLDERS).collect();
    let each = held(house, house.daypass.id(), &ways, EACH).await;
    house.until_calm().await;
    each
}

/// What each of so many connections of these ways holds in a process, in KiB.
async fn held(house: &House, process: u32, ways: &[Way], each: usize) -> f64 {
    // What the first one needs, all share.
    for one in house.sessions.many(ways, 1).await {
        one.leave().await;
    }
    edge::sleep(IDLE).await;
    let before = resident(process);
    let sessions = house.sessions.many(ways, each).await;
    edge::sleep(IDLE).await;
    let after = resident(process);
    let count = f64::from(u32::try_from(sessions.len()).unwrap());
    for one in sessions {
        one.leave().await;
    }
    (after - before) / count
}

/// How much of a process is in memory, in KiB.
pub(crate) fn resident(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
