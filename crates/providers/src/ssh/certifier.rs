//! Issuing a certificate in two steps, so that the log has it before it exists; and what hosts are to have.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use daypass_core::entitlement::{Fault, Spec};
use daypass_core::time::{Span, Timestamp};
use serde_json::Value;

use super::authority::{Authority, Claims};
use super::config::{Resource, Role};
use super::key::PublicKey;
use super::krl;
use super::presented::{Presented, Shown};
use super::provider::Connected;
use super::register::End;
use super::rotation::{Publics, Rotate};
use super::through::{self, NoWay, Way};
use crate::Error;
use crate::config::misconfigured;

/// A certificate is valid from so long before it is made: a host's clock may be behind.
const BEFORE: Span = Span::minutes(1);

/// What somebody asks a certificate for.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Their public key, in OpenSSH's one line.
    pub public_key: &'a str,
    /// What the host's log shows; no secret.
    pub key_id: &'a str,
    /// The grant's deadline: no certificate lasts longer.
    pub until: Timestamp,
    /// What it is to open.
    pub opens: Opens<'a>,
}

/// What a certificate opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opens<'a> {
    /// The hosts of the resource, for its holder: all that the role gives.
    Hosts,
    /// A gateway, which knows its holder by this principal. No host has it in a file, and no user is called so.
    Gateway(&'a str),
    /// One user of the hosts, for one session that a gateway holds. What comes from where is held against the client there: hosts see
    /// the gateway.
    Session(&'a str),
}

/// How long a certificate of a session is good at most: for its login.
const FOR_A_LOGIN: Span = Span::minutes(1);

/// A certificate that may be signed: it has its serial, and is known to the register.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Its serial.
    pub serial: u64,
    /// The fingerprint of the key that it is for.
    pub fingerprint: String,
    /// Whom it makes its holder at the hosts, each as `user@resource`.
    pub principals: Vec<String>,
    /// From when it is valid, by the clock: hosts judge by theirs, and not by the time that decides.
    pub valid_after: Timestamp,
    /// Until when, by the clock.
    pub valid_before: Timestamp,
    pub(super) key: PublicKey,
    pub(super) key_id: String,
    /// The role runs one command only, or comes from certain networks only; whatever of it this certificate says.
    pub(super) narrow: bool,
    pub(super) role: Role,
    pub(super) resource: Resource,
}

/// A signed certificate, with what is needed to use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The line for a file `…-cert.pub`.
    pub certificate: String,
    /// The hosts that it is for.
    pub hosts: Vec<String>,
    /// Their port.
    pub port: u16,
    /// The users that it opens there.
    pub users: Vec<String>,
    /// It runs one command only, or comes from certain networks only.
    pub narrow: bool,
}

/// The list of the revoked, as `RevokedKeys` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Krl {
    /// Rises whenever something is added, and whenever what ran out long ago falls out.
    pub version: u64,
    /// How many certificates are on it.
    pub count: usize,
    /// The file.
    pub bytes: Vec<u8>,
}

/// A provider whose access is a certificate for the holder's own key.
#[async_trait]
pub trait Certifier: Send + Sync {
    /// Whether a public key is one to certify.
    ///
    /// # Errors
    /// Why not, for whoever handed it in.
    fn check_key(&self, public_key: &str) -> Result<(), String>;

