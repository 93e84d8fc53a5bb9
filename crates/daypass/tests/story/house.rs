//! The house of the story: a server on either store, a policy with two steps from two sets, five people, and a target.
//! Everything is made with the built binary, as an operator and an administrator would.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use daypass_testbed::Postgres;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::Api;
use crate::running::{Running, daypass, ends_with, given};
use crate::target::{ADMIN_PASSWORD, Target};

/// Which store Daypass keeps its own state in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    Sqlite,
    Postgres,
}

/// Makes two tests of one: on SQLite and on PostgreSQL.
macro_rules! on_both_stores {
    ($name:ident) => {
        mod $name {
            #[test]
            fn on_sqlite() {
                super::$name(crate::house::Store::Sqlite);
            }

            #[test]
            fn on_postgresql() {
                super::$name(crate::house::Store::Postgres);
            }
        }
    };
}
pub(crate) use on_both_stores;

/// What a test wants otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) store: Store,
    /// A proxy in front of the target.
    pub(crate) proxied: bool,
    /// How long access may take to become real.
    pub(crate) activation: &'static str,
    /// Lines of `server.yaml`.
    pub(crate) more: &'static str,
    /// The SQLite store on a file system of its own, of so many MiB. Takes a superuser.
    pub(crate) disk: Option<u32>,
}

impl Settings {
    pub(crate) fn on(store: Store) -> Self {
        Self {
            store,
            proxied: false,
            activation: "15m",
            more: "reconcile: {overdue_after: 1s, backoff_max: 2s}",
            disk: None,
        }
    }
}

/// Login, group and role of everybody but the administrator; a manager before whom they manage.
const PEOPLE: [(&str, &[&str]); 4] = [
    ("bo", &["--group", "eng-leads"]),
    ("ana", &["--group", "engineering", "--manager", "bo"]),
    ("cy", &["--group", "security"]),
    ("dee", &["--role", "auditor"]),
];

/// A house.
pub(crate) struct House {
    // In the order in which they must go.
    server: Option<Running>,
    disk: Option<Disk>,
    folder: TempDir,
    port: u16,
    /// What servers that have ended said.
    told: String,
    pub(crate) passwords: BTreeMap<String, String>,
    pub(crate) target: Target,
}

impl House {
    /// Builds it, serves it, and lets everybody in.
    #[track_caller]
    pub(crate) fn open(settings: &Settings) -> Self {
        let mut house = Self::build(settings);
        house.serve();
        house.move_in();
        house
    }

    /// Makes everybody's account and logs them in.
    #[track_caller]
    pub(crate) fn move_in(&mut self) {
        self.log_in("admin");
        for (login, more) in PEOPLE {
            self.add(login, more);
        }
    }

    /// Builds it, without a server that runs.
    #[track_caller]
    pub(crate) fn build(settings: &Settings) -> Self {
        let target = Target::start(settings.proxied);
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut house = Self {
            server: None,
            disk: None,
            folder: tempfile::tempdir().unwrap(),
            port,
            told: String::new(),
            passwords: BTreeMap::new(),
            target,
        };
        for dir in ["data", "secrets", "policy"] {
            std::fs::create_dir(house.file(dir)).unwrap();
        }
        house.disk = settings.disk.map(|size| Disk::mount(&house.file("data"), size));
        house.secret("pg-main-admin", ADMIN_PASSWORD);
        let own = (settings.store == Store::Postgres).then(|| house.own_database());
        let addr = house.target.addr();
        let (store, own) = own.unwrap_or_else(|| ("sqlite: data/story.sqlite".to_owned(), String::new()));
        house.write(
            "server.yaml",
            &format!(
                "listen: 127.0.0.1:{port}\nstate_dir: data\nstore: {{{store}}}\nsecrets:\n{own}  \
                 pg-main-admin: {{file: secrets/pg-main-admin, hosts: [\"{addr}\"], tls: disable}}\n{}\n",
                settings.more
            ),
        );
        house.write("policy/daypass.yaml", &policy(addr.port(), settings.activation));
        let mut init = daypass(&["init", "--only-admin", "--no-input"]);
        let (password, _) = ends_with(init.arg(house.folder.path()), 0);
        house
            .passwords
            .insert("admin".into(), password.trim_end().to_owned());
        house
    }

    /// A role that owns a database of its own and nothing else, as docs/operations.md says.
    fn own_database(&self) -> (String, String) {
        let postgres = Postgres::shared().unwrap();
        let name = postgres.create_database("daypass_store").unwrap();
        let sql = format!(
            "CREATE ROLE {name} LOGIN PASSWORD 'own-store-Xw3'; ALTER DATABASE {name} OWNER TO {name}"
        );
        postgres.psql("postgres", &sql).unwrap();
        self.secret("own-store", "own-store-Xw3");
        let port = postgres.port();
        (
            format!(
                "postgres: {{host: 127.0.0.1, port: {port}, database: {name}, user: {name}, tls: disable, \
                 connections: 8, password: {{secret: own-store}}}}"
            ),
            format!(
                "  own-store: {{file: secrets/own-store, hosts: [\"127.0.0.1:{port}\"], tls: disable}}\n"
            ),
        )
    }

