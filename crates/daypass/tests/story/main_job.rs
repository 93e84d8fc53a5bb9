//! The main job: from no access, through two approvals, to a real PostgreSQL role, and back to none.

use daypass_server::edge;
use serde_json::{Value, json};
use tokio_postgres::Config;

use crate::house::{House, Settings, Store, ended_as_seen, names, on_both_stores};
use crate::running::ends_with;
use crate::target::{Session, seconds, sqlstate};

on_both_stores!(the_main_job);

/// Wrong password, or no such role: PostgreSQL does not tell which.
const REFUSED: &str = "28P01";
/// `admin_shutdown`, which is what a terminated session is told.
const TERMINATED: &str = "57P01";

fn the_main_job(store: Store) {
    let house = House::open(&Settings::on(store));
    let before = house.target.sql("SELECT rolname FROM pg_roles ORDER BY 1");
    nobody_gets_in(&house);
    let request = two_people_agree(&house);
    let grant = house
        .api("dee")
        .get(&format!("/api/v1/requests/{request}"))
        .of(200)["grant"]
        .clone();
    let grant = grant.as_str().unwrap();
    let active = house.until_state(grant, "active");

    let held = Session::open(&house.credentials(grant)).unwrap();
    assert_eq!(held.ask("SELECT count(*) FROM orders").unwrap(), 2);
    let query = ["connect", "orders-prod/write", "--", "-X", "-A", "-t", "-c"];
    let sql = "UPDATE orders SET state = 'paid' WHERE id = 7 RETURNING id";
    let (out, _) = ends_with(house.cli("ana", &query).arg(sql), 0);
    assert!(out.starts_with("7\n"), "{out}");
    let last = house.credentials(grant);
    assert!(
        Session::open(&last).is_ok(),
        "the last credentials work until the deadline"
    );
    assert_eq!(
        held.ask("SELECT 1::bigint").unwrap(),
        1,
        "the held session goes on"
    );

    assert_eq!(held.until_cut(), TERMINATED);
    let cut = edge::now();
    let ended = house.until_state(grant, "ended");
    let refused = Session::open(&last)
        .err()
        .expect("the credentials no longer work");
    assert_eq!(sqlstate(&refused), REFUSED);
    ended_as_seen(&ended);
    assert_eq!(house.target.roles(), Vec::<String>::new());
    assert_eq!(
        house.target.sql("SELECT rolname FROM pg_roles ORDER BY 1"),
        before
    );
    assert_eq!(ended["ended_reason"], "expired");
    assert_eq!(
        ended["expires_at"],
        Value::Null,
        "it has no deadline any more: {ended}"
    );

    let deadline = active["expires_at"].as_str().unwrap().parse().unwrap();
    assert!(cut >= deadline, "not before the deadline, which was {deadline}");
    println!(
        "{store:?}: the open session was cut {} after the deadline",
        seconds(edge::until(cut, deadline))
    );
    the_log_tells(&house, &request, deadline);
    let (shown, _) = ends_with(&mut house.cli("ana", &["status", grant]), 0);
    assert!(shown.contains("ended"), "{shown}");
    let (shown, said) = ends_with(&mut house.cli("ana", &["status"]), 0);
    assert_eq!(shown, "", "{said}");
}

fn nobody_gets_in(house: &House) {
    assert_eq!(house.target.roles(), Vec::<String>::new());
    for user in ["ana", "daypass_ana", "app_writer"] {
        let mut config = Config::new();
        let addr = house.target.addr();
        config
            .host(addr.ip().to_string())
            .port(addr.port())
            .user(user)
            .dbname("orders");
        config.password(&house.passwords["ana"]);
        let refused = Session::with(&config).err().expect("nobody gets in");
        assert!(sqlstate(&refused).starts_with("28"), "{user}: {refused}");
    }
    let connect = ["connect", "orders-prod/write", "--no-input", "--wait", "0s"];
    let said = house.fails("ana", &connect, 125);
    assert!(said.contains("reason"), "{said}");
}

/// Asks, and lets bo agree by command and cy over HTTP; the request.
fn two_people_agree(house: &House) -> String {
    let ask = [
        "request",
        "orders-prod/write",
        "--for",
        "10s",
        "--reason",
        "PAY-7: fix a stuck order",
    ];
    let asked = house.run("ana", &ask);
    let id = asked["id"].as_str().unwrap();
    assert_eq!(asked["state"], "pending");
    let waits = |login| {
        let inbox = house.run(login, &["inbox"]);
        inbox
            .as_array()
            .unwrap()
            .iter()
            .any(|request| request["id"] == id)
    };
    assert!(waits("bo") && !waits("cy"), "the leads are asked first");

    let after = house.run("bo", &["approve", id, "--yes", "--comment", "go ahead"]);
    assert_eq!(after["state"], "pending", "one of two is not enough");
    assert_eq!(house.target.roles(), Vec::<String>::new());
    assert!(!waits("bo") && waits("cy"), "security is asked second");

    let cy = house.api("cy");
    let seen = cy.get(&format!("/api/v1/requests/{id}")).of(200);
    let review = json!({"decision": "approve", "digest": seen["digest"]});
    let after = cy
        .post(&format!("/api/v1/requests/{id}/reviews"), &review)
        .of(200);
    assert_eq!(after["state"], "approved");
    id.to_owned()
}

/// Approved, provisioned, revoked and seen to be gone, with times.
fn the_log_tells(house: &House, request: &str, deadline: daypass_core::time::Timestamp) {
    let events = house.audit(&[request]);
    let all = names(&events);
    let mut rest = all.as_slice();
    for name in [
        "request.created",
        "request.reviewed",
        "request.approved",
        "entitlement.intended",
        "entitlement.provisioned",
        "grant.activated",
        "grant.ending",
        "entitlement.revoked",
        "entitlement.verified_absent",
        "grant.ended",
    ] {
        let place = rest.iter().position(|other| *other == name);
        let place = place.unwrap_or_else(|| panic!("no {name} in its place: {all:?}"));
        rest = &rest[place + 1..];
    }
    let at = |event: &Value| -> daypass_core::time::Timestamp {
        let text = event["at"].as_str().unwrap();
        assert!(
            text.ends_with('Z') && text.contains('T'),
            "RFC 3339 in UTC: {text}"
        );
        text.parse().unwrap()
    };
    let times: Vec<_> = events.iter().map(at).collect();
    assert!(times.is_sorted(), "{times:?}");
    let revoked = events
        .iter()
        .find(|event| event["name"] == "entitlement.revoked")
        .unwrap();
    assert!(at(revoked) >= deadline);
    let people: Vec<_> = events
        .iter()
        .filter(|event| ["request.reviewed", "request.approved"].contains(&event["name"].as_str().unwrap()))
        .map(|event| event["actor"].clone())
        .collect();
    assert_eq!(people, ["bo", "cy"]);
}
