//! A PostgreSQL behind the gateway: where it is, as whom to log in, and what may not pass.

use secrecy::SecretString;

/// Where to connect to, and as whom. The secret does not leave the gateway.
#[derive(Debug)]
pub struct PostgresTarget {
    /// Where it is.
    pub place: Place,
    /// The grant's own role.
    pub user: String,
    /// Its password; without one, a target that asks for it is not reached.
    pub password: Option<SecretString>,
    /// The database.
    pub database: String,
    /// What may not pass.
    pub guardrails: Guardrails,
}

/// Where a server is and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// A name or an address; the certificate must be for it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether and how the connection is protected.
    pub tls: TargetTls,
}

/// TLS to a target. There is no kind that takes any certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TargetTls {
    /// None.
    Disabled,
    /// Certificate and name are checked, by this CA or by those of the system.
    VerifyFull {
        /// The CA, PEM.
        ca_pem: Option<String>,
    },
}

/// Kinds of statements that are refused. A seat belt, no wall: see `guardrails.rs` beside this.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Guardrails {
    /// Nothing that changes anything.
    pub read_only: bool,
    /// Nothing that makes, changes or drops tables, roles and the like.
    pub no_ddl: bool,
    /// No UPDATE or DELETE of all rows.
    pub qualified: bool,
}

impl Guardrails {
    /// Whether there is any.
    #[must_use]
    pub const fn any(self) -> bool {
        self.read_only || self.no_ddl || self.qualified
    }
}