    pub(crate) fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).unwrap();
    }

    pub(crate) fn secret(&self, name: &str, text: &str) {
        let path = self.file("secrets").join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The command that serves it.
    pub(crate) fn server(&self) -> Command {
        let mut command = daypass(&["server", "--config"]);
        command.arg(self.file("server.yaml"));
        command
    }

    /// Serves it, or serves it again.
    #[track_caller]
    pub(crate) fn serve(&mut self) {
        self.serve_by(self.server());
    }

    /// Serves it by another command than the usual one.
    #[track_caller]
    pub(crate) fn serve_by(&mut self, command: Command) {
        assert!(self.server.is_none(), "it is served already");
        let mut running = Running::start(command);
        running.says("Daypass answers on ");
        self.server = Some(running);
    }

    /// SIGKILL: no line of the server's code runs any more.
    #[track_caller]
    pub(crate) fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Ends the server; answers all that the house's servers ever said.
    #[track_caller]
    pub(crate) fn end(&mut self, signal: Signal) -> String {
        let (_, told) = self.server.take().expect("it is served").stop(signal);
        self.told.push_str(&told);
        self.told.clone()
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The process that serves it.
    pub(crate) fn pid(&self) -> u32 {
        self.server.as_ref().expect("it is served").pid()
    }

    /// Makes an account, with a password that is given, and logs it in.
    #[track_caller]
    pub(crate) fn add(&mut self, login: &str, more: &[&str]) {
        let password = format!("{login} likes quiet rivers");
        let mut add = self.as_admin(&["user", "add", login, "--password-stdin"]);
        given(add.args(more), &password, 0);
        self.passwords.insert(login.to_owned(), password);
        self.log_in(login);
    }

    #[track_caller]
    fn log_in(&self, login: &str) {
        let url = self.url();
        let mut command = self.cli(login, &["login", login, "--password-stdin", "--server", &url]);
        given(&mut command, &self.passwords[login], 0);
    }

    /// A command of the administrator's.
    pub(crate) fn as_admin(&self, args: &[&str]) -> Command {
        self.cli("admin", args)
    }

    /// A command of somebody's, whose profile is in a home of their own.
    pub(crate) fn cli(&self, login: &str, args: &[&str]) -> Command {
        let mut command = daypass(args);
        command
            .env("XDG_CONFIG_HOME", self.home(login))
            .env_remove("XDG_RUNTIME_DIR");
        command
    }

    fn home(&self, login: &str) -> PathBuf {
        self.file(format!("home-{login}"))
    }

    /// A minute has passed for somebody's pins: their next command looks at the server's log.
    #[track_caller]
    pub(crate) fn looks_again(&self, login: &str) {
        for entry in std::fs::read_dir(self.home(login).join("daypass/pins"))
            .unwrap()
            .flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.contains("evidence") || !name.ends_with(".json") || name.starts_with('.') {
                continue;
            }
            let pin = std::fs::read_to_string(entry.path()).unwrap();
            let mut pin: Value = serde_json::from_str(&pin).unwrap();
            pin["checked_at"] = "1970-01-01T00:00:00Z".into();
            std::fs::write(entry.path(), pin.to_string()).unwrap();
        }
    }

    /// What somebody's pin of the server's log has.
    #[track_caller]
    pub(crate) fn pin(&self, login: &str) -> Value {
        let there = std::fs::read_dir(self.home(login).join("daypass/pins")).unwrap();
        let names = there.flatten().map(|entry| entry.path());
        let pin = names
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .find(|path| !path.to_string_lossy().contains("evidence"))
            .unwrap();
        serde_json::from_str(&std::fs::read_to_string(pin).unwrap()).unwrap()
    }

    /// Runs a command of somebody's to its end, which must be good, and reads its JSON.
    #[track_caller]
    pub(crate) fn run(&self, login: &str, args: &[&str]) -> Value {
        let (out, _) = ends_with(self.cli(login, args).args(["-o", "json"]), 0);
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// Runs a command of somebody's that must end so; what it said on standard error.
    #[track_caller]
    pub(crate) fn fails(&self, login: &str, args: &[&str], code: i32) -> String {
        let (out, err) = ends_with(&mut self.cli(login, args), code);
        assert_eq!(out, "", "nothing is said on standard output by what failed");
        err
    }

    /// Somebody's session, as their profile has it.
    #[track_caller]
    pub(crate) fn token(&self, login: &str) -> String {
        let profile = std::fs::read_to_string(self.home(login).join("daypass/default.json")).unwrap();
        let profile: Value = serde_json::from_str(&profile).unwrap();
        profile["token"].as_str().unwrap().to_owned()
    }

    /// The raw API, for somebody.
    #[track_caller]
    pub(crate) fn api(&self, login: &str) -> Api {
        Api {
            token: Some(self.token(login)),
            ..self.nobody()
        }
    }

    /// The raw API without a login.
    pub(crate) fn nobody(&self) -> Api {
        Api {
            addr: format!("127.0.0.1:{}", self.port),
            token: None,
            headers: Vec::new(),
        }
    }

    /// Asks for something that nobody has to agree to; the grant.
    #[track_caller]
    pub(crate) fn take(&self, item: &str, length: &str, more: &[&str]) -> String {
        let ask = [&["request", item, "--for", length, "--reason", "PAY-7"], more].concat();
        let request = self.run("ana", &ask);
        request["grant"].as_str().expect("nobody has to agree").to_owned()
    }

    /// What the auditor sees of a grant.
    #[track_caller]
    pub(crate) fn grant(&self, id: &str) -> Value {
        self.api("dee").get(&format!("/api/v1/grants/{id}")).of(200)
    }

    /// Waits until a grant is as it should be, woken by events.
    #[track_caller]
    pub(crate) fn until(&self, id: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut events = self.api("dee").events();
        loop {
            let grant = self.grant(id);
            if holds(&grant) {
                return grant;
            }
            eprintln!(
                "waiting for {what}: {} after {}",
                grant["state"],
                events.next()["name"]
            );
        }
    }

    /// Waits until a grant is in this state.
    #[track_caller]
    pub(crate) fn until_state(&self, id: &str, state: &str) -> Value {
        self.until(id, state, |grant| grant["state"] == state)
    }

    /// Fresh credentials of a grant of ana's.
    #[track_caller]
    pub(crate) fn credentials(&self, grant: &str) -> Value {
        let path = format!("/api/v1/grants/{grant}/credentials");
        self.api("ana").post(&path, &json!({})).of(200)
    }

    /// The trail of something, as the auditor's command gives it.
    #[track_caller]
    pub(crate) fn audit(&self, more: &[&str]) -> Vec<Value> {
        let args = [&["audit", "ls", "--limit", "100000"], more].concat();
        self.run("dee", &args).as_array().unwrap().clone()
    }
}

/// A small file system in memory.
struct Disk(PathBuf);

impl Disk {
    #[track_caller]
    fn mount(at: &Path, size: u32) -> Self {
        let size = format!("size={size}m,mode=700");
        let mut mount = Command::new("mount");
        ends_with(mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at), 0);
        Self(at.to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a server that is being killed may still have it open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Checks that a grant has ended, and that this was seen at the target.
#[track_caller]
pub(crate) fn ended_as_seen(grant: &Value) {
    assert_eq!(grant["state"], "ended", "{grant}");
    for part in grant["entitlements"].as_array().unwrap() {
        assert_eq!(part["evidence"]["proof"], "target_read", "{grant}");
        assert_eq!(part["observed"], "absent", "{grant}");
        assert_eq!(
            part["evidence"].get("residue"),
            None,
            "nothing is left behind: {grant}"
        );
    }
}

/// The names of events, in order.
pub(crate) fn names(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["name"].as_str().unwrap())
        .collect()
}

/// The policy of every house. `ghost` is a role that its provider refuses.
fn policy(port: u16, activation: &str) -> String {
    format!(
        "version: 1
defaults: {{duration: 1h, max: 4h, pending: 2h, settle: 0s, reason: required, activation: {activation}}}
people:
  engineers: {{group: engineering}}
  leads: {{group: eng-leads}}
  security: {{group: security}}
connectors:
  - name: pg-main
    kind: postgres
    config: {{host: 127.0.0.1, port: {port}, admin: {{user: daypass, password: {{secret: pg-main-admin}}}}}}
resources:
  - name: orders-prod
    kind: postgres
    connector: pg-main
    owner: leads
    labels: {{env: production}}
    config: {{database: orders}}
    roles:
      read: {{member_of: [app_reader]}}
      write: {{member_of: [app_writer]}}
      ghost: {{member_of: [nobody_made_this]}}
rules:
  - name: prod-write
    allow: engineers
    to: {{env: production}}
    roles: [write]
    approval:
      - {{from: leads, within: 15m, else: deny}}
      - {{from: security, within: 30m, else: deny}}
    max: 2h
  - {{name: prod-read, allow: engineers, to: {{env: production}}, roles: [read, ghost], approval: none, max: 2h}}
tests:
  - {{as: ana, in: [engineering], ask: orders-prod/write, for: 5s, expect: {{rule: prod-write, steps: [leads, security]}}}}
"
    )
}
