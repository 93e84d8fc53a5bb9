//! The stream of endings: opened, read to its end, and opened anew, by one task for as long as its gateway is there. Two would take its
//! place from each other, since a run has one stream.

use std::sync::Arc;
use std::time::Duration;

use daypass_api::client::{Error, LineStream};
use daypass_api::gateway::{HEARTBEAT_SECONDS, LeaseEnding};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::Inner;
use crate::control::Ending;
use crate::{edge, wire};

/// How long nothing may come of the stream.
const SILENCE: Duration = Duration::from_secs(3 * HEARTBEAT_SECONDS);

/// How long it may take to register and to open it.
const CONNECT: Duration = Duration::from_secs(10);

/// Before it is tried again, for the first time and at most; it doubles.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Once it was open for so long, the next pause is the first one again.
const STEADY: Duration = Duration::from_secs(10);

/// Before it is tried again where the server does not take this gateway: somebody has to do something first.
const REFUSED: Duration = Duration::from_secs(30);

/// Between who follows the stream and who listens.
#[derive(Default)]
pub(super) struct Feed {
    /// A stream that is open, for whoever asks next.
    open: Option<mpsc::UnboundedReceiver<Ending>>,
    /// Of those who wait for one. Theirs close once there is one: they ask again, get the open one, and renew everything then. So nothing
    /// that ended before it was open is missed.
    waiting: Vec<mpsc::UnboundedSender<Ending>>,
    follower: Option<AbortHandle>,
}

impl Feed {
    /// Nobody follows any more.
    pub(super) fn stop(&mut self) {
        if let Some(follower) = self.follower.take() {
            follower.abort();
        }
        self.waiting.clear();
    }
}

/// What ends from now on; or a channel that closes once it can be heard.
pub(super) fn endings(inner: &Arc<Inner>) -> mpsc::UnboundedReceiver<Ending> {
    let mut feed = inner.feed();
    if let Some(open) = feed.open.take() {
        return open;
    }
    let (waiting, receiver) = mpsc::unbounded_channel();
    feed.waiting.push(waiting);
    if feed.follower.as_ref().is_none_or(AbortHandle::is_finished) {
        feed.follower = Some(tokio::spawn(follow(Arc::clone(inner))).abort_handle());
    }
    receiver
}

async fn follow(inner: Arc<Inner>) {
    let mut backoff = Backoff(PAUSE);
    let mut refused = false;
    loop {
        let pause = match inner.connect().await {
            Ok(stream) => {
                refused = false;
                let began = edge::instant();
                let why = inner.tell(stream).await;
                tracing::warn!(why, "the server does not say any more what ends");
                if edge::instant().saturating_duration_since(began) >= STEADY {
                    backoff = Backoff(PAUSE);
                }
                backoff.next(dice())
            }
            Err(error) if is_refusal(&error) => {
                if !refused {
                    tracing::error!(
                        %error,
                        "the server does not take this gateway: nobody comes in, and its sessions end with their leases. \
                         Where it is the token, put another into its file and restart it"
                    );
                }
                refused = true;
                spread(REFUSED, dice())
            }
            Err(error) => {
                tracing::warn!(
                    %error,
                    "the server is not there to say what ends: until it is, that is learned where leases are renewed"
                );
                backoff.next(dice())
            }
        };
        edge::sleep(pause).await;
    }
}

/// Whether the server does not take this gateway. That it does not know it yet is none: it may have been started just now.
fn is_refusal(error: &Error) -> bool {
    error.is_lasting() && error.status() != Some(404)
}

impl Inner {
    /// The stream of endings. A server that was restarted knows no gateway: so it is told first.
    async fn connect(&self) -> Result<LineStream, Error> {
        let connecting = async {
            self.register().await?;
            self.urgent.gateway_events().await
        };
        let connected = edge::within(CONNECT, connecting).await;
        connected.unwrap_or_else(|late| {
            Err(Error::Unreachable {
                server: self.urgent.server().to_owned(),
                detail: late.to_string(),
            })
        })
    }

    /// Tells what comes, until nothing does; why.
    async fn tell(&self, mut stream: LineStream) -> String {
        let (told, receiver) = mpsc::unbounded_channel();
        {
            let mut feed = self.feed();
            feed.open = Some(receiver);
            feed.waiting.clear();
        }
        tracing::info!("the server says what ends");
        loop {
            let line = tokio::select! {
                () = told.closed() => return String::from("nobody listens here"),
                line = edge::within(SILENCE, stream.next_any()) => line,
            };
            let line = match line {
                Ok(Ok(Some(line))) => line,
                Ok(Ok(None)) => return String::from("it ended the stream"),
                Ok(Err(error)) => return error.to_string(),
                Err(late) => return late.to_string(),
            };
            if line.is_empty() {
                continue;
            }
            let Ok(ending) = serde_json::from_str::<LeaseEnding>(&line) else {
                // Something ends, and nobody here knows what: all is asked again.
                return String::from("it says what cannot be read");
            };
            // Where nobody listens, the next turn finds it.
            let _ = told.send(wire::to_ending(ending));
        }
    }
}

/// How long to wait before the next try.
struct Backoff(Duration);

impl Backoff {
    fn next(&mut self, dice: u8) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST_PAUSE);
        spread(pause, dice)
    }
}

/// Takes off at most half: gateways that lost a server at the same moment do not all come back at the same moment.
fn spread(pause: Duration, dice: u8) -> Duration {
    pause * (512 - u32::from(dice)) / 512
}

fn dice() -> u8 {
    let [dice] = edge::random();
    dice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_are_spread_by_half_at_most() {
        let mut backoff = Backoff(PAUSE);
        let pauses: Vec<u128> = (0..7).map(|_| backoff.next(0).as_millis()).collect();
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 5000, 5000]);
        assert!(spread(PAUSE, 255) > PAUSE / 2);
        assert_eq!(spread(PAUSE, 128), PAUSE * 3 / 4);
    }
    #[test]
    fn a_token_that_is_not_taken_is_a_refusal_and_a_server_that_was_just_started_is_none() {
        use daypass_api::{Problem, ProblemCode};
        use daypass_core::refusal::Code;
        let is = |code: ProblemCode| is_refusal(&Error::Problem(Box::new(Problem::new(code, "x"))));
        assert!(is(ProblemCode::Unauthenticated) && is(ProblemCode::Refusal(Code::Forbidden)));
        assert!(!is(ProblemCode::Refusal(Code::NotFound)) && !is(ProblemCode::Unavailable));
    }
}
