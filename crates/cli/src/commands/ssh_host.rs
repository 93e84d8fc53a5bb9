//! `ssh-host …`: what runs on a host that trusts a connector's authority.

mod check;
mod doubt;
mod place;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use daypass_api::client::{Error, Guard};
use daypass_api::ssh::{Acknowledge, HostFiles};
use daypass_api::{Client, ProblemCode};
use daypass_core::name::Name;
use daypass_core::refusal::Code;
use daypass_core::time::Span;

use crate::commands::audit::accept::Accepting;
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::line::{Line, Style};
use crate::pins::PinGuard;
use check::Check;
use place::{Contents, Place};

/// Where what sshd reads is written, where nothing is said.
const DIR: &str = "/etc/ssh/daypass";

/// What runs on a host that trusts a connector's authority.
#[derive(Debug, Subcommand)]
pub enum SshHostCommand {
    /// Fetch whom this host lets in and which certificates it refuses, and say that it has
    Sync(SyncArgs),
    /// Go on although the server's log is not the one that this host saw
    Accept(HostAcceptArgs),
}

/// Go on although the server's log is not the one that this host saw.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  DAYPASS_SERVER=https://daypass.example.com daypass ssh-host accept --reason \"restored from the copy of Friday, said Dana\"
  daypass ssh-host accept --dir /etc/ssh/daypass --reason \"another key since Monday\" --key log-key.pub

For the host's administrator, once whoever runs the server has said, by another way than through it, what happened. Until then
ssh-host sync only refuses more. It is daypass audit accept for what the host keeps in its folder; that one is for a user's own.")]
pub struct HostAcceptArgs {
    /// Why, and whether to ask.
    #[command(flatten)]
    accepting: Accepting,

    /// The folder of ssh-host sync
    #[arg(long, value_name = "FOLDER", default_value = DIR)]
    dir: PathBuf,
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
    #[arg(long, value_name = "FOLDER", default_value = DIR)]
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
        match self {
            Self::Sync(args) => args.run(context).await,
            Self::Accept(HostAcceptArgs { accepting, dir }) => {
                let command = accept(&dir);
                accepting.run(context, &Place(&dir).pins(), &command).await
            }
        }
    }
}

/// How the host's administrator accepts what the server shows.
fn accept(dir: &Path) -> String {
    let dir = match dir.to_str() {
        Some(DIR) => String::new(),
        _ => format!(" --dir {}", dir.display()),
    };
    format!("daypass ssh-host accept{dir} --reason TEXT")
}

/// A server, and what looks at its log before it is believed.
struct Server {
    client: Client,
    /// The same without a guard, and the guard.
    looks: Option<(Client, Arc<PinGuard>)>,
}

impl Server {
    /// One whose log is looked at; what was seen is kept with the host's files, whoever runs this and whatever their home is.
    fn watched(context: &Context, place: Place<'_>) -> Result<Self, Failure> {
        let bare = Client::new(&context.connection()?)?;
        let given = context.given_keys()?;
        let command = accept(place.0);
        let guard = PinGuard::new(&place.pins(), bare.server(), given, command, context.out);
        Ok(Self {
            client: bare.clone().guarded(Arc::clone(&guard) as Arc<dyn Guard>),
            looks: Some((bare, guard)),
        })
    }

    /// Whether the log was found to be another one when it was looked at last.
    async fn is_doubted(&self) -> bool {
        match &self.looks {
            Some((_, guard)) => guard.doubts().await,
            None => false,
        }
    }

    /// Whether it is, now.
    async fn is_doubted_now(&self) -> Result<bool, Error> {
        match &self.looks {
            Some((bare, guard)) => guard.doubts_now(bare).await,
            None => Ok(false),
        }
    }
}

impl SyncArgs {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let place = Place(&self.dir);
        let server = Server::watched(context, place)?;
        let check = self.check(&context.env.path);
        let host = (&self.connector, self.host.as_str());
        if self.once {
            let there = sync(&server, host, (place, &check), None).await?;
            self.tell(context, &there);
            return Ok(Exit::DONE);
        }
        let mut before: Option<Result<InPlace, String>> = None;
        loop {
            let last = before.as_ref().and_then(|last| last.as_ref().ok());
            let said = last.and_then(InPlace::acknowledged);
            let now = sync(&server, host, (place, &check), said)
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
            edge::pause(self.every.to_std()).await;
        }
    }

    fn tell(&self, context: &Context, there: &InPlace) {
        let out = &context.out;
        if there.is_read() {
            out.note(Line::new().with(Style::Good, "✓ ").text(there.said()));
        } else {
            out.warn(Line::new().with(Style::Warn, "! ").text(there.said()));
        }
        out.note(Line::new().text("sshd_config must have these lines:"));
        for (name, file) in [
            ("TrustedUserCAKeys", "ca.pub"),
            ("RevokedKeys", "revoked.krl"),
            ("AuthorizedPrincipalsFile", "principals/%u"),
        ] {
            out.line(&Line::new().text(format!("{name} {}", self.dir.join(file).display())));
        }
    }

    fn check(&self, path: &OsStr) -> Check {
        if self.unchecked {
            return Check::Unchecked;
        }
        Check::Ask {
            path: path.to_owned(),
            config: self.sshd_config.clone(),
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
    /// Whether the server's log is in doubt, so that nothing else was taken from it.
    doubted: bool,
}

/// What was acknowledged last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    version: u64,
    /// Of the list alone.
    in_doubt: bool,
}

