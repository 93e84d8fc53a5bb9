//! Certificates of what is reached through a gateway: the one by which a holder's own key opens the gateway, what it says once it is
//! shown there, and the one by which the gateway opens a host for one session.
//!
//! The first names a principal that opens no host (`gateway:…`, see `providers::ssh`): who holds it can go through and not past. Who it is
//! and under which grant follows from that principal and from the grant, never from what else the certificate has: a name in it is
//! for people.

use std::fmt;
use std::str::FromStr;

use daypass_core::grant::{Grant, Part};
use daypass_core::id::{GrantId, PersonId};
use daypass_core::name::Item;
use daypass_core::refusal::{Code, Refusal};
use daypass_policy::Access;
use daypass_providers::ssh::{Draft, Issued, NoWay, Opens, Shown, Way};

use crate::caller::{Caller, Via};
use crate::certificate::Reached;
use crate::current::Current;
use crate::engine::Engine;
use crate::error::{Error, not_found};

/// What a principal that opens a gateway begins with. A name of a host's user has no colon.
const PREFIX: &str = "gateway:";

/// What a certificate that opens a gateway is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// Under which grant.
    pub grant: GrantId,
    /// For which item of it.
    pub item: Item,
    /// For this host alone: what is typed for the user is a user there.
    pub host: Option<String>,
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}:{}", self.grant, self.item)?;
        self.host.iter().try_for_each(|host| write!(f, ":{host}"))
    }
}

impl FromStr for Pass {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.strip_prefix(PREFIX).ok_or(())?.splitn(3, ':');
        let (grant, item) = (parts.next().ok_or(())?, parts.next().ok_or(())?);
        let host = parts.next().map(str::to_owned);
        let pass = Self {
            grant: grant.parse().map_err(|_| ())?,
            item: item.parse().map_err(|_| ())?,
            host,
        };
        // One spelling for each.
        (pass.to_string() == text).then_some(pass).ok_or(())
    }
}

impl Engine {
    /// A certificate for the holder's own key that opens the gateway, for one item of an active grant. Where a host is named, it is for
    /// that one.
    ///
    /// # Errors
    /// As [`certificate`](Self::certificate); also where the item is not reached through the gateway, or has no such host.
    pub async fn pass(
        &self,
        caller: Caller,
        id: GrantId,
        item: Option<Item>,
        (public_key, host): (&str, Option<&str>),
    ) -> Result<(Item, Draft, Issued), Error> {
        let (grant, item) = self.own(caller, id, item).await?;
        let host = match host {
            Some(host) => Some(self.host_of(&grant, &item, host)?),
            None => None,
        };
        let pass = Pass {
            grant: id,
            item: item.clone(),
            host,
        };
        let opens = Opens::Gateway(&pass.to_string());
        self.certify(caller, &grant, &item, (public_key, opens, Reached::Gateway))
            .await
    }

    /// The host of an item as it is written in the policy of its grant.
    fn host_of(&self, grant: &Grant, item: &Item, host: &str) -> Result<String, Refusal> {
        let unknown = || not_found(format!("{} has no host of this name", item.resource));
        let part = part(grant, item)?;
        let provider = self.ssh(&part.target.connector)?;
        let certifier = provider.certifier().ok_or_else(unknown)?;
        let found = certifier.host(&part.spec.resource, host);
        found.map(|(host, _)| host).ok_or_else(unknown)
    }

