//! `ticket closed`: tells that the work for which access was given is over.

use clap::{Args, Subcommand};
use daypass_api::ticket::CloseTicket;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::count;
use crate::line::{Line, Style};

/// What becomes of tickets.
#[derive(Debug, Subcommand)]
pub enum TicketCommand {
    /// Tell that a ticket is closed: what was granted for it may end
    Closed(ClosedArgs),
}

/// Tell that a ticket is closed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass ticket closed PAY-7
  daypass token create jira --scope tickets          a token that can do this and nothing else

For administrators, and for their tokens with the scope tickets. Grants that were asked for with this ticket, by a rule with
end_when: [ticket_closed], end as completed. Requests that still wait are left alone.")]
pub struct ClosedArgs {
    /// The ticket, exactly as it was given with the request
    #[arg(value_name = "NAME")]
    ticket: String,
}

impl TicketCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self::Closed(ClosedArgs { ticket }) = self;
        let client = context.client()?;
        let closed = client.ticket_closed(&CloseTicket { ticket }).await?;
        let names = || {
            let ids: Vec<String> = closed.grants.iter().map(ToString::to_string).collect();
            ids.join("\n")
        };
        context.out.one(&closed, names, || {
            let what = format!(
                "{}: {} ending",
                closed.ticket,
                count(closed.grants.len(), "grant")
            );
            let mut lines = vec![Line::new().with(Style::Good, "✓ ").text(what)];
            lines.extend(
                closed
                    .grants
                    .iter()
                    .map(|id| Line::new().text(format!("  {}", id.short()))),
            );
            lines
        });
        Ok(Exit::DONE)
    }
}
