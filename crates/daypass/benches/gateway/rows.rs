//! Benchmark 1b: 300,000 small rows, by SELECT and by COPY, against a direct connection.

use std::pin::pin;

use daypass_server::edge;
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::Value;
use tokio_postgres::Client;

use crate::asked::Asked;
use crate::house::House;
use crate::rounds::Rounds;

/// Nothing that PostgreSQL would have to think about: it reads pages that it has in memory.
const ROWS: &str = "SELECT aid, bid, abalance FROM pgbench_accounts LIMIT 300000";

/// How often in a row: one time is a fifth of a second.
const TIMES: u32 = 5;

const TARGETS: [(&str, &str); 1] = [("time, Daypass / direct", "at most 1.3")];

#[derive(Debug, Clone, Copy)]
enum By {
    Select,
    Copy,
}

pub(crate) async fn run(house: &House, asked: &Asked) -> Vec<Value> {
    let mut lines = Vec::new();
    let direct = house.sessions.connect(&house.direct).await.unwrap();
    let daypass = house.sessions.connect(&house.daypass.way()).await.unwrap();
    let pgbouncer = house.sessions.connect(&house.pgbouncer).await.unwrap();
    for by in [By::Select, By::Copy] {
        println!("300,000 rows by {by:?}, ms: direct, Daypass, PgBouncer, direct");
        let mut rounds = Rounds::new(asked.rounds);
        while rounds.go_on() {
            let before = milliseconds(&direct.client, by).await;
            let ours = milliseconds(&daypass.client, by).await;
            let other = milliseconds(&pgbouncer.client, by).await;
            let after = milliseconds(&direct.client, by).await;
            println!("  {before:8.1} {ours:8.1} {other:8.1} {after:8.1}");
            if let Some(peer) = rounds.steady(before, after) {
                rounds.note("time, Daypass / direct", ours / peer);
                rounds.note("time, PgBouncer / direct", other / peer);
                rounds.note("ms, Daypass", ours);
                rounds.note("ms, direct", peer);
            }
        }
        lines.extend(rounds.lines(&format!("300,000 rows by {by:?}"), &TARGETS));
    }
    lines
}

async fn milliseconds(client: &Client, by: By) -> f64 {
    let begun = edge::instant();
    for _ in 0..TIMES {
        let rows = match by {
            By::Select => select(client).await,
            By::Copy => copy(client).await,
        };
        assert_eq!(rows, 300_000);
    }
    begun.elapsed().as_secs_f64() * 1e3 / f64::from(TIMES)
}

async fn select(client: &Client) -> usize {
    let nothing: [i32; 0] = [];
    let rows = client.query_raw(ROWS, nothing).await.unwrap();
    let mut rows = pin!(rows);
    let mut count = 0;
    while let Some(row) = rows.next().await {
        row.unwrap();
        count += 1;
    }
    count
}

async fn copy(client: &Client) -> usize {
    let lines = client
        .copy_out(&format!("COPY ({ROWS}) TO STDOUT"))
        .await
        .unwrap();
    let count = |sum: usize, line: bytes::Bytes| async move {
        Ok(sum + line.iter().filter(|byte| **byte == b'\n').count())
    };
    lines.try_fold(0, count).await.unwrap()
}
