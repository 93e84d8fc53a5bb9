//! Accounts, passwords, sessions, tokens, policy revisions and idempotency keys.

use std::collections::BTreeSet;

use daypass_core::event::{Actor, PolicyEvent, Subject, What};
use daypass_core::id::TokenId;
use daypass_core::person::Change;
use daypass_core::refusal::Code;
use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};
use daypass_store::{Answer, Begun, Command, Error, Outcome, Scope, Side, TokenKind, TokenRow};

use crate::bench::{Bench, on_every_engine};
use crate::story::*;

on_every_engine!(
    a_login_is_unique_among_active_accounts,
    a_password_is_set_and_replaced,
    tokens_are_found_by_hash_while_their_owner_is_active,
    a_policy_needs_its_files,
    revisions_are_kept,
    a_command_is_done_once,
    the_installation_keeps_its_id,
);

async fn a_login_is_unique_among_active_accounts(bench: Bench) {
    let store = &bench.store;
    let added = add(store, person(1, "ana"), Vec::new()).await.unwrap();
    assert_eq!(added.world.people.get(&person_id(1)).unwrap().login.text(), "ana");
    let taken = add(store, person(2, "ANA"), Vec::new()).await;
    assert!(matches!(taken, Err(Error::Refused(refusal)) if refusal.code == Code::Exists));
    let deactivated = change_person(store, person_id(1), Change::Deactivated, Vec::new())
        .await
        .unwrap();
    assert!(!deactivated.world.people.get(&person_id(1)).unwrap().active);
    add(store, person(2, "ana"), Vec::new()).await.unwrap();
    assert_eq!(
        store.person_by_login("Ana").await.unwrap().unwrap().id,
        person_id(2)
    );
    let back = change_person(store, person_id(1), Change::Reactivated, Vec::new()).await;
    assert!(matches!(back, Err(Error::Refused(refusal)) if refusal.code == Code::Exists));
    assert_eq!(store.people().await.unwrap().len(), 2);
    assert_eq!(store.person_by_login("bo").await.unwrap(), None);
    // Whoever decides sees who has the login.
    let seen = store.transition(
        Scope::NewPerson {
            id: person_id(3),
            login: String::from("ANA"),
        },
        |_, _| Ok(Outcome::default()),
    );
    assert_eq!(
        seen.await.unwrap().world.people.into_keys().collect::<Vec<_>>(),
        [person_id(2)]
    );
    store.verify().await.unwrap();
}

async fn a_password_is_set_and_replaced(bench: Bench) {
    let first = Side::Password {
        person: person_id(1),
        hash: String::from("$argon2id$1"),
    };
    add(&bench.store, person(1, "ana"), vec![first]).await.unwrap();
    assert_eq!(
        bench.store.password(person_id(1)).await.unwrap().as_deref(),
        Some("$argon2id$1")
    );
    let second = Side::Password {
        person: person_id(1),
        hash: String::from("$argon2id$2"),
    };
    change_person(&bench.store, person_id(1), Change::Credentials, vec![second])
        .await
        .unwrap();
    assert_eq!(
        bench.store.password(person_id(1)).await.unwrap().as_deref(),
        Some("$argon2id$2")
    );
    assert_eq!(bench.store.password(person_id(2)).await.unwrap(), None);
}

fn token(n: u8, kind: TokenKind) -> TokenRow {
    TokenRow {
        id: TokenId::from_bytes([n; 10]),
        person: person_id(1),
        hash: Hash::of(&[n]),
        kind,
        name: format!("token {n}"),
        created_at: Timestamp::EPOCH,
        expires_at: Timestamp::EPOCH + Span::hours(u64::from(n)),
        last_used: None,
    }
}

async fn tokens_are_found_by_hash_while_their_owner_is_active(bench: Bench) {
    let store = &bench.store;
    let api = token(
        1,
        TokenKind::Api {
            scopes: BTreeSet::from([String::from("requests"), String::from("read")]),
        },
    );
    let session = token(2, TokenKind::Session);
    let issue = |row: &TokenRow| Change::TokenIssued {
        token: row.id,
        expires_at: row.expires_at,
    };
    add(store, person(1, "ana"), Vec::new()).await.unwrap();
    for row in [&api, &session] {
        change_person(store, person_id(1), issue(row), vec![Side::Token(row.clone())])
            .await
            .unwrap();
    }
    assert_eq!(store.token(Hash::of(&[1])).await.unwrap(), Some(api.clone()));
    assert_eq!(store.token(Hash::of(&[9])).await.unwrap(), None);
    assert_eq!(store.token_owner(session.id).await.unwrap(), Some(person_id(1)));
    let used = Timestamp::EPOCH + Span::minutes(5);
    store.token_used(api.id, used).await.unwrap();
    store.token_used(api.id, Timestamp::EPOCH).await.unwrap();
    assert_eq!(
        store.tokens_of(person_id(1)).await.unwrap(),
        [
            TokenRow {
                last_used: Some(used),
                ..api.clone()
            },
            session
        ]
    );
    change_person(store, person_id(1), Change::Deactivated, Vec::new())
        .await
        .unwrap();
    assert_eq!(
        store.token(Hash::of(&[1])).await.unwrap(),
        None,
        "whoever forgets to end them is covered"
    );
    change_person(store, person_id(1), Change::Reactivated, Vec::new())
        .await
        .unwrap();
    let revoked = Change::TokenRevoked { token: api.id };
    change_person(
        store,
        person_id(1),
        revoked,
        vec![Side::EndToken { token: api.id }],
    )
    .await
    .unwrap();
    assert_eq!(store.token(Hash::of(&[1])).await.unwrap(), None);
    assert_eq!(
        store
            .forget_tokens(Timestamp::EPOCH + Span::hours(2))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        store
            .forget_tokens(Timestamp::EPOCH + Span::hours(3))
            .await
            .unwrap(),
        1
    );
    let row = token(3, TokenKind::Session);
    change_person(store, person_id(1), issue(&row), vec![Side::Token(row)])
        .await
        .unwrap();
    change_person(
        store,
        person_id(1),
        Change::Credentials,
        vec![Side::EndTokens { person: person_id(1) }],
    )
    .await
    .unwrap();
    assert_eq!(store.tokens_of(person_id(1)).await.unwrap(), []);
    let stranger = TokenRow {
        person: person_id(7),
        ..token(4, TokenKind::Session)
    };
    let nobodys = change_person(
        store,
        person_id(1),
        Change::Credentials,
        vec![Side::Token(stranger)],
    )
    .await;
    assert!(nobodys.is_err(), "a token belongs to an account");
}

