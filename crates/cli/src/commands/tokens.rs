//! `token …`: API tokens and login sessions.

use std::collections::BTreeSet;

use clap::{Args, Subcommand, ValueEnum};
use daypass_api::change::Proposed;
use daypass_api::login::{NewToken, Token, TokenQuery, Via};
use daypass_api::route::Scope;
use daypass_api::{Client, client};
use daypass_core::id::TokenId;
use daypass_core::name::Name;
use daypass_core::time::Span;

use crate::commands::change;
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::{ago, left};
use crate::line::{Field, Grid, Line, Style};

/// Manage API tokens and sessions.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Issue a token; its secret is shown this once
    Create(CreateArgs),
    /// List tokens and sessions
    Ls(LsArgs),
    /// Revoke a token or session
    Revoke(RevokeArgs),
}

impl TokenCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Create(args) => args.run(context).await,
            Self::Ls(args) => args.run(context).await,
            Self::Revoke(args) => args.run(context).await,
        }
    }
}

/// What a token may do, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ScopeArg {
    /// Read
    Read,
    /// Ask for access, use it, extend it, end one's own
    Request,
    /// Manage people and connectors
    Manage,
    /// Tell that tickets are closed, and nothing else
    Tickets,
    /// Be a gateway for the resources that are named, and nothing else
    Gateway,
}

impl From<ScopeArg> for Scope {
    fn from(scope: ScopeArg) -> Self {
        match scope {
            ScopeArg::Read => Self::Read,
            ScopeArg::Request => Self::Request,
            ScopeArg::Manage => Self::Manage,
            ScopeArg::Tickets => Self::Tickets,
            ScopeArg::Gateway => Self::Gateway,
        }
    }
}

/// Issue a token.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass token create nightly-report --scope read --for 30d
  daypass token create deploy --scope read --scope request --as ci-deploy > /run/secrets/daypass-token
  DAYPASS_SERVER=https://daypass.example.com DAYPASS_TOKEN=\"$(cat /run/secrets/daypass-token)\" daypass status

A token never may more than its owner, and never reviews. Only the secret goes to stdout. Where the policy covers credentials, one for a
service account is proposed: its secret works once others have agreed.")]
pub struct CreateArgs {
    /// What to call it
    name: String,

    /// What it may do; may be given several times
    #[arg(long = "scope", value_enum, required = true)]
    scopes: Vec<ScopeArg>,

    /// With --scope gateway: a resource that the gateway may serve; may be given several times
    #[arg(long = "resource", value_name = "RESOURCE")]
    resources: Vec<Name>,

    /// How long it is taken
    #[arg(long = "for", value_name = "TIME", default_value = "30d")]
    length: Span,

    /// For this service account, which you answer for
    #[arg(long = "as", value_name = "LOGIN")]
    login: Option<Name>,
}

impl CreateArgs {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let may = May::new(self.scopes, self.resources);
        create(context, (self.name, self.login), may, self.length).await
    }
}

/// What a token may do, and for what.
pub(super) struct May {
    scopes: BTreeSet<Scope>,
    resources: BTreeSet<Name>,
}

impl May {
    pub(super) fn new(scopes: Vec<ScopeArg>, resources: Vec<Name>) -> Self {
        Self {
            scopes: scopes.into_iter().map(Into::into).collect(),
            resources: resources.into_iter().collect(),
        }
    }
}

/// Issues a token of this name: for the caller, or for a service account.
pub(super) async fn create(
    context: &Context,
    (name, login): (String, Option<Name>),
    May { scopes, resources }: May,
    length: Span,
) -> Result<Exit, Failure> {
    let client = context.client()?;
    let new = NewToken {
        name,
        scopes,
        resources,
        expires_in: length,
        login,
    };
    let issued = match client.add_token(&new).await {
        Ok(issued) => issued,
        Err(client::Error::Waits(proposed)) => return Ok(waits(context, &proposed)),
        Err(error) => return Err(error.into()),
    };
    let token = &issued.token;
    context.out.note(format!(
        "token {} of {}, {}",
        token.id.short(),
        token.login,
        left(token.expires_at, edge::now())
    ));
    context.out.one(
        &issued,
        || issued.secret.expose().to_owned(),
        || vec![Line::from(issued.secret.expose())],
    );
    context
        .out
        .note(Line::new().with(Style::Faint, "  it is not shown again"));
    Ok(Exit::DONE)
}

