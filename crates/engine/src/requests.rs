//! Asking and reviewing: preview, request, review, withdraw.

use std::collections::BTreeSet;
use std::net::IpAddr;

use daypass_core::event::{Actor, Subject, What};
use daypass_core::grant::{Grant, State};
use daypass_core::id::{GrantId, PersonId, RequestId};
use daypass_core::lock;
use daypass_core::name::Item;
use daypass_core::planted;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::{self, Ask, Request};
use daypass_core::review::{Approval, Decision as Vote, Review};
use daypass_core::text::{Hash, MAX_BYTES, Prose};
use daypass_core::time::{Span, Timestamp};
use daypass_core::world::World;
use daypass_policy::{Allowed, Decision, Directory as _};
use daypass_store::{Committed, Outcome, Scope};

use crate::caller::Caller;
use crate::connectors::part;
use crate::current::Current;
use crate::engine::Engine;
use crate::error::{Error, not_found};

/// What somebody asks for, as they typed it. Who asks is the [`Caller`], never a field.
#[derive(Debug, Clone)]
pub struct NewRequest {
    /// One or more roles on resources. For an extension: empty, the grant says.
    pub items: BTreeSet<Item>,
    /// For how long; the rule's usual length where it is not said.
    pub duration: Option<Span>,
    /// Not before this instant.
    pub start: Option<Timestamp>,
    /// The grant to lengthen.
    pub extends: Option<GrantId>,
    /// Why.
    pub reason: String,
    /// A ticket's name.
    pub ticket: Option<String>,
}

/// In which way somebody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// As always.
    Ask,
    /// In an emergency, by the one command that says so.
    BreakGlass,
}

/// What would happen, were it asked now.
#[derive(Debug)]
pub struct Preview {
    /// The items, which an extension takes from its grant.
    pub items: BTreeSet<Item>,
    /// The rule and its chain, or why not.
    pub decision: Decision,
}

/// What a request led to at once.
#[derive(Debug)]
pub struct Made {
    /// The request.
    pub request: Request,
    /// The grant, where nobody had to be asked.
    pub grant: Option<Grant>,
    /// Whether it was made just now, not found as made before under the same idempotency key.
    pub fresh: bool,
}

/// A reviewer's decision, as they sent it.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Yes, with bounds, or no.
    pub vote: Vote,
    /// The digest of the request that they saw.
    pub digest: Hash,
    /// Why.
    pub comment: Option<String>,
}

impl Engine {
    /// What would happen: rule, steps, maximum, or the refusal. Makes nothing; calls what enforcement calls.
    ///
    /// # Errors
    /// Where the store fails, or the grant to extend is not the caller's.
    pub async fn preview(&self, caller: Caller, asked: &NewRequest) -> Result<Preview, Error> {
        self.preview_from(caller, asked, None).await
    }

    /// The same for somebody who asks from this address; `None` where it is not certain.
    ///
    /// # Errors
    /// As [`Self::preview`].
    pub async fn preview_from(
        &self,
        caller: Caller,
        asked: &NewRequest,
        from: Option<IpAddr>,
    ) -> Result<Preview, Error> {
        self.look_ahead(caller, asked, Verb::Ask, from).await
    }

    pub(crate) async fn look_ahead(
        &self,
        caller: Caller,
        asked: &NewRequest,
        verb: Verb,
        from: Option<IpAddr>,
    ) -> Result<Preview, Error> {
        let now = self.store().now().await?;
        let current = self.current();
        let extended = match asked.extends {
            Some(id) => self.store().grant(id).await?,
            None => None,
        };
        let items = match items(caller.person, asked, extended.as_ref()) {
            Ok(items) => items,
            Err(refusal) => {
                return Ok(Preview {
                    items: asked.items.clone(),
                    decision: Decision::Refused(refusal),
                });
            }
        };
        let locked = self.locked_now().await?;
        let (who, extended) = (caller.person, extended.as_ref());
        let decision = match decide(
            &current,
            &locked,
            (who, from),
            (asked, verb),
            &items,
            extended,
            now,
        ) {
            Ok(allowed) => Decision::Allowed(Box::new(allowed)),
            Err(refusal) => Decision::Refused(refusal),
        };
        Ok(Preview { items, decision })
    }

