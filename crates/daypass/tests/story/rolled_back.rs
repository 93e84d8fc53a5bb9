//! The store's file is copied back to yesterday. The server serves, says so loudly, and only takes access away: what is due ends and
//! what the lost part gave goes, while nothing is given that nobody knows the end of. Then the newest store is put back; and, the
//! other way, the loss is accepted.

use std::path::Path;

use daypass_core::time::Span;
use daypass_server::edge;
use daypass_testbed::wait;
use rustix::process::Signal;
use serde_json::json;

use crate::audit::{on_store, signed};
use crate::house::{House, Settings, Store, ended_as_seen};
use crate::running::{PATIENCE, ends_with, text};
use crate::target::Session;

/// What asks for something.
const ASK: [&str; 6] = ["request", "orders-prod/read", "--for", "1m", "--reason", "PAY-9"];

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// How many entries were signed last, as the file outside the store says.
fn signed_last(house: &House) -> String {
    let note = text(&house.file("secrets/log-key.signed"));
    note.lines().nth(1).unwrap().to_owned()
}

fn stop_and_copy(house: &mut House, name: &str) {
    house.end(Signal::TERM);
    copy(&house.file("data"), &house.file(name));
}

fn role_is_there(house: &House, grant: &str) -> bool {
    let name = grant.to_lowercase();
    house.target.roles().iter().any(|role| role.contains(&name))
}

#[test]
fn a_store_from_yesterday_takes_away_and_gives_nothing() {
    let mut house = House::open(&Settings {
        more: "reconcile: {overdue_after: 1s, backoff_max: 2s, drift_every: 1s}\nsigning_key: {file: secrets/log-key}",
        ..Settings::on(Store::Sqlite)
    });
    let runs_out = house.take("orders-prod/read", "30s", &["--wait"]);
    let held = Session::open(&house.credentials(&runs_out)).unwrap();
    let stays = house.take("orders-prod/read", "30m", &["--wait"]);
    let start = edge::now() + Span::seconds(35);
    let later = json!({
        "items": [{"resource": "orders-prod", "role": "read"}], "duration": "10m", "reason": "PAY-8", "start": start.to_string(),
    });
    let scheduled = house.api("ana").post("/api/v1/requests", &later).of(201)["grant"]
        .as_str()
        .unwrap()
        .to_owned();
    signed(&house, &runs_out, house.file("before.json").to_str().unwrap());
    stop_and_copy(&mut house, "yesterday");

    // What is lost then.
    house.serve();
    let lost = house.take("orders-prod/read", "30m", &["--wait"]);
    house.run("ana", &["release", &scheduled]);
    house.until_state(&scheduled, "ended");
    signed(&house, &lost, house.file("after.json").to_str().unwrap());
    for login in ["ana", "admin"] {
        house.looks_again(login);
        house.run(login, &["status"]);
    }
    stop_and_copy(&mut house, "newest");
    assert!(role_is_there(&house, &lost));

    copy(&house.file("yesterday"), &house.file("data"));
    house.serve();
    it_says_so_and_gives_nothing(&house);
    let gone = || Ok((!role_is_there(&house, &lost)).then_some(()));
    wait::until("the end of what the lost part gave", PATIENCE, gone).unwrap();
    assert!(
        role_is_there(&house, &stays),
        "what is agreed to stays until its time"
    );
    is_told_and_revokes(&house, &stays);
    ended_as_seen(&house.until_state(&stays, "ended"));
    held.until_gone();
    let ended = house.until_state(&runs_out, "ended");
    ended_as_seen(&ended);
    assert_eq!(ended["ended_reason"], "expired");
    let begins = || Ok((edge::now() > start + Span::seconds(1)).then_some(()));
    wait::until("the time of what was scheduled", PATIENCE, begins).unwrap();
    assert_eq!(house.grant(&scheduled)["state"], "scheduled", "it ended long ago");
    assert_eq!(house.target.roles(), Vec::<String>::new());

    // The newest store is there after all.
    house.end(Signal::TERM);
    copy(&house.file("newest"), &house.file("data"));
    house.serve();
    let ended = house.until_state(&lost, "ended");
    assert_eq!(ended["ended_reason"], "removed");
    house.take("orders-prod/read", "2s", &["--wait"]);
    house.end(Signal::TERM);
    on_store(&house);

    // Or it is not, and the loss is accepted.
    copy(&house.file("yesterday"), &house.file("data"));
    let mut server = house.server();
    server.args(["--accept-rollback", &signed_last(&house)]);
    house.serve_by(server);
    let ended = house.until_state(&scheduled, "ended");
    assert_eq!(ended["ended_reason"], "ineligible", "it may be long over");
    is_told_and_accepts(&house);
    let again = house.take("orders-prod/read", "10m", &["--wait"]);
    house.run("ana", &["release", &again]);
    ended_as_seen(&house.until_state(&again, "ended"));
    let told = house.audit(&["--event", "log.continued"]);
    assert_eq!(told.len(), 1);
    house.end(Signal::TERM);
    on_store(&house);
}

/// The administrator saw what is lost: that is told, and does not keep them from revoking.
fn is_told_and_revokes(house: &House, grant: &str) {
    house.looks_again("admin");
    let revoke = ["revoke", grant, "--reason", "to be sure"];
    let (_, said) = ends_with(&mut house.as_admin(&revoke), 0);
    assert!(
        said.contains("its log went back") && said.contains("This goes on"),
        "{said}"
    );
}

/// Whoever saw the lost part hears of it, and accepts it too.
fn is_told_and_accepts(house: &House) {
    house.looks_again("ana");
    let said = house.fails("ana", &ASK, 10);
    assert!(said.contains("its log"), "{said}");
    let accept = ["audit", "accept", "--reason", "Friday's copy, said Dana", "--yes"];
    ends_with(&mut house.cli("ana", &accept), 0);
}

fn it_says_so_and_gives_nothing(house: &House) {
    let ready = house.nobody().get("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("only takes access away"), "{}", ready.body);
    assert_eq!(house.nobody().get("/healthz").status, 200);
    let metrics = house.nobody().get("/metrics").body;
    assert!(metrics.contains("daypass_log_signing 0"), "{metrics}");
    let (shown, _) = ends_with(&mut house.cli("dee", &["doctor"]), 1);
    let accept = format!("--accept-rollback {}", signed_last(house));
    assert!(shown.contains(&accept), "{shown}");
    // Who saw more than there is now asks for nothing, and who did not is told by the server.
    for (login, what) in [
        ("ana", &ASK[..]),
        ("admin", &["group", "add", "security", "bo"][..]),
    ] {
        house.looks_again(login);
        let said = house.fails(login, what, 10);
        assert!(
            said.contains("its log went back") && said.contains("It was not asked"),
            "{said}"
        );
    }
    let ask =
        json!({"items": [{"resource": "orders-prod", "role": "read"}], "duration": "1m", "reason": "PAY-9"});
    let refused = house.api("ana").post("/api/v1/requests", &ask);
    assert_eq!(refused.status, 503);
    assert!(
        refused.body.contains("this server only takes access away"),
        "{}",
        refused.body
    );
    house.looks_again("bo");
    let create = ["token", "create", "x", "--scope", "read", "--for", "1h"];
    let said = house.fails("bo", &create, 1);
    assert!(said.contains("this server only takes access away"), "{said}");
}
