//! When something is wrong: a lock cuts what is open, and the glass is broken by one who answers for it to another.

use serde_json::Value;

use crate::house::{House, Settings, Store, ended_as_seen, names, on_both_stores};
use crate::running::ends_with;
use crate::target::Session;

on_both_stores!(a_lock_cuts_what_is_open_and_unlocking_revives_nothing);
on_both_stores!(the_glass_is_broken_and_somebody_else_looks_back);

/// `admin_shutdown`, which is what a terminated session is told.
const TERMINATED: &str = "57P01";

fn a_lock_cuts_what_is_open_and_unlocking_revives_nothing(store: Store) {
    let house = House::open(&Settings::on(store));
    let grant = house.take("orders-prod/read", "10m", &["--wait"]);
    let session = Session::open(&house.credentials(&grant)).unwrap();
    assert_eq!(session.ask("SELECT count(*) FROM orders").unwrap(), 2);

    house.fails("ana", &["lock", "orders-prod", "--reason", "mine"], 3);
    let locked = house.run("admin", &["lock", "ana", "--reason", "laptop stolen"]);
    assert_eq!(
        (&locked["ending"], &locked["lock"]["by"]),
        (&1.into(), &"admin".into())
    );
    assert_eq!(session.until_cut(), TERMINATED);
    let ended = house.until_state(&grant, "ended");
    assert_eq!(ended["ended_reason"], "locked");
    ended_as_seen(&ended);
    assert_eq!(house.target.roles(), Vec::<String>::new());

    let said = house.fails("ana", &["request", "orders-prod/read", "--reason", "x"], 3);
    assert!(said.contains("your account is locked"), "{said}");
    let (_, said) = ends_with(&mut house.cli("ana", &["status"]), 0);
    assert!(said.contains("your account is locked"), "{said}");
    let (shown, _) = ends_with(&mut house.cli("dee", &["locks"]), 0);
    assert!(
        shown.contains("ana") && shown.contains("laptop stolen"),
        "{shown}"
    );
    let (shown, _) = ends_with(&mut house.cli("dee", &["user", "ls"]), 0);
    let row = shown.lines().find(|line| line.starts_with("ana")).unwrap();
    assert!(row.contains("locked"), "{shown}");

    house.run("admin", &["unlock", "ana", "--reason", "a new one"]);
    assert_eq!(house.grant(&grant)["state"], "ended");
    assert_eq!(house.target.roles(), Vec::<String>::new());
    house.run("admin", &["lock", "orders-prod", "--reason", "incident 4711"]);
    let (shown, _) = ends_with(&mut house.cli("ana", &["ls", "orders-prod"]), 0);
    assert!(shown.contains("orders-prod is locked"), "{shown}");
    house.fails("ana", &["request", "orders-prod/read", "--reason", "x"], 3);
    house.run("admin", &["unlock", "orders-prod", "--reason", "over"]);
    house.take("orders-prod/read", "10m", &["--wait"]);
    let trail = house.audit(&[]);
    let locks = names(&trail)
        .into_iter()
        .filter(|name| name.starts_with("lock."))
        .count();
    assert_eq!(locks, 4);
}

/// A rule for emergencies, in a file of its own beside the policy.
const RULE: &str = "version: 1
rules:
  - name: emergency
    allow: engineers
    to: {env: production}
    max: 30m
    break_glass: {page: security, review_by: security, within: 24h}
tests:
  - {as: ana, in: [engineering], break_glass: true, ask: orders-prod/write, expect: {rule: emergency, review_by: security}}
";

fn the_glass_is_broken_and_somebody_else_looks_back(store: Store) {
    let house = House::open(&Settings::on(store));
    house.write("policy/emergency.yaml", RULE);
    let folder = house.file("policy");
    house.run("admin", &["policy", "apply", folder.to_str().unwrap()]);

    house.fails("bo", &["break-glass", "orders-prod/write", "--reason", "x"], 3);
    let dry = house.run("ana", &["break-glass", "orders-prod/write", "--dry-run"]);
    assert_eq!(dry["break_glass"]["reviewers"], serde_json::json!(["cy"]));
    let take = [
        "break-glass",
        "orders-prod/write",
        "--reason",
        "checkout is down",
        "--wait",
    ];
    let (out, said) = ends_with(house.cli("ana", &take).args(["-o", "json"]), 0);
    assert!(said.contains("security (cy) must review it"), "{said}");
    let taken: Value = serde_json::from_str(&out).unwrap();
    let (id, grant) = (taken["id"].as_str().unwrap(), taken["grant"].as_str().unwrap());
    let session = Session::open(&house.credentials(grant)).unwrap();
    assert_eq!(session.ask("SELECT count(*) FROM orders").unwrap(), 2);
    let (shown, _) = ends_with(&mut house.cli("ana", &["status"]), 0);
    assert!(shown.contains("orders-prod/write (break-glass)"), "{shown}");

    let (shown, _) = ends_with(&mut house.cli("cy", &["inbox"]), 0);
    assert!(shown.contains("orders-prod/write (break-glass)"), "{shown}");
    let said = house.fails("cy", &["approve", id, "--yes"], 1);
    assert!(said.contains("daypass review"), "{said}");
    house.fails("ana", &["review", id, "--comment", "I am sure", "--yes"], 3);
    let look = ["review", id, "--comment", "not an emergency", "--revoke", "--yes"];
    let looked = house.run("cy", &look);
    assert_eq!(looked["break_glass"]["review"], "reviewed");
    assert_eq!(session.until_cut(), TERMINATED);
    let ended = house.until_state(grant, "ended");
    assert_eq!(ended["ended_reason"], "revoked");
    ended_as_seen(&ended);
    let (shown, _) = ends_with(&mut house.cli("dee", &["status", id]), 0);
    for expect in ["BREAKS THE GLASS", "reviewed by cy", "not an emergency"] {
        assert!(shown.contains(expect), "{expect}: {shown}");
    }
    house.fails("cy", &["review", id, "--comment", "again", "--yes"], 1);
}
