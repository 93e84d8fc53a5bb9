//! `extend`, `release`, `revoke`: what becomes of access that was granted.

use clap::Args;
use daypass_api::Client;
use daypass_api::grant::{Ending, Extend, Revoke};
use daypass_core::time::Span;

use crate::commands::confirm::proving;
use crate::commands::request::{Why, follow};
use crate::commands::{show, ssh};
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;
use crate::human::left;
use crate::line::{Line, Style};

/// Ask for more time on a grant.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass extend G7K2M9 --for 30m --reason \"the restore is at 80%\"
  daypass extend orders-prod --for 30m --wait

More time is a request of its own, reviewed like the first. The rule's limit on the total stays.")]
pub struct ExtendArgs {
    /// The grant, by its (short) id or what it gives
    id: String,

    /// By how much
    #[arg(long = "for", value_name = "TIME")]
    length: Span,

    #[command(flatten)]
    why: Why,

    /// Wait until it is decided, or only so long
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true)]
    wait: Option<Option<Span>>,
}

impl ExtendArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let grant = find::grant(&client, &self.id).await?;
        let extend = Extend {
            duration: self.length,
            reason: self.why.reason,
            ticket: self.why.ticket,
        };
        let asked = async |client: &Client| client.extend(grant.id, &extend).await;
        let request = proving(context, &client, asked).await?;
        follow(context, &client, request, self.wait).await
    }
}

/// Give a grant back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass release                 what you hold, where that is one grant
  daypass release G7K2M9
  daypass release orders-prod")]
pub struct ReleaseArgs {
    /// The grant, by its (short) id or what it gives
    id: Option<String>,
}

impl ReleaseArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let grant = match &self.id {
            Some(id) => find::grant(&client, id).await?,
            None => find::only_grant(&client).await?,
        };
        let ending = client.release(grant.id).await?;
        ssh::forget(context, grant.id);
        show_ending(context, &ending);
        Ok(Exit::DONE)
    }
}

/// End a grant early.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass revoke G7K2M9 --reason \"wrong database\"

Its holder, whoever approved it and administrators may do this. The grant has ended once the target was seen without it.")]
pub struct RevokeArgs {
    /// The grant, by its (short) id
    id: String,

    /// Why; the holder and the auditors read it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl RevokeArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let grant = find::grant(&client, &self.id).await?;
        let ending = client.revoke(grant.id, &Revoke { reason: self.reason }).await?;
        show_ending(context, &ending);
        Ok(Exit::DONE)
    }
}

fn show_ending(context: &Context, ending: &Ending) {
    let now = edge::now();
    let grant = &ending.grant;
    context.out.one(
        ending,
        || grant.id.to_string(),
        || {
            let state = show::grant_state(grant, now);
            let what = format!("  {} of {}: ", show::items(&grant.items), grant.holder);
            vec![
                Line::new()
                    .with(Style::Strong, grant.id.short())
                    .text(what)
                    .with(state.0, state.1),
            ]
        },
    );
    for other in &ending.surviving {
        let until = other
            .expires_at
            .map_or_else(String::new, |at| format!(", {}", left(at, now)));
        let what = format!(
            "grant {} still gives {}{until}",
            other.id.short(),
            show::items(&other.items)
        );
        context.out.warn(Line::new().with(Style::Warn, "! ").text(what));
    }
}
