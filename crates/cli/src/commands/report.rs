//! `report`: what was asked for in a period, what became of it, what stands and what is late.

use clap::Args;
use daypass_api::report::{Cell, Part, Report, ReportQuery, Table, per_mille};
use daypass_core::time::Span;

use crate::commands::audit::Past;
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::{instant, span};
use crate::line::{Field, Grid, Line, Style};

/// Say what was asked for in a period, and what became of it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass report                                the last 30 days
  daypass report --since 7d --env production
  daypass report --since 2026-01-01T00:00:00Z --until 2026-04-01T00:00:00Z -o json
  daypass report --csv busiest > busiest.csv

For auditors and administrators. Requests count by when they were made, grants by when they were opened. The tables are: summary,
requests, waits, busiest, unused, standing, late. In CSV a length is in seconds and a share in percent. An environment is what the label
env of the resources says now.")]
pub struct ReportArgs {
    /// From when on: a time in RFC 3339, or 7d for a week ago [default: 30 days]
    #[arg(long, value_name = "WHEN")]
    since: Option<Past>,

    /// Before when: a time in RFC 3339, or 24h for a day ago [default: now]
    #[arg(long, value_name = "WHEN")]
    until: Option<Past>,

    /// Only resources of this environment (their label env)
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// Write one of the tables as comma-separated values
    #[arg(long, value_name = "TABLE", value_parser = part)]
    csv: Option<Part>,
}

fn part(name: &str) -> Result<Part, String> {
    Part::named(name).ok_or_else(|| {
        let known: Vec<&str> = Part::ALL.iter().map(|part| part.as_str()).collect();
        format!("there is no such table; there are {}", known.join(", "))
    })
}

impl ReportArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let now = edge::now();
        let query = ReportQuery {
            from: self.since.map(|since| since.before(now)),
            until: self.until.map(|until| until.before(now)),
            env: self.env,
        };
        let report = context.client()?.report(&query).await?;
        if let Some(part) = self.csv {
            context.out.verbatim(&report.table(part).csv());
            return Ok(Exit::DONE);
        }
        context.out.one(
            &report,
            || Part::ALL.map(Part::as_str).join("\n"),
            || vec![head(&report)],
        );
        if context.out.is_for_people() {
            for part in Part::ALL {
                let table = report.table(part);
                context.out.line(&Line::from(""));
                context.out.line(&Line::new().with(Style::Strong, table.title));
                if table.rows.is_empty() {
                    context.out.line(&Line::new().with(Style::Faint, "nothing"));
                } else {
                    context.out.grid(&grid(&table));
                }
            }
            notes(context, &report);
        }
        Ok(Exit::DONE)
    }
}

fn head(report: &Report) -> Line {
    let env = report
        .env
        .as_deref()
        .map_or_else(String::new, |env| format!(" in {env}"));
    Line::new()
        .text("Requests made and grants opened from ")
        .with(Style::Strong, instant(report.from))
        .text(" until ")
        .with(Style::Strong, instant(report.until))
        .text(env)
}

/// What is to be known about the figures.
fn notes(context: &Context, report: &Report) {
    if !report.grants.unseen.is_empty() {
        let names: Vec<&str> = report.grants.unseen.iter().map(|name| name.as_str()).collect();
        context.out.note(format!(
            "Whether access is used cannot be seen where it needs no credentials, and is not counted: {}",
            names.join(", ")
        ));
    }
}

fn grid(table: &Table) -> Grid {
    let mut grid = Grid::new(table.head.clone());
    for row in &table.rows {
        grid.row(row.iter().map(field).collect::<Vec<_>>());
    }
    grid
}

fn field(cell: &Cell) -> Field {
    match cell {
        Cell::Text(text) => Field::from(text.as_str()),
        Cell::Count(count) => Field::from(count.to_string()),
        Cell::Share(part, of) => Field::from(per_mille(*part, *of).map_or_else(
            || String::from("–"),
            |share| format!("{}.{}%", share / 10, share % 10),
        )),
        Cell::Length(length) => Field::from(span(*length)),
        Cell::Seconds(seconds) => Field::from(match seconds {
            0..3_600 => span(Span::seconds(*seconds)),
            _ => format!("{} h", seconds / 3_600),
        }),
        Cell::At(at) => Field::from(instant(*at)),
        Cell::Unknown => Field(Style::Faint, String::from("not known")),
    }
}
