//! Real OpenSSH: plain `ssh`, `scp` and `sftp` get in with certificates that daypass fetches, and everything that must be
//! refused is refused by a real sshd.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use daypass_testbed::{Sshd, wait};

use crate::house::{House, Settings, Store};
use crate::running::ends_with;

/// Two hosts of one authority, and a house that knows them.
pub(crate) struct Fleet {
    pub(crate) house: House,
    pub(crate) web: Sshd,
    pub(crate) other: Sshd,
    /// The tokens of the two hosts' accounts.
    tokens: [String; 2],
}

fn policy(web: &Sshd, other: &Sshd) -> String {
    let (user, web, other) = (web.user(), web.port(), other.port());
    format!(
        "version: 1
connectors:
  - {{name: fleet, kind: ssh, config: {{certificate: 5m}}}}
resources:
  - name: web-1
    kind: ssh
    connector: fleet
    labels: {{env: production}}
    config: {{host: 127.0.0.1, account: host-web-1, port: {web}}}
    roles:
      shell: {{principals: [{user}]}}
      uptime: {{principals: [{user}], force_command: echo forced}}
      afar: {{principals: [{user}], source_address: [192.0.2.0/24]}}
      backup: {{principals: [nobody-here]}}
  - name: web-2
    kind: ssh
    connector: fleet
    labels: {{env: production}}
    config: {{host: localhost, account: host-web-2, port: {other}}}
    roles: {{shell: {{principals: [{user}]}}}}
rules:
  - {{name: hosts, allow: engineers, to: {{env: production}}, roles: [shell, uptime, afar, backup], approval: none, max: 2h}}
"
    )
}

impl Fleet {
    pub(crate) fn open() -> Self {
        Self::on(Store::Sqlite)
    }

    pub(crate) fn on(store: Store) -> Self {
        let (web, other) = (Sshd::start().unwrap(), Sshd::start().unwrap());
        let mut house = House::build(&Settings::on(store));
        house.secret("sealing-key", &format!("{}=\n", "A".repeat(43)));
        let config = std::fs::read_to_string(house.file("server.yaml")).unwrap();
        house.write(
            "server.yaml",
            &format!("{config}sealing_key: {{file: secrets/sealing-key}}\n"),
        );
        house.write("policy/ssh.yaml", &policy(&web, &other));
        house.serve();
        house.move_in();
        let token = |host: &str| {
            ends_with(
                &mut house.as_admin(&["service", "add", host, "--owner", "admin"]),
                0,
            );
            ends_with(&mut house.as_admin(&["service", "token", host, "sync"]), 0)
                .0
                .trim()
                .to_owned()
        };
        let tokens = [token("host-web-1"), token("host-web-2")];
        let fleet = Self {
            house,
            web,
            other,
            tokens,
        };
        fleet.sync(0, 0);
        fleet.sync(1, 0);
        fleet
    }

    /// What a host's own timer runs; with which host's token.
    #[track_caller]
    fn sync_as(&self, host: usize, token: usize, code: i32) -> (String, String) {
        let config = [&self.web, &self.other][host].folder().join("sshd_config");
        self.sync_with((host, token), &config, code)
    }

    /// The same, of a host whose sshd has this configuration.
    #[track_caller]
    pub(crate) fn sync_with(
        &self,
        (host, token): (usize, usize),
        config: &Path,
        code: i32,
    ) -> (String, String) {
        let (name, sshd) = [("127.0.0.1", &self.web), ("localhost", &self.other)][host];
        let mut sync = self
            .house
            .cli("nobody", &["ssh-host", "sync", "fleet", name, "--once", "--dir"]);
        sync.arg(sshd.folder())
            .arg("--sshd-config")
            .arg(config)
            .env("DAYPASS_SERVER", format!("http://{}", self.house.nobody().addr))
            .env("DAYPASS_TOKEN", &self.tokens[token]);
        ends_with(&mut sync, code)
    }

