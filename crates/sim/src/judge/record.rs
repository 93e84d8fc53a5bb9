//! Takes each recorded event in: what it changes in the judge's ledger, and what must be true for it to be said.

use daypass_core::behind::changes_directory;
use daypass_core::entitlement::{Event as Seen, Observed, TargetKey};
use daypass_core::event::{Event, PolicyEvent, Subject, What};
use daypass_core::grant::{Event as Granted, Reason};
use daypass_core::id::{GrantId, RequestId};
use daypass_core::lock::Event as Locking;
use daypass_core::person::{Change, SystemRole};
use daypass_core::request::Event as Requested;
use daypass_core::time::Timestamp;

use super::ledger::{Asked, Intended, Known, Phase};
use super::right::command;
use super::{Invariant, Judge, Recorded};

impl Judge {
    /// Takes one event in.
    pub(super) fn recorded(&mut self, event: &Event, recorded: &mut Recorded) {
        recorded.any = true;
        if self.traced {
            recorded
                .lines
                .push(format!("  ● {} {}", event.what.name(), event.subject.id()));
        }
        match (&event.subject, &event.what) {
            (Subject::Request(id), What::Request(what)) => self.request(*id, what, event.at),
            (Subject::Grant(id), What::Grant(what)) => self.grant(*id, what, event.at),
            (Subject::Entitlement(key), What::Entitlement(what)) => self.entitlement(key, what, event.at),
            (Subject::Person(id), What::Person(change)) => {
                if matches!(change, Change::Deactivated) {
                    self.ledger.off.insert(*id, self.time.now());
                }
                self.check_delegation(*id, change, event.actor, event.at);
                self.check_account(*id, change, event.actor, event.at);
                self.ledger.standings.note(*id, change, event.actor, event.at);
                let person = match (self.ledger.people.remove(id), change) {
                    (_, Change::Added { person }) => Some(person.clone()),
                    (person, change) => person.map(|person| person.evolve(change, event.actor, event.at)),
                };
                if let Some(person) = person {
                    if person.role == SystemRole::Administrator {
                        self.ledger.administered.insert(*id);
                    }
                    self.ledger.people.insert(*id, person);
                }
                recorded.directory |= changes_directory(event);
            }
            (Subject::Policy, What::Policy(applied)) => {
                let PolicyEvent::Applied {
                    revision,
                    files,
                    change,
                    ..
                } = applied;
                self.policy_applied(*revision, files, *change);
                recorded.policy = true;
            }
            (Subject::Change(id), What::Change(what)) => self.change(*id, what, event.actor, event.at),
            (Subject::Lock(on), What::Lock(change)) => match change {
                Locking::Locked { .. } => {
                    self.ledger.locked.insert(on.clone());
                }
                Locking::Unlocked { .. } => {
                    self.ledger.locked.remove(on);
                }
            },
            _ => self.accuse(
                Invariant::Replays,
                format!("an event of another subject: {event:?}"),
            ),
        }
    }

    fn request(&mut self, id: RequestId, what: &Requested, at: Timestamp) {
        match what {
            Requested::Created { request } => {
                self.check_made(request);
                let asked = Asked {
                    request: request.as_ref().clone(),
                    policy: self.ledger.policy,
                    pending: true,
                    reviews: Vec::new(),
                    approved: None,
                    denied: None,
                    ends_by: None,
                    led_to: 0,
                    owes: false,
                };
                self.check_once(&asked);
                self.ledger.requests.insert(id, asked);
                self.check_limits_made(id);
                self.check_window_made(id);
            }
            Requested::Approved { approval, review } => {
                self.reviewed(id, review.as_ref(), at);
                self.check_approved(id, approval, at);
                self.decided(id, Some(approval.clone()));
                self.check_window_approved(id, at);
            }
            Requested::Denied { review } => {
                self.reviewed(id, Some(review), at);
                self.decided(id, None);
                if let Some(asked) = self.ledger.requests.get_mut(&id) {
                    asked.denied = Some(at);
                }
            }
            Requested::Withdrawn | Requested::Lapsed { .. } => self.decided(id, None),
            Requested::Acknowledged { by, on_behalf, .. } => self.looked_back(id, (*by, *on_behalf), at),
            Requested::ReviewOverdue => {
                if let Some(asked) = self.ledger.requests.get_mut(&id) {
                    asked.owes = false;
                }
            }
            Requested::Reviewed { review, .. } => self.reviewed(id, Some(review), at),
            Requested::Escalated { .. } => {}
        }
    }

