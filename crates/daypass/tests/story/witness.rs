//! `daypass witness`, the built binary: what it answers to each body, what it remembers, and what it finds together with a server whose
//! administrator puts yesterday's store back.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Mutex;

use daypass_testbed::wait;
use daypass_tlog::key::{Signer, Use, Verifier};
use daypass_tlog::note::Signature;
use daypass_tlog::proof::Proof;
use daypass_tlog::witness::Proposal;
use daypass_tlog::{Checkpoint, Note, Tree, leaf};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::house::{House, Settings, Store};
use crate::running::{PATIENCE, Running, daypass, ends_with, text};

const LOG: &str = "log.example/test";

fn signer(name: &str, seed: u8) -> Signer {
    Signer::new(name.parse().unwrap(), Use::Note, [seed; 32].into()).unwrap()
}

fn tree(leaves: &[u8]) -> Tree {
    leaves.iter().map(|byte| leaf(&[*byte])).collect()
}

fn proof(old: u64, leaves: &[u8]) -> Vec<[u8; 32]> {
    let size = u64::try_from(leaves.len()).unwrap();
    let part = |level: u8, index: u64| {
        let begin = usize::try_from(index << level).unwrap();
        tree(&leaves[begin..begin + (1 << level)]).head()
    };
    let proof = Proof::of_consistency(old, size).unwrap();
    proof
        .build(|subtree| Some(part(subtree.level, subtree.index)))
        .unwrap()
}

/// "This is the log now, and it goes on from so many."
fn proposal(old: u64, leaves: &[u8], key: &Signer) -> Proposal {
    let origin = key.verifier().name().as_str();
    let mut note = Note::new(Checkpoint::of(origin, &tree(leaves)).to_string()).unwrap();
    note.sign(key, 0);
    let proof = if old <= u64::try_from(leaves.len()).unwrap() {
        proof(old, leaves)
    } else {
        Vec::new()
    };
    Proposal { old, proof, note }
}

/// A witness that runs.
struct Watching {
    running: Running,
    door: Door,
}

/// Where it answers, and what it signs with.
struct Door {
    address: String,
    key: Verifier,
}

impl std::ops::Deref for Watching {
    type Target = Door;

    fn deref(&self) -> &Door {
        &self.door
    }
}

impl Watching {
    #[track_caller]
    fn start(state: &Path, log: &Path) -> Self {
        let mut command = daypass(&["witness", "--listen", "127.0.0.1:0"]);
        command.arg("--state").arg(state).arg("--log").arg(log);
        let mut running = Running::start(command);
        let line = running.says("the witness answers on ");
        let address = line.rsplit("http://").next().unwrap().trim().to_owned();
        let key = std::fs::read_to_string(state.join("key.pub")).unwrap();
        let key = key.trim_end().parse().unwrap();
        let door = Door { address, key };
        Self { running, door }
    }
}

impl Door {
    /// The status, the type and the body of an answer.
    fn call(&self, method: &str, path: &str, body: &[u8]) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: w\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // Who is refused early may not have been listened to.
        let _ = stream.write_all(body);
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        let all = String::from_utf8(all).unwrap();
        let (head, body) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
        let status = head.split(' ').nth(1).unwrap_or("0").parse().unwrap();
        let kind = head.lines().find_map(|line| line.strip_prefix("content-type: "));
        (status, kind.unwrap_or_default().to_owned(), body.to_owned())
    }

    fn add(&self, proposal: &Proposal) -> (u16, String, String) {
        self.call("POST", "/add-checkpoint", proposal.to_string().as_bytes())
    }

    #[track_caller]
    fn cosigns(&self, proposal: &Proposal) {
        let (status, _, body) = self.add(proposal);
        assert_eq!(status, 200, "{body}");
        let mut note = proposal.note.clone();
        note.add([Signature::parse(body.strip_suffix('\n').unwrap()).unwrap()]);
        assert!(
            note.verify(&self.key).unwrap().at > 1_700_000_000,
            "with the time"
        );
    }
}

/// A folder for a witness, with the public key of a log.
fn folder(key: &Signer) -> (TempDir, std::path::PathBuf, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.pub");
    std::fs::write(&log, format!("# the log\n{}\n", key.verifier())).unwrap();
    let state = folder.path().join("state");
    (folder, state, log)
}

