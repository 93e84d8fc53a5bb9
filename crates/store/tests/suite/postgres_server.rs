//! What only a database server can show: it goes away and comes back, and several servers of ours share it.

use std::time::Duration;

use daypass_core::event::{Actor, Subject, What};
use daypass_core::refusal::Code;
use daypass_store::{Error, Outcome, PostgresOptions, PostgresTls, Scope, Store, kept};
use daypass_testbed::postgres::Stop;
use daypass_testbed::{Postgres, TcpProxy};
use futures_util::future::join_all;

use crate::bench::{Bench, On, options};
use crate::story::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_is_said_so_and_used_again() {
    let mut server = tokio::task::spawn_blocking(|| Postgres::options().durable(true).start().unwrap())
        .await
        .unwrap();
    let options = PostgresOptions {
        port: server.port(),
        database: String::from("postgres"),
        password: Some(server.password().into()),
        ..options("postgres")
    };
    let store = Store::open_postgres(&options, "test").await.unwrap();
    ask(&store, Asked::new(1, &[1])).await.unwrap();
    tokio::task::block_in_place(|| server.stop(Stop::Immediate)).unwrap();
    for n in 2..5 {
        assert!(matches!(
            ask(&store, Asked::new(n, &[1])).await,
            Err(Error::Unavailable(_))
        ));
        assert!(matches!(
            store.request(request_id(1)).await,
            Err(Error::Unavailable(_))
        ));
        assert!(matches!(store.now().await, Err(Error::Unavailable(_))));
    }
    tokio::task::block_in_place(|| server.start_again()).unwrap();
    // Connections that died are found out one by one; none of them leads to half a transition.
    let answers = join_all((10..40).map(|n| ask(&store, Asked::new(n, &[1])))).await;
    let made = answers.iter().filter(|answer| answer.is_ok()).count();
    ask(&store, Asked::new(50, &[1])).await.unwrap();
    assert_eq!(store.load_world().await.unwrap().requests.len(), made + 2);
    store.verify().await.unwrap();
}

/// A decision that is under way when the connection is cut is not recorded, and its rows are free again.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_leaves_nothing_behind() {
    let bench = Bench::postgres().await;
    ask(&bench.store, Asked::new(1, &[1])).await.unwrap();
    let id = request_id(1);
    let handle = tokio::runtime::Handle::current();
    let On::Postgres { database } = &bench.on else {
        panic!("this is PostgreSQL")
    };
    let own = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = '{database}' AND pid <> pg_backend_pid() AND application_name = 'daypass'"
    );
    let shared = std::sync::Arc::new(bench);
    let hand = shared.clone();
    let cut = shared.store.transition(Scope::Request(id), move |world, _| {
        tokio::task::block_in_place(|| handle.block_on(hand.by_hand(&own)))
            .unwrap()
            .unwrap();
        let event = found(world.requests.get(&id))?.withdraw(person_id(1))?;
        Ok(Outcome::one(
            Actor::System,
            Subject::Request(id),
            What::Request(event),
        ))
    });
    assert!(matches!(cut.await, Err(Error::Unavailable(_))));
    let request = shared.store.request(id).await;
    let request = if request.is_err() {
        shared.store.request(id).await
    } else {
        request
    };
    assert_eq!(request.unwrap().unwrap().state.name(), "pending");
    shared.store.verify().await.unwrap();
}

