//! One call to a target and its record: provision or revoke, then look, then write down what was seen.
//!
//! A provisioning is intended durably before it is made. A removal is made first and written down after: it never waits for
//! the store. Nothing counts as done on the strength of a call that returned; only `inspect` is believed.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use daypass_core::entitlement::{Entitlement, Event, Fault, Intent, Observer, Spec, TargetKey};
use daypass_core::event::{Actor, Subject, What};
use daypass_core::evidence;
use daypass_core::grant::Part;
use daypass_core::name::Name;
use daypass_core::planted;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::time::{Span, Timestamp};
use daypass_core::world::World;
use daypass_providers::{Error as TargetError, Inspection, Progress, Provider};
use daypass_store::{self as store, Scope};
use futures_util::FutureExt as _;

use super::backoff::Awaited;
use super::deeds::Answer;
use super::elapsed::Elapsed;
use super::watch::Looked;
use crate::engine::Engine;

/// What a call attempts, as events and logs name it.
pub(super) const PROVISION: &str = "provision";
/// See [`PROVISION`].
pub(super) const REVOKE: &str = "revoke";

/// How soon to look again where a target neither shows nor denies what was asked of it.
const LOOK_AGAIN: Span = Span::millis(500);

/// How soon after its intent a provisioning call begins, or it is not made at all: a claim lasts as long as a call and this.
/// A process that stood still in between must not begin what it claimed long ago.
const BEGINS_WITHIN: Span = Span::seconds(5);

/// For how much longer than one call the note of a removal is written: attempts that fail follow each other.
const NOTE_LASTS: Span = Span::minutes(1);

/// Who makes calls, and what it remembers of its last one for a key.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) worker: String,
    /// What became of its last provisioning of this key is known.
    pub(super) certain: bool,
    pub(super) elapsed: Elapsed,
    pub(super) awaited: Option<Awaited>,
}

impl Caller {
    pub(super) const fn observer(&self, epoch: u64, as_of: Timestamp) -> Observer<'_> {
        Observer {
            worker: self.worker.as_str(),
            epoch,
            certain: self.certain,
            as_of,
        }
    }

    /// The store's time, reckoned by the time that has really passed: what may land until then is what it is compared with.
    pub(super) async fn certain_now(&self, engine: &Engine, ceiling: Span) -> Timestamp {
        let now = engine.now().await;
        self.elapsed
            .certain(now, engine.uptime(), BEGINS_WITHIN + ceiling)
    }
}

/// A call to make.
pub(super) enum Call {
    Provision {
        part: Box<Part>,
        until: Timestamp,
        /// The last intent that the plan knew of.
        epoch: u64,
    },
    Revoke {
        entitlement: Box<Entitlement>,
    },
}

impl Call {
    pub(super) fn key(&self) -> &TargetKey {
        match self {
            Self::Provision { part, .. } => &part.target,
            Self::Revoke { entitlement } => &entitlement.key,
        }
    }

    /// The last intent that the plan knew of. What is awaited since an older one is about another time.
    pub(super) const fn epoch(&self) -> u64 {
        match self {
            Self::Provision { epoch, .. } => *epoch,
            Self::Revoke { entitlement } => entitlement.epoch,
        }
    }

    pub(super) const fn doing(&self) -> &'static str {
        match self {
            Self::Provision { .. } => PROVISION,
            Self::Revoke { .. } => REVOKE,
        }
    }
}

/// What became of a call.
pub(super) struct Report {
    pub(super) key: TargetKey,
    pub(super) doing: &'static str,
    pub(super) outcome: Outcome,
}

pub(super) enum Outcome {
    /// Seen and written down.
    Settled,
    /// No longer wanted; no call was made.
    Unwanted,
    /// Accepted; look after a while whether it shows.
    Poll { after: Span, awaited: Awaited },
    /// Another worker has taken the entitlement over.
    Overtaken,
    /// Done at the target; the store did not take the note.
    NotRecorded(store::Error),
    /// The target did not do it, as far as one can tell.
    Failed(TargetError),
}

