//! Every kind of secret that Daypass ever has, looked for in everything that it says, sends or keeps: as it is, in base64 and in
//! hexadecimal, and of what people choose themselves also its plain hash, which could be guessed at fast.
//!
//! The private key of an SSH authority is made in the server and shown to nobody, so it cannot be looked for from here: see the
//! tests of `crates/server/src/authorities.rs`.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use daypass_testbed::wait;
use rustix::process::Signal;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::house::{House, Settings, Store};
use crate::receivers::Receiver;
use crate::running::{PATIENCE, ends_with};
use crate::target::ADMIN_PASSWORD;

/// Bytes of a key to seal with that no other text has.
const SEALING: [u8; 32] = *b"canary: a key that only seals 32";
const HOOK: &str = "whsec_Y2FuYXJ5LW9mLWEtd2ViaG9vaywgMzIgYnl0ZXMuLi4=";
const SMTP: &str = "canary-of-the-mail-server";
const PROPOSED: &str = "canary-proposed-password";
const SET: &str = "canary-set-for-somebody-else";
const WRONG: &str = "canary-that-is-wrong";
const MISPLACED: &str = "canary-in-a-field-that-there-is-not";
const MISTYPED: &str = "canary-where-no-text-belongs";
const GUESSED: &str = "dp_t_canary0000000000000000000000000000000000000000000000000000000000";
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN93Jm2+fLA5SIZ40iwmnLBGQ7jaG4Y8PFTsWQG+/IhI ana@example";

const SSH: &str = "version: 1
connectors:
  - {name: fleet, kind: ssh, config: {certificate: 5m}}
resources:
  - {name: web-1, kind: ssh, connector: fleet, labels: {env: hosts}, config: {host: web-1.internal, account: host-web-1}, roles: {shell: {principals: [nobody-here]}}}
rules:
  - {name: hosts, allow: engineers, to: {env: hosts}, approval: none, max: 1h}
";
const COVERS: &str = "version: 1
policy: {approval: [{from: security, within: 4h}], covers: [policy, people, groups, credentials]}
";

/// A secret, and whether somebody chose it: then it may be one that can be guessed.
struct Secret {
    what: &'static str,
    bytes: Vec<u8>,
    chosen: bool,
}

/// What is looked for.
#[derive(Default)]
struct Secrets(Vec<Secret>);

impl Secrets {
    fn add(&mut self, what: &'static str, bytes: impl AsRef<[u8]>, chosen: bool) {
        let bytes = bytes.as_ref().to_vec();
        assert!(bytes.len() > 12, "{what} is too short to be looked for");
        self.0.push(Secret { what, bytes, chosen });
    }

    fn drawn(&mut self, what: &'static str, secret: impl AsRef<[u8]>) {
        self.add(what, secret, false);
    }

    fn chosen(&mut self, what: &'static str, secret: impl AsRef<[u8]>) {
        self.add(what, secret, true);
    }

    /// Nothing of them is in any of these.
    fn are_not_in(&self, sinks: &[(&str, Vec<u8>)]) {
        for (sink, text) in sinks {
            assert!(!text.is_empty(), "{sink}: there is nothing to look through");
            let text = latin(text);
            for secret in &self.0 {
                for (form, needle) in forms(secret) {
                    assert!(!text.contains(&needle), "{} is in {sink}, {form}", secret.what);
                }
            }
        }
    }
}

/// Each byte as the character of its number: bytes are then found as fast as text.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What would give it away.
fn forms(secret: &Secret) -> Vec<(&'static str, String)> {
    let bytes = &secret.bytes;
    let mut forms = vec![
        ("as it is", latin(bytes)),
        ("in base64", STANDARD_NO_PAD.encode(bytes)),
        ("in base64 for addresses", URL_SAFE_NO_PAD.encode(bytes)),
        ("in hexadecimal", hex(bytes)),
    ];
    if secret.chosen {
        let hash = Sha256::digest(bytes);
        forms.push(("as its SHA-256", latin(&hash)));
        forms.push(("as its SHA-256 in hexadecimal", hex(&hash)));
        forms.push(("as its SHA-256 in base64", STANDARD_NO_PAD.encode(hash)));
    }
    forms
}

