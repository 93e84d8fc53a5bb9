//! Nothing can be written to the store across a deadline, because the disk is full or fails: the access goes all the same,
//! and is written down once there is room again.

use std::io::Write as _;
use std::time::Duration;

use daypass_core::time::Timestamp;
use daypass_server::edge;
use daypass_testbed::wait;
use rustix::process::{Pid, Resource, Rlimit, Signal, geteuid, prlimit};
use serde_json::{Value, json};

use crate::audit::{on_store, signed};
use crate::house::{House, Settings, Store, ended_as_seen};
use crate::http::Answer;
use crate::running::{PATIENCE, daypass, text};
use crate::target::{Session, seconds};

/// What nobody has to agree to.
fn ask() -> Value {
    json!({"items": [{"resource": "orders-prod", "role": "read"}], "duration": "1m", "reason": "PAY-7"})
}

/// Takes all room away, until a request is refused for it; then across a deadline; then gives room again. A grant of afterwards.
fn across_a_deadline(house: &House, take: impl FnOnce() -> Answer, give: impl FnOnce()) -> String {
    let grant = house.take("orders-prod/read", "8s", &["--wait"]);
    let held = Session::open(&house.credentials(&grant)).unwrap();
    let deadline: Timestamp = house.grant(&grant)["expires_at"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let refused = take();
    println!("a request meanwhile: {} {}", refused.status, refused.body);
    assert_eq!(
        house.grant(&grant)["state"],
        "active",
        "the room was gone before the deadline"
    );
    assert_eq!(house.nobody().get("/healthz").status, 200);
    let requests = || {
        house.run(
            "dee",
            &["audit", "ls", "--event", "request.approved", "--limit", "10000"],
        )
    };
    let before = requests();

    held.until_gone();
    let cut = edge::now();
    assert!(cut >= deadline, "not before the deadline");
    println!("cut {} after the deadline", seconds(edge::until(cut, deadline)));
    assert!(edge::until(cut, deadline) < Duration::from_secs(10));
    let gone = || Ok(house.target.roles().is_empty().then_some(()));
    wait::until("the end of the role", PATIENCE, gone).unwrap();
    assert_ne!(house.grant(&grant)["state"], "ended", "it cannot be written down");

    give();
    ended_as_seen(&house.until_state(&grant, "ended"));
    assert_eq!(requests(), before, "what was refused is not there");
    house.take("orders-prod/read", "1m", &["--wait"])
}

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
fn access_goes_at_the_deadline_though_writing_fails() {
    let mut house = House::build(&Settings::on(Store::Sqlite));
    // A write beyond the limit is then an error and not the end of the process.
    let mut shell = std::process::Command::new("/bin/sh");
    shell
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(daypass(&[]).get_program())
        .args(["server", "--config"])
        .arg(house.file("server.yaml"));
    house.serve_by(shell);
    house.move_in();
    let take = || {
        room(&house, Some(0));
        let refused = house.api("ana").post("/api/v1/requests", &ask());
        assert_eq!(refused.problem(), "urn:daypass:unavailable");
        refused
    };
    across_a_deadline(&house, take, || room(&house, None));
}

#[test]
fn access_goes_at_the_deadline_though_the_disk_is_full() {
    if !geteuid().is_root() {
        println!("a small disk takes a superuser; the store's own tests and the test above stand in for it");
        return;
    }
    // What was signed last is kept on that disk too.
    let mut house = House::open(&Settings {
        disk: Some(8),
        more: "reconcile: {overdue_after: 1s, backoff_max: 2s}\nsigning_key: {file: secrets/log-key, state: data/log-key.signed}",
        ..Settings::on(Store::Sqlite)
    });
    let ballast = house.file("data/ballast");
    let take = || {
        let mut file = std::fs::File::create(&ballast).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        // The store may still have some room that it took before. What is asked for needs two people, so nothing is made.
        let wide =
            json!({"items": [{"resource": "orders-prod", "role": "write"}], "reason": "x".repeat(500)});
        let mut answers = (0..2000).flat_map(|_| {
            let made = house.api("ana").post("/api/v1/requests", &wide);
            if made.status != 201 {
                return vec![made];
            }
            // Taken back at once: nobody may have many that wait.
            let cancel = format!("/api/v1/requests/{}/cancel", made.json()["id"].as_str().unwrap());
            vec![house.api("ana").post(&cancel, &json!({}))]
        });
        let refused = answers.find(|answer| !(200..300).contains(&answer.status));
        let refused = refused.expect("the disk is full at some time");
        assert_eq!(
            (refused.status, refused.problem().as_str()),
            (507, "urn:daypass:store-full")
        );
        refused
    };
    let grant = across_a_deadline(&house, take, || std::fs::remove_file(&ballast).unwrap());
    // All of it is signed once there is room, and what was signed is kept outside the store again.
    let proof = house.file("proof.json");
    signed(&house, &grant, proof.to_str().unwrap());
    house.end(Signal::TERM);
    on_store(&house);
    let note = text(&house.file("data/log-key.signed"));
    let size: u64 = note.lines().nth(1).unwrap().parse().unwrap();
    let proof: Value = serde_json::from_str(&text(&proof)).unwrap();
    let proved = proof["checkpoint"].as_str().unwrap();
    assert!(size >= proved.lines().nth(1).unwrap().parse().unwrap(), "{note}");
    house.serve();
    house.take("orders-prod/read", "1m", &["--wait"]);
}
