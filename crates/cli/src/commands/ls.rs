//! `ls`: what there is, what one may ask for, and what it takes.

use clap::Args;
use daypass_api::catalogue::{How, Offer, ResourceQuery};

use crate::context::{Context, pages};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::span;
use crate::line::{Field, Grid, Style};

/// The most offers that are listed.
const MOST: usize = 10_000;

/// List what you may ask for, and what it takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass ls                       everything, with what it takes
  daypass ls --env production
  daypass ls --instant             what you get by asking
  daypass ls orders-prod           the roles of one resource
  daypass ls -o name --instant")]
pub struct LsArgs {
    /// Only this resource
    resource: Option<String>,

    /// Only resources with this label env
    #[arg(long)]
    env: Option<String>,

    /// Only what needs nobody's agreement
    #[arg(long)]
    instant: bool,
}

impl LsArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let offers = pages(MOST, async |cursor| {
            let query = ResourceQuery {
                env: self.env.clone(),
                resource: self.resource.clone(),
                instant: self.instant.then_some(true),
                cursor,
                limit: None,
            };
            client.resources(&query).await
        })
        .await?;
        let grid = grid(&offers, context.out.is_wide());
        let empty = "nothing of the kind; daypass ls shows everything";
        context
            .out
            .list(&offers, |offer| offer.item.to_string(), &grid, empty);
        Ok(Exit::DONE)
    }
}

fn grid(offers: &[Offer], wide: bool) -> Grid {
    let mut head = vec!["RESOURCE/ROLE", "ENV", "TAKES", "UP TO"];
    if wide {
        head.extend(["RULE", "KIND", "LABELS"]);
    }
    let mut grid = Grid::new(head);
    for offer in offers {
        let (takes, max, rule) = match &offer.how {
            How::Instant { rule, max } => {
                (Field(Style::Good, "instant".into()), span(*max), rule.to_string())
            }
            How::Reviewed { rule, max, steps } => (Field::from(takes(steps)), span(*max), rule.to_string()),
            How::Closed { detail, hint, .. } => {
                let hint = hint
                    .as_ref()
                    .map_or_else(String::new, |hint| format!(" ({hint})"));
                (
                    Field(Style::Faint, format!("not for you: {detail}{hint}")),
                    String::from("–"),
                    String::from("–"),
                )
            }
        };
        let takes = match &offer.how {
            // The refusal says it in words.
            How::Closed { .. } => takes,
            _ if offer.break_glass => Field(takes.0, format!("{}; or break-glass", takes.1)),
            _ => takes,
        };
        let mut row = vec![
            Field(Style::Strong, offer.item.to_string()),
            Field::from(offer.env().unwrap_or("–")),
            takes,
            Field::from(max),
        ];
        if wide {
            let labels: Vec<_> = offer
                .labels
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            row.extend([
                Field::from(rule),
                Field::from(offer.kind.to_string()),
                Field::from(labels.join(" ")),
            ]);
        }
        grid.row(row);
    }
    grid
}

/// `1 approval: manager`, `2 steps: manager → security`.
fn takes(steps: &[String]) -> String {
    match steps {
        [one] => format!("1 approval: {one}"),
        _ => format!("{} steps: {}", steps.len(), steps.join(" → ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_takes_is_said_in_words() {
        let offers: Vec<Offer> = serde_json::from_str(
            r#"[
            {"item": {"resource": "orders-staging", "role": "read"}, "kind": "postgres", "labels": {"env": "staging"},
             "how": {"how": "instant", "rule": "self", "max": "8h"}},
            {"item": {"resource": "orders-prod", "role": "write"}, "kind": "postgres", "labels": {"env": "production"},
             "how": {"how": "reviewed", "rule": "prod-write", "max": "2h", "steps": ["manager", "security"]}, "break_glass": true},
            {"item": {"resource": "hr", "role": "read"}, "kind": "postgres", "labels": {},
             "how": {"how": "closed", "code": "not-eligible", "detail": "no rule admits you", "hint": "ask hr-team"}}]"#,
        )
        .unwrap();
        assert_eq!(
            grid(&offers, false).render(false, false),
            [
                "RESOURCE/ROLE        ENV         TAKES                                          UP TO",
                "orders-staging/read  staging     instant                                        8h",
                "orders-prod/write    production  2 steps: manager → security; or break-glass    2h",
                "hr/read              –           not for you: no rule admits you (ask hr-team)  –",
            ]
        );
    }
}
