//! `why`: the auditor's question. Why does this person have access, or why did they?

use clap::Args;
use daypass_api::standing::Standing;
use daypass_api::why::{Held, Phase, Why, WhyQuery};
use daypass_core::name::{Item, Name};

use crate::commands::policy::explain;
use crate::commands::request::When;
use crate::commands::show;
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::{ago, instant};
use crate::line::{Line, Style};

/// Say why somebody has access, or had it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass why ana orders-prod
  daypass why ana orders-prod/write --at 2026-03-07T22:10:00+01:00
  daypass why ana orders-prod -o json

Shows the grants that give it, or gave it then: the request with its reason, the rule and the policy's revision, who agreed when,
since when and until when, and what the target showed. What they have there for good, for auditors and administrators. Where there is none now, what the policy would give.
Auditors and administrators see everybody's, everybody sees their own, and reviewers what they were asked about.
Ends with 3 where there is no such access.")]
pub struct WhyArgs {
    /// Whose access, by login
    #[arg(value_name = "SUBJECT")]
    subject: String,

    /// To what: a resource, or one of its roles
    #[arg(value_name = "RESOURCE[/ROLE]")]
    what: String,

    /// At which instant, in RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<When>,
}

impl WhyArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (resource, role): (Name, Option<Name>) = match self.what.parse::<Item>() {
            Ok(item) => (item.resource, Some(item.role)),
            Err(_) => {
                let resource = self.what.parse();
                (
                    resource.map_err(|error| Failure::usage(format!("{error}")))?,
                    None,
                )
            }
        };
        let query = WhyQuery {
            subject: self.subject,
            resource,
            role,
            at: self.at.map(|at| at.after(edge::now())),
        };
        let answer = context.client()?.why(&query).await?;
        context.out.one(
            &answer,
            || {
                let ids = answer.grants.iter().map(|held| held.grant.id.to_string());
                ids.collect::<Vec<_>>().join("\n")
            },
            || lines(&answer, query.at.is_some()),
        );
        Ok(if answer.grants.is_empty() && answer.standing.is_empty() {
            Exit::NOT_ELIGIBLE
        } else {
            Exit::DONE
        })
    }
}

fn lines(answer: &Why, past: bool) -> Vec<Line> {
    let what = match &answer.role {
        Some(role) => format!("{}/{role}", answer.resource),
        None => answer.resource.to_string(),
    };
    let (has, none) = if past {
        ("had access to", "had no access to")
    } else {
        ("has access to", "has no access to")
    };
    let nothing = answer.grants.is_empty() && answer.standing.is_empty();
    let verb = if nothing { none } else { has };
    let mut lines = vec![
        Line::new()
            .with(Style::Strong, &answer.subject)
            .text(format!(" {verb} "))
            .with(Style::Strong, &what)
            .with(Style::Faint, format!("  {}", instant(answer.at))),
    ];
    lines.extend(answer.standing.iter().map(for_good));
    for held in &answer.grants {
        lines.push(Line::from(""));
        lines.extend(of(held));
    }
    if answer.grants.is_empty() && past {
        let text =
            "What the policy would have given then cannot be told: the directory of that time is not kept.";
        lines.push(Line::new().with(Style::Faint, text));
    }
    if !answer.complete {
        let text = "There are more grants of this person than were looked at: an older one may be missing.";
        lines.push(Line::new().with(Style::Bad, text));
    }
    for other in &answer.otherwise {
        lines.push(Line::from(""));
        lines.extend(explain::lines(other));
    }
    lines
}

/// What they have without Daypass.
fn for_good(one: &Standing) -> Line {
    let by = one
        .by
        .as_ref()
        .map_or_else(String::new, |by| format!(", by {by}"));
    let guess = if one.guessed {
        ", if they are who is called so there"
    } else {
        ""
    };
    Line::new()
        .with(Style::Warn, "for good")
        .text(format!(
            "   {} on {} at {}{by}{guess}",
            one.right, one.on, one.connector
        ))
        .with(Style::Faint, format!("  seen {}", ago(one.seen_at, edge::now())))
}

fn of(held: &Held) -> Vec<Line> {
    let phase = match held.phase {
        Phase::Active => Line::new().with(Style::Good, "active then"),
        Phase::SettingUp => {
            Line::new().with(Style::Warn, "being set up then: some of it may have been there")
        }
        Phase::Ending => Line::new().with(Style::Warn, "ending then: it had not been seen to be gone"),
    };
    let now = edge::now();
    let mut lines = vec![phase];
    lines.extend(show::grant(&held.grant, now));
    lines.extend(show::request(&held.request, now));
    let revision: String = held
        .request
        .policy_revision
        .to_string()
        .chars()
        .take(12)
        .collect();
    lines.push(
        Line::new()
            .with(Style::Faint, format!("{:<10} ", "policy"))
            .text(revision),
    );
    for extension in &held.extensions {
        lines.extend(show::request(extension, now));
    }
    lines
}
