//! *Ask on connect*: somebody connects who holds nothing yet. A request is made for them, and they wait.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use daypass_core::grant::{Reason, State as GrantState};
use daypass_core::id::{GrantId, RequestId};
use daypass_core::name::Item;
use daypass_core::request::{Request, State};
use daypass_core::review::Decision;
use daypass_core::time::Span;
use daypass_engine::{Caller, NewRequest, Via, role_of};
use daypass_gateway::control::{Opened, Opening, Refusal, Ticket, Unavailable, Waited, Waiting};
use daypass_policy::{Access, Directory as _};
use daypass_store::RequestFilter;

use super::named::{Named, said};
use super::open::{other_clients, refusal, refused, unavailable};
use super::proof::Entrant;
use super::{Asker, Front, upstream};
use crate::app::Parts;
use crate::edge;
use crate::http::listen::{is_stopped, stopped};

/// How long a gateway is let wait for one answer: it asks again.
const PATIENCE: Duration = Duration::from_secs(8);
/// How often it is looked, besides each change that this server makes: others may share the store.
const LOOK: Duration = Duration::from_secs(1);
/// After a change, so long before it is looked.
const CALM: Duration = Duration::from_millis(200);
/// How long nobody asks by connecting for what was just taken away, given back or withdrawn: programs connect again by themselves.
const COOL_DOWN: Span = Span::minutes(5);
/// How many of somebody's requests are looked through for one that waits already.
const LOOKED_THROUGH: usize = 100;

pub(super) const COMING: &str = "Daypass: the access is being set up";

/// Somebody waits.
pub(super) struct Wait {
    entrant: Entrant,
    on: On,
    /// What they were told last.
    told: Option<String>,
}

enum On {
    Request(RequestId),
    Grant(GrantId),
}

impl Wait {
    pub(super) fn for_grant(entrant: Entrant, grant: GrantId) -> Self {
        Self {
            entrant,
            on: On::Grant(grant),
            told: None,
        }
    }
}

/// How it stands with what somebody waits for.
enum Stand {
    There,
    Still(String),
    No(Refusal),
}

impl Front {
    pub(super) fn wait(&self, wait: Wait, lines: Vec<String>) -> Result<Opened, Unavailable> {
        let told = lines.first().cloned();
        let (by, who) = (Arc::clone(&wait.entrant.by), wait.entrant.person);
        let ticket = self.waits.give(&by.name, who, Wait { told, ..wait })?;
        Ok(Opened::Waiting(Waiting { ticket, lines }))
    }

    /// Asks for what somebody named and does not hold.
    pub(super) async fn ask(
        &self,
        app: &Parts,
        entrant: &Entrant,
        named: &Named,
        opening: &Opening,
    ) -> Result<Opened, Unavailable> {
        if let Some(request) = pending(app, entrant, named).await? {
            return self.wait_for(&request, entrant);
        }
        if let Some(no) = just_over(app, entrant, named).await? {
            return Ok(Opened::Refused(no));
        }
        let current = app.engine.current();
        let resource = current.policy.resource(named.resource.as_str());
        let resource = resource.filter(|resource| resource.access == Access::Gateway);
        if let Some(its) = resource.and_then(|resource| upstream::protocol_of(resource.kind.as_str()))
            && its != opening.origin.protocol
        {
            return Ok(Opened::Refused(other_clients(&named.resource, its)));
        }
        let role = named.role.clone().or_else(|| {
            let mut roles = resource?.roles.keys();
            roles.next().filter(|_| roles.next().is_none()).cloned()
        });
        let (Some(_), Some(role)) = (resource, role) else {
            let how = said(opening.origin.protocol, &format!("{}/ROLE", named.resource));
            let hint = format!("say what you want: {how}; daypass ls lists it");
            return Ok(Opened::Refused(refusal(
                "you hold nothing there, and what to ask for is not clear",
                Some(hint),
            )));
        };
        let Some(person) = current
            .directory
            .person(entrant.person)
            .filter(|person| person.active)
        else {
            return Ok(Opened::Refused(refusal("this account is switched off", None)));
        };
        let caller = Caller {
            person: entrant.person,
            role: role_of(person, &current.directory),
            // A credential for the gateway proves no more than an API token: who it is, not that they are there.
            via: Via::Token,
        };
        let item = Item {
            resource: named.resource.clone(),
            role,
        };
        let program = opening.program.as_deref().unwrap_or_default();
        let program: String = program
            .chars()
            .filter(|c| c.is_ascii_graphic() || *c == ' ')
            .take(40)
            .collect();
        let asked = NewRequest {
            items: BTreeSet::from([item.clone()]),
            environments: Vec::new(),
            duration: None,
            start: None,
            extends: None,
            reason: format!("asked by connecting ({program})"),
            ticket: None,
        };
        match app.engine.request_from(caller, asked, None, entrant.from).await {
            Ok(made) => self.wait_for(&made.request, entrant),
            Err(error) => {
                let no = refused(error)?;
                let hint = no
                    .hint
                    .unwrap_or_else(|| format!("daypass request {item} --reason \"…\", then connect again"));
                Ok(Opened::Refused(refusal(no.reason, Some(hint))))
            }
        }
    }

