//! What bad input gets through the command line: what, why and what to try, a stable exit code, and nothing lost.

use serde_json::json;

use crate::house::{House, Settings, Store, ended_as_seen, names};
use crate::running::{daypass, ends_with, text};

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[test]
fn a_policy_that_does_not_hold_changes_nothing() {
    let house = House::open(&Settings::on(Store::Sqlite));
    let in_force = house.api("admin").get("/api/v1/policy").of(200);
    let good = text(&house.file("policy/daypass.yaml"));
    std::fs::create_dir_all(house.file("bad/policy")).unwrap();
    let bad = house.file("bad/policy").display().to_string();

    house.write(
        "bad/policy/daypass.yaml",
        &good.replace("approval: none", "aproval: none"),
    );
    let line = good
        .lines()
        .position(|line| line.contains("approval: none"))
        .unwrap()
        + 1;
    for args in [["policy", "check", &bad], ["policy", "apply", &bad]] {
        let (_, said) = ends_with(&mut house.as_admin(&args), 1);
        says(
            &said,
            &[&format!("policy/daypass.yaml:{line}"), "aproval", "approval"],
        );
    }

    house.write(
        "bad/policy/daypass.yaml",
        &good.replace("steps: [leads, security]", "steps: [leads]"),
    );
    for args in [
        ["policy", "test", &bad],
        ["policy", "check", &bad],
        ["policy", "apply", &bad],
    ] {
        let (out, said) = ends_with(&mut house.as_admin(&args), 8);
        says(
            &format!("{out}{said}"),
            &["policy/daypass.yaml:", "leads, security"],
        );
    }
    let put = json!({"files": [{"name": "policy/daypass.yaml", "text": good.replace("steps: [leads, security]", "steps: [leads]")}]});
    let refused = house.api("admin").put("/api/v1/policy", &put);
    assert_eq!(refused.problem(), "urn:daypass:policy-test-failed");
    assert_eq!(house.api("admin").get("/api/v1/policy").of(200), in_force);
}

#[test]
fn the_first_administrator_is_made_once() {
    let house = House::build(&Settings::on(Store::Postgres));
    let mut again = daypass(&["init", "--only-admin", "--no-input"]);
    let (out, said) = ends_with(again.arg(house.file(".")), 1);
    assert_eq!(out, "", "no password is shown for nothing");
    says(&said, &["there are people already", "Try: daypass user add"]);
}

#[test]
fn a_request_that_cannot_be_is_explained() {
    let house = House::open(&Settings::on(Store::Sqlite));
    let ask = |item: &str, more: &[&str], code| {
        let args = [&["request", item, "--no-input"], more].concat();
        house.fails("ana", &args, code)
    };
    let why = ["--reason", "PAY-7"];
    says(
        &ask("orders-prd/read", &why, 1),
        &["orders-prd", "Try:", "orders-prod"],
    );
    says(&ask("orders-prod/wirte", &why, 1), &["wirte", "Try:", "write"]);
    says(&ask("orders-prod", &why, 2), &["orders-prod"]);
    let long = ask("orders-prod/write", &["--for", "3h", "--reason", "PAY-7"], 3);
    says(
        &long,
        &[
            "3h is over the limit of 2h",
            "rule prod-write",
            "policy/daypass.yaml:",
            "  Try: ",
            "2h",
        ],
    );
    says(&ask("orders-prod/write", &["--reason", " "], 3), &["reason"]);
    says(&ask("orders-prod/write", &[], 3), &["reason"]);
    says(
        &ask("orders-prod/write", &["--for", "soon", "--reason", "x"], 2),
        &["soon"],
    );
    says(
        &house.fails("dee", &["request", "orders-prod/read", "--reason", "x"], 3),
        &["✗"],
    );
    says(
        &house.fails("cy", &["request", "orders-prod/read", "--reason", "x"], 3),
        &["✗"],
    );
    let (out, json) = ends_with(
        &mut house.cli(
            "ana",
            &[
                "request",
                "orders-prod/write",
                "--for",
                "3h",
                "--reason",
                "x",
                "-o",
                "json",
            ],
        ),
        3,
    );
    assert_eq!(out, "");
    let problem: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&problem["type"], &problem["exit"]),
        (&json!("urn:daypass:over-max"), &json!(3))
    );

    let none = house.api("dee").get("/api/v1/requests").of(200);
    assert_eq!(none["items"], json!([]), "nothing came of any of it");
    assert_eq!(house.target.roles(), Vec::<String>::new());
}

#[test]
fn a_review_that_may_not_be_is_refused() {
    let house = House::open(&Settings::on(Store::Sqlite));
    let asked = house.run(
        "ana",
        &["request", "orders-prod/write", "--for", "1h", "--reason", "PAY-7"],
    );
    let id = asked["id"].as_str().unwrap();
    let path = format!("/api/v1/requests/{id}/reviews");
    let approve = json!({"decision": "approve", "digest": asked["digest"]});
    let review = |login: &str| house.api(login).post(&path, &approve);

    says(
        &house.fails("ana", &["approve", id, "--yes"], 3),
        &["own request"],
    );
    says(&house.fails("cy", &["approve", id, "--yes"], 3), &["✗"]);
    assert_eq!(review("admin").problem(), "urn:daypass:not-reviewer");
    assert_eq!(review("dee").problem(), "urn:daypass:forbidden");
    let other = json!({"decision": "approve", "digest": "00".repeat(32)});
    let refused = house.api("bo").post(&path, &other);
    assert_eq!(
        (refused.status, refused.problem().as_str()),
        (409, "urn:daypass:digest-mismatch")
    );
    let more = json!({"decision": "approve", "digest": asked["digest"], "duration": "2h"});
    assert_eq!(
        house.api("bo").post(&path, &more).problem(),
        "urn:daypass:review-for-more"
    );

    house.run("bo", &["approve", id, "--yes"]);
    assert_eq!(review("bo").problem(), "urn:daypass:already-reviewed");
    house.fails("bo", &["approve", id, "--yes"], 1);
    house.run("cy", &["deny", id, "--reason", "use the replica"]);
    says(
        &house.fails("bo", &["approve", id, "--yes"], 1),
        &["denied already", "Try: daypass status"],
    );
    assert_eq!(review("cy").problem(), "urn:daypass:already-decided");
    let events = house.audit(&[id]);
    assert_eq!(
        names(&events),
        ["request.created", "request.reviewed", "request.denied"]
    );
    assert_eq!(house.target.roles(), Vec::<String>::new());
}

#[test]
fn a_provider_that_refuses_is_told_and_ends_with_evidence() {
    let house = House::open(&Settings {
        activation: "6s",
        ..Settings::on(Store::Sqlite)
    });
    let grant = house.take("orders-prod/ghost", "5m", &[]);
    let ended = house.until_state(&grant, "ended");
    assert_eq!(ended["ended_reason"], "failed", "{ended}");
    assert_eq!(house.target.roles(), Vec::<String>::new());
    ended_as_seen(&ended);
    let events = house.audit(&[&grant]);
    let failing = events.iter().find(|event| event["name"] == "entitlement.failing");
    says(
        &failing.expect("the log says why")["data"].to_string(),
        &["nobody_made_this"],
    );
    let (shown, _) = ends_with(&mut house.cli("ana", &["status", &grant]), 0);
    says(&shown, &["ended", "ghost"]);
    let wait = [
        "request",
        "orders-prod/ghost",
        "--for",
        "5m",
        "--reason",
        "x",
        "--wait",
    ];
    says(&house.fails("ana", &wait, 9), &["✗", "not provisioned within 6s"]);
}
