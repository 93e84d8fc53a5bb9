//! `change ls`, `change show`, and the verbs of `approve`, `deny`, `cancel` and `status` for changes that wait for others.

mod diff;

use clap::{Args, Subcommand, ValueEnum};
use daypass_api::Client;
use daypass_api::change::{Change, ChangeKind, ChangeQuery, ChangeState, NewChangeReview, Proposed};
use daypass_api::request::{Decision, Step, StepState};
use daypass_core::time::Timestamp;

use crate::ask;
use crate::commands::policy::plan;
use crate::commands::show::{self, labelled, step_lines};
use crate::context::{Context, pages};
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::{ago, count, instant, left};
use crate::line::{Field, Grid, Line, Style};

/// The most changes that are listed.
const MOST: usize = 500;

/// Look at changes that others must agree to: of the policy, of accounts and groups.
#[derive(Debug, Subcommand)]
pub enum ChangeCommand {
    /// List changes, newest first
    Ls(LsArgs),
    /// Show one: what would change, who was asked, who agreed
    Show(ShowArgs),
}

/// List changes, newest first.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass change ls
  daypass change ls --state pending
  daypass approve C7K2M9            agree to one; daypass deny C7K2M9 --reason TEXT, daypass cancel C7K2M9 to take it back")]
pub struct LsArgs {
    /// Only those in this state
    #[arg(long)]
    state: Option<StateArg>,
}

/// A state, as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum StateArg {
    Pending,
    Applied,
    Denied,
    Withdrawn,
    Lapsed,
}

impl From<StateArg> for ChangeState {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Pending => Self::Pending,
            StateArg::Applied => Self::Applied,
            StateArg::Denied => Self::Denied,
            StateArg::Withdrawn => Self::Withdrawn,
            StateArg::Lapsed => Self::Lapsed,
        }
    }
}

/// Show one: what would change, who was asked, who agreed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass change show C7K2M9
  daypass change show C7K2M9 -o json | jq -r '.files[].text'")]
pub struct ShowArgs {
    /// The change, by its (short) id
    id: String,
}

impl ChangeCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Ls(args) => args.run(context).await,
            Self::Show(args) => {
                let change = context.client()?.change(&args.id).await?;
                show(context, &change);
                Ok(Exit::DONE)
            }
        }
    }
}

impl LsArgs {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let query = ChangeQuery {
            state: self.state.map(ChangeState::from),
            ..ChangeQuery::default()
        };
        let changes = listed(&client, query).await?;
        let mut grid = Grid::new(["ID", "WHO", "STATE", "TIME", "WHAT"]);
        let now = edge::now();
        for change in &changes {
            let time = match due(change) {
                Some(due) => left(due, now),
                None => ago(change.decided_at.unwrap_or(change.created_at), now),
            };
            grid.row([
                Field(Style::Strong, id(context, change)),
                Field::from(change.proposer.as_str()),
                state(change),
                Field::from(time),
                Field::from(what(change)),
            ]);
        }
        context.out.list(
            &changes,
            |change| change.id.to_string(),
            &grid,
            "there are no changes",
        );
        Ok(Exit::DONE)
    }
}

async fn listed(client: &Client, query: ChangeQuery) -> Result<Vec<Change>, Failure> {
    pages(MOST, async |cursor| {
        client
            .changes(&ChangeQuery {
                cursor,
                ..query.clone()
            })
            .await
    })
    .await
}

/// What waits for the caller's review.
pub(crate) async fn waiting(client: &Client) -> Result<Vec<Change>, Failure> {
    let query = ChangeQuery {
        state: Some(ChangeState::Pending),
        reviewable: Some(true),
        ..ChangeQuery::default()
    };
    listed(client, query).await
}

/// One row of the inbox, below those of requests.
pub(crate) fn row(context: &Context, change: &Change, now: Timestamp) -> [Field; 6] {
    let time = due(change).map_or_else(String::new, |due| left(due, now));
    [
        Field(Style::Strong, id(context, change)),
        Field::from(change.proposer.as_str()),
        Field::from(format!(
            "{}{}",
            match change.kind {
                ChangeKind::Policy => "another policy",
                ChangeKind::Account => "an account",
            },
            show::in_place(change.reviewable_for.as_deref())
        )),
        Field::from("–"),
        Field(Style::Warn, time),
        Field::from(what(change)),
    ]
}

fn id(context: &Context, change: &Change) -> String {
    if context.out.is_wide() {
        change.id.to_string()
    } else {
        change.id.short()
    }
}

fn due(change: &Change) -> Option<Timestamp> {
    change.steps.iter().find_map(|step| step.due_at)
}

/// `+ rule prod-write and 2 more changes`.
fn what(change: &Change) -> String {
    match change.summary.as_slice() {
        [] => String::from("no rule, resource or set of people changes"),
        [one] => one.clone(),
        [one, rest @ ..] => format!("{one} and {}", count(rest.len(), "more change")),
    }
}

