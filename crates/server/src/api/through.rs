//! Credentials for what is reached through the gateway: they let somebody in there, and never say anything of the target's own.

use std::collections::BTreeMap;

use axum::extract;
use axum::http::StatusCode;
use daypass_api::grant::Credential;
use daypass_api::login::Token;
use daypass_api::session::GatewayCredential;
use daypass_api::ssh::{NewSshKey, SshGateway};
use daypass_api::{Item, Problem};
use daypass_core::grant::{Grant, State};
use daypass_core::name::Item as CoreItem;
use daypass_core::refusal::Code;
use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};
use daypass_engine::NewToken;
use daypass_gateway::ssh::possession::has_signed;
use daypass_policy::Access;
use daypass_providers::ssh::own_key;
use daypass_store::TokenKind;

use crate::api::logins;
use crate::app::{App, Parts};
use crate::gateway::{self, SshEntrance};
use crate::http::access::Identity;
use crate::http::intake::Json;
use crate::http::problem::{Answer, Failure};
use crate::wire;

/// The item that somebody asks credentials for, where that one is reached through the gateway.
pub(super) fn item(app: &Parts, grant: &Grant, asked: Option<&Item>) -> Option<CoreItem> {
    let item = match (asked, grant.parts.as_slice()) {
        (Some(asked), _) => CoreItem::from(asked.clone()),
        (None, [only]) => only.item().clone(),
        (None, _) => return None,
    };
    grant.part(&item)?;
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
    let part = grant.part(&item);
    let kind = part.map(|part| part.spec.kind.clone());
    let kind = kind.ok_or_else(|| Failure::internal(&"an item that the grant does not have"))?;
    if kind.as_str() == SSH {
        let what = format!("{item} has no credentials: the holder's own key is certified");
        return Err(Failure::new(Code::Invalid, what).hint(format!("daypass ssh {item}")));
    }
    let entrance = front.entrance(&item.resource).ok_or_else(|| {
        no_way(
            &item,
            "its gateway takes none of PostgreSQL's clients",
            "gateway: {postgres: …}",
        )
    })?;
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
    let mut fields = entrance.fields(&login);
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
    let user = || BTreeMap::from([(String::from("user"), login.clone())]);
    let own = front.own.as_ref();
    let credential = GatewayCredential {
        fields: own.map_or_else(user, |own| own.fields(&login)),
        ssh: front.ssh.as_ref().map(ssh_gateway),
        secret: secret.into(),
        expires_at,
    };
    Ok((StatusCode::CREATED, Json(credential)))
}

/// What an API token has issued lasts no longer than the token.
fn no_longer(identity: &Identity, lifetime: Span, now: Timestamp) -> Span {
    match identity.token.kind {
        TokenKind::Api { .. } => lifetime.min(identity.token.expires_at.since(now)),
        TokenKind::Session | TokenKind::Gateway { .. } | TokenKind::SshKey => lifetime,
    }
}

/// The kind whose credentials are certificates.
pub(super) const SSH: &str = "ssh";

fn no_way(item: &CoreItem, why: &str, config: &str) -> Failure {
    let what = format!("{item} is reached through the gateway, and {why}");
    Failure::new(Code::GatewayOnly, what).hint(format!("an administrator adds {config} to server.yaml"))
}

/// Where SSH's clients connect to who want this item; that certificates lead nowhere else.
pub(super) fn ssh_entrance(app: &Parts, item: &CoreItem) -> Answer<SshGateway> {
    let entrance = app.gateway.as_ref().and_then(|front| front.ssh.as_ref());
    let none = || {
        no_way(
            item,
            "this server has none for SSH",
            "gateway: {ssh: {listen: …}}",
        )
    };
    entrance.map(ssh_gateway).ok_or_else(none)
}

fn ssh_gateway(entrance: &SshEntrance) -> SshGateway {
    SshGateway {
        host: entrance.host.clone(),
        port: entrance.port,
        host_key: entrance.host_key.clone(),
        passwords: entrance.passwords,
    }
}

/// Takes a public key of the caller's own, who signs that they have the private key: who shows that to the gateway comes in as them. Taken
/// again by its owner, it is good from now on for as long as they say.
#[utoipa::path(post, path = "/api/v1/gateway/ssh-keys", tag = "sessions", request_body = NewSshKey,
    responses((status = 201, body = Token), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn add_ssh_key(
    extract::State(app): extract::State<App>,
    identity: Identity,
    Json(body): Json<NewSshKey>,
) -> Answer<(StatusCode, Json<Token>)> {
    let name = logins::checked_name(&body.name)?;
    let (key, fingerprint) = own_key(&body.public_key).map_err(|what| {
        Failure::new(Code::Invalid, what).hint("the .pub file, such as ~/.ssh/id_ed25519.pub")
    })?;
    let person = identity.caller.person;
    let signed = NewSshKey::text(person);
    if !has_signed(&key, NewSshKey::PURPOSE, signed.as_bytes(), &body.signature) {
        let what = format!("nothing shows that you have the private key of {fingerprint}");
        return Err(Failure::new(Code::Invalid, what).hint("daypass ssh-key add FILE.pub signs with it"));
    }
    logins::checked_lifetime(body.expires_in, "a key")?;
    let longest = app.gateway.as_ref().and_then(|front| front.ssh.as_ref());
    let longest = longest.map_or(Span::ZERO, |entrance| entrance.own_keys);
    if body.expires_in > longest {
        let (what, hint) = match longest {
            Span::ZERO => (
                String::from("this server takes no keys of people's own"),
                String::from("daypass ssh leads in with a certificate"),
            ),
            longest => (
                format!("a key is taken for {longest} at most"),
                format!("--for {longest}"),
            ),
        };
        return Err(Failure::new(Code::Invalid, what).hint(hint));
    }
    let _place = app.places.personal_credential(identity.caller.person)?;
    let hash = Hash::of(&key);
    match app.engine.store().token(hash).await? {
        Some(row) if row.person == person => {
            app.engine.revoke_token(identity.caller, row.id).await?;
        }
        Some(_) => {
            let what = format!("{fingerprint} is somebody else's already: a key is one person's");
            return Err(Failure::new(Code::Exists, what).hint("ssh-keygen -t ed25519 makes another"));
        }
        None => {}
    }
    logins::room_for_another(&app, identity.caller.person).await?;
    let new = NewToken {
        hash,
        kind: TokenKind::SshKey,
        name,
        lifetime: body.expires_in,
    };
    let issued = app.engine.issue_token(identity.caller, person, new).await?;
    let people = app.engine.current().directory;
    Ok((StatusCode::CREATED, Json(wire::token(&issued, &people))))
}
