//! A host for the demo: an sshd of its own on 127.0.0.1, which runs as whoever runs the demo and lets in certificates of the
//! demo's authority, and nothing else. The demo keeps it in step as `daypass ssh-host sync` does, so that what the host
//! acknowledged is the evidence of an end.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daypass_api::client::{Client, Connection};
use daypass_api::login::NewToken;
use daypass_api::person::{Kind, NewPerson, SystemRole};
use daypass_api::route::Scope;
use daypass_core::name::Name;
use daypass_core::time::Span;
use daypass_policy::Source;
use daypass_server::edge;
use daypass_testbed::{Sshd, sshd};
use tokio::task::JoinHandle;

use super::narrator::Narrator;
use super::people::{People, ROOT, client, name};
use super::place::{self, DATA, PROGRAM, quoted};
use crate::failure::Failure;

/// As the policy names it.
pub(super) const ADDRESS: &str = "127.0.0.1";
/// The connector of that policy.
const CONNECTOR: &str = "hosts";
/// The account that speaks for the host.
const ACCOUNT: &str = "host-web-1";
/// How often the host asks.
const EVERY: Duration = Duration::from_secs(1);

/// The sshd, and what keeps it in step.
pub(super) struct Host {
    sshd: Sshd,
    /// A folder with an `ssh` that knows the host.
    tools: PathBuf,
    sync: Option<JoinHandle<()>>,
}

impl Host {
    /// Starts it; `None`, and a line that says what is missing, where this machine cannot be one.
    pub(super) async fn start(narrator: Narrator, folder: &Path) -> Result<Option<Self>, Failure> {
        let without =
            |why: &str| narrator.line(&format!("  {why}; so there is no host to log in to by ssh."));
        let Some(ssh) = on_path("ssh").filter(|_| on_path("ssh-keygen").is_some()) else {
            without("OpenSSH's client is not installed here (apt-get install openssh-client)");
            return Ok(None);
        };
        if sshd::installed().is_err() {
            without(
                "OpenSSH's server is not installed here (apt-get install openssh-server; it need not run)",
            );
            return Ok(None);
        }
        let slow = narrator.begin("starting an sshd of its own");
        let own = folder.to_owned();
        // It waits for programs: off the async threads.
        let started = tokio::task::spawn_blocking(move || Sshd::start_in(&own)).await;
        let started = started.map_err(|error| Failure::error(error.to_string()))?;
        let sshd = match started {
            Ok(sshd) => sshd,
            Err(error) => {
                slow.failed();
                without(&on_one_line(&error.to_string()));
                return Ok(None);
            }
        };
        slow.done(&format!("on {ADDRESS}:{}, as {}", sshd.port(), sshd.user()));
        if !may_be_principal(sshd.user()) {
            without("a certificate can name users of small letters, digits, _ and - only");
            return Ok(None);
        }
        let tools = tools(folder, &ssh, &sshd)?;
        Ok(Some(Self {
            sshd,
            tools,
            sync: None,
        }))
    }

    /// What the policy says about it.
    pub(super) fn policy(&self) -> Source {
        let text = include_str!("hosts.yaml").replace("@PORT@", &self.sshd.port().to_string());
        Source {
            name: "hosts.yaml".to_owned(),
            text: text.replace("@USER@", self.sshd.user()),
        }
    }

    /// What the policy says about the way to it through the gateway, where its own key is what it is known by.
    pub(super) fn gated(&self) -> Result<String, Failure> {
        let key = self
            .sshd
            .host_key()
            .map_err(|error| Failure::error(error.to_string()))?;
        let text = include_str!("web-2.yaml").replace("@PORT@", &self.sshd.port().to_string());
        Ok(text
            .replace("@USER@", self.sshd.user())
            .replace("@KEY@", key.trim()))
    }