#[test]
fn each_answer_is_the_protocols() {
    let key = signer(LOG, 1);
    let (_folder, state, log) = folder(&key);
    let witness = Watching::start(&state, &log);
    witness.cosigns(&proposal(0, b"abc", &key));
    witness.cosigns(&proposal(3, b"abcde", &key));
    witness.cosigns(&proposal(5, b"abcde", &key));

    // 409 with the size of what was signed last: an old one, an unknown one, and a second log of the same size.
    let size = (409, "text/x.tlog.size".to_owned(), "5\n".to_owned());
    assert_eq!(witness.add(&proposal(3, b"abcdef", &key)), size);
    assert_eq!(witness.add(&proposal(0, b"abcdef", &key)), size);
    assert_eq!(
        witness.add(&proposal(3, b"abcd", &key)),
        size,
        "a log that went back"
    );
    assert_eq!(witness.add(&proposal(5, b"abcdX", &key)), size);
    // So it is whatever else the proposal says: two heads of one size are a proof by themselves.
    let mut junk = proposal(5, b"abcdX", &key);
    junk.proof.push([7; 32]);
    assert_eq!(witness.add(&junk), size);
    assert_eq!(witness.add(&proposal(3, b"abcdX", &key)), size);
    // 422: what came before was rewritten, or the proof is of something else.
    assert_eq!(witness.add(&proposal(5, b"abXdefg", &key)).0, 422);
    let mut other = proposal(5, b"abcdefg", &key);
    other.proof.pop();
    assert_eq!(witness.add(&other).0, 422);
    other.proof.clear();
    assert_eq!(witness.add(&other).0, 422);
    // 404: another log. 403: the log's name, and another key; or a signature that is false.
    assert_eq!(
        witness.add(&proposal(0, b"abc", &signer("other.example", 1))).0,
        404
    );
    assert_eq!(witness.add(&proposal(5, b"abcdefg", &signer(LOG, 2))).0, 403);
    let forged = proposal(5, b"abcdefg", &key)
        .to_string()
        .replace("\n7\n", "\n8\n");
    assert_eq!(witness.call("POST", "/add-checkpoint", forged.as_bytes()).0, 403);
    no_proposals(&witness, &key);

    // It goes on after all of that, and says what it found.
    witness.cosigns(&proposal(5, b"abcdefg", &key));
    let (_, _, metrics) = witness.call("GET", "/metrics", b"");
    for line in [
        "entries{log=\"log.example/test\"} 7",
        "contradictions_total{log=\"log.example/test\"} 6",
        "smaller_total{log=\"log.example/test\"} 1",
        "last_signed_timestamp_seconds{log=\"log.example/test\"} 1",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let kept = |name: &str| {
        let there = std::fs::read_dir(&state).unwrap().flatten();
        there
            .filter(|entry| entry.file_name().to_string_lossy().contains(name))
            .count()
    };
    // One of each checkpoint.
    assert_eq!((kept(".fork-"), kept(".unproved-")), (1, 2));
    let (end, told) = witness.running.stop(Signal::TERM);
    assert!(end.success() && told.contains("FORK"), "{told}");
}

/// What is none, or cannot be, is refused before anything is looked at.
fn no_proposals(witness: &Door, key: &Signer) {
    // 400: beyond the new size, or no proposal at all.
    assert_eq!(witness.add(&proposal(7, b"abcdef", key)).0, 400);
    let good = proposal(5, b"abcdefg", key).to_string();
    for bad in [
        String::new(),
        "old 5".to_owned(),
        good.replacen("old 5", "old 05", 1),
        good.replacen("old 5", "old -5", 1),
        good.replacen("old 5", "new 5", 1),
        good.replacen("old 5\n", "old 5\nnot base64!\n", 1),
        good.replacen(
            "old 5\n",
            &format!(
                "old 5\n{}",
                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n".repeat(64)
            ),
            1,
        ),
        good.replace('\u{2014}', "-"),
        good.trim_end().to_owned(),
        "\0".repeat(1000),
    ] {
        assert_eq!(
            witness.call("POST", "/add-checkpoint", bad.as_bytes()).0,
            400,
            "{bad:?}"
        );
    }
    let long = format!("{good}{}", "x".repeat(100_000));
    assert_eq!(witness.call("POST", "/add-checkpoint", long.as_bytes()).0, 413);
    assert_eq!(witness.call("GET", "/add-checkpoint", b"").0, 405);
    assert_eq!(witness.call("GET", "/", b"").0, 404);
}

#[test]
fn what_it_signed_it_remembers_and_one_at_a_time() {
    let key = signer(LOG, 1);
    let (_folder, state, log) = folder(&key);
    let witness = Watching::start(&state, &log);
    witness.cosigns(&proposal(0, b"abc", &key));
    // Many at once, all from the same size and each to another: one of them is signed.
    let signed: Mutex<BTreeMap<u16, Vec<String>>> = Mutex::default();
    std::thread::scope(|scope| {
        for byte in b'0'..b'8' {
            let (witness, key, signed) = (&witness.door, &key, &signed);
            scope.spawn(move || {
                let (status, _, body) = witness.add(&proposal(3, &[b'a', b'b', b'c', byte], key));
                signed.lock().unwrap().entry(status).or_default().push(body);
            });
        }
    });
    let signed = signed.into_inner().unwrap();
    assert_eq!(signed[&200].len(), 1);
    assert_eq!(signed[&409], vec!["4\n"; 7]);

    // Another witness does not work on the same folder.
    let mut second = daypass(&["witness", "--listen", "127.0.0.1:0"]);
    second.arg("--state").arg(&state).arg("--log").arg(&log);
    let (_, told) = ends_with(&mut second, 1);
    assert!(told.contains("another witness is at work"), "{told}");

    // However it ends, it knows.
    let before = witness.key.clone();
    witness.running.stop(Signal::KILL);
    let witness = Watching::start(&state, &log);
    assert_eq!(witness.key, before);
    assert_eq!(witness.add(&proposal(3, b"abcd", &key)).2, "4\n");
    witness.running.stop(Signal::TERM);
    // Neither without its key nor with a memory that is not its own does it go on as if it were new.
    let secret = std::fs::read(state.join("key")).unwrap();
    std::fs::remove_file(state.join("key")).unwrap();
    let start = || {
        let mut command = daypass(&["witness", "--listen", "127.0.0.1:0"]);
        command.arg("--state").arg(&state).arg("--log").arg(&log);
        ends_with(&mut command, 1).1
    };
    assert!(start().contains("put it back from its copy"));
    std::fs::write(state.join("key"), &secret).unwrap();
    assert!(start().contains("chmod 600"), "others can read it");
    std::fs::set_permissions(
        state.join("key"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    let there = std::fs::read_dir(&state).unwrap().flatten();
    let memory = there
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "checkpoint"));
    let memory = memory.unwrap();
    let whole = std::fs::read_to_string(&memory).unwrap();
    std::fs::write(&memory, whole.replace("\n4\n", "\n3\n")).unwrap();
    assert!(start().contains("is false"));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// What the server says of its witness.
fn of_witness(house: &House) -> Value {
    let checkup = house.api("dee").get("/api/v1/doctor").of(200);
    let checks = checkup["checks"].as_array().unwrap();
    let witness = |check: &&Value| check["about"].as_str().unwrap().starts_with("witness ");
    checks.iter().find(witness).cloned().unwrap_or_default()
}

#[track_caller]
fn until_witness(house: &House, verdict: &str, with: &str) -> Value {
    wait::until("the witness", PATIENCE, || {
        let check = of_witness(house);
        let found = check["found"].as_str().unwrap_or_default().to_owned();
        Ok((check["verdict"] == verdict && found.contains(with)).then_some(check))
    })
    .unwrap()
}

/// Everything that is recorded is signed, and the witness has signed it too.
#[track_caller]
fn until_witnessed(house: &House, key: &str, witness: &str) {
    wait::until("a witnessed log", PATIENCE, || {
        let newest = house
            .api("dee")
            .get("/api/v1/audit/events?newest=true&limit=1")
            .of(200);
        let last = newest["items"][0]["seq"].as_u64().unwrap();
        let check = of_witness(house);
        let signed = check["found"]
            .as_str()
            .and_then(|found| found.strip_prefix("signed "));
        let size = signed.and_then(|found| found.split(' ').next()?.parse::<u64>().ok());
        Ok(size.is_some_and(|size| size > last).then_some(()))
    })
    .unwrap();
    let whole = house.run("dee", &["audit", "verify", "--key", key, "--witness", witness]);
    assert!(whole["size"].as_u64().is_some(), "{whole}");
}

/// The store's file is copied back to yesterday, and with it the server's own memory: its administrator does not want it to be noticed.
#[test]
fn yesterdays_store_is_found_by_the_witness_and_by_the_pins() {
    let mut house = House::open(&Settings {
        more: "reconcile: {overdue_after: 1s, backoff_max: 2s}\nsigning_key: {file: secrets/log-key}",
        ..Settings::on(Store::Sqlite)
    });
    let key = house.file("secrets/log-key.pub");
    let witness = Watching::start(&house.file("witness"), &key);
    house.end(Signal::TERM);
    let config = text(&house.file("server.yaml"));
    let line = format!(
        "witnesses: [{{url: \"http://{}\", key: \"{}\"}}]\n",
        witness.address, witness.key
    );
    house.write("server.yaml", &format!("{config}{line}"));
    house.serve();
    let path = |name: &str| house.file(name).to_str().unwrap().to_owned();
    let (key, by) = (path("secrets/log-key.pub"), path("witness/key.pub"));
    until_witnessed(&house, &key, &by);
    verified_whatever_is_kept(&house, &key);

    // Yesterday.
    house.end(Signal::TERM);
    copy(&house.file("data"), &house.file("yesterday"));
    let signed = std::fs::read(house.file("secrets/log-key.signed")).unwrap();
    house.serve();
    let grant = house.take("orders-prod/read", "10m", &["--wait"]);
    house.run("ana", &["release", &grant]);
    house.until_state(&grant, "ended");
    until_witnessed(&house, &key, &by);
    proofs(&house, &grant, (&key, &by));
    house.looks_again("ana");
    house.run("ana", &["status"]);
    let seen = house.file("home-cy/daypass/pins");
    assert!(seen.exists(), "everybody has a pin, from the login on");

    // Today.
    house.end(Signal::TERM);
    std::fs::remove_dir_all(house.file("data")).unwrap();
    copy(&house.file("yesterday"), &house.file("data"));
    std::fs::write(house.file("secrets/log-key.signed"), &signed).unwrap();
    house.serve();
    found_by_who_asks_for_the_witness(&house, (&key, &by), 0);
    found_by_all_who_saw_more(&house);
    found_by_who_asks_for_the_witness(&house, (&key, &by), 30);

    // Nobody accepts it by the way.
    house.fails("ana", &["audit", "accept"], 2);
    house.fails("ana", &["audit", "accept", "--reason", "a copy of Friday"], 2);
    ends_with(
        &mut house.cli(
            "ana",
            &["audit", "accept", "--reason", "a copy of Friday", "--yes"],
        ),
        0,
    );
    house.run("ana", &["status"]);
    let told = house.end(Signal::TERM);
    assert!(
        told.contains("a witness signed what this store does not go on from"),
        "{told}"
    );
    witness.running.stop(Signal::TERM);
}

/// An auditor's command on a machine that never saw the log before.
fn never_saw(house: &House, args: &[&str]) -> std::process::Command {
    let mut command = house.cli("fresh", &[&["audit", "verify", "-o", "json"], args].concat());
    command
        .env("DAYPASS_TOKEN", house.token("dee"))
        .env("DAYPASS_SERVER", house.url());
    command
}

/// Who never saw the log before and demands the witness's signature: what it signed before the loss is the beginning of what there is now,
/// and it is not of late. `more`: how many entries there are at least that it did not sign.
fn found_by_who_asks_for_the_witness(house: &House, (key, by): (&str, &str), more: u64) {
    until_witness(house, "failing", "");
    let verify = ["--key", key, "--witness", by, "--witness-age"];
    // The witness signed yesterday's last entries seconds ago: two seconds are the ten minutes of somebody who is in no hurry.
    wait::until("a signature that is too old", PATIENCE, || {
        let output = never_saw(house, &[verify.as_slice(), &["2s"]].concat())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        Ok((output.status.code() == Some(1) && told.contains("cosigned up to ")).then_some(()))
    })
    .unwrap();
    // But for that the log is whole, and goes on from what was signed.
    wait::until("the entries that were not cosigned", PATIENCE, || {
        let (whole, _) = ends_with(&mut never_saw(house, &[verify.as_slice(), &["1h"]].concat()), 0);
        let whole: Value = serde_json::from_str(&whole).unwrap();
        let (size, cosigned) = (whole["size"].as_u64().unwrap(), &whole["cosigned"]);
        assert!(cosigned["by"][0]["at"].is_string(), "{whole}");
        Ok((size >= cosigned["size"].as_u64().unwrap() + more).then_some(()))
    })
    .unwrap();
}

/// What asks for something.
const ASK: [&str; 6] = ["request", "orders-prod/read", "--for", "1m", "--reason", "PAY-9"];

/// The witness and whoever saw today's log say so; who saw less sees nothing wrong.
fn found_by_all_who_saw_more(house: &House) {
    until_witness(house, "failing", "it went back");
    house.looks_again("ana");
    let told = house.fails("ana", &ASK, 10);
    assert!(
        told.contains("its log went back") && told.contains("seen: "),
        "{told}"
    );
    // What only reads says so too, and goes on.
    let (_, told) = ends_with(&mut house.cli("ana", &["status"]), 0);
    assert!(
        told.contains("its log went back") && told.contains("This goes on"),
        "{told}"
    );
    // Who saw less sees nothing wrong.
    house.looks_again("cy");
    house.run("cy", &["status"]);
    // Once it has grown beyond what was seen, it is another log.
    let token = house.token("ana");
    for n in 0..30 {
        let name = format!("t{n}");
        let mut create = house.cli(
            "new",
            &["token", "create", &name, "--scope", "read", "--for", "1h"],
        );
        create
            .env("DAYPASS_TOKEN", &token)
            .env("DAYPASS_SERVER", house.url());
        ends_with(&mut create, 0);
    }
    let told = wait::until("the log to grow", PATIENCE, || {
        house.looks_again("ana");
        let told = house.fails("ana", &ASK, 10);
        Ok(told.contains("does not go on from what was seen").then_some(told))
    })
    .unwrap();
    let evidence = told
        .lines()
        .find_map(|line| line.split("as they were signed: ").nth(1))
        .unwrap();
    let evidence: Value = serde_json::from_str(&text(Path::new(evidence.trim()))).unwrap();
    assert!(evidence["seen"]["checkpoint"] != evidence["shown"]["checkpoint"]);
}

/// A pin that cannot be read is said, and is no finding about the log; with the key in hand whoever verifies has given it.
fn verified_whatever_is_kept(house: &House, key: &str) {
    assert_eq!(house.pin("dee")["log"]["given"], true);
    let pins = std::fs::read_dir(house.file("home-dee/daypass/pins")).unwrap();
    let pin = pins
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "json"))
        .unwrap();
    std::fs::write(&pin, "broken").unwrap();
    let (_, told) = ends_with(&mut house.cli("dee", &["audit", "verify", "--key", key]), 0);
    assert!(told.contains("is not held against it"), "{told}");
    std::fs::remove_file(pin).unwrap();
}

