//! No byte can be written to the store across a deadline: the access goes all the same, and is written down once there is
//! room again.

use std::time::Duration;

use daypass_server::edge;
use daypass_testbed::wait;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;

use crate::house::{House, Settings, Store, ended_as_seen};
use crate::running::{PATIENCE, daypass};
use crate::target::{Session, seconds};

/// No file of the server's may be written beyond so many bytes. Its log goes to a pipe, which has no limit.
fn room(house: &House, bytes: Option<u64>) {
    let pid = Pid::from_raw(house.pid().try_into().unwrap());
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(pid, Resource::Fsize, limit).unwrap();
}

#[test]
fn access_goes_at_the_deadline_though_nothing_can_be_written() {
    let mut house = House::build(&Settings::on(Store::Sqlite));
    // A write beyond the limit is then an error, as on a full disk, and not the end of the process.
    let mut shell = std::process::Command::new("/bin/sh");
    shell
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(daypass(&[]).get_program())
        .args(["server", "--config"])
        .arg(house.file("server.yaml"));
    house.serve_by(shell);
    house.move_in();
    let grant = house.take("orders-prod/read", "6s", &["--wait"]);
    let held = Session::open(&house.credentials(&grant)).unwrap();
    let deadline = house.grant(&grant)["expires_at"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();

    room(&house, Some(0));
    let ask = json!({"items": [{"resource": "orders-prod", "role": "read"}], "reason": "PAY-7"});
    let refused = house.api("ana").post("/api/v1/requests", &ask);
    println!("a request meanwhile: {} {}", refused.status, refused.body);
    assert!([503, 507].contains(&refused.status), "{refused:?}");
    assert_eq!(house.nobody().get("/healthz").status, 200);

    held.until_gone();
    let cut = edge::now();
    assert!(cut >= deadline, "not before the deadline");
    println!("cut {} after the deadline", seconds(edge::until(cut, deadline)));
    assert!(edge::until(cut, deadline) < Duration::from_secs(10));
    let gone = || Ok(house.target.roles().is_empty().then_some(()));
    wait::until("the end of the role", PATIENCE, gone).unwrap();
    assert_ne!(house.grant(&grant)["state"], "ended", "it cannot be written down");

    room(&house, None);
    ended_as_seen(&house.until_state(&grant, "ended"));
    let requests = house.api("dee").get("/api/v1/requests").of(200);
    assert_eq!(
        requests["items"].as_array().unwrap().len(),
        1,
        "what was refused is not there"
    );
    house.take("orders-prod/read", "1m", &["--wait"]);
}
