//! What tests are made of: people, requests and grants, and the shortest ways to them.

use std::collections::BTreeSet;

use daypass_core::break_glass::BreakGlass;
use daypass_core::entitlement::{self, Entitlement, Intent, Observer, Spec, TargetKey};
use daypass_core::event::{Actor, PolicyEvent, Subject, What};
use daypass_core::grant::{self, Evidence, Grant, Part, Proof, Reason, State};
use daypass_core::id::{GrantId, PersonId, RequestId};
use daypass_core::name::{Item, Name};
use daypass_core::person::{Change, Kind, Person};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::{self, Ask, Path, Request, Standing};
use daypass_core::review::{Decision, From, Review, Silence, Step, Voter};
use daypass_core::text::{Hash, Prose};
use daypass_core::time::{Span, Timestamp};
use daypass_core::world::World;
use daypass_store::{Committed, Error, Outcome, Scope, Side, Store};

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn person_id(n: u8) -> PersonId {
    PersonId::from_bytes([n; 10])
}

pub(crate) fn request_id(n: u8) -> RequestId {
    RequestId::from_bytes([n; 10])
}

pub(crate) fn grant_id(n: u8) -> GrantId {
    request_id(n).into()
}

/// A policy to which everybody may do everything.
pub(crate) struct Anybody;

impl Standing for Anybody {
    fn may_review(&self, _: &Request, _: &Step, _: bool, _: Voter<'_>) -> Result<Option<PersonId>, Refusal> {
        Ok(None)
    }

    fn may_hold(&self, _: &Request) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Whether something is where it was said to be.
pub(crate) fn found<T>(thing: Option<&T>) -> Result<&T, Refusal> {
    thing.ok_or_else(|| Refusal::new(Code::NotFound, "there is no such thing"))
}

/// A request to make: `count` people must agree in each step.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) id: RequestId,
    pub(crate) requester: PersonId,
    pub(crate) items: Vec<&'static str>,
    pub(crate) steps: Vec<u32>,
    pub(crate) within: Span,
    pub(crate) extends: Option<GrantId>,
    pub(crate) reason: String,
    pub(crate) ticket: Option<String>,
    pub(crate) break_glass: Option<BreakGlass>,
}

impl Asked {
    pub(crate) fn new(n: u8, steps: &[u32]) -> Self {
        Self {
            id: request_id(n),
            requester: person_id(n),
            items: vec!["orders/write"],
            steps: steps.to_vec(),
            within: Span::minutes(15),
            extends: None,
            reason: format!("reason {n}"),
            ticket: None,
            break_glass: None,
        }
    }

    fn request(self, now: Timestamp) -> Request {
        let step = |count: &u32| Step {
            from: From::People(name("leads")),
            count: *count,
            within: self.within,
            silence: Silence::Escalate {
                to: From::Manager,
                within: self.within,
            },
            mfa: None,
            guardrail: None,
        };
        let path = Path {
            rule: name("prod-write"),
            policy: Hash::of(b"policy"),
            steps: self.steps.iter().map(step).collect(),
            max: Span::hours(4),
            pending: Span::hours(2),
            activation: Span::minutes(5),
            break_glass: self.break_glass.map(Box::new),
            ends_by: None,
            end_when: Vec::new(),
            demands: Default::default(),
        };
        let ask = Ask {
            requester: self.requester,
            items: self.items.iter().map(|item| item.parse().unwrap()).collect(),
            duration: Span::hours(1),
            start: None,
            extends: self.extends,
            reason: Prose::new([1; 16], self.reason),
            ticket: self.ticket.map(|ticket| Prose::new([2; 16], ticket)),
            source: None,
            owner: None,
        };
        Request::new(self.id, ask, path, now).unwrap()
    }
}

/// Makes a request; where nobody must agree, its grant too.
pub(crate) async fn ask(store: &Store, asked: Asked) -> Result<Committed, Error> {
    let (id, requester) = (asked.id, asked.requester);
    let scope = Scope::NewRequest {
        id,
        beside: None,
        extends: asked.extends,
    };
    let decide = move |world: &World, now| {
        if world.requests.contains_key(&id) {
            return Ok(Outcome::default());
        }
        let request = asked.request(now);
        let created = request::Event::Created {
            request: Box::new(request.clone()),
        };
        let mut outcome = Outcome::one(
            Actor::Person(requester),
            Subject::Request(id),
            What::Request(created),
        );
        if request.path.steps.is_empty() {
            outcome.append(follow(world, &request, request.approve_at_once()?, now)?);
        }
        Ok(outcome)
    };
    store.transition(scope, decide).await
}

