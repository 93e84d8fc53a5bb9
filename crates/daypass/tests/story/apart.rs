//! A gateway apart from its server: two programs, a wire between them that fails, and a token that somebody stole.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use daypass_server::edge;
use daypass_testbed::TcpProxy;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::gateway::{closed, house, psql, replay, sessions};
use crate::house::{House, Store};
use crate::http::Api;
use crate::running::{Running, daypass, ends_with};
use crate::target::Session;

/// What a client is told of the end.
#[track_caller]
pub(crate) fn told(error: &tokio_postgres::Error) -> String {
    let said = error.as_db_error().unwrap_or_else(|| panic!("{error:?}"));
    format!("{} {}", said.code().code(), said.message())
}

/// What a session may last that nobody renews (`gateway.lease`, by default).
const LEASE: Duration = Duration::from_secs(5);
/// For a busy machine.
const SLACK: Duration = Duration::from_secs(4);

/// What a gateway logs once it hears what ends.
const LISTENS: &str = "the server says what ends";

/// A token for a gateway of this name, which may serve this.
#[track_caller]
pub(crate) fn token(house: &House, name: &str, resource: &str) -> String {
    house.run("admin", &["service", "add", name, "--owner", "ana"]);
    let args = [
        "service",
        "token",
        name,
        "t",
        "--scope",
        "gateway",
        "--resource",
        resource,
    ];
    ends_with(&mut house.cli("ana", &args), 0).0.trim_end().to_owned()
}

/// The file of a gateway of this name, which reaches its server at this address, with more for its listener.
pub(crate) fn configured(house: &House, name: &str, (server, listener): (&str, &str)) -> PathBuf {
    let file = format!("{name}.yaml");
    house.write(
        &file,
        &format!("server: http://{server}\ntoken: {{file: secrets/{name}}}\npostgres: {{listen: \"127.0.0.1:0\"{listener}}}\n"),
    );
    house.file(&file)
}

/// A gateway that runs, and where its clients connect to.
pub(crate) struct Apart {
    running: Running,
    at: SocketAddr,
}

impl Apart {
    /// Starts one with this token, which reaches its server at this address.
    #[track_caller]
    pub(crate) fn start(house: &House, name: &str, token: &str, server: &str) -> Self {
        Self::start_with(house, name, token, (server, ""))
    }

    /// The same, with more for its listener.
    #[track_caller]
    pub(crate) fn start_with(house: &House, name: &str, token: &str, told: (&str, &str)) -> Self {
        house.secret(name, token);
        let mut command = daypass(&["gateway", "--config"]);
        command.arg(configured(house, name, told));
        let mut running = Running::start(command);
        let line = running.says("the gateway answers on ");
        let at = line.rsplit(' ').next().unwrap().parse().unwrap();
        // The two may come in either order.
        if !running.told().contains(LISTENS) {
            running.says(LISTENS);
        }
        Self { running, at }
    }

    /// Where its clients connect to.
    pub(crate) fn at(&self) -> SocketAddr {
        self.at
    }

    /// Waits until it hears again what ends.
    #[track_caller]
    pub(crate) fn hears(&mut self) {
        self.running.says(LISTENS);
    }

    /// The same credential, for this gateway.
    pub(crate) fn of(&self, credential: &Value) -> Value {
        let mut credential = credential.clone();
        credential["fields"]["host"] = json!(self.at.ip().to_string());
        credential["fields"]["port"] = json!(self.at.port().to_string());
        credential["fields"]["dbname"] = json!("orders-gate/read");
        credential
    }
}

pub(crate) fn server(house: &House) -> SocketAddr {
    house.nobody().addr.parse().unwrap()
}

/// Has sessions last so long without being renewed.
pub(crate) fn lease_of(house: &mut House, lease: &str) {
    let config = std::fs::read_to_string(house.file("server.yaml")).unwrap();
    let lease = format!("gateway:\n  lease: {lease}\n");
    house.write("server.yaml", &config.replace("gateway:\n", &lease));
    house.end(Signal::TERM);
    house.serve();
}

