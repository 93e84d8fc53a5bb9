//! `request` and `cancel`: asking for access, and taking that back.

use std::collections::BTreeSet;

use clap::Args;
use daypass_api::environment::EnvironmentRole;
use daypass_api::preview::{Path, Preview};
use daypass_api::request::{NewRequest, Request, RequestState};
use daypass_api::{Client, Item};
use daypass_core::environment::Wanted;
use daypass_core::refusal::Code;
use daypass_core::time::{Span, Timestamp};

use crate::ask;
use crate::commands::confirm::proving;
use crate::commands::show;
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;
use crate::human::{instant, left, span};
use crate::line::{Line, Style};
use crate::wait::{self, Waited, waits_for};

/// Ask for access.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass request orders-prod/write --for 1h --reason \"restore the row that PAY-7 lost\" --ticket PAY-7
  daypass request orders-prod/write --dry-run            who would be asked, and for how long it may be
  daypass request orders-prod/read users-prod/read --reason \"quarterly report\" --wait
  daypass request env:staging/debug --reason \"PAY-7\"      all that the environment's role stands for; daypass ls shows it
  daypass request orders-staging/write --wait=15m --reason \"debug\" && ./migrate.sh
  daypass request orders-prod/read --start +2h --reason \"tonight's release\"

Several items are approved, provisioned and ended as one.
Ends with 3 where the policy says no, 5 where a reviewer does, 6 where --wait ran out.")]
pub struct RequestArgs {
    /// What to ask for
    #[arg(required = true, value_name = "RESOURCE/ROLE|env:NAME/ROLE")]
    items: Vec<Wanted>,

    /// For how long, from when the access is there [default: what the policy says]
    #[arg(long = "for", value_name = "TIME")]
    length: Option<Span>,

    /// Not before: a time in RFC 3339, or +2h from now
    #[arg(long, value_name = "WHEN")]
    start: Option<When>,

    #[command(flatten)]
    why: Why,

    /// Wait until the access is there, or only so long
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true)]
    wait: Option<Option<Span>>,

    /// Show what would happen; ask nobody
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,

    /// The same key twice makes one request, for scripts that repeat
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

/// What was typed, as the API takes it. What an environment stands for, the server says.
pub(crate) fn asked(wanted: Vec<Wanted>) -> (BTreeSet<Item>, BTreeSet<EnvironmentRole>) {
    let (mut items, mut environments) = (BTreeSet::new(), BTreeSet::new());
    for one in wanted {
        match one {
            Wanted::Item(item) => drop(items.insert(item.into())),
            Wanted::Environment(role) => drop(environments.insert(role.into())),
        }
    }
    (items, environments)
}

/// Why somebody asks.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Why {
    /// Why; reviewers and auditors read it
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,

    /// A ticket's name; it is not looked up
    #[arg(long, value_name = "NAME")]
    pub(crate) ticket: Option<String>,
}

/// An instant, or a length from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    At(Timestamp),
    In(Span),
}

impl When {
    pub(crate) fn after(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::In(span) => now + span,
        }
    }
}

impl std::str::FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix('+') {
            Some(span) => span
                .parse()
                .map(Self::In)
                .map_err(|error: daypass_core::time::BadSpan| error.to_string()),
            None => text.parse().map(Self::At).map_err(|_| {
                format!(
                    "\"{text}\" is no time: write 2026-03-07T22:10:00+01:00, or +2h for two hours from now"
                )
            }),
        }
    }
}

impl RequestArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let (items, environments) = asked(self.items);
        let ask = NewRequest {
            items,
            environments,
            duration: self.length,
            start: self.start.map(|start| start.after(edge::now())),
            reason: self.why.reason,
            ticket: self.why.ticket,
        };
        if self.dry_run {
            // What would be possible is the question; words for the reviewers come with the request itself.
            let ask = NewRequest {
                reason: ask.reason.or_else(|| Some(String::from("dry run"))),
                ..ask
            };
            return preview(context, &client, &ask, Ways::Request).await;
        }
        let keyed = self
            .idempotency_key
            .map_or_else(|| client.clone(), |key| client.keyed(key));
        let request = submit(context, &keyed, ask).await?;
        follow(context, &client, request, self.wait).await
    }
}

/// Makes the request; asks for the reason where the policy wants one and somebody is there to ask.
pub(crate) async fn submit(
    context: &Context,
    client: &Client,
    mut ask: NewRequest,
) -> Result<Request, Failure> {
    let asked = ask.clone();
    let refused = match proving(context, client, async |client| client.add_request(&asked).await).await {
        Ok(request) => return Ok(request),
        Err(failure) => failure,
    };
    let wants_reason = refused.code == Some(Code::ReasonRequired.into()) && ask.reason.is_none();
    let reason = if wants_reason {
        ask::line(context, "Reason")?
    } else {
        None
    };
    if reason.is_some() {
        ask.reason = reason;
        return proving(context, client, async |client| client.add_request(&ask).await).await;
    }
    Err(refused)
}

