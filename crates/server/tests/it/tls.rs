//! The listener with a certificate of its own.

use std::path::PathBuf;

use daypass_api::Route;
use daypass_server::config::{ServerConfig, TlsFiles};
use daypass_server::{Server, StartError};
use reqwest::{Certificate, Client, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::bed::{Bed, soon};

struct Pair {
    files: TlsFiles,
    pem: String,
    _folder: tempfile::TempDir,
}

fn certificate() -> Pair {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key): (PathBuf, PathBuf) =
        (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    Pair {
        files: TlsFiles { certificate, key },
        pem: made.cert.pem(),
        _folder: folder,
    }
}

async fn serving(pair: &Pair) -> Bed {
    let files = pair.files.clone();
    Bed::empty(move |config| config.tls = Some(files)).await
}

#[tokio::test]
async fn clients_that_trust_the_certificate_talk_http_1_and_2() {
    let pair = certificate();
    let bed = serving(&pair).await;
    assert!(bed.server.url().starts_with("https://"));
    let url = format!("https://localhost:{}/healthz", bed.server.address().port());
    let trusted = || {
        let certificate = Certificate::from_pem(pair.pem.as_bytes()).unwrap();
        Client::builder()
            .tls_certs_only([certificate])
            .resolve("localhost", bed.server.address())
    };
    for (client, version) in [
        (trusted().http1_only().build(), Version::HTTP_11),
        (trusted().build(), Version::HTTP_2),
    ] {
        let answer = client.unwrap().get(&url).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
        assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
    }
    let stranger = Client::builder()
        .resolve("localhost", bed.server.address())
        .build()
        .unwrap();
    assert!(
        stranger.get(&url).send().await.is_err(),
        "who does not know the certificate does not talk"
    );
}

/// Somebody who asks and takes no answer has so many of them, and no more; others do not notice.
#[tokio::test]
async fn an_answer_that_is_not_taken_keeps_its_callers_share() {
    let pair = certificate();
    let files = pair.files.clone();
    let bed = Bed::with(move |config| config.tls = Some(files)).await;
    let client = |window: u32| {
        let certificate = Certificate::from_pem(pair.pem.as_bytes()).unwrap();
        let client = Client::builder()
            .tls_certs_only([certificate])
            .resolve("localhost", bed.server.address())
            .http2_initial_stream_window_size(window);
        client.build().unwrap()
    };
    let url = format!(
        "https://localhost:{}{}",
        bed.server.address().port(),
        Route::Whoami.path()
    );
    let (ana, cy) = (bed.session("ana").await, bed.session("cy").await);
    let (slow, usual) = (client(1), client(65_535));
    let mut untaken = Vec::new();
    for _ in 0..8 {
        let answer = slow.get(&url).bearer_auth(&ana).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        untaken.push(answer);
    }
    let ninth = usual.get(&url).bearer_auth(&ana).send().await.unwrap();
    assert_eq!(ninth.status().as_u16(), 429);
    let others = usual.get(&url).bearer_auth(&cy).send().await.unwrap();
    assert_eq!(others.status().as_u16(), 200);
    drop(others);
    // Taken, it is nobody's any more.
    for answer in untaken {
        assert!(soon("an answer", answer.text()).await.unwrap().contains("ana"));
    }
    for _ in 0..20 {
        let own = usual.get(&url).bearer_auth(&ana).send().await.unwrap();
        assert_eq!(own.status().as_u16(), 200);
        own.text().await.unwrap();
    }
}

#[tokio::test]
async fn who_does_not_speak_tls_gets_no_answer() {
    let pair = certificate();
    let bed = serving(&pair).await;
    let mut plain = tokio::net::TcpStream::connect(bed.server.address())
        .await
        .unwrap();
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _reset = soon("the end of the connection", plain.read_to_end(&mut answer)).await;
    assert!(
        !String::from_utf8_lossy(&answer).contains("HTTP/1.1"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_said() {
    let (one, other) = (certificate(), certificate());
    let folder = tempfile::tempdir().unwrap();
    for (files, what) in [
        (
            TlsFiles {
                key: other.files.key.clone(),
                ..one.files.clone()
            },
            "cert.pem",
        ),
        (
            TlsFiles {
                certificate: one.files.key.clone(),
                ..one.files.clone()
            },
            "no certificate",
        ),
        (
            TlsFiles {
                key: folder.path().join("none.pem"),
                ..one.files.clone()
            },
            "none.pem",
        ),
    ] {
        let mut config = ServerConfig::ephemeral(folder.path());
        config.tls = Some(files);
        let Err(error) = Server::start(config, &[]).await else {
            panic!("it started")
        };
        assert!(
            matches!(error, StartError::Tls(_)) && error.to_string().contains(what),
            "{error}"
        );
    }
}