/// An event of a request, and the grant that an approval leads to.
fn follow(
    world: &World,
    request: &Request,
    event: request::Event,
    now: Timestamp,
) -> Result<Outcome, Refusal> {
    let approved = match &event {
        request::Event::Approved { approval, .. } => Some(approval.clone()),
        _ => None,
    };
    let mut outcome = Outcome::one(Actor::System, Subject::Request(request.id), What::Request(event));
    let Some(approval) = approved else {
        return Ok(outcome);
    };
    if let Some(extended) = request.ask.extends {
        let event = found(world.grants.get(&extended))?.extend(request.id, approval.duration(), None, now)?;
        outcome.push(Actor::System, Subject::Grant(extended), What::Grant(event));
        return Ok(outcome);
    }
    let id = GrantId::from(request.id);
    let parts = approval
        .items()
        .iter()
        .map(|item| part(id, request.ask.requester, item))
        .collect();
    let grant = Grant {
        id,
        request: request.id,
        holder: request.ask.requester,
        parts,
        duration: approval.duration(),
        activation: request.path.activation,
        max: request.path.max,
        latest_end: now + request.path.max,
        break_glass: request.path.break_glass.is_some(),
        end_when: request.path.end_when.clone(),
        told: Default::default(),
        state: State::Scheduled { start: now },
    };
    let opened = grant::Event::Opened {
        grant: Box::new(grant),
    };
    outcome.push(Actor::System, Subject::Grant(id), What::Grant(opened));
    Ok(outcome)
}

/// What an item is at its target: one opening for all where the resource says so, else one of the grant's own.
fn part(grant: GrantId, holder: PersonId, item: &Item) -> Part {
    let shared = item.resource.as_str().starts_with("shared");
    let key = if shared {
        item.to_string()
    } else {
        format!("{grant}-{item}")
    };
    let spec = Spec {
        kind: name("postgres"),
        item: item.clone(),
        // Numbers that canonical JSON writes in another way than they are given.
        resource: serde_json::json!({"database": "orders", "weight": 1.0, "big": 9_007_199_254_740_993_u64}),
        role: serde_json::json!({}),
        holder,
        grant,
        subject: None,
        source: None,
    };
    Part {
        target: TargetKey {
            connector: name("pg-main"),
            key,
        },
        spec,
        tells: false,
    }
}

/// Reviews a request.
pub(crate) async fn review(
    store: &Store,
    id: RequestId,
    reviewer: PersonId,
    decision: Decision,
    comment: Option<&str>,
) -> Result<Committed, Error> {
    let comment = comment.map(|text| Prose::new([3; 16], text));
    let decide = move |world: &World, now| {
        let request = found(world.requests.get(&id))?;
        let review = Review {
            reviewer,
            on_behalf: None,
            step: 0,
            decision,
            digest: request.digest,
            comment,
            at: now,
        };
        follow(world, request, request.review(review, &Anybody, now)?, now)
    };
    store.transition(Scope::Request(id), decide).await
}

pub(crate) const YES: Decision = Decision::Approve {
    duration: None,
    items: None,
};

/// Changes a grant.
pub(crate) async fn change_grant(
    store: &Store,
    id: GrantId,
    how: impl FnOnce(&Grant, Timestamp) -> Result<grant::Event, Refusal> + Send + 'static,
) -> Result<Committed, Error> {
    let decide = move |world: &World, now| {
        let event = how(found(world.grants.get(&id))?, now)?;
        Ok(Outcome::one(
            Actor::System,
            Subject::Grant(id),
            What::Grant(event),
        ))
    };
    store.transition(Scope::Grant(id), decide).await
}

pub(crate) async fn key_of(store: &Store, id: GrantId) -> TargetKey {
    store.grant(id).await.unwrap().unwrap().parts[0].target.clone()
}

/// Intends to provision the first part of a grant that still wants it.
pub(crate) async fn intend(store: &Store, id: GrantId, claim: Span) -> Result<Committed, Error> {
    let part = store.grant(id).await?.unwrap().parts[0].clone();
    let key = part.target.clone();
    let decide = move |world: &World, now| {
        let grant = found(world.grants.get(&id))?;
        let until = grant
            .desired_until(now)
            .ok_or_else(|| Refusal::new(Code::GrantOver, "it is over"))?;
        let intent = Intent {
            worker: String::from("w"),
            until,
            claim_ends: now + claim,
        };
        let existing = world.entitlements.get(&part.target);
        let event = Entitlement::intend(
            existing,
            part.target.clone(),
            part.spec.clone(),
            intent,
            true,
            now,
        )?;
        Ok(about(&part.target, event))
    };
    store.transition(Scope::Entitlement(key), decide).await
}

