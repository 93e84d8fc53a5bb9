//! `login`, `logout`, `whoami`.

use std::path::PathBuf;

use clap::Args;
use daypass_api::client::{Client, Connection};
use daypass_api::login::{Login, Via, Whoami};
use daypass_api::route::Route;
use daypass_api::{DEFAULT_PORT, Secret};
use daypass_core::time::Timestamp;

use crate::ask;
use crate::context::{Context, read_ca};
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::{instant, left};
use crate::line::{Line, Style};
use crate::profile::Profile;

/// Log in to a server and remember the session.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass login --server https://daypass.example.com
  daypass login ana
  pass show daypass | daypass login ana --password-stdin
  daypass login bo --profile bo       (then: daypass inbox --profile bo)

The session is kept in ~/.config/daypass/PROFILE.json, readable by you alone.")]
pub struct LoginArgs {
    /// Your login; asked for where it is left out
    login: Option<String>,

    /// Read the password from the first line of stdin
    #[arg(long)]
    password_stdin: bool,

    /// A file of certificates (PEM) to trust for this server besides the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl LoginArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let place = context.place()?;
        // What is there may be broken or open to others; a login writes it anew.
        let before = place.load().unwrap_or_default();
        let server = match (context.named_server(), &before) {
            (Some(server), _) => server.to_owned(),
            (None, Some(before)) => before.server.clone(),
            (None, None) => format!("http://127.0.0.1:{DEFAULT_PORT}"),
        };
        let kept = before
            .as_ref()
            .filter(|before| before.server == server)
            .and_then(|before| before.ca.clone());
        let ca = self.ca.or_else(|| context.env.ca.clone()).or(kept);
        let ca = ca.map(|path| std::path::absolute(&path).unwrap_or(path));
        let ca_pem = ca.as_deref().map(read_ca).transpose()?;
        let client = context.watching(Client::new(&Connection {
            server,
            token: None,
            ca_pem,
        })?);
        // Told before a password is typed.
        client.admitted(Route::Login).await?;

        let remembered = before
            .as_ref()
            .map(|before| before.login.as_str())
            .or(context.env.user.as_deref());
        let login = match self.login {
            Some(login) => login,
            None => ask::line_or(context, &format!("Login at {}", client.server()), remembered)?
                .ok_or_else(|| Failure::usage("whose login?").hint("daypass login LOGIN --password-stdin"))?,
        };
        let password = ask::password(
            context,
            self.password_stdin,
            &format!("Password of {login}"),
            false,
        )?;
        let profile = Some(place.name.to_string());
        let answer = client
            .login(&Login {
                login,
                password: Secret::new(password),
                profile,
            })
            .await?;
        let login = answer.person.login.clone();
        place.save(&Profile {
            server: client.server().to_owned(),
            login: login.clone(),
            token: answer.token,
            expires_at: answer.expires_at,
            ca,
        })?;
        context.out.note(
            Line::new()
                .with(Style::Good, "✓ ")
                .text(format!("logged in to {} as {login}, ", client.server()))
                .text(left(answer.expires_at, edge::now())),
        );
        Ok(Exit::DONE)
    }
}

/// End the session and forget it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass logout
  daypass logout --profile bo")]
pub struct LogoutArgs {}

impl LogoutArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let place = context.place()?;
        let Some(profile) = place.load()? else {
            context.out.note("nobody is logged in");
            return Ok(Exit::DONE);
        };
        let ca_pem = profile.ca.as_deref().map(read_ca).transpose()?;
        let token = Some(profile.token.into_inner());
        let client = context.watching(Client::new(&Connection {
            server: profile.server,
            token,
            ca_pem,
        })?);
        let ended = client.logout().await;
        // Forgotten here whatever the server says.
        place.remove()?;
        match ended.map_err(Failure::from) {
            Ok(()) => context.out.note("logged out"),
            Err(failure) if failure.exit == Exit::LOGIN_NEEDED => {
                context.out.note("the session had ended already")
            }
            Err(failure) => {
                context
                    .out
                    .warn("the session is forgotten here, but the server could not be told to end it");
                return Err(failure);
            }
        }
        Ok(Exit::DONE)
    }
}

/// Show who you are to the server.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass whoami
  daypass whoami -o json | jq -r .person.groups[]")]
pub struct WhoamiArgs {}

impl WhoamiArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let me = client.whoami().await?;
        context
            .out
            .one(&me, || me.person.login.clone(), || lines(&me, client.server()));
        Ok(Exit::DONE)
    }
}

/// What somebody reads whose account is locked.
pub(super) fn locked(since: Timestamp) -> Line {
    let what = format!(
        "your account is locked since {}; you may read and give back",
        instant(since)
    );
    Line::new().with(Style::Bad, what)
}

fn lines(me: &Whoami, server: &str) -> Vec<Line> {
    let person = &me.person;
    let mut lines = vec![Line::new().with(Style::Strong, &person.login).text(format!(
        " ({}), {}",
        person.display,
        person.role.as_str()
    ))];
    if let Some(since) = me.locked_since {
        lines.push(locked(since));
    }
    if !person.groups.is_empty() {
        let groups: Vec<_> = person
            .groups
            .iter()
            .map(daypass_core::name::Name::as_str)
            .collect();
        lines.push(Line::new().text(format!("groups   {}", groups.join(", "))));
    }
    match (&person.owner, &person.orphaned) {
        (_, Some(why)) => lines.push(Line::new().with(Style::Bad, why)),
        (Some(owner), None) => {
            lines.push(Line::new().text(format!("owner    {owner}, who answers for this service account")));
        }
        (None, None) => {}
    }
    if !person.owns.is_empty() {
        lines.push(Line::new().text(format!("owns     {}", person.owns.join(", "))));
    }
    if let Some(manager) = &person.manager {
        lines.push(Line::new().text(format!("manager  {manager}")));
    }
    let how = match &me.via {
        Via::Session => String::from("session"),
        Via::SshKey { fingerprint } => format!("ssh key {fingerprint}"),
        Via::Gateway => String::from("gateway"),
        Via::Token { scopes, .. } => {
            let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
            format!("API token ({})", scopes.join(", "))
        }
    };
    let until = format!(
        "{how} at {server} until {} ({})",
        instant(me.expires_at),
        left(me.expires_at, edge::now())
    );
    lines.push(Line::new().with(Style::Faint, until));
    lines
}
