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

/// Keeps a file for each key. `halt` in its folder holds lines `VERB before|after COUNT`: the call of this verb that brings the count
/// to nothing says that it halts, and goes on with nothing when the test has killed whoever waits for it.
const PROGRAM: &str = r#"#!/bin/sh
set -u
cd "${1:?}" || exit 78
IFS= read -r line || [ -n "$line" ] || exit 70
part() { printf '%s\n' "$line" | sed -n "s/$1/\\1/p"; }
verb=$(part '^.*"verb":"\([a-z]*\)".*$')
key=$(part '^.*"key":"\([0-9a-z_-]*\)".*$')
answer() { printf '{"version":1,%s}\n' "$1"; }
halt() {
    (
        flock 9
        [ -e halt ] && read -r on when count <halt && [ "$on $when" = "$verb $1" ] || exit 0
        count=$((count - 1))
        [ "$count" = 0 ] || { echo "$on $when $count" >halt; exit 0; }
        rm halt
        exit 1
    ) 9>lock && return
    : >halted
    while [ ! -e go ]; do sleep 0.02; done
    exit 75
}
halt before
case $verb in
provision) : >"doors/$key" ;;
revoke) rm -f "doors/$key" ;;
esac
if [ -e "doors/$key" ]; then seen=present; else seen=absent; fi
halt after
case $verb in
provision | revoke) answer '"result":"done"' ;;
inspect) answer "\"result\":\"$seen\"" ;;
list) answer "\"result\":\"keys\",\"keys\":[$(ls doors | sed 's/.*/"&"/' | paste -s -d , -)]" ;;
esac
"#;

const POLICY: &str = "version: 1
connectors:
  - {name: doors, kind: command, config: {program: doors}}
resources:
  - {name: vault, kind: command, connector: doors, labels: {env: production}, roles: {door: {one_per: grant}}}
rules:
  - {name: vault, allow: engineers, to: {resource: vault}, approval: none, max: 1h}
";

/// One call at a time, so that it is known what has happened before the one that halts.
const MORE: &str = "reconcile: {overdue_after: 1m, backoff_max: 2s, drift_every: 1s, calls_per_connector: 1}
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
    let programs =
        format!("programs:\n  doors: {{path: {folder}/doors-program, args: [{folder}/target], timeout: 5s}}\n");
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

/// From here on the `count`-th call of this verb halts.
fn mark(house: &House, point: &str, count: u32) {
    let _ = std::fs::remove_file(house.file("target/go"));
    let _ = std::fs::remove_file(house.file("target/halted"));
    house.write("target/halt.new", &format!("{point} {count}\n"));
    std::fs::rename(house.file("target/halt.new"), house.file("target/halt")).unwrap();
}

/// Waits until a call has halted, kills the server there, and serves again. `open`: how many doors stood open at that moment.
#[track_caller]
fn killed_there(house: &mut House, open: usize) {
    let halted = house.file("target/halted");
    wait::until("the marked point", PATIENCE, || Ok(halted.exists().then_some(()))).unwrap();
    house.kill();
    house.write("target/go", "");
    assert_eq!(doors(house), open, "at the marked point");
    house.serve();
}

#[test]
fn whatever_a_kill_cuts_in_two_nothing_is_left_over() {
    let mut house = house();
    // The intent is recorded, the call is not made; then the call is made, and its answer is not recorded.
    mark(&house, "provision before", 1);
    let unmade = house.take("vault/door", "30m", &[]);
    killed_there(&mut house, 0);
    mark(&house, "provision after", 1);
    let made = house.take("vault/door", "30m", &[]);
    killed_there(&mut house, 1);
    // Given back while it is being set up, and nobody knows what became of the call.
    mark(&house, "provision after", 1);
    let given_back = house.take("vault/door", "30m", &[]);
    let halted = house.file("target/halted");
    wait::until("the marked point", PATIENCE, || Ok(halted.exists().then_some(()))).unwrap();
    house.run("ana", &["release", &given_back]);
    killed_there(&mut house, 2);
    // What the dead may still do is waited for; then each is there once.
    for grant in [&unmade, &made] {
        house.until_state(grant, "active");
    }
    ended_as_seen(&house.until_state(&given_back, "ended"));
    assert_eq!(doors(&house), 2);

    // Between the removal and the look, and between the look and its record.
    for (point, grant) in [("inspect before", &unmade), ("inspect after", &made)] {
        let open = doors(&house);
        mark(&house, point, 1);
        house.run("ana", &["release", grant]);
        killed_there(&mut house, open - 1);
        ended_as_seen(&house.until_state(grant, "ended"));
    }

    let mass = in_the_middle_of_a_mass_revocation(&mut house);
    for grant in mass.iter().chain([&unmade, &made, &given_back]) {
        let events = house.audit(&[grant]);
        let times = |name| names(&events).iter().filter(|other| **other == name).count();
        assert!(times("grant.activated") <= 1 && times("grant.ended") == 1, "{:?}", names(&events));
    }
    let trail = house.audit(&["--event", "entitlement.drift_found"]);
    assert!(trail.is_empty(), "nothing was ever without a grant: {trail:?}");
    house.end(Signal::TERM);
    let told = on_store(&house);
    assert!(told.contains("the tables hold what they made"), "{told}");
}

/// Eight grants end at once; the server is killed when the third is gone, and nobody has been told so.
fn in_the_middle_of_a_mass_revocation(house: &mut House) -> Vec<String> {
    let grants: Vec<_> = (0..8)
        .map(|_| house.take("vault/door", "30m", &["--wait"]))
        .collect();
    assert_eq!(doors(house), 8);
    mark(house, "revoke after", 3);
    house.run("admin", &["lock", "ana", "--reason", "laptop stolen"]);
    killed_there(house, 5);
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
