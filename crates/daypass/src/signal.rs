//! Being told to stop, by the terminal or by whoever supervises this process.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits until this process is told to stop, and says by what.
pub(crate) async fn told_to_stop() -> &'static str {
    let mut interrupt = listen(SignalKind::interrupt());
    let mut terminate = listen(SignalKind::terminate());
    let mut hang_up = listen(SignalKind::hangup());
    tokio::select! {
        () = heard(&mut interrupt) => "Ctrl-C",
        () = heard(&mut terminate) => "SIGTERM",
        () = heard(&mut hang_up) => "SIGHUP",
    }
}

/// `None` where the system does not let this process listen: the signal then ends it as it always would.
fn listen(kind: SignalKind) -> Option<Signal> {
    signal(kind).ok()
}

async fn heard(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
