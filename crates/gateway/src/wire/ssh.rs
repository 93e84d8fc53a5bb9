//! A host behind the gateway, on its way from the server to a gateway that runs apart.

use daypass_api::gateway as api;

use super::unread;
use crate::control::Unavailable;
use crate::ssh::key::Known;
use crate::ssh::target::{Allowed, Place, SshTarget};

pub(super) fn upstream(target: SshTarget) -> api::SshUpstream {
    let hex = |keys: &[Vec<u8>]| keys.iter().map(hex::encode).collect();
    let Allowed {
        shell,
        exec,
        files,
        forward,
        listen,
        agent,
    } = target.allowed;
    let places = |places: Vec<Place>| {
        let place = |Place { host, port }| api::SshPlace { host, port };
        places.into_iter().map(place).collect()
    };
    api::SshUpstream {
        host: target.host,
        port: target.port,
        user: target.user,
        certificate: target.certificate,
        host_keys: hex(&target.known.keys),
        host_authorities: hex(&target.known.authorities),
        name: target.known.name,
        allowed: api::SshAllowed {
            shell,
            exec,
            files,
            forward: places(forward),
            listen: places(listen),
            agent,
        },
    }
}

pub(super) fn to_upstream(target: api::SshUpstream) -> Result<SshTarget, Unavailable> {
    let bytes = |keys: &[String]| -> Result<Vec<Vec<u8>>, Unavailable> {
        keys.iter()
            .map(|key| hex::decode(key).map_err(|_| unread("key of a host")))
            .collect()
    };
    let api::SshAllowed {
        shell,
        exec,
        files,
        forward,
        listen,
        agent,
    } = target.allowed;
    let places = |places: Vec<api::SshPlace>| {
        let place = |api::SshPlace { host, port }| Place { host, port };
        places.into_iter().map(place).collect()
    };
    Ok(SshTarget {
        host: target.host,
        port: target.port,
        user: target.user,
        certificate: target.certificate,
        known: Known {
            keys: bytes(&target.host_keys)?,
            authorities: bytes(&target.host_authorities)?,
            name: target.name,
        },
        allowed: Allowed {
            shell,
            exec,
            files,
            forward: places(forward),
            listen: places(listen),
            agent,
        },
    })
}