    /// Makes a request. Where its rule asks nobody, it is approved and its grant opened in the same transaction.
    ///
    /// `key` is the caller's idempotency key: the request's id is derived from it, so that repeating finds the first.
    ///
    /// # Errors
    /// The refusal of the policy, or of a malformed ask.
    pub async fn request(&self, caller: Caller, asked: NewRequest, key: Option<&str>) -> Result<Made, Error> {
        self.request_from(caller, asked, key, None).await
    }

    /// The same for somebody who asks from this address; `None` where it is not certain. A rule that names sources takes no
    /// request whose address is not.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn request_from(
        &self,
        caller: Caller,
        asked: NewRequest,
        key: Option<&str>,
        from: Option<IpAddr>,
    ) -> Result<Made, Error> {
        self.make(caller, asked, key, Verb::Ask, from).await
    }

    pub(crate) async fn make(
        &self,
        caller: Caller,
        asked: NewRequest,
        key: Option<&str>,
        verb: Verb,
        from: Option<IpAddr>,
    ) -> Result<Made, Error> {
        check_text("reason", &asked.reason)?;
        asked
            .ticket
            .as_deref()
            .map_or(Ok(()), |ticket| check_text("ticket", ticket))?;
        let key = key.filter(|_| !planted::is(planted::Fault::IgnoreKeys));
        let id = key.map_or_else(
            || RequestId::from_bytes(self.random()),
            |key| derived(&self.installation, caller.person, asked.extends, key),
        );
        let reason = self.prose(&asked.reason);
        let ticket = asked.ticket.as_deref().map(|ticket| self.prose(ticket));
        let source = from.map(|from| (from, self.prose(&from.to_string())));
        let scope = Scope::NewRequest {
            id,
            extends: asked.extends,
        };
        let committed = self
            .decide(scope, move |current, world, now| {
                if let Some(made) = world.requests.get(&id) {
                    return same(made, &asked, verb).map(|()| Outcome::default());
                }
                create(
                    current,
                    (caller, id),
                    (&asked, verb),
                    (reason, ticket, source),
                    world,
                    now,
                )
            })
            .await?;
        made(&committed, id)
    }

    /// Records a review. The last one that was needed opens the grant in the same transaction.
    ///
    /// # Errors
    /// Where the caller may not review, did already, or saw another request; see [`Request::review`].
    pub async fn review(&self, caller: Caller, id: RequestId, verdict: Verdict) -> Result<Made, Error> {
        caller.interactive()?;
        verdict
            .comment
            .as_deref()
            .map_or(Ok(()), |comment| check_text("comment", comment))?;
        let comment = verdict.comment.as_deref().map(|comment| self.prose(comment));
        let committed = self
            .decide(Scope::Request(id), move |current, world, now| {
                let request = visible(world, id)?;
                let review = Review {
                    reviewer: caller.person,
                    step: 0,
                    decision: verdict.vote.clone(),
                    digest: verdict.digest,
                    comment,
                    at: now,
                };
                let event = request.review(review, &current.standing(now), now)?;
                let actor = Actor::Person(caller.person);
                follow(current, request, event, actor, world, now)
            })
            .await?;
        made(&committed, id)
    }

    /// Takes a request back.
    ///
    /// # Errors
    /// Where it is somebody else's, or decided already.
    pub async fn withdraw(&self, caller: Caller, id: RequestId) -> Result<Request, Error> {
        let committed = self
            .store()
            .transition(Scope::Request(id), move |world, _| {
                let event = visible(world, id)?.withdraw(caller.person)?;
                Ok(Outcome::one(
                    Actor::Person(caller.person),
                    Subject::Request(id),
                    What::Request(event),
                ))
            })
            .await?;
        committed
            .world
            .requests
            .get(&id)
            .cloned()
            .ok_or_else(|| not_found("the request is gone").into())
    }

    /// Whether somebody may look at a request: who asked, who may be asked or was, and who sees everything.
    #[must_use]
    pub fn may_see(&self, caller: Caller, request: &Request) -> bool {
        let current = self.current();
        caller.sees_all()
            || request.ask.requester == caller.person
            || request
                .reviews()
                .iter()
                .any(|review| review.reviewer == caller.person)
            || self.is_reviewer(&current, caller.person, request)
    }

    /// Whether the request waits for this person, among others.
    #[must_use]
    pub fn awaits(&self, person: PersonId, request: &Request, now: Timestamp) -> bool {
        let voted = request.reviews().iter().any(|review| review.reviewer == person);
        match (&request.state, request.open_step()) {
            (
                request::State::Pending {
                    due_at, escalated, ..
                },
                Some((_, step)),
            ) if now < *due_at && !voted => {
                let current = self.current();
                let Current {
                    policy, directory, ..
                } = &current;
                policy
                    .may_review(request, step, *escalated, person, directory.as_ref(), now)
                    .is_ok()
            }
            _ => self.owes_to(person, request, now),
        }
    }

    fn is_reviewer(&self, current: &Current, person: PersonId, request: &Request) -> bool {
        let Current {
            policy, directory, ..
        } = current;
        let now = Timestamp::MAX;
        request.path.asks().any(|step| {
            policy
                .reviewers(request.ask.requester, step, true, directory.as_ref(), now)
                .contains(&person)
        })
    }
}

