//! The loop that asks a witness, and what the server makes of what it is told.

use std::mem::discriminant;
use std::time::Duration;

use daypass_store::{Cosignature, Error, Store};
use tokio::sync::watch;

use super::View;
use super::ask::{Answer, Ask};
use crate::app::App;
use crate::edge;
use crate::http::listen::stopped;
use crate::proposal;

/// A witness is asked at most this often.
const EVERY: Duration = Duration::from_secs(1);
/// The longest pause between two attempts at one that does not answer.
const LONGEST: Duration = Duration::from_secs(60);
/// How often the store is looked at although nobody said that there is something new: another server may have signed.
const POLL: Duration = Duration::from_secs(60);
/// After how many more turns a conflict is told again: one line of a log is easily overlooked. A quarter of an hour.
const AGAIN: u32 = 15;
/// How far a witness's clock may be from this one's, in seconds: verifiers ask for signatures that are not old.
const CLOCKS_DIFFER: u64 = 5 * 60;
/// How often one checkpoint is proposed anew, because the witness has signed another one last.
const TRIES: usize = 4;

/// Asks one witness after each checkpoint, until told to stop.
pub(crate) async fn run(app: App, ask: Ask, mut stop: watch::Receiver<bool>) {
    let mut standing = app.signing.watch();
    let mut last = None;
    let mut kind = discriminant(&View::New);
    let mut turns: u32 = 0;
    loop {
        standing.mark_unchanged();
        let view = turn(&app, &ask, &mut last).await;
        // How many turns before this one ended like it.
        turns = if discriminant(&view) == kind {
            turns.saturating_add(1)
        } else {
            0
        };
        kind = discriminant(&view);
        let pause = match &view {
            View::New | View::Cosigned(..) => EVERY,
            View::Away(_) => EVERY.saturating_mul(1 << turns.min(6)).min(LONGEST),
            // Soon: its refusals are not signed, and whoever is on the way may have made one up.
            View::Conflict(_) => LONGEST,
        };
        let waits = matches!(view, View::New | View::Cosigned(..));
        note(&app, &ask, view, turns.is_multiple_of(AGAIN));
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = edge::sleep(pause) => {}
        }
        if waits {
            tokio::select! {
                () = stopped(&mut stop) => return,
                // An error means that the sender is gone with the app, and so is this loop.
                _changed = standing.changed() => {}
                () = edge::sleep(POLL) => {}
            }
        }
    }
}

/// Says how a witness stands where that is new, or bad enough to be said again.
fn note(app: &App, ask: &Ask, view: View, again: bool) {
    let name = ask.key.name().to_string();
    app.metrics.witness(&name, &view);
    let before = app.witnesses.stands(&ask.key, view.clone());
    match &view {
        View::Conflict(why) if again => tracing::error!(
            witness = %name, %why,
            "a witness signed what this store does not go on from: somebody put the store back from a copy, or rewrote it. Access goes on; \
             docs/audit.md says what to do"
        ),
        View::Away(why) if before.as_ref() != Some(&view) => {
            tracing::warn!(witness = %name, %why, "a witness does not sign; it is asked again");
        }
        View::Cosigned(size, _) if !matches!(before, Some(View::Cosigned(..))) => {
            tracing::info!(witness = %name, size, "a witness signs");
        }
        _ => {}
    }
}

/// Asks once, where there is something new. `last`: how many entries the witness signed last, as far as is known.
async fn turn(app: &App, ask: &Ask, last: &mut Option<u64>) -> View {
    match propose(app.engine.store(), ask, last).await {
        Ok(view) => view,
        Err(error) => View::Away(format!("it could not be asked, because of the store: {error}")),
    }
}

async fn propose(store: &Store, ask: &Ask, last: &mut Option<u64>) -> Result<View, Error> {
    let name = ask.key.name().as_str();
    let mut old = match *last {
        Some(last) => last,
        None => store.last_cosigned(name).await?,
    };
    for _ in 0..TRIES {
        let Some(kept) = store.newest_checkpoint().await? else {
            return Ok(View::New);
        };
        if old > kept.size {
            // It is shown all the same: whoever runs the witness sees there, and not by this server's word, that the log went back.
            let _known = ask.ask(&proposal::of(store, &kept, kept.size).await?).await;
            return Ok(View::Conflict(went_back(old, kept.size)));
        }
        let proposal = proposal::of(store, &kept, old).await?;
        match ask.ask(&proposal).await {
            Answer::Cosigned(signature, seen) => {
                let at = edge::now();
                let by = at.unix_seconds().abs_diff(seen);
                if by > CLOCKS_DIFFER {
                    return Ok(View::Away(format!(
                        "its clock and this server's differ by {by} s"
                    )));
                }
                let cosignature = Cosignature {
                    size: kept.size,
                    witness: name.to_owned(),
                    line: signature.to_string(),
                    at,
                };
                store.keep_cosignature(cosignature).await?;
                *last = Some(kept.size);
                return Ok(View::Cosigned(kept.size, at));
            }
            // The same size, and it was proposed from there: the witness has another head.
            Answer::Last(size) if size == old && kept.size == old => {
                return Ok(View::Conflict(format!(
                    "it signed another log of {size} entries than the one that is in this store"
                )));
            }
            Answer::Last(size) if size == old => {
                return Ok(View::Away(String::from(
                    "it refused what goes on from the size that it named",
                )));
            }
            // Where it is more than the store holds, the next turn says so, unless another server has signed more meanwhile.
            Answer::Last(size) => old = size,
            Answer::Unproved => {
                return Ok(View::Conflict(format!(
                    "it signed the log of {old} entries, and what this store holds ({} entries) does not go on from that one",
                    kept.size
                )));
            }
            Answer::Nothing(why) => return Ok(View::Away(why)),
        }
    }
    Ok(View::Away(String::from("others are faster at asking it")))
}

fn went_back(seen: u64, kept: u64) -> String {
    format!(
        "it signed the log of {seen} entries, and {kept} are signed in this store: it went back, and what is missing are the entries from {kept} on"
    )
}
