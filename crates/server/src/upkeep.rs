//! A thread of its own for the loops that end access, and for their calls to targets: however busy requests keep the others,
//! these get their share of the processors.

use tokio::runtime::{Builder, Handle, Runtime};

/// The thread, which lasts as long as this.
pub(crate) struct Upkeep(Option<Runtime>);

impl Upkeep {
    /// Starts it.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(crate) fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("upkeep")
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Where to run a loop.
    pub(crate) fn handle(&self) -> Handle {
        self.0
            .as_ref()
            .map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        // It may be dropped by a task, which must not wait for others.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_request_that_keeps_its_thread_busy_holds_up_no_loop() {
        let upkeep = Upkeep::start().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        upkeep.handle().spawn(async move { tell.send(()) });
        // This blocks the only other thread until the loop has run.
        assert!(told.recv_timeout(std::time::Duration::from_secs(20)).is_ok());
    }
}
