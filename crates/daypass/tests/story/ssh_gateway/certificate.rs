//! Who comes with a certificate: it opens the gateway and no host; ssh, scp and sftp use it without knowing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::gate::Gate;
use crate::gateway::sessions;
use crate::running::{ends_with, text};

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

    let kept = house.file("home-ana/daypass/ssh/default");
    let certificate = kept.join("web-1=shell-cert.pub");
    let (shown, _) = ends_with(Command::new("ssh-keygen").arg("-Lf").arg(&certificate), 0);
    assert!(
        shown.contains("gateway:") && !shown.contains("permit-"),
        "{shown}"
    );
    at_the_host_it_opens_nothing(&gate, &certificate);
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

    a_stranger_cannot_sign_it(&gate, &stranger, &shown);
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

/// It says why in its log.
fn at_the_host_it_opens_nothing(gate: &Gate, certificate: &Path) {
    let kept = gate.house.file("home-ana/daypass/ssh/default");
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
}

/// One that a stranger signed, which says the same, opens nothing.
fn a_stranger_cannot_sign_it(gate: &Gate, stranger: &PathBuf, shown: &str) {
    let house = &gate.house;
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
    let mut ssh = gate.ssh(stranger, "web-1/shell");
    ssh.arg("-o").arg(format!("CertificateFile={}", forged.display()));
    let (_, told) = ends_with(ssh.arg("true"), 255);
    assert!(told.contains("denied"), "{told}");
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
