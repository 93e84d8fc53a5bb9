//! Two servers on one PostgreSQL: what is done at one counts at the other.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use daypass_api::ProblemCode;
use daypass_api::grant::GrantState;
use daypass_api::person::{ChangeGroups, PersonQuery, SetRole, SystemRole};
use daypass_api::policy::{PolicyFile, PolicyFiles};
use daypass_core::id::GrantId;
use daypass_core::name::Name;
use daypass_core::refusal::Code;
use daypass_providers::memory::Memory;
use daypass_providers::{ConfigProblem, Error, Kind, Provider, SecretUse, Secrets};
use daypass_server::Server;
use daypass_server::config::{PostgresConfig, SecretFrom, SecretSource, ServerConfig, StoreConfig, TlsMode};
use daypass_testbed::Postgres;
use futures_util::future::{join, join_all};
use serde_json::Value;

use crate::bed::{Bed, POLICY, ask, next, soon};

/// A configuration whose store is this database, with its password in a file.
pub(crate) fn on(postgres: &Postgres, database: &str, folder: &Path, config: &mut ServerConfig) {
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
    pair_with(|kind| kind).await
}

/// The same; the second one's kind is made of the first one's.
async fn pair_with(other: impl FnOnce(&'static Memory) -> &'static dyn Kind) -> (Bed, Bed) {
    let postgres = tokio::task::spawn_blocking(Postgres::shared)
        .await
        .unwrap()
        .unwrap();
    let database = postgres.create_database("server").unwrap();
    let one = Bed::with(|config| on(postgres, &database, &config.state_dir.clone(), config)).await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = ServerConfig::ephemeral(folder.path());
    on(postgres, &database, folder.path(), &mut config);
    let server = Server::start(config, &[other(one.kind)]).await.unwrap();
    let two = Bed {
        server,
        target: one.target.clone(),
        kind: one.kind,
        folder,
        http: reqwest::Client::new(),
    };
    (one, two)
}

/// Another revision than the one in force.
fn another_policy() -> PolicyFiles {
    let file = PolicyFile {
        name: "policy.yaml".into(),
        text: POLICY.replace("approval: none, max: 8h", "approval: none, max: 2h"),
    };
    PolicyFiles {
        files: vec![file],
        replaces: None,
    }
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
    let applied = root.apply_policy(&another_policy()).await.unwrap();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_servers_change_in_the_directory_at_once_does_not_undo_the_other() {
    let (one, two) = pair().await;
    let name = |text: &str| text.parse::<Name>().unwrap();
    let session = one.session("root").await;
    let (here, there) = (one.client_of(&session), two.client_of(&session));
    let change = |n: usize| ChangeGroups {
        add: [name(&format!("g{n}"))].into(),
        ..ChangeGroups::default()
    };
    let (ana, changes) = (name("ana"), (0..12).map(change).collect::<Vec<_>>());
    let servers = [&here, &there].into_iter().cycle();
    let all = changes
        .iter()
        .zip(servers)
        .map(|(change, server)| server.change_groups(&ana, change));
    for changed in join_all(all).await {
        changed.unwrap();
    }
    let groups = one.server.engine().store().person(one.id("ana")).await;
    assert_eq!(
        groups.unwrap().unwrap().groups.len(),
        13,
        "engineering and twelve more"
    );

    let role = |role| SetRole { role };
    let (administrator, member) = (role(SystemRole::Administrator), role(SystemRole::Member));
    here.set_role(&name("cy"), &administrator).await.unwrap();
    let known = async {
        while there
            .people(&PersonQuery::default())
            .await
            .unwrap()
            .items
            .iter()
            .all(|one| one.login != "cy" || one.role != SystemRole::Administrator)
        {}
    };
    soon("the other's directory", known).await;
    // Each steps down, while the other one is still there.
    let (root, cy, there) = (name("root"), name("cy"), two.client("cy").await);
    let (first, second) = join(here.set_role(&root, &member), there.set_role(&cy, &member)).await;
    let refused = [first.err(), second.err()]
        .into_iter()
        .flatten()
        .map(|error| error.code());
    assert_eq!(refused.collect::<Vec<_>>(), [Some(Code::InUse.into())]);
    soon("one's stop", one.server.stop()).await;
    soon("two's stop", two.server.stop()).await;
}

/// A kind of target with a defect: once it is armed, connecting panics.
struct Defective {
    sound: &'static Memory,
    armed: AtomicBool,
}

impl Kind for Defective {
    fn name(&self) -> &'static str {
        self.sound.name()
    }

    fn check_connector(&self, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        self.sound.check_connector(config)
    }

    fn check_resource(&self, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        self.sound.check_resource(config)
    }

    fn check_role(&self, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        self.sound.check_role(config)
    }

    fn secrets(&self, connector: &Value) -> Vec<SecretUse> {
        self.sound.secrets(connector)
    }

    fn target_key(&self, grant: GrantId, index: usize, resource: &Value, role: &Value) -> String {
        self.sound.target_key(grant, index, resource, role)
    }

    fn connect(
        &self,
        connector: &Name,
        config: &Value,
        secrets: Arc<dyn Secrets>,
        installation: &str,
    ) -> Result<Arc<dyn Provider>, Error> {
        assert!(!self.armed.load(Ordering::SeqCst), "a defect");
        self.sound.connect(connector, config, secrets, installation)
    }
}

/// A server that goes on answering while one of its loops is gone would neither end access nor tell anybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_loop_panics_stops_and_the_other_goes_on() {
    let mut defective = None;
    let (one, two) = pair_with(|sound| {
        let armed = AtomicBool::new(false);
        let kind: &'static Defective = Box::leak(Box::new(Defective { sound, armed }));
        defective = Some(kind);
        kind
    })
    .await;
    defective.unwrap().armed.store(true, Ordering::SeqCst);
    let root = one.client("root").await;
    root.apply_policy(&another_policy()).await.unwrap();
    assert_eq!(soon("the end", two.server.broken()).await, "the sequencer");
    let address = two.server.address();
    soon("two's stop", two.server.stop()).await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());

    let id = one.client("ana").await.add_request(&ask("staging/read")).await;
    one.reaches(id.unwrap().grant.unwrap(), GrantState::Active).await;
    soon("one's stop", one.server.stop()).await;
}
