//! Requests about channels and about the connection: which pass, and what their answers mean. Without IO.

use super::super::channel::{Begin, Channel, Kind, Now, Pty, Reply, Wanted};
use super::super::event::{Event, Exit, readable};
use super::super::link::one_line;
use super::super::msg;
use super::super::target::Place;
use super::super::wire::{Malformed, Reader, Writer};
use super::{Rules, Then};
use crate::record::Room;

/// The longest command that is passed on.
const COMMAND: usize = 128 * 1024;

const REFUSED: &str = "refused@daypass";

impl Rules {
    /// Whether it must wait for an answer of the target: a shell that may run in a terminal only, until there is one for certain.
    pub(in super::super) fn waits(&self, message: &[u8]) -> bool {
        let mut fields = Reader(message);
        if fields.u8() != Ok(msg::CHANNEL_REQUEST) || self.allowed.exec {
            return false;
        }
        let (Ok(id), Ok(b"shell")) = (fields.u32(), fields.string()) else {
            return false;
        };
        let mut all = self.all.iter();
        all.any(|channel| channel.target == Some(id) && channel.terminal_is_sure() == Some(false))
    }

    /// A request about a channel.
    pub(super) fn client_asks(
        &mut self,
        mut fields: Reader<'_>,
        room: &mut Room,
        now: Now,
    ) -> Result<Then, Malformed> {
        let id = fields.u32()?;
        let (name, wants_reply) = (fields.text()?, fields.bool()?);
        let passes = self.client_may((id, name), fields, room, now)?;
        if !passes && !is_usual(name) {
            self.refuse(&format!("the request {name}"), room, now);
        }
        let to = match name {
            _ if !passes => Wanted::Other,
            "pty-req" => Wanted::Terminal,
            "shell" | "exec" | "subsystem" => Wanted::Program,
            _ => Wanted::Other,
        };
        // Whether these begin has to be known here, whoever else wants to know it.
        let ours = !wants_reply && to != Wanted::Other;
        if wants_reply || ours {
            self.of_client(id)?.expects(Reply { to, ours })?;
        }
        let request = Writer::message(msg::CHANNEL_REQUEST).u32(id);
        Ok(match passes {
            true if ours => Then::Instead(request.string(name).bool(true).raw(fields.0).done()),
            true => Then::Pass,
            false if wants_reply => Then::Instead(request.string(REFUSED).bool(true).done()),
            false => Then::Nothing,
        })
    }

    fn client_may(
        &mut self,
        (id, name): (u32, &str),
        mut fields: Reader<'_>,
        room: &mut Room,
        now: Now,
    ) -> Result<bool, Malformed> {
        let allowed = self.allowed.clone();
        let line = self.longest_line;
        let shown = &mut self.shown;
        let is = |channel: &&mut Channel| {
            channel.target == Some(id) && channel.client.is_some() && !channel.client_closed
        };
        let channel = self.all.iter_mut().find(is).ok_or(Malformed)?;
        let is_free = matches!(channel.kind, Kind::Session { program: None, .. });
        // Without a terminal nobody sees what a shell is told: it is as good as any command.
        let runs_shell = allowed.shell && (channel.terminal_is_sure() == Some(true) || allowed.exec);
        let has_terminal = channel.has_terminal();
        match name {
            "pty-req" if is_free && !has_terminal && (allowed.shell || allowed.exec) => {
                let given = terminal(fields)?;
                if let Kind::Session { pty, .. } = &mut channel.kind {
                    *pty = Some(given);
                }
                Ok(true)
            }
            "env" if is_free => {
                let (name, value) = (fields.string()?, fields.string()?);
                let both = str::from_utf8(name).ok().zip(str::from_utf8(value).ok());
                Ok(both.is_some_and(|(name, value)| channel.env(name, value)))
            }
            "shell" if is_free && runs_shell => channel.begin(Begin::Shell, line, (room, now), shown),
            "exec" if is_free && allowed.exec => {
                let command = fields.string()?;
                if command.len() > COMMAND {
                    return Err(Malformed);
                }
                channel.begin(Begin::Command(readable(command)), line, (room, now), shown)
            }
            "subsystem" if is_free && allowed.files && fields.string()? == b"sftp" => {
                channel.begin(Begin::Files, line, (room, now), shown)
            }
            "window-change" => {
                let resized = channel.resize(fields.u32()?, fields.u32()?);
                shown.extend(resized.map(|event| (std::mem::take(room), now.0, event)));
                Ok(true)
            }
            "signal" | "break" | "eow@openssh.com" => Ok(true),
            "auth-agent-req@openssh.com" => Ok(allowed.agent),
            _ => Ok(false),
        }
    }

