//! What the entries of a grant's proof add up to: each is about this grant, and each follows from those before it.
//!
//! Entries that are proved one by one prove nothing of what lies between them. So those of the grant and of its requests are applied in
//! their order to an empty world, as the server did; where one was left out in the middle, the next does not follow.

use std::collections::BTreeSet;

use daypass_core::entitlement::TargetKey;
use daypass_core::event::{Event, Subject, What};
use daypass_core::grant::{self, Grant, State};
use daypass_core::id::{GrantId, RequestId};
use daypass_core::request::State as Asked;
use daypass_core::world::World;

use crate::human::instant;

/// How far the entries of a file lead.
#[derive(Debug)]
pub(super) struct Course {
    /// The last entry that is about the grant or one of its requests.
    pub(super) last: u64,
    /// In which state the grant is after it, for people.
    pub(super) state: String,
}

/// Follows the entries (each with its place in the log, in the log's order) of the grant that a file is said to be about.
///
/// # Errors
/// The first entry that is about something else or does not follow; what must be there with another, and is not.
pub(super) fn follow(grant: &str, entries: &[(u64, Event)]) -> Result<Course, String> {
    let id: GrantId = grant
        .parse()
        .map_err(|_| "its grant has no id of a grant".to_owned())?;
    let own = RequestId::from_bytes(id.bytes());
    let mut world = World::default();
    let mut extended = BTreeSet::new();
    let mut last = None;
    for (index, event) in entries {
        let wrong = |what: &str| {
            let (name, subject) = (event.what.name(), event.subject.id());
            format!("entry {index} ({name} of {subject}): {what}")
        };
        match &event.subject {
            Subject::Grant(of) if *of == id => {}
            Subject::Request(_) => {}
            // What was provisioned before and after it, for others, is left out: these cannot be followed by themselves.
            Subject::Entitlement(key) if is_target(&world, id, key) => continue,
            _ => return Err(wrong("it is not about the grant, its requests or its targets")),
        }
        world
            .apply(event)
            .map_err(|illegal| wrong(&format!("{illegal}; an entry before it is missing")))?;
        if let Subject::Request(of) = &event.subject {
            let extends = world.requests.get(of).and_then(|request| request.ask.extends);
            if *of != own && extends != Some(id) {
                return Err(wrong("it is about a request for something else"));
            }
        }
        if let What::Grant(grant::Event::Extended { request, .. }) = &event.what {
            extended.insert(*request);
        }
        last = Some(*index);
    }
    let grant = world.grants.get(&id);
    let (Some(grant), Some(last)) = (grant, last) else {
        return Err(format!("none of the entries is about the grant {id}"));
    };
    agreed(&world, own, &extended)?;
    Ok(Course {
        last,
        state: told(grant),
    })
}

/// Whether something is provisioned for the grant there.
fn is_target(world: &World, id: GrantId, key: &TargetKey) -> bool {
    world.grants.get(&id).is_some_and(|grant| grant.is_on(key))
}

/// The grant's own request was approved, and so was each that lengthened it; what was approved did lengthen it. Those entries are
/// recorded together.
fn agreed(world: &World, own: RequestId, extended: &BTreeSet<RequestId>) -> Result<(), String> {
    let approved = |id: &RequestId| {
        let request = world.requests.get(id);
        request.is_some_and(|request| matches!(request.state, Asked::Approved { .. }))
    };
    if let Some(id) = extended.iter().chain([&own]).find(|id| !approved(id)) {
        return Err(format!("that the request {id} was approved is missing"));
    }
    let known = |id: &&RequestId| **id == own || extended.contains(*id) || !approved(id);
    match world.requests.keys().find(|id| !known(id)) {
        None => Ok(()),
        Some(id) => Err(format!(
            "that the grant was extended by the request {id} is missing"
        )),
    }
}

