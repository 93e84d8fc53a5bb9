//! A host behind the gateway: where it is, how it is known, as whom to log in, and what may be done there.

use super::key::Known;

/// Where to connect to, and as whom. The key to the certificate was drawn for this session, and does not leave the gateway.
#[derive(Debug, Clone)]
pub struct SshTarget {
    /// A name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user to be there.
    pub user: String,
    /// The certificate that an authority signed for the key in [`Opening::key`](crate::control::Opening::key), as a line of OpenSSH's.
    pub certificate: String,
    /// What it must show to be that host. There is no kind that takes any key.
    pub known: Known,
    /// What may be done there. What is not said here is refused.
    pub allowed: Allowed,
}

/// What a role opens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// A shell in a terminal; without one, whose commands nobody would see, where `exec` is too.
    pub shell: bool,
    /// Commands. `scp -O` and rsync are commands too.
    pub exec: bool,
    /// The `sftp` subsystem, which scp uses as well.
    pub files: bool,
    /// Where connections may be forwarded to from the client (`-L`, `-J`), as they are named: nothing is looked up.
    pub forward: Vec<Place>,
    /// Where the host may listen for connections to the client (`-R`).
    pub listen: Vec<Place>,
    /// The host may use the client's agent.
    pub agent: bool,
}

/// A host, or an address to listen at, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// As it is named.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Place {
    /// Whether it is this one. Any port is none: nobody could say beforehand which it becomes.
    pub(super) fn is(&self, host: &str, port: u32) -> bool {
        port != 0 && u32::from(self.port) == port && self.host.eq_ignore_ascii_case(host)
    }
}
