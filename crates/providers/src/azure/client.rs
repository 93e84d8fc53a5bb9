//! Calls to ARM and Graph: with a token, bounded in time and size, and to no other address.

use std::time::Duration;

use daypass_core::entitlement::Fault;
use reqwest::{Method, Response, StatusCode, header, redirect};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::error::{Refusal, odd};
use super::identity::{Identity, Tokens};
use crate::Error;
use crate::within::pause;

/// How long one call may take.
const CALL: Duration = Duration::from_secs(20);

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes. A list comes page by page; a page of Azure's is a few hundred kilobytes at most.
const LARGEST: usize = 8 * 1024 * 1024;

/// How many pages of a list are read before it is given up: 200 of a thousand items each.
const PAGES: usize = 200;

/// How long a vendor's `Retry-After` is waited for here, in seconds. A longer one is for the reconciler, which knows how to wait.
const PATIENCE: u64 = 5;

/// Which interface is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    /// Azure Resource Manager.
    Arm,
    /// Microsoft Graph.
    Graph,
}

/// What came back: an answer that says yes, or a refusal in the vendor's words.
pub(super) type Outcome = Result<Answer, Refusal>;

/// An answer that says yes.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// The body; null where there is none.
    pub(super) body: Value,
    /// Where the result of what goes on is to be had.
    pub(super) location: Option<String>,
}

/// The two interfaces, called as one identity.
pub(super) struct Client {
    http: reqwest::Client,
    tokens: Tokens,
    arm: String,
    graph: String,
    audiences: (&'static str, &'static str),
}

impl Client {
    /// A client of an identity. Nothing is called yet.
    pub(super) fn new(identity: &Identity) -> Result<Self, Error> {
        let broken = |error: reqwest::Error| {
            Error::new(
                Fault::Misconfigured,
                format!("the identity of server.yaml: {error}"),
            )
        };
        let mut http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(CALL)
            .connect_timeout(CONNECT)
            .user_agent(concat!("daypass/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &identity.ca_pem {
            let extra = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(broken)?;
            http = http.tls_certs_merge(extra);
        }
        let http = http.build().map_err(broken)?;
        Ok(Self {
            tokens: Tokens::new(identity.clone(), http.clone()),
            http,
            arm: identity.arm_at().to_owned(),
            graph: identity.graph_at().to_owned(),
            audiences: (identity.cloud.arm(), identity.cloud.graph()),
        })
    }

    /// The address by which Graph knows its own objects.
    pub(super) const fn graph_at(&self) -> &'static str {
        self.audiences.1
    }

    /// Reads something.
    pub(super) async fn get(&self, api: Api, path: &str, doing: &str) -> Result<Outcome, Error> {
        self.call(api, Method::GET, path, None, doing).await
    }

    /// Reads something that may not be there.
    pub(super) async fn find(&self, api: Api, path: &str, doing: &str) -> Result<Option<Value>, Error> {
        match self.get(api, path, doing).await? {
            Ok(answer) => Ok(Some(answer.body)),
            Err(refusal) if refusal.status == 404 => Ok(None),
            Err(refusal) => Err(refusal.error(doing)),
        }
    }

    /// All items of a list, page by page.
    pub(super) async fn list(&self, api: Api, path: &str, doing: &str) -> Result<Vec<Value>, Error> {
        let mut all = Vec::new();
        let mut next = Some(path.to_owned());
        for _ in 0..PAGES {
            let Some(path) = next.take() else {
                return Ok(all);
            };
            let answer = self
                .get(api, &path, doing)
                .await?
                .map_err(|refusal| refusal.error(doing))?;
            let Value::Object(mut page) = answer.body else {
                return Err(odd(doing, "is no list"));
            };
            match page.remove("value") {
                Some(Value::Array(items)) => all.extend(items),
                _ => return Err(odd(doing, "is no list")),
            }
            let link = page.remove("nextLink").or_else(|| page.remove("@odata.nextLink"));
            next = match link {
                Some(Value::String(link)) if !link.is_empty() => Some(link),
                _ => None,
            };
        }
        match next {
            None => Ok(all),
            // Half a list would hide what stands.
            Some(_) => Err(odd(doing, "has more pages than are read")),
        }
    }

