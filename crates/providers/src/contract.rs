//! The contract between the reconciler and a target: what a provider must do, and what it must never do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use daypass_core::deed::Telling;
use daypass_core::entitlement::{Fault, Spec};
use daypass_core::id::{GrantId, PersonId};
use daypass_core::name::{Item, Name};
use daypass_core::text::is_hostile;
use daypass_core::time::{Span, Timestamp};
use secrecy::SecretString;
use serde_json::Value;

use crate::inventory::{Cursor, Fit, Page};
use crate::{ConfigProblem, Secrets};

/// One connector (an account, a cluster, a database server) through which access is made, read and taken away.
///
/// # The contract
///
/// `tests/providers/conformance.rs` tries it sentence by sentence on every provider.
///
/// 1. **Idempotent.** Each call may be repeated, at any time, after any outcome of the one before; twice has the effect of
///    once. A repeated [`provision`](Self::provision) makes the target as the spec and the limit say *now*: it moves the
///    limit in either direction, and takes back what an earlier spec gave and this one does not. It does not change a
///    credential that was handed out.
/// 2. **Names follow from the key alone**, so that what a crash left behind is found again without any record.
/// 3. **Never adopt.** What stood at the target before, under the name that we would use, is refused as
///    [`Fault::AlreadyStanding`], is not changed by any later call, and counts as absent for us. So does what another
///    installation of Daypass made.
/// 4. **Revoking the absent succeeds**, also what was never provisioned. `spec` is `None` where the ledger does not know
///    it; a removal must be complete without it, as far as the target itself tells what is there.
/// 5. **Access goes first.** A removal first ends what can be used (new logins, running sessions), and only then clears
///    up. An error half-way leaves no more access than there was.
/// 6. **Usable is not residue.** [`Inspection::Present`] is what can still be used, a running session included, and
///    delays the end of a grant. Residue (objects that the holder left behind) is told and delays nothing.
/// 7. **Inspecting reads the target**, every time. It never answers from memory, and never repairs.
/// 8. **Nobody extends.** The target gets no limit later than `until`; where it keeps limits itself
///    ([`Capabilities::own_expiry`]), access ends at `until` with Daypass gone.
/// 9. **A credential is fresh** each time, is set at the target by the call that returns it, ends the one before, and is
///    stored nowhere. [`credential`](Self::credential) never makes or re-enables access: after a removal it fails.
/// 10. **Bounded.** Each call returns within [`Capabilities::ceiling`], whatever the target does. A timed-out call is
///     [`Fault::Unavailable`]: the effect may have taken place. What it sent takes effect before the ceiling, or is
///     found and undone by a removal that succeeds after it (a target that stood still goes on with what had reached it).
///     No call leaves the provider unusable: once the target is back, the next call works.
/// 11. **Errors are safe to show**: a [`Fault`] and words, without passwords, tokens or statements that hold them.
/// 12. Hostile text in a spec, key or holder is harmless: it is refused or quoted, and nothing else at the target changes.
/// 13. **Surveying changes nothing**, and never tells what this installation made as standing access. Its pages come to an end; each
///     call is bounded as every other, and waits behind what is given and taken away, never before it.
///
/// Calls for different keys may run at the same time; calls for one key may too (a worker that was overtaken), and the
/// loser gets [`Fault::Conflict`] or sees what the winner did.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What the target can do. Constant.
    fn capabilities(&self) -> Capabilities;

    /// Makes it so that the access is there until `until`, and no later. `holder` is the login of who will hold it, for
    /// people who look at the target (a comment there); it decides nothing.
    ///
    /// # Errors
    /// [`Fault::AlreadyStanding`] where something of that name is not ours; [`Fault::NotFound`] where something that the
    /// spec names is not there; the others as they say.
    async fn provision(
        &self,
        key: &str,
        spec: &Spec,
        holder: &str,
        until: Timestamp,
    ) -> Result<Progress, Error>;

    /// Takes the access away. [`Progress::Done`] says that the calls are through; only [`inspect`](Self::inspect) says
    /// that it is gone.
    ///
    /// # Errors
    /// Whatever keeps usable access from being removed. What only keeps residue from being removed is no error.
    async fn revoke(&self, key: &str, spec: Option<&Spec>) -> Result<Progress, Error>;

    /// Reads from the target what is there now.
    ///
    /// # Errors
    /// Where the target cannot be read: an answer that is not certain is an error, or [`Inspection::Unknown`].
    async fn inspect(&self, key: &str, spec: Option<&Spec>) -> Result<Inspection, Error>;

    /// Reads from the target what is being done with access that is there. `None`: it cannot be told. Only kinds that say so
    /// ([`Kind::tells_sessions`]) are asked.
    ///
    /// # Errors
    /// Where the target cannot be read, or the access is not there: that is no answer, and ends nothing.
    async fn activity(&self, _key: &str, _spec: &Spec) -> Result<Option<Activity>, Error> {
        Ok(None)
    }

    /// How late the target's own log of what was done there is complete; `None`: it keeps none that can be read. Where it says so,
    /// [`deeds`](Self::deeds) is asked for every grant, up to its end.
    fn tells_deeds(&self) -> Option<Span> {
        None
    }

    /// What the holder did at the target from `from` until before `to`, by the target's clock: all of it, the oldest first, and as
    /// far as the target can tell with this access. It changes nothing.
    ///
    /// # Errors
    /// Where the target's log cannot be read, or not all of that time.
    async fn deeds(
        &self,
        _key: &str,
        _spec: &Spec,
        _from: Timestamp,
        _to: Timestamp,
    ) -> Result<Telling, Error> {
        Err(Error::new(
            Fault::Misconfigured,
            "this target tells nothing of what was done",
        ))
    }

    /// All that this installation made and did not finish taking away. Foreign things are not listed, nor is what a finished
    /// removal left as residue.
    ///
    /// # Errors
    /// Where the target cannot be read.
    async fn list_managed(&self) -> Result<Listed, Error>;

    /// A fresh secret for access that is there, set at the target now, and all that is needed to use it.
    ///
    /// # Errors
    /// [`Fault::NotFound`] where the access is not there (any more); [`Fault::Misconfigured`] where the kind has no
    /// credentials ([`Capabilities::credential`]).
    async fn credential(&self, key: &str, spec: &Spec) -> Result<Credential, Error>;

    /// Who signs certificates for the holder's own key, where that is what access is.
    fn certifier(&self) -> Option<&dyn crate::ssh::Certifier> {
        None
    }

    /// Replaces the connector's own admin secret, at the target and in [`Secrets`]. A crash or an error at any point
    /// leaves one of the two that still works where [`Secrets`] finds it.
    ///
    /// # Errors
    /// [`Fault::Misconfigured`] where the secret comes from where Daypass cannot write.
    async fn rotate_admin(&self) -> Result<(), Error>;

    /// Reads from the target who has what there without Daypass, and what a policy could name: the next part of it, or with no cursor
    /// the first. `None`: this kind cannot tell. A part is what one call can read within [`Capabilities::ceiling`], and what the target
    /// lets be read at once; the caller asks for the next when it likes, with other calls between them.
    ///
    /// # Errors
    /// Where the target cannot be read. The same cursor may be tried again; [`Fault::Conflict`] says that it leads nowhere any more, and
    /// that the survey must begin anew.
    async fn survey(&self, _from: Option<Cursor>) -> Result<Option<Page>, Error> {
        Ok(None)
    }

    /// Whether the connector can do its work: reachable, recent enough, with the rights that it needs. Changes nothing.
    ///
    /// # Errors
    /// What is missing, in words that say how to grant it.
    async fn probe(&self) -> Result<(), Error>;
}

