//! Credentials for what is reached through the gateway: they let somebody in there, and never say anything of the target's own.

use axum::extract;
use axum::http::StatusCode;
use daypass_api::grant::Credential;
use daypass_api::session::GatewayCredential;
use daypass_api::{Item, Problem};
use daypass_core::grant::{Grant, State};
use daypass_core::name::Item as CoreItem;
use daypass_core::refusal::Code;
use daypass_core::time::{Span, Timestamp};
use daypass_policy::Access;
use daypass_store::TokenKind;

use crate::app::{App, Parts};
use crate::gateway;
use crate::http::access::Identity;
use crate::http::intake::Json;
use crate::http::problem::{Answer, Failure};

/// The item that somebody asks credentials for, where that one is reached through the gateway.
pub(super) fn item(app: &Parts, grant: &Grant, asked: Option<&Item>) -> Option<CoreItem> {
    let item = match (asked, grant.parts.as_slice()) {
        (Some(asked), _) => CoreItem::from(asked.clone()),
        (None, [only]) => only.item().clone(),
        (None, _) => return None,
    };
    grant.parts.iter().find(|part| *part.item() == item)?;
    let policy = app.engine.current().policy;
    let resource = policy.resource(item.resource.as_str())?;
    (resource.access == Access::Gateway).then_some(item)
}

/// A credential for the gateway, for as long as the grant lasts.
pub(super) async fn credential(
    app: &Parts,
    identity: &Identity,
    grant: &Grant,
    item: CoreItem,
) -> Answer<Credential> {
    let Some(front) = &app.gateway else {
        let what = format!(
            "{} is reached through the gateway, and this server has none",
            item.resource
        );
        return Err(
            Failure::new(Code::GatewayOnly, what).hint("an administrator adds gateway to server.yaml")
        );
    };
    if grant.holder != identity.caller.person {
        return Err(Failure::new(
            Code::NotHolder,
            "only its holder gets credentials for a grant",
        ));
    }
    let State::Active { expires_at, .. } = grant.state else {
        let what = format!("the access of grant {} is not there", grant.id.short());
        return Err(Failure::new(Code::NotActive, what).hint("daypass status"));
    };
    let _places = app.places.credentials(identity.caller.person, grant.id)?;
    let now = app.engine.store().now().await?;
    let left = expires_at.since(now);
    if left == Span::ZERO {
        return Err(Failure::new(
            Code::GrantOver,
            format!("grant {} is over", grant.id.short()),
        ));
    }
    let (login, secret, _) = gateway::issue(
        app,
        identity.caller,
        Some(grant.id),
        no_longer(identity, left, now),
    )
    .await?;
    let part = grant.parts.iter().find(|part| *part.item() == item);
    let kind = part.map(|part| part.spec.kind.clone());
    let kind = kind.ok_or_else(|| Failure::internal(&"an item that the grant does not have"))?;
    let mut fields = front.entrance(&item.resource).fields(&login);
    fields.insert(String::from("dbname"), item.to_string());
    Ok(Credential {
        fields,
        item: item.into(),
        kind,
        secret: secret.into(),
        expires_at: Some(expires_at),
    })
}

/// Issues a personal credential for the gateway: for tools that connect by themselves. What its holder was granted, they reach with it;
/// where they hold nothing, connecting asks for it. It is shown this once.
#[utoipa::path(post, path = "/api/v1/gateway/credential", tag = "sessions",
    responses((status = 201, body = GatewayCredential), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn personal(
    extract::State(app): extract::State<App>,
    identity: Identity,
) -> Answer<(StatusCode, Json<GatewayCredential>)> {
    let front = app.gateway.as_ref().ok_or_else(|| {
        Failure::new(Code::NotFound, "this server has no gateway")
            .hint("an administrator adds gateway to server.yaml")
    })?;
    // Each takes some milliseconds of a processor.
    let _place = app.places.personal_credential(identity.caller.person)?;
    let now = app.engine.store().now().await?;
    let lifetime = no_longer(&identity, front.credential_lifetime, now);
    let (login, secret, expires_at) = gateway::issue(&app, identity.caller, None, lifetime).await?;
    let credential = GatewayCredential {
        fields: front.own.fields(&login),
        secret: secret.into(),
        expires_at,
    };
    Ok((StatusCode::CREATED, Json(credential)))
}

/// What an API token has issued lasts no longer than the token.
fn no_longer(identity: &Identity, lifetime: Span, now: Timestamp) -> Span {
    match identity.token.kind {
        TokenKind::Api { .. } => lifetime.min(identity.token.expires_at.since(now)),
        TokenKind::Session | TokenKind::Gateway { .. } => lifetime,
    }
}
