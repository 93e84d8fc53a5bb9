//! Through the gateway: people use their own tools with a credential of their own, never see the target's, are recorded, and are
//! cut off when their access ends.

use serde_json::{Value, json};

use crate::audit::on_store;
pub(crate) use crate::gated::house;
use crate::house::{House, Store, on_both_stores};
use crate::running::ends_with;
use crate::target::Session;
use rustix::process::Signal;

/// Runs psql as ana through Daypass; what it says.
#[track_caller]
pub(crate) fn psql(house: &House, target: &str, sql: &str) -> String {
    ends_with(
        &mut house.cli("ana", &["psql", target, "--", "-X", "-At", "-c", sql]),
        0,
    )
    .0
}

/// The sessions that the auditor sees.
#[track_caller]
pub(crate) fn sessions(house: &House, more: &[&str]) -> Vec<Value> {
    let args = [&["session", "ls"], more].concat();
    house.run("dee", &args).as_array().unwrap().clone()
}

/// The session, once it is closed.
#[track_caller]
pub(crate) fn closed(house: &House, id: &str) -> Value {
    let mut events = house.api("dee").events();
    loop {
        let all = sessions(house, &[]);
        let one = all.into_iter().find(|one| one["id"] == id).unwrap();
        if one["state"] == "closed" {
            return one;
        }
        events.next();
    }
}

