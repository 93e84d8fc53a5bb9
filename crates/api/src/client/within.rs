//! A server in the same process: what would go over the network is handed to it. So pages are a client like any other, and nothing
//! that they do goes around what every caller has to pass.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use reqwest::{Body, Response};
use secrecy::SecretString;

use super::error::Error;
use super::{Again, Client, Connection, Failed, bearer, unusable};

/// What is called here, and what it answers.
pub type Called = http::Request<Body>;
/// The answer on its way.
pub type Answering = Pin<Box<dyn Future<Output = http::Response<Body>> + Send>>;

/// Who answers in the place of a server elsewhere.
pub trait Within: Send + Sync + fmt::Debug {
    /// Answers.
    fn call(&self, call: Called) -> Answering;
}

impl Client {
    /// A client of a server in the same process, of nobody yet ([`Client::with_token`]).
    ///
    /// # Errors
    /// Where no client can be made.
    pub fn within(server: Arc<dyn Within>) -> Result<Self, Error> {
        let here = Connection {
            server: String::from("http://127.0.0.1"),
            ..Connection::default()
        };
        Ok(Self {
            within: Some(server),
            ..Self::new(&here)?
        })
    }

    /// The same client, for whoever has this token.
    ///
    /// # Errors
    /// Where it cannot be one.
    pub fn with_token(&self, token: &SecretString) -> Result<Self, Error> {
        Ok(Self {
            authorization: Some(bearer(token)?),
            ..self.clone()
        })
    }
}

/// Hands it over.
pub(super) async fn answered(
    server: &Arc<dyn Within>,
    call: reqwest::RequestBuilder,
) -> Result<Response, Failed> {
    let call = call.build().and_then(Called::try_from);
    match call {
        Ok(call) => Ok(server.call(call).await.into()),
        Err(error) => Err(Failed {
            error: unusable("call", &error),
            again: Again::Never,
        }),
    }
}
