//! Where clients connect to a gateway, and how they know that it is the right one.

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::name::Name;
use daypass_core::time::Span;
use daypass_gateway::tls::end_points;

use super::named::{POSTGRES, SSH};
use super::start::{StartError, file};
use super::{Asker, Front};
use crate::config::{Address, Elsewhere as Apart};

/// Where clients connect to a gateway.
#[derive(Debug)]
pub(crate) struct Entrance {
    host: String,
    port: u16,
    trust: Trust,
}

/// Where SSH's clients connect to the gateway in this process, and the key that they know it by.
#[derive(Debug, Clone)]
pub(crate) struct SshEntrance {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Its line, without a comment.
    pub(crate) host_key: String,
    /// It takes passwords.
    pub(crate) passwords: bool,
    /// The longest that a key of somebody's own is taken; zero where none is.
    pub(crate) own_keys: Span,
}

/// How clients know a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trust {
    /// There is no TLS: it listens on this machine alone.
    Plain,
    /// By their system's certificates.
    System,
    /// By these certificates, in PEM.
    Certificates(String),
}

/// A gateway that runs apart, as the operator knows it.
#[derive(Debug)]
pub(crate) struct Elsewhere {
    /// The login of its service account.
    pub(crate) name: Name,
    /// Where clients connect to it.
    entrance: Entrance,
    /// The digests of the certificates that it may show, where the operator says which: proofs are bound to them.
    certificates: Option<Vec<Vec<u8>>>,
    /// What it may serve, whatever its token names.
    pub(crate) resources: BTreeSet<Name>,
}

impl Elsewhere {
    /// As it is configured. Reads the certificates. Blocks on small files.
    ///
    /// # Errors
    /// Where a file cannot be read, or has no certificate.
    pub(super) fn read(apart: &Apart) -> Result<Self, StartError> {
        let digests = |path| Ok::<_, StartError>(end_points(&file(path)?)?);
        Ok(Self {
            name: apart.name.clone(),
            entrance: Entrance::read(&apart.address)?,
            resources: apart.resources.clone(),
            certificates: apart.certificate.as_deref().map(digests).transpose()?,
        })
    }
}

impl Entrance {
    /// As it is configured. Reads the certificates. Blocks on a small file.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub(super) fn read(address: &Address) -> Result<Self, StartError> {
        Ok(Self {
            host: address.host.clone(),
            port: address.port,
            trust: match (&address.ca, address.is_plain) {
                (_, true) => Trust::Plain,
                (None, false) => Trust::System,
                (Some(ca), false) => Trust::Certificates(String::from_utf8_lossy(&file(ca)?).into_owned()),
            },
        })
    }

    /// Port 0 is any that is free: clients are told which it became.
    pub(super) fn bound(mut self, port: u16) -> Self {
        if self.port == 0 {
            self.port = port;
        }
        self
    }

    /// How a client connects, in libpq's words.
    pub(crate) fn fields(&self, login: &str) -> BTreeMap<String, String> {
        let mode = match self.trust {
            Trust::Plain => "disable",
            Trust::System | Trust::Certificates(_) => "verify-full",
        };
        let mut fields: BTreeMap<String, String> = [
            ("host", self.host.as_str()),
            ("port", &self.port.to_string()),
            ("user", login),
            ("sslmode", mode),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        if let Trust::Certificates(pem) = &self.trust {
            fields.insert("sslrootcert_pem".to_owned(), pem.clone());
        }
        fields
    }
}

impl Front {
    /// A gateway that runs apart, as the operator knows it; nothing where it is none.
    pub(crate) fn elsewhere(&self, name: &Name) -> Option<&Elsewhere> {
        self.apart.iter().find(|one| one.name == *name)
    }

    /// The digests of the certificates that the operator lets a gateway show; nothing where any will do.
    pub(super) fn pinned(&self, by: &Asker) -> Option<&[Vec<u8>]> {
        self.elsewhere(&by.name)?.certificates.as_deref()
    }

    /// How many sessions there are at this server's gateways, by their protocols.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let all = [POSTGRES, SSH].into_iter();
        all.map(|protocol| (protocol, self.leases.of_protocol(protocol)))
    }

    /// The gateways that may run apart, with each resource of theirs that is such a one.
    pub(crate) fn apart_serving(&self, such: impl Fn(&Name) -> bool) -> impl Iterator<Item = (&Name, &Name)> {
        let all = self.apart.iter();
        all.flat_map(|one| one.resources.iter().map(move |resource| (&one.name, resource)))
            .filter(move |(_, resource)| such(resource))
    }

    /// The gateways that may run apart, and whether each is there.
    pub(crate) fn apart_there(&self) -> impl Iterator<Item = (&Name, bool)> {
        self.apart
            .iter()
            .map(|one| (&one.name, self.present.listens(&one.name)))
    }

    /// Where PostgreSQL's clients who want this resource connect to: a gateway apart that serves it and is there, where `server.yaml`
    /// knows its address; or the one in this process, if it takes them.
    pub(crate) fn entrance(&self, resource: &Name) -> Option<&Entrance> {
        let serves = |one: &&Elsewhere| self.present.serves(&one.name, resource);
        let apart = self.apart.iter().find(serves);
        apart.map(|apart| &apart.entrance).or(self.own.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_are_told_follows_from_what_they_can_trust() {
        let address = Address {
            host: "db.example".to_owned(),
            port: 0,
            ca: None,
            is_plain: false,
        };
        let fields = Entrance::read(&address).unwrap().bound(7).fields("ana");
        assert_eq!(
            (fields["port"].as_str(), fields["sslmode"].as_str()),
            ("7", "verify-full")
        );
        let plain = Address {
            port: 6432,
            is_plain: true,
            ..address
        };
        let fields = Entrance::read(&plain).unwrap().bound(7).fields("ana");
        assert_eq!(
            (fields["port"].as_str(), fields["sslmode"].as_str()),
            ("6432", "disable")
        );
    }
}