    fn wait_for(&self, request: &Request, entrant: &Entrant) -> Result<Opened, Unavailable> {
        let lines = vec![asked(request), self.where_to_look(request.id)];
        let on = On::Request(request.id);
        self.wait(
            Wait {
                entrant: entrant.clone(),
                on,
                told: None,
            },
            lines,
        )
    }

    fn where_to_look(&self, id: RequestId) -> String {
        match &self.base_url {
            Some(base) => format!("Daypass: look at it: {base}/requests/{id}"),
            None => format!("Daypass: look at it: daypass status {}", id.short()),
        }
    }

    /// Waits for how it went on.
    pub(super) async fn waited(
        &self,
        app: &Parts,
        by: &Asker,
        ticket: &Ticket,
    ) -> Result<Waited, Unavailable> {
        let Some(mut wait) = self.waits.take(&by.name, ticket) else {
            return Ok(Waited::Refused(refusal(
                "this took too long",
                Some(String::from("connect again: the request goes on")),
            )));
        };
        let until = edge::instant() + PATIENCE;
        let mut changes = app.engine.store().changes();
        let mut stop = app.stop.clone();
        let who = wait.entrant.person;
        loop {
            changes.mark_unchanged();
            let line = match wait.stand(app).await {
                Ok(Stand::There) => {
                    return Ok(Waited::Open(self.entrants.give(&by.name, who, wait.entrant)?));
                }
                Ok(Stand::No(refusal)) => return Ok(Waited::Refused(refusal)),
                Ok(Stand::Still(line)) => Some(line),
                // Nobody can be asked for a moment: that ends nobody's wait.
                Err(error) => {
                    tracing::warn!(%error, "nobody could look how it stands with who waits");
                    None
                }
            };
            if line.is_some() && wait.told != line {
                wait.told.clone_from(&line);
                self.waits.give_again(&by.name, ticket, who, wait);
                return Ok(Waited::Still(line.into_iter().collect()));
            }
            // Who waits holds up no stop: the next to be started is asked again.
            if edge::instant() >= until || is_stopped(&stop) {
                self.waits.give_again(&by.name, ticket, who, wait);
                return Ok(Waited::Still(Vec::new()));
            }
            tokio::select! {
                // Many may wait, and much may happen.
                _ = changes.changed() => edge::sleep(CALM).await,
                () = edge::sleep(LOOK) => {}
                () = stopped(&mut stop) => {}
            }
        }
    }
}

