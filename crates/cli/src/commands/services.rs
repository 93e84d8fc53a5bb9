//! `service …`: accounts of programs, and the people who answer for them.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use daypass_api::login::Token;
use daypass_api::person::{Kind, NewPerson, Person, PersonQuery, SetOwner, SystemRole};
use daypass_core::name::Name;
use daypass_core::time::Span;

use crate::commands::people::{self, MOST, locked};
use crate::commands::show::labelled;
use crate::commands::tokens::{self, May, ScopeArg};
use crate::context::{Context, pages};
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::left;
use crate::line::{Field, Grid, Line, Style};

/// Manage service accounts: programs, each with a person who answers for it.
#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Make a service account
    Add(AddArgs),
    /// List service accounts and who answers for them
    Ls(LsArgs),
    /// Show one, with its tokens
    Show(ShowArgs),
    /// Let another person answer for one; its tokens end
    Owner(OwnerArgs),
    /// Issue a token for one that you answer for; its secret is shown this once
    Token(TokenArgs),
    /// Switch one off; what it holds ends
    Deactivate(SwitchArgs),
    /// Switch one on again
    Reactivate(SwitchArgs),
}

impl ServiceCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Add(args) => args.run(context).await,
            Self::Ls(args) => args.run(context).await,
            Self::Show(args) => args.run(context).await,
            Self::Owner(args) => args.run(context).await,
            Self::Token(args) => {
                let may = May::new(args.scopes, args.resources);
                tokens::create(context, (args.name, Some(args.login)), may, args.length).await
            }
            Self::Deactivate(args) => {
                let account = context.client()?.deactivate(&args.login).await?;
                Ok(shown(context, &account))
            }
            Self::Reactivate(args) => {
                let account = context.client()?.reactivate(&args.login).await;
                people::answered_as(context, account, shown)
            }
        }
    }
}

/// Make a service account.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass service add ci-deploy --owner bo
  daypass service add ci-deploy --owner bo --display \"Deployments\"

Its owner is a person who answers for it: they issue its tokens, hear what becomes of its requests, and do not review them.
It may ask for what a rule admits a set of logins to that names it.")]
pub struct AddArgs {
    /// What it is called by
    login: Name,

    /// The login of who answers for it
    #[arg(long, value_name = "PERSON")]
    owner: Name,

    /// The name shown beside it
    #[arg(long, value_name = "TEXT")]
    display: Option<String>,
}

impl AddArgs {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let new = NewPerson {
            login: self.login,
            display: self.display,
            kind: Kind::Service,
            role: SystemRole::Member,
            groups: BTreeSet::new(),
            manager: None,
            owner: Some(self.owner),
            mail: None,
            password: None,
        };
        let made = context.client()?.add_person(&new).await;
        if let Ok(account) = &made {
            for hint in token_hints(&account.login) {
                context.out.note(Line::new().with(Style::Faint, hint));
            }
        }
        people::answered_as(context, made, shown)
    }
}

/// How an account comes to a token, by what it is for.
fn token_hints(login: &str) -> [String; 2] {
    [
        format!("  it has no token yet; its owner issues one: daypass service token {login} NAME"),
        String::from(
            "  that may read and request, as a host's must; --scope read only looks, --scope tickets only tells of closed tickets",
        ),
    ]
}

/// List service accounts.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass service ls
  daypass service ls --all
  daypass service ls -o json | jq -r '.[] | select(.orphaned).login'")]
pub struct LsArgs {
    /// Also accounts that were switched off
    #[arg(long)]
    all: bool,
}

impl LsArgs {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let accounts = all(context, self.all).await?;
        let locked = locked(&context.client()?).await?;
        context.out.list(
            &accounts,
            |account| account.login.clone(),
            &grid(&accounts, &locked),
            "there are no service accounts",
        );
        Ok(Exit::DONE)
    }
}

/// Show a service account.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass service show ci-deploy
  daypass service show ci-deploy -o json")]
pub struct ShowArgs {
    /// Which
    login: Name,
}

impl ShowArgs {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let mut accounts = all(context, true).await?;
        accounts.retain(|account| account.login == self.login.as_str());
        // Several may have had this login, one after the other: the one that is switched on, or the last.
        accounts.sort_by_key(|account| (account.active, account.changed_at));
        let Some(account) = accounts.pop() else {
            let what = format!("there is no service account {}", self.login);
            return Err(Failure::error(what).hint("daypass service ls --all"));
        };
        let client = context.client()?;
        let locked = locked(&client).await?;
        let tokens = if account.active {
            tokens::of(&client, Some(&self.login)).await?
        } else {
            Vec::new()
        };
        context.out.one(
            &account,
            || account.login.clone(),
            || lines(&account, &locked, &tokens),
        );
        Ok(Exit::DONE)
    }
}

