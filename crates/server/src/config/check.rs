//! From `server.yaml` as written to one that can be served: what is missing, out of range or unsafe is refused here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use daypass_core::name::Name;
use daypass_core::time::Span;
use serde_saphyr::Spanned;

use super::gateway::{GatewayConfig, RawGateway};
use super::raw::{
    Raw, RawLog, RawPostgres, RawReconcile, RawSecret, RawSigningKey, RawStore, RawTls, RawTlsMode,
};
use super::{
    ConfigError, DEFAULT_LISTEN, LogConfig, PostgresConfig, ReconcileConfig, SecretFrom, SecretSource,
    Secrets, ServerConfig, SigningConfig, StoreConfig, TlsFiles, TlsMode, identities, notices, witnesses,
};

/// A working day: whoever starts in the morning need not log in twice.
pub(super) const DEFAULT_SESSION: Span = Span::hours(12);

/// The port that PostgreSQL listens on where nobody says (IANA).
const POSTGRES_PORT: u16 = 5432;

pub(super) type Result<T> = std::result::Result<T, ConfigError>;

pub(super) fn check(file: &Path, raw: Raw) -> Result<ServerConfig> {
    let in_file = InFile::of(file);
    let behind_proxy = raw.behind_proxy.as_ref().is_some_and(|said| said.value);
    let tls = raw.tls.as_ref().map(|tls| in_file.listener_tls(tls));
    let listen = in_file.listen(raw.listen.as_ref(), tls.is_some(), behind_proxy)?;
    let secrets = raw
        .secrets
        .iter()
        .map(|(name, secret)| {
            let programs = raw.programs.values();
            let to_a_program = programs
                .flat_map(|program| program.value.given())
                .any(|given| given.value == *name);
            Ok((name.clone(), in_file.secret(name, secret, to_a_program)?))
        })
        .collect::<Result<BTreeMap<_, _>>>()?;
    let programs = raw
        .programs
        .iter()
        .map(|(name, program)| Ok((name.clone(), in_file.program(name, program, &secrets)?)))
        .collect::<Result<BTreeMap<_, _>>>()?;
    let identities = identities::check(&in_file, &raw.identities)?;
    let notices = notices::check(&in_file, &raw.notices, &secrets)?;
    let state_dir = raw
        .state_dir
        .as_ref()
        .map_or_else(|| in_file.folder.join("state"), |path| in_file.path(path));
    let store = in_file.store(raw.store.as_ref(), &secrets, &state_dir)?;
    let trusted_proxies = raw
        .trusted_proxies
        .iter()
        .map(|text| in_file.network(text))
        .collect::<Result<Vec<_>>>()?;
    if let Some(said) = raw.behind_proxy.as_ref().filter(|said| said.value)
        && trusted_proxies.is_empty()
    {
        return Err(in_file.nameless(said));
    }
    if let Some(last) = raw.trusted_proxies.last()
        && daypass_policy::is_everywhere(&trusted_proxies)
    {
        return Err(in_file.everybody(last));
    }
    let session_lifetime = match &raw.sessions.lifetime {
        Some(text) => in_file.span(text, Span::minutes(1), Span::hours(24 * 30))?,
        None => DEFAULT_SESSION,
    };
    let quorum = raw.witness_quorum.as_ref();
    let witnesses = witnesses::check(&in_file, &raw.witnesses, quorum, raw.signing_key.is_some())?;
    Ok(ServerConfig {
        gateway: in_file.gateway(raw.gateway.as_ref(), tls.as_ref(), (&state_dir, &store))?,
        listen,
        tls,
        behind_proxy,
        store,
        secrets,
        sealing_key: raw.sealing_key.as_ref().map(|key| in_file.path(&key.file)),
        signing_key: raw.signing_key.as_ref().map(|key| in_file.signing(key)),
        witnesses,
        programs,
        identities,
        trusted_proxies,
        session_lifetime,
        reconcile: in_file.reconcile(&raw.reconcile)?,
        notices,
        log: in_file.log(&raw.log)?,
        state_dir,
    })
}

/// What every check needs to say where it stands.
pub(super) struct InFile<'a> {
    file: &'a Path,
    folder: &'a Path,
}

impl<'a> InFile<'a> {
    pub(super) fn of(file: &'a Path) -> Self {
        Self {
            file,
            folder: file.parent().unwrap_or_else(|| Path::new("")),
        }
    }
}

