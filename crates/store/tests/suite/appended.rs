//! What somebody with the database puts into the outbox by hand: the sequencer gives it a place, for it asks nobody. What does not
//! follow is found; what follows is not, and `docs/audit.md` says so.

use daypass_core::event::{Actor, Event, LogEvent, Subject, What};
use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};
use daypass_store::Check;

use crate::bench::{Bench, On, on_every_engine};
use crate::signed::{expect, fill, sign, signer};
use crate::tampering::found;

on_every_engine!(what_is_appended_by_hand_is_signed_and_must_follow);

fn event(at: Timestamp) -> Event {
    let what = LogEvent::Continued {
        signed_size: 7,
        signed_head: Hash::of(b"signed"),
        kept_size: 0,
        kept_head: Hash::of(b""),
    };
    Event::new(at, Actor::System, Subject::Log, What::Log(what))
}

/// Puts these bytes beside an event's columns, and into the outbox.
async fn append(bench: &Bench, at: Timestamp, bytes: &[u8]) {
    let hex = |bytes: &[u8]| {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match &bench.on {
            On::Postgres { .. } => format!("'\\x{digits}'"),
            _ => format!("x'{digits}'"),
        }
    };
    let (leaf, bytes) = (hex(&daypass_tlog::leaf(bytes)), hex(bytes));
    let sql = format!(
        "INSERT INTO events (id, at, actor, kind, subject, name, from_state, to_state, bytes, leaf_hash) \
         VALUES (900000, {}, 'system', 'log', 'log', 'log.continued', 'kept', 'kept', {bytes}, {leaf}); \
         INSERT INTO outbox (event_id) VALUES (900000)",
        at.micros()
    );
    bench.by_hand(&sql).await.unwrap().unwrap();
}

async fn what_is_appended_by_hand_is_signed_and_must_follow(bench: Bench) {
    if matches!(bench.on, On::Memory) {
        return;
    }
    let canonical = |at| String::from_utf8(event(at).canonical().unwrap()).unwrap();
    // How long before the newest event, what is made of its bytes, and what is found.
    type Made = fn(String) -> String;
    type Found = Option<(Check, &'static str)>;
    let cases: [(Span, Made, Found); 6] = [
        (Span::ZERO, |own| own, None),
        (Span::minutes(9), |own| own, None),
        (
            Span::minutes(11),
            |own| own,
            Some((Check::Replay, "it was dated back")),
        ),
        (
            Span::ZERO,
            |own| own.replace("\"v\":1", "\"v\":2"),
            Some((Check::Entry, "of version 2, and this program reads version 1")),
        ),
        (
            Span::ZERO,
            |own| own.replace("\"v\":1", "\"v\": 1"),
            Some((Check::Entry, "not the canonical ones")),
        ),
        (
            Span::ZERO,
            |own| own.replace("\"v\":1", "\"v\":1,\"w\":1"),
            Some((Check::Entry, "not the canonical ones")),
        ),
    ];
    for (before, made, finding) in cases {
        let one = match &bench.on {
            On::Postgres { .. } => Bench::postgres().await,
            On::Memory | On::File { .. } => Bench::file().await,
        };
        let (store, key) = (&one.store, signer(1));
        fill(store, 3).await;
        let newest = store.verify().await.unwrap().newest.unwrap();
        let at = Timestamp::from_micros(newest.micros() - i64::try_from(before.micros()).unwrap());
        append(&one, at, made(canonical(at)).as_bytes()).await;
        // The sequencer places it, where it can be read at all; nothing is asked.
        let _placed = store.sequence(10).await;
        sign(store, &key).await;
        let verified = store.verify_signed(expect(&key)).await;
        match finding {
            Some((check, says)) => found(verified, check, says, says),
            None => assert_eq!(verified.unwrap().head.size, 4),
        }
    }
}
