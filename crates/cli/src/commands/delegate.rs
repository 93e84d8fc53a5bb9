//! `delegate`: who reviews in one's place while one is away.

use clap::Args;
use daypass_api::delegation::{Delegation, DelegationQuery, DelegationState, NewDelegation};
use daypass_core::time::Timestamp;

use crate::commands::confirm::proving;
use crate::commands::request::When;
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::{instant, left};
use crate::line::{Field, Grid, Line, Style};

/// Let somebody else review in your place while you are away.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass delegate bo --until 2026-08-17T06:00:00Z --reason \"on holiday\"
  daypass delegate bo --from +12h --until +14d
  daypass delegate                                 what you delegated, and who delegated to you
  daypass delegate --end                           take it back
  daypass delegate --end ana                       take ana's back (for administrators)

The policy says who may be a delegate (defaults: delegates); a delegation lasts 30 days at most. Your delegate answers where you
are asked and they are not, in your place and in their own name; you two count once. Whoever delegates proves freshly who they
are, as with daypass confirm.")]
pub struct DelegateArgs {
    /// Who is to review; with --end, whose delegation ends (yours, where it is left out)
    login: Option<String>,

    /// Until when: a time in RFC 3339, or +14d from now
    #[arg(long, value_name = "TIME", requires = "login")]
    until: Option<When>,

    /// From when on; from now where it is left out
    #[arg(long, value_name = "TIME", requires = "until")]
    from: Option<When>,

    /// Why; your delegate reads it
    #[arg(long, value_name = "TEXT", requires = "until")]
    reason: Option<String>,

    /// Take a delegation back
    #[arg(long, conflicts_with_all = ["until", "all"])]
    end: bool,

    /// Everybody's (for auditors and administrators)
    #[arg(long, conflicts_with_all = ["until", "login"])]
    all: bool,
}

impl DelegateArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        if self.end {
            return end(context, self.login).await;
        }
        match (self.login, self.until) {
            (Some(to), Some(until)) => {
                let now = edge::now();
                let new = NewDelegation {
                    to,
                    from: self.from.map(|from| from.after(now)),
                    until: until.after(now),
                    reason: self.reason,
                };
                make(context, &new).await
            }
            (Some(_), None) => Err(Failure::usage("until when?").hint("--until +14d")),
            _ => list(context, self.all).await,
        }
    }
}

async fn make(context: &Context, new: &NewDelegation) -> Result<Exit, Failure> {
    let client = context.client()?;
    let made = proving(context, &client, async |client| client.delegate(new).await).await?;
    context.out.one(
        &made,
        || made.to.clone(),
        || {
            let from = match made.state {
                DelegationState::Planned => format!("from {} ", instant(made.from)),
                DelegationState::Active | DelegationState::Void => String::new(),
            };
            let what = format!(
                "{} reviews in your place {from}until {}",
                made.to,
                instant(made.until)
            );
            let back = "  daypass delegate --end takes it back";
            vec![
                Line::new()
                    .with(Style::Good, "✓ ")
                    .text(what)
                    .with(Style::Faint, back),
            ]
        },
    );
    Ok(Exit::DONE)
}

async fn end(context: &Context, login: Option<String>) -> Result<Exit, Failure> {
    let client = context.client()?;
    let login = match login {
        Some(login) => login,
        None => client.whoami().await?.person.login,
    };
    let ended = client.end_delegation(&login).await?;
    context.out.one(
        &ended,
        || ended.of.clone(),
        || {
            let what = format!("the delegation of {} has ended", ended.of);
            vec![Line::new().with(Style::Good, "✓ ").text(what)]
        },
    );
    Ok(Exit::DONE)
}

async fn list(context: &Context, all: bool) -> Result<Exit, Failure> {
    let query = DelegationQuery {
        all: all.then_some(true),
    };
    let found = context.client()?.delegations(&query).await?.items;
    context.out.list(
        &found,
        |one| one.of.clone(),
        &grid(&found, edge::now()),
        "nobody delegates",
    );
    Ok(Exit::DONE)
}

fn grid(delegations: &[Delegation], now: Timestamp) -> Grid {
    let mut grid = Grid::new(["AWAY", "DELEGATE", "STATE", "UNTIL", "WHY"]);
    for one in delegations {
        let (style, state) = match one.state {
            DelegationState::Active => (Style::Good, String::from("active")),
            DelegationState::Planned => (Style::Plain, format!("from {}", instant(one.from))),
            DelegationState::Void => (
                Style::Warn,
                String::from("void (the policy, a lock, or an account)"),
            ),
        };
        grid.row([
            Field(Style::Strong, one.of.clone()),
            Field::from(one.to.as_str()),
            Field(style, state),
            Field::from(format!("{} ({})", instant(one.until), left(one.until, now))),
            Field::from(one.reason.as_deref().unwrap_or_default()),
        ]);
    }
    grid
}
