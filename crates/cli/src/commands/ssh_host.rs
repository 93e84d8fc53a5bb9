//! `ssh-host …`: what runs on a host that trusts a connector's authority.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use daypass_api::Client;
use daypass_api::ssh::HostFiles;
use daypass_core::name::Name;
use daypass_core::time::Span;

use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::line::{Line, Style};

/// What begins every revocation list.
const KRL: &[u8] = b"SSHKRL\n\0";

/// What runs on a host that trusts a connector's authority.
#[derive(Debug, Subcommand)]
pub enum SshHostCommand {
    /// Fetch whom this host lets in and which certificates it refuses, and say that it has
    Sync(SyncArgs),
}

/// Fetch whom this host lets in and which certificates it refuses, and say that it has.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  DAYPASS_SERVER=https://daypass.example.com DAYPASS_TOKEN=… daypass ssh-host sync fleet web-1.internal
  daypass ssh-host sync fleet web-1.internal --once --dir /etc/ssh/daypass

The token is one of the account that the policy names for the host. With --once it prints the lines for sshd_config;
else it goes on every few seconds, and goes on with what it has while the server is not reached.")]
pub struct SyncArgs {
    /// The connector, as the policy names it
    connector: Name,

    /// This host, as the policy names it
    host: String,

    /// Where to write
    #[arg(long, value_name = "FOLDER", default_value = "/etc/ssh/daypass")]
    dir: PathBuf,

    /// Once, and then end
    #[arg(long)]
    once: bool,

    /// How often
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = often)]
    every: Span,
}

fn often(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error| format!("{error}"))?;
    (Span::seconds(1)..=Span::hours(1))
        .contains(&span)
        .then_some(span)
        .ok_or_else(|| String::from("1s to 1h"))
}

impl SshHostCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self::Sync(args) = self;
        let client = context.client()?;
        if args.once {
            let version = args.sync(&client, None).await?;
            let what = format!("version {version} of the revocation list is in place and acknowledged");
            context.out.note(Line::new().with(Style::Good, "✓ ").text(what));
            context
                .out
                .note(Line::new().text("sshd_config must have these lines:"));
            for (name, file) in [
                ("TrustedUserCAKeys", "ca.pub"),
                ("RevokedKeys", "revoked.krl"),
                ("AuthorizedPrincipalsFile", "principals/%u"),
            ] {
                context
                    .out
                    .line(&Line::new().text(format!("{name} {}", args.dir.join(file).display())));
            }
            return Ok(Exit::DONE);
        }
        let mut before: Option<Result<u64, String>> = None;
        loop {
            let acknowledged = before.as_ref().and_then(|last| last.as_ref().ok()).copied();
            let now = args
                .sync(&client, acknowledged)
                .await
                .map_err(|failure| failure.told().0.to_owned());
            if before.as_ref() != Some(&now) {
                match &now {
                    Ok(version) => context
                        .out
                        .note(Line::new().text(format!("version {version} is in place"))),
                    Err(failure) => context.out.warn(Line::new().text(failure.clone())),
                }
            }
            before = Some(now);
            edge::pause(args.every.to_std()).await;
        }
    }
}

impl SyncArgs {
    async fn sync(&self, client: &Client, acknowledged: Option<u64>) -> Result<u64, Failure> {
        sync(client, (&self.connector, &self.host), &self.dir, acknowledged).await
    }
}

/// One turn of `ssh-host sync`, for a program that looks after a host in its own process (the demo): fetches what the host is to
/// have, writes it into the folder, and only then acknowledges it. The version that is in place; hand it in at the next turn.
///
/// # Errors
/// In words, where the server does not answer or sent what is odd, or the folder cannot be written.
pub async fn sync_host(
    client: &Client,
    host: (&Name, &str),
    folder: &Path,
    acknowledged: Option<u64>,
) -> Result<u64, String> {
    sync(client, host, folder, acknowledged)
        .await
        .map_err(|failure| failure.told().0.to_owned())
}