impl InFile<'_> {
    fn gateway(
        &self,
        raw: Option<&RawGateway>,
        tls: Option<&TlsFiles>,
        (state_dir, store): (&Path, &StoreConfig),
    ) -> Result<Option<GatewayConfig>> {
        let shared = matches!(store, StoreConfig::Postgres(_));
        raw.map(|raw| super::gateway::check(self, raw, tls, (state_dir, shared)))
            .transpose()
    }

    pub(super) fn path(&self, text: &Spanned<String>) -> PathBuf {
        self.folder.join(&text.value)
    }

    fn signing(&self, key: &RawSigningKey) -> SigningConfig {
        let file = self.path(&key.file);
        let beside = || {
            let mut name = file.clone().into_os_string();
            name.push(".signed");
            PathBuf::from(name)
        };
        SigningConfig {
            state: key.state.as_ref().map_or_else(beside, |state| self.path(state)),
            file,
            accept_rollback: None,
        }
    }

    pub(super) fn wrong<T>(&self, at: &Spanned<T>, what: impl Into<String>) -> ConfigError {
        ConfigError::at(self.file, at, what)
    }

    pub(super) fn listener_tls(&self, tls: &RawTls) -> TlsFiles {
        TlsFiles {
            certificate: self.path(&tls.certificate),
            key: self.path(&tls.key),
        }
    }

    fn listen(&self, text: Option<&Spanned<String>>, tls: bool, behind_proxy: bool) -> Result<SocketAddr> {
        let at = text.map(|text| text.referenced);
        let written = text.map_or(DEFAULT_LISTEN, |text| text.value.as_str());
        let listen: SocketAddr = written.parse().map_err(|_| {
            ConfigError::new(
                self.file,
                at,
                format!("\"{}\" is no address to listen on", shown(written)),
            )
            .hint("an IP address and a port, such as 127.0.0.1:7373 or [::1]:7373")
        })?;
        if !listen.ip().is_loopback() && !tls && !behind_proxy {
            let what = format!(
                "{listen} can be reached from other machines, and without TLS whoever is on the way reads passwords and tokens"
            );
            let hint = "add tls: {certificate: …, key: …}; or listen on 127.0.0.1; or say behind_proxy: true \
                        where a proxy terminates TLS and nobody else reaches this address";
            return Err(ConfigError::new(self.file, at, what).hint(hint));
        }
        Ok(listen)
    }

    fn store(
        &self,
        store: Option<&Spanned<RawStore>>,
        secrets: &BTreeMap<String, SecretSource>,
        state_dir: &Path,
    ) -> Result<StoreConfig> {
        let Some(store) = store else {
            return Ok(StoreConfig::Sqlite {
                path: state_dir.join("daypass.sqlite"),
            });
        };
        match (&store.value.sqlite, &store.value.postgres) {
            (Some(path), None) => Ok(StoreConfig::Sqlite {
                path: self.path(path),
            }),
            (None, Some(postgres)) => self.postgres(postgres, secrets).map(StoreConfig::Postgres),
            _ => Err(self.wrong(store, "a store is either sqlite or postgres").hint(
                "store: {sqlite: daypass.sqlite}, or store: {postgres: {host: …, database: …, user: …}}",
            )),
        }
    }

    fn postgres(
        &self,
        postgres: &RawPostgres,
        secrets: &BTreeMap<String, SecretSource>,
    ) -> Result<PostgresConfig> {
        let host = postgres.host.value.to_ascii_lowercase();
        let port = postgres.port.unwrap_or(POSTGRES_PORT);
        if let Some(password) = &postgres.password {
            self.bound(&password.secret, secrets, &host, port)?;
        }
        let connections = match &postgres.connections {
            Some(count) if (2..=500).contains(&count.value) => count.value,
            Some(count) => return Err(self.wrong(count, "connections must be from 2 to 500")),
            None => 16,
        };
        let tls = self.tls_mode(
            postgres.tls.as_ref(),
            postgres.ca.as_ref(),
            std::slice::from_ref(&host),
        )?;
        Ok(PostgresConfig {
            host,
            port,
            database: postgres.database.value.clone(),
            user: postgres.user.value.clone(),
            password: postgres.password.as_ref().map(|name| name.secret.value.clone()),
            connections,
            tls,
        })
    }

    /// The secret of this name, which may be sent to this host.
    pub(super) fn bound<'s>(
        &self,
        name: &Spanned<String>,
        secrets: &'s Secrets,
        host: &str,
        port: u16,
    ) -> Result<&'s SecretSource> {
        let Some(source) = secrets.get(&name.value) else {
            return Err(self
                .wrong(name, format!("there is no secret \"{}\"", shown(&name.value)))
                .hint(format!(
                    "secrets: {{{}: {{file: …, hosts: [\"{host}:{port}\"]}}}}",
                    shown(&name.value)
                )));
        };
        if !source.hosts.contains(&(host.to_owned(), port)) {
            let what = format!("the secret \"{}\" may not be sent to {host}:{port}", name.value);
            return Err(self
                .wrong(name, what)
                .hint(format!("add \"{host}:{port}\" to its hosts, if that is meant")));
        }
        Ok(source)
    }

    pub(super) fn tls_mode(
        &self,
        mode: Option<&Spanned<RawTlsMode>>,
        ca: Option<&Spanned<String>>,
        hosts: &[String],
    ) -> Result<TlsMode> {
        match (mode, ca) {
            (Some(mode), Some(_)) if mode.value == RawTlsMode::Disable => Err(self
                .wrong(mode, "tls: disable leaves nothing for a ca to check")
                .hint("leave one of them out")),
            (Some(mode), None) if mode.value == RawTlsMode::Disable => {
                match hosts.iter().find(|host| !is_this_machine(host)) {
                    Some(host) => Err(self
                        .wrong(
                            mode,
                            format!("{host} is another machine: a secret never goes there without TLS"),
                        )
                        .hint("tls: verify-full, with ca: FILE where its certificate is your own")),
                    None => Ok(TlsMode::Disabled),
                }
            }
            (_, ca) => Ok(TlsMode::VerifyFull {
                ca: ca.map(|ca| self.path(ca)),
            }),
        }
    }

    fn secret(&self, name: &str, secret: &Spanned<RawSecret>, to_a_program: bool) -> Result<SecretSource> {
        if let Err(bad) = name.parse::<Name>() {
            return Err(self.wrong(secret, bad.to_string()));
        }
        let RawSecret {
            file,
            env,
            hosts,
            tls,
            ca,
        } = &secret.value;
        let from = match (file, env) {
            (Some(file), None) => SecretFrom::File(self.path(file)),
            (None, Some(env)) if !env.value.is_empty() => SecretFrom::Env(env.value.clone()),
            _ => {
                return Err(self
                    .wrong(
                        secret,
                        format!("the secret \"{name}\" comes either from a file or from a variable"),
                    )
                    .hint(format!(
                        "{name}: {{file: secrets/{name}, hosts: [\"10.0.0.5:5432\"]}}"
                    )));
            }
        };
        if hosts.is_empty() && !to_a_program {
            return Err(self
                .wrong(
                    secret,
                    format!("the secret \"{name}\" may be sent nowhere: it names no hosts"),
                )
                .hint("hosts: [\"10.0.0.5:5432\"]; a policy cannot send it anywhere else"));
        }
        let hosts = hosts
            .iter()
            .map(|text| self.host(text))
            .collect::<Result<Vec<_>>>()?;
        let names: Vec<String> = hosts.iter().map(|(host, _)| host.clone()).collect();
        let tls = self.tls_mode(tls.as_ref(), ca.as_ref(), &names)?;
        Ok(SecretSource { from, hosts, tls })
    }

    /// A host with its port, taken apart: `10.0.0.5:5432`, `db.example:5432` or `[::1]:5432`.
    pub(super) fn host(&self, text: &Spanned<String>) -> Result<(String, u16)> {
        let bad = || {
            self.wrong(text, format!("\"{}\" is no host with a port", shown(&text.value)))
                .hint("db.example:5432, 10.0.0.5:5432 or \"[::1]:5432\"; there are no wildcards")
        };
        let (host, port) = text.value.rsplit_once(':').ok_or_else(bad)?;
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
        let port: u16 = port.parse().map_err(|_| bad())?;
        if host.is_empty() || port == 0 || !host.chars().all(plain) {
            return Err(bad());
        }
        Ok((host.to_ascii_lowercase(), port))
    }

    fn network(&self, text: &Spanned<String>) -> Result<ipnet::IpNet> {
        // A peer's address is looked at in its IPv4 form where it has one.
        if let Ok(address) = text.value.parse::<std::net::IpAddr>() {
            return Ok(ipnet::IpNet::from(address.to_canonical()));
        }
        if text.value.parse::<ipnet::IpNet>().is_err() {
            let what = format!("\"{}\" is no address or network", shown(&text.value));
            return Err(self.wrong(text, what).hint("10.0.0.7 or 10.0.0.0/24"));
        }
        daypass_policy::network(&text.value).map_err(|(what, hint)| self.wrong(text, what).hint(hint))
    }

    fn nameless(&self, said: &Spanned<bool>) -> ConfigError {
        self.wrong(
            said,
            "a proxy whose address is not named is every client: all of them would share one limit of logins, and nobody's address were known",
        )
        .hint("trusted_proxies: [10.0.0.7], the addresses that the proxy connects from; [127.0.0.1, \"::1\"] for one on this machine")
    }

    fn everybody(&self, text: &Spanned<String>) -> ConfigError {
        self.wrong(
            text,
            "a proxy that is everybody is nobody: every client could forge its address",
        )
    }

    pub(super) fn span(&self, text: &Spanned<String>, least: Span, most: Span) -> Result<Span> {
        let span: Span = text
            .value
            .parse()
            .map_err(|bad| self.wrong(text, format!("{bad}")))?;
        if span < least || span > most {
            return Err(self.wrong(text, format!("{span} is outside {least} to {most}")));
        }
        Ok(span)
    }

    fn reconcile(&self, raw: &RawReconcile) -> Result<ReconcileConfig> {
        let default = ReconcileConfig::default();
        let span = |text: &Option<Spanned<String>>, default, least, most| match text {
            Some(text) => self.span(text, least, most),
            None => Ok(default),
        };
        let second = Span::seconds(1);
        let calls_per_connector = match &raw.calls_per_connector {
            Some(count) if (1..=256).contains(&count.value) => count.value,
            Some(count) => return Err(self.wrong(count, "calls_per_connector must be from 1 to 256")),
            None => default.calls_per_connector,
        };
        Ok(ReconcileConfig {
            overdue_after: span(&raw.overdue_after, default.overdue_after, second, Span::hours(24))?,
            drift_every: span(&raw.drift_every, default.drift_every, second, Span::hours(24))?,
            survey_every: match &raw.survey_every {
                // Nothing between: a large tenant takes minutes to read.
                Some(text) if text.value.trim().trim_end_matches(['s', 'm', 'h']) == "0" => Span::ZERO,
                every => span(every, default.survey_every, Span::minutes(1), Span::hours(24 * 7))?,
            },
            backoff_max: span(&raw.backoff_max, default.backoff_max, second, Span::hours(1))?,
            calls_per_connector,
        })
    }

    pub(super) fn log(&self, raw: &RawLog) -> Result<LogConfig> {
        let level = match &raw.level {
            Some(level) => {
                tracing_subscriber::EnvFilter::builder()
                    .parse(&level.value)
                    .map_err(|bad| {
                        self.wrong(
                            level,
                            format!("\"{}\" is no log level: {bad}", shown(&level.value)),
                        )
                        .hint("info, or daypass_engine=debug,info")
                    })?;
                level.value.clone()
            }
            None => "info".to_owned(),
        };
        Ok(LogConfig {
            format: raw.format.unwrap_or_default(),
            level,
        })
    }
}

