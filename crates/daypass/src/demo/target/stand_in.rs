//! The stand-in for a database, on a machine without PostgreSQL: the provider that the tests use, in this process.

use daypass_api::grant::Credential;
use daypass_core::name::Name;
use daypass_providers::memory::{Memory, SessionId, Target};
use daypass_server::edge;

use super::Standing;
use crate::demo::narrator::Narrator;
use crate::failure::Failure;

/// What the policy says about it.
pub(super) const POLICY: &str = include_str!("stand_in.yaml");

/// The connector's name in that policy.
const CONNECTOR: &str = "pg-main";

pub(in crate::demo) struct StandIn {
    kind: &'static Memory,
}

/// A pretended session.
pub(in crate::demo) struct StandInSession {
    target: Target,
    id: SessionId,
}

/// Says what is missing, and how to get it.
pub(super) fn explain(narrator: Narrator) {
    narrator
        .line("  PostgreSQL is not installed here, so a stand-in within this process plays the database.");
    narrator.line("  Everything else is real. For a real one: apt-get install postgresql (Debian, Ubuntu),");
    narrator.line("  dnf install postgresql-server (Fedora), brew install postgresql (macOS); then start the demo again.");
}

impl StandIn {
    pub(super) const fn new(kind: &'static Memory) -> Self {
        Self { kind }
    }

    fn target(&self) -> Option<Target> {
        CONNECTOR
            .parse::<Name>()
            .ok()
            .map(|connector| self.kind.target(&connector))
    }

    pub(super) fn knock(&self, login: &str) -> Result<(), String> {
        match self.target() {
            Some(target) if target.stands(login) => Ok(()),
            _ => Err(format!("login refused: there is no user {login}")),
        }
    }

    pub(super) fn log_in(&self, credential: &Credential) -> Result<StandInSession, String> {
        let target = self.target().ok_or_else(|| "there is no target".to_owned())?;
        let credential = daypass_providers::Credential {
            fields: credential.fields.clone(),
            secret: credential.secret.clone().into_inner(),
        };
        let id = target
            .open(&credential, edge::now())
            .map_err(|refused| refused.to_string())?;
        Ok(StandInSession { target, id })
    }

    pub(super) fn standing(&self, keys: &[String]) -> Vec<Standing> {
        let Some(target) = self.target() else {
            return Vec::new();
        };
        keys.iter()
            .filter(|key| target.stands(key))
            .map(|key| {
                let until = target
                    .until(key)
                    .map(|until| format!("valid until {until}"))
                    .unwrap_or_default();
                Standing {
                    name: key.clone(),
                    gives: until,
                }
            })
            .collect()
    }
}

impl StandInSession {
    pub(super) fn work(&self) -> Result<(String, String), Failure> {
        if self.target.may(self.id, "write") {
            Ok(("write (to the stand-in)".to_owned(), "allowed".to_owned()))
        } else {
            Err(Failure::error(
                "the stand-in let the holder in, and refused to let them write",
            ))
        }
    }

    pub(super) fn over(self) -> Option<String> {
        (!self.target.is_open(self.id)).then(|| "the session is closed".to_owned())
    }
}