async fn a_policy_needs_its_files(bench: Bench) {
    let event = PolicyEvent::Applied {
        revision: Hash::of(b"x"),
        files: Vec::new(),
        summary: Vec::new(),
    };
    let bare = bench.store.transition(Scope::Policy, move |_, _| {
        Ok(Outcome::one(Actor::System, Subject::Policy, What::Policy(event)))
    });
    assert!(matches!(bare.await, Err(Error::Corrupt(_))));
    assert_eq!(bench.store.policy_in_force().await.unwrap(), None);
}

async fn revisions_are_kept(bench: Bench) {
    let store = &bench.store;
    for text in ["a", "b", "a"] {
        let committed = apply_policy(store, text).await.unwrap();
        assert_eq!(committed.world.policy, Some(Hash::of(text.as_bytes())));
        bench.advance(Span::minutes(1));
    }
    let seen = ask(store, Asked::new(1, &[1])).await.unwrap();
    assert_eq!(
        seen.world.policy,
        Some(Hash::of(b"a")),
        "every decision sees the revision in force"
    );
    let history = store.policy_history(10).await.unwrap();
    let texts: Vec<_> = history
        .iter()
        .map(|revision| revision.sources[0].1.as_str())
        .collect();
    assert_eq!(texts, ["a", "b", "a"]);
    assert_eq!(history[0].by, Actor::System);
    assert_eq!(store.policy_in_force().await.unwrap().as_ref(), Some(&history[0]));
    assert_eq!(store.policy_history(1).await.unwrap().len(), 1);
    store.verify().await.unwrap();
}

async fn a_command_is_done_once(bench: Bench) {
    let store = &bench.store;
    let command = Command {
        person: person_id(1),
        route: String::from("POST /requests"),
        key: String::from("k"),
    };
    let body = Hash::of(b"body");
    let begun = futures_util::future::join_all((0..16).map(|_| store.begin(&command, body))).await;
    let first = begun.iter().filter(|begun| **begun == Ok(Begun::First)).count();
    let waiting = begun
        .iter()
        .filter(|begun| **begun == Ok(Begun::InProgress))
        .count();
    assert_eq!((first, waiting), (1, 15));
    assert_eq!(
        store.begin(&command, Hash::of(b"other")).await,
        Ok(Begun::Mismatch)
    );
    let other = Command {
        person: person_id(2),
        ..command.clone()
    };
    assert_eq!(
        store.begin(&other, Hash::of(b"other")).await,
        Ok(Begun::First),
        "a key is one person's"
    );
    let answer = Answer {
        status: 201,
        body: Some(vec![0, 159, 255]),
    };
    store.finish(&command, answer.clone()).await.unwrap();
    assert_eq!(store.begin(&command, body).await, Ok(Begun::Done(answer.clone())));
    store
        .finish(
            &command,
            Answer {
                status: 500,
                body: None,
            },
        )
        .await
        .unwrap();
    store.give_up(&command).await.unwrap();
    assert_eq!(
        store.begin(&command, body).await,
        Ok(Begun::Done(answer)),
        "an answer stays what it was"
    );
    let secret = Answer {
        status: 200,
        body: None,
    };
    store.finish(&other, secret.clone()).await.unwrap();
    assert_eq!(
        store.begin(&other, Hash::of(b"other")).await,
        Ok(Begun::Done(secret))
    );
    let third = Command {
        key: String::from("k2"),
        ..command.clone()
    };
    assert_eq!(store.begin(&third, body).await, Ok(Begun::First));
    store.give_up(&third).await.unwrap();
    assert_eq!(
        store.begin(&third, body).await,
        Ok(Begun::First),
        "what failed may be sent again"
    );
    let now = store.now().await.unwrap();
    if matches!(bench.on, crate::bench::On::Postgres { .. }) {
        bench
            .by_hand("UPDATE idempotency SET created_at = created_at - 60000000")
            .await
            .unwrap()
            .unwrap();
    } else {
        bench.advance(Span::seconds(59));
        assert_eq!(store.begin(&third, body).await, Ok(Begun::InProgress));
        bench.advance(Span::seconds(1));
    }
    assert_eq!(
        store.begin(&third, body).await,
        Ok(Begun::First),
        "the first one seems to have died"
    );
    assert_eq!(store.begin(&third, body).await, Ok(Begun::InProgress));
    assert_eq!(store.forget_commands(now + Span::hours(24)).await.unwrap(), 3);
}

async fn the_installation_keeps_its_id(bench: Bench) {
    assert_eq!(bench.store.installation(), "test");
    if let Some(second) = bench.second().await {
        assert_eq!(second.installation(), "test");
    }
}
