//! Invariants about limits: how often a rule was used, how long somebody had something in total, what was denied just now.
//!
//! Reckoned by the time that decides, from what the log says of each request and grant, window by window.

use daypass_core::grant::{Grant, Part};
use daypass_core::id::{GrantId, PersonId, RequestId};
use daypass_core::request::Request;
use daypass_core::time::{Span, Timestamp};

use super::ledger::{Asked, Held, Phase};
use super::{Invariant, Judge};
use crate::scenario::policy::Guardrail;

/// From when until when, by the time that decides.
type Between = (Timestamp, Timestamp);

/// The shortest length of time that there is.
const INSTANT: Span = Span::from_micros(1);

impl Judge {
    /// Nothing is made that its rule gives too often, or that was denied just now.
    pub(super) fn check_limits_made(&mut self, id: RequestId) {
        let Some(asked) = self.ledger.requests.get(&id) else {
            return;
        };
        let over = self.over_uses(asked, |_| true);
        if let Some(what) = over.or_else(|| self.too_soon(&asked.request)) {
            self.accuse(Invariant::Limited, format!("{id} was made: {what}"));
        }
    }

    /// Whether a request that was made uses its rule more often than it gives. Where another policy gives less than was agreed to, the
    /// first uses stay: what came after this one is not counted against it.
    pub(super) fn over_first_uses(&self, asked: &Asked) -> Option<String> {
        let place = |request: &Request| (begins(request), request.id);
        let own = place(&asked.request);
        self.over_uses(asked, |other| place(other) <= own)
    }

    /// Whether the uses of a request's rule, of those that count, are more than it gives in some period in which this one lies.
    fn over_uses(&self, asked: &Asked, counts: impl Fn(&Request) -> bool) -> Option<String> {
        let request = &asked.request;
        let rule = self
            .policy(self.ledger.policy)?
            .rule(request.path.rule.as_str())?;
        let (count, period) = rule.bounds.uses?;
        let own = begins(request);
        let of_it = |other: &&Asked| {
            let same = other.request.ask.requester == request.ask.requester
                && other.request.path.rule == request.path.rule;
            same && (other.pending || other.approved.is_some()) && counts(&other.request)
        };
        let used = self.ledger.requests.values().filter(of_it);
        let used: Vec<_> = used.map(|other| begins(&other.request)).collect();
        for first in &used {
            let end = *first + period;
            let of_it = used.iter().filter(|at| **at >= *first && **at < end).count();
            if *first <= own && own < end && of_it > usize::try_from(count).unwrap_or(usize::MAX) {
                return Some(format!("from {first} on it is used {of_it} times in {period}"));
            }
        }
        None
    }

    /// Whether some of it was denied to the same person so short a while ago that it has to wait.
    fn too_soon(&self, request: &Request) -> Option<String> {
        let policy = self.policy(self.ledger.policy)?;
        let rule = policy.rule(request.path.rule.as_str())?;
        let wait = rule.bounds.cool_down.unwrap_or(policy.cool_down);
        let same = |other: &&Asked| {
            other.request.ask.requester == request.ask.requester
                && !other.request.ask.items.is_disjoint(&request.ask.items)
        };
        let denied = self.ledger.requests.values().filter(same);
        let last = denied.filter_map(|other| other.denied).max()?;
        let waits = rule.glass.is_none() && request.created_at < last + wait;
        waits.then(|| format!("it was denied at {last}"))
    }

    /// What becomes held between these instants is no more than the guardrails of this moment give in any of their periods.
    pub(super) fn check_totals(&mut self, id: GrantId, new: Between) {
        let found = self.ledger.grants.get(&id).and_then(|held| {
            self.totals(&held.grant).find_map(|(guard, (most, period))| {
                let mut spans = self.spans(held.grant.holder, guard, Held::used);
                spans.push(new);
                let worst = fullest(&spans, new, period);
                (worst > most).then(|| format!("{worst} of {most} in {period} ({})", guard.name))
            })
        });
        if let Some(what) = found {
            self.accuse(Invariant::Limited, format!("{id} is had for {what}"));
        }
    }

    /// Whether the guardrails leave no room between these instants, where what has yet to begin is taken for what it may
    /// become, and what has run out for what it was until somebody noticed.
    pub(super) fn is_full(&self, grant: &Grant, new: Between, at: Timestamp) -> bool {
        let most_had = |held: &Held| {
            if held.grant.id == grant.id {
                return None;
            }
            let ahead = match (&held.phase, &held.grant.state) {
                (
                    Phase::Scheduled | Phase::Activating { .. },
                    daypass_core::grant::State::Scheduled { start },
                ) => {
                    let from = (*start).max(at);
                    Some((from, (from + held.grant.duration).min(held.grant.latest_end)))
                }
                _ => None,
            };
            let noticed = |(from, until): Between| (from, held.noticed.unwrap_or(until).max(until));
            ahead.or(held.used().map(noticed))
        };
        self.totals(grant).any(|(guard, (most, period))| {
            let mut spans = self.spans(grant.holder, guard, most_had);
            spans.push(new);
            fullest(&spans, new, period) > most
        })
    }