pub(crate) fn about(key: &TargetKey, event: entitlement::Event) -> Outcome {
    Outcome::one(
        Actor::System,
        Subject::Entitlement(key.clone()),
        What::Entitlement(event),
    )
}

/// Records what was seen of an entitlement.
pub(crate) async fn observe(
    store: &Store,
    key: &TargetKey,
    event: entitlement::Event,
) -> Result<Committed, Error> {
    let of = key.clone();
    let decide = move |world: &World, now| {
        let entitlement = found(world.entitlements.get(&of))?;
        let by = Observer {
            worker: "w",
            epoch: entitlement.epoch,
            certain: true,
            as_of: now,
        };
        Ok(about(&of, entitlement.observe(event, &by)?))
    };
    store.transition(Scope::Entitlement(key.clone()), decide).await
}

/// From an approved request to an active grant with its access seen.
pub(crate) async fn activate(store: &Store, n: u8) -> TargetKey {
    change_grant(store, grant_id(n), Grant::begin).await.unwrap();
    intend(store, grant_id(n), Span::seconds(30)).await.unwrap();
    let key = key_of(store, grant_id(n)).await;
    let until = store
        .entitlement(&key)
        .await
        .unwrap()
        .unwrap()
        .intent
        .unwrap()
        .until;
    observe(
        store,
        &key,
        entitlement::Event::Provisioned { until: Some(until) },
    )
    .await
    .unwrap();
    change_grant(store, grant_id(n), Grant::activate).await.unwrap();
    key
}

/// From an active grant to one that is seen to be gone.
pub(crate) async fn finish(store: &Store, n: u8, key: &TargetKey) {
    change_grant(store, grant_id(n), |grant, now| grant.end(Reason::Released, now))
        .await
        .unwrap();
    observe(store, key, entitlement::Event::Revoked).await.unwrap();
    observe(
        store,
        key,
        entitlement::Event::VerifiedAbsent {
            residue: Vec::new(),
            shown_by: None,
        },
    )
    .await
    .unwrap();
    change_grant(store, grant_id(n), |grant, now| {
        let proof = |part: &Part| Evidence {
            item: part.item().clone(),
            proof: Proof::TargetRead {
                at: now,
                residue: Vec::new(),
            },
        };
        grant.conclude(grant.parts.iter().map(proof).collect())
    })
    .await
    .unwrap();
}

/// An account.
pub(crate) fn person(n: u8, login: &str) -> Person {
    Person {
        groups: BTreeSet::from([name("engineering")]),
        ..Person::new(
            person_id(n),
            Kind::Person,
            Prose::new([4; 16], login),
            Prose::new([5; 16], format!("Person {n}")),
        )
    }
}

pub(crate) async fn add(store: &Store, person: Person, side: Vec<Side>) -> Result<Committed, Error> {
    let scope = Scope::NewPerson {
        id: person.id,
        login: person.login.text().to_owned(),
    };
    let decide = move |_: &World, _| {
        let subject = Subject::Person(person.id);
        let mut outcome = Outcome::one(Actor::System, subject, What::Person(Change::Added { person }));
        outcome.side = side;
        Ok(outcome)
    };
    store.transition(scope, decide).await
}

pub(crate) async fn change_person(
    store: &Store,
    id: PersonId,
    change: Change,
    side: Vec<Side>,
) -> Result<Committed, Error> {
    let decide = move |_: &World, _| {
        let mut outcome = Outcome::one(Actor::System, Subject::Person(id), What::Person(change));
        outcome.side = side;
        Ok(outcome)
    };
    store.transition(Scope::Person(id), decide).await
}

pub(crate) async fn apply_policy(store: &Store, text: &str) -> Result<Committed, Error> {
    let sources = vec![(String::from("daypass.yaml"), text.to_owned())];
    let revision = Hash::of(text.as_bytes());
    let event = PolicyEvent::Applied {
        revision,
        files: vec![(String::from("daypass.yaml"), revision)],
        summary: vec![String::from("+ rule prod-write")],
        change: None,
    };
    let decide = move |_: &World, _| {
        let mut outcome = Outcome::one(Actor::System, Subject::Policy, What::Policy(event));
        outcome.side.push(Side::PolicySource { revision, sources });
        Ok(outcome)
    };
    store.transition(Scope::Policy, decide).await
}