/// What came back from a target.
pub(super) enum Arrived {
    /// A call that provisions or removes.
    Call(Report),
    /// A sweep of this connector; see `sweep.rs`.
    Swept(Name, Result<(), TargetError>),
    /// A look at sessions; see `watch.rs`.
    Looked(Looked),
    /// What was done, as a target tells it; see `deeds.rs`.
    Told(Answer),
}

impl Outcome {
    /// Whether it leaves open what the call did, or will do: it was accepted and is under way, not answered, or failed in a way
    /// that is not a refusal. `None`: it tells nothing new; what an earlier call left open still is.
    pub(super) fn is_uncertain(&self) -> Option<bool> {
        if planted::is(planted::Fault::ForgetDoubt) {
            return Some(false);
        }
        match self {
            Self::Poll { awaited, .. } => Some(!awaited.called),
            Self::Failed(error) => Some(matches!(error.fault, Fault::Unavailable | Fault::Bug)),
            Self::Settled => Some(false),
            Self::Unwanted | Self::Overtaken | Self::NotRecorded(_) => None,
        }
    }
}

impl From<store::Error> for Outcome {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Refused(refusal) if refusal.code == Code::Stale => Self::Overtaken,
            error => Self::NotRecorded(error),
        }
    }
}

impl From<TargetError> for Outcome {
    fn from(error: TargetError) -> Self {
        Self::Failed(error)
    }
}

/// Makes a call and writes down what it came to.
pub(super) async fn run(engine: Arc<Engine>, caller: Caller, call: Call) -> Arrived {
    let (key, doing) = (call.key().clone(), call.doing());
    let made = async {
        match call {
            Call::Provision { part, until, .. } => provision(&engine, &caller, (*part, until)).await,
            Call::Revoke { entitlement } => revoke(&engine, &caller, *entitlement).await,
        }
    };
    // A provider with a bug fails its own call; it must not stop the one loop that takes access away.
    let made = AssertUnwindSafe(made).catch_unwind().await;
    let failed = |_| Err(TargetError::new(Fault::Bug, "the call failed unexpectedly").into());
    Arrived::Call(Report {
        key,
        doing,
        outcome: made.unwrap_or_else(failed).unwrap_or_else(|outcome| outcome),
    })
}

async fn provision(
    engine: &Engine,
    caller: &Caller,
    (part, until): (Part, Timestamp),
) -> Result<Outcome, Outcome> {
    // What waited for its turn, or is asked how far it is, when the server began to only take away.
    if engine.only_takes_away() {
        return Ok(Outcome::Unwanted);
    }
    let key = part.target.clone();
    let provider = provider(engine, &key)?;
    let began = engine.uptime();
    if planted::is(planted::Fault::CallBeforeIntent) {
        let holder = engine.current().directory.login(part.spec.holder);
        provider.provision(&key.key, &part.spec, &holder, until).await?;
    }
    let ceiling = provider.capabilities().ceiling;
    let awaited = still_awaited(engine, caller, (&key, until)).await?;
    let (awaited, until) = match awaited {
        Some(awaited) => (awaited, until),
        None => match intend(engine, caller, part.clone(), ceiling).await? {
            Some((epoch, until)) => (
                Awaited {
                    doing: PROVISION,
                    epoch,
                    since: began,
                    called: false,
                },
                until,
            ),
            None => return Ok(Outcome::Unwanted),
        },
    };
    let epoch = awaited.epoch;
    if !awaited.called {
        if is_late(engine, began) {
            return Ok(Outcome::Overtaken);
        }
        let holder = engine.current().directory.login(part.spec.holder);
        let progress = provider.provision(&key.key, &part.spec, &holder, until).await;
        let adopt = |error: &TargetError| {
            error.fault == Fault::AlreadyStanding && planted::is(planted::Fault::AdoptStanding)
        };
        if progress.as_ref().is_err_and(adopt) {
            record(
                engine,
                &key,
                &caller.observer(epoch, engine.now().await),
                false,
                vec![Event::Provisioned { until: None }],
            )
            .await?;
            return Ok(Outcome::Settled);
        }
        let progress = progress?;
        if let Progress::Pending { poll_after } = progress {
            return Ok(Outcome::Poll {
                after: poll_after,
                awaited,
            });
        }
    }
    shown(engine, caller, (&part, until), awaited).await
}

