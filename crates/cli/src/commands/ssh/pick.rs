//! Which of the grants that somebody holds plain ssh uses for a host: one that is there, is known to lead there or may, and
//! gives the most.

use std::cmp::Reverse;

use daypass_api::grant::{Grant, GrantState};
use daypass_api::ssh::{AskCertificate, Certificate};
use daypass_api::{Client, Item};
use daypass_core::id::GrantId;
use daypass_core::time::Timestamp;

use super::KIND;
use super::keep::Keep;
use crate::failure::Failure;

/// What was found for a host and a user.
pub(super) enum Picked {
    /// A certificate, and the grant that gives it.
    Certificate(GrantId, Box<Certificate>),
    /// None; why, where a grant is there that leads there or may.
    Nothing(Option<Failure>),
}

/// Looks for a certificate that serves now. A role that runs one command only, or is taken from some networks only, is used where nothing else
/// leads there; then what lasts longest. One grant that cannot be certified does not keep the others from being used.
pub(super) async fn pick(
    client: &Client,
    keep: &Keep,
    grants: &[Grant],
    (host, user): (&str, &str),
    now: Timestamp,
) -> Result<Picked, Failure> {
    let mut candidates: Vec<_> = grants
        .iter()
        .flat_map(|grant| {
            let of_kind = grant
                .entitlements
                .iter()
                .filter(|part| part.kind.as_str() == KIND);
            of_kind.map(move |part| {
                let (resource, role) = (part.resource.clone(), part.role.clone());
                (grant, Item { resource, role })
            })
        })
        // Which hosts an item has is known from its grant's first certificate on.
        .filter(|(grant, item)| !keep.rules_out(grant.id, item, host, user))
        .collect();
    candidates.sort_by_key(|(grant, item)| (keep.narrow(grant.id, item), Reverse(grant.expires_at)));
    let (mut narrow, mut failed) = (None, None);
    for (grant, item) in candidates {
        if grant.state != GrantState::Active {
            let (state, id) = (grant.state.as_str(), grant.id.short());
            let over = format!("{item} is {state} (grant {id})");
            failed.get_or_insert_with(|| Failure::new(crate::exit::Exit::NOT_ELIGIBLE, over));
            continue;
        }
        let certificate = match certified(client, keep, (grant.id, &item), now).await {
            Ok(certificate) => certificate,
            Err(failure) => {
                let what = format!("{item} could not be certified: {}", failure.told().0);
                // Rather than that something else is over.
                let hint = failure
                    .told()
                    .1
                    .unwrap_or("daypass status shows how the grant is");
                failed = Some(Failure::new(failure.exit, what).hint(hint));
                continue;
            }
        };
        if !leads(&certificate.hosts, host) || !certificate.users.iter().any(|one| one == user) {
            continue;
        }
        if !certificate.narrow {
            return Ok(Picked::Certificate(grant.id, Box::new(certificate)));
        }
        narrow.get_or_insert((grant.id, certificate));
    }
    Ok(match narrow {
        Some((grant, certificate)) => Picked::Certificate(grant, Box::new(certificate)),
        None => Picked::Nothing(failed),
    })
}

/// A certificate for an item of an active grant: the last one, where it still serves, and else another. One is for all hosts
/// of the item, and a server gives so many at a time.
pub(crate) async fn certified(
    client: &Client,
    keep: &Keep,
    (grant, item): (GrantId, &Item),
    now: Timestamp,
) -> Result<Certificate, Failure> {
    if let Some(certificate) = keep.fresh(grant, item, now) {
        return Ok(certificate);
    }
    let ask = AskCertificate {
        public_key: keep.public_key.clone(),
        item: Some(item.clone()),
        host: None,
    };
    let certificate = client.certificate(grant, &ask).await?;
    keep.remember(grant, &certificate)?;
    Ok(certificate)
}

/// The certificate of an item as plain ssh to this host is to have it: where a gateway is in front, one for that host alone. There ssh says
/// the user's name, and nothing says the host's.
pub(super) async fn for_host(
    client: &Client,
    keep: &Keep,
    (grant, certificate): (GrantId, Certificate),
    host: &str,
) -> Result<Certificate, Failure> {
    if certificate.gateway.is_none() {
        return Ok(certificate);
    }
    let ask = AskCertificate {
        public_key: keep.public_key.clone(),
        item: Some(certificate.item.clone()),
        host: Some(host.to_owned()),
    };
    Ok(client.certificate(grant, &ask).await?)
}

/// Whether a host is among these, in whatever letters it was typed.
pub(super) fn leads(hosts: &[String], host: &str) -> bool {
    hosts.iter().any(|one| one.eq_ignore_ascii_case(host))
}
