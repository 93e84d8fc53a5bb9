//! Questions about other people's rights, for auditors and administrators; anybody may ask about themselves. They change nothing.

use std::collections::BTreeSet;
use std::net::IpAddr;

use daypass_core::environment::EnvironmentRole;
use daypass_core::grant::{Grant, Proof, State};
use daypass_core::id::PersonId;
use daypass_core::lock::{self, On};
use daypass_core::name::{Item, Name};
use daypass_core::past::Past;
use daypass_core::person::Kind;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::{self, Request};
use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};
use daypass_policy::{Ask, Decision, Directory as _, Explanation, Plan, Policy, Source};
use daypass_store::GrantFilter;

use crate::caller::Caller;
use crate::current::Current;
use crate::engine::Engine;
use crate::error::{Error, not_found};
use crate::services;

/// How many grants of a person are looked through, newest first.
const MOST: usize = 5_000;
/// How many are read at once.
const PAGE: usize = 500;

/// A question to the policy.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// Roles on resources, as one request with those that the environments stand for.
    pub items: BTreeSet<Item>,
    /// Roles of environments, which the policy that is asked makes items of.
    pub environments: Vec<EnvironmentRole>,
    /// For how long; the rule's usual length where it is not said.
    pub duration: Option<Span>,
    /// When it is asked; now, where it is not said.
    pub at: Option<Timestamp>,
    /// From when on.
    pub start: Option<Timestamp>,
    /// From which address, where that is certain. For a question about whoever asks it, their own.
    pub from: Option<IpAddr>,
    /// A ticket's name.
    pub ticket: Option<String>,
    /// Whether it is asked as in an emergency.
    pub break_glass: bool,
}

/// What the policy says to it.
#[derive(Debug)]
pub struct Explained {
    /// When it was asked.
    pub at: Timestamp,
    /// The revision that was asked.
    pub revision: Hash,
    /// What was asked for: the items that were named, and what the environments stand for.
    pub items: BTreeSet<Item>,
    /// The lock that stands before every policy, where there is one.
    pub locked: Option<Refusal>,
    /// Whether the policy has limits on what somebody has had already, and they were not counted: it is about another time.
    pub limits_left_out: bool,
    /// From which address it was taken to be asked, where it was one that is certain.
    pub from: Option<IpAddr>,
    /// The decision, and each rule.
    pub explanation: Explanation,
}

/// What a policy would do.
#[derive(Debug)]
pub struct Planned {
    /// The revision in force.
    pub from: Hash,
    /// The other.
    pub to: Hash,
    /// Who gains and who loses what.
    pub plan: Plan,
}

/// How a grant stood at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Some of its access may have been there.
    SettingUp,
    /// All of it was.
    Active,
    /// Its end had begun, and it had not been seen to be gone.
    Ending,
}

/// A grant that gave access at an instant.
#[derive(Debug)]
pub struct Held {
    /// How it stood then.
    pub phase: Phase,
    /// The grant as it is now.
    pub grant: Grant,
    /// The request that led to it.
    pub request: Request,
    /// The requests that lengthened it.
    pub extensions: Vec<Request>,
}

/// By which grants somebody had access.
#[derive(Debug)]
pub struct Reasons {
    /// Whose access; `None` where the caller may not know of any such person.
    pub subject: Option<PersonId>,
    /// At which instant.
    pub at: Timestamp,
    /// Whether that is now.
    pub is_now: bool,
    /// Those that the caller may see, newest first.
    pub held: Vec<Held>,
    /// Whether all were looked at.
    pub complete: bool,
}

impl Engine {
    /// Whose rights somebody asks about: their own, or by login anybody's where they see everything. An account that is switched
    /// off is found where no active one has the login.
    ///
    /// # Errors
    /// Where they may ask only about themselves (whether or not there is such a person), or there is none.
    pub fn subject(&self, caller: Caller, login: Option<&str>) -> Result<PersonId, Refusal> {
        let directory = self.current().directory;
        let Some(login) = login else {
            return Ok(caller.person);
        };
        let own = directory.person(caller.person);
        if own.is_some_and(|own| own.login.text() == login) {
            return Ok(caller.person);
        }
        if !caller.sees_all() {
            let what = "only auditors and administrators may ask about the rights of others";
            return Err(Refusal::new(Code::Forbidden, what));
        }
        account(&self.current(), login)
            .ok_or_else(|| Refusal::new(Code::UnknownPerson, "there is no such person"))
    }

