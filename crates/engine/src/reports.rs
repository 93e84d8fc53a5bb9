//! Reports over a period: what was asked for, what became of it, and what is late. For who sees everything.

use std::collections::BTreeSet;

use daypass_core::name::{Item, Name};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::time::{Span, Timestamp};
use daypass_policy::{Access, Policy};
use daypass_store::{MOST_RESOURCES, Report, ReportFilter};

use crate::caller::Caller;
use crate::current::Current;
use crate::engine::Engine;
use crate::error::Error;

const DAY: Span = Span::hours(24);
/// So many days are reported on where nobody says.
const USUAL: u64 = 30;
/// And so many at most: a report reads what was asked for in its period.
const MOST: u64 = 366;

/// So often people must have agreed before anybody is told how long that takes.
const OFTEN: u64 = 5;

/// What a report is to be about.
#[derive(Debug, Clone, Default)]
pub struct ReportAsk {
    /// From then on; from the beginning of a day 29 days before its end, where it is not said.
    pub from: Option<Timestamp>,
    /// Before then; until now, where it is not said.
    pub until: Option<Timestamp>,
    /// Only resources that have this label `env` now.
    pub env: Option<Name>,
}

/// A report.
#[derive(Debug, Clone)]
pub struct Reported {
    /// When it was made.
    pub at: Timestamp,
    /// From when on it reports.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// How wide the slots are that it counts in.
    pub slot: Span,
    /// The environments that the policy has resources in.
    pub environments: BTreeSet<Name>,
    /// The resources of which nobody can see whether their access is used.
    pub unseen: Vec<Name>,
    /// What it says.
    pub report: Report,
}

impl Engine {
    /// What happened in a period.
    ///
    /// # Errors
    /// Where the caller does not see everything, the period is none or too long, nothing is in that environment, or the store
    /// fails.
    pub async fn report(&self, caller: Caller, ask: &ReportAsk) -> Result<Reported, Error> {
        if !caller.sees_all() {
            let what = "reports are for auditors and administrators";
            return Err(Refusal::new(Code::Forbidden, what).into());
        }
        let now = self.store().now().await?;
        let (from, until) = period(ask, now)?;
        let slot = slot(until.since(from));
        let current = self.current();
        let resources = ask
            .env
            .as_ref()
            .map(|env| of_environment(&current.policy, env))
            .transpose()?;
        let mut unseen = unseen(&current);
        if let Some(some) = &resources {
            unseen.retain(|name| some.contains(name));
        }
        let filter = ReportFilter {
            from,
            until,
            slot,
            resources,
            unseen: unseen.clone(),
        };
        Ok(Reported {
            at: now,
            from,
            until,
            slot,
            environments: environments(&current.policy),
            unseen,
            report: self.store().report(filter, now).await?,
        })
    }

    /// How long it lately took until people agreed to something on these resources: half of the times no longer, in whole minutes.
    /// Nothing where that was seldom: it would tell when somebody else was answered.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn usual_wait(&self, items: &BTreeSet<Item>) -> Result<Option<Span>, Error> {
        let now = self.store().now().await?;
        let resources: BTreeSet<&Name> = items.iter().map(|item| &item.resource).collect();
        let waits = self.store().waits(ReportFilter {
            from: now - DAY.times(USUAL),
            until: now,
            slot: DAY,
            resources: Some(resources.into_iter().cloned().collect()),
            unseen: Vec::new(),
        });
        let waits = waits.await?;
        let often = waits.median.filter(|_| waits.count >= OFTEN);
        Ok(often.map(|median| Span::minutes(median.micros().div_ceil(60_000_000))))
    }
}

/// From when until when.
fn period(ask: &ReportAsk, now: Timestamp) -> Result<(Timestamp, Timestamp), Refusal> {
    let until = ask.until.unwrap_or(now);
    let day = i64::try_from(DAY.micros()).unwrap_or(i64::MAX);
    let usual =
        || Timestamp::from_micros(until.micros() - until.micros().rem_euclid(day)) - DAY.times(USUAL - 1);
    let from = ask.from.unwrap_or_else(usual);
    if from >= until {
        let what = format!("a report from {from} until {until} is about no time at all");
        return Err(Refusal::new(Code::Invalid, what));
    }
    if until.since(from) > DAY.times(MOST) {
        let what = format!("a report is about {MOST} days at most");
        return Err(Refusal::new(Code::Invalid, what).hint("ask for one year after the other"));
    }
    Ok((from, until))
}

/// In how wide slots a period is counted: as many as can be told apart in a picture.
fn slot(period: Span) -> Span {
    match period.micros().div_ceil(DAY.micros()) {
        0..=2 => Span::hours(1),
        3..=31 => DAY,
        32..=186 => DAY.times(7),
        _ => DAY.times(30),
    }
}

/// The labels `env` that there are.
fn environments(policy: &Policy) -> BTreeSet<Name> {
    let resources = policy.resources().iter();
    resources
        .filter_map(|resource| resource.environment().cloned())
        .collect()
}

fn of_environment(policy: &Policy, env: &Name) -> Result<Vec<Name>, Refusal> {
    let resources = policy.resources().iter();
    let of = resources.filter(|resource| resource.environment() == Some(env));
    let names: Vec<Name> = of.map(|resource| resource.name.clone()).collect();
    if names.is_empty() {
        let known: Vec<String> = environments(policy).iter().map(ToString::to_string).collect();
        let what = format!("no resource has the label env: {env}");
        return Err(Refusal::new(Code::Invalid, what).hint(format!("there are: {}", known.join(", "))));
    }
    if names.len() > MOST_RESOURCES {
        let what = format!("more than {MOST_RESOURCES} resources are in {env}, too many for a report");
        return Err(Refusal::new(Code::Invalid, what));
    }
    Ok(names)
}

/// The resources whose access is there without credentials, certificate or session: nobody sees when it is used.
fn unseen(current: &Current) -> Vec<Name> {
    let resources = current.policy.resources().iter();
    let hidden = resources.filter(|resource| {
        let provider = current.connectors.get(&resource.connector);
        resource.access == Access::Direct
            && provider
                .is_some_and(|provider| !provider.capabilities().credential && provider.certifier().is_none())
    });
    // What is too much for a statement is left to look unused: better than to call it used.
    hidden
        .map(|resource| resource.name.clone())
        .take(MOST_RESOURCES)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn where_nothing_is_said_it_is_about_thirty_days_to_now() {
        let now = at("2026-03-31T12:30:00Z");
        let (from, until) = period(&ReportAsk::default(), now).unwrap();
        assert_eq!((from, until), (at("2026-03-02T00:00:00Z"), now));
        assert_eq!(slot(until.since(from)), DAY);
    }

    #[test]
    fn no_time_and_more_than_a_year_are_refused() {
        let now = at("2026-03-31T12:30:00Z");
        let from = |from| ReportAsk {
            from: Some(from),
            ..ReportAsk::default()
        };
        assert!(period(&from(now), now).is_err());
        assert!(period(&from(now - DAY.times(MOST)), now).is_ok());
        assert!(period(&from(now - DAY.times(MOST + 1)), now).is_err());
    }

    #[test]
    fn a_picture_has_some_slots_and_not_too_many() {
        for days in 1..=MOST {
            let period = DAY.times(days);
            let slots = period.micros().div_ceil(slot(period).micros());
            assert!((3..=48).contains(&slots), "{days} days are {slots} slots");
        }
    }
}