/// The one session that is open.
#[track_caller]
fn open(house: &House) -> Value {
    let [one] = sessions(house, &["--live"]).try_into().unwrap();
    one
}

#[test]
fn a_gateway_that_is_cut_off_ends_its_sessions_in_time() {
    let house = house(Store::Sqlite);
    let wire = TcpProxy::start(server(&house)).unwrap();
    let edge_token = token(&house, "edge", "orders-gate");
    let gateway = Apart::start(&house, "edge", &edge_token, &wire.addr().to_string());
    let credential = gateway.of(&house.run("ana", &["session", "credential"]));

    // As with the server's own: recorded, refused by a guardrail, ended by whoever may.
    let held = Session::open(&credential).unwrap();
    assert_eq!(held.ask("SELECT count(*) FROM orders").unwrap(), 2);
    assert!(held.ask("DELETE FROM orders RETURNING id::bigint").is_err());
    let one = open(&house);
    assert_eq!((&one["gateway"], &one["holder"]), (&json!("edge"), &json!("ana")));
    let id = one["id"].as_str().unwrap().to_owned();
    house.run("admin", &["session", "kill", &id, "--reason", "wrong database"]);
    let said = told(&held.until_gone());
    assert!(said.contains("wrong database"), "{said}");
    let one = closed(&house, &id);
    assert_eq!(
        (
            &one["reason"],
            &one["recording"]["complete"],
            &one["counters"]["refused"]
        ),
        (&json!("killed"), &json!(true), &json!(1))
    );
    let lines = replay(&house, &id);
    assert!(
        lines
            .iter()
            .any(|line| line["text"] == "SELECT count(*) FROM orders"),
        "{lines:?}"
    );

    // The wire is there and says nothing.
    let held = Session::open(&credential).unwrap();
    assert_eq!(held.ask("SELECT count(*) FROM orders").unwrap(), 2);
    let cut = edge::instant();
    wire.pause();
    let said = told(&held.until_gone());
    let took = cut.elapsed();
    assert!(took < LEASE + SLACK, "{took:?}");
    assert!(said.contains("could not be renewed in time"), "{said}");
    assert!(Session::open(&credential).is_err(), "nobody can be asked");
    wire.resume();
    wire.cut();
    let mut gateway = gateway;
    gateway.hears();
    let held = Session::open(&credential).unwrap();
    assert_eq!(held.ask("SELECT count(*) FROM orders").unwrap(), 2);

    // Told to stop, it tells its clients, and the server.
    let id = sessions(&house, &["--live"])[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let (status, log) = gateway.running.stop(Signal::TERM);
    assert!(status.success(), "{log}");
    let said = told(&held.until_gone());
    assert!(said.contains("the gateway stops"), "{said}");
    assert_eq!(closed(&house, &id)["reason"], "stopping");
    assert!(!log.contains(&edge_token), "no secret in its log");
    assert!(!log.contains("FROM orders"), "nor what somebody did");
}

#[test]
fn sessions_survive_a_restart_of_the_server_that_is_shorter_than_their_lease() {
    let mut house = house(Store::Sqlite);
    lease_of(&mut house, "30s");
    let edge_token = token(&house, "edge", "orders-gate");
    let mut gateway = Apart::start(&house, "edge", &edge_token, &server(&house).to_string());
    let credential = gateway.of(&house.run("ana", &["session", "credential"]));
    let held = Session::open(&credential).unwrap();
    assert_eq!(held.ask("SELECT 20::bigint + 1").unwrap(), 21);
    let id = open(&house)["id"].as_str().unwrap().to_owned();

    house.kill();
    let config = std::fs::read_to_string(house.file("server.yaml")).unwrap();
    house.write(
        "server.yaml",
        &config.replace("127.0.0.1:6\"", &format!("{}\"", gateway.at)),
    );
    assert_eq!(
        held.ask("SELECT 21::bigint + 1").unwrap(),
        22,
        "nobody is asked for a statement"
    );
    // What was done waits for somebody who takes it, however often that is tried.
    for _ in 0..5 {
        gateway.running.says("nobody was reached who takes records");
    }
    house.serve();
    gateway.hears();
    assert_eq!(held.ask("SELECT 22::bigint + 1").unwrap(), 23);
    assert_eq!(open(&house)["id"], json!(id));

    // It is the same session, in the same recording, and it ends as any other.
    house.run("admin", &["session", "kill", &id, "--reason", "enough"]);
    held.until_gone();
    let one = closed(&house, &id);
    assert_eq!(
        (&one["reason"], &one["recording"]["complete"]),
        (&json!("killed"), &json!(true)),
        "{one}"
    );
    let lines = replay(&house, &id);
    for sum in ["20::bigint", "21::bigint", "22::bigint"] {
        let said = |line: &&Value| line["text"].as_str().is_some_and(|text| text.contains(sum));
        assert_eq!(lines.iter().filter(said).count(), 1, "{sum}: {lines:?}");
    }
    // The proof is bound to what the gateway said again that it shows.
    let held = Session::open(&credential).unwrap();
    assert_eq!(held.ask("SELECT 1::bigint").unwrap(), 1);
    // Whoever asks for a credential is led there now: the server was told where it is.
    assert_eq!(psql(&house, "orders-gate/read", "SELECT 6 * 7").trim(), "42");
    let all = sessions(&house, &[]);
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|one| one["gateway"] == "edge"), "{all:?}");
}

