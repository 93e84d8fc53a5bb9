//! Messages that two readers could cut differently, and upgrades that are not made: nothing behind them gets in.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::bed::{Bed, soon};

/// Sends bytes and reads until the server closes or, with `until`, has said that.
async fn talk(bed: &Bed, bytes: &[u8], until: Option<&str>) -> String {
    let mut stream = TcpStream::connect(bed.server.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    soon("an answer", async {
        let mut buffer = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&answer);
            if until.is_some_and(|until| text.contains(until)) {
                return;
            }
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) => answer.extend_from_slice(&buffer[..count]),
            }
        }
    })
    .await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn an_ambiguous_length_ends_the_connection() {
    let bed = Bed::start().await;
    let hidden = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for head in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n",
        "content-length: 4\r\ncontent-length: 0\r\n\r\n",
        "content-length: +0\r\n\r\n",
        "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        "content-length: 0\r\n x: folded\r\n\r\n",
    ] {
        let bytes = format!("POST /api/v1/login HTTP/1.1\r\nhost: localhost\r\n{head}{hidden}");
        // Without an end of the connection this would wait for the next request and fail.
        let answer = talk(&bed, bytes.as_bytes(), None).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{head:?}: {answer}");
        assert!(
            !answer.contains("alive"),
            "{head:?}: what was hidden behind it got an answer: {answer}"
        );
    }
}

#[tokio::test]
async fn an_upgrade_is_not_made_and_the_next_request_stands_for_itself() {
    let bed = Bed::start().await;
    let ana = bed.session("ana").await;
    for upgrade in ["websocket", "h2c", "anything"] {
        let first = format!(
            "GET /api/v1/whoami HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ana}\r\n\
             connection: upgrade\r\nupgrade: {upgrade}\r\n\r\n"
        );
        let second = "GET /api/v1/whoami HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let answer = talk(
            &bed,
            format!("{first}{second}").as_bytes(),
            Some("unauthenticated"),
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{upgrade}: {answer}");
        assert!(
            answer.contains("HTTP/1.1 401") && !answer.contains("HTTP/1.1 101"),
            "{upgrade}: {answer}"
        );
    }
}

#[tokio::test]
async fn it_is_no_proxy() {
    let bed = Bed::start().await;
    let connect = "CONNECT 169.254.169.254:80 HTTP/1.1\r\nhost: 169.254.169.254\r\nconnection: close\r\n\r\n";
    let answer = talk(&bed, connect.as_bytes(), None).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[tokio::test]
async fn a_head_without_end_is_cut_short() {
    let bed = Bed::start().await;
    let long = format!(
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n",
        "x".repeat(64 * 1024)
    );
    let answer = talk(&bed, long.as_bytes(), None).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
}
