//! The product as an operator would have it: the binary's own server with a gateway, a policy, ten people with a grant each, and recordings
//! sealed with age.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use daypass_api::client::{Client, Connection};
use daypass_api::grant::{AskCredential, GrantState, Revoke};
use daypass_api::login::Login;
use daypass_api::person::{Kind, NewPerson, SystemRole};
use daypass_api::request::NewRequest;
use daypass_api::secret::Secret;
use daypass_core::id::GrantId;
use daypass_server::edge;
use futures_util::future::join_all;

use crate::asked::{Asked, Upstream};
use crate::house::Certificates;
use crate::ssh::access::Access;
use crate::ssh::host::Host;
use crate::way::Way;

/// The password of Daypass's own role at the target.
pub(crate) const ADMIN_PASSWORD: &str = "the-connectors-own-password-7Qz";

/// Who holds a grant each: a gateway gives one person a hundred sessions at most.
pub(crate) const PEOPLE: usize = 10;

/// How long anything may take but the end of a thousand sessions.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) struct Person {
    login: String,
    pub(crate) api: Client,
    /// Their grant, and the way in that its credential opens.
    grant: Option<(GrantId, Way)>,
}

/// See the module.
pub(crate) struct Daypass {
    // In the order in which they must go.
    server: Server,
    pub(crate) people: Vec<Person>,
    pub(crate) admin: Client,
    pub(crate) access: Option<Access>,
    pub(crate) url: String,
    gateway: u16,
    folder: Folder,
    pub(crate) program: PathBuf,
}

/// The server's process. It ends with this value.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Below the folder that cargo gives a benchmark: on the disk that the build is on, and there is only one at a time.
struct Folder(PathBuf);

impl Folder {
    fn fresh() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-gateway");
        // What one that was killed has left.
        let _ = std::fs::remove_dir_all(&folder);
        for dir in ["data", "secrets"] {
            std::fs::create_dir_all(folder.join(dir)).unwrap();
        }
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.file(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The next one removes it.
            println!("the server's log: {}", self.file("log").display());
            return;
        }
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Daypass {
    /// Sets it up and starts it; everybody holds their grant when this returns.
    pub(crate) async fn start(certificates: &Certificates, target: u16, asked: &Asked) -> Self {
        let folder = Folder::fresh();
        let (listen, gateway, ssh) = (free_port(), free_port(), free_port());
        let host = Host::start(PEOPLE);
        folder.write("ca.pem", &certificates.ca);
        folder.write("gateway.pem", &certificates.certificate);
        folder.write("gateway-key.pem", &certificates.key);
        folder.write("secrets/pg-main-admin", ADMIN_PASSWORD);
        folder.write("secrets/sealing-key", &format!("{}=\n", "A".repeat(43)));
        let recipient = age_key(&folder.file("secrets/identity"));
        let tls = match asked.upstream {
            Upstream::Tls => "ca: ca.pem",
            Upstream::Plain => "tls: disable",
        };
        folder.write(
            "server.yaml",
            &config(
                &format!("hosts: [\"127.0.0.1:{target}\"], {tls}"),
                listen,
                (gateway, ssh),
                &recipient,
            ),
        );
        folder.write("daypass.yaml", &policy(target, &host.policy()));
        let mut init = Command::new(&asked.daypass);
        let init = init
            .args(["init", "--only-admin", "--no-input"])
            .arg(&folder.0)
            .output()
            .unwrap();
        assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
        let password = String::from_utf8(init.stdout).unwrap().trim_end().to_owned();
        let server = serve(&asked.daypass, &folder).await;
        let url = format!("http://127.0.0.1:{listen}");
        let admin = logged_in(&url, "admin", &password).await;
        let people = (0..PEOPLE).map(|number| person(&admin, &url, format!("person{number}")));
        let people = join_all(people).await;
        let mut daypass = Self {
            server,
            people,
            admin,
            access: None,
            url,
            gateway,
            folder,
            program: asked.daypass.clone(),
        };
        daypass.grant_anew().await;
        daypass.access = Some(Access::new(&daypass, host, ssh).await);
        daypass
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.server.0.id()
    }

    /// The authority that all three ways are known by.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.file("ca.pem")
    }

    /// The way in of one of the people.
    pub(crate) fn way(&self) -> Way {
        self.people().next().expect("there are ten")
    }

    /// The ways in of all of them.
    pub(crate) fn people(&self) -> impl Iterator<Item = Way> {
        self.people
            .iter()
            .map(|one| one.grant.as_ref().expect("they hold one").1.clone())
    }

    /// Ends the process and starts another on what it had.
    pub(crate) async fn restart(&mut self) {
        rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.server.0),
            rustix::process::Signal::TERM,
        )
        .unwrap();
        let _ = self.server.0.wait();
        self.server = serve(&self.program, &self.folder).await;
    }

    /// Everybody who holds nothing asks, and nobody has to agree.
    pub(crate) async fn grant_anew(&mut self) {
        let (gateway, ca) = (self.gateway, self.ca());
        let asking = self
            .people
            .iter_mut()
            .filter(|one| one.grant.is_none())
            .map(|one| {
                let ca = ca.clone();
                async move { one.grant = Some(granted(one, gateway, ca).await) }
            });
        join_all(asking).await;
    }

    /// Takes everybody's access away, all at once; they hold nothing that is good for anything from then on.
    pub(crate) async fn revoke_all(&self) {
        let revoke = Revoke {
            reason: Some("the benchmark".to_owned()),
        };
        let grants = self
            .people
            .iter()
            .map(|one| one.grant.as_ref().expect("they hold one").0);
        for answer in join_all(grants.map(|grant| self.admin.revoke(grant, &revoke))).await {
            answer.unwrap();
        }
    }

    /// Waits until it was seen at the target that nobody holds anything any more.
    pub(crate) async fn until_ended(&mut self) {
        for person in &mut self.people {
            let (grant, _) = person.grant.take().expect("they held one");
            until(&self.admin, grant, GrantState::Ended).await;
        }
    }
}

