//! Notices by mail: one message to one person, as text and as HTML that say the same.
//!
//! There is a link to look at and a command to type; there is nothing to click that decides, because mail scanners click.
//! Texts of people are quoted line by line in the one and escaped in the other. No header holds any of them.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use daypass_core::event::Subject;
use daypass_core::time::Timestamp;
use daypass_engine::notices::{Addressee, Letter, Line, Ready};
use daypass_providers::{Revealed, Secrets, Tls};
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, Tls as SmtpTls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Code;
use lettre::{Address, Message};
use secrecy::ExposeSecret as _;

use super::courier::{Carrier, Fault};
use super::webhook::Form;
use crate::config::{MailConfig, MailTls};
use crate::edge;
use crate::secrets::{ConfiguredSecrets, SecretError, read_tls};

/// How long one address of the mail server may take to be connected to.
const CONNECT: Duration = Duration::from_secs(10);
/// How long it may take in all until it has the message. After the last byte a server may look at it for long, and whoever goes
/// away then sends it twice (RFC 5321, 4.5.3.2.6 and 6.1); ten minutes, as that says, would hold up too much else.
const ATTEMPT: Duration = Duration::from_secs(100);
/// How long it may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why there is no way to the mail server.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Its certificate authority cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// It cannot be used.
    #[error("the certificates for the mail server: {0}")]
    Tls(String),
}

/// A mail server that takes our mail.
pub(crate) struct Mail {
    config: MailConfig,
    tls: SmtpTls,
    secrets: Arc<ConfiguredSecrets>,
    form: Form,
}

impl Mail {
    /// A way there. Nothing is sent yet, and the password is read each time it is needed.
    ///
    /// # Errors
    /// Where the certificates that the server is recognised by cannot be used.
    pub(crate) fn new(
        config: MailConfig,
        secrets: Arc<ConfiguredSecrets>,
        form: Form,
    ) -> Result<Self, MailError> {
        let tls = match &config.tls {
            MailTls::None => SmtpTls::None,
            MailTls::Starttls(mode) => SmtpTls::Required(parameters(&config.host, &read_tls(mode, "mail")?)?),
            MailTls::Implicit(mode) => SmtpTls::Wrapper(parameters(&config.host, &read_tls(mode, "mail")?)?),
        };
        Ok(Self {
            config,
            tls,
            secrets,
            form,
        })
    }

    /// A connection that is protected and logged in, as the configuration says.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Fault> {
        let config = &self.config;
        let credentials = match &config.login {
            None => None,
            Some((user, password)) => {
                let revealed = self.secrets.reveal(password, &config.host, config.port).await;
                let Revealed { value, .. } = revealed.map_err(|error| Fault::later(error.to_string()))?;
                Some(Credentials::new(user.clone(), value.expose_secret().to_owned()))
            }
        };
        let (implicit, upgrade) = match &self.tls {
            SmtpTls::Wrapper(parameters) => (Some(parameters.clone()), None),
            SmtpTls::Required(parameters) => (None, Some(parameters.clone())),
            _ => (None, None),
        };
        let hello = ClientId::default();
        let address = (config.host.as_str(), config.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT), &hello, implicit, None)
                .await
                .map_err(|error| fault(&error))?;
        if let Some(parameters) = upgrade {
            let upgraded = connection.starttls(parameters, &hello).await;
            upgraded.map_err(|error| fault(&error))?;
        }
        if let Some(credentials) = &credentials {
            let let_in = connection.auth(DEFAULT_MECHANISMS, credentials).await;
            let_in.map_err(|error| fault(&error))?;
        }
        Ok(connection)
    }
}

/// What it means that the mail server did not do something.
fn fault(error: &SmtpError) -> Fault {
    // That we may not log in is the operator's to put right, and nothing that the letter is refused for (RFC 4954, 6).
    let login = |code: Code| [530, 534, 535, 538].contains(&u16::from(code));
    Fault {
        refused: error.is_permanent() && !error.status().is_some_and(login),
        what: error.to_string(),
    }
}

