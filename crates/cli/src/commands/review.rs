//! `inbox`, `approve`, `deny`: the reviewer's side.

use clap::Args;
use daypass_api::Client;
use daypass_api::change::Change;
use daypass_api::request::{Decision, NewReview, Request, RequestQuery, RequestState};
use daypass_core::name::Item;
use daypass_core::time::{Span, Timestamp};
use serde::Serialize;

use crate::ask;
use crate::commands::confirm::proving;
use crate::commands::{change, show};
use crate::context::{Context, pages};
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;
use crate::human::{left, span};
use crate::line::{Field, Grid, Line, Style};
use crate::wait::waits_for;

/// The most requests that are listed.
const MOST: usize = 500;

/// List requests that wait for your review.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass inbox
  daypass inbox -o name | head -1 | xargs daypass status
  daypass approve R7K2M9")]
pub struct InboxArgs {}

impl InboxArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let now = edge::now();
        let requests = waiting(&client).await?;
        let changes = change::waiting(&client).await?;
        let mut grid = grid(&requests, context.out.is_wide(), now);
        for change in &changes {
            grid.row(change::row(context, change, now));
        }
        let requests = requests.into_iter().map(Box::new).map(Waits::Request);
        let changes = changes.into_iter().map(Box::new).map(Waits::Change);
        let requests: Vec<Waits> = requests.chain(changes).collect();
        context
            .out
            .list(&requests, Waits::id, &grid, "nothing waits for you");
        if !requests.is_empty() && context.out.is_for_people() {
            let help = "  daypass status ID shows all of it; daypass approve ID, daypass deny ID --reason TEXT, \
                        and for what was an emergency daypass review ID --comment TEXT";
            context.out.note(Line::new().with(Style::Faint, help));
        }
        Ok(Exit::DONE)
    }
}

/// What waits for a review. Programs tell the two by the letter of the id.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Waits {
    Request(Box<Request>),
    Change(Box<Change>),
}

impl Waits {
    fn id(&self) -> String {
        match self {
            Self::Request(request) => request.id.to_string(),
            Self::Change(change) => change.id.to_string(),
        }
    }
}

/// What waits for the caller's review.
pub(crate) async fn waiting(client: &Client) -> Result<Vec<Request>, Failure> {
    pages(MOST, async |cursor| {
        client
            .requests(&RequestQuery {
                reviewable: Some(true),
                cursor,
                ..RequestQuery::default()
            })
            .await
    })
    .await
}

fn grid(requests: &[Request], wide: bool, now: Timestamp) -> Grid {
    let mut grid = Grid::new(["ID", "WHO", "WHAT", "FOR", "TIME", "REASON"]);
    for request in requests {
        let due = request
            .steps
            .iter()
            .find_map(|step| step.due_at)
            .or(request
                .break_glass
                .as_ref()
                .and_then(|glass| glass.review.due_at()))
            .unwrap_or(request.expires_at);
        let id = if wide {
            request.id.to_string()
        } else {
            request.id.short()
        };
        let ticket = request
            .ticket
            .as_ref()
            .map_or_else(String::new, |ticket| format!(" [{ticket}, unverified]"));
        grid.row([
            Field(Style::Strong, id),
            Field::from(request.requester.as_str()),
            Field::from(format!(
                "{}{}{}",
                show::items(&request.items),
                show::emergency(request.break_glass.is_some()),
                show::in_place(request.reviewable_for.as_deref())
            )),
            Field::from(span(request.duration)),
            Field(Style::Warn, left(due, now)),
            Field::from(format!("{}{ticket}", request.reason)),
        ]);
    }
    grid
}

/// Agree to a request.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass approve R7K2M9
  daypass approve R7K2M9 --for 30m --comment \"half an hour is enough\"
  daypass approve R7K2M9 --only orders-prod/read
  daypass approve C7K2M9                          another policy, once you have read what changes

You are shown what you approve, and are asked once more on a terminal. What was shown is what counts: were the
request another one by then, the approval would be refused.")]
pub struct ApproveArgs {
    /// The request, by its (short) id; or a change of the policy
    id: String,

    /// For at most so long; never longer than was asked
    #[arg(long = "for", value_name = "TIME")]
    length: Option<Span>,

    /// Only these items; may be given several times
    #[arg(long, value_name = "RESOURCE/ROLE")]
    only: Vec<Item>,