    /// Takes a serial for a certificate for this key. It is not signed yet.
    ///
    /// # Errors
    /// [`Fault::Misconfigured`] where the public key is not one to certify (the detail says why); [`Fault::NotFound`] where
    /// no certificate may be issued (any more); [`Fault::RateLimited`] where too many are valid already.
    async fn draft(&self, key: &str, spec: &Spec, ask: &Ask<'_>) -> Result<Draft, Error>;

    /// Signs it.
    ///
    /// # Errors
    /// Where the authority's key cannot be had.
    async fn sign(&self, draft: &Draft) -> Result<Issued, Error>;

    /// The lines for `TrustedUserCAKeys`: the key that signs, then those beside it while it is rotated.
    ///
    /// # Errors
    /// As [`sign`](Self::sign).
    async fn authority(&self) -> Result<Vec<String>, Error>;

    /// How it gets another key.
    fn rotation(&self) -> &dyn Rotate;

    /// The list of the revoked, also where the authority's key cannot be had any more.
    ///
    /// # Errors
    /// Where the state cannot be reached; as [`sign`](Self::sign) the first time.
    async fn krl(&self) -> Result<Krl, Error>;

    /// Keeps that a host is about to be given the principals of these resources: from then on nothing of theirs is known to be over
    /// before it has the list too.
    ///
    /// # Errors
    /// Where it cannot be kept: then it must not be given them.
    async fn give(&self, host: &str, resources: &BTreeSet<String>) -> Result<(), Error>;

    /// Keeps that a host has the list of this version in place, and these lines for `TrustedUserCAKeys`.
    ///
    /// # Errors
    /// [`Fault::NotFound`] where there is no such version yet.
    async fn acknowledge(&self, host: &str, version: u64, authorities: &[String]) -> Result<(), Error>;

    /// The fingerprints of the keys that each host said it trusts.
    ///
    /// # Errors
    /// Where the state cannot be reached.
    async fn trusting(&self) -> Result<BTreeMap<String, BTreeSet<String>>, Error>;

    /// The hosts of a resource.
    fn hosts(&self, resource: &Value) -> Vec<String>;

    /// The host of this name of a resource, if it has it, as it is written there; and whose token speaks for it.
    fn host(&self, resource: &Value, host: &str) -> Option<(String, Option<String>)>;

    /// The way to a host of a resource as a user of a role, through a gateway.
    ///
    /// # Errors
    /// Where there is none, or several.
    fn way(&self, spec: &Spec, user: Option<&str>, host: Option<&str>) -> Result<Way, NoWay>;

    /// Whether a certificate that somebody shows a gateway is one of this authority's, and still good: what it says then.
    ///
    /// # Errors
    /// Where that cannot be known.
    async fn presented(&self, shown: &Shown) -> Result<Option<Presented>, Error>;

    /// What a certificate of this resource names for a user.
    fn principal(&self, user: &str, resource: &str) -> String;

    /// The users that a role opens, as [`Draft::principals`] without the resource.
    fn users(&self, role: &Value) -> Vec<String>;
}

impl Connected {
    async fn key(&self) -> Result<Authority, Error> {
        Authority::new(&*self.register()?.seed(&self.connector).await?)
    }

    /// The public keys, for the list of the revoked: that must go on also where the private one cannot be opened. What hosts trust
    /// is taken from what is sealed alone, which nobody can put in its place.
    async fn publics(&self) -> Result<Publics, Error> {
        let register = self.register()?;
        let kept = register.publics(&self.connector).await?;
        if !kept.signing.is_empty() {
            return Ok(kept);
        }
        let public = self.key().await?.blob();
        register.keep_public(&self.connector, public).await?;
        register.publics(&self.connector).await
    }
}

#[async_trait]
impl Certifier for Connected {
    fn check_key(&self, public_key: &str) -> Result<(), String> {
        PublicKey::read(public_key).map(drop)
    }

    async fn draft(&self, key: &str, spec: &Spec, ask: &Ask<'_>) -> Result<Draft, Error> {
        let public =
            PublicKey::read(ask.public_key).map_err(|what| Error::new(Fault::Misconfigured, what))?;
        let mut role = Role::read(&spec.role).map_err(|found| misconfigured("role", &found))?;
        let resource = Resource::read(&spec.resource).map_err(|found| misconfigured("resource", &found))?;
        let narrow = role.force_command.is_some() || !role.source_address.is_empty();
        let principals = principals(ask.opens, &mut role, spec.item.resource.as_str())?;
        let validity = match ask.opens {
            Opens::Session(_) => self.config.validity.min(FOR_A_LOGIN),
            Opens::Hosts | Opens::Gateway(_) => self.config.validity,
        };
        let register = self.register()?;
        let told = register.told().await?;
        // What was provisioned may still be shorter than a grant that was lengthened just now.
        let standing = register.look(&self.connector, key).await?;
        let open = standing.and_then(|standing| standing.until).unwrap_or(told.now);
        let until = (told.now + validity).min(ask.until).min(open);
        if until <= told.now {
            return Err(Error::new(Fault::NotFound, "the access is over"));
        }
        let end = End {
            until,
            clock: told.by_the_clock(until),
        };
        let serial = register.reserve(&self.connector, key, end).await?;
        Ok(Draft {
            serial,
            fingerprint: public.fingerprint.clone(),
            principals,
            valid_after: told.clock - BEFORE,
            valid_before: end.clock,
            key: public,
            key_id: ask.key_id.to_owned(),
            narrow,
            role,
            resource,
        })
    }

    async fn sign(&self, draft: &Draft) -> Result<Issued, Error> {
        let claims = Claims {
            key: &draft.key,
            serial: draft.serial,
            key_id: &draft.key_id,
            principals: &draft.principals,
            valid_after: draft.valid_after,
            valid_before: draft.valid_before,
            force_command: draft.role.force_command.as_deref(),
            source_address: &draft.role.source_address,
            extensions: &draft.role.extensions,
        };
        // sshd takes a certificate without a principal for everybody.
        if draft.principals.is_empty() {
            return Err(Error::new(
                Fault::Bug,
                "a certificate without a principal is never signed",
            ));
        }
        let certificate = self.key().await?.sign(self.register()?.nonce(), &claims);
        Ok(Issued {
            certificate,
            hosts: draft
                .resource
                .hosts
                .iter()
                .map(|host| host.name.clone())
                .collect(),
            port: draft.resource.port,
            users: draft.role.users.clone(),
            narrow: draft.narrow,
        })
    }

