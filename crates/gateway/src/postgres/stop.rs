//! What a session began at the target ends with it: it is cancelled, as often as it takes, until the target has closed the connection;
//! if that does not help, the connection is terminated, by a login of the same role. If that does not help either, it is said.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::runtime::Handle;

use super::startup::CancelKey;
use super::stream::{Failed, Stream};
use super::target::PostgresTarget;
use super::upstream;
use crate::control::SessionId;
use crate::edge;

/// How long it is cancelled. Each cancellation stops one statement, and what catches it none.
const CANCELLING: Duration = Duration::from_secs(3);

/// Between two cancellations; it doubles.
const PAUSE: Duration = Duration::from_millis(50);

/// How long it is terminated, the login included.
const TERMINATING: Duration = Duration::from_secs(8);

/// How long a connection may take that is closed while nothing runs.
const CLOSING: Duration = Duration::from_secs(2);

/// How what a connection does at a target is stopped.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    target: Arc<PostgresTarget>,
    key: Option<CancelKey>,
    session: SessionId,
}

impl Stop {
    pub(super) const fn new(target: Arc<PostgresTarget>, key: Option<CancelKey>, session: SessionId) -> Self {
        Self { target, key, session }
    }

    /// Closes a connection of which nothing is expected; the target sees that and ends what it holds.
    pub(super) async fn leave(&self, mut writer: WriteHalf<Stream>) -> bool {
        let _ = edge::within(CLOSING, writer.shutdown()).await;
        true
    }

    /// Stops what runs; whether it is known to have. There is no `reader` where the connection is gone: what ran there may go on
    /// without it.
    ///
    /// `alone`: nothing is behind what runs. A cancellation stops one statement: what was pipelined behind it would run, and commit.
    pub(super) async fn stop(
        &self,
        reader: Option<ReadHalf<Stream>>,
        mut writer: WriteHalf<Stream>,
        alone: bool,
    ) -> bool {
        if let Some(reader) = reader {
            // First of all. Then nothing more comes: what it has read already it does, one after the other.
            let cancelled = edge::within(CANCELLING, async {
                tokio::select! {
                    () = closed(reader) => {}
                    () = async { tokio::join!(self.cancel_on(), self.leave_open(&mut writer), self.end_all(alone)); } => {}
                }
            });
            if cancelled.await.is_ok() {
                return true;
            }
            tracing::info!(session = %self.session, "a cancellation stopped nothing: the connection is terminated");
        }
        match edge::within(TERMINATING, self.terminate()).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => {
                tracing::error!(session = %self.session, %error, "the target may still be working: it could not be told to stop");
            }
            Err(error) => {
                tracing::error!(session = %self.session, %error, "the target may still be working: it does not stop");
            }
        }
        false
    }

    /// As [`Stop::stop`], for a session that is gone itself.
    pub(super) fn stop_alone(&self) {
        let stop = self.clone();
        let stopping = async move {
            if let Some(key) = stop.key
                && let Err(error) = upstream::cancel(&stop.target.place, key).await
            {
                tracing::warn!(session = %stop.session, %error, "a query could not be cancelled");
            }
            let stopped = edge::within(TERMINATING, stop.terminate()).await;
            let stopped = matches!(stopped, Ok(Ok(())));
            tracing::warn!(session = %stop.session, stopped, "a session was dropped while something ran");
        };
        // Without a runtime the process ends, and its connections with it.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(stopping);
        }
    }

    /// Where more was sent than what runs, the connection is terminated at once.
    async fn end_all(&self, alone: bool) {
        if !alone && let Err(error) = self.terminate().await {
            tracing::warn!(session = %self.session, %error, "a connection could not be terminated at once");
        }
    }

    /// Closes our half, and keeps the other.
    async fn leave_open(&self, writer: &mut WriteHalf<Stream>) {
        let _ = writer.shutdown().await;
    }

    /// Cancels without end.
    async fn cancel_on(&self) {
        let Some(key) = self.key else {
            return std::future::pending().await;
        };
        let mut pause = PAUSE;
        loop {
            if let Err(error) = upstream::cancel(&self.target.place, key).await {
                tracing::warn!(session = %self.session, %error, "a query could not be cancelled");
            }
            edge::sleep(pause).await;
            pause *= 2;
        }
    }

    /// Has the target end the connection, and waits until it is gone. A role may do that to its own.
    async fn terminate(&self) -> Result<(), Failed> {
        let Some(key) = self.key else {
            return Err(std::io::Error::other("the target has not said how").into());
        };
        let program = [("application_name", "Daypass")];
        let mut upstream = upstream::connect(&self.target, &program).await?;
        // Of its own role only: behind a pooler the number may be somebody else's.
        let text = format!(
            "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
             WHERE pid OPERATOR(pg_catalog.=) {} AND usename OPERATOR(pg_catalog.=) current_user \
             AND pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()",
            key.process.cast_signed()
        );
        let mut pause = PAUSE;
        while upstream::rows(&mut upstream, &text).await? > 0 {
            edge::sleep(pause).await;
            pause *= 2;
        }
        Ok(())
    }
}

/// Waits until the other side has closed the connection. What still comes is for nobody.
async fn closed(mut reader: ReadHalf<Stream>) {
    let mut rest = vec![0; 16 * 1024];
    while matches!(reader.read(&mut rest).await, Ok(1..)) {}
}