/// A port that nobody listens on just now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Makes an identity of age's; whom to seal for.
fn age_key(file: &Path) -> String {
    let made = Command::new("age-keygen").arg("-o").arg(file).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let identity = std::fs::read_to_string(file).unwrap();
    let public = identity
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "));
    public.unwrap().to_owned()
}

/// As docs/operations.md and docs/gateway.md say.
fn config(secret: &str, listen: u16, (gateway, ssh): (u16, u16), recipient: &str) -> String {
    format!(
        "listen: 127.0.0.1:{listen}
state_dir: data
store: {{sqlite: data/bench.sqlite}}
signing_key: {{file: secrets/log-key, state: data/log-key.signed}}
sealing_key: {{file: secrets/sealing-key}}
secrets:
  pg-main-admin: {{file: secrets/pg-main-admin, {secret}}}
gateway:
  name: bench
  postgres:
    listen: 127.0.0.1:{gateway}
    address: localhost:{gateway}
    tls: {{certificate: gateway.pem, key: gateway-key.pem}}
    ca: ca.pem
  ssh: {{listen: \"127.0.0.1:{ssh}\"}}
  recordings: {{folder: data/recordings, recipients: [{recipient}]}}
"
    )
}

/// A hundred sessions under one grant; nobody has to agree. What is recorded is the default: statements without values.
fn policy(target: u16, host: &str) -> String {
    format!(
        "version: 1
defaults: {{duration: 4h, max: 8h, pending: 2h, settle: 0s, reason: required}}
people:
  engineers: {{group: engineering}}
connectors:
  - name: pg-main
    kind: postgres
    config: {{host: 127.0.0.1, port: {target}, admin: {{user: daypass, password: {{secret: pg-main-admin}}}}}}
  - {{name: fleet, kind: ssh, config: {{certificate: 5m}}}}
resources:
{host}  - name: bench
    kind: postgres
    connector: pg-main
    owner: engineers
    labels: {{env: bench}}
    access: gateway
    config: {{database: bench}}
    roles:
      read: {{member_of: [app_reader], connection_limit: 200}}
rules:
  - {{name: bench-read, allow: engineers, to: {{env: bench}}, roles: [read, shell], approval: none, max: 8h}}
"
    )
}

/// Starts the server; it takes connections when this returns.
async fn serve(program: &Path, folder: &Folder) -> Server {
    let file = folder.file("log");
    let log = std::fs::File::create(&file).unwrap();
    let told = || std::fs::read_to_string(&file).unwrap();
    let mut command = Command::new(program);
    command
        .args(["server", "--config"])
        .arg(folder.file("server.yaml"));
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    let mut server = Server(command.spawn().unwrap());
    let ready = async {
        while !told().contains("Daypass answers on ") {
            let ended = server.0.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {}", told());
            edge::sleep(PAUSE).await;
        }
    };
    edge::within(PATIENCE, ready).await.expect("it starts");
    server
}

async fn logged_in(url: &str, login: &str, password: &str) -> Client {
    let anonymous = Connection {
        server: url.to_owned(),
        ..Connection::default()
    };
    let login = Login {
        login: login.to_owned(),
        password: Secret::new(password),
        profile: None,
    };
    let session = Client::new(&anonymous).unwrap().login(&login).await.unwrap();
    let known = Connection {
        token: Some(session.token.into_inner()),
        ..anonymous
    };
    Client::new(&known).unwrap()
}

/// Makes an account, and logs it in.
async fn person(admin: &Client, url: &str, login: String) -> Person {
    let password = format!("{login} likes quiet rivers");
    let new = NewPerson {
        login: login.parse().unwrap(),
        display: None,
        kind: Kind::Person,
        role: SystemRole::Member,
        groups: ["engineering".parse().unwrap()].into(),
        manager: None,
        owner: None,
        mail: None,
        password: Some(Secret::new(password.clone())),
    };
    admin.add_person(&new).await.unwrap();
    Person {
        api: logged_in(url, &login, &password).await,
        login,
        grant: None,
    }
}

/// Asks for access, waits until it is there, and gets a credential for the gateway.
async fn granted(person: &Person, gateway: u16, ca: PathBuf) -> (GrantId, Way) {
    let ask = NewRequest {
        items: ["bench/read".parse::<daypass_core::name::Item>().unwrap().into()].into(),
        environments: Default::default(),
        duration: None,
        start: None,
        reason: Some("the benchmark".to_owned()),
        ticket: None,
    };
    let grant = person.api.add_request(&ask).await.unwrap().grant;
    let grant = grant.expect("nobody has to agree");
    until(&person.api, grant, GrantState::Active).await;
    let credential = person
        .api
        .credentials(grant, &AskCredential::default())
        .await
        .unwrap();
    assert_eq!(credential.fields["user"], person.login);
    let way = Way {
        name: "Daypass",
        port: gateway,
        user: credential.fields["user"].clone(),
        password: credential.secret.expose().to_owned(),
        database: credential.fields["dbname"].clone(),
        ca,
    };
    (grant, way)
}

pub(crate) async fn until(api: &Client, grant: GrantId, state: GrantState) {
    let there = async {
        while api.grant(&grant.to_string()).await.unwrap().state != state {
            edge::sleep(PAUSE).await;
        }
    };
    edge::within(PATIENCE, there)
        .await
        .unwrap_or_else(|_| panic!("the grant never was {state:?}"));
}
