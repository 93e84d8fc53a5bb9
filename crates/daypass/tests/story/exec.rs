//! `exec`: a command with a real role of PostgreSQL, which goes when the command ends, whatever ended it.

use rustix::process::Signal;
use serde_json::Value;

use crate::house::{House, Settings, Store, ended_as_seen};
use crate::running::{Running, ends_with};

const EXEC: [&str; 6] = ["exec", "orders-prod/read", "--for", "10m", "--reason", "PAY-7"];

fn house() -> House {
    House::open(&Settings::on(Store::Sqlite))
}

/// The command line that runs this in a shell.
fn shell<'a>(more: &[&'a str], script: &'a str) -> Vec<&'a str> {
    [&EXEC[..], more, &["--", "/bin/sh", "-c", script]].concat()
}

/// The newest grant that there is.
fn newest(house: &House) -> Option<String> {
    let grants = house.api("dee").get("/api/v1/grants").of(200);
    let newest: &Value = grants["items"].as_array().unwrap().first()?;
    Some(newest["id"].as_str().unwrap().to_owned())
}

#[track_caller]
fn is_released(house: &House, grant: &str) {
    let ended = house.until_state(grant, "ended");
    assert_eq!(ended["ended_reason"], "released");
    ended_as_seen(&ended);
    assert_eq!(house.target.roles(), Vec::<String>::new());
}

#[test]
fn the_command_has_the_access_and_gives_it_back() {
    let house = house();
    let script = "psql -XAtc 'SELECT count(*) FROM orders' && psql -XAtc 'SELECT current_user'; exit 3";
    let (out, err) = ends_with(&mut house.cli("ana", &shell(&[], script)), 3);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 2, "{out}{err}");
    assert!(lines[0] == "2" && lines[1].starts_with("daypass_"), "{out}{err}");
    is_released(&house, &newest(&house).unwrap());
    // One that a signal ends, and one that writes its surroundings: no password is in them.
    ends_with(&mut house.cli("ana", &shell(&[], "kill -9 $$")), 137);
    is_released(&house, &newest(&house).unwrap());
    let script = "env; cat \"$PGPASSFILE\" | cut -d: -f5";
    let (out, _) = ends_with(&mut house.cli("ana", &shell(&[], script)), 0);
    let password = out.lines().last().unwrap();
    assert_eq!(out.matches(password).count(), 1, "in the file alone");
}

#[test]
fn what_was_held_before_stays_unless_it_is_said() {
    let house = house();
    let grant = house.take("orders-prod/read", "10m", &[]);
    house.until_state(&grant, "active");
    ends_with(&mut house.cli("ana", &shell(&[], "psql -XAtc 'SELECT 1'")), 0);
    assert_eq!(house.grant(&grant)["state"], "active");
    assert_eq!(
        newest(&house).as_deref(),
        Some(grant.as_str()),
        "nothing else was asked for"
    );
    ends_with(&mut house.cli("ana", &shell(&["--release"], "exit 0")), 0);
    is_released(&house, &grant);
}

#[test]
fn what_could_not_run_asks_nobody() {
    let house = house();
    let missing = [&EXEC[..], &["--", "no-such-command"]].concat();
    let said = house.fails("ana", &missing, 125);
    assert!(said.contains("no-such-command"), "{said}");
    let unknown = ["exec", "nothing/read", "--reason", "x", "--", "/bin/true"];
    house.fails("ana", &unknown, 125);
    let unreasoned = ["exec", "orders-prod/read", "--no-input", "--", "/bin/true"];
    house.fails("ana", &unreasoned, 125);
    let forbidden = ["exec", "orders-prod/read", "--reason", "x", "--", "/bin/true"];
    house.fails("cy", &forbidden, 125);
    assert_eq!(newest(&house), None);
}

#[test]
fn a_signal_is_passed_on_and_the_access_is_given_back() {
    let house = house();
    for (signal, name) in [(Signal::TERM, "TERM"), (Signal::INT, "INT"), (Signal::HUP, "HUP")] {
        let script = format!("trap 'echo told; exit 9' {name}; echo ready; while :; do sleep 0.1; done");
        let mut running = Running::start(house.cli("ana", &shell(&[], &script)));
        running.says("ready");
        let (status, told) = running.stop(signal);
        assert_eq!(status.code(), Some(9), "{told}");
        assert!(told.contains("told"), "{told}");
        is_released(&house, &newest(&house).unwrap());
    }
}

#[test]
fn who_is_told_to_end_while_waiting_takes_the_question_back() {
    let house = house();
    let ask = [
        "exec",
        "orders-prod/write",
        "--reason",
        "PAY-7",
        "--",
        "/bin/true",
    ];
    let mut running = Running::start(house.cli("ana", &ask));
    running.says("waiting for");
    let (status, told) = running.stop(Signal::TERM);
    assert_eq!(status.code(), Some(125), "{told}");
    let withdrawn = || {
        let requests = house.api("dee").get("/api/v1/requests").of(200);
        let all = requests["items"].as_array().unwrap().iter();
        all.filter(|request| request["state"] == "withdrawn").count()
    };
    assert_eq!(withdrawn(), 1);
    let in_vain = [&ask[..4], &["--wait", "1s"], &ask[4..]].concat();
    let said = house.fails("ana", &in_vain, 125);
    assert!(said.contains("taken back"), "{said}");
    assert_eq!(withdrawn(), 2);
}

#[test]
fn a_command_does_not_outlive_its_access() {
    let house = house();
    let script = "trap '' TERM; echo ready; while :; do sleep 0.1; done";
    let mut running = Running::start(house.cli("ana", &shell(&[], script)));
    running.says("ready");
    let grant = newest(&house).unwrap();
    house.run("admin", &["revoke", &grant, "--reason", "wrong database"]);
    running.says("the access is over (revoked)");
    // It does not listen; nothing but the end of its time ends it now.
    let (status, told) = running.stop(Signal::INT);
    assert_eq!(status.code(), Some(7), "{told}");
    assert_eq!(house.until_state(&grant, "ended")["ended_reason"], "revoked");
}

#[test]
fn a_server_that_is_away_is_told_with_the_time_at_which_it_ends() {
    let mut house = house();
    let go = house.file("go");
    let script = format!(
        "echo ready; while [ ! -e {} ]; do sleep 0.1; done; exit 4",
        go.display()
    );
    let mut running = Running::start(house.cli("ana", &shell(&[], &script)));
    running.says("ready");
    let grant = newest(&house).unwrap();
    house.kill();
    house.write("go", "");
    running.says("it ends by itself at ");
    house.serve();
    assert_eq!(house.grant(&grant)["state"], "active", "nothing was given back");
}