    /// What each rule says to a question about somebody that [`Self::subject`] let the caller ask about, in the policy in force
    /// or in `candidate`, which only administrators may ask.
    ///
    /// # Errors
    /// Where the caller may not, nothing is asked for, or the store fails.
    pub async fn explain(
        &self,
        caller: Caller,
        subject: PersonId,
        question: &Question,
        candidate: Option<&Policy>,
    ) -> Result<Explained, Error> {
        if candidate.is_some() {
            caller.administrator()?;
        }
        if subject != caller.person && !caller.sees_all() {
            return Err(Refusal::new(Code::Forbidden, "this is about somebody else").into());
        }
        if question.items.is_empty() && question.environments.is_empty() {
            return Err(Refusal::new(Code::Invalid, "nothing is asked for")
                .hint("name RESOURCE/ROLE, such as orders-prod/read")
                .into());
        }
        let now = match question.at {
            Some(at) => at,
            None => self.store().now().await?,
        };
        let world = self.locked_now().await?;
        let current = self.current().under(&world);
        let policy = candidate.unwrap_or(current.policy.as_ref());
        let mut items = policy.expand(&question.environments)?;
        items.extend(question.items.iter().cloned());
        let locked = world.locked_for(subject, &items);
        // What somebody has had is known up to now: of another time nothing is counted, and that is said.
        let past = match question.at {
            None => Some(self.store().past(subject, policy.reach()).await?),
            Some(_) => None,
        };
        // Whoever has a keyboard can prove who they are before they ask.
        let asks = current.directory.person(subject);
        let proves = asks.is_some_and(|person| person.kind == Kind::Person);
        let ask = Ask {
            past: past.as_ref().unwrap_or(Past::nothing()),
            confirmed: proves.then_some(now),
            duration: question.duration,
            ticket: question.ticket.as_deref(),
            break_glass: question.break_glass,
            start: question.start,
            from: question.from,
            environments: &question.environments,
            reads_policy: caller.sees_all(),
            ..Ask::new(subject, &items, now)
        };
        let explanation = policy.explain(&ask, current.directory.as_ref());
        let explanation = if question.from.is_none() && subject != caller.person {
            asked_from(explanation, &current.directory.login(subject), &items)
        } else {
            explanation
        };
        Ok(Explained {
            at: now,
            revision: policy.revision(),
            locked: locked.map(|found| match &found.on {
                On::Person(who) if *who != subject => services::locked(&current, found, subject),
                _ => lock::refusal(found, Some(caller.person)),
            }),
            limits_left_out: past.is_none() && !policy.reach().is_nothing(),
            from: question.from,
            explanation,
            items,
        })
    }

    /// Who would gain and who would lose what by a policy. It takes a while where there are many people and roles.
    ///
    /// # Errors
    /// Where the policy does not load.
    pub fn plan_policy(&self, sources: &[Source], now: Timestamp) -> Result<Planned, Error> {
        let other = Policy::load(sources).map_err(|found| Error::Policy(Box::new(found)))?;
        let current = self.current();
        let people = current.directory.people().map(|person| person.id);
        let plan = current
            .policy
            .plan(&other, people, current.directory.as_ref(), now);
        Ok(Planned {
            from: current.policy.revision(),
            to: other.revision(),
            plan,
        })
    }

    /// By which grants somebody has access to a resource, or had it at an instant: those that the caller may see. Whoever does
    /// not see everything learns nothing from the answer about who there is.
    ///
    /// # Errors
    /// Where the instant is to come, there is no such person and the caller may know that, or the store fails.
    pub async fn why(
        &self,
        caller: Caller,
        login: &str,
        (resource, role): (&Name, Option<&Name>),
        at: Option<Timestamp>,
    ) -> Result<Reasons, Error> {
        let now = self.store().now().await?;
        let at_then = at.unwrap_or(now);
        if at_then > now {
            let what = format!("{at_then} is still to come: nothing happened then");
            return Err(Refusal::new(Code::Invalid, what)
                .hint("daypass policy explain … --at TIME says what the policy would say")
                .into());
        }
        let subject = account(&self.current(), login);
        if subject.is_none() && caller.sees_all() {
            return Err(Refusal::new(Code::UnknownPerson, "there is no such person").into());
        }
        let mut reasons = Reasons {
            subject,
            at: at_then,
            is_now: at.is_none(),
            held: Vec::new(),
            complete: true,
        };
        if let Some(subject) = subject {
            self.look_through(caller, subject, (resource, role), &mut reasons)
                .await?;
        }
        if reasons.held.is_empty() && reasons.subject != Some(caller.person) && !caller.sees_all() {
            let what = format!("there is no access to {resource} of {login} that you may see");
            return Err(not_found(what).into());
        }
        Ok(reasons)
    }

