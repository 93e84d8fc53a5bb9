//! Opening a session: which grant it runs under, what it must keep, and the lease that lets it begin.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use daypass_core::demand::{Demands, Recording as Recorded};
use daypass_core::grant::{Grant, Part, State};
use daypass_core::id::GrantId;
use daypass_core::name::{Item, Name};
use daypass_core::session::Mode;
use daypass_core::time::Timestamp;
use daypass_engine::{Error, NewSession, OpenedSession};
use daypass_gateway::control::{
    Lease, OnFailure, Opened, Opening, Recording, Refusal, Target, Term, Unavailable,
};
use daypass_gateway::postgres::target::Guardrails;
use daypass_policy::{GatewayTerms, OnFailure as OnRecordingFailure};
use daypass_providers::Credential;

use super::ask::{self, Wait};
use super::leases::Held;
use super::named::{Named, SSH, said};
use super::proof::Entrant;
use super::records::{Begun, Records};
use super::{Asker, Front, ssh, upstream};
use crate::app::Parts;
use crate::edge;

/// How long a target may take to give a session its password: a little less than gateways wait.
const TARGET: Duration = Duration::from_secs(8);

/// What went wrong, as a gateway hears it: made for `map_err`.
pub(super) fn unavailable(error: impl std::fmt::Display) -> Unavailable {
    Unavailable(error.to_string())
}

pub(super) fn refusal(reason: impl Into<String>, hint: Option<String>) -> Refusal {
    Refusal {
        reason: reason.into(),
        hint,
    }
}

/// No, in the words of the engine; or nobody can be asked.
pub(super) fn refused(error: Error) -> Result<Refusal, Unavailable> {
    match error {
        Error::Refused(no) => Ok(refusal(no.what.clone(), no.hint.clone())),
        other => Err(unavailable(other)),
    }
}

/// What is behind the gateway, and the password for it, where there is one.
type Behind = (Target, Option<Arc<Credential>>);

/// What somebody holds of what they named.
enum Found {
    /// It is there.
    There(Box<Grant>, Item),
    /// It is being set up.
    Coming(GrantId),
    /// Several roles.
    Several(Vec<Item>),
    Nothing,
}

fn of(grants: Vec<Grant>, named: &Named, now: Timestamp) -> Found {
    let mut there: Vec<(Grant, Item)> = Vec::new();
    let mut coming = None;
    for grant in grants {
        let items = grant.parts.iter().map(Part::item);
        let items: Vec<Item> = items.filter(|item| named.fits(item)).cloned().collect();
        if items.is_empty() {
            continue;
        }
        match &grant.state {
            State::Active { .. } => there.extend(items.into_iter().map(|item| (grant.clone(), item))),
            State::Activating { .. } => coming = Some(grant.id),
            State::Scheduled { start } if *start <= now => coming = Some(grant.id),
            State::Scheduled { .. } | State::Ending { .. } | State::Ended { .. } => {}
        }
    }
    let items: BTreeSet<&Item> = there.iter().map(|(_, item)| item).collect();
    if items.len() > 1 {
        return Found::Several(items.into_iter().cloned().collect());
    }
    // Of several that give the same, the one that lasts longest.
    match there.into_iter().max_by_key(|(grant, _)| grant.expires_at()) {
        Some((grant, item)) => Found::There(Box::new(grant), item),
        None => coming.map_or(Found::Nothing, Found::Coming),
    }
}

impl Front {
    /// Asks for a session.
    pub(super) async fn open(
        &self,
        app: &Parts,
        by: &Asker,
        opening: Opening,
    ) -> Result<Opened, Unavailable> {
        let Some(entrant) = self.entrants.take(&by.name, &opening.ticket) else {
            return Ok(Opened::Refused(refusal(
                "this took too long",
                Some(String::from("connect again")),
            )));
        };
        let another = entrant
            .named
            .as_ref()
            .is_some_and(|named| *named != opening.target);
        if another || entrant.protocol != opening.origin.protocol {
            let what = "this is not what was named when it was signed";
            return Ok(Opened::Refused(refusal(what, None)));
        }
        let Some(named) = named(app, &entrant, &opening) else {
            return Ok(Opened::Refused(nothing_such(&entrant, &opening)));
        };
        // Before anything is looked up or asked for: whether there is such a thing is none of its business.
        if !by.serves(&named.resource) {
            let why = format!("this gateway does not serve {}", named.resource);
            let hint = String::from("daypass connect says where to; or ask who runs this gateway");
            return Ok(Opened::Refused(refusal(why, Some(hint))));
        }
        if !entrant.is_welcome(app).await? {
            let hint = String::from("get a new one: daypass connect");
            return Ok(Opened::Refused(refusal(
                "the credential was revoked, or has run out",
                Some(hint),
            )));
        }
        let entrant = &entrant;
        match self.found(app, entrant, &named).await? {
            Found::Nothing if entrant.grant.is_none() => {
                let _turn = self.asking.lock().await;
                // Another connection may have asked meanwhile.
                match self.found(app, entrant, &named).await? {
                    Found::Nothing => self.ask(app, entrant, &named, &opening).await,
                    found => self.go_on(app, entrant, found, &named, &opening).await,
                }
            }
            found => self.go_on(app, entrant, found, &named, &opening).await,
        }
    }

