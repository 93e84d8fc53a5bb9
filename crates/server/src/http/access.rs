//! Who may call what. One gate before every handler: it finds the route in the API's one list, who is calling, and whether
//! the two fit. A path that is served and not in the list is refused, and so is a handler that asks for a caller the gate
//! did not let in.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::LazyLock;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts as RequestParts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;
use daypass_api::{Audience, ProblemCode, Route, Scope};
use daypass_core::lock::{self, On};
use daypass_core::name::Name;
use daypass_core::person::{Kind, Person, SystemRole};
use daypass_core::refusal::Code;
use daypass_core::text::Hash;
use daypass_engine::{Caller, Via, owner_locked, role_of};
use daypass_policy::Directory as _;
use daypass_store::{TokenKind, TokenRow};

use crate::app::{App, Parts};
use crate::http::address::{self, Peer};
use crate::http::places::Presented;
use crate::http::problem::{self, Answer, Failure};
use crate::identity::limit::network;
use crate::identity::token;

/// An authenticated caller, with what they came in with.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// Who, for the engine.
    pub caller: Caller,
    /// Their account as it is now.
    pub person: Person,
    /// Their session or API token.
    pub token: TokenRow,
}

/// The client's address, as far as it is certain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client(pub IpAddr);

/// The address that a rule's `source` is about: the client's own, where it is certain that it is no proxy's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin(pub Option<IpAddr>);

static ROUTES: LazyLock<HashMap<(&'static str, &'static str), Route>> = LazyLock::new(|| {
    Route::ALL
        .iter()
        .map(|route| ((route.method().as_str(), route.path()), *route))
        .collect()
});

/// The route of the API that a request matched.
fn route_of(method: &Method, path: Option<&MatchedPath>) -> Option<Route> {
    // A HEAD is a GET whose body nobody wants.
    let method = if method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    ROUTES.get(&(method, path?.as_str())).copied()
}

/// The gate. It lets through who may call the route at all; whose things they see there, the engine decides.
///
/// # Errors
/// Where nobody is logged in, or whoever is may not call this.
pub(crate) async fn gate(State(app): State<App>, mut request: Request, next: Next) -> Answer<Response> {
    let Some(route) = route_of(request.method(), request.extensions().get::<MatchedPath>()) else {
        return Err(Failure::new(Code::Forbidden, "nobody may call this"));
    };
    let client = client(&app, &request)?;
    request.extensions_mut().insert(Client(client));
    let origin = Origin(origin(&app, client, &request));
    request.extensions_mut().insert(origin);
    request.extensions_mut().insert(route);
    if route.audience() == Audience::Public {
        // Who is logged in does not depend on what strangers behind the same address do.
        if !is_familiar(&app, request.headers()) {
            app.limits.public(client)?;
        }
        return Ok(next.run(request).await);
    }
    match authenticate(&app, request.headers(), client).await {
        Ok(identity) => {
            admit(route, &identity)?;
            not_locked(&app, route, &identity).await?;
            request.extensions_mut().insert(identity);
        }
        Err(failure) => {
            let local = route == Route::Metrics && scrapes_locally(&app, &request);
            if !local {
                return Err(failure);
            }
        }
    }
    Ok(next.run(request).await)
}

/// The answer where no route has this path. It is anybody's, at the pace of what needs no login.
pub(crate) async fn no_route(State(app): State<App>, request: Request) -> Failure {
    strangers(&app, &request).err().unwrap_or_else(problem::no_route)
}

/// The answer where the path has no such method, at the same pace.
pub(crate) async fn no_method(State(app): State<App>, request: Request) -> Failure {
    strangers(&app, &request).err().unwrap_or_else(problem::no_method)
}

fn strangers(app: &Parts, request: &Request) -> Answer<()> {
    Ok(app.limits.public(client(app, request)?)?)
}

fn client(app: &Parts, request: &Request) -> Answer<IpAddr> {
    let peer = request
        .extensions()
        .get::<Peer>()
        .ok_or_else(|| Failure::internal(&"a request without a peer"))?;
    Ok(address::client(peer.0, request.headers(), &app.trusted_proxies))
}

