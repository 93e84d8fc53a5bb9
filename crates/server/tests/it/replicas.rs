//! Two servers on one PostgreSQL: what is done at one counts at the other.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use daypass_api::ProblemCode;
use daypass_api::grant::GrantState;
use daypass_api::policy::{PolicyFile, PolicyFiles};
use daypass_providers::Kind;
use daypass_server::Server;
use daypass_server::config::{PostgresConfig, SecretFrom, SecretSource, ServerConfig, StoreConfig, TlsMode};
use daypass_testbed::Postgres;

use crate::bed::{Bed, POLICY, ask, next, soon};

/// A configuration whose store is this database, with its password in a file.
fn on(postgres: &Postgres, database: &str, folder: &Path, config: &mut ServerConfig) {
    let file = folder.join("own-database");
    let mut options = std::fs::OpenOptions::new();
    let open = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&file)
        .unwrap();
    std::io::Write::write_all(&mut &open, postgres.password().as_bytes()).unwrap();
    let host = postgres.addr().ip().to_string();
    let source = SecretSource {
        from: SecretFrom::File(file),
        hosts: vec![(host.clone(), postgres.port())],
        tls: TlsMode::Disabled,
    };
    config.secrets.insert("own".to_owned(), source);
    config.store = StoreConfig::Postgres(PostgresConfig {
        host,
        port: postgres.port(),
        database: database.to_owned(),
        user: "postgres".to_owned(),
        password: Some("own".to_owned()),
        connections: 8,
        tls: TlsMode::Disabled,
    });
}

/// Two servers on one database, with one target.
async fn pair() -> (Bed, Bed) {
    let postgres = tokio::task::spawn_blocking(Postgres::shared)
        .await
        .unwrap()
        .unwrap();
    let database = postgres.create_database("server").unwrap();
    let one = Bed::with(|config| on(postgres, &database, &config.state_dir.clone(), config)).await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = ServerConfig::ephemeral(folder.path());
    on(postgres, &database, folder.path(), &mut config);
    let kinds: [&'static dyn Kind; 1] = [one.kind];
    let server = Server::start(config, &kinds).await.unwrap();
    let two = Bed {
        server,
        target: one.target.clone(),
        kind: one.kind,
        folder,
        http: reqwest::Client::new(),
    };
    (one, two)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_at_one_server_counts_at_the_other() {
    let (one, two) = pair().await;
    let session = one.session("ana").await;
    let (here, there) = (one.client_of(&session), two.client_of(&session));
    let mut told = there.events(None).await.unwrap();
    let id = here
        .add_request(&ask("staging/read"))
        .await
        .unwrap()
        .grant
        .unwrap();
    loop {
        let event = next(&mut told).await;
        if event.name == "grant.activated" && event.subject.id == id.to_string() {
            break;
        }
    }
    assert_eq!(
        there.grant(&id.to_string()).await.unwrap().state,
        GrantState::Active
    );

    let root = one.client("root").await;
    let text = POLICY.replace("approval: none, max: 8h", "approval: none, max: 2h");
    let file = PolicyFile {
        name: "policy.yaml".into(),
        text,
    };
    let applied = root
        .apply_policy(&PolicyFiles {
            files: vec![file],
            replaces: None,
        })
        .await
        .unwrap();
    let dee = two.client("dee").await;
    let known = async { while dee.policy().await.unwrap().revision != applied.revision {} };
    soon("the other server's policy", known).await;

    root.deactivate(&"ana".parse().unwrap()).await.unwrap();
    let refused = there.whoami().await.unwrap_err();
    assert_eq!(
        refused.code(),
        Some(ProblemCode::Unauthenticated),
        "at once, everywhere"
    );
    soon("the end of the stream", async {
        while told.next().await.unwrap().is_some() {}
    })
    .await;
    two.reaches(id, GrantState::Ended).await;
    soon("one's stop", one.server.stop()).await;
    soon("two's stop", two.server.stop()).await;
}
