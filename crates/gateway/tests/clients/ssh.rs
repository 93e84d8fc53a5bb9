//! What clients of SSH must see that are not OpenSSH's own: Go's library, paramiko, Ansible and rsync.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use daypass_gateway::control::{Reason, Which};
use daypass_gateway::ssh::event::Event;
use daypass_gateway::ssh::target::Place;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::install;
use crate::ssh_world::World;
use crate::world::{err, finish, for_a_while, now, out};

/// A client has to be through by then.
const LIMIT: Duration = Duration::from_secs(90);

/// A gateway that forwards to somebody who says back what they hear.
async fn world() -> (World, String, JoinHandle<()>) {
    let (port, echo) = World::echo().await;
    let world = World::allowing(|allowed| {
        allowed.forward = vec![Place {
            host: "127.0.0.1".to_owned(),
            port,
        }];
    })
    .await;
    (world, format!("127.0.0.1:{port}"), echo)
}

/// Runs a client to its end; its session is ended where it says so. What it saw comes back.
async fn check(mut command: Command, world: &World, echo: &str) -> BTreeMap<String, Value> {
    command
        .env("DAYPASS_PORT", world.port.to_string())
        .env("DAYPASS_USER", "web/ops")
        .env("DAYPASS_KEY", World::key_file("id"))
        .env("DAYPASS_OTHER", World::key_file("other"))
        .env("DAYPASS_KNOWN", world.path("known_hosts"))
        .env("DAYPASS_FOLDER", world.dir.path())
        .env("DAYPASS_ECHO", echo)
        .env_remove("SSH_AUTH_SOCK")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut stderr = child.stderr.take().unwrap();
    let said = tokio::spawn(async move {
        let mut words = String::new();
        let _ = stderr.read_to_string(&mut words).await;
        words
    });
    let mut saw = BTreeMap::new();
    let reading = async {
        let mut ended = None;
        while let Some(line) = lines.next_line().await.unwrap() {
            let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not a check: {line}"));
            let check = said["check"].as_str().unwrap().to_owned();
            match (check.as_str(), ended) {
                ("ending", _) => {
                    ended = Some(now());
                    world
                        .judge
                        .end(Which::Every, Reason::Revoked("bo: wrong ticket".to_owned()));
                }
                ("ended", Some(begun)) => {
                    let took = now().duration_since(begun);
                    assert!(took < Duration::from_secs(2), "{took:?}");
                }
                _ => {}
            }
            saw.insert(check, said["saw"].clone());
        }
    };
    let through = for_a_while(LIMIT, reading).await;
    if through.is_none() {
        panic!("it hangs, having seen {saw:?}");
    }
    let status = for_a_while(LIMIT, child.wait()).await.unwrap().unwrap();
    let words = said.await.unwrap();
    assert!(status.success(), "having seen {saw:?}: {words}");
    saw
}