/// The text without the address, which servers repeat in what they refuse: neither the log nor the store's rows hold any.
fn without(text: &str, address: &str) -> String {
    let (lower, address) = (text.to_ascii_lowercase(), address.to_ascii_lowercase());
    let mut out = String::new();
    let mut from = 0;
    for (at, found) in lower.match_indices(&address) {
        out.push_str(text.get(from..at).unwrap_or_default());
        out.push_str("[address]");
        from = at + found.len();
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

fn parameters(host: &str, tls: &Tls) -> Result<TlsParameters, MailError> {
    let broken = |error: SmtpError| MailError::Tls(error.to_string());
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Tls::VerifyFull { ca_pem: Some(pem) } = tls {
        builder = builder.add_root_certificate(Certificate::from_pem(pem.as_bytes()).map_err(broken)?);
    }
    builder.build_rustls().map_err(broken)
}

#[async_trait]
impl Carrier for Mail {
    async fn carry(&self, ready: &Ready, now: Timestamp) -> Result<(), Fault> {
        let Some(to) = &ready.to else {
            return Err(Fault::later("it is for nobody"));
        };
        let message = message(ready, to, &self.config.from, &self.form, now)?;
        let mut connection = self.connect().await?;
        let sent = connection.send(message.envelope(), &message.formatted()).await;
        sent.map_err(|error| {
            let Fault { what, refused } = fault(&error);
            let what = without(&what, &to.mail);
            Fault { what, refused }
        })?;
        // It is theirs now; how they say goodbye changes nothing of that.
        let _late = edge::within(FAREWELL, connection.quit()).await;
        Ok(())
    }

    fn limit(&self) -> Duration {
        ATTEMPT
    }
}

/// The message as it is sent.
fn message(
    ready: &Ready,
    to: &Addressee,
    from: &Mailbox,
    form: &Form,
    now: Timestamp,
) -> Result<Message, Fault> {
    let wrong = |what: &str| Fault {
        what: what.to_owned(),
        refused: true,
    };
    let address: Address = to
        .mail
        .parse()
        .map_err(|_| wrong("the person's mail address is none"))?;
    let domain = format!("{}.daypass", form.installation);
    let notice = ready.kind.name().replace('.', "-");
    let id = format!("<{}-{notice}-{}@{domain}>", ready.entry.index, to.person);
    let link = ready
        .letter
        .page
        .as_ref()
        .zip(form.base_url.as_ref())
        .map(|(page, base)| format!("{base}/{page}"));
    let since_epoch = Duration::from_micros(u64::try_from(now.micros()).unwrap_or(0));
    let (text, html) = (
        text(&ready.letter, link.as_deref()),
        html(&ready.letter, link.as_deref()),
    );
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, address))
        .subject(format!("[daypass] {}", ready.letter.subject))
        .date(SystemTime::UNIX_EPOCH + since_epoch)
        .message_id(Some(id))
        // What belongs together stands together in the reader's mailbox.
        .references(format!("<{}@{domain}>", thread(&ready.entry.event.subject)))
        // No holiday note, please (RFC 3834).
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            String::from("auto-generated"),
        ))
        .multipart(MultiPart::alternative_plain_html(text, html))
        .map_err(|error| wrong(&error.to_string()))
}

/// A request and its grant share all but the first letter of their ids.
fn thread(subject: &Subject) -> String {
    match subject {
        Subject::Request(_) | Subject::Grant(_) => subject.id().chars().skip(1).collect(),
        // A lock is on `person/P…`: no slash in an id.
        other => other.id().replace('/', "-"),
    }
}

fn text(letter: &Letter, link: Option<&str>) -> String {
    let mut out = String::new();
    for line in &letter.lines {
        match line {
            Line::Say(text) => out.push_str(text),
            Line::Quote { label, text } => {
                out.push_str(label);
                out.push(':');
                // Each line of it is marked: none can pass for one of ours.
                text.lines().for_each(|line| {
                    let _infallible = write!(out, "\n> {line}");
                });
            }
        }
        out.push_str("\n\n");
    }
    if let Some(link) = link {
        let _infallible = writeln!(out, "Look at it: {link}\n");
    }
    for command in &letter.commands {
        let _infallible = writeln!(out, "    {command}");
    }
    out
}

fn html(letter: &Letter, link: Option<&str>) -> String {
    let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\"><body>\n");
    for line in &letter.lines {
        let _infallible = match line {
            Line::Say(text) => writeln!(out, "<p>{}</p>", escaped(text)),
            Line::Quote { label, text } => writeln!(
                out,
                "<p>{}:</p><blockquote style=\"white-space: pre-wrap; border-left: 3px solid; padding-left: 1em\">{}</blockquote>",
                escaped(label),
                escaped(text)
            ),
        };
    }
    if let Some(link) = link {
        let link = escaped(link);
        let _infallible = writeln!(out, "<p><a href=\"{link}\">Look at it: {link}</a></p>");
    }
    if !letter.commands.is_empty() {
        let _infallible = writeln!(out, "<pre>{}</pre>", escaped(&letter.commands.join("\n")));
    }
    out.push_str("</body></html>\n");
    out
}

