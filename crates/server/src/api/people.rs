//! The local directory: accounts, groups, managers, roles, passwords. What the policy in force covers is answered with 202 and the
//! change that waits for others.

use axum::extract::State;
use axum::http::StatusCode;
use daypass_api::change::Proposed;
use daypass_api::person::{
    ChangeGroups, Group, NewPerson, Person, PersonQuery, SetHandle, SetMail, SetManager, SetPassword, SetRole,
};
use daypass_api::{Page, Problem, ProblemCode, Secret};
use daypass_core::id::PersonId;
use daypass_core::person::{Kind, Person as Core};
use daypass_core::refusal::Code;
use daypass_engine::{Error, NewPerson as Added, Proof};

use crate::api::edited::{Edited, edited};
use crate::api::page;
use crate::app::{App, Parts};
use crate::edge;
use crate::http::access::Identity;
use crate::http::intake::{Json, Path, Query};
use crate::http::problem::{Answer, Failure};
use crate::identity::password;
use crate::wire;

fn shown(app: &Parts, person: &Core) -> Json<Person> {
    Json(wire::person(person, &app.engine.current().directory))
}

/// The account as it is now, or what waits for others.
pub(super) async fn answered(
    app: &Parts,
    status: StatusCode,
    outcome: Result<Core, Error>,
) -> Answer<Edited<Person>> {
    edited(app, outcome, None, |person| (status, shown(app, person).0)).await
}

/// The hash of a new password that is good enough.
async fn hashed(app: &Parts, password: Secret) -> Answer<String> {
    let password = password.into_inner();
    password::check_new(&password)?;
    Ok(app.passwords.hash(password, edge::random()).await?)
}

/// The account of this login, whether or not it is switched on.
pub(super) fn called(app: &Parts, login: &str) -> Option<PersonId> {
    let people = app.engine.current().directory;
    let is_called = |person: &&Core| person.login.text() == login;
    people.people().find(is_called).map(|person| person.id)
}

