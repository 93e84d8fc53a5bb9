//! Where a connector's admin secret comes from, which programs it may run, and as whom it calls a
//! cloud. The server implements it: what binds names to values is the operator's.

use async_trait::async_trait;
use daypass_core::entitlement::Fault;
use secrecy::SecretString;

use crate::azure::Identity;
use crate::{Error, Program};

/// The operator's secrets and programs, by name. `server.yaml` says where each secret is kept and to which hosts it may be
/// sent, and which program a name stands for.
///
/// # Replacing a secret without ever being locked out
///
/// A secret that is changed at a target lives in two places that cannot change at once. So the new value is first kept
/// *beside* the old one ([`stage`](Self::stage)), then set at the target, then tried, then made the value
/// ([`replace`](Self::replace)). Whoever finds the value refused by the target tries the [`staged`](Self::staged) one,
/// and replaces the value by it where that works. A crash anywhere in between leaves a value that works within reach.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The value of a secret that is about to be sent to this host and port, and how the connection must be protected.
    ///
    /// # Errors
    /// [`Fault::NotFound`] where there is no such secret; [`Fault::Denied`] where it may not be sent there.
    async fn reveal(&self, name: &str, host: &str, port: u16) -> Result<Revealed, Error>;

    /// The value that was [`stage`](Self::stage)d and not yet made the value, under the same conditions as the value.
    ///
    /// # Errors
    /// As [`reveal`](Self::reveal).
    async fn staged(&self, _name: &str, _host: &str, _port: u16) -> Result<Option<SecretString>, Error> {
        Ok(None)
    }

    /// Keeps a new value durably beside the present one, in place of any staged before.
    ///
    /// # Errors
    /// [`Fault::Misconfigured`] where Daypass cannot write the secret: it then cannot be rotated by Daypass either.
    async fn stage(&self, name: &str, _new: &SecretString) -> Result<(), Error> {
        let detail = format!("the secret {name} is kept where Daypass cannot write; rotate it there");
        Err(Error::new(Fault::Misconfigured, detail))
    }

    /// Makes this the value, durably, and forgets what was staged.
    ///
    /// # Errors
    /// [`Fault::Misconfigured`] where Daypass cannot write the secret; [`Fault::Unavailable`] where writing failed.
    async fn replace(&self, name: &str, new: &SecretString) -> Result<(), Error>;

    /// The program of this name, if the operator lets connectors run it. It does not change while the server runs.
    fn program(&self, _name: &str) -> Option<Program> {
        None
    }

    /// The names of all programs that connectors may run.
    fn programs(&self) -> Vec<String> {
        Vec::new()
    }

    /// Where the kind `ssh` keeps its authorities and what they issued; `None` where the server has no key to seal them.
    fn register(&self) -> Option<std::sync::Arc<dyn crate::ssh::Register>> {
        None
    }

    /// The identity of this name, if the operator lets connectors call a cloud as it. It does not change while the server runs.
    fn identity(&self, _name: &str) -> Option<Identity> {
        None
    }

    /// The names of all identities.
    fn identities(&self) -> Vec<String> {
        Vec::new()
    }

    /// Where a connector notes what it made at targets that bear no mark; `None` where the server keeps no notes.
    fn notebook(&self) -> Option<std::sync::Arc<dyn Notebook>> {
        None
    }

    /// The value of a secret that is about to be handed to a program.
    ///
    /// # Errors
    /// [`Fault::NotFound`] where there is no such secret; [`Fault::Denied`] where this program may not have it.
    async fn reveal_to_program(&self, name: &str, program: &str) -> Result<SecretString, Error> {
        let detail = format!("the secret {name} may not be handed to the program {program}");
        Err(Error::new(Fault::Denied, detail))
    }
}

/// Durable notes of connectors, for what a target itself cannot tell: a membership of a group bears no mark of who made it, and yet
/// what stood before must be told from what we gave, also after a crash. Small: one line for each such thing. Notes say what was
/// made, and never that somebody may have it: that is in the ledger.
#[async_trait]
pub trait Notebook: Send + Sync {
    /// All notes whose names begin so.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] where they cannot be read.
    async fn notes(&self, prefix: &str) -> Result<std::collections::BTreeMap<String, String>, Error>;

    /// Writes a note durably, in place of any of that name.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] where it could not be kept.
    async fn write(&self, name: &str, text: &str) -> Result<(), Error>;

    /// Forgets a note; one that is not there is forgotten already.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] where it may still be there.
    async fn strike(&self, name: &str) -> Result<(), Error>;
}

/// A secret, with how the connection that carries it must be protected.
#[derive(Debug, Clone)]
pub struct Revealed {
    /// The value.
    pub value: SecretString,
    /// Decided by `server.yaml`, never by policy.
    pub tls: Tls,
}

/// How a connection to a target is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// TLS, with the certificate checked against the host's name.
    VerifyFull {
        /// The CA to trust, in PEM; the system's where there is none.
        ca_pem: Option<String>,
    },
    /// None. For a loopback or an otherwise protected network, where the operator said so.
    Disabled,
}
