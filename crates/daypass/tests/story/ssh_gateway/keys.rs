//! Who comes with a key of their own: it counts for its owner alone, and while it is theirs.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::json;

use super::gate::Gate;
use crate::house::House;
use crate::running::{ends_with, text};

/// What somebody signs who adds a key of their own.
fn signed(house: &House, key: &str, said: &str) -> String {
    house.write("said", said);
    let mut sign = Command::new("ssh-keygen");
    sign.args(["-q", "-Y", "sign", "-n", "ssh-key@daypass", "-f"])
        .arg(house.file(key));
    ends_with(sign.arg(house.file("said")), 0);
    text(&house.file("said.sig"))
}

#[test]
fn only_the_key_that_signs_counts_and_only_while_it_is_its_owners() {
    let gate = Gate::open();
    let house = &gate.house;
    let key = gate.own_key("ana");
    assert_eq!(gate.says(&key, "web-1/shell", "echo in"), "in\n");

    // A key that nobody has added.
    let stranger = gate.key("stranger");
    let told = gate.turned_away(&stranger, "web-1/shell");
    assert!(told.contains("denied"), "{told}");
    std::fs::copy(house.file("key-ana.pub"), house.file("alone.pub")).unwrap();
    // Ana's public key, offered by who does not have it: it is not signed with.
    let offered = house.file("offered");
    std::fs::copy(&stranger, &offered).unwrap();
    std::fs::set_permissions(&offered, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::copy(house.file("key-ana.pub"), house.file("offered.pub")).unwrap();
    let told = gate.turned_away(&offered, "web-1/shell");
    assert!(told.contains("denied"), "{told}");
    // A key is added by who has its private half, and for themselves.
    let told = house.fails(
        "bo",
        &["ssh-key", "add", house.file("alone.pub").to_str().unwrap()],
        1,
    );
    assert!(told.contains("cannot sign"), "{told}");
    let new = |signature: &str| {
        let line = std::fs::read_to_string(house.file("stranger.pub")).unwrap();
        json!({"name": "x", "public_key": line, "signature": signature, "expires_in": "1d"})
    };
    let bo = house.run("bo", &["whoami"])["person"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let for_another = signed(house, "stranger", &format!("a key of {bo}"));
    for (login, signature, status) in [
        ("ana", for_another.as_str(), 400),
        ("ana", "", 400),
        ("bo", for_another.as_str(), 201),
    ] {
        let answer = house.api(login).post("/api/v1/gateway/ssh-keys", &new(signature));
        assert_eq!(answer.status, status, "{login}: {}", answer.body);
    }
    // It is one person's.
    let public = format!("{}.pub", key.display());
    let told = house.fails("bo", &["ssh-key", "add", &public], 1);
    assert!(told.contains("somebody else's"), "{told}");
    // What is none is none, and a private key is not sent.
    let told = house.fails("ana", &["ssh-key", "add", key.to_str().unwrap()], 2);
    assert!(told.contains("private key"), "{told}");

    // Somebody else comes as themselves.
    let bo = gate.own_key("bo");
    let told = gate.turned_away(&bo, "web-1/shell");
    assert!(told.contains("no rule lets bo have web-1/shell"), "{told}");

    // In the list like other credentials, and gone once it is taken out.
    let keys = house.run("ana", &["ssh-key", "ls"]);
    let fingerprint = keys[0]["fingerprint"].as_str().unwrap().to_owned();
    let (shown, _) = ends_with(Command::new("ssh-keygen").arg("-lf").arg(&public), 0);
    assert!(shown.contains(&fingerprint), "{shown} {keys}");
    let listed = house.run("ana", &["token", "ls"]);
    let listed = listed.as_array().unwrap();
    assert!(listed.iter().any(|one| one["via"] == "ssh-key"), "{listed:?}");
    ends_with(&mut house.cli("ana", &["ssh-key", "rm", &fingerprint]), 0);
    let told = gate.turned_away(&key, "web-1/shell");
    assert!(told.contains("denied"), "{told}");
    let added = house.audit(&[]);
    let count = |name: &str| added.iter().filter(|event| event["name"] == name).count();
    assert!(count("person.token_issued") >= 2 && count("person.token_revoked") >= 1);
}
