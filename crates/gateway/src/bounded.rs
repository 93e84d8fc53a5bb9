//! Whoever decides, with a deadline on every question: what is not answered in time is not allowed, and nobody waits for ever.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::control::{
    Challenge, Closing, Control, Delivery, Ending, LeaseId, NotTaken, Opened, Opening, Origin, Progress,
    Proof, Proved, Renewed, Ticket, Unavailable, Waited,
};
use crate::edge;

/// A login waits for the first two, a connection for the third; an answer in time is one of milliseconds.
const CHALLENGE: Duration = Duration::from_secs(5);
const PROVE: Duration = Duration::from_secs(5);

/// A recording begins meanwhile, and is synced.
const OPEN: Duration = Duration::from_secs(10);

/// The life of sessions depends on it: who renews has a shorter deadline of its own.
const RENEW: Duration = Duration::from_secs(30);

/// It is tried again.
const CLOSE: Duration = Duration::from_secs(2);

/// A chunk is sealed and synced meanwhile. It is tried again.
const RECORD: Duration = Duration::from_secs(5);

/// See the module.
pub(crate) struct Bounded {
    pub(crate) control: Arc<dyn Control>,
    /// How long somebody may wait while others are asked. An answer to who waits comes after some seconds; but many may wait for their turn
    /// to ask.
    pub(crate) waiting: Duration,
}

async fn bounded<T, E: From<Unavailable>>(
    span: Duration,
    asking: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let late = |error: edge::TimedOut| Err(Unavailable(error.to_string()).into());
    edge::within(span, asking).await.unwrap_or_else(late)
}

#[async_trait]
impl Control for Bounded {
    async fn challenge(&self, user: &str, origin: &Origin) -> Result<Challenge, Unavailable> {
        bounded(CHALLENGE, self.control.challenge(user, origin)).await
    }

    fn forget(&self, ticket: &Ticket) {
        self.control.forget(ticket);
    }

    async fn prove(&self, proof: Proof, origin: &Origin) -> Result<Option<Proved>, Unavailable> {
        bounded(PROVE, self.control.prove(proof, origin)).await
    }

    async fn open(&self, opening: Opening) -> Result<Opened, Unavailable> {
        bounded(OPEN, self.control.open(opening)).await
    }

    async fn waited(&self, ticket: &Ticket) -> Result<Waited, Unavailable> {
        bounded(self.waiting, self.control.waited(ticket)).await
    }

    async fn renew(&self, leases: &[LeaseId]) -> Result<Vec<Renewed>, Unavailable> {
        bounded(RENEW, self.control.renew(leases)).await
    }

    async fn close(&self, closing: Closing) -> Result<(), Unavailable> {
        bounded(CLOSE, self.control.close(closing)).await
    }

    async fn record(&self, delivery: Delivery<'_>) -> Result<Progress, NotTaken> {
        bounded(RECORD, self.control.record(delivery)).await
    }

    fn endings(&self) -> mpsc::UnboundedReceiver<Ending> {
        self.control.endings()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::control::{Counters, Reason, SessionId};

    struct Silent;

    #[async_trait]
    impl Control for Silent {
        async fn challenge(&self, _: &str, _: &Origin) -> Result<Challenge, Unavailable> {
            pending().await
        }

        async fn prove(&self, _: Proof, _: &Origin) -> Result<Option<Proved>, Unavailable> {
            pending().await
        }

        async fn open(&self, _: Opening) -> Result<Opened, Unavailable> {
            pending().await
        }

        async fn waited(&self, _: &Ticket) -> Result<Waited, Unavailable> {
            pending().await
        }

        async fn renew(&self, _: &[LeaseId]) -> Result<Vec<Renewed>, Unavailable> {
            pending().await
        }

        async fn close(&self, _: Closing) -> Result<(), Unavailable> {
            pending().await
        }

        async fn record(&self, _: Delivery<'_>) -> Result<Progress, NotTaken> {
            pending().await
        }

        fn endings(&self) -> mpsc::UnboundedReceiver<Ending> {
            mpsc::unbounded_channel().1
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_question_waits_for_ever() {
        let control = Bounded {
            control: Arc::new(Silent),
            waiting: Duration::from_secs(900),
        };
        let origin = Origin {
            peer: ([127, 0, 0, 1], 1).into(),
            protocol: "test",
        };
        let ticket = Ticket("t".into());
        let opening = Opening {
            ticket: ticket.clone(),
            target: String::new(),
            origin: origin.clone(),
            program: None,
            key: None,
        };
        let proof = Proof::Scram {
            ticket: ticket.clone(),
            answer: crate::scram::Answer {
                said: String::new(),
                proof: Vec::new(),
            },
        };
        let closing = Closing {
            lease: LeaseId::from("l"),
            reason: Reason::Left,
            counters: Counters::default(),
            last_record: 0,
        };
        let session = SessionId::from("s");
        let delivery = Delivery {
            session: &session,
            records: &[],
            flush: false,
        };
        control.challenge("ada", &origin).await.unwrap_err();
        control.prove(proof, &origin).await.unwrap_err();
        control.open(opening).await.unwrap_err();
        control.waited(&ticket).await.unwrap_err();
        control.renew(&[]).await.unwrap_err();
        control.close(closing).await.unwrap_err();
        let error = control.record(delivery).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "whoever decides cannot be asked: no answer within 5s"
        );
    }
}
