//! A session: messages go both ways as they are, while each is looked at.
//!
//! One task does both directions, and waits in one place. A direction goes on where there is room in front of it: bytes that the other side has
//! not read, and records that are not stored, hold it up, and nothing else is kept. So a client that never reads stops its target, and no memory grows.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;

use super::link::{Link, goodbye, read, write};
use super::msg::{self, Bye};
use super::rules::{Rules, Then};
use super::transport::{Broken, Transport};
use super::wire::Writer;
use crate::control::Reason;
use crate::edge;
use crate::record::{Room, What};
use crate::session::Session;

/// So much may wait to be written to one side before nothing more is taken for it.
const HIGH: usize = 256 * 1024;

/// So much where who says it changes keys: what it said before is still on its way, and what it is told waits until they are changed.
const CHANGING: usize = 16 * HIGH;

/// How long the client is given to hear why its session ended, and how long each side has before the other is told.
const GOODBYE: Duration = Duration::from_secs(2);
const LEAVE: Duration = Duration::from_millis(500);

/// What a direction ends with: why, and what the client is told.
type End = (Reason, Option<String>);

/// See the module.
pub(super) struct Relay<'a> {
    session: &'a Session,
    rules: Rules,
    /// What waits for room in the records, up and down.
    stalled: [Option<Stalled>; 2],
    /// The target hung up.
    target_left: bool,
    finished: bool,
}

struct Stalled {
    message: BytesMut,
    /// The room that it needs; none where it waits for an answer.
    cost: Option<usize>,
}

/// How much may wait for the other side while this one is heard.
fn high(from: &Transport) -> usize {
    if from.is_ready() { HIGH } else { CHANGING }
}

/// Whether nothing more is to be heard of this side: the other one does not take it, or itself not what it is answered.
fn is_full(from: &Transport, to: &Transport) -> bool {
    let answers = if from.is_ready() { 4 * HIGH } else { CHANGING };
    to.waiting() >= high(from) || from.waiting() >= answers
}

fn violated(broken: Broken) -> End {
    (
        Reason::ProtocolViolation,
        Some(format!("the connection ends: {broken}")),
    )
}

fn strange(broken: Broken) -> End {
    tracing::warn!(error = %broken, "a target answered what does not belong here");
    let words = "the target answered what does not belong to any question";
    (Reason::TargetLost, Some(words.to_owned()))
}

impl<'a> Relay<'a> {
    pub(super) const fn new(session: &'a Session, rules: Rules) -> Self {
        Self {
            session,
            rules,
            stalled: [None, None],
            target_left: false,
            finished: false,
        }
    }

    /// Runs the session to its end; the answer is why it ended.
    pub(super) async fn run(mut self, mut client: Link, mut target: Link) -> Reason {
        let (mut reason, mut words) = self.pump(&mut client, &mut target).await;
        if self.target_left && self.rules.is_through() {
            // All that was to be done is done, and the client knows how it ended: it goes by itself, and is not told otherwise.
            let _ = edge::within(LEAVE, leaving(&mut client)).await;
            (reason, words) = (Reason::Left, None);
        }
        let (signals, may_work) = self.rules.hang_up();
        if may_work {
            self.session.traffic.may_work.store(true, Ordering::Relaxed);
        }
        // Programs hear that nobody is there any more: at once, whether or not the client reads.
        for message in signals {
            let _ = target.transport.send(&message);
        }
        let signalling = edge::within(LEAVE, target.flush());
        let telling = self.tell(&mut client, words.as_deref());
        let _ = tokio::join!(telling, signalling);
        self.session.told().await;
        let bye = goodbye(Bye::ByApplication, "the session is over");
        let _ = target.transport.send_now(&bye);
        let _ = edge::within(LEAVE, target.flush()).await;
        drop(target);
        let _ = edge::within(GOODBYE, client.linger()).await;
        self.finish();
        reason
    }

    /// What was open is recorded as cut.
    fn finish(&mut self) {
        self.finished = true;
        self.rules.cut((edge::now(), edge::instant()));
        self.record();
    }

    /// The client hears why, where it can be told anything just now.
    async fn tell(&self, client: &mut Link, words: Option<&str>) {
        let Some(words) = words else {
            return;
        };
        if client.transport.is_ready() {
            for message in self.rules.farewell(words) {
                let _ = client.transport.send(&message);
            }
        }
        let _ = client.transport.send_now(&goodbye(Bye::ByApplication, words));
        let _ = edge::within(LEAVE, client.flush()).await;
    }

    /// Passes on all that comes, until something ends it.
    async fn pump(&mut self, client: &mut Link, target: &mut Link) -> End {
        let recorder = &self.session.recorder;
        let live = &self.session.live;
        loop {
            if let Some(reason) = live.has_ended() {
                return ended(reason);
            }
            if let Err(end) = self.step(&mut client.transport, &mut target.transport) {
                return end;
            }
            let due = self.rules.due();
            let [up, down] = &self.stalled;
            // Room for records is of use where the message could go out then.
            let waits = |stalled: &Option<Stalled>, from: &Transport, to: &Transport| {
                let cost = stalled.as_ref().and_then(|stalled| stalled.cost);
                cost.filter(|_| to.waiting() < high(from))
            };
            let (to_client, to_target) = (&client.transport, &target.transport);
            let wanted = waits(up, to_client, to_target).max(waits(down, to_target, to_client));
            let (full_up, full_down) = (
                is_full(&client.transport, &target.transport),
                is_full(&target.transport, &client.transport),
            );
            let (reads_up, reads_down) = (up.is_none() && !full_up, down.is_none() && !full_down);
            client.transport.shrink();
            target.transport.shrink();
            let (to_client, to_target) = (&mut client.transport, &mut target.transport);
            let (owes_client, owes_target) = (!to_client.output.is_empty(), !to_target.output.is_empty());
            // Whichever is ready: who says much in one direction does not keep the other from being heard.
            tokio::select! {
                reason = live.ended() => return ended(reason),
                done = write(&mut client.writer, &mut to_client.output), if owes_client => {
                    if done.is_err() {
                        return (Reason::Left, None);
                    }
                }
                done = write(&mut target.writer, &mut to_target.output), if owes_target => {
                    if done.is_err() {
                        return self.lost();
                    }
                }
                done = read(&mut target.reader, &mut to_target.input), if reads_down => {
                    if done.is_err() {
                        return self.last(client, target, false).await;
                    }
                }
                done = read(&mut client.reader, &mut to_client.input), if reads_up => {
                    if done.is_err() {
                        return self.last(client, target, true).await;
                    }
                }
                room = recorder.room(wanted.unwrap_or(0)), if wanted.is_some() => recorder.unused(&room),
                () = edge::sleep_until(due.unwrap_or_else(edge::instant)), if due.is_some() => {}
            }
        }
    }