/// What stands at a target, by key, with its limit: one that somebody changed by hand is found without a look at each key.
pub type Listed = BTreeMap<String, Limit>;

/// What a list tells of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The one that [`Provider::inspect`] would tell; `None` where none stands there.
    Told(Option<Timestamp>),
    /// Nothing: only a look at each key would.
    Untold,
}

/// What a target can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// The target itself ends new use at the limit, with Daypass gone.
    pub own_expiry: bool,
    /// There are credentials to hand out.
    pub credential: bool,
    /// Several grants, of several people, may hold one key: a port opened to a network, a role assignment, a membership.
    pub shared: bool,
    /// How long what was changed may take to show: a read that lags within it is not drift.
    pub propagation: Span,
    /// After so long every call has returned.
    pub ceiling: Span,
}

/// How far a call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It is through.
    Done,
    /// The target works on it; the same call asks how far it is.
    Pending {
        /// When to ask again.
        poll_after: Span,
    },
}

/// What the target showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inspection {
    /// It can be used: a new use is possible, or one is still going on.
    Present {
        /// The target's own limit; `None` where it keeps none or shows none. Where it keeps coarser time than it is told, the
        /// limit that it was told, as long as what it keeps is that limit rounded.
        until: Option<Timestamp>,
        /// What would be left behind if it were taken away now, as far as that is known without trying.
        residue: Vec<String>,
    },
    /// It cannot be used.
    Absent {
        /// What is left behind.
        residue: Vec<String>,
    },
    /// It cannot be used, and that is known by something else than a look at the target: an acknowledgement, or that
    /// nothing which was handed out is valid any more.
    Gone {
        /// What shows it, for people.
        shown_by: String,
    },
    /// The target answered, and its answer does not tell.
    Unknown,
}

