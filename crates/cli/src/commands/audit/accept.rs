//! `audit accept`: whoever has learned why the server's log is not the one that was seen says so, and goes on from what it shows now.

use std::path::{Path, PathBuf};

use clap::Args;
use daypass_api::client::Client;
use daypass_core::time::Timestamp;
use serde_json::json;

use super::trust;
use crate::ask;
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::instant;
use crate::line::{Line, Style};
use crate::pins::{ACCEPT, Pin, PinFile, PinGuard, Pinned, Seen, Shown, differences, told};

/// Go on although the server's log is not the one that was seen from here.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass audit accept --reason \"restored from the copy of Friday, said Dana on the phone\"
  daypass audit accept --reason \"another key since Monday\" --key log-key.pub
  daypass audit accept --reason PAY-7 --yes              where nobody can be asked

For who got \"its log went back\", \"its log is another one\" or \"its log is not signed by the key\", and has learned from whoever runs
the server, by another way than through it, what happened; or who made another installation at the same address. It says what differs,
and the key in full: compare that with log-key.pub. From then on what the server shows now is what must not be gone back behind; another key is
taken only from --key or DAYPASS_LOG_KEY. What was seen before stays in a file, with the reason. Nobody needs to be logged in for it. A
host has a memory of its own: daypass ssh-host accept.")]
pub struct AcceptArgs {
    /// Why, and whether to ask.
    #[command(flatten)]
    accepting: Accepting,
}

/// What whoever accepts it says.
#[derive(Debug, Args)]
pub(crate) struct Accepting {
    /// Why; it is kept with what was seen before
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// The log's public key, as you got it from the operator; without it, the one that was seen or that DAYPASS_LOG_KEY has
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Do not ask whether that is meant
    #[arg(long)]
    yes: bool,
}

impl AcceptArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let folder = context.pins().ok_or_else(|| {
            Failure::error("there is no home directory, so nothing was kept that could be gone back behind")
                .hint("on a host: daypass ssh-host accept --reason TEXT")
        })?;
        self.accepting.run(context, &folder, ACCEPT).await
    }
}

/// What was seen, what is shown, and what is pinned if it is accepted.
struct Compared {
    file: PinFile,
    before: Result<Option<Pin>, String>,
    shown: Option<Shown>,
    log: Option<Pinned>,
    /// How they differ, a line each.
    lines: Vec<String>,
    at: Timestamp,
}

impl Accepting {
    /// Goes on from what the server shows now, for whoever keeps their pins in this folder. `command` is how they accept.
    pub(crate) async fn run(&self, context: &Context, folder: &Path, command: &str) -> Result<Exit, Failure> {
        if self.reason.trim().is_empty() {
            return Err(Failure::usage(
                "why? The reason is kept with what was seen before",
            ));
        }
        // Not the one that looks first: it would refuse.
        let client = context.as_nobody()?;
        let compared = self.compared(context, &client, (folder, command)).await?;
        for line in &compared.lines {
            context.out.warn(Line::new().text(line));
        }
        if !self.yes {
            if !context.may_ask() {
                return Err(Failure::usage("nobody can be asked whether that is meant").hint("--yes"));
            }
            if !ask::confirm(context, "From now on the log that is shown is the right one?")? {
                return Err(Failure::error("nothing was changed"));
            }
        }
        let kept = compared.keep(&self.reason)?;
        context.out.note(Line::new().with(Style::Good, "✓ ").text(format!(
            "what is shown now is pinned; what was seen before is kept in {}",
            kept.display()
        )));
        Ok(Exit::DONE)
    }

    async fn compared(
        &self,
        context: &Context,
        client: &Client,
        (folder, command): (&Path, &str),
    ) -> Result<Compared, Failure> {
        let file = PinFile::new(folder, client.server());
        let given = match &self.key {
            Some(file) => trust::keys_of(file).map_err(trust::failure)?,
            None => context.given_keys()?,
        };
        let is_given = !given.is_empty();
        let guard = PinGuard::new(folder, client.server(), given, command, context.out);
        let at = edge::now();
        let before = file.read();
        let pin = before.as_ref().ok().and_then(Option::as_ref);
        let seen: Option<Seen<'_>> = pin
            .and_then(|pin| pin.log.as_ref())
            .and_then(|pinned| Some((pinned, pinned.read().ok()?)));
        let from = seen.as_ref().map_or(0, |(_, seen)| seen.checkpoint.size);
        let shown = Shown::ask(client, from, at).await?;
        let mut lines = told(seen.as_ref().map(|(_, seen)| seen), shown.as_ref());
        let log = match &shown {
            None if is_given => {
                return Err(other_key(
                    "nothing of the server's log is signed, and a key was given",
                    lines,
                ));
            }
            None => None,
            Some(shown) => {
                let log = guard
                    .accepted(client, (seen.as_ref(), shown), self.key.is_some())
                    .await?;
                let wrong = "THE KEY IS ANOTHER ONE: what the server shows is not signed by the key that was seen or given";
                Some(log.ok_or_else(|| other_key(wrong, lines.clone()))?)
            }
        };
        lines.extend(told_of(pin, seen.as_ref(), (shown.as_ref(), log.as_ref())));
        Ok(Compared {
            file,
            shown,
            log,
            lines,
            at,
            before,
        })
    }
}

