//! Targets that die, that are not who they should be, or that do not ask.

use daypass_gateway::control::Reason;
use daypass_gateway::postgres::target::TargetTls;
use daypass_gateway::record::Outcome;
use daypass_testbed::TcpProxy;
use daypass_testbed::tcp_proxy::Then;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::raw::{Raw, frame};
use crate::world::{World, authority, for_a_while, soon};

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_dies_in_a_query_is_told_and_recorded() {
    let world = World::start().await;
    let proxy = TcpProxy::start(world.base.postgres.addr()).unwrap();
    world.judge.rules().place.port = proxy.port();
    let client = world.connect().await;
    let query = client.client.simple_query("SELECT pg_sleep(600)");
    let cut = async {
        let active = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%sleep(600)' AND datname = current_database()";
        world.target_says(active, "1").await;
        proxy.cut();
    };
    let (result, ()) = tokio::join!(soon(query), cut);
    assert_eq!(
        crate::life::words(&result.unwrap_err()),
        "08006 the target ended the connection"
    );
    let closing = world.judge.closings(1).await.remove(0);
    assert_eq!(closing.reason, Reason::TargetLost);
    assert_eq!(
        world.judge.recorded("SELECT pg_sleep(600)").await.outcome,
        Outcome::Cut
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_says_why_it_ends_is_heard() {
    let world = World::start().await;
    let mut client = world.connect().await;
    world
        .target("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dp_ada' AND datname = current_database()")
        .await;
    let error = soon(&mut client.running).await.unwrap().unwrap();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "57P01");
    assert!(error.message().contains("administrator command"));
    assert_eq!(world.judge.closings(1).await[0].reason, Reason::TargetLost);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_must_be_who_it_should_be() {
    let world = World::start().await;
    let right = world.judge.rules().place.clone();
    let other = authority().pem();
    let cases = [
        (
            TargetTls::VerifyFull { ca_pem: Some(other) },
            "127.0.0.1",
            "certificate",
        ),
        (TargetTls::VerifyFull { ca_pem: None }, "127.0.0.1", "certificate"),
        (
            TargetTls::VerifyFull {
                ca_pem: Some("none".to_owned()),
            },
            "127.0.0.1",
            "no certificate to trust",
        ),
        (right.tls.clone(), "127.0.0.2", ""),
    ];
    for (tls, host, expected) in cases {
        world.judge.rules().place.tls = tls;
        host.clone_into(&mut world.judge.rules().place.host);
        let said = world.fails("SELECT 1").await;
        assert!(
            said.contains("the target cannot be reached") && said.contains(expected),
            "{said}"
        );
    }
    world.judge.rules().place = right;
    world.judge.rules().password = Some(SecretString::from("wrong"));
    let said = world.fails("SELECT 1").await;
    assert!(
        said.contains("the target refuses: password authentication failed"),
        "{said}"
    );
    assert!(!said.contains("wrong\""), "{said}");
    world.judge.rules().password = None;
    let said = world.fails("SELECT 1").await;
    assert!(said.contains("the target cannot be reached"), "{said}");
}

/// A target that answers what it is told to, whatever it is asked.
async fn impostor(world: &World, tls: TargetTls, answers: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    {
        let mut rules = world.judge.rules();
        rules.place.port = listener.local_addr().unwrap().port();
        rules.place.tls = tls;
    }
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; 8];
        stream.read_exact(&mut asked).await.unwrap();
        stream.write_all(&answers).await.unwrap();
        // Until it is left.
        let mut rest = Vec::new();
        let _ = soon(stream.read_to_end(&mut rest)).await;
        assert!(!String::from_utf8_lossy(&rest).contains("upstream-secret"));
    };
    let (said, ()) = tokio::join!(world.fails("SELECT 1"), serve);
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn an_impostor_learns_nothing_and_lets_nobody_in() {
    let world = World::start().await;
    let verify = world.judge.rules().place.tls.clone();
    let said = impostor(&world, verify.clone(), b"N".to_vec()).await;
    assert!(said.contains("it does not offer TLS"), "{said}");
    // Bytes behind the S would be taken as said under TLS.
    let ready = [frame(b'R', &[0; 4]), frame(b'Z', b"I")].concat();
    let said = impostor(&world, verify, [b"S".to_vec(), ready.clone()].concat()).await;
    assert!(said.contains("the target cannot be reached"), "{said}");
    let plain = TargetTls::Disabled;
    let said = impostor(&world, plain.clone(), ready).await;
    assert!(said.contains("does not ask for the password"), "{said}");
    for weak in [3_u32, 5] {
        let said = impostor(&world, plain.clone(), frame(b'R', &weak.to_be_bytes())).await;
        assert!(said.contains("not SCRAM-SHA-256"), "{said}");
    }
    let offer = frame(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0");
    let greedy = frame(b'R', b"\0\0\0\x0br=x,s=AAAA,i=2000000000");
    let said = impostor(&world, plain.clone(), [offer, greedy].concat()).await;
    assert!(said.contains("out of all proportion"), "{said}");
    let said = impostor(&world, plain, b"R\xff\xff\xff\xff".to_vec()).await;
    assert!(said.contains("impossible length"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_answer_holds_nobody_up_for_ever() {
    let world = World::with(
        |_| {},
        |settings| settings.plaintext = true,
        daypass_gateway::Limits::default(),
    )
    .await;
    let proxy = TcpProxy::start(world.base.postgres.addr()).unwrap();
    let _seen = proxy.when(b"dp_ada", Then::HoldAnswers);
    {
        let mut rules = world.judge.rules();
        rules.place.port = proxy.port();
        rules.place.tls = TargetTls::Disabled;
    }
    // Who leaves meanwhile is let go.
    assert!(
        for_a_while(std::time::Duration::from_secs(1), Raw::login(&world))
            .await
            .is_none()
    );
    assert_eq!(world.judge.closings(1).await[0].reason, Reason::Left);
}