/// One id for one (installation, person, grant to lengthen, key): repeating a command finds what it made the first time.
/// The key stands last, so that no two are spelt alike.
fn derived(installation: &str, person: PersonId, extends: Option<GrantId>, key: &str) -> RequestId {
    let extends = extends.map_or_else(|| "-".to_owned(), |grant| grant.to_string());
    let text = format!("daypass request id v1\n{installation}\n{person}\n{extends}\n{key}");
    let mut bytes = [0; 10];
    bytes
        .iter_mut()
        .zip(Hash::of(text.as_bytes()).bytes())
        .for_each(|(to, from)| *to = *from);
    RequestId::from_bytes(bytes)
}

/// A key stands for one command: what was made under it must be what is asked for now.
fn same(made: &Request, asked: &NewRequest, verb: Verb) -> Result<(), Refusal> {
    let items = asked.extends.is_some() || made.ask.items == asked.items;
    let duration = asked
        .duration
        .is_none_or(|duration| duration == made.ask.duration);
    let way = made.path.break_glass.is_some() == (verb == Verb::BreakGlass);
    if way && items && duration && made.ask.start == asked.start {
        return Ok(());
    }
    Err(Refusal::new(
        Code::Exists,
        format!(
            "this idempotency key made another request already, {}",
            made.id.short()
        ),
    )
    .hint("send a new key with a new request"))
}

/// The items of an ask: those it names, or those of the grant that it lengthens.
fn items(who: PersonId, asked: &NewRequest, extended: Option<&Grant>) -> Result<BTreeSet<Item>, Refusal> {
    match (asked.extends, extended) {
        (None, _) if asked.items.is_empty() => Err(Refusal::new(Code::Invalid, "nothing is asked for")
            .hint("name RESOURCE/ROLE, such as orders-prod/read")),
        (None, _) => Ok(asked.items.clone()),
        (Some(_), Some(grant)) if grant.holder == who => {
            if asked.start.is_some() {
                return Err(Refusal::new(
                    Code::Invalid,
                    "an extension has no start of its own",
                ));
            }
            Ok(grant.parts.iter().map(|part| part.item().clone()).collect())
        }
        (Some(id), _) => Err(not_found(format!("you hold no grant {}", id.short()))),
    }
}

