//! Waiting for a decision and for access to become real: by the event stream, with looks in between should it fail.

use std::time::Duration;

use daypass_api::client::EventStream;
use daypass_api::grant::{Grant, GrantState};
use daypass_api::request::{Decision, Request, RequestState, Step, StepState};
use daypass_api::{Client, ProblemCode, client};
use daypass_core::time::{Span, Timestamp};

use crate::context::Context;
use crate::edge::{self, Deadline};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::{ago, left};
use crate::output::Progress;

/// How long to trust the event stream before looking all the same.
const LOOK: Duration = Duration::from_secs(10);
/// How often to look without one.
const POLL: Duration = Duration::from_secs(2);
/// How many looks may fail in a row: a server that restarts comes back within this.
const PATIENCE: u32 = 15;

/// What waiting led to.
pub(crate) enum Waited {
    /// The access is there. For an extension: the grant that was lengthened.
    There(Box<Grant>),
    /// The time to wait ran out first.
    Still(Box<Request>),
}

/// Waits until the access that was asked for is there.
pub(crate) async fn until_there(
    context: &Context,
    client: &Client,
    mut request: Request,
    limit: Option<Span>,
) -> Result<Waited, Failure> {
    let deadline = Deadline::after(limit);
    let mut watch = Watch::new(client);
    let progress = context.out.progress();
    let mut told = None;
    loop {
        let grant = match outcome(&request, edge::now())? {
            None => None,
            Some(id) => {
                let grant = watch.look(|| client.grant(&id), deadline).await?;
                if grant
                    .as_ref()
                    .is_some_and(|grant| grant.state == GrantState::Active)
                {
                    return Ok(grant.map_or_else(
                        || Waited::Still(Box::new(request)),
                        |grant| Waited::There(Box::new(grant)),
                    ));
                }
                grant
                    .as_ref()
                    .map_or(Ok(()), |grant| not_over(grant, edge::now()))?;
                grant
            }
        };
        tell(context, &progress, &mut told, &request, grant.as_ref());
        let ids = [
            Some(request.id.to_string()),
            grant.map(|grant| grant.id.to_string()),
        ];
        if !watch.change(&ids, deadline).await {
            return Ok(Waited::Still(Box::new(request)));
        }
        let id = request.id.to_string();
        if let Some(seen) = watch.look(|| client.request(&id), deadline).await? {
            request = seen;
        }
    }
}

/// Waits until a grant that is on its way is there.
pub(crate) async fn until_active(
    context: &Context,
    client: &Client,
    grant: Grant,
    limit: Option<Span>,
) -> Result<Waited, Failure> {
    let request = client.request(&grant.request.to_string()).await?;
    until_there(context, client, request, limit).await
}

/// The grant's id once the request is approved; the failure where it ended otherwise.
fn outcome(request: &Request, now: Timestamp) -> Result<Option<String>, Failure> {
    match request.state {
        RequestState::Pending => Ok(None),
        RequestState::Approved => Ok(request.grant.map(|grant| grant.to_string())),
        RequestState::Denied => Err(denied(request, now)),
        RequestState::Withdrawn => Err(Failure::error(format!(
            "request {} was taken back",
            request.id.short()
        ))),
        RequestState::Lapsed => {
            let silent = request.steps.iter().find(|step| step.state == StepState::Silent);
            let whom = silent.map_or_else(|| String::from("nobody"), nobody_of);
            let what = format!("request {} lapsed: {whom} answered in time", request.id.short());
            Err(Failure::new(Exit::OVER, what)
                .hint("ask again, and tell the reviewers; daypass request --dry-run names them"))
        }
    }
}

/// Who was asked in vain: `nobody of leads or security`.
pub(crate) fn nobody_of(step: &Step) -> String {
    let others = step.escalates.as_ref().filter(|escalation| escalation.happened);
    let others = others.map_or_else(String::new, |escalation| format!(" or {}", escalation.to));
    let whom = format!("{}{others}", step.from);
    match step.reviews.len() {
        0 => format!("nobody of {whom}"),
        agreed => format!("only {agreed} of {} of {whom}", step.count),
    }
}

/// Who said no, when and why.
pub(crate) fn denied(request: &Request, now: Timestamp) -> Failure {
    let reviews = request.steps.iter().flat_map(|step| &step.reviews);
    let denial = reviews
        .into_iter()
        .find(|review| review.decision == Decision::Deny);
    let what = denial.map_or_else(
        || String::from("Denied"),
        |denial| {
            let why = denial
                .comment
                .as_ref()
                .map_or_else(String::new, |comment| format!(": \"{comment}\""));
            format!("Denied by {} {}{why}", denial.by(), ago(denial.at, now))
        },
    );
    Failure::new(Exit::DENIED, what).hint("daypass ls --instant          (what needs nobody's agreement)")
}

