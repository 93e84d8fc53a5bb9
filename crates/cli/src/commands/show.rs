//! How requests and grants look to people: one row in a list, or all there is to say.

use daypass_api::break_glass::Review;
use daypass_api::grant::{Evidence, Grant, GrantState, Observed};
use daypass_api::request::{Approved, Decision, Request, RequestState, StepState, in_whose_place};
use daypass_core::time::Timestamp;

use crate::human::{ago, instant, left, span};
use crate::line::{Field, Line, Style};
use crate::wait::{nobody_of, waits_for};

/// `orders-prod/write`, `orders-prod/write + 2 more`.
pub(crate) fn items(items: &[daypass_api::Item]) -> String {
    match items {
        [] => String::from("nothing"),
        [one] => one.to_string(),
        [one, rest @ ..] => format!("{one} + {} more", rest.len()),
    }
}

/// How a grant stands.
pub(crate) fn grant_state(grant: &Grant, now: Timestamp) -> Field {
    let style = match grant.state {
        GrantState::Active => Style::Good,
        GrantState::Scheduled | GrantState::Activating => Style::Warn,
        GrantState::Ending if grant.overdue => Style::Bad,
        GrantState::Ending => Style::Warn,
        GrantState::Ended => Style::Faint,
    };
    let text = match grant.state {
        GrantState::Ending if grant.overdue => String::from("ending, OVERDUE"),
        GrantState::Ending | GrantState::Ended => {
            let reason = grant.ended_reason.as_deref().unwrap_or("for no reason given");
            let ago = grant
                .ended_at
                .map_or_else(String::new, |at| format!(" {}", ago(at, now)));
            format!("{}{ago} ({reason})", grant.state.as_str())
        }
        // Its time has come; the next look sets it up.
        GrantState::Scheduled if grant.starts_at.is_none() => GrantState::Activating.as_str().to_owned(),
        state => state.as_str().to_owned(),
    };
    Field(style, text)
}

/// What a grant's clock says.
pub(crate) fn grant_left(grant: &Grant, now: Timestamp) -> String {
    match (grant.state, grant.expires_at, grant.starts_at) {
        (GrantState::Active, Some(expires_at), _) => left(expires_at, now),
        (GrantState::Scheduled, _, Some(starts_at)) if starts_at > now => {
            format!("begins in {}", span(starts_at.since(now)))
        }
        (GrantState::Scheduled | GrantState::Activating, ..) => {
            format!("{} once it is there", span(grant.duration))
        }
        _ => String::from("–"),
    }
}

/// How a request stands.
pub(crate) fn request_state(request: &Request) -> Field {
    let style = match request.state {
        RequestState::Pending => Style::Warn,
        RequestState::Approved => Style::Good,
        RequestState::Denied => Style::Bad,
        RequestState::Withdrawn | RequestState::Lapsed => Style::Faint,
    };
    Field(style, request.state.as_str().to_owned())
}

/// A line of what there is to say of one thing: its label, and the text.
pub(crate) fn labelled(label: &str, text: impl Into<String>) -> Line {
    Line::new().with(Style::Faint, format!("{label:<10} ")).text(text)
}

/// What ends access before its time, where something does.
fn ends_early(end_when: &[String]) -> Option<Line> {
    (!end_when.is_empty()).then(|| labelled("ends early", end_when.join(", ")))
}

/// Who answers for the service account that asks.
fn answers_for(owner: &str) -> Line {
    labelled("owner", owner).with(Style::Faint, "  (answers for this service account)")
}

/// The ticket, as it was given.
fn unverified(ticket: &str) -> Line {
    labelled("ticket", ticket).with(Style::Faint, "  (unverified)")
}

