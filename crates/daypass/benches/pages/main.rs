//! How long a browser waits for the first byte of each page, with as many requests stored as are asked for.
//!
//! `cargo bench -p daypass --bench pages [-- --requests 100000 --rounds 200]`. The product is the binary, on SQLite; requests are made over its
//! API and taken back, and each hundredth is for access that is really there for a moment, so that everything that they leave behind is there:
//! events, the log, what was answered. Then the times in the tables (not those in the log) are drawn out over a year, for nobody makes so many in
//! minutes; of the last thirty days, which a report is about unless told otherwise, are a twelfth of them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench that cannot run says so by panicking"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use daypass_server::edge;
use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::json;

use house::{House, Settings, Store};
use http::Api;

#[path = "../../tests/story/house.rs"]
#[expect(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "the tests' house; not all of it is wanted here"
)]
mod house;
#[path = "../../tests/story/http.rs"]
#[expect(dead_code, reason = "the tests' way to the API; not all of it is wanted here")]
mod http;
#[path = "../../tests/story/running.rs"]
#[expect(dead_code, reason = "the tests' programs; not all of it is wanted here")]
mod running;
#[path = "../../tests/story/target.rs"]
#[expect(dead_code, reason = "the tests' target; not all of it is wanted here")]
mod target;

/// So many ask at the same time while the store is filled.
const AT_ONCE: usize = 8;
/// So many wait for a reviewer while pages are measured.
const WAITING: usize = 40;
/// Each of so many is for access that nobody must agree to, which is given back.
const TAKEN: usize = 100;
const YEAR_SECONDS: u64 = 365 * 86_400;

fn main() {
    let asked = |name: &str, usual: usize| {
        let mut args = std::env::args().skip_while(|arg| arg != name);
        args.nth(1)
            .map_or(usual, |count| count.parse().expect("a number"))
    };
    let (requests, rounds) = (asked("--requests", 100_000), asked("--rounds", 200));
    let mut house = House::open(&Settings::on(Store::Sqlite));
    let took = fill(&house, requests);
    println!("{requests} requests were made in {} s", took.as_secs());
    house.end(Signal::TERM);
    draw_out(&house, YEAR_SECONDS / took.as_secs().max(1));
    house.serve();
    let mut shown = String::new();
    for _ in 0..WAITING {
        let made = ask(&house.api("ana"), "write", "15m");
        shown = format!("/requests/{made}");
    }
    house.take("orders-prod/read", "1h", &["--wait"]);
    println!("| who | page | median | 95th percentile | most |\n| --- | --- | --- | --- | --- |");
    for (who, page) in [
        ("ana", "/"),
        ("ana", "/catalogue"),
        ("ana", "/ask/orders-prod/write"),
        ("ana", shown.as_str()),
        ("ana", "/account"),
        ("ana", "/palette"),
        ("bo", "/approvals"),
        ("dee", "/sessions"),
        ("dee", "/audit"),
        ("dee", "/audit?by=ana&name=request.created"),
        ("dee", "/health"),
        ("dee", "/who"),
        ("dee", "/reports"),
        ("dee", "/reports?days=90"),
        ("dee", "/reports?days=365"),
        ("dee", "/policy"),
    ] {
        let mut took: Vec<Duration> = (0..rounds).map(|_| first_byte(&house.api(who), page)).collect();
        took.sort();
        let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
        let page = page.strip_prefix("/requests/").map_or(page, |_| "/requests/…");
        println!(
            "| {who} | `{page}` | {:.1} ms | {:.1} ms | {:.1} ms |",
            at(50),
            at(95),
            at(100)
        );
    }
}

/// Makes so many requests and takes them back; how long that took.
fn fill(house: &House, requests: usize) -> Duration {
    let (api, done, begun) = (house.api("ana"), AtomicUsize::new(0), edge::instant());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    match done.fetch_add(1, Ordering::Relaxed) {
                        nth if nth >= requests => return,
                        nth if nth % TAKEN == 0 => take(&api),
                        _ => {
                            let id = ask(&api, "write", "10m");
                            api.post(&format!("/api/v1/requests/{id}/cancel"), &json!({}))
                                .of(200);
                        }
                    }
                }
            });
        }
    });
    begun.elapsed()
}

/// Access that is given back at once: while it becomes real, as it may be.
fn take(api: &Api) {
    let request = ask(api, "read", "10m");
    let grant = api.get(&format!("/api/v1/requests/{request}")).of(200)["grant"].clone();
    let grant = grant.as_str().unwrap();
    api.post(&format!("/api/v1/grants/{grant}/release"), &json!({}))
        .of(200);
}

/// As if all that was done had taken so many times as long, up to now.
fn draw_out(house: &House, times: u64) {
    let store = Connection::open(house.file("data/story.sqlite")).unwrap();
    for (table, columns) in [
        ("requests", ["created_at", "answered_at"].as_slice()),
        ("request_items", &["created_at"]),
        ("grants", &["opened_at", "active_at", "over_at"]),
    ] {
        let first = columns[0];
        let last: i64 = store
            .query_row(&format!("SELECT max({first}) FROM {table}"), [], |row| row.get(0))
            .unwrap();
        let set: Vec<String> = columns
            .iter()
            .map(|column| format!("{column} = {last} - ({last} - {column}) * {times}"))
            .collect();
        store
            .execute(&format!("UPDATE {table} SET {}", set.join(", ")), [])
            .unwrap();
    }
}

/// Asks; the request.
fn ask(api: &Api, role: &str, length: &str) -> String {
    let ask = json!({"items": [{"resource": "orders-prod", "role": role}], "reason": "PAY-7: one of many", "duration": length});
    let made = api.post("/api/v1/requests", &ask).of(201);
    made["id"].as_str().unwrap().to_owned()
}

/// Until the first byte of a page comes, on a connection that is there; the whole page must come, and be one.
fn first_byte(api: &Api, page: &str) -> Duration {
    let mut stream = TcpStream::connect(&api.addr).unwrap();
    let token = api.token.as_deref().unwrap();
    let call = format!(
        "GET {page} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncookie: daypass={token}\r\n\r\n",
        api.addr
    );
    let begun = edge::instant();
    stream.write_all(call.as_bytes()).unwrap();
    let mut first = [0];
    stream.read_exact(&mut first).unwrap();
    let took = begun.elapsed();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.starts_with("TTP/1.1 200 "), "{page}: {rest}");
    took
}
