//! `exec`: a command with a grant's credentials, and no longer. What it asked for itself it gives back when the command ends.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use daypass_api::Client;
use daypass_api::grant::{AskCredential, Credential, Grant};
use daypass_api::request::Request;
use daypass_api::{Item, ProblemCode};
use daypass_core::refusal::Code;
use daypass_core::time::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::signal::unix::{Signal as Caught, SignalKind, signal};

use super::hosts::{self, On};
use super::{Found, Reach, Target, psql};
use crate::commands::ssh;
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::{instant, left};
use crate::line::{Line, Style};
use crate::wait::{self, Waited};

/// How often it is looked whether the grant is still there.
const LOOK: Duration = Duration::from_secs(2);

/// How long a command that was told to end has for it.
const GRACE: Duration = Duration::from_secs(5);

/// Run a command with a grant's credentials, and give the grant back when it ends.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass exec orders-prod/write --for 15m --reason \"PAY-7\" -- ./migrate.sh
  daypass exec orders-prod/read --no-input --wait 15m -- pg_dump -f orders.sql
  daypass exec orders-prod/read --release -- psql -c 'select 1'      gives it back though it was there before
  daypass exec web/deploy -- systemctl reload nginx                  with ssh, on each host of the resource

Ends with the command's own exit code; with 125 where it did not run, and with 7 where the access ended under it: it is told
to end then (SIGTERM), and killed after 5 s. A grant that was there before stays, unless --release. SIGINT, SIGTERM, SIGHUP
and SIGQUIT are passed on, and the grant is given back all the same.

For hosts that are reached with ssh the command runs there: a table says how it ended on each, and the exit code is 0 where it
ended well on all. What it says is shown with the host's name before each line (on standard error); it gets no input.")]
pub struct ExecArgs {
    #[command(flatten)]
    reach: Reach,

    /// Give the grant back also where it was there before
    #[arg(long)]
    release: bool,

    /// With ssh: on this host of the resource; may be given several times [default: on all]
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,

    /// With ssh: as this user [default: the first that the role opens]
    #[arg(long, short, value_name = "USER")]
    login: Option<String>,

    /// With ssh: on so many hosts at once
    #[arg(long, value_name = "NUMBER", default_value_t = 8)]
    parallel: usize,

    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// The signals that a wrapper passes on.
struct Signals {
    interrupt: Caught,
    terminate: Caught,
    hangup: Caught,
    quit: Caught,
}

impl Signals {
    fn catch() -> Result<Self, Failure> {
        let caught = |kind| {
            signal(kind).map_err(|error| Failure::error(format!("signals cannot be handled: {error}")))
        };
        Ok(Self {
            interrupt: caught(SignalKind::interrupt())?,
            terminate: caught(SignalKind::terminate())?,
            hangup: caught(SignalKind::hangup())?,
            quit: caught(SignalKind::quit())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hangup.recv() => Signal::HUP,
            _ = self.quit.recv() => Signal::QUIT,
        }
    }
}

impl ExecArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        // A wrapper's own failures have one code of their own: the others are its child's.
        self.exec(context)
            .await
            .map_err(|failure| failure.ending(Exit::WRAPPER_FAILED))
    }