    #[track_caller]
    pub(crate) fn sync(&self, host: usize, code: i32) -> String {
        self.sync_as(host, host, code).0
    }

    fn kept(&self, name: &str) -> PathBuf {
        self.house.file("home-ana/daypass/ssh/default").join(name)
    }

    /// A certificate of ana's for a role of web-1, where nothing else finds it.
    pub(crate) fn certificate(&self, item: &str) -> (String, PathBuf) {
        let grant = self.house.take(item, "10m", &["--wait"]);
        let key = std::fs::read_to_string(self.kept("key.pub")).unwrap();
        let path = format!("/api/v1/grants/{grant}/certificate");
        let signed = self
            .house
            .api("ana")
            .post(&path, &serde_json::json!({"public_key": key}))
            .of(200);
        let file = self.house.file(format!("{}-cert.pub", item.replace('/', "-")));
        std::fs::write(&file, signed["certificate"].as_str().unwrap()).unwrap();
        (grant, file)
    }

    /// Plain ssh with ana's key and this certificate.
    pub(crate) fn ssh(&self, sshd: &Sshd, certificate: &Path, command: &str) -> Output {
        let certificate = format!("CertificateFile={}", certificate.display());
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", &certificate, "-i"])
            .arg(self.kept("id_ed25519"));
        ssh.args(QUIETLY).args(["-p", &sshd.port().to_string()]);
        ssh.arg(format!("{}@127.0.0.1", sshd.user()))
            .arg(command)
            .output()
            .unwrap()
    }

    #[track_caller]
    pub(crate) fn refused(&self, sshd: &Sshd, certificate: &Path, why: &str) {
        let output = self.ssh(sshd, certificate, "true");
        assert_eq!(output.status.code(), Some(255), "{why}: {output:?}");
        assert!(sshd.log().contains(why), "{why} is not in {}", sshd.log());
    }
}

pub(crate) const QUIETLY: [&str; 10] = [
    "-o",
    "StrictHostKeyChecking=no",
    "-o",
    "UserKnownHostsFile=/dev/null",
    "-o",
    "IdentitiesOnly=yes",
    "-o",
    "BatchMode=yes",
    "-o",
    "LogLevel=ERROR",
];

/// Makes ana's key, as her first `daypass ssh` would, and shows its public half to the test.
pub(crate) fn first_login(fleet: &Fleet) -> String {
    let grant = fleet.house.take("web-1/shell", "10m", &["--wait"]);
    let mut ssh = fleet.house.cli("ana", &["ssh", "web-1/shell", "--"]);
    let (out, _) = ends_with(ssh.args(QUIETLY).arg("echo in"), 0);
    assert_eq!(out, "in\n");
    let public = Command::new("ssh-keygen")
        .arg("-y")
        .arg("-f")
        .arg(fleet.kept("id_ed25519"))
        .output()
        .unwrap();
    std::fs::write(fleet.kept("key.pub"), public.stdout).unwrap();
    grant
}

