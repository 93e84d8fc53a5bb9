//! Benchmark 6 for SSH: a thousand live sessions at a real sshd, and their access taken away, until each is seen closed by its client;
//! beside a loop that ends sshd's own processes of a thousand direct sessions.

use std::time::Instant;

use daypass_server::edge;
use futures_util::future::join_all;
use serde_json::Value;

use super::sessions::{Session, To, many};
use crate::asked::Asked;
use crate::daypass::PEOPLE;
use crate::endings::{Ends, PATIENCE, TARGETS, note};
use crate::house::House;
use crate::rounds::Rounds;

/// Of each of the people: what a gateway gives one at most.
const EACH: usize = 100;

pub(crate) async fn run(house: &mut House, asked: &Asked) -> Vec<Value> {
    println!("1,000 sessions of ssh end, ms (p50, p99, most): direct, Daypass, direct");
    let mut rounds = Rounds::new(asked.rounds);
    while rounds.go_on() {
        let before = direct(house).await;
        let ours = daypass(house).await;
        let after = direct(house).await;
        note(&mut rounds, [&before, &ours, &after]);
    }
    rounds.lines("1,000 sessions of ssh end", &TARGETS)
}

async fn direct(house: &House) -> Ends {
    let sessions = many(&house.daypass.ssh_direct(), EACH).await;
    let begun = edge::instant();
    let looping = async {
        for process in house.daypass.host().processes() {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        }
    };
    let ((), ends) = tokio::join!(looping, ends(sessions, begun));
    house.until_quiet().await;
    ends
}

async fn daypass(house: &mut House) -> Ends {
    house.daypass.hosts_anew().await;
    let ways: Vec<To> = house.daypass.ssh_people();
    let sessions = many(&ways, EACH).await;
    assert_eq!(sessions.len(), PEOPLE * EACH);
    let begun = edge::instant();
    let (_, ends) = tokio::join!(house.daypass.revoke_hosts(), ends(sessions, begun));
    house.until_quiet().await;
    house.daypass.until_hosts_ended().await;
    house.daypass.hosts_anew().await;
    ends
}

/// When each was seen closed.
async fn ends(sessions: Vec<Session>, begun: Instant) -> Ends {
    let all = join_all(sessions.into_iter().map(Session::closed));
    let all = edge::within(PATIENCE, all).await.expect("they end");
    Ends::of(&all, begun)
}
