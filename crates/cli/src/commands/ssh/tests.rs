//! What plain ssh is given, against a server on loopback: of several grants, and of those that cannot be certified.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use daypass_api::Client;
use daypass_api::client::Connection;
use daypass_api::grant::Grant;
use daypass_api::route::path;
use serde_json::{Value, json};

use super::*;

const KEY: &str = "ssh-ed25519 AAAA ana";

/// What is answered for each role, and which were asked for.
#[derive(Clone, Default)]
struct World {
    roles: BTreeMap<&'static str, Value>,
    asked: Arc<Mutex<Vec<String>>>,
}

fn id(number: u8) -> GrantId {
    format!("G{number:016}").parse().unwrap()
}

/// A grant of one role on `web`; `until` is an hour of its last day.
fn grant(number: u8, role: &str, state: &str, until: u8) -> Grant {
    let part = json!({"resource": "web", "role": role, "kind": "ssh", "target": "fleet:x", "desired": "present",
        "observed": "present", "overdue": false});
    serde_json::from_value(json!({
        "id": id(number).to_string(), "request": format!("R{number:016}"), "state": state, "holder": "ana", "items": [],
        "duration": "1h", "expires_at": format!("2026-01-01T{until:02}:00:00Z"), "latest_end": "2026-01-02T00:00:00Z",
        "overdue": false, "entitlements": [part],
    }))
    .unwrap()
}

fn certificate(role: &str, host: &str, narrow: bool) -> Value {
    json!({"item": {"resource": "web", "role": role}, "certificate": format!("signed for {role}\n"), "serial": 1,
        "key": "SHA256:x", "principals": ["deploy@web"], "valid_after": "2026-01-01T00:00:00Z",
        "valid_before": "2026-01-01T00:05:00Z", "hosts": [host], "port": 22, "users": ["deploy"], "narrow": narrow})
}

async fn answer(State(world): State<World>, Path(_): Path<String>, Json(ask): Json<Value>) -> Response {
    let role = ask["item"]["role"].as_str().unwrap().to_owned();
    world.asked.lock().unwrap().push(role.clone());
    match world.roles.get(role.as_str()) {
        Some(certificate) => Json(certificate.clone()).into_response(),
        None => {
            let problem = json!({"type": "urn:daypass:target-failed", "title": "x", "status": 502, "detail": "it is down"});
            let kind = [("content-type", "application/problem+json")];
            (StatusCode::BAD_GATEWAY, kind, problem.to_string()).into_response()
        }
    }
}

