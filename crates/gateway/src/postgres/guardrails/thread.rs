//! A few threads with deep stacks that read statements: a text may be read into a tree of thousands of levels. So many and no more,
//! so many texts that wait for one and no more, and each has so much time and no more; what is not judged by then is refused.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Why;
use crate::edge;
use crate::postgres::target::Guardrails;

/// Address space, not memory: pages that are not touched are not there. 128 KiB for each of the most operators that are read; a
/// level takes 13 in a build without optimization.
pub(in crate::postgres) const STACK: usize = 256 << 20;

/// One that reads long does not hold up all others.
const THREADS: usize = 4;

/// How many texts may wait, of 256 KiB at most.
const WAITING: usize = 256;

/// A text of the greatest length takes some 50 ms.
const PATIENCE: Duration = Duration::from_secs(2);

type Judge = fn(&str, Guardrails) -> Result<bool, Why>;

struct Question {
    text: String,
    rails: Guardrails,
    answer: oneshot::Sender<Result<bool, Why>>,
}

struct Pool {
    ask: SyncSender<Question>,
    patience: Duration,
}

/// Judges a text there. Where there is no answer it is refused.
pub(super) async fn judge(text: String, rails: Guardrails) -> Result<bool, Why> {
    static POOL: OnceLock<Pool> = OnceLock::new();
    let pool = POOL.get_or_init(|| Pool::start(THREADS, WAITING, PATIENCE, super::judge));
    pool.judge(text, rails).await
}

impl Pool {
    fn start(threads: usize, waiting: usize, patience: Duration, judge: Judge) -> Self {
        let (ask, asked) = sync_channel(waiting);
        let asked = Arc::new(Mutex::new(asked));
        for _ in 0..threads {
            let asked = Arc::clone(&asked);
            let builder = thread::Builder::new()
                .name("guardrails".to_owned())
                .stack_size(STACK);
            if let Err(error) = builder.spawn(move || serve(&asked, judge)) {
                tracing::error!(%error, "no thread for guardrails: without any, what they apply to is refused");
            }
        }
        Self { ask, patience }
    }

    async fn judge(&self, text: String, rails: Guardrails) -> Result<bool, Why> {
        let (answer, answered) = oneshot::channel();
        if self.ask.try_send(Question { text, rails, answer }).is_err() {
            return Err("too many statements are being judged just now: try again".to_owned());
        }
        match edge::within(self.patience, answered).await {
            Ok(Ok(judged)) => judged,
            Ok(Err(_)) => Err("it could not be judged".to_owned()),
            Err(_) => {
                tracing::warn!("a statement was refused that took too long to judge");
                Err("it takes too long to judge".to_owned())
            }
        }
    }
}

fn serve(asked: &Mutex<Receiver<Question>>, judge: Judge) {
    loop {
        // The lock is held while nothing is asked, and given back before anything is read.
        let question = asked.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Question { text, rails, answer }) = question else {
            return;
        };
        // Nobody waits for it any more.
        if answer.is_closed() {
            continue;
        }
        // The parser is not ours: should it panic, this text is refused and the next one is read.
        let judged = catch_unwind(AssertUnwindSafe(|| judge(&text, rails)));
        let judged = judged.unwrap_or_else(|_| Err("the parser failed on it".to_owned()));
        // Whoever asked may be gone.
        let _ = answer.send(judged);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;

    use super::*;

    static HELD: (Mutex<bool>, Condvar) = (Mutex::new(true), Condvar::new());

    /// Reads `hold` until it is let go.
    fn slow(text: &str, _: Guardrails) -> Result<bool, Why> {
        let (held, let_go) = &HELD;
        match text {
            "hold" => drop(let_go.wait_while(held.lock().unwrap(), |held| *held).unwrap()),
            "panic" => panic!("as a parser may"),
            _ => {}
        }
        Ok(true)
    }

    #[tokio::test]
    async fn what_is_not_judged_in_time_is_refused_and_holds_up_only_so_much() {
        let pool = Pool::start(2, 1, Duration::from_secs(1), slow);
        let judge = |text: &str| pool.judge(text.to_owned(), Guardrails::default());
        judge("panic").await.unwrap_err();
        judge("panic").await.unwrap_err();
        judge("fine").await.unwrap();
        let late = judge("hold").await.unwrap_err();
        assert_eq!(late, "it takes too long to judge");
        judge("another thread").await.unwrap();
        judge("hold").await.unwrap_err();
        // Both are held, and one may wait.
        let (waits, full) = tokio::join!(judge("waits"), judge("full"));
        assert_eq!(waits.unwrap_err(), "it takes too long to judge");
        assert!(full.unwrap_err().contains("too many"));
        *HELD.0.lock().unwrap() = false;
        HELD.1.notify_all();
        while judge("free again").await.is_err() {}
    }
}
