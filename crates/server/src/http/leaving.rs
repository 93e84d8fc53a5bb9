//! An answer on its way out: as long as any of it is still here, its caller's share is taken, and its connection is not idle.
//!
//! A client of HTTP/2 says how much it takes, and may take nothing, while it goes on asking. What it was answered then stays in
//! this process: with the body, or behind it, with the pieces that were handed to the connection. So the note of an answer is
//! with both, and whoever takes an answer of a known size too slowly loses the connection.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::response::Response;
use hyper::body::{Body as _, Buf, Frame, SizeHint};
use tokio::sync::watch;

use crate::edge;
use crate::http::places::Own;

/// A caller's share, in the extensions of an answer: it is given back when the answer has left.
#[derive(Clone)]
pub(crate) struct Holds {
    _own: Arc<Own>,
}

impl Holds {
    /// Puts a share with an answer.
    pub(crate) fn put(own: Own, answer: &mut Response) {
        let _own = Arc::new(own);
        answer.extensions_mut().insert(Self { _own });
    }
}

/// What goes on on one connection.
#[derive(Default)]
pub(crate) struct Traffic {
    /// Requests whose answer has not left.
    under_way: usize,
    next: u64,
    /// Since when each answer of a known size is on its way, the oldest first.
    leaving: BTreeMap<u64, Instant>,
}

/// A request that is under way until its answer has left, counted while it is.
pub(crate) struct UnderWay {
    traffic: watch::Sender<Traffic>,
    leaving: Option<u64>,
    _holds: Option<Holds>,
}

impl UnderWay {
    pub(crate) fn begin(traffic: &watch::Sender<Traffic>) -> Self {
        traffic.send_modify(|traffic| traffic.under_way += 1);
        Self {
            traffic: traffic.clone(),
            leaving: None,
            _holds: None,
        }
    }

    /// The answer, which this goes with.
    pub(crate) fn answer(mut self, mut answer: Response) -> hyper::Response<Leaving> {
        let holds = answer.extensions_mut().remove::<Holds>();
        // One without a size lasts for as long as it is listened to, and its own code says how many there are.
        if answer.body().size_hint().exact().is_some() {
            self._holds = holds;
            self.traffic.send_modify(|traffic| {
                self.leaving = Some(traffic.next);
                traffic.leaving.insert(traffic.next, edge::instant());
                traffic.next += 1;
            });
        }
        let note = Arc::new(self);
        answer.map(|body| Leaving { body, note })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.traffic.send_modify(|traffic| {
            traffic.under_way -= 1;
            if let Some(number) = self.leaving {
                traffic.leaving.remove(&number);
            }
        });
    }
}

/// Returns once nothing has been under way for so long.
pub(crate) async fn idle(limit: Duration, mut traffic: watch::Receiver<Traffic>) {
    loop {
        if traffic.wait_for(|traffic| traffic.under_way == 0).await.is_err() {
            return;
        }
        // Any change begins the wait anew, also that of a request which was answered at once.
        traffic.mark_unchanged();
        if traffic.borrow().under_way == 0 && edge::within(limit, traffic.changed()).await.is_err() {
            return;
        }
    }
}

/// Returns once an answer of a known size has been on its way for so long.
pub(crate) async fn late(limit: Duration, mut traffic: watch::Receiver<Traffic>) {
    loop {
        let first = |traffic: &Traffic| {
            traffic
                .leaving
                .first_key_value()
                .map(|(number, at)| (*number, *at))
        };
        let Some((number, since)) = first(&traffic.borrow()) else {
            if traffic
                .wait_for(|traffic| !traffic.leaving.is_empty())
                .await
                .is_err()
            {
                return;
            }
            continue;
        };
        let left = limit.saturating_sub(edge::instant().saturating_duration_since(since));
        let gone = traffic.wait_for(|traffic| !traffic.leaving.contains_key(&number));
        match edge::within(left, gone).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

/// A body with the note that it is on its way.
pub(crate) struct Leaving {
    body: Body,
    note: Arc<UnderWay>,
}

impl hyper::body::Body for Leaving {
    type Data = Piece;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        polled.map_ok(|frame| {
            frame.map_data(|bytes| Piece {
                bytes,
                _note: Arc::clone(&self.note),
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A piece of a body with the same note: the connection keeps it until the client takes it, when the body is long gone.
pub(crate) struct Piece {
    bytes: Bytes,
    _note: Arc<UnderWay>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        self.bytes.chunks_vectored(into)
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);
    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn what_is_under_way_is_not_idle() {
        let traffic = watch::Sender::new(Traffic::default());
        let answer = UnderWay::begin(&traffic);
        let mut waits = Box::pin(idle(Duration::ZERO, traffic.subscribe()));
        assert!((&mut waits).now_or_never().is_none(), "a stream of events lasts");
        drop(answer);
        edge::within(PATIENCE, waits).await.unwrap();
    }

    #[tokio::test]
    async fn an_answer_of_a_known_size_is_late_and_a_stream_is_not() {
        let traffic = watch::Sender::new(Traffic::default());
        let stream = Body::from_stream(futures_util::stream::pending::<Result<Bytes, axum::Error>>());
        let stream = UnderWay::begin(&traffic).answer(Response::new(stream));
        let mut waits = Box::pin(late(Duration::ZERO, traffic.subscribe()));
        assert!((&mut waits).now_or_never().is_none());
        let sized = UnderWay::begin(&traffic).answer(Response::new(Body::from("text")));
        edge::within(PATIENCE, waits).await.unwrap();
        // One that leaves in time is passed over.
        let mut waits = Box::pin(late(LONG, traffic.subscribe()));
        assert!((&mut waits).now_or_never().is_none());
        drop((stream, sized));
        assert!((&mut waits).now_or_never().is_none());
        assert!(traffic.borrow().leaving.is_empty());
    }

    #[tokio::test]
    async fn a_piece_that_the_connection_still_has_is_on_its_way_when_the_body_is_gone() {
        use axum::body::HttpBody as _;

        let traffic = watch::Sender::new(Traffic::default());
        let (_, mut body) = UnderWay::begin(&traffic)
            .answer(Response::new(Body::from("text")))
            .into_parts();
        let next = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context));
        let piece = next.await.unwrap().unwrap().into_data().ok().unwrap();
        drop(body);
        assert_eq!(traffic.borrow().under_way, 1);
        assert_eq!(piece.chunk(), b"text");
        drop(piece);
        assert_eq!(traffic.borrow().under_way, 0);
    }
}