    fn decided(&mut self, id: RequestId, approval: Option<daypass_core::review::Approval>) {
        if let Some(asked) = self.ledger.requests.get_mut(&id) {
            asked.pending = false;
            asked.owes = approval.is_some() && asked.request.path.break_glass.is_some();
            asked.approved = approval;
        }
    }

    /// Of the copies of one command, one makes a request. The reason says which command it was.
    fn check_once(&mut self, asked: &Asked) {
        let mut others = self.ledger.requests.values();
        let other = others.find(|other| command(&other.request) == command(&asked.request));
        if let Some(other) = other {
            let what = format!(
                "{} and {} were made by the same command",
                other.request.id, asked.request.id
            );
            self.accuse(Invariant::Once, what);
        }
    }

    fn grant(&mut self, id: GrantId, what: &Granted, at: Timestamp) {
        self.check_locks(id, what);
        let now = self.time.now();
        // In true time: what the store calls its deadline is as far away as that says from the moment that it says so.
        let in_truth = |deadline: Timestamp| now + deadline.since(at);
        match what {
            Granted::Opened { grant } => {
                self.led_to(grant.request);
                self.check_opened(grant);
                self.check_window_opened(grant);
                self.ledger.open(grant, now);
            }
            Granted::Begun { window_ends } => {
                self.check_begun(id);
                self.check_window_begun(id, at);
                if let Some(held) = self.ledger.grants.get_mut(&id) {
                    held.reckoned = now;
                    held.begun = Some(at);
                    let limit = (*window_ends + held.grant.duration).min(held.grant.latest_end);
                    held.phase = Phase::Activating {
                        begun: now,
                        until: in_truth(*window_ends),
                        limit,
                    };
                }
            }
            Granted::Activated {
                expires_at,
                latest_end,
            } => {
                self.check_begun(id);
                self.activated(id, at, *expires_at, *latest_end);
            }
            Granted::Extended { request, expires_at } => {
                self.led_to(*request);
                self.extended(id, *request, at, (*expires_at, in_truth(*expires_at)));
            }
            Granted::Ending { reason } => self.ending(id, reason, at),
            Granted::Overdue => {
                if let Some(Phase::Ending { overdue, .. }) =
                    self.ledger.grants.get_mut(&id).map(|held| &mut held.phase)
                {
                    *overdue = true;
                }
            }
            Granted::Ended { evidence } => {
                self.check_evidence(id, evidence, at);
                if let Some(held) = self.ledger.grants.get_mut(&id) {
                    held.phase = Phase::Ended;
                }
            }
            Granted::CredentialIssued { .. } | Granted::Told { .. } => {}
        }
    }

    /// Nothing comes about under a lock, and nothing ends for one that is not there.
    fn check_locks(&mut self, id: GrantId, what: &Granted) {
        let grant = match what {
            Granted::Opened { grant } => Some(grant.as_ref()),
            _ => self.ledger.grants.get(&id).map(|held| &held.grant),
        };
        let locked = grant.is_some_and(|grant| {
            let items = grant.parts.iter().map(daypass_core::grant::Part::item);
            self.ledger.is_locked(grant.holder, items)
        });
        let wrong = match what {
            Granted::Opened { .. }
            | Granted::Begun { .. }
            | Granted::Activated { .. }
            | Granted::Extended { .. } => locked,
            Granted::Ending {
                reason: Reason::Locked,
            } => !locked,
            _ => false,
        };
        if wrong {
            self.accuse(Invariant::Locked, format!("{id}: {what:?}; locked: {locked}"));
        }
    }