impl Wait {
    async fn stand(&self, app: &Parts) -> Result<Stand, Unavailable> {
        let store = app.engine.store();
        let grant = match self.on {
            On::Grant(grant) => grant,
            On::Request(id) => {
                let request = store.request(id).await.map_err(unavailable)?;
                let Some(request) = request else {
                    return Ok(Stand::No(refusal("the request is gone", None)));
                };
                match &request.state {
                    State::Pending { .. } => return Ok(Stand::Still(asked(&request))),
                    State::Approved { .. } => GrantId::from(id),
                    State::Denied { reviews, .. } => return Ok(Stand::No(denied(app, reviews))),
                    State::Withdrawn { .. } => {
                        return Ok(Stand::No(refusal("the request was taken back", None)));
                    }
                    State::Lapsed { .. } => {
                        return Ok(Stand::No(refusal("nobody answered the request in time", None)));
                    }
                }
            }
        };
        let grant = store.grant(grant).await.map_err(unavailable)?;
        Ok(match grant.map(|grant| grant.state) {
            Some(GrantState::Active { .. }) => Stand::There,
            Some(GrantState::Activating { .. }) => Stand::Still(String::from(COMING)),
            Some(GrantState::Scheduled { start }) => {
                Stand::Still(format!("Daypass: agreed to; it begins at {start}"))
            }
            Some(GrantState::Ending { .. } | GrantState::Ended { .. }) | None => Stand::No(refusal(
                "the access could not be set up, or is over",
                Some(String::from("daypass status")),
            )),
        })
    }
}

/// Who is being asked.
fn asked(request: &Request) -> String {
    let items: Vec<String> = request.ask.items.iter().map(ToString::to_string).collect();
    let (items, id) = (items.join(", "), request.id.short());
    match request.open_step() {
        Some((_, step)) => format!("Daypass: asking {} for {items} (request {id})", step.from),
        None => format!("Daypass: {items} was agreed to (request {id})"),
    }
}

fn denied(app: &Parts, reviews: &[daypass_core::review::Review]) -> Refusal {
    let no = reviews
        .iter()
        .rev()
        .find(|review| matches!(review.decision, Decision::Deny));
    let by = no.map(|review| app.engine.current().directory.login(review.reviewer));
    let why = no
        .and_then(|review| review.comment.as_ref())
        .map(|why| why.text().to_owned());
    let by = by.map_or_else(String::new, |by| format!(" by {by}"));
    let why = why
        .filter(|why| !why.is_empty())
        .map_or_else(String::new, |why| format!(": {why}"));
    refusal(format!("denied{by}{why}"), None)
}

/// A request of theirs that waits for what they named.
async fn pending(app: &Parts, entrant: &Entrant, named: &Named) -> Result<Option<Request>, Unavailable> {
    let filter = RequestFilter {
        state: Some(String::from("pending")),
        requester: Some(entrant.person),
        ..RequestFilter::default()
    };
    let page = app.engine.store().requests(filter, None, LOOKED_THROUGH).await;
    let page = page.map_err(unavailable)?;
    let mut requests = page.items.into_iter();
    Ok(requests.find(|request| {
        request.ask.extends.is_none() && request.ask.items.iter().any(|item| named.fits(item))
    }))
}

/// Why nobody asks by connecting just now: what they had was ended by somebody, a moment ago.
async fn just_over(app: &Parts, entrant: &Entrant, named: &Named) -> Result<Option<Refusal>, Unavailable> {
    let store = app.engine.store();
    let filter = RequestFilter {
        requester: Some(entrant.person),
        ..RequestFilter::default()
    };
    let page = store
        .requests(filter, None, LOOKED_THROUGH)
        .await
        .map_err(unavailable)?;
    let fits = |request: &&Request| request.ask.items.iter().any(|item| named.fits(item));
    let Some(last) = page.items.iter().find(fits) else {
        return Ok(None);
    };
    let ended = match &last.state {
        State::Withdrawn { at, .. } => Some(*at),
        State::Approved { .. } => {
            let grant = store.grant(GrantId::from(last.id)).await.map_err(unavailable)?;
            match grant.map(|grant| grant.state) {
                Some(GrantState::Ending {
                    reason: Reason::Revoked { .. } | Reason::Released,
                    since,
                    ..
                }) => Some(since),
                Some(GrantState::Ended {
                    reason: Reason::Revoked { .. } | Reason::Released,
                    at,
                    ..
                }) => Some(at),
                _ => None,
            }
        }
        State::Pending { .. } | State::Denied { .. } | State::Lapsed { .. } => None,
    };
    let now = store.now().await.map_err(unavailable)?;
    let item = &named.resource;
    Ok(ended.filter(|at| now < *at + COOL_DOWN).map(|_| {
        let hint = format!("daypass request {item}/ROLE --reason \"…\", if you still need it");
        refusal(
            "what you had there was ended a moment ago: connecting does not ask for it again",
            Some(hint),
        )
    }))
}