    /// What a certificate is for that somebody shows a gateway, and whose it is; nothing where it is not one of ours, was revoked, or has
    /// run out.
    ///
    /// # Errors
    /// Where that cannot be known just now.
    pub async fn pass_shown(&self, blob: &[u8]) -> Result<Option<(Pass, PersonId)>, Error> {
        let Some(shown) = Shown::read(blob) else {
            return Ok(None);
        };
        // It says itself of which grant it is; that tells whose authority must have signed it.
        let Ok(claimed) = shown.claims().parse::<Pass>() else {
            return Ok(None);
        };
        let Some(grant) = self.store().grant(claimed.grant).await? else {
            return Ok(None);
        };
        let Ok(part) = part(&grant, &claimed.item) else {
            return Ok(None);
        };
        let Ok(provider) = self.ssh(&part.target.connector) else {
            return Ok(None);
        };
        let Some(certifier) = provider.certifier() else {
            return Ok(None);
        };
        let presented = certifier.presented(&shown).await?;
        let pass = presented.and_then(|said| said.principal.parse().ok());
        Ok(pass.map(|pass| (pass, grant.holder)))
    }

    /// The way to a host of an item as a user of it, as it was granted.
    ///
    /// # Errors
    /// Where there is none; the inner one where several fit, or none of these.
    pub fn way(
        &self,
        grant: &Grant,
        item: &Item,
        (user, host): (Option<&str>, Option<&str>),
    ) -> Result<Result<Way, NoWay>, Error> {
        let part = part(grant, item)?;
        let provider = self.ssh(&part.target.connector)?;
        let certifier = provider.certifier().ok_or_else(|| {
            Refusal::new(Code::Invalid, format!("{item} is not reached with a certificate"))
        })?;
        Ok(certifier.way(&part.spec, user, host))
    }

    /// A certificate for a key that a gateway drew for one session: it opens one user of the hosts, just long enough to log in. Whoever calls
    /// has checked who is to use it ([`Self::open_session`] is what decides that).
    ///
    /// # Errors
    /// Where the item is reached directly, the access is not there, or nothing can be signed.
    pub async fn session_certificate(
        &self,
        grant: &Grant,
        item: &Item,
        (user, public_key): (&str, &str),
    ) -> Result<Issued, Error> {
        let current = self.current();
        let holder = daypass_policy::Directory::person(&*current.directory, grant.holder)
            .ok_or_else(|| not_found("the account is gone"))?;
        let caller = Caller {
            person: grant.holder,
            role: crate::role_of(holder, &current.directory),
            via: Via::Token,
        };
        let what = (public_key, Opens::Session(user), Reached::Gateway);
        let (_, _, issued) = self.certify(caller, grant, item, what).await?;
        Ok(issued)
    }
}

/// Whether an item is reached through the gateway by the policy in force.
pub(crate) fn goes_through(current: &Current, item: &Item) -> Result<(), Refusal> {
    let resource = current.policy.resource(item.resource.as_str());
    if resource.is_some_and(|resource| resource.access == Access::Gateway) {
        return Ok(());
    }
    let what = format!("{} is not reached through the gateway", item.resource);
    Err(Refusal::new(Code::Invalid, what))
}

pub(crate) fn part<'a>(grant: &'a Grant, item: &Item) -> Result<&'a Part, Refusal> {
    let found = grant.part(item);
    found.ok_or_else(|| not_found(format!("{item} is not in this grant")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_has_one_spelling() {
        let grant = GrantId::from_bytes([7; 10]);
        for (item, host) in [
            ("web-1/deploy", None),
            ("a@b+c/d", Some("web-1.internal")),
            ("web/x", Some("2001:db8::1")),
        ] {
            let pass = Pass {
                grant,
                item: item.parse().unwrap(),
                host: host.map(str::to_owned),
            };
            assert_eq!(pass.to_string().parse(), Ok(pass));
        }
        let grant = grant.to_string();
        for bad in [
            String::new(),
            "deploy@web-1".to_owned(),
            format!("gateway:{grant}"),
            format!("gateway:{grant}:web-1"),
            format!("Gateway:{grant}:web-1/deploy"),
            format!("gateway:{}:web-1/deploy", grant.to_lowercase()),
            format!(" gateway:{grant}:web-1/deploy"),
        ] {
            assert!(bad.parse::<Pass>().is_err(), "{bad}");
        }
    }
}