    async fn look_through(
        &self,
        caller: Caller,
        subject: PersonId,
        (resource, role): (&Name, Option<&Name>),
        into: &mut Reasons,
    ) -> Result<(), Error> {
        let now = self.store().now().await?;
        let (mut after, mut seen) = (None, 0);
        loop {
            let filter = GrantFilter {
                holder: Some(subject),
                ..GrantFilter::default()
            };
            let page = self.store().grants(filter, after, PAGE).await?;
            seen += page.items.len();
            for grant in page.items {
                let meant =
                    |item: &Item| item.resource == *resource && role.is_none_or(|role| item.role == *role);
                if !grant.parts.iter().any(|part| meant(part.item())) {
                    continue;
                }
                let Some(request) = self.store().request(grant.request).await? else {
                    continue;
                };
                let Some(phase) = phase(&grant, &request, into.at) else {
                    continue;
                };
                if grant.holder != caller.person && !self.may_see(caller, &request, now) {
                    continue;
                }
                let extensions = self.store().requests_extending(grant.id).await?;
                let agreed =
                    |request: &Request| approved_at(request).is_some_and(|approved| approved <= into.at);
                into.held.push(Held {
                    phase,
                    extensions: extensions.into_iter().filter(agreed).collect(),
                    grant,
                    request,
                });
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
            if seen >= MOST {
                into.complete = false;
                return Ok(());
            }
        }
    }
}

/// From where somebody else would ask is for whoever wants to know it to say: no proxy in front of the server is to blame.
fn asked_from(explanation: Explanation, login: &str, items: &BTreeSet<Item>) -> Explanation {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    let decision = match explanation.decision {
        Decision::Refused(refusal) if refusal.code == Code::Source => {
            let command = format!("daypass policy explain {login} {} --from IP", items.join(" "));
            Decision::Refused(refusal.hint(format!("say from where it would be asked: {command}")))
        }
        decision => decision,
    };
    Explanation {
        decision,
        ..explanation
    }
}

/// The account of this login: an active one, else one that is switched off.
fn account(current: &Current, login: &str) -> Option<PersonId> {
    let directory = &current.directory;
    let active = directory.by_login(login);
    let named = || directory.people().find(|person| person.login.text() == login);
    active.or_else(named).map(|person| person.id)
}

/// When everybody had agreed.
const fn approved_at(request: &Request) -> Option<Timestamp> {
    match &request.state {
        request::State::Approved { at, .. } => Some(*at),
        _ => None,
    }
}

/// How a grant stood at an instant; `None` where it gave nothing then. What was never provisioned never gave anything.
fn phase(grant: &Grant, request: &Request, at: Timestamp) -> Option<Phase> {
    let start = request.ask.start;
    let opened = approved_at(request).map(|opened| start.map_or(opened, |start| start.max(opened)))?;
    if at < opened {
        return None;
    }
    let before = |active_since: Option<Timestamp>| {
        if active_since.is_some_and(|since| at >= since) {
            Phase::Active
        } else {
            Phase::SettingUp
        }
    };
    match &grant.state {
        State::Scheduled { .. } => None,
        State::Activating { since, .. } => (at >= *since).then_some(Phase::SettingUp),
        State::Active { since, .. } => Some(before(Some(*since))),
        State::Ending {
            since, active_since, ..
        } if at < *since => Some(before(*active_since)),
        State::Ending { .. } => Some(Phase::Ending),
        State::Ended {
            at: gone, evidence, ..
        } if at >= *gone
            || evidence
                .iter()
                .all(|item| matches!(item.proof, Proof::NeverProvisioned)) =>
        {
            None
        }
        State::Ended {
            active_since,
            ending_since,
            ..
        } if at < *ending_since => Some(before(*active_since)),
        State::Ended { .. } => Some(Phase::Ending),
    }
}
