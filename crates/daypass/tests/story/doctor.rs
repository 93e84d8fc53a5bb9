//! `daypass doctor`: what does not work is said, with what to do, and the exit code says so too.

use serde_json::Value;

use crate::house::{House, Settings, Store};
use crate::running::{daypass, ends_with};

fn verdicts(out: &str) -> Vec<(String, String)> {
    let checks: Vec<Value> = serde_json::from_str(out).unwrap();
    let text = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
    checks
        .iter()
        .map(|check| (text(check, "about"), text(check, "verdict")))
        .collect()
}

#[test]
fn an_administrator_sees_the_whole_house_and_others_their_way_to_it() {
    let mut house = House::open(&Settings::on(Store::Sqlite));
    let (out, said) = ends_with(&mut house.as_admin(&["doctor"]), 0);
    for line in [
        "✓ server: ",
        "✓ login: admin",
        "✓ clock: ",
        "✓ connector pg-main: can do its work",
        "! notices: go nowhere",
    ] {
        assert!(out.contains(line), "no {line} in\n{out}{said}");
    }
    assert!(said.contains("nothing fails; "), "{said}");

    let (out, _) = ends_with(&mut house.cli("ana", &["doctor", "-o", "json"]), 0);
    let mine = verdicts(&out);
    assert!(mine.contains(&("login".into(), "good".into())), "{mine:?}");
    assert!(
        !mine.iter().any(|(about, _)| about.starts_with("connector")),
        "{mine:?}"
    );

    house.kill();
    let (out, said) = ends_with(&mut house.as_admin(&["doctor"]), 1);
    assert!(
        out.contains("✗ server: ") && said.contains("does not work"),
        "{out}{said}"
    );
}

#[test]
fn nobody_in_particular_is_told_how_to_log_in() {
    let home = tempfile::tempdir().unwrap();
    let (out, said) = ends_with(
        daypass(&["doctor"])
            .env("XDG_CONFIG_HOME", home.path())
            .env("PATH", home.path()),
        1,
    );
    for part in [
        "! psql: is not installed",
        "✗ login: nobody is logged in",
        "daypass login",
    ] {
        assert!(out.contains(part), "no {part} in\n{out}{said}");
    }
}