fn seen(all: &[(&str, Value)]) -> BTreeMap<String, Value> {
    all.iter()
        .map(|(check, saw)| ((*check).to_owned(), saw.clone()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn go() {
    let (world, echo, _echo) = world().await;
    let saw = check(install::go("xssh").await, &world, &echo).await;
    let expected = seen(&[
        ("stranger", json!(true)),
        ("curve25519-sha256", json!(["out", 7])),
        ("mlkem768x25519-sha256", json!(["out", 7])),
        ("terminal", json!(true)),
        ("much", json!(16 << 20)),
        ("forward", json!("ping")),
        ("refused", json!(true)),
        ("listen", json!(true)),
        ("socket", json!(true)),
        ("ending", Value::Null),
        ("ended", json!(true)),
    ]);
    assert_eq!(saw, expected);
    let closings = world.judge.closings(world.judge.leases().len()).await;
    assert_eq!(closings.len(), 3);
    // Another place, a port and a socket there.
    assert_eq!(closings[2].counters.refused, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn paramiko() {
    let (world, echo, _echo) = world().await;
    let mut command = Command::new(install::venv("ssh").await.join("python"));
    command
        .arg("-B")
        .arg(install::folder("ssh").join("paramiko_client.py"));
    let saw = check(command, &world, &echo).await;
    let expected = seen(&[
        ("stranger", json!("refused")),
        ("exec", json!(["out", "err", 7])),
        ("terminal", json!(true)),
        ("files", json!([true, 3_000_000])),
        ("large", json!(64 << 20)),
        ("names", json!(true)),
        ("nothing", json!("not found")),
        ("forward", json!("ping")),
        ("refused", json!(1)),
        ("listen", json!("refused")),
        ("keys changed", json!("again")),
        ("ending", Value::Null),
        ("ended", json!(true)),
    ]);
    assert_eq!(saw, expected);
    world.judge.closings(1).await;
    let there = world.path("there").display().to_string();
    let did = |event: &Event| match event {
        Event::File {
            did,
            path,
            read,
            written,
            ..
        } if path.starts_with(&there) => Some((*did, *read, *written)),
        _ => None,
    };
    let found: Vec<_> = world.judge.events().iter().filter_map(did).collect();
    for one in [
        ("open", 0, 0),
        ("close", 0, 3_000_000),
        ("close", 3_000_000, 0),
        ("setstat", 0, 0),
        ("rename", 0, 0),
        ("remove", 0, 0),
    ] {
        assert!(found.contains(&one), "{one:?} in {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ansible() {
    let world = World::start().await;
    let bin = install::venv("ssh").await;
    fs::write(world.path("here"), "of ansible\n").unwrap();
    let inventory = format!(
        "gateway ansible_user=web/ops ansible_python_interpreter={}\n",
        bin.join("python").display()
    );
    fs::write(world.path("inventory"), inventory).unwrap();
    let play = format!(
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - ansible.builtin.ping:\n    - ansible.builtin.copy:\n        src: {0}/here\n        dest: {0}/there\n    - ansible.builtin.command: cat {0}/there\n      register: read\n    - ansible.builtin.debug:\n        var: read.stdout\n",
        world.dir.path().display()
    );
    fs::write(world.path("play.yaml"), play).unwrap();
    let mut ansible = Command::new(bin.join("ansible-playbook"));
    ansible
        .arg("-i")
        .arg(world.path("inventory"))
        .arg(world.path("play.yaml"))
        .env("HOME", world.dir.path())
        .env("ANSIBLE_LOCAL_TEMP", world.path("local"))
        .env("ANSIBLE_REMOTE_TEMP", world.path("remote"))
        .env("ANSIBLE_CONFIG", world.path("none.cfg"))
        // As it is by default, but for where OpenSSH's configuration is, and that nothing stays.
        .env(
            "ANSIBLE_SSH_ARGS",
            format!(
                "-C -o ControlMaster=auto -o ControlPersist=2s -F {}",
                world.path("config").display()
            ),
        )
        .env("ANSIBLE_SSH_CONTROL_PATH_DIR", world.path("cp"))
        .env_remove("SSH_AUTH_SOCK")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let done = for_a_while(LIMIT, ansible.output())
        .await
        .expect("it ends")
        .unwrap();
    assert!(done.status.success(), "{}\n{}", out(&done), err(&done));
    assert!(
        out(&done).contains("of ansible") && out(&done).contains("failed=0"),
        "{}",
        out(&done)
    );
    assert_eq!(fs::read_to_string(world.path("there")).unwrap(), "of ansible\n");
    world.judge.closings(1).await;
    let events = world.judge.events();
    let commands = events
        .iter()
        .filter(|event| matches!(event, Event::Exec { command: Some(_), .. }));
    assert!(commands.count() > 3, "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rsync() {
    let world = World::start().await;
    let folder = world.path("folder");
    fs::create_dir(&folder).unwrap();
    for n in 0..100 {
        fs::write(folder.join(format!("{n}")), vec![b'x'; n * 1_000]).unwrap();
    }
    let with = format!("ssh -F {} -l web/ops", world.path("config").display());
    let there = world.path("there");
    let copy = |from: String, to: String| {
        let mut rsync = Command::new("rsync");
        rsync
            .args(["-a", "--checksum", "-e", &with, &from, &to])
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        finish(rsync)
    };
    let remote = format!("gateway:{}/", there.display());
    let done = copy(format!("{}/", folder.display()), remote.clone()).await;
    assert!(done.status.success(), "{}", err(&done));
    // What was changed and what is gone, and all of it back.
    fs::write(there.join("7"), "other").unwrap();
    let done = copy(format!("{}/", folder.display()), remote.clone()).await;
    assert!(done.status.success(), "{}", err(&done));
    let done = copy(remote, format!("{}/", world.path("back").display())).await;
    assert!(done.status.success(), "{}", err(&done));
    for n in 0..100 {
        assert_eq!(
            fs::read(world.path("back").join(format!("{n}"))).unwrap().len(),
            n * 1_000
        );
    }
    world.judge.closings(3).await;
    let is_server = |event: &Event| matches!(event, Event::Exec { command: Some(command), .. } if command.starts_with("rsync --server"));
    assert_eq!(
        world
            .judge
            .events()
            .iter()
            .filter(|event| is_server(event))
            .count(),
        3
    );
}