    async fn exec(self, context: &Context) -> Result<Exit, Failure> {
        let Self {
            reach,
            release,
            host,
            login,
            parallel,
            command,
        } = self;
        let at_hosts = !host.is_empty() || login.is_some();
        let (client, program) = before(context, &reach, (&command, at_hosts)).await?;
        let mut signals = Signals::catch()?;
        let found = reach.find_or_ask(context, &client).await?;
        let asked = match &found {
            Found::Asked { request, fresh: true } => Some(request.clone()),
            _ => None,
        };
        let waited = tokio::select! {
            waited = reach.until_there(context, &client, found) => waited,
            _ = signals.next() => Err(Failure::error("it was told to end before the access was there")),
        };
        let grant = match waited {
            Ok(grant) => grant,
            Err(failure) => {
                let taken_back = match asked {
                    Some(request) => take_back(context, &client, &request).await,
                    None => false,
                };
                return Err(if taken_back {
                    failure.hint("it was taken back, so that nothing is granted unseen; a longer --wait, or daypass request first")
                } else {
                    failure
                });
            }
        };
        let run = Run {
            context,
            client: &client,
            grant: &grant,
        };
        let on = On {
            hosts: &host,
            user: login.as_deref(),
            at_once: parallel,
        };
        let outcome = match &program {
            None => run.at_hosts(&reach.target, on, &command, &mut signals).await,
            Some(program) => {
                let args = command.get(1..).unwrap_or_default();
                run.command((program, args), &reach.target, &mut signals).await
            }
        };
        if asked.is_some() || release {
            run.give_back(&outcome).await;
        } else if context.may_ask() {
            let id = grant.id.short();
            context.out.note(Line::new().with(
                Style::Faint,
                format!("  you held it before and still do: daypass release {id} gives it back"),
            ));
        }
        outcome
    }
}

/// What would fail in the end fails before anybody is asked for access. The program that is to run here; nothing where the command is for
/// hosts, of which nothing is known here.
async fn before(
    context: &Context,
    reach: &Reach,
    (command, at_hosts): (&[OsString], bool),
) -> Result<(Client, Option<PathBuf>), Failure> {
    let name = command
        .first()
        .ok_or_else(|| Failure::usage("there is no command to run"))?;
    let here = program(&context.env.path, name);
    let client = match (context.client(), here.as_ref()) {
        (Ok(client), _) => client,
        // Whichever is nearer.
        (Err(_), Err(_)) => return here.and(Err(Failure::error("there is no command"))),
        (Err(failure), Ok(_)) => return Err(failure),
    };
    let listed = reach.kind(&client).await?;
    let kind = match &listed {
        Some(_) => listed.clone(),
        None => reach.kind_held(&client).await?,
    };
    let there = kind.is_some_and(|kind| kind.as_str() == ssh::KIND);
    if at_hosts && !there {
        let what = "--host and --login are for hosts that are reached with ssh";
        return Err(Failure::usage(what));
    }
    let program = if there { None } else { Some(here?) };
    match listed {
        Some(kind) if ![psql::KIND, ssh::KIND].contains(&kind.as_str()) => {
            Err(no_client(&reach.target, kind.as_str()))
        }
        _ => Ok((client, program)),
    }
}

fn no_client(target: &Target, kind: &str) -> Failure {
    Failure::error(format!(
        "daypass has no credentials to run a command with for {target} ({kind})"
    ))
    .hint(format!(
        "daypass request {target}, and run it once the access is there"
    ))
}

fn gone(grant: &Grant, target: &Target) -> Failure {
    let id = grant.id.short();
    Failure::error(format!("grant {id} does not give {target} any more"))
}

/// What was asked for and is not waited for any more: taken back, or given back where it was granted at this moment. Whether
/// it was still waiting.
async fn take_back(context: &Context, client: &Client, request: &Request) -> bool {
    let gone = match client.cancel(request.id).await {
        Ok(_) => return true,
        Err(_) => match client.request(&request.id.to_string()).await {
            Ok(request) => match request.grant {
                Some(grant) => client.release(grant).await.map(drop),
                None => return false,
            },
            Err(error) => Err(error),
        },
    };
    match gone {
        Err(error) if error.code() != Some(ProblemCode::Refusal(Code::GrantOver)) => {
            let short = request.id.short();
            let what =
                format!("request {short} could not be taken back ({error}); daypass cancel {short} does");
            context.out.warn(Line::new().with(Style::Warn, "! ").text(what));
        }
        _ => {}
    }
    false
}

/// A grant that is there, and what it is used for.
struct Run<'a> {
    context: &'a Context,
    client: &'a Client,
    grant: &'a Grant,
}

