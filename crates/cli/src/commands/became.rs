//! What became of a request that was agreed to: the access is there, is on its way, or is over.

use daypass_api::grant::{Grant, GrantState};
use daypass_core::time::Timestamp;

use crate::commands::show::{grant_state, labelled};
use crate::human::{instant, left, span};
use crate::line::Line;

/// What became of a request that was agreed to, and what comes next.
pub(crate) fn next(grant: &Grant, now: Timestamp) -> Line {
    let id = grant.id.short();
    let text = match (grant.state, grant.expires_at, grant.starts_at) {
        (GrantState::Active, Some(expires_at), _) => {
            format!("the access is there, {}", left(expires_at, now))
        }
        (GrantState::Active, None, _) => String::from("the access is there"),
        (GrantState::Scheduled, _, Some(starts_at)) if starts_at > now => format!(
            "the access is set up at {}, in {}; daypass release {id} gives it back before",
            instant(starts_at),
            span(starts_at.since(now))
        ),
        (GrantState::Scheduled | GrantState::Activating, ..) => {
            format!(
                "the access is being set up; {} begin when it is there: daypass status {id}",
                span(grant.duration)
            )
        }
        (GrantState::Ending | GrantState::Ended, ..) => grant_state(grant, now).1,
    };
    labelled("now", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was agreed to and has not begun says what comes next.
    #[test]
    fn an_agreed_request_says_what_comes_next() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let told = |more: serde_json::Value| {
            let mut grant = serde_json::json!({
                "id": "G0000000000000000", "request": "R0000000000000000", "state": "scheduled", "holder": "ana",
                "items": [], "duration": "1h", "latest_end": "2026-01-01T02:00:00Z", "overdue": false, "entitlements": [],
            });
            let more = more.as_object().unwrap().clone();
            grant.as_object_mut().unwrap().extend(more);
            let grant: Grant = serde_json::from_value(grant).unwrap();
            next(&grant, now).render(false)
        };
        for (more, expect) in [
            (
                serde_json::json!({"starts_at": "2026-01-01T00:30:00Z"}),
                "now        the access is set up at 2026-01-01 00:30:00Z, in 30m; daypass release G00000 gives it back before",
            ),
            (
                serde_json::json!({"state": "activating"}),
                "now        the access is being set up; 1h begin when it is there: daypass status G00000",
            ),
            (
                serde_json::json!({"state": "active", "expires_at": "2026-01-01T00:42:00Z"}),
                "now        the access is there, 42m left",
            ),
            (
                serde_json::json!({"state": "ended", "ended_reason": "expired", "ended_at": "2025-12-31T23:50:00Z"}),
                "now        ended 10m ago (expired)",
            ),
        ] {
            assert_eq!(told(more), expect);
        }
    }
}