    async fn authority(&self) -> Result<Vec<String>, Error> {
        self.lines().await
    }

    fn rotation(&self) -> &dyn Rotate {
        self
    }

    async fn krl(&self) -> Result<Krl, Error> {
        let register = self.register()?;
        let made = register.told().await?.clock;
        let revoked = register.revoked(&self.connector).await?;
        let serials = revoked.serials.into_iter().collect();
        // The keys after the serials: whatever signed one of these is among them, or was withdrawn.
        let bytes = krl::write(revoked.version, made, &self.publics().await?, &serials);
        Ok(Krl {
            version: revoked.version,
            count: serials.len(),
            bytes,
        })
    }

    async fn give(&self, host: &str, resources: &BTreeSet<String>) -> Result<(), Error> {
        self.register()?.give(&self.connector, host, resources).await
    }

    async fn acknowledge(&self, host: &str, version: u64, authorities: &[String]) -> Result<(), Error> {
        let register = self.register()?;
        if version > register.revoked(&self.connector).await?.version {
            return Err(Error::new(
                Fault::NotFound,
                format!("there is no version {version} of the list"),
            ));
        }
        // A list is acknowledged also where no key can be opened.
        let trusts = match authorities {
            [] => BTreeSet::new(),
            lines => self.known(lines).await.unwrap_or_default(),
        };
        register
            .acknowledge(&self.connector, host, version, &trusts)
            .await
    }

    async fn trusting(&self) -> Result<BTreeMap<String, BTreeSet<String>>, Error> {
        let said = self.register()?.acknowledged(&self.connector).await?;
        Ok(said.into_iter().map(|(host, has)| (host, has.trusts)).collect())
    }

    fn hosts(&self, resource: &Value) -> Vec<String> {
        let hosts = Resource::read(resource).map(|resource| resource.hosts);
        let hosts = hosts.unwrap_or_default().into_iter();
        hosts.map(|host| host.name).collect()
    }

    fn principal(&self, user: &str, resource: &str) -> String {
        principal(user, resource)
    }

    fn host(&self, resource: &Value, host: &str) -> Option<(String, Option<String>)> {
        let resource = Resource::read(resource).ok()?;
        let found = resource
            .hosts
            .into_iter()
            .find(|one| one.name.eq_ignore_ascii_case(host))?;
        Some((found.name, found.account))
    }

    fn way(&self, spec: &Spec, user: Option<&str>, host: Option<&str>) -> Result<Way, NoWay> {
        through::way(Resource::read(&spec.resource), Role::read(&spec.role), user, host)
    }

    async fn presented(&self, shown: &Shown) -> Result<Option<Presented>, Error> {
        let clock = self.register()?.told().await?.clock;
        // From what is sealed alone: a public key that lies open in the store could be put there by somebody.
        let authorities = self.signing(clock).await?;
        if !shown.is_good(&authorities, clock) {
            return Ok(None);
        }
        let revoked = self.register()?.revoked(&self.connector).await?;
        Ok((!revoked.serials.contains(&shown.serial)).then(|| shown.clone().into_presented()))
    }

    fn users(&self, role: &Value) -> Vec<String> {
        Role::read(role).map(|role| role.users).unwrap_or_default()
    }
}

/// What a certificate names. What else the role says that does not fit is taken out of it.
fn principals(opens: Opens<'_>, role: &mut Role, resource: &str) -> Result<Vec<String>, Error> {
    match opens {
        Opens::Hosts => Ok(role.users.iter().map(|user| principal(user, resource)).collect()),
        Opens::Gateway(principal) => {
            // What has no colon could be a user of a host, or stand in a host's file.
            if !principal.contains(':') {
                return Err(Error::new(Fault::Bug, "this principal could open a host"));
            }
            role.force_command = None;
            role.source_address.clear();
            role.extensions.clear();
            Ok(vec![principal.to_owned()])
        }
        Opens::Session(user) => {
            if !role.users.iter().any(|one| one == user) {
                return Err(Error::new(
                    Fault::Misconfigured,
                    "the role does not open this user",
                ));
            }
            role.source_address.clear();
            role.fit_session();
            Ok(vec![principal(user, resource)])
        }
    }
}

/// What a certificate names, and what a host's list of principals for a user holds.
fn principal(user: &str, resource: &str) -> String {
    format!("{user}@{resource}")
}
