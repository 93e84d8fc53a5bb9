//! `audit accept`: whoever has learned why the server's log is not the one that was seen says so, and goes on from what it shows now.

use std::path::PathBuf;

use clap::Args;
use daypass_api::client::Client;
use serde_json::json;

use super::trust;
use crate::ask;
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::line::{Line, Style};
use crate::pins::{Pin, PinFile, Pinned, Shown, key_of, told};

/// Go on although the server's log is not the one that was seen from here.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass audit accept --reason \"restored from the copy of Friday, said Dana on the phone\"
  daypass audit accept --reason \"another key since Monday\" --key log-key.pub
  daypass audit accept --reason PAY-7 --yes              where nobody can be asked

For who got \"its log went back\", \"its log is another one\" or \"its log is not signed by the key\", and has learned from whoever runs
the server, by another way than through it, what happened; or who made another installation at the same address. From then on what
the server shows now is what must not be gone back behind. What was seen before stays in a file, with the reason: it is signed, and
shows to anybody that there were two logs. Nobody needs to be logged in for it.")]
pub struct AcceptArgs {
    /// Why; it is kept with what was seen before
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// The log's public key, as you got it from the operator; without it, the one that the server shows
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
        })?;
        if self.reason.trim().is_empty() {
            return Err(Failure::usage(
                "why? The reason is kept with what was seen before",
            ));
        }
        // Not the one that looks first: it would refuse.
        let client = context.as_nobody()?;
        let file = PinFile::new(&folder, client.server());
        let now = edge::now();
        let before = file.read();
        let shown = Shown::ask(&client, 0, now).await?;
        let log = match &shown {
            None => None,
            Some(shown) => Some(self.pinned(&client, shown).await?),
        };
        let seen = before
            .as_ref()
            .ok()
            .and_then(|pin| pin.as_ref()?.log.as_ref())
            .and_then(|pinned| Some((pinned, pinned.read().ok()?)));
        for line in told(seen.as_ref(), shown.as_ref()) {
            context.out.note(Line::new().text(line));
        }
        if !self.yes {
            if !context.may_ask() {
                return Err(Failure::usage("nobody can be asked whether that is meant").hint("--yes"));
            }
            if !ask::confirm(context, "From now on the log that is shown is the right one?")? {
                return Err(Failure::error("nothing was changed"));
            }
        }
        let was = match &before {
            Ok(pin) => json!(pin),
            Err(why) => json!({"unreadable": why}),
        };
        let evidence = json!({"accepted": {"at": now, "reason": self.reason}, "before": was, "after": log});
        let kept = file
            .keep_evidence(&evidence, &evidence.to_string())
            .map_err(Failure::error)?;
        let pin = Pin {
            server: file.server.clone(),
            checked_at: now,
            log,
        };
        file.put(&pin).map_err(Failure::error)?;
        context.out.note(Line::new().with(Style::Good, "✓ ").text(format!(
            "what is shown now is pinned; what was seen before is kept in {}",
            kept.display()
        )));
        Ok(Exit::DONE)
    }

    /// The pin that what is shown makes, under the key that was given or is shown.
    async fn pinned(&self, client: &Client, shown: &Shown) -> Result<Pinned, Failure> {
        let keys = match &self.key {
            Some(file) => trust::keys_of(file).map_err(trust::failure)?,
            None => vec![key_of(client).await?],
        };
        let key = shown.signed_by(&keys).ok_or_else(|| {
            Failure::error("what the server shows is not signed by that key").ending(Exit::OTHER_LOG)
        })?;
        shown
            .check(key, None)
            .map_err(|what| Failure::error(what).ending(Exit::OTHER_LOG))?;
        let now = edge::now();
        Ok(Pinned {
            key: key.to_string(),
            given: self.key.is_some(),
            since: now,
            checkpoint: shown.note().to_string(),
            seen_at: now,
            led: Vec::new(),
            beside: false,
        })
    }
}
