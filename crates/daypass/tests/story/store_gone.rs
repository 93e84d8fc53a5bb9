//! PostgreSQL is killed (SIGKILL, all of its processes) or stands still: as the store, in the middle of setting access up and of
//! taking it away; and as the target. The server neither dies nor hangs, says what is so, and goes on by itself.

use daypass_core::time::{Span, Timestamp};
use daypass_server::edge;
use daypass_testbed::tcp_proxy::Then;
use daypass_testbed::{Postgres, wait};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::audit::on_store;
use crate::house::{House, Settings, Store, ended_as_seen, names};
use crate::running::{PATIENCE, daypass, ends_with};
use crate::target::Session;

/// A house whose store is a PostgreSQL of its own, which forces what is committed to disk.
fn house() -> (House, Postgres) {
    let mut house = House::build(&Settings {
        proxied: true,
        more: "reconcile: {overdue_after: 1m, backoff_max: 2s}\nsigning_key: {file: secrets/log-key}",
        ..Settings::on(Store::Sqlite)
    });
    let store = Postgres::options().durable(true).start().unwrap();
    let sql = "CREATE ROLE own LOGIN PASSWORD 'own-store-Xw3'";
    store.psql("postgres", sql).unwrap();
    store.psql("postgres", "CREATE DATABASE own OWNER own").unwrap();
    house.secret("own-store", "own-store-Xw3");
    let port = store.port();
    let config = std::fs::read_to_string(house.file("server.yaml")).unwrap();
    let own = format!(
        "postgres: {{host: 127.0.0.1, port: {port}, database: own, user: own, tls: disable, connections: 8, \
         password: {{secret: own-store}}}}"
    );
    let secret = format!(
        "secrets:\n  own-store: {{file: secrets/own-store, hosts: [\"127.0.0.1:{port}\"], tls: disable}}\n"
    );
    let config = config
        .replace("sqlite: data/story.sqlite", &own)
        .replace("secrets:\n", &secret);
    house.write("server.yaml", &config);
    let folder = house.file("");
    let (password, _) = ends_with(daypass(&["init", "--only-admin", "--no-input"]).arg(folder), 0);
    house
        .passwords
        .insert("admin".into(), password.trim_end().to_owned());
    house.serve();
    house.move_in();
    (house, store)
}

fn ask() -> Value {
    json!({"items": [{"resource": "orders-prod", "role": "read"}], "duration": "1m", "reason": "PAY-7"})
}

