//! Transitions on PostgreSQL against `pgbench -N` on the same server.

use std::process::Command;
use std::time::Duration;

use daypass_store::{PostgresOptions, PostgresTls, Store};
use daypass_testbed::Postgres;
use serde_json::{Value, json};

use crate::spread::{Spread, steady};
use crate::work::Work;
use crate::{COMMITS, TRIES, enough};

pub(crate) async fn run() -> Value {
    let server = Postgres::options().durable(true).start().unwrap();
    let database = server.create_database("bench").unwrap();
    let peer = server.create_database("pgbench").unwrap();
    let options = PostgresOptions {
        host: String::from("127.0.0.1"),
        port: server.port(),
        database,
        user: String::from("postgres"),
        password: Some(server.password().into()),
        tls: PostgresTls::Disabled,
        connections: 16,
        patience: Duration::from_secs(60),
    };
    let store = Store::open_postgres(&options, "bench").await.unwrap();
    let work = Work::on(store);
    pgbench(&server, &peer, &["-i", "-q", "-s", "1"]);
    let mut result = json!({"benchmark": "transitions-postgresql"});
    for clients in [1, 8] {
        let mut ratios = Vec::new();
        println!("PostgreSQL, {clients} clients: pgbench -N tps, transitions/s, pgbench -N again");
        for _ in 0..TRIES {
            let before = tps(&server, &peer, clients);
            let ours = work.transitions(clients, COMMITS).await;
            let after = tps(&server, &peer, clients);
            print!("  {before:8.0} {ours:8.0} {after:8.0}");
            ratios.extend(steady(before, after).map(|peer| ours / peer));
            if enough(&ratios) {
                break;
            }
        }
        let rounds = ratios.len();
        let ratio = Spread::of(ratios);
        println!("  ratio: {ratio} (target: at least 0.5)");
        result[format!("clients_{clients}")] = json!({"rounds": rounds, "ratio": ratio.json()});
    }
    result
}

fn tps(server: &Postgres, peer: &str, clients: usize) -> f64 {
    let clients = clients.to_string();
    let told = pgbench(server, peer, &["-N", "-T", "2", "-c", &clients, "-j", "2"]);
    let tps = told.lines().find_map(|line| line.strip_prefix("tps = ")).unwrap();
    tps.split(' ').next().unwrap().parse().unwrap()
}

fn pgbench(server: &Postgres, database: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(server.installed().program("pgbench"));
    command.args(arguments).arg(server.url(database));
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
