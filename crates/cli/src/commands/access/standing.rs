//! What people have at targets without Daypass, and drift: as lists that say how old they are.

use clap::Args;
use daypass_api::standing::{Drift, DriftKind, InventoryQuery, Listed, Standing, StandingQuery, Survey};
use daypass_api::{Client, client};
use daypass_core::time::Timestamp;

use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::{ago, left};
use crate::line::{Field, Grid, Line, Style};

/// The entries of all pages up to a number, and how the surveys stand.
pub(super) async fn listed<T>(
    most: usize,
    mut fetch: impl AsyncFnMut(Option<String>) -> Result<Listed<T>, client::Error>,
) -> Result<Listed<T>, Failure> {
    let mut all = fetch(None).await?;
    while let Some(cursor) = all.next.take().filter(|_| all.items.len() < most) {
        let page = fetch(Some(cursor.clone())).await?;
        // One that leads to itself would never end.
        all.next = page.next.filter(|next| *next != cursor);
        all.items.extend(page.items);
        (all.surveys, all.complete) = (page.surveys, all.complete && page.complete);
    }
    all.items.truncate(most);
    Ok(all)
}

/// Standing access that fits a query.
pub(super) async fn standing(
    client: &Client,
    query: &StandingQuery,
    most: usize,
) -> Result<Listed<Standing>, Failure> {
    listed(most, async |cursor| {
        let query = StandingQuery {
            cursor,
            limit: Some(500),
            ..query.clone()
        };
        client.standing(&query).await
    })
    .await
}

/// Says of which connectors nothing is known, or not all, for people.
pub(super) fn say_surveys(context: &Context, surveys: &[Survey]) {
    let now = edge::now();
    for survey in surveys {
        for line in doubts(survey, now) {
            context.out.note(line);
        }
    }
}

/// What is to be known of a survey before one believes what it told.
fn doubts(survey: &Survey, now: Timestamp) -> Vec<Line> {
    let name = &survey.connector;
    let mut lines = Vec::new();
    if survey.cannot_tell {
        let what = format!("{name}: this kind of connector cannot tell what stands at its target");
        return vec![Line::new().with(Style::Faint, what)];
    }
    match (survey.seen_at, survey.under_way) {
        (_, Some(way)) => {
            let of = way.of.map_or_else(String::new, |of| format!(" of {of}"));
            let before = survey.seen_at.map_or_else(
                || String::from("nothing is known before that"),
                |at| format!("what is shown is from {}", ago(at, now)),
            );
            lines.push(Line::from(format!(
                "{name}: being surveyed, {}{of} looked at; {before}",
                way.done
            )));
        }
        (None, None) => {
            let what = format!("{name}: not surveyed yet by this server");
            lines.push(Line::new().with(Style::Warn, what));
        }
        (Some(at), None) => {
            let what = format!("{name}: surveyed {}", ago(at, now));
            lines.push(Line::new().with(Style::Faint, what));
        }
    }
    if let Some(failing) = &survey.failing {
        let what = format!(
            "{name}: the survey does not go on: {}: {}",
            failing.fault, failing.detail
        );
        lines.push(Line::new().with(Style::Bad, what));
    }
    for untold in &survey.untold {
        lines.push(Line::new().with(Style::Warn, format!("{name}: not told: {untold}")));
    }
    lines
}

/// Standing access, as a table.
pub(super) fn grid(all: &[Standing], wide: bool, now: Timestamp) -> Grid {
    let mut head = vec!["WHO", "WHAT", "ON", "BY", "LAST USED", "INSTEAD"];
    if wide {
        head.extend(["CONNECTOR", "KIND", "LOGIN", "UNTIL", "SEEN"]);
    }
    let mut grid = Grid::new(head);
    for one in all {
        let used = one
            .last_used
            .map_or_else(|| String::from("not told"), |at| ago(at, now));
        let mut row = vec![
            Field(Style::Strong, one.subject.name.clone()),
            Field::from(one.right.clone()),
            Field::from(one.on.clone()),
            Field::from(one.by.clone().unwrap_or_default()),
            Field::from(used),
            Field::from(instead(one)),
        ];
        if wide {
            let login = one.login.clone().unwrap_or_default();
            let guess = if one.guessed { " (by name)" } else { "" };
            row.push(Field::from(one.connector.to_string()));
            row.push(Field::from(one.subject.kind.clone()));
            row.push(Field::from(format!("{login}{guess}")));
            row.push(Field::from(
                one.until.map_or_else(String::new, |until| left(until, now)),
            ));
            row.push(Field::from(ago(one.seen_at, now)));
        }
        grid.row(row);
    }
    grid
}

/// What the policy gives instead.
fn instead(one: &Standing) -> String {
    let Some(first) = one.given_by.first() else {
        return match &one.offer {
            Some(_) => String::from("no role gives it"),
            None => String::new(),
        };
    };
    let more = if first.more { " (more)" } else { "" };
    let may = match first.eligible {
        Some(true) => ", may ask",
        Some(false) => ", may not ask",
        None => "",
    };
    format!("{}{more}{may}", first.item)
}

/// See where targets and grants differ.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass access drift
  daypass access drift -o json

By connector: what stands at a target and no grant holds; what a grant holds and somebody took away there; and what somebody has for
good although a role of the policy gives it just in time. Each with what is to be done. For auditors and administrators.")]
pub struct DriftArgs {
    /// The most entries to list
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    limit: usize,
}

impl DriftArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let found = listed(self.limit, async |cursor| {
            let limit = Some(500);
            client.drift(&InventoryQuery { cursor, limit }).await
        })
        .await?;
        let mut grid = Grid::new(vec!["CONNECTOR", "DRIFT", "WHAT", "TO DO"]);
        for one in &found.items {
            grid.row(drift(one));
        }
        context.out.list(
            &found.items,
            |one| format!("{} {}", one.connector, one.drift.as_str()),
            &grid,
            "no drift is known",
        );
        if context.out.is_for_people() {
            say_surveys(context, &found.surveys);
            if !found.complete {
                context.out.note("There is more drift than is listed.");
            }
        }
        Ok(Exit::DONE)
    }
}

fn drift(one: &Drift) -> Vec<Field> {
    let style = match one.drift {
        DriftKind::LeftToPeople | DriftKind::Missing => Style::Bad,
        DriftKind::Unwanted | DriftKind::Standing => Style::Warn,
    };
    vec![
        Field(Style::Strong, one.connector.to_string()),
        Field(style, one.drift.as_str().to_owned()),
        Field::from(one.what.clone()),
        Field::from(one.todo.clone()),
    ]
}