/// What is being done with access that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// How many sessions are open.
    pub sessions: u32,
    /// For how long none of them has done anything; nothing while one does. By the target's own reckoning of time that has
    /// passed, never by comparing its clock with another. `None` where there are no sessions, or it does not tell.
    pub quiet: Option<Span>,
}

impl Inspection {
    /// Whether it is there, with this limit or with none.
    #[must_use]
    pub fn shows(&self, limit: Timestamp) -> bool {
        matches!(self, Self::Present { until, .. } if until.is_none_or(|until| until == limit))
    }
}

/// What went wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}: {detail}")]
pub struct Error {
    /// The kind, which decides whether and when to try again.
    pub fault: Fault,
    /// What happened, for people: no secrets, at most a few hundred characters.
    pub detail: String,
}

/// The longest detail of an error, in characters. What a target says is cut there: it may be long and hostile.
const DETAIL_MAX: usize = 400;

impl Error {
    /// An error of this kind. Control characters are taken out of the detail, and it is cut to a few hundred characters.
    pub fn new(fault: Fault, detail: impl AsRef<str>) -> Self {
        let detail = detail
            .as_ref()
            .chars()
            .map(|c| if is_hostile(c) { ' ' } else { c })
            .take(DETAIL_MAX)
            .collect();
        Self { fault, detail }
    }
}

/// What is needed to use the access. It is handed to the holder (or the gateway) once.
#[derive(Debug, Clone)]
pub struct Credential {
    /// What is no secret, by name. A `postgres` credential has libpq's words: `host`, `port`, `user`, `dbname`,
    /// `sslmode`, and `sslrootcert_pem` where a CA of its own is to be trusted.
    pub fields: BTreeMap<String, String>,
    /// The secret: a password or token.
    pub secret: SecretString,
}

/// A secret that a connector would send somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretUse {
    /// Its name.
    pub name: String,
    /// The host that it would be sent to.
    pub host: String,
    /// The port there.
    pub port: u16,
}

/// An item of a grant that is about to be given a key at its target.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'a> {
    /// The grant.
    pub grant: GrantId,
    /// Which item of it.
    pub index: usize,
    /// Who will hold it.
    pub holder: PersonId,
    /// The role on the resource.
    pub item: &'a Item,
    /// The resource's configuration.
    pub resource: &'a Value,
    /// The role's configuration.
    pub role: &'a Value,
    /// What the target calls who will hold it, where the directory knows it.
    pub subject: Option<&'a str>,
    /// The address that the request is bound to, where a rule bound it to one.
    pub source: Option<IpAddr>,
}

/// What must be known of who asks, before an item can be given at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// What the target calls them ([`Kind::subjects`] says in which namespace of the directory).
    pub subject: bool,
    /// The address that they asked from.
    pub source: bool,
}

/// A kind of target: how its configuration is read, and how a connector of it is connected.
pub trait Kind: Send + Sync {
    /// What policy calls it.
    fn name(&self) -> &'static str;