async fn client(world: &World) -> Client {
    let router = Router::new().route(path::CERTIFICATE, post(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let world = world.clone();
    tokio::spawn(async move { axum::serve(listener, router.with_state(world)).await.unwrap() });
    Client::new(&Connection {
        server,
        ..Connection::default()
    })
    .unwrap()
}

fn world(roles: &[(&'static str, Value)]) -> World {
    World {
        roles: roles.iter().cloned().collect(),
        asked: Arc::default(),
    }
}

/// The role of what was picked, or why there is nothing.
async fn picked(world: &World, keep: &Keep, grants: &[Grant], host: &str) -> Result<String, String> {
    picked_at(world, keep, grants, host, "2026-01-01T00:05:00Z").await
}

async fn picked_at(
    world: &World,
    keep: &Keep,
    grants: &[Grant],
    host: &str,
    now: &str,
) -> Result<String, String> {
    let (client, now) = (client(world).await, now.parse().unwrap());
    match pick(&client, keep, grants, (host, "deploy"), now).await.unwrap() {
        Picked::Certificate(grant, certificate) => {
            keep.certificate((host, "deploy"), grant, &certificate).unwrap();
            Ok(certificate.item.role.to_string())
        }
        Picked::Nothing(why) => {
            Err(why.map_or_else(|| "no grant".to_owned(), |failure| failure.told().0.to_owned()))
        }
    }
}

#[tokio::test]
async fn what_cannot_be_certified_keeps_nobody_from_other_hosts() {
    let folder = tempfile::tempdir().unwrap();
    let keep = Keep::at(folder.path(), KEY);
    let world = world(&[("shell", certificate("shell", "web-1", false))]);
    let grants = [grant(1, "broken", "active", 9), grant(2, "shell", "active", 5)];
    assert_eq!(picked(&world, &keep, &grants, "web-1").await.unwrap(), "shell");
    assert_eq!(*world.asked.lock().unwrap(), ["broken", "shell"]);
    // Told only where nothing else fits.
    let why = picked(&world, &keep, &grants, "web-2").await.unwrap_err();
    assert!(
        why.contains("web/broken could not be certified") && why.contains("it is down"),
        "{why}"
    );
    let ending = [grant(2, "shell", "ending", 5)];
    let why = picked(&world, &keep, &ending, "web-1").await.unwrap_err();
    assert!(why.starts_with("web/shell is ending"), "{why}");
    let none = picked(&world, &keep, &ending, "web-2").await.unwrap_err();
    assert_eq!(none, "no grant", "it is known to lead elsewhere");
}

#[tokio::test]
async fn the_role_that_gives_most_is_used_and_then_the_longest() {
    let folder = tempfile::tempdir().unwrap();
    let keep = Keep::at(folder.path(), KEY);
    let world = world(&[
        ("logs", certificate("logs", "web-1", true)),
        ("shell", certificate("shell", "WEB-1", false)),
        ("root", certificate("root", "web-1", false)),
    ]);
    let (logs, shell, root) = (
        grant(1, "logs", "active", 9),
        grant(2, "shell", "active", 5),
        grant(3, "root", "active", 7),
    );
    let all = [logs.clone(), shell.clone(), root];
    assert_eq!(picked(&world, &keep, &all, "web-1").await.unwrap(), "root");
    let two = [logs.clone(), shell];
    assert_eq!(picked(&world, &keep, &two, "web-1").await.unwrap(), "shell");
    let asked = std::mem::take(&mut *world.asked.lock().unwrap());
    assert_eq!(
        asked,
        ["logs", "root", "shell"],
        "what is known to give less is not asked for again"
    );
    assert_eq!(
        picked(&world, &keep, &[logs], "web-1").await.unwrap(),
        "logs",
        "rather than nothing"
    );
}

#[tokio::test]
async fn one_certificate_is_for_all_hosts_of_its_item_while_it_lasts() {
    let folder = tempfile::tempdir().unwrap();
    let keep = Keep::at(folder.path(), KEY);
    let mut fleet = certificate("shell", "web-1", false);
    let hosts: Vec<_> = (1..=64).map(|n| format!("web-{n}")).collect();
    fleet["hosts"] = json!(hosts);
    let world = world(&[("shell", fleet)]);
    let grants = [grant(1, "shell", "active", 5)];
    for host in &hosts {
        let early = picked_at(&world, &keep, &grants, host, "2026-01-01T00:03:59Z").await;
        assert_eq!(early.unwrap(), "shell");
    }
    assert_eq!(world.asked.lock().unwrap().len(), 1);
    // One that runs out is not used, nor one for another key, nor that of a grant which was given back.
    picked(&world, &keep, &grants, "web-1").await.unwrap();
    assert_eq!(world.asked.lock().unwrap().len(), 2);
    let early = "2026-01-01T00:03:59Z".parse().unwrap();
    assert!(keep.fresh(id(1), &item("shell"), early).is_some());
    let other = Keep::at(folder.path(), "ssh-ed25519 BBBB ana");
    assert!(other.fresh(id(1), &item("shell"), early).is_none());
    keep::forget_grant(folder.path(), id(1)).unwrap();
    assert!(keep.fresh(id(1), &item("shell"), early).is_none());
}

#[tokio::test]
async fn what_a_grant_left_here_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let keep = Keep::at(folder.path(), KEY);
    let world = world(&[("shell", certificate("shell", "web-1", false))]);
    let first = grant(1, "shell", "active", 5);
    picked(&world, &keep, &[first], "web-1").await.unwrap();
    let early = "2026-01-01T00:01:00Z".parse().unwrap();
    let has = |keep: &Keep| keep.has("web-1", "deploy", early).unwrap();
    assert_eq!(has(&keep), Some(id(1)));
    assert_eq!(
        has(&Keep::at(folder.path(), "ssh-ed25519 BBBB ana")),
        None,
        "another key"
    );
    assert!(keep.rules_out(id(1), &item("shell"), "web-2", "deploy"));
    assert!(
        !keep.rules_out(id(2), &item("shell"), "web-2", "deploy"),
        "another grant may lead elsewhere"
    );
    keep::forget_grant(folder.path(), id(2)).unwrap();
    assert_eq!(has(&keep), Some(id(1)));
    keep::forget_grant(folder.path(), id(1)).unwrap();
    assert_eq!(has(&keep), None);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn names_that_look_alike_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let keep = Keep::at(folder.path(), KEY);
    let of = |resource: &str, role: &str, host: &str| {
        let mut value = certificate(role, host, false);
        value["item"]["resource"] = json!(resource);
        serde_json::from_value::<Certificate>(value).unwrap()
    };
    let named = |resource: &str, role: &str| Item {
        resource: resource.parse().unwrap(),
        role: role.parse().unwrap(),
    };
    keep.remember(id(1), &of("a_b", "c", "one")).unwrap();
    keep.remember(id(1), &of("a", "b_c", "two")).unwrap();
    assert!(!keep.rules_out(id(1), &named("a_b", "c"), "one", "deploy"));
    assert!(!keep.rules_out(id(1), &named("a", "b_c"), "two", "deploy"));
    // One file for each item, beside what plain ssh uses.
    let files = [of("a_b", "c", "one"), of("a", "b_c", "one")].map(|one| keep.for_item(id(1), &one).unwrap());
    assert_ne!(files[0], files[1]);
    assert_eq!(
        keep.has("one", "deploy", daypass_core::time::Timestamp::EPOCH)
            .unwrap(),
        None
    );
    keep.only(&[id(2)]);
    assert!(!keep.rules_out(id(1), &named("a", "b_c"), "elsewhere", "deploy"));
}

/// One of a minute is used for four fifths of it, one of an hour until its last minute.
#[test]
fn a_certificate_serves_as_long_as_a_sensible_part_of_its_life_is_left() {
    let begins: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    for (life, serves) in [(60, 47), (120, 95), (300, 239), (3600, 3539)] {
        let span = (begins, begins + Span::seconds(life));
        assert!(lasts(span, begins + Span::seconds(serves)), "{life} {serves}");
        assert!(
            !lasts(span, begins + Span::seconds(serves + 1)),
            "{life} {serves}"
        );
    }
}

/// Each of many logins within a minute would have one signed, and only so many are valid at a time.
#[tokio::test]
async fn one_of_a_minute_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let keep = Keep::at(folder.path(), KEY);
    let mut short = certificate("shell", "web-1", false);
    short["valid_before"] = json!("2026-01-01T00:01:00Z");
    let world = world(&[("shell", short)]);
    let grants = [grant(1, "shell", "active", 5)];
    for second in 0..48 {
        let now = format!("2026-01-01T00:00:{second:02}Z");
        let picked = picked_at(&world, &keep, &grants, "web-1", &now).await;
        assert_eq!(picked.unwrap(), "shell");
        assert_eq!(
            keep.has("web-1", "deploy", now.parse().unwrap()).unwrap(),
            Some(id(1))
        );
    }
    assert_eq!(world.asked.lock().unwrap().len(), 1);
    let late = picked_at(&world, &keep, &grants, "web-1", "2026-01-01T00:00:48Z").await;
    assert_eq!(late.unwrap(), "shell");
    assert_eq!(world.asked.lock().unwrap().len(), 2);
}

fn item(role: &str) -> Item {
    Item {
        resource: "web".parse().unwrap(),
        role: role.parse().unwrap(),
    }
}

/// What `--install` says is needed so that ssh reads it before everything else.
#[test]
fn what_the_configuration_lacks_is_said_with_the_command() {
    let told = |config: &str| {
        let lines = lines(include::included(config));
        lines.iter().map(|line| line.render(false)).collect::<Vec<_>>()
    };
    assert_eq!(
        told("Include daypass.conf\n"),
        ["✓ ~/.ssh/config includes it first"]
    );
    let command = "  sed -i.bak -e '1i\\' -e 'Include daypass.conf' ~/.ssh/config";
    let none = told("Host x\n");
    assert!(none[0].contains("does not include it yet"), "{none:?}");
    assert_eq!(none[1], command);
    let late = told("Host x\n  User ana\nInclude daypass.conf\n");
    assert!(late[0].contains("on line 3, below other lines"), "{late:?}");
    assert_eq!(late[1], command);
}