/// Looks for what a provisioning that is through should have brought, and writes down what is seen.
async fn shown(
    engine: &Engine,
    caller: &Caller,
    (part, until): (&Part, Timestamp),
    awaited: Awaited,
) -> Result<Outcome, Outcome> {
    let (key, epoch) = (&part.target, awaited.epoch);
    let called = Awaited {
        called: true,
        ..awaited
    };
    let provider = provider(engine, key)?;
    // The call is through: what it did it has done.
    let caller = &Caller {
        certain: true,
        ..caller.clone()
    };
    let lag = propagation(provider.as_ref());
    let looked = caller.certain_now(engine, provider.capabilities().ceiling).await;
    match provider.inspect(&key.key, Some(&part.spec)).await? {
        // A target that answers from a lagging copy shows it later; one that claims not to lag has lost it.
        seen if !awaited.called && lag > Span::ZERO && !seen.shows(until) => Ok(Outcome::Poll {
            after: lag,
            awaited: called,
        }),
        // Such a copy may also still have what was there before a removal, while the call that was to bring it back did nothing.
        Inspection::Present { .. }
            if lag > Span::ZERO && shows_removed(engine, key, looked - lag).await? =>
        {
            Ok(Outcome::Poll {
                after: lag,
                awaited: called,
            })
        }
        Inspection::Present { until: shown, .. } => {
            let seen = vec![Event::Provisioned { until: shown }];
            record(
                engine,
                key,
                &caller.observer(epoch, engine.now().await),
                false,
                seen,
            )
            .await?;
            match shown {
                // Written down as it is, and asked for again, but not at once: it may round what it is told.
                Some(shown) if shown != until => {
                    let what = format!("the target shows the limit {shown} and was told {until}");
                    Err(TargetError::new(Fault::Conflict, what).into())
                }
                _ => Ok(Outcome::Settled),
            }
        }
        Inspection::Absent { .. } | Inspection::Gone { .. } => Err(TargetError::new(
            Fault::Bug,
            "the target took the call and does not show its effect",
        )
        .into()),
        Inspection::Unknown => Ok(Outcome::Poll {
            after: LOOK_AGAIN,
            awaited: called,
        }),
    }
}

/// Whether a look of this age may show what was there before a removal.
async fn shows_removed(engine: &Engine, key: &TargetKey, as_of: Timestamp) -> Result<bool, store::Error> {
    let held = engine.store().held(std::slice::from_ref(key)).await?;
    let latest = held.entitlements.get(key);
    Ok(latest.is_some_and(|latest| latest.may_show_removed(as_of)))
}

/// Whether a call that was written down or looked at then must not begin any more.
fn is_late(engine: &Engine, since: Timestamp) -> bool {
    engine.uptime().since(since) > BEGINS_WITHIN && !planted::is(planted::Fault::BeginLate)
}

/// How long a change may take to show.
pub(super) fn propagation(provider: &dyn Provider) -> Span {
    if planted::is(planted::Fault::IgnoreLag) {
        return Span::ZERO;
    }
    provider.capabilities().propagation
}

/// Writes the intent down, if some grant still wants it. Answers the epoch that it begins and until when it is to last.
async fn intend(
    engine: &Engine,
    caller: &Caller,
    part: Part,
    ceiling: Span,
) -> Result<Option<(u64, Timestamp)>, store::Error> {
    let key = part.target.clone();
    let (worker, certain) = (caller.worker.clone(), caller.certain);
    let (elapsed, clock) = (caller.elapsed.clone(), Arc::clone(&engine.parts.clock));
    let committed = engine
        .store()
        .transition(Scope::Entitlement(key.clone()), move |world, now| {
            let Some(until) = wanted(world, &part.target, now) else {
                return Ok(store::Outcome::default());
            };
            let intent = Intent {
                worker,
                until,
                claim_ends: now + BEGINS_WITHIN + ceiling,
            };
            let existing = world.entitlements.get(&part.target);
            let passed = elapsed.certain(now, clock(), BEGINS_WITHIN + ceiling);
            let event =
                Entitlement::intend(existing, part.target.clone(), part.spec, intent, certain, passed)?;
            let subject = Subject::Entitlement(part.target);
            Ok(store::Outcome::one(
                Actor::System,
                subject,
                What::Entitlement(event),
            ))
        })
        .await?;
    if committed.events.is_empty() {
        return Ok(None);
    }
    let entitlement = committed.world.entitlements.get(&key);
    Ok(entitlement.and_then(|entitlement| Some((entitlement.epoch, entitlement.intent.as_ref()?.until))))
}