/// The server lives, and says what is so.
#[track_caller]
fn it_says_that_the_store_is_away(house: &House) {
    assert_eq!(house.nobody().get("/healthz").status, 200);
    let ready = house.nobody().get("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("the store does not answer"), "{}", ready.body);
    let refused = house.api("ana").post("/api/v1/requests", &ask());
    assert_eq!(
        (refused.status, refused.problem().as_str()),
        (503, "urn:daypass:unavailable")
    );
}

/// Whether the target has a grant's role, asked directly.
fn role_is_there(house: &House, grant: &str) -> bool {
    let name = grant.to_lowercase();
    house.target.roles().iter().any(|role| role.contains(&name))
}

#[test]
fn the_store_killed_while_access_is_set_up_and_while_it_is_taken_away() {
    let (mut house, mut store) = house();
    let going = house.take("orders-prod/read", "30m", &["--wait"]);

    // The removal has begun, and a provisioning is through: neither is answered yet.
    let removal = house.target.proxy().when(b"NOLOGIN", Then::HoldAnswers);
    house.run("ana", &["release", &going]);
    removal.wait(PATIENCE).unwrap();
    let call = house.target.proxy().when(b"COMMIT", Then::HoldAnswers);
    let coming = house.take("orders-prod/read", "30m", &[]);
    call.wait(PATIENCE).unwrap();
    store.kill().unwrap();
    house.target.proxy().resume();
    it_says_that_the_store_is_away(&house);
    let gone = || Ok((!role_is_there(&house, &going)).then_some(()));
    wait::until("a removal, which waits for no store", PATIENCE, gone).unwrap();
    assert!(role_is_there(&house, &coming));

    store.start_again().unwrap();
    ended_as_seen(&house.until_state(&going, "ended"));
    house.until_state(&coming, "active");
    let session = Session::open(&house.credentials(&coming)).unwrap();
    assert_eq!(session.ask("SELECT count(*) FROM orders").unwrap(), 2);
    assert_eq!(house.target.roles().len(), 1, "it is there once");
    house.run("ana", &["release", &coming]);
    ended_as_seen(&house.until_state(&coming, "ended"));
    assert_eq!(house.nobody().get("/readyz").status, 200);
    let events = house.audit(&[&coming]);
    let times = |name| names(&events).iter().filter(|other| **other == name).count();
    assert_eq!((times("grant.activated"), times("grant.ended")), (1, 1));
    house.end(Signal::TERM);
    on_store(&house);
}

#[test]
fn the_store_standing_still_across_a_deadline() {
    let (mut house, store) = house();
    let grant = house.take("orders-prod/read", "25s", &["--wait"]);
    let held = Session::open(&house.credentials(&grant)).unwrap();
    let later = (edge::now() + Span::seconds(7)).since(Timestamp::EPOCH);
    let later = later.to_std().as_secs_f64();
    let deadline: Timestamp = house.grant(&grant)["expires_at"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    // What runs out soon is read anew every five seconds: from then on the store may be gone.
    let read = || {
        let metrics = house.nobody().get("/metrics").body;
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("daypass_reconcile_last_success_timestamp_seconds "));
        let last: f64 = line.unwrap().parse().unwrap();
        Ok((last > later).then_some(()))
    };
    wait::until("the next look", PATIENCE, read).unwrap();
    store.freeze().unwrap();
    held.until_gone();
    let cut = edge::now();
    assert!(cut >= deadline, "not before the deadline");
    let gone = || Ok(house.target.roles().is_empty().then_some(()));
    wait::until("the end of the role", PATIENCE, gone).unwrap();
    assert_eq!(house.nobody().get("/healthz").status, 200);
    assert_eq!(house.nobody().get("/readyz").status, 503);
    store.thaw().unwrap();
    ended_as_seen(&house.until_state(&grant, "ended"));
    let ready = || Ok((house.nobody().get("/readyz").status == 200).then_some(()));
    wait::until("readiness", PATIENCE, ready).unwrap();
    house.end(Signal::TERM);
    on_store(&house);
}

#[test]
fn the_target_killed_while_access_is_set_up() {
    let mut house = House::open(&Settings {
        proxied: true,
        ..Settings::on(Store::Sqlite)
    });
    // After it is committed there: it is there, and nobody was told. Before: what was done is lost with the target. In this order:
    // nothing else commits there yet, while a grant that is there has its limit set anew.
    let mut grants = Vec::new();
    for needle in [&b"COMMIT"[..], &b"CREATE ROLE"[..]] {
        let seen = house.target.proxy().when(needle, Then::HoldAnswers);
        let grant = house.take("orders-prod/read", "30m", &[]);
        seen.wait(PATIENCE).unwrap();
        if needle == b"COMMIT" {
            let there = || Ok(role_is_there(&house, &grant).then_some(()));
            wait::until("the role", PATIENCE, there).unwrap();
        }
        house.target.postgres.kill().unwrap();
        house.target.proxy().cut();
        let ready = house.nobody().get("/readyz");
        assert_eq!(
            ready.status, 200,
            "a target's outage is not the server's: {ready:?}"
        );
        assert_eq!(house.grant(&grant)["state"], "activating");
        house.target.postgres.start_again().unwrap();
        house.until_state(&grant, "active");
        grants.push(grant);
    }
    assert_eq!(house.target.roles().len(), 2, "each is there once");
    for grant in &grants {
        house.run("ana", &["release", grant]);
    }
    // What was not answered might still land, for all that anybody knows: an end is certain a minute after it.
    for grant in &grants {
        ended_as_seen(&house.until_state(grant, "ended"));
    }
    assert_eq!(house.target.roles(), Vec::<String>::new());
    house.end(Signal::TERM);
}
