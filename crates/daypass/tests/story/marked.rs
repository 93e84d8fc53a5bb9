//! The server is killed (SIGKILL) at marked points of its calls, and started again: nothing is left over, and what was given back has
//! ended as seen.
//!
//! The target is a program, and the program is ours: told to, it halts before or after it does what it is asked. So the points are
//! exact, and the server that is killed is the one that people run. (`killed.rs` does the like between the server and a PostgreSQL.)

use std::os::unix::fs::PermissionsExt as _;

use daypass_server::edge;
use daypass_testbed::wait;
use rustix::process::Signal;

use crate::audit::on_store;
use crate::house::{House, Settings, Store, ended_as_seen, names};
use crate::running::PATIENCE;
use crate::target::seconds;

/// Keeps a file for each key. `halt` in its folder is a line `VERB before|after COUNT NAME`: the call of this verb that brings the
/// count to nothing says so in `halted-NAME`, waits for `go-NAME`, and then does and answers nothing more.
const PROGRAM: &str = r#"#!/bin/sh
set -u
cd "${1:?}" || exit 78
IFS= read -r line || [ -n "$line" ] || exit 70
part() { printf '%s\n' "$line" | sed -n "s/$1/\\1/p"; }
verb=$(part '^.*"verb":"\([a-z]*\)".*$')
who=$(part '^.*"installation":"\([0-9a-z]*\)".*$')
key=$(part '^.*"key":"\([0-9a-z_-]*\)".*$')
door="doors/$who.$key"
answer() { printf '{"version":1,%s}\n' "$1"; }
halt() {
    name=$(
        flock 9
        [ -e halt ] && read -r on when count name <halt && [ "$on $when" = "$verb $1" ] || exit 0
        count=$((count - 1))
        [ "$count" = 0 ] || { echo "$on $when $count $name" >halt; exit 0; }
        rm halt
        echo "$name"
    ) 9>lock
    [ -n "$name" ] || return
    : >"halted-$name"
    while [ -e "halted-$name" ] && [ ! -e "go-$name" ]; do sleep 0.02; done
    exit 75
}
halt before
case $verb in
provision) : >"$door" ;;
revoke) rm -f "$door" ;;
esac
if [ -e "$door" ]; then seen=present; else seen=absent; fi
halt after
case $verb in
provision | revoke) answer '"result":"done"' ;;
inspect) answer "\"result\":\"$seen\"" ;;
list) answer "\"result\":\"keys\",\"keys\":[$(ls doors | sed -n "s/^$who\.\(.*\)\$/\"\1\"/p" | paste -s -d , -)]" ;;
esac
"#;

/// Three connectors, so that each has a call that halts; and one call at a time of each, so that it is known what has happened
/// before it.
const POLICY: &str = "version: 1
connectors:
  - {name: doors-a, kind: command, config: {program: doors}}
  - {name: doors-b, kind: command, config: {program: doors}}
  - {name: doors-c, kind: command, config: {program: doors}}
resources:
  - {name: vault-a, kind: command, connector: doors-a, labels: {kept: here}, roles: {door: {one_per: grant}}}
  - {name: vault-b, kind: command, connector: doors-b, labels: {kept: here}, roles: {door: {one_per: grant}}}
  - {name: vault-c, kind: command, connector: doors-c, labels: {kept: here}, roles: {door: {one_per: grant}}}
rules:
  - {name: vaults, allow: engineers, to: {kept: here}, approval: none, max: 1h}
";

/// See [`POLICY`].
const MORE: &str = "reconcile: {overdue_after: 2m, backoff_max: 2s, calls_per_connector: 1}
signing_key: {file: secrets/log-key}
";

fn house() -> House {
    let mut house = House::build(&Settings {
        more: MORE,
        ..Settings::on(Store::Sqlite)
    });
    house.write("doors-program", PROGRAM);
    let program = house.file("doors-program");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir_all(house.file("target/doors")).unwrap();
    let folder = house.file("").canonicalize().unwrap();
    let folder = folder.display();
    let config = std::fs::read_to_string(house.file("server.yaml")).unwrap();
    let programs = format!(
        "programs:\n  doors: {{path: {folder}/doors-program, args: [{folder}/target], timeout: 20s}}\n"
    );
    house.write("server.yaml", &(config + &programs));
    house.write("policy/doors.yaml", POLICY);
    house.serve();
    house.move_in();
    house
}

