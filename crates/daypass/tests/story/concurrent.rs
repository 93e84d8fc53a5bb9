//! Many at the same instant: one grant comes of 64 last votes, and one request of 16 calls with the same key.

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};
use std::thread;

use serde_json::{Value, json};

use crate::house::{House, Settings, Store, names, on_both_stores};
use crate::http::{Answer, Api};

on_both_stores!(sixty_four_concurrent_last_votes_make_one_grant);
on_both_stores!(the_same_request_twice_with_one_key_is_one);

const VOTERS: usize = 64;
const TWINS: usize = 16;
/// How many accounts are made at once; hashing their passwords is what takes the time.
const MAKERS: usize = 8;

/// All of them at once; their answers.
fn at_once(calls: Vec<impl FnOnce() -> Answer + Send + 'static>) -> Vec<Answer> {
    let barrier = Arc::new(Barrier::new(calls.len()));
    let begun: Vec<_> = calls
        .into_iter()
        .map(|call| {
            let barrier = Arc::clone(&barrier);
            thread::spawn(move || {
                barrier.wait();
                call()
            })
        })
        .collect();
    begun.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// One person of security, logged in. Each comes from an address of their own: one address may not log in so often.
fn voter(admin: &Api, nobody: &Api, number: usize) -> Api {
    let login = format!("sec-{number}");
    let password = format!("{login} likes quiet rivers");
    let new = json!({"login": login, "groups": ["security"], "password": password});
    admin.post("/api/v1/people", &new).of(201);
    let from = Api {
        headers: vec![format!("x-forwarded-for: 10.9.0.{number}")],
        ..nobody.clone()
    };
    let logged_in = from.post("/api/v1/login", &json!({"login": login, "password": password}));
    Api {
        token: Some(logged_in.of(200)["token"].as_str().unwrap().to_owned()),
        ..nobody.clone()
    }
}

fn voters(house: &House) -> Vec<Api> {
    let (admin, nobody) = (house.api("admin"), house.nobody());
    let made: Vec<_> = (0..MAKERS)
        .map(|maker| {
            let (admin, nobody) = (admin.clone(), nobody.clone());
            let numbers = (0..VOTERS).filter(move |number| number % MAKERS == maker);
            thread::spawn(move || {
                numbers
                    .map(|number| voter(&admin, &nobody, number))
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    made.into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect()
}

fn sixty_four_concurrent_last_votes_make_one_grant(store: Store) {
    let house = House::open(&Settings {
        more: "trusted_proxies: [127.0.0.1]",
        ..Settings::on(store)
    });
    let voters = voters(&house);
    assert_eq!(voters.len(), VOTERS);
    let asked = house.run(
        "ana",
        &["request", "orders-prod/write", "--for", "1h", "--reason", "PAY-7"],
    );
    let id = asked["id"].as_str().unwrap();
    house.run("bo", &["approve", id, "--yes"]);

    let path = format!("/api/v1/requests/{id}/reviews");
    let review = json!({"decision": "approve", "digest": asked["digest"]});
    let votes = voters.into_iter().map(|voter| {
        let (path, review) = (path.clone(), review.clone());
        move || voter.post(&path, &review)
    });
    let answers = at_once(votes.collect());
    let (won, late): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(won.len(), 1, "one vote is the last one: {won:?}");
    for answer in late {
        assert_eq!(answer.status, 409, "{answer:?}");
        assert_eq!(answer.problem(), "urn:daypass:already-decided");
    }
    let grant = won[0].json()["grant"].as_str().unwrap().to_owned();

    house.until_state(&grant, "active");
    let dee = house.api("dee");
    let grants = dee.get("/api/v1/grants").of(200);
    assert_eq!(grants["items"].as_array().unwrap().len(), 1, "{grants}");
    assert_eq!(house.target.roles().len(), 1);
    let events = house.audit(&[id]);
    let count = |name| names(&events).iter().filter(|other| **other == name).count();
    for (name, times) in [
        ("request.reviewed", 1),
        ("request.approved", 1),
        ("grant.opened", 1),
        ("grant.activated", 1),
    ] {
        assert_eq!(count(name), times, "{name} in {:?}", names(&events));
    }
    let request = dee.get(&format!("/api/v1/requests/{id}")).of(200);
    let steps = request["steps"].as_array().unwrap();
    assert_eq!(steps[1]["reviews"].as_array().unwrap().len(), 1, "{request}");
}

fn the_same_request_twice_with_one_key_is_one(store: Store) {
    let house = House::open(&Settings::on(store));
    let ask = json!({
        "items": [{"resource": "orders-prod", "role": "read"}], "duration": "1h", "reason": "PAY-7",
    });
    let ana = house.api("ana");
    let calls = (0..TWINS).map(|_| {
        let (ana, ask) = (ana.clone(), ask.clone());
        move || ana.post_once("/api/v1/requests", "one-key", &ask)
    });
    let answers = at_once(calls.collect());
    let mut ids = BTreeSet::new();
    for answer in &answers {
        match answer.status {
            200 | 201 => {
                ids.insert(answer.json()["id"].as_str().unwrap().to_owned());
            }
            409 => assert_eq!(answer.problem(), "urn:daypass:idempotency-in-progress"),
            _ => panic!("{answer:?}"),
        }
    }
    assert_eq!(ids.len(), 1, "{answers:?}");
    let again = ana.post_once("/api/v1/requests", "one-key", &ask);
    assert!(again.head.contains("idempotency-replayed: true"), "{again:?}");
    ids.insert(again.json()["id"].as_str().unwrap().to_owned());
    // The command has the same, for scripts.
    let command = [
        "request",
        "orders-prod/read",
        "--for",
        "30m",
        "--reason",
        "x",
        "--idempotency-key",
        "two",
    ];
    let first = house.run("ana", &command);
    assert_eq!(house.run("ana", &command)["id"], first["id"]);
    let said = house.fails(
        "ana",
        &[
            "request",
            "orders-prod/read",
            "--reason",
            "y",
            "--idempotency-key",
            "two",
        ],
        1,
    );
    assert!(said.contains("another body") && said.contains("Try:"), "{said}");

    let all = house.api("dee").get("/api/v1/requests").of(200);
    let all: Vec<_> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].clone())
        .collect();
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(ids.len(), 1);
    assert!(all.contains(&Value::from(ids.pop_first().unwrap())));
}