    /// The kind of connector that reaches resources of this kind: itself, or the one that several kinds of resource share
    /// (`azure` for `azure-vm`). Only connectors of that kind are ever connected.
    fn connector(&self) -> &'static str {
        self.name()
    }

    /// The namespace of the directory in which a connector of this kind looks for what its target calls people; `None` where its
    /// access is not given to anybody that the target knows.
    fn subjects(&self, _connector: &Value) -> Option<Name> {
        None
    }

    /// What must be known of who asks before this role on this resource can be given. What is needed and not known is refused, in
    /// the preview too.
    fn needs(&self, _resource: &Value, _role: &Value) -> Needs {
        Needs::default()
    }

    /// Checks a connector's configuration, without calling the target.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    fn check_connector(&self, config: &Value) -> Result<(), Vec<ConfigProblem>>;

    /// Checks a resource's configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    fn check_resource(&self, config: &Value) -> Result<(), Vec<ConfigProblem>>;

    /// Checks a role's configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    fn check_role(&self, config: &Value) -> Result<(), Vec<ConfigProblem>>;

    /// Checks what a resource's configuration says with how it is reached: through a `gateway`, or directly. It was checked by itself.
    ///
    /// # Errors
    /// What is missing for that, or would not be kept.
    fn check_resource_access(&self, _gateway: bool, _config: &Value) -> Result<(), Vec<ConfigProblem>> {
        Ok(())
    }

    /// The same for a role.
    ///
    /// # Errors
    /// As [`check_resource_access`](Self::check_resource_access).
    fn check_role_access(&self, _gateway: bool, _config: &Value) -> Result<(), Vec<ConfigProblem>> {
        Ok(())
    }

    /// What resources of one connector, each with its name and configuration, may not say together; with the place of the one to
    /// tell it of. Each was checked by itself.
    fn check_together(&self, _resources: &[(&str, &Value)]) -> Vec<(usize, ConfigProblem)> {
        Vec::new()
    }

    /// Which secrets a connector's configuration names, and where they would be sent: for the server to refuse a policy
    /// that names others than `server.yaml` allows. Empty where the configuration cannot be read.
    fn secrets(&self, connector: &Value) -> Vec<SecretUse>;

    /// The key at the target of a grant's item. Two items with one key share one opening, whoever holds them.
    fn target_key(&self, grant: GrantId, index: usize, resource: &Value, role: &Value) -> String;

    /// The key at the target of a grant's item, for kinds where it depends on who holds it.
    fn key(&self, placed: &Placed<'_>) -> String {
        self.target_key(placed.grant, placed.index, placed.resource, placed.role)
    }

    /// What giving this would do at the target, in the vendor's own words, a line for each thing (a statement, a rule, an
    /// assignment): for people who decide whether it is to be given. Empty where what the policy writes says it best. It never calls
    /// the target.
    fn effect(&self, _placed: &Placed<'_>) -> Vec<String> {
        Vec::new()
    }

    /// Whether its providers can tell what is done with access that is there ([`Provider::activity`]): without that, no rule may
    /// end access by it.
    fn tells_sessions(&self) -> bool {
        false
    }

    /// Whether its providers tell what was done with access there ([`Provider::tells_deeds`]): a grant then waits for that.
    fn tells_deeds(&self, _connector: &Value) -> bool {
        false
    }

    /// Whether a resource of the policy is the place that an offer of a survey names ([`crate::inventory::Offer`]). Both are of this kind
    /// and of one connector, and each was checked by itself.
    fn is_place(&self, resource: &Value, offered: &Value) -> bool {
        resource == offered
    }

    /// Whether a role of such a resource gives what an offer says: the same, or more; `None` where it lacks some of it.
    fn fits(&self, role: &Value, offered: &Value) -> Option<Fit> {
        (role == offered).then_some(Fit::Same)
    }

    /// Checks that the operator's file allows what a connector's configuration names, beside its secrets. A policy that
    /// names what it does not allow is not put in force.
    ///
    /// # Errors
    /// Everything that is not allowed.
    fn check_allowed(&self, _connector: &Value, _operator: &dyn Secrets) -> Result<(), Vec<ConfigProblem>> {
        Ok(())
    }

    /// What a connector's configuration reaches, as words to compare: where they differ, the target is another one, and
    /// what stands at the first would be looked for at the second. As far as where its secrets go tells, unless the kind
    /// knows better.
    fn reaches(&self, connector: &Value) -> BTreeSet<String> {
        let places = self.secrets(connector).into_iter();
        places
            .map(|secret| format!("{} {}", secret.host, secret.port))
            .collect()
    }

    /// A provider for a connector. It does not call the target: one that is down must not keep the server from starting.
    ///
    /// # Errors
    /// [`Fault::Misconfigured`] where [`check_connector`](Self::check_connector) would have found something.
    fn connect(
        &self,
        connector: &Name,
        config: &Value,
        secrets: Arc<dyn Secrets>,
        installation: &str,
    ) -> Result<Arc<dyn Provider>, Error>;
}
