//! The database of the demo: a real PostgreSQL where one is installed, else a stand-in that says that it is one.

mod postgres;
mod stand_in;

use std::path::Path;

use daypass_api::grant::Credential;
use daypass_policy::Source;
use daypass_providers::memory::Memory;

use self::postgres::{Postgres, PostgresSession};
use self::stand_in::{StandIn, StandInSession};
use super::narrator::Narrator;
use crate::failure::Failure;

/// The target, and somebody at its console who sees what is really there.
pub(super) enum Target {
    /// A PostgreSQL of our own.
    Postgres(Box<Postgres>),
    /// Something in this process.
    StandIn(StandIn),
}

/// A session that somebody has open at the target.
pub(super) enum Session {
    /// A connection.
    Postgres(PostgresSession),
    /// A pretended one.
    StandIn(StandInSession),
}

/// Access that stands at the target.
pub(super) struct Standing {
    /// What it is called there.
    pub(super) name: String,
    /// What it gives, in the target's words.
    pub(super) gives: String,
}

/// What the policy said about it before today: that it was in this process.
pub(super) const fn before() -> &'static str {
    stand_in::POLICY
}

impl Target {
    /// Starts PostgreSQL and lays out what the demo needs in it; without PostgreSQL, the stand-in.
    pub(super) async fn start(narrator: Narrator, memory: &'static Memory) -> Result<Self, Failure> {
        match postgres::installed() {
            Some(installed) => Postgres::start(installed, narrator)
                .await
                .map(|target| Self::Postgres(Box::new(target))),
            None => {
                stand_in::explain(narrator);
                Ok(Self::StandIn(StandIn::new(memory)))
            }
        }
    }

    /// What the policy says about it.
    pub(super) fn policy(&self) -> Source {
        let text = match self {
            Self::Postgres(target) => target.policy(),
            Self::StandIn(_) => stand_in::POLICY.to_owned(),
        };
        Source {
            name: "targets.yaml".to_owned(),
            text,
        }
    }

    /// What `server.yaml` says about it: the secret that it takes, written into this folder.
    pub(super) fn secrets(&self, folder: &Path) -> Result<String, Failure> {
        match self {
            Self::Postgres(target) => target.secrets(folder),
            Self::StandIn(_) => Ok(String::new()),
        }
    }

    /// Where the client programs are, where they may not be on `PATH`.
    pub(super) fn programs(&self) -> Option<&Path> {
        match self {
            Self::Postgres(target) => Some(target.programs()),
            Self::StandIn(_) => None,
        }
    }

    /// What `connect` opens there; `None` where no client program talks to it.
    pub(super) const fn client(&self) -> Option<&'static str> {
        match self {
            Self::Postgres(_) => Some("psql"),
            Self::StandIn(_) => None,
        }
    }

    /// Its kind, as the policy names it.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::StandIn(_) => "memory",
        }
    }

    /// Somebody tries to log in by themselves. The answer is what the target said.
    pub(super) async fn knock(&self, login: &str) -> Result<(), String> {
        match self {
            Self::Postgres(target) => target.knock(login).await,
            Self::StandIn(target) => target.knock(login),
        }
    }

    /// Logs in with a credential. An error is what the target said.
    pub(super) async fn log_in(&self, credential: &Credential) -> Result<Session, String> {
        match self {
            Self::Postgres(target) => target.log_in(credential).await.map(Session::Postgres),
            Self::StandIn(target) => target.log_in(credential).map(Session::StandIn),
        }
    }

    /// What Daypass made at the target, as the target itself tells: everything, or what the stand-in has of these keys.
    pub(super) async fn standing(&self, keys: &[String]) -> Result<Vec<Standing>, Failure> {
        match self {
            Self::Postgres(target) => target.standing().await,
            Self::StandIn(target) => Ok(target.standing(keys)),
        }
    }

    /// What to call it.
    pub(super) const fn called(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "the database",
            Self::StandIn(_) => "the stand-in",
        }
    }

    /// Where [`Self::standing`] looks.
    pub(super) const fn console(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "pg_roles",
            Self::StandIn(_) => "the stand-in",
        }
    }

    /// Stops it, and removes what it kept.
    pub(super) async fn stop(self) {
        match self {
            Self::Postgres(target) => target.stop().await,
            Self::StandIn(_) => {}
        }
    }
}

impl Session {
    /// Does the work that the access is for. The answer is what was typed and what came.
    pub(super) async fn work(&self) -> Result<(String, String), Failure> {
        match self {
            Self::Postgres(session) => session.work().await,
            Self::StandIn(session) => session.work(),
        }
    }

    /// Waits until the target ends the session, and says in which words. `None`: it has not been ended.
    pub(super) async fn over(self) -> Option<String> {
        match self {
            Self::Postgres(session) => session.over().await,
            Self::StandIn(session) => session.over(),
        }
    }
}
