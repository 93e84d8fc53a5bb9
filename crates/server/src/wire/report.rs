//! Reports on the wire.

use daypass_api::report as api;
use daypass_core::name::{Item, Name};
use daypass_core::time::{Span, Timestamp};
use daypass_engine::{Reported, Snapshot};
use daypass_store::{Counted, Late, Opened, Report, SPREAD, Unused, Waits};

use super::items;

/// A report.
#[must_use]
pub(crate) fn report(made: Reported, env: Option<&Name>, people: &Snapshot) -> api::Report {
    let Reported {
        at,
        from,
        until,
        slot,
        environments,
        unseen,
        report,
    } = made;
    let standing = standing(&report, until.min(at).since(from));
    let Report {
        requests,
        waits,
        busiest,
        grants,
        unused,
        late,
        ..
    } = report;
    let mut all = api::ReportRequests::default();
    for counted in &requests {
        count(&mut all, counted);
    }
    api::Report {
        from,
        until,
        at,
        env: env.map(ToString::to_string),
        environments: environments.iter().map(ToString::to_string).collect(),
        requests: all,
        over_time: over_time(&requests, (from, until.min(at).max(from)), slot),
        time_to_approve: spread(waits),
        busiest: busiest
            .into_iter()
            .map(|busy| api::BusyResource {
                resource: busy.resource,
                requests: busy.requests,
                people: busy.people,
                denied: busy.denied,
            })
            .collect(),
        grants: used(&grants, unused, unseen),
        standing,
        late: overdue(late, people),
    }
}

fn count(into: &mut api::ReportRequests, counted: &Counted) {
    into.made += counted.count;
    let of = match (counted.state.as_str(), counted.way.as_str()) {
        ("approved", "instant") => &mut into.instant,
        ("approved", "emergency") => &mut into.emergencies,
        ("approved", _) => &mut into.agreed,
        ("denied", _) => &mut into.denied,
        ("withdrawn", _) => &mut into.withdrawn,
        ("lapsed", _) => &mut into.lapsed,
        _ => &mut into.pending,
    };
    *of += counted.count;
}

/// Each slot up to now, those in which nothing was asked for too.
fn over_time(
    requests: &[Counted],
    (from, until): (Timestamp, Timestamp),
    slot: Span,
) -> Vec<api::ReportSlot> {
    let slots = until.since(from).micros().div_ceil(slot.micros().max(1)).max(1);
    (0..slots)
        .map(|nth| {
            let mut of = api::ReportRequests::default();
            for counted in requests.iter().filter(|counted| counted.slot == nth) {
                count(&mut of, counted);
            }
            api::ReportSlot {
                from: from + slot.times(nth),
                requests: of,
            }
        })
        .collect()
}

fn spread(waits: Waits) -> api::TimeToApprove {
    let limits = SPREAD.iter().map(|minutes| Some(Span::minutes(*minutes)));
    api::TimeToApprove {
        count: waits.count,
        median: waits.median,
        p90: waits.p90,
        spread: limits
            .chain([None])
            .zip(waits.spread)
            .map(|(below, count)| api::ReportSpread { below, count })
            .collect(),
    }
}

fn used(grants: &Opened, unused: Vec<Unused>, unseen: Vec<Name>) -> api::GrantUse {
    api::GrantUse {
        opened: grants.opened,
        active: grants.active,
        over: grants.over,
        unused: grants.unused,
        unused_by_resource: unused
            .into_iter()
            .map(|one| api::UnusedResource {
                resource: one.resource,
                over: one.over,
                unused: one.unused,
            })
            .collect(),
        unseen,
    }
}

fn standing(report: &Report, period: Span) -> api::ReportStanding {
    let (exposure, now) = (&report.exposure, &report.now);
    api::ReportStanding {
        // Nobody is asked yet who has access at a target beside what is ours.
        inventory: false,
        unwanted: now.unwanted,
        pairs: exposure.pairs,
        held_seconds: exposure.held_seconds,
        standing_seconds: exposure.pairs.saturating_mul(period.micros() / 1_000_000),
        grants_now: now.grants,
        people_now: now.people,
        resources_now: now.resources,
        soon: now.soon,
    }
}

fn overdue(late: Late, people: &Snapshot) -> api::ReportLate {
    let shown = |of: &[Item]| items(of);
    api::ReportLate {
        revocations: late.revocations,
        revocations_now: late.revocations_now,
        grants: late
            .grants
            .into_iter()
            .map(|grant| api::LateGrant {
                grant: grant.id,
                request: grant.request,
                holder: people.login(grant.holder),
                items: shown(&grant.items),
                since: grant.since,
            })
            .collect(),
        reviews_owed: late.reviews_owed,
        reviews_overdue: late.reviews_overdue,
        reviews: late
            .requests
            .into_iter()
            .map(|review| api::LateReview {
                request: review.id,
                requester: people.login(review.requester),
                items: shown(&review.items),
                since: review.since,
            })
            .collect(),
    }
}