fn state(change: &Change) -> Field {
    let style = match change.state {
        ChangeState::Pending => Style::Warn,
        ChangeState::Applied => Style::Good,
        ChangeState::Denied => Style::Bad,
        ChangeState::Withdrawn | ChangeState::Lapsed => Style::Faint,
    };
    Field(style, change.state.as_str().to_owned())
}

/// Shows a change as an answer.
pub(crate) fn show(context: &Context, change: &Change) {
    let now = edge::now();
    context
        .out
        .one(change, || change.id.to_string(), || lines(change, now));
}

/// All there is to say of a change: what a reviewer must see before agreeing, every line of the files among it.
fn lines(change: &Change, now: Timestamp) -> Vec<Line> {
    let Field(style, state) = state(change);
    let mut lines = vec![
        Line::new()
            .with(Style::Strong, change.id.short())
            .text("  ")
            .with(Style::Strong, &change.proposer)
            .text(match change.kind {
                ChangeKind::Policy => " proposes another policy  ",
                ChangeKind::Account => " proposes to change an account  ",
            })
            .with(style, state),
    ];
    if let Some(why) = &change.lapsed_because {
        lines.push(labelled("because", why));
    }
    let asked = format!("{} ({})", instant(change.created_at), ago(change.created_at, now));
    lines.push(labelled("proposed", asked));
    for (number, step) in change.steps.iter().enumerate() {
        lines.extend(step_lines(number + 1, step, now, || waits_for(step, now)));
    }
    for (number, line) in change.summary.iter().enumerate() {
        lines.push(labelled(if number == 0 { "changes" } else { "" }, line));
    }
    if change.summary.is_empty() {
        lines.push(labelled("changes", what(change)));
    }
    lines.extend(effects(change));
    if change.state == ChangeState::Pending && !change.files.is_empty() {
        lines.extend(diff::lines(&change.before, &change.files));
    }
    lines.push(labelled("digest", change.digest.to_string()));
    lines
}

/// What a change of an account does under the policy in force.
fn effects(change: &Change) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(why) = &change.obstacle {
        let what = format!("as things are now it could not be done: {why}");
        lines.push(Line::new().with(Style::Bad, "! ").text(what));
    }
    lines.extend(change.reviews.iter().map(|line| Line::from(line.as_str())));
    if let Some(plan) = &change.plan {
        lines.extend(plan::changes(plan, false));
        if plan.changes.is_empty() {
            lines.push(Line::from("what they may ask for stays as it is"));
        }
        let asked = format!(
            "asked about {}; conditions are supposed to hold",
            count(plan.roles, "role")
        );
        lines.push(Line::new().with(Style::Faint, asked));
        lines.extend(plan::left_out(plan));
    }
    lines
}

fn waits_for(step: &Step, now: Timestamp) -> String {
    let whom = if step.reviewers.is_empty() {
        String::from("nobody who may review")
    } else {
        step.answerers().join(", ")
    };
    let time = step
        .due_at
        .map_or_else(String::new, |due| format!(" ({})", left(due, now)));
    format!("waits for {whom}{time}")
}

/// Says that what was proposed waits.
pub(crate) fn proposed(change: &Change, now: Timestamp) -> Vec<Line> {
    let open = change.steps.iter().find(|step| step.state == StepState::Open);
    let waits = open.map_or_else(String::new, |step| format!(", and {}", waits_for(step, now)));
    let said = format!(": it is proposed{waits}; nothing has changed yet");
    vec![
        Line::new()
            .with(Style::Warn, "… ")
            .with(Style::Strong, change.id.short())
            .text(said),
    ]
}

/// The same as the answer to a command that was to change an account.
pub(crate) fn tell_proposed(context: &Context, proposed: &Proposed) {
    let change = &proposed.change;
    context.out.one(
        proposed,
        || change.id.to_string(),
        || self::proposed(change, edge::now()),
    );
}

/// The same for several.
pub(crate) fn tell_all_proposed(context: &Context, changes: &[Change]) {
    let now = edge::now();
    let ids = || {
        changes
            .iter()
            .map(|change| change.id.to_string())
            .collect::<Vec<_>>()
            .join("\n")
    };
    context.out.one(&changes, ids, || {
        changes.iter().flat_map(|change| proposed(change, now)).collect()
    });
}

/// Agrees to a change, once it was shown and is meant.
pub(crate) async fn approve(
    context: &Context,
    typed: &str,
    comment: Option<String>,
    yes: bool,
) -> Result<Exit, Failure> {
    let client = context.client()?;
    let change = client.change(typed).await?;
    undecided(&change)?;
    let asks = change.reviewable && !yes && context.may_ask();
    for line in lines(&change, edge::now()) {
        // Nobody confirms what they do not see.
        if asks {
            context.out.warn(line)
        } else {
            context.out.note(line)
        }
    }
    let question = match change.kind {
        ChangeKind::Policy => "Agree to this policy?",
        ChangeKind::Account => "Agree to this change?",
    };
    if asks && !ask::confirm(context, question)? {
        return Err(Failure::error("not approved"));
    }
    review(context, &client, &change, Decision::Approve, comment).await
}

