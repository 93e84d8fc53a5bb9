//! The end of a server: told to stop by its owner, or by a part of it that ended when it should have gone on.
//!
//! A server whose reconciler is gone still answers and never ends access. One that ends is restarted by whoever
//! supervises it, and the restart finds what is due.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::http::listen::{is_stopped, stopped};

/// Whether a server is to stop, and which part of it broke first, if one did. Dropping the last handle is a stop, too.
#[derive(Debug)]
pub(crate) struct Halt {
    stop: watch::Sender<bool>,
    broken: OnceLock<&'static str>,
}

impl Halt {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            stop: watch::Sender::new(false),
            broken: OnceLock::new(),
        })
    }

    /// What parts look at to learn that they are to end.
    pub(crate) fn receiver(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Tells all parts to end.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Returns once a part has ended unasked, with its name; never where the owner said stop.
    pub(crate) async fn broken(&self) -> &'static str {
        stopped(&mut self.receiver()).await;
        match self.broken.get() {
            Some(part) => part,
            None => std::future::pending().await,
        }
    }

    /// Runs a part that is to last until the stop. Where it ends before, or panics, everything is stopped.
    pub(crate) fn watch(
        self: &Arc<Self>,
        part: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        self.watch_on(&Handle::current(), part, work)
    }

    /// The same, on these threads.
    pub(crate) fn watch_on(
        self: &Arc<Self>,
        threads: &Handle,
        part: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        // Not a whole handle: a server that is dropped stops its parts.
        let halt = Arc::downgrade(self);
        let stop = self.receiver();
        threads.spawn(async move {
            let ended = tokio::spawn(work).await;
            if let Err(error) = &ended {
                tracing::error!(%error, "{part} did not end in order");
            }
            if is_stopped(&stop) {
                return;
            }
            tracing::error!("{part} ended before anybody asked for it; the server stops, to be started anew");
            if let Some(halt) = halt.upgrade() {
                // The first one is the cause; that another one broke as well changes nothing.
                let _first = halt.broken.set(part);
                halt.stop();
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_panics_stops_the_others() {
        let halt = Halt::new();
        let mut stop = halt.receiver();
        let other = halt.watch("the other", async move { stopped(&mut stop).await });
        let part = halt.watch("the reconciler", async { panic!("a defect") });
        assert_eq!(halt.broken().await, "the reconciler");
        part.await.unwrap();
        other.await.unwrap();
    }

    #[tokio::test]
    async fn a_part_that_just_returns_stops_the_others() {
        let halt = Halt::new();
        let part = halt.watch("the sequencer", async {});
        assert_eq!(halt.broken().await, "the sequencer");
        part.await.unwrap();
        assert!(is_stopped(&halt.receiver()));
    }

    #[tokio::test]
    async fn an_end_that_was_asked_for_breaks_nothing() {
        let halt = Halt::new();
        let mut stop = halt.receiver();
        let part = halt.watch("the sequencer", async move { stopped(&mut stop).await });
        halt.stop();
        part.await.unwrap();
        assert_eq!(halt.broken.get(), None);
    }

    #[tokio::test]
    async fn a_server_that_is_dropped_stops_its_parts() {
        let halt = Halt::new();
        let mut stop = halt.receiver();
        let part = halt.watch("the sequencer", async move { stopped(&mut stop).await });
        drop(halt);
        part.await.unwrap();
    }
}