/// A house with a mail server, a webhook, and hosts.
fn open(hook: &Receiver, mail: &Receiver) -> House {
    let mut house = House::build(&Settings {
        more: "log: {level: trace}",
        ..Settings::on(Store::Sqlite)
    });
    house.secret("hook", HOOK);
    house.secret("smtp", SMTP);
    house.secret("sealing-key", &STANDARD.encode(SEALING));
    let config = std::fs::read_to_string(house.file("server.yaml")).unwrap();
    let (hook, mail) = (hook.port, mail.port);
    let secrets = format!(
        "secrets:\n  hook: {{file: secrets/hook, hosts: [\"127.0.0.1:{hook}\"], tls: disable}}\n  \
         smtp: {{file: secrets/smtp, hosts: [\"127.0.0.1:{mail}\"]}}\n"
    );
    let notices = format!(
        "sealing_key: {{file: secrets/sealing-key}}\nnotices:\n  \
         webhooks: [{{name: all, url: \"http://127.0.0.1:{hook}/x\", key: {{secret: hook}}}}]\n  \
         mail: {{smtp: \"127.0.0.1:{mail}\", tls: none, from: Daypass <d@example.com>, user: daypass, password: {{secret: smtp}}}}\n"
    );
    house.write(
        "server.yaml",
        &(config.replace("secrets:\n", &secrets) + &notices),
    );
    house.write("policy/ssh.yaml", SSH);
    house.serve();
    house.move_in();
    for login in ["ana", "bo", "cy", "dee"] {
        let mail = format!("{login}@example.com");
        ends_with(&mut house.as_admin(&["user", "mail", login, &mail]), 0);
    }
    house
}

/// Everybody's passwords and sessions, and tokens of a person and of a host.
fn tokens(house: &House, secrets: &mut Secrets) {
    for (login, password) in &house.passwords {
        // The administrator's was drawn by `init`; the others chose theirs.
        secrets.add("a password", password, login != "admin");
        secrets.drawn("a session", house.token(login));
    }
    ends_with(
        &mut house.as_admin(&["service", "add", "host-web-1", "--owner", "admin"]),
        0,
    );
    let token = |mut command: std::process::Command| ends_with(&mut command, 0).0.trim().to_owned();
    let sync = house.as_admin(&["service", "token", "host-web-1", "sync"]);
    secrets.drawn("a host's token", token(sync));
    let own = house.cli("ana", &["token", "create", "report", "--scope", "read"]);
    secrets.drawn("a person's token", token(own));
}

/// Access, a certificate, and another password for the connector. Answers the grants.
fn access(house: &House, secrets: &mut Secrets) -> [String; 2] {
    let grant = house.take("orders-prod/read", "10m", &["--wait"]);
    let shown = house.credentials(&grant);
    secrets.drawn("a grant's password", shown["secret"].as_str().unwrap());
    let host = house.take("web-1/shell", "10m", &["--wait"]);
    let path = format!("/api/v1/grants/{host}/certificate");
    house.api("ana").post(&path, &json!({"public_key": KEY})).of(200);
    ends_with(&mut house.as_admin(&["keys", "rotate", "pg-main"]), 0);
    let rotated = std::fs::read_to_string(house.file("secrets/pg-main-admin")).unwrap();
    assert_ne!(rotated.trim(), ADMIN_PASSWORD);
    secrets.drawn("the connector's next password", rotated.trim());
    [grant, host]
}

/// Passwords where they do not belong, and such as are wrong; what was answered.
fn mistakes(house: &House, secrets: &mut Secrets) -> String {
    let [wrong, misplaced, mistyped] = [WRONG, MISPLACED, MISTYPED];
    for (what, canary) in [
        ("a wrong password", wrong),
        ("a misplaced one", misplaced),
        ("a mistyped one", mistyped),
    ] {
        secrets.chosen(what, canary);
    }
    secrets.drawn("a guessed token", GUESSED);
    let (nobody, ana, admin) = (house.nobody(), house.api("ana"), house.api("admin"));
    let guess = crate::http::Api {
        token: Some(GUESSED.to_owned()),
        ..house.nobody()
    };
    let answers = [
        nobody.post("/api/v1/login", &json!({"login": "ana", "password": wrong})),
        nobody.post("/api/v1/login", &json!({"login": "ana", "pasword": misplaced})),
        nobody.post("/api/v1/login", &json!({"login": "ana", "password": [mistyped]})),
        nobody.post("/api/v1/login", &json!([mistyped])),
        guess.get("/api/v1/whoami"),
        ana.post_once("/api/v1/session/confirm", "k1", &json!({"password": wrong})),
        ana.post_once(
            "/api/v1/people/ana/password",
            "k2",
            &json!({"current": wrong, "password": misplaced}),
        ),
        admin.post_once(
            "/api/v1/people",
            "k3",
            &json!({"login": "n", "password": [mistyped]}),
        ),
        admin.post_once(
            "/api/v1/people",
            "k4",
            &json!({"login": "n", "password": {"is": mistyped}}),
        ),
    ];
    for answer in &answers {
        assert!((400..500).contains(&answer.status), "{answer:?}");
    }
    answers.map(|answer| answer.head + &answer.body).concat()
}

