//! `ssh-host …`: what runs on a host that trusts a connector's authority.

mod check;
mod doubt;

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use daypass_api::client::Guard;
use daypass_api::ssh::{Acknowledge, HostFiles};
use daypass_api::{Client, ProblemCode};
use daypass_core::name::Name;
use daypass_core::refusal::Code;
use daypass_core::time::Span;

use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::line::{Line, Style};
use crate::pins::PinGuard;
use check::Check;

/// What begins every revocation list.
const KRL: &[u8] = b"SSHKRL\n\0";
/// The file of the list.
const LIST: &str = "revoked.krl";
/// The file of those who are trusted.
const AUTHORITIES: &str = "ca.pub";
/// How many are trusted at most: one, and another while one follows the other.
const MOST_TRUSTED: usize = 3;
/// The folder of the principals.
const PRINCIPALS: &str = "principals";

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
else it goes on every few seconds, and goes on with what it has while the server is not reached. Where the policy does not name
the host any more, it lets nobody in from then on.

A list is acknowledged where sshd -T says that sshd reads it (RevokedKeys), for each user that is let in; else grants are known
to have ended only when time has passed.")]
pub struct SyncArgs {
    /// The connector, as the policy names it
    connector: Name,

    /// This host, as the policy names it
    host: String,

    /// Where to write
    #[arg(long, value_name = "FOLDER", default_value = "/etc/ssh/daypass")]
    dir: PathBuf,

    /// sshd's configuration, where it has another than its own
    #[arg(long, value_name = "FILE")]
    sshd_config: Option<PathBuf>,

