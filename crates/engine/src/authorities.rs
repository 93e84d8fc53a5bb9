//! Another key for an SSH authority, in steps: hosts are told to trust it, it signs once they do, and the one before is trusted until
//! what it signed has run out.
//!
//! Each step is one transition that looks at how far the key is, so that two servers, or one that was killed between two steps, go on
//! from there. What a step waits for cannot become untrue meanwhile: hosts do not forget a key that they are told to trust, and no
//! more certificates come to be of a time that is over.

use std::collections::BTreeMap;
use std::sync::Arc;

use daypass_core::event::{Actor, Subject, What};
use daypass_core::key::{Event, Key, Phase, Standing};
use daypass_core::name::Name;
use daypass_core::refusal::Refusal;
use daypass_core::time::Timestamp;
use daypass_core::world::World;
use daypass_providers::Provider;
use daypass_providers::ssh::Fingerprints;
use daypass_store::{Outcome, Scope, Side, SshStep};

use crate::caller::Caller;
use crate::certificate::certifier;
use crate::engine::Engine;
use crate::error::Error;

/// An authority's keys, and what its rotation waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// The fingerprint of the key that signs.
    pub fingerprint: String,
    /// Since when it does.
    pub since: Option<Timestamp>,
    /// What comes next, while it is rotated.
    pub rotation: Option<Rotation>,
}

/// How far the rotation of an authority's key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// There is a next key, which does not sign yet.
    Staged {
        /// Its fingerprint.
        next: String,
        /// Since when.
        since: Timestamp,
        /// The hosts of the policy in force that have not said that they trust it.
        waiting: Vec<String>,
    },
    /// The next key signs.
    Retiring {
        /// The fingerprint of the one before.
        old: String,
        /// Since when it signs no more.
        since: Timestamp,
        /// When hosts take nothing any more that it signed, by the clock; none where that is so.
        until: Option<Timestamp>,
    },
}

/// What is known before a step.
struct Before {
    standing: Option<Standing>,
    prints: Fingerprints,
}

impl Engine {
    /// The keys of a connector's authority.
    ///
    /// # Errors
    /// Where it has none, they cannot be opened, or the store does not answer.
    pub async fn authority(&self, connector: &Name) -> Result<Authority, Error> {
        let provider = self.ssh(connector)?;
        let before = self.before(connector, &provider).await?;
        let rotation = match before.standing {
            Some(Standing {
                phase: Phase::Staged { next },
                since,
                ..
            }) => Some(Rotation::Staged {
                waiting: self.waiting(connector, &provider, &next).await?,
                next,
                since,
            }),
            Some(Standing {
                phase: Phase::Retiring { old },
                since,
                ..
            }) => Some(Rotation::Retiring {
                old,
                since,
                until: before.prints.old.and_then(|(_, until)| until),
            }),
            _ => None,
        };
        Ok(Authority {
            fingerprint: before.prints.current,
            since: before.prints.since,
            rotation,
        })
    }

    /// Begins to give an authority another key, or takes the next step of what was begun, if nothing is waited for. `at_once`: does not
    /// wait.
    ///
    /// # Errors
    /// Where the caller may not, as [`authority`](Self::authority), and where it could not be recorded.
    pub async fn rotate_authority(
        &self,
        caller: Caller,
        connector: &Name,
        at_once: bool,
    ) -> Result<Authority, Error> {
        caller.administrator()?;
        // Before a key is made that would not be kept.
        self.may_give()?;
        let actor = Actor::Person(caller.person);
        let provider = self.ssh(connector)?;
        let settled = Phase::of(self.standing(connector).await?.as_ref()) == Phase::Settled;
        if settled {
            self.stage(connector, &provider, actor).await?;
        }
        // A rotation that was begun before: its next step, and no more than that.
        if at_once || !settled {
            self.step(connector, &provider, actor, at_once).await?;
        }
        self.authority(connector).await
    }

    /// Takes the next step of every rotation that waits for nothing any more.
    ///
    /// # Errors
    /// The first that failed, once all were looked at.
    pub async fn advance_authorities(&self) -> Result<(), Error> {
        let mut done = Ok(());
        if self.only_takes_away() {
            return done;
        }
        for standing in self.store().key_standings().await? {
            let Key::Ssh(connector) = &standing.key else {
                continue;
            };
            if standing.phase == Phase::Settled {
                continue;
            }
            // One that left the policy keeps its keys as they are: there is nobody to tell.
            let Ok(provider) = self.ssh(connector) else {
                continue;
            };
            let step = self.step(connector, &provider, Actor::System, false).await;
            done = done.and(step);
        }
        done
    }

