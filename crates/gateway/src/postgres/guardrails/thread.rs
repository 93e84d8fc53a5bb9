//! One thread with a deep stack that reads statements: a text may be read into a tree of thousands of levels.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use tokio::sync::oneshot;

use super::Why;
use crate::postgres::target::Guardrails;

/// Address space, not memory: pages that are not touched are not there. 128 KiB for each of the most operators that are read; a
/// level takes 13 in a build without optimization.
pub(in crate::postgres) const STACK: usize = 256 << 20;

struct Question {
    text: String,
    rails: Guardrails,
    answer: oneshot::Sender<Result<(), Why>>,
}

/// Judges a text there. Where there is no answer it is refused.
pub(super) async fn judge(text: String, rails: Guardrails) -> Result<(), Why> {
    static ASK: OnceLock<Option<Sender<Question>>> = OnceLock::new();
    let unanswered = || "it could not be judged".to_owned();
    let ask = ASK.get_or_init(start).as_ref().ok_or_else(unanswered)?;
    let (answer, answered) = oneshot::channel();
    ask.send(Question { text, rails, answer })
        .map_err(|_| unanswered())?;
    answered.await.map_err(|_| unanswered())?
}

fn start() -> Option<Sender<Question>> {
    let (ask, asked) = channel();
    let builder = thread::Builder::new()
        .name("guardrails".to_owned())
        .stack_size(STACK);
    let started = builder.spawn(move || serve(&asked));
    if let Err(error) = &started {
        tracing::error!(%error, "no thread for guardrails: what they apply to is refused");
    }
    started.ok().map(|_| ask)
}

fn serve(asked: &Receiver<Question>) {
    while let Ok(Question { text, rails, answer }) = asked.recv() {
        // The parser is not ours: should it panic, this text is refused and the next one is read.
        let judged = catch_unwind(AssertUnwindSafe(|| super::judge(&text, rails)));
        let judged = judged.unwrap_or_else(|_| Err("the parser failed on it".to_owned()));
        // Whoever asked may be gone.
        let _ = answer.send(judged);
    }
}