impl Run<'_> {
    /// Runs it on the hosts of the target.
    async fn at_hosts(
        &self,
        target: &Target,
        on: On<'_>,
        command: &[OsString],
        signals: &mut Signals,
    ) -> Result<Exit, Failure> {
        let part = target.part(self.grant).ok_or_else(|| gone(self.grant, target))?;
        let item = Item {
            resource: part.resource.clone(),
            role: part.role.clone(),
        };
        let running = hosts::run(self.context, self.client, (self.grant, &item), on, command);
        tokio::select! {
            ran = running => ran,
            // What runs there is hung up with the connections to it.
            _ = signals.next() => Err(Failure::error("it was told to end before the command had ended everywhere")),
            why = self.until_over() => {
                let what = format!("the access is over ({why}); the command was told to end");
                self.context.out.warn(Line::new().with(Style::Warn, "! ").text(what));
                Ok(Exit::OVER)
            }
        }
    }

    async fn command(
        &self,
        (program, args): (&Path, &[OsString]),
        target: &Target,
        signals: &mut Signals,
    ) -> Result<Exit, Failure> {
        let grant = self.grant;
        let part = target.part(grant).ok_or_else(|| gone(grant, target))?;
        if part.kind.as_str() != psql::KIND {
            return Err(no_client(target, part.kind.as_str()));
        }
        let item = Item {
            resource: part.resource.clone(),
            role: part.role.clone(),
        };
        let ask = AskCredential {
            item: Some(item.clone()),
        };
        let credential: Credential = self.client.credentials(grant.id, &ask).await?;
        let until = grant
            .expires_at
            .map_or_else(String::new, |at| format!(", {}", left(at, edge::now())));
        let line = Line::new().with(Style::Good, "✓ ").text(format!("{item}{until}"));
        self.context.out.note(line);
        let files = psql::write(&credential, &self.context.env.runtime)?;
        let child = psql::command(program, args, files.path())
            .spawn()
            .map_err(|error| Failure::error(format!("{} cannot be started: {error}", program.display())));
        let exit = match child {
            Ok(child) => self.attend(child, signals).await,
            Err(failure) => Err(failure),
        };
        files.close().map_err(|error| {
            Failure::error(format!(
                "the private files of this command are left behind: {error}"
            ))
        })?;
        exit
    }

    /// Stays with the command to its end, or to that of its access.
    async fn attend(&self, mut child: Child, signals: &mut Signals) -> Result<Exit, Failure> {
        let mut watch = std::pin::pin!(self.until_over());
        loop {
            tokio::select! {
                status = child.wait() => return ended(status),
                signal = signals.next() => {
                    // A terminal has told the whole foreground group already; twice is more than was meant.
                    let typed = signal == Signal::INT || signal == Signal::QUIT;
                    if !typed || !self.context.env.interactive {
                        tell(&child, signal);
                    }
                }
                why = &mut watch => {
                    let what = format!("the access is over ({why}); the command is told to end");
                    self.context.out.warn(Line::new().with(Style::Warn, "! ").text(what));
                    tell(&child, Signal::TERM);
                    break;
                }
            }
        }
        if edge::at_most(GRACE, child.wait()).await.is_none() {
            // It ends now, whatever it does.
            let _ = child.kill().await;
        }
        Ok(Exit::OVER)
    }

    /// Waits until the grant is over; why. A server that does not answer tells nothing: the deadline that was last known holds.
    async fn until_over(&self) -> String {
        let id = self.grant.id.to_string();
        let mut expires_at = self.grant.expires_at;
        loop {
            edge::pause(LOOK).await;
            match self.client.grant(&id).await {
                Ok(grant) if grant.state.is_over() => {
                    return grant.ended_reason.unwrap_or_else(|| String::from("ended"));
                }
                Ok(grant) => expires_at = grant.expires_at.or(expires_at),
                Err(_) if expires_at.is_some_and(|at| edge::now() >= at) => return String::from("expired"),
                Err(_) => {}
            }
        }
    }

    /// Gives the grant back. That it is over already is all the better.
    async fn give_back(&self, outcome: &Result<Exit, Failure>) {
        if outcome.as_ref().is_ok_and(|exit| *exit == Exit::OVER) && self.is_over().await {
            return;
        }
        let out = &self.context.out;
        match self.client.release(self.grant.id).await {
            Ok(_) => out.note(Line::new().with(Style::Faint, "  given back")),
            Err(error) if error.code() == Some(ProblemCode::Refusal(Code::GrantOver)) => {}
            Err(error) => {
                let what = not_given_back(&error.to_string(), self.grant.expires_at);
                out.warn(Line::new().with(Style::Warn, "! ").text(what));
            }
        }
    }

    async fn is_over(&self) -> bool {
        let seen = self.client.grant(&self.grant.id.to_string()).await;
        seen.is_ok_and(|grant| grant.state.is_over())
    }
}

