//! What asking and agreeing lead to, within the transaction: the request, and the grant that it opens or lengthens.

use std::collections::BTreeMap;
use std::net::IpAddr;

use daypass_core::event::{Actor, Subject, What};
use daypass_core::grant::{Grant, State};
use daypass_core::id::{GrantId, PersonId, RequestId};
use daypass_core::planted::{Fault, is};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::{self, Ask, Request};
use daypass_core::review::Approval;
use daypass_core::text::{Hash, Prose};
use daypass_core::time::Timestamp;
use daypass_core::world::World;
use daypass_policy::Directory as _;
use daypass_store::Outcome;

use super::judge::{decide, items};
use super::{NewRequest, Verb};
use crate::caller::Caller;
use crate::connectors::{Holder, bound_to, part};
use crate::current::Current;
use crate::error::not_found;

/// One id for one (installation, person, grant to lengthen, key): repeating a command finds what it made the first time.
/// The key stands last, so that no two are spelt alike.
pub(super) fn derived(
    installation: &str,
    person: PersonId,
    extends: Option<GrantId>,
    key: &str,
) -> RequestId {
    let extends = extends.map_or_else(|| "-".to_owned(), |grant| grant.to_string());
    let text = format!("daypass request id v1\n{installation}\n{person}\n{extends}\n{key}");
    let mut bytes = [0; 10];
    bytes
        .iter_mut()
        .zip(Hash::of(text.as_bytes()).bytes())
        .for_each(|(to, from)| *to = *from);
    RequestId::from_bytes(bytes)
}

pub(super) fn create(
    current: &Current,
    (caller, id): (Caller, RequestId),
    (asked, verb): (&NewRequest, Verb),
    (reason, ticket, source): (Prose, Option<Prose>, Option<(IpAddr, Prose)>),
    world: &World,
    now: Timestamp,
) -> Result<Outcome, Refusal> {
    let active = current
        .directory
        .person(caller.person)
        .is_some_and(|person| person.active);
    if !active {
        return Err(Refusal::new(Code::NotEligible, "this account is switched off"));
    }
    let extended = asked.extends.and_then(|grant| world.grants.get(&grant));
    let items = items(&current.policy, caller.person, asked, extended)?;
    let asker = (caller, source.as_ref().map(|(from, _)| *from));
    let allowed = decide(current, world, asker, (asked, verb), &items, extended, now)?;
    let ask = Ask {
        requester: caller.person,
        items,
        duration: allowed.duration,
        start: asked.start,
        extends: asked.extends,
        reason,
        ticket,
        source: source.filter(|_| allowed.by_source).map(|(_, address)| address),
        owner: current
            .directory
            .person(caller.person)
            .and_then(|person| person.owner),
    };
    let at_once = allowed.path.steps.is_empty();
    let request = Request::new(id, ask, allowed.path, now)
        .map_err(|error| Refusal::new(Code::Invalid, error.to_string()))?;
    let actor = Actor::Person(caller.person);
    let created = request::Event::Created {
        request: Box::new(request.clone()),
    };
    let mut outcome = Outcome::one(actor, Subject::Request(id), What::Request(created));
    if at_once {
        let event = request.approve_at_once()?;
        outcome.append(follow(current, &request, event, Actor::System, world, now)?);
    }
    Ok(outcome)
}

/// The event on a request, and what an approval leads to: a new grant, or a longer one.
pub(super) fn follow(
    current: &Current,
    request: &Request,
    event: request::Event,
    actor: Actor,
    world: &World,
    now: Timestamp,
) -> Result<Outcome, Refusal> {
    let approval = match &event {
        request::Event::Approved { approval, .. } => Some(approval.clone()),
        _ => None,
    };
    let mut outcome = Outcome::one(actor, Subject::Request(request.id), What::Request(event));
    if let Some(approval) = approval {
        let (subject, event) = match request.ask.extends {
            Some(id) => {
                let grant = world
                    .grants
                    .get(&id)
                    .ok_or_else(|| not_found("the grant to extend is gone"))?;
                let until = until(current, request, grant)?;
                (id, grant.extend(request.id, approval.duration(), until, now)?)
            }
            None => {
                let grant = open(current, request, &approval, now)?;
                (
                    grant.id,
                    daypass_core::grant::Event::Opened {
                        grant: Box::new(grant),
                    },
                )
            }
        };
        outcome.push(Actor::System, Subject::Grant(subject), What::Grant(event));
    }
    Ok(outcome)
}

/// Until when an extension may make a grant last: to the time that its own path names, and for no longer in total than that path
/// and the policy of today give. What another extension added meanwhile counts.
fn until(current: &Current, request: &Request, grant: &Grant) -> Result<Option<Timestamp>, Refusal> {
    let rule = &request.path.rule;
    let max = current.policy.max_of(rule, &request.ask.items).ok_or_else(|| {
        let what = format!("the rule {rule} is no longer in the policy");
        Refusal::new(Code::NotEligible, what).hint("ask again; another rule may admit you")
    })?;
    let in_total = grant
        .active_since()
        .map(|since| since + max.min(request.path.max));
    Ok(request.path.ends_by.into_iter().chain(in_total).min())
}

/// The grant that an approved request leads to, waiting for its start.
fn open(current: &Current, request: &Request, approval: &Approval, now: Timestamp) -> Result<Grant, Refusal> {
    let id = GrantId::from(request.id);
    let start = request.ask.start.map_or(now, |start| start.max(now));
    let holder = Holder {
        id: request.ask.requester,
        source: bound_to(request),
        directory: &current.directory,
    };
    let parts = approval
        .items()
        .iter()
        .enumerate()
        .map(|(index, item)| part(&current.policy, &current.kinds, (id, index), item, holder))
        .collect::<Result<Vec<_>, _>>()?;
    let longest = start + request.path.activation + request.path.max;
    let ends_by = request.path.ends_by.filter(|_| !is(Fault::OutliveWindow));
    Ok(Grant {
        id,
        request: request.id,
        holder: request.ask.requester,
        parts,
        duration: approval.duration(),
        activation: request.path.activation,
        max: request.path.max,
        latest_end: ends_by.map_or(longest, |ends_by| ends_by.min(longest)),
        break_glass: request.path.break_glass.is_some(),
        end_when: request.path.end_when.clone(),
        told: BTreeMap::new(),
        state: State::Scheduled { start },
    })
}
