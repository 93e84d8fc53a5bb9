//! A program as a [`Provider`]: the verbs of the contract, in terms of what it answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use daypass_core::entitlement::{Fault, Spec};
use daypass_core::text::is_hostile;
use daypass_core::time::{Span, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::config::{self, Connector};
use super::message::{Answer, Named, Question, VERSION, Verb};
use super::redact::Redactor;
use super::run::{self, SLACK};
use super::{Program, answer, keys};
use crate::config::misconfigured;
use crate::within::within;
use crate::{Capabilities, Credential, Error, Inspection, Limit, Listed, Progress, Provider, Secrets};

/// How soon and how late a program may want to be asked again.
const POLL: (Span, Span) = (Span::seconds(1), Span::hours(1));

/// How many things left behind are told, and how much of each, in characters.
const RESIDUE: (usize, usize) = (50, 200);

pub(super) struct Connected {
    connector: Connector,
    /// `None` where `server.yaml` knows no such program: what stands is then shown as out of reach, and the rest of the
    /// server works.
    program: Option<Program>,
    secrets: Arc<dyn Secrets>,
    /// As programs are told it: see [`keys::asker`].
    installation: String,
}

/// What a question is about.
#[derive(Default)]
struct About<'a> {
    key: Option<&'a str>,
    spec: Option<&'a Spec>,
    holder: Option<&'a str>,
    until: Option<Timestamp>,
}

impl Connected {
    pub(super) fn new(connector: Connector, secrets: Arc<dyn Secrets>, installation: String) -> Self {
        Self {
            program: secrets.program(&connector.program),
            connector,
            secrets,
            installation,
        }
    }

    /// Asks the program, and says in each error which one and what it was asked.
    async fn ask(&self, verb: Verb, about: About<'_>) -> Result<Answer, Error> {
        let name = &self.connector.program;
        let named = |error: Error| Error::new(error.fault, format!("{name} {verb}: {}", error.detail));
        let Some(program) = &self.program else {
            let what = "server.yaml names no such program; the operator adds it under programs";
            return Err(named(Error::new(Fault::Misconfigured, what)));
        };
        let limit = program.timeout.to_std() + SLACK;
        within(limit, "given up", self.run(program, verb, about))
            .await
            .map_err(named)
    }

    async fn run(&self, program: &Program, verb: Verb, about: About<'_>) -> Result<Answer, Error> {
        let told = self.reveal(program.secrets.iter()).await?;
        let values = self.reveal(program.env_secrets.values()).await?;
        let redactor = Redactor::new(told.values().chain(values.values()));
        let secrets = told
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose_secret()));
        let named = match about.spec.map(named) {
            Some(Err(error)) if verb == Verb::Provision => return Err(error),
            // What cannot be read must not stand in the way of a removal.
            Some(Err(_)) | None => None,
            Some(Ok(named)) => Some(named),
        };
        let (resource, role) = named.unzip();
        let question = Question {
            version: VERSION,
            verb,
            installation: &self.installation,
            key: about.key.map(keys::told),
            holder: about.holder.map(keys::holder),
            until: about.until,
            settings: &self.connector.settings,
            resource,
            role,
            secrets: secrets.collect(),
        };
        let bad = |error: serde_json::Error| Error::new(Fault::Bug, format!("writing the question: {error}"));
        let line = question.line().map_err(bad)?;
        let variables = program.env_secrets.iter().filter_map(|(variable, secret)| {
            let value = values.get(secret)?;
            Some((variable.clone(), value.clone()))
        });
        let ended = run::run(program, variables.collect(), line).await?;
        // Off the async threads: eight megabytes may have to be searched.
        let read = move || answer::of(&ended, &redactor).map(|answer| clean(answer, &redactor));
        let lost = |error| Error::new(Fault::Bug, format!("reading its answer: {error}"));
        tokio::task::spawn_blocking(read).await.map_err(lost)?
    }

    async fn reveal(
        &self,
        names: impl Iterator<Item = &String>,
    ) -> Result<BTreeMap<String, SecretString>, Error> {
        let mut out = BTreeMap::new();
        for name in names {
            let value = self
                .secrets
                .reveal_to_program(name, &self.connector.program)
                .await?;
            out.insert(name.clone(), value);
        }
        Ok(out)
    }

    fn unexpected(&self, verb: Verb, answer: &Answer) -> Error {
        let what = format!(
            "{} {verb}: its answer {:?} is none to that question",
            self.connector.program,
            answer.name()
        );
        Error::new(Fault::Bug, what)
    }

    fn progress(&self, verb: Verb, answer: &Answer) -> Result<Progress, Error> {
        match answer {
            Answer::Done => Ok(Progress::Done),
            Answer::Pending { poll_after } => Ok(Progress::Pending {
                poll_after: (*poll_after).clamp(POLL.0, POLL.1),
            }),
            other => Err(self.unexpected(verb, other)),
        }
    }
}