fn told(grant: &Grant) -> String {
    match &grant.state {
        State::Scheduled { start } => format!("approved, to begin at {}", instant(*start)),
        State::Activating { .. } => "being set up".to_owned(),
        State::Active { expires_at, .. } => format!("active until {}", instant(*expires_at)),
        State::Ending { reason, since, .. } => {
            format!("being taken away since {} ({})", instant(*since), reason.name())
        }
        State::Ended { reason, at, .. } => {
            format!(
                "ended, and seen to be gone at {} ({})",
                instant(*at),
                reason.name()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use daypass_core::entitlement::{self, Spec};
    use daypass_core::event::Actor;
    use daypass_core::grant::Part;
    use daypass_core::id::PersonId;
    use daypass_core::request::{self, Ask, Path, Request};
    use daypass_core::text::{Hash, Prose};
    use daypass_core::time::{Span, Timestamp};

    use super::*;

    fn start() -> Timestamp {
        Timestamp::from_micros(1_772_884_800_000_000)
    }

    fn target(key: &str) -> TargetKey {
        TargetKey {
            connector: "pg".parse().unwrap(),
            key: key.to_owned(),
        }
    }

    fn requested(n: u8, extends: Option<GrantId>, now: Timestamp) -> Request {
        let ask = Ask {
            requester: PersonId::from_bytes([9; 10]),
            items: std::iter::once("orders/write".parse().unwrap()).collect(),
            duration: Span::hours(1),
            start: None,
            extends,
            reason: Prose::new([1; 16], "PAY-7"),
            ticket: None,
            source: None,
            owner: None,
        };
        let path = Path {
            rule: "orders".parse().unwrap(),
            policy: Hash::of(b"policy"),
            steps: Vec::new(),
            max: Span::hours(4),
            pending: Span::hours(2),
            activation: Span::minutes(5),
            break_glass: None,
            ends_by: None,
            end_when: Vec::new(),
            demands: Default::default(),
        };
        Request::new(RequestId::from_bytes([n; 10]), ask, path, now).unwrap()
    }

    fn grant(n: u8, now: Timestamp) -> Grant {
        let id = GrantId::from_bytes([n; 10]);
        let spec = Spec {
            kind: "postgres".parse().unwrap(),
            item: "orders/write".parse().unwrap(),
            resource: serde_json::json!({}),
            role: serde_json::json!({}),
            holder: PersonId::from_bytes([9; 10]),
            grant: id,
            subject: None,
            source: None,
        };
        Grant {
            id,
            request: RequestId::from_bytes([n; 10]),
            holder: PersonId::from_bytes([9; 10]),
            parts: vec![Part {
                target: target("mine"),
                spec,
                tells: false,
            }],
            duration: Span::hours(1),
            activation: Span::minutes(5),
            max: Span::hours(4),
            latest_end: now + Span::hours(4),
            break_glass: false,
            end_when: Vec::new(),
            told: Default::default(),
            state: State::Scheduled { start: now },
        }
    }

    /// A request, its grant until it was extended, and its end; as they lie in a log among others.
    fn whole() -> Vec<(u64, Event)> {
        let (now, id) = (start(), GrantId::from_bytes([1; 10]));
        let mut all = Vec::new();
        let mut add = |subject, what| {
            let index = u64::try_from(all.len()).unwrap() * 10;
            all.push((index, Event::new(start(), Actor::System, subject, what)));
        };
        let asked = |request: &Request| {
            let request = Box::new(request.clone());
            What::Request(request::Event::Created { request })
        };
        let first = requested(1, None, now);
        add(Subject::Request(first.id), asked(&first));
        add(
            Subject::Request(first.id),
            What::Request(first.approve_at_once().unwrap()),
        );
        let mut grant = grant(1, now);
        let opened = grant::Event::Opened {
            grant: Box::new(grant.clone()),
        };
        add(Subject::Grant(id), What::Grant(opened));
        let begun = grant.begin(now).unwrap();
        grant = grant.evolve(&begun, now).unwrap();
        add(Subject::Grant(id), What::Grant(begun));
        let active = grant.activate(now).unwrap();
        grant = grant.evolve(&active, now).unwrap();
        add(Subject::Grant(id), What::Grant(active));
        let second = requested(2, Some(id), now);
        add(Subject::Request(second.id), asked(&second));
        add(
            Subject::Request(second.id),
            What::Request(second.approve_at_once().unwrap()),
        );
        let extended = grant.extend(second.id, Span::hours(1), None, now).unwrap();
        grant = grant.evolve(&extended, now).unwrap();
        add(Subject::Grant(id), What::Grant(extended));
        let ending = grant.end(grant::Reason::Released, now).unwrap();
        add(Subject::Grant(id), What::Grant(ending));
        all
    }

    fn follows(entries: &[(u64, Event)]) -> Result<Course, String> {
        follow(&GrantId::from_bytes([1; 10]).to_string(), entries)
    }

    #[test]
    fn all_of_it_leads_to_the_grants_state_and_a_part_to_an_earlier_one() {
        let all = whole();
        let course = follows(&all).unwrap();
        assert_eq!(course.last, 80);
        assert!(
            course.state.contains("being taken away since"),
            "{}",
            course.state
        );
        let earlier = follows(&all[..8]).unwrap();
        assert_eq!(
            (earlier.last, earlier.state.as_str()),
            (70, "active until 2026-03-07 14:00:00Z")
        );
    }

    #[test]
    fn what_is_left_out_in_the_middle_is_missed() {
        let names = ["created", "approved", "opened", "begun", "activated"];
        for (left_out, name) in names.iter().enumerate() {
            let mut some = whole();
            some.remove(left_out);
            let why = follows(&some).unwrap_err();
            assert!(
                why.contains("missing") || why.contains("not about the grant"),
                "{name}: {why}"
            );
        }
        for (left_out, says) in [(6, "was approved is missing"), (7, "was extended by the request")] {
            let mut some = whole();
            some.remove(left_out);
            let why = follows(&some).unwrap_err();
            assert!(why.contains(says), "{why}");
        }
        let mut twice = whole();
        twice.insert(3, twice[2].clone());
        assert!(follows(&twice).unwrap_err().contains("missing"));
    }

    #[test]
    fn what_is_about_something_else_is_not_taken() {
        let another = requested(5, None, start());
        let others = [
            (
                Subject::Request(another.id),
                What::Request(request::Event::Created {
                    request: Box::new(another.clone()),
                }),
                "about a request for something else",
            ),
            (
                Subject::Request(another.id),
                What::Request(another.approve_at_once().unwrap()),
                "missing",
            ),
            (
                Subject::Grant(GrantId::from_bytes([5; 10])),
                What::Grant(grant::Event::Overdue),
                "not about the grant",
            ),
            (
                Subject::Entitlement(target("another")),
                What::Entitlement(entitlement::Event::Revoked),
                "not about the grant",
            ),
        ];
        for (subject, what, says) in others {
            let mut more = whole();
            more.push((90, Event::new(start(), Actor::System, subject, what)));
            let why = follows(&more).unwrap_err();
            assert!(why.contains(says), "{why}");
        }
        let mut own = whole();
        let revoked = What::Entitlement(entitlement::Event::Revoked);
        own.push((
            90,
            Event::new(
                start(),
                Actor::System,
                Subject::Entitlement(target("mine")),
                revoked,
            ),
        ));
        assert_eq!(follows(&own).unwrap().last, 80);
        assert!(follow("G", &whole()).is_err());
        assert!(follows(&[]).is_err());
    }
}