/// A grant's proof and an export carry the witness's signature, and one that lacks it is refused.
fn proofs(house: &House, grant: &str, (key, by): (&str, &str)) {
    let path = |name: &str| house.file(name).to_str().unwrap().to_owned();
    let (proof, log, plain) = (path("proof.json"), path("log"), path("plain.json"));
    ends_with(&mut house.cli("dee", &["audit", "proof", grant, "-f", &proof]), 0);
    ends_with(
        &mut house.cli("dee", &["audit", "export", "--dir", &log, "--witnessed"]),
        0,
    );
    for what in [&proof, &log] {
        let (shown, told) = ends_with(
            &mut house.cli(
                "nobody",
                &["audit", "verify", what, "--key", key, "--witness", by],
            ),
            0,
        );
        assert!(
            format!("{shown}{told}").contains("entries by daypass-witness/"),
            "{shown}{told}"
        );
    }
    let whole = text(Path::new(&proof));
    let mut value: Value = serde_json::from_str(&whole).unwrap();
    let note = value["checkpoint"].as_str().unwrap();
    let without: Vec<&str> = note
        .lines()
        .filter(|line| !line.contains("daypass-witness/"))
        .collect();
    value["checkpoint"] = format!("{}\n", without.join("\n")).into();
    house.write("plain.json", &value.to_string());
    let verify = ["audit", "verify", &plain, "--key", key];
    ends_with(&mut house.cli("nobody", &verify), 0);
    let told = house.fails("nobody", &[verify.as_slice(), &["--witness", by]].concat(), 1);
    assert!(told.contains("0 of the 1 witnesses"), "{told}");
    // A log's key is no witness's, and more than were given cannot have signed.
    house.fails("nobody", &[verify.as_slice(), &["--witness", key]].concat(), 2);
    house.fails(
        "nobody",
        &[verify.as_slice(), &["--witness", by, "--witnesses", "2"]].concat(),
        2,
    );
}
