//! `daypass server`: from `server.yaml` to a server that answers, and its orderly end.

mod check;
mod files;

use std::path::PathBuf;

use daypass_engine::Engine;
use daypass_server::config::ServerConfig;

use self::files::Start;
use crate::failure::Failure;
use crate::signal;
use crate::terminal::say;

/// Serve: decide, provision, watch, take away.
#[derive(Debug, clap::Args)]
pub(crate) struct Server {
    /// The operator's file.
    #[arg(short, long, value_name = "FILE", default_value = "server.yaml")]
    config: PathBuf,
    /// Policy files: a folder or one file [default: policy/ and daypass.yaml beside the configuration]
    #[arg(long, value_name = "PATH")]
    policy: Option<PathBuf>,
    /// Read the configuration and the policy, say what is wrong with them, and start nothing.
    #[arg(long)]
    check: bool,
    /// Go on although the store lost some of so many signed entries, as where it was put back from a copy, and end what had not begun; daypass doctor says the number
    #[arg(long, value_name = "SIZE")]
    accept_rollback: Option<u64>,
}

impl Server {
    /// Runs it until it is told to stop.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let mut config = ServerConfig::load(&self.config)?;
        if let Some(size) = self.accept_rollback {
            let key = config.signing_key.as_mut();
            let key = key.ok_or_else(|| {
                Failure::usage(
                    "--accept-rollback is for a log that is signed, and server.yaml has no signing_key",
                )
            })?;
            key.accept_rollback = Some(size);
        }
        let files = files::find(&self.config, self.policy.as_deref());
        if self.check {
            return check::check(&config, &files).await;
        }
        daypass_server::log::install(&config.log);
        let server = daypass_server::Server::start(config, daypass_providers::ALL).await?;
        let ended = match put_in_force(server.engine(), &files).await {
            Ok(()) => serve(&server).await,
            Err(failure) => Err(failure),
        };
        server.stop().await;
        ended
    }
}

/// Serves until told to stop, or until the server cannot do its work any more: the failure makes a supervisor start it
/// anew.
async fn serve(server: &daypass_server::Server) -> Result<(), Failure> {
    tracing::info!(address = %server.address(), "serving");
    say(format!("✓ Daypass answers on {}", server.url()));
    if server.engine().only_takes_away() {
        say(
            "! It only takes access away: its store does not go on from what was signed. Nothing is given before you have looked.\n  \
             Try: daypass doctor (docs/audit.md says what to do)",
        );
    }
    tokio::select! {
        why = signal::told_to_stop() => {
            say(format!("{why}: finishing what is under way"));
            Ok(())
        }
        part = server.broken() => Err(broken(part)),
    }
}

/// A part of a server ended unasked. It cannot do its work without, so it ends too.
pub(crate) fn broken(part: &str) -> Failure {
    Failure::error(format!(
        "{part} ended unasked; a server without it would answer and not do its work, so it stopped"
    ))
    .hint("start it again, and report the error that its log shows before this")
}

/// Puts the operator's policy files in force where they should be.
///
/// A server that has a policy starts, whatever became of the files: what is in force stays. One that has none yet would
/// refuse everybody everything for a reason that nobody sees, so it does not start.
async fn put_in_force(engine: &Engine, files: &[PathBuf]) -> Result<(), Failure> {
    let has_one = engine.store().policy_in_force().await?.is_some();
    let outcome = match files {
        [_, ..] => apply(engine, files).await,
        [] if has_one => Ok(Start::InForce),
        [] => Err(Failure::error(
            "there is no policy: neither policy/ nor daypass.yaml beside the configuration",
        )
        .hint("daypass init writes one to begin with, or name yours with --policy PATH")),
    };
    match outcome {
        Ok(Start::InForce) => Ok(()),
        Ok(Start::Apply) => {
            tracing::info!(revision = %engine.current().policy.revision(), "the policy files are in force now");
            Ok(())
        }
        Ok(Start::Outdated) => {
            tracing::warn!(
                "the policy files were in force before, and somebody has applied another policy since; it stays"
            );
            say(
                "! The policy files are older than the policy in force, which somebody applied since. It stays.\n  \
                 Try: daypass policy apply PATH, to put the files in force again",
            );
            Ok(())
        }
        Err(failure) if has_one => {
            tracing::error!(%failure, "the policy files cannot be put in force; what is in force stays");
            say(failure);
            say("! The policy that was in force stays in force.");
            Ok(())
        }
        Err(failure) => Err(failure),
    }
}

async fn apply(engine: &Engine, paths: &[PathBuf]) -> Result<Start, Failure> {
    let sources = files::read(paths)?;
    let start = files::at_start(engine, &sources).await?;
    if start == Start::Apply {
        engine.load_policy(&sources).await?;
    }
    Ok(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_broke_ends_with_an_error_that_names_the_part() {
        let failure = broken("the reconciler");
        assert_eq!(failure.exit, 1, "a supervisor starts it again");
        assert!(failure.to_string().contains("the reconciler"), "{failure}");
    }
}
