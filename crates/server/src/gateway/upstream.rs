//! What a session needs at its target: the grant's own role there, with a password that nobody but gateways gets.
//!
//! A password is set at the target when the first session of a grant opens, and shared by those that follow: to set another
//! would turn away whoever is just logging in with the one before. It is kept in memory while the grant lasts. Where a
//! session ends because its target was lost, the next one gets a fresh password: another server may have set one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as Blocking, PoisonError};

use daypass_core::grant::Grant;
use daypass_core::id::GrantId;
use daypass_core::name::Item;
use daypass_core::refusal::{Code, Refusal};
use daypass_engine::{Engine, Error};
use daypass_gateway::postgres::target::{Guardrails, Place, PostgresTarget, TargetTls};
use daypass_providers::Credential;
use tokio::sync::Mutex;

use super::named::{POSTGRES, SSH};

type Kept = Arc<Mutex<Option<Arc<Credential>>>>;

/// The passwords of grants that are used at the moment.
#[derive(Default)]
pub(super) struct Upstreams(Blocking<HashMap<GrantId, HashMap<Item, Kept>>>);

impl Upstreams {
    fn of(&self, grant: GrantId, item: &Item) -> Kept {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let items = all.entry(grant).or_default();
        Arc::clone(items.entry(item.clone()).or_default())
    }

    /// The target did not go on with a session that used this: if nothing newer was set since, the next one sets another.
    pub(super) async fn refused(&self, grant: GrantId, item: &Item, used: &Arc<Credential>) {
        let kept = self.of(grant, item);
        let mut kept = kept.lock().await;
        if kept.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, used)) {
            *kept = None;
        }
    }

    /// The grants of which something is kept.
    pub(super) fn grants(&self) -> Vec<GrantId> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.keys().copied().collect()
    }

    /// Nobody uses this grant any more.
    pub(super) fn forget(&self, grant: GrantId) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&grant);
    }

    /// Where a session goes, and as whom; with the credential, to say if the target refuses it.
    ///
    /// # Errors
    /// Where the target does not answer, or is of a kind that does not go through a gateway.
    pub(super) async fn target(
        &self,
        engine: &Engine,
        grant: &Grant,
        item: &Item,
        guardrails: Guardrails,
    ) -> Result<(PostgresTarget, Arc<Credential>), Error> {
        let kept = self.of(grant.id, item);
        // Others who open a session under it wait here, so that one password is set for all.
        let mut kept = kept.lock().await;
        let credential = match &*kept {
            Some(credential) => Arc::clone(credential),
            None => Arc::clone(kept.insert(Arc::new(engine.gateway_credential(grant, item).await?))),
        };
        let target = read(&credential, guardrails).ok_or_else(|| {
            let what = format!("{item} cannot be reached through the gateway");
            Refusal::new(Code::Invalid, what)
        })?;
        Ok((target, credential))
    }
}

/// The protocol by which this kind of target is reached through a gateway, if it is.
pub(super) fn protocol_of(kind: &str) -> Option<&'static str> {
    // A kind and its protocol have the same name.
    [POSTGRES, SSH].into_iter().find(|protocol| *protocol == kind)
}

/// A `postgres` credential in libpq's words (`providers::Credential`).
fn read(credential: &Credential, guardrails: Guardrails) -> Option<PostgresTarget> {
    let field = |name: &str| credential.fields.get(name).cloned();
    let tls = match field("sslmode")?.as_str() {
        "verify-full" => TargetTls::VerifyFull {
            ca_pem: field("sslrootcert_pem"),
        },
        "disable" => TargetTls::Disabled,
        _ => return None,
    };
    Some(PostgresTarget {
        place: Place {
            host: field("host")?,
            port: field("port")?.parse().ok()?,
            tls,
        },
        user: field("user")?,
        password: Some(credential.secret.clone()),
        database: field("dbname")?,
        guardrails,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_credential_is_read_and_nothing_is_guessed() {
        let fields = [
            ("host", "db"),
            ("port", "5432"),
            ("user", "daypass_r1"),
            ("dbname", "orders"),
            ("sslmode", "verify-full"),
        ];
        let whole: BTreeMap<String, String> = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let with = |fields: BTreeMap<String, String>| Credential {
            fields,
            secret: "s".into(),
        };
        let target = read(&with(whole.clone()), Guardrails::default()).unwrap();
        assert_eq!((target.place.port, target.user.as_str()), (5432, "daypass_r1"));
        assert_eq!(target.place.tls, TargetTls::VerifyFull { ca_pem: None });
        for (name, _) in fields {
            let mut less = whole.clone();
            less.remove(name);
            assert!(
                read(&with(less), Guardrails::default()).is_none(),
                "without {name}"
            );
        }
        let mut weaker = whole;
        weaker.insert("sslmode".to_owned(), "prefer".to_owned());
        assert!(read(&with(weaker), Guardrails::default()).is_none());
    }
}
