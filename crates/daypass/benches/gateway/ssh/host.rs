//! A host with a real sshd, and everybody's key: to it directly, and to the gateway.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_gateway::ssh::key::{PrivateKey, from_line};
use daypass_testbed::Sshd;
use rustix::process::Pid;
use tempfile::TempDir;
use tokio::process::Command;

use super::processes;

/// What sshd lets in at once: a thousand sessions, most of them beginning within a second.
const LINES: &str = "MaxStartups 2000\nMaxSessions 100\nLogLevel ERROR\nAuthorizedKeysFile ";

/// Its name in the policy.
pub(crate) const NAME: &str = "web";
/// The account by which it fetches its files.
pub(crate) const ACCOUNT: &str = "host-web";

/// See the module.
pub(crate) struct Host {
    sshd: Sshd,
    dir: TempDir,
}

/// How OpenSSH's client gets there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Direct,
    Gateway,
    /// `ssh -J`, by the same sshd.
    Jump,
}

fn run(command: &mut std::process::Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

impl Host {
    /// Starts it; so many people have a key, which opens it directly too.
    pub(crate) fn start(people: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authorized = dir.path().join("authorized");
        let mut all = String::new();
        for number in 0..people {
            let key = dir.path().join(format!("key{number}"));
            let mut keygen = std::process::Command::new("ssh-keygen");
            run(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key));
            all += &std::fs::read_to_string(key.with_extension("pub")).unwrap();
        }
        std::fs::write(&authorized, all).unwrap();
        let lines = format!(
            "{LINES}{}\nDisableForwarding no\nAllowTcpForwarding yes",
            authorized.display()
        );
        let sshd = Sshd::start_with(&std::env::temp_dir(), &lines).unwrap();
        Self { sshd, dir }
    }

    /// Its lines of the policy.
    pub(crate) fn policy(&self) -> String {
        format!(
            "  - name: {NAME}
    kind: ssh
    connector: fleet
    owner: engineers
    labels: {{env: bench}}
    access: gateway
    config: {{host: 127.0.0.1, account: {ACCOUNT}, port: {}, host_keys: [\"{}\"]}}
    roles:
      shell: {{principals: [{}]}}
",
            self.sshd.port(),
            self.sshd.host_key().unwrap(),
            self.sshd.user()
        )
    }

    /// Where `ssh-host sync` writes.
    pub(crate) fn folder(&self) -> &Path {
        self.sshd.folder()
    }

    pub(crate) fn port(&self) -> u16 {
        self.sshd.port()
    }

    pub(crate) fn user(&self) -> &str {
        self.sshd.user()
    }

    /// The processes of its sessions.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        processes::children(self.sshd.id())
    }

    /// What they hold, in KiB.
    pub(crate) fn held(&self) -> f64 {
        processes::held(&processes::below(self.sshd.id()), "sshd")
    }

    /// Its own key, in SSH's encoding.
    pub(crate) fn host_key(&self) -> Vec<u8> {
        from_line(&self.sshd.host_key().unwrap()).unwrap()
    }

    /// The file of somebody's private key.
    pub(crate) fn key_file(&self, number: usize) -> PathBuf {
        self.dir.path().join(format!("key{number}"))
    }

    /// Somebody's public key, as one line.
    pub(crate) fn public(&self, number: usize) -> String {
        let text = std::fs::read_to_string(self.key_file(number).with_extension("pub")).unwrap();
        text.trim().to_owned()
    }

    /// Somebody's private key, out of OpenSSH's file: behind its head is the one place where the public one stands right behind it.
    pub(crate) fn key(&self, number: usize) -> PrivateKey {
        let text = std::fs::read_to_string(self.key_file(number)).unwrap();
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        let bytes = STANDARD.decode(body).unwrap();
        let public = from_line(&self.public(number)).unwrap();
        let public = &public[public.len() - 32..];
        let at = bytes.windows(32).rposition(|window| window == public).unwrap();
        PrivateKey::from_seed(bytes[at - 32..at].try_into().unwrap()).unwrap()
    }

    /// What `ssh-keygen -Y sign` says of a text, with somebody's key.
    pub(crate) fn signed(&self, number: usize, purpose: &str, text: &str) -> String {
        let file = self.dir.path().join(format!("text{number}"));
        std::fs::write(&file, text).unwrap();
        let mut sign = std::process::Command::new("ssh-keygen");
        sign.args(["-q", "-Y", "sign", "-n", purpose, "-f"]);
        run(sign.arg(self.key_file(number)).arg(&file));
        std::fs::read_to_string(file.with_extension("sig")).unwrap()
    }

    /// OpenSSH's client, on its way there. All ways have one cipher, which both sides' processors do in hardware, and one key exchange.
    pub(crate) fn client(&self, by: By, (gateway, key): (u16, &str), number: usize) -> Command {
        let known = self.dir.path().join("known");
        let (own, port) = (self.sshd.host_key().unwrap(), self.sshd.port());
        std::fs::write(&known, format!("host {own}\ngateway {key}\n")).unwrap();
        let config = format!(
            "Host hop\nHostName localhost\nHostKeyAlias host\nHost gateway\nHostKeyAlias gateway\nPort {gateway}\nUser {NAME}/shell\nHost *\nHostName 127.0.0.1\nHostKeyAlias host\nPort {port}\n\
             User {}\nIdentityFile {}\nIdentitiesOnly yes\nIdentityAgent none\nUserKnownHostsFile {}\nGlobalKnownHostsFile none\nStrictHostKeyChecking yes\nUpdateHostKeys no\n\
             Ciphers aes128-gcm@openssh.com\nKexAlgorithms curve25519-sha256\n",
            self.sshd.user(),
            self.key_file(number).display(),
            known.display()
        );
        let file = self.dir.path().join(format!("config{number}"));
        std::fs::write(&file, config).unwrap();
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(file);
        match by {
            By::Direct => ssh.arg("host"),
            By::Gateway => ssh.arg("gateway"),
            // By another name: OpenSSH takes no host for the way to itself.
            By::Jump => ssh.args(["-J", "hop", "host"]),
        };
        ssh.stdin(Stdio::null()).kill_on_drop(true);
        ssh
    }
}