    /// A grant becomes active: it is cut only where there is no room for more.
    pub(super) fn check_cut(&mut self, id: GrantId, (since, until): Between, latest_end: Timestamp) {
        let Some(held) = self.ledger.grants.get(&id) else {
            return;
        };
        let whole = (since + held.grant.duration).min(latest_end);
        let cut = until < whole && !self.is_full(&held.grant, (since, until + INSTANT), since);
        if cut {
            let what = format!("{id} is had until {until}, and there was room until {whole}");
            self.accuse(Invariant::NotCut, what);
        }
    }

    /// Whether a grant that could not become active at this instant had no time left to it.
    pub(super) fn nothing_is_left(&self, grant: &Grant, at: Timestamp) -> bool {
        self.is_full(grant, (at, at + INSTANT), at)
    }

    /// The guardrails over a grant's items that limit a total.
    fn totals<'j>(&'j self, grant: &Grant) -> impl Iterator<Item = (&'j Guardrail, (Span, Span))> {
        let names: Vec<_> = grant
            .parts
            .iter()
            .map(|part| part.item().resource.clone())
            .collect();
        let policy = self.policy(self.ledger.policy);
        let guards = policy.into_iter().flat_map(|policy| &policy.guardrails);
        guards.filter_map(move |guard| {
            let over = names
                .iter()
                .any(|name| policy.is_some_and(|policy| policy.guards(guard, name.as_str())));
            guard.total.filter(|_| over).map(|total| (guard, total))
        })
    }

    /// When somebody held what a guardrail is over.
    fn spans(
        &self,
        who: PersonId,
        guard: &Guardrail,
        when: impl Fn(&Held) -> Option<Between>,
    ) -> Vec<Between> {
        let Some(policy) = self.policy(self.ledger.policy) else {
            return Vec::new();
        };
        let over = |held: &&Held| {
            let mut items = held.grant.parts.iter().map(Part::item);
            held.grant.holder == who && items.any(|item| policy.guards(guard, item.resource.as_str()))
        };
        self.ledger
            .grants
            .values()
            .filter(over)
            .filter_map(when)
            .collect()
    }
}

/// When a request counts as a use.
fn begins(request: &Request) -> Timestamp {
    request
        .ask
        .start
        .map_or(request.created_at, |start| start.max(request.created_at))
}

/// How much of the fullest window of this length is covered, of those that share time with `new`. A window that is as full as
/// any begins where something begins, or ends where something ends.
fn fullest(spans: &[Between], new: Between, period: Span) -> Span {
    let starts = spans.iter().flat_map(|(from, until)| [*from, *until - period]);
    let meets = |from: &Timestamp| *from <= new.1 && *from + period >= new.0;
    let edges = starts.chain([new.0 - period, new.1]).filter(meets);
    edges
        .map(|from| covered(spans, (from, from + period)))
        .max()
        .unwrap_or(Span::ZERO)
}

/// How much of a window is covered; what overlaps counts once.
fn covered(spans: &[Between], (from, until): Between) -> Span {
    let mut within: Vec<_> = spans
        .iter()
        .map(|(one, other)| ((*one).max(from), (*other).min(until)))
        .collect();
    within.sort_unstable();
    let (mut reached, mut sum) = (from, Span::ZERO);
    for (one, other) in within {
        let one = one.max(reached);
        if one < other {
            (sum, reached) = (sum + other.since(one), other);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> Timestamp {
        Timestamp::EPOCH + Span::minutes(1000 + minutes)
    }

    #[test]
    fn a_window_is_as_full_as_what_lies_in_it() {
        let spans = [(at(0), at(4)), (at(2), at(6)), (at(20), at(23))];
        let new = (at(8), at(10));
        let all = [spans.as_slice(), &[new]].concat();
        assert_eq!(fullest(&all, new, Span::minutes(10)), Span::minutes(8));
        assert_eq!(fullest(&all, new, Span::minutes(23)), Span::minutes(11));
        assert_eq!(
            fullest(&all, new, Span::minutes(2)),
            Span::minutes(2),
            "others are not looked at"
        );
        assert_eq!(covered(&spans, (at(3), at(21))), Span::minutes(4));
    }
}
