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
    let milliseconds = |way: &Way| 1e3 / pgbench::tps(&house.program("pgbench"), way, &arguments);
    println!("pgbench -S -C, ms each: direct, Daypass, PgBouncer, direct");
    let mut rounds = Rounds::new(asked.rounds);
    while rounds.go_on() {
        let before = milliseconds(&house.direct);
        let ours = milliseconds(&house.daypass.way());
        let pgbouncer = milliseconds(&house.pgbouncer);
        let after = milliseconds(&house.direct);
        println!("  {before:8.2} {ours:8.2} {pgbouncer:8.2} {after:8.2}");
        if let Some(peer) = rounds.steady(before, after) {
            rounds.note("time, Daypass / direct", ours / peer);
            rounds.note("time, PgBouncer / direct", pgbouncer / peer);
            rounds.note("ms, Daypass", ours);
            rounds.note("ms, direct", peer);
        }
    }
    rounds.lines("connect, query, disconnect", &TARGETS)
}