    /// One side is gone: what it said before is passed on, for as long as the other listens.
    async fn last(&mut self, client: &mut Link, target: &mut Link, left: bool) -> End {
        let stepped = self.step(&mut client.transport, &mut target.transport);
        let link = if left { target } else { client };
        let _ = edge::within(LEAVE, link.flush()).await;
        match stepped {
            Err(end) => end,
            Ok(()) if left => (Reason::Left, None),
            Ok(()) => self.lost(),
        }
    }

    /// Passes on what is there, as far as there is room.
    fn step(&mut self, client: &mut Transport, target: &mut Transport) -> Result<(), End> {
        self.rules.look((edge::now(), edge::instant()));
        let up = self.direction(true, client, target);
        let down = self.direction(false, target, client);
        // What waited for an answer of the target has it, perhaps.
        let waits = matches!(&self.stalled, [Some(Stalled { cost: None, .. }), _]);
        let up = if waits && up.is_ok() {
            self.direction(true, client, target)
        } else {
            up
        };
        let traffic = &self.session.traffic;
        traffic.up.store(self.rules.up, Ordering::Relaxed);
        traffic.down.store(self.rules.down, Ordering::Relaxed);
        traffic.refused.store(self.rules.refused, Ordering::Relaxed);
        self.record();
        up.and(down)
    }

    fn stall(&mut self, is_up: bool) -> &mut Option<Stalled> {
        let [up, down] = &mut self.stalled;
        if is_up { up } else { down }
    }

    fn direction(&mut self, is_up: bool, from: &mut Transport, to: &mut Transport) -> Result<(), End> {
        let ends = if is_up { violated } else { strange };
        while to.waiting() < high(from) {
            let message = match self.stall(is_up).take() {
                Some(stalled) => stalled.message,
                None => match from.message().map_err(ends)? {
                    Some(message) => message,
                    None => return Ok(()),
                },
            };
            if is_up && self.rules.waits(&message) {
                *self.stall(is_up) = Some(Stalled { message, cost: None });
                return Ok(());
            }
            let cost = self.rules.cost(is_up, &message);
            let given = cost.map(|cost| self.session.recorder.room_now(cost));
            let Some(mut room) = given.unwrap_or_else(|| Some(Room::default())) else {
                *self.stall(is_up) = Some(Stalled { message, cost });
                return Ok(());
            };
            let passed = self.pass(is_up, &message, &mut room, from, to);
            self.session.recorder.unused(&room);
            passed?;
            for owed in self.rules.owed.drain(..) {
                to.send(&owed).map_err(|malformed| ends(malformed.into()))?;
            }
        }
        Ok(())
    }

    fn pass(
        &mut self,
        is_up: bool,
        message: &[u8],
        room: &mut Room,
        from: &mut Transport,
        to: &mut Transport,
    ) -> Result<(), End> {
        if message.first() == Some(&msg::DISCONNECT) {
            return Err(if is_up { (Reason::Left, None) } else { self.lost() });
        }
        let ends = if is_up { violated } else { strange };
        let now = (edge::now(), edge::instant());
        let then = if is_up {
            self.rules.up(message, room, now)
        } else {
            self.rules.down(message, room, now)
        };
        let done = match then.map_err(|malformed| ends(malformed.into()))? {
            Then::Pass => to.send(message),
            Then::Instead(other) => to.send(&other),
            Then::Answer(answer) => from.send(&answer),
            Then::Nothing => Ok(()),
            Then::Unknown => {
                let number = from.number();
                from.send(&Writer::message(msg::UNIMPLEMENTED).u32(number).done())
            }
        };
        done.map_err(|malformed| ends(malformed.into()))
    }

    fn lost(&mut self) -> End {
        self.target_left = true;
        let words = "the target ended the connection";
        (Reason::TargetLost, Some(words.to_owned()))
    }

    fn record(&mut self) {
        for (room, at, event) in self.rules.shown.drain(..) {
            self.session.recorder.put(&room, at, What::Ssh(event));
        }
    }
}

impl Drop for Relay<'_> {
    /// Of a session whose task was dropped, or ended unexpectedly: what was open is recorded all the same, and nobody was told to stop.
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        if self.rules.is_busy() {
            self.session.traffic.may_work.store(true, Ordering::Relaxed);
        }
        self.finish();
    }
}

/// Waits until the client goes.
async fn leaving(client: &mut Link) {
    while client.receive().await.is_ok() {}
}

fn ended(reason: Reason) -> End {
    let words = format!("Daypass ended this session: {}", reason.words());
    (reason, Some(words))
}
