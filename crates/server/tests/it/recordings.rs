//! Recordings go when their time is over, and the log says so before.

use std::path::Path;

use daypass_api::grant::GrantState;
use daypass_core::session::Reason;
use daypass_core::time::Span;
use daypass_recording::Recipients;
use daypass_server::config::{Address, GatewayConfig, PostgresGateway, RecordingsConfig};

use crate::bed::Bed;
use crate::sessions::open;

/// A public key of age (its test vectors).
const KEY: &str = "age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq";

/// A gateway that keeps what it has in a folder.
pub(crate) fn gateway(folder: &Path) -> GatewayConfig {
    GatewayConfig {
        name: "gw".parse().unwrap(),
        postgres: Some(PostgresGateway {
            listen: "127.0.0.1:0".parse().unwrap(),
            address: Address {
                host: "127.0.0.1".to_owned(),
                port: 0,
                ca: None,
                is_plain: true,
            },
            tls: None,
        }),
        ssh: None,
        recordings: RecordingsConfig {
            folder: folder.join("recordings"),
            recipients: Recipients::read(&[KEY]).unwrap(),
            identity: None,
            key: folder.join("recording-key"),
            keep: None,
        },
        lease: Span::seconds(5),
        credential_lifetime: Span::hours(1),
        apart: vec![],
    }
}

#[tokio::test]
async fn a_recording_goes_when_its_time_is_over_and_the_log_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = gateway(folder.path());
    config.recordings.keep = Some(Span::seconds(1));
    let recordings = config.recordings.folder.clone();
    let bed = Bed::with(|server| server.gateway = Some(config)).await;
    let grant = bed.granted().await;
    bed.reaches(grant, GrantState::Active).await;
    let (old, held) = (
        open(&bed, grant, "orders/write").await,
        open(&bed, grant, "orders/write").await,
    );
    for session in [old, held] {
        let folder = recordings.join(session.to_string());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("0.age"), "sealed").unwrap();
    }
    let engine = bed.server.engine();
    engine.close_session(old, Reason::Left, None).await.unwrap();
    bed.log_with("session.recording_removed").await;
    let removed = engine.store().session(old).await.unwrap().unwrap();
    assert!(removed.recording.unwrap().removed_at.is_some());
    let there =
        |session: daypass_core::id::SessionId| recordings.join(session.to_string()).join("0.age").exists();
    while there(old) {
        tokio::task::yield_now().await;
    }
    assert!(there(held), "that of a session that goes on stays");
}