/// All there is to say of a request: what a reviewer must see before agreeing.
pub(crate) fn request(request: &Request, now: Timestamp) -> Vec<Line> {
    let Field(style, state) = request_state(request);
    let verb = if request.break_glass.is_some() {
        " BREAKS THE GLASS for "
    } else if request.extends.is_some() {
        " asks for more time: "
    } else {
        " asks for "
    };
    let what: Vec<_> = request.items.iter().map(ToString::to_string).collect();
    let mut lines = vec![
        Line::new()
            .with(Style::Strong, request.id.short())
            .text("  ")
            .with(Style::Strong, &request.requester)
            .text(verb)
            .with(Style::Strong, what.join(", "))
            .text(format!(" for {}  ", span(request.duration)))
            .with(style, state),
        labelled("reason", format!("\"{}\"", request.reason)),
    ];
    lines.extend(request.owner.as_deref().map(answers_for));
    lines.extend(request.ticket.as_deref().map(unverified));
    if let Some(source) = &request.source {
        lines.push(labelled("from", source));
    }
    if let Some(grant) = &request.extends {
        lines.push(labelled("extends", grant.short()));
    }
    if let Some(start) = request.start {
        lines.push(labelled("not before", instant(start)));
    }
    lines.push(labelled(
        "rule",
        format!("{}, {} at most in total", request.rule, span(request.max)),
    ));
    if let Some(ends_by) = request.ends_by {
        lines
            .push(labelled("over by", instant(ends_by)).with(Style::Faint, "  (the policy names that time)"));
    }
    lines.extend(ends_early(&request.end_when));
    lines.extend(demanded(request));
    lines.push(labelled(
        "asked",
        format!(
            "{} ({})",
            instant(request.created_at),
            ago(request.created_at, now)
        ),
    ));
    for (number, step) in request.steps.iter().enumerate() {
        lines.extend(step_lines(number + 1, step, now, || waits_for(request, now)));
    }
    let less = |approved: &&Approved| {
        approved.duration != request.duration || approved.items.len() != request.items.len()
    };
    if let Some(approved) = request.approved.as_ref().filter(less) {
        lines.push(labelled(
            "agreed on",
            format!("{} for {}", items(&approved.items), span(approved.duration)),
        ));
    }
    if let Some(owed) = owed(request, now) {
        lines.push(labelled("emergency", "").and(owed));
    }
    if let Some(grant) = &request.grant {
        lines.push(labelled("grant", grant.short()));
    }
    lines.push(labelled("digest", request.digest.to_string()));
    lines
}

/// What is demanded beside the agreement of others.
fn demanded(request: &Request) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(recording) = &request.recording {
        lines.push(labelled("recording", recording));
    }
    if !request.notify.is_empty() {
        let told: Vec<_> = request
            .notify
            .iter()
            .map(daypass_core::name::Name::as_str)
            .collect();
        let when = "  (when it is there, and when it has ended)";
        lines.push(labelled("told", told.join(", ")).with(Style::Faint, when));
    }
    lines
}

/// How the review of an emergency stands.
pub(crate) fn owed(request: &Request, now: Timestamp) -> Option<Line> {
    let glass = request.break_glass.as_ref()?;
    let by = &glass.review_by;
    let (style, text) = match &glass.review {
        Review::Owed { due_at, reviewers } => (
            Style::Warn,
            format!(
                "{by} ({}) must review it, {}",
                reviewers.join(", "),
                left(*due_at, now)
            ),
        ),
        Review::Overdue { due_at, reviewers } => (
            Style::Bad,
            format!(
                "review OVERDUE: {by} ({}) should have by {}",
                reviewers.join(", "),
                instant(*due_at)
            ),
        ),
        Review::Reviewed {
            by,
            at,
            comment,
            late,
            r#for,
        } => {
            let by = in_whose_place(by, r#for.as_deref());
            let why = comment
                .as_ref()
                .map_or_else(String::new, |comment| format!(": \"{comment}\""));
            let late = if *late { ", late" } else { "" };
            (
                Style::Plain,
                format!("reviewed by {by} {}{late}{why}", ago(*at, now)),
            )
        }
    };
    Some(Line::new().with(style, text))
}

/// What is said beside access that was taken in an emergency.
pub(crate) const fn emergency(break_glass: bool) -> &'static str {
    if break_glass { " (break-glass)" } else { "" }
}

/// What is said beside something that waits for the reader in the place of somebody who is away.
pub(crate) fn in_place(absent: Option<&str>) -> String {
    absent.map_or_else(String::new, |absent| format!(" [in place of {absent}]"))
}