/// Let another person answer for a service account.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass service owner ci-deploy cy

All of its tokens end: who answered for it until now knows them. The new owner issues others (daypass service token).
What it holds stays.")]
pub struct OwnerArgs {
    /// Which
    login: Name,

    /// The login of who answers for it from now on
    #[arg(value_name = "PERSON")]
    owner: Name,
}

impl OwnerArgs {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let owner = SetOwner { owner: self.owner };
        let account = context.client()?.set_owner(&self.login, &owner).await;
        people::answered_as(context, account, shown)
    }
}

/// Issue a token for a service account.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass service token ci-deploy pipeline --scope read --scope request > /run/secrets/daypass-token
  daypass service token ci-deploy nightly --scope read --for 90d

Only its owner may, so that nobody has its tokens who may agree to what it asks for. Only the secret goes to stdout.
It is listed and revoked as other tokens are: daypass token ls --of ci-deploy, daypass token revoke ID --of ci-deploy.")]
pub struct TokenArgs {
    /// Which
    login: Name,

    /// What to call the token
    name: String,

    /// What it may do; may be given several times
    #[arg(long = "scope", value_enum, default_values = ["read", "request"])]
    scopes: Vec<ScopeArg>,

    /// With --scope gateway: a resource that the gateway may serve; may be given several times
    #[arg(long = "resource", value_name = "RESOURCE")]
    resources: Vec<Name>,

    /// How long it is taken
    #[arg(long = "for", value_name = "TIME", default_value = "30d")]
    length: Span,
}

/// Which service account.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass service deactivate ci-deploy
  daypass service reactivate ci-deploy")]
pub struct SwitchArgs {
    /// Which
    login: Name,
}

async fn all(context: &Context, inactive: bool) -> Result<Vec<Person>, Failure> {
    let client = context.client()?;
    pages(MOST, async |cursor| {
        client
            .people(&PersonQuery {
                kind: Some(Kind::Service),
                inactive: inactive.then_some(true),
                cursor,
                ..PersonQuery::default()
            })
            .await
    })
    .await
}

fn shown(context: &Context, account: &Person) -> Exit {
    if context.out.is_structured() {
        context.out.one(account, String::new, Vec::new);
    } else {
        let accounts = std::slice::from_ref(account);
        let grid = grid(accounts, &BTreeSet::new());
        context
            .out
            .list(accounts, |account| account.login.clone(), &grid, "");
    }
    Exit::DONE
}

fn grid(accounts: &[Person], locked: &BTreeSet<String>) -> Grid {
    let mut grid = Grid::new(["LOGIN", "NAME", "OWNER", "ROLE", ""]);
    for account in accounts {
        grid.row([
            Field(Style::Strong, account.login.clone()),
            Field::from(account.display.as_str()),
            Field::from(account.owner.as_deref().unwrap_or("–")),
            Field::from(account.role.as_str()),
            state(account, locked),
        ]);
    }
    grid
}

/// What keeps it from getting anything, if something does.
fn state(account: &Person, locked: &BTreeSet<String>) -> Field {
    let owner_locked = account.owner.as_ref().is_some_and(|owner| locked.contains(owner));
    match people::state(account, locked) {
        Some(state) => state,
        None if owner_locked => Field(Style::Bad, "its owner is locked".into()),
        None => Field::from(""),
    }
}

fn lines(account: &Person, locked: &BTreeSet<String>, tokens: &[Token]) -> Vec<Line> {
    let Field(style, state) = state(account, locked);
    let mut lines = vec![
        Line::new()
            .with(Style::Strong, &account.login)
            .text(format!(" ({})  ", account.display))
            .with(style, state),
        labelled("owner", account.owner.as_deref().unwrap_or("nobody")),
        labelled("role", account.role.as_str()),
    ];
    if let Some(why) = &account.orphaned {
        lines.push(Line::new().with(Style::Bad, why));
        let hint = format!("daypass service owner {} PERSON", account.login);
        lines.push(Line::new().with(Style::Faint, hint));
    }
    let now = edge::now();
    for token in tokens {
        let text = format!("{}  {}", token.id.short(), token.name);
        let until = format!("  {}", left(token.expires_at, now));
        lines.push(labelled("token", text).with(Style::Faint, until));
    }
    lines
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        args: TokenArgs,
    }

    /// What is proposed parses, and gives what a host needs (docs/providers/ssh.md).
    #[test]
    fn the_token_that_is_proposed_serves_a_host() {
        let [proposed, _] = token_hints("host-web-1");
        let (_, args) = proposed.split_once("daypass service ").unwrap();
        let args = Program::try_parse_from(args.split_whitespace()).unwrap().args;
        assert_eq!(format!("{:?}", args.scopes), "[Read, Request]");
    }
}
