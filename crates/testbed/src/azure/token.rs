//! Tokens of Entra: who proves to be which program, and what a token opens.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::call::{Answer, Call, Reply, set, text};
use super::operations::after;
use super::state::World;

/// A token that was given out.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) principal: String,
    /// `https://management.azure.com` or `https://graph.microsoft.com`.
    pub(super) audience: String,
    pub(super) ends: Timestamp,
}

/// How a program proves itself.
#[derive(Debug, Clone)]
pub(super) enum Proof {
    Secret(String),
    /// The SHA-256 of the certificate, and its public key (RSA, PKCS #1).
    Certificate {
        thumbprint: String,
        key: Vec<u8>,
    },
    /// Whose tokens count: issuer, subject and audience.
    Federated {
        issuer: String,
        subject: String,
        audience: String,
    },
    /// It is given by the machine itself.
    Managed,
}

/// A program's credentials.
#[derive(Debug, Clone)]
pub(super) struct Credential {
    pub(super) client: String,
    pub(super) principal: String,
    pub(super) proof: Proof,
}

/// `POST /{tenant}/oauth2/v2.0/token` with client credentials ("OAuth 2.0 client credentials flow on the Microsoft identity
/// platform").
pub(super) fn answer(call: &Call, world: &mut World) -> Answer {
    let form: BTreeMap<_, _> = url::form_urlencoded::parse(call.raw.as_bytes())
        .into_owned()
        .collect();
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    let tenant = call.parts().first().copied().unwrap_or_default();
    if !tenant.eq_ignore_ascii_case(&world.data.tenant) {
        let why = format!("Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID.");
        return Err(refusal(call, 400, "invalid_request", 90002, &why));
    }
    if field("grant_type") != "client_credentials" {
        let why = "The app requested an unsupported grant type.";
        return Err(refusal(call, 400, "unsupported_grant_type", 70003, why));
    }
    let scope = field("scope");
    let Some(audience) = audience(scope) else {
        let why = format!("The resource principal named {scope} was not found in the tenant.");
        return Err(refusal(call, 400, "invalid_resource", 500_011, &why));
    };
    let client = field("client_id");
    let ours: Vec<_> = world
        .credentials
        .iter()
        .filter(|one| one.client == client)
        .cloned()
        .collect();
    if ours.is_empty() {
        let why = format!("Application with identifier '{client}' was not found in the directory.");
        return Err(refusal(call, 400, "unauthorized_client", 700_016, &why));
    }
    let assertion = field("client_assertion");
    let found = if assertion.is_empty() {
        let secret = field("client_secret");
        ours.iter()
            .find(|one| matches!(&one.proof, Proof::Secret(ours) if ours == secret))
            .ok_or_else(|| {
                let why = format!("Invalid client secret provided for app '{client}'.");
                refusal(call, 401, "invalid_client", 7_000_215, &why)
            })
    } else {
        let kind = field("client_assertion_type");
        if kind != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
            let why = "The client_assertion_type is not jwt-bearer.";
            return Err(refusal(call, 401, "invalid_client", 50_027, why));
        }
        let judged = ours.iter().map(|one| proves(call, &one.proof, assertion, client));
        let judged: Vec<_> = judged.collect();
        let at = judged.iter().position(Result::is_ok);
        at.and_then(|at| ours.get(at)).ok_or_else(|| {
            let why = judged.into_iter().filter_map(Result::err).next_back();
            let (number, why) = why.unwrap_or((700_027, "no credential takes an assertion".to_owned()));
            refusal(
                call,
                401,
                "invalid_client",
                number,
                &format!("Client assertion failed: {why}."),
            )
        })
    }?;
    let body = issue(call, world, &found.principal.clone(), audience);
    Ok(Reply::ok(body).with("Cache-Control", "no-store, no-cache"))
}

