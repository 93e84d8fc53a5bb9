//! SSH through the gateway: real OpenSSH in front of it, a real sshd behind it. People come with their own keys, with certificates that
//! open nothing but the gateway, and with passwords; they are recorded, and cut off when their access ends.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use daypass_testbed::Sshd;
use serde_json::{Value, json};

use crate::gateway::{replay, sessions};
use crate::house::{House, Settings, Store};
use crate::running::{ends_with, text};

/// A house with a gateway for SSH, and a host that is reached through it only.
struct Gate {
    house: House,
    sshd: Sshd,
    port: u16,
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
    fn open() -> Self {
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
    fn sync(&self) {
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
    fn key(&self, name: &str) -> PathBuf {
        let file = self.house.file(name);
        let mut keygen = Command::new("ssh-keygen");
        ends_with(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&file), 0);
        file
    }

    /// A key of somebody's own that opens the gateway as them.
    fn own_key(&self, login: &str) -> PathBuf {
        let file = self.key(&format!("key-{login}"));
        let public = format!("{}.pub", file.display());
        self.house.run(login, &["ssh-key", "add", &public]);
        file
    }

    /// Plain ssh to the gateway, as this, with this key.
    fn ssh(&self, key: &PathBuf, target: &str) -> Command {
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
    fn says(&self, key: &PathBuf, target: &str, command: &str) -> String {
        ends_with(self.ssh(key, target).arg(command), 0).0
    }

    /// What somebody hears who does not come in.
    #[track_caller]
    fn turned_away(&self, key: &PathBuf, target: &str) -> String {
        ends_with(self.ssh(key, target).arg("true"), 255).1
    }

    /// A session that stays; it has said so.
    fn held(&self, key: &PathBuf, target: &str) -> Child {
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
    fn waiting(&self) -> String {
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

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn who_comes_with_their_own_key_asks_by_connecting_is_recorded_and_cut() {
    let gate = Gate::open();
    let house = &gate.house;
    let key = gate.own_key("ana");

    // Nobody has to agree to this.
    assert_eq!(gate.says(&key, "web-1/shell", "echo in"), "in\n");

    // Bo has to agree to this; who waits is told whom it waits for.
    let mut waiting = gate.ssh(&key, "web-1/admin");
    let waiting = waiting
        .args(["-tt", "echo shown; exit 3"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let request = gate.waiting();
    house.run("bo", &["approve", &request]);
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(err(&output).contains("Daypass: asking"), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("shown"),
        "{output:?}"
    );

    // All of it stands in the recording.
    let all = sessions(house, &[]);
    let admin = all.iter().find(|one| one["item"]["role"] == "admin");
    let admin = admin.unwrap_or_else(|| panic!("{all:?}"));
    assert_eq!(
        (&admin["holder"], &admin["protocol"]),
        (&json!("ana"), &json!("ssh"))
    );
    let id = admin["id"].as_str().unwrap().to_owned();
    let lines = replay(house, &id);
    let has = |kind: &str, key: &str, text: &str| {
        lines
            .iter()
            .any(|line| line["kind"] == kind && line[key].as_str().is_some_and(|said| said.contains(text)))
    };
    assert!(has("exec", "command", "echo shown; exit 3"), "{lines:?}");
    assert!(has("output", "text", "shown"), "{lines:?}");
    let (told, _) = ends_with(&mut house.cli("dee", &["session", "replay", &id]), 0);
    assert!(
        told.contains("echo shown; exit 3") && told.contains("ended with 3"),
        "{told}"
    );
    house.fails("ana", &["session", "replay", &id], 3);
    let found = house.run("dee", &["session", "replay", &id, "--search", "SHOWN"]);
    assert!(
        found.as_array().unwrap().len() >= 2,
        "the command, and what it showed: {found}"
    );
    let cast = house.file("out.cast");
    let write = ["session", "replay", &id, "--asciicast", cast.to_str().unwrap()];
    ends_with(&mut house.cli("dee", &write), 0);
    let cast = text(&cast);
    assert!(cast.contains("\"version\":3") && cast.contains("shown"), "{cast}");

    // Both roles are held now; which is meant must be said, as must be what there is none of.
    for (target, why) in [
        ("web-1", "several roles"),
        ("web-1/shell+elsewhere", "does not open that user"),
        ("web-1/shell@elsewhere", "has no such host"),
        ("nothing", "daypass ls"),
        ("orders-prod/read", "daypass ls"),
        ("bo:web-1/shell", "denied"),
    ] {
        let told = gate.turned_away(&key, target);
        assert!(told.contains(why), "{target}: {told}");
    }

    // The end of the grant is the end of its sessions.
    let held = gate.held(&key, "web-1/admin");
    let metrics = house.api("dee").get("/metrics").body;
    assert!(
        metrics.contains("daypass_gateway_sessions{protocol=\"ssh\"} 1"),
        "{metrics}"
    );
    let grant = admin["grant"].as_str().unwrap();
    house.run("admin", &["revoke", grant, "--reason", "enough"]);
    let output = held.wait_with_output().unwrap();
    assert!(err(&output).contains("Daypass ended this session"), "{output:?}");
    assert!(err(&output).contains("enough"), "{output:?}");
    gate.sync();
    house.until_state(grant, "ended");
    let told = gate.turned_away(&key, "web-1/admin");
    assert!(told.contains("a moment ago"), "{told}");

    // Locked, what goes on ends, and nobody comes in.
    let held = gate.held(&key, "web-1/shell");
    house.run("admin", &["lock", "ana", "--reason", "laptop stolen"]);
    let output = held.wait_with_output().unwrap();
    assert!(err(&output).contains("Daypass ended this session"), "{output:?}");
    let told = gate.turned_away(&key, "web-1/shell");
    assert!(told.contains("lock"), "{told}");
}

#[test]
fn only_the_key_that_signs_counts_and_only_while_it_is_its_owners() {
    let gate = Gate::open();
    let house = &gate.house;
    let key = gate.own_key("ana");
    assert_eq!(gate.says(&key, "web-1/shell", "echo in"), "in\n");

    // A key that nobody has added.
    let stranger = gate.key("stranger");
    let told = gate.turned_away(&stranger, "web-1/shell");
    assert!(told.contains("denied"), "{told}");
    // Ana's public key, offered by who does not have it: it is not signed with.
    let offered = house.file("offered");
    std::fs::copy(&stranger, &offered).unwrap();
    std::fs::set_permissions(&offered, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::copy(house.file("key-ana.pub"), house.file("offered.pub")).unwrap();
    let told = gate.turned_away(&offered, "web-1/shell");
    assert!(told.contains("denied"), "{told}");
    // A key is one person's, whoever shows its public half.
    let public = format!("{}.pub", key.display());
    let told = house.fails("bo", &["ssh-key", "add", &public], 1);
    assert!(told.contains("somebody else's"), "{told}");
    // What is none is none, and a private key is not sent.
    let told = house.fails("ana", &["ssh-key", "add", key.to_str().unwrap()], 2);
    assert!(told.contains("private key"), "{told}");

    // Somebody else comes as themselves.
    let bo = gate.own_key("bo");
    let told = gate.turned_away(&bo, "web-1/shell");
    assert!(told.contains("no rule lets bo have web-1/shell"), "{told}");

    // In the list like other credentials, and gone once it is taken out.
    let keys = house.run("ana", &["ssh-key", "ls"]);
    let fingerprint = keys[0]["fingerprint"].as_str().unwrap().to_owned();
    let (shown, _) = ends_with(Command::new("ssh-keygen").arg("-lf").arg(&public), 0);
    assert!(shown.contains(&fingerprint), "{shown} {keys}");
    let listed = house.run("ana", &["token", "ls"]);
    let listed = listed.as_array().unwrap();
    assert!(listed.iter().any(|one| one["via"] == "ssh-key"), "{listed:?}");
    ends_with(&mut house.cli("ana", &["ssh-key", "rm", &fingerprint]), 0);
    let told = gate.turned_away(&key, "web-1/shell");
    assert!(told.contains("denied"), "{told}");
    let added = house.audit(&[]);
    let count = |name: &str| added.iter().filter(|event| event["name"] == name).count();
    assert!(count("person.token_issued") >= 2 && count("person.token_revoked") >= 1);
}

#[test]
fn a_certificate_opens_the_gateway_and_no_host() {
    let gate = Gate::open();
    let house = &gate.house;
    let grant = house.take("web-1/shell", "10m", &["--wait"]);
    let (out, told) = ends_with(
        &mut house.cli("ana", &["ssh", "web-1/shell", "--", "echo", "in"]),
        0,
    );
    assert_eq!(out, "in\n", "{told}");

    // At the host it opens nothing, and says why in its log.
    let kept = house.file("home-ana/daypass/ssh/default");
    let certificate = kept.join("web-1=shell-cert.pub");
    let (shown, _) = ends_with(Command::new("ssh-keygen").arg("-Lf").arg(&certificate), 0);
    assert!(
        shown.contains("gateway:") && !shown.contains("permit-"),
        "{shown}"
    );
    let mut direct = Command::new("ssh");
    direct
        .args(["-F", "none"])
        .args(crate::ssh::QUIETLY)
        .arg("-o")
        .arg(format!("CertificateFile={}", certificate.display()))
        .arg("-i")
        .arg(kept.join("id_ed25519"))
        .args([
            "-p",
            &gate.sshd.port().to_string(),
            "-l",
            gate.sshd.user(),
            "127.0.0.1",
        ]);
    ends_with(direct.arg("true"), 255);
    assert!(
        gate.sshd
            .log()
            .contains("does not contain an authorized principal"),
        "{}",
        gate.sshd.log()
    );
    // Nor does it open the gateway to who has not the key, or for anything else.
    let stranger = gate.key("stranger");
    let with = |key: &PathBuf, target: &str| {
        let mut ssh = gate.ssh(key, target);
        ssh.arg("-o")
            .arg(format!("CertificateFile={}", certificate.display()))
            .arg("true");
        ssh
    };
    ends_with(&mut with(&stranger, "web-1/shell"), 255);
    ends_with(&mut with(&kept.join("id_ed25519"), "web-1/shell"), 0);
    let (_, told) = ends_with(&mut with(&kept.join("id_ed25519"), "web-1/files"), 255);
    assert!(told.contains("this certificate is for web-1/shell"), "{told}");
    let (_, told) = ends_with(&mut with(&kept.join("id_ed25519"), "bo:web-1/shell"), 255);
    assert!(told.contains("denied"), "{told}");

    // One that a stranger signed, which says the same, opens nothing.
    let authority = gate.key("authority");
    let principal = shown
        .lines()
        .find_map(|line| line.trim().strip_prefix("gateway:"))
        .unwrap();
    let mut forge = Command::new("ssh-keygen");
    forge.args([
        "-q",
        "-O",
        "clear",
        "-I",
        "x",
        "-n",
        &format!("gateway:{principal}"),
    ]);
    forge.args(["-V", "+5m", "-s"]).arg(&authority);
    ends_with(forge.arg(house.file("stranger.pub")), 0);
    let forged = house.file("stranger-cert.pub");
    let mut ssh = gate.ssh(&stranger, "web-1/shell");
    ssh.arg("-o").arg(format!("CertificateFile={}", forged.display()));
    let (_, told) = ends_with(ssh.arg("true"), 255);
    assert!(told.contains("denied"), "{told}");

    plain_tools_go_through(&gate);

    house.run("admin", &["revoke", &grant, "--reason", "done"]);
    let (_, told) = ends_with(&mut with(&kept.join("id_ed25519"), "web-1/shell"), 255);
    assert!(told.contains("denied") || told.contains("over"), "{told}");
    gate.sync();
    house.until_state(&grant, "ended");
    let events = house.audit(&[]);
    let names: Vec<&Value> = events
        .iter()
        .filter(|event| event["name"] == "grant.credential_issued")
        .collect();
    assert!(
        names.len() >= 3,
        "one for the gateway, one for each session: {names:?}"
    );
}

/// ssh, scp and sftp to the host by its name, by what `ssh-config` wrote.
fn plain_tools_go_through(gate: &Gate) {
    let house = &gate.house;
    let (config, _) = ends_with(&mut house.cli("ana", &["ssh-config", "127.0.0.1"]), 0);
    house.write("ssh_config", &config);
    let config = house.file("ssh_config");
    let to = format!("{}@127.0.0.1", gate.sshd.user());
    let plain = |program: &str| {
        let mut command = Command::new(program);
        command
            .arg("-F")
            .arg(&config)
            .args(["-o", "BatchMode=yes"])
            .env("XDG_CONFIG_HOME", house.file("home-ana"))
            .env("HOME", house.file(""))
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null());
        command
    };
    let before = sessions(house, &[]).len();
    let (out, _) = ends_with(plain("ssh").arg(&to).arg("echo plain"), 0);
    assert_eq!(out, "plain\n");
    house.write("sent", "what was sent");
    let there = house.file("arrived");
    let remote = format!("{to}:{}", there.display());
    ends_with(plain("scp").arg(house.file("sent")).arg(&remote), 0);
    assert_eq!(text(&there), "what was sent");
    let back = house.file("back");
    ends_with(plain("scp").args(["-O", &remote]).arg(&back), 0);
    assert_eq!(text(&back), "what was sent");
    let all = sessions(house, &[]);
    assert_eq!(all.len(), before + 3, "each is a session of the gateway: {all:?}");
    assert!(all.iter().all(|one| one["protocol"] == "ssh"));
}

#[test]
fn a_password_opens_it_for_its_owner_and_files_are_files() {
    let gate = Gate::open();
    let house = &gate.house;
    let credential = house.run("ana", &["session", "credential"]);
    let secret = credential["secret"].as_str().unwrap().to_owned();
    house.write("ask", &format!("#!/bin/sh\necho {secret}\n"));
    std::fs::set_permissions(house.file("ask"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let with = |user: &str, command: &str| {
        let known = format!("UserKnownHostsFile={}", house.file("known_hosts").display());
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", &known, "-o", "PubkeyAuthentication=no"])
            .args(["-o", "NumberOfPasswordPrompts=1", "-p", &gate.port.to_string()])
            .args(["-l", user, "127.0.0.1", command])
            .env("SSH_ASKPASS", house.file("ask"))
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::null());
        ssh
    };
    let (out, _) = ends_with(&mut with("ana:web-1/shell", "echo by password"), 0);
    assert_eq!(out, "by password\n");
    for other in [
        "bo:web-1/shell",
        "nobody:web-1/shell",
        "web-1/shell",
        ":web-1/shell",
    ] {
        let (_, told) = ends_with(&mut with(other, "true"), 255);
        assert!(told.contains("denied"), "{other}: {told}");
    }
    // A role that allows files allows no command, and where rules say from where, here is not there.
    let (_, told) = ends_with(&mut with("ana:web-1/files", "true"), 255);
    assert!(told.contains("exec request failed"), "{told}");
    let (_, told) = ends_with(&mut with("ana:web-1/afar", "true"), 255);
    assert!(told.contains("from where you are"), "{told}");
    let told = house.run("dee", &["doctor"]);
    assert!(told.to_string().contains("gateway ssh"), "{told}");
}

#[test]
fn a_command_runs_on_each_host_of_a_grant() {
    let gate = Gate::open();
    let house = &gate.house;
    house.take("pair/shell", "10m", &["--wait"]);
    let on = |more: &[&str], code: i32| {
        let args = [
            &["exec", "pair/shell", "--login", gate.sshd.user(), "-o", "json"],
            more,
        ]
        .concat();
        let (out, _) = ends_with(&mut house.cli("ana", &args), code);
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let ran = on(&["--", "echo", "on it's", ";", "true"], 0);
    let hosts: Vec<_> = ran.as_array().unwrap().iter().map(|one| &one["host"]).collect();
    assert_eq!(hosts, ["127.0.0.1", "localhost"]);
    assert!(
        ran.as_array().unwrap().iter().all(|one| one["exit"] == 0),
        "{ran}"
    );
    let ran = on(&["--host", "localhost", "--", "exit 4"], 1);
    assert_eq!((ran.as_array().unwrap().len(), &ran[0]["exit"]), (1, &json!(4)));
    let said = [
        "exec",
        "pair/shell",
        "--login",
        gate.sshd.user(),
        "--",
        "echo hello",
    ];
    let mut said = house.cli("ana", &said);
    let (_, told) = ends_with(&mut said, 0);
    assert!(told.contains("localhost │ hello"), "{told}");

    // Several users and hosts: with a key of one's own, which is meant must be said.
    let key = gate.own_key("ana");
    let told = gate.turned_away(&key, "pair/shell");
    assert!(told.contains("opens several users"), "{told}");
    let user = gate.sshd.user();
    let told = gate.turned_away(&key, &format!("pair/shell+{user}"));
    assert!(told.contains("has several hosts"), "{told}");
    let out = gate.says(&key, &format!("pair/shell+{user}@localhost"), "echo meant");
    assert_eq!(out, "meant\n");
}