/// Says no to a change.
pub(crate) async fn deny(context: &Context, typed: &str, reason: String) -> Result<Exit, Failure> {
    let client = context.client()?;
    let change = client.change(typed).await?;
    undecided(&change)?;
    review(context, &client, &change, Decision::Deny, Some(reason)).await
}

async fn review(
    context: &Context,
    client: &Client,
    change: &Change,
    decision: Decision,
    comment: Option<String>,
) -> Result<Exit, Failure> {
    let review = NewChangeReview {
        decision,
        digest: change.digest,
        comment,
    };
    let after = client.review_change(change.id, &review).await?;
    tell(context, &after);
    Ok(Exit::DONE)
}

/// Takes a change of one's own back.
pub(crate) async fn withdraw(context: &Context, typed: &str) -> Result<Exit, Failure> {
    let client = context.client()?;
    let change = client.change(typed).await?;
    let after = client.withdraw_change(change.id).await?;
    tell(context, &after);
    Ok(Exit::DONE)
}

fn tell(context: &Context, change: &Change) {
    let now = edge::now();
    let open = change.steps.iter().find(|step| step.state == StepState::Open);
    let said = match (change.state, open) {
        (ChangeState::Applied, _) => String::from(match change.kind {
            ChangeKind::Policy => "the policy is in force",
            ChangeKind::Account => "it is done",
        }),
        (_, Some(step)) => waits_for(step, now),
        (state, None) => match &change.lapsed_because {
            Some(why) => format!("{}: {why}", state.as_str()),
            None => state.as_str().to_owned(),
        },
    };
    let line = || {
        Line::new()
            .with(Style::Strong, change.id.short())
            .text(format!(": {said}"))
    };
    context.out.one(change, || change.id.to_string(), || vec![line()]);
}

/// What is decided need not be looked at and confirmed first.
fn undecided(change: &Change) -> Result<(), Failure> {
    if change.state == ChangeState::Pending {
        return Ok(());
    }
    let (id, state) = (change.id.short(), change.state.as_str());
    let why = change
        .lapsed_because
        .as_ref()
        .map_or_else(String::new, |why| format!(": {why}"));
    Err(Failure::error(format!("change {id} is {state} already{why}"))
        .hint(format!("daypass change show {id}")))
}

#[cfg(test)]
mod tests {
    use daypass_core::id::ChangeId;
    use daypass_core::text::Hash;

    use super::*;

    fn account(state: ChangeState) -> Change {
        Change {
            id: ChangeId::from_bytes([1; 10]),
            kind: ChangeKind::Account,
            digest: Hash::of(b"all of it"),
            state,
            proposer: "root".into(),
            policy_revision: Hash::of(b"policy"),
            revision: None,
            summary: vec!["+ ana joins security".into()],
            steps: Vec::new(),
            created_at: Timestamp::EPOCH,
            decided_at: None,
            lapsed_because: None,
            reviewable: true,
            reviewable_for: None,
            before: Vec::new(),
            files: Vec::new(),
            plan: None,
            reviews: vec!["+ may review what asks security (1 rule or guardrail)".into()],
            obstacle: None,
        }
    }

    fn text(lines: &[Line]) -> String {
        let lines: Vec<String> = lines.iter().map(|line| line.render(false)).collect();
        lines.join("\n")
    }

    /// Nobody agrees to what they were not shown.
    #[test]
    fn a_change_of_an_account_is_shown_with_what_it_does() {
        let change = account(ChangeState::Pending);
        let shown = text(&lines(&change, Timestamp::EPOCH));
        for part in [
            "root proposes to change an account",
            "+ ana joins security",
            "+ may review what asks security",
            &change.digest.to_string(),
        ] {
            assert!(shown.contains(part), "{part} is not in\n{shown}");
        }
        assert!(!shown.contains("policy"), "{shown}");
        let obstacle = Some(String::from("there is a ana already"));
        let blocked = Change { obstacle, ..change };
        let shown = text(&lines(&blocked, Timestamp::EPOCH));
        assert!(
            shown.contains("it could not be done: there is a ana already"),
            "{shown}"
        );
    }

    #[test]
    fn what_was_proposed_is_not_told_as_done() {
        let change = account(ChangeState::Pending);
        let told = text(&proposed(&change, Timestamp::EPOCH));
        assert!(
            told.contains(&change.id.short()) && told.contains("nothing has changed yet"),
            "{told}"
        );
    }
}
