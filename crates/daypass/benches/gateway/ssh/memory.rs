//! Benchmark 7 for SSH: what an idle session that is recorded holds in the gateway, beside what sshd's own processes of a direct session hold.
//!
//! Of sshd what counts is each process' own part of its memory (`Pss`, proc(5)): what it shares with others counts in shares.

use std::time::Duration;

use daypass_server::edge;
use serde_json::Value;

use super::sessions::{Session, To, many};
use crate::asked::Asked;
use crate::house::House;
use crate::memory::resident;
use crate::rounds::Rounds;

/// Sessions of each of the people.
const EACH: usize = 20;

/// After so long nothing is under way any more: what was recorded goes to its file within five seconds.
const IDLE: Duration = Duration::from_secs(8);

const TARGETS: [(&str, &str); 1] = [("Daypass / sshd", "at most 0.25")];

pub(crate) async fn run(house: &mut House, asked: &Asked) -> Vec<Value> {
    println!("200 idle sessions of ssh, KiB each: sshd, Daypass, sshd");
    let mut rounds = Rounds::new(asked.rounds);
    while rounds.go_on() {
        let before = direct(house).await;
        let ours = daypass(house).await;
        let after = direct(house).await;
        println!("  {before:8.1} {ours:8.1} {after:8.1}");
        if let Some(peer) = rounds.steady(before, after) {
            rounds.note("KiB, Daypass", ours);
            rounds.note("KiB, sshd", peer);
            rounds.note("Daypass / sshd", ours / peer);
        }
    }
    rounds.lines("memory of an idle session of ssh", &TARGETS)
}

async fn direct(house: &House) -> f64 {
    let sessions = many(&house.daypass.ssh_direct(), EACH).await;
    edge::sleep(IDLE).await;
    let held = house.daypass.host().held();
    let count = f64::from(u32::try_from(sessions.len()).unwrap());
    leave(house, sessions).await;
    held / count
}

async fn daypass(house: &mut House) -> f64 {
    house.daypass.restart().await;
    let all: Vec<To> = house.daypass.ssh_people();
    // What the first one needs, all share.
    let first = many(&all, 1).await;
    leave(house, first).await;
    edge::sleep(IDLE).await;
    let process = house.daypass.id();
    let before = resident(process);
    let sessions = many(&all, EACH).await;
    edge::sleep(IDLE).await;
    let after = resident(process);
    let count = f64::from(u32::try_from(sessions.len()).unwrap());
    leave(house, sessions).await;
    (after - before) / count
}

async fn leave(house: &House, sessions: Vec<Session>) {
    sessions.into_iter().for_each(Session::leave);
    house.until_quiet().await;
}
