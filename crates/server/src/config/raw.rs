//! The shape of `server.yaml` as it is written, before it is checked. Every value that can be wrong keeps its place.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) listen: Option<Spanned<String>>,
    pub(super) behind_proxy: Option<Spanned<bool>>,
    pub(super) tls: Option<RawTls>,
    pub(super) store: Option<Spanned<RawStore>>,
    #[serde(default)]
    pub(super) secrets: BTreeMap<String, Spanned<RawSecret>>,
    pub(super) sealing_key: Option<RawSealingKey>,
    pub(super) signing_key: Option<RawSigningKey>,
    #[serde(default)]
    pub(super) witnesses: Vec<super::witnesses::RawWitness>,
    pub(super) witness_quorum: Option<Spanned<usize>>,
    #[serde(default)]
    pub(super) programs: BTreeMap<String, Spanned<RawProgram>>,
    #[serde(default)]
    pub(super) identities: BTreeMap<String, Spanned<super::identities::RawIdentity>>,
    #[serde(default)]
    pub(super) trusted_proxies: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) sessions: RawSessions,
    #[serde(default)]
    pub(super) reconcile: RawReconcile,
    #[serde(default)]
    pub(super) notices: super::notices::RawNotices,
    pub(super) gateway: Option<super::gateway::RawGateway>,
    #[serde(default)]
    pub(super) log: RawLog,
    pub(super) state_dir: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    pub(super) certificate: Spanned<String>,
    pub(super) key: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSealingKey {
    pub(super) file: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSigningKey {
    pub(super) file: Spanned<String>,
    pub(super) state: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStore {
    pub(super) sqlite: Option<Spanned<String>>,
    pub(super) postgres: Option<RawPostgres>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPostgres {
    pub(super) host: Spanned<String>,
    pub(super) port: Option<u16>,
    pub(super) database: Spanned<String>,
    pub(super) user: Spanned<String>,
    pub(super) password: Option<RawSecretName>,
    pub(super) connections: Option<Spanned<u16>>,
    pub(super) tls: Option<Spanned<RawTlsMode>>,
    pub(super) ca: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSecretName {
    pub(super) secret: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSecret {
    pub(super) file: Option<Spanned<String>>,
    pub(super) env: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) hosts: Vec<Spanned<String>>,
    pub(super) tls: Option<Spanned<RawTlsMode>>,
    pub(super) ca: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProgram {
    pub(super) path: Spanned<String>,
    #[serde(default)]
    pub(super) args: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) secrets: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub(super) env_secrets: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub(super) inherit: Vec<Spanned<String>>,
    pub(super) directory: Option<Spanned<String>>,
    pub(super) timeout: Option<Spanned<String>>,
    pub(super) propagation: Option<Spanned<String>>,
    pub(super) own_expiry: Option<bool>,
}

impl RawProgram {
    /// Every secret that it is given.
    pub(super) fn given(&self) -> impl Iterator<Item = &Spanned<String>> {
        self.secrets.iter().chain(self.env_secrets.values())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawTlsMode {
    VerifyFull,
    Disable,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSessions {
    pub(super) lifetime: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawReconcile {
    pub(super) overdue_after: Option<Spanned<String>>,
    pub(super) drift_every: Option<Spanned<String>>,
    pub(super) survey_every: Option<Spanned<String>>,
    pub(super) backoff_max: Option<Spanned<String>>,
    pub(super) calls_per_connector: Option<Spanned<u16>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLog {
    pub(super) format: Option<super::LogFormat>,
    pub(super) level: Option<Spanned<String>>,
}
