//! Somebody goes on holiday, and somebody else reviews in their place, by the command line alone.

use crate::house::{House, Settings, Store, names, on_both_stores};
use crate::running::ends_with;

on_both_stores!(who_is_away_is_stood_in_for_and_the_trail_says_so);

fn who_is_away_is_stood_in_for_and_the_trail_says_so(store: Store) {
    let house = House::open(&Settings::on(store));
    let delegate = ["delegate", "admin", "--until", "+2h", "--reason", "on holiday"];
    let said = house.fails("bo", &delegate, 3);
    assert!(said.contains("lets nobody delegate"), "{said}");

    let file = house.file("policy/daypass.yaml");
    let before = std::fs::read_to_string(&file).unwrap();
    let sets = "delegates: [deputies], reason: required";
    let after = before
        .replace("reason: required", sets)
        .replace("people:\n", "people:\n  deputies: {logins: [admin]}\n");
    house.write("policy/daypass.yaml", &after);
    let folder = house.file("policy");
    house.run("admin", &["policy", "apply", folder.to_str().unwrap()]);
    let made = house.run("bo", &delegate);
    assert_eq!((&made["of"], &made["state"]), (&"bo".into(), &"active".into()));
    for (who, args) in [
        ("bo", &["delegate"][..]),
        ("admin", &["delegate"]),
        ("dee", &["delegate", "--all"]),
    ] {
        let (shown, _) = ends_with(&mut house.cli(who, args), 0);
        let row = shown.lines().find(|line| line.starts_with("bo")).unwrap();
        assert!(row.contains("admin") && row.contains("on holiday"), "{shown}");
    }

    let asked = house.run(
        "ana",
        &[
            "request",
            "orders-prod/write",
            "--for",
            "10m",
            "--reason",
            "PAY-7",
        ],
    );
    let id = asked["id"].as_str().unwrap();
    let (shown, _) = ends_with(&mut house.cli("admin", &["inbox"]), 0);
    assert!(shown.contains("orders-prod/write [in place of bo]"), "{shown}");
    let (shown, _) = ends_with(&mut house.cli("ana", &["status", id]), 0);
    assert!(shown.contains("bo or admin for bo"), "{shown}");
    house.run("admin", &["approve", id, "--yes"]);
    let (_, said) = ends_with(&mut house.cli("bo", &["approve", id, "--yes"]), 1);
    assert!(
        said.contains("your delegate reviewed this request in your place"),
        "{said}"
    );
    house.run("cy", &["approve", id, "--yes"]);
    let (shown, _) = ends_with(&mut house.cli("ana", &["status", id]), 0);
    assert!(shown.contains("admin for bo agreed"), "{shown}");

    let (shown, _) = ends_with(&mut house.cli("bo", &["delegate", "--end"]), 0);
    assert!(shown.contains("the delegation of bo has ended"), "{shown}");
    let trail = house.audit(&[]);
    let told = names(&trail);
    for name in ["person.delegated", "person.delegation_ended"] {
        assert!(told.contains(&name), "{told:?}");
    }
    let by = |event: &&serde_json::Value| event["summary"] == "admin for bo approves step 1";
    assert_eq!(trail.iter().filter(by).count(), 1);
}