    /// Sends something, or reads it. A token that was refused is fetched anew, once; a short `Retry-After` is waited for, once.
    ///
    /// # Errors
    /// Where nothing came back, or no token was to be had.
    pub(super) async fn call(
        &self,
        api: Api,
        method: Method,
        path: &str,
        body: Option<&Value>,
        doing: &str,
    ) -> Result<Outcome, Error> {
        let url = self.url(api, path, doing)?;
        let (mut anew, mut waited) = (false, false);
        loop {
            let (status, wait, outcome) = self.once(api, method.clone(), &url, body, doing).await?;
            match status {
                StatusCode::UNAUTHORIZED if !anew => {
                    anew = true;
                    self.tokens.forget();
                }
                StatusCode::TOO_MANY_REQUESTS if !waited && wait.is_some_and(|wait| wait <= PATIENCE) => {
                    waited = true;
                    pause(Duration::from_secs(wait.unwrap_or(1).max(1))).await;
                }
                _ => return Ok(outcome),
            }
        }
    }

    async fn once(
        &self,
        api: Api,
        method: Method,
        url: &str,
        body: Option<&Value>,
        doing: &str,
    ) -> Result<(StatusCode, Option<u64>, Outcome), Error> {
        let audience = match api {
            Api::Arm => self.audiences.0,
            Api::Graph => self.audiences.1,
        };
        let token = self.tokens.get(audience).await?;
        let mut call = self
            .http
            .request(method.clone(), url)
            .bearer_auth(token.expose_secret());
        call = match body {
            Some(body) => call.json(body),
            // ARM refuses a POST that does not say how long it is.
            None if method == Method::POST => call.header(header::CONTENT_LENGTH, "0"),
            None => call,
        };
        let lost = |error: reqwest::Error| {
            // The address is not of interest; what a proxy or a certificate did is.
            let error = error.without_url();
            Error::new(
                Fault::Unavailable,
                format!("{doing}: no answer: {}", whole(&error)),
            )
        };
        let response = call.send().await.map_err(lost)?;
        let status = response.status();
        let text = |name: header::HeaderName| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let wait = text(header::RETRY_AFTER).and_then(|wait| wait.parse().ok());
        let location = text(header::LOCATION);
        let bytes = read(response, doing).await?;
        let body = match bytes.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        };
        let status_code = status.as_u16();
        if status.is_success() {
            if body.is_null() && !bytes.is_empty() {
                return Err(odd(doing, "is no JSON"));
            }
            let answer = Answer {
                status: status_code,
                body,
                location,
            };
            return Ok((status, wait, Ok(answer)));
        }
        Ok((status, wait, Err(Refusal::read(status_code, &body))))
    }

    /// The whole address. What a target names itself (the next page, where a result is) must be at the address that we called: a
    /// token goes nowhere else.
    fn url(&self, api: Api, path: &str, doing: &str) -> Result<String, Error> {
        let base = match api {
            Api::Arm => &self.arm,
            Api::Graph => &self.graph,
        };
        if path.starts_with('/') && !path.starts_with("//") {
            return Ok(format!("{base}{path}"));
        }
        let within = path.strip_prefix(base.as_str());
        match within.is_some_and(|rest| rest.starts_with('/')) {
            true => Ok(path.to_owned()),
            false => Err(odd(doing, "leads to another address, which gets no token")),
        }
    }
}

/// The body, as long as it is not too long.
async fn read(mut response: Response, doing: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| {
            let error = error.without_url();
            Error::new(
                Fault::Unavailable,
                format!("{doing}: half an answer: {}", whole(&error)),
            )
        })?;
        let Some(chunk) = chunk else {
            return Ok(bytes);
        };
        if bytes.len().saturating_add(chunk.len()) > LARGEST {
            return Err(odd(doing, "is longer than 8 MiB"));
        }
        bytes.extend_from_slice(&chunk);
    }
}

/// An error with what caused it.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::identity::{Cloud, Login};
    use super::*;

    #[test]
    fn no_link_of_a_target_leads_a_token_elsewhere() {
        let client = Client::new(&Identity {
            tenant: "t".to_owned(),
            login: Login::Cli,
            cloud: Cloud::Public,
            authority: None,
            arm: None,
            graph: None,
            ca_pem: None,
        })
        .unwrap();
        let url = |path| client.url(Api::Arm, path, "reading");
        assert_eq!(
            url("/subscriptions").unwrap(),
            "https://management.azure.com/subscriptions"
        );
        assert!(url("https://management.azure.com/subscriptions?$skiptoken=a").is_ok());
        for bad in [
            "https://management.azure.com.evil.example/x",
            "https://management.azure.com@evil.example/x",
            "http://management.azure.com/x",
            "https://graph.microsoft.com/v1.0/groups",
            "//evil.example/x",
            "",
        ] {
            assert_eq!(url(bad).unwrap_err().fault, Fault::Bug, "{bad}");
        }
    }
}