/// What a rule's `source` is held against. Where the operator says that a proxy stands before this server, a peer that is
/// none of the proxies they named is one they forgot.
fn origin(app: &Parts, client: IpAddr, request: &Request) -> Option<IpAddr> {
    let peer = request.extensions().get::<Peer>()?;
    let address = peer.0.ip().to_canonical();
    let named = app.trusted_proxies.iter().any(|net| net.contains(&address));
    if app.behind_proxy && !named {
        return None;
    }
    address::origin(peer.0, client, request.headers(), &app.trusted_proxies)
}

/// A scraper on this machine needs no token; see `docs/operations.md`.
fn scrapes_locally(app: &Parts, request: &Request) -> bool {
    let anonymous = !request.headers().contains_key(AUTHORIZATION);
    let peer = request.extensions().get::<Peer>();
    anonymous && peer.is_some_and(|peer| address::is_local(peer.0, request.headers(), app.behind_proxy))
}

/// Who presents this token, if it is still good and its owner's account is switched on.
///
/// Guessing at tokens is hopeless; it need not be free, nor wait in front of others. What is no token that was good lately is
/// paid for by its address before it is looked up.
///
/// # Errors
/// Where there is none, or it is not taken (any more); which of these it is, is not told. And where too many come at once.
async fn authenticate(app: &Parts, headers: &HeaderMap, client: IpAddr) -> Answer<Identity> {
    let refused = || Failure::unauthenticated("this token is not taken (any more)");
    let Some(presented) = presented(headers) else {
        app.limits.public(client)?;
        return Err(Failure::unauthenticated("nobody is logged in"));
    };
    let Some(hash) = presented else {
        app.limits.public(client)?;
        return Err(refused());
    };
    let of = if app.familiar.knows(hash) {
        Presented::Familiar(hash)
    } else {
        app.limits.public(client)?;
        Presented::From(network(client))
    };
    let _share = app.places.lookup(of).await?;
    let identity = identified(app, hash).await?;
    match &identity {
        Some(_) => app.familiar.note(hash),
        None => app.familiar.forget(hash),
    }
    identity.ok_or_else(refused)
}

/// Whether a token is presented that was taken lately.
fn is_familiar(app: &Parts, headers: &HeaderMap) -> bool {
    presented(headers)
        .flatten()
        .is_some_and(|hash| app.familiar.knows(hash))
}

/// The hash of the one token that is presented: `Some(None)` where it can be none of ours, `None` where there is none.
fn presented(headers: &HeaderMap) -> Option<Option<Hash>> {
    let mut presented = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (presented.next(), presented.next()) else {
        return None;
    };
    let split = value.to_str().ok().and_then(|value| value.split_once(' '));
    let bearer = split.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    Some(bearer.and_then(|(_, secret)| token::recognise(secret)))
}

/// The caller behind a token of this hash, as [`identify`] has it.
///
/// # Errors
/// As there.
pub(crate) async fn identified(app: &Parts, hash: Hash) -> Result<Option<Identity>, daypass_store::Error> {
    match app.engine.store().token(hash).await? {
        Some(token) => identify(app, token).await,
        None => Ok(None),
    }
}

/// The caller behind a token row, unless it has run out or the account was switched off.
///
/// # Errors
/// Where the store does not tell the time. Its clock decides, not this machine's: one that jumps back revives nothing.
pub(crate) async fn identify(app: &Parts, token: TokenRow) -> Result<Option<Identity>, daypass_store::Error> {
    if token.expires_at <= app.engine.store().now().await? {
        return Ok(None);
    }
    let current = app.engine.current();
    let Some(person) = current
        .directory
        .person(token.person)
        .filter(|person| person.active)
        .cloned()
    else {
        return Ok(None);
    };
    let via = match token.kind {
        TokenKind::Session => Via::Session {
            // From the row of the very session that was presented, never from what the client says.
            confirmed_at: token.confirmed_at.unwrap_or(token.created_at),
        },
        TokenKind::Api { .. } => Via::Token,
        // It opens sessions through the gateway, and nothing here.
        TokenKind::Gateway { .. } | TokenKind::SshKey => return Ok(None),
    };
    let caller = Caller {
        person: person.id,
        role: role_of(&person, &current.directory),
        via,
    };
    Ok(Some(Identity {
        caller,
        person,
        token,
    }))
}

