//! Asking and reviewing: preview, request, review, withdraw.

use std::collections::BTreeSet;
use std::net::IpAddr;

use daypass_core::environment::EnvironmentRole;
use daypass_core::event::{Actor, Subject, What};
use daypass_core::grant::Grant;
use daypass_core::id::{GrantId, PersonId, RequestId};
use daypass_core::name::Item;
use daypass_core::planted;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::{self, Request};
use daypass_core::review::{Decision as Vote, Review};
use daypass_core::text::{Hash, MAX_BYTES};
use daypass_core::time::{Span, Timestamp};
use daypass_core::world::World;
use daypass_policy::Decision;
use daypass_store::{Committed, MOST_OPEN, Outcome, RequestFilter, Scope};

use crate::caller::Caller;
use crate::current::Current;
use crate::delegations::Awaits;
use crate::engine::Engine;
use crate::error::{Error, not_found};
use crate::services::locked;

mod judge;
mod make;
mod same;

use judge::{decide, items};
use make::{create, derived, follow};
use same::{policy_of, same};

/// What somebody asks for, as they typed it. Who asks is the [`Caller`], never a field.
#[derive(Debug, Clone)]
pub struct NewRequest {
    /// One or more roles on resources. For an extension: empty, the grant says.
    pub items: BTreeSet<Item>,
    /// Roles of environments; the policy in force says what they stand for. For an extension: empty.
    pub environments: Vec<EnvironmentRole>,
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
    /// The roles of environments that were named for some of them.
    pub environments: Vec<EnvironmentRole>,
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
        check_ticket(asked)?;
        let now = self.store().now().await?;
        let current = self.current();
        let extended = match asked.extends {
            Some(id) => self.store().grant(id).await?,
            None => None,
        };
        let items = match items(&current.policy, caller.person, asked, extended.as_ref()) {
            Ok(items) => items,
            Err(refusal) => {
                return Ok(Preview {
                    items: asked.items.clone(),
                    environments: asked.environments.clone(),
                    decision: Decision::Refused(refusal),
                });
            }
        };
        let mut locked = self.locked_now().await?;
        locked.past = self.past_of(&current, caller.person).await?;
        let open = RequestFilter {
            state: Some("pending".to_owned()),
            requester: Some(caller.person),
            owing: false,
        };
        let open = self.store().requests(open, None, MOST_OPEN).await?.items;
        locked.requests.extend(open.into_iter().map(|one| (one.id, one)));
        locked.holds = self.store().held_by(caller.person).await?;
        let (who, extended) = (caller.as_if_confirmed(now), extended.as_ref());
        // Who is locked since this process last looked reviews nothing: preview says so as enforcement does.
        let decided = self.may_give().and_then(|()| {
            let current = current.under(&locked);
            decide(
                &current,
                &locked,
                (who, from),
                (asked, verb),
                &items,
                extended,
                now,
            )
        });
        let decision = match decided {
            Ok(allowed) => Decision::Allowed(Box::new(allowed)),
            Err(refusal) => Decision::Refused(refusal),
        };
        Ok(Preview {
            items,
            environments: asked.environments.clone(),
            decision,
        })
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
        check_ticket(&asked)?;
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
            beside: (verb == Verb::Ask).then_some(caller.person),
            extends: asked.extends,
        };
        let then = self.policy_then(key.map(|_| id), &asked).await?;
        let committed = self
            .decide_remembering(scope, Some(caller.person), move |current, world, now| {
                if let Some(made) = world.requests.get(&id) {
                    let then = policy_of(made, [Some(&current.policy), then.as_ref()]);
                    return same(made, &asked, verb, then).map(|()| Outcome::default());
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
            .decide_remembering(Scope::Request(id), None, move |current, world, now| {
                let request = visible(world, id)?;
                let review = Review {
                    reviewer: caller.person,
                    on_behalf: None,
                    step: 0,
                    decision: verdict.vote.clone(),
                    digest: verdict.digest,
                    comment,
                    at: now,
                };
                let standing = current.standing(world, now);
                let event = request.review(review, &standing, now)?;
                if let request::Event::Reviewed { review, .. } = &event {
                    let directory = current.directory.as_ref();
                    current.policy.leaves_open(request, review, directory, now)?;
                }
                let (requester, items) = (request.ask.requester, &request.ask.items);
                if !matches!(event, request::Event::Denied { .. })
                    && let Some(lock) = world.locked_for(requester, items)
                {
                    return Err(locked(current, lock, requester));
                }
                if let Some((_, step)) = request.open_step() {
                    current.policy.proved(request, step, caller.confirmed_at(), now)?;
                }
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

    /// Whether somebody may look at a request: who asked, who may be asked or was, the delegates of those, and who sees
    /// everything.
    #[must_use]
    pub fn may_see(&self, caller: Caller, request: &Request, now: Timestamp) -> bool {
        let current = self.current();
        caller.sees_all()
            || request.ask.requester == caller.person
            || current.directory.owns(caller.person, request.ask.requester)
            || request.reviews().iter().any(|review| review.is_of(caller.person))
            || self.is_reviewer(&current, caller.person, request, now)
    }

    /// Whether the request waits for this person, among others: whether they could agree to it now.
    #[must_use]
    pub fn awaits(&self, person: PersonId, request: &Request, now: Timestamp) -> Awaits {
        let voted = request.reviews().iter().any(|review| review.is_of(person));
        match (&request.state, request.open_step()) {
            (request::State::Pending { due_at, .. }, Some(_)) if now < *due_at && !voted => {
                let current = self.current();
                let directory = current.directory.as_ref();
                Awaits::of(current.policy.may_agree(request, person, directory, now))
            }
            _ => self.owes_to(person, request, now),
        }
    }

    fn is_reviewer(&self, current: &Current, person: PersonId, request: &Request, now: Timestamp) -> bool {
        let Current {
            policy, directory, ..
        } = current;
        let directory = directory.as_ref();
        let mut absent = policy.delegators_of(person, directory, now);
        absent.insert(person);
        let settled = Timestamp::MAX;
        request.path.asks().any(|step| {
            let asked = policy.reviewers(request.ask.requester, step, true, directory, settled);
            asked.iter().any(|one| absent.contains(one))
        })
    }
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

/// A ticket's name is short and all of it is seen, whether or not a rule asks for one.
fn check_ticket(asked: &NewRequest) -> Result<(), Refusal> {
    match asked.ticket.as_deref().and_then(daypass_policy::ticket_flaw) {
        Some(flaw) => Err(Refusal::new(Code::Invalid, flaw).hint("name it as PAY-7")),
        None => Ok(()),
    }
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