/// The one decision behind preview and request.
fn decide(
    current: &Current,
    world: &World,
    (who, from): (PersonId, Option<IpAddr>),
    (asked, verb): (&NewRequest, Verb),
    items: &BTreeSet<Item>,
    extended: Option<&Grant>,
    now: Timestamp,
) -> Result<Allowed, Refusal> {
    if let Some(lock) = world.locked_for(who, items) {
        return Err(lock::refusal(lock, Some(who)));
    }
    let ask = daypass_policy::Ask {
        duration: asked.duration,
        has_reason: !asked.reason.trim().is_empty(),
        ticket: asked.ticket.as_deref(),
        extends: asked.extends.is_some(),
        break_glass: verb == Verb::BreakGlass,
        start: asked.start,
        from,
        ..daypass_policy::Ask::new(who, items, now)
    };
    let allowed = match current.policy.decide(&ask, current.directory.as_ref()) {
        Decision::Allowed(allowed) => *allowed,
        Decision::Refused(refusal) => return Err(refusal),
    };
    if let Some(grant) = extended {
        grant.may_extend(allowed.duration, allowed.path.ends_by, now)?;
        within_the_days_maximum(grant, &allowed)?;
    }
    if verb == Verb::BreakGlass && asked.start.is_some() {
        let what = "an emergency is now; it has no start of its own";
        return Err(Refusal::new(Code::Invalid, what));
    }
    if let Some(start) = asked.start
        && start > now + Span::hours(24 * 30)
    {
        return Err(Refusal::new(
            Code::Invalid,
            "a start more than 30 days ahead is too far: nobody can judge it now",
        ));
    }
    Ok(allowed)
}

/// What a grant may last in total was frozen into it; a policy that allows less by now does not lengthen it beyond that.
fn within_the_days_maximum(grant: &Grant, allowed: &Allowed) -> Result<(), Refusal> {
    let max = allowed.path.max;
    match (grant.active_since(), grant.expires_at()) {
        (Some(since), Some(expires_at)) if expires_at + allowed.duration > since + max => {
            let what = format!(
                "the grant can last until {} at most ({max} in total)",
                since + max
            );
            Err(Refusal::new(Code::OverLatestEnd, what))
        }
        _ => Ok(()),
    }
}

fn create(
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
    let items = items(caller.person, asked, extended)?;
    let asker = (caller.person, source.as_ref().map(|(from, _)| *from));
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
fn follow(
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
                let ends_by = request.path.ends_by;
                (id, grant.extend(request.id, approval.duration(), ends_by, now)?)
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

/// The grant that an approved request leads to, waiting for its start.
fn open(current: &Current, request: &Request, approval: &Approval, now: Timestamp) -> Result<Grant, Refusal> {
    let id = GrantId::from(request.id);
    let start = request.ask.start.map_or(now, |start| start.max(now));
    let parts = approval
        .items()
        .iter()
        .enumerate()
        .map(|(index, item)| {
            part(
                &current.policy,
                &current.kinds,
                id,
                index,
                request.ask.requester,
                item,
            )
        })
        .collect::<Result<Vec<_>, _>>()?;
    let longest = start + request.path.activation + request.path.max;
    Ok(Grant {
        id,
        request: request.id,
        holder: request.ask.requester,
        parts,
        duration: approval.duration(),
        activation: request.path.activation,
        max: request.path.max,
        latest_end: request
            .path
            .ends_by
            .map_or(longest, |ends_by| ends_by.min(longest)),
        break_glass: request.path.break_glass.is_some(),
        state: State::Scheduled { start },
    })
}

/// The request as it was committed, and what it led to.
pub(crate) fn made(committed: &Committed, id: RequestId) -> Result<Made, Error> {
    let world = &committed.world;
    let request = world.requests.get(&id).cloned();
    let request = request.ok_or_else(|| not_found("the request is gone"))?;
    let led_to = request.ask.extends.unwrap_or_else(|| GrantId::from(id));
    Ok(Made {
        grant: world.grants.get(&led_to).cloned(),
        request,
        fresh: !committed.events.is_empty(),
    })
}

pub(crate) fn visible(world: &World, id: RequestId) -> Result<&Request, Refusal> {
    world
        .requests
        .get(&id)
        .ok_or_else(|| not_found(format!("there is no request {}", id.short())))
}

/// Free text is bounded, and holds no control characters that could fake what a reviewer reads.
pub(crate) fn check_text(what: &str, text: &str) -> Result<(), Refusal> {
    if text.len() > MAX_BYTES {
        return Err(Refusal::new(
            Code::Invalid,
            format!("the {what} is longer than {MAX_BYTES} bytes"),
        ));
    }
    match text.chars().find(|c| c.is_control() && *c != '\n' && *c != '\t') {
        Some(c) => Err(Refusal::new(
            Code::Invalid,
            format!("the {what} holds the control character U+{:04X}", u32::from(c)),
        )),
        None => Ok(()),
    }
}
