//! `gateway.yaml`: what a gateway that runs apart from its server is told (`daypass gateway`). It names no resource and nobody: that is
//! in its token.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use daypass_core::time::Span;
use daypass_gateway::Limits;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::check::{InFile, Result, shown};
use super::raw::{RawLog, RawTls};
use super::{ConfigError, LogConfig, TlsFiles, gateway, text};

/// A checked `gateway.yaml`.
#[derive(Debug, Clone)]
pub struct ApartConfig {
    /// The server's address.
    pub server: String,
    /// The file with the token.
    pub token: PathBuf,
    /// A CA to trust besides the system's, for the server, in PEM.
    pub ca: Option<PathBuf>,
    /// Where PostgreSQL's clients connect to.
    pub listen: SocketAddr,
    /// The certificate that they are shown; without one it listens on this machine alone, and in the clear.
    pub tls: Option<TlsFiles>,
    /// How much it takes.
    pub limits: Limits,
    /// What is logged, and how.
    pub log: LogConfig,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    server: Spanned<String>,
    token: RawToken,
    ca: Option<Spanned<String>>,
    postgres: RawPostgres,
    #[serde(default)]
    limits: RawLimits,
    #[serde(default)]
    log: RawLog,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawToken {
    file: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPostgres {
    listen: Spanned<String>,
    tls: Option<RawTls>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLimits {
    sessions: Option<Spanned<usize>>,
    sessions_per_person: Option<Spanned<usize>>,
    handshakes: Option<Spanned<usize>>,
    handshakes_per_address: Option<Spanned<usize>>,
    handshake: Option<Spanned<String>>,
    waiting: Option<Spanned<String>>,
}

impl ApartConfig {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// Where it cannot be read, is no YAML, or says something that cannot be; the first such thing.
    pub fn load(file: &Path) -> Result<Self> {
        let text = text(file, "docs/gateway.md shows one; or name another with --config")?;
        Self::parse(file, &text)
    }

    /// Checks a text as if it stood in this file. Relative paths are relative to the file.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(file: &Path, text: &str) -> Result<Self> {
        let raw: Raw = serde_saphyr::from_str(text).map_err(|error| ConfigError::from_yaml(file, &error))?;
        let file = InFile::of(file);
        let (listen, tls) = gateway::listens(&file, &raw.postgres.listen, (raw.postgres.tls.as_ref(), None))?;
        Ok(Self {
            server: server(&file, &raw.server)?,
            token: file.path(&raw.token.file),
            ca: raw.ca.as_ref().map(|ca| file.path(ca)),
            listen,
            tls,
            limits: limits(&file, &raw.limits)?,
            log: file.log(&raw.log)?,
        })
    }
}

/// The client looks at the rest of it, and refuses what would send the token in the clear.
fn server(file: &InFile<'_>, text: &Spanned<String>) -> Result<String> {
    if text.value.starts_with("https://") || text.value.starts_with("http://") {
        return Ok(text.value.clone());
    }
    let what = format!("\"{}\" is no address of a server", shown(&text.value));
    Err(file.wrong(text, what).hint("server: https://daypass.example.com"))
}

fn limits(file: &InFile<'_>, raw: &RawLimits) -> Result<Limits> {
    let default = Limits::default();
    let count = |said: &Option<Spanned<usize>>, default: usize, most: usize| match said {
        Some(count) if (1..=most).contains(&count.value) => Ok(count.value),
        Some(count) => Err(file.wrong(count, format!("it must be from 1 to {most}"))),
        None => Ok(default),
    };
    let span = |said: &Option<Spanned<String>>, default, least, most| match said {
        Some(said) => file.span(said, least, most).map(Span::to_std),
        None => Ok(default),
    };
    let handshakes = count(&raw.handshakes, default.handshakes, 100_000)?;
    let most = default.handshakes_per_address.min(handshakes);
    Ok(Limits {
        sessions: count(&raw.sessions, default.sessions, 100_000)?,
        sessions_per_person: count(&raw.sessions_per_person, default.sessions_per_person, 100_000)?,
        handshakes,
        handshakes_per_address: count(&raw.handshakes_per_address, most, handshakes)?,
        // A server remembers what it asked somebody for twenty seconds.
        handshake: span(
            &raw.handshake,
            default.handshake,
            Span::seconds(1),
            Span::seconds(15),
        )?,
        // By SSH, which no gateway apart speaks yet.
        login: default.login,
        waiting: span(&raw.waiting, default.waiting, Span::seconds(1), Span::hours(1))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ApartConfig> {
        ApartConfig::parse(Path::new("/etc/daypass/gateway.yaml"), text)
    }

    const HEAD: &str = "server: https://daypass.example.com\ntoken: {file: token}\n";

    #[test]
    fn little_is_needed_and_the_rest_has_defaults() {
        let config = parse(&format!("{HEAD}postgres: {{listen: \"127.0.0.1:6432\"}}\n")).unwrap();
        assert_eq!(config.token, Path::new("/etc/daypass/token"));
        assert_eq!(config.limits.sessions, Limits::default().sessions);
        assert_eq!((config.tls, config.log.level.as_str()), (None, "info"));
        let text = format!(
            "{HEAD}postgres: {{listen: \"0.0.0.0:6432\", tls: {{certificate: c.pem, key: k.pem}}}}\nlimits: {{sessions: 5, waiting: 1m, handshakes: 8}}\n"
        );
        let config = parse(&text).unwrap();
        assert_eq!((config.limits.sessions, config.limits.waiting.as_secs()), (5, 60));
        assert_eq!(config.limits.handshakes_per_address, 8);
    }

    #[test]
    fn what_is_missing_or_unsafe_is_said() {
        for (text, said) in [
            (
                "token: {file: t}\npostgres: {listen: \"127.0.0.1:1\"}\n".to_owned(),
                "\"server\" is missing",
            ),
            (HEAD.to_owned(), "\"postgres\" is missing"),
            (
                format!("{HEAD}postgres: {{listen: \"0.0.0.0:6432\"}}\n"),
                "without TLS",
            ),
            (
                format!("{HEAD}postgres: {{listen: \"127.0.0.1:1\"}}\nlimits: {{sessions: 0}}\n"),
                "from 1 to",
            ),
            (
                format!("{HEAD}postgres: {{listen: \"127.0.0.1:1\"}}\nstore: {{}}\n"),
                "\"store\"",
            ),
            (
                "server: daypass.example.com\ntoken: {file: t}\npostgres: {listen: \"127.0.0.1:1\"}\n"
                    .to_owned(),
                "no address of a server",
            ),
        ] {
            let error = parse(&text).expect_err(&text).to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
