//! A program of the operator's own as the target: asked, there, ended, with nothing of its secrets in any sink.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::process::Signal;

use crate::house::{House, Settings, Store, ended_as_seen, names};
use crate::running::ends_with;

/// What no sink may ever hold.
const CANARY: &str = "canary-81c2-of-a-program";

/// Beside the policy of every house, and that of the users' page.
const POLICY: &str = "version: 1
connectors:
  - {name: broken, kind: command, config: {program: broken}}
resources:
  - {name: badges, kind: command, connector: broken, labels: {env: production}, roles: {door: {}}}
rules:
  - {name: own, allow: engineers, to: {resource: badges}, approval: none, max: 1h}
";

/// The policy that the users' page begins with.
fn documented() -> String {
    let page = include_str!("../../../../docs/providers/command.md");
    let (_, after) = page.split_once("```yaml\nconnectors:").unwrap();
    format!("version: 1\nconnectors:{}", after.split_once("```").unwrap().0)
}

fn house() -> House {
    let mut house = House::build(&Settings::on(Store::Sqlite));
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/command/user-list.sh");
    std::fs::copy(example, house.file("user-list")).unwrap();
    let broken = "#!/bin/sh\ncat >&2\necho \"401 for the token $TOKEN\" >&2\nexit 77\n";
    house.write("broken", broken);
    for program in ["user-list", "broken"] {
        std::fs::set_permissions(house.file(program), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    std::fs::create_dir(house.file("lists")).unwrap();
    house.secret("token", CANARY);
    let config = std::fs::read_to_string(house.file("server.yaml")).unwrap();
    let config = config.replace("secrets:\n", "secrets:\n  token: {file: secrets/token}\n");
    let folder = house.file("").canonicalize().unwrap();
    let folder = folder.display();
    let programs = format!(
        "programs:\n  user-list: {{path: {folder}/user-list, args: [{folder}/lists]}}\n  \
         broken: {{path: {folder}/broken, secrets: [token], env_secrets: {{TOKEN: token}}}}\n"
    );
    house.write("server.yaml", &(config + &programs));
    house.write("policy/lists.yaml", &documented());
    house.write("policy/programs.yaml", POLICY);
    house.serve();
    house.move_in();
    house
}

/// Who is in the list.
fn operators(house: &House) -> Vec<String> {
    let text = std::fs::read_to_string(house.file("lists/operators")).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_program_gives_access_and_takes_it_away() {
    let mut house = house();
    house.write("lists/operators", "root\n");
    let short = house.take("build-host/operator", "10m", &["--wait"]);
    let long = house.take("build-host/operator", "20m", &["--wait"]);
    assert_eq!(operators(&house), ["root", "ana"]);

    let path = format!("/api/v1/grants/{short}/credentials");
    let refused = house.api("ana").post(&path, &serde_json::json!({}));
    assert!(refused.problem().contains("invalid"), "{}", refused.problem());

    house.run("ana", &["release", &short]);
    house.until_state(&short, "ended");
    assert_eq!(operators(&house), ["root", "ana"], "another grant holds it");
    // With the server gone in between.
    house.kill();
    house.serve();
    house.run("ana", &["release", &long]);
    let ended = house.until_state(&long, "ended");
    ended_as_seen(&ended);
    assert_eq!(operators(&house), ["root"]);

    let deadline = house.take("build-host/operator", "2s", &["--wait"]);
    assert_eq!(operators(&house), ["root", "ana"]);
    ended_as_seen(&house.until_state(&deadline, "ended"));
    assert_eq!(operators(&house), ["root"]);
    let trail = house.audit(&[]);
    assert!(!names(&trail).contains(&"grant.credential_issued"));
}

#[test]
fn what_a_broken_program_says_is_told_without_its_secrets() {
    let mut house = house();
    house.take("badges/door", "10m", &[]);
    let mut events = house.api("dee").events();
    while !names(&house.audit(&[])).contains(&"entitlement.failing") {
        events.next();
    }
    let (trail, _) = ends_with(&mut house.cli("dee", &["audit", "ls", "--limit", "1000"]), 0);
    assert!(trail.contains("401 for the token [secret]"), "{trail}");
    let connectors = house.api("dee").get("/api/v1/connectors").of(200).to_string();
    assert!(connectors.contains("denied"), "{connectors}");
    let told = house.end(Signal::TERM);
    for sink in [trail, connectors, told] {
        assert!(!sink.contains("canary"), "{sink}");
    }
    let database = std::fs::read(house.file("data/story.sqlite")).unwrap();
    assert!(!String::from_utf8_lossy(&database).contains(CANARY));
}