    async fn found(&self, app: &Parts, entrant: &Entrant, named: &Named) -> Result<Found, Unavailable> {
        let store = app.engine.store();
        let now = store.now().await.map_err(unavailable)?;
        let grants = store.live_grants_of(entrant.person).await;
        let mut grants = grants.map_err(unavailable)?;
        grants.retain(|grant| entrant.grant.is_none_or(|only| only == grant.id));
        Ok(of(grants, named, now))
    }

    async fn go_on(
        &self,
        app: &Parts,
        entrant: &Entrant,
        found: Found,
        named: &Named,
        opening: &Opening,
    ) -> Result<Opened, Unavailable> {
        match found {
            Found::There(grant, item) => self.begin(app, entrant, (&grant, &item), named, opening).await,
            Found::Coming(grant) => self.wait(
                Wait::for_grant(entrant.clone(), grant),
                vec![String::from(ask::COMING)],
            ),
            Found::Several(items) => {
                let said = |item: &Item| said(opening.origin.protocol, &item.to_string());
                let items: Vec<_> = items.iter().map(said).collect();
                let hint = format!("say which: {}", items.join(" or "));
                let why = format!("you hold several roles of {}", named.resource);
                Ok(Opened::Refused(refusal(why, Some(hint))))
            }
            // A credential of a grant dies with it. It asks for nothing, or who holds it could go on for ever.
            Found::Nothing => {
                let hint = format!("daypass connect {}", named.resource);
                let why = "the grant that this credential is for is over, or gives something else";
                Ok(Opened::Refused(refusal(why, Some(hint))))
            }
        }
    }

    /// Begins a session under a grant that is there.
    async fn begin(
        &self,
        app: &Parts,
        entrant: &Entrant,
        (grant, item): (&Grant, &Item),
        named: &Named,
        opening: &Opening,
    ) -> Result<Opened, Unavailable> {
        let terms = match terms(app, (grant, item), opening.origin.protocol).await? {
            Ok(terms) => terms,
            Err(no) => return Ok(Opened::Refused(no)),
        };
        let target = async {
            match opening.origin.protocol {
                SSH => host(app, entrant, (grant, item), named, opening).await,
                _ => self.database(app, (grant, item), &terms).await,
            }
        };
        let target = match edge::within(TARGET, target).await {
            Ok(Ok(Ok(target))) => target,
            Ok(Ok(Err(no))) => return Ok(Opened::Refused(no)),
            Ok(Err(Error::Refused(no))) => return Ok(Opened::Refused(refused(Error::Refused(no))?)),
            Ok(Err(error)) => return Ok(Opened::Refused(unreachable(grant, item, &error))),
            Err(late) => return Ok(Opened::Refused(unreachable(grant, item, &late))),
        };
        let protocol = opening.origin.protocol.parse();
        let protocol = protocol.map_err(|_| unavailable("the protocol has no name"))?;
        let mode = Mode {
            values: terms.values,
            on_failure: match terms.on_failure {
                OnRecordingFailure::End => OnFailure::End,
                OnRecordingFailure::Continue => OnFailure::GoOn,
            },
        };
        let id = app.engine.draw_session_id();
        let begun = match self.records.begin(id).await {
            Ok(begun) => Some(begun),
            Err(error) => {
                tracing::error!(session = %id, grant = %grant.id, %error, "a recording could not begin");
                if mode.on_failure == OnFailure::End {
                    let why = "what is done here is recorded, and it cannot be recorded just now";
                    let hint = Some(String::from("daypass doctor"));
                    return Ok(Opened::Refused(refusal(why, hint)));
                }
                None
            }
        };
        let new = NewSession {
            id,
            grant: grant.id,
            holder: entrant.person,
            item: item.clone(),
            protocol,
            place: target.0.place(),
            credential: entrant.credential.token(),
            gateway: entrant.by.of(&self.name),
            source: opening.origin.peer,
            program: opening.program.clone(),
            recording: Some(mode),
            first: begun.as_ref().map(Begun::first),
        };
        let opened = match app.engine.open_session(new).await {
            Ok(opened) => opened,
            Err(error) => {
                // What is not known to be refused may stand in the log.
                if let (Error::Refused(_), Some(begun)) = (&error, begun) {
                    self.records.withdraw(begun).await;
                }
                return Ok(Opened::Refused(refused(error)?));
            }
        };
        let is_begun = begun.is_some();
        if let Some(begun) = begun {
            self.records.opened(id, begun).map_err(unavailable)?;
        }
        let lease = self.lease(&opened, target, mode, is_begun);
        Ok(Opened::Lease(Box::new(lease)))
    }

    /// What leads to a database.
    async fn database(
        &self,
        app: &Parts,
        (grant, item): (&Grant, &Item),
        terms: &GatewayTerms,
    ) -> Result<Result<Behind, Refusal>, Error> {
        let guardrails = Guardrails {
            read_only: terms.read_only,
            no_ddl: terms.no_ddl,
            qualified: terms.qualified,
        };
        let target = self.upstreams.target(&app.engine, grant, item, guardrails).await;
        let (target, credential) = target?;
        Ok(Ok((Target::Postgres(target), Some(credential))))
    }