    /// The target answers a request about a channel.
    pub(super) fn target_replies(
        &mut self,
        well: bool,
        mut fields: Reader<'_>,
        now: Now,
    ) -> Result<Then, Malformed> {
        let mut shown = std::mem::take(&mut self.shown);
        let next = self.opened + 1;
        let replied = self.of_target(fields.u32()?).map(|channel| {
            let was_running = channel.is_running();
            let passes = channel.replied(well, now, &mut shown);
            let is_new = was_running && channel.was_refused && !channel.hears();
            if is_new {
                // What runs there next is another program.
                channel.number = next;
            }
            (passes, is_new)
        });
        self.shown = shown;
        let (passes, is_new) = replied?;
        self.opened += u32::from(is_new);
        Ok(if passes { Then::Pass } else { Then::Nothing })
    }

    /// A request about the connection.
    pub(super) fn client_asks_all(
        &mut self,
        mut fields: Reader<'_>,
        room: &mut Room,
        now: Now,
    ) -> Result<Then, Malformed> {
        let (name, wants_reply) = (fields.text()?, fields.bool()?);
        let passes = match name {
            "tcpip-forward" => {
                let (host, port) = (fields.text()?, fields.u32()?);
                let place = self.allowed.listen.iter().find(|place| place.is(host, port));
                let place = place.cloned();
                if let Some(place) = &place {
                    self.listens(place, room, now);
                }
                place.is_some()
            }
            "cancel-tcpip-forward" => {
                let (host, port) = (fields.text()?, fields.u32()?);
                let before = self.listening.len();
                self.listening.retain(|place| !place.is(host, port));
                let passes = self.listening.len() < before;
                if passes {
                    self.listening_changes("unlisten", format!("{host}:{port}"), room, now);
                }
                passes
            }
            "keepalive@openssh.com" | "no-more-sessions@openssh.com" => true,
            _ => false,
        };
        if passes {
            return Ok(Then::Pass);
        }
        if !is_usual(name) {
            self.refuse(&format!("the request {name}"), room, now);
        }
        Ok(refused_to_all(wants_reply))
    }

    /// The host is to listen there: what comes in from there is let through from here on.
    fn listens(&mut self, place: &Place, room: &mut Room, now: Now) {
        self.listening_changes("listen", format!("{}:{}", place.host, place.port), room, now);
        if !self.listening.contains(place) {
            self.listening.push(place.clone());
        }
    }

    fn listening_changes(&mut self, way: &'static str, to: String, room: &mut Room, now: Now) {
        let event = Event::Forward { channel: 0, way, to };
        self.shown.push((std::mem::take(room), now.0, event));
    }

    pub(super) fn target_asks(&mut self, mut fields: Reader<'_>) -> Result<Then, Malformed> {
        let id = fields.u32()?;
        let (name, wants_reply) = (fields.text()?, fields.bool()?);
        let channel = self.of_target(id)?;
        match name {
            "exit-status" => channel.exits(Exit::Status(fields.u32()?)),
            "exit-signal" => {
                let signal = one_line(fields.text()?);
                let (signal, _) = signal.split_at(signal.floor_char_boundary(32));
                channel.exits(Exit::Signal(signal.to_owned()));
            }
            "keepalive@openssh.com" | "eow@openssh.com" | "xon-xoff" => {}
            _ if !wants_reply => return Ok(Then::Nothing),
            _ => {
                let instead = Writer::message(msg::CHANNEL_REQUEST)
                    .u32(id)
                    .string(REFUSED)
                    .bool(true);
                return Ok(Then::Instead(instead.done()));
            }
        }
        Ok(Then::Pass)
    }
}

fn terminal(mut fields: Reader<'_>) -> Result<Pty, Malformed> {
    let term = one_line(fields.text()?);
    let (columns, rows) = (fields.u32()?, fields.u32()?);
    let (term, _) = term.split_at(term.floor_char_boundary(64));
    Ok(Pty {
        term: term.to_owned(),
        columns,
        rows,
        is_sure: false,
    })
}

/// What programs ask all the time, and whoever reads what was refused need not know.
fn is_usual(name: &str) -> bool {
    name.ends_with("@putty.projects.tartarus.org")
        || name.starts_with("keepalive@")
        || name.starts_with("keep-alive@")
}

pub(super) fn refused_to_all(wants_reply: bool) -> Then {
    if !wants_reply {
        return Then::Nothing;
    }
    Then::Instead(
        Writer::message(msg::GLOBAL_REQUEST)
            .string(REFUSED)
            .bool(true)
            .done(),
    )
}