impl InPlace {
    fn is_read(&self) -> bool {
        self.unread.is_none() && self.untrusted.is_none()
    }

    /// What need not be said again.
    fn acknowledged(&self) -> Option<Said> {
        let is_said = self.is_read() || (self.doubted && self.unread.is_none());
        is_said.then_some(Said {
            version: self.version,
            in_doubt: self.doubted,
        })
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
    let server = Server {
        client: client.clone(),
        looks: None,
    };
    let said = acknowledged.map(|version| Said {
        version,
        in_doubt: false,
    });
    let there = sync(&server, host, (Place(folder), &check), said)
        .await
        .map_err(|failure| failure.told().0.to_owned())?;
    if !there.is_read() {
        return Err(there.said());
    }
    Ok(there.version)
}

/// Fetches, writes, and only then says so, unless that was what it said last.
async fn sync(
    server: &Server,
    host: (&Name, &str),
    (place, check): (Place<'_>, &Check),
    acknowledged: Option<Said>,
) -> Result<InPlace, Failure> {
    let client = &server.client;
    let answer = client.ssh_host(host.0, host.1).await;
    if server.is_doubted().await {
        return in_doubt(client, host, (place, check), (&answer?, acknowledged)).await;
    }
    let files = match answer {
        Err(error) if error.code() == Some(ProblemCode::Refusal(Code::NotFound)) => {
            if !place.users()?.is_empty() && server.is_doubted_now().await? {
                return Err(error.into());
            }
            place.empty()?;
            return Err(Failure::error(format!(
                "{error}; so this host lets nobody in by Daypass any more: its principals are gone"
            ))
            .hint("name it in the policy, or take the three lines out of sshd_config"));
        }
        answer => answer?,
    };
    let contents = Contents::of(&files)?;
    let version = files.version;
    let went_back = acknowledged.is_some_and(|said| said.version > version);
    // A look is good for a minute, and yesterday's list would let people in before that is over: so nothing is changed without another.
    if (went_back || !place.has(&contents)) && server.is_doubted_now().await? {
        return in_doubt(client, host, (place, check), (&files, acknowledged)).await;
    }
    place.write(&contents)?;
    if acknowledged.is_some_and(|said| said.version == version && !said.in_doubt) {
        return Ok(InPlace {
            version,
            unread: None,
            untrusted: None,
            doubted: false,
        });
    }
    let users = || files.principals.keys().map(String::as_str);
    let unread = check.list(&place.list(), users()).await.err();
    // A server that says nothing of several authorities wants to hear nothing of them.
    let untrusted = match files.authorities.is_empty() {
        true => None,
        false => check.authorities(&place.authorities(), users()).await.err(),
    };
    if unread.is_none() {
        let authorities = match untrusted {
            Some(_) => Vec::new(),
            None => files.authorities,
        };
        let said = Acknowledge { version, authorities };
        client.ssh_acknowledge(host.0, host.1, &said).await?;
    }
    Ok(InPlace {
        version,
        unread,
        untrusted,
        doubted: false,
    })
}

/// The server's log is not the one that was seen: what it says is revoked is refused here too, and all else stays as it is. That is said of
/// the list alone.
async fn in_doubt(
    client: &Client,
    (connector, host): (&Name, &str),
    (place, check): (Place<'_>, &Check),
    (files, acknowledged): (&HostFiles, Option<Said>),
) -> Result<InPlace, Failure> {
    let is_new = place.join(files)?;
    let version = files.version;
    let is_said = acknowledged.is_some_and(|said| said.version == version && said.in_doubt);
    // Those whom it lets in, not those whom the server names now.
    let users = place.users()?;
    let unread = match is_said && !is_new {
        true => None,
        false => {
            let users = users.iter().map(String::as_str);
            check.list(&place.list(), users).await.err()
        }
    };
    if unread.is_none() && (is_new || !is_said) {
        let authorities = Vec::new();
        let said = Acknowledge { version, authorities };
        client.ssh_acknowledge(connector, host, &said).await?;
    }
    let why = "the server's log is not the one that was seen before. What it revokes is refused here too, and whom this host lets in stays as it was";
    Ok(InPlace {
        version,
        unread,
        untrusted: Some(why.to_owned()),
        doubted: true,
    })
}

#[cfg(test)]
mod tests;
