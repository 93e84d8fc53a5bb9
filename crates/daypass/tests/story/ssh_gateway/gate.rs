//! The house of these tests: a gateway for SSH, and a real sshd that is reached through it only.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use daypass_testbed::Sshd;

use crate::house::{House, Settings, Store};
use crate::running::{ends_with, text};

/// A house with a gateway for SSH, and a host that is reached through it only.
pub(super) struct Gate {
    pub(super) house: House,
    pub(super) sshd: Sshd,
    pub(super) port: u16,
    /// Of the host's account.
    token: String,
}

/// Why the host let somebody in or did not, where a test fails.
impl Drop for Gate {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("sshd says:\n{}", self.sshd.log());
        }
    }
}

fn policy(sshd: &Sshd) -> String {
    let (user, port, key) = (sshd.user(), sshd.port(), sshd.host_key().unwrap());
    let host = format!("account: host-web-1, host_keys: [\"{key}\"]");
    format!(
        "version: 1
connectors:
  - {{name: fleet, kind: ssh, config: {{certificate: 5m}}}}
resources:
  - name: web-1
    kind: ssh
    connector: fleet
    owner: leads
    access: gateway
    labels: {{env: gated}}
    config: {{host: 127.0.0.1, {host}, port: {port}}}
    roles:
      shell: {{principals: [{user}]}}
      admin: {{principals: [{user}]}}
      files: {{principals: [{user}], allow: [files]}}
      afar: {{principals: [{user}], source_address: [192.0.2.0/24]}}
  - name: pair
    kind: ssh
    connector: fleet
    owner: leads
    access: gateway
    labels: {{env: gated}}
    config: {{hosts: [{{host: 127.0.0.1, {host}}}, {{host: localhost, {host}}}], port: {port}}}
    roles: {{shell: {{principals: [{user}, nobody-here]}}}}
rules:
  - {{name: gated, allow: engineers, to: {{env: gated}}, roles: [shell, files, afar], approval: none, max: 2h}}
  - {{name: gated-admin, allow: engineers, to: {{env: gated}}, roles: [admin], approval: [{{from: leads, within: 15m, else: deny}}], max: 2h}}
"
    )
}

impl Gate {
    pub(super) fn open() -> Self {
        let sshd = Sshd::start().unwrap();
        let keys = tempfile::tempdir().unwrap();
        let file = keys.path().join("identity");
        ends_with(Command::new("age-keygen").arg("-o").arg(&file), 0);
        let identity = text(&file);
        let public = identity
            .lines()
            .find_map(|line| line.strip_prefix("# public key: "))
            .unwrap();
        let more = format!(
            "reconcile: {{overdue_after: 1s, backoff_max: 2s}}\n\
             gateway:\n  name: house\n  ssh: {{listen: \"127.0.0.1:0\", passwords: true}}\n  \
             recordings: {{folder: data/recordings, recipients: [{public}], identity: secrets/identity}}"
        );
        let mut house = House::build(&Settings {
            more: Box::leak(more.into_boxed_str()),
            ..Settings::on(Store::Sqlite)
        });
        house.secret("identity", &identity);
        house.secret("sealing-key", &format!("{}=\n", "A".repeat(43)));
        let config = text(&house.file("server.yaml"));
        house.write(
            "server.yaml",
            &format!("{config}sealing_key: {{file: secrets/sealing-key}}\n"),
        );
        house.write("policy/ssh.yaml", &policy(&sshd));
        house.serve();
        house.move_in();
        let account = ["service", "add", "host-web-1", "--owner", "admin"];
        ends_with(&mut house.as_admin(&account), 0);
        let token = ["service", "token", "host-web-1", "sync"];
        let token = ends_with(&mut house.as_admin(&token), 0).0;
        let mut gate = Self {
            house,
            sshd,
            port: 0,
            token: token.trim().to_owned(),
        };
        gate.sync();
        let told = gate.house.run("ana", &["session", "credential"]);
        let known = format!(
            "[127.0.0.1]:{} {}\n",
            told["ssh"]["port"],
            told["ssh"]["host_key"].as_str().unwrap()
        );
        gate.house.write("known_hosts", &known);
        gate.port = told["ssh"]["port"].as_u64().unwrap().try_into().unwrap();
        gate
    }

    /// What the host's own timer runs. It stands in for both hosts of `pair`, with the principals of either resource.
    pub(super) fn sync(&self) {
        let sync = ["ssh-host", "sync", "fleet", "127.0.0.1", "--once", "--dir"];
        let mut sync = self.house.cli("nobody", &sync);
        sync.arg(self.sshd.folder())
            .arg("--sshd-config")
            .arg(self.sshd.folder().join("sshd_config"))
            .env("DAYPASS_SERVER", self.house.url())
            .env("DAYPASS_TOKEN", &self.token);
        ends_with(&mut sync, 0);
    }

    /// A key of somebody's own.
    pub(super) fn key(&self, name: &str) -> PathBuf {
        let file = self.house.file(name);
        let mut keygen = Command::new("ssh-keygen");
        ends_with(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&file), 0);
        file
    }

    /// A key of somebody's own that opens the gateway as them.
    pub(super) fn own_key(&self, login: &str) -> PathBuf {
        let file = self.key(&format!("key-{login}"));
        let public = format!("{}.pub", file.display());
        self.house.run(login, &["ssh-key", "add", &public]);
        file
    }

    /// Plain ssh to the gateway, as this, with this key.
    pub(super) fn ssh(&self, key: &PathBuf, target: &str) -> Command {
        let known = format!("UserKnownHostsFile={}", self.house.file("known_hosts").display());
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", &known, "-o", "StrictHostKeyChecking=yes"])
            .args(["-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-i"])
            .arg(key)
            .args(["-p", &self.port.to_string(), "-l", target, "127.0.0.1"])
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null());
        ssh
    }

    #[track_caller]
    pub(super) fn says(&self, key: &PathBuf, target: &str, command: &str) -> String {
        ends_with(self.ssh(key, target).arg(command), 0).0
    }

    /// What somebody hears who does not come in.
    #[track_caller]
    pub(super) fn turned_away(&self, key: &PathBuf, target: &str) -> String {
        ends_with(self.ssh(key, target).arg("true"), 255).1
    }

    /// A session that stays; it has said so.
    pub(super) fn held(&self, key: &PathBuf, target: &str) -> Child {
        let mut held = self.ssh(key, target);
        let mut held = held
            .arg("echo here; sleep 1000")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0; 5];
        std::io::Read::read_exact(held.stdout.as_mut().unwrap(), &mut said).unwrap();
        assert_eq!(&said, b"here\n");
        held
    }

    /// The one request that waits.
    pub(super) fn waiting(&self) -> String {
        let mut events = self.house.api("bo").events();
        loop {
            let inbox = self.house.run("bo", &["inbox"]);
            if let Some(request) = inbox.as_array().unwrap().first() {
                return request["id"].as_str().unwrap().to_owned();
            }
            events.next();
        }
    }
}

pub(super) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
