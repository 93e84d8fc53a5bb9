//! What goes on in sessions: asked for by connecting, recorded, and cut off when the access ends.

use std::process::Stdio;

use serde_json::{Value, json};

use super::gate::{Gate, err};
use crate::gateway::{replay, sessions};
use crate::running::{ends_with, text};

#[test]
fn who_comes_with_their_own_key_asks_by_connecting_is_recorded_and_cut() {
    let gate = Gate::open();
    let house = &gate.house;
    let key = gate.own_key("ana");

    // Nobody has to agree to this.
    assert_eq!(gate.says(&key, "web-1/shell", "echo in"), "in\n");

    // Bo has to agree to this; who waits is told whom it waits for.
    let mut waiting = gate.ssh(&key, "web-1/admin");
    let waiting = waiting
        .args(["-tt", "echo shown; exit 3"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let request = gate.waiting();
    house.run("bo", &["approve", &request]);
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(err(&output).contains("Daypass: asking"), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("shown"),
        "{output:?}"
    );

    let grant = all_of_it_is_recorded(&gate);

    // Both roles are held now; which is meant must be said, as must be what there is none of.
    for (target, why) in [
        ("web-1", "several roles"),
        ("web-1/shell+elsewhere", "does not open that user"),
        ("web-1/shell@elsewhere", "has no such host"),
        ("nothing", "daypass ls"),
        ("orders-prod/read", "daypass ls"),
        ("bo:web-1/shell", "denied"),
    ] {
        let told = gate.turned_away(&key, target);
        assert!(told.contains(why), "{target}: {told}");
    }

    // All sessions of a grant at once.
    let (mut one, mut two) = (gate.held(&key, "web-1/admin"), gate.held(&key, "web-1/admin"));
    let ended = house.run("ana", &["session", "kill", "--grant", &grant, "--reason", "both"]);
    assert_eq!(ended.as_array().unwrap().len(), 2, "{ended}");
    assert!(!one.wait().unwrap().success() && !two.wait().unwrap().success());

    // The end of the grant is the end of its sessions.
    let held = gate.held(&key, "web-1/admin");
    let metrics = house.api("dee").get("/metrics").body;
    assert!(
        metrics.contains("daypass_gateway_sessions{protocol=\"ssh\"} 1"),
        "{metrics}"
    );
    house.run("admin", &["revoke", &grant, "--reason", "enough"]);
    let output = held.wait_with_output().unwrap();
    assert!(err(&output).contains("Daypass ended this session"), "{output:?}");
    assert!(err(&output).contains("enough"), "{output:?}");
    gate.sync();
    house.until_state(&grant, "ended");
    let told = gate.turned_away(&key, "web-1/admin");
    assert!(told.contains("a moment ago"), "{told}");

    // Locked, what goes on ends, and nobody comes in.
    let held = gate.held(&key, "web-1/shell");
    house.run("admin", &["lock", "ana", "--reason", "laptop stolen"]);
    let output = held.wait_with_output().unwrap();
    assert!(err(&output).contains("Daypass ended this session"), "{output:?}");
    let told = gate.turned_away(&key, "web-1/shell");
    assert!(told.contains("lock"), "{told}");
}

/// All of the admin's session stands in the recording, in every form. Gives its grant.
fn all_of_it_is_recorded(gate: &Gate) -> String {
    let house = &gate.house;
    let all = sessions(house, &[]);
    let admin = all.iter().find(|one| one["item"]["role"] == "admin");
    let admin = admin.unwrap_or_else(|| panic!("{all:?}"));
    assert_eq!(
        (&admin["holder"], &admin["protocol"]),
        (&json!("ana"), &json!("ssh"))
    );
    assert_eq!(admin["place"], format!("{}@127.0.0.1", gate.sshd.user()));
    let keys = house.run("ana", &["ssh-key", "ls"]);
    assert_eq!(admin["credential"], keys[0]["id"]);
    let id = admin["id"].as_str().unwrap().to_owned();
    let lines = replay(house, &id);
    let has = |kind: &str, key: &str, text: &str| {
        lines
            .iter()
            .any(|line| line["kind"] == kind && line[key].as_str().is_some_and(|said| said.contains(text)))
    };
    assert!(has("exec", "command", "echo shown; exit 3"), "{lines:?}");
    assert!(has("output", "text", "shown"), "{lines:?}");
    let (told, _) = ends_with(&mut house.cli("dee", &["session", "replay", &id]), 0);
    assert!(
        told.contains("echo shown; exit 3") && told.contains("ended with 3"),
        "{told}"
    );
    let grant = admin["grant"].as_str().unwrap();
    let (out, _) = ends_with(
        &mut house.cli("dee", &["session", "replay", "--grant", grant, "-o", "json"]),
        0,
    );
    let whose: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(whose.len(), lines.len());
    assert!(whose.iter().all(|line| line["session"] == id.as_str()), "{out}");
    house.fails("ana", &["session", "replay", &id], 3);
    let found = house.run("dee", &["session", "replay", &id, "--search", "SHOWN"]);
    assert!(
        found.as_array().unwrap().len() >= 2,
        "the command, and what it showed: {found}"
    );
    let cast = house.file("out.cast");
    let write = ["session", "replay", &id, "--asciicast", cast.to_str().unwrap()];
    ends_with(&mut house.cli("dee", &write), 0);
    let cast = text(&cast);
    assert!(cast.contains("\"version\":3") && cast.contains("shown"), "{cast}");
    grant.to_owned()
}
