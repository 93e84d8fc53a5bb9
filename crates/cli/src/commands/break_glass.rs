//! `break-glass` and `review`: taking access in an emergency, and looking back at it.

use clap::Args;
use daypass_api::Client;
use daypass_api::break_glass::Acknowledge;
use daypass_api::request::{NewRequest, Request};
use daypass_core::environment::Wanted;
use daypass_core::time::Span;

use crate::commands::confirm::proving;
use crate::commands::request::{Ways, asked, follow, preview};
use crate::commands::review::seen_and_meant;
use crate::commands::show;
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;
use crate::line::{Line, Style};

/// Take access in an emergency.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass break-glass orders-prod/write --reason \"checkout is down, PAY-7\"
  daypass break-glass env:production/repair --reason \"nothing answers\"      all that it stands for, at once
  daypass break-glass orders-prod/write --dry-run          who would have to look at it afterwards
  daypass break-glass orders-prod/write --reason \"checkout is down\" --wait && daypass connect orders-prod/write

Nobody has to agree: the access is there at once, where a rule of the policy is for that. It is loud in the log, and
somebody else must look at it afterwards. For what is no emergency there is daypass request.")]
pub struct BreakGlassArgs {
    /// What to take
    #[arg(required = true, value_name = "RESOURCE/ROLE|env:NAME/ROLE")]
    items: Vec<Wanted>,

    /// What is wrong; whoever looks at it afterwards reads it
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    reason: Option<String>,

    /// For how long, from when the access is there [default: what the policy says]
    #[arg(long = "for", value_name = "TIME")]
    length: Option<Span>,

    /// A ticket's name; it is not looked up
    #[arg(long, value_name = "NAME")]
    ticket: Option<String>,

    /// Wait until the access is there, or only so long
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true)]
    wait: Option<Option<Span>>,

    /// Show what would happen; take nothing
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
}

impl BreakGlassArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let dry = self.dry_run.then(|| String::from("dry run"));
        let (items, environments) = asked(self.items);
        let ask = NewRequest {
            items,
            environments,
            duration: self.length,
            start: None,
            reason: self.reason.or(dry),
            ticket: self.ticket,
        };
        if self.dry_run {
            return preview(context, &client, &ask, Ways::BreakGlass).await;
        }
        let asked = async |client: &Client| client.break_glass(&ask).await;
        let request = proving(context, &client, asked).await?;
        let owed = show::owed(&request, edge::now());
        let exit = follow(context, &client, request, self.wait).await?;
        if let Some(owed) = owed {
            context.out.warn(Line::new().with(Style::Warn, "! ").and(owed));
        }
        Ok(exit)
    }
}

/// Record that you looked at what was done in an emergency.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass inbox                                      what waits for you, emergencies included
  daypass review R7K2M9 --comment \"right call; the row is back\"
  daypass review R7K2M9 --comment \"not an emergency\" --revoke

Whoever the rule names may, and never who took the access. You are shown what you review, and are asked once more on a
terminal. One review is enough.")]
pub struct ReviewArgs {
    /// The request, by its (short) id
    id: String,

    /// What you make of it; auditors read it
    #[arg(long, value_name = "TEXT")]
    comment: String,

    /// End the access now, if it has not ended
    #[arg(long)]
    revoke: bool,

    /// Do not ask once more
    #[arg(short, long)]
    yes: bool,
}

impl ReviewArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let request = find::request(&client, &self.id).await?;
        let question = if self.revoke {
            "Record your review, and end the access?"
        } else {
            "Record your review?"
        };
        if !seen_and_meant(context, &request, self.yes, question)? {
            return Err(Failure::error("not recorded"));
        }
        let look = Acknowledge {
            digest: request.digest,
            comment: self.comment,
            revoke: self.revoke,
        };
        let looked = async |client: &Client| client.acknowledge(request.id, &look).await;
        let after = proving(context, &client, looked).await?;
        context
            .out
            .one(&after, || after.id.to_string(), || vec![reviewed(&after)]);
        Ok(Exit::DONE)
    }
}

fn reviewed(request: &Request) -> Line {
    Line::new()
        .with(Style::Good, "✓ ")
        .with(Style::Strong, request.id.short())
        .text(": your review is recorded")
}