/// Lists accounts, by login.
#[utoipa::path(get, path = "/api/v1/people", tag = "people", params(PersonQuery),
    responses((status = 200, body = Page<Person>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(app): State<App>,
    Query(query): Query<PersonQuery>,
) -> Answer<Json<Page<Person>>> {
    let people = app.engine.current().directory;
    let belongs = |person: &&Core| {
        query
            .group
            .as_deref()
            .is_none_or(|group| person.groups.contains(group))
            && (person.active || query.inactive == Some(true))
            && query.kind.is_none_or(|kind| Kind::from(kind) == person.kind)
    };
    let mut items: Vec<Person> = people
        .people()
        .filter(belongs)
        .map(|one| wire::person(one, &people))
        .collect();
    items.sort_by(|one, other| (&one.login, one.id).cmp(&(&other.login, other.id)));
    Ok(Json(page::of(items, query.limit, query.cursor.as_deref())?))
}

/// Makes an account.
#[utoipa::path(post, path = "/api/v1/people", tag = "people", request_body = NewPerson,
    responses((status = 201, body = Person), (status = 202, body = Proposed), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn add(
    State(app): State<App>,
    identity: Identity,
    Json(body): Json<NewPerson>,
) -> Answer<Edited<Person>> {
    let kind = Kind::from(body.kind);
    if kind == Kind::Service && body.password.is_some() {
        return Err(Failure::new(Code::Invalid, "a service account has no password")
            .hint("give it a token: daypass service token LOGIN NAME --scope read"));
    }
    let password = match body.password {
        Some(password) => Some(hashed(&app, password).await?),
        None => None,
    };
    let display = body.display.unwrap_or_else(|| body.login.to_string());
    let added = Added {
        login: body.login,
        display,
        kind,
        role: body.role.into(),
        groups: body.groups,
        manager: body.manager,
        owner: body.owner,
        mail: body.mail,
        password,
    };
    let person = app.engine.add_person(identity.caller, added).await;
    answered(&app, StatusCode::CREATED, person).await
}

/// Changes somebody's groups by what they join and leave.
#[utoipa::path(post, path = "/api/v1/people/{login}/groups", tag = "people", params(("login" = String, Path)),
    request_body = ChangeGroups, responses((status = 200, body = Person), (status = 202, body = Proposed), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn groups(
    State(app): State<App>,
    identity: Identity,
    Path(login): Path<String>,
    Json(body): Json<ChangeGroups>,
) -> Answer<Edited<Person>> {
    let ChangeGroups { add, remove } = body;
    let changed = app
        .engine
        .change_groups(identity.caller, &login, add, remove)
        .await;
    answered(&app, StatusCode::OK, changed).await
}

/// Sets or clears somebody's manager.
#[utoipa::path(post, path = "/api/v1/people/{login}/manager", tag = "people", params(("login" = String, Path)),
    request_body = SetManager, responses((status = 200, body = Person), (status = 202, body = Proposed), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn manager(
    State(app): State<App>,
    identity: Identity,
    Path(login): Path<String>,
    Json(body): Json<SetManager>,
) -> Answer<Edited<Person>> {
    let manager = body.manager.as_ref().map(|manager| manager.as_str());
    let changed = app.engine.set_manager(identity.caller, &login, manager).await;
    answered(&app, StatusCode::OK, changed).await
}

/// Gives somebody another role in Daypass.
#[utoipa::path(post, path = "/api/v1/people/{login}/role", tag = "people", params(("login" = String, Path)),
    request_body = SetRole, responses((status = 200, body = Person), (status = 202, body = Proposed), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn role(
    State(app): State<App>,
    identity: Identity,
    Path(login): Path<String>,
    Json(body): Json<SetRole>,
) -> Answer<Edited<Person>> {
    let role = body.role.into();
    let changed = app.engine.set_role(identity.caller, &login, role).await;
    answered(&app, StatusCode::OK, changed).await
}

/// Sets where mail for somebody goes.
#[utoipa::path(post, path = "/api/v1/people/{login}/mail", tag = "people", params(("login" = String, Path)),
    request_body = SetMail, responses((status = 200, body = Person), (status = 202, body = Proposed), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn mail(
    State(app): State<App>,
    identity: Identity,
    Path(login): Path<String>,
    Json(body): Json<SetMail>,
) -> Answer<Edited<Person>> {
    let mail = body.mail.as_deref();
    let changed = app.engine.set_mail(identity.caller, &login, mail).await;
    answered(&app, StatusCode::OK, changed).await
}

/// Says what targets of a namespace call somebody, or that they know them no more. What they hold that was given to another handle of
/// theirs ends.
#[utoipa::path(post, path = "/api/v1/people/{login}/handle", tag = "people", params(("login" = String, Path)),
    request_body = SetHandle, responses((status = 200, body = Person), (status = 202, body = Proposed), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn handle(
    State(app): State<App>,
    identity: Identity,
    Path(login): Path<String>,
    Json(body): Json<SetHandle>,
) -> Answer<Edited<Person>> {
    let SetHandle { namespace, id } = body;
    let changed = app
        .engine
        .set_handle(identity.caller, &login, namespace, id.as_deref())
        .await;
    answered(&app, StatusCode::OK, changed).await
}

/// Sets one's own password, or anybody's as an administrator. All sessions and tokens of the account end.
#[utoipa::path(post, path = "/api/v1/people/{login}/password", tag = "people", params(("login" = String, Path)),
    request_body = SetPassword, responses((status = 200, body = Person), (status = 202, body = Proposed), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn password(
    State(app): State<App>,
    identity: Identity,
    Path(login): Path<String>,
    Json(body): Json<SetPassword>,
) -> Answer<Edited<Person>> {
    let own = app.engine.current().directory.login(identity.caller.person) == login;
    if !own {
        identity.caller.administrator()?;
        if app.engine.find(&login)?.kind == Kind::Service {
            return Err(Failure::new(Code::Invalid, "a service account has no password"));
        }
    }
    let mut proof = None;
    if own {
        // A session that somebody left open must not be enough to take the account over.
        app.limits.proof(identity.token.id)?;
        let wrong = || Failure::new(ProblemCode::LoginFailed, "the present password is wrong");
        let current = body.current.ok_or_else(wrong)?;
        let person = identity.caller.person;
        let stored = app.engine.store().password(person).await?;
        proof = stored.as_deref().map(|stored| Proof::new(person, stored));
        if !app.passwords.verify(stored, current.into_inner()).await? {
            return Err(wrong());
        }
    }
    let hash = hashed(&app, body.password).await?;
    let changed = app
        .engine
        .set_password(identity.caller, &login, proof, hash)
        .await;
    answered(&app, StatusCode::OK, changed).await
}

/// Switches an account off. Its sessions and tokens end at once, and what it holds is taken away. The service accounts in `owns`
/// are orphaned from then on: what they hold is taken away too.
#[utoipa::path(post, path = "/api/v1/people/{login}/deactivate", tag = "people", params(("login" = String, Path)),
    responses((status = 200, body = Person), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn deactivate(
    State(app): State<App>,
    identity: Identity,
    Path(login): Path<String>,
) -> Answer<Json<Person>> {
    Ok(shown(
        &app,
        &app.engine.deactivate(identity.caller, &login).await?,
    ))
}

/// Switches an account on again.
#[utoipa::path(post, path = "/api/v1/people/{login}/reactivate", tag = "people", params(("login" = String, Path)),
    responses((status = 200, body = Person), (status = 202, body = Proposed), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn reactivate(
    State(app): State<App>,
    identity: Identity,
    Path(login): Path<String>,
) -> Answer<Edited<Person>> {
    let changed = app.engine.reactivate(identity.caller, &login).await;
    answered(&app, StatusCode::OK, changed).await
}

/// Lists groups and their active members.
#[utoipa::path(get, path = "/api/v1/groups", tag = "people",
    responses((status = 200, body = Page<Group>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn all_groups(State(app): State<App>) -> Answer<Json<Page<Group>>> {
    let people = app.engine.current().directory;
    let groups = people.groups();
    let items = groups
        .into_iter()
        .map(|(name, members)| wire::group(name, members, &people));
    Ok(Json(Page::all(items.collect())))
}