/// A spec as a program sees it. It was checked when the policy was loaded, perhaps by another version.
fn named(spec: &Spec) -> Result<(Named<'_>, Named<'_>), Error> {
    let resource =
        config::resource(&spec.resource).map_err(|problems| misconfigured("resource", &problems))?;
    let role = config::Role::read(&spec.role).map_err(|problems| misconfigured("role", &problems))?;
    let of = |name, config: Value| Named { name, config };
    Ok((
        of(spec.item.resource.as_str(), resource),
        of(spec.item.role.as_str(), role.config),
    ))
}

/// The answer with what it left behind, and keys that are none, in words that can be shown.
fn clean(answer: Answer, redactor: &Redactor) -> Answer {
    let shown = |residue: Vec<String>| {
        let clean = |text: String| -> String {
            let text = redactor.clean(text.as_bytes());
            text.chars()
                .map(|c| if is_hostile(c) { ' ' } else { c })
                .take(RESIDUE.1)
                .collect()
        };
        let more = residue.len().saturating_sub(RESIDUE.0);
        let mut out: Vec<_> = residue.into_iter().take(RESIDUE.0).map(clean).collect();
        if more > 0 {
            out.push(format!("and {more} more"));
        }
        out
    };
    match answer {
        Answer::Present { until, residue } => Answer::Present {
            until,
            residue: shown(residue),
        },
        Answer::Absent { residue } => Answer::Absent {
            residue: shown(residue),
        },
        Answer::Keys { keys, limits } => {
            // What is no key stays none: a secret is replaced by what stands in brackets.
            let clean = |key: String| match keys::heard(&key) {
                Some(_) => key,
                None => redactor.clean(key.as_bytes()),
            };
            Answer::Keys {
                keys: keys.into_iter().map(clean).collect(),
                limits,
            }
        }
        other => other,
    }
}

#[async_trait]
impl Provider for Connected {
    fn capabilities(&self) -> Capabilities {
        let program = self.program.as_ref();
        let slack = Span::from_micros(u64::try_from(SLACK.as_micros()).unwrap_or(u64::MAX));
        let timeout = program.map_or(Span::ZERO, |program| program.timeout);
        Capabilities {
            own_expiry: program.is_some_and(|program| program.own_expiry),
            credential: false,
            shared: true,
            propagation: program.map_or(Span::ZERO, |program| program.propagation),
            ceiling: timeout + slack,
        }
    }

    async fn provision(
        &self,
        key: &str,
        spec: &Spec,
        holder: &str,
        until: Timestamp,
    ) -> Result<Progress, Error> {
        let about = About {
            key: Some(key),
            spec: Some(spec),
            holder: Some(holder),
            until: Some(until),
        };
        let answer = self.ask(Verb::Provision, about).await?;
        self.progress(Verb::Provision, &answer)
    }

    async fn revoke(&self, key: &str, spec: Option<&Spec>) -> Result<Progress, Error> {
        let about = About {
            key: Some(key),
            spec,
            ..About::default()
        };
        let answer = self.ask(Verb::Revoke, about).await?;
        self.progress(Verb::Revoke, &answer)
    }

    async fn inspect(&self, key: &str, spec: Option<&Spec>) -> Result<Inspection, Error> {
        let about = About {
            key: Some(key),
            spec,
            ..About::default()
        };
        match self.ask(Verb::Inspect, about).await? {
            Answer::Present { until, residue } => Ok(Inspection::Present { until, residue }),
            Answer::Absent { residue } => Ok(Inspection::Absent { residue }),
            Answer::Unknown => Ok(Inspection::Unknown),
            other => Err(self.unexpected(Verb::Inspect, &other)),
        }
    }

    async fn list_managed(&self) -> Result<Listed, Error> {
        let (keys, limits) = match self.ask(Verb::List, About::default()).await? {
            Answer::Keys { keys, limits } => (keys, limits),
            other => return Err(self.unexpected(Verb::List, &other)),
        };
        let heard = |told: &String| {
            let key = keys::heard(told).ok_or_else(|| {
                let shown: String = told.chars().take(80).collect();
                let what = format!("{} list: {shown:?} is no key", self.connector.program);
                Error::new(Fault::Bug, what)
            })?;
            let limit = limits
                .as_ref()
                .map_or(Limit::Untold, |limits| Limit::Told(limits.get(told).copied()));
            Ok((key, limit))
        };
        keys.iter().map(heard).collect()
    }

    async fn credential(&self, _key: &str, _spec: &Spec) -> Result<Credential, Error> {
        let what = "a program gives access itself and has no credentials to hand out";
        Err(Error::new(Fault::Misconfigured, what))
    }

    async fn rotate_admin(&self) -> Result<(), Error> {
        let what =
            "Daypass does not know how a program's secrets are changed; change them where they come from";
        Err(Error::new(Fault::Misconfigured, what))
    }

    /// Runs `list`: it needs all that the others need, and changes nothing.
    async fn probe(&self) -> Result<(), Error> {
        self.list_managed().await.map(drop)
    }
}
