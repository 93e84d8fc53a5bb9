//! The typed client: one method per route, retries that cannot do a thing twice, and no secret where it does not belong.
//!
//! It follows no redirects (a token must not travel to another host), caps what it reads, and talks plain HTTP to this
//! machine only. Every POST carries an `Idempotency-Key` that its retries share.

mod calls;
mod edge;
mod error;
mod gateway;
mod guard;
mod lines;
mod sse;
#[cfg(test)]
mod wire_tests;
mod within;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Response, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::error::{Distrusted, Error};
pub use self::guard::{Admission, Call, Guard};
pub use self::lines::LineStream;
pub use self::sse::EventStream;
pub use self::within::{Answering, Called, Within};
use crate::gateway::RUN_HEADER;
use crate::problem::{Problem, ProblemCode};
use crate::route::{Method, Route};
use crate::{IDEMPOTENCY_KEY, PROBLEM_JSON};

/// The most bytes of an answer that are read. The largest is a policy, which is far below.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a call may take, its answer included.
const WHOLE_CALL: Duration = Duration::from_secs(60);
/// How long nothing may come: twice what the live stream's keep-alive takes.
const SILENCE: Duration = Duration::from_secs(45);
/// How long an unused connection is kept: less than servers do.
const IDLE: Duration = Duration::from_secs(10);
/// The waits before the second, third and fourth attempt.
const WAITS: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_millis(800),
    Duration::from_millis(2_500),
];
/// The longest that a server's `Retry-After` is waited for: people prefer to be told.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Where the server is and who one is there.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// The server's address, such as `https://daypass.example.com`.
    pub server: String,
    /// The bearer token of a session or an API token.
    pub token: Option<SecretString>,
    /// A certificate authority to trust besides the system's, as PEM.
    pub ca_pem: Option<Vec<u8>>,
}

