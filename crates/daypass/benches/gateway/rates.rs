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
    let run = |way: &Way, proxy| pgbench::run(&house.program("pgbench"), way, proxy, &arguments);
    let about = format!("pgbench -S, {mode}, {clients} client(s)");
    println!(
        "{about}, per second: PgBouncer, Daypass, direct, PgBouncer; µs of PgBouncer's and of Daypass's"
    );
    let mut rounds = Rounds::new(asked.rounds);
    while rounds.go_on() {
        let before = run(&house.pgbouncer, Some(house.bouncer.id()));
        let ours = run(&house.daypass.way(), Some(house.daypass.id()));
        let direct = run(&house.direct, None).tps;
        let after = run(&house.pgbouncer, Some(house.bouncer.id()));
        let theirs = f64::midpoint(before.cost, after.cost);
        println!(
            "  {:8.0} {:8.0} {direct:8.0} {:8.0} {theirs:8.1} {:8.1}",
            before.tps, ours.tps, after.tps, ours.cost
        );
        if let Some(peer) = rounds.steady(before.tps, after.tps) {
            rounds.note("Daypass / PgBouncer", ours.tps / peer);
            rounds.note("Daypass / direct", ours.tps / direct);
            rounds.note("PgBouncer / direct", peer / direct);
            rounds.note("tps, Daypass", ours.tps);
            rounds.note("tps, PgBouncer", peer);
            rounds.note("tps, direct", direct);
            rounds.note("processor µs each, Daypass", ours.cost);
            rounds.note("processor µs each, PgBouncer", theirs);
        }
    }
    rounds.lines(&about, &TARGETS)
}