/// What a scope asks for: one audience, and all that was consented to.
fn audience(scope: &str) -> Option<&'static str> {
    let asked = scope.strip_suffix(".default")?.trim_end_matches('/');
    match asked {
        "https://management.azure.com" | "https://management.core.windows.net" => {
            Some("https://management.azure.com")
        }
        "https://graph.microsoft.com" => Some("https://graph.microsoft.com"),
        _ => None,
    }
}

/// Makes a token and says it as Entra does.
fn issue(call: &Call, world: &mut World, principal: &str, audience: &str) -> Value {
    let life = world.token_life;
    let ends = after(call.now, life);
    world.data.made += 1;
    let mut claims = json!({
        "aud": audience, "iss": format!("https://sts.windows.net/{}/", world.data.tenant), "oid": principal, "sub": principal,
        "tid": world.data.tenant, "iat": call.now.as_second(), "nbf": call.now.as_second(), "exp": ends.as_second(),
        "uti": format!("uti-{}", world.data.made), "ver": "1.0", "idtyp": "app",
    });
    // A program's permissions of Graph are in its token ("Access token claims reference": roles).
    if audience.contains("graph") {
        let roles = world
            .data
            .principals
            .get(principal)
            .map(|one| one.app_roles.clone());
        set(&mut claims, "roles", json!(roles.unwrap_or_default()));
    }
    let header = json!({"typ": "JWT", "alg": "none"});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let token = format!(
        "{}.{}.{}",
        part(&header),
        part(&claims),
        URL_SAFE_NO_PAD.encode(b"stand-in")
    );
    let known = Token {
        principal: principal.to_owned(),
        audience: audience.to_owned(),
        ends,
    };
    world.tokens.insert(token.clone(), known);
    json!({"token_type": "Bearer", "expires_in": life.as_secs(), "ext_expires_in": life.as_secs(), "access_token": token})
}

fn refusal(call: &Call, status: u16, error: &str, number: u64, why: &str) -> Reply {
    let body = json!({
        "error": error,
        "error_description": format!("AADSTS{number}: {why}"),
        "error_codes": [number],
        "timestamp": call.now.to_string(),
        "trace_id": "00000000-0000-4000-8000-00000000face",
        "correlation_id": "00000000-0000-4000-8000-0000000c0de0",
    });
    Reply::new(status, body)
}

/// Whether an assertion is by whoever holds the credential ("Microsoft identity platform application authentication certificate
/// credentials"; "Workload identity federation"). Of federated ones the signature is not checked: the stand-in has no issuer.
fn proves(call: &Call, proof: &Proof, assertion: &str, client: &str) -> Result<(), (u64, String)> {
    let parts: Vec<_> = assertion.split('.').collect();
    let [head, claims, signature] = parts.as_slice() else {
        return Err((50_027, "it is no JWT".to_owned()));
    };
    let read = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
        serde_json::from_slice::<Value>(&bytes).ok()
    };
    let (Some(header), Some(said)) = (read(head), read(claims)) else {
        return Err((50_027, "it is no JWT".to_owned()));
    };
    let now = call.now.as_second();
    if said
        .get("exp")
        .and_then(Value::as_i64)
        .is_none_or(|ends| ends <= now)
    {
        return Err((700_024, "it is not within its valid time range".to_owned()));
    }
    match proof {
        Proof::Certificate { thumbprint, key } => {
            if text(&said, "/iss") != client || text(&said, "/sub") != client {
                return Err((700_021, "its issuer and subject are not the client".to_owned()));
            }
            if !text(&said, "/aud").contains("/oauth2/v2.0/token")
                || !text(&said, "/aud").contains(call.parts().first().unwrap_or(&""))
            {
                return Err((700_023, format!("its audience is {}", text(&said, "/aud"))));
            }
            let shown = [text(&header, "/x5t#S256"), text(&header, "/x5t")];
            if !shown.contains(&thumbprint.as_str()) {
                return Err((
                    700_027,
                    "the certificate with that thumbprint is not registered".to_owned(),
                ));
            }
            verify(text(&header, "/alg"), key, &format!("{head}.{claims}"), signature)
                .ok_or_else(|| (700_027, "its signature is wrong".to_owned()))
        }
        Proof::Federated {
            issuer,
            subject,
            audience,
        } => {
            let audience_said =
                text(&said, "/aud") == audience || said.pointer("/aud/0").is_some_and(|one| one == audience);
            if text(&said, "/iss") == issuer && text(&said, "/sub") == subject && audience_said {
                return Ok(());
            }
            Err((
                700_213,
                format!(
                    "no matching federated identity record for the presented subject '{}'",
                    text(&said, "/sub")
                ),
            ))
        }
        Proof::Secret(_) | Proof::Managed => Err((700_027, "no credential takes an assertion".to_owned())),
    }
}