/// The doors that stand open, asked directly.
fn doors(house: &House) -> usize {
    std::fs::read_dir(house.file("target/doors")).unwrap().count()
}

/// From here on the `count`-th call at this point halts.
fn mark(house: &House, point: &str, count: u32, name: &str) {
    house.write("target/halt.new", &format!("{point} {count} {name}\n"));
    std::fs::rename(house.file("target/halt.new"), house.file("target/halt")).unwrap();
}

/// Waits until the call of this name has halted.
#[track_caller]
fn halted(house: &House, name: &str) {
    let file = house.file(format!("target/halted-{name}"));
    wait::until("the marked point", PATIENCE, || Ok(file.exists().then_some(()))).unwrap();
}

/// Kills the server while these calls stand where they are, and serves again. `open`: how many doors stood open at that moment.
#[track_caller]
fn killed_there(house: &mut House, names: &[&str], open: usize) {
    house.kill();
    assert_eq!(doors(house), open, "at the marked points");
    for name in names {
        house.write(&format!("target/go-{name}"), "");
    }
    house.serve();
}

#[test]
fn whatever_a_kill_cuts_in_two_nothing_is_left_over() {
    let mut house = house();
    // The intent is recorded and the call is not made; the call is made and its answer is not recorded; and the same given back
    // while nobody knows what became of the call.
    let mut begun = Vec::new();
    for (point, item, name) in [
        ("provision before", "vault-a/door", "unmade"),
        ("provision after", "vault-b/door", "made"),
        ("provision after", "vault-c/door", "given-back"),
    ] {
        mark(&house, point, 1, name);
        begun.push(house.take(item, "30m", &[]));
        halted(&house, name);
    }
    let [unmade, made, given_back] = <[String; 3]>::try_from(begun).unwrap();
    house.run("ana", &["release", &given_back]);
    killed_there(&mut house, &["unmade", "made", "given-back"], 2);
    // What the dead may still do is waited for; then each is there once.
    for grant in [&unmade, &made] {
        house.until_state(grant, "active");
    }
    ended_as_seen(&house.until_state(&given_back, "ended"));
    assert_eq!(doors(&house), 2);

    // Between the removal and the look, and between the look and its record.
    for (point, grant, name) in [
        ("inspect before", &unmade, "unseen"),
        ("inspect after", &made, "seen"),
    ] {
        mark(&house, point, 1, name);
        house.run("ana", &["release", grant]);
        halted(&house, name);
    }
    killed_there(&mut house, &["unseen", "seen"], 0);
    for grant in [&unmade, &made] {
        ended_as_seen(&house.until_state(grant, "ended"));
    }

    let mass = in_the_middle_of_a_mass_revocation(&mut house);
    for grant in mass.iter().chain([&unmade, &made, &given_back]) {
        let events = house.audit(&[grant]);
        let times = |name| names(&events).iter().filter(|other| **other == name).count();
        assert!(
            times("grant.activated") <= 1 && times("grant.ended") == 1,
            "{:?}",
            names(&events)
        );
    }
    let drift = house.audit(&["--event", "entitlement.drift_found"]);
    assert!(drift.is_empty(), "nothing was ever without a grant: {drift:?}");
    house.end(Signal::TERM);
    let told = on_store(&house);
    assert!(told.contains("the tables hold what they made"), "{told}");
}

/// Eight grants end at once; the server is killed when the third is gone, and nobody has been told so.
fn in_the_middle_of_a_mass_revocation(house: &mut House) -> Vec<String> {
    let grants: Vec<_> = (0..8)
        .map(|_| house.take("vault-a/door", "30m", &["--wait"]))
        .collect();
    assert_eq!(doors(house), 8);
    mark(house, "revoke after", 3, "third");
    house.run("admin", &["lock", "ana", "--reason", "laptop stolen"]);
    halted(house, "third");
    killed_there(house, &["third"], 5);
    let back = edge::instant();
    for grant in &grants {
        let ended = house.until_state(grant, "ended");
        ended_as_seen(&ended);
        assert_eq!(ended["ended_reason"], "locked");
    }
    assert_eq!(doors(house), 0);
    println!("all gone and seen {} after the start", seconds(back.elapsed()));
    grants
}
