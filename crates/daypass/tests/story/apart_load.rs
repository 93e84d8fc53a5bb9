//! Many sessions at a gateway apart, all at work, while its server is killed and started again; then all end at once, and nothing that
//! was done is missing.

use std::thread;
use std::time::Duration;

use daypass_server::edge;
use serde_json::json;
use tokio_postgres::error::SqlState;

use crate::apart::{Apart, lease_of, server, token, told};
use crate::gateway::{house, replay, sessions};
use crate::house::Store;
use crate::target::Session;

/// How many.
const SESSIONS: usize = 40;
/// For a busy machine. The target is half a second for a thousand, measured by `cargo xtask bench gateway`.
const AT_ONCE: Duration = Duration::from_secs(5);

#[test]
fn sessions_at_work_survive_the_death_of_the_server_and_end_together_and_none_is_left_out() {
    let mut house = house(Store::Sqlite);
    lease_of(&mut house, "30s");
    let edge_token = token(&house, "edge", "orders-gate");
    let mut gateway = Apart::start(&house, "edge", &edge_token, &server(&house).to_string());
    let credential = gateway.of(&house.run("ana", &["session", "credential"]));
    let open = |_| Session::open(&credential).unwrap();
    let held: Vec<Session> = (0..SESSIONS).map(open).collect();
    let at_work = held.into_iter().map(|session| {
        thread::spawn(move || {
            let mut asked = 0_u64;
            loop {
                match session.tell("SELECT count(*) FROM orders") {
                    Ok(()) => asked += 1,
                    // Its rights at the target may go a moment before the connection.
                    Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {}
                    Err(error) => {
                        let ended = edge::instant();
                        // Told between two questions, or instead of an answer.
                        let error = match error.as_db_error() {
                            Some(_) => error,
                            None => session.until_gone(),
                        };
                        return (asked, told(&error), ended);
                    }
                }
            }
        })
    });
    let at_work: Vec<_> = at_work.collect();

    house.kill();
    house.serve();
    gateway.hears();
    let live = sessions(&house, &["--live"]);
    assert_eq!(live.len(), SESSIONS, "{live:?}");

    let grant = live[0]["grant"].as_str().unwrap().to_owned();
    let revoking = edge::instant();
    house.run("admin", &["revoke", &grant, "--reason", "enough"]);
    let mut asked = 0;
    for one in at_work {
        let (count, said, ended) = one.join().unwrap();
        // By the gateway, or by the target, where access ends too.
        assert!(said.starts_with("57P01"), "{said}");
        let took = ended.saturating_duration_since(revoking);
        assert!(took < AT_ONCE, "{took:?}");
        asked += count;
    }

    let mut events = house.api("dee").events();
    let over = loop {
        let all = sessions(&house, &[]);
        if all.iter().all(|one| one["state"] == "closed") {
            break all;
        }
        events.next();
    };
    let mut recorded = 0;
    for one in &over {
        assert_eq!(
            (&one["reason"], &one["recording"]["complete"]),
            (&json!("revoked"), &json!(true)),
            "{one}"
        );
        let lines = replay(&house, one["id"].as_str().unwrap());
        let done = |line: &&serde_json::Value| {
            line["text"] == "SELECT count(*) FROM orders" && line["done"].is_array()
        };
        recorded += u64::try_from(lines.iter().filter(done).count()).unwrap();
    }
    // What was under way when it ended may have been done without its client being told.
    let most = asked + u64::try_from(SESSIONS).unwrap();
    assert!(
        (asked..=most).contains(&recorded),
        "{recorded} of {asked} to {most}"
    );
}
