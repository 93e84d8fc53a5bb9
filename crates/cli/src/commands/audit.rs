//! `audit …`: the trail of everything that happened, and the proof that nobody rewrote it.

pub(crate) mod accept;
pub(crate) mod chain;
mod course;
mod export;
mod fresh;
mod proof;
mod quorum;
mod reader;
mod source;
pub(crate) mod trust;
pub(crate) mod verify;

use clap::{Args, Subcommand};
use daypass_api::Client;
use daypass_api::event::{AuditEvent, AuditQuery, ITSELF};
use daypass_api::page::MAX_LIMIT;
use daypass_core::time::{Span, Timestamp};

use crate::context::{Context, pages};
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find::{self, Kind};
use crate::human::instant;
use crate::line::{Field, Grid, Style};

/// Read the audit trail, and verify it.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List events, the newest last
    Ls(AuditLsArgs),
    /// Check that the log is whole, and what was signed
    Verify(verify::VerifyArgs),
    /// Write a file that proves what happened to a grant
    Proof(proof::ProofArgs),
    /// Write the whole log out, to keep it elsewhere
    Export(export::ExportArgs),
    /// Go on although the server's log is not the one that was seen from here
    Accept(accept::AcceptArgs),
}

impl AuditCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Ls(args) => args.run(context).await,
            Self::Verify(args) => args.run(context).await,
            Self::Proof(args) => args.run(context).await,
            Self::Export(args) => args.run(context).await,
            Self::Accept(args) => args.run(context).await,
        }
    }
}

/// List events, the newest last.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass audit ls                                    the last 50
  daypass audit ls R7K2M9                             one request from first to last, its grant and its targets included
  daypass audit ls --event grant.ended --since 24h
  daypass audit ls --event request --by ana
  daypass audit ls --by daypass --since 1h            what it did by itself: deadlines, targets
  daypass audit ls --since 2026-03-01T00:00:00Z --limit 100000 -o json > march.json

For auditors and administrators.")]
pub struct AuditLsArgs {
    /// Only what happened to this: a (short) id of a request or grant, or the full id of anything
    #[arg(value_name = "ID")]
    about: Option<String>,

    /// Only events of this name (request.approved) or kind (request)
    #[arg(long, value_name = "NAME")]
    event: Option<String>,

    /// Only what this person caused, or daypass itself
    #[arg(long, value_name = "LOGIN")]
    by: Option<String>,

    /// Not before: a time in RFC 3339, or 24h for a day ago
    #[arg(long, value_name = "WHEN")]
    since: Option<Past>,

    /// Before: a time in RFC 3339, or 24h for a day ago
    #[arg(long, value_name = "WHEN")]
    until: Option<Past>,

    /// At most so many: the last ones
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

/// An instant, or a length before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Past {
    At(Timestamp),
    Ago(Span),
}

impl Past {
    pub(crate) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => now - span,
        }
    }
}

impl std::str::FromStr for Past {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ago = text.parse().map(Self::Ago);
        ago.or_else(|_| text.parse().map(Self::At))
            .map_err(|_: daypass_core::time::BadTimestamp| {
                format!("\"{text}\" is no time: write 2026-03-07T22:10:00+01:00, or 24h for a day ago")
            })
    }
}

impl AuditLsArgs {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let now = edge::now();
        let subject = match &self.about {
            Some(text) => Some(full(&client, text).await?),
            None => None,
        };
        let query = AuditQuery {
            name: self.event,
            actor: self.by,
            subject,
            since: self.since.map(|since| since.before(now)),
            until: self.until.map(|until| until.before(now)),
            newest: Some(true),
            cursor: None,
            limit: Some(u32::try_from(self.limit).unwrap_or(MAX_LIMIT).clamp(1, MAX_LIMIT)),
        };
        let mut events = pages(self.limit, async |cursor| {
            client
                .audit_events(&AuditQuery {
                    cursor,
                    ..query.clone()
                })
                .await
        })
        .await?;
        // The newest last: that is where one looks.
        events.reverse();
        let grid = grid(&events, context.out.is_wide());
        context.out.list(
            &events,
            |event| event.seq.to_string(),
            &grid,
            "no event is like that",
        );
        Ok(Exit::DONE)
    }
}

/// The full id of a short one; anything else is what it is.
async fn full(client: &Client, text: &str) -> Result<String, Failure> {
    Ok(match find::kind(text) {
        Some(Kind::Request) => client.request(text).await?.id.to_string(),
        Some(Kind::Grant) => client.grant(text).await?.id.to_string(),
        Some(Kind::Change) => client.change(text).await?.id.to_string(),
        None => text.to_owned(),
    })
}

fn grid(events: &[AuditEvent], wide: bool) -> Grid {
    let mut head = vec!["TIME", "WHO", "EVENT", "ABOUT", "WHAT"];
    if wide {
        head.extend(["SEQ", "LEAF"]);
    }
    let mut grid = Grid::new(head);
    for event in events {
        let is_id = matches!(event.subject.kind.as_str(), "request" | "grant" | "person");
        let short: String = event
            .subject
            .id
            .chars()
            .take(daypass_core::id::SHORT_LEN)
            .collect();
        let about = if wide || !is_id {
            event.subject.id.clone()
        } else {
            short
        };
        let mut row = vec![
            Field::from(instant(event.at)),
            event.actor.as_ref().map_or_else(
                || Field(Style::Faint, ITSELF.into()),
                |actor| actor.as_str().into(),
            ),
            Field::from(event.name.as_str()),
            Field(Style::Strong, about),
            Field::from(event.summary.as_str()),
        ];
        if wide {
            row.extend([
                Field::from(event.seq.to_string()),
                Field(Style::Faint, event.leaf.to_string()),
            ]);
        }
        grid.row(row);
    }
    grid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_an_instant_or_a_length_ago() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let past = |text: &str| text.parse::<Past>().map(|past| past.before(now).to_string());
        assert_eq!(past("24h"), Ok("2026-01-01T00:00:00Z".into()));
        assert_eq!(past("2026-01-01T00:00:00Z"), Ok("2026-01-01T00:00:00Z".into()));
        assert!(past("yesterday").is_err());
    }

    #[test]
    fn an_event_is_one_line() {
        let events: Vec<AuditEvent> = serde_json::from_value(serde_json::json!([
            {"seq": 7, "at": "2026-01-01T00:00:00.5Z", "name": "grant.ended", "summary": "the target was seen\nwithout it",
             "subject": {"kind": "grant", "id": "G0000000000000000"}, "data": {}, "leaf": "00".repeat(32)}]))
        .unwrap();
        let lines = grid(&events, false).render(false, false);
        assert_eq!(
            lines[1],
            "2026-01-01 00:00:00Z  daypass  grant.ended  G00000  the target was seen ⏎ without it"
        );
    }
}
