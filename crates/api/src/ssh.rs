//! Certificates for SSH, and what hosts fetch and acknowledge.

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::id::PersonId;
use daypass_core::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Item;

/// `POST /grants/{id}/certificate`: for which key, and which item. The item may be left out where the grant has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskCertificate {
    /// The holder's own public key, in OpenSSH's one line. The private key stays with them.
    pub public_key: String,
    /// Which item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Item>,
    /// Where it goes through a gateway: for this host of the resource alone. What is typed for the user is then a user there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// Where SSH's clients connect to a gateway, and how they know that it is the right one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SshGateway {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its host key, as `known_hosts` has it behind the name.
    pub host_key: String,
    /// It takes the personal password too.
    #[serde(default)]
    pub passwords: bool,
}

/// `POST /gateway/ssh-keys`: a key of the caller's own that is to open the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSshKey {
    /// What its owner calls it.
    #[schema(example = "laptop")]
    pub name: String,
    /// The public key, in OpenSSH's one line.
    pub public_key: String,
    /// That the caller has the private key: [`NewSshKey::text`], signed for [`NewSshKey::PURPOSE`] by `ssh-keygen -Y sign`.
    pub signature: String,
    /// How long it is taken.
    #[schema(value_type = String, example = "90d")]
    pub expires_in: Span,
}

impl NewSshKey {
    /// What the signature is for, as OpenSSH's signatures say it: one for something else is none.
    pub const PURPOSE: &str = "ssh-key@daypass";

    /// What is signed: for whom the key is. Somebody else's signature adds it to nobody else's account.
    #[must_use]
    pub fn text(person: PersonId) -> String {
        format!("a key of {person}")
    }
}

/// A certificate, signed just now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Certificate {
    /// For which item.
    pub item: Item,
    /// The line for a file `…-cert.pub`.
    pub certificate: String,
    /// Its number, as the log and the host's log have it.
    pub serial: u64,
    /// The fingerprint of the key that it is for.
    pub key: String,
    /// Whom it names, as `user@resource`.
    pub principals: Vec<String>,
    /// From when it is valid, by the server's clock, with which those of hosts are to agree.
    #[schema(value_type = String, format = DateTime)]
    pub valid_after: Timestamp,
    /// Until when: a few minutes, and never beyond the grant's deadline.
    #[schema(value_type = String, format = DateTime)]
    pub valid_before: Timestamp,
    /// The hosts that it is for.
    pub hosts: Vec<String>,
    /// Their port.
    pub port: u16,
    /// The users that it opens there.
    pub users: Vec<String>,
    /// It runs one command only, or is taken from certain networks only.
    #[serde(default)]
    pub narrow: bool,
    /// It opens this gateway and nothing else: the hosts are behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<SshGateway>,
}

/// `GET /ssh/{connector}/hosts/{host}`: what a host is to have in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostFiles {
    /// The line for `TrustedUserCAKeys` of the key that signs; empty while the authority's key cannot be opened: what the host has stays.
    pub authority: String,
    /// All lines for `TrustedUserCAKeys`, that one first: while an authority gets another key, a host trusts two.
    #[serde(default)]
    pub authorities: Vec<String>,
    /// The version of the list of the revoked.
    pub version: u64,
    /// The list, as `RevokedKeys` takes it, in base64.
    pub krl: String,
    /// For each user of the host, the principals that open it.
    pub principals: BTreeMap<String, BTreeSet<String>>,
}

/// `POST /ssh/{connector}/hosts/{host}/acknowledge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = HostAcknowledge)]
pub struct Acknowledge {
    /// The version that is in place.
    pub version: u64,
    /// The lines for `TrustedUserCAKeys` that are in place, and that sshd reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<String>,
}
