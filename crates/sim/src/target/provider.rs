//! The provider in front of a simulated target. It keeps the contract of `daypass_providers::Provider`, as a provider in a
//! bad network does: a call may be lost, late, done and not answered, refused, or answered from an old copy.

use std::panic::resume_unwind;
use std::sync::Arc;

use async_trait::async_trait;
use daypass_core::entitlement::{Fault, Spec};
use daypass_core::time::{Span, Timestamp};
use daypass_providers::{
    Activity, Capabilities, Credential, Error, Inspection, Limit, Listed, Progress, Provider,
};

use super::fate::Fate;
use super::{Effect, Shown, Target};
use crate::dice::Dice;
use crate::judge::Landing;
use crate::lock;
use crate::scheduler::Owner;
use crate::server::Process;

pub(super) struct Connected {
    target: Target,
    process: Arc<Process>,
}

impl Connected {
    pub(super) const fn new(target: Target, process: Arc<Process>) -> Self {
        Self { target, process }
    }

    /// One call on its way there and back. The answer is given where it arrives.
    async fn call<T>(
        &self,
        op: &'static str,
        key: &str,
        act: impl FnOnce(Fate) -> Result<T, Error> + Send,
    ) -> Result<T, Error>
    where
        T: Send,
    {
        let world = self.process.world();
        world.judge().called(&self.target, op, key);
        self.process.point(op).await;
        let fate = self.target.fate(world.seed(), world.mishaps(), op, key);
        if !matches!(fate, Fate::Done { .. }) {
            world.disturb(self.target.number);
        }
        world.say(|| {
            format!(
                "  {} {op} {}:{key} → {fate:?}",
                self.process.name(),
                self.target.character.connector
            )
        });
        let time = world.time();
        // The effect is on its way, whatever becomes of whoever waits for the answer.
        let answer = act(fate);
        let answer = match fate {
            Fate::Done { there, back } => {
                time.sleep(there + back).await;
                answer
            }
            Fate::Refused { fault, after } => {
                time.sleep(after).await;
                Err(Error::new(fault, "the target refused"))
            }
            Fate::Lost | Fate::Unanswered { .. } => {
                time.sleep(self.target.character.timeout).await;
                Err(Error::new(Fault::Unavailable, "no answer in time"))
            }
            Fate::Panics => resume_unwind(Box::new("a bug in the provider")),
            Fate::Half { there } => {
                time.sleep(there).await;
                Err(Error::new(Fault::Bug, "it failed half-way"))
            }
            Fate::Hollow { after } | Fate::Shrugs { after } => {
                time.sleep(after).await;
                answer
            }
        };
        self.process.point(op).await;
        answer
    }

    /// Sends something that takes effect when it arrives.
    fn send(&self, key: &str, effect: Effect, lands: Span, fenced: bool) {
        let number = lock(&self.target.state).next();
        let (target, world, key) = (self.target.clone(), self.process.world().clone(), key.to_owned());
        let late = lands > target.character.timeout;
        let (by, sent) = (self.process.owner(), world.time().now());
        world.clone().time().spawn(Owner::World, async move {
            world.time().sleep(lands).await;
            if late {
                world.disturb(target.number);
            }
            let now = world.time().now();
            let was_open = target.shows(&key).is_open(now);
            let done = lock(&target.state).apply(&key, effect, number, fenced, now);
            lock(&target.state)
                .under_way
                .retain(|under_way| *under_way != (key.clone(), effect));
            world.say(|| {
                format!(
                    "  {}:{key} {effect:?} lands, {done:?}",
                    target.character.connector
                )
            });
            // A provisioning closes too, where it comes late and tells a limit that has passed: that is no removal.
            let removes = matches!(effect, Effect::Remove | Effect::RemoveHalf);
            let removed = removes && was_open && !target.shows(&key).is_open(now);
            let landing = Landing { by, sent, removed };
            world.judge().landed(&target, &key, &landing);
        });
    }

    /// A call that changes something: sends it, and answers how far it is.
    async fn change(&self, op: &'static str, key: &str, effect: Effect) -> Result<Progress, Error> {
        let accepts = self.accepts_first(op, key, effect);
        let fenced = self.target.character.fenced;
        self.call(op, key, |fate| {
            let lands = match fate {
                Fate::Done { there, .. } => there,
                Fate::Unanswered { lands } => lands,
                Fate::Half { there } if effect == Effect::Remove => {
                    self.send(key, Effect::RemoveHalf, there, fenced);
                    return Ok(Progress::Done);
                }
                Fate::Hollow { .. } => {
                    // It says that it did what it did not do; that it keeps the order of what it is told is another promise.
                    if fenced {
                        lock(&self.target.state).arrived(key);
                    }
                    return Ok(Progress::Done);
                }
                _ => return Err(shrug()),
            };
            if matches!(effect, Effect::Provision { .. }) && self.target.shows(key).is_foreign() {
                return Err(Error::new(
                    Fault::AlreadyStanding,
                    "it stands already, and is not ours",
                ));
            }
            match accepts {
                Some(after) => {
                    let under_way = (key.to_owned(), effect);
                    let mut state = lock(&self.target.state);
                    if !state.under_way.contains(&under_way) {
                        state.under_way.push(under_way);
                        drop(state);
                        // It works on one thing after the other: what it accepted does not undo what came later.
                        // Nor does it take longer than it says, for then nobody could be asked for anything else.
                        self.send(
                            key,
                            effect,
                            lands.min(self.target.character.ceiling) + after,
                            true,
                        );
                    }
                    Ok(Progress::Pending {
                        poll_after: Span::millis(after.micros() / 2000),
                    })
                }
                None => {
                    self.send(key, effect, lands, fenced);
                    Ok(Progress::Done)
                }
            }
        })
        .await
    }

