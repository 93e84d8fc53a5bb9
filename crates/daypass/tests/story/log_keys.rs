//! The log's key is rotated by an operator whose server is killed after every step, and nobody who has only the former key is lost.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use daypass_testbed::wait;

use crate::house::{House, Settings, Store, names, on_both_stores};
use crate::running::{PATIENCE, ends_with};

on_both_stores!(the_former_key_leads_to_the_present_one);

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The proof of a grant, once the last of what happened to it is signed.
#[track_caller]
fn proof(house: &House, grant: &str, file: &str) {
    wait::until("the proof", PATIENCE, || {
        let done = house.cli("dee", &["audit", "proof", grant, "-f", file]).output();
        Ok(done.is_ok_and(|output| output.status.success()).then_some(()))
    })
    .unwrap();
}

fn again(house: &mut House) {
    house.kill();
    house.serve();
}

#[track_caller]
fn rotate(house: &House, more: &[&str]) -> String {
    let args = [&["keys", "rotate", "log"], more].concat();
    ends_with(&mut house.as_admin(&args), 0).0
}

#[track_caller]
fn verifies(house: &House, args: &[&str]) -> String {
    let args = [&["audit", "verify"], args].concat();
    let (shown, said) = ends_with(&mut house.cli("dee", &args), 0);
    format!("{shown}{said}")
}

