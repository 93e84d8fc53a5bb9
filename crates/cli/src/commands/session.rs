//! `session …`: connections through a gateway.

mod credential;
mod look;
mod show;
mod terminals;
mod which;

use clap::{Args, Subcommand};
use daypass_api::session::{Kill, Session, SessionQuery, SessionState};
use daypass_core::time::Timestamp;

use crate::context::{Context, pages};
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::ago;
use crate::line::{Field, Grid, Line, Style};

/// See and end sessions.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List sessions
    Ls(LsArgs),
    /// Watch a session as it happens
    Watch(look::WatchArgs),
    /// Replay what was done in a session
    Replay(look::ReplayArgs),
    /// End a session
    Kill(KillArgs),
    /// Get a password for tools that connect to the gateway by themselves
    Credential(credential::CredentialArgs),
}

impl SessionCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Ls(args) => args.run(context).await,
            Self::Watch(args) => args.run(context).await,
            Self::Replay(args) => args.run(context).await,
            Self::Kill(args) => args.run(context).await,
            Self::Credential(args) => args.run(context).await,
        }
    }
}

/// List sessions.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass session ls --live
  daypass session ls --grant G7K2M9
  daypass session ls --mine --limit 500 -o json

The newest come first. Others' sessions are listed for auditors and administrators, and with --grant for whoever may see the grant.")]
pub struct LsArgs {
    /// Only those that are not over
    #[arg(long)]
    live: bool,

    /// Only those under this grant, by its (short) id
    #[arg(long, value_name = "ID")]
    grant: Option<String>,

    /// Only your own
    #[arg(long)]
    mine: bool,

    /// The most sessions to list
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: usize,
}

impl LsArgs {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let sessions = pages(self.limit, async |cursor| {
            let query = SessionQuery {
                grant: self.grant.clone(),
                mine: self.mine.then_some(true),
                live: self.live.then_some(true),
                cursor,
                ..SessionQuery::default()
            };
            client.sessions(&query).await
        })
        .await?;
        context.out.list(
            &sessions,
            |session| session.id.to_string(),
            &grid(&sessions, context.out.is_wide(), edge::now()),
            "no sessions",
        );
        Ok(Exit::DONE)
    }
}

fn grid(sessions: &[Session], wide: bool, now: Timestamp) -> Grid {
    let mut head = vec!["SESSION", "WHO", "WHAT", "STATE", "OPENED", "RECORDING"];
    if wide {
        head.extend(["GRANT", "FROM", "PROGRAM", "GATEWAY"]);
    }
    let mut grid = Grid::new(head);
    for session in sessions {
        let id = if wide {
            session.id.to_string()
        } else {
            session.id.short()
        };
        let (state_style, state) = state(session);
        let (recording_style, recording) = recording(session);
        let mut row = vec![
            Field(Style::Strong, id),
            Field::from(session.holder.as_str()),
            Field::from(what(session)),
            Field(state_style, state),
            Field::from(ago(session.opened_at, now)),
            Field(recording_style, recording),
        ];
        if wide {
            row.extend([
                Field::from(session.grant.to_string()),
                Field::from(session.source.as_deref().unwrap_or("(erased)")),
                Field::from(session.program.as_deref().unwrap_or_default()),
                Field::from(session.gateway.as_str()),
            ]);
        }
        grid.row(row);
    }
    grid
}

/// The item; where there, where it may be several.
fn what(session: &Session) -> String {
    match &session.place {
        Some(place) => format!("{} ({place})", session.item),
        None => session.item.to_string(),
    }
}

/// `open`, or why it is over.
fn state(session: &Session) -> (Style, String) {
    let killed_by = || {
        let kill = session.kill.as_ref();
        kill.map_or_else(String::new, |kill| format!(" (by {})", kill.by))
    };
    match session.state {
        SessionState::Open => (Style::Good, String::from("open")),
        SessionState::Ending => (Style::Warn, format!("ending{}", killed_by())),
        SessionState::Closed => match session.reason.as_deref() {
            Some("killed") => (Style::Plain, format!("killed{}", killed_by())),
            Some(reason) => (Style::Plain, reason.replace('_', " ")),
            None => (Style::Plain, String::from("closed")),
        },
    }
}