    /// Whether the target only accepts the call now, and how long it then takes.
    fn accepts_first(&self, op: &'static str, key: &str, effect: Effect) -> Option<Span> {
        let character = &self.target.character;
        let shown = self.target.shows(key);
        let as_asked = match effect {
            Effect::Provision { until } => shown
                .standing
                .is_some_and(|standing| standing.ours && standing.until == until),
            Effect::Remove | Effect::RemoveHalf => shown == Shown::default(),
        };
        if as_asked {
            return None;
        }
        if lock(&self.target.state)
            .under_way
            .contains(&(key.to_owned(), effect))
        {
            return Some(Span::seconds(1));
        }
        let world = self.process.world();
        let mut dice = Dice::of(
            world.seed(),
            &format!("pending/{op}/{key}/{}", world.time().now()),
        );
        let most = Span::millis(character.ceiling.micros() / 2000);
        dice.chance(character.pending)
            .then(|| dice.span(Span::millis(200), most))
    }

    /// What a read shows: what was so some time ago.
    fn read<T>(&self, op: &'static str, key: &str, look: impl FnOnce(Timestamp) -> T) -> T {
        let world = self.process.world();
        let character = &self.target.character;
        let mut dice = Dice::of(world.seed(), &format!("lag/{op}/{key}/{}", world.time().now()));
        let mut most = character.propagation;
        if character.breaks_promise && dice.chance(200) && world.is_troubled() {
            world.disturb(self.target.number);
            most = character.oldest_read();
        }
        let lag = dice.span(Span::ZERO, most);
        look(world.time().now() - lag)
    }
}

fn shrug() -> Error {
    Error::new(Fault::Bug, "an answer that says nothing")
}

#[async_trait]
impl Provider for Connected {
    fn capabilities(&self) -> Capabilities {
        let character = &self.target.character;
        Capabilities {
            own_expiry: character.own_expiry,
            credential: false,
            shared: character.shared,
            propagation: character.propagation,
            ceiling: character.ceiling,
        }
    }

    async fn provision(&self, key: &str, _: &Spec, _: &str, until: Timestamp) -> Result<Progress, Error> {
        self.process
            .world()
            .judge()
            .provision_called(&self.target, key, until, self.process.name());
        let until = self.target.character.own_expiry.then_some(until);
        self.change("provision", key, Effect::Provision { until }).await
    }

    async fn revoke(&self, key: &str, _: Option<&Spec>) -> Result<Progress, Error> {
        self.change("revoke", key, Effect::Remove).await
    }

    async fn inspect(&self, key: &str, _: Option<&Spec>) -> Result<Inspection, Error> {
        let world = self.process.world();
        let now = world.time().now();
        let answer = self.call("inspect", key, |fate| {
            if matches!(fate, Fate::Shrugs { .. }) {
                return Ok(Inspection::Unknown);
            }
            let shown = self.read("inspect", key, |at| lock(&self.target.state).at(key, at));
            Ok(match shown.standing {
                _ if shown.is_usable(now) => Inspection::Present {
                    until: shown.standing.and_then(|standing| standing.until),
                    residue: Vec::new(),
                },
                Some(_) => Inspection::Absent {
                    residue: vec!["something stands that lets nobody in of ours".into()],
                },
                None => Inspection::Absent { residue: Vec::new() },
            })
        });
        answer.await
    }

    /// Whoever is connected works all the time.
    async fn activity(&self, key: &str, _: &Spec) -> Result<Option<Activity>, Error> {
        self.call("activity", key, |fate| {
            if matches!(fate, Fate::Shrugs { .. }) {
                return Ok(None);
            }
            let shown = self.read("activity", key, |at| lock(&self.target.state).at(key, at));
            if !shown.is_ours() && shown.sessions == 0 {
                return Err(Error::new(Fault::NotFound, "the access is not there"));
            }
            Ok(Some(Activity {
                sessions: shown.sessions,
                quiet: (shown.sessions > 0).then_some(Span::ZERO),
            }))
        })
        .await
    }

    async fn list_managed(&self) -> Result<Listed, Error> {
        self.call("list", "", |fate| {
            if matches!(fate, Fate::Shrugs { .. }) {
                return Err(shrug());
            }
            self.read("list", "", |at| {
                let state = lock(&self.target.state);
                let ours = |key: &String| {
                    let shown = state.at(key, at);
                    let standing = shown.standing.filter(|standing| standing.ours);
                    let limit = Limit::Told(standing.and_then(|standing| standing.until));
                    (shown.sessions > 0 || standing.is_some()).then(|| (key.clone(), limit))
                };
                Ok(state.shown.keys().filter_map(ours).collect())
            })
        })
        .await
    }

    async fn credential(&self, _: &str, _: &Spec) -> Result<Credential, Error> {
        Err(Error::new(Fault::Misconfigured, "there are no credentials"))
    }

    async fn rotate_admin(&self) -> Result<(), Error> {
        Err(Error::new(Fault::Misconfigured, "there is no admin secret"))
    }

    async fn probe(&self) -> Result<(), Error> {
        Ok(())
    }
}
