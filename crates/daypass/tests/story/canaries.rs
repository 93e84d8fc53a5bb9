//! No secret is where it does not belong: passwords, tokens, the connector's own password and a grant's are looked for in
//! everything that the server says and in the arguments and variables of `psql`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use daypass_testbed::wait;
use rustix::process::Signal;
use serde_json::json;

use crate::house::{House, Settings, Store};
use crate::running::PATIENCE;
use crate::target::ADMIN_PASSWORD;

/// The child of a process that runs `psql`, once there is one.
fn psql_of(parent: u32) -> Option<PathBuf> {
    let processes = std::fs::read_dir("/proc").ok()?;
    processes.flatten().map(|entry| entry.path()).find(|process| {
        let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
        let parent_of = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split(' ').nth(2))
            .map(str::to_owned);
        parent_of == Some(parent.to_string()) && command_line(process).contains("pg_sleep")
    })
}

fn command_line(process: &Path) -> String {
    read(&process.join("cmdline"))
}

fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', "\n")
}

#[test]
fn secrets_are_nowhere_but_where_they_belong() {
    let mut house = House::open(&Settings {
        more: "log: {level: trace}",
        ..Settings::on(Store::Sqlite)
    });
    let grant = house.take("orders-prod/read", "10m", &["--wait"]);
    let shown = house.credentials(&grant);
    let mut secrets: Vec<String> = house.passwords.values().cloned().collect();
    secrets.extend(["admin", "ana", "bo", "cy", "dee"].map(|login| house.token(login)));
    secrets.push(ADMIN_PASSWORD.to_owned());
    secrets.push(shown["secret"].as_str().unwrap().to_owned());

    let runtime = tempfile::tempdir().unwrap();
    let mut connect = house.cli(
        "ana",
        &[
            "connect",
            "orders-prod/read",
            "--",
            "-X",
            "-c",
            "select pg_sleep(300)",
        ],
    );
    connect
        .env("XDG_RUNTIME_DIR", runtime.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut connect = connect.spawn().unwrap();
    let psql = wait::until("psql", PATIENCE, || Ok(psql_of(connect.id()))).unwrap();
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'select pg_sleep%' AND usename LIKE 'daypass\\_%'";
    house.target.until(sleeping, "1");
    let password_file = read(&psql.join("environ"))
        .lines()
        .find_map(|line| line.strip_prefix("PGPASSFILE=").map(PathBuf::from))
        .expect("libpq is told a password file");
    let of_this_session = read(&password_file)
        .trim_end()
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    assert!(of_this_session.len() > 20, "a password was found");
    secrets.push(of_this_session);
    let seen = command_line(&psql) + &read(&psql.join("environ"));
    let own = Path::new("/proc").join(connect.id().to_string());
    let own = read(&own.join("cmdline")) + &read(&own.join("environ"));
    assert!(seen.contains("pg_sleep") && own.contains("connect"));

    let wrong = house.nobody().post(
        "/api/v1/login",
        &json!({"login": "ana", "password": "a wrong canary"}),
    );
    assert_eq!(wrong.problem(), "urn:daypass:login-failed");
    secrets.push("a wrong canary".to_owned());
    let malformed = house.nobody().post(
        "/api/v1/login",
        &json!({"login": "ana", "pasword": "a misplaced canary"}),
    );
    secrets.push("a misplaced canary".to_owned());
    let events = serde_json::to_string(&house.audit(&[])).unwrap();
    let metrics = house.nobody().get("/metrics").body;
    house.run("ana", &["release", &grant]);
    house.until_state(&grant, "ended");
    assert!(!connect.wait().unwrap().success(), "its session was cut");
    let left: Vec<_> = std::fs::read_dir(runtime.path()).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    let target = house.target.postgres.log().unwrap();
    let log = house.end(Signal::TERM);
    assert!(
        log.contains("TRACE") || log.contains("DEBUG"),
        "all of it was asked for"
    );

    for (place, text) in [
        ("the arguments and variables of psql", &seen),
        ("those of daypass connect", &own),
        ("the problem of a wrong login", &wrong.body),
        ("the problem of a malformed one", &malformed.body),
        ("the events", &events),
        ("the metrics", &metrics),
        ("the server's log", &log),
        ("the target's log", &target),
    ] {
        assert!(!text.is_empty() || place == "the target's log", "{place}");
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{secret} is in {place}");
        }
    }
}
