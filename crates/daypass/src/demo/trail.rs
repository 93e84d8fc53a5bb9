//! What the log tells of a grant that came and went: what must be in it, and how a line of it is shown.

use daypass_api::event::AuditEvent;
use daypass_core::time::Timestamp;

/// What the log must tell of a grant that came and went, in this order.
const TRAIL: [&str; 10] = [
    "request.created",
    "request.reviewed",
    "request.approved",
    "entitlement.provisioned",
    "grant.activated",
    "grant.credential_issued",
    "grant.ending",
    "entitlement.revoked",
    "entitlement.verified_absent",
    "grant.ended",
];

/// The first event that is not told in its place.
pub(super) fn missing(told: &[AuditEvent]) -> Option<&'static str> {
    let mut told = told.iter().map(|event| event.name.as_str());
    TRAIL.into_iter().find(|name| !told.any(|had| had == *name))
}

/// `05:12:44.120  request.approved  cy approves …`, with times of day for instants.
pub(super) fn entry(event: &AuditEvent) -> String {
    let short = |word: &str| {
        word.parse()
            .map_or_else(|_| word.to_owned(), |at| clock(at).chars().take(8).collect())
    };
    let summary: Vec<String> = event.summary.split(' ').map(short).collect();
    format!("{}  {:<28} {}", clock(event.at), event.name, summary.join(" "))
}

/// The time of day, to the millisecond, in UTC.
fn clock(at: Timestamp) -> String {
    let millis = at.micros().rem_euclid(86_400_000_000) / 1_000;
    let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
    format!(
        "{hours:02}:{minutes:02}:{:02}.{:03}",
        millis / 1_000 % 60,
        millis % 1_000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_the_time_of_day() {
        let at: Timestamp = "2026-03-07T21:10:09.123456Z".parse().unwrap();
        assert_eq!(clock(at), "21:10:09.123");
    }

    #[test]
    fn what_is_not_told_in_its_place_is_missed() {
        let event = |name: &str| AuditEvent {
            seq: 0,
            at: Timestamp::EPOCH,
            name: name.to_owned(),
            subject: daypass_api::event::Subject {
                kind: "grant".to_owned(),
                id: "G1".to_owned(),
            },
            actor: None,
            summary: "ends at 2026-03-07T21:10:09.123456Z".to_owned(),
            data: serde_json::Value::Null,
            leaf: daypass_core::text::Hash::of(b""),
        };
        let mut told: Vec<_> = TRAIL.iter().map(|name| event(name)).collect();
        assert_eq!(missing(&told), None);
        assert!(
            entry(&told[0]).ends_with("ends at 21:10:09"),
            "{}",
            entry(&told[0])
        );
        told.swap(3, 9);
        assert_eq!(missing(&told), Some("grant.activated"));
        told.clear();
        assert_eq!(missing(&told), Some("request.created"));
    }
}