/// Whoever stops waiting, say because a client hung up, does not stop the transition half way.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_to_wait_for_a_transition_to_happen() {
    let bench = Bench::postgres().await;
    let (entered, has_entered) = tokio::sync::oneshot::channel();
    let (let_go, held) = std::sync::mpsc::channel::<()>();
    let store = bench.store.clone();
    let id = person_id(1);
    let waiting = tokio::spawn(async move {
        let decide = move |_: &_, _| {
            entered.send(()).unwrap();
            held.recv().unwrap();
            let added = daypass_core::person::Change::Added {
                person: person(1, "ana"),
            };
            Ok(Outcome::one(
                Actor::System,
                Subject::Person(id),
                What::Person(added),
            ))
        };
        store
            .transition(
                Scope::NewPerson {
                    id,
                    login: String::from("ana"),
                },
                decide,
            )
            .await
    });
    has_entered.await.unwrap();
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    let mut changes = bench.store.changes();
    let_go.send(()).unwrap();
    changes.changed().await.unwrap();
    assert!(bench.store.person(id).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_start_together_make_the_tables_once() {
    let bench = Bench::postgres().await;
    let On::Postgres { database } = &bench.on else {
        panic!("this is PostgreSQL")
    };
    bench
        .by_hand("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        .await
        .unwrap()
        .unwrap();
    let options = options(database);
    let opened = join_all((0..6).map(|n| {
        let options = PostgresOptions {
            connections: 2,
            ..options.clone()
        };
        async move {
            Store::open_postgres(&options, &format!("server-{n}"))
                .await
                .map_err(|error| error.to_string())
        }
    }))
    .await;
    let stores: Vec<_> = opened.into_iter().map(Result::unwrap).collect();
    assert!(
        stores
            .iter()
            .all(|store| store.installation() == stores[0].installation()),
        "one id for all"
    );
    // And what one of them writes, another one refuses to write again.
    let added = join_all((0..6).map(|n| add(&stores[usize::from(n)], person(n, "ana"), Vec::new()))).await;
    assert_eq!(added.iter().filter(|added| added.is_ok()).count(), 1);
    for error in added.into_iter().filter_map(Result::err) {
        assert!(
            matches!(&error, Error::Refused(refusal) if refusal.code == Code::Exists),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_without_it() {
    let bench = Bench::postgres().await;
    let On::Postgres { database } = &bench.on else {
        panic!("this is PostgreSQL")
    };
    let wrong = PostgresOptions {
        password: Some("hunter2".into()),
        ..options(database)
    };
    let Err(Error::Unavailable(told)) = Store::open_postgres(&wrong, "test").await else {
        panic!("it was let in")
    };
    assert!(
        told.contains("password authentication failed") && !told.contains("hunter2"),
        "{told}"
    );
    // A server without TLS is not talked to where TLS is asked for.
    let tls = PostgresOptions {
        tls: PostgresTls::VerifyFull { ca_pem: None },
        ..options(database)
    };
    let Err(Error::Unavailable(told)) = Store::open_postgres(&tls, "test").await else {
        panic!("in the clear")
    };
    assert!(told.contains("TLS"), "{told}");
}

/// A database whose machine is gone, behind a network that says nothing of it: nobody waits for the system to notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_is_said_so_and_used_again() {
    let bench = Bench::postgres().await;
    let On::Postgres { database } = &bench.on else {
        panic!("this is PostgreSQL")
    };
    let direct = options(database);
    let proxy = TcpProxy::start(([127, 0, 0, 1], direct.port).into()).unwrap();
    let options = PostgresOptions {
        port: proxy.port(),
        patience: Duration::from_secs(3),
        ..direct
    };
    let store = Store::open_postgres(&options, "test").await.unwrap();
    ask(&store, Asked::new(1, &[1])).await.unwrap();
    // All connections that are kept are open.
    let reads = (0..4).map(|_| kept(store.now()));
    assert!(join_all(reads).await.iter().all(Result::is_ok));
    proxy.pause();
    let silent = |error: Error| matches!(error, Error::Unavailable(_));
    let (read, written) = tokio::join!(kept(store.now()), kept(ask(&store, Asked::new(2, &[1]))));
    assert!(silent(read.unwrap_err()) && silent(written.unwrap_err()));
    // Those that were idle beside them are not waited for one after the other.
    tokio::task::block_in_place(|| proxy.refuse());
    for _ in 0..3 {
        let told = kept(store.request(request_id(1))).await.unwrap_err().to_string();
        assert!(told.contains("refused"), "{told}");
    }
    proxy.resume();
    proxy.cut();
    proxy.accept().unwrap();
    kept(ask(&store, Asked::new(3, &[1]))).await.unwrap();
    store.verify().await.unwrap();
}
