//! Small whole things to start a test from.

use daypass_core::entitlement::{Entitlement, Intent, Observed, Observer, Spec, TargetKey};
use daypass_core::grant::{Grant, Part, State};
use daypass_core::id::{GrantId, PersonId, RequestId};
use daypass_core::plan::Limits;
use daypass_core::request::{Ask, Path, Request};
use daypass_core::review::{From, Silence, Step};
use daypass_core::text::{Hash, Prose};
use daypass_core::time::{Span, Timestamp};

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_800_000_000 + seconds) * 1_000_000)
}

pub(crate) fn person(n: u8) -> PersonId {
    PersonId::from_bytes([n; 10])
}

pub(crate) fn target(key: &str) -> TargetKey {
    TargetKey {
        connector: "pg-main".parse().unwrap(),
        key: key.into(),
    }
}

pub(crate) fn spec(item: &str) -> Spec {
    Spec {
        kind: "postgres".parse().unwrap(),
        item: item.parse().unwrap(),
        resource: serde_json::json!({"database": "orders"}),
        role: serde_json::json!({"member_of": ["app_writer"]}),
        holder: person(1),
        grant: GrantId::from_bytes([1; 10]),
        subject: None,
        source: None,
    }
}

pub(crate) fn part(item: &str, key: &str) -> Part {
    Part {
        target: target(key),
        spec: spec(item),
        tells: false,
    }
}

/// A grant for an hour of `orders/write` at `key`, with five minutes to become real and two hours at most.
pub(crate) fn grant(n: u8, key: &str, state: State) -> Grant {
    Grant {
        id: GrantId::from_bytes([n; 10]),
        request: RequestId::from_bytes([n; 10]),
        holder: person(n),
        parts: vec![part("orders/write", key)],
        duration: Span::hours(1),
        activation: Span::minutes(5),
        max: Span::hours(2),
        latest_end: at(0) + Span::minutes(5) + Span::hours(2),
        break_glass: false,
        end_when: Vec::new(),
        told: Default::default(),
        state,
    }
}

pub(crate) fn active(n: u8, key: &str, until: i64) -> Grant {
    grant(
        n,
        key,
        State::Active {
            since: at(0),
            expires_at: at(until),
        },
    )
}

pub(crate) fn entitlement(key: &str, observed: Observed) -> Entitlement {
    Entitlement {
        key: target(key),
        spec: Some(Box::new(spec("orders/write"))),
        epoch: 1,
        intent: None,
        intended_at: Some(at(0)),
        may_appear_until: None,
        may_vanish_until: None,
        removed_at: None,
        observed,
    }
}

pub(crate) fn intent(worker: &str, claim_ends: i64) -> Intent {
    Intent {
        worker: worker.into(),
        until: at(3600),
        claim_ends: at(claim_ends),
    }
}

/// A worker that knows of this epoch, and what became of its own last provisioning, and that looked at this second.
pub(crate) fn by(worker: &str, epoch: u64, looked: i64) -> Observer<'_> {
    Observer {
        worker,
        epoch,
        certain: true,
        as_of: at(looked),
    }
}

pub(crate) fn limits() -> Limits {
    Limits {
        worker: "me".into(),
        overdue_after: Span::minutes(2),
        alarm_only: [].into(),
        watched: Default::default(),
    }
}

pub(crate) fn step(people: &str, count: u32) -> Step {
    Step {
        from: From::People(people.parse().unwrap()),
        count,
        within: Span::minutes(15),
        silence: Silence::Deny,
        mfa: None,
        guardrail: None,
    }
}

/// Person 1 asks for an hour of `orders/write`; these steps must agree.
pub(crate) fn request(steps: Vec<Step>) -> Request {
    let ask = Ask {
        requester: person(1),
        items: ["orders/write".parse().unwrap(), "orders/read".parse().unwrap()].into(),
        duration: Span::hours(1),
        start: None,
        extends: None,
        reason: Prose::new([3; 16], "PAY-7"),
        ticket: None,
        source: None,
        owner: None,
    };
    let path = Path {
        rule: "prod-write".parse().unwrap(),
        policy: Hash::of(b"policy"),
        steps,
        max: Span::hours(2),
        pending: Span::hours(2),
        activation: Span::minutes(5),
        break_glass: None,
        ends_by: None,
        end_when: Vec::new(),
        demands: Default::default(),
    };
    Request::new(RequestId::from_bytes([1; 10]), ask, path, at(0)).unwrap()
}
