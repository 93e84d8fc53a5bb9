//! Accounts, passwords, sessions, tokens, policy revisions and idempotency keys.

use std::collections::BTreeSet;
use std::sync::mpsc;

use daypass_core::event::{Actor, PolicyEvent, Subject, What};
use daypass_core::id::{PersonId, TokenId};
use daypass_core::person::Change;
use daypass_core::refusal::Code;
use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};
use daypass_core::world::World;
use daypass_store::{Answer, Begun, Command, Error, Outcome, Scope, Side, Store, TokenKind, TokenRow};

use crate::bench::{Bench, on_every_engine};
use crate::story::*;

on_every_engine!(
    the_directory_counts_its_changes_and_no_tokens,
    a_login_is_unique_among_active_accounts,
    whoever_decides_about_a_handle_sees_who_has_it,
    a_handle_comes_back_from_the_log,
    a_password_is_set_and_replaced,
    what_an_old_password_proved_is_void,
    tokens_are_found_by_hash_while_their_owner_is_active,
    tokens_end_and_are_forgotten,
    the_last_use_of_a_token_is_noted,
    a_policy_needs_its_files,
    revisions_are_kept,
    a_store_is_a_demos_from_the_beginning_or_never,
    a_store_with_a_past_becomes_no_demos,
    a_command_is_done_once,
    a_command_that_failed_or_died_may_be_sent_again,
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

async fn the_directory_counts_its_changes_and_no_tokens(bench: Bench) {
    let store = &bench.store;
    assert_eq!(store.directory().await.unwrap(), (Vec::new(), 0));
    let added = add(store, person(1, "ana"), Vec::new()).await.unwrap();
    assert_eq!(added.world.directory, 1, "and whoever decides sees it");
    let taken = add(store, person(2, "ana"), Vec::new()).await;
    assert!(matches!(taken, Err(Error::Refused(_))));
    let row = token(1, TokenKind::Session);
    issue(store, &row).await.unwrap();
    let revoked = Change::TokenRevoked { token: row.id };
    change_person(store, person_id(1), revoked, Vec::new())
        .await
        .unwrap();
    assert_eq!(store.directory().await.unwrap().1, 1);
    ask(store, Asked::new(1, &[1])).await.unwrap();
    let left = Change::Groups {
        groups: BTreeSet::new(),
    };
    change_person(store, person_id(1), left, Vec::new())
        .await
        .unwrap();
    let (people, changes) = store.directory().await.unwrap();
    assert_eq!((people, changes), (store.people().await.unwrap(), 2));
    let seen = store.transition(Scope::Policy, |_, _| Ok(Outcome::default()));
    assert_eq!(seen.await.unwrap().world.directory, 2);
    store.verify().await.unwrap();
    if let Some(done) = bench
        .by_hand("UPDATE directory_state SET changes = changes + 1")
        .await
    {
        done.unwrap();
        let found = store.verify().await;
        assert!(
            matches!(&found, Err(Error::Differs { what, .. }) if what.contains("directory")),
            "{found:?}"
        );
    }
}

/// What sets a handle of somebody, in a namespace.
async fn called(store: &Store, n: u8, namespace: &str, handle: &str) {
    let change = Change::Handle {
        namespace: name(namespace),
        handle: Some(handle.parse().unwrap()),
    };
    change_person(store, person_id(n), change, Vec::new())
        .await
        .unwrap();
}

/// Who is to be seen by whoever gives this handle to the first account; `None`: switches it on again.
async fn beside(store: &Store, handle: Option<(&str, &str)>) -> Vec<PersonId> {
    let scope = Scope::Handles {
        person: person_id(1),
        handle: handle.map(|(namespace, handle)| (name(namespace), handle.parse().unwrap())),
    };
    let seen = store.transition(scope, |_, _| Ok(Outcome::default())).await;
    seen.unwrap().world.people.into_keys().collect()
}

async fn whoever_decides_about_a_handle_sees_who_has_it(bench: Bench) {
    let store = &bench.store;
    for (n, login) in [(1, "ana"), (2, "bo"), (3, "cy"), (4, "di")] {
        add(store, person(n, login), Vec::new()).await.unwrap();
    }
    // Characters that a pattern would take for others.
    called(store, 2, "entra", "7F_1%!C\\\"x").await;
    called(store, 3, "aws", "7f_1%!c\\\"x").await;
    called(store, 4, "entra", "7FX1YYC\\\"x").await;
    let alone = [person_id(1)];
    let both = [person_id(1), person_id(2)];
    let seen = beside(store, Some(("entra", "7f_1%!c\\\"x"))).await;
    assert_eq!(seen, both, "in this namespace, whatever its case");
    assert_eq!(beside(store, Some(("entra", "7f"))).await, alone);
    assert_eq!(beside(store, None).await, alone);
    called(store, 1, "entra", "7f_1%!c\\\"X").await;
    assert_eq!(
        beside(store, None).await,
        both,
        "who comes back is held against its own"
    );
    change_person(store, person_id(2), Change::Deactivated, Vec::new())
        .await
        .unwrap();
    assert_eq!(beside(store, None).await, alone);
}

async fn a_handle_comes_back_from_the_log(bench: Bench) {
    let store = &bench.store;
    add(store, person(1, "ana"), Vec::new()).await.unwrap();
    called(store, 1, "entra", "7f1c-ana").await;
    called(store, 1, "aws", "AROA1").await;
    let none = Change::Handle {
        namespace: name("aws"),
        handle: None,
    };
    change_person(store, person_id(1), none, Vec::new())
        .await
        .unwrap();
    let kept = store.person(person_id(1)).await.unwrap().unwrap();
    let handles = kept.handles.iter().map(|(name, id)| (name.as_str(), id.as_str()));
    assert_eq!(handles.collect::<Vec<_>>(), [("entra", "7f1c-ana")]);
    let replayed = store.replay().await.unwrap();
    let replayed = replayed.people.get(&person_id(1)).unwrap();
    assert_eq!(
        (&replayed.handles, replayed.changed_at),
        (&kept.handles, kept.changed_at)
    );
    store.verify().await.unwrap();
    let forged = bench
        .by_hand("UPDATE people SET document = replace(document, '7f1c-ana', '7f1c-eve')")
        .await;
    if let Some(done) = forged {
        done.unwrap();
        let found = store.verify().await;
        assert!(matches!(found, Err(Error::Differs { .. })), "{found:?}");
    }
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

/// Who is to be seen by whoever found this password right.
async fn proved(store: &Store, hash: &str) -> Vec<PersonId> {
    let scope = Scope::Proved {
        person: person_id(1),
        password: Hash::of(hash.as_bytes()),
    };
    let seen = store.transition(scope, |_, _| Ok(Outcome::default())).await;
    seen.unwrap().world.people.into_keys().collect()
}

fn password(hash: &str) -> Side {
    Side::Password {
        person: person_id(1),
        hash: hash.to_owned(),
    }
}

async fn what_an_old_password_proved_is_void(bench: Bench) {
    let store = &bench.store;
    add(store, person(1, "ana"), Vec::new()).await.unwrap();
    assert!(proved(store, "").await.is_empty(), "there is none yet");
    for (hash, other) in [("old", "new"), ("new", "old")] {
        change_person(store, person_id(1), Change::Credentials, vec![password(hash)])
            .await
            .unwrap();
        assert_eq!(proved(store, hash).await, [person_id(1)]);
        assert!(proved(store, other).await.is_empty());
    }
}

/// A password is being set while somebody comes in with the old one: they wait, and see the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn an_old_password_is_void_for_who_waited_for_the_new_one() {
    let bench = Bench::postgres().await;
    add(&bench.store, person(1, "ana"), vec![password("old")])
        .await
        .unwrap();
    let second = bench.second().await.unwrap();
    let (entered, has_entered) = mpsc::channel();
    let (let_go, held) = mpsc::channel::<()>();
    let store = bench.store.clone();
    let set = move |_: &World, _| {
        entered.send(()).unwrap();
        tokio::task::block_in_place(|| held.recv().unwrap());
        let what = What::Person(Change::Credentials);
        let mut outcome = Outcome::one(Actor::System, Subject::Person(person_id(1)), what);
        outcome.side.push(password("new"));
        Ok(outcome)
    };
    let setting = tokio::spawn(async move { store.transition(Scope::Person(person_id(1)), set).await });
    tokio::task::spawn_blocking(move || has_entered.recv().unwrap())
        .await
        .unwrap();
    let coming_in = tokio::spawn(async move { proved(&second, "old").await });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                   AND datname = current_database()";
    let mut looks = 0;
    while bench.by_hand(waiting).await.unwrap().unwrap().trim() != "1" {
        looks += 1;
        assert!(looks < 500, "nobody waits");
    }
    let_go.send(()).unwrap();
    setting.await.unwrap().unwrap();
    assert!(coming_in.await.unwrap().is_empty());
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
        confirmed_at: None,
    }
}