    /// Gives the lease of a session that was written down.
    fn lease(&self, opened: &OpenedSession, (target, credential): Behind, mode: Mode, begun: bool) -> Lease {
        let OpenedSession {
            session,
            ends_at,
            now,
        } = opened;
        Lease {
            id: self.leases.enter(Held::new(session, credential)),
            session: session.id.to_string().as_str().into(),
            grant: session.grant.to_string().as_str().into(),
            person: session.holder.to_string().as_str().into(),
            term: Term {
                renew_within: self.lease.to_std(),
                ends_in: edge::until(*ends_at, *now),
            },
            ends_at: *ends_at,
            target,
            recording: Recording {
                values: mode.values,
                on_failure: mode.on_failure,
                begun,
                longest_line: Records::longest_line(),
            },
        }
    }
}

/// What leads to a host: a certificate for the key that the gateway drew for this session.
async fn host(
    app: &Parts,
    entrant: &Entrant,
    (grant, item): (&Grant, &Item),
    named: &Named,
    opening: &Opening,
) -> Result<Result<Behind, Refusal>, Error> {
    let way = match ssh::way(app, (grant, item), named, entrant.from)? {
        Ok(way) => way,
        Err(no) => return Ok(Err(no)),
    };
    let again = || refusal(format!("{item} cannot be reached just now"), None);
    let Some(key) = &opening.key else {
        return Ok(Err(again()));
    };
    let issued = app
        .engine
        .session_certificate(grant, item, (&way.user, key))
        .await?;
    let target = ssh::target(way, &issued.certificate).ok_or_else(again);
    Ok(target.map(|target| (Target::Ssh(target), None)))
}

/// What somebody named, read as their protocol and what they came with have it.
fn named(app: &Parts, entrant: &Entrant, opening: &Opening) -> Option<Named> {
    if let Some(pass) = entrant.pass() {
        return Named::of(pass, &opening.target);
    }
    let policy = app.engine.current().policy;
    let exists = |name: &Name, role: Option<&Name>| {
        let resource = policy.resource(name.as_str());
        resource.is_some_and(|resource| role.is_none_or(|role| resource.roles.contains_key(role)))
    };
    Named::read(opening.origin.protocol, &opening.target, exists)
}

fn nothing_such(entrant: &Entrant, opening: &Opening) -> Refusal {
    if let Some(pass) = entrant.pass() {
        let why = format!("this certificate is for {}, and nothing else", pass.item);
        return refusal(why, Some(format!("daypass ssh {}", pass.item)));
    }
    let hint = match opening.origin.protocol {
        SSH => {
            "name what you want to reach as the user: ssh RESOURCE@GATEWAY or ssh RESOURCE/ROLE@GATEWAY, perhaps with +USER and @HOST \
             behind it; daypass ls lists it"
        }
        _ => {
            "name what you want to reach as the database: dbname=RESOURCE or dbname=RESOURCE/ROLE; daypass ls lists it"
        }
    };
    refusal("there is no such resource", Some(hint.to_owned()))
}

fn unreachable(grant: &Grant, item: &Item, why: &dyn std::fmt::Display) -> Refusal {
    tracing::warn!(grant = %grant.id, error = %why, "a session was not opened: no credential at the target");
    refusal(
        format!("{} cannot be reached just now", item.resource),
        Some(String::from("daypass doctor")),
    )
}

/// What a session under this grant keeps; or why it is not reached so.
async fn terms(
    app: &Parts,
    (grant, item): (&Grant, &Item),
    protocol: &str,
) -> Result<Result<GatewayTerms, Refusal>, Unavailable> {
    let elsewhere = || {
        let hint = format!("daypass connect {item}");
        refusal(format!("{item} is not reached through the gateway"), Some(hint))
    };
    let part = grant.part(item);
    match part.and_then(|part| upstream::protocol_of(part.spec.kind.as_str())) {
        Some(its) if its == protocol => {}
        Some(its) => return Ok(Err(other_clients(&item.resource, its))),
        None => return Ok(Err(elsewhere())),
    }
    let recorded = app.engine.is_to_be_recorded(grant.id).await;
    let agreed = Demands {
        recording: recorded.map_err(unavailable)?.then_some(Recorded::Required),
        ..Demands::default()
    };
    let terms = app.engine.current().policy.gateway(item, &agreed);
    Ok(terms.ok_or_else(elsewhere))
}

/// It is reached through the gateway, and not by the protocol that somebody came with.
pub(super) fn other_clients(resource: &Name, protocol: &str) -> Refusal {
    let (clients, hint) = match protocol {
        SSH => ("SSH's", format!("daypass ssh {resource}")),
        _ => ("PostgreSQL's", format!("daypass psql {resource}")),
    };
    refusal(
        format!("{resource} is reached with {clients} clients"),
        Some(hint),
    )
}