/// The failure of a grant that ends before it was of use.
fn not_over(grant: &Grant, now: Timestamp) -> Result<(), Failure> {
    if !grant.state.is_over() {
        return Ok(());
    }
    let reason = grant.ended_reason.as_deref().unwrap_or("ended");
    let detail = grant
        .ended_detail
        .as_ref()
        .map_or_else(String::new, |detail| format!(": {detail}"));
    let since = grant
        .ending_since
        .map_or_else(String::new, |since| format!(" {}", ago(since, now)));
    let exit = if reason == "failed" {
        Exit::NOT_SET_UP
    } else {
        Exit::OVER
    };
    let what = format!("grant {} ended{since} ({reason}){detail}", grant.id.short());
    Err(Failure::new(exit, what).hint(format!("daypass status {}", grant.id.short())))
}

/// For whom or what it waits, in one line.
pub(crate) fn waits_for(request: &Request, now: Timestamp) -> String {
    let Some(step) = request.steps.iter().find(|step| step.state == StepState::Open) else {
        return String::from("waiting");
    };
    let agreed = step
        .reviews
        .iter()
        .filter(|review| review.decision == Decision::Approve)
        .count();
    let missing = usize::try_from(step.count)
        .unwrap_or(usize::MAX)
        .saturating_sub(agreed);
    let who = match step.answerers().as_slice() {
        [] => step.from.clone(),
        people if people.len() <= 4 => format!("{} ({})", people.join(" or "), step.from),
        people => format!("one of {} people ({})", people.len(), step.from),
    };
    let number = if missing > 1 {
        format!("{missing} of ")
    } else {
        String::new()
    };
    let due = step
        .due_at
        .map_or_else(String::new, |due| format!(", {}", left(due, now)));
    format!("waiting for {number}{who}{due}")
}

fn tell(
    context: &Context,
    progress: &Progress,
    told: &mut Option<String>,
    request: &Request,
    grant: Option<&Grant>,
) {
    let now = edge::now();
    let text = match grant {
        None => waits_for(request, now),
        Some(grant) => on_its_way(grant),
    };
    progress.say(&format!("{}: {text}", request.id.short()));
    // Without a spinner each news is told once; the countdown in it is no news.
    let news = text.split(',').next().unwrap_or_default().to_owned();
    if !progress.is_visible() && told.as_ref() != Some(&news) {
        context.out.note(format!("{}: {text}", request.id.short()));
        *told = Some(news);
    }
}

/// How far access is that was approved.
fn on_its_way(grant: &Grant) -> String {
    grant.starts_at.map_or_else(
        || String::from("approved; setting the access up"),
        |start| format!("approved; it begins {}", crate::human::instant(start)),
    )
}

/// The event stream where there is one, and how many looks have failed in a row.
struct Watch<'a> {
    client: &'a Client,
    stream: Option<EventStream>,
    failed: u32,
}

impl<'a> Watch<'a> {
    const fn new(client: &'a Client) -> Self {
        Self {
            client,
            stream: None,
            failed: 0,
        }
    }

    /// Looks; `None` where the server is away for the moment.
    async fn look<T>(
        &mut self,
        call: impl AsyncFn() -> Result<T, client::Error>,
        deadline: Deadline,
    ) -> Result<Option<T>, Failure> {
        match call().await {
            Ok(seen) => {
                self.failed = 0;
                Ok(Some(seen))
            }
            Err(error) if is_passing(&error) && self.failed < PATIENCE => {
                self.failed += 1;
                edge::pause(deadline.left(POLL)).await;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until something may have changed; `false` where the time is up.
    async fn change(&mut self, ids: &[Option<String>], deadline: Deadline) -> bool {
        if deadline.left(POLL).is_zero() {
            return false;
        }
        if self.stream.is_none() {
            self.stream = edge::at_most(deadline.left(POLL), self.client.events(None))
                .await
                .and_then(Result::ok);
            // What happened before the stream began is not told by it.
            if self.stream.is_some() {
                return true;
            }
        }
        let Some(stream) = &mut self.stream else {
            edge::pause(deadline.left(POLL)).await;
            return !deadline.left(POLL).is_zero();
        };
        let ours = async {
            loop {
                match stream.next().await {
                    Ok(Some(event)) if ids.iter().flatten().any(|id| *id == event.subject.id) => return true,
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return false,
                }
            }
        };
        match edge::at_most(deadline.left(LOOK), ours).await {
            Some(true) => true,
            Some(false) => {
                self.stream = None;
                edge::pause(deadline.left(POLL)).await;
                !deadline.left(POLL).is_zero()
            }
            None => !deadline.left(POLL).is_zero(),
        }
    }
}

fn is_passing(error: &client::Error) -> bool {
    matches!(error, client::Error::Unreachable { .. })
        || matches!(
            error.code(),
            Some(ProblemCode::Unavailable | ProblemCode::RateLimited)
        )
}

#[cfg(test)]
mod tests;
