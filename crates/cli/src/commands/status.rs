//! `status`, and what bare `daypass` shows: what one holds and waits for, with countdowns.

use clap::Args;
use daypass_api::Client;
use daypass_api::grant::Grant;
use daypass_api::request::{Request, RequestQuery, RequestState};
use daypass_core::refusal::Code;
use serde::Serialize;

use crate::commands::{became, show};
use crate::context::{Context, pages};
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find::{self, Kind};
use crate::human::count;
use crate::line::{Field, Grid, Line, Style};
use crate::wait::waits_for;

/// The most pending requests that are listed.
const MOST: usize = 500;

/// Show what you hold and wait for, with countdowns.
#[derive(Debug, Default, Args)]
#[command(after_help = "Examples:
  daypass                      the same as: daypass status
  daypass status               your grants and open requests
  daypass status R7K2M9        all about one request: who was asked, who agreed
  daypass status G7K2M9        all about one grant: since when, until when, what the target showed
  daypass status -o json | jq '.grants[] | {items, expires_at}'")]
pub struct StatusArgs {
    /// A request, grant or change, by its (short) id; or what you hold, by its name
    id: Option<String>,
}

/// What `status` answers programs with.
#[derive(Debug, Serialize)]
struct Status {
    /// One's grants that have not ended.
    grants: Vec<Grant>,
    /// One's requests that wait.
    requests: Vec<Request>,
    /// How many requests and changes wait for one's review.
    inbox: usize,
}

impl StatusArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        match self.id {
            Some(id) => one(context, &client, &id).await,
            None => all(context, &client).await,
        }
    }
}

async fn one(context: &Context, client: &Client, id: &str) -> Result<Exit, Failure> {
    let now = edge::now();
    if find::kind(id) == Some(Kind::Request) {
        match client.request(id).await {
            Ok(request) => {
                let grant = match (&request.grant, context.out.is_for_people()) {
                    // Who may see the request may see what it led to; where that fails, what is known is shown.
                    (Some(grant), true) => client.grant(&grant.to_string()).await.ok(),
                    _ => None,
                };
                context.out.one(
                    &request,
                    || request.id.to_string(),
                    || {
                        let next = grant.iter().map(|grant| became::next(grant, now));
                        show::request(&request, now).into_iter().chain(next).collect()
                    },
                );
                return Ok(Exit::DONE);
            }
            // A resource may be called so: `reports`.
            Err(error) if error.code() == Some(Code::NotFound.into()) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if find::kind(id) == Some(Kind::Change) {
        match client.change(id).await {
            Ok(change) => {
                super::change::show(context, &change);
                return Ok(Exit::DONE);
            }
            Err(error) if error.code() == Some(Code::NotFound.into()) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let grant = find::grant(client, id).await?;
    context
        .out
        .one(&grant, || grant.id.to_string(), || show::grant(&grant, now));
    Ok(Exit::DONE)
}

async fn all(context: &Context, client: &Client) -> Result<Exit, Failure> {
    let grants = find::live(client).await?;
    let requests = pages(MOST, async |cursor| {
        let state = Some(RequestState::Pending);
        client
            .requests(&RequestQuery {
                state,
                mine: Some(true),
                cursor,
                ..RequestQuery::default()
            })
            .await
    })
    .await?;
    let inbox = super::review::waiting(client).await?.len() + super::change::waiting(client).await?.len();
    let status = Status {
        grants,
        requests,
        inbox,
    };
    if context.out.is_structured() {
        context.out.one(&status, String::new, Vec::new);
        return Ok(Exit::DONE);
    }
    if context.out.format == crate::output::Format::Name {
        let ids = status.grants.iter().map(|grant| grant.id.to_string());
        ids.chain(status.requests.iter().map(|request| request.id.to_string()))
            .for_each(|id| context.out.line(&Line::from(id)));
        return Ok(Exit::DONE);
    }
    let grid = grid(context, &status);
    if grid.is_empty() {
        context.out.note("you hold nothing and wait for nothing");
        context
            .out
            .note(Line::new().with(Style::Faint, "  daypass ls shows what you may ask for"));
    } else {
        context.out.grid(&grid);
    }
    if let Some(since) = client.whoami().await?.locked_since {
        context.out.note(super::login::locked(since));
    }
    if inbox > 0 {
        let line = format!("{} to review: daypass inbox", count(inbox, "request"));
        context.out.note(Line::new().with(Style::Warn, line));
    }
    Ok(Exit::DONE)
}

fn grid(context: &Context, status: &Status) -> Grid {
    let now = edge::now();
    let wide = context.out.is_wide();
    let id = |short: String, full: String| Field(Style::Strong, if wide { full } else { short });
    let mut grid = Grid::new(["ID", "WHAT", "STATE", "TIME"]);
    for grant in &status.grants {
        grid.row([
            id(grant.id.short(), grant.id.to_string()),
            Field::from(format!(
                "{}{}",
                show::items(&grant.items),
                show::emergency(grant.break_glass)
            )),
            show::grant_state(grant, now),
            Field::from(show::grant_left(grant, now)),
        ]);
    }
    for request in &status.requests {
        let more = if request.extends.is_some() {
            "more time on "
        } else {
            ""
        };
        grid.row([
            id(request.id.short(), request.id.to_string()),
            Field::from(format!("{more}{}", show::items(&request.items))),
            show::request_state(request),
            Field::from(waits_for(request, now)),
        ]);
    }
    grid
}