pub(crate) fn shown(file: &Path) -> String {
    let output = Command::new("ssh-keygen")
        .args(["-L", "-f"])
        .arg(file)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn plain_tools_get_in_until_the_grant_ends_and_the_end_has_its_evidence() {
    let fleet = Fleet::open();
    let (house, user) = (&fleet.house, fleet.web.user().to_owned());
    let lines = fleet.sync(0, 0);
    the_authority_is_the_one_that_keys_ls_tells(&fleet);
    assert!(
        lines.contains("TrustedUserCAKeys") && lines.contains("RevokedKeys"),
        "{lines}"
    );
    // Nothing is asked for by itself.
    let helper = ["ssh-certificate", "--for", "127.0.0.1", "--user", &user];
    let none = house.fails("ana", &helper, 3);
    assert!(
        none.contains("you hold no grant") && none.contains("daypass ls"),
        "{none}"
    );

    let grant = first_login(&fleet);
    plain_tools_get_in(&fleet);
    // The certificate that is there is used as long as it lasts, by daypass ssh and by plain tools.
    let trail = house.audit(&[]);
    let issued = trail
        .iter()
        .filter(|event| event["name"] == "grant.credential_issued");
    assert_eq!(issued.count(), 1, "one certificate for all logins");
    let told = trail
        .iter()
        .find(|event| event["name"] == "grant.credential_issued")
        .unwrap()
        .to_string();
    assert!(
        told.contains(" for web-1/shell") && told.contains("SHA256:"),
        "{told}"
    );
    let file = fleet.kept(&format!("127.0.0.1_{user}-cert.pub"));
    let said = shown(&file);
    for expect in [
        &format!("{user}@web-1"),
        "permit-pty",
        &format!("Key ID: \"{}", &grant[..4]),
    ] {
        assert!(said.contains(expect), "{expect} is not in {said}");
    }
    the_end_has_its_evidence(&fleet, &grant, &file);
}

fn the_authority_is_the_one_that_keys_ls_tells(fleet: &Fleet) {
    let mut show = Command::new("ssh-keygen");
    let (shown, _) = ends_with(show.arg("-lf").arg(fleet.web.folder().join("ca.pub")), 0);
    let fingerprint = shown.split(' ').nth(1).unwrap();
    let told = ends_with(&mut fleet.house.as_admin(&["keys", "ls"]), 0).0;
    let line = told.lines().find(|line| line.starts_with("fleet ")).unwrap();
    assert!(
        line.contains(&format!("{fingerprint} since 20")),
        "{fingerprint}: {told}"
    );
}

fn plain_tools_get_in(fleet: &Fleet) {
    let (house, user) = (&fleet.house, fleet.web.user());
    let (config, _) = ends_with(&mut house.cli("ana", &["ssh-config", "127.0.0.1"]), 0);
    house.write("ssh_config", &config);
    let config = house.file("ssh_config");
    let port = fleet.web.port().to_string();
    let tool = |name: &str, option: &str| {
        let mut tool = Command::new(name);
        tool.arg("-F").arg(&config).args(QUIETLY).args([option, &port]);
        tool.env("XDG_CONFIG_HOME", house.file("home-ana"))
            .env("HOME", house.file(""));
        tool
    };
    let at = format!("{user}@127.0.0.1");
    let (out, _) = ends_with(tool("ssh", "-p").args([&at, "echo plainly in"]), 0);
    assert_eq!(out, "plainly in\n");
    // Beside daypass ssh, which brings the certificate of the role that was named, it offers none.
    let mut beside = tool("ssh", "-p");
    ends_with(beside.env("DAYPASS_SSH_TO", &at).args([&at, "true"]), 255);
    let mut elsewhere = tool("ssh", "-p");
    ends_with(
        elsewhere.env("DAYPASS_SSH_TO", "deploy@jump").args([&at, "true"]),
        0,
    );
    house.write("sent", "a file\n");
    ends_with(
        tool("scp", "-P")
            .arg(house.file("sent"))
            .arg(format!("{at}:{}", house.file("came").display())),
        0,
    );
    assert_eq!(std::fs::read_to_string(house.file("came")).unwrap(), "a file\n");
    house.write("batch", "pwd\n");
    ends_with(tool("sftp", "-P").arg("-b").arg(house.file("batch")).arg(&at), 0);
}

fn the_end_has_its_evidence(fleet: &Fleet, grant: &str, file: &Path) {
    let house = &fleet.house;
    // The grant ends; the host has not heard of it, so it is not said to be gone.
    let copy = house.file("copy-cert.pub");
    std::fs::copy(file, &copy).unwrap();
    house.run("ana", &["release", grant]);
    assert!(!file.exists(), "nothing of it is kept");
    let path = format!("/api/v1/grants/{grant}/certificate");
    let key = std::fs::read_to_string(fleet.kept("key.pub")).unwrap();
    let late = house
        .api("ana")
        .post(&path, &serde_json::json!({"public_key": key}));
    assert!(!late.problem().is_empty(), "nothing is issued any more");
    assert_eq!(
        fleet.ssh(&fleet.web, &copy, "true").status.code(),
        Some(0),
        "the host does not know yet"
    );
    // No event tells of the list.
    wait::until("the list naming it", Duration::from_secs(30), || {
        fleet.sync(1, 0);
        let mut ask = Command::new("ssh-keygen");
        ask.arg("-Q")
            .arg("-f")
            .arg(fleet.other.folder().join("revoked.krl"));
        let asked = ask.arg(&copy).output().unwrap();
        Ok(String::from_utf8_lossy(&asked.stdout)
            .contains("REVOKED")
            .then_some(()))
    })
    .unwrap();
    assert_eq!(
        house.grant(grant)["state"],
        "ending",
        "another host's word is not this one's"
    );
    // It has the list, and an sshd that need not read it.
    let config = std::fs::read_to_string(fleet.web.folder().join("sshd_config")).unwrap();
    let without = config.lines().filter(|line| !line.starts_with("RevokedKeys"));
    let without: String = without.map(|line| format!("{line}\n")).collect();
    house.write("sshd_config", &without);
    let (lines, told) = fleet.sync_with((0, 0), &house.file("sshd_config"), 0);
    assert!(
        told.contains("not acknowledged: sshd's configuration has RevokedKeys none")
            && lines.contains("RevokedKeys"),
        "{told}{lines}"
    );
    assert_eq!(house.grant(grant)["state"], "ending");
    fleet.sync(0, 0);
    fleet.refused(&fleet.web, &copy, "revoked");
    let ended = house.until_state(grant, "ended");
    let evidence = &ended["entitlements"][0]["evidence"];
    assert_eq!(evidence["proof"], "shown", "{ended}");
    let by = evidence["by"].as_str().unwrap();
    assert!(by.starts_with("127.0.0.1 acknowledged version "), "{by}");
}

#[test]
fn what_was_revoked_elsewhere_is_not_used() {
    let fleet = Fleet::open();
    let (house, user) = (&fleet.house, fleet.web.user());
    let grant = first_login(&fleet);
    let helper = ["ssh-certificate", "--for", "127.0.0.1", "--user", user];
    ends_with(&mut house.cli("ana", &helper), 0);
    let file = fleet.kept(&format!("127.0.0.1_{user}-cert.pub"));
    assert!(file.exists());
    ends_with(&mut house.as_admin(&["revoke", &grant, "--reason", "over"]), 0);
    house.fails("ana", &helper, 3);
    assert!(!file.exists(), "though it lasts for minutes");
}

#[test]
fn what_must_not_get_in_does_not() {
    let fleet = Fleet::open();
    let house = &fleet.house;
    first_login(&fleet);
    let (_, good) = fleet.certificate("web-1/shell");
    assert_eq!(fleet.ssh(&fleet.web, &good, "true").status.code(), Some(0));
    fleet.refused(
        &fleet.other,
        &good,
        "Certificate does not contain an authorized principal",
    );
    let (_, forced) = fleet.certificate("web-1/uptime");
    assert_eq!(fleet.ssh(&fleet.web, &forced, "id").stdout, b"forced\n");
    let (_, backup) = fleet.certificate("web-1/backup");
    fleet.refused(
        &fleet.web,
        &backup,
        "Certificate does not contain an authorized principal",
    );
    let (_, afar) = fleet.certificate("web-1/afar");
    fleet.refused(&fleet.web, &afar, "not from a permitted source address");

    // An authority that somebody made.
    let own = house.file("own-ca");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&own)
        .status()
        .unwrap();
    assert!(made.success());
    let principal = format!("{}@web-1", fleet.web.user());
    let sign = Command::new("ssh-keygen")
        .args(["-q", "-s"])
        .arg(&own)
        .args(["-I", "x", "-n", &principal])
        .arg(fleet.kept("key.pub"))
        .status()
        .unwrap();
    assert!(sign.success());
    // sshd gives no reason for an authority that it does not know.
    fleet.refused(&fleet.web, &fleet.kept("key-cert.pub"), "Failed publickey");
}

