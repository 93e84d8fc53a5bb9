//! One call to a witness (C2SP `tlog-witness`, `add-checkpoint`), and what its answer means.

use std::time::Duration;

use daypass_tlog::Note;
use daypass_tlog::key::Verifier;
use daypass_tlog::note::Signature;
use daypass_tlog::witness::Proposal;
use reqwest::{Certificate, Client, StatusCode, Url, redirect};

use super::AskError;
use crate::config::{TlsMode, WitnessAt};
use crate::secrets::read_tls;

/// How long a witness may take to answer, connecting included.
const ANSWER: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes: a few lines.
const LONGEST: usize = 16 * 1024;

/// A way to a witness.
pub(crate) struct Ask {
    url: Url,
    /// The key that it signs with.
    pub(super) key: Verifier,
    http: Client,
}

/// What a witness answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Its signature of the checkpoint, verified, and the time in it, in seconds since 1970.
    Cosigned(Signature, u64),
    /// What it signed last has this size.
    Last(u64),
    /// It says that the proof does not hold.
    Unproved,
    /// Anything else: what went wrong.
    Nothing(String),
}

impl Ask {
    /// A way there. Nothing is sent yet.
    ///
    /// # Errors
    /// Where the certificates that it is recognised by cannot be used.
    pub(crate) fn new(at: &WitnessAt) -> Result<Self, AskError> {
        let name = at.key.name().to_string();
        let broken = |error: reqwest::Error| AskError::Http {
            name: name.clone(),
            why: error.without_url().to_string(),
        };
        let mut http = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(ANSWER)
            .user_agent(concat!("daypass/", env!("CARGO_PKG_VERSION")));
        let mode = TlsMode::VerifyFull { ca: at.ca.clone() };
        if let daypass_providers::Tls::VerifyFull { ca_pem: Some(pem) } = read_tls(&mode, &name)? {
            let extra = Certificate::from_pem_bundle(pem.as_bytes()).map_err(broken)?;
            http = http.tls_certs_merge(extra);
        }
        let text = format!("{}/add-checkpoint", at.url.as_str().trim_end_matches('/'));
        let url = Url::parse(&text).map_err(|error| AskError::Http {
            name: name.clone(),
            why: error.to_string(),
        })?;
        Ok(Self {
            url,
            key: at.key.clone(),
            http: http.build().map_err(broken)?,
        })
    }

    /// Asks for a signature.
    pub(super) async fn ask(&self, proposal: &Proposal) -> Answer {
        let sent = self
            .http
            .post(self.url.clone())
            .header("content-type", "text/plain; charset=utf-8")
            .body(proposal.to_string())
            .send()
            .await;
        let mut answer = match sent {
            Ok(answer) => answer,
            Err(error) => return Answer::Nothing(chain(&error.without_url())),
        };
        let status = answer.status();
        let mut body = Vec::new();
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > LONGEST => {
                    return Answer::Nothing(format!("its answer is longer than {LONGEST} bytes"));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Answer::Nothing(chain(&error.without_url())),
            }
        }
        self.read(status, &body, &proposal.note)
    }

    fn read(&self, status: StatusCode, body: &[u8], note: &Note) -> Answer {
        let text = std::str::from_utf8(body).unwrap_or_default();
        match status {
            StatusCode::OK => self.signature(text, note).map_or_else(
                || Answer::Nothing(String::from("it answered without a signature of its key")),
                |(signature, at)| Answer::Cosigned(signature, at),
            ),
            StatusCode::CONFLICT => match text.trim_end().parse() {
                Ok(size) => Answer::Last(size),
                Err(_) => Answer::Nothing(String::from("it answered 409 without a size")),
            },
            StatusCode::UNPROCESSABLE_ENTITY => Answer::Unproved,
            StatusCode::NOT_FOUND => {
                Answer::Nothing(String::from("it answered 404: it does not look after this log"))
            }
            StatusCode::FORBIDDEN => Answer::Nothing(String::from(
                "it answered 403: it has another key of this log. Where that was rotated, its file of --log needs the line of log-key.pub",
            )),
            other => Answer::Nothing(format!("it answered {other}")),
        }
    }

    /// Its signature among the lines of an answer, where it is one of this checkpoint, and its time. Others are ignored.
    fn signature(&self, text: &str, note: &Note) -> Option<(Signature, u64)> {
        let lines = text.lines().take(daypass_tlog::note::MOST_SIGNATURES);
        let own = lines.filter_map(|line| Signature::parse(line).ok());
        let mut own = own.filter(|one| one.is_by(&self.key));
        own.find_map(|one| {
            let mut signed = note.clone();
            signed.add([one.clone()]);
            let seen = signed.verify(&self.key).ok()?;
            Some((one, seen.at))
        })
    }
}

/// An error with its causes: the outermost one only says that a request could not be sent.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