/// Whether a host can only be this machine. A name other than `localhost` may come to mean another one.
pub(super) fn is_this_machine(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

pub(super) fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::trial::{parse, refused};

    #[test]
    fn an_empty_file_is_a_small_loopback_server() {
        let config = parse("{}").unwrap();
        assert_eq!(config.listen, DEFAULT_LISTEN.parse().unwrap());
        assert_eq!(
            config.store,
            StoreConfig::Sqlite {
                path: "/etc/daypass/state/daypass.sqlite".into()
            }
        );
        assert_eq!(config.session_lifetime, Span::hours(12));
    }

    #[test]
    fn a_whole_file_is_read() {
        let config = parse(concat!(
            "listen: 0.0.0.0:7373\ntls: {certificate: tls/cert.pem, key: /run/key.pem}\n",
            "store: {postgres: {host: 127.0.0.1, database: daypass, user: daypass, password: {secret: own}, tls: disable}}\n",
            "secrets:\n  own: {file: secrets/own, hosts: [\"127.0.0.1:5432\"], tls: disable}\n",
            "  pg-main: {env: PG_MAIN, hosts: [\"db.example:5432\", \"[::1]:6432\"], ca: ca.pem}\n",
            "trusted_proxies: [10.0.0.0/8, 192.0.2.7]\nsessions: {lifetime: 8h}\n",
            "reconcile: {overdue_after: 1m, drift_every: 30s, survey_every: 0s, backoff_max: 1m, calls_per_connector: 4}\n",
            "log: {format: json, level: debug}\nstate_dir: var\n",
        ))
        .unwrap();
        assert_eq!(
            config.tls.unwrap().certificate,
            Path::new("/etc/daypass/tls/cert.pem")
        );
        assert_eq!(
            config.secrets["pg-main"].hosts,
            [("db.example".to_owned(), 5432), ("::1".to_owned(), 6432)]
        );
        let ca = Some(PathBuf::from("/etc/daypass/ca.pem"));
        assert_eq!(config.secrets["pg-main"].tls, TlsMode::VerifyFull { ca });
        assert_eq!(config.trusted_proxies.len(), 2);
        assert_eq!(config.reconcile.calls_per_connector, 4);
        assert_eq!(config.reconcile.survey_every, Span::ZERO);
        assert_eq!(config.state_dir, Path::new("/etc/daypass/var"));
    }

    #[test]
    fn unknown_keys_name_line_and_nearest() {
        refused("listn: 127.0.0.1:1\n", "1:1", "listen");
        refused("listen: 127.0.0.1:1\nstore:\n  sqllite: a\n", "3:3", "sqlite");
        refused(
            "secrets:\n  a:\n    file: x\n    host: [\"a:1\"]\n",
            "4:5",
            "hosts",
        );
        refused("log: {format: jsn}\n", "1:15", "json");
    }

    #[test]
    fn a_listener_that_others_reach_needs_tls_or_a_proxy() {
        refused("listen: 0.0.0.0:7373\n", "1:9", "without TLS");
        let proxy = "listen: 0.0.0.0:7373\nbehind_proxy: true\n";
        assert!(parse(&format!("{proxy}trusted_proxies: [10.0.0.7]\n")).is_ok());
        refused(proxy, "2:15", "address is not named");
        refused("listen: localhost\n", "1:9", "no address");
    }

    #[test]
    fn a_secret_says_where_from_and_where_to() {
        refused("secrets:\n  a: {hosts: [\"a:1\"]}\n", "2:6", "either from a file");
        refused("secrets:\n  a: {file: x}\n", "2:6", "names no hosts");
        refused(
            "secrets:\n  a: {file: x, hosts: [\"*:5432\"]}\n",
            "2:24",
            "no host with a port",
        );
        refused(
            "secrets:\n  a: {file: x, hosts: [\"10.0.0.5\"]}\n",
            "2:24",
            "no host with a port",
        );
        refused(
            "secrets:\n  a: {file: x, hosts: [\"10.0.0.5:1\"], tls: disable}\n",
            "2:44",
            "another machine",
        );
    }

    #[test]
    fn the_stores_own_password_is_bound_to_its_host_too() {
        let store = "store: {postgres: {host: 10.0.0.5, database: d, user: u, password: {secret: own}}}\n";
        refused(store, "1:77", "no secret");
        refused(
            &format!("{store}secrets: {{own: {{file: x, hosts: [\"10.0.0.6:5432\"]}}}}\n"),
            "1:77",
            "may not be sent",
        );
        refused("store: {}\n", "1:8", "either sqlite or postgres");
    }

    #[test]
    fn lengths_of_time_are_bounded() {
        refused("sessions: {lifetime: 1}\n", "1:22", "not a length of time");
        refused("sessions: {lifetime: 400d}\n", "1:22", "outside");
        refused("trusted_proxies: [0.0.0.0/0]\n", "1:19", "everybody");
        refused("trusted_proxies: [0.0.0.0/1, 128.0.0.0/1]\n", "1:30", "everybody");
        refused("trusted_proxies: [\"2000::/3\"]\n", "1:19", "everybody");
        refused(
            "trusted_proxies: [\"::ffff:10.0.0.0/104\"]\n",
            "1:19",
            "in their IPv6 form",
        );
        refused("trusted_proxies: [10.0.0.7/24]\n", "1:19", "write 10.0.0.0/24");
    }
}
