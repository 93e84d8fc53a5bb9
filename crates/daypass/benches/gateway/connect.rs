//! Benchmark 1c: connect, query, disconnect (`pgbench -C`), against a direct connection.

use serde_json::Value;

use crate::asked::Asked;
use crate::house::House;
use crate::pgbench;
use crate::rounds::Rounds;
use crate::way::Way;

const TARGETS: [(&str, &str); 1] = [("time, Daypass / direct", "at most 2")];

pub(crate) fn run(house: &House, asked: &Asked) -> Vec<Value> {
    let seconds = asked.seconds.to_string();
    let arguments = ["-S", "-C", "-c", "1", "-j", "1", "-T", &seconds];
    let run = |way: &Way, proxy| pgbench::run(&house.program("pgbench"), way, proxy, &arguments);
    println!("pgbench -S -C, ms each: direct, Daypass, PgBouncer, direct; ms of Daypass's processor time");
    let mut rounds = Rounds::new(asked.rounds);
    while rounds.go_on() {
        let before = 1e3 / run(&house.direct, None).tps;
        let daypass = run(&house.daypass.way(), Some(house.daypass.id()));
        let (ours, cost) = (1e3 / daypass.tps, daypass.cost / 1e3);
        let pgbouncer = 1e3 / run(&house.pgbouncer, None).tps;
        let after = 1e3 / run(&house.direct, None).tps;
        println!("  {before:8.2} {ours:8.2} {pgbouncer:8.2} {after:8.2} {cost:8.2}");
        if let Some(peer) = rounds.steady(before, after) {
            rounds.note("time, Daypass / direct", ours / peer);
            rounds.note("time, PgBouncer / direct", pgbouncer / peer);
            rounds.note("ms, Daypass", ours);
            rounds.note("ms, direct", peer);
            rounds.note("processor ms each, Daypass", cost);
        }
    }
    rounds.lines("connect, query, disconnect", &TARGETS)
}