    fn led_to(&mut self, request: RequestId) {
        let Some(asked) = self.ledger.requests.get_mut(&request) else {
            return self.accuse(
                Invariant::Approved,
                format!("{request} leads to access and was never made"),
            );
        };
        asked.led_to += 1;
        let (approved, led_to) = (asked.approved.is_some(), asked.led_to);
        if !approved {
            self.accuse(
                Invariant::Approved,
                format!("{request} leads to access without an approval"),
            );
        }
        if led_to > 1 {
            self.accuse(Invariant::Once, format!("{request} led to access {led_to} times"));
        }
    }

    fn activated(&mut self, id: GrantId, at: Timestamp, expires_at: Timestamp, latest_end: Timestamp) {
        let now = self.time.now();
        let Some(held) = self.ledger.grants.get_mut(&id) else {
            return;
        };
        let Phase::Activating { begun, .. } = held.phase else {
            return;
        };
        let until = now + expires_at.since(at);
        let entitlements = &self.ledger.entitlements;
        let seen = |part| entitlements.get(part).and_then(|known: &Known| known.seen);
        // One that others held before may have been seen before it began.
        let seen = held.parts.iter().filter_map(seen).min().unwrap_or(now).max(begun);
        held.phase = Phase::Active {
            seen,
            since: now,
            until,
            limit: expires_at,
        };
        held.reckoned = now;
        held.had = Some((at, expires_at));
        held.grant.latest_end = latest_end;
        let (parts, duration, max) = (held.parts.clone(), held.agreed, held.grant.max);
        if expires_at.since(at) > duration || latest_end.since(at) > max {
            let what = format!(
                "{id} is to last {} of {duration}, {max} in total",
                expires_at.since(at)
            );
            self.accuse(Invariant::Bounded, what);
        }
        self.check_totals(id, (at, expires_at));
        self.check_cut(id, (at, expires_at), latest_end);
        self.check_window(id, expires_at, None, at);
        for (target, key) in parts {
            let Some(target) = self.targets.get(target) else {
                continue;
            };
            // Who reads a copy that is older than the target says reads what was there before.
            let oldest = target.character.oldest_read();
            let since = if target.character.breaks_promise {
                begun - oldest
            } else {
                begun
            };
            if target.was_usable(&key, since) {
                continue;
            }
            // Where ours was there meanwhile, a read that lags may have shown that; else somebody else's was taken for it.
            let (invariant, what) = if target.shows(&key).is_foreign() {
                (Invariant::NeverAdopted, "what is there is not ours")
            } else {
                (Invariant::Seen, "it never was")
            };
            self.accuse(
                invariant,
                format!("{id} is said to be there at {key}, and {what}"),
            );
        }
    }

