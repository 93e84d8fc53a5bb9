//! `notices:` of `server.yaml`: where notices go, and what may be sent there. Nothing said: nothing is sent.

use std::collections::BTreeSet;

use daypass_core::name::Name;
use daypass_core::time::Span;
use daypass_engine::notices::Kind;
use lettre::message::Mailbox;
use reqwest::Url;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::check::{InFile, Result, is_this_machine, shown};
use super::raw::{RawSecretName, RawTlsMode};
use super::{Secrets, TlsMode};

/// How long before its end the holder of a grant is told, where nobody says.
const ENDING_BEFORE: Span = Span::minutes(10);

/// The name of the channel that is mail.
pub(crate) const MAIL: &str = "mail";

/// Where notices go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticesConfig {
    /// The address of the server's pages, for links; without a slash at its end.
    pub base_url: Option<String>,
    /// Who is told over HTTP, of everything.
    pub webhooks: Vec<WebhookConfig>,
    /// How people are written to.
    pub mail: Option<MailConfig>,
    /// How long before its end the holder of a grant is told.
    pub ending_before: Span,
}

impl Default for NoticesConfig {
    fn default() -> Self {
        Self {
            base_url: None,
            webhooks: Vec::new(),
            mail: None,
            ending_before: ENDING_BEFORE,
        }
    }
}

/// A receiver of webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// What it is called here.
    pub name: String,
    /// Where it listens.
    pub url: Url,
    /// The name of the secret that notices are signed with. It is bound to the host and port of the address.
    pub key: String,
    /// How the connection is protected: as the secret says.
    pub tls: TlsMode,
    /// What it hears of; `None`: everything.
    pub kinds: Option<BTreeSet<Kind>>,
}

impl WebhookConfig {
    /// The host and port that it is sent to.
    #[must_use]
    pub fn address(&self) -> (String, u16) {
        address(&self.url)
    }
}

