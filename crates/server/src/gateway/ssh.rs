//! SSH through the gateway: whose key, certificate or password somebody showed, and what leads to the host that they named.
//!
//! What was signed was checked (`control.rs`); whose key it is, and whether a certificate is good, is decided here.

use std::net::IpAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use daypass_core::grant::Grant;
use daypass_core::id::PersonId;
use daypass_core::name::Item;
use daypass_core::text::Hash;
use daypass_engine::Error;
use daypass_gateway::control::{Refusal, Unavailable};
use daypass_gateway::scram::Verifier;
use daypass_gateway::ssh::key::{Known, from_line};
use daypass_gateway::ssh::proof::Holder;
use daypass_gateway::ssh::target::{Allowed, Place, SshTarget};
use daypass_policy::Directory as _;
use daypass_providers::ssh::{NoWay, Way};
use daypass_store::TokenKind;
use secrecy::{ExposeSecret as _, SecretString};

use super::credential;
use super::named::{Named, SSH, said};
use super::open::{refusal, unavailable};
use super::proof::{LONGEST, Shown, Somebody, by_credential};
use crate::app::Parts;
use crate::identity::token::GATEWAY_PREFIX;

/// What a certificate's algorithm ends with.
const CERTIFIED: &str = "-cert-v01@openssh.com";

/// Who holds this key or certificate; nothing where it is nobody's, or theirs no more.
pub(super) async fn by_key(app: &Parts, holder: Holder) -> Result<Option<Somebody>, Unavailable> {
    let Holder {
        login,
        target,
        algorithm,
        key: blob,
    } = holder;
    let found = if algorithm.ends_with(CERTIFIED) {
        let shown = app.engine.pass_shown(&blob).await.map_err(unavailable)?;
        shown.map(|(pass, holder)| {
            let grant = Some(pass.grant);
            (holder, Shown::Certificate(blob.into(), pass.into()), grant)
        })
    } else {
        own(app, &blob).await?
    };
    let Some((id, credential, grant)) = found else {
        return Ok(None);
    };
    let current = app.engine.current();
    let person = current.directory.person(id).filter(|person| person.active);
    // Who says who they are must be that.
    let fits = |login: &str| current.directory.by_login(login).is_some_and(|one| one.id == id);
    Ok(person
        .filter(|_| login.as_deref().is_none_or(fits))
        .map(|person| Somebody {
            person: person.clone(),
            credential,
            grant,
            signature: Vec::new(),
            named: Some(target),
        }))
}

type Found = (PersonId, Shown, Option<daypass_core::id::GrantId>);

/// Whose own key it is.
async fn own(app: &Parts, blob: &[u8]) -> Result<Option<Found>, Unavailable> {
    let store = app.engine.store();
    let row = store.token(Hash::of(blob)).await.map_err(unavailable)?;
    let now = store.now().await.map_err(unavailable)?;
    let good = row.filter(|row| row.kind == TokenKind::SshKey && now < row.expires_at);
    Ok(good.map(|row| (row.person, Shown::Token(row.id), None)))
}

/// Whose personal credential this is. Whether there is such a login makes no difference to the work.
pub(super) async fn by_password(
    app: &Parts,
    user: &str,
    secret: &SecretString,
) -> Result<Option<Somebody>, Unavailable> {
    if !secret.expose_secret().starts_with(GATEWAY_PREFIX) || user.len() > LONGEST {
        return Ok(None);
    }
    let salt = credential::salt(app, user);
    let derived = secret.clone();
    // It takes milliseconds on purpose.
    let verifier = tokio::task::spawn_blocking(move || Verifier::of(&derived, salt).to_text()).await;
    let verifier = verifier.map_err(unavailable)?;
    by_credential(app, user, |kept| {
        let same = verify_slices_are_equal(kept.0.as_bytes(), verifier.expose_secret().as_bytes());
        same.is_ok().then(Vec::new)
    })
    .await
}