/// A server that was started anew finds what a gateway that died meanwhile left open; and so does one that was there all the time.
#[test]
fn a_gateway_that_dies_leaves_no_session_open() {
    let mut house = house(Store::Sqlite);
    let edge_token = token(&house, "edge", "orders-gate");
    let mut opened = Vec::new();
    for server_dies in [true, false] {
        let gateway = Apart::start(&house, "edge", &edge_token, &server(&house).to_string());
        let credential = gateway.of(&house.run("ana", &["session", "credential"]));
        let held = Session::open(&credential).unwrap();
        assert_eq!(held.ask("SELECT count(*) FROM orders").unwrap(), 2);
        let live = sessions(&house, &["--live"]);
        opened.push(live[0]["id"].as_str().unwrap().to_owned());
        if server_dies {
            house.kill();
        }
        gateway.running.stop(Signal::KILL);
        held.until_gone();
        if server_dies {
            house.serve();
        }
    }
    for id in opened {
        let one = closed(&house, &id);
        assert_eq!(
            (&one["reason"], &one["recording"]["complete"]),
            (&json!("lease_lost"), &json!(false))
        );
    }
}

/// What a session's own gateway would say of it.
fn closing(lease: &str) -> Value {
    json!({
        "lease": lease, "reason": {"kind": "left"}, "last_record": 0,
        "counters": {"bytes_up": 0, "bytes_down": 0, "recorded": 0, "unrecorded": 0, "refused": 0},
    })
}

/// Somebody tries a gateway's token on a session that another run of a gateway has.
#[track_caller]
fn nothing_comes_of_it(thief: &Api, id: &str) {
    let register = json!({"version": 1, "end_points": []});
    assert_eq!(thief.post("/api/v1/gateway/register", &register).status, 200);
    let renewed = thief.post("/api/v1/gateway/leases/renew", &json!({"leases": [id]}));
    assert_eq!(
        renewed.of(200)["renewed"],
        json!([{"answer": "ended", "reason": {"kind": "lease_lost"}}])
    );
    assert_eq!(
        thief.post("/api/v1/gateway/leases/close", &closing(id)).status,
        204
    );
    let line = json!({"n": 1, "kind": "statement", "text": "SELECT 'nothing happened'"}).to_string();
    let records = json!({"session": id, "first": 1, "lines": [line], "flush": true});
    assert_eq!(thief.post("/api/v1/gateway/records", &records).status, 404);

    // It has no words for hosts: what leads there is for the server's own gateway.
    let host = json!({
        "ticket": "00", "target": "orders-gate",
        "origin": {"peer": "192.0.2.7:51112", "protocol": "ssh"},
    });
    assert_eq!(thief.post("/api/v1/gateway/leases", &host).status, 400);

    // It is good for nothing else.
    for path in ["/api/v1/whoami", "/api/v1/resources", "/api/v1/events"] {
        assert_eq!(thief.get(path).status, 403, "{path}");
    }
}

