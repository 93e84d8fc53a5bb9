//! Invariants about windows: access is had while those that its rule names are open, is over when they close, and never reaches
//! into one that a guardrail forbids. All windows here are hours of UTC; the days on which clocks change are the policy's tests'.

use daypass_core::grant::{Grant, Part};
use daypass_core::id::{GrantId, RequestId};
use daypass_core::time::{Span, Timestamp};

use super::ledger::Asked;
use super::{Invariant, Judge};
use crate::scenario::policy::{Hours, Policy, Rule};

/// Microseconds of a minute and of a day.
const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// More windows than there are do not follow on one another.
const MOST: usize = 20;

impl Judge {
    /// Until when what a request asks for may last by this policy, if it begins at this instant.
    pub(super) fn ends_by(
        &self,
        policy: &Policy,
        asked: &Asked,
        at: Timestamp,
    ) -> Result<Option<Timestamp>, String> {
        let request = &asked.request;
        let rule = policy
            .rule(request.path.rule.as_str())
            .ok_or("its rule is gone")?;
        let start = request.ask.start.map_or(at, |start| start.max(at));
        let items = match &asked.approved {
            Some(approval) => approval.items(),
            None => &request.ask.items,
        };
        let names = items.iter().map(|item| item.resource.as_str());
        allowed_until(policy, rule, names, start)
    }

    /// A request is made while it may be had, and its end is frozen into it.
    pub(super) fn check_window_made(&mut self, id: RequestId) {
        let (now, wrong) = match self.ledger.requests.get(&id) {
            None => return,
            Some(asked) => {
                let policy = self.policy(self.ledger.policy);
                let now = policy.map_or(Ok(None), |policy| {
                    self.ends_by(policy, asked, asked.request.created_at)
                });
                let frozen = asked.request.path.ends_by;
                let wrong = match &now {
                    Err(what) => Some(what.clone()),
                    Ok(Some(end)) if frozen.is_none_or(|frozen| frozen > *end) => {
                        Some(format!("it must end by {end}, and says {frozen:?}"))
                    }
                    Ok(_) => None,
                };
                (now, wrong)
            }
        };
        if let Some(asked) = self.ledger.requests.get_mut(&id) {
            asked.ends_by = now.ok().flatten();
        }
        if let Some(what) = wrong {
            self.accuse(Invariant::InWindow, format!("{id} was made: {what}"));
        }
    }

    /// What is agreed to may be had still.
    pub(super) fn check_window_approved(&mut self, id: RequestId, at: Timestamp) {
        let asked = self.ledger.requests.get(&id);
        let both = asked.and_then(|asked| Some((self.policy(self.ledger.policy)?, asked)));
        let wrong = both.and_then(|(policy, asked)| self.ends_by(policy, asked, at).err());
        if let Some(what) = wrong {
            self.accuse(Invariant::InWindow, format!("{id} was approved: {what}"));
        }
    }

    /// Until when a grant may last by what was frozen when it was asked for.
    pub(super) fn frozen_end(&self, grant: &Grant) -> Option<Timestamp> {
        self.ledger.requests.get(&grant.request)?.ends_by
    }

    /// Access begins: by the policy of this moment it may, until some time that is kept.
    pub(super) fn check_window_begun(&mut self, id: GrantId, at: Timestamp) {
        let Some(held) = self.ledger.grants.get(&id) else {
            return;
        };
        let asked = self.ledger.requests.get(&held.grant.request);
        let policy = self.policy(self.ledger.policy);
        let today = match (asked, policy) {
            (Some(asked), Some(policy)) => self.ends_by(policy, asked, at),
            _ => Ok(None),
        };
        let frozen = self.frozen_end(&held.grant);
        match today {
            Ok(today) => {
                if let Some(held) = self.ledger.grants.get_mut(&id) {
                    held.ends_by = earliest(frozen, today);
                }
            }
            Err(what) => self.accuse(Invariant::InWindow, format!("{id} begins: {what}")),
        }
    }

    /// A grant has a deadline now: no later than its windows and those of what lengthened it.
    pub(super) fn check_window(
        &mut self,
        id: GrantId,
        deadline: Timestamp,
        by: Option<RequestId>,
        at: Timestamp,
    ) {
        let Some(held) = self.ledger.grants.get(&id) else {
            return;
        };
        let mut end = match by {
            // What holds when it is lengthened was asked then; a window that a guardrail forbids since lets it run to its end.
            Some(_) => self.frozen_end(&held.grant),
            None => held.ends_by,
        };
        if let Some(asked) = by.and_then(|by| self.ledger.requests.get(&by)) {
            let policy = self.policy(self.ledger.policy);
            let today = policy.map_or(Ok(None), |policy| self.ends_by(policy, asked, at));
            match today {
                Ok(today) => end = earliest(earliest(end, asked.ends_by), today),
                Err(what) => return self.accuse(Invariant::InWindow, format!("{id} is lengthened: {what}")),
            }
        }
        if end.is_some_and(|end| deadline > end) {
            let what = format!("{id} is had until {deadline}, beyond its window, which closes at {end:?}");
            self.accuse(Invariant::InWindow, what);
        }
    }