/// All there is to say of a step of a chain. `waits` says what it waits for, where it is open.
pub(crate) fn step_lines(
    number: usize,
    step: &daypass_api::request::Step,
    now: Timestamp,
    waits: impl FnOnce() -> String,
) -> Vec<Line> {
    let who = if step.count > 1 {
        format!("{} of {}", step.count, step.from)
    } else {
        step.from.clone()
    };
    let (style, state) = match step.state {
        StepState::Waiting => (Style::Faint, String::from("waits for the step before")),
        StepState::Open => (Style::Warn, waits()),
        StepState::Approved => (Style::Good, String::from("✓ agreed")),
        StepState::Denied => (Style::Bad, String::from("✗ denied")),
        StepState::Closed => (Style::Faint, String::from("closed")),
        StepState::Silent => (Style::Faint, format!("{} answered in time", nobody_of(step))),
    };
    let mut lines = vec![labelled(&format!("step {number}"), format!("{who}: ")).with(style, state)];
    if let Some(guardrail) = &step.guardrail {
        lines.push(labelled("", format!("the guardrail {guardrail} wants this step")));
    }
    if let (StepState::Open | StepState::Waiting, Some(within)) = (step.state, step.mfa) {
        let text = format!("with a proof less than {} old of who reviews", span(within));
        lines.push(labelled("", text));
    }
    let silence = step.escalates.as_ref().filter(|escalation| match step.state {
        StepState::Open | StepState::Waiting => true,
        StepState::Silent => escalation.happened,
        StepState::Approved | StepState::Denied | StepState::Closed => false,
    });
    if let Some(escalation) = silence {
        let when = if escalation.happened {
            "was silent; also asked"
        } else {
            "silence also asks"
        };
        lines.push(labelled(
            "",
            format!("{when} {} ({})", escalation.to, span(escalation.within)),
        ));
    }
    for review in &step.reviews {
        let verb = match review.decision {
            Decision::Approve => "agreed",
            Decision::Deny => "said no",
        };
        let less = review
            .duration
            .map_or_else(String::new, |most| format!(" to {} at most", span(most)));
        let only = review
            .items
            .as_ref()
            .map_or_else(String::new, |only| format!(", only {}", items(only)));
        let why = review
            .comment
            .as_ref()
            .map_or_else(String::new, |comment| format!(": \"{comment}\""));
        lines.push(labelled(
            "",
            format!("{} {verb}{less}{only} {}{why}", review.by(), ago(review.at, now)),
        ));
    }
    lines
}

/// All there is to say of a grant, with what its targets showed.
pub(crate) fn grant(grant: &Grant, now: Timestamp) -> Vec<Line> {
    let Field(style, state) = grant_state(grant, now);
    let what: Vec<_> = grant.items.iter().map(ToString::to_string).collect();
    let mut lines = vec![
        Line::new()
            .with(Style::Strong, grant.id.short())
            .text("  ")
            .with(Style::Strong, &grant.holder)
            .text(" holds ")
            .with(Style::Strong, what.join(", "))
            .with(Style::Bad, emergency(grant.break_glass))
            .text("  ")
            .with(style, state),
        labelled("request", grant.request.short()),
    ];
    if let Some(starts_at) = grant.starts_at {
        lines.push(labelled("begins", instant(starts_at)));
    }
    if let Some(at) = grant.activated_at {
        lines.push(labelled("since", format!("{} ({})", instant(at), ago(at, now))));
    }
    if let Some(at) = grant.expires_at {
        lines.push(labelled("until", format!("{} ({})", instant(at), left(at, now))));
        lines.push(labelled("at most", instant(grant.latest_end)));
        lines.extend(ends_early(&grant.end_when));
    }
    if let Some(at) = grant.ending_since {
        let detail = grant
            .ended_detail
            .as_ref()
            .map_or_else(String::new, |detail| format!(": {detail}"));
        let reason = grant.ended_reason.as_deref().unwrap_or("ending");
        lines.push(labelled("ending", format!("{} ({reason}{detail})", instant(at))));
    }
    if let Some(at) = grant.ended_at {
        lines.push(labelled("ended", format!("{} ({})", instant(at), ago(at, now))));
    }
    for part in &grant.entitlements {
        lines.extend(entitlement(part, now));
    }
    lines
}

