//! An sshd for all tests, a gateway of SSH for each, and OpenSSH's own clients.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use daypass_gateway::control::{Control, OnFailure, Recording, Term};
use daypass_gateway::postgres::target::{Guardrails, Place, TargetTls};
use daypass_gateway::ssh::Ssh;
use daypass_gateway::ssh::key::{Known, PrivateKey, from_line};
use daypass_gateway::ssh::target::{Allowed, SshTarget};
use daypass_gateway::{Gateway, Limits};
use daypass_testbed::Sshd;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::control::{Host, Judge, Rules, SECRET};
use crate::world::finish;

/// Of the gateway's host key.
const SEED: [u8; 32] = [7; 32];

pub(crate) const PRINCIPAL: &str = "daypass@web";

/// What all tests share: a host, its authority, and a client's key.
struct Base {
    sshd: Sshd,
    dir: tempfile::TempDir,
}

fn keygen(args: &[&str], dir: &tempfile::TempDir) {
    let mut keygen = std::process::Command::new("ssh-keygen");
    let made = keygen.args(args).current_dir(dir.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let lines = "DisableForwarding no\nAllowTcpForwarding yes\nAllowAgentForwarding yes\nMaxStartups 500\nMaxSessions 100";
        let sshd = Sshd::start_with(&std::env::temp_dir(), lines).unwrap();
        for name in ["ca", "id", "other"] {
            keygen(&["-q", "-t", "ed25519", "-N", "", "-f", name], &dir);
        }
        fs::copy(dir.path().join("ca.pub"), sshd.folder().join("ca.pub")).unwrap();
        let principals = sshd.folder().join("principals").join(sshd.user());
        fs::write(principals, format!("{PRINCIPAL}\n")).unwrap();
        Base { sshd, dir }
    })
}

/// Everything but listening and the agent.
pub(crate) fn usual() -> Allowed {
    Allowed {
        shell: true,
        exec: true,
        files: true,
        ..Allowed::default()
    }
}

fn rules() -> Rules {
    let base = base();
    let read = |name: &str| from_line(&fs::read_to_string(base.dir.path().join(name)).unwrap()).unwrap();
    let target = SshTarget {
        host: "127.0.0.1".to_owned(),
        port: base.sshd.port(),
        user: base.sshd.user().to_owned(),
        certificate: String::new(),
        known: Known {
            name: "web".to_owned(),
            keys: vec![from_line(&base.sshd.host_key().unwrap()).unwrap()],
            authorities: Vec::new(),
        },
        allowed: usual(),
    };
    Rules {
        place: Place {
            host: String::new(),
            port: 0,
            tls: TargetTls::Disabled,
        },
        user: String::new(),
        password: None,
        database: String::new(),
        guardrails: Guardrails::default(),
        recording: Recording {
            values: false,
            on_failure: OnFailure::End,
            begun: true,
            longest_line: 1 << 20,
        },
        term: Term {
            renew_within: Duration::from_secs(5),
            ends_in: Duration::from_secs(3600),
        },
        refusal: None,
        ask: None,
        decision: None,
        cut_off: false,
        sink_fails: false,
        sink_refuses: false,
        sink_waits: false,
        storage_lags: false,
        deadline: None,
        ends_unheard: None,
        one_lease: false,
        hold_open: false,
        host: Some(Host {
            target,
            authority: base.dir.path().join("ca"),
            principal: PRINCIPAL.to_owned(),
            key: read("id.pub"),
            shown: PrivateKey::from_seed(&SEED).unwrap().end_point(),
            other: None,
        }),
    }
}

