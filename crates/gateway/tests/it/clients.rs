//! Clients that nobody here wrote do what they do directly.

use std::time::Duration;

use tokio_postgres::{AsyncMessage, SimpleQueryMessage};

use crate::control::SECRET;
use crate::world::{World, err, finish, out, soon};

#[tokio::test(flavor = "multi_thread")]
async fn psql_goes_through_and_the_target_sees_the_grants_own_role() {
    let world = World::start().await;
    assert_eq!(world.sql("SELECT current_user, 6 * 7").await, "dp_ada|42");
    let program = world
        .sql("SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        .await;
    assert_eq!(program, "a-test");
    assert_eq!(
        world
            .sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            .await,
        "t"
    );
    let opening = &world.judge.openings()[0];
    assert_eq!(
        (opening.target.as_str(), opening.program.as_deref()),
        ("orders/read", Some("a-test"))
    );
    let closings = world.judge.closings(3).await;
    assert!(
        closings.iter().all(|closing| closing.counters.recorded == 1),
        "{closings:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_secret_and_nobody_get_the_same_answer() {
    let world = World::start().await;
    let mut said = Vec::new();
    for (user, secret) in [("ada", "wrong"), ("nobody", SECRET)] {
        let conninfo = world.conninfo(user).replace(SECRET, secret);
        let mut psql = world.program("psql");
        psql.args(["-X", "-d", &conninfo, "-c", "SELECT 1"]);
        let output = finish(psql).await;
        assert!(!output.status.success());
        said.push(err(&output).replace(user, "USER"));
    }
    assert!(
        said[0].contains("the credential of \"USER\" is not valid"),
        "{said:?}"
    );
    assert_eq!(said[0], said[1]);
    assert!(world.judge.openings().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_bind_to_our_certificate_where_they_can() {
    let world = World::start().await;
    for binding in ["require", "disable"] {
        let mut psql = world.program("psql");
        let conninfo = format!("{} channel_binding={binding}", world.conninfo("ada"));
        psql.args(["-X", "-A", "-t", "-d", &conninfo, "-c", "SELECT 1"]);
        let output = finish(psql).await;
        assert_eq!(out(&output), "1", "{binding}: {}", err(&output));
    }
    // tokio-postgres is not told.
    drop(world.connect().await);
    assert_eq!(world.judge.bound(), [true, false, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbench_runs_in_all_protocols_without_an_error() {
    let world = World::start().await;
    let mut init = world.program("pgbench");
    init.args(["-i", "-q", "-s", "1", &world.conninfo("ada")]);
    let output = finish(init).await;
    assert!(output.status.success(), "{}", err(&output));
    let mut expected = 0;
    for mode in ["simple", "extended", "prepared"] {
        let mut bench = world.program("pgbench");
        bench.args([
            "-n",
            "-M",
            mode,
            "-c",
            "4",
            "-j",
            "2",
            "-t",
            "25",
            &world.conninfo("ada"),
        ]);
        let output = finish(bench).await;
        let said = out(&output);
        assert!(output.status.success(), "{mode}: {}", err(&output));
        assert!(
            said.contains("number of transactions actually processed: 100/100"),
            "{mode}: {said}"
        );
        expected += 100;
        assert_eq!(
            world.sql("SELECT count(*) FROM pgbench_history").await,
            expected.to_string()
        );
    }
    let updates = world.judge.statements();
    let updates = updates
        .iter()
        .filter(|one| one.text.starts_with("UPDATE pgbench_accounts"));
    world.judge.closings(16).await;
    assert_eq!(updates.count(), 300, "one record for each");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_thousand_rows_arrive_by_select_and_by_copy() {
    let world = World::start().await;
    let select = "SELECT n, md5(n::text) FROM generate_series(1, 300000) n";
    let direct = world.target(select).await;
    let through = world.sql(select).await;
    assert_eq!(through.len(), direct.trim().len());
    assert!(through == direct.trim());
    let copied = world
        .sql(&format!("COPY ({select}) TO STDOUT (DELIMITER '|')"))
        .await;
    assert!(copied == through);
    assert_eq!(world.judge.recorded(select).await.rows, 300_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_is_stored_whole_and_a_bad_one_fails_as_it_does_directly() {
    let world = World::start().await;
    world.sql("CREATE TABLE t (n int, text text)").await;
    let lines: String = (0..50_000).map(|n| format!("{n}\tline {n}\n")).collect();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("data");
    std::fs::write(&file, &lines).unwrap();
    world.sql("SELECT 1").await;
    let copy = format!("\\copy t from '{}'", file.display());
    let output = finish(world.psql(&["-c", &copy, "-c", "SELECT count(*), sum(n) FROM t"])).await;
    assert_eq!(out(&output), "50000|1249975000", "{}", err(&output));
    std::fs::write(&file, "1\tfine\nno number\tbad\n").unwrap();
    let output = finish(world.psql(&["-c", &copy, "-c", "SELECT count(*) FROM t"])).await;
    assert_eq!(out(&output), "50000");
    assert!(
        err(&output).contains("invalid input syntax for type integer"),
        "{}",
        err(&output)
    );
    world.judge.closings(4).await;
    let copies = world.judge.statements();
    let copies: Vec<_> = copies
        .iter()
        .filter(|one| one.text.starts_with("COPY"))
        .map(|one| one.rows)
        .collect();
    assert_eq!(copies, [50_000, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_by_the_extended_protocol_goes_through_too() {
    use futures_util::SinkExt as _;
    let world = World::start().await;
    let client = world.connect().await;
    client.batch_execute("CREATE TABLE t (n int)").await.unwrap();
    for _ in 0..2 {
        let sink = client
            .copy_in::<_, bytes::Bytes>("COPY t FROM STDIN")
            .await
            .unwrap();
        let mut sink = Box::pin(sink);
        for n in 0..1_000 {
            sink.send(bytes::Bytes::from(format!("{n}\n"))).await.unwrap();
        }
        assert_eq!(sink.as_mut().finish().await.unwrap(), 1_000);
    }
    let sink = client
        .copy_in::<_, bytes::Bytes>("COPY t FROM STDIN")
        .await
        .unwrap();
    let mut sink = Box::pin(sink);
    sink.send(bytes::Bytes::from("no number\n")).await.unwrap();
    assert!(sink.as_mut().finish().await.is_err());
    let row = client.query_one("SELECT count(*) FROM t", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_queries_are_answered_in_order() {
    let world = World::start().await;
    let client = world.connect().await;
    let queries = (0..200_i32).map(|n| {
        let client = &client;
        async move {
            client
                .query_one("SELECT $1::int4 * 2", &[&n])
                .await
                .unwrap()
                .get::<_, i32>(0)
        }
    });
    let answers = futures_util::future::join_all(queries).await;
    assert_eq!(answers, (0..200).map(|n| n * 2).collect::<Vec<_>>());
    drop(client);
    world.judge.closings(1).await;
    let recorded = world.judge.statements();
    assert_eq!(
        recorded
            .iter()
            .filter(|one| &*one.text == "SELECT $1::int4 * 2")
            .count(),
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_and_notices_arrive_while_nothing_is_asked() {
    let world = World::start().await;
    let mut client = world.connect().await;
    client
        .batch_execute("LISTEN news; DO $$BEGIN RAISE NOTICE 'hello'; END$$")
        .await
        .unwrap();
    world.target("NOTIFY news, 'fresh'").await;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let message = soon(client.notices.recv()).await.unwrap();
        seen.push(match message {
            AsyncMessage::Notice(notice) => notice.message().to_owned(),
            AsyncMessage::Notification(one) => format!("{}: {}", one.channel(), one.payload()),
            _ => "something else".to_owned(),
        });
    }
    assert_eq!(seen, ["hello", "news: fresh"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_stops_this_query_and_no_other() {
    let world = World::start().await;
    let (one, two) = (world.connect().await, world.connect().await);
    let sleep = async |client: &crate::world::Client| {
        let query = client.simple_query("SELECT pg_sleep(600)");
        soon(query).await
    };
    let token = one.cancel_token();
    let tls = one.tls.clone();
    let stop = async {
        let active = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%sleep(600)' AND datname = current_database()";
        world.target_says(active, "2").await;
        token.cancel_query(tls).await.unwrap();
        world.target_says(active, "1").await;
        two.cancel_token().cancel_query(two.tls.clone()).await.unwrap();
    };
    let (first, second, ()) = tokio::join!(sleep(&one), sleep(&two), stop);
    for result in [first, second] {
        let error = result.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "57014");
    }
    // Both go on.
    assert_eq!(one.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
    drop((one, two));
    world.judge.closings(2).await;
    let failed = daypass_gateway::record::Outcome::Failed("57014".to_owned());
    assert!(
        world
            .judge
            .statements()
            .iter()
            .any(|one| one.outcome == failed && one.took > Duration::ZERO)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_in_psql_cancels() {
    let world = World::start().await;
    let psql = world.psql(&["-c", "SELECT pg_sleep(600)"]).spawn().unwrap();
    let active = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(600)' AND state = 'active' AND datname = current_database() AND pid <> pg_backend_pid()";
    world.target_says(active, "1").await;
    let pid = rustix::process::Pid::from_raw(psql.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = soon(psql.wait_with_output()).await.unwrap();
    assert!(
        err(&output).contains("canceling statement due to user request"),
        "{}",
        err(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_and_transactions_are_the_targets_own() {
    let world = World::start().await;
    let client = world.connect().await;
    client
        .batch_execute("CREATE TABLE t (n int PRIMARY KEY)")
        .await
        .unwrap();
    client
        .batch_execute("BEGIN; INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    let error = client.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "23505");
    let error = client.query("SELECT 1", &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "25P02");
    client.batch_execute("ROLLBACK").await.unwrap();
    let messages = client
        .simple_query("SELECT count(*) FROM t; SELECT 7")
        .await
        .unwrap();
    let values: Vec<_> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .collect();
    assert_eq!(values, ["0", "7"]);
    assert!(client.query("SELECT * FROM nothing", &[]).await.is_err());
    assert_eq!(
        client.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_thirty_megabytes_goes_both_ways() {
    let world = World::start().await;
    let client = world.connect().await;
    let large = "x".repeat(30_000_000);
    let row = client
        .query_one("SELECT $1::text || 'y'", &[&large])
        .await
        .unwrap();
    assert_eq!(row.get::<_, String>(0).len(), 30_000_001);
    let mut portal = client.client;
    let transaction = portal.transaction().await.unwrap();
    let portal = transaction
        .bind("SELECT generate_series(1, 10)", &[])
        .await
        .unwrap();
    assert_eq!(transaction.query_portal(&portal, 4).await.unwrap().len(), 4);
    assert_eq!(transaction.query_portal(&portal, 4).await.unwrap().len(), 4);
    assert_eq!(transaction.query_portal(&portal, 4).await.unwrap().len(), 2);
    transaction.commit().await.unwrap();
    let rows = |judge: &crate::control::Judge| {
        let all = judge.statements();
        let rows: Vec<_> = all
            .iter()
            .filter(|one| one.text.contains("series"))
            .map(|one| one.rows)
            .collect();
        (rows.len() == 3).then_some(rows)
    };
    assert_eq!(world.judge.until("three records", rows).await, [4, 4, 2]);
}
