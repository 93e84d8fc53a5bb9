//! The loop that signs, and what others may know of it.

use std::time::Duration;

use daypass_tlog::key::Verifier;
use tokio::sync::{Notify, watch};

use super::{LogSigner, NotSigned};
use crate::app::App;
use crate::edge;
use crate::http::listen::{is_stopped, stopped};

/// The log is signed at most this often.
const EVERY: Duration = Duration::from_secs(1);
/// How often the store is looked at although nobody said that there is something new.
const POLL: Duration = Duration::from_secs(60);
/// How long somebody who asks for what is about to be signed waits for it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a refusal is told again: one line of a log is easily overlooked.
const AGAIN: Duration = Duration::from_secs(15 * 60);

/// How the log is signed at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is no key.
    Off,
    /// It is, up to so many entries.
    Signed {
        /// How many.
        size: u64,
        /// Whether what was signed is kept outside the store too.
        outside: bool,
    },
    /// It is not any more: the store does not go on from what was signed.
    Refused(String),
}

/// What the rest of the server knows of the signer.
pub(crate) struct Signing {
    /// The key that others verify with.
    pub(crate) verifier: Option<Verifier>,
    standing: watch::Sender<Standing>,
    wake: Notify,
}

impl Signing {
    pub(crate) fn new(signer: Option<&LogSigner>) -> Self {
        let standing = match signer.map(LogSigner::refuses) {
            Some(Some(why)) => Standing::Refused(why.to_owned()),
            Some(None) => Standing::Signed {
                size: 0,
                outside: true,
            },
            None => Standing::Off,
        };
        Self {
            verifier: signer.map(|signer| signer.verifier().clone()),
            standing: watch::Sender::new(standing),
            wake: Notify::new(),
        }
    }

    /// There are new entries.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// Waits until so many entries are signed, or nothing will be; at most [`PATIENCE`].
    pub(crate) async fn signed(&self, entries: u64) {
        let mut standing = self.standing.subscribe();
        let enough = standing.wait_for(|standing| match standing {
            Standing::Signed { size, .. } => *size >= entries,
            Standing::Off | Standing::Refused(_) => true,
        });
        let _late = edge::within(PATIENCE, enough).await;
    }

    fn stands(&self, standing: Standing) {
        self.standing.send_replace(standing);
    }
}

/// Signs what is new until told to stop, and once more then.
pub(crate) async fn run(app: App, mut signer: LogSigner, mut stop: watch::Receiver<bool>) {
    loop {
        let ending = is_stopped(&stop);
        let pause = turn(&app, &mut signer).await;
        if ending {
            return;
        }
        tokio::select! {
            () = stopped(&mut stop) => continue,
            () = edge::sleep(pause) => {}
        }
        tokio::select! {
            () = stopped(&mut stop) => {}
            () = app.signing.wake.notified() => {}
            () = edge::sleep(POLL) => {}
        }
    }
}

async fn turn(app: &App, signer: &mut LogSigner) -> Duration {
    // Once it was refused, a store that looks right again is no reason to go on: somebody must have looked.
    let signed = match app.signing.standing() {
        Standing::Refused(why) => Err(NotSigned::Diverged(why)),
        _ => signer.sign(app.engine.store(), edge::now()).await,
    };
    match signed {
        Ok(size) => {
            app.metrics.signed(true, size);
            let outside = signer.is_kept_outside();
            app.signing.stands(Standing::Signed { size, outside });
            EVERY
        }
        Err(NotSigned::Diverged(why)) => {
            app.engine.only_take_away();
            app.metrics.signed(false, 0);
            tracing::error!(
                %why,
                "the log is not signed, and access is only taken away: the store does not go on from what was signed. Somebody put it \
                 back from a copy or rewrote it; docs/audit.md says what to do"
            );
            app.signing.stands(Standing::Refused(why));
            AGAIN
        }
        Err(NotSigned::Store(error)) => {
            tracing::warn!(%error, "the log could not be signed yet");
            app.signing.wake();
            EVERY
        }
    }
}