    /// A word to the requester and the auditors
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,

    /// Do not ask once more
    #[arg(short, long)]
    yes: bool,
}

impl ApproveArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        if find::kind(&self.id) == Some(find::Kind::Change) {
            if self.length.is_some() || !self.only.is_empty() {
                return Err(Failure::usage("a change is agreed to as it stands, or denied")
                    .hint("leave out --for and --only"));
            }
            return change::approve(context, &self.id, self.comment, self.yes).await;
        }
        let client = context.client()?;
        let request = find::request(&client, &self.id).await?;
        undecided(&request)?;
        let less = self
            .length
            .map_or_else(String::new, |most| format!(" for {} at most", span(most)));
        if !seen_and_meant(context, &request, self.yes, &format!("Approve{less}?"))? {
            return Err(Failure::error("not approved"));
        }
        let items: Option<Vec<_>> =
            (!self.only.is_empty()).then(|| self.only.into_iter().map(Into::into).collect());
        let review = NewReview {
            decision: Decision::Approve,
            digest: request.digest,
            duration: self.length,
            items: items.map(|items| items.into_iter().collect()),
            comment: self.comment,
        };
        let reviewed = async |client: &Client| client.review(request.id, &review).await;
        let after = proving(context, &client, reviewed).await?;
        context
            .out
            .one(&after, || after.id.to_string(), || vec![agreed(&after)]);
        Ok(Exit::DONE)
    }
}

/// Shows a request and asks whether it is meant; `yes`: it was said so beforehand.
pub(super) fn seen_and_meant(
    context: &Context,
    request: &Request,
    yes: bool,
    question: &str,
) -> Result<bool, Failure> {
    // What the server will refuse anyway need not be confirmed first.
    let asks = request.reviewable && !yes && context.may_ask();
    for line in show::request(request, edge::now()) {
        // Nobody confirms what they do not see.
        if asks {
            context.out.warn(line)
        } else {
            context.out.note(line)
        }
    }
    Ok(!asks || ask::confirm(context, question)?)
}

fn agreed(request: &Request) -> Line {
    let line = Line::new()
        .with(Style::Good, "✓ ")
        .with(Style::Strong, request.id.short())
        .text(": you agreed; ");
    match (&request.approved, request.state) {
        (Some(approved), _) => line.text(format!(
            "{} gets {} for {}",
            request.requester,
            show::items(&approved.items),
            span(approved.duration)
        )),
        (None, RequestState::Pending) => line.text(waits_for(request, edge::now())),
        (None, state) => line.text(format!("it is {}", state.as_str())),
    }
}

/// Say no to a request.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass deny R7K2M9 --reason \"use the replica\"

One no ends the request. The requester sees your reason.")]
pub struct DenyArgs {
    /// The request, by its (short) id; or a change of the policy
    id: String,

    /// Why; the requester reads it
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl DenyArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        if find::kind(&self.id) == Some(find::Kind::Change) {
            return change::deny(context, &self.id, self.reason).await;
        }
        let client = context.client()?;
        let request = find::request(&client, &self.id).await?;
        undecided(&request)?;
        let review = NewReview {
            decision: Decision::Deny,
            digest: request.digest,
            duration: None,
            items: None,
            comment: Some(self.reason),
        };
        let reviewed = async |client: &Client| client.review(request.id, &review).await;
        let after = proving(context, &client, reviewed).await?;
        let line = || {
            Line::new()
                .with(Style::Strong, after.id.short())
                .text(format!(": {}", after.state.as_str()))
        };
        context.out.one(&after, || after.id.to_string(), || vec![line()]);
        Ok(Exit::DONE)
    }
}

/// What is decided need not be looked at and confirmed first.
fn undecided(request: &Request) -> Result<(), Failure> {
    if request.state == RequestState::Pending {
        return Ok(());
    }
    let (id, state) = (request.id.short(), request.state.as_str());
    let owed = request
        .break_glass
        .as_ref()
        .and_then(|glass| glass.review.due_at());
    if owed.is_some() {
        let what =
            format!("request {id} was an emergency: its access is there already, and a review is owed");
        return Err(Failure::error(what).hint(format!("daypass review {id} --comment TEXT")));
    }
    Err(Failure::error(format!("request {id} is {state} already")).hint(format!("daypass status {id}")))
}
