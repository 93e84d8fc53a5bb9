//! No secret is where it does not belong: passwords, tokens, the connector's own password and a grant's are looked for in
//! everything that the server says and in the arguments and variables of `psql`.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use daypass_testbed::wait;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

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

/// `daypass connect` with a `psql` that stays, in the middle of a query.
struct Connected {
    connect: Child,
    runtime: TempDir,
    /// The password that this session was given.
    password: String,
    /// The arguments and variables of both processes.
    seen: String,
}

impl Connected {
    fn start(house: &House) -> Self {
        let runtime = tempfile::tempdir().unwrap();
        let sleep = [
            "connect",
            "orders-prod/read",
            "--",
            "-X",
            "-c",
            "select pg_sleep(300)",
        ];
        let mut connect = house.cli("ana", &sleep);
        connect
            .env("XDG_RUNTIME_DIR", runtime.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let connect = connect.spawn().unwrap();
        let psql = wait::until("psql", PATIENCE, || Ok(psql_of(connect.id()))).unwrap();
        let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'select pg_sleep%' AND usename LIKE 'daypass\\_%'";
        house.target.until(sleeping, "1");
        let password_file = read(&psql.join("environ"))
            .lines()
            .find_map(|line| line.strip_prefix("PGPASSFILE=").map(PathBuf::from))
            .expect("libpq is told a password file");
        let password = read(&password_file)
            .trim_end()
            .rsplit(':')
            .next()
            .unwrap()
            .to_owned();
        assert!(password.len() > 20, "a password was found");
        let own = Path::new("/proc").join(connect.id().to_string());
        let seen = [&psql, &own].map(|process| command_line(process) + &read(&process.join("environ")));
        assert!(seen[0].contains("pg_sleep") && seen[1].contains("connect"));
        Self {
            connect,
            runtime,
            password,
            seen: seen.concat(),
        }
    }

    /// Waits until its session is cut; nothing of it is left then.
    fn until_cut(mut self) {
        assert!(!self.connect.wait().unwrap().success(), "its session was cut");
        let left: Vec<_> = std::fs::read_dir(self.runtime.path())
            .unwrap()
            .flatten()
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Two logins that fail, with passwords that are canaries; the problems that come of them.
fn failed_logins(house: &House, secrets: &mut Vec<String>) -> [String; 2] {
    let [wrong, misplaced] = ["a wrong canary", "a misplaced canary"];
    secrets.extend([wrong, misplaced].map(str::to_owned));
    let nobody = house.nobody();
    let first = nobody.post("/api/v1/login", &json!({"login": "ana", "password": wrong}));
    assert_eq!(first.problem(), "urn:daypass:login-failed");
    let second = nobody.post("/api/v1/login", &json!({"login": "ana", "pasword": misplaced}));
    assert_eq!(second.problem(), "urn:daypass:invalid");
    [first.body, second.body]
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
    let connected = Connected::start(&house);
    secrets.push(connected.password.clone());
    let seen = connected.seen.clone();
    let problems = failed_logins(&house, &mut secrets).concat();
    house.run("ana", &["release", &grant]);
    house.until_state(&grant, "ended");
    connected.until_cut();

    let events = serde_json::to_string(&house.audit(&[])).unwrap();
    let metrics = house.nobody().get("/metrics").body;
    let target = house.target.postgres.log().unwrap();
    let log = house.end(Signal::TERM);
    assert!(log.contains("DEBUG"), "more than usual was asked for");
    for (place, text) in [
        ("the arguments and variables of connect and psql", seen),
        ("a problem", problems),
        ("the events", events),
        ("the metrics", metrics),
        ("the server's log", log),
        ("the target's log", target),
    ] {
        assert!(!text.is_empty(), "{place}");
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{secret} is in {place}");
        }
    }
}