/// What was recorded of a session, line by line.
#[track_caller]
pub(crate) fn replay(house: &House, id: &str) -> Vec<Value> {
    let (out, _) = ends_with(&mut house.cli("dee", &["session", "replay", id, "-o", "json"]), 0);
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What somebody is given is good for the gateway and for nothing else: not at the target, not at the API. The grant's role there.
#[track_caller]
fn for_the_gateway_alone(house: &House, credential: &Value) -> String {
    assert_eq!(credential["fields"]["user"], "ana");
    assert_eq!(credential["fields"]["dbname"], "orders-gate/read");
    let mut token = house.nobody();
    token.token = Some(credential["secret"].as_str().unwrap().to_owned());
    assert_eq!(token.get("/api/v1/whoami").status, 401);
    let [role] = house.target.roles().try_into().unwrap();
    let role = role.split('|').nth(1).unwrap().to_owned();
    let mut direct = credential.clone();
    direct["fields"]["host"] = json!("127.0.0.1");
    direct["fields"]["port"] = json!(house.target.addr().port().to_string());
    direct["fields"]["dbname"] = json!("orders");
    for user in ["ana", &role] {
        direct["fields"]["user"] = json!(user);
        assert!(Session::open(&direct).is_err(), "{user}");
    }
    role
}

/// What was done stands in the recordings, and that somebody looked stands in the log.
#[track_caller]
fn all_stands_in_the_log(house: &House, session: &str) {
    // Its connection to the target is closed once its client was told, and its end is written down after that.
    let mut all = sessions(house, &[]);
    for one in &mut all {
        *one = closed(house, one["id"].as_str().unwrap());
    }
    assert_eq!(all.len(), 3, "{all:?}");
    let reasons: Vec<_> = all.iter().map(|one| one["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["revoked", "killed", "left"]);
    let lines = replay(house, session);
    let said: Vec<_> = lines
        .iter()
        .map(|line| line["text"].as_str().unwrap_or_default())
        .collect();
    assert!(said.contains(&"SELECT count(*) FROM orders"), "{lines:?}");
    let refused = lines.iter().find(|line| line["refused"].is_string()).unwrap();
    assert!(
        refused["text"].as_str().unwrap().starts_with("DELETE"),
        "{refused}"
    );
    house.fails("ana", &["session", "replay", session], 3);
    let names = house.audit(&[]);
    let count = |name: &str| names.iter().filter(|event| event["name"] == name).count();
    assert_eq!(
        (count("session.opened"), count("session.closed")),
        (3, 3),
        "{names:?}"
    );
    assert_eq!((count("session.killed"), count("session.replayed")), (1, 1));

    assert_eq!(count("session.watched"), 1);
}

/// The auditor watches a session, from when this returns; what they saw, once it is over.
#[track_caller]
fn watching(house: &House, session: &str) -> std::thread::JoinHandle<String> {
    let mut events = house.api("dee").events();
    let mut watch = house.cli("dee", &["session", "watch", session, "-o", "json"]);
    let watched = std::thread::spawn(move || ends_with(&mut watch, 0).0);
    while events.next()["name"] != "session.watched" {}
    watched
}

fn through_recorded_and_cut(store: Store) {
    let mut house = house(store);
    let grant = house.take("orders-gate/read", "10m", &["--wait"]);
    assert_eq!(
        psql(
            &house,
            "orders-gate/read",
            "SELECT state FROM orders WHERE id = 7"
        ),
        "stuck\n"
    );

    let credential = house.credentials(&grant);
    let secret = credential["secret"].as_str().unwrap().to_owned();
    let role = for_the_gateway_alone(&house, &credential);

    // A session of another tool, while it lasts.
    let held = Session::open(&credential).unwrap();
    assert_eq!(held.ask("SELECT count(*) FROM orders").unwrap(), 2);
    assert!(
        held.ask("DELETE FROM orders RETURNING id::bigint").is_err(),
        "a guardrail"
    );
    let open = sessions(&house, &["--live"]);
    let [open] = open.as_slice() else {
        panic!("{open:?}")
    };
    assert_eq!((&open["holder"], &open["state"]), (&json!("ana"), &json!("open")));
    let held_id = open["id"].as_str().unwrap().to_owned();
    // The target's own log knows who it was: the role is the grant's own.
    let seen = house.target.sql(&format!(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}'"
    ));
    assert_eq!(seen, "1");
    house.run("dee", &["session", "ls", "--grant", &grant]);

    // Somebody watches.
    let watched = watching(&house, &held_id);
    assert_eq!(held.ask("SELECT 20::bigint + 1").unwrap(), 21);

    // Only the one who may ends it; with the grant it ends all the same.
    house.fails("cy", &["session", "kill", &held_id, "--reason", "no"], 1);
    house.run(
        "admin",
        &["session", "kill", &held_id, "--reason", "wrong database"],
    );
    held.until_gone();
    assert!(watched.join().unwrap().contains("SELECT 20::bigint + 1"));
    let held = Session::open(&credential).unwrap();
    assert_eq!(held.ask("SELECT 41::bigint + 1").unwrap(), 42);
    house.run("admin", &["revoke", &grant, "--reason", "done"]);
    held.until_gone();
    house.until_state(&grant, "ended");
    assert!(Session::open(&credential).is_err(), "the grant is over");

    all_stands_in_the_log(&house, &held_id);
    let told = house.end(Signal::TERM);
    assert!(!told.contains(&secret), "no secret in the server's own log");
    assert!(!told.contains("FROM orders"), "nor what somebody did");
    if store == Store::Sqlite {
        on_store(&house);
    }
}
on_both_stores!(through_recorded_and_cut);

/// Connects with a personal credential, and waits.
fn connecting(
    credential: &Value,
    database: &str,
) -> std::thread::JoinHandle<Result<Session, tokio_postgres::Error>> {
    let mut credential = credential.clone();
    credential["fields"]["dbname"] = json!(database);
    std::thread::spawn(move || Session::open(&credential))
}

/// What a connection hears that does not come in: SQLSTATE, message and hint.
#[track_caller]
fn turned_away(credential: &Value, database: &str) -> String {
    let refused = connecting(credential, database).join().unwrap();
    let refused = refused.err().expect("it does not come in");
    let error = refused.as_db_error().unwrap_or_else(|| panic!("{refused:?}"));
    let hint = error.hint().unwrap_or_default();
    format!("{} {} {hint}", error.code().code(), error.message())
}

/// The one request that waits.
#[track_caller]
fn waiting(house: &House) -> String {
    let mut events = house.api("bo").events();
    loop {
        let inbox = house.run("bo", &["inbox"]);
        if let Some(request) = inbox.as_array().unwrap().first() {
            return request["id"].as_str().unwrap().to_owned();
        }
        events.next();
    }
}

#[test]
fn whoever_holds_nothing_asks_by_connecting() {
    let house = house(Store::Sqlite);
    let credential = house.run("ana", &["session", "credential"]);
    assert_eq!(credential["fields"]["user"], "ana");

    // Nobody has to agree to this: it is there at once.
    let held = connecting(&credential, "orders-gate/read")
        .join()
        .unwrap()
        .unwrap();
    assert_eq!(held.ask("SELECT count(*) FROM orders").unwrap(), 2);

    // A pool waits for bo, who is asked once and says yes; all of it goes on by itself.
    let pool: Vec<_> = (0..4)
        .map(|_| connecting(&credential, "orders-gate/write"))
        .collect();
    let request = waiting(&house);
    let mut pool: Vec<_> = {
        house.run("bo", &["approve", &request]);
        pool.into_iter().map(|one| one.join().unwrap().unwrap()).collect()
    };
    assert_eq!(house.run("bo", &["inbox"]), json!([]), "nobody was asked twice");
    let writing = pool.pop().unwrap();
    assert_eq!(
        writing
            .ask("UPDATE orders SET state = 'sent' WHERE id = 7 RETURNING id::bigint")
            .unwrap(),
        7
    );

    // Both are held now; which is meant must be said.
    let said = turned_away(&credential, "orders-gate");
    assert!(said.contains("several roles"), "{said}");
    for (database, said) in [
        ("orders-prod/write", "daypass"),
        ("nonsense", "daypass ls"),
        ("a/b/c", "no such resource"),
    ] {
        let told = turned_away(&credential, database);
        assert!(told.contains(said), "{database}: {told}");
    }

    // A password that was guessed.
    let mut other = credential.clone();
    other["secret"] = json!("dp_g_0000000000000000000000000000000000000000000000000000000000000000");
    let refused = connecting(&other, "orders-gate/read")
        .join()
        .unwrap()
        .err()
        .unwrap();
    assert_eq!(refused.code().unwrap().code(), "28P01");

    // What somebody took away does not come back by itself, whatever connects again and again.
    let grant = house.run("ana", &["status"]);
    let grant = grant["grants"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["items"][0]["role"] == "read")
        .unwrap()
        .clone();
    house.run(
        "admin",
        &["revoke", grant["id"].as_str().unwrap(), "--reason", "enough"],
    );
    held.until_gone();
    let said = turned_away(&credential, "orders-gate/read");
    assert!(said.contains("a moment ago"), "{said}");

    // Locked, all of it ends, and nobody comes in.
    house.run("admin", &["lock", "ana", "--reason", "laptop stolen"]);
    for session in pool.into_iter().chain([writing]) {
        session.until_gone();
    }
    let said = turned_away(&credential, "orders-gate/write");
    assert!(said.contains("lock"), "{said}");
}

#[test]
fn a_denied_connection_hears_why() {
    let house = house(Store::Sqlite);
    let credential = house.run("ana", &["session", "credential"]);
    let writing = connecting(&credential, "orders-gate/write");
    let request = waiting(&house);
    house.run("bo", &["deny", &request, "--reason", "use the replica"]);
    let refused = writing.join().unwrap().err().unwrap();
    assert_eq!(
        refused.as_db_error().unwrap().message(),
        "denied by bo: use the replica"
    );
}

/// Killed in the middle of a session: the target still ends it, the log says that it was lost, and its recording is cut.
#[test]
fn a_server_that_dies_leaves_no_session_open() {
    let mut house = house(Store::Sqlite);
    let grant = house.take("orders-gate/read", "10m", &["--wait"]);
    let held = Session::open(&house.credentials(&grant)).unwrap();
    assert_eq!(held.ask("SELECT count(*) FROM orders").unwrap(), 2);
    house.kill();
    held.until_gone();
    house.serve();
    let mut events = house.api("dee").events();
    let lost = loop {
        let [one] = sessions(&house, &[]).try_into().unwrap();
        if one["state"] == "closed" {
            break one;
        }
        events.next();
    };
    assert_eq!(
        (&lost["reason"], &lost["recording"]["complete"]),
        (&json!("lost"), &json!(false))
    );
    assert_eq!(psql(&house, "orders-gate/read", "SELECT 1"), "1\n");
}