    /// Makes the host's account and its token, and begins to keep it in step.
    pub(super) async fn enrol(&mut self, people: &People, server: &str) -> Result<(), Failure> {
        let root = people.client(ROOT)?;
        let new = NewPerson {
            login: name(ACCOUNT)?,
            display: Some("The host web-1".to_owned()),
            kind: Kind::Service,
            role: SystemRole::Member,
            groups: BTreeSet::new(),
            manager: None,
            owner: Some(name(ROOT)?),
            mail: None,
            password: None,
        };
        root.add_person(&new).await.map_err(client)?;
        let ask = NewToken {
            name: "sync".to_owned(),
            scopes: [Scope::Read, Scope::Request].into(),
            resources: BTreeSet::new(),
            expires_in: Span::hours(24),
            login: Some(name(ACCOUNT)?),
        };
        let token = root.add_token(&ask).await.map_err(client)?.secret.into_inner();
        let connection = Connection {
            server: server.to_owned(),
            token: Some(token),
            ..Connection::default()
        };
        let speaks = Client::new(&connection).map_err(client)?;
        let (connector, folder) = (name(CONNECTOR)?, self.sshd.folder().to_owned());
        let first = turn(&speaks, &connector, &folder, None)
            .await
            .map_err(Failure::error)?;
        self.sync = Some(tokio::spawn(keep(speaks, connector, folder, first)));
        Ok(())
    }

    /// The user that it logs in.
    pub(super) fn user(&self) -> &str {
        self.sshd.user()
    }

    /// Its port on [`ADDRESS`].
    pub(super) const fn port(&self) -> u16 {
        self.sshd.port()
    }

    /// Where an `ssh` is that knows the host.
    pub(super) fn tools(&self) -> &Path {
        &self.tools
    }

    /// What it logged so far.
    pub(super) fn log(&self) -> String {
        self.sshd.log()
    }

    /// No more is asked of the server.
    pub(super) async fn leave(&mut self) {
        if let Some(sync) = self.sync.take() {
            sync.abort();
            let _aborted = sync.await;
        }
    }

    /// Stops it, with the sessions that are open.
    pub(super) async fn stop(self) {
        // It waits for the process's end; a thread may do that.
        let _ended = tokio::task::spawn_blocking(move || drop(self.sshd)).await;
    }
}

/// The sshd that is asked what it reads is the one that runs.
async fn turn(speaks: &Client, connector: &Name, folder: &Path, had: Option<u64>) -> Result<u64, String> {
    let program = sshd::installed().map_err(|error| error.to_string())?;
    let path = program.parent().unwrap_or(Path::new("/")).as_os_str();
    let config = folder.join("sshd_config");
    daypass_cli::sync_host(speaks, (connector, ADDRESS), folder, (path, &config), had).await
}

/// As `daypass ssh-host sync` without `--once`: a server that does not answer changes nothing.
async fn keep(speaks: Client, connector: Name, folder: PathBuf, first: u64) {
    let mut had = Some(first);
    loop {
        edge::sleep(EVERY).await;
        had = turn(&speaks, &connector, &folder, had).await.ok();
    }
}

/// An `ssh` that knows the host's key, and neither reads nor writes anything of `~/.ssh`.
fn tools(folder: &Path, ssh: &Path, sshd: &Sshd) -> Result<PathBuf, Failure> {
    let key = sshd
        .host_key()
        .map_err(|error| Failure::error(error.to_string()))?;
    let known = format!("[{ADDRESS}]:{} {key}\n", sshd.port());
    let known = place::file(folder, "known_hosts", &known, DATA)?;
    let tools = place::folder(folder, "tools")?;
    // In quotes of ssh's own, in which `%` begins a token. In a file, for what a command of ours says goes before it.
    let config = format!(
        "UserKnownHostsFile \"{}\"\nGlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\nLogLevel ERROR\n",
        known.display().to_string().replace('%', "%%")
    );
    let config = place::file(folder, "ssh_config", &config, DATA)?;
    let text = format!(
        "#!/bin/sh\n# The demo's ssh: it knows the demo's host, and nothing of ~/.ssh.\nexec {} -F {} \"$@\"\n",
        quoted(ssh),
        quoted(&config),
    );
    place::file(&tools, "ssh", &text, PROGRAM)?;
    Ok(tools)
}

/// As the kind `ssh` takes principals.
fn may_be_principal(user: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    user.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && user.len() <= 32
        && user.chars().all(fits)
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// What a program said, short enough for a line.
fn on_one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").chars().take(200).collect()
}