    /// Whether a grant that was to begin at this time could have outlasted what the policy of this moment allows, or could not
    /// begin at all.
    pub(super) fn is_outside(&self, grant: &Grant, asked: &Asked, at: Timestamp) -> bool {
        let Some(policy) = self.policy(self.ledger.policy) else {
            return false;
        };
        let reaches = at + asked.request.path.activation + grant.duration;
        let frozen = asked.ends_by;
        let reaches = frozen.map_or(reaches, |frozen| frozen.min(reaches));
        let passed = frozen.is_some_and(|frozen| frozen <= at);
        match self.ends_by(policy, asked, at) {
            Err(_) => true,
            Ok(today) => passed || today.is_some_and(|today| reaches > today),
        }
    }

    /// What a grant is opened with bounds it.
    pub(super) fn check_window_opened(&mut self, grant: &Grant) {
        let end = self.frozen_end(grant);
        if end.is_some_and(|end| grant.latest_end > end) {
            let items: Vec<_> = grant.parts.iter().map(Part::item).collect();
            let what = format!(
                "{} gives {items:?} until {} at the latest, and its window closes at {end:?}",
                grant.id, grant.latest_end
            );
            self.accuse(Invariant::InWindow, what);
        }
    }
}

/// Until when access by this rule to these resources may last that begins at this instant; what is in the way.
fn allowed_until<'a>(
    policy: &Policy,
    rule: &Rule,
    resources: impl Iterator<Item = &'a str> + Clone,
    at: Timestamp,
) -> Result<Option<Timestamp>, String> {
    let hours = |names: &[String]| -> Vec<Hours> {
        names
            .iter()
            .filter_map(|name| policy.windows.get(name).copied())
            .collect()
    };
    let mut end = None;
    if !rule.bounds.windows.is_empty() {
        let closes = closes(&hours(&rule.bounds.windows), at);
        end = Some(closes.ok_or_else(|| format!("none of its windows is open at {at}"))?);
    }
    for guard in policy.over(resources).filter(|guard| !guard.forbid.is_empty()) {
        let forbidden = hours(&guard.forbid);
        if closes(&forbidden, at).is_some() {
            return Err(format!("{} forbids it at {at}", guard.name));
        }
        end = earliest(end, opens(&forbidden, at));
    }
    Ok(end)
}

fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

/// How long after midnight, in microseconds.
const fn of_day(at: Timestamp) -> i64 {
    at.micros().rem_euclid(DAY)
}

/// The instants of a day, in microseconds since midnight.
fn edges(hours: Hours) -> (i64, i64) {
    let micros = |minutes: u64| i64::try_from(minutes).unwrap_or(0) * MINUTE;
    (micros(hours.from), micros(hours.to))
}

fn is_open(hours: Hours, at: Timestamp) -> bool {
    let ((from, to), now) = (edges(hours), of_day(at));
    if from < to {
        from <= now && now < to
    } else {
        from <= now || now < to
    }
}

/// The next time that a clock shows this.
fn next(of: i64, at: Timestamp) -> Timestamp {
    let wait = (of - of_day(at)).rem_euclid(DAY);
    at + Span::from_micros(u64::try_from(if wait == 0 { DAY } else { wait }).unwrap_or(0))
}

/// When all of these are closed that are open at this instant, or open before the last of them closes; `None` where none is open.
fn closes(hours: &[Hours], at: Timestamp) -> Option<Timestamp> {
    let mut until = at;
    for _ in 0..MOST {
        let open = hours.iter().filter(|hours| is_open(**hours, until));
        match open.map(|hours| next(edges(*hours).1, until)).max() {
            Some(later) => until = later,
            None => break,
        }
    }
    (until > at).then_some(until)
}

/// When one of these opens next.
fn opens(hours: &[Hours], at: Timestamp) -> Option<Timestamp> {
    hours.iter().map(|hours| next(edges(*hours).0, at)).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> Timestamp {
        Timestamp::EPOCH + Span::minutes(minutes)
    }

    #[test]
    fn windows_that_meet_are_one_and_their_ends_are_outside() {
        let hours = [Hours { from: 60, to: 90 }, Hours { from: 90, to: 100 }];
        assert_eq!(closes(&hours, at(59)), None);
        assert_eq!(closes(&hours, at(60)), Some(at(100)));
        assert_eq!(closes(&hours, at(99)), Some(at(100)));
        assert_eq!(closes(&hours, at(100)), None);
        assert_eq!(opens(&hours, at(100)), Some(at(1440 + 60)));
    }

    #[test]
    fn a_window_over_midnight_ends_on_the_following_day() {
        let hours = [Hours { from: 1400, to: 30 }];
        assert_eq!(closes(&hours, at(1439)), Some(at(1470)));
        assert_eq!(closes(&hours, at(1445)), Some(at(1470)));
        assert_eq!(closes(&hours, at(1470)), None);
    }
}
