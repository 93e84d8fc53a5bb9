//! `policy log` and `policy diff`: which policies were in force, and what differs between two of them.

use clap::Args;
use daypass_api::Client;
use daypass_api::policy::{DiffQuery, FileDiff, PolicyDiff, PolicyRevision, RevisionQuery};
use daypass_core::text::Hash;

use crate::context::{Context, pages};
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::{ago, count};
use crate::line::{Field, Grid, Line, Style};

/// The most revisions that are looked at.
const MOST: usize = 1_000;
/// How much of a revision is shown, and what is typed of it at least.
const SHORT: usize = 12;
const SHORTEST: usize = 4;

/// List the policies that were put in force, newest first.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass policy log
  daypass policy log -o json | jq -r '.[0].revision'

For auditors and administrators. Who agreed to a change, and what it meant, is in the audit log: daypass audit ls --name policy.applied")]
pub struct LogArgs {
    /// How many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

/// Say what differs between two policies that were put in force.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass policy diff                     what the last change changed
  daypass policy diff 3f9a                from that one to what is in force
  daypass policy diff 3f9a 81c2           from the one to the other

First what it means, then line by line. A revision is named by its first characters, as daypass policy log shows them.
For auditors and administrators.")]
pub struct DiffArgs {
    /// From which revision [default: the one before]
    from: Option<String>,

    /// To which [default: the one in force]
    to: Option<String>,
}

impl LogArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let all = revisions(&context.client()?, self.limit.clamp(1, MOST)).await?;
        let now = edge::now();
        let mut grid = Grid::new(["REVISION", "IN FORCE SINCE", "BY", ""]);
        for one in &all {
            let mark = if one.in_force { "in force" } else { "" };
            grid.row([
                Field(Style::Strong, short(one.revision)),
                Field::from(ago(one.applied_at, now)),
                Field::from(one.by.as_str()),
                Field(Style::Good, mark.to_owned()),
            ]);
        }
        context.out.list(
            &all,
            |one| one.revision.to_string(),
            &grid,
            "no policy was put in force yet",
        );
        Ok(Exit::DONE)
    }
}

impl DiffArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let all = revisions(&client, MOST).await?;
        let query = DiffQuery {
            from: match &self.from {
                Some(typed) => found(&all, typed)?,
                None => before_the_last(&all)?,
            },
            to: match &self.to {
                Some(typed) => found(&all, typed)?,
                None => client.policy().await?.revision,
            },
        };
        let diff = client.policy_diff(&query).await?;
        context.out.one(
            &diff,
            || {
                let names = diff.files.iter().map(|file| file.name.clone());
                names.collect::<Vec<_>>().join("\n")
            },
            || lines(&diff),
        );
        Ok(Exit::DONE)
    }
}

async fn revisions(client: &Client, most: usize) -> Result<Vec<PolicyRevision>, Failure> {
    pages(most, async |cursor| {
        let query = RevisionQuery { cursor, limit: None };
        client.policy_revisions(&query).await
    })
    .await
}

/// What was in force before what is.
fn before_the_last(all: &[PolicyRevision]) -> Result<Hash, Failure> {
    let before = all.iter().find(|one| !one.in_force).map(|one| one.revision);
    before.ok_or_else(|| Failure::error("there was no other policy before this one"))
}

/// The one revision that begins so.
fn found(all: &[PolicyRevision], typed: &str) -> Result<Hash, Failure> {
    let typed = typed.to_ascii_lowercase();
    if typed.len() < SHORTEST {
        return Err(Failure::usage(format!(
            "type at least {SHORTEST} characters of a revision"
        )));
    }
    let mut alike: Vec<Hash> = all.iter().map(|one| one.revision).collect();
    alike.retain(|revision| revision.to_string().starts_with(&typed));
    alike.sort_unstable();
    alike.dedup();
    match alike.as_slice() {
        [one] => Ok(*one),
        [] => Err(Failure::error(format!("no revision begins with {typed}"))
            .hint("daypass policy log -n 1000 lists those that were in force")),
        more => Err(Failure::usage(format!(
            "{} begin with {typed}",
            count(more.len(), "revision")
        ))),
    }
}

fn short(revision: Hash) -> String {
    revision.to_string().chars().take(SHORT).collect()
}

fn lines(diff: &PolicyDiff) -> Vec<Line> {
    let title = format!("{} → {}", short(diff.from), short(diff.to));
    let mut lines = vec![Line::new().with(Style::Strong, title)];
    match &diff.summary {
        None => lines.push(Line::new().with(
            Style::Faint,
            "one of them does not load in this version of Daypass: what it means is not told",
        )),
        Some(summary) if summary.is_empty() => {
            lines.push(Line::from("no rule, resource or set of people changes"));
        }
        Some(summary) => lines.extend(summary.iter().map(|line| Line::from(line.as_str()))),
    }
    if diff.files.is_empty() {
        lines.push(Line::from("the files are the same"));
    }
    lines.extend(diff.files.iter().flat_map(of_file));
    lines
}

fn of_file(file: &FileDiff) -> Vec<Line> {
    let mut lines = vec![Line::new().with(Style::Strong, format!("── {}", file.name))];
    let mut last = (0, 0);
    for line in &file.lines {
        let (before, after) = (line.before.unwrap_or(last.0), line.after.unwrap_or(last.1));
        if before > last.0 + 1 || after > last.1 + 1 {
            lines.push(Line::new().with(Style::Faint, "  …"));
        }
        last = (before, after);
        let text = &line.text;
        lines.push(match (line.before, line.after) {
            (Some(_), None) => Line::new().with(Style::Bad, format!("- {text}")),
            (None, Some(_)) => Line::new().with(Style::Good, format!("+ {text}")),
            _ => Line::new().with(Style::Faint, format!("  {text}")),
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use daypass_core::time::Timestamp;

    use super::*;

    fn revision(byte: &str, in_force: bool) -> PolicyRevision {
        PolicyRevision {
            revision: byte.repeat(32).parse().unwrap(),
            applied_at: Timestamp::EPOCH,
            by: "root".into(),
            in_force,
            files: Vec::new(),
        }
    }

    #[test]
    fn a_revision_is_named_by_its_beginning() {
        let all = [revision("ab", true), revision("ac", false), revision("ab", true)];
        assert_eq!(found(&all, "ABAB").unwrap(), all[0].revision);
        assert_eq!(before_the_last(&all).unwrap(), all[1].revision);
        for bad in ["ab", "ffff", "zzzz"] {
            assert!(found(&all, bad).is_err(), "{bad}");
        }
        assert!(before_the_last(&all[..1]).is_err());
    }

    #[test]
    fn what_is_left_out_is_marked() {
        let diff: PolicyDiff = serde_json::from_value(serde_json::json!({
            "from": "ab".repeat(32), "to": "ac".repeat(32), "summary": ["~ rule a: max 1h → 2h"],
            "files": [{"name": "a.yaml", "lines": [
                {"before": 4, "after": 4, "text": "same"}, {"before": 5, "text": "old"}, {"after": 5, "text": "new\u{1b}[2J"},
            ]}],
        }))
        .unwrap();
        let shown: Vec<_> = lines(&diff).iter().map(|line| line.render(false)).collect();
        assert_eq!(
            shown[1..6],
            ["~ rule a: max 1h → 2h", "── a.yaml", "  …", "  same", "- old"]
        );
        assert!(!shown[6].contains('\u{1b}'), "{shown:?}");
    }
}