/// Whether this caller may call this route at all.
///
/// # Errors
/// Where their role, their kind of credential or their token's scopes do not allow it.
pub(crate) fn admit(route: Route, identity: &Identity) -> Answer<()> {
    if route.is_of_gateways() {
        return served(identity).map(|_| ());
    }
    let role = identity.caller.role;
    let enough = match route.audience() {
        Audience::Public | Audience::Member => true,
        Audience::Gateway => false,
        Audience::Auditor => matches!(role, SystemRole::Auditor | SystemRole::Administrator),
        Audience::Administrator => role == SystemRole::Administrator,
    };
    if !enough {
        let refused = Failure::new(Code::Forbidden, format!("a {} may not do this", name(role)));
        return Err(refused.hint(instead(route)));
    }
    if role == SystemRole::Auditor && changes(route) {
        return Err(Failure::new(
            Code::Forbidden,
            "an auditor reads everything and changes nothing",
        ));
    }
    match (&identity.token.kind, route.scope()) {
        (TokenKind::Session, _) => Ok(()),
        (TokenKind::Gateway { .. } | TokenKind::SshKey, _) => Err(Failure::unauthenticated(
            "the gateway takes this, the API does not",
        )),
        (TokenKind::Api { .. }, None) => {
            let code = if route == Route::Review {
                Code::MayNotReview
            } else {
                Code::Forbidden
            };
            Err(Failure::new(code, "no API token may do this; a person must")
                .hint("log in with: daypass login"))
        }
        (TokenKind::Api { scopes }, Some(scope)) if scopes.contains(scope.as_str()) => Ok(()),
        (TokenKind::Api { .. }, Some(scope)) => Err(lacks(identity, scope)),
    }
}

/// What a resource is written as among the scopes of a gateway's token.
const SERVES: &str = "gateway:";

/// The scopes of a gateway's token, as they are kept: that it is one, and each resource that it may serve. So whoever has to agree to
/// such a token sees them.
#[must_use]
pub(crate) fn gateway_scopes(resources: &BTreeSet<Name>) -> BTreeSet<String> {
    let each = resources.iter().map(|resource| format!("{SERVES}{resource}"));
    each.chain([Scope::Gateway.as_str().to_owned()]).collect()
}

/// The resources among the scopes of a token.
#[must_use]
pub(crate) fn resources(written: &BTreeSet<String>) -> BTreeSet<Name> {
    let named = written.iter().filter_map(|scope| scope.strip_prefix(SERVES));
    named.filter_map(|name| name.parse().ok()).collect()
}

/// What a gateway that calls may serve: who calls is a service account, with a token that is for that and for nothing else.
///
/// # Errors
/// Where it is anybody else.
pub(crate) fn served(identity: &Identity) -> Answer<BTreeSet<Name>> {
    let refused = || {
        Failure::new(
            Code::Forbidden,
            "this is for gateways that run apart from the server",
        )
        .hint("daypass service token LOGIN NAME --scope gateway --resource RESOURCE (docs/gateway.md)")
    };
    let TokenKind::Api { scopes } = &identity.token.kind else {
        return Err(refused());
    };
    let own = |scope: &String| *scope == Scope::Gateway.as_str() || scope.starts_with(SERVES);
    let is_one = scopes.contains(Scope::Gateway.as_str()) && scopes.iter().all(own);
    if is_one && identity.person.kind == Kind::Service {
        return Ok(resources(scopes));
    }
    Err(refused())
}

/// Whom to turn to for what one may not do oneself.
const fn instead(route: Route) -> &'static str {
    match (route, route.audience()) {
        (Route::People, _) => {
            "ask an auditor or an administrator; what a service account of yours has: daypass token ls --of LOGIN"
        }
        (_, Audience::Auditor) => "ask an auditor or an administrator",
        _ => "ask an administrator",
    }
}