fn entitlement(part: &daypass_api::grant::Entitlement, now: Timestamp) -> Vec<Line> {
    let (style, seen) = match part.observed {
        Observed::Never => (Style::Faint, "never provisioned"),
        Observed::Unknown => (Style::Warn, "not seen yet"),
        Observed::Present => (Style::Good, "seen present"),
        Observed::Absent => (Style::Plain, "seen absent"),
    };
    let when = part
        .observed_at
        .map_or_else(String::new, |at| format!(" {}", ago(at, now)));
    let overdue = if part.overdue { ", OVERDUE" } else { "" };
    let mut lines = vec![
        labelled("at target", format!("{}/{} ", part.resource, part.role))
            .with(Style::Faint, format!("{} ", part.target))
            .with(style, format!("{seen}{when}"))
            .with(Style::Bad, overdue),
    ];
    lines.extend(
        part.subject
            .as_ref()
            .map(|subject| labelled("given to", subject.clone())),
    );
    lines.extend(part.source.map(|source| labelled("open to", source.to_string())));
    let proof = part.evidence.as_ref().map(|evidence| match evidence {
        Evidence::TargetRead { at, residue } if residue.is_empty() => {
            format!("the target was read at {}: it is gone", instant(*at))
        }
        Evidence::TargetRead { at, residue } => {
            format!(
                "the target was read at {}: it is gone; left behind: {}",
                instant(*at),
                residue.join(", ")
            )
        }
        Evidence::Shown { at, by } => format!("known at {}: {by}", instant(*at)),
        Evidence::HeldBy { grant } => {
            format!("grant {} holds the same; it goes with that one", grant.short())
        }
        Evidence::NeverProvisioned => String::from("nothing was ever provisioned"),
    });
    lines.extend(proof.map(|proof| labelled("evidence", proof)));
    if part.kind.as_str() == crate::commands::ssh::KIND {
        lines.push(labelled(
            "sessions",
            "one that is open when the grant ends stays open",
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(lines: &[Line]) -> Vec<String> {
        lines
            .iter()
            .map(|line| line.render(false).trim_end().to_owned())
            .collect()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_reviewer_sees_who_what_why_and_no_tricks() {
        let request: Request = serde_json::from_value(serde_json::json!({
            "id": "R0000000000000000", "digest": "00".repeat(32), "state": "pending", "requester": "ana",
            "items": [{"resource": "orders-prod", "role": "write"}], "reason": "fix\u{1b}[2J\u{202e} PAY-7", "ticket": "PAY-7",
            "duration": "1h", "rule": "prod-write", "policy_revision": "00".repeat(32), "max": "2h",
            "steps": [
                {"from": "manager", "count": 1, "state": "approved", "within": "15m", "reviews":
                    [{"reviewer": "bo", "decision": "approve", "duration": "30m", "at": "2026-01-01T00:01:00Z", "comment": "ok"}]},
                {"from": "security", "count": 1, "state": "open", "reviewers": ["cy", "di"], "reviews": [], "within": "30m",
                 "due_at": "2026-01-01T00:31:00Z", "escalates": {"to": "leads", "within": "15m", "happened": false}}],
            "created_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-01T02:00:00Z", "reviewable": true,
        }))
        .unwrap();
        assert_eq!(
            text(&super::request(&request, at("2026-01-01T00:11:00Z"))),
            [
                "R00000  ana asks for orders-prod/write for 1h  pending",
                "reason     \"fix<U+001B>[2J<U+202E> PAY-7\"",
                "ticket     PAY-7  (unverified)",
                "rule       prod-write, 2h at most in total",
                "asked      2026-01-01 00:00:00Z (11m ago)",
                "step 1     manager: ✓ agreed",
                "           bo agreed to 30m at most 10m ago: \"ok\"",
                "step 2     security: waiting for cy or di (security), 20m left",
                "           silence also asks leads (15m)",
                "digest     0000000000000000000000000000000000000000000000000000000000000000",
            ]
        );
    }

    #[test]
    fn silence_says_who_was_asked_in_vain() {
        let told = |reviews: serde_json::Value, happened: bool| {
            let step = serde_json::from_value(serde_json::json!({
                "from": "leads", "count": 2, "state": "silent", "within": "15m", "reviews": reviews,
                "escalates": {"to": "security", "within": "10m", "happened": happened},
            }));
            let lines = step_lines(1, &step.unwrap(), at("2026-01-01T01:00:00Z"), String::new);
            text(&lines)
        };
        let nobody = told(serde_json::json!([]), true);
        assert_eq!(
            nobody,
            [
                "step 1     2 of leads: nobody of leads or security answered in time",
                "           was silent; also asked security (10m)",
            ]
        );
        let agreed =
            serde_json::json!([{"reviewer": "bo", "decision": "approve", "at": "2026-01-01T00:01:00Z"}]);
        let one = told(agreed, false);
        assert_eq!(
            one[0],
            "step 1     2 of leads: only 1 of 2 of leads answered in time"
        );
        assert_eq!(one.len(), 2, "security was not asked: {one:?}");
    }

    #[test]
    fn what_has_only_not_begun_yet_is_on_its_way() {
        let grant = |starts_at: Option<&str>| -> Grant {
            serde_json::from_value(serde_json::json!({
                "id": "G0000000000000000", "request": "R0000000000000000", "state": "scheduled", "holder": "ana",
                "items": [], "duration": "1h", "latest_end": "2026-01-01T02:00:00Z", "overdue": false, "entitlements": [],
                "starts_at": starts_at,
            }))
            .unwrap()
        };
        let now = at("2026-01-01T00:00:00Z");
        let shown = |grant: &Grant| (grant_state(grant, now).1, grant_left(grant, now));
        let on_its_way = ("activating".to_owned(), "1h once it is there".to_owned());
        assert_eq!(shown(&grant(None)), on_its_way);
        let later = ("scheduled".to_owned(), "begins in 30m".to_owned());
        assert_eq!(shown(&grant(Some("2026-01-01T00:30:00Z"))), later);
    }

    #[test]
    fn an_emergency_says_so_and_what_is_owed() {
        let request = |glass: serde_json::Value| -> Request {
            serde_json::from_value(serde_json::json!({
                "id": "R0000000000000000", "digest": "00".repeat(32), "state": "approved", "requester": "ana",
                "items": [{"resource": "orders-prod", "role": "write"}], "reason": "checkout is down", "duration": "30m",
                "rule": "emergency", "policy_revision": "00".repeat(32), "max": "30m", "steps": [],
                "created_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-01T02:00:00Z", "reviewable": true,
                "break_glass": glass,
            }))
            .unwrap()
        };
        let now = at("2026-01-01T00:10:00Z");
        let said = |glass| text(&super::request(&request(glass), now)).join("\n");
        let owed = serde_json::json!({"page": "oncall", "review_by": "security", "review": "owed",
            "due_at": "2026-01-01T01:10:00Z", "reviewers": ["cy", "di"]});
        let shown = said(owed);
        assert!(
            shown.starts_with("R00000  ana BREAKS THE GLASS for orders-prod/write"),
            "{shown}"
        );
        assert!(
            shown.contains("emergency  security (cy, di) must review it, 1h left"),
            "{shown}"
        );
        let overdue = serde_json::json!({"page": "oncall", "review_by": "security", "review": "overdue",
            "due_at": "2026-01-01T00:05:00Z", "reviewers": []});
        assert!(said(overdue).contains("review OVERDUE: security () should have by 2026-01-01 00:05:00Z"));
        let given = serde_json::json!({"page": "oncall", "review_by": "security", "review": "reviewed",
            "by": "cy", "at": "2026-01-01T00:09:00Z", "comment": "right call", "late": true});
        assert!(said(given).contains("reviewed by cy 1m ago, late: \"right call\""));
    }

    #[test]
    fn an_ended_grant_shows_its_evidence() {
        let grant: Grant = serde_json::from_value(serde_json::json!({
            "id": "G0000000000000000", "request": "R0000000000000000", "state": "ended", "holder": "ana",
            "items": [{"resource": "orders-prod", "role": "write"}], "duration": "1h", "latest_end": "2026-01-01T02:00:00Z",
            "activated_at": "2026-01-01T00:00:00Z", "ending_since": "2026-01-01T01:00:00Z", "ended_at": "2026-01-01T01:00:02Z",
            "ended_reason": "expired", "overdue": false,
            "entitlements": [{"resource": "orders-prod", "role": "write", "kind": "azure-vm", "target": "az:port_x",
                "subject": "7f1c-ana", "source": "203.0.113.7", "desired": "absent", "observed": "absent", "observed_at": "2026-01-01T01:00:02Z", "overdue": false,
                "evidence": {"proof": "target_read", "at": "2026-01-01T01:00:02Z", "residue": ["schema s"]}}],
        }))
        .unwrap();
        assert_eq!(
            text(&super::grant(&grant, at("2026-01-01T01:10:02Z"))),
            [
                "G00000  ana holds orders-prod/write  ended 10m ago (expired)",
                "request    R00000",
                "since      2026-01-01 00:00:00Z (1h10m ago)",
                "ending     2026-01-01 01:00:00Z (expired)",
                "ended      2026-01-01 01:00:02Z (10m ago)",
                "at target  orders-prod/write az:port_x seen absent 10m ago",
                "given to   7f1c-ana",
                "open to    203.0.113.7",
                "evidence   the target was read at 2026-01-01 01:00:02Z: it is gone; left behind: schema s",
            ]
        );
    }
}