/// Whether a client may come from where it does. What is not certain is not taken where it counts.
fn comes_from(from: Option<IpAddr>, networks: &[String]) -> bool {
    if networks.is_empty() {
        return true;
    }
    let within = |text: &String| {
        let network = text.parse::<ipnet::IpNet>().ok();
        let network = network.or_else(|| text.parse::<IpAddr>().ok().map(ipnet::IpNet::from));
        network.is_some_and(|network| from.is_some_and(|from| network.contains(&from)))
    };
    networks.iter().any(within)
}

/// The way to the host that somebody named; or why there is none, for them.
pub(super) fn way(
    app: &Parts,
    (grant, item): (&Grant, &Item),
    named: &Named,
    from: Option<IpAddr>,
) -> Result<Result<Way, Refusal>, Error> {
    let way = app
        .engine
        .way(grant, item, (named.user.as_deref(), named.host.as_deref()))?;
    let several = |what: &str, all: &[String], mark: char| {
        let each: Vec<String> = all
            .iter()
            .map(|one| said(SSH, &format!("{item}{mark}{one}")))
            .collect();
        refusal(
            format!("{item} {what}"),
            Some(format!("say which: {}", each.join(" or "))),
        )
    };
    Ok(match way {
        Ok(way) if comes_from(from, &way.source_address) => Ok(way),
        Ok(_) => Err(refusal(format!("{item} is not reached from where you are"), None)),
        Err(NoWay::Users(all)) => Err(several("opens several users", &all, '+')),
        Err(NoWay::NoUser(all)) => Err(several("does not open that user", &all, '+')),
        Err(NoWay::Hosts(all)) => Err(several("has several hosts", &all, '@')),
        Err(NoWay::NoHost(all)) => Err(several("has no such host", &all, '@')),
        Err(NoWay::NoKey(host)) => Err(refusal(
            format!("nothing is known by which {host} could be told from another"),
            Some("the policy had no host_keys when this was granted: give it back and ask again".to_owned()),
        )),
        Err(NoWay::Broken(why)) => {
            tracing::error!(grant = %grant.id, error = %why, "what was granted cannot be read");
            Err(refusal(format!("{item} cannot be reached just now"), None))
        }
    })
}

/// What a gateway needs to log in there; nothing where a key of the policy cannot be read.
pub(super) fn target(way: Way, certificate: &str) -> Option<SshTarget> {
    let blobs = |lines: &[String]| -> Option<Vec<Vec<u8>>> {
        lines.iter().map(|line| from_line(line).ok()).collect()
    };
    let places = |all: Vec<daypass_providers::ssh::Place>| {
        let all = all.into_iter();
        all.map(|place| Place {
            host: place.host,
            port: place.port,
        })
        .collect()
    };
    Some(SshTarget {
        known: Known {
            name: way.host.clone(),
            keys: blobs(&way.host_keys)?,
            authorities: blobs(&way.host_authorities)?,
        },
        host: way.host,
        port: way.port,
        user: way.user,
        certificate: certificate.trim().to_owned(),
        allowed: Allowed {
            shell: way.allow.shell,
            exec: way.allow.exec,
            files: way.allow.files,
            forward: places(way.allow.forward),
            listen: places(way.allow.listen),
            agent: way.agent,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_networks_count_only_what_is_certain_is_within() {
        let here: IpAddr = "10.1.2.3".parse().unwrap();
        let networks = ["10.0.0.0/8".to_owned(), "192.0.2.7".to_owned()];
        assert!(comes_from(Some(here), &networks));
        assert!(comes_from(Some("192.0.2.7".parse().unwrap()), &networks));
        assert!(!comes_from(Some("192.0.2.8".parse().unwrap()), &networks));
        assert!(!comes_from(None, &networks));
        assert!(comes_from(None, &[]));
        assert!(!comes_from(Some(here), &["nonsense".to_owned()]));
    }
}