    /// Acknowledge without asking sshd -T what it reads: for hosts where it cannot be run
    #[arg(long, conflicts_with = "sshd_config")]
    unchecked: bool,

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
        // Under systemd root has no home.
        let client = Client::new(&context.connection()?)?;
        let guard = context.guard(&client, Some(&args.dir))?;
        let client = match &guard {
            Some(guard) => client.guarded(Arc::clone(guard) as Arc<dyn Guard>),
            None => client,
        };
        let guard = guard.as_deref();
        let check = args.check(&context.env.path);
        if args.once {
            let there = args.sync((&client, guard), &check, None).await?;
            if there.is_read() {
                context
                    .out
                    .note(Line::new().with(Style::Good, "✓ ").text(there.said()));
            } else {
                context
                    .out
                    .warn(Line::new().with(Style::Warn, "! ").text(there.said()));
            }
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
        let mut before: Option<Result<InPlace, String>> = None;
        loop {
            let last = before.as_ref().and_then(|last| last.as_ref().ok());
            let acknowledged = last.filter(|last| last.is_read()).map(|last| last.version);
            let now =
                args.sync((&client, guard), &check, acknowledged)
                    .await
                    .map_err(|failure| match failure.told() {
                        (what, Some(hint)) => format!("{what} (try: {hint})"),
                        (what, None) => what.to_owned(),
                    });
            if before.as_ref() != Some(&now) {
                match &now {
                    Ok(there) if there.is_read() => context.out.note(Line::new().text(there.said())),
                    Ok(there) => context.out.warn(Line::new().text(there.said())),
                    Err(failure) => context.out.warn(Line::new().text(failure.clone())),
                }
            }
            before = Some(now);
            edge::pause(args.every.to_std()).await;
        }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct InPlace {
    version: u64,
    /// Why it was not acknowledged.
    unread: Option<String>,
    /// Why it was not said which authorities sshd trusts.
    untrusted: Option<String>,
}

impl InPlace {
    fn is_read(&self) -> bool {
        self.unread.is_none() && self.untrusted.is_none()
    }

    fn said(&self) -> String {
        let version = self.version;
        match (&self.unread, &self.untrusted) {
            (Some(why), _) => {
                format!("version {version} of the revocation list is written and not acknowledged: {why}")
            }
            (None, Some(why)) => format!(
                "version {version} of the revocation list is in place and acknowledged; which authorities are trusted here is not: {why}"
            ),
            (None, None) => format!("version {version} of the revocation list is in place and acknowledged"),
        }
    }
}

impl SyncArgs {
    fn check(&self, path: &OsStr) -> Check {
        if self.unchecked {
            return Check::Unchecked;
        }
        Check::Ask {
            path: path.to_owned(),
            config: self.sshd_config.clone(),
        }
    }

    async fn sync(
        &self,
        server: (&Client, Option<&PinGuard>),
        check: &Check,
        acknowledged: Option<u64>,
    ) -> Result<InPlace, Failure> {
        let host = (&self.connector, self.host.as_str());
        sync(server, host, (&self.dir, check), acknowledged).await
    }
}

/// One turn of `ssh-host sync`, for a program that looks after a host in its own process (the demo): fetches what the host is to
/// have, writes it into the folder, and only then acknowledges it, if the sshd of that configuration reads it. `path` is where
/// sshd is looked for before the usual places. The version that is in place and acknowledged; hand it in at the next turn.
///
/// # Errors
/// In words, where the server does not answer or sent what is odd, the folder cannot be written, or sshd does not read it.
pub async fn sync_host(
    client: &Client,
    host: (&Name, &str),
    folder: &Path,
    (path, config): (&OsStr, &Path),
    acknowledged: Option<u64>,
) -> Result<u64, String> {
    let check = Check::Ask {
        path: path.to_owned(),
        config: Some(config.to_owned()),
    };
    let there = sync((client, None), host, (folder, &check), acknowledged)
        .await
        .map_err(|failure| failure.told().0.to_owned())?;
    if !there.is_read() {
        return Err(there.said());
    }
    Ok(there.version)
}

/// Fetches, writes, and only then says so, unless that was what it said last.
async fn sync(
    (client, guard): (&Client, Option<&PinGuard>),
    (connector, host): (&Name, &str),
    (folder, check): (&Path, &Check),
    acknowledged: Option<u64>,
) -> Result<InPlace, Failure> {
    let answer = client.ssh_host(connector, host).await;
    if let Some(guard) = guard
        && guard.doubts().await
    {
        return in_doubt(client, (connector, host), (folder, check), &answer?).await;
    }
    let files = match answer {
        Err(error) if error.code() == Some(ProblemCode::Refusal(Code::NotFound)) => {
            empty(folder)?;
            return Err(Failure::error(format!(
                "{error}; so this host lets nobody in by Daypass any more: its principals are gone"
            ))
            .hint("name it in the policy, or take the three lines out of sshd_config"));
        }
        answer => answer?,
    };
    write(folder, &files)?;
    let version = files.version;
    if acknowledged == Some(version) {
        return Ok(InPlace {
            version,
            unread: None,
            untrusted: None,
        });
    }
    let users = || files.principals.keys().map(String::as_str);
    let unread = check.list(&folder.join(LIST), users()).await.err();
    // A server that says nothing of several authorities wants to hear nothing of them.
    let untrusted = match files.authorities.is_empty() {
        true => None,
        false => check.authorities(&folder.join(AUTHORITIES), users()).await.err(),
    };
    if unread.is_none() {
        let authorities = match untrusted {
            Some(_) => Vec::new(),
            None => files.authorities,
        };
        let said = Acknowledge { version, authorities };
        client.ssh_acknowledge(connector, host, &said).await?;
    }
    Ok(InPlace {
        version,
        unread,
        untrusted,
    })
}

/// The server's log is not the one that was seen: what it says is revoked is refused here too, and all else stays as it is. That is said of
/// the list alone.
async fn in_doubt(
    client: &Client,
    (connector, host): (&Name, &str),
    (folder, check): (&Path, &Check),
    files: &HostFiles,
) -> Result<InPlace, Failure> {
    let list = folder.join(LIST);
    let shown = STANDARD.decode(&files.krl).unwrap_or_default();
    let there = std::fs::read(&list).map_err(|error| cannot("read", &list, &error))?;
    let joined = doubt::joined(&there, &shown).ok_or_else(|| {
        Failure::error(
            "the revocation lists, the one here and the server's, cannot be joined; nothing was changed",
        )
    })?;
    replace(&list, &joined)?;
    let version = files.version;
    let users = files.principals.keys().map(String::as_str);
    let unread = check.list(&list, users).await.err();
    if unread.is_none() {
        let authorities = Vec::new();
        let said = Acknowledge { version, authorities };
        client.ssh_acknowledge(connector, host, &said).await?;
    }
    let why = "the server's log is not the one that was seen before. What it revokes is refused here too, and whom this host lets in stays as it was";
    Ok(InPlace {
        version,
        unread,
        untrusted: Some(why.to_owned()),
    })
}

/// Lets nobody in any more: without principals a certificate opens no user.
fn empty(folder: &Path) -> Result<(), Failure> {
    let principals = folder.join(PRINCIPALS);
    let there = match std::fs::read_dir(&principals) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        there => there.map_err(|error| cannot("read", &principals, &error))?,
    };
    for entry in there {
        let path = entry.map_err(|error| cannot("read", &principals, &error))?.path();
        std::fs::remove_file(&path).map_err(|error| cannot("remove", &path, &error))?;
    }
    Ok(())
}

/// Puts everything in place: the revoked first, whom to trust last. sshd reads each file anew at each login.
fn write(folder: &Path, files: &HostFiles) -> Result<(), Failure> {
    let krl = STANDARD
        .decode(&files.krl)
        .ok()
        .filter(|krl| krl.starts_with(KRL));
    let krl = krl.ok_or_else(|| Failure::error("the server sent no revocation list; nothing was changed"))?;
    let authorities = match files.authorities.as_slice() {
        [] => std::slice::from_ref(&files.authority),
        several => several,
    };
    let none = files.authority.is_empty();
    let is_line = |line: &String| line.trim_end().lines().count() == 1 && line.starts_with("ssh-ed25519 ");
    if !none && (authorities.len() > MOST_TRUSTED || !authorities.iter().all(is_line)) {
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
    let principals = folder.join(PRINCIPALS);
    let made = DirBuilder::new().recursive(true).mode(0o755).create(&principals);
    made.map_err(|error| cannot("make", &principals, &error))?;
    // sshd reads principals as the user who logs in; root's umask may be 077.
    readable(folder, 0o755)?;
    readable(&principals, 0o755)?;
    replace(&folder.join(LIST), &krl)?;
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
    if none {
        return Ok(());
    }
    let lines: String = authorities
        .iter()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect();
    replace(&folder.join(AUTHORITIES), lines.as_bytes())
}

/// Writes beside, makes it durable and moves it over; does nothing where it is so already.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if std::fs::read(path).is_ok_and(|there| there == bytes) {
        return readable(path, 0o644);
    }
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(&beside)
        .and_then(|mut file| {
            file.set_permissions(Permissions::from_mode(0o644))?;
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

/// Sets the mode, whatever the umask took away.
fn readable(path: &Path, mode: u32) -> Result<(), Failure> {
    let set = std::fs::metadata(path).and_then(|meta| {
        if meta.permissions().mode() & 0o7777 == mode {
            return Ok(());
        }
        std::fs::set_permissions(path, Permissions::from_mode(mode))
    });
    set.map_err(|error| cannot("set the mode of", path, &error))
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
            authorities: Vec::new(),
            version: 3,
            krl: STANDARD.encode(KRL),
            principals: [("deploy".into(), ["deploy@web-1".into()].into())].into(),
        }
    }

    #[test]
    fn others_can_read_it_whatever_the_umask_was() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |name: &str| {
            let meta = std::fs::metadata(dir.path().join(name)).unwrap();
            meta.permissions().mode() & 0o777
        };
        let all = ["", "principals", "principals/deploy", "ca.pub", "revoked.krl"];
        // tempfile makes 0700; the rest is made narrow by hand between the two, with the same contents.
        for _ in 0..2 {
            write(dir.path(), &files()).unwrap();
            assert_eq!(all.map(mode), [0o755, 0o755, 0o644, 0o644, 0o644]);
            for name in all.iter().rev() {
                let path = dir.path().join(name);
                let narrow = if path.is_dir() { 0o700 } else { 0o600 };
                std::fs::set_permissions(&path, Permissions::from_mode(narrow)).unwrap();
            }
        }
    }