async fn issue(store: &Store, row: &TokenRow) -> Result<(), Error> {
    let change = Change::TokenIssued {
        token: row.id,
        expires_at: row.expires_at,
        key: None,
    };
    change_person(store, person_id(1), change, vec![Side::Token(row.clone())])
        .await
        .map(drop)
}

async fn tokens_are_found_by_hash_while_their_owner_is_active(bench: Bench) {
    let store = &bench.store;
    let scopes = BTreeSet::from([String::from("requests"), String::from("read")]);
    let (api, session) = (token(1, TokenKind::Api { scopes }), token(2, TokenKind::Session));
    add(store, person(1, "ana"), Vec::new()).await.unwrap();
    issue(store, &api).await.unwrap();
    issue(store, &session).await.unwrap();
    assert_eq!(store.token(api.hash).await.unwrap(), Some(api.clone()));
    assert_eq!(store.token(Hash::of(&[9])).await.unwrap(), None);
    assert_eq!(store.token_owner(session.id).await.unwrap(), Some(person_id(1)));
    assert_eq!(
        store.tokens_of(person_id(1)).await.unwrap(),
        [api.clone(), session]
    );
    change_person(store, person_id(1), Change::Deactivated, Vec::new())
        .await
        .unwrap();
    assert_eq!(
        store.token(api.hash).await.unwrap(),
        None,
        "whoever forgets to end them is covered"
    );
    let stranger = TokenRow {
        person: person_id(7),
        ..token(4, TokenKind::Session)
    };
    assert!(
        issue(store, &stranger).await.is_err(),
        "a token belongs to an account"
    );
}

