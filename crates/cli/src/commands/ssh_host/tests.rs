//! A host whose server goes back to yesterday between two of its turns.

use std::sync::Mutex;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_api::route::path;

use super::doubt::tests::list;
use super::*;
use crate::pins::tests::{Log, guard, serve_with, shows};

/// A host, and a server that it syncs with.
struct Host {
    folder: tempfile::TempDir,
    log: Log,
    server: Server,
    sent: Arc<Mutex<Option<HostFiles>>>,
    acknowledged: Arc<Mutex<Vec<u64>>>,
}

fn files(version: u64, revoked: &[u8], user: &str) -> HostFiles {
    HostFiles {
        authority: "ssh-ed25519 AAAA daypass fleet\n".into(),
        authorities: Vec::new(),
        version,
        krl: STANDARD.encode(list(version, &[(1, revoked)])),
        principals: [(user.into(), ["someone@web-1".into()].into())].into(),
    }
}

impl Host {
    async fn new() -> Self {
        let sent: Arc<Mutex<Option<HostFiles>>> = Arc::default();
        let acknowledged: Arc<Mutex<Vec<u64>>> = Arc::default();
        let (shown, heard) = (Arc::clone(&sent), Arc::clone(&acknowledged));
        let gone =
            r#"{"type": "urn:daypass:not-found", "title": "Not found", "status": 404, "detail": "no host"}"#;
        let router = Router::new()
            .route(
                path::SSH_HOST,
                get(async move || match &*shown.lock().unwrap() {
                    Some(files) => (
                        StatusCode::OK,
                        [("content-type", "application/json")],
                        serde_json::to_string(files).unwrap(),
                    ),
                    None => (
                        StatusCode::NOT_FOUND,
                        [("content-type", daypass_api::PROBLEM_JSON)],
                        gone.to_owned(),
                    ),
                }),
            )
            .route(
                path::SSH_ACKNOWLEDGE,
                post(async move |body: String| {
                    let said: serde_json::Value = serde_json::from_str(&body).unwrap();
                    heard.lock().unwrap().push(said["version"].as_u64().unwrap());
                    StatusCode::NO_CONTENT
                }),
            );
        let (log, bare) = serve_with(router).await;
        let folder = tempfile::tempdir().unwrap();
        let guard = guard(&Place(folder.path()).pins(), &bare, &[]);
        let server = Server {
            client: bare.clone().guarded(Arc::clone(&guard) as Arc<dyn Guard>),
            looks: Some((bare, guard)),
        };
        Self {
            folder,
            log,
            server,
            sent,
            acknowledged,
        }
    }

    async fn turn(&self, said: Option<Said>) -> Result<InPlace, Failure> {
        let place = Place(self.folder.path());
        let host = (&"fleet".parse().unwrap(), "web-1");
        sync(&self.server, host, (place, &Check::Unchecked), said).await
    }

    fn sends(&self, files: Option<HostFiles>) {
        *self.sent.lock().unwrap() = files;
    }

    fn users(&self) -> Vec<String> {
        Place(self.folder.path()).users().unwrap().into_iter().collect()
    }

    fn refuses(&self, part: &[u8]) -> bool {
        let list = std::fs::read(Place(self.folder.path()).list()).unwrap();
        list.windows(part.len()).any(|window| window == part)
    }
}

#[tokio::test]
async fn yesterdays_list_is_not_taken_within_the_minute_of_a_look() {
    let host = Host::new().await;
    shows(&host.log, b"abcdefg", 1);
    host.sends(Some(files(7, b"ana's serial", "deploy")));
    let there = host.turn(None).await.unwrap();
    assert!(there.is_read());
    // A moment later, and yesterday lets ana in.
    shows(&host.log, b"abcd", 1);
    host.sends(Some(HostFiles {
        authority: "ssh-ed25519 BBBB another\n".into(),
        ..files(4, b"nothing", "root")
    }));
    let there = host.turn(there.acknowledged()).await.unwrap();
    assert!(there.doubted && !there.is_read(), "{}", there.said());
    assert_eq!(host.users(), ["deploy"], "whom it lets in stays");
    let trusted = std::fs::read_to_string(Place(host.folder.path()).authorities()).unwrap();
    assert_eq!(trusted, files(7, b"", "deploy").authority, "and whom it trusts");
    assert!(host.refuses(b"ana's serial") && host.refuses(b"nothing"));
    // The same for a list that only counts less, and for a host that yesterday did not know.
    for (sends, acknowledged) in [(Some(files(6, b"ana's serial", "deploy")), 9), (None, 7)] {
        let host = Host::new().await;
        shows(&host.log, b"abcdefg", 1);
        host.sends(Some(files(7, b"ana's serial", "deploy")));
        host.turn(None).await.unwrap();
        if let Some(files) = &sends {
            host.sends(Some(files.clone()));
            host.turn(None).await.unwrap();
        }
        shows(&host.log, b"abcd", 1);
        host.sends(sends);
        let said = Said {
            version: acknowledged,
            in_doubt: false,
        };
        let turn = host.turn(Some(said)).await;
        assert!(turn.is_err() || turn.unwrap().doubted);
        assert_eq!(host.users(), ["deploy"]);
    }
}

#[tokio::test]
async fn in_doubt_what_was_said_is_not_said_again_and_afterwards_all_is_taken() {
    let host = Host::new().await;
    shows(&host.log, b"abcdefg", 1);
    host.sends(Some(files(7, b"ana's serial", "deploy")));
    let mut there = host.turn(None).await.unwrap();
    shows(&host.log, b"abcd", 1);
    host.sends(Some(files(4, b"bo's serial", "../../x")));
    // A name that is none changes nothing, and is handed to nobody.
    assert!(host.turn(there.acknowledged()).await.is_err());
    host.server.is_doubted_now().await.unwrap();
    for _ in 0..3 {
        there = host.turn(there.acknowledged()).await.unwrap();
        assert!(there.doubted);
    }
    assert_eq!(*host.acknowledged.lock().unwrap(), [7, 4]);
    host.sends(Some(files(5, b"cy's serial", "root")));
    there = host.turn(there.acknowledged()).await.unwrap();
    assert_eq!(*host.acknowledged.lock().unwrap(), [7, 4, 5], "news is said");
    assert!(host.refuses(b"ana's serial") && host.refuses(b"cy's serial"));
    assert!(!host.refuses(b"bo's serial"), "the newest counts");
    let odd = HostFiles {
        krl: STANDARD.encode("no list"),
        ..files(5, b"", "root")
    };
    host.sends(Some(odd));
    assert!(host.turn(there.acknowledged()).await.is_err());
    assert!(host.refuses(b"ana's serial") && host.refuses(b"cy's serial"));
    // The newest store is there again.
    shows(&host.log, b"abcdefgh", 1);
    host.sends(Some(files(8, b"dee's serial", "logs")));
    assert!(!host.server.is_doubted_now().await.unwrap());
    let there = host.turn(there.acknowledged()).await.unwrap();
    assert!(there.is_read());
    assert_eq!(host.users(), ["logs"]);
    assert!(!host.refuses(b"ana's serial"));
}

#[test]
fn the_hint_names_the_folder_where_it_is_another() {
    assert_eq!(accept(Path::new(DIR)), "daypass ssh-host accept --reason TEXT");
    assert_eq!(
        accept(Path::new("/srv/x")),
        "daypass ssh-host accept --dir /srv/x --reason TEXT"
    );
}
