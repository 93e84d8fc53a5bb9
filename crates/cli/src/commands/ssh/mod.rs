//! `ssh`, `ssh-config` and what plain ssh calls: a key of the client's own, and certificates for it that last minutes.

mod block;
mod gate;
mod include;
mod invoked;
mod keep;
mod pick;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use daypass_api::grant::GrantState;
use daypass_api::ssh::Certificate;
use daypass_api::{Item, ProblemCode};
use daypass_core::id::GrantId;
use daypass_core::refusal::Code;
use daypass_core::time::{Span, Timestamp};
use tokio::process::Command;

use crate::commands::connect::Reach;
use crate::context::Context;
use crate::edge;
use crate::environment::SSH_TO;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;
use crate::human::left;
use crate::line::{Line, Style};
use block::{block, quoted};
pub(crate) use gate::SshThroughArgs;
use include::Included;
use invoked::invoked;
pub(crate) use keep::Keep;
pub(crate) use pick::certified;
use pick::{Picked, for_host, leads, pick};

/// The kind of target that this is the client of.
pub(crate) const KIND: &str = "ssh";

/// A certificate that runs out within a minute is not used any more: the login itself takes time. Of one that lives for less than
/// five minutes it is this part of its life, so that each login does not have another signed.
const FRESH: Span = Span::minutes(1);
const PART: u64 = 5;

/// How long a login waits to hear whether the grant of a certificate that is there is still there. A server that does not answer is
/// not waited for: the host decides.
const ASK: Duration = Duration::from_secs(2);

/// Log in to a host: ask first if needed, wait, run ssh with a certificate.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass ssh web-1/deploy --reason \"PAY-7\"
  daypass ssh web-1/deploy -- uptime            ssh's own arguments and the command come after --
  daypass ssh web/deploy --host web-2.internal  one of a resource's several hosts

Ends with ssh's own exit code, and with 125 where it could not be started. Directly, a session that is open when the grant ends
stays open: a certificate decides about logins, not about what follows them. Through a gateway it ends with the grant.")]
pub struct SshArgs {
    #[command(flatten)]
    reach: Reach,

    /// Which of the resource's hosts
    #[arg(long, value_name = "HOST")]
    host: Option<String>,

    /// Which of the users that the role opens [default: the first]
    #[arg(long, short, value_name = "USER")]
    login: Option<String>,

    /// Arguments for the target's client
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<std::ffi::OsString>,
}

/// ssh with a certificate, to a user of a host; through the gateway that is in front of it, where one is.
pub(crate) fn login(
    ssh: &Path,
    keep: &Keep,
    (certificate, file): (&Certificate, &Path),
    (user, host): (&str, &str),
) -> Command {
    let mut command = Command::new(ssh);
    command.arg("-i").arg(&keep.key).arg("-o");
    command.arg(format!("CertificateFile=\"{}\"", quoted(file)));
    // One that is shared would be used beyond the end of a grant.
    command.args(["-o", "IdentitiesOnly=yes", "-o", "ControlPath=none"]);
    let Some(gateway) = &certificate.gateway else {
        command.args(["-l", user, "-p", &certificate.port.to_string(), host]);
        return command;
    };
    let known = quoted(&file.with_extension(keep::GATEWAY));
    command.args(["-o", "StrictHostKeyChecking=yes", "-o"]);
    command.arg(format!("UserKnownHostsFile=\"{known}\""));
    command.args(["-o", "GlobalKnownHostsFile=/dev/null", "-o"]);
    command.arg(format!("HostKeyAlias={}", gate::ALIAS));
    let at_gateway = gate::user(certificate, user, host);
    command.args(["-l", &at_gateway, "-p", &gateway.port.to_string(), &gateway.host]);
    command
}

