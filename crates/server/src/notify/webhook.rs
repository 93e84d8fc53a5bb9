//! Notices over HTTP: CloudEvents 1.0 in structured JSON, signed as Standard Webhooks says.
//!
//! Sources: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md> with its HTTP binding and its extension
//! `sequence`; <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.
//!
//! What is signed is `id.timestamp.body`: the id is the same in each attempt and the time is that of the attempt, so that a
//! receiver can refuse what is old and notice what it has had. No redirect is followed and no answer's body is read.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::event::Subject;
use daypass_core::time::Timestamp;
use daypass_engine::notices::Ready;
use daypass_providers::{Revealed, Secrets, Tls};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Certificate, Client, Url, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::courier::{Carrier, Fault};
use crate::config::WebhookConfig;
use crate::secrets::{ConfiguredSecrets, SecretError, read_tls};

/// How long a receiver may take to answer, connecting included.
const ANSWER: Duration = Duration::from_secs(10);
/// What a secret begins with, and how many bytes a key has. Source: Standard Webhooks, "Signature scheme".
const PREFIX: &str = "whsec_";
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Why there is no way to a receiver.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Its certificate authority cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The connection cannot be set up.
    #[error("the webhook \"{name}\": {why}")]
    Http {
        /// Its name.
        name: String,
        /// What is wrong.
        why: String,
    },
}

/// A receiver.
pub(crate) struct Webhook {
    url: Url,
    host: String,
    port: u16,
    key: String,
    secrets: Arc<ConfiguredSecrets>,
    http: Client,
    form: Form,
}

/// What is the same in every event of an installation.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    /// The random id of the store.
    pub(crate) installation: String,
    /// The address of the server's pages, if it has any.
    pub(crate) base_url: Option<String>,
}

impl Webhook {
    /// A way there. Nothing is sent yet, and the secret is read each time it is needed.
    ///
    /// # Errors
    /// Where the certificates that it is recognised by cannot be used.
    pub(crate) fn new(
        config: &WebhookConfig,
        secrets: Arc<ConfiguredSecrets>,
        form: Form,
    ) -> Result<Self, WebhookError> {
        let broken = |error: reqwest::Error| WebhookError::Http {
            name: config.name.clone(),
            why: error.without_url().to_string(),
        };
        let mut http = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(ANSWER)
            .user_agent(concat!("daypass/", env!("CARGO_PKG_VERSION")));
        if let Tls::VerifyFull { ca_pem: Some(pem) } = read_tls(&config.tls, &config.key)? {
            let extra = Certificate::from_pem_bundle(pem.as_bytes()).map_err(broken)?;
            http = http.tls_certs_merge(extra);
        }
        let (host, port) = config.address();
        Ok(Self {
            url: config.url.clone(),
            host,
            port,
            key: config.key.clone(),
            secrets,
            http: http.build().map_err(broken)?,
            form,
        })
    }

    async fn keys(&self) -> Result<Vec<Zeroizing<Vec<u8>>>, Fault> {
        let revealed = self.secrets.reveal(&self.key, &self.host, self.port).await;
        let Revealed { value, .. } = revealed.map_err(|error| Fault::later(error.to_string()))?;
        keys(&value).ok_or_else(|| Fault::later(SecretError::NoKey(self.key.clone()).to_string()))
    }
}

#[async_trait]
impl Carrier for Webhook {
    async fn carry(&self, ready: &Ready, now: Timestamp) -> Result<(), Fault> {
        let (id, body) = (id(ready), event(ready, &self.form).to_string());
        let seconds = now.micros().div_euclid(1_000_000);
        let signature = sign(&self.keys().await?, &id, seconds, body.as_bytes());
        let sent = self
            .http
            .post(self.url.clone())
            .header("content-type", "application/cloudevents+json; charset=utf-8")
            .header("webhook-id", &id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature)
            .body(body)
            .send()
            .await;
        match sent {
            Ok(answer) if answer.status().is_success() => Ok(()),
            // What else it says is not ours to keep.
            Ok(answer) => Err(Fault::later(format!("it answered {}", answer.status()))),
            Err(error) => Err(Fault::later(chain(&error.without_url()))),
        }
    }
}

/// An error with its causes: the outermost one only says that a request could not be sent.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _infallible = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// What makes a notice one: the same in each attempt, by whichever server. No dots: what is signed is parted by them.
fn id(ready: &Ready) -> String {
    format!("{}-{}", ready.entry.index, ready.kind.name().replace('.', "-"))
}

/// The event as it is sent.
fn event(ready: &Ready, form: &Form) -> Value {
    let mut data = ready.letter.facts.clone();
    data.insert(String::from("title"), ready.letter.subject.clone().into());
    let page = ready.letter.page.as_ref().zip(form.base_url.as_ref());
    if let Some((page, base)) = page {
        data.insert(String::from("url"), format!("{base}/{page}").into());
    }
    let subject = match &ready.entry.event.subject {
        Subject::Lock(on) => on.to_string(),
        other => other.id(),
    };
    json!({
        "specversion": "1.0",
        "id": id(ready),
        "source": format!("urn:daypass:{}", form.installation),
        "type": format!("io.daypass.{}", ready.kind.name()),
        "subject": subject,
        "time": ready.entry.event.at.to_string(),
        "sequence": format!("{:020}", ready.entry.index),
        "datacontenttype": "application/json",
        "data": data,
    })
}

/// Whether webhooks can be signed with a secret.
pub(crate) fn is_key(secret: &SecretString) -> bool {
    keys(secret).is_some()
}

/// The keys in a secret: one, or several while one takes over from another.
fn keys(secret: &SecretString) -> Option<Vec<Zeroizing<Vec<u8>>>> {
    let key = |word: &str| {
        let key = STANDARD
            .decode(word.strip_prefix(PREFIX)?)
            .ok()
            .map(Zeroizing::new)?;
        KEY_BYTES.contains(&key.len()).then_some(key)
    };
    let keys: Option<Vec<_>> = secret.expose_secret().split_whitespace().map(key).collect();
    keys.filter(|keys| !keys.is_empty())
}

/// One signature for each key, parted by spaces.
fn sign(keys: &[Zeroizing<Vec<u8>>], id: &str, seconds: i64, body: &[u8]) -> String {
    let signature = |key: &Zeroizing<Vec<u8>>| {
        // A key of any length will do (RFC 2104); there is no error to have.
        let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
        mac.update(format!("{id}.{seconds}.").as_bytes());
        mac.update(body);
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    };
    keys.iter().filter_map(signature).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Option<Vec<Zeroizing<Vec<u8>>>> {
        keys(&SecretString::from(text))
    }

    #[test]
    fn it_signs_as_others_do() {
        // The vector of the reference libraries of Standard Webhooks (standardwebhooks, `webhook_test`).
        let keys = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = sign(
            &keys,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_key_is_a_key_or_none() {
        let key = format!("{PREFIX}{}", STANDARD.encode([7; 32]));
        assert_eq!(secret(&key).unwrap().len(), 1);
        let two = secret(&format!("{key}\n{key}")).unwrap();
        assert_eq!(sign(&two, "a", 1, b"{}").split(' ').count(), 2);
        for bad in [
            "",
            "secret",
            &key[6..],
            "whsec_",
            "whsec_!!!!",
            "whsec_YQ==",
            &format!("{key} x"),
        ] {
            assert!(secret(bad).is_none(), "{bad}");
        }
    }
}
