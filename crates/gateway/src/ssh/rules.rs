//! What may pass between a client and a target, message by message, and what it leaves behind in the records. Without IO.
//!
//! Messages pass as they are: each side names its own channels and grants its own windows, so that what one does not read holds up the other as it
//! would without us. **What is not known here is refused.** Answers to requests come in their order; so a refused request is replaced by one that
//! nobody knows (`refused@daypass`), and the other side refuses it at its turn.

mod requests;

use std::collections::VecDeque;
use std::time::Instant;

use super::channel::{Channel, Kind, Now};
use super::event::{Event, Exit};
use super::link::one_line;
use super::msg;
use super::target::{Allowed, Place};
use super::terminal::Shown;
use super::wire::{Malformed, Reader, Writer};
use crate::record::Room;
use requests::refused_to_all;

/// How many channels a session may have at once, and how many of them with programs.
const CHANNELS: usize = 64;
const PROGRAMS: usize = 16;

/// How often a target may try to open what it may not.
const STRANGE: u32 = 64;

/// So many requests of SFTP may wait for their answers in all channels of a session: what is kept of each is some thirty bytes. One file
/// that is asked for at once is as many as the target's window takes, 72,000 with OpenSSH.
const WAITING: usize = 256 * 1024;

/// So many channels that are gone are remembered: what crosses their end belongs to nothing, and is no fault.
const GONE: usize = 2 * CHANNELS;

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It passes as it is.
    Pass,
    /// Another passes in its place.
    Instead(Vec<u8>),
    /// It does not pass, and this is the answer.
    Answer(Vec<u8>),
    /// It does not pass.
    Nothing,
    /// Nobody knows such a message.
    Unknown,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Rules {
    allowed: Allowed,
    longest_line: usize,
    all: Vec<Channel>,
    opened: u32,
    /// Where the host was asked to listen.
    listening: Vec<Place>,
    /// How many channels the target wanted to open that it may not.
    strange: u32,
    /// Channels that are gone, by the names that the client had for them, and the target.
    gone: VecDeque<[Option<u32>; 2]>,
    /// What is to be recorded.
    pub(super) shown: Vec<Shown>,
    /// What the client is told besides what passes.
    pub(super) owed: Vec<Vec<u8>>,
    /// How much was refused, and how many bytes of channels went up and down.
    pub(super) refused: u64,
    pub(super) up: u64,
    pub(super) down: u64,
}

/// A message that refuses to open a channel.
fn not_opened(channel: u32, code: u32, words: &str) -> Vec<u8> {
    Writer::message(msg::CHANNEL_OPEN_FAILURE)
        .u32(channel)
        .u32(code)
        .string(words)
        .string("")
        .done()
}

const PROHIBITED: u32 = 1;
const SHORTAGE: u32 = 4;

impl Rules {
    pub(super) const fn new(allowed: Allowed, longest_line: usize) -> Self {
        Self {
            allowed,
            longest_line,
            all: Vec::new(),
            opened: 0,
            listening: Vec::new(),
            strange: 0,
            gone: VecDeque::new(),
            shown: Vec::new(),
            owed: Vec::new(),
            refused: 0,
            up: 0,
            down: 0,
        }
    }

    /// How much room there must be in the records before a message passes.
    pub(super) fn cost(&self, is_up: bool, message: &[u8]) -> Option<usize> {
        let kind = message.first().copied()?;
        match kind {
            msg::CHANNEL_OPEN | msg::CHANNEL_REQUEST | msg::GLOBAL_REQUEST => Some(message.len()),
            msg::CHANNEL_CLOSE => Some(0),
            msg::CHANNEL_DATA | msg::CHANNEL_EXTENDED_DATA => {
                let mut fields = Reader(message.get(1..)?);
                let id = fields.u32().ok()?;
                if is_up {
                    let channel = self.all.iter().find(|channel| channel.target == Some(id))?;
                    return channel.cost_of_input(message.len());
                }
                if kind == msg::CHANNEL_EXTENDED_DATA {
                    fields.u32().ok()?;
                }
                let channel = self.all.iter().find(|channel| channel.client == Some(id))?;
                channel.cost_of_output(fields.string().ok()?)
            }
            _ => None,
        }
    }