impl SshArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        self.log_in(context)
            .await
            .map_err(|failure| failure.ending(Exit::WRAPPER_FAILED))
    }

    async fn log_in(self, context: &Context) -> Result<Exit, Failure> {
        let (ssh, keep) = (program(&context.env.path, "ssh")?, Keep::open(context).await?);
        for name in self.host.iter().chain(&self.login) {
            keep::plain_name(name)?;
        }
        let client = context.client()?;
        let no_host = |kind: &str| {
            let what = format!("{} is no host to log in to ({kind})", self.reach.target);
            Failure::error(what).hint(format!("daypass connect {}", self.reach.target))
        };
        self.reach.before_asking(&client, KIND, no_host).await?;
        let grant = self.reach.access(context, &client).await?;
        let part = self.reach.part(&grant)?;
        if part.kind.as_str() != KIND {
            return Err(no_host(part.kind.as_str()));
        }
        let item = Item {
            resource: part.resource.clone(),
            role: part.role.clone(),
        };
        let certificate = certified(&client, &keep, (grant.id, &item), edge::now()).await?;
        let (host, user) = (self.host(&certificate)?, self.user(&certificate)?);
        // ssh takes for an option of its own what begins like one, wherever it comes from.
        for name in [&host, &user] {
            keep::plain_name(name)?;
        }
        let file = keep.for_item(grant.id, &certificate)?;
        let until = grant
            .expires_at
            .map_or_else(String::new, |at| format!(", {}", left(at, edge::now())));
        context.out.note(
            Line::new()
                .with(Style::Good, "✓ ")
                .text(format!("{user}@{host}{until}")),
        );
        let status = login(&ssh, &keep, (&certificate, &file), (&user, &host))
            .args(&self.args)
            // Where plain ssh is set up too, it would offer a certificate of its own choice beside this one.
            .env(SSH_TO, destination(&user, &host))
            .status()
            .await
            .map_err(|error| Failure::error(format!("{} cannot be started: {error}", ssh.display())))?;
        let code = status
            .code()
            .or_else(|| status.signal().map(|signal| 128 + signal));
        Ok(code
            .and_then(|code| u8::try_from(code).ok())
            .map_or(Exit::WRAPPER_FAILED, Exit::of_child))
    }

    fn host(&self, certificate: &Certificate) -> Result<String, Failure> {
        let known = certificate.hosts.join(", ");
        match (&self.host, certificate.hosts.as_slice()) {
            (Some(host), hosts) if leads(hosts, host) => Ok(host.to_ascii_lowercase()),
            (Some(host), _) => Err(Failure::usage(format!(
                "{} has no host {host}; it has {known}",
                self.reach.target
            ))),
            (None, [only]) => Ok(only.clone()),
            (None, _) => Err(Failure::usage(format!("{} has several hosts", self.reach.target))
                .hint(format!("say which with --host: {known}"))),
        }
    }

    fn user(&self, certificate: &Certificate) -> Result<String, Failure> {
        let wanted = self.login.as_ref().or(certificate.users.first());
        let found = wanted.filter(|user| certificate.users.contains(user));
        found.cloned().ok_or_else(|| {
            let what = format!("{} does not open that user", self.reach.target);
            Failure::usage(what).hint(format!("it opens {}", certificate.users.join(", ")))
        })
    }
}

/// Print what lets plain ssh, scp, rsync and Ansible use your grants.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass ssh-config '*.internal'                 prints it
  daypass ssh-config '*.internal' --install       writes ~/.ssh/daypass.conf; ~/.ssh/config must include it first
  ssh deploy@web-1.internal                       works from then on while you hold a grant for it

Before each login ssh then has daypass fetch a certificate where the present one runs out within a minute, or has less than
a fifth of its life left. It does not ask for access by itself: daypass request or daypass ssh does.")]
pub struct SshConfigArgs {
    /// Hosts, as ssh_config has its patterns
    #[arg(value_name = "PATTERN", required = true)]
    hosts: Vec<String>,