/// Somebody who is locked does nothing that opens anything. What a call would record is held against the locks once more, in
/// the transaction itself; here it is every route, those included that record nothing.
///
/// # Errors
/// Where they, or whose program they are, is locked.
pub(crate) async fn not_locked(app: &Parts, route: Route, identity: &Identity) -> Answer<()> {
    if route.is_open_to_locked() {
        return Ok(());
    }
    let person = identity.caller.person;
    let locked = app.engine.locked_now().await?;
    if let Some(lock) = locked.locked(&On::Person(person)) {
        return Err(lock::refusal(lock, Some(person)).into());
    }
    // A program whose owner is locked: what it tells of ends is taken all the same.
    let tells_of_ends = matches!(
        route,
        Route::TicketClosed | Route::SshAcknowledge | Route::GatewayClose | Route::GatewayRecord
    );
    let owner = owner_locked(&app.engine.current(), &locked, person).filter(|_| !tells_of_ends);
    owner.map_or(Ok(()), |refusal| Err(refusal.into()))
}

/// Routes by which a member takes part in what an auditor only watches. Less access is never refused: what somebody still
/// holds when they become an auditor, they can give back.
const fn changes(route: Route) -> bool {
    matches!(
        route,
        Route::AddRequest
            | Route::Review
            | Route::ReviewChange
            | Route::Extend
            | Route::Credentials
            | Route::Certificate
            | Route::GatewayCredential
            | Route::AddSshKey
            | Route::BreakGlass
            | Route::Acknowledge
            | Route::Delegate
    )
}

/// Whether an API token has this scope beside that of its route. A person at a keyboard needs none.
///
/// # Errors
/// Where it lacks it.
pub(crate) fn scoped(identity: &Identity, scope: Scope) -> Answer<()> {
    match &identity.token.kind {
        TokenKind::Api { scopes } if !scopes.contains(scope.as_str()) => Err(lacks(identity, scope)),
        TokenKind::Api { .. } | TokenKind::Session => Ok(()),
        TokenKind::Gateway { .. } | TokenKind::SshKey => Err(Failure::unauthenticated(
            "the gateway takes this, the API does not",
        )),
    }
}

/// With the command that issues another token with this scope beside those that it has. Whose it is, its owner issues it.
fn lacks(identity: &Identity, scope: Scope) -> Failure {
    let TokenKind::Api { scopes: had } = &identity.token.kind else {
        return Failure::new(Code::Forbidden, "this is for API tokens");
    };
    if had.contains(Scope::Gateway.as_str()) {
        return Failure::new(
            Code::Forbidden,
            "this token is a gateway's, and good for nothing else",
        );
    }
    let all = had.iter().map(String::as_str).chain([scope.as_str()]);
    let scopes: Vec<String> = all.map(|one| format!(" --scope {one}")).collect();
    let scopes = scopes.concat();
    let hint = match identity.person.kind {
        Kind::Person => format!("issue one with: daypass token create NAME{scopes}"),
        Kind::Service => {
            let login = identity.person.login.text();
            format!("its owner issues one with: daypass service token {login} NAME{scopes}")
        }
    };
    Failure::new(Code::Forbidden, format!("this token lacks the scope {scope}")).hint(hint)
}

const fn name(role: SystemRole) -> &'static str {
    match role {
        SystemRole::Member => "member",
        SystemRole::Auditor => "auditor",
        SystemRole::Administrator => "administrator",
    }
}

/// The scopes of a token row, as the API has them. One that this version does not know is none.
#[must_use]
pub(crate) fn scopes(written: &BTreeSet<String>) -> BTreeSet<Scope> {
    Scope::ALL
        .iter()
        .copied()
        .filter(|scope| written.contains(scope.as_str()))
        .collect()
}

impl<S: Send + Sync> FromRequestParts<S> for Identity {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut RequestParts, _: &S) -> Result<Self, Failure> {
        // A handler behind no gate has no caller: it refuses rather than guess.
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| Failure::unauthenticated("nobody is logged in"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut RequestParts, _: &S) -> Result<Self, Failure> {
        // Behind no gate nothing is certain.
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(Self(None)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut RequestParts, _: &S) -> Result<Self, Failure> {
        let client = parts.extensions.get::<Self>().copied();
        client.ok_or_else(|| Failure::new(ProblemCode::Internal, "the client's address is unknown"))
    }
}
