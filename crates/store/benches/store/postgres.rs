//! Transitions on PostgreSQL against `pgbench -N` on the same server.

use std::process::Command;
use std::time::Duration;

use daypass_store::{PostgresOptions, PostgresTls, Store};
use daypass_testbed::Postgres;
use serde_json::{Value, json};

use crate::spread::Spread;
use crate::work::{people, transitions};
use crate::{COMMITS, ROUNDS};

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
    people(&store).await;
    pgbench(&server, &peer, &["-i", "-q", "-s", "1"]);
    let mut result = json!({"benchmark": "transitions-postgresql", "rounds": ROUNDS});
    for clients in [1, 8] {
        let mut ratios = Vec::new();
        println!("PostgreSQL, {clients} clients: pgbench -N tps, transitions/s");
        for _ in 0..ROUNDS {
            let told = pgbench(
                &server,
                &peer,
                &["-N", "-T", "2", "-c", &clients.to_string(), "-j", "2"],
            );
            let tps = told.lines().find_map(|line| line.strip_prefix("tps = ")).unwrap();
            let tps: f64 = tps.split(' ').next().unwrap().parse().unwrap();
            let ours = transitions(&store, clients, COMMITS * 4).await;
            println!("  {tps:8.0} {ours:8.0}");
            ratios.push(ours / tps);
        }
        let ratio = Spread::of(ratios);
        println!("  ratio: {ratio} (target: at least 0.5)");
        result[format!("ratio_{clients}")] = ratio.json();
    }
    result
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