/// A mail server that takes our mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailConfig {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: MailTls,
    /// Who writes.
    pub from: Mailbox,
    /// Who logs in, and the name of the secret that is the password.
    pub login: Option<(String, String)>,
    /// What people are told of; `None`: everything that is for them.
    pub kinds: Option<BTreeSet<Kind>>,
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailTls {
    /// In clear first, TLS before anything is said (RFC 3207); refused where the server does not offer it.
    Starttls(TlsMode),
    /// TLS from the first byte (RFC 8314).
    Implicit(TlsMode),
    /// None. Only for a host that is this machine.
    None,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawNotices {
    base_url: Option<Spanned<String>>,
    webhooks: Vec<RawWebhook>,
    mail: Option<RawMail>,
    ending_before: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWebhook {
    name: Spanned<String>,
    url: Spanned<String>,
    key: RawSecretName,
    events: Option<Vec<Spanned<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMail {
    smtp: Spanned<String>,
    tls: Option<Spanned<RawMailTls>>,
    ca: Option<Spanned<String>>,
    from: Spanned<String>,
    user: Option<Spanned<String>>,
    password: Option<RawSecretName>,
    events: Option<Vec<Spanned<String>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawMailTls {
    Starttls,
    Tls,
    None,
}

pub(super) fn check(file: &InFile<'_>, raw: &RawNotices, secrets: &Secrets) -> Result<NoticesConfig> {
    let mut webhooks: Vec<WebhookConfig> = Vec::new();
    for raw in &raw.webhooks {
        let webhook = webhook(file, raw, secrets)?;
        if webhooks.iter().any(|other| other.name == webhook.name) {
            return Err(file
                .wrong(&raw.name, format!("there are two webhooks \"{}\"", webhook.name))
                .hint("what waits to be sent is kept by this name; each has its own"));
        }
        webhooks.push(webhook);
    }
    let ending_before = match &raw.ending_before {
        Some(text) => file.span(text, Span::minutes(1), Span::hours(24))?,
        None => ENDING_BEFORE,
    };
    Ok(NoticesConfig {
        base_url: raw.base_url.as_ref().map(|text| base(file, text)).transpose()?,
        webhooks,
        mail: raw
            .mail
            .as_ref()
            .map(|raw| mail(file, raw, secrets))
            .transpose()?,
        ending_before,
    })
}

fn base(file: &InFile<'_>, text: &Spanned<String>) -> Result<String> {
    let url = plain_url(file, text)?;
    if url.query().is_some() {
        let what = format!(
            "\"{}\" has a query, and paths are added to it",
            shown(&text.value)
        );
        return Err(file.wrong(text, what).hint("https://daypass.example.com"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// An address without anything in it that is secret or does not belong there; TLS unless it is this machine.
fn plain_url(file: &InFile<'_>, text: &Spanned<String>) -> Result<Url> {
    let bad = |why: &str| {
        file.wrong(text, format!("\"{}\" {why}", shown(&text.value)))
            .hint("https://daypass.example.com/hook")
    };
    let url = Url::parse(&text.value).map_err(|_| bad("is no address"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad(
            "has a login in it; what is secret has its place under secrets",
        ));
    }
    if url.fragment().is_some() {
        return Err(bad("has a fragment, which is never sent"));
    }
    let (host, _) = address(&url);
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_this_machine(&host) => Ok(url),
        "http" => Err(bad(
            "is another machine, and without TLS whoever is on the way reads along",
        )),
        _ => Err(bad("is no address of HTTP")),
    }
}

fn address(url: &Url) -> (String, u16) {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (
        host.to_ascii_lowercase(),
        url.port_or_known_default().unwrap_or(443),
    )
}

fn webhook(file: &InFile<'_>, raw: &RawWebhook, secrets: &Secrets) -> Result<WebhookConfig> {
    let name: Name = raw
        .name
        .value
        .parse()
        .map_err(|bad: daypass_core::name::BadName| file.wrong(&raw.name, bad.to_string()))?;
    let url = plain_url(file, &raw.url)?;
    let (host, port) = address(&url);
    let source = file.bound(&raw.key.secret, secrets, &host, port)?;
    let in_clear = url.scheme() == "http";
    if in_clear != (source.tls == TlsMode::Disabled) {
        let what = if in_clear {
            "this address is without TLS, and the secret it is signed with is not for that"
        } else {
            "this address has TLS, and the secret it is signed with says tls: disable"
        };
        return Err(file
            .wrong(&raw.url, what)
            .hint("give the webhook a secret of its own, with the tls of its address"));
    }
    Ok(WebhookConfig {
        name: name.to_string(),
        url,
        key: raw.key.secret.value.clone(),
        tls: source.tls.clone(),
        kinds: kinds(file, raw.events.as_deref())?,
    })
}

fn mail(file: &InFile<'_>, raw: &RawMail, secrets: &Secrets) -> Result<MailConfig> {
    let (host, port) = file.host(&raw.smtp)?;
    let mode = raw.tls.as_ref().map_or(RawMailTls::Starttls, |mode| mode.value);
    let ca = || {
        let no_mode: Option<&Spanned<RawTlsMode>> = None;
        file.tls_mode(no_mode, raw.ca.as_ref(), std::slice::from_ref(&host))
    };
    let tls = match (mode, &raw.ca) {
        (RawMailTls::None, Some(ca)) => {
            return Err(file.wrong(ca, "tls: none leaves nothing for a ca to check"));
        }
        (RawMailTls::None, None) if !is_this_machine(&host) => {
            return Err(file
                .wrong(
                    &raw.smtp,
                    format!("{host} is another machine: mail never goes there without TLS"),
                )
                .hint("tls: starttls (port 587) or tls: tls (port 465)"));
        }
        (RawMailTls::None, None) => MailTls::None,
        (RawMailTls::Starttls, _) => MailTls::Starttls(ca()?),
        (RawMailTls::Tls, _) => MailTls::Implicit(ca()?),
    };
    let from = raw.from.value.parse::<Mailbox>().map_err(|_| {
        file.wrong(&raw.from, format!("\"{}\" is no sender", shown(&raw.from.value)))
            .hint("Daypass <daypass@example.com>")
    })?;
    let login = match (&raw.user, &raw.password) {
        (Some(user), Some(password)) => {
            file.bound(&password.secret, secrets, &host, port)?;
            Some((user.value.clone(), password.secret.value.clone()))
        }
        (None, None) => None,
        (Some(user), None) => return Err(file.wrong(user, "a user without a password: {secret: …}")),
        (None, Some(password)) => return Err(file.wrong(&password.secret, "a password without a user")),
    };
    Ok(MailConfig {
        host,
        port,
        tls,
        from,
        login,
        kinds: kinds(file, raw.events.as_deref())?,
    })
}

fn kinds(file: &InFile<'_>, events: Option<&[Spanned<String>]>) -> Result<Option<BTreeSet<Kind>>> {
    let kind = |text: &Spanned<String>| {
        text.value.parse::<Kind>().map_err(|_| {
            let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
            file.wrong(text, format!("there is no notice \"{}\"", shown(&text.value)))
                .hint(format!("there are {}", names.join(", ")))
        })
    };
    events.map(|events| events.iter().map(kind).collect()).transpose()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{ServerConfig, trial};
    use super::*;

    const SECRETS: &str = "secrets:\n  hook: {file: h, hosts: [\"hooks.example:443\"]}\n  \
                           local: {file: l, hosts: [\"127.0.0.1:9000\", \"127.0.0.1:2525\"], tls: disable}\n  \
                           smtp: {file: s, hosts: [\"mail.example:587\"]}\n";

    fn parse(text: &str) -> Result<NoticesConfig> {
        let text = format!("{SECRETS}notices:\n{text}");
        trial::parse(&text).map(|config| config.notices)
    }

    #[track_caller]
    fn refused(text: &str, at: &str, with: &str) {
        trial::refused(&format!("{SECRETS}notices:\n{text}"), at, with);
    }

    #[test]
    fn nothing_said_is_nothing_sent() {
        let config = ServerConfig::parse(Path::new("s"), "{}").unwrap().notices;
        assert_eq!(config, NoticesConfig::default());
        assert!(config.webhooks.is_empty() && config.mail.is_none());
    }

    #[test]
    fn a_whole_section_is_read() {
        let config = parse(concat!(
            "  base_url: https://daypass.example/\n  ending_before: 20m\n  webhooks:\n",
            "    - {name: chat, url: \"https://hooks.example/a?b=c\", key: {secret: hook}, events: [grant.overdue]}\n",
            "    - {name: here, url: \"http://127.0.0.1:9000/\", key: {secret: local}}\n",
            "  mail: {smtp: \"mail.example:587\", from: \"Daypass <daypass@example.com>\", user: daypass, ",
            "password: {secret: smtp}, ca: ca.pem}\n",
        ))
        .unwrap();
        assert_eq!(config.base_url.as_deref(), Some("https://daypass.example"));
        assert_eq!(config.ending_before, Span::minutes(20));
        let [chat, here] = config.webhooks.as_slice() else {
            panic!("{config:?}")
        };
        assert_eq!(chat.address(), ("hooks.example".to_owned(), 443));
        assert_eq!(chat.kinds, Some([Kind::Overdue].into()));
        assert_eq!((here.tls.clone(), here.kinds.clone()), (TlsMode::Disabled, None));
        let mail = config.mail.unwrap();
        let ca = Some("/etc/daypass/ca.pem".into());
        assert_eq!(mail.tls, MailTls::Starttls(TlsMode::VerifyFull { ca }));
        assert_eq!(mail.login, Some(("daypass".to_owned(), "smtp".to_owned())));
    }

    #[test]
    fn a_webhook_is_signed_for_its_host_and_goes_nowhere_in_clear() {
        let hook = |url: &str, key: &str| {
            format!("  webhooks:\n    - {{name: a, url: \"{url}\", key: {{secret: {key}}}}}\n")
        };
        refused(&hook("http://hooks.example/", "hook"), "7:22", "without TLS");
        refused(
            &hook("https://other.example/", "hook"),
            "7:",
            "may not be sent to other.example:443",
        );
        refused(
            &hook("https://hooks.example:8443/", "hook"),
            "7:",
            "may not be sent to hooks.example:8443",
        );
        refused(&hook("https://hooks.example/", "none"), "7:", "no secret");
        refused(&hook("https://a:b@hooks.example/", "hook"), "7:22", "has a login");
        refused(
            &hook("ftp://hooks.example/", "hook"),
            "7:22",
            "no address of HTTP",
        );
        refused(&hook("https://127.0.0.1:9000/", "local"), "7:22", "tls: disable");
        refused(
            "  webhooks:\n    - {name: a, url: \"https://hooks.example/\"}\n",
            "7:",
            "key",
        );
    }

    #[test]
    fn mistakes_say_where_they_are() {
        let hook = "{name: a, url: \"https://hooks.example/\", key: {secret: hook}";
        refused(
            &format!("  webhooks:\n    - {hook}}}\n    - {hook}}}\n"),
            "8:14",
            "two webhooks",
        );
        refused(
            &format!("  webhooks:\n    - {hook}, events: [grant.over]}}\n"),
            "7:",
            "grant.overdue",
        );
        refused(
            "  mail: {smtp: \"mail.example\", from: a@b}\n",
            "6:16",
            "no host with a port",
        );
        refused(
            "  mail: {smtp: \"mail.example:25\", from: a@b, tls: none}\n",
            "6:16",
            "another machine",
        );
        refused(
            "  mail: {smtp: \"mail.example:587\", from: nobody}\n",
            "6:",
            "no sender",
        );
        refused(
            "  mail: {smtp: \"mail.example:587\", from: a@b.example, user: x}\n",
            "6:",
            "password",
        );
        refused(
            "  base_url: \"https://daypass.example/?a=b\"\n",
            "6:13",
            "has a query",
        );
        refused("  ending_before: 0s\n", "6:18", "outside");
        refused("  web_hooks: []\n", "6:3", "webhooks");
    }
}
