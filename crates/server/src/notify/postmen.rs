//! Carriers that hang, break or refuse in ways that a good receiver never shows, and what is then recorded.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use daypass_core::time::{Span, Timestamp};
use daypass_engine::notices::Ready;
use daypass_store::{Claim, Delivery};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::courier::{Carrier, Courier, Fault, Turn};
use super::tests::Office;

const MAIL: &str = "  mail: {smtp: \"127.0.0.1:PORT\", tls: none, from: daypass@example.com, user: daypass, \
                    password: {secret: smtp}}\n";

/// A mail server that answers what begins so with this (nothing: never), and all else as a good one does.
async fn mail_server(begins: &'static str, answer: &'static str) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let _ = stream.write_all(b"220 here\r\n").await;
                let (mut line, mut letter) = (String::new(), false);
                while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                    let said = line.trim_end().to_owned();
                    line.clear();
                    let good = match said.as_str() {
                        "." => "250 taken\r\n",
                        _ if letter => "",
                        "DATA" => "354 go on\r\n",
                        _ if said.starts_with("EHLO") => "250-here\r\n250 AUTH PLAIN\r\n",
                        _ if said.starts_with("AUTH") => "235 come in\r\n",
                        "QUIT" => "221 bye\r\n",
                        _ => "250 good\r\n",
                    };
                    letter = said == "DATA" || (letter && said != ".");
                    let answer = if said.starts_with(begins) { answer } else { good };
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    port
}

/// An office with one mail that waits for bo.
async fn with_a_mail(port: u16) -> (Office, Courier) {
    let office = Office::new(MAIL, port).await;
    office.ask("one").await;
    office.queue().await;
    let courier = office.couriers().remove(0);
    (office, courier)
}

/// The one letter that waits, as a carrier gets it.
async fn letter(office: &Office, courier: &Courier) -> Ready {
    let now = office.store.now().await.unwrap();
    let claim = Claim {
        channel: courier.channel.clone(),
        worker: "test".to_owned(),
        now,
        until: now,
        limit: 1,
    };
    let rows = office.store.claim_notices(&claim).await.unwrap();
    let ready = office.engine.notice(&rows[0], &courier.rules, now).await.unwrap();
    ready.unwrap()
}

async fn turn(office: &Office, courier: &Courier) -> Turn {
    courier
        .turn(office.store.now().await.unwrap(), &|| 7)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_was_taken_is_sent_however_they_say_goodbye() {
    let (office, courier) = with_a_mail(mail_server("QUIT", "").await).await;
    assert_eq!(turn(&office, &courier).await.sent, 1);
    assert!(turn(&office, &courier).await.is_idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_holds_no_address_and_a_login_that_fails_is_no_refusal() {
    let (office, courier) =
        with_a_mail(mail_server("RCPT", "550 <BO@example.com> is unknown here\r\n").await).await;
    let ready = letter(&office, &courier).await;
    let fault = courier.carrier.carry(&ready, office.now()).await.unwrap_err();
    assert!(fault.refused && fault.what.contains("550"), "{fault:?}");
    assert!(
        !fault.what.to_ascii_lowercase().contains("bo@example"),
        "{fault:?}"
    );
    for answer in ["535 5.7.8 wrong password\r\n", "530 5.7.0 log in first\r\n"] {
        let (office, courier) = with_a_mail(mail_server("AUTH", answer).await).await;
        let ready = letter(&office, &courier).await;
        let fault = courier.carrier.carry(&ready, office.now()).await.unwrap_err();
        assert!(!fault.refused, "{fault:?}");
    }
}

/// One with a defect.
struct Panics;

#[async_trait]
impl Carrier for Panics {
    async fn carry(&self, _: &Ready, _: Timestamp) -> Result<(), Fault> {
        panic!("a defect of the tests")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_defect_in_one_notice_is_a_failure_of_that_one() {
    let (office, mut courier) = with_a_mail(mail_server("QUIT", "").await).await;
    let whole = std::mem::replace(&mut courier.carrier, Box::new(Panics));
    assert_eq!(turn(&office, &courier).await.failed, 1);
    courier.carrier = whole;
    office.pass(Span::minutes(1));
    assert_eq!(turn(&office, &courier).await.sent, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_server_queued_is_left_to_it() {
    let (office, courier) = with_a_mail(mail_server("QUIT", "").await).await;
    assert_eq!(turn(&office, &courier).await.sent, 1);
    let from = office.store.notices_begin().await.unwrap();
    let new = Delivery {
        channel: courier.channel.clone(),
        index: 0,
        notice: "grant.paused".to_owned(),
        recipient: None,
        lane: "G1".to_owned(),
        since: office.now(),
        tries: 0,
    };
    assert!(
        office
            .store
            .queue_notices(from, from + 1, vec![new])
            .await
            .unwrap()
    );
    let done = turn(&office, &courier).await;
    assert_eq!((done.failed, done.moot), (1, 0));
    let stands = office.store.notices_waiting(office.now()).await.unwrap();
    assert_eq!(stands[0].waiting, 1, "{stands:?}");
}

/// One that notes by which time it was asked.
struct Notes(Arc<std::sync::atomic::AtomicI64>);

#[async_trait]
impl Carrier for Notes {
    async fn carry(&self, _: &Ready, now: Timestamp) -> Result<(), Fault> {
        self.0.store(now.micros(), Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_are_told_the_clocks_time_and_not_the_stores() {
    let (office, mut courier) = with_a_mail(mail_server("QUIT", "").await).await;
    let noted = Arc::default();
    courier.carrier = Box::new(Notes(Arc::clone(&noted)));
    // The clock was wrong, and is set back ten hours. Store time goes on, for good (ADR 0006).
    office.set_back(Span::hours(10));
    let told = office.store.now().await.unwrap();
    assert!(told.since(office.now()) >= Span::hours(10), "{told}");
    assert_eq!(turn(&office, &courier).await.sent, 1);
    assert_eq!(noted.load(Ordering::SeqCst), office.now().micros());
}
