//! A second scene: the host. Ana logs in by a certificate, gives the access back, and the host lets the same certificate in no more.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use daypass_api::client::EventStream;
use daypass_api::grant::{Evidence, GrantQuery, GrantState};
use daypass_server::edge;
use tokio::process::Command;

use super::host::{ADDRESS, Host};
use super::narrator::Narrator;
use super::people::{People, client};
use super::place::{self, DATA};
use super::play::{expect, not_so};
use crate::failure::Failure;

/// How long a login may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The scene, and who is in it.
pub(super) struct Visit<'a> {
    /// Tells it.
    pub(super) narrator: Narrator,
    /// Who plays.
    pub(super) people: &'a People,
    /// Where.
    pub(super) host: &'a Host,
    /// The demo's folder.
    pub(super) folder: &'a Path,
    /// Where the people's commands are.
    pub(super) bin: &'a Path,
}

impl Visit<'_> {
    /// Plays it. `false`, and a line that says why, where this machine's sshd lets its own user in by no means.
    pub(super) async fn run(&self) -> Result<bool, Failure> {
        let ana = self.people.client("ana")?;
        let mut watch = ana.events(None).await.map_err(client)?;
        self.narrator.heading("The same for a host, without any password");
        if !self.she_logs_in().await? {
            return Ok(false);
        }
        let query = GrantQuery {
            mine: Some(true),
            live: Some(true),
            ..GrantQuery::default()
        };
        let held = ana.grants(&query).await.map_err(client)?.items;
        let [grant] = held.as_slice() else {
            return Err(not_so("ana holds one grant, for the host"));
        };
        self.the_end_is_known(&grant.id.to_string(), &mut watch).await?;
        Ok(true)
    }

    async fn she_logs_in(&self) -> Result<bool, Failure> {
        let words = ["ssh", "web-1/shell", "--reason", "a look", "--", "id -un"];
        self.narrator
            .command("ana ssh web-1/shell --reason \"a look\" -- id -un");
        let mut ssh = Command::new(self.bin.join("ana"));
        let output = ended(ssh.args(words)).await?;
        let log = self.host.log();
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() || said != self.host.user() {
            // The account may be locked, or have no shell: then nobody's certificate would do.
            let why = log
                .lines()
                .rev()
                .find(|line| line.contains("not allowed because") || line.contains("Accepted publickey"));
            let why = why.ok_or_else(|| {
                let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                not_so(&format!("ana did not get in: {told}\n{log}"))
            })?;
            let user = self.host.user();
            self.narrator.refused(&format!(
                "this machine does not log {user} in (sshd: {}), so the host is left out",
                why.trim()
            ));
            return Ok(false);
        }
        self.narrator.detail(&said);
        let accepted = log.lines().rev().find(|line| line.contains("Accepted publickey"));
        let by = accepted
            .and_then(|line| line.split_once(" ID "))
            .map(|(_, by)| by);
        let by = by.ok_or_else(|| not_so("sshd logged the certificate that it took"))?;
        self.narrator
            .done("sshd took a certificate of five minutes, and logged whose it is");
        self.narrator.detail(by.trim());
        Ok(true)
    }

    async fn the_end_is_known(&self, grant: &str, watch: &mut EventStream) -> Result<(), Failure> {
        let copy = self.copy_of_the_certificate()?;
        self.narrator.command("ana release web-1");
        let mut release = Command::new(self.bin.join("ana"));
        let output = ended(release.args(["release", "web-1"])).await?;
        expect(output.status.success(), "she gives it back")?;
        let over = self
            .people
            .until("ana", watch, grant, |grant| grant.state == GrantState::Ended)
            .await?;
        let shown = over.entitlements.iter().find_map(|part| match &part.evidence {
            Some(Evidence::Shown { by, .. }) => Some(by.clone()),
            _ => None,
        });
        let shown = shown.ok_or_else(|| not_so("the host's word is the evidence of the end"))?;
        let output = self.with_the_same_certificate(&copy).await?;
        let named = self.host.log().lines().any(|line| line.contains("revoked"));
        expect(
            !output.status.success() && named,
            "sshd refuses a certificate that is on the list",
        )?;
        self.narrator
            .refused("sshd refuses the same certificate, minutes before it runs out: it is revoked");
        self.narrator.done(&format!("ended, and known to be: {shown}"));
        Ok(())
    }

    /// Where daypass keeps ana's key, and her certificates while their grants last.
    fn kept(&self) -> PathBuf {
        self.folder.join("home/ana/daypass/ssh/default")
    }

    /// Her certificate where daypass does not find it: it takes away what it keeps once she gives the access back.
    fn copy_of_the_certificate(&self) -> Result<PathBuf, Failure> {
        let kept = std::fs::read_to_string(self.kept().join("web-1=shell-cert.pub"));
        let kept = kept.map_err(|error| not_so(&format!("her certificate is there: {error}")))?;
        place::file(self.folder, "copy-cert.pub", &kept, DATA)
    }

    /// Plain ssh, with ana's key and this certificate.
    async fn with_the_same_certificate(&self, certificate: &Path) -> Result<Output, Failure> {
        let user = self.host.user();
        let option = format!(
            "CertificateFile=\"{}\"",
            certificate.display().to_string().replace('%', "%%")
        );
        let mut ssh = Command::new(self.host.tools().join("ssh"));
        ssh.arg("-i")
            .arg(self.kept().join("id_ed25519"))
            .args(["-o", &option]);
        ssh.args(["-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-l", user]);
        ended(ssh.args(["-p", &self.host.port().to_string(), ADDRESS, "true"])).await
    }
}

/// Runs it to its end, without anything to read.
async fn ended(command: &mut Command) -> Result<Output, Failure> {
    let output = command
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = edge::within(PATIENCE, output)
        .await
        .map_err(|late| not_so(&format!("ssh did not end: {late}")))?;
    output.map_err(|error| Failure::error(format!("a command of the demo: {error}")))
}