/// What is awaited of this worker's last provisioning, if that is what is wanted now. Whoever asks how far it is makes the call
/// once more: its intent must be open, be about the same, and be as new as for any call.
async fn still_awaited(
    engine: &Engine,
    caller: &Caller,
    (key, until): (&TargetKey, Timestamp),
) -> Result<Option<Awaited>, store::Error> {
    let Some(awaited) = caller.awaited else {
        return Ok(None);
    };
    let held = engine.store().held(std::slice::from_ref(key)).await?;
    let now = engine.store().now().await?;
    let latest = held
        .entitlements
        .get(key)
        .filter(|latest| latest.epoch == awaited.epoch);
    let intent = latest.and_then(|latest| latest.intent.as_ref());
    let covers = |intent: &Intent| {
        let same = intent.worker == caller.worker && intent.until == until;
        same && (awaited.called || !is_late(engine, awaited.since))
    };
    let is_wanted = wanted(&held, key, now) == Some(until);
    Ok(caller.awaited.filter(|_| is_wanted && intent.is_some_and(covers)))
}

/// Until when some grant wants this target open: the latest of them.
fn wanted(world: &World, key: &TargetKey, now: Timestamp) -> Option<Timestamp> {
    let holders = world
        .grants
        .values()
        .filter(|grant| grant.is_on(key))
        // What is held under a lock is about to end.
        .filter(|grant| world.lock_over(grant).is_none());
    holders.filter_map(|grant| grant.desired_until(now)).max()
}

async fn revoke(engine: &Engine, caller: &Caller, entitlement: Entitlement) -> Result<Outcome, Outcome> {
    let Entitlement { key, spec, epoch, .. } = &entitlement;
    let spec: Option<&Spec> = spec.as_deref();
    let provider = provider(engine, key)?;
    let (lag, ceiling) = (propagation(provider.as_ref()), provider.capabilities().ceiling);
    let by = |looked: Timestamp| caller.observer(*epoch, looked - lag);
    let since = engine.uptime();
    let poll = |after, called| Outcome::Poll {
        after,
        awaited: Awaited {
            doing: REVOKE,
            epoch: *epoch,
            since,
            called,
        },
    };
    let called = caller.awaited.is_some_and(|awaited| awaited.called);
    if !called {
        if provider.capabilities().shared {
            let began = engine.uptime();
            let held = held_again(engine, key, *epoch, ceiling + lag).await;
            // As for a provisioning: what was looked at long ago is looked at again.
            if held || is_late(engine, began) {
                return Ok(Outcome::Overtaken);
            }
        }
        if let Progress::Pending { poll_after } = provider.revoke(&key.key, spec).await? {
            return Ok(poll(poll_after, false));
        }
        if lag > Span::ZERO {
            // A read within the lag proves nothing.
            let looked = caller.certain_now(engine, ceiling).await;
            record(engine, key, &by(looked), true, vec![Event::Revoked]).await?;
            return Ok(poll(lag, true));
        }
    }
    let looked = caller.certain_now(engine, ceiling).await;
    let seen = if planted::is(planted::Fault::SkipReadBack) {
        Inspection::Absent { residue: Vec::new() }
    } else {
        provider.inspect(&key.key, spec).await?
    };
    let (residue, shown_by) = match &seen {
        Inspection::Absent { residue } => (evidence::recorded_residue(residue.clone()), None),
        Inspection::Gone { shown_by } => (Vec::new(), Some(evidence::recorded_proof(shown_by))),
        _ => (Vec::new(), None),
    };
    match seen {
        Inspection::Absent { .. } | Inspection::Gone { .. } => {
            let mut events = if called { Vec::new() } else { vec![Event::Revoked] };
            if let Some(until) = entitlement.may_appear_until(&caller.worker, caller.certain, looked - lag) {
                // What was begun and given up may still land, or have landed unseen. The access is gone as far as this look
                // goes; look again when a look shows all that could happen.
                record(engine, key, &by(looked), true, events).await?;
                // No call lands later than that after it was written down, whatever clocks say: where one leapt twice, `looked` may
                // seem hours too early.
                let over = (until.since(looked)).min(BEGINS_WITHIN + ceiling);
                return Ok(poll(over + lag, true));
            }
            events.push(Event::VerifiedAbsent { residue, shown_by });
            record(engine, key, &by(looked), true, events).await?;
            Ok(Outcome::Settled)
        }
        Inspection::Present { .. } => {
            Err(TargetError::new(Fault::Conflict, "the access is still usable after its removal").into())
        }
        Inspection::Unknown => Ok(poll(LOOK_AGAIN, called)),
    }
}