/// Tells what became of a request so far, or waits for the end of it.
pub(crate) async fn follow(
    context: &Context,
    client: &Client,
    request: Request,
    wait: Option<Option<Span>>,
) -> Result<Exit, Failure> {
    let id = request.id;
    let (request, exit) = match wait {
        None => (request, Exit::DONE),
        Some(limit) => match wait::until_there(context, client, request, limit).await? {
            Waited::There(grant) => {
                let until = grant
                    .expires_at
                    .map_or_else(String::new, |at| format!(", {}", left(at, edge::now())));
                let what = format!(
                    "{} is there{until} (grant {})",
                    show::items(&grant.items),
                    grant.id.short()
                );
                context.out.note(Line::new().with(Style::Good, "✓ ").text(what));
                (client.request(&id.to_string()).await?, Exit::DONE)
            }
            Waited::Still(request) => (*request, Exit::STILL_PENDING),
        },
    };
    let short = id.short();
    context
        .out
        .one(&request, || id.to_string(), || vec![summary(&request)]);
    if exit == Exit::STILL_PENDING {
        context.out.warn(format!(
            "not yet; it goes on waiting. Try: daypass status {short}"
        ));
    } else if wait.is_none() && request.state == RequestState::Pending && context.out.is_for_people() {
        context.out.note(Line::new().with(
            Style::Faint,
            format!("  daypass status {short} shows how it goes; daypass cancel {short} takes it back"),
        ));
    }
    Ok(exit)
}

fn summary(request: &Request) -> Line {
    let line = Line::new().with(Style::Strong, request.id.short()).text("  ");
    let what = format!("{} for {}", show::items(&request.items), span(request.duration));
    let state = match request.state {
        RequestState::Pending => Line::new().with(Style::Warn, waits_for(request, edge::now())),
        _ => Line::new().with(show::request_state(request).0, request.state.as_str()),
    };
    line.text(what).text(": ").and(state)
}

/// In which way something is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ways {
    /// `request`.
    Request,
    /// `break-glass`.
    BreakGlass,
}

/// Shows what would happen.
pub(crate) async fn preview(
    context: &Context,
    client: &Client,
    ask: &NewRequest,
    way: Ways,
) -> Result<Exit, Failure> {
    let preview = match way {
        Ways::Request => client.preview(ask).await?,
        Ways::BreakGlass => client.preview_break_glass(ask).await?,
    };
    match &preview {
        Preview::Allowed(path) => {
            context
                .out
                .one(&preview, || path.rule.to_string(), || path_lines(path));
            Ok(Exit::DONE)
        }
        Preview::Refused(refused) => {
            if context.out.is_structured() {
                context.out.one(&preview, || refused.code.clone(), Vec::new);
                return Ok(Exit::NOT_ELIGIBLE);
            }
            let failure = Failure::new(Exit::NOT_ELIGIBLE, refused.detail.clone());
            Err(match &refused.hint {
                Some(hint) => failure.hint(hint.clone()),
                None => failure,
            })
        }
    }
}

/// What is demanded beside the agreement of others.
fn demanded(path: &Path) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(within) = path.mfa {
        let text = format!(
            "with a proof less than {} old that it is you: daypass confirm",
            span(within)
        );
        lines.push(Line::new().with(Style::Warn, text));
    }
    if let Some(recording) = &path.recording {
        lines.push(Line::new().text(format!("recording {recording}")));
    }
    if !path.notify.is_empty() {
        let told: Vec<_> = path.notify.iter().map(daypass_core::name::Name::as_str).collect();
        lines.push(Line::new().text(format!(
            "told when it is there, and when it has ended: {}",
            told.join(", ")
        )));
    }
    lines
}