/// As HTML shows it and means nothing by it, in text and between double quotes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use daypass_core::event::{Actor, Event, PolicyEvent, What};
    use daypass_core::id::PersonId;
    use daypass_core::text::Hash;
    use daypass_engine::notices::Kind;
    use daypass_store::Entry;
    use serde_json::Map;

    use super::*;

    const HOSTILE: &str = "x\r\nBcc: eve@example.com\r\n\r\n<script src='a'>&\"\n.\r\nQUIT";

    fn sent(subject: &str, quote: &str, mail: &str) -> Result<String, Fault> {
        let what = What::Policy(PolicyEvent::Applied {
            revision: Hash::of(b""),
            files: Vec::new(),
            summary: Vec::new(),
            change: None,
        });
        let ready = Ready {
            kind: Kind::Decided,
            entry: Entry {
                index: 7,
                leaf: Hash::of(b""),
                bytes: Vec::new(),
                event: Event::new(Timestamp::EPOCH, Actor::System, Subject::Policy, what),
            },
            letter: Letter {
                subject: subject.to_owned(),
                lines: vec![
                    Line::Say("It happened.".to_owned()),
                    Line::Quote {
                        label: "Reason",
                        text: quote.to_owned(),
                    },
                ],
                commands: vec!["daypass status".to_owned()],
                page: Some("requests/R1".to_owned()),
                facts: Map::new(),
            },
            to: None,
        };
        let to = Addressee {
            person: PersonId::from_bytes([1; 10]),
            login: "ana".to_owned(),
            mail: mail.to_owned(),
        };
        let form = Form {
            installation: "test".to_owned(),
            base_url: Some("https://daypass.example/\"><b>".to_owned()),
        };
        let from = "Daypass <daypass@example.com>".parse().unwrap();
        let message = message(&ready, &to, &from, &form, Timestamp::EPOCH)?;
        Ok(String::from_utf8(message.formatted()).unwrap())
    }

    #[test]
    fn no_text_gets_into_a_header() {
        // The engine lets no line break into a subject; if it ever did, this is the second lock.
        let mail = sent(HOSTILE, HOSTILE, "ana@example.com").unwrap();
        let (head, _) = mail.split_once("\r\n\r\n").unwrap();
        let names: Vec<&str> = head
            .lines()
            .filter(|line| !line.starts_with([' ', '\t']))
            .map(|line| line.split(':').next().unwrap())
            .collect();
        assert!(!names.contains(&"Bcc"), "{head}");
        for name in ["Subject", "From", "To", "Message-ID", "Date", "MIME-Version"] {
            assert_eq!(
                names.iter().filter(|one| **one == name).count(),
                1,
                "{name}: {head}"
            );
        }
        assert!(head.contains("Auto-Submitted: auto-generated"), "{head}");
        for bad in ["ana@example.com\r\nBcc: e@x", "ana@example.com>, <e@x", "", "ana"] {
            assert!(sent("a", "b", bad).unwrap_err().refused, "{bad:?}");
        }
    }

    #[test]
    fn an_address_is_told_nobody() {
        let said = "permanent error (550): <Ana@Example.com> unknown; ana@example.com? é";
        let told = without(said, "ana@example.COM");
        assert_eq!(told, "permanent error (550): <[address]> unknown; [address]? é");
    }

    #[test]
    fn html_is_escaped_and_quotes_are_marked() {
        let letter = Letter {
            subject: String::new(),
            lines: vec![Line::Quote {
                label: "Reason",
                text: "a <b>\nIt was approved.".to_owned(),
            }],
            commands: Vec::new(),
            page: None,
            facts: Map::new(),
        };
        assert_eq!(text(&letter, None), "Reason:\n> a <b>\n> It was approved.\n\n");
        let html = html(&letter, Some("https://x/\"><script>"));
        assert!(html.contains("a &lt;b&gt;\nIt was approved."), "{html}");
        let link = "<a href=\"https://x/&quot;&gt;&lt;script&gt;\">";
        assert!(html.contains(link) && !html.contains("<script>"), "{html}");
        assert_eq!(escaped("'\"<>&"), "&#39;&quot;&lt;&gt;&amp;");
    }
}