    fn refuse(&mut self, what: &str, room: &mut Room, now: Now) {
        self.refused += 1;
        let (what, _) = what.split_at(what.floor_char_boundary(512));
        let event = Event::Refused { what: one_line(what) };
        self.shown.push((std::mem::take(room), now.0, event));
    }

    fn open(&mut self, kind: Kind, now: Now) -> &mut Channel {
        self.opened += 1;
        self.all.push(Channel::new(self.opened, kind, now));
        let last = self.all.len() - 1;
        // It was just put there.
        #[expect(clippy::indexing_slicing, reason = "the line before")]
        &mut self.all[last]
    }

    /// A connection that is to be forwarded.
    fn forward(&mut self, (way, to): (&'static str, String), room: &mut Room, now: Now) -> &mut Channel {
        let event = Event::Forward {
            channel: self.opened + 1,
            way,
            to,
        };
        self.shown.push((std::mem::take(room), now.0, event));
        self.open(Kind::Forward, now)
    }

    /// A channel as the client names it to the target, as long as the client may still say something in it.
    fn of_client(&mut self, id: u32) -> Result<&mut Channel, Malformed> {
        let is = |channel: &&mut Channel| {
            channel.target == Some(id) && channel.client.is_some() && !channel.client_closed
        };
        self.all.iter_mut().find(is).ok_or(Malformed)
    }

    /// The same, the other way round.
    fn of_target(&mut self, id: u32) -> Result<&mut Channel, Malformed> {
        let is = |channel: &&mut Channel| {
            channel.client == Some(id) && channel.target.is_some() && !channel.target_closed
        };
        self.all.iter_mut().find(is).ok_or(Malformed)
    }

    fn remove(&mut self, is: impl Fn(&Channel) -> bool, end: Exit, now: Now) {
        if let Some(at) = self.all.iter().position(is) {
            let channel = self.all.swap_remove(at);
            self.gone.push_back([channel.client, channel.target]);
            if self.gone.len() > GONE {
                self.gone.pop_front();
            }
            channel.over(end, now, &mut self.shown);
        }
    }

    /// Whether this side has closed that channel: what it still says about it crossed its end, or its library is late.
    fn is_closed(&self, is_up: bool, id: u32) -> bool {
        // Each side names a channel as the other calls it.
        let named = |[client, target]: [Option<u32>; 2]| (if is_up { target } else { client }) == Some(id);
        let is = |channel: &&Channel| named([channel.client, channel.target]);
        match self.all.iter().find(is) {
            Some(channel) if is_up => channel.client_closed,
            Some(channel) => channel.target_closed,
            None => self.gone.iter().any(|gone| named(*gone)),
        }
    }

    /// Whether there was a channel, and the target has closed all.
    pub(super) fn is_through(&self) -> bool {
        self.opened > 0 && self.all.iter().all(|channel| channel.target_closed)
    }

    fn remove_closed(&mut self, now: Now) {
        self.remove(
            |channel| channel.client_closed && channel.target_closed,
            Exit::Untold(true),
            now,
        );
    }

    /// Whether it is about a channel that whoever says it has closed, and so about nothing.
    fn crosses(&self, is_up: bool, kind: u8, mut fields: Reader<'_>) -> bool {
        let may = matches!(
            kind,
            msg::CHANNEL_WINDOW_ADJUST | msg::CHANNEL_EOF | msg::CHANNEL_SUCCESS | msg::CHANNEL_FAILURE
        );
        may && fields.u32().is_ok_and(|id| self.is_closed(is_up, id))
    }

    /// A message of the client.
    pub(super) fn up(&mut self, message: &[u8], room: &mut Room, now: Now) -> Result<Then, Malformed> {
        let mut fields = Reader(message);
        match fields.u8()? {
            kind if self.crosses(true, kind, fields) => return Ok(Then::Nothing),
            msg::CHANNEL_DATA => {
                let (id, data) = (fields.u32()?, fields.string()?);
                self.up += u64::try_from(data.len()).unwrap_or(0);
                let channel = self.of_client(id)?;
                if !channel.hears() {
                    return if channel.was_refused {
                        Ok(Then::Nothing)
                    } else {
                        Err(Malformed)
                    };
                }
                let instead = channel.instead(data);
                channel.hears_client(data, (room, now))?;
                if let Some(instead) = instead {
                    let message = Writer::message(msg::CHANNEL_DATA).u32(id).string(instead);
                    return Ok(Then::Instead(message.done()));
                }
                if self.all.iter().map(Channel::waiting).sum::<usize>() > WAITING {
                    return Err(Malformed);
                }
            }
            msg::CHANNEL_WINDOW_ADJUST => {
                let (id, more) = (fields.u32()?, fields.u32()?);
                let channel = self.of_client(id)?;
                channel.window += u64::from(more);
                // RFC 4254, 5.2.
                if channel.window > u64::from(u32::MAX) {
                    return Err(Malformed);
                }
            }
            msg::CHANNEL_OPEN => return self.client_opens(fields, room, now),
            msg::CHANNEL_REQUEST => return self.client_asks(fields, room, now),
            msg::GLOBAL_REQUEST => return self.client_asks_all(fields, room, now),
            msg::CHANNEL_EOF | msg::CHANNEL_SUCCESS | msg::CHANNEL_FAILURE => {
                self.of_client(fields.u32()?)?;
            }
            msg::CHANNEL_CLOSE => {
                self.of_client(fields.u32()?)?.client_closed = true;
                self.remove_closed(now);
            }
            msg::CHANNEL_OPEN_CONFIRMATION => {
                let (target, client, window) = (fields.u32()?, fields.u32()?, fields.u32()?);
                if self.all.iter().any(|channel| channel.client == Some(client)) {
                    return Err(Malformed);
                }
                let is = |channel: &&mut Channel| channel.target == Some(target) && channel.client.is_none();
                let channel = self.all.iter_mut().find(is).ok_or(Malformed)?;
                channel.client = Some(client);
                channel.window = u64::from(window);
            }
            msg::CHANNEL_OPEN_FAILURE => {
                let id = fields.u32()?;
                let is = |channel: &Channel| channel.target == Some(id) && channel.client.is_none();
                if !self.all.iter().any(is) {
                    return Err(Malformed);
                }
                self.remove(is, Exit::Failed(true), now);
            }
            msg::REQUEST_SUCCESS | msg::REQUEST_FAILURE => {}
            // Who is in has proved it; and nothing is said on standard error that way.
            50..=79 | msg::CHANNEL_EXTENDED_DATA => return Ok(Then::Nothing),
            _ => return Ok(Then::Unknown),
        }
        Ok(Then::Pass)
    }

    fn client_opens(&mut self, mut fields: Reader<'_>, room: &mut Room, now: Now) -> Result<Then, Malformed> {
        let kind = fields.text()?;
        let (id, window, _) = (fields.u32()?, fields.u32()?, fields.u32()?);
        if self.all.iter().any(|channel| channel.client == Some(id)) {
            return Err(Malformed);
        }
        let programs = self
            .all
            .iter()
            .filter(|channel| !matches!(channel.kind, Kind::Forward));
        if self.all.len() >= CHANNELS || (kind == "session" && programs.count() >= PROGRAMS) {
            let words = "there are as many channels as may be";
            self.refuse("a channel beyond those that may be", room, now);
            return Ok(Then::Answer(not_opened(id, SHORTAGE, words)));
        }
        let Allowed {
            shell, exec, files, ..
        } = self.allowed;
        let channel = match kind {
            "session" if shell || exec || files => self.open(Kind::session(), now),
            "direct-tcpip" => {
                let (host, port) = (fields.text()?, fields.u32()?);
                let to = format!("{host}:{port}");
                if !self.allowed.forward.iter().any(|place| place.is(host, port)) {
                    self.refuse(&format!("forwarding to {to}"), room, now);
                    let words = "your access does not forward to there";
                    return Ok(Then::Answer(not_opened(id, PROHIBITED, words)));
                }
                self.forward(("local", to), room, now)
            }
            other => {
                self.refuse(&format!("a channel of kind {other}"), room, now);
                let words = "your access does not open such a channel";
                return Ok(Then::Answer(not_opened(id, PROHIBITED, words)));
            }
        };
        channel.client = Some(id);
        channel.window = u64::from(window);
        Ok(Then::Pass)
    }

    /// A message of the target.
    pub(super) fn down(&mut self, message: &[u8], room: &mut Room, now: Now) -> Result<Then, Malformed> {
        let mut fields = Reader(message);
        match fields.u8()? {
            kind if self.crosses(false, kind, fields) => return Ok(Then::Nothing),
            kind @ (msg::CHANNEL_DATA | msg::CHANNEL_EXTENDED_DATA) => {
                let id = fields.u32()?;
                let error = kind == msg::CHANNEL_EXTENDED_DATA && fields.u32().is_ok();
                let data = fields.string()?;
                self.down += u64::try_from(data.len()).unwrap_or(0);
                let mut shown = std::mem::take(&mut self.shown);
                let seen = self.of_target(id).and_then(|channel| {
                    if !channel.hears() {
                        return Err(Malformed);
                    }
                    channel.hears_target(data, error, (room, now), &mut shown)
                });
                self.shown = shown;
                seen?;
                self.give_window(id)?;
            }
            msg::CHANNEL_WINDOW_ADJUST => {
                let (id, more) = (fields.u32()?, fields.u32()?);
                let channel = self.of_target(id)?;
                if channel.is_behind() {
                    channel.held += u64::from(more);
                    return Ok(Then::Nothing);
                }
            }
            kind @ (msg::CHANNEL_SUCCESS | msg::CHANNEL_FAILURE) => {
                return self.target_replies(kind == msg::CHANNEL_SUCCESS, fields, now);
            }
            msg::CHANNEL_EOF => self.of_target(fields.u32()?)?.target_is_through = true,
            msg::CHANNEL_CLOSE => {
                self.of_target(fields.u32()?)?.target_closed = true;
                self.remove_closed(now);
            }
            msg::CHANNEL_REQUEST => return self.target_asks(fields),
            msg::CHANNEL_OPEN => return self.target_opens(fields, room, now),
            msg::CHANNEL_OPEN_CONFIRMATION => {
                let (client, target) = (fields.u32()?, fields.u32()?);
                if self.all.iter().any(|channel| channel.target == Some(target)) {
                    return Err(Malformed);
                }
                let is = |channel: &&mut Channel| channel.client == Some(client) && channel.target.is_none();
                self.all.iter_mut().find(is).ok_or(Malformed)?.target = Some(target);
            }
            msg::CHANNEL_OPEN_FAILURE => {
                let id = fields.u32()?;
                let is = |channel: &Channel| channel.client == Some(id) && channel.target.is_none();
                if !self.all.iter().any(is) {
                    return Err(Malformed);
                }
                self.remove(is, Exit::Failed(true), now);
            }
            msg::GLOBAL_REQUEST => {
                let (name, wants_reply) = (fields.text()?, fields.bool()?);
                // Its host keys are none of the client's business: the client knows the gateway's.
                return Ok(match name {
                    "keepalive@openssh.com" => Then::Pass,
                    _ => refused_to_all(wants_reply),
                });
            }
            msg::REQUEST_SUCCESS | msg::REQUEST_FAILURE => {}
            _ => return Ok(Then::Unknown),
        }
        Ok(Then::Pass)
    }

    fn target_opens(&mut self, mut fields: Reader<'_>, room: &mut Room, now: Now) -> Result<Then, Malformed> {
        let (kind, id) = (fields.text()?, fields.u32()?);
        let (_, _) = (fields.u32()?, fields.u32()?);
        if self.all.iter().any(|channel| channel.target == Some(id)) {
            return Err(Malformed);
        }
        let opens = match kind {
            "forwarded-tcpip" => {
                let (host, port) = (fields.text()?, fields.u32()?);
                let asked = self.listening.iter().any(|place| place.is(host, port));
                asked.then(|| ("remote", one_line(&format!("{host}:{port}"))))
            }
            "auth-agent@openssh.com" if self.allowed.agent => {
                Some(("agent", "the client's agent".to_owned()))
            }
            _ => None,
        };
        let Some(opens) = opens.filter(|_| self.all.len() < CHANNELS) else {
            // That is nothing that the client did.
            self.strange += 1;
            if self.strange > STRANGE {
                return Err(Malformed);
            }
            self.refuse(&format!("a channel of kind {kind}, by the target"), room, now);
            self.refused -= 1;
            return Ok(Then::Answer(not_opened(id, PROHIBITED, "not allowed")));
        };
        self.forward(opens, room, now).target = Some(id);
        Ok(Then::Pass)
    }

    /// What of the target's window was held back goes to the client, once enough was answered.
    fn give_window(&mut self, id: u32) -> Result<(), Malformed> {
        let channel = self.of_target(id)?;
        if channel.held > 0 && !channel.is_behind() {
            let more = u32::try_from(std::mem::take(&mut channel.held)).unwrap_or(u32::MAX);
            let adjust = Writer::message(msg::CHANNEL_WINDOW_ADJUST).u32(id).u32(more);
            self.owed.push(adjust.done());
        }
        Ok(())
    }

    /// When something is to be recorded.
    pub(super) fn due(&self) -> Option<Instant> {
        self.all.iter().filter_map(Channel::due).min()
    }

    /// Records what is due.
    pub(super) fn look(&mut self, now: Now) {
        for channel in &mut self.all {
            channel.look(now, &mut self.shown);
        }
    }

    /// What a client reads in its open programs when the session ends, where it has said that it takes so much.
    pub(super) fn farewell(&self, words: &str) -> Vec<Vec<u8>> {
        let words = format!("\r\n{}\r\n", one_line(words));
        let takes = |channel: &&Channel| {
            !channel.target_closed
                && !channel.target_is_through
                && channel.is_running()
                && channel.window >= words.len() as u64
        };
        let all = self.all.iter().filter(takes).filter_map(|channel| channel.client);
        all.map(|id| {
            let message = Writer::message(msg::CHANNEL_EXTENDED_DATA).u32(id).u32(1);
            message.string(&words).done()
        })
        .collect()
    }

    /// What tells programs that the session is over, and whether one may not hear it.
    pub(super) fn hang_up(&self) -> (Vec<Vec<u8>>, bool) {
        let running = || self.all.iter().filter(|channel| channel.is_running());
        let ids = running().filter_map(|channel| channel.target);
        let message = |id| {
            let message = Writer::message(msg::CHANNEL_REQUEST).u32(id);
            message.string("signal").bool(false).string("HUP").done()
        };
        let may_work = running().any(|channel| !channel.has_terminal());
        (ids.map(message).collect(), may_work)
    }

    /// Whether a program runs.
    pub(super) fn is_busy(&self) -> bool {
        self.all.iter().any(Channel::is_running)
    }

    /// The session is over: what was open is recorded as cut.
    pub(super) fn cut(&mut self, now: Now) {
        for channel in std::mem::take(&mut self.all) {
            channel.over(Exit::Cut(true), now, &mut self.shown);
        }
    }
}