fn verify(algorithm: &str, key: &[u8], signed: &str, signature: &str) -> Option<()> {
    let algorithm = match algorithm {
        "RS256" => &RSA_PKCS1_2048_8192_SHA256,
        "PS256" => &RSA_PSS_2048_8192_SHA256,
        _ => return None,
    };
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    UnparsedPublicKey::new(algorithm, key)
        .verify(signed.as_bytes(), &signature)
        .ok()
}

/// How a certificate is named in a JWT's header.
pub(super) fn thumbprint(der: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, der))
}

/// `GET /metadata/identity/oauth2/token`: the token of the machine's identity ("How to use managed identities … to acquire an access
/// token"). A machine with several needs `client_id`.
pub(super) fn of_the_machine(call: &Call, world: &mut World) -> Answer {
    if call.headers.get("metadata").map(String::as_str) != Some("true") {
        let body = json!({"error": "invalid_request", "error_description": "Required metadata header not specified"});
        return Err(Reply::new(400, body));
    }
    let client = call.asked("client_id").to_owned();
    let managed = world
        .credentials
        .iter()
        .filter(|one| matches!(one.proof, Proof::Managed));
    let ours: Vec<_> = managed
        .filter(|one| client.is_empty() || one.client == client)
        .cloned()
        .collect();
    let [one] = ours.as_slice() else {
        let body = json!({"error": "invalid_request", "error_description": "Identity not found"});
        return Err(Reply::new(400, body));
    };
    let resource = format!("{}/.default", call.asked("resource").trim_end_matches('/'));
    let Some(audience) = audience(&resource) else {
        let body =
            json!({"error": "invalid_resource", "error_description": "AADSTS500011: no such resource"});
        return Err(Reply::new(400, body));
    };
    let mut body = issue(call, world, &one.principal, audience);
    let life = world.token_life.as_secs();
    set(&mut body, "expires_in", life.to_string());
    set(
        &mut body,
        "expires_on",
        (after(call.now, world.token_life).as_second()).to_string(),
    );
    set(&mut body, "resource", audience);
    set(&mut body, "client_id", one.client.clone());
    Ok(Reply::ok(body))
}

/// Who a call is by; a refusal in the words of ARM or Graph.
pub(super) fn caller(call: &Call, world: &World, audience: &str) -> Result<String, Reply> {
    let arm = audience.contains("management");
    let refuse = |code: &str, arm_says: &str| {
        let code = if arm { code } else { "InvalidAuthenticationToken" };
        Reply::arm(401, code, arm_says).with("WWW-Authenticate", "Bearer")
    };
    let shown = call
        .headers
        .get("authorization")
        .and_then(|shown| shown.strip_prefix("Bearer "));
    let Some(shown) = shown else {
        return Err(refuse(
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.",
        ));
    };
    let Some(token) = world.tokens.get(shown) else {
        return Err(refuse(
            "InvalidAuthenticationToken",
            "The access token is invalid.",
        ));
    };
    if token.audience != audience {
        let why = format!(
            "The access token has been obtained for wrong audience or resource '{}'.",
            token.audience
        );
        return Err(refuse("InvalidAuthenticationTokenAudience", &why));
    }
    if token.ends <= call.now {
        return Err(refuse(
            "ExpiredAuthenticationToken",
            "The access token expiry UTC time is earlier than the current UTC time.",
        ));
    }
    Ok(token.principal.clone())
}
