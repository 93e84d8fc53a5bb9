//! `session watch` and `session replay`: what somebody did in a session, or in all of a grant, as it happens and from the recordings.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use daypass_api::Client;
use daypass_api::client::LineStream;
use daypass_api::grant::GrantState;
use daypass_api::session::{Session, SessionState};
use daypass_core::id::GrantId;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::show::{self, Show};
use super::terminals::{self, Searching};
use super::which::{self, Which};
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::line::{Line, Style};

/// How often it is looked whether there are more sessions of a grant.
const LOOK: Duration = Duration::from_secs(2);

/// Watch a session as it happens.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass session watch S7K2M9
  daypass session watch --grant G7K2M9                        all of a grant, also those that begin later
  daypass session watch S7K2M9 -o json | jq -r .text

It begins with what is done from now on; what was done before is in daypass session replay. Auditors, administrators and those who
reviewed the request may watch. That you watched stands in the log.")]
pub struct WatchArgs {
    #[command(flatten)]
    which: Which,
}

/// Replay what was done in a session.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass session replay S7K2M9
  daypass session replay --grant G7K2M9                       all of a grant, one after another
  daypass session replay S7K2M9 -o json > session.jsonl
  daypass session replay S7K2M9 --asciicast session.cast      of ssh, for asciinema play session.cast
  daypass session replay --grant G7K2M9 --search 'rm -rf'     of ssh: what terminals showed, and commands

Each part is held against the log before it is shown. Auditors, administrators and those who reviewed the request may look; that
you did stands in the log. Ends with 1 where something of it is not as it was recorded. What an asciicast plays comes from whoever was
recorded: a terminal that plays it does what it says.")]
pub struct ReplayArgs {
    #[command(flatten)]
    which: Which,

    /// Write what a terminal showed to this file, as asciicast v3
    #[arg(long, value_name = "FILE", conflicts_with_all = ["search", "grant"])]
    asciicast: Option<PathBuf>,

    /// Of which program [default: the only one that showed something]
    #[arg(long, value_name = "NUMBER", requires = "asciicast")]
    channel: Option<u32>,

    /// Show only the lines of terminals, and the commands, that have these words
    #[arg(long, value_name = "WORDS")]
    search: Option<String>,
}

impl WatchArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        if let Some(grant) = self.which.grant(&client).await? {
            return watch_all(context, &client, grant).await;
        }
        for session in self.which.sessions(&client, true).await? {
            say(context, &session, "from now on");
            let lines = client.watch_session(session.id).await?;
            show::all(context, Show::of(session.id, false), lines).await?;
        }
        Ok(Exit::DONE)
    }
}

impl ReplayArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let sessions = self.which.sessions(&client, false).await?;
        if sessions.is_empty() {
            context.out.note("there was no session under this grant");
        }
        let mut all = Exit::DONE;
        let mut found = Vec::new();
        for session in sessions {
            let lines = client.replay_session(session.id).await?;
            let exit = if let Some(file) = &self.asciicast {
                let mut all = Vec::new();
                let exit = show::each(context, lines, |line| all.push(line)).await?;
                terminals::write(context, &all, self.channel, file)?;
                exit
            } else if let Some(words) = &self.search {
                let mut search = Searching::new(session.id, words);
                let exit = show::each(context, lines, |line| search.line(&line)).await?;
                found.extend(search.finish(context));
                exit
            } else {
                if self.which.several() {
                    say(context, &session, "as it was recorded");
                }
                show::all(context, Show::of(session.id, self.which.several()), lines).await?
            };
            // Of a session that goes on there is no end yet; where that of one that is over is missing, something is.
            if session.state == SessionState::Closed && exit != Exit::DONE {
                all = exit;
            }
        }
        if self.search.is_some() {
            terminals::list(context, &found, self.which.several());
        }
        Ok(all)
    }
}

fn say(context: &Context, session: &Session, how: &str) {
    let (id, what) = (session.id.short(), super::what(session));
    let what = format!("{id}  {what} of {}, {how}", session.holder);
    context.out.note(Line::new().with(Style::Faint, what));
}

/// Shows what happens in all sessions of a grant until it is over, and they are.
async fn watch_all(context: &Context, client: &Client, grant: GrantId) -> Result<Exit, Failure> {
    let mut watched = HashSet::new();
    let mut next = FuturesUnordered::new();
    loop {
        // Before the sessions: none begins under a grant that is over.
        let over = client.grant(&grant.to_string()).await?.state == GrantState::Ended;
        for session in which::of(client, grant, true).await? {
            if watched.insert(session.id) {
                let lines = match client.watch_session(session.id).await {
                    Ok(lines) => lines,
                    // It may have ended meanwhile; then there is nothing to watch.
                    Err(_) if is_over(client, &session).await? => continue,
                    Err(error) => return Err(error.into()),
                };
                say(context, &session, "from now on");
                next.push(one_more(Show::of(session.id, true), lines));
            }
        }
        if over && next.is_empty() {
            return Ok(Exit::DONE);
        }
        let mut look = std::pin::pin!(edge::pause(LOOK));
        loop {
            tokio::select! {
                Some(line) = next.next() => {
                    let (mut show, lines, line) = line?;
                    if show.line(context, &line)?.is_none() {
                        next.push(one_more(show, lines));
                    }
                }
                () = &mut look => break,
            }
        }
    }
}

async fn is_over(client: &Client, session: &Session) -> Result<bool, Failure> {
    let now = client.session(&session.id.to_string()).await?;
    Ok(now.state == SessionState::Closed)
}

/// The next line of a session, with all that is needed for the one behind it.
async fn one_more(show: Show, mut lines: LineStream) -> Result<(Show, LineStream, String), Failure> {
    let line = lines.next().await?;
    Ok((show, lines, line.ok_or_else(show::cut_off)?))
}