impl Compared {
    /// Keeps what was seen before, with the reason, and pins what is shown; where the former is.
    fn keep(self, reason: &str) -> Result<PathBuf, Failure> {
        let was = match &self.before {
            Ok(pin) => json!(pin),
            Err(why) => json!({"unreadable": why}),
        };
        let shown = self.shown.map(|shown| shown.note().to_string());
        let evidence = json!({
            "accepted": {"at": self.at, "reason": reason}, "before": was, "after": self.log, "shown": {"checkpoint": shown},
        });
        let kept = self.file.keep_accepted(&evidence).map_err(Failure::error)?;
        let pin = Pin {
            server: self.file.server.clone(),
            checked_at: self.at,
            log: self.log,
            forked: None,
        };
        self.file.put(&pin).map_err(Failure::error)?;
        Ok(kept)
    }
}

/// What must be compared before somebody agrees.
fn told_of(
    pin: Option<&Pin>,
    seen: Option<&Seen<'_>>,
    (shown, log): (Option<&Shown>, Option<&Pinned>),
) -> Vec<String> {
    let mut lines = Vec::new();
    let key = log.and_then(|log| log.key.parse().ok());
    if let Some(key) = &key {
        lines.push(format!("       signed by {key}"));
    }
    if let Some(forked) = pin.and_then(|pin| pin.forked.as_ref()) {
        lines.push(format!(
            "On {} two logs were proved, each signed:",
            instant(forked.at)
        ));
        lines.extend(forked.details.iter().map(|detail| format!("  {detail}")));
    }
    let Some((_, seen)) = seen else {
        if key.is_some() && log.is_some_and(|log| !log.given) {
            lines.push(String::from(
                "No key was seen here before, or it cannot be read: compare this one with log-key.pub, from whoever runs the server",
            ));
        }
        return lines;
    };
    let differ = differences(seen, shown.zip(key.as_ref()));
    if differ.is_empty() {
        lines.push(String::from("It goes on from what was seen"));
    }
    lines.extend(differ);
    lines
}

/// Another key is nothing that one agrees to by the way.
fn other_key(what: &str, lines: Vec<String>) -> Failure {
    let failure = Failure::error(what).ending(Exit::OTHER_LOG).hint(
        "have log-key.pub from whoever runs the server, by another way than through it, and give it: --key log-key.pub",
    );
    failure.with(lines)
}

#[cfg(test)]
mod tests {
    use axum::Router;

    use super::*;
    use crate::context::Global;
    use crate::environment::Environment;
    use crate::pins::tests::{serve_with, shows, signer, size};

    /// Of a service: it has no home.
    fn context(client: &Client) -> Context {
        let env = Environment {
            server: Some(client.server().to_owned()),
            ..Environment::default()
        };
        Context::new(Global::default(), env)
    }

    #[tokio::test]
    async fn a_host_without_a_home_accepts_what_it_keeps_in_its_folder() {
        let (log, client) = serve_with(Router::new()).await;
        let folder = tempfile::tempdir().unwrap();
        let context = context(&client);
        let accepts = async |key: Option<u8>, yes| {
            let key = key.map(|seed| {
                let file = folder.path().join("log-key.pub");
                std::fs::write(&file, format!("{}\n", signer(seed).verifier())).unwrap();
                file
            });
            let reason = String::from("said Dana");
            let accepting = Accepting { reason, key, yes };
            accepting.run(&context, folder.path(), ACCEPT).await
        };
        shows(&log, b"abcdefg", 1);
        accepts(None, true).await.unwrap();
        assert_eq!(size(folder.path(), &client), Some(7));
        shows(&log, b"abcd", 1);
        assert_eq!(accepts(None, false).await.unwrap_err().exit, Exit::USAGE);
        assert_eq!(size(folder.path(), &client), Some(7), "nobody said yes");
        accepts(None, true).await.unwrap();
        assert_eq!(size(folder.path(), &client), Some(4));
        // Another key is not taken by the way.
        shows(&log, b"abcd", 2);
        for key in [None, Some(1), Some(3)] {
            let refused = accepts(key, true).await.unwrap_err();
            assert_eq!(refused.exit, Exit::OTHER_LOG);
            let told: Vec<String> = refused.lines().iter().map(|line| line.render(false)).collect();
            assert!(told.join("\n").contains("--key log-key.pub"), "{told:?}");
        }
        accepts(Some(2), true).await.unwrap();
        let pin = PinFile::new(folder.path(), client.server()).read().unwrap();
        let log_of = pin.unwrap().log.unwrap();
        assert_eq!(
            (log_of.key, log_of.given),
            (signer(2).verifier().to_string(), true)
        );
        *log.lock().unwrap() = None;
        assert_eq!(accepts(Some(2), true).await.unwrap_err().exit, Exit::OTHER_LOG);
    }
}