/// Fetches, writes, and only then says so, unless that was what it said last.
async fn sync(
    client: &Client,
    (connector, host): (&Name, &str),
    folder: &Path,
    acknowledged: Option<u64>,
) -> Result<u64, Failure> {
    let files = client.ssh_host(connector, host).await?;
    write(folder, &files)?;
    if acknowledged != Some(files.version) {
        client.ssh_acknowledge(connector, host, files.version).await?;
    }
    Ok(files.version)
}

/// Puts everything in place: the revoked first, whom to trust last. sshd reads each file anew at each login.
fn write(folder: &Path, files: &HostFiles) -> Result<(), Failure> {
    let krl = STANDARD
        .decode(&files.krl)
        .ok()
        .filter(|krl| krl.starts_with(KRL));
    let krl = krl.ok_or_else(|| Failure::error("the server sent no revocation list; nothing was changed"))?;
    let one_line = files.authority.trim_end().lines().count() == 1;
    if !one_line || !files.authority.starts_with("ssh-ed25519 ") {
        return Err(Failure::error(
            "the server sent no authority; nothing was changed",
        ));
    }
    // They become names and lines of files that root writes.
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    for (user, principals) in &files.principals {
        let line = |text: &String| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && c != '#' && c != '"')
        };
        if user.is_empty() || !user.chars().all(plain) || !principals.iter().all(line) {
            return Err(Failure::error(format!(
                "the server sent principals for {user:?}; nothing was changed"
            )));
        }
    }
    let principals = folder.join("principals");
    let made = DirBuilder::new().recursive(true).mode(0o755).create(&principals);
    made.map_err(|error| cannot("make", &principals, &error))?;
    replace(&folder.join("revoked.krl"), &krl)?;
    let there = std::fs::read_dir(&principals).map_err(|error| cannot("read", &principals, &error))?;
    for entry in there.flatten() {
        let known = entry
            .file_name()
            .to_str()
            .is_some_and(|name| files.principals.contains_key(name));
        if !known {
            let path = entry.path();
            std::fs::remove_file(&path).map_err(|error| cannot("remove", &path, &error))?;
        }
    }
    for (user, all) in &files.principals {
        let text: String = all.iter().map(|principal| format!("{principal}\n")).collect();
        replace(&principals.join(user), text.as_bytes())?;
    }
    replace(&folder.join("ca.pub"), files.authority.as_bytes())
}

/// Writes beside, makes it durable and moves it over; does nothing where it is so already.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if std::fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(&beside)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&beside, path))
        .and_then(|()| {
            path.parent()
                .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        });
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written.map_err(|error| cannot("write", path, &error))
}

fn cannot(verb: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::error(format!("cannot {verb} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> HostFiles {
        HostFiles {
            authority: "ssh-ed25519 AAAA daypass fleet\n".into(),
            version: 3,
            krl: STANDARD.encode(KRL),
            principals: [("deploy".into(), ["deploy@web-1".into()].into())].into(),
        }
    }

    #[test]
    fn what_nobody_may_use_any_more_goes_and_what_is_odd_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &files()).unwrap();
        std::fs::write(dir.path().join("principals/old"), "old@web-1\n").unwrap();
        write(dir.path(), &files()).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap_or_default();
        assert_eq!(
            (read("principals/deploy"), read("principals/old")),
            ("deploy@web-1\n".into(), String::new())
        );
        for change in [
            (|files| files.krl = STANDARD.encode("nonsense")) as fn(&mut HostFiles),
            |files| files.krl = "%".into(),
            |files| files.authority = "ssh-ed25519 AAAA a\nssh-ed25519 BBBB b\n".into(),
            |files| files.authority = "cert-authority".into(),
            |files| files.principals = [("../../x".into(), ["a".into()].into())].into(),
            |files| files.principals = [("x".into(), ["a\nroot".into()].into())].into(),
            |files| files.principals = [("x".into(), ["command=\"x\" a".into()].into())].into(),
        ] {
            let mut files = files();
            change(&mut files);
            assert!(write(dir.path(), &files).is_err(), "{files:?}");
            assert_eq!(read("principals/deploy"), "deploy@web-1\n");
        }
    }
}