fn not_given_back(error: &str, expires_at: Option<Timestamp>) -> String {
    let until = expires_at.map_or_else(
        || String::from("at its deadline"),
        |at| format!("at {}", instant(at)),
    );
    format!("the access could not be given back ({error}); it ends by itself {until}")
}

fn ended(status: std::io::Result<std::process::ExitStatus>) -> Result<Exit, Failure> {
    let status = status.map_err(|error| Failure::error(format!("the command was lost: {error}")))?;
    Ok(psql::exit(status))
}

/// Sends a signal to a command that runs. One that has ended needs none.
fn tell(child: &Child, signal: Signal) {
    let pid = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended at this moment.
        let _ = kill_process(pid, signal);
    }
}

/// The command as a file: as it is written where it names a folder, else from `PATH`.
fn program(path: &OsStr, name: &OsStr) -> Result<PathBuf, Failure> {
    let runs = |file: &Path| {
        std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let written = Path::new(name);
    let mut candidates = if name.as_encoded_bytes().contains(&b'/') {
        vec![written.to_owned()]
    } else {
        std::env::split_paths(path)
            .map(|folder| folder.join(written))
            .collect()
    };
    candidates.retain(|file| runs(file));
    candidates.into_iter().next().ok_or_else(|| {
        let shown: String = name.to_string_lossy().chars().take(80).collect();
        Failure::error(format!(
            "there is no command {shown} (in PATH, or as a file that can be run)"
        ))
    })
}

impl Reach {
    /// Waits for what was found or asked for.
    pub(super) async fn until_there(
        &self,
        context: &Context,
        client: &Client,
        found: Found,
    ) -> Result<Grant, Failure> {
        let waited = match found {
            Found::There(grant) => Waited::There(grant),
            Found::Coming(grant) => wait::until_active(context, client, *grant, self.wait).await?,
            Found::Asked { request, .. } => wait::until_there(context, client, *request, self.wait).await?,
        };
        self.there(waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_is_not_there_is_found_missing_before_anybody_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("job");
        let path = folder.path().as_os_str();
        assert!(program(path, OsStr::new("job")).is_err());
        std::fs::write(&file, "#!/bin/sh\n").unwrap();
        assert!(program(path, OsStr::new("job")).is_err(), "it cannot be run");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(program(path, OsStr::new("job")).unwrap(), file);
        assert_eq!(program(OsStr::new(""), file.as_os_str()).unwrap(), file);
        assert!(program(path, OsStr::new("./no/job")).is_err());
    }

    #[test]
    fn who_cannot_give_back_is_told_when_it_ends() {
        let at = "2026-01-01T10:00:00Z".parse().unwrap();
        let told = not_given_back("the server is away", Some(at));
        assert!(
            told.contains("the server is away") && told.contains("ends by itself at "),
            "{told}"
        );
    }
}
