//! Logging in and out, who one is, and API tokens.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use daypass_api::change::Proposed;
use daypass_api::login::{IssuedToken, LoggedIn, Login, NewToken, Token, TokenQuery, Whoami};
use daypass_api::{Page, Problem, ProblemCode, Scope, Secret};
use daypass_core::id::{PersonId, TokenId};
use daypass_core::lock::On;
use daypass_core::person::{Kind, Person};
use daypass_core::refusal::Code;
use daypass_core::time::Span;
use daypass_engine::{Error, NewToken as Issue, Proof};
use daypass_policy::Directory as _;
use daypass_store::TokenKind;

use crate::api::edited::{Edited, edited};
use crate::api::gateways::may_serve;
use crate::api::page;
use crate::app::{App, Parts};
use crate::edge;
use crate::http::access::{Client, Identity, gateway_scopes};
use crate::http::intake::{Json, Path, Query};
use crate::http::problem::{Answer, Failure};
use crate::identity::token::{self, SESSION_PREFIX, TOKEN_PREFIX};
use crate::wire;

/// The longest that an API token is taken: what never runs out is forgotten and leaks.
const LONGEST_TOKEN: Span = Span::hours(24 * 366);
/// The longest name of a session or token, in characters.
const LONGEST_NAME: usize = 80;
/// How many sessions and tokens one account may have at the same time.
const MOST_TOKENS: usize = 100;