/// A gateway, and what a client of it needs.
pub(crate) struct World {
    pub(crate) judge: Arc<Judge>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) port: u16,
    /// The gateway's key.
    pub(crate) host_key: Vec<u8>,
    pub(crate) dir: tempfile::TempDir,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for World {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::ruled(|_| {}).await
    }

    /// Where a role opens this.
    pub(crate) async fn allowing(allow: impl FnOnce(&mut Allowed)) -> Self {
        Self::ruled(|rules| allow(&mut rules.host.as_mut().unwrap().target.allowed)).await
    }

    pub(crate) async fn ruled(rule: impl FnOnce(&mut Rules)) -> Self {
        Self::limited(Limits::default(), rule).await
    }

    pub(crate) async fn limited(limits: Limits, rule: impl FnOnce(&mut Rules)) -> Self {
        let mut all = tokio::task::spawn_blocking(rules).await.unwrap();
        rule(&mut all);
        let judge = Judge::new(all);
        let control: Arc<dyn Control> = judge.clone();
        let gateway = Gateway::new(control, limits);
        let key = PrivateKey::from_seed(&SEED).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let dir = tempfile::tempdir().unwrap();
        let known = format!("[127.0.0.1]:{port} {}\n", key.line());
        fs::write(dir.path().join("known_hosts"), known).unwrap();
        let config = format!(
            "Host *\nHostName 127.0.0.1\nPort {port}\nIdentityFile {}\nIdentitiesOnly yes\nIdentityAgent none\n\
             UserKnownHostsFile {}\nGlobalKnownHostsFile none\nStrictHostKeyChecking yes\nUpdateHostKeys no\n",
            base().dir.path().join("id").display(),
            dir.path().join("known_hosts").display()
        );
        fs::write(dir.path().join("config"), config).unwrap();
        let host_key = key.public();
        let (running, listening) = (Arc::clone(&gateway), Arc::clone(&gateway));
        let tasks = vec![
            tokio::spawn(async move { running.run().await }),
            tokio::spawn(listening.listen(listener, Arc::new(Ssh::new(key).with_passwords()))),
        ];
        Self {
            judge,
            gateway,
            port,
            host_key,
            dir,
            tasks,
        }
    }

    /// The file of a private key: `id` of who may come in, `other` of nobody.
    pub(crate) fn key_file(name: &str) -> PathBuf {
        base().dir.path().join(name)
    }

    /// The host's port, its key, and the file of the authority that it believes.
    pub(crate) fn host() -> (u16, String, PathBuf) {
        let base = base();
        (
            base.sshd.port(),
            base.sshd.host_key().unwrap(),
            base.dir.path().join("ca"),
        )
    }

    /// Somebody at a port of this machine who says back what they hear.
    pub(crate) async fn echo() -> (u16, JoinHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answering = tokio::spawn(async move {
            while let Ok((mut one, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = one.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        (port, answering)
    }

    /// Whether the host has written this into its log, where it runs as root.
    pub(crate) fn host_says(words: &str) -> bool {
        base().sshd.user() == "root" && base().sshd.log().contains(words)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A key of somebody: `id` of who may come in, `other` of nobody.
    pub(crate) fn seed(name: &str) -> [u8; 32] {
        // Behind the head of OpenSSH's format the private key is the one place where the public one stands twice.
        let text = fs::read_to_string(base().dir.path().join(name)).unwrap();
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap();
        let public =
            from_line(&fs::read_to_string(base().dir.path().join(format!("{name}.pub"))).unwrap()).unwrap();
        let public = &public[public.len() - 32..];
        let at = bytes.windows(32).rposition(|window| window == public).unwrap();
        bytes[at - 32..at].try_into().unwrap()
    }

    /// One of OpenSSH's programs, without what this machine would tell it.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .env("TERM", "xterm")
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .arg("-F")
            .arg(self.path("config"));
        command
    }

    pub(crate) fn ssh(&self, args: &[&str]) -> Command {
        let mut command = self.program("ssh");
        command.args(["-l", "web/ops", "gateway"]);
        // Options stand before the host, and OpenSSH takes them behind it too.
        command.args(args);
        command
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Output {
        finish(self.ssh(args)).await
    }

    /// With something on standard input.
    pub(crate) async fn with_input(mut command: Command, input: &[u8]) -> Output {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writing = async move {
            let _ = stdin.write_all(input).await;
        };
        let both = async { tokio::join!(writing, child.wait_with_output()).1 };
        crate::world::soon(both).await.unwrap()
    }

    /// For a client that is asked for a password.
    pub(crate) fn asks(&self, command: &mut Command) {
        let script = self.path("askpass");
        fs::write(&script, format!("#!/bin/sh\necho {SECRET}\n")).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
        command
            .env("SSH_ASKPASS", script)
            .env("SSH_ASKPASS_REQUIRE", "force");
    }
}
