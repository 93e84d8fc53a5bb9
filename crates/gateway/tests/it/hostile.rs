//! Bytes that no decent client sends.

use daypass_gateway::Limits;
use daypass_gateway::control::Reason;
use daypass_gateway::postgres::target::Guardrails;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};
use std::time::Duration;

use crate::raw::{Raw, extended, frame, query, startup, sync};
use crate::world::{World, soon};

const NOTHING: &[u8] = &[];

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

async fn in_the_clear() -> World {
    World::with(|_| {}, |settings| settings.plaintext = true, Limits::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_before_tls_is_never_taken_as_said_under_it() {
    let world = World::start().await;
    for stuffed in [startup("ada"), query("SELECT 1"), vec![0]] {
        let mut raw = Raw::dial(&world).await;
        raw.send(&[&SSL_REQUEST[..], &stuffed].concat()).await;
        let answer = raw.rest().await;
        // At most the answer to the request, and an alert of TLS: no message.
        assert!(
            matches!(answer.as_slice(), [] | [b'S'] | [b'S', 0x15, ..]),
            "{answer:?}"
        );
    }
    assert!(world.judge.openings().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_in_the_clear_is_refused_in_words() {
    let world = World::start().await;
    let mut raw = Raw::dial(&world).await;
    raw.send(&startup("ada")).await;
    let (kind, body) = raw.message().await.unwrap();
    assert_eq!(kind, b'E');
    assert!(String::from_utf8_lossy(&body).contains("with TLS only"));
    assert_eq!(raw.rest().await, NOTHING);
}

#[tokio::test(flavor = "multi_thread")]
async fn impossible_lengths_and_unknown_codes_end_the_connection() {
    let world = in_the_clear().await;
    let code = 196_608_u32.to_be_bytes();
    for first in [
        i32::to_be_bytes(-1),
        i32::to_be_bytes(0),
        i32::to_be_bytes(7),
        i32::to_be_bytes(10_001),
        i32::to_be_bytes(i32::MAX),
        *b"GET ",
    ] {
        let mut raw = Raw::dial(&world).await;
        raw.send(&[&first[..], &code].concat()).await;
        assert_eq!(raw.rest().await, NOTHING, "{first:?}");
    }
    let mut raw = Raw::dial(&world).await;
    raw.send(&[0, 0, 0, 8, 0, 2, 0, 0]).await;
    assert_eq!(raw.rest().await, NOTHING, "protocol 2");
    // After the beginning, in place of a proof.
    for bad in [
        query("SELECT 1"),
        b"p\xff\xff\xff\xff".to_vec(),
        b"p\0\0\0\x03".to_vec(),
        frame(b'p', &[0; 9_000]),
    ] {
        let mut raw = Raw::dial(&world).await;
        raw.send(&startup("ada")).await;
        raw.message().await.unwrap();
        raw.send(&bad).await;
        assert_eq!(raw.answers().await, "E[08P01]");
    }
    assert!(world.judge.openings().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn impossible_messages_end_the_session_and_say_so() {
    let world = World::with(
        |_| {},
        |settings| {
            settings.plaintext = true;
            settings.most_statement = 10_000;
        },
        Limits::default(),
    )
    .await;
    let bad = [
        b"Q\xff\xff\xff\xff".to_vec(),
        b"Q\0\0\0\x03".to_vec(),
        b"Q\x7f\xff\xff\xff".to_vec(),
        query(&"x".repeat(10_000)),
        frame(b'Q', b"SELECT 1"),
        frame(b'Q', b"SELECT 1\0; DROP TABLE t\0"),
        frame(b'p', b"again\0"),
        frame(b'R', b"\0\0\0\0"),
        frame(b'!', b""),
        frame(b'E', &[b'x'; 70_000]),
        frame(b'E', &[&[b'x'; 64][..], b"\0\0\0\0\0"].concat()),
        frame(b'P', &[&[b'x'; 64][..], b"\0SELECT 1\0\0\0"].concat()),
        frame(b'C', b"Xname\0"),
    ];
    let count = bad.len();
    for bytes in bad {
        let (mut raw, _) = Raw::login(&world).await;
        raw.send(&query("SELECT 1")).await;
        assert_eq!(raw.answers().await, "TDCZ");
        raw.send(&bytes).await;
        assert_eq!(
            raw.answers().await,
            "E[08P01]",
            "{:?}",
            &bytes[..bytes.len().min(20)]
        );
    }
    let closings = world.judge.closings(count).await;
    assert!(
        closings
            .iter()
            .all(|closing| closing.reason == Reason::ProtocolViolation)
    );
    world.target_says(World::BACKENDS, "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guessed_key_cancels_nothing() {
    let world = in_the_clear().await;
    let (mut raw, key) = Raw::login(&world).await;
    raw.send(&query("SELECT pg_sleep(600)")).await;
    let active = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%sleep(600)' AND datname = current_database()";
    world.target_says(active, "1").await;
    let mut dice = rand_pcg::Pcg64Mcg::seed_from_u64(7);
    let cancel = |process: &[u8], key: &[u8]| [&[0, 0, 0, 16, 4, 210, 22, 46], process, key].concat();
    for round in 0..100 {
        let guess = dice.next_u64().to_be_bytes();
        // Every second one has the right half.
        let process = if round % 2 == 0 { &key[..4] } else { &guess[..4] };
        let mut other = Raw::dial(&world).await;
        other.send(&cancel(process, &guess[4..])).await;
        assert_eq!(other.rest().await, NOTHING, "nothing is learnt");
    }
    assert_eq!(world.target(active).await, "1");
    let mut right = Raw::dial(&world).await;
    right.send(&cancel(&key[..4], &key[4..])).await;
    assert_eq!(right.rest().await, NOTHING, "nothing is learnt either");
    assert_eq!(raw.answers().await, "TE[57014]Z");
    // The target's own key is not ours.
    let (process, theirs) = (
        u32::from_be_bytes(key[..4].try_into().unwrap()),
        world
            .target(
                "SELECT pid FROM pg_stat_activity WHERE usename = 'dp_ada' AND datname = current_database()",
            )
            .await,
    );
    assert_ne!(process.to_string(), theirs);
}

async fn read_only() -> World {
    let read_only = Guardrails {
        read_only: true,
        ..Guardrails::default()
    };
    let world = World::with(
        |rules| rules.guardrails = read_only,
        |settings| settings.plaintext = true,
        Limits::default(),
    )
    .await;
    world
        .target("CREATE TABLE t AS SELECT 1 AS n; GRANT ALL ON t TO dp_ada")
        .await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_smuggled_behind_a_refusal_is_judged_by_itself() {
    let world = read_only().await;
    let (mut raw, _) = Raw::login(&world).await;
    let all = [
        query("DELETE FROM t"),
        query("DELETE FROM t; SELECT 1"),
        query("SELECT 1"),
        extended("DELETE FROM t"),
        extended("SELECT 1"),
        query("DELETE FROM t"),
        sync(),
        extended("SELECT 1"),
        extended("DELETE FROM t"),
        sync(),
        frame(b'F', &[0; 12]),
        query("SELECT n FROM t"),
    ];
    // In one piece, and byte by byte.
    raw.send(&all.concat()).await;
    let expected = [
        "E[42501]Z",
        "E[42501]Z",
        "TDCZ",
        "E[42501]Z",
        "12DCE[42501]Z",
        "E[42501]Z",
        "TDCZ",
    ];
    for expected in expected {
        assert_eq!(raw.answers().await, expected);
    }
    for byte in all.concat() {
        raw.send(&[byte]).await;
    }
    for expected in expected {
        assert_eq!(raw.answers().await, expected);
    }
    assert_eq!(world.target("SELECT count(*) FROM t").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_for_a_session_is_bounded() {
    let world = in_the_clear().await;
    let (mut raw, _) = Raw::login(&world).await;
    raw.send(&query("BEGIN")).await;
    raw.answers().await;
    // Names as long as they may be: portals, then statements.
    let name = |n: usize| format!("{n:05}{}", "x".repeat(58));
    let mut answers = String::new();
    for n in 0..200 {
        let portals: Vec<u8> = (0..300)
            .flat_map(|m| {
                frame(
                    b'B',
                    &[name(300 * n + m).as_bytes(), b"\0\0\0\0\0\0\0\0"].concat(),
                )
            })
            .collect();
        raw.send(&[frame(b'P', b"\0SELECT 1\0\0\0"), portals, sync()].concat())
            .await;
        answers = raw.answers().await;
        if answers.contains('E') {
            break;
        }
    }
    assert!(answers.ends_with("E[53400]Z"), "{answers}");
    raw.send(&query("ROLLBACK")).await;
    raw.answers().await;
    for n in 0..1_000_usize {
        let text = format!("SELECT 1 -- {}", "x".repeat(60_000));
        let body = [name(n).as_bytes(), b"\0", text.as_bytes(), b"\0\0\0"].concat();
        raw.send(&[frame(b'P', &body), sync()].concat()).await;
        answers = raw.answers().await;
        if answers != "1Z" {
            break;
        }
    }
    assert_eq!(answers, "E[53400]Z");
    raw.send(&[query("DEALLOCATE ALL"), query("SELECT 1")].concat())
        .await;
    assert_eq!(raw.answers().await, "CZ");
    assert_eq!(raw.answers().await, "TDCZ", "it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_without_end_and_reads_nothing_waits_as_without_us() {
    let world = in_the_clear().await;
    let (raw, _) = Raw::login(&world).await;
    let (mut reads, mut writes) = raw.stream.into_split();
    let count = 300_000;
    let asking = async move {
        use tokio::io::AsyncWriteExt as _;
        writes.write_all(&sync().repeat(count)).await.unwrap();
        writes
    };
    let reading = async {
        use tokio::io::AsyncReadExt as _;
        let mut answers = vec![0; 6 * count];
        reads.read_exact(&mut answers).await.unwrap();
        answers
    };
    let (_writes, answers) = soon(async { tokio::join!(asking, reading) }).await;
    assert!(answers.chunks(6).all(|answer| answer == b"Z\0\0\0\x05I"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_fails_its_transaction() {
    let world = read_only().await;
    let (mut raw, _) = Raw::login(&world).await;
    for (text, expected) in [
        ("BEGIN", "CZ"),
        ("DELETE FROM t", "E[42501]Z"),
        ("SELECT 1", "E[25P02]Z"),
        ("DELETE FROM t", "E[42501]Z"),
        ("ROLLBACK", "CZ"),
        ("SELECT 1", "TDCZ"),
    ] {
        raw.send(&query(text)).await;
        assert_eq!(raw.answers().await, expected, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_slow_to_say_who_they_are_is_left() {
    let limits = Limits {
        handshake: Duration::from_millis(300),
        handshakes: 2,
        ..Limits::default()
    };
    let world = World::with(|_| {}, |_| {}, limits).await;
    let mut first = Raw::dial(&world).await;
    let mut second = Raw::dial(&world).await;
    second.send(&SSL_REQUEST).await;
    // Both places are taken: the third waits, and has its turn when they are left.
    assert_eq!(world.sql("SELECT 1").await, "1");
    assert_eq!(soon(first.rest()).await, NOTHING);
    assert_eq!(soon(second.rest()).await, b"S");
}

#[tokio::test(flavor = "multi_thread")]
async fn replication_and_nobody_in_particular_are_refused() {
    let world = World::start().await;
    let mut psql = world.program("psql");
    psql.args([
        "-X",
        "-d",
        &format!("{} replication=database", world.conninfo("ada")),
        "-c",
        "IDENTIFY_SYSTEM",
    ]);
    let output = crate::world::finish(psql).await;
    assert!(
        crate::world::err(&output).contains("replication does not go through"),
        "{}",
        crate::world::err(&output)
    );
    assert!(world.judge.openings().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_from_the_first_byte_must_say_which_protocol() {
    use rustls::pki_types::ServerName;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let world = World::start().await;
    for (alpn, expected) in [
        (Some("postgresql"), &b"R"[..]),
        (None, NOTHING),
        (Some("http/1.1"), NOTHING),
    ] {
        let config = world.client_tls(alpn);
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = Raw::dial(&world).await.stream;
        let mut answer = Vec::new();
        // Another protocol is refused in the handshake already.
        if let Ok(mut stream) = tokio_rustls::TlsConnector::from(config)
            .connect(name, stream)
            .await
        {
            stream.write_all(&startup("ada")).await.unwrap();
            let mut first = [0];
            if matches!(soon(stream.read(&mut first)).await, Ok(1)) {
                answer.extend(first);
            }
        }
        assert_eq!(answer, expected, "{alpn:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_in_the_clear_is_taken_only_where_it_may_be() {
    let set = |settings: &mut daypass_gateway::postgres::Settings| {
        settings.plaintext = true;
        settings.plain_cancel = false;
    };
    let world = World::with(|_| {}, set, Limits::default()).await;
    let (mut raw, key) = Raw::login(&world).await;
    raw.send(&query("SELECT pg_sleep(1), 'through'")).await;
    let mut other = Raw::dial(&world).await;
    other
        .send(&[&[0, 0, 0, 16, 4, 210, 22, 46], &key[..]].concat())
        .await;
    assert_eq!(other.rest().await, NOTHING);
    assert_eq!(raw.answers().await, "TDCZ");
}
