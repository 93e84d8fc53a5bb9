//! Certificates for SSH, and what hosts fetch: the authority, the list of the revoked, and their own principals.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_api::Problem;
use daypass_api::ssh::{Acknowledge, AskCertificate, Certificate, HostFiles};
use daypass_core::id::GrantId;
use daypass_core::name::Name;
use daypass_core::refusal::Code;

use crate::api::{grants, through};
use crate::app::App;
use crate::http::access::Identity;
use crate::http::intake::{Json, Path};
use crate::http::problem::{Answer, Failure};

/// Signs a certificate for the holder's own key, for a few minutes and never beyond the grant's deadline. Where the resource is reached
/// through the gateway, it opens that, and no host.
#[utoipa::path(post, path = "/api/v1/grants/{id}/certificate", tag = "ssh", params(("id" = String, Path)),
    request_body = AskCertificate,
    responses((status = 200, body = Certificate), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn certificate(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<GrantId>,
    Json(body): Json<AskCertificate>,
) -> Answer<Json<Certificate>> {
    let grant = grants::visible(&app, &identity, id).await?;
    let engine = &app.engine;
    let (gateway, asked) = match through::item(&app, &grant, body.item.as_ref()) {
        Some(item) => {
            let gateway = through::ssh_entrance(&app, &item)?;
            let what = (body.public_key.as_str(), body.host.as_deref());
            let pass = engine.pass(identity.caller, id, Some(item), what).await;
            (Some(gateway), pass)
        }
        None => {
            if body.host.is_some() {
                let what = "a certificate is for one host alone only where a gateway is in front of it";
                return Err(Failure::new(Code::Invalid, what));
            }
            let item = body.item.map(Into::into);
            let asked = engine.certificate(identity.caller, id, item, &body.public_key);
            (None, asked.await)
        }
    };
    let (item, draft, issued) = asked?;
    Ok(Json(Certificate {
        item: item.into(),
        certificate: issued.certificate,
        serial: draft.serial,
        key: draft.fingerprint,
        principals: draft.principals,
        valid_after: draft.valid_after,
        valid_before: draft.valid_before,
        hosts: issued.hosts,
        port: issued.port,
        users: issued.users,
        narrow: issued.narrow,
        gateway,
    }))
}

/// The public keys of a connector's authority that hosts are to trust: the lines for `TrustedUserCAKeys`.
#[utoipa::path(get, path = "/api/v1/ssh/{connector}/ca.pub", tag = "ssh", params(("connector" = String, Path)), security(()),
    responses((status = 200, body = String, content_type = "text/plain"), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn authority(State(app): State<App>, Path(connector): Path<Name>) -> Answer<Response> {
    let line = app.engine.ssh_authority(&connector).await?;
    Ok((
        [
            (CONTENT_TYPE, "text/plain; charset=utf-8"),
            (CACHE_CONTROL, "no-cache"),
        ],
        line,
    )
        .into_response())
}

/// The list of the revoked, as `RevokedKeys` takes it. It holds serials and the authority's public key, and nothing else.
#[utoipa::path(get, path = "/api/v1/ssh/{connector}/krl", tag = "ssh", params(("connector" = String, Path)), security(()),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 304), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn krl(
    State(app): State<App>,
    Path(connector): Path<Name>,
    headers: HeaderMap,
) -> Answer<Response> {
    let krl = app.engine.ssh_krl(&connector).await?;
    let tag = format!("\"{}-{}\"", krl.version, krl.count);
    let known = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let head = [(ETAG, tag), (CACHE_CONTROL, String::from("no-cache"))];
    if known {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    let kind = [(CONTENT_TYPE, "application/octet-stream")];
    Ok((head, kind, Body::from(krl.bytes)).into_response())
}

/// What a host is to have in place, for the account that the policy names for it.
#[utoipa::path(get, path = "/api/v1/ssh/{connector}/hosts/{host}", tag = "ssh",
    params(("connector" = String, Path), ("host" = String, Path)),
    responses((status = 200, body = HostFiles), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn host(
    State(app): State<App>,
    identity: Identity,
    Path((connector, host)): Path<(Name, String)>,
) -> Answer<Json<HostFiles>> {
    let files = app.engine.ssh_host(identity.caller, &connector, &host).await?;
    Ok(Json(HostFiles {
        authority: files.authorities.first().cloned().unwrap_or_default(),
        authorities: files.authorities,
        version: files.krl.version,
        krl: STANDARD.encode(files.krl.bytes),
        principals: files.principals,
    }))
}

/// Keeps that a host has a version of the list in place. For the account that the policy names for it.
#[utoipa::path(post, path = "/api/v1/ssh/{connector}/hosts/{host}/acknowledge", tag = "ssh",
    params(("connector" = String, Path), ("host" = String, Path)), request_body = Acknowledge,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn acknowledge(
    State(app): State<App>,
    identity: Identity,
    Path((connector, host)): Path<(Name, String)>,
    Json(body): Json<Acknowledge>,
) -> Answer<StatusCode> {
    app.engine
        .ssh_acknowledge(
            identity.caller,
            &connector,
            &host,
            (body.version, &body.authorities),
        )
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
