//! The loop that signs, and what others may know of it.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use daypass_core::time::Span;
use daypass_tlog::key::Verifier;
use tokio::sync::{Notify, watch};

use super::line::Line;
use super::{LogSigner, NotSigned, key, rotate};
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
/// So many looks in a row, a second apart, a server that waits for a key or for the store is no news: the server that has the key may
/// just be at it.
const HELD: u32 = 20;
/// How often a server says which keys it has, to others on the same store; they take it for stopped after three of these.
const SAYS: Duration = Duration::from_secs(50);
/// Who said nothing for so long is forgotten.
const FORGOTTEN: Span = Span::hours(1);

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
    /// It is not at the moment, here: a key is missing, or somebody else is to sign first.
    Held(String),
}

/// The log's keys as this server knows them.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// What this server calls itself.
    pub(crate) name: String,
    /// The file of its keys.
    pub(crate) file: PathBuf,
    /// The public halves of the keys in it.
    pub(crate) here: Vec<Verifier>,
    /// What the entries that are signed say.
    pub(crate) line: Line,
}

impl Known {
    fn of(signer: &LogSigner) -> Self {
        Self {
            name: signer.name().to_owned(),
            file: signer.file().to_owned(),
            here: signer.here(),
            line: signer.line().clone(),
        }
    }
}

/// What the rest of the server knows of the signer.
pub(crate) struct Signing {
    known: Mutex<Option<Known>>,
    /// Whether other servers may use the same store.
    shared: bool,
    standing: watch::Sender<Standing>,
    wake: Notify,
}

impl Signing {
    pub(crate) fn new(signer: Option<&LogSigner>, shared: bool) -> Self {
        let standing = match signer.map(LogSigner::refuses) {
            Some(Some(why)) => Standing::Refused(why.to_owned()),
            Some(None) => Standing::Signed {
                size: 0,
                outside: true,
            },
            None => Standing::Off,
        };
        Self {
            known: Mutex::new(signer.map(Known::of)),
            shared,
            standing: watch::Sender::new(standing),
            wake: Notify::new(),
        }
    }

    /// The log's keys, where it is signed at all.
    pub(crate) fn known(&self) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The key that others verify with.
    pub(crate) fn key(&self) -> Option<Verifier> {
        self.known().map(|known| known.line.current)
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
            Standing::Held(_) => false,
            Standing::Off | Standing::Refused(_) => true,
        });
        let _late = edge::within(PATIENCE, enough).await;
    }

    /// Takes what is known now for what was; that is the answer.
    fn knows(&self, known: Known) -> Option<Known> {
        let mut place = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        place.replace(known)
    }

    /// For who goes on each time that more is signed.
    pub(crate) fn watch(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    fn stands(&self, standing: Standing) {
        // Nobody is woken by what was so before.
        self.standing.send_if_modified(|before| {
            let is_new = *before != standing;
            *before = standing;
            is_new
        });
    }
}

/// Signs what is new until told to stop, and once more then.
pub(crate) async fn run(app: App, mut signer: LogSigner, mut stop: watch::Receiver<bool>) {
    let mut held = 0;
    let mut said = None;
    loop {
        let ending = is_stopped(&stop);
        let pause = turn(&app, &mut signer, &mut held).await;
        tell(&app, &signer, &mut said).await;
        if ending {
            break;
        }
        tokio::select! {
            () = stopped(&mut stop) => continue,
            () = edge::sleep(pause) => {}
        }
        tokio::select! {
            () = stopped(&mut stop) => {}
            () = app.signing.wake.notified() => {}
            () = edge::sleep(if app.signing.shared { SAYS } else { POLL }) => {}
        }
    }
    if let Some(known) = app.signing.known().filter(|_| app.signing.shared)
        && let Err(error) = app.engine.store().log_server_ends(known.name).await
    {
        tracing::debug!(%error, "others take this server for running for some minutes");
    }
}

/// Tells the rest of the server, and the other servers, which keys there are.
async fn tell(app: &App, signer: &LogSigner, said: &mut Option<(Vec<Verifier>, Instant)>) {
    let known = Known::of(signer);
    let before = app.signing.knows(known.clone());
    if before.is_none_or(|before| before.line != known.line) && !known.line.former.is_empty() {
        let (file, current) = (known.file.clone(), known.line.current.clone());
        let written = tokio::task::spawn_blocking(move || key::publish(&file, &current)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "the public half of the log's key could not be written beside signing_key");
        }
    }
    let now = edge::instant();
    let fresh = said
        .as_ref()
        .is_some_and(|(keys, at)| *keys == known.here && now.duration_since(*at) + EVERY < SAYS);
    if !app.signing.shared || fresh {
        return;
    }
    let store = app.engine.store();
    let told = async {
        let at = store.now().await?;
        let row = rotate::row(&known, at);
        store.log_server_is(row, at - FORGOTTEN).await
    };
    match told.await {
        Ok(()) => *said = Some((known.here, now)),
        Err(error) => tracing::warn!(%error, "other servers cannot see which keys of the log are here"),
    }
}

async fn turn(app: &App, signer: &mut LogSigner, held: &mut u32) -> Duration {
    // Once it was refused, a store that looks right again is no reason to go on: somebody must have looked.
    let signed = match app.signing.standing() {
        Standing::Refused(why) => Err(NotSigned::Diverged(why)),
        _ => signer.sign(app.engine.store(), edge::now()).await,
    };
    if !matches!(signed, Err(NotSigned::Held(_) | NotSigned::Store(_))) {
        *held = 0;
    }
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
        Err(NotSigned::Held(why)) => {
            *held = held.saturating_add(1);
            if *held == HELD {
                app.metrics.signed(false, 0);
                tracing::error!(%why, "the log is not signed here");
            }
            app.signing.stands(Standing::Held(why));
            app.signing.wake();
            EVERY
        }
        Err(NotSigned::Store(error)) => {
            *held = held.saturating_add(1);
            if *held >= HELD {
                app.metrics.signed(false, 0);
                app.signing
                    .stands(Standing::Held(format!("the store does not answer: {error}")));
            }
            tracing::warn!(%error, "the log could not be signed yet");
            app.signing.wake();
            EVERY
        }
    }
}
