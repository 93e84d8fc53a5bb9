//! A program's account from the command line: made, given a token by who answers for it, orphaned, handed over.

use crate::house::{House, Settings, Store};
use crate::running::ends_with;

#[test]
fn a_program_has_somebody_who_answers_for_it() {
    let house = House::open(&Settings::on(Store::Sqlite));
    let profile = std::fs::read_to_string(house.file("home-admin/daypass/default.json")).unwrap();
    let profile: serde_json::Value = serde_json::from_str(&profile).unwrap();
    let url = profile["server"].as_str().unwrap().to_owned();
    let made = house.run("admin", &["service", "add", "nightly", "--owner", "ana"]);
    assert_eq!(
        (&made["kind"], &made["owner"]),
        (&"service".into(), &"ana".into())
    );
    house.fails("admin", &["service", "token", "nightly", "job"], 3);
    let (secret, _) = ends_with(&mut house.cli("ana", &["service", "token", "nightly", "job"]), 0);
    let whoami = |code| {
        let mut whoami = house.cli("nobody", &["whoami", "-o", "json"]);
        let token = whoami.env("DAYPASS_TOKEN", secret.trim());
        ends_with(token.env("DAYPASS_SERVER", &url), code).0
    };
    assert!(whoami(0).contains("\"owner\": \"ana\""));
    let (shown, _) = ends_with(&mut house.as_admin(&["service", "show", "nightly"]), 0);
    assert!(
        shown.contains("owner      ana") && shown.contains("job"),
        "{shown}"
    );

    let (_, told) = ends_with(&mut house.as_admin(&["user", "deactivate", "ana"]), 0);
    assert!(told.contains("nobody answers for nightly now"), "{told}");
    let (listed, _) = ends_with(&mut house.as_admin(&["service", "ls"]), 0);
    assert!(listed.contains("orphaned service"), "{listed}");
    let owned = house.run("admin", &["service", "owner", "nightly", "bo"]);
    assert_eq!(owned["orphaned"], serde_json::Value::Null);
    whoami(4);
    let (trail, _) = ends_with(
        &mut house.as_admin(&["audit", "ls", "--event", "person.owner"]),
        0,
    );
    assert!(trail.contains("bo answers for it now"), "{trail}");
}
