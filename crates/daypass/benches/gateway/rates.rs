//! Benchmark 1a: `pgbench -S`, one client and eight, simple and prepared, against PgBouncer with TLS and against nothing between.

use serde_json::Value;

use crate::asked::Asked;
use crate::house::House;
use crate::pgbench;
use crate::rounds::Rounds;
use crate::way::Way;

const TARGETS: [(&str, &str); 1] = [("Daypass / PgBouncer", "at least 0.95")];

pub(crate) fn run(house: &House, asked: &Asked) -> Vec<Value> {
    let mut lines = Vec::new();
    for mode in ["simple", "prepared"] {
        for clients in ["1", "8"] {
            lines.extend(one(house, asked, mode, clients));
        }
    }
    lines
}

fn one(house: &House, asked: &Asked, mode: &str, clients: &str) -> Vec<Value> {
    let seconds = asked.seconds.to_string();
    let threads = if clients == "1" { "1" } else { "2" };
    let arguments = ["-S", "-M", mode, "-c", clients, "-j", threads, "-T", &seconds];
    let tps = |way: &Way| pgbench::tps(&house.program("pgbench"), way, &arguments);
    let about = format!("pgbench -S, {mode}, {clients} client(s)");
    println!("{about}: PgBouncer, Daypass, direct, PgBouncer");
    let mut rounds = Rounds::new(asked.rounds);
    while rounds.go_on() {
        let before = tps(&house.pgbouncer);
        let ours = tps(&house.daypass.way());
        let direct = tps(&house.direct);
        let after = tps(&house.pgbouncer);
        println!("  {before:8.0} {ours:8.0} {direct:8.0} {after:8.0}");
        if let Some(peer) = rounds.steady(before, after) {
            rounds.note("Daypass / PgBouncer", ours / peer);
            rounds.note("Daypass / direct", ours / direct);
            rounds.note("PgBouncer / direct", peer / direct);
            rounds.note("tps, Daypass", ours);
            rounds.note("tps, PgBouncer", peer);
            rounds.note("tps, direct", direct);
        }
    }
    rounds.lines(&about, &TARGETS)
}