#[test]
fn a_stolen_token_is_good_for_what_it_names_and_for_nobody_elses_sessions() {
    let house = house(Store::Sqlite);
    let at = server(&house).to_string();
    let its_token = token(&house, "edge", "orders-gate");
    let gateway = Apart::start(&house, "edge", &its_token, &at);
    let other = token(&house, "other", "billing");
    let elsewhere = Apart::start(&house, "other", &other, &at);
    let credential = house.run("ana", &["session", "credential"]);

    // A gateway for something else opens nothing, and asks for nothing.
    let refused = Session::open(&elsewhere.of(&credential)).err().unwrap();
    let error = refused.as_db_error().unwrap();
    assert!(error.message().contains("does not serve orders-gate"), "{error}");
    assert_eq!(house.run("ana", &["status"])["grants"], json!([]));

    // Its token renews, closes and records nobody else's sessions. Neither does that of the gateway itself, in other hands.
    let held = Session::open(&gateway.of(&credential)).unwrap();
    let id = open(&house)["id"].as_str().unwrap().to_owned();
    for stolen in [other, its_token] {
        let thief = Api {
            token: Some(stolen),
            headers: vec![format!("daypass-gateway-run: {}", "66".repeat(32))],
            ..house.nobody()
        };
        nothing_comes_of_it(&thief, &id);
        assert_eq!(held.ask("SELECT count(*) FROM orders").unwrap(), 2);
        assert_eq!(open(&house)["state"], "open");
    }

    // Nothing else is good for this.
    let body = json!({"leases": [id]});
    for login in ["ana", "admin"] {
        let answer = house.api(login).post("/api/v1/gateway/leases/renew", &body);
        assert_eq!(answer.status, 403, "{login}");
    }
    let said = house.fails(
        "ana",
        &[
            "token",
            "create",
            "t",
            "--scope",
            "gateway",
            "--resource",
            "billing",
        ],
        2,
    );
    assert!(said.contains("a service account of its own"), "{said}");

    // Revoked, it is good for nothing at all: what its gateway has open ends with its leases.
    let tokens = house.run("ana", &["token", "ls", "--of", "edge"]);
    let token = tokens[0]["id"].as_str().unwrap();
    ends_with(
        &mut house.cli("ana", &["token", "revoke", token, "--of", "edge"]),
        0,
    );
    let revoked = edge::instant();
    let said = told(&held.until_gone());
    let took = revoked.elapsed();
    // Of two that fail, renewing and recording, either may be the first.
    assert!(
        took < LEASE + SLACK && said.starts_with("57P01"),
        "{took:?}: {said}"
    );
}

#[test]
fn a_gateway_says_what_is_missing() {
    let house = house(Store::Sqlite);
    let at = server(&house);
    let run = |name: &str, text: &str| {
        house.write(name, text);
        let mut command = daypass(&["gateway", "--config"]);
        ends_with(command.arg(house.file(name)), 1).1
    };
    let said = run(
        "none.yaml",
        "token: {file: t}\npostgres: {listen: \"127.0.0.1:0\"}\n",
    );
    assert!(said.contains("\"server\" is missing"), "{said}");
    let rest = format!("server: http://{at}\npostgres: {{listen: \"127.0.0.1:0\"}}\n");
    let said = run(
        "file.yaml",
        &format!("{rest}token: {{file: secrets/not-there}}\n"),
    );
    assert!(said.contains("not-there"), "{said}");
    house.secret(
        "wrong",
        "dp_t_0000000000000000000000000000000000000000000000000000000000000000",
    );
    let said = run("wrong.yaml", &format!("{rest}token: {{file: secrets/wrong}}\n"));
    assert!(said.contains("--scope gateway"), "{said}");
}