/// What waits for others, with a password and a token in it; what was answered, but for the token.
fn proposals(house: &House, secrets: &mut Secrets) -> String {
    house.write("policy/covers.yaml", COVERS);
    let mut apply = house.as_admin(&["policy", "apply", "--yes"]);
    ends_with(apply.arg(house.file("policy")), 0);
    let admin = house.api("admin");
    secrets.chosen("a proposed password", PROPOSED);
    secrets.chosen("a password for somebody else", SET);
    let made = admin.post_once(
        "/api/v1/people",
        "k5",
        &json!({"login": "new", "password": PROPOSED}),
    );
    let set = admin.post_once("/api/v1/people/bo/password", "k6", &json!({"password": SET}));
    let wanted = json!({"name": "more", "scopes": ["read"], "expires_in": "1h", "login": "host-web-1"});
    let token = admin.post_once("/api/v1/tokens", "k7", &wanted);
    for answer in [&made, &set, &token] {
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    secrets.drawn("a proposed token", token.json()["secret"].as_str().unwrap());
    let change = made.json()["change"]["id"].as_str().unwrap().to_owned();
    let shown = house.api("cy").get(&format!("/api/v1/changes/{change}"));
    // Agreed to: its password is a real one from then on.
    house.run("cy", &["approve", &change, "--yes"]);
    // The same again: what was kept of the first.
    let again = admin.post_once(
        "/api/v1/people",
        "k5",
        &json!({"login": "new", "password": PROPOSED}),
    );
    let lost = admin.post_once("/api/v1/tokens", "k7", &wanted);
    assert_eq!((again.status, lost.status), (202, 409), "{again:?} {lost:?}");
    [made, set, shown, again, lost]
        .map(|answer| answer.head + &answer.body)
        .concat()
}

/// Everything in a folder, and what its files are called.
fn whole(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        all.extend(entry.file_name().as_encoded_bytes());
        if entry.file_type().unwrap().is_file() {
            all.extend(std::fs::read(entry.path()).unwrap());
        }
    }
    all
}

#[test]
fn no_secret_is_said_sent_or_kept() {
    let (hook, mail) = (Receiver::of_webhooks(), Receiver::of_mail());
    let (mut house, mut secrets) = (open(&hook, &mail), Secrets::default());
    for (what, secret) in [
        ("the webhook's key", HOOK),
        ("the mail server's password", SMTP),
        ("the connector's password", ADMIN_PASSWORD),
    ] {
        secrets.chosen(what, secret);
    }
    secrets.drawn(
        "the webhook's bare key",
        STANDARD.decode(HOOK.trim_start_matches("whsec_")).unwrap(),
    );
    secrets.drawn("the sealing key", SEALING);
    tokens(&house, &mut secrets);
    let grants = access(&house, &mut secrets);
    let problems = mistakes(&house, &mut secrets);
    let proposals = proposals(&house, &mut secrets);
    for grant in &grants {
        house.run("ana", &["release", grant]);
    }
    // The target's; a host that acknowledges nothing keeps the other one open.
    house.until_state(&grants[0], "ended");
    wait::until("the notices", PATIENCE, || {
        let told = hook.kept().contains("grant.ended") && mail.kept().contains("Subject:");
        Ok(told.then_some(()))
    })
    .unwrap();

    let process = Path::new("/proc").join(house.pid().to_string());
    let of_process = ["cmdline", "environ"].map(|name| std::fs::read(process.join(name)).unwrap());
    let events = serde_json::to_vec(&house.audit(&[])).unwrap();
    let dee = house.api("dee");
    let reads = [
        "doctor",
        "connectors",
        "people",
        "changes",
        "policy",
        "tokens",
        "grants",
        "requests",
    ];
    let reads = reads
        .map(|what| dee.get(&format!("/api/v1/{what}")).body)
        .concat();
    let metrics = house.nobody().get("/metrics").body;
    let target = house.target.postgres.log().unwrap();
    let running = whole(&house.file("data"));
    let log = house.end(Signal::TERM);
    assert!(
        log.contains("TRACE") && events.len() > 1_000,
        "more than usual was asked for"
    );
    secrets.are_not_in(&[
        ("the arguments and variables of the server", of_process.concat()),
        ("an error", problems.into_bytes()),
        ("what waits for others", proposals.into_bytes()),
        ("the events", events),
        ("what an auditor reads", reads.into_bytes()),
        ("the metrics", metrics.into_bytes()),
        ("the server's log", log.into_bytes()),
        ("the target's log", target.into_bytes()),
        ("a webhook", hook.kept().into_bytes()),
        ("a mail", mail.kept().into_bytes()),
        ("the store of a server that runs", running),
        ("the store", whole(&house.file("data"))),
    ]);
}
