//! `ssh`, `ssh-config` and what plain ssh calls: a key of the client's own, and certificates for it that last minutes.

mod keep;

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;

use clap::Args;
use daypass_api::Item;
use daypass_api::grant::GrantState;
use daypass_api::ssh::{AskCertificate, Certificate};
use daypass_core::time::Span;
use tokio::process::Command;

use crate::commands::connect::Reach;
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;
use crate::human::left;
use crate::line::{Line, Style};
use keep::Keep;

/// The kind of target that this is the client of.
pub(crate) const KIND: &str = "ssh";

/// A certificate that runs out sooner is not used any more: the login itself takes time.
const FRESH: Span = Span::minutes(1);

/// Log in to a host: ask first if needed, wait, run ssh with a certificate.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass ssh web-1/deploy --reason \"PAY-7\"
  daypass ssh web-1/deploy -- uptime            ssh's own arguments and the command come after --
  daypass ssh web/deploy --host web-2.internal  one of a resource's several hosts

Ends with ssh's own exit code, and with 125 where it could not be started. A session that is open when the grant ends
stays open: a certificate decides about logins, not about what follows them.")]
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

impl SshArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        self.log_in(context)
            .await
            .map_err(|failure| failure.ending(Exit::WRAPPER_FAILED))
    }

    async fn log_in(self, context: &Context) -> Result<Exit, Failure> {
        let (ssh, keep) = (program(&context.env.path, "ssh")?, Keep::open(context).await?);
        let client = context.client()?;
        let grant = self.reach.access(context, &client).await?;
        let part = self.reach.part(&grant)?;
        if part.kind.as_str() != KIND {
            let what = format!("{} is no host to log in to ({})", self.reach.target, part.kind);
            return Err(Failure::error(what).hint(format!("daypass connect {}", self.reach.target)));
        }
        let item = Item {
            resource: part.resource.clone(),
            role: part.role.clone(),
        };
        let ask = AskCertificate {
            public_key: keep.public_key.clone(),
            item: Some(item.clone()),
        };
        let certificate = client.certificate(grant.id, &ask).await?;
        let (host, user) = (self.host(&certificate)?, self.user(&certificate)?);
        let file = keep.certificate(&host, &user, &certificate)?;
        let until = grant
            .expires_at
            .map_or_else(String::new, |at| format!(", {}", left(at, edge::now())));
        context.out.note(
            Line::new()
                .with(Style::Good, "✓ ")
                .text(format!("{user}@{host}{until}")),
        );
        let status = Command::new(&ssh)
            .arg("-i")
            .arg(&keep.key)
            .arg("-o")
            .arg(format!("CertificateFile=\"{}\"", quoted(&file)))
            .args([
                "-o",
                "IdentitiesOnly=yes",
                "-l",
                &user,
                "-p",
                &certificate.port.to_string(),
                &host,
            ])
            .args(&self.args)
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
            (Some(host), hosts) if hosts.contains(host) => Ok(host.clone()),
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
  daypass ssh-config '*.internal' --install       writes ~/.ssh/daypass.conf, which ~/.ssh/config must include
  ssh deploy@web-1.internal                       works from then on while you hold a grant for it

Before each login ssh then has daypass fetch a certificate where the present one runs out within a minute. It does not
ask for access by itself: daypass request or daypass ssh does.")]
pub struct SshConfigArgs {
    /// Hosts, as ssh_config has its patterns
    #[arg(value_name = "PATTERN", required = true)]
    hosts: Vec<String>,

    /// Write it to ~/.ssh/daypass.conf
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
        let program = std::env::current_exe()
            .map_err(|error| Failure::error(format!("where daypass is cannot be told: {error}")))?;
        let folder = keep::folder(context)?;
        let program = program.display().to_string().replace('%', "%%");
        if program.contains(['\'', '"', '\n']) {
            return Err(Failure::error(
                "the path of daypass has quotes, which ssh_config cannot hold",
            ));
        }
        let profile = context
            .global
            .profile
            .as_deref()
            .or(context.env.profile.as_deref());
        let profile = profile.map_or_else(String::new, |name| format!("--profile {name} "));
        let text = format!(
            "# Written by daypass ssh-config. What is asked of daypass here is answered without a question to anybody.\n\
             Match host {} exec \"'{program}' {profile}ssh-certificate --for '%h' --user '%r'\"\n    \
             IdentityFile \"{}\"\n    CertificateFile \"{}/%h_%r-cert.pub\"\n    IdentitiesOnly yes\n",
            self.hosts.join(","),
            quoted(&folder.join(keep::KEY)),
            quoted(&folder),
        );
        if !self.install {
            print(&text)?;
            return Ok(Exit::DONE);
        }
        let home = context
            .env
            .home
            .as_ref()
            .ok_or_else(|| Failure::error("there is no home directory").hint("set HOME"))?;
        let ssh = home.join(".ssh");
        keep::private_dir(&ssh)?;
        let file = ssh.join("daypass.conf");
        keep::replace(&file, text.as_bytes())?;
        let line = "put this at the top of ~/.ssh/config, once:  Include daypass.conf";
        context.out.note(
            Line::new()
                .with(Style::Good, "✓ ")
                .text(file.display().to_string()),
        );
        context.out.note(Line::new().text(line));
        Ok(Exit::DONE)
    }
}

fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let written = std::io::stdout().lock().write_all(text.as_bytes());
    written.map_err(|error| Failure::error(format!("nothing could be printed: {error}")))
}

/// A path inside quotes of ssh_config, where `%` begins a token.
fn quoted(path: &std::path::Path) -> String {
    path.display().to_string().replace('%', "%%")
}

/// Have a fresh certificate at hand for a host; plain ssh calls this.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass ssh-certificate --for web-1.internal --user deploy

Ends with 0 where a certificate is there that lasts for another minute, or was fetched; else it says why not. It never
asks for access.")]
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
        let keep = Keep::open(context).await?;
        if keep.has(&self.host, &self.user, edge::now() + FRESH)? {
            return Ok(Exit::DONE);
        }
        let client = context.client()?;
        let mut over = None;
        for grant in find::live(&client).await? {
            for part in grant
                .entitlements
                .iter()
                .filter(|part| part.kind.as_str() == KIND)
            {
                let item = Item {
                    resource: part.resource.clone(),
                    role: part.role.clone(),
                };
                // Which hosts an item has is known from its first certificate on.
                if keep.rules_out(&item, &self.host, &self.user) {
                    continue;
                }
                if grant.state != GrantState::Active {
                    over = Some(format!(
                        "{item} is {} (grant {})",
                        grant.state.as_str(),
                        grant.id.short()
                    ));
                    continue;
                }
                let ask = AskCertificate {
                    public_key: keep.public_key.clone(),
                    item: Some(item),
                };
                let certificate = client.certificate(grant.id, &ask).await?;
                keep.remember(&certificate)?;
                if certificate.hosts.contains(&self.host) && certificate.users.contains(&self.user) {
                    keep.certificate(&self.host, &self.user, &certificate)?;
                    return Ok(Exit::DONE);
                }
            }
        }
        keep.forget(&self.host, &self.user)?;
        let why = over.unwrap_or_else(|| format!("you hold no grant for {}@{}", self.user, self.host));
        Err(Failure::new(
            Exit::NOT_ELIGIBLE,
            format!("{why}; daypass ls shows what to ask for"),
        ))
    }
}

/// Where a program is.
fn program(path: &OsStr, name: &str) -> Result<PathBuf, Failure> {
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