    #[test]
    fn without_an_authority_the_list_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &files()).unwrap();
        let longer = [KRL, b"more"].concat();
        let without = HostFiles {
            authority: String::new(),
            krl: STANDARD.encode(&longer),
            ..files()
        };
        write(dir.path(), &without).unwrap();
        assert_eq!(std::fs::read(dir.path().join(LIST)).unwrap(), longer);
        let authority = std::fs::read_to_string(dir.path().join("ca.pub")).unwrap();
        assert_eq!(authority, files().authority, "what it trusts stays");
    }

    #[test]
    fn a_host_trusts_two_while_one_follows_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let two = HostFiles {
            authorities: vec![files().authority, "ssh-ed25519 BBBB daypass fleet next\n".into()],
            ..files()
        };
        write(dir.path(), &two).unwrap();
        let authority = std::fs::read_to_string(dir.path().join(AUTHORITIES)).unwrap();
        assert_eq!(authority, two.authorities.concat());
        write(dir.path(), &files()).unwrap();
        let authority = std::fs::read_to_string(dir.path().join(AUTHORITIES)).unwrap();
        assert_eq!(authority, files().authority, "and then one again");
    }

    #[test]
    fn a_host_that_left_lets_nobody_in() {
        let dir = tempfile::tempdir().unwrap();
        empty(dir.path()).unwrap();
        write(dir.path(), &files()).unwrap();
        empty(dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path().join(PRINCIPALS)).unwrap().count(), 0);
        assert!(dir.path().join(LIST).exists(), "what was revoked stays refused");
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
            |files| files.authorities = vec!["ssh-ed25519 AAAA a\nssh-ed25519 BBBB b\n".into()],
            |files| files.authorities = vec!["ssh-ed25519 AAAA a\n".into(), "cert-authority".into()],
            |files| files.authorities = vec!["ssh-ed25519 AAAA a\n".into(); 4],
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
