//! A session: bytes go both ways as they are, whole frames at a time, while every message is looked at.
//!
//! Read much, write much: what is read at once is looked at and written at once, and nothing is flushed per message. Large
//! frames go through in pieces.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Notify;

use super::flow::{Flow, Flows};
use super::frame::{self, Fields, Front, Head, Malformed, Piece, Report};
use super::guardrails::{self, Guard};
use super::message::{self, Said};
use super::statements::{Answered, Ended, Judged, Now, Statements};
use super::stop::Stop;
use crate::control::Reason;
use crate::edge;
use crate::record::{Outcome, Recorder, Room, What};
use crate::session::Session;

/// Frames up to this size are written whole.
const WHOLE: usize = 64 * 1024;

/// How long the client is given to hear why its session ended.
const GOODBYE: Duration = Duration::from_secs(2);

/// How many messages may wait for their answers.
const PENDING: usize = 4_096;

/// How much of a target's error is read; its code comes first.
const ERROR: usize = 64 * 1024;

/// What both directions know.
struct Shared {
    statements: Statements,
    guard: Guard,
    /// The target said that it ends the connection, and why.
    fatal: bool,
}

/// See the module.
pub(super) struct Relay<'a> {
    session: &'a Session,
    shared: Mutex<Shared>,
    most_statement: usize,
    /// The target answered something.
    answered: Notify,
    /// How what was begun at the target is stopped.
    stop: Stop,
    finished: bool,
}

fn now() -> Now {
    Now {
        at: edge::now(),
        instant: edge::instant(),
    }
}

/// What a direction ends with: why, and what the client is told.
type End = (Reason, Option<Said>);

fn violated(why: Malformed) -> End {
    let said = Said::fatal("08P01", format!("the connection ends: {why}"));
    (Reason::ProtocolViolation, Some(said))
}

fn lost() -> End {
    let said = Said::fatal("08006", "the target ended the connection");
    (Reason::TargetLost, Some(said))
}

fn strange(why: Malformed) -> End {
    // That is the client's doing.
    if why == Malformed::Untold {
        return violated(why);
    }
    let said = Said::fatal(
        "08P01",
        "the target answered what does not belong to any question",
    );
    (Reason::TargetLost, Some(said))
}