    fn extended(
        &mut self,
        id: GrantId,
        request: RequestId,
        at: Timestamp,
        (expires_at, until): (Timestamp, Timestamp),
    ) {
        let agreed = self.ledger.requests.get(&request).and_then(|asked| {
            let approval = asked.approved.as_ref()?;
            let (more, items) = self.agreed(&asked.request, approval);
            Some((
                more,
                items,
                asked.request.ask.requester,
                asked.request.ask.extends,
            ))
        });
        let now = self.time.now();
        let Some(held) = self.ledger.grants.get_mut(&id) else {
            return;
        };
        let Phase::Active {
            seen,
            since,
            limit,
            until: before,
        } = held.phase
        else {
            return self.accuse(
                Invariant::Bounded,
                format!("{id} is lengthened, and is not active"),
            );
        };
        let lost = self.jumps.lost(held.reckoned);
        held.reckoned = now;
        let whose = agreed.as_ref().is_some_and(|(_, items, who, extends)| {
            let of_it = held.grant.parts.iter().map(daypass_core::grant::Part::item);
            *who == held.grant.holder && *extends == Some(id) && of_it.eq(items.iter())
        });
        let more = agreed.map(|(more, ..)| more);
        let in_truth = until.since(before);
        held.phase = Phase::Active {
            seen,
            since,
            until,
            limit: expires_at,
        };
        held.had = held.had.map(|(since, _)| (since, expires_at));
        let (latest_end, added) = (held.grant.latest_end, expires_at.since(limit));
        self.check_totals(id, (limit, expires_at));
        self.check_window(id, expires_at, Some(request), at);
        if !whose {
            let what =
                format!("{id} was lengthened by {request}, which is somebody else's or about other items");
            self.accuse(Invariant::Approved, what);
        }
        if more.is_none_or(|more| added > more || in_truth > more + lost) || expires_at > latest_end {
            self.accuse(
                Invariant::Bounded,
                format!("{id} was lengthened by {added} to {expires_at}, at most {latest_end}"),
            );
        }
        if at >= limit {
            self.accuse(Invariant::Bounded, format!("{id} was revived after its deadline"));
        }
    }

    fn entitlement(&mut self, key: &TargetKey, what: &Seen, at: Timestamp) {
        let Some(target) = self.ledger.connectors.get(key.connector.as_str()).copied() else {
            return;
        };
        let spot = (target, key.key.clone());
        if let Seen::Intended { intent, .. } = what {
            let wanted = self
                .ledger
                .sharing(&spot)
                .filter(|held| held.is_live())
                .any(|held| held.holds(Timestamp::EPOCH).is_some());
            if !wanted {
                self.accuse(
                    Invariant::Intended,
                    format!(
                        "{key} is to be provisioned until {}, and nobody holds it",
                        intent.until
                    ),
                );
            }
        }
        // One that says `until` its own time was made already, and is put right now.
        if matches!(what, Seen::Removing { until } if *until > at) && self.is_held_at(&spot, at) {
            let what = format!("{key} is about to be removed, and somebody holds it");
            self.accuse(Invariant::NotCut, what);
        }
        let now = self.time.now();
        let latest_end = self.ledger.latest_end(&spot);
        let known = self.ledger.entitlements.entry(spot).or_insert(Known {
            ever_intended: false,
            intent: None,
            removing: None,
            observed: Observed::Unknown { since: at },
            seen: None,
            since: now,
        });
        if matches!(known.observed, Observed::Absent { .. }) {
            known.since = now;
        }
        match what {
            Seen::Intended { intent, .. } => {
                known.ever_intended = true;
                known.intent = Some(Intended {
                    worker: intent.worker.clone(),
                    at: now,
                    until: intent.until,
                    latest_end,
                });
                known.observed = Observed::Unknown { since: at };
            }
            Seen::Provisioned { until } => {
                known.intent = None;
                known.seen = Some(now);
                known.observed = Observed::Present { until: *until, at };
            }
            Seen::Removing { until } => {
                known.removing = known.removing.max(Some((now + until.since(at), now)));
                known.observed = Observed::Unknown { since: at };
            }
            Seen::Revoked | Seen::DriftFound { .. } => known.observed = Observed::Unknown { since: at },
            Seen::VerifiedAbsent { .. } => {
                known.intent = None;
                known.observed = Observed::Absent {
                    shown_by: None,
                    at,
                    residue: Vec::new(),
                }
            }
            Seen::Failing { .. } => {}
        }
    }

    /// Whether an active grant that is not locked holds a key at this time of the store's.
    fn is_held_at(&self, spot: &(usize, String), at: Timestamp) -> bool {
        self.ledger.sharing(spot).any(|held| {
            let items = held.grant.parts.iter().map(daypass_core::grant::Part::item);
            matches!(held.phase, Phase::Active { limit, .. } if at < limit)
                && !self.ledger.is_locked(held.grant.holder, items)
        })
    }
}
