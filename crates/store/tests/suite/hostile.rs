//! Hostile text in every field: kept as it is, or refused clearly, and the same on every database.

use std::collections::BTreeSet;

use daypass_core::entitlement::{Event, TargetKey};
use daypass_core::id::TokenId;
use daypass_core::refusal::Code;
use daypass_core::review::Decision;
use daypass_core::text::Hash;
use daypass_core::time::Timestamp;
use daypass_store::{Command, Error, GrantFilter, RequestFilter, Scope, Side, TokenKind, TokenRow};

use crate::bench::{Bench, on_every_engine};
use crate::story::*;

on_every_engine!(
    free_text_is_kept_byte_for_byte,
    a_nul_where_none_can_be_kept_is_refused,
    keys_of_targets_may_be_strange,
    a_policy_is_kept_byte_for_byte,
);

const HOSTILE: [&str; 8] = [
    "'; DROP TABLE events; --",
    "\" OR 1=1 --",
    "NUL \0 inside",
    "\u{202e}right to left\u{feff}",
    "🦀 \u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}",
    "\r\n\t\u{1}\u{7f}\\x00 $1 ${jndi:x} %s",
    "",
    "{\"hash\": null}",
];

async fn free_text_is_kept_byte_for_byte(bench: Bench) {
    let texts = HOSTILE
        .iter()
        .map(|text| (*text).to_owned())
        .chain([String::from("ä").repeat(2048)]);
    for (n, text) in (1..).zip(texts) {
        let asked = Asked {
            reason: text.clone(),
            ticket: Some(text.clone()),
            ..Asked::new(n, &[1])
        };
        ask(&bench.store, asked).await.unwrap();
        review(
            &bench.store,
            request_id(n),
            person_id(200),
            Decision::Deny,
            Some(&text),
        )
        .await
        .unwrap();
        let request = bench.store.request(request_id(n)).await.unwrap().unwrap();
        assert_eq!(request.ask.reason.text(), text);
        assert_eq!(request.ask.ticket.as_ref().unwrap().text(), text);
        assert_eq!(request.reviews()[0].comment.as_ref().unwrap().text(), text);
    }
    let told = bench.store.sequence(100).await.unwrap();
    assert_eq!(told.len(), 18);
    for entry in told {
        let bytes = String::from_utf8(entry.bytes).unwrap();
        assert!(
            !bytes.contains("DROP TABLE") && !bytes.contains("right to left"),
            "words in the log: {bytes}"
        );
    }
    bench.store.verify().await.unwrap();
}

#[track_caller]
fn invalid<T>(result: Result<T, Error>) {
    let error = result.err().unwrap();
    assert!(
        matches!(&error, Error::Refused(refusal) if refusal.code == Code::Invalid),
        "{error}"
    );
}

async fn a_nul_where_none_can_be_kept_is_refused(bench: Bench) {
    let store = &bench.store;
    add(store, person(1, "ana"), Vec::new()).await.unwrap();
    for login in ["an\0a", "ana ", "аna", "", "a\nb", "x'y"] {
        invalid(add(store, person(2, login), Vec::new()).await);
    }
    let token = TokenRow {
        id: TokenId::from_bytes([1; 10]),
        person: person_id(1),
        hash: Hash::of(b"secret"),
        kind: TokenKind::Api {
            scopes: BTreeSet::from([String::from("read\0")]),
        },
        name: String::from("ci\0"),
        created_at: Timestamp::EPOCH,
        expires_at: Timestamp::MAX,
        last_used: None,
        confirmed_at: None,
    };
    let change = daypass_core::person::Change::Credentials;
    invalid(change_person(store, person_id(1), change.clone(), vec![Side::Token(token)]).await);
    let password = Side::Password {
        person: person_id(1),
        hash: String::from("$argon2\0"),
    };
    invalid(change_person(store, person_id(1), change, vec![password]).await);
    let command = Command {
        person: person_id(1),
        route: String::from("POST /x"),
        key: String::from("k\0"),
    };
    invalid(store.begin(&command, Hash::of(b"")).await);
    invalid(store.person_by_login("ana\0").await);
    let filter = RequestFilter {
        state: Some(String::from("pending\0")),
        ..RequestFilter::default()
    };
    invalid(store.requests(filter, None, 10).await);
    let filter = GrantFilter {
        states: vec![String::from("active\0")],
        ..GrantFilter::default()
    };
    invalid(store.grants(filter, None, 10).await);
    let unknown = store.resolve_request("R\0").await;
    assert!(matches!(unknown, Err(Error::Refused(refusal)) if refusal.code == Code::NotFound));
    assert_eq!(store.tokens_of(person_id(1)).await.unwrap(), []);
    assert_eq!(store.load_world().await.unwrap().people.len(), 1);
    store.verify().await.unwrap();
}

async fn keys_of_targets_may_be_strange(bench: Bench) {
    for (n, key) in (0..).zip(HOSTILE) {
        let key = TargetKey {
            connector: name("pg-main"),
            key: format!("{n}{key}"),
        };
        let found = key.clone();
        let drift = bench
            .store
            .transition(Scope::Entitlement(key.clone()), move |_, _| {
                Ok(about(&found, Event::DriftFound { key: found.clone() }))
            });
        if key.key.contains('\0') {
            invalid(drift.await);
        } else {
            drift.await.unwrap();
            assert_eq!(bench.store.entitlement(&key).await.unwrap().unwrap().key, key);
        }
    }
    bench.store.verify().await.unwrap();
}

async fn a_policy_is_kept_byte_for_byte(bench: Bench) {
    for text in HOSTILE {
        apply_policy(&bench.store, text).await.unwrap();
        let revision = bench.store.policy_in_force().await.unwrap().unwrap();
        assert_eq!(
            revision.sources,
            [(String::from("daypass.yaml"), text.to_owned())]
        );
        assert_eq!(revision.revision, Hash::of(text.as_bytes()));
    }
    assert_eq!(
        bench.store.policy_history(100).await.unwrap().len(),
        HOSTILE.len()
    );
    bench.store.verify().await.unwrap();
}