impl<'a> Relay<'a> {
    pub(super) fn new(session: &'a Session, guard: Guard, most_statement: usize, stop: Stop) -> Self {
        let mut statements = Statements::new(session.recording.values);
        statements.reads(guard.is_plain());
        let shared = Shared {
            statements,
            guard,
            fatal: false,
        };
        Self {
            session,
            shared: Mutex::new(shared),
            most_statement,
            answered: Notify::new(),
            stop,
            finished: false,
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recorder(&self) -> &Recorder {
        &self.session.recorder
    }

    /// Runs the session to its end; the answer is why it ended.
    pub(super) async fn run(mut self, mut flows: Flows) -> Reason {
        let (reason, said) = {
            let up = self.up(&mut flows.up);
            let down = self.down(&mut flows.down);
            tokio::select! {
                biased;
                reason = self.session.live.ended() => {
                    let said = Said::fatal("57P01", format!("Daypass ended this session: {}", reason.words()));
                    (reason, Some(said))
                }
                end = down => end,
                end = up => end,
            }
        };
        let (busy, alone, fatal) = {
            let shared = self.shared();
            (
                shared.statements.is_busy(),
                shared.statements.is_alone(),
                shared.fatal,
            )
        };
        // A client that hears of the end leaves, and may be faster.
        let reason = if fatal && reason == Reason::Left {
            Reason::TargetLost
        } else {
            reason
        };
        let Flows { up, mut down } = flows;
        // Where the target said itself that it ends, it does.
        let reader = down.reader.take().filter(|_| !down.ended && !fatal);
        let telling = async {
            self.leave(&mut down, said).await;
            self.session.told().await;
        };
        let stopped = if busy && !fatal {
            // In a place of its own: an idle session would hold the memory that its end may need.
            let stopping = Box::pin(self.stop.stop(reader, up.writer, alone));
            tokio::join!(stopping, telling).0
        } else {
            telling.await;
            self.stop.leave(up.writer).await
        };
        self.finish(stopped);
        reason
    }

    /// What still ran is recorded, and whether it may still do.
    fn finish(&mut self, stopped: bool) {
        self.finished = true;
        let mut cut = self.shared().statements.cut(now());
        if !stopped {
            self.session.traffic.may_work.store(true, Ordering::Relaxed);
            for (_, statement) in cut.iter_mut().filter_map(|ended| ended.record.as_mut()) {
                if statement.outcome == Outcome::Cut {
                    statement.outcome = Outcome::MayWork;
                }
            }
        }
        self.record(cut);
    }

    /// The client hears why. Who does not listen is not waited for.
    async fn leave(&self, down: &mut Flow, said: Option<Said>) {
        if let Some(said) = said {
            let _ = edge::within(GOODBYE, self.goodbye(down, &said)).await;
        }
        let _ = edge::within(GOODBYE, down.writer.shutdown()).await;
    }

    /// Tells the client why, where it is between two frames.
    async fn goodbye(&self, down: &mut Flow, said: &Said) -> io::Result<()> {
        down.write(&self.session.traffic.down).await?;
        if down.splitter.is_between_frames() {
            said.write(&mut down.own);
            down.write(&self.session.traffic.down).await?;
        }
        down.writer.flush().await
    }

    fn record(&self, ended: Vec<Ended>) {
        for Ended { record, room } in ended {
            match record {
                Some((at, statement)) => self.recorder().put(&room, at, What::Statement(statement)),
                None => self.recorder().unused(&room),
            }
        }
    }

    /// From the client to the target.
    async fn up(&self, flow: &mut Flow) -> End {
        loop {
            let wanted = match self.look_up(flow).await {
                Ok(wanted) => wanted,
                Err(end) => return end,
            };
            if flow.write(&self.session.traffic.up).await.is_err() || flow.writer.flush().await.is_err() {
                // What it says last is still read by the other direction.
                return std::future::pending().await;
            }
            match flow.read(wanted).await {
                Ok(true) => {}
                _ => return (Reason::Left, None),
            }
        }
    }

    /// Looks at all that is there; the answer is how many bytes it takes to go on.
    async fn look_up(&self, flow: &mut Flow) -> Result<usize, End> {
        loop {
            let most = self.most_statement;
            let piece = flow
                .splitter
                .next(flow.buffer.get(flow.ready..).unwrap_or_default(), 0, |head| {
                    frame::needed(head, most)
                });
            match piece.map_err(violated)? {
                Piece::More(wanted) => return Ok(wanted),
                Piece::Rest(count) => flow.ready += count,
                Piece::Frame { head, end, .. } => {
                    self.keep_up(flow).await;
                    // Data of a COPY: much of it, and nothing to see.
                    if head.kind == b'd' {
                        self.shared().statements.copied_in(head.body);
                        flow.ready += end;
                        continue;
                    }
                    self.settle(flow, head, end).await?;
                    let bytes = flow.rest().get(frame::HEAD..end).unwrap_or_default();
                    let front = Front::read(head, bytes).map_err(violated)?;
                    let judged = self.judge(&front).await;
                    let cost = self.shared().statements.cost(&front);
                    let room = match cost {
                        None => None,
                        Some(cost) => Some(match self.recorder().room_now(cost) {
                            Some(room) => room,
                            None => self.room(flow, cost).await,
                        }),
                    };
                    self.pass(flow, head, end, judged, room).await?;
                    if head.kind == b'X' {
                        let _ = flow.write(&self.session.traffic.up).await;
                        let _ = flow.writer.flush().await;
                        return Err((Reason::Left, None));
                    }
                }
            }
        }
    }

    /// A client that asks without end and reads no answer waits for the target, as it would without us.
    async fn keep_up(&self, flow: &mut Flow) {
        while self.shared().statements.pending() >= PENDING {
            self.answers(flow).await;
            self.answered.notified().await;
        }
    }

    /// Sends what is ready, and asks for the answers to all of it: a target keeps them back until the end of a batch.
    async fn answers(&self, flow: &mut Flow) {
        message::frame(&mut flow.own, b'H', |_| {});
        let written = flow.write(&self.session.traffic.up).await;
        if written.is_err() || flow.writer.flush().await.is_err() {
            std::future::pending().await
        }
    }

    /// The session is ahead of its records: what is ready goes out, then it waits.
    async fn room(&self, flow: &mut Flow, cost: usize) -> Room {
        self.answers(flow).await;
        let ended = self.shared().statements.hurry(true);
        self.record(ended);
        let room = self.recorder().room(cost).await;
        let ended = self.shared().statements.hurry(false);
        self.record(ended);
        room
    }

    /// What is under way may change how a text is read that guardrails judge: where it matters, it is waited for.
    async fn settle(&self, flow: &mut Flow, head: Head, end: usize) -> Result<(), End> {
        let bytes = flow.rest().get(frame::HEAD..end).unwrap_or_default();
        let depends = {
            let shared = self.shared();
            matches!(head.kind, b'Q' | b'P') && shared.guard.depends_on_what_is_under_way(bytes)
        };
        while depends && self.shared().statements.pending() > 0 {
            if self.shared().statements.is_copying() {
                return Err(violated(Malformed::Kind));
            }
            self.answers(flow).await;
            self.answered.notified().await;
        }
        Ok(())
    }

    /// Puts a message into the queue and lets it go out, or another in its place.
    async fn pass(
        &self,
        flow: &mut Flow,
        head: Head,
        end: usize,
        judged: Judged,
        room: Option<Room>,
    ) -> Result<(), End> {
        let is_refused = judged.refused.is_some();
        let bytes = flow.rest().get(frame::HEAD..end).unwrap_or_default();
        let front = Front::read(head, bytes).map_err(violated)?;
        let unused = self
            .shared()
            .statements
            .front(&front, judged, room, now())
            .map_err(violated)?;
        if let Some(room) = unused {
            self.recorder().unused(&room);
        }
        if !is_refused {
            flow.ready += end;
            return Ok(());
        }
        // Values that are still to come would be taken for messages.
        if !flow.splitter.is_between_frames() {
            return Err(violated(Malformed::TooLong));
        }
        self.session.traffic.refused.fetch_add(1, Ordering::Relaxed);
        let mut instead = BytesMut::new();
        guardrails::substitute(&front, &mut instead);
        // What was before it goes first.
        if flow.write(&self.session.traffic.up).await.is_err() {
            return std::future::pending().await;
        }
        flow.drop_frame(end);
        flow.own = instead;
        if flow.write(&self.session.traffic.up).await.is_err() {
            return std::future::pending().await;
        }
        Ok(())
    }

    /// Whether a message is refused, and in which words.
    async fn judge(&self, front: &Front<'_>) -> Judged {
        let text = match front {
            Front::Query { text } => text,
            Front::Parse { text, .. } => {
                if !self.shared().statements.has_room_to_prepare(text) {
                    let said = Said::error("53400", "more prepared statements than one session may have");
                    return said.hint(Some("DEALLOCATE some".to_owned())).into();
                }
                text
            }
            Front::Bind { portal, rest, .. } if !self.shared().statements.has_room_to_bind(portal, rest) => {
                let said = Said::error("53400", "more portals than one transaction may have");
                return said.hint(Some("close some".to_owned())).into();
            }
            Front::FunctionCall { .. } => {
                let refused = self.shared().guard.function_call();
                return Judged {
                    refused,
                    keeps: false,
                };
            }
            _ => return Judged::default(),
        };
        let guard = self.shared().guard;
        if guard.depends_on_what_is_under_way(text) && self.shared().statements.is_unreported() {
            return guardrails::unreported().into();
        }
        guard.judge(text).await
    }

    /// From the target to the client.
    async fn down(&self, flow: &mut Flow) -> End {
        loop {
            let wanted = match self.look_down(flow).await {
                Ok(wanted) => wanted,
                Err(end) => return end,
            };
            self.answered.notify_one();
            if flow.write(&self.session.traffic.down).await.is_err() || flow.writer.flush().await.is_err() {
                return (Reason::Left, None);
            }
            match flow.read(wanted).await {
                Ok(true) => {}
                // It said itself why.
                _ if self.shared().fatal => return (Reason::TargetLost, None),
                _ => return lost(),
            }
        }
    }

    /// Looks at all that is there; the answer is how many bytes it takes to go on.
    async fn look_down(&self, flow: &mut Flow) -> Result<usize, End> {
        loop {
            let rest = flow.buffer.get(flow.ready..).unwrap_or_default();
            let piece = flow.splitter.next(rest, WHOLE, |head| {
                Ok(match head.kind {
                    b'E' => head.body.min(ERROR),
                    b'C' | b'S' | b'Z' => head.body.min(frame::NAMES),
                    _ => 0,
                })
            });
            match piece.map_err(strange)? {
                Piece::More(wanted) => return Ok(wanted),
                Piece::Rest(count) => flow.ready += count,
                Piece::Frame { head, body, end } => match head.kind {
                    b'D' => {
                        self.shared().statements.rows(1);
                        flow.ready += end;
                    }
                    b'd' => {
                        self.shared().statements.copied_out(head.body);
                        flow.ready += end;
                    }
                    b'N' | b'A' => flow.ready += end,
                    _ => {
                        let bytes = flow.rest().get(body).unwrap_or_default();
                        let answered = self.answered(head, bytes).map_err(strange)?;
                        self.record(answered.ended);
                        let Some(said) = answered.instead else {
                            flow.ready += end;
                            continue;
                        };
                        // What stands in the place of a refused statement fails in few words.
                        if !flow.splitter.is_between_frames() {
                            return Err(strange(Malformed::TooLong));
                        }
                        if flow.write(&self.session.traffic.down).await.is_err() {
                            return Err((Reason::Left, None));
                        }
                        flow.drop_frame(end);
                        said.write(&mut flow.own);
                        if flow.write(&self.session.traffic.down).await.is_err() {
                            return Err((Reason::Left, None));
                        }
                    }
                },
            }
        }
    }

    fn answered(&self, head: Head, body: &[u8]) -> Result<Answered, Malformed> {
        let mut shared = self.shared();
        if head.kind == b'E' {
            shared.fatal |= Report::beginning(body).is_fatal();
        }
        if head.kind == b'S' {
            let mut fields = Fields(body);
            if let (Some(name), Some(value)) = (fields.text(), fields.text()) {
                shared.guard.parameter(name, value);
                let plain = shared.guard.is_plain();
                shared.statements.reads(plain);
            }
        }
        shared.statements.back(head, body, now())
    }
}

impl Drop for Relay<'_> {
    /// Of a session whose task was dropped, or ended unexpectedly: what ran is stopped and recorded all the same.
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let busy = self.shared().statements.is_busy();
        if busy {
            self.stop.stop_alone();
        }
        self.finish(!busy);
    }
}

/// What a client is told once the target is ready.
pub(super) fn greeting(parameters: &[u8], key: super::startup::CancelKey, ready: &[u8]) -> BytesMut {
    let mut out = BytesMut::from(parameters);
    message::key_data(&mut out, key);
    out.extend_from_slice(ready);
    out
}
