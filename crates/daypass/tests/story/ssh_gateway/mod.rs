//! SSH through the gateway: real OpenSSH in front of it, a real sshd behind it. People come with their own keys, with certificates that
//! open nothing but the gateway, and with passwords; they are recorded, and cut off when their access ends.

mod certificate;
mod gate;
mod keys;
mod sessions;

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use gate::Gate;

use crate::running::ends_with;

#[test]
fn a_password_opens_it_for_its_owner_and_files_are_files() {
    let gate = Gate::open();
    let house = &gate.house;
    let credential = house.run("ana", &["session", "credential"]);
    let secret = credential["secret"].as_str().unwrap().to_owned();
    house.write("ask", &format!("#!/bin/sh\necho {secret}\n"));
    std::fs::set_permissions(house.file("ask"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let with = |user: &str, command: &str| {
        let known = format!("UserKnownHostsFile={}", house.file("known_hosts").display());
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", &known, "-o", "PubkeyAuthentication=no"])
            .args(["-o", "NumberOfPasswordPrompts=1", "-p", &gate.port.to_string()])
            .args(["-l", user, "127.0.0.1", command])
            .env("SSH_ASKPASS", house.file("ask"))
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::null());
        ssh
    };
    let (out, _) = ends_with(&mut with("ana:web-1/shell", "echo by password"), 0);
    assert_eq!(out, "by password\n");
    for other in [
        "bo:web-1/shell",
        "nobody:web-1/shell",
        "web-1/shell",
        ":web-1/shell",
    ] {
        let (_, told) = ends_with(&mut with(other, "true"), 255);
        assert!(told.contains("denied"), "{other}: {told}");
    }
    // A role that allows files allows no command, and where rules say from where, here is not there.
    let (_, told) = ends_with(&mut with("ana:web-1/files", "true"), 255);
    assert!(told.contains("exec request failed"), "{told}");
    let (_, told) = ends_with(&mut with("ana:web-1/afar", "true"), 255);
    assert!(told.contains("from where you are"), "{told}");
    let told = house.run("dee", &["doctor"]);
    assert!(told.to_string().contains("gateway ssh"), "{told}");
}

#[test]
fn a_command_runs_on_each_host_of_a_grant() {
    let gate = Gate::open();
    let house = &gate.house;
    house.take("pair/shell", "10m", &["--wait"]);
    let on = |more: &[&str], code: i32| {
        let args = [
            &["exec", "pair/shell", "--login", gate.sshd.user(), "-o", "json"],
            more,
        ]
        .concat();
        let (out, _) = ends_with(&mut house.cli("ana", &args), code);
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let ran = on(&["--", "echo", "on it's", ";", "true"], 0);
    let hosts: Vec<_> = ran.as_array().unwrap().iter().map(|one| &one["host"]).collect();
    assert_eq!(hosts, ["127.0.0.1", "localhost"]);
    assert!(
        ran.as_array().unwrap().iter().all(|one| one["exit"] == 0),
        "{ran}"
    );
    let ran = on(&["--host", "localhost", "--", "exit 4"], 1);
    assert_eq!((ran.as_array().unwrap().len(), &ran[0]["exit"]), (1, &json!(4)));
    let said = [
        "exec",
        "pair/shell",
        "--login",
        gate.sshd.user(),
        "--",
        "echo hello",
    ];
    let mut said = house.cli("ana", &said);
    let (_, told) = ends_with(&mut said, 0);
    assert!(told.contains("localhost │ hello"), "{told}");

    // Several users and hosts: with a key of one's own, which is meant must be said.
    let key = gate.own_key("ana");
    let told = gate.turned_away(&key, "pair/shell");
    assert!(told.contains("opens several users"), "{told}");
    let user = gate.sshd.user();
    let told = gate.turned_away(&key, &format!("pair/shell+{user}"));
    assert!(told.contains("has several hosts"), "{told}");
    let out = gate.says(&key, &format!("pair/shell+{user}@localhost"), "echo meant");
    assert_eq!(out, "meant\n");
}
