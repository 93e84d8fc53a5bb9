//! Work that keeps a processor for a while, such as loading a policy of thousands of rules, on a thread of its own: whatever else
//! its thread runs, such as the loop that ends access, goes on.

use std::future::{Future, pending};
use std::panic::resume_unwind;

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

/// Runs work that computes and waits, by turns. Once begun it runs to its end. Where it panics, so does who waits for it.
pub(crate) async fn aside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let threads = Handle::current();
    match spawn_blocking(move || threads.block_on(work)).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panicked) => resume_unwind(panicked),
            // Not begun, as the process ends: so does who waits.
            Err(_) => pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn it_does_not_keep_the_thread_from_which_it_was_begun() {
        let (tell, told) = std::sync::mpsc::channel();
        let limit = std::time::Duration::from_secs(20);
        let heavy = aside(async move { told.recv_timeout(limit) });
        let light = async move { tell.send(()) };
        // Were it on this thread, nobody would tell it.
        let (heavy, light) = tokio::join!(heavy, light);
        assert!(heavy.is_ok() && light.is_ok());
    }

    #[tokio::test]
    #[should_panic(expected = "a defect")]
    async fn a_panic_is_whose_who_waits() {
        aside(async { panic!("a defect") }).await
    }
}