/// Whether a grant on the same opening has begun since the plan was made. If not, it is written down that a removal is on its
/// way: whoever comes to hold the opening meanwhile does not trust what was seen before it. Where the store does not answer,
/// what was planned holds: a removal does not wait for it. `shows_within`: how long after its beginning a call may still change
/// what a look shows.
async fn held_again(engine: &Engine, key: &TargetKey, epoch: u64, shows_within: Span) -> bool {
    let of = key.clone();
    let noted = engine
        .store()
        .transition(Scope::Entitlement(key.clone()), move |world, now| {
            let latest = world.entitlements.get(&of).map(|latest| latest.epoch);
            let held = wanted(world, &of, now).is_some() && !planted::is(planted::Fault::ForgetHolder);
            if latest != Some(epoch) || held {
                return Err(Refusal::new(Code::Stale, "somebody holds it again"));
            }
            let lands = now + BEGINS_WITHIN + shows_within;
            let noted = world
                .entitlements
                .get(&of)
                .and_then(|latest| latest.may_vanish_until);
            // Told once a minute and not for each attempt: a note that still covers this one is enough.
            if noted.is_some_and(|until| lands <= until) {
                return Ok(store::Outcome::default());
            }
            let removing = Event::Removing {
                until: lands + NOTE_LASTS,
            };
            Ok(store::Outcome::one(
                Actor::System,
                Subject::Entitlement(of),
                What::Entitlement(removing),
            ))
        });
    let noted = noted.await;
    matches!(noted, Err(store::Error::Refused(_)))
        || (noted.is_err() && planted::is(planted::Fault::WaitForTheStore))
}

/// Writes down what was seen, unless a newer intent has overtaken the observer.
///
/// `removed`: it was this worker that removed it. Where somebody holds it by now, it is then provisioned once more; else it
/// would count as taken away by hand.
pub(super) async fn record(
    engine: &Engine,
    key: &TargetKey,
    by: &Observer<'_>,
    removed: bool,
    events: Vec<Event>,
) -> Result<(), store::Error> {
    let (key, worker) = (key.clone(), by.worker.to_owned());
    let (epoch, certain, as_of) = (by.epoch, by.certain, by.as_of);
    engine
        .store()
        .transition(Scope::Entitlement(key.clone()), move |world, now| {
            let missing = || Refusal::new(Code::Stale, "the entitlement is gone");
            let entitlement = world.entitlements.get(&key).ok_or_else(missing)?;
            let mut outcome = store::Outcome::default();
            for event in events {
                let by = Observer {
                    worker: &worker,
                    epoch,
                    certain,
                    as_of,
                };
                let event = match event {
                    Event::Revoked | Event::VerifiedAbsent { .. }
                        if removed && wanted(world, &key, now).is_some() =>
                    {
                        Event::Removing { until: now }
                    }
                    event => entitlement.observe(event, &by)?,
                };
                outcome.push(
                    Actor::System,
                    Subject::Entitlement(key.clone()),
                    What::Entitlement(event),
                );
            }
            Ok(outcome)
        })
        .await?;
    Ok(())
}

/// The provider of a key's connector. A connector that the policy lost is a fault that an administrator can mend.
pub(super) fn provider(engine: &Engine, key: &TargetKey) -> Result<Arc<dyn Provider>, TargetError> {
    engine
        .current()
        .connectors
        .get(&key.connector)
        .cloned()
        .ok_or_else(|| {
            TargetError::new(
                Fault::Misconfigured,
                format!("the policy has no connector {}", key.connector),
            )
        })
}