/// Trades a password for a session. What was wrong is not said, and takes as long whatever it was.
#[utoipa::path(post, path = "/api/v1/login", tag = "identity", request_body = Login, security(()),
    responses((status = 200, body = LoggedIn), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn login(
    State(app): State<App>,
    client: Client,
    Json(body): Json<Login>,
) -> Answer<Json<LoggedIn>> {
    if let Err(too_fast) = app.limits.login(client.0, &body.login) {
        app.metrics.login("limited");
        return Err(too_fast.into());
    }
    let name = session_name(body.profile.as_deref())?;
    let found = app.engine.current().directory.by_login(&body.login).cloned();
    // A program has no password; its account gets tokens from who answers for it.
    let person = found.filter(|person| person.active && person.kind == Kind::Person);
    // Nobody's password is looked up too, so that the time taken tells nothing.
    let nobody = PersonId::from_bytes([0; 10]);
    let stored = app
        .engine
        .store()
        .password(person.as_ref().map_or(nobody, |person| person.id))
        .await?;
    let proof = person
        .as_ref()
        .zip(stored.as_deref())
        .map(|(person, stored)| Proof::new(person.id, stored));
    let fits = app.passwords.verify(stored, body.password.into_inner()).await?;
    let refused = || {
        app.metrics.login("refused");
        tracing::info!(client = %client.0, "a login was refused");
        Failure::new(ProblemCode::LoginFailed, "the login or the password is wrong")
    };
    let (Some(person), Some(proof), true) = (person, proof, fits) else {
        return Err(refused());
    };
    room_for_another(&app, person.id).await?;
    let minted = token::mint(SESSION_PREFIX, edge::random());
    let issue = Issue {
        hash: minted.hash,
        kind: TokenKind::Session,
        name,
        lifetime: app.session_lifetime,
    };
    let session = match app.engine.log_in(proof, issue).await {
        // It was right when it was looked at, and another one was set since: now it is wrong.
        Err(Error::Refused(refusal)) if refusal.code == Code::Stale => return Err(refused()),
        session => session?,
    };
    app.metrics.login("accepted");
    app.limits.succeeded(client.0, &body.login);
    tracing::info!(client = %client.0, person = %person.id, "logged in");
    Ok(Json(LoggedIn {
        token: minted.secret.into(),
        expires_at: session.expires_at,
        person: wire::person(&person, &app.engine.current().directory),
    }))
}

fn session_name(profile: Option<&str>) -> Answer<String> {
    profile.map_or_else(|| Ok("session".to_owned()), checked_name)
}

pub(super) fn checked_name(name: &str) -> Answer<String> {
    let fits = !name.trim().is_empty()
        && name.chars().count() <= LONGEST_NAME
        && !name.chars().any(char::is_control);
    if fits {
        return Ok(name.to_owned());
    }
    let what = format!("a name has 1 to {LONGEST_NAME} characters, none of them a control character");
    Err(Failure::new(Code::Invalid, what))
}

/// How long something is taken that somebody has issued to themselves.
pub(super) fn checked_lifetime(length: Span, what: &str) -> Answer<()> {
    if length == Span::ZERO || length > LONGEST_TOKEN {
        let what = format!("{what} is taken for {LONGEST_TOKEN} at most");
        return Err(Failure::new(Code::Invalid, what).hint("expires_in: 30d"));
    }
    Ok(())
}

/// Makes room by forgetting what has run out; refuses where that is not enough.
pub(super) async fn room_for_another(app: &Parts, person: PersonId) -> Answer<()> {
    let now = app.engine.store().now().await?;
    let tokens = app.engine.store().tokens_of(person).await?;
    if tokens.iter().filter(|token| token.expires_at > now).count() < MOST_TOKENS {
        return Ok(());
    }
    let what = format!("this account has {MOST_TOKENS} sessions and tokens already");
    Err(Failure::new(Code::InUse, what).hint(
        "end some, where somebody is still logged in: daypass token ls, daypass token revoke ID; or an administrator does, with \
         daypass token ls --of LOGIN, daypass token revoke ID --of LOGIN",
    ))
}

/// Ends the session or token that this call was made with.
#[utoipa::path(post, path = "/api/v1/logout", tag = "identity",
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn logout(State(app): State<App>, identity: Identity) -> Answer<StatusCode> {
    app.engine
        .revoke_token(identity.caller, identity.token.id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says who calls.
#[utoipa::path(get, path = "/api/v1/whoami", tag = "identity",
    responses((status = 200, body = Whoami), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn whoami(State(app): State<App>, identity: Identity) -> Answer<Json<Whoami>> {
    let locked = app.engine.locked_now().await?;
    let lock = locked.locked(&On::Person(identity.person.id));
    Ok(Json(Whoami {
        person: wire::person(&identity.person, &app.engine.current().directory),
        via: wire::via(&identity.token),
        token: Some(identity.token.id),
        expires_at: identity.token.expires_at,
        confirmed_at: identity.caller.confirmed_at(),
        locked_since: lock.map(|lock| lock.at),
    }))
}

/// Lists sessions and tokens: one's own, those of service accounts that one answers for, or anybody's for auditors and
/// administrators.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "identity", params(TokenQuery),
    responses((status = 200, body = Page<Token>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(app): State<App>,
    identity: Identity,
    Query(query): Query<TokenQuery>,
) -> Answer<Json<Page<Token>>> {
    let person = match &query.login {
        None => identity.caller.person,
        Some(login) => owner(&app, &identity, login, identity.caller.sees_all())?.id,
    };
    let now = app.engine.store().now().await?;
    let rows = app.engine.store().tokens_of(person).await?;
    let people = app.engine.current().directory;
    let items = rows
        .iter()
        .filter(|row| row.expires_at > now)
        .map(|row| wire::token(row, &people));
    Ok(Json(page::of(
        items.collect(),
        Some(daypass_api::page::MAX_LIMIT),
        None,
    )?))
}

/// The account of this login: one's own, a service account that one answers for, or anybody's for who may.
fn owner(app: &Parts, identity: &Identity, login: &str, anybody: bool) -> Answer<Person> {
    let people = app.engine.current().directory;
    let caller = identity.caller.person;
    if people.login(caller) == login {
        return Ok(identity.person.clone());
    }
    let owned = people.by_login(login).filter(|one| people.owns(caller, one.id));
    if anybody || owned.is_some() {
        return Ok(app.engine.find(login)?);
    }
    Err(Failure::new(Code::Forbidden, "these are somebody else's"))
}

/// Issues a token. Its secret is shown this once. Where others must agree to one for a service account, it is answered with 202 and
/// the change, and works from the moment on in which that is applied.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "identity", request_body = NewToken,
    responses((status = 201, body = IssuedToken), (status = 202, body = Proposed), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn add(
    State(app): State<App>,
    identity: Identity,
    Json(body): Json<NewToken>,
) -> Answer<Edited<IssuedToken>> {
    let name = checked_name(&body.name)?;
    let person = match &body.login {
        None => identity.person.clone(),
        Some(login) => for_service(&app, &identity, login.as_str())?,
    };
    let scopes = written(&body, &person)?;
    if body.scopes.contains(&Scope::Gateway) {
        may_serve(&app, person.login.text(), &body.resources)?;
    }
    if body.scopes.is_empty() {
        return Err(
            Failure::new(Code::Invalid, "a token without a scope can do nothing").hint(format!(
                "one or more of {}",
                Scope::ALL
                    .iter()
                    .map(|s| s.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
        );
    }
    checked_lifetime(body.expires_in, "a token")?;
    room_for_another(&app, person.id).await?;
    let minted = token::mint(TOKEN_PREFIX, edge::random());
    let issue = Issue {
        hash: minted.hash,
        kind: TokenKind::Api { scopes },
        name,
        lifetime: body.expires_in,
    };
    let issued = app.engine.issue_token(identity.caller, person.id, issue).await;
    let secret = Secret::from(minted.secret);
    edited(&app, issued, Some(&secret), |issued| {
        let token = wire::token(issued, &app.engine.current().directory);
        let secret = secret.clone();
        (StatusCode::CREATED, IssuedToken { secret, token })
    })
    .await
}

/// The scopes of a new token, as they are kept. One for a gateway is a program's, for that alone, and names what it may serve.
fn written(new: &NewToken, owner: &Person) -> Answer<BTreeSet<String>> {
    if !new.scopes.contains(&Scope::Gateway) {
        if new.resources.is_empty() {
            return Ok(new.scopes.iter().map(|scope| scope.as_str().to_owned()).collect());
        }
        let what = "only a token with the scope gateway names resources";
        return Err(Failure::new(Code::Invalid, what));
    }
    let wrong = if new.scopes.len() > 1 {
        "a token with the scope gateway has no other"
    } else if owner.kind != Kind::Service {
        "a gateway has a service account of its own"
    } else if new.resources.is_empty() {
        "a gateway's token names the resources that it may serve"
    } else {
        return Ok(gateway_scopes(&new.resources));
    };
    Err(Failure::new(Code::Invalid, wrong)
        .hint("daypass service token LOGIN NAME --scope gateway --resource RESOURCE"))
}

/// A token acts as whose it is. One for a program is issued by who answers for it, and by nobody else; the engine decides.
fn for_service(app: &Parts, identity: &Identity, login: &str) -> Answer<Person> {
    let knows = identity.caller.administrator().is_ok();
    owner(app, identity, login, knows)
}

/// Ends a session or token: one's own, one of a service account that one answers for, or anybody's for administrators.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "identity", params(("id" = String, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn revoke(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<TokenId>,
) -> Answer<StatusCode> {
    app.engine.revoke_token(identity.caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