/// Whether what happened can be seen, and all of it.
fn recording(session: &Session) -> (Style, String) {
    let Some(recording) = &session.recording else {
        return (Style::Faint, String::from("none"));
    };
    if recording.removed_at.is_some() {
        return (Style::Faint, String::from("removed"));
    }
    let missing = session.counters.map_or(0, |counters| counters.unrecorded);
    let lines = match recording.lines {
        1 => String::from("1 line"),
        lines => format!("{lines} lines"),
    };
    match session.state {
        SessionState::Closed if !recording.complete => (Style::Warn, format!("{lines}, cut")),
        _ if missing > 0 => (Style::Warn, format!("{lines}, {missing} missing")),
        _ => (Style::Plain, lines),
    }
}

/// End a session.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass session kill S7K2M9 --reason \"wrong database\"
  daypass session kill --grant G7K2M9 --reason \"wrong database\"      all that are open under it

Its holder, whoever approved the grant and administrators may do this. The grant stays: daypass revoke ends that, with all its
sessions.")]
pub struct KillArgs {
    #[command(flatten)]
    which: which::Which,

    /// Why; the person whose session it is and the auditors read it
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl KillArgs {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let mut killed = Vec::new();
        for session in self.which.sessions(&client, true).await? {
            let reason = self.reason.clone();
            killed.push(client.kill_session(session.id, &Kill { reason }).await?);
        }
        let said = |one: &Session| {
            let told = format!("  {} of {} ends", what(one), one.holder);
            vec![Line::new().with(Style::Strong, one.id.short()).text(told)]
        };
        match killed.as_slice() {
            [one] if !self.which.several() => {
                context.out.one(one, || one.id.to_string(), || said(one));
            }
            all => context.out.many(
                all,
                |one| one.id.to_string(),
                || all.iter().flat_map(said).collect(),
            ),
        }
        Ok(Exit::DONE)
    }
}

#[cfg(test)]
mod tests {
    use daypass_api::session::{Killed, SessionCounters, SessionRecording};
    use daypass_core::id::{GrantId, SessionId};
    use daypass_core::name::Item;

    use super::*;

    fn session(state: SessionState, reason: Option<&str>) -> Session {
        let item: Item = "orders/read".parse().unwrap();
        Session {
            id: SessionId::from_bytes([1; 10]),
            grant: GrantId::from_bytes([2; 10]),
            holder: String::from("ana"),
            item: item.into(),
            protocol: "postgres".parse().unwrap(),
            place: None,
            credential: None,
            gateway: "gw".parse().unwrap(),
            source: Some(String::from("192.0.2.7:51112")),
            program: None,
            state,
            opened_at: Timestamp::EPOCH,
            closed_at: None,
            reason: reason.map(str::to_owned),
            kill: None,
            endable: false,
            may_look: None,
            counters: None,
            recording: Some(SessionRecording {
                chunks: 3,
                lines: 40,
                complete: false,
                removed_at: None,
            }),
        }
    }

    #[test]
    fn why_it_is_over_is_said() {
        let kill = Some(Killed {
            by: String::from("bo"),
            at: Timestamp::EPOCH,
            reason: None,
        });
        assert_eq!(state(&session(SessionState::Open, None)).1, "open");
        let lost = session(SessionState::Closed, Some("lease_lost"));
        assert_eq!(state(&lost).1, "lease lost");
        let ending = Session {
            kill: kill.clone(),
            ..session(SessionState::Ending, None)
        };
        assert_eq!(state(&ending).1, "ending (by bo)");
        let killed = Session {
            kill,
            ..session(SessionState::Closed, Some("killed"))
        };
        assert_eq!(state(&killed).1, "killed (by bo)");
    }

    #[test]
    fn a_recording_that_lacks_something_is_not_shown_as_whole() {
        let open = session(SessionState::Open, None);
        assert_eq!(recording(&open), (Style::Plain, String::from("40 lines")));
        let cut = session(SessionState::Closed, Some("left"));
        assert_eq!(recording(&cut), (Style::Warn, String::from("40 lines, cut")));
        let mut whole = cut.clone();
        whole.recording.as_mut().unwrap().complete = true;
        assert_eq!(recording(&whole).1, "40 lines");
        whole.counters = Some(SessionCounters {
            bytes_up: 0,
            bytes_down: 0,
            recorded: 40,
            unrecorded: 2,
            refused: 0,
            may_work: false,
        });
        assert_eq!(recording(&whole).1, "40 lines, 2 missing");
        let none = Session {
            recording: None,
            ..cut
        };
        assert_eq!(recording(&none).1, "none");
    }
}
