//! The server is killed between a call and its record, and started again on the same store: nothing is left over, and
//! nothing is there twice. And calls whose answers never came.
//!
//! A call that was under way at the kill may still take effect at the target for a minute, so its end is certain only then:
//! one kill hits all the cases at once, so that they wait for that minute together.

use daypass_core::time::{Span, Timestamp};
use daypass_server::edge;
use daypass_testbed::tcp_proxy::Then;
use daypass_testbed::wait;

use crate::house::{House, Settings, Store, ended_as_seen, names, on_both_stores};
use crate::running::{PATIENCE, ends_with, text};

on_both_stores!(the_server_killed_between_call_and_record);

fn the_server_killed_between_call_and_record(store: Store) {
    let mut house = House::open(&Settings {
        proxied: true,
        ..Settings::on(store)
    });
    the_answer_never_came(&house);

    let going = going(&house);
    let wanted = provisioned_unanswered(&house, b"COMMIT");
    let role = role_of(&house, &wanted);
    let unmade = provisioned_unanswered(&house, b"CREATE ROLE");
    let given_back = provisioned_unanswered(&house, b"COMMIT");
    role_of(&house, &given_back);
    house.run("ana", &["release", &given_back]);
    let too_late = with_a_short_window(&house);
    for grant in [&wanted, &unmade] {
        assert_eq!(
            house.grant(grant)["state"],
            "activating",
            "its call is not recorded"
        );
    }
    assert_eq!(house.grant(&given_back)["state"], "ending");
    assert_eq!(house.grant(&going)["state"], "ending");
    house.kill();
    // What was held back goes into the void.
    house.target.proxy().resume();
    house.target.proxy().cut();
    assert_eq!(house.target.roles().len(), 4, "nobody takes anything away now");

    // The server is down all the while: this is the passing of time itself.
    let over = || Ok((edge::now() > too_late.1).then_some(()));
    wait::until("the end of the window", PATIENCE, over).unwrap();
    house.serve();
    let ended = house.until_state(&too_late.0, "ended");
    ended_as_seen(&ended);
    assert_eq!(ended["ended_reason"], "failed");
    ended_as_seen(&house.until_state(&going, "ended"));
    ended_as_seen(&house.until_state(&given_back, "ended"));
    house.until_state(&wanted, "active");
    assert_eq!(role_of(&house, &wanted), role, "the very same role");
    house.until_state(&unmade, "active");
    assert_eq!(
        house.target.roles(),
        [role, role_of(&house, &unmade)],
        "each once, and no other"
    );
    let events = house.audit(&[&given_back]);
    assert!(
        !names(&events).contains(&"grant.activated"),
        "{:?}",
        names(&events)
    );
    for grant in [&wanted, &unmade] {
        let events = house.audit(&[grant]);
        let activated = names(&events)
            .iter()
            .filter(|name| **name == "grant.activated")
            .count();
        assert_eq!(activated, 1);
        house.run("ana", &["release", grant]);
        ended_as_seen(&house.until_state(grant, "ended"));
    }
    assert_eq!(house.target.roles(), Vec::<String>::new());
}

/// A call that is made, and whose answer is held back. `needle` is the statement that it is known by.
#[track_caller]
fn provisioned_unanswered(house: &House, needle: &[u8]) -> String {
    let seen = house.target.proxy().when(needle, Then::HoldAnswers);
    let grant = house.take("orders-prod/read", "10m", &[]);
    seen.wait(PATIENCE).unwrap();
    grant
}

/// A grant whose removal has begun: its role can no longer log in, and the server does not know.
#[track_caller]
fn going(house: &House) -> String {
    let grant = house.take("orders-prod/read", "10m", &["--wait"]);
    let role = role_of(house, &grant);
    let (oid, _) = role.split_once('|').unwrap();
    let seen = house.target.proxy().when(b"NOLOGIN", Then::HoldAnswers);
    house.run("ana", &["release", &grant]);
    seen.wait(PATIENCE).unwrap();
    let can = format!("SELECT rolcanlogin FROM pg_roles WHERE oid = {oid}");
    house.target.until(&can, "f");
    grant
}

/// A grant whose access is there, unrecorded, and when its time to become real is over.
#[track_caller]
fn with_a_short_window(house: &House) -> (String, Timestamp) {
    let policy = text(&house.file("policy/daypass.yaml"));
    std::fs::create_dir_all(house.file("short/policy")).unwrap();
    house.write(
        "short/policy/daypass.yaml",
        &policy.replace("activation: 15m", "activation: 8s"),
    );
    let mut apply = house.as_admin(&["policy", "apply", "--yes"]);
    ends_with(apply.arg(house.file("short/policy")), 0);
    let grant = provisioned_unanswered(house, b"COMMIT");
    role_of(house, &grant);
    let opened = house.audit(&["--event", "grant.opened"]).pop().unwrap();
    let opened: Timestamp = opened["at"].as_str().unwrap().parse().unwrap();
    (grant, opened + Span::seconds(8))
}

/// Waits until the target has a grant's role, asked directly; the role with its number.
#[track_caller]
fn role_of(house: &House, grant: &str) -> String {
    let name = grant.to_lowercase();
    let of = |role: &String| role.contains(&name);
    wait::until("the role", PATIENCE, || {
        Ok(house.target.roles().into_iter().find(of))
    })
    .unwrap()
}

/// The effect is there, the connection is not: the call is repeated, and changes nothing.
fn the_answer_never_came(house: &House) {
    let lost = house.target.proxy().when(b"COMMIT", Then::CutAfter);
    let grant = house.take("orders-prod/read", "10m", &["--wait"]);
    assert!(lost.has_happened());
    role_of(house, &grant);
    let lost = house.target.proxy().when(b"DROP ROLE", Then::CutAfter);
    house.run("ana", &["release", &grant]);
    lost.wait(PATIENCE).unwrap();
    ended_as_seen(&house.until_state(&grant, "ended"));
    assert_eq!(house.target.roles(), Vec::<String>::new());
}