/// A client of one server.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    authorization: Option<HeaderValue>,
    key: Option<String>,
    /// Which run of a gateway asks.
    run: Option<HeaderValue>,
    guard: Option<Arc<dyn Guard>>,
    /// The server, where it is in this process.
    within: Option<Arc<dyn Within>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.base.as_str())
            .field("logged_in", &self.authorization.is_some())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client. Nothing is sent yet.
    ///
    /// # Errors
    /// Where the address is none, would send secrets over an unencrypted network, or the certificate is unusable.
    pub fn new(connection: &Connection) -> Result<Self, Error> {
        let base = checked(&connection.server)?;
        let mut http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            // Servers keep idle connections for a little longer: what is sent on one that is just being closed is lost.
            .pool_idle_timeout(IDLE)
            .user_agent(concat!("daypass/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&base) {
            // A proxy has no business between two programs of one machine.
            http = http.no_proxy();
        }
        if let Some(pem) = &connection.ca_pem {
            let extra = Certificate::from_pem_bundle(pem).map_err(|error| unusable("certificate", &error))?;
            http = http.tls_certs_merge(extra);
        }
        let http = http.build().map_err(|error| unusable("connection", &error))?;
        let authorization = connection.token.as_ref().map(bearer).transpose()?;
        Ok(Self {
            http,
            base,
            authorization,
            key: None,
            run: None,
            guard: None,
            within: None,
        })
    }

    /// The same client, whose next POST has this idempotency key. For scripts that repeat a command on purpose.
    #[must_use]
    pub fn keyed(&self, key: impl Into<String>) -> Self {
        Self {
            key: Some(key.into()),
            ..self.clone()
        }
    }

    /// The same client, whose POSTs share one key: a fresh one, where it has none. For one command that may have to be sent
    /// again with nothing else changed.
    #[must_use]
    pub fn for_one_command(&self) -> Self {
        let key = self.key.clone().unwrap_or_else(edge::fresh_key);
        self.keyed(key)
    }

    /// The same client, whose calls say which run of a gateway makes them ([`crate::gateway::RUN_HEADER`]).
    #[must_use]
    pub fn of_run(&self, run: &SecretString) -> Self {
        let mut run = HeaderValue::from_str(run.expose_secret()).ok();
        if let Some(run) = &mut run {
            run.set_sensitive(true);
        }
        Self { run, ..self.clone() }
    }

    /// The server's address.
    #[must_use]
    pub fn server(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// A call without a body.
    async fn get<Q: Serialize + Sync, T: DeserializeOwned>(
        &self,
        route: Route,
        at: &[&str],
        query: &Q,
    ) -> Result<T, Error> {
        let url = self.url(route, at)?;
        self.attempt(route, || {
            self.http.request(method(route), url.clone()).query(query)
        })
        .await
    }

    /// A call without a body, whose answer is no JSON.
    async fn get_bytes(&self, route: Route, at: &[&str]) -> Result<Vec<u8>, Error> {
        let url = self.url(route, at)?;
        self.whole(route.into(), || self.http.request(method(route), url.clone()))
            .await
    }

    /// The same with a query.
    async fn get_bytes_by<Q: Serialize + Sync>(&self, route: Route, query: &Q) -> Result<Vec<u8>, Error> {
        let url = self.url(route, &[])?;
        self.whole(route.into(), || {
            self.http.request(method(route), url.clone()).query(query)
        })
        .await
    }

    /// A call with a body.
    async fn send<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        route: Route,
        at: &[&str],
        body: &B,
    ) -> Result<T, Error> {
        self.send_as(route.into(), at, body).await
    }

    /// The same, where the route does not say all about what is asked.
    async fn send_as<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        what: Call,
        at: &[&str],
        body: &B,
    ) -> Result<T, Error> {
        let route = what.route;
        let url = self.url(route, at)?;
        let key = self.key.clone().unwrap_or_else(edge::fresh_key);
        self.attempt(what, || {
            let call = self.http.request(method(route), url.clone()).json(body);
            if route.method() == Method::Post {
                call.header(IDEMPOTENCY_KEY, &key)
            } else {
                call
            }
        })
        .await
    }

    fn url(&self, route: Route, at: &[&str]) -> Result<Url, Error> {
        // The address may have a path of its own, behind a proxy that serves several things.
        let text = format!("{}{}", self.server(), route.at(at));
        Url::parse(&text).map_err(|error| Error::Setup(format!("{text} is no address: {error}")))
    }

    async fn attempt<T: DeserializeOwned>(
        &self,
        what: impl Into<Call>,
        call: impl Fn() -> reqwest::RequestBuilder,
    ) -> Result<T, Error> {
        let body = self.whole(what.into(), call).await?;
        self.read(&body)
    }

    /// Sends until an answer comes that repeating would not better.
    async fn whole(&self, what: Call, call: impl Fn() -> reqwest::RequestBuilder) -> Result<Vec<u8>, Error> {
        self.admitted(what).await?;
        let mut waits = WAITS.into_iter();
        loop {
            let outcome = self.once(call().timeout(WHOLE_CALL)).await;
            let (error, again) = match outcome {
                Ok(body) => return Ok(body),
                Err(Failed { error, again }) => (error, again),
            };
            let wait = if again.is_worth_it(what.route) {
                waits.next()
            } else {
                None
            };
            let wait = match again {
                Again::Harmless(asked) => wait.map(|wait| asked.unwrap_or(wait)),
                _ => wait,
            };
            match wait.filter(|wait| *wait <= LONGEST_WAIT) {
                Some(wait) => edge::pause(wait).await,
                None => return Err(error),
            }
        }
    }

    async fn once(&self, call: reqwest::RequestBuilder) -> Result<Vec<u8>, Failed> {
        let response = self.dispatch(call).await?;
        let status = response.status();
        let asked = retry_after(&response);
        let problem_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let is_problem = problem_type.is_some_and(|value| value.starts_with(PROBLEM_JSON));
        let body = self.body(response).await?;
        if status == StatusCode::ACCEPTED {
            // It was taken, and not carried out: whoever expects that it was must not go on as if it were.
            let error = match serde_json::from_slice(&body) {
                Ok(proposed) => Error::Waits(Box::new(proposed)),
                Err(error) => self.not_daypass(error.to_string()),
            };
            return Err(Failed {
                error,
                again: Again::Never,
            });
        }
        if status.is_success() {
            return Ok(body);
        }
        let problem = is_problem
            .then(|| serde_json::from_slice::<Problem>(&body).ok())
            .flatten();
        let Some(problem) = problem else {
            let again = if status == StatusCode::SERVICE_UNAVAILABLE {
                Again::Harmless(asked)
            } else {
                Again::Never
            };
            return Err(Failed {
                error: self.not_daypass(format!("HTTP {status}")),
                again,
            });
        };
        let again = match problem.code {
            ProblemCode::Unavailable | ProblemCode::RateLimited => Again::Harmless(asked),
            ProblemCode::IdempotencyInProgress => Again::Ambiguous,
            _ => Again::Never,
        };
        Err(Failed {
            error: Error::Problem(Box::new(problem)),
            again,
        })
    }

    async fn dispatch(&self, call: reqwest::RequestBuilder) -> Result<Response, Failed> {
        let call = match &self.authorization {
            Some(value) => call.header(AUTHORIZATION, value.clone()),
            None => call,
        };
        let call = match &self.run {
            Some(run) => call.header(RUN_HEADER, run.clone()),
            None => call,
        };
        let call = call.header(ACCEPT, "application/json, application/problem+json");
        if let Some(server) = &self.within {
            return within::answered(server, call).await;
        }
        call.send().await.map_err(|error| {
            let (error, again) = match error::untrusted(&error) {
                Some(detail) => (self.untrusted(detail), Again::Never),
                None if error.is_builder() => (self.unreachable(&error), Again::Never),
                // Not connected: nothing was sent. Anything later may have reached the server.
                None if error.is_connect() => (self.unreachable(&error), Again::Unsent),
                None => (self.unreachable(&error), Again::Ambiguous),
            };
            Failed { error, again }
        })
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Failed> {
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > MAX_ANSWER => {
                    let error = self.not_daypass(format!("it is larger than {MAX_ANSWER} bytes"));
                    return Err(Failed {
                        error,
                        again: Again::Never,
                    });
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body),
                Err(error) => {
                    return Err(Failed {
                        error: self.unreachable(&error),
                        again: Again::Ambiguous,
                    });
                }
            }
        }
    }

    fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, Error> {
        // An answer without content (204) reads as null.
        let body = if body.is_empty() { b"null".as_slice() } else { body };
        serde_json::from_slice(body).map_err(|error| self.not_daypass(error.to_string()))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        let detail = if error.is_timeout() {
            String::from("no answer in time")
        } else {
            error::chain(error)
        };
        Error::Unreachable {
            server: self.server().to_owned(),
            detail,
        }
    }

    fn untrusted(&self, detail: String) -> Error {
        Error::Untrusted {
            server: self.server().to_owned(),
            detail,
        }
    }

    fn not_daypass(&self, detail: String) -> Error {
        Error::NotDaypass {
            server: self.server().to_owned(),
            detail,
        }
    }
}