    async fn standing(&self, connector: &Name) -> Result<Option<Standing>, Error> {
        Ok(self.store().key_standing(&Key::Ssh(connector.clone())).await?)
    }

    async fn before(&self, connector: &Name, provider: &Arc<dyn Provider>) -> Result<Before, Error> {
        // The keys after the standing: a step in between is then seen in the keys, and refused where it would be recorded.
        let standing = self.standing(connector).await?;
        let prints = certifier(provider, connector)?.rotation().fingerprints().await?;
        Ok(Before { standing, prints })
    }

    /// The hosts of the policy in force that have not said that they trust a key.
    async fn waiting(
        &self,
        connector: &Name,
        provider: &Arc<dyn Provider>,
        fingerprint: &str,
    ) -> Result<Vec<String>, Error> {
        let certifier = certifier(provider, connector)?;
        let trusting = certifier.trusting().await?;
        let policy = self.current().policy;
        let resources = policy.resources().iter();
        let mut hosts: BTreeMap<String, bool> = BTreeMap::new();
        for resource in resources.filter(|resource| resource.connector == *connector) {
            for host in certifier.hosts(&resource.config) {
                let has = trusting.get(&host).is_some_and(|has| has.contains(fingerprint));
                hosts.insert(host, has);
            }
        }
        Ok(hosts
            .into_iter()
            .filter_map(|(host, has)| (!has).then_some(host))
            .collect())
    }

    /// Makes the next key.
    async fn stage(&self, connector: &Name, provider: &Arc<dyn Provider>, actor: Actor) -> Result<(), Error> {
        let made = certifier(provider, connector)?.rotation().make().await?;
        let step = SshStep::Stage {
            sealed: made.sealed,
            public: made.public,
            current: made.current,
        };
        let next = made.fingerprint;
        self.record(connector, actor, Phase::Settled, Event::Staged { next }, step)
            .await
    }

    async fn step(
        &self,
        connector: &Name,
        provider: &Arc<dyn Provider>,
        actor: Actor,
        at_once: bool,
    ) -> Result<(), Error> {
        let before = self.before(connector, provider).await?;
        let now = Phase::of(before.standing.as_ref());
        match now.clone() {
            Phase::Staged { next } => {
                let without = self.waiting(connector, provider, &next).await?;
                if !without.is_empty() && !at_once {
                    return Ok(());
                }
                let (from, old) = certifier(provider, connector)?.rotation().retire().await?;
                let at = self.store().now().await?;
                let event = Event::Changed {
                    to: next,
                    from,
                    without,
                };
                self.record(connector, actor, now, event, SshStep::Change { old, at })
                    .await
            }
            Phase::Retiring { old } => {
                let clock = self.store().told().await?.clock;
                let until = before.prints.old.and_then(|(_, until)| until);
                let early = until.is_some_and(|until| clock < until);
                if early && !at_once {
                    return Ok(());
                }
                let at = self.store().now().await?;
                let event = Event::Withdrawn { old, early };
                self.record(connector, actor, now, event, SshStep::Withdraw { at })
                    .await
            }
            Phase::Settled => Ok(()),
        }
    }

    /// Records the step that follows `from` with what it does to the keys, unless somebody else has just taken it.
    async fn record(
        &self,
        connector: &Name,
        actor: Actor,
        from: Phase,
        event: Event,
        step: SshStep,
    ) -> Result<(), Error> {
        let key = Key::Ssh(connector.clone());
        let (scope, connector) = (Scope::Key(key.clone()), connector.to_string());
        let decide = move |world: &World, _| -> Result<Outcome, Refusal> {
            if Phase::of(world.keys.get(&key)) != from {
                return Ok(Outcome::default());
            }
            let mut outcome = Outcome::one(actor, Subject::Key(key), What::Key(event));
            outcome.side.push(Side::SshKeys { connector, step });
            Ok(outcome)
        };
        self.store().transition(scope, decide).await?;
        Ok(())
    }
}