    /// Write it to ~/.ssh/daypass.conf, and say what ~/.ssh/config lacks (or make it, where there is none)
    #[arg(long)]
    install: bool,
}

impl SshConfigArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let fits = |c: char| c.is_ascii_alphanumeric() || ".-:*?!_".contains(c);
        if let Some(odd) = self
            .hosts
            .iter()
            .find(|host| host.is_empty() || !host.chars().all(fits))
        {
            return Err(Failure::usage(format!(
                "{odd:?} is no pattern of hosts, such as '*.internal'"
            )));
        }
        if let Some(server) = &context.global.server {
            let what = format!(
                "plain ssh would not know that {server} is meant: what it runs is given a profile only"
            );
            return Err(Failure::usage(what).hint(format!(
                "daypass login --server {server} --profile NAME, then daypass ssh-config --profile NAME"
            )));
        }
        let program = std::env::current_exe()
            .map_err(|error| Failure::error(format!("where daypass is cannot be told: {error}")))?;
        let program = invoked(context.env.called.as_deref(), &context.env.path, &program);
        let folder = keep::folder(context)?;
        let program = program.display().to_string().replace('%', "%%");
        if format!("{program}{}", folder.display()).contains(['\'', '"', '\n']) {
            return Err(Failure::error(
                "the path of daypass, or of its own files, has quotes, which ssh_config cannot hold",
            ));
        }
        let profile = context
            .global
            .profile
            .as_deref()
            .or(context.env.profile.as_deref());
        let profile = profile.map_or_else(String::new, |name| format!(" --profile {name}"));
        let program = format!("'{program}'{profile}");
        let text = block(&program, &self.hosts, &folder.join(keep::KEY), &folder);
        if !self.install {
            print(&text)?;
            return Ok(Exit::DONE);
        }
        install(context, &text)?;
        Ok(Exit::DONE)
    }
}

/// Writes it beside `~/.ssh/config`, and sees to it that this one includes it, or says what is to be done.
fn install(context: &Context, text: &str) -> Result<(), Failure> {
    let home = context
        .env
        .home
        .as_ref()
        .ok_or_else(|| Failure::error("there is no home directory").hint("set HOME"))?;
    let ssh = home.join(".ssh");
    keep::private_dir(&ssh)?;
    let file = ssh.join(include::FILE);
    keep::replace(&file, text.as_bytes())?;
    context.out.note(
        Line::new()
            .with(Style::Good, "✓ ")
            .text(file.display().to_string()),
    );
    let config = ssh.join("config");
    let text = match std::fs::read(&config) {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            return Err(
                Failure::error(format!("{} cannot be read: {error}", config.display()))
                    .hint("its first line must be: Include daypass.conf"),
            );
        }
    };
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
        keep::replace(&config, format!("Include {}\n", include::FILE).as_bytes())?;
        let made = format!("{}, which includes it", config.display());
        context.out.note(Line::new().with(Style::Good, "✓ ").text(made));
        return Ok(());
    };
    let included = include::included(&text);
    lines(included)
        .into_iter()
        .for_each(|line| context.out.note(line));
    Ok(())
}

/// What is still to be done so that ssh reads it before everything else. The file is its owner's: nothing is put into it.
fn lines(included: Included) -> Vec<Line> {
    let what = match included {
        Included::First => {
            return vec![
                Line::new()
                    .with(Style::Good, "✓ ")
                    .text("~/.ssh/config includes it first"),
            ];
        }
        Included::Late(line) => format!(
            "~/.ssh/config includes it on line {line}, below other lines; ssh takes the first value that it finds, and below a \
             Host or Match an Include counts only there. Take it out of that line, and put it at the top:"
        ),
        Included::No => {
            String::from("~/.ssh/config does not include it yet. It must stand before every other line:")
        }
    };
    let command = format!(
        "  sed -i.bak -e '1i\\' -e 'Include {}' ~/.ssh/config",
        include::FILE
    );
    vec![
        Line::new().with(Style::Warn, "! ").text(what),
        Line::new().text(command),
    ]
}

fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let written = std::io::stdout().lock().write_all(text.as_bytes());
    written.map_err(|error| Failure::error(format!("nothing could be printed: {error}")))
}

/// Have a fresh certificate at hand for a host; plain ssh calls this.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass ssh-certificate --for web-1.internal --user deploy

Ends with 0 where a certificate is there that lasts for a while (a minute, or a fifth of its life) and whose grant is still
there, or where one was fetched; else it says why not. It never asks for access. For daypass ssh, which brings a certificate of the
role that was named, it ends with 3 and says nothing.")]
pub struct SshCertificateArgs {
    /// The host
    #[arg(long = "for", value_name = "HOST")]
    host: String,

    /// The user there
    #[arg(long, value_name = "USER")]
    user: String,
}

impl SshCertificateArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        if context.env.ssh_to == Some(destination(&self.user, &self.host)) {
            // Not a word: nothing is wrong, and `daypass ssh` has said what it does.
            return Ok(Exit::NOT_ELIGIBLE);
        }
        let keep = Keep::open(context).await?;
        let to = (self.host.as_str(), self.user.as_str());
        if let Some(grant) = keep.has(to.0, to.1, edge::now())?
            && may_be_there(context, grant).await
        {
            return Ok(Exit::DONE);
        }
        let client = context.client()?;
        let grants = find::live(&client).await?;
        let ids: Vec<_> = grants.iter().map(|grant| grant.id).collect();
        keep.only(&ids);
        let why = match pick(&client, &keep, &grants, to, edge::now()).await? {
            Picked::Certificate(grant, certificate) => {
                let certificate = for_host(&client, &keep, (grant, *certificate), to.0).await?;
                keep.certificate(to, grant, &certificate)?;
                return Ok(Exit::DONE);
            }
            Picked::Nothing(why) => why,
        };
        keep.forget(to.0, to.1)?;
        Err(why.unwrap_or_else(|| {
            let none = format!("you hold no grant for {}@{}", self.user, self.host);
            Failure::new(Exit::NOT_ELIGIBLE, none).hint("daypass ls shows what to ask for")
        }))
    }
}

/// How a destination is told from others: names of hosts have no case.
fn destination(user: &str, host: &str) -> String {
    format!("{user}@{}", host.to_ascii_lowercase())
}

/// Whether a grant may still be there: only the server's word that it is not counts against it.
async fn may_be_there(context: &Context, grant: GrantId) -> bool {
    let Ok(client) = context.client() else {
        return true;
    };
    match edge::at_most(ASK, client.grant(&grant.to_string())).await {
        Some(Ok(grant)) => grant.state == GrantState::Active,
        Some(Err(error)) => error.code() != Some(ProblemCode::Refusal(Code::NotFound)),
        None => true,
    }
}

/// Takes away what is kept here of a grant that was given back. What cannot be taken away is of no use, and plain ssh asks.
pub(crate) fn forget(context: &Context, grant: GrantId) {
    if let Ok(folder) = keep::folder(context) {
        let _ = keep::forget_grant(&folder, grant);
    }
}

/// Whether a certificate still serves a login that begins now.
fn lasts((after, before): (Timestamp, Timestamp), now: Timestamp) -> bool {
    let part = Span::from_micros(before.since(after).micros() / PART);
    now + part.min(FRESH) < before
}

/// Where a program is.
pub(crate) fn program(path: &OsStr, name: &str) -> Result<PathBuf, Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let is_program = |file: &PathBuf| {
        std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let found = std::env::split_paths(path)
        .map(|folder| folder.join(name))
        .find(is_program);
    found.ok_or_else(|| {
        Failure::error(format!("{name} is not installed (or not in PATH)"))
            .hint("apt install openssh-client, or your system's package of the same kind")
    })
}