async fn tokens_end_and_are_forgotten(bench: Bench) {
    let store = &bench.store;
    add(store, person(1, "ana"), Vec::new()).await.unwrap();
    for n in 1..=4 {
        issue(store, &token(n, TokenKind::Session)).await.unwrap();
    }
    let left = async || {
        let rows = store.tokens_of(person_id(1)).await.unwrap();
        rows.iter().map(|row| row.id.bytes()[0]).collect::<Vec<_>>()
    };
    let first = token(1, TokenKind::Session).id;
    let revoked = Change::TokenRevoked { token: first };
    change_person(
        store,
        person_id(1),
        revoked,
        vec![Side::EndToken { token: first }],
    )
    .await
    .unwrap();
    assert_eq!(left().await, [2, 3, 4]);
    assert_eq!(store.token(Hash::of(&[1])).await.unwrap(), None);
    let hours = |hours| Timestamp::EPOCH + Span::hours(hours);
    assert_eq!(store.forget_tokens(hours(2)).await.unwrap(), 0);
    assert_eq!(store.forget_tokens(hours(3)).await.unwrap(), 1);
    assert_eq!(left().await, [3, 4]);
    let all = vec![Side::EndTokens { person: person_id(1) }];
    change_person(store, person_id(1), Change::Credentials, all)
        .await
        .unwrap();
    assert!(left().await.is_empty());
}

async fn the_last_use_of_a_token_is_noted(bench: Bench) {
    let store = &bench.store;
    let row = token(1, TokenKind::Session);
    add(store, person(1, "ana"), Vec::new()).await.unwrap();
    issue(store, &row).await.unwrap();
    let used = Timestamp::EPOCH + Span::minutes(5);
    store.token_used(row.id, used).await.unwrap();
    store.token_used(row.id, Timestamp::EPOCH).await.unwrap();
    assert_eq!(
        store.tokens_of(person_id(1)).await.unwrap()[0].last_used,
        Some(used)
    );
}

async fn a_policy_needs_its_files(bench: Bench) {
    let event = PolicyEvent::Applied {
        revision: Hash::of(b"x"),
        files: Vec::new(),
        summary: Vec::new(),
        change: None,
    };
    let bare = bench.store.transition(Scope::Policy, move |_, _| {
        Ok(Outcome::one(Actor::System, Subject::Policy, What::Policy(event)))
    });
    assert!(matches!(bare.await, Err(Error::Corrupt(_))));
    assert_eq!(bench.store.policy_in_force().await.unwrap(), None);
}

