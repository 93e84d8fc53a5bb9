//! A stateful stand-in for Azure: Azure Resource Manager, Microsoft Graph and the tokens of Entra, on one loopback port.
//!
//! It keeps what it is told and judges as Azure does: who may what by role assignments, what packets meet by the rules in force, what
//! runs out by a clock that a test moves. It is set up, looked at and altered by hand from outside, without the API; and it fails
//! on demand.
//!
//! ```
//! # use std::time::Duration;
//! use daypass_testbed::azure::{Azure, Fault, Proof, Times};
//! let azure = Azure::start().unwrap();
//! let s = azure.subscription("Production");
//! let web = azure.vm(&s, "web", "web-1", "10.0.0.4");
//! let us = azure.program("daypass", &Proof::Secret("s3cret".into()));
//! azure.assign(&us.object, "Owner", &format!("/subscriptions/{s}"));
//! assert!(!azure.is_open(&web, 22, "Tcp", [198, 51, 100, 7].into()));
//! let lost = azure.fail("PUT", "/securityRules/", Fault::LostAnswer, Times::Exactly(1));
//! azure.advance(Duration::from_secs(3600));
//! # drop(lost);
//! ```
//!
//! What is not in Microsoft's documents or descriptions is said where it stands. Absent: conditions of role assignments (kept, not
//! judged), deny assignments, data actions.

mod activity;
mod assignments;
mod call;
mod compute;
pub mod contract;
mod edge;
mod effective;
mod exchange;
mod faults;
mod graph;
mod hand;
mod jit;
mod look;
mod network;
mod operations;
mod pim;
mod rights;
mod roles;
mod route;
mod rules;
mod scope;
mod seed;
mod server;
mod state;
mod tls;
mod token;
mod world;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;

pub use exchange::Exchange;
pub use faults::{Fault, Struck, Times};
pub use look::Assignment;
pub use seed::{Certificate, Program, Proof};

use crate::Result;
use server::Server;
use state::World;

/// A running stand-in. Dropping it ends it.
#[derive(Debug)]
pub struct Azure {
    world: Arc<Mutex<World>>,
    server: Server,
    ca: String,
}

impl Azure {
    /// Starts one, with an empty tenant: no subscription, nobody in the directory.
    ///
    /// # Errors
    /// No port is free, or the system refuses a listener or a thread.
    pub fn start() -> Result<Self> {
        let (tls, ca) = tls::make()?;
        let world = Arc::new(Mutex::new(World::new()));
        let server = Server::start(Arc::clone(&world), tls)?;
        Ok(Self { world, server, ca })
    }

    /// `https://127.0.0.1:PORT`: where ARM, Graph (`/v1.0` below it) and the authority are. The same port takes plain HTTP too.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.server.addr)
    }

    /// [`Azure::url`] without TLS.
    #[must_use]
    pub fn plain_url(&self) -> String {
        format!("http://{}", self.server.addr)
    }

    /// The certificate of the authority that signed the server's, as PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca
    }

    /// The tenant's id.
    #[must_use]
    pub fn tenant(&self) -> String {
        self.lock().data.tenant.clone()
    }

    /// The stand-in's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.lock().now()
    }

    /// Moves the stand-in's clock on: what runs out until then has run out. Tokens do, too.
    pub fn advance(&self, by: Duration) {
        let mut world = self.lock();
        world.moved += by;
        world.by_hand(|_, _| ());
    }

    /// Makes calls fail: those with this method (`*`: any) whose path has this in it, small letters and capitals being the same.
    pub fn fail(&self, method: &str, path: &str, fault: Fault, times: Times) -> Struck {
        self.lock().faults.plan(method, path, fault, times)
    }

    /// Lets reads of paths that have this in them (empty: all) see what was so long ago, by the stand-in's clock; zero ends it.
    pub fn reads_lag(&self, path: &str, by: Duration) {
        self.lock().lag(path, by);
    }

    /// How long asynchronous operations take, by the stand-in's clock. Zero at first: the first look finds them done.
    pub fn operations_take(&self, duration: Duration) {
        self.lock().data.operations_take = duration;
    }

    /// Ends every asynchronous operation that is under way, well: those, too, that were never to end.
    pub fn end_operations(&self) {
        self.lock().by_hand(|data, now| {
            for operation in data.operations.values_mut().filter(|one| !one.done) {
                operation.ends = Some(now);
                operation.fate = operations::Fate::Well;
            }
            data.settle(now);
        });
    }

    /// How long new tokens hold; 3599 s at first.
    pub fn tokens_hold(&self, duration: Duration) {
        self.lock().token_life = duration;
    }

    /// Ends every token that was given out.
    pub fn expire_tokens(&self) {
        let mut world = self.lock();
        let now = world.now();
        for token in world.tokens.values_mut() {
            token.ends = now;
        }
    }

    /// How many entries lists give at once where the caller names no number; 100 at first.
    pub fn page_size(&self, entries: usize) {
        self.lock().data.page_size = entries;
    }

    /// How long it takes until the Activity Log tells something; zero at first.
    pub fn activity_lags(&self, by: Duration) {
        self.lock().data.activity_lag = by;
    }

    /// All calls since the start, or since [`Azure::forget_exchanges`], with their answers.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.lock().exchanges.clone()
    }

    /// Begins a new list of calls.
    pub fn forget_exchanges(&self) {
        self.lock().exchanges.clear();
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        state::lock(&self.world)
    }
}
