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
    // The folder is added to, and only by a log that goes on from it.
    ends_with(&mut house.cli("dee", &["audit", "export", "--dir", &log]), 0);
    another_log_is_not_written_over_it(&house, &log);
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
    shortened(&house, &proof, &key);
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

/// The folder has a checkpoint that the server's log does not go on from: nothing is written.
fn another_log_is_not_written_over_it(house: &House, log: &str) {
    let path = Path::new(log).join("checkpoint");
    let own = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<&str> = own.split('\n').collect();
    let size: u64 = lines[1].parse().unwrap();
    assert!(Path::new(log).join(format!("checkpoint.{size}")).exists());
    let (longer, head) = ((size + 1_000).to_string(), "A".repeat(43) + "=");
    for (other, why) in [
        ((1, longer.as_str()), "entries were taken away"),
        ((2, head.as_str()), "does not go on from"),
    ] {
        let was = std::mem::replace(&mut lines[other.0], other.1);
        let forged = lines.join("\n");
        std::fs::write(&path, &forged).unwrap();
        let said = house.fails("dee", &["audit", "export", "--dir", log], 1);
        assert!(said.contains(why), "{said}");
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            forged,
            "it stays as it was"
        );
        lines[other.0] = was;
    }
    std::fs::write(&path, own).unwrap();
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
        assert!(
            std::env::var_os("CI").is_none(),
            "CI has no python3 or no openssl"
        );
        eprintln!("NOT TESTED: no python3 or no openssl here, so the page's commands are not run");
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
    let whole = std::fs::read_to_string(proof).unwrap();
    for (name, forged, why) in forgeries(&whole) {
        house.write("other.json", &forged);
        let (said, told) = python("verify.py", &[&text(&house.file("other.json")), key], 1);
        assert!(!said.contains("verified: "), "{name}: {said}");
        assert!(
            told.contains("NOT verified: ") && told.contains(why),
            "{name}: {told}"
        );
    }

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

/// Files that somebody made of this proof, and what the page's script says to them.
fn forgeries(whole: &str) -> Vec<(&'static str, String, &'static str)> {
    let proof: serde_json::Value = serde_json::from_str(whole).unwrap();
    let with = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut other = proof.clone();
        change(&mut other);
        other.to_string()
    };
    // SHA-256 of 16 bytes of zeros and "yes".
    let words = serde_json::json!({
        "salt": "00".repeat(16),
        "text": "yes",
        "hash": daypass_core::text::Prose::new([0; 16], "yes").hash(),
    });
    let grant = proof["grant"].as_str().unwrap();
    let another = format!("G{}", grant[1..].chars().rev().collect::<String>());
    vec![
        (
            "other words",
            whole.replace("PAY-7", "PAY-8"),
            "words are not those written",
        ),
        (
            "words of nobody",
            with(&|proof| proof["words"].as_array_mut().unwrap().push(words.clone())),
            "there are words that no entry refers to",
        ),
        (
            "no entries",
            with(&|proof| proof["entries"] = serde_json::json!([])),
            "no entry is about the grant",
        ),
        (
            "an entry twice",
            with(&|proof| {
                let entries = proof["entries"].as_array_mut().unwrap();
                entries.insert(1, entries[0].clone());
            }),
            "is not in the log's order",
        ),
        (
            "another grant",
            with(&|proof| proof["grant"] = another.clone().into()),
            "is about something else",
        ),
    ]
}

/// Files with fewer entries than there were, and what `audit verify` says to them; the last one is a file of an earlier time.
fn shortened(house: &House, proof: &str, key: &str) {
    let proof: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(proof).unwrap()).unwrap();
    let names: Vec<String> = proof["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            use base64::Engine as _;
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(entry["entry"].as_str().unwrap())
                .unwrap();
            let event: daypass_core::event::Event = serde_json::from_slice(&bytes).unwrap();
            event.what.name().to_owned()
        })
        .collect();
    let without = |name: &str| {
        let mut other = proof.clone();
        let at = names.iter().position(|one| one == name).unwrap();
        other["entries"].as_array_mut().unwrap().remove(at);
        house.write("short.json", &other.to_string());
        text(&house.file("short.json"))
    };
    for name in [
        "request.created",
        "request.approved",
        "grant.opened",
        "grant.begun",
    ] {
        let file = without(name);
        let said = house.fails("nobody", &["audit", "verify", &file, "--key", key], 1);
        assert!(
            said.contains("missing") || said.contains("not about the grant"),
            "{name}: {said}"
        );
    }
    let (_, told) = ends_with(
        &mut house.cli(
            "nobody",
            &["audit", "verify", &without("grant.activated"), "--key", key],
        ),
        0,
    );
    assert!(
        told.contains("being set up; what came later is not excluded"),
        "{told}"
    );
    let mut other = proof.clone();
    other["words"] = serde_json::json!([]);
    house.write("short.json", &other.to_string());
    let file = text(&house.file("short.json"));
    let (_, told) = ends_with(
        &mut house.cli("nobody", &["audit", "verify", &file, "--key", key]),
        0,
    );
    assert!(told.contains("more are missing: erased, or left out"), "{told}");
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
        // An export that was added to has narrower ones of before beside it, which nobody reads any more.
        let width = |path: &std::path::PathBuf| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .parse::<u16>()
                .unwrap()
        };
        let all = std::fs::read_dir(bundle).unwrap().flatten();
        all.map(|entry| entry.path()).max_by_key(width).unwrap()
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