async fn a_store_is_a_demos_from_the_beginning_or_never(bench: Bench) {
    let store = &bench.store;
    assert!(!store.is_demo().await.unwrap());
    store.become_demo().await.unwrap();
    store.become_demo().await.unwrap();
    assert!(store.is_demo().await.unwrap());
    apply_policy(store, "a").await.unwrap();
    assert!(store.become_demo().await.is_err(), "something has happened");
    assert!(store.is_demo().await.unwrap());
    store.verify().await.unwrap();
}

async fn a_store_with_a_past_becomes_no_demos(bench: Bench) {
    apply_policy(&bench.store, "a").await.unwrap();
    assert!(bench.store.become_demo().await.is_err());
    assert!(!bench.store.is_demo().await.unwrap());
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
    let all = store.policies_applied(None, 10).await.unwrap();
    let told: Vec<_> = all
        .iter()
        .map(|one| (one.revision, one.applied_at, one.by))
        .collect();
    let kept: Vec<_> = history
        .iter()
        .map(|one| (one.revision, one.applied_at, one.by))
        .collect();
    assert_eq!(told, kept);
    let rest = store.policies_applied(Some(all[0].place), 1).await.unwrap();
    assert_eq!(rest, all[1..2]);
    assert_eq!(store.policies_applied(Some(all[2].place), 10).await.unwrap(), []);
    store.verify().await.unwrap();
}

fn command(n: u8, key: &str) -> Command {
    Command {
        person: person_id(n),
        route: String::from("POST /requests"),
        key: key.to_owned(),
    }
}

async fn a_command_is_done_once(bench: Bench) {
    let store = &bench.store;
    let (first, body) = (command(1, "k"), Hash::of(b"body"));
    let begun = futures_util::future::join_all((0..16).map(|_| store.begin(&first, body))).await;
    let count = |of: &Begun| begun.iter().filter(|begun| begun.as_ref() == Ok(of)).count();
    assert_eq!((count(&Begun::First), count(&Begun::InProgress)), (1, 15));
    let other = Hash::of(b"other");
    assert_eq!(store.begin(&first, other).await, Ok(Begun::Mismatch));
    assert_eq!(
        store.begin(&command(2, "k"), other).await,
        Ok(Begun::First),
        "a key is one person's"
    );
    let answer = Answer {
        status: 201,
        body: Some(vec![0, 159, 255]),
    };
    store.finish(&first, answer.clone()).await.unwrap();
    assert_eq!(store.begin(&first, body).await, Ok(Begun::Done(answer.clone())));
    assert_eq!(store.begin(&first, other).await, Ok(Begun::Mismatch));
    store
        .finish(
            &first,
            Answer {
                status: 500,
                body: None,
            },
        )
        .await
        .unwrap();
    store.give_up(&first).await.unwrap();
    assert_eq!(
        store.begin(&first, body).await,
        Ok(Begun::Done(answer)),
        "an answer stays what it was"
    );
    let secret = Answer {
        status: 200,
        body: None,
    };
    store.finish(&command(2, "k"), secret.clone()).await.unwrap();
    assert_eq!(
        store.begin(&command(2, "k"), other).await,
        Ok(Begun::Done(secret))
    );
    let tomorrow = store.now().await.unwrap() + Span::hours(24);
    assert_eq!(store.forget_commands(tomorrow).await.unwrap(), 2);
    assert_eq!(store.begin(&first, body).await, Ok(Begun::First));
}

async fn a_command_that_failed_or_died_may_be_sent_again(bench: Bench) {
    let store = &bench.store;
    let (command, body) = (command(1, "k"), Hash::of(b"body"));
    assert_eq!(store.begin(&command, body).await, Ok(Begun::First));
    store.give_up(&command).await.unwrap();
    assert_eq!(store.begin(&command, body).await, Ok(Begun::First));
    if matches!(bench.on, crate::bench::On::Postgres { .. }) {
        let older = "UPDATE idempotency SET created_at = created_at - 60000000";
        bench.by_hand(older).await.unwrap().unwrap();
    } else {
        bench.advance(Span::seconds(59));
        assert_eq!(store.begin(&command, body).await, Ok(Begun::InProgress));
        bench.advance(Span::seconds(1));
    }
    assert_eq!(
        store.begin(&command, body).await,
        Ok(Begun::First),
        "the first one seems to have died"
    );
    assert_eq!(store.begin(&command, body).await, Ok(Begun::InProgress));
}

async fn the_installation_keeps_its_id(bench: Bench) {
    assert_eq!(bench.store.installation(), "test");
    if let Some(second) = bench.second().await {
        assert_eq!(second.installation(), "test");
    }
}