/// An attempt that brought no answer of use.
struct Failed {
    error: Error,
    again: Again,
}

/// Whether another attempt makes sense.
#[derive(Clone, Copy)]
enum Again {
    /// The answer would be the same.
    Never,
    /// Nobody was there to send it to.
    Unsent,
    /// The call may have taken effect; with its idempotency key it may be repeated.
    Ambiguous,
    /// The call had no effect. The server may have said how long to wait.
    Harmless(Option<Duration>),
}

impl Again {
    /// Whether the client makes it by itself.
    const fn is_worth_it(self, route: Route) -> bool {
        match self {
            Self::Never => false,
            _ if route.is_repeated_by_its_caller() => false,
            Self::Unsent => true,
            _ if route.uses_up_a_ticket() => false,
            // It may have taken effect, and its answer cannot be had twice.
            Self::Ambiguous => !route.answers_with_secret(),
            Self::Harmless(_) => true,
        }
    }
}

fn method(route: Route) -> reqwest::Method {
    match route.method() {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Delete => reqwest::Method::DELETE,
    }
}

fn bearer(token: &SecretString) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
        .map_err(|_| Error::Setup(String::from("the token holds characters that no token has")))?;
    value.set_sensitive(true);
    Ok(value)
}

fn checked(server: &str) -> Result<Url, Error> {
    let bad = |why: &str| Error::Setup(format!("\"{server}\" is no address of a server: {why}"));
    if !server.contains("://") {
        return Err(bad(&format!(
            "it lacks the scheme; write it as {}",
            with_scheme(server.trim())
        )));
    }
    let url = Url::parse(server.trim()).map_err(|error| bad(&error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it holds a user or password; use `daypass login`"));
    }
    if url.query().is_some() || url.fragment().is_some() || url.host().is_none() {
        return Err(bad("write it as https://daypass.example.com"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(bad(
            "without TLS your password and token could be read on the way; use https://",
        )),
        _ => Err(bad("write it as https://daypass.example.com")),
    }
}

/// An address that was typed without its scheme, with the one that it has to have.
fn with_scheme(server: &str) -> String {
    let plain = format!("http://{server}");
    match Url::parse(&plain) {
        Ok(url) if is_loopback(&url) => plain,
        Ok(_) => format!("https://{server}"),
        Err(_) => String::from("https://daypass.example.com"),
    }
}

fn is_loopback(url: &Url) -> bool {
    // `host_str` writes an IPv6 address in brackets.
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn unusable(what: &str, error: &reqwest::Error) -> Error {
    Error::Setup(format!("the {what} cannot be used: {}", error::chain(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_shown_once() {
        let now = Some(Duration::ZERO);
        for route in [Route::GatewayProve, Route::GatewayOpen, Route::GatewayWait] {
            assert!(Again::Unsent.is_worth_it(route), "{route:?}");
            for again in [Again::Never, Again::Ambiguous, Again::Harmless(now)] {
                assert!(!again.is_worth_it(route), "{route:?}");
            }
        }
        for route in [Route::GatewayRenew, Route::GatewayClose, Route::GatewayChallenge] {
            assert!(Again::Ambiguous.is_worth_it(route), "{route:?}");
            assert!(Again::Harmless(now).is_worth_it(route), "{route:?}");
        }
        assert!(!Again::Unsent.is_worth_it(Route::GatewayRecord));
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for good in [
            "https://d.example.com",
            "http://127.0.0.1:7373",
            "http://[::1]:7373",
            "http://localhost/x",
        ] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in [
            "http://d.example.com",
            "http://127.0.0.1.example.com",
            "ftp://127.0.0.1",
            "d.example.com",
            "https://ana:pw@d.example.com",
            "https://d.example.com/?x=1",
            "",
        ] {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_without_its_scheme_is_told_with_it() {
        for (typed, whole) in [
            ("example.com", "https://example.com"),
            ("d.example.com:7373", "https://d.example.com:7373"),
            ("localhost:7373", "http://localhost:7373"),
            ("127.0.0.1", "http://127.0.0.1"),
            ("", "https://daypass.example.com"),
        ] {
            let told = checked(typed).unwrap_err().to_string();
            assert!(
                told.ends_with(&format!("it lacks the scheme; write it as {whole}")),
                "{told}"
            );
        }
    }

    #[test]
    fn debug_does_not_show_the_token() {
        let token = Some(SecretString::from("dpt_verysecret"));
        let connection = Connection {
            server: "http://127.0.0.1:1".into(),
            token,
            ca_pem: None,
        };
        let client = Client::new(&connection).unwrap();
        assert!(!format!("{client:?} {connection:?}").contains("verysecret"));
    }
}