#[test]
fn what_is_over_or_asked_wrongly_gets_nothing() {
    let fleet = Fleet::open();
    let house = &fleet.house;
    first_login(&fleet);
    // Past its end, which is the grant's although a certificate could last five minutes.
    let grant = house.take("web-1/shell", "10s", &["--wait"]);
    let key = std::fs::read_to_string(fleet.kept("key.pub")).unwrap();
    let path = format!("/api/v1/grants/{grant}/certificate");
    let signed = house
        .api("ana")
        .post(&path, &serde_json::json!({"public_key": key}))
        .of(200);
    let short = house.file("short-cert.pub");
    std::fs::write(&short, signed["certificate"].as_str().unwrap()).unwrap();
    house.until_state(&grant, "ending");
    fleet.refused(&fleet.web, &short, "Certificate invalid: expired");

    // Whose key is not one, and who is not the holder.
    let (grant, _) = fleet.certificate("web-2/shell");
    let path = format!("/api/v1/grants/{grant}/certificate");
    for bad in [
        "",
        "ssh-ed25519 AAAA",
        "command=\"x\" ssh-ed25519 AAAA",
        "ssh-dss AAAA",
    ] {
        let answer = house
            .api("ana")
            .post(&path, &serde_json::json!({"public_key": bad}));
        assert!(
            answer.problem().contains("invalid"),
            "{bad}: {}",
            answer.problem()
        );
    }
    let other = house
        .api("admin")
        .post(&path, &serde_json::json!({"public_key": key}));
    assert!(other.problem().contains("not-holder"), "{}", other.problem());
    // A host speaks for itself only.
    let (_, told) = fleet.sync_as(0, 1, 1);
    assert!(
        told.contains("no host 127.0.0.1 that this account speaks for"),
        "{told}"
    );
    assert!(told.contains("lets nobody in by Daypass any more"), "{told}");
    let principals = std::fs::read_dir(fleet.web.folder().join("principals")).unwrap();
    assert_eq!(principals.count(), 0, "as where it left the policy");
    // And what it has it cannot have before it exists.
    let ahead = "/api/v1/ssh/fleet/hosts/127.0.0.1/acknowledge";
    let api = crate::http::Api {
        token: Some(fleet.tokens[0].clone()),
        ..house.nobody()
    };
    assert!(
        api.post(ahead, &serde_json::json!({"version": 9_000_000_000_000_000_u64}))
            .problem()
            .contains("invalid")
    );
    // Two accounts cannot speak for one host.
    let twice = policy(&fleet.web, &fleet.other).replace("host: localhost,", "host: 127.0.0.1,");
    house.write("policy/ssh.yaml", &twice);
    let mut apply = house.as_admin(&["policy", "apply", "--yes"]);
    let refused = ends_with(apply.arg(house.file("policy")), 1).1;
    assert!(refused.contains("a host has one account"), "{refused}");
}

#[test]
fn without_a_key_to_seal_with_the_policy_is_not_put_in_force() {
    let mut house = House::build(&Settings::on(Store::Sqlite));
    house.serve();
    house.move_in();
    // The policy that the users' page begins with.
    let page = include_str!("../../../../docs/providers/ssh.md");
    let (_, after) = page.split_once("```yaml\nconnectors:").unwrap();
    let documented = after.split_once("```").unwrap().0;
    house.write("policy/ssh.yaml", &format!("version: 1\nconnectors:{documented}"));
    let policy = house.file("policy");
    let refused = ends_with(house.as_admin(&["policy", "apply", "--yes"]).arg(&policy), 1).1;
    assert!(
        refused.contains("sealing_key") && refused.contains("1 mistake"),
        "{refused}"
    );
}
