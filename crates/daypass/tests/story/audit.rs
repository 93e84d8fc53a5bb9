//! An auditor verifies: with Daypass over HTTP, on an exported folder and on the store itself; and a stranger with public tools.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::house::{House, Settings, Store, on_both_stores};
use crate::running::{daypass, ends_with};

on_both_stores!(an_auditor_verifies_all_of_it);

fn open(store: Store) -> House {
    House::open(&Settings {
        more: "reconcile: {overdue_after: 1s, backoff_max: 2s}\nsigning_key: {file: secrets/log-key}",
        ..Settings::on(store)
    })
}

/// Waits until the last of what happened is signed: that is when its proof is to be had.
pub(crate) fn signed(house: &House, grant: &str, file: &str) {
    let mut command = house.cli("dee", &["audit", "proof", grant, "-f", file]);
    for _ in 0..20 {
        let output = command.output().unwrap();
        if output.status.success() {
            return;
        }
        // The client itself has waited for what the server said.
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            said.contains("not signed yet") || said.contains("nothing of this log is signed"),
            "{said}"
        );
    }
    panic!("it is never signed");
}

fn an_auditor_verifies_all_of_it(store: Store) {
    let mut house = open(store);
    let grant = house.take("orders-prod/read", "10m", &[]);
    house.until(&grant, "access", |grant| grant["state"] == "active");
    let key = house.file("secrets/log-key.pub");
    let (key, proof, log) = (
        text(&key),
        text(&house.file("proof.json")),
        text(&house.file("log")),
    );
    signed(&house, &grant, &proof);

    // Over HTTP, whole.
    let whole = house.run("dee", &["audit", "verify", "--key", &key]);
    assert!(whole["size"].as_u64().unwrap() > 8, "{whole}");
    let (_, said) = ends_with(&mut house.cli("ana", &["audit", "verify", "--key", &key]), 3);
    assert!(said.contains("a member may not do this"), "{said}");
    // A folder, without the server; and that the log goes on from it.
    ends_with(&mut house.cli("dee", &["audit", "export", "--dir", &log]), 0);
    let seen = format!("{log}/checkpoint");
    house.run(
        "nobody",
        &["audit", "verify", &log, "--key", &key, "--seen", &seen],
    );
    house.run("dee", &["audit", "verify", "--key", &key, "--seen", &seen]);
    let (lines, _) = ends_with(&mut house.cli("dee", &["audit", "export"]), 0);
    // One grant, for a stranger.
    let (shown, _) = ends_with(
        &mut house.cli("nobody", &["audit", "verify", &proof, "--key", &key]),
        0,
    );
    assert!(
        shown.contains("grant.activated") && shown.contains("PAY-7"),
        "{shown}"
    );
    with_public_tools(&house, &proof, &key, &lines);
    forged(&house, &proof, &key, &log);

    // The store itself, while the server is at work, and after.
    let config = text(&house.file("server.yaml"));
    let on_store = |house: &House| {
        ends_with(
            &mut house.cli("nobody", &["audit", "verify", "--config", &config, "--key", &key]),
            0,
        )
    };
    let (_, told) = on_store(&house);
    assert!(told.contains("the tables hold what they made"), "{told}");
    house.end(Signal::TERM);
    on_store(&house);
    if store == Store::Sqlite {
        let file = text(&house.file("data/story.sqlite"));
        let (_, told) = ends_with(
            &mut daypass(&[
                "audit", "verify", "--store", &file, "--key", &key, "--seen", &seen,
            ]),
            0,
        );
        assert!(told.contains("it goes on from what you saw"), "{told}");
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// What the page for auditors tells them to do, done.
fn with_public_tools(house: &House, proof: &str, key: &str, lines: &str) {
    let page = include_str!("../../../../docs/audit.md");
    let scripts: Vec<&str> = page
        .split("```python\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert_eq!(scripts.len(), 2, "one for a proof, one for the whole log");
    let there = |tool: &str| Command::new(tool).arg("--help").output().is_ok();
    if !there("python3") || !there("openssl") {
        eprintln!("no python3 or no openssl here: the page's commands are not run");
        return;
    }
    house.write("verify.py", scripts[0]);
    let python = |script: &str, args: &[&str], code: i32| {
        let mut command = Command::new("python3");
        ends_with(command.arg(house.file(script)).args(args), code)
    };
    let (said, _) = python("verify.py", &[proof, key], 0);
    assert!(said.contains("verified: ") && said.contains("PAY-7"), "{said}");
    // It is no script that says yes to everything.
    let other = std::fs::read_to_string(proof).unwrap().replace("PAY-7", "PAY-8");
    house.write("other.json", &other);
    python("verify.py", &[&text(&house.file("other.json")), key], 1);

    house.write("head.py", scripts[1]);
    house.write("log.ndjson", lines);
    let (said, _) = python("head.py", &[&text(&house.file("log.ndjson"))], 0);
    let whole = house.api("dee").get("/api/v1/audit/proof?leaf=0").of(200);
    let (size, head) = said.trim_end().split_once(' ').unwrap();
    if whole["size"] == size.parse::<u64>().unwrap() {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::STANDARD.decode(head).unwrap();
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(whole["head"], digits.as_str());
    }
}

/// What somebody else wrote is not believed.
fn forged(house: &House, proof: &str, key: &str, log: &str) {
    let whole = std::fs::read_to_string(proof).unwrap();
    house.write("forged.json", &whole.replace("\"PAY-7\"", "\"PAY-8\""));
    let file = text(&house.file("forged.json"));
    let said = house.fails("nobody", &["audit", "verify", &file, "--key", key], 1);
    assert!(said.contains("are not those that were written"), "{said}");

    let entries = Path::new(log).join("tile/entries");
    let bundle = std::fs::read_dir(&entries)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let bundle = if bundle.is_dir() {
        std::fs::read_dir(bundle).unwrap().next().unwrap().unwrap().path()
    } else {
        bundle
    };
    let mut bytes = std::fs::read(&bundle).unwrap();
    let place = bytes.windows(6).position(|part| part == b"\"at\":\"").unwrap() + 6;
    bytes[place] = b'3';
    std::fs::write(&bundle, bytes).unwrap();
    let said = house.fails("nobody", &["audit", "verify", log, "--key", key], 1);
    assert!(said.contains("the log is not sound"), "{said}");

    let (_, public) = daypass_server::new_log_key("somebody-else").unwrap();
    house.write("other.pub", &public);
    let other = text(&house.file("other.pub"));
    let said = house.fails("dee", &["audit", "verify", "--key", &other], 1);
    assert!(said.contains("is not signed by daypass/somebody-else"), "{said}");
}

/// Verifies the store of a house by its configuration and its own key; what that says.
#[track_caller]
pub(crate) fn on_store(house: &House) -> String {
    let (config, key) = (house.file("server.yaml"), house.file("secrets/log-key.pub"));
    let (config, key) = (text(&config), text(&key));
    let verify = ["audit", "verify", "--config", &config, "--key", &key];
    ends_with(&mut house.cli("nobody", &verify), 0).1
}
