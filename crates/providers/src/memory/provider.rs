//! The provider in front of a target in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use daypass_core::deed::Telling;
use daypass_core::entitlement::{Fault, Spec};
use daypass_core::time::{Span, Timestamp};
use secrecy::ExposeSecret as _;

use super::target::{Op, Standing, State, Target, Trouble};
use super::{Connector, misconfigured, role};
use crate::inventory::{Cursor, Page};
use crate::{Activity, Capabilities, Credential, Error, Inspection, Limit, Listed, Progress, Provider};

pub(super) struct Connected {
    pub(super) target: Target,
    pub(super) installation: String,
    pub(super) settings: Connector,
}

impl Connected {
    /// Runs a call on the target, with the trouble that it was told to make.
    fn call<T>(&self, op: Op, act: impl FnOnce(&mut State) -> Result<T, Error>) -> Result<T, Error> {
        let mut state = self.target.state();
        let trouble = state.begin(op)?;
        let result = act(&mut state)?;
        match trouble {
            Some(Trouble::LosesAnswer) => Err(Error::new(Fault::Unavailable, "the answer was lost")),
            _ => Ok(result),
        }
    }

    pub(super) fn is_ours(&self, standing: &Standing) -> bool {
        standing.maker.as_deref() == Some(self.installation.as_str())
    }
}

#[async_trait]
impl Provider for Connected {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            own_expiry: true,
            credential: true,
            shared: self.settings.shared,
            propagation: Span::ZERO,
            ceiling: Span::seconds(1),
        }
    }

    async fn provision(
        &self,
        key: &str,
        spec: &Spec,
        holder: &str,
        until: Timestamp,
    ) -> Result<Progress, Error> {
        let role = role(&spec.role).map_err(|problems| misconfigured(&problems))?;
        if role.opening.is_some() && !self.settings.shared {
            let what = "a role with an opening for all needs a connector {shared: true}";
            return Err(Error::new(Fault::Misconfigured, what));
        }
        self.call(Op::Provision, |state| {
            let existing = state.standing.get(key);
            if existing.is_some_and(|standing| !self.is_ours(standing)) {
                return Err(Error::new(
                    Fault::AlreadyStanding,
                    format!("{key} stands already and is not ours"),
                ));
            }
            let standing = Standing {
                maker: Some(self.installation.clone()),
                holder: holder.to_owned(),
                can: role.can,
                until: Some(state.kept(until)),
                password: existing.and_then(|standing| standing.password.clone()),
                place: None,
            };
            state.standing.insert(key.to_owned(), standing);
            Ok(Progress::Done)
        })
    }

    async fn revoke(&self, key: &str, _spec: Option<&Spec>) -> Result<Progress, Error> {
        self.call(Op::Revoke, |state| {
            if state
                .standing
                .get(key)
                .is_some_and(|standing| self.is_ours(standing))
            {
                state.standing.remove(key);
                state.cut(key);
            }
            Ok(Progress::Done)
        })
    }

    async fn inspect(&self, key: &str, _spec: Option<&Spec>) -> Result<Inspection, Error> {
        self.call(Op::Inspect, |state| {
            Ok(match state.standing.get(key) {
                Some(standing) if self.is_ours(standing) => Inspection::Present {
                    until: standing.until,
                    residue: Vec::new(),
                },
                Some(_) => Inspection::Absent {
                    residue: vec![format!("{key} stands and is not ours")],
                },
                None if state.in_use(key) => Inspection::Present {
                    until: None,
                    residue: Vec::new(),
                },
                None => Inspection::Absent { residue: Vec::new() },
            })
        })
    }

    async fn activity(&self, key: &str, _spec: &Spec) -> Result<Option<Activity>, Error> {
        self.call(Op::Activity, |state| {
            let sessions = state.sessions_of(key);
            Ok(Some(Activity {
                sessions,
                quiet: (sessions > 0).then(|| state.quiet.get(key).copied().unwrap_or(Span::ZERO)),
            }))
        })
    }

    fn tells_deeds(&self) -> Option<Span> {
        self.settings.tells.then_some(Span::minutes(10))
    }

    async fn deeds(&self, key: &str, _spec: &Spec, from: Timestamp, to: Timestamp) -> Result<Telling, Error> {
        self.call(Op::Deeds, |state| {
            let of_key = state.deeds.iter().filter(|(by, _)| by == key);
            let deeds = of_key
                .map(|(_, deed)| deed)
                .filter(|deed| from <= deed.at && deed.at < to);
            Ok(Telling::of(deeds.cloned()))
        })
    }

    async fn list_managed(&self) -> Result<Listed, Error> {
        self.call(Op::ListManaged, |state| {
            let ours = state
                .standing
                .iter()
                .filter(|(_, standing)| self.is_ours(standing));
            Ok(ours
                .map(|(key, standing)| (key.clone(), Limit::Told(standing.until)))
                .collect())
        })
    }

    async fn credential(&self, key: &str, _spec: &Spec) -> Result<Credential, Error> {
        self.target.pass(Op::Credential).await;
        self.call(Op::Credential, |state| {
            let standing = state
                .standing
                .get_mut(key)
                .filter(|standing| self.is_ours(standing));
            let standing = standing.ok_or_else(|| Error::new(Fault::NotFound, "the access is not there"))?;
            let secret = crate::password::random();
            standing.password = Some(secret.expose_secret().to_owned());
            Ok(Credential {
                fields: BTreeMap::from([("user".to_owned(), key.to_owned())]),
                secret,
            })
        })
    }

    async fn rotate_admin(&self) -> Result<(), Error> {
        Err(Error::new(
            Fault::Misconfigured,
            "a target in memory has no admin secret to rotate",
        ))
    }

    async fn survey(&self, from: Option<Cursor>) -> Result<Option<Page>, Error> {
        self.target.pass(Op::Survey).await;
        self.call(Op::Survey, |state| Ok(Some(self.page(state, from.as_ref()))))
    }

    async fn probe(&self) -> Result<(), Error> {
        self.target.pass(Op::Probe).await;
        self.call(Op::Probe, |_| Ok(()))
    }
}