/// Its secret is there, and good for nothing until others have agreed.
fn waits(context: &Context, proposed: &Proposed) -> Exit {
    for line in change::proposed(&proposed.change, edge::now()) {
        context.out.note(line);
    }
    let Some(secret) = &proposed.secret else {
        return Exit::DONE;
    };
    context.out.one(
        proposed,
        || secret.expose().to_owned(),
        || vec![Line::from(secret.expose())],
    );
    let hint = "  it works once the change is applied, and is not shown again";
    context.out.note(Line::new().with(Style::Faint, hint));
    Exit::DONE
}

/// List tokens and sessions.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass token ls
  daypass token ls --of ci-deploy")]
pub struct LsArgs {
    /// Whose; yours where nobody is named (a service account that you answer for; auditors and administrators)
    #[arg(long = "of", value_name = "LOGIN")]
    login: Option<Name>,
}

impl LsArgs {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let tokens = of(&client, self.login.as_ref()).await?;
        let now = edge::now();
        let mut grid = Grid::new(["ID", "WHOSE", "NAME", "MAY", "ISSUED", "TIME"]);
        for token in &tokens {
            let id = if context.out.is_wide() {
                token.id.to_string()
            } else {
                token.id.short()
            };
            let may = match &token.via {
                Via::Session => String::from("session"),
                Via::Gateway => String::from("gateway"),
                Via::SshKey { fingerprint } => format!("ssh key {fingerprint}"),
                Via::Token { scopes, resources } => {
                    let scopes = scopes.iter().map(|scope| scope.as_str());
                    let resources = resources.iter().map(Name::as_str);
                    scopes.chain(resources).collect::<Vec<_>>().join(" ")
                }
            };
            grid.row([
                Field(Style::Strong, id),
                Field::from(token.login.as_str()),
                Field::from(token.name.as_str()),
                Field::from(may),
                Field::from(ago(token.created_at, now)),
                Field::from(left(token.expires_at, now)),
            ]);
        }
        context
            .out
            .list(&tokens, |token| token.id.to_string(), &grid, "there are none");
        Ok(Exit::DONE)
    }
}

/// Revoke a token or session.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass token revoke T7K2M9
  daypass token revoke T7K2M9 --of ci-deploy")]
pub struct RevokeArgs {
    /// The token, by its (short) id
    id: String,

    /// Whose; yours where nobody is named (a service account that you answer for; administrators)
    #[arg(long = "of", value_name = "LOGIN")]
    login: Option<Name>,
}

impl RevokeArgs {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let id = match self.id.parse::<TokenId>() {
            Ok(id) => id,
            Err(_) => the_one(&of(&client, self.login.as_ref()).await?, &self.id)?,
        };
        client.revoke_token(id).await?;
        context.out.note(format!("token {} is revoked", id.short()));
        Ok(Exit::DONE)
    }
}

pub(super) async fn of(client: &Client, login: Option<&Name>) -> Result<Vec<Token>, Failure> {
    Ok(client
        .tokens(&TokenQuery {
            login: login.map(ToString::to_string),
        })
        .await?
        .items)
}

/// The token that a short id means.
pub(super) fn the_one(tokens: &[Token], text: &str) -> Result<TokenId, Failure> {
    let wanted = text.to_ascii_uppercase();
    let fits = |token: &&Token| !wanted.is_empty() && token.id.to_string().starts_with(&wanted);
    let mut fitting = tokens.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Ok(only.id),
        (Some(_), Some(_)) => {
            Err(Failure::usage(format!("\"{text}\" could be several tokens")).hint("give more of the id"))
        }
        (None, _) => Err(Failure::error(format!("there is no token {text}")).hint("daypass token ls")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_id_must_mean_one_token() {
        let token = |id: TokenId| Token {
            id,
            login: "ana".into(),
            name: "x".into(),
            via: Via::Session,
            created_at: daypass_core::time::Timestamp::EPOCH,
            expires_at: daypass_core::time::Timestamp::EPOCH,
        };
        let one = TokenId::from_bytes([0; 10]);
        let other = TokenId::from_bytes([255; 10]);
        let both = [token(one), token(other)];
        assert_eq!(the_one(&both, "t00").unwrap(), one);
        for text in ["T", "", "TX", "0"] {
            assert!(the_one(&both, text).is_err(), "{text}");
        }
    }
}