fn path_lines(path: &Path) -> Vec<Line> {
    let what: Vec<_> = path.items.iter().map(ToString::to_string).collect();
    let mut lines: Vec<Line> = environments_of(path);
    lines.push(Line::new().with(Style::Strong, what.join(", ")).text(format!(
        " for {} ({} at most in total)",
        span(path.duration),
        span(path.max)
    )));
    lines.push(Line::new().with(Style::Faint, format!("rule {}, {}", path.rule, path.location)));
    if let Some(ends_by) = path.ends_by {
        let why = path
            .ends_because
            .as_deref()
            .unwrap_or("the policy names that time");
        let text = format!("until {} at the latest: {why}", instant(ends_by));
        lines.push(Line::new().with(Style::Warn, text));
    }
    if !path.end_when.is_empty() {
        let text = format!("ends early: {}", path.end_when.join(", "));
        lines.push(Line::new().with(Style::Warn, text));
    }
    lines.extend(demanded(path));
    if let Some(glass) = &path.break_glass {
        let text = format!(
            "at once; {} ({}) must look at it within {}",
            glass.review_by,
            glass.reviewers.join(", "),
            span(glass.within)
        );
        lines.push(Line::new().with(Style::Warn, text));
    } else if path.steps.is_empty() {
        lines.push(Line::new().with(Style::Good, "instant: nobody has to agree"));
    }
    if let Some(usually) = path.usually {
        let text = format!(
            "half of what was lately agreed to here took no longer than {}",
            span(usually)
        );
        lines.push(Line::new().with(Style::Faint, text));
    }
    for (number, step) in path.steps.iter().enumerate() {
        let who = if step.count > 1 {
            format!("{} of {}", step.count, step.from)
        } else {
            step.from.clone()
        };
        let silence = match &step.escalates_to {
            Some(to) => format!("then {to} as well"),
            None => String::from("else it lapses"),
        };
        let names = step.reviewers.join(", ");
        lines.push(Line::new().text(format!(
            "step {}  {who} ({names}), within {}, {silence}{}",
            number + 1,
            span(step.within),
            brought(step.guardrail.as_ref())
        )));
    }
    for other in &path.others {
        let steps = crate::human::count(other.steps, "step");
        let text = format!("also: rule {} ({steps}, up to {})", other.rule, span(other.max));
        lines.push(Line::new().with(Style::Faint, text));
    }
    lines
}

/// The environments that were named for it, if any were.
fn environments_of(path: &Path) -> Vec<Line> {
    let names: Vec<_> = path.environments.iter().map(ToString::to_string).collect();
    if names.is_empty() {
        return Vec::new();
    }
    let count = crate::human::count(path.items.len(), "item");
    vec![Line::new().text(format!("{}: {count}", names.join(" and ")))]
}

/// Where a step comes from that no rule has.
fn brought(guardrail: Option<&daypass_core::name::Name>) -> String {
    guardrail.map_or_else(String::new, |guardrail| format!("; guardrail {guardrail}"))
}

/// Take a request of yours back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass cancel R7K2M9
  daypass status -o name | grep ^R | xargs -n1 daypass cancel")]
pub struct CancelArgs {
    /// The request, by its (short) id; or a change that you proposed
    id: String,
}

impl CancelArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        if find::kind(&self.id) == Some(find::Kind::Change) {
            return super::change::withdraw(context, &self.id).await;
        }
        let client = context.client()?;
        let request = find::request(&client, &self.id).await?;
        let request = client.cancel(request.id).await?;
        context
            .out
            .one(&request, || request.id.to_string(), || vec![summary(&request)]);
        Ok(Exit::DONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_is_an_instant_or_a_length_from_now() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let when = |text: &str| text.parse::<When>().map(|when| when.after(now).to_string());
        assert_eq!(when("+2h"), Ok("2026-01-01T02:00:00Z".into()));
        assert_eq!(
            when("2026-03-07T22:10:00+01:00"),
            Ok("2026-03-07T21:10:00Z".into())
        );
        assert!(when("2h").is_err());
        assert!(when("tomorrow").is_err());
    }

    #[test]
    fn a_preview_names_everybody_in_order() {
        let preview: Preview = serde_json::from_value(serde_json::json!({
            "outcome": "allowed", "items": [{"resource": "orders-prod", "role": "write"}], "rule": "prod-write",
            "location": "policy/db.yaml:19", "policy_revision": "00".repeat(32), "duration": "1h", "max": "2h", "pending": "2h",
            "steps": [{"from": "manager", "count": 1, "reviewers": ["bo"], "within": "15m", "escalates_to": "leads"},
                      {"from": "security", "count": 2, "reviewers": ["cy", "di"], "within": "30m"}],
            "others": [{"rule": "prod-slow", "steps": 3, "max": "8h"}],
        }))
        .unwrap();
        let Preview::Allowed(path) = preview else {
            panic!("it is allowed")
        };
        let lines: Vec<_> = path_lines(&path).iter().map(|line| line.render(false)).collect();
        assert_eq!(
            lines,
            [
                "orders-prod/write for 1h (2h at most in total)",
                "rule prod-write, policy/db.yaml:19",
                "step 1  manager (bo), within 15m, then leads as well",
                "step 2  2 of security (cy, di), within 30m, else it lapses",
                "also: rule prod-slow (3 steps, up to 8h)",
            ]
        );
    }
}