/// What the page for auditors tells a stranger to run.
#[track_caller]
fn python(house: &House, proof: &str, key: &str, code: i32) -> Option<String> {
    if !["python3", "openssl"]
        .iter()
        .all(|tool| Command::new(tool).arg("--help").output().is_ok())
    {
        eprintln!("no python3 or no openssl here: the page's commands are not run");
        return None;
    }
    let page = include_str!("../../../../docs/audit.md");
    let script = page
        .split("```python\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    house.write("verify.py", script);
    let mut command = Command::new("python3");
    let (shown, said) = ends_with(command.arg(house.file("verify.py")).args([proof, key]), code);
    Some(format!("{shown}{said}"))
}

fn the_former_key_leads_to_the_present_one(store: Store) {
    let mut house = House::open(&Settings {
        more: "reconcile: {overdue_after: 1s, backoff_max: 2s}\nsigning_key: {file: secrets/log-key}",
        ..Settings::on(store)
    });
    let public = text(&house.file("secrets/log-key.pub"));
    let former = text(&house.file("former.pub"));
    std::fs::copy(&public, &former).unwrap();
    let config = text(&house.file("server.yaml"));
    let (march, log) = (text(&house.file("march")), text(&house.file("log")));
    let grant = house.take("orders-prod/read", "10m", &[]);
    house.until_state(&grant, "active");
    proof(&house, &grant, &text(&house.file("before.json")));
    ends_with(&mut house.cli("dee", &["audit", "export", "--dir", &march]), 0);
    let march = format!("{march}/checkpoint");
    house.looks_again("bo");
    house.run("bo", &["status"]);
    both_sign(&mut house, &config, (&former, &public));

    // The end of it.
    let said = rotate(&house, &["--now"]);
    assert!(said.contains("alone"), "{said}");
    again(&mut house);
    let after = house.take("orders-prod/read", "10m", &[]);
    house.until_state(&after, "active");
    let shown = text(&house.file("after.json"));
    proof(&house, &after, &shown);
    let led = |said: String| {
        assert!(
            said.contains("announced") && said.contains("was rotated"),
            "{said}"
        )
    };
    led(verifies(&house, &["--key", &former, "--seen", &march]));
    led(verifies(&house, &[&shown, "--key", &former]));
    led(verifies(&house, &["--config", &config, "--key", &former]));
    for what in [
        vec!["--key", &public],
        vec![&shown, "--key", &public],
        vec!["--config", &config, "--key", &public],
    ] {
        let said = verifies(&house, &what);
        assert!(!said.contains("was rotated"), "{said}");
    }
    ends_with(&mut house.cli("dee", &["audit", "export", "--dir", &log]), 0);
    led(verifies(&house, &[&log, "--key", &former]));
    python(&house, &shown, &public, 0);
    if let Some(said) = python(&house, &shown, &former, 1) {
        assert!(
            said.contains("was rotated") && said.contains("from the operator"),
            "{said}"
        );
    }
    // Both keys in one file: also for what either signed.
    let both = format!(
        "{}{}",
        std::fs::read_to_string(&former).unwrap(),
        std::fs::read_to_string(&public).unwrap()
    );
    house.write("both.pub", &both);
    verifies(
        &house,
        &["--key", &text(&house.file("both.pub")), "--seen", &march],
    );

    unproved(&house, &log, (&former, &shown));
    pins_follow(&house, (&former, &public));
    twice_in_three_steps(&house);
}

fn twice_in_three_steps(house: &House) {
    let trail = house.audit(&[]);
    let mut steps: Vec<_> = names(&trail)
        .into_iter()
        .filter(|name| name.starts_with("key."))
        .collect();
    steps.sort_unstable();
    assert_eq!(
        steps,
        [
            "key.changed",
            "key.changed",
            "key.staged",
            "key.staged",
            "key.withdrawn",
            "key.withdrawn"
        ]
    );
}

fn key(file: &str) -> String {
    std::fs::read_to_string(file).unwrap().trim_end().to_owned()
}

/// Each client goes by the key that it saw first: from there to the present one, whether it looked while both signed or long after; and
/// never from one that was stolen.
fn pins_follow(house: &House, (former, public): (&str, &str)) {
    let bo = house.pin("bo");
    assert_eq!(bo["log"]["key"], key(former), "bo looked before");
    for login in ["bo", "cy"] {
        house.looks_again(login);
        let (_, said) = ends_with(&mut house.cli(login, &["status"]), 0);
        assert_eq!(said.contains("was rotated"), login == "bo", "{said}");
        assert_eq!(house.pin(login)["log"]["key"], key(public));
    }
    rotate(house, &["--stolen"]);
    wait::until("the third key", PATIENCE, || {
        house.looks_again("bo");
        let ended = house.cli("bo", &["ls"]).output();
        let said = ended.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
        Ok(said
            .is_ok_and(|said| said.contains("nor by one that this key announced"))
            .then_some(()))
    })
    .unwrap();
    let ask = ["request", "orders-prod/read", "--for", "1m", "--reason", "PAY-9"];
    house.fails("bo", &ask, 10);
    let mut accept = house.cli(
        "bo",
        &["audit", "accept", "--reason", "stolen, said Dana", "--yes"],
    );
    ends_with(accept.args(["--key", public]), 0);
    house.looks_again("bo");
    let (_, said) = ends_with(&mut house.cli("bo", &["status"]), 0);
    assert!(!said.contains("announced"), "{said}");
}

/// The next key is announced, and becomes the log's; whoever has either sees nothing but a log in order.
fn both_sign(house: &mut House, config: &str, (former, public): (&str, &str)) {
    // Killed after each step; the next one is taken by itself.
    rotate(house, &[]);
    again(house);
    wait::until("the next key", Duration::from_secs(30), || {
        let listed = ends_with(&mut house.as_admin(&["keys", "ls"]), 0);
        Ok(format!("{}{}", listed.0, listed.1)
            .contains("which signs beside it")
            .then_some(()))
    })
    .unwrap();
    again(house);
    // Whoever has either key sees nothing but a log in order.
    let during = house.take("orders-prod/read", "10m", &[]);
    let shown = text(&house.file("during.json"));
    proof(house, &during, &shown);
    wait::until("the new public half", PATIENCE, || {
        Ok((std::fs::read(public).unwrap() != std::fs::read(former).unwrap()).then_some(()))
    })
    .unwrap();
    for key in [former, public] {
        verifies(house, &["--key", key]);
        verifies(house, &[&shown, "--key", key]);
        verifies(house, &["--config", config, "--key", key]);
        python(house, &shown, key, 0);
    }
    house.looks_again("cy");
    house.run("cy", &["status"]);
    assert_eq!(house.pin("cy")["log"]["key"], key(public), "gone over at once");
    let doctor = ends_with(&mut house.as_admin(&["doctor"]), 0);
    assert!(
        format!("{}{}", doctor.0, doctor.1).contains("keys rotate log --now"),
        "{doctor:?}"
    );
}

/// Without the announcement, or with another one, the former key leads nowhere.
fn unproved(house: &House, log: &str, (former, proof): (&str, &str)) {
    let file = Path::new(log).join("key-links.json");
    let links = std::fs::read_to_string(&file).unwrap();
    let key = std::fs::read_to_string(former).unwrap();
    let name = key.split('+').next().unwrap();
    let fails = |args: &[&str]| {
        let said = house.fails("nobody", &[&["audit", "verify"], args].concat(), 1);
        assert!(said.contains("is not signed by") && said.contains(name), "{said}");
    };
    let (before, after) = links.split_at(links.find("\"proof\"").unwrap());
    std::fs::write(&file, format!("{before}{}", after.replacen('A', "B", 1))).unwrap();
    if std::fs::read_to_string(&file).unwrap() != links {
        fails(&[log, "--key", former]);
    }
    std::fs::remove_file(&file).unwrap();
    fails(&[log, "--key", former]);
    let mut whole: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(proof).unwrap()).unwrap();
    whole["keys"] = serde_json::Value::Array(Vec::new());
    house.write("without.json", &whole.to_string());
    fails(&[&text(&house.file("without.json")), "--key", former]);
}
