//! Benchmark 6: a thousand live sessions, and their access taken away: until each is seen closed by its client, beside a loop of
//! `pg_terminate_backend` over a thousand direct connections.
//!
//! A gateway gives one person a hundred sessions at most, so the thousand are of ten people with a grant each, and the ten grants are
//! revoked at once. Time begins before the first revocation is sent.

use std::fmt;
use std::time::{Duration, Instant};

use daypass_server::edge;
use futures_util::future::join_all;
use serde_json::Value;

use crate::asked::Asked;
use crate::daypass::PEOPLE;
use crate::house::{DIRECT, House};
use crate::rounds::{Rounds, percentile};
use crate::sessions::Session;

/// Of each of the people.
const EACH: usize = 100;

pub(crate) const TARGETS: [(&str, &str); 2] = [
    ("p99, Daypass / direct", "at most 5"),
    ("p99 ms, Daypass", "at most 500"),
];

/// How long a machine may take to be rid of a thousand processes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Ends {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) most: f64,
}

impl Ends {
    /// Of these instants, counted from where it began.
    pub(crate) fn of(all: &[Instant], begun: Instant) -> Self {
        let mut ms: Vec<f64> = all.iter().map(|at| (*at - begun).as_secs_f64() * 1e3).collect();
        ms.sort_by(f64::total_cmp);
        Self {
            p50: percentile(&ms, 0.5),
            p99: percentile(&ms, 0.99),
            most: percentile(&ms, 1.0),
        }
    }
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:7.0} {:5.0} {:5.0}", self.p50, self.p99, self.most)
    }
}

pub(crate) async fn run(house: &mut House, asked: &Asked) -> Vec<Value> {
    println!("1,000 sessions end, ms (p50, p99, most): direct, Daypass, direct");
    let mut rounds = Rounds::new(asked.rounds);
    while rounds.go_on() {
        let before = direct(house).await;
        let ours = daypass(house).await;
        let after = direct(house).await;
        note(&mut rounds, [&before, &ours, &after]);
    }
    rounds.lines("1,000 sessions end", &TARGETS)
}

/// Notes a round: directly, through the gateway, directly again.
pub(crate) fn note(rounds: &mut Rounds, [before, ours, after]: [&Ends; 3]) {
    println!("  {before}  |  {ours}  |  {after}");
    if let Some(peer) = rounds.steady(before.p99, after.p99) {
        rounds.note("p99, Daypass / direct", ours.p99 / peer);
        rounds.note("p50 ms, Daypass", ours.p50);
        rounds.note("p99 ms, Daypass", ours.p99);
        rounds.note("most ms, Daypass", ours.most);
        rounds.note("p50 ms, direct", f64::midpoint(before.p50, after.p50));
        rounds.note("p99 ms, direct", peer);
        rounds.note("most ms, direct", before.most.max(after.most));
    }
}

async fn direct(house: &House) -> Ends {
    let sessions = house
        .sessions
        .many(std::slice::from_ref(&house.direct), PEOPLE * EACH)
        .await;
    let admin = house.admin().await;
    let rows = admin
        .query("SELECT pid FROM pg_stat_activity WHERE usename = $1", &[&DIRECT])
        .await
        .unwrap();
    assert_eq!(rows.len(), sessions.len());
    let terminate = admin.prepare("SELECT pg_terminate_backend($1)").await.unwrap();
    let begun = edge::instant();
    let looping = async {
        for row in &rows {
            let pid: i32 = row.get(0);
            admin.query(&terminate, &[&pid]).await.unwrap();
        }
    };
    let ((), ends) = tokio::join!(looping, ends(sessions, begun));
    house.until_calm().await;
    ends
}

async fn daypass(house: &mut House) -> Ends {
    house.daypass.grant_anew().await;
    let ways: Vec<_> = house.daypass.people().collect();
    let sessions = house.sessions.many(&ways, EACH).await;
    let begun = edge::instant();
    let revoking = async {
        house.daypass.revoke_all().await;
        begun.elapsed().as_secs_f64() * 1e3
    };
    let (answered, ends) = tokio::join!(revoking, ends(sessions, begun));
    println!("  the last revocation was answered after {answered:.0} ms");
    house.daypass.until_ended().await;
    house.until_calm().await;
    // The parts that follow want to come in again.
    house.daypass.grant_anew().await;
    ends
}

/// When each was seen closed.
async fn ends(sessions: Vec<Session>, begun: Instant) -> Ends {
    let all = join_all(sessions.into_iter().map(Session::closed));
    let all = edge::within(PATIENCE, all).await.expect("they end");
    Ends::of(&all, begun)
}
