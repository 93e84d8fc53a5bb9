//! Whoever uses the client may look at the server before each call, and not let it be made.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::{Client, Error};
use crate::request::Decision;
use crate::route::Route;

/// Whether the server may be asked; see [`Guard::admits`].
pub type Admission<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// What is about to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// The route.
    pub route: Route,
    /// What a review says; nothing for all other calls.
    pub decision: Option<Decision>,
}

impl From<Route> for Call {
    fn from(route: Route) -> Self {
        Self {
            route,
            decision: None,
        }
    }
}

/// Looks at a server before it is asked anything.
pub trait Guard: Send + Sync {
    /// Called before each call. `client` is the same one without a guard. What it does is cheap nearly always: most commands make
    /// a few calls in a row.
    ///
    /// # Errors
    /// The call is then not made, and ends with this.
    fn admits<'a>(&'a self, client: &'a Client, call: Call) -> Admission<'a>;
}

impl Client {
    /// The same client, which asks this guard before each call.
    #[must_use]
    pub fn guarded(self, guard: Arc<dyn Guard>) -> Self {
        Self {
            guard: Some(guard),
            ..self
        }
    }

    /// Asks the guard, where there is one. Every call does; for who wants to know before, and sends nothing yet.
    ///
    /// # Errors
    /// Where the server must not be asked this.
    pub async fn admitted(&self, call: impl Into<Call> + Send) -> Result<(), Error> {
        let Some(guard) = &self.guard else {
            return Ok(());
        };
        let bare = Self {
            guard: None,
            ..self.clone()
        };
        guard.admits(&bare, call.into()).await
    }
}
