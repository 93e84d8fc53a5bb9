//! Answers that are drawn piece by piece, as fast as they are read and no longer than somebody reads them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use daypass_core::id::PersonId;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::mpsc;

use crate::edge;
use crate::http::places::Share;

/// How many pieces wait for a browser that reads slowly.
const AHEAD: usize = 4;
/// Who reads nothing for so long is drawn nothing more.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whoever reads.
pub(super) struct Reader<T> {
    to: mpsc::Sender<T>,
    patience: Duration,
}

impl<T> Reader<T> {
    /// Whether they took a piece, or will.
    pub(super) async fn takes(&self, piece: T) -> bool {
        matches!(edge::within(self.patience, self.to.send(piece)).await, Ok(Ok(())))
    }

    /// Returns once they are gone.
    pub(super) async fn gone(&self) {
        self.to.closed().await;
    }
}

/// What is drawn, by work that goes on beside. The share is taken until both are done: the drawing, and the last of what was drawn.
pub(super) fn paced<T, F, D>(
    share: Share<PersonId>,
    draw: D,
) -> impl Stream<Item = Result<T, Infallible>> + Send
where
    D: FnOnce(Reader<T>) -> F,
    T: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    within(PATIENCE, share, draw)
}

fn within<T, F, D>(
    patience: Duration,
    share: Share<PersonId>,
    draw: D,
) -> impl Stream<Item = Result<T, Infallible>> + Send
where
    D: FnOnce(Reader<T>) -> F,
    T: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let (to, receiver) = mpsc::channel(AHEAD);
    let share = Arc::new(share);
    let drawing = draw(Reader { to, patience });
    let held = Arc::clone(&share);
    tokio::spawn(async move {
        drawing.await;
        drop(held);
    });
    unfold((receiver, share), |(mut receiver, share)| async move {
        let piece = receiver.recv().await?;
        Some((Ok(piece), (receiver, share)))
    })
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::StreamExt as _;

    use super::*;
    use crate::http::places::Shares;

    const LONG: Duration = Duration::from_secs(60);

    fn share() -> (Shares<PersonId>, Share<PersonId>, PersonId) {
        let who = PersonId::from_bytes([7; 10]);
        let shares = Shares::new(1, 0);
        let share = shares.try_take(who).unwrap();
        (shares, share, who)
    }

    /// Its share is free again, once what held it has ended.
    async fn is_free(shares: &Shares<PersonId>, who: PersonId) -> bool {
        let free = async {
            while shares.try_take(who).is_none() {
                tokio::task::yield_now().await;
            }
        };
        edge::within(LONG, free).await.is_ok()
    }

    #[tokio::test]
    async fn who_reads_gets_all_and_gives_the_share_back() {
        let (shares, share, who) = share();
        let drawn = paced(share, |reader| async move {
            for piece in 0..100 {
                assert!(reader.takes(piece).await);
            }
        });
        assert!(shares.try_take(who).is_none());
        let all: Vec<Result<i32, Infallible>> = drawn.collect().await;
        assert_eq!(all.len(), 100);
        assert!(is_free(&shares, who).await);
    }

    #[tokio::test]
    async fn who_stops_reading_is_drawn_nothing_more_and_keeps_the_share() {
        let (shares, share, who) = share();
        let (tell, told) = tokio::sync::oneshot::channel();
        let drawn = within(Duration::from_millis(50), share, |reader| async move {
            let mut count = 0;
            while reader.takes(count).await {
                count += 1;
            }
            tell.send(count).unwrap();
        });
        let mut drawn = Box::pin(drawn);
        assert!(drawn.next().await.is_some());
        let count = edge::within(LONG, told).await.unwrap().unwrap();
        assert!(count <= 1 + AHEAD, "{count}");
        assert!(shares.try_take(who).is_none(), "what waits is still here");
        drop(drawn);
        assert!(is_free(&shares, who).await);
    }

    #[tokio::test]
    async fn who_hangs_up_ends_what_is_drawn() {
        let (shares, share, who) = share();
        let drawn = paced::<u8, _, _>(share, |reader| async move { reader.gone().await });
        {
            let drawn = pin!(drawn);
            assert!(shares.try_take(who).is_none());
            let _ = drawn;
        }
        assert!(is_free(&shares, who).await);
    }
}
