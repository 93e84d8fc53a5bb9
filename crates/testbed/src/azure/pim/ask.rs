//! What a request of PIM says of its time and reasons, and what a role's rules say to that.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use serde_json::Value;

use super::super::call::{Call, Reply, text};
use super::super::operations::after;

/// From when until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Asked {
    pub(in super::super) starts: Timestamp,
    pub(in super::super) ends: Option<Timestamp>,
}

/// What a role's rules want of an active assignment by an administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Rules {
    pub(in super::super) longest: Duration,
    pub(in super::super) justification: bool,
    pub(in super::super) ticket: bool,
}

impl Default for Rules {
    /// Azure's own ("Configure Azure resource role settings in PIM"): six months, with a justification.
    fn default() -> Self {
        Self {
            longest: Duration::from_secs(180 * 24 * 3600),
            justification: true,
            ticket: false,
        }
    }
}

impl Rules {
    /// Out of how they are kept.
    pub(in super::super) fn read(value: &Value) -> Self {
        let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or_default();
        Self {
            longest: Duration::from_secs(value.get("longest").and_then(Value::as_u64).unwrap_or_default()),
            justification: flag("justification"),
            ticket: flag("ticket"),
        }
    }

    /// As an ISO 8601 duration.
    pub(in super::super) fn longest_said(&self) -> String {
        let seconds = self.longest.as_secs();
        if seconds.is_multiple_of(24 * 3600) {
            return format!("P{}D", seconds / (24 * 3600));
        }
        if seconds.is_multiple_of(3600) {
            return format!("PT{}H", seconds / 3600);
        }
        format!("PT{}M", seconds / 60)
    }
}

/// Reads `scheduleInfo`: `expiration.type` is AfterDuration, AfterDateTime or NoExpiration, in capitals or not.
pub(in super::super) fn asked(call: &Call, info: &Value) -> Result<Asked, Reply> {
    let refuse = |message: &str| Reply::arm(400, "InvalidScheduleInfo", message);
    let starts = match text(info, "/startDateTime") {
        "" => call.now,
        said => said
            .parse()
            .map_err(|_| refuse("startDateTime is no date-time."))?,
    };
    let starts: Timestamp = starts;
    // What was to begin a moment ago begins now.
    let starts = starts.max(call.now);
    let ends = match text(info, "/expiration/type").to_ascii_lowercase().as_str() {
        "afterdatetime" => {
            let said = text(info, "/expiration/endDateTime");
            Some(
                said.parse::<Timestamp>()
                    .map_err(|_| refuse("endDateTime is no date-time."))?,
            )
        }
        "afterduration" => {
            let said = text(info, "/expiration/duration");
            Some(after(
                starts,
                duration(said).ok_or_else(|| refuse("duration is no ISO 8601 duration."))?,
            ))
        }
        _ => None,
    };
    if ends.is_some_and(|ends| ends <= starts) {
        return Err(refuse("The assignment ends before it begins."));
    }
    Ok(Asked { starts, ends })
}

/// `PT8H`, `P1D`.
pub(in super::super) fn duration(said: &str) -> Option<Duration> {
    let span: Span = said.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(duration).ok()
}

/// Refuses what a role's rules refuse, naming the rules as PIM does.
pub(in super::super) fn follow(
    rules: &Rules,
    asked: &Asked,
    justification: &str,
    ticket: &str,
) -> Result<(), Reply> {
    let mut broken = Vec::new();
    let longest = SignedDuration::try_from(rules.longest).unwrap_or(SignedDuration::MAX);
    if asked
        .ends
        .is_none_or(|ends| ends.duration_since(asked.starts) > longest)
    {
        broken.push("\"ExpirationRule\"");
    }
    if rules.justification && justification.is_empty() {
        broken.push("\"JustificationRule\"");
    }
    if rules.ticket && ticket.is_empty() {
        broken.push("\"TicketingRule\"");
    }
    if broken.is_empty() {
        return Ok(());
    }
    let message = format!("The following policy rules failed: [{}]", broken.join(","));
    Err(Reply::arm(
        400,
        "RoleAssignmentRequestPolicyValidationFailed",
        message,
    ))
}
