//! One channel: what runs in it or is forwarded through it, and what of that is recorded. Without IO.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use daypass_core::time::Timestamp;

use super::event::{Event, Exit};
use super::sftp::{Given, Sftp};
use super::terminal::{Shown, Terminal};
use super::wire::Malformed;
use crate::record::{Room, Text};

/// What programs may be told of their surroundings: how people write, where they are, and what their terminal can.
const SURROUNDINGS: [&str; 22] = [
    "LANG",
    "LANGUAGE",
    "LC_ADDRESS",
    "LC_ALL",
    "LC_COLLATE",
    "LC_CTYPE",
    "LC_IDENTIFICATION",
    "LC_MEASUREMENT",
    "LC_MESSAGES",
    "LC_MONETARY",
    "LC_NAME",
    "LC_NUMERIC",
    "LC_PAPER",
    "LC_TELEPHONE",
    "LC_TERMINAL",
    "LC_TERMINAL_VERSION",
    "LC_TIME",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "TZ",
    "GIT_PROTOCOL",
];

/// The longest value of one: all of them fit into the shortest line of a recording.
const LONGEST_VALUE: usize = 48;

/// So many answers of the target may be missing in one channel.
const REPLIES: usize = 1_024;

/// By both clocks.
pub(super) type Now = (Timestamp, Instant);

/// See the module.
#[derive(Debug)]
pub(super) struct Channel {
    /// In records.
    pub(super) number: u32,
    /// What the client calls it, and what the target does, once they have said so.
    pub(super) client: Option<u32>,
    pub(super) target: Option<u32>,
    pub(super) client_closed: bool,
    pub(super) target_closed: bool,
    /// The target says no more in it.
    pub(super) target_is_through: bool,
    /// How much the client takes before it says that it takes more.
    pub(super) window: u64,
    up: u64,
    down: u64,
    begun: Now,
    /// What the target has not answered yet, in its order.
    replies: VecDeque<Reply>,
    /// A program was refused by the target: what the client said to it before it knew is heard by nobody.
    pub(super) was_refused: bool,
    /// How much more of its window the target gave than the client was told.
    pub(super) held: u64,
    pub(super) kind: Kind,
}

/// What an answer of the target will be to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Terminal,
    Program,
    Other,
}

/// An answer that is to come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reply {
    pub(super) to: Wanted,
    /// The client asked for none: it is ours.
    pub(super) ours: bool,
}

/// What a channel is for.
#[derive(Debug)]
pub(super) enum Kind {
    /// A program, once there is one.
    Session {
        pty: Option<Pty>,
        env: BTreeMap<String, String>,
        program: Option<Box<Program>>,
    },
    /// A connection that is forwarded.
    Forward,
}

impl Kind {
    /// A session without a program.
    pub(super) const fn session() -> Self {
        Self::Session {
            pty: None,
            env: BTreeMap::new(),
            program: None,
        }
    }
}

/// A terminal that was asked for.
#[derive(Debug, Clone)]
pub(super) struct Pty {
    pub(super) term: String,
    pub(super) columns: u32,
    pub(super) rows: u32,
    /// The target has said that there is one.
    pub(super) is_sure: bool,
}

/// What runs.
#[derive(Debug, Default)]
pub(super) struct Program {
    exit: Option<Exit>,
    terminal: Option<Terminal>,
    sftp: Option<Sftp>,
}

/// What is to begin.
pub(super) enum Begin {
    Shell,
    Command(Text),
    Files,
}

impl Channel {
    pub(super) const fn new(number: u32, kind: Kind, now: Now) -> Self {
        Self {
            number,
            client: None,
            target: None,
            client_closed: false,
            target_closed: false,
            target_is_through: false,
            window: 0,
            up: 0,
            down: 0,
            begun: now,
            replies: VecDeque::new(),
            was_refused: false,
            held: 0,
            kind,
        }
    }

    /// The target is going to answer something.
    pub(super) fn expects(&mut self, reply: Reply) -> Result<(), Malformed> {
        if self.replies.len() >= REPLIES {
            return Err(Malformed);
        }
        self.replies.push_back(reply);
        Ok(())
    }

    /// The target answers the first of what it was asked. Whether that is the client's answer too.
    pub(super) fn replied(&mut self, well: bool, now: Now, out: &mut Vec<Shown>) -> bool {
        let Some(reply) = self.replies.pop_front() else {
            return true;
        };
        match (reply.to, &mut self.kind) {
            (Wanted::Terminal, Kind::Session { pty, program, .. }) => {
                if let Some(pty) = pty.as_mut().filter(|_| well) {
                    pty.is_sure = true;
                } else {
                    *pty = None;
                    let is_shown = program.as_ref().is_some_and(|program| program.terminal.is_some());
                    // It runs without: what was said of it before is not so.
                    out.extend(is_shown.then(|| (Room::default(), now.0, Event::no_terminal(self.number))));
                }
            }
            (Wanted::Program, Kind::Session { .. }) if !well => self.refused(now, out),
            _ => {}
        }
        !reply.ours
    }

    /// The target began no program: there is room for another one.
    fn refused(&mut self, now: Now, out: &mut Vec<Shown>) {
        self.ends(Exit::Failed(true), now, out);
        if let Kind::Session { program, .. } = &mut self.kind {
            *program = None;
        }
        self.was_refused = true;
    }

    const fn program(&self) -> Option<&Program> {
        match &self.kind {
            Kind::Session {
                program: Some(program),
                ..
            } => Some(program),
            _ => None,
        }
    }

    fn program_mut(&mut self) -> Option<&mut Program> {
        match &mut self.kind {
            Kind::Session { program, .. } => program.as_deref_mut(),
            Kind::Forward => None,
        }
    }

    /// Whether there is somebody in it who hears data. What came before would be heard by nobody here, and perhaps by a program there.
    pub(super) const fn hears(&self) -> bool {
        !matches!(&self.kind, Kind::Session { program: None, .. })
    }

    /// Whether something runs in it and has not ended.
    pub(super) fn is_running(&self) -> bool {
        self.program().is_some_and(|program| program.exit.is_none())
    }

    /// Whether its program has a terminal: it hears that the connection is gone.
    pub(super) const fn has_terminal(&self) -> bool {
        matches!(&self.kind, Kind::Session { pty: Some(_), .. })
    }

    /// Whether the target has given it a terminal, for certain; nothing where it was not asked for one.
    pub(super) const fn terminal_is_sure(&self) -> Option<bool> {
        match &self.kind {
            Kind::Session { pty: Some(pty), .. } => Some(pty.is_sure),
            _ => None,
        }
    }

    fn sftp(&self) -> Option<&Sftp> {
        self.program().and_then(|program| program.sftp.as_ref())
    }

    /// How many requests wait in it for the target's answers.
    pub(super) fn waiting(&self) -> usize {
        self.sftp().map_or(0, Sftp::waiting)
    }

    /// Whether the client should send no more just now.
    pub(super) fn is_behind(&self) -> bool {
        self.sftp().is_some_and(Sftp::is_behind)
    }

    /// What passes in the place of this data of the client.
    pub(super) fn instead(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.sftp()?.lowered(bytes)
    }

    /// How much room the record of so many bytes from the client takes at most; none where nothing of them is recorded.
    pub(super) fn cost_of_input(&self, bytes: usize) -> Option<usize> {
        self.sftp().map(|_| bytes)
    }

    /// How much room the record of these bytes from the target takes; none where nothing of them is recorded.
    pub(super) fn cost_of_output(&self, bytes: &[u8]) -> Option<usize> {
        let program = self.program()?;
        match (&program.terminal, &program.sftp) {
            // A byte that is no text has three in the text, and two beside it.
            (Some(_), _) if str::from_utf8(bytes).is_err() => Some(bytes.len() * 5),
            (Some(_), _) => Some(bytes.len()),
            (None, Some(_)) => Some(0),
            (None, None) => None,
        }
    }

    /// What a program is told of its surroundings; whether it may be. Names that change what a program does are not among them.
    pub(super) fn env(&mut self, name: &str, value: &str) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.,@:/=+-".contains(&byte);
        let passes =
            SURROUNDINGS.contains(&name) && value.len() <= LONGEST_VALUE && value.bytes().all(is_plain);
        let Kind::Session { env, .. } = &mut self.kind else {
            return false;
        };
        if passes {
            env.insert(name.to_owned(), value.to_owned());
        }
        passes
    }

    /// A program begins: there is one in each channel. Then it may.
    pub(super) fn begin(
        &mut self,
        what: Begin,
        longest_line: usize,
        (room, now): (&mut Room, Now),
        out: &mut Vec<Shown>,
    ) -> Result<bool, Malformed> {
        let number = self.number;
        self.begun = now;
        let Kind::Session { pty, env, program } = &mut self.kind else {
            return Err(Malformed);
        };
        let mut begun = Program::default();
        // What a shell is told without a terminal is nowhere else to be seen.
        let is_shown = pty.is_some() || matches!(what, Begin::Shell);
        let (mut command, mut subsystem) = (None, None);
        match what {
            Begin::Shell => {}
            Begin::Command(said) => command = Some(said),
            Begin::Files => {
                subsystem = Some("sftp");
                begun.sftp = Some(Sftp::new(number));
            }
        }
        let event = Event::Exec {
            channel: number,
            command,
            subsystem,
            env: env.clone(),
        };
        out.push((std::mem::take(room), now.0, event));
        if is_shown && begun.sftp.is_none() {
            begun.terminal = Some(Terminal::new(number, longest_line));
            let event = Event::Terminal {
                channel: number,
                term: pty.as_ref().map(|pty| pty.term.clone()),
                columns: pty.as_ref().map_or(0, |pty| pty.columns),
                rows: pty.as_ref().map_or(0, |pty| pty.rows),
            };
            out.push((Room::default(), now.0, event));
        }
        *program = Some(Box::new(begun));
        Ok(true)
    }

    /// The terminal has another size.
    pub(super) fn resize(&mut self, columns: u32, rows: u32) -> Option<Event> {
        let number = self.number;
        let Kind::Session {
            pty: Some(pty),
            program,
            ..
        } = &mut self.kind
        else {
            return None;
        };
        (pty.columns, pty.rows) = (columns, rows);
        program.as_ref().map(|_| Event::Resize {
            channel: number,
            columns,
            rows,
        })
    }

    /// Data of the client.
    pub(super) fn hears_client(
        &mut self,
        bytes: &[u8],
        (room, now): (&mut Room, Now),
    ) -> Result<(), Malformed> {
        self.up += count(bytes);
        match self.program_mut().and_then(|program| program.sftp.as_mut()) {
            Some(sftp) => sftp.up(bytes, (room, now.1)),
            None => Ok(()),
        }
    }

    /// Data of the target.
    pub(super) fn hears_target(
        &mut self,
        bytes: &[u8],
        error: bool,
        (room, now): (&mut Room, Now),
        out: &mut Vec<Shown>,
    ) -> Result<(), Malformed> {
        self.down += count(bytes);
        self.window = self.window.saturating_sub(count(bytes));
        let Some(program) = self.program_mut() else {
            return Ok(());
        };
        // Nothing at all is no record, and keeps no room.
        if let Some(terminal) = program.terminal.as_mut().filter(|_| !bytes.is_empty()) {
            terminal.shows(bytes, error, std::mem::take(room), now, out);
        }
        let Some(sftp) = program.sftp.as_mut().filter(|_| !error) else {
            return Ok(());
        };
        let mut given = Vec::new();
        let heard = sftp.down(bytes, &mut given);
        // What was answered before an error has happened.
        record(given, now, out);
        heard
    }

    /// When something in it is to be recorded.
    pub(super) fn due(&self) -> Option<Instant> {
        let program = self.program()?;
        let shown = program.terminal.as_ref().and_then(Terminal::due);
        let asked = program.sftp.as_ref().and_then(Sftp::due);
        shown.into_iter().chain(asked).min()
    }

    /// Records what is due.
    pub(super) fn look(&mut self, now: Now, out: &mut Vec<Shown>) {
        let Some(program) = self.program_mut() else {
            return;
        };
        if let Some(terminal) = &mut program.terminal {
            terminal.look(now.1, out);
        }
        if let Some(sftp) = &mut program.sftp {
            let mut given = Vec::new();
            sftp.look(now.1, &mut given);
            record(given, now, out);
        }
    }

    /// The target said how the program ended.
    pub(super) fn exits(&mut self, how: Exit) {
        if let Some(program) = self.program_mut() {
            program.exit.get_or_insert(how);
        }
    }

    /// It is over: what is left to be recorded. `end` is how a program ended of which nobody said it; of a forwarded connection, whether
    /// there ever was one.
    pub(super) fn over(mut self, end: Exit, now: Now, out: &mut Vec<Shown>) {
        self.ends(end, now, out);
    }

    fn ends(&mut self, end: Exit, now: Now, out: &mut Vec<Shown>) {
        let number = self.number;
        let took = now.1.saturating_duration_since(self.begun.1);
        let (up, down) = (self.up, self.down);
        match &mut self.kind {
            Kind::Forward => {
                let event = Event::Closed {
                    channel: number,
                    failed: matches!(end, Exit::Failed(_)),
                    took,
                    up,
                    down,
                };
                out.push((Room::default(), now.0, event));
            }
            Kind::Session {
                program: Some(program),
                ..
            } => {
                if let Some(terminal) = &mut program.terminal {
                    terminal.flush(out);
                }
                if let Some(sftp) = &mut program.sftp {
                    let mut given = Vec::new();
                    sftp.cut(&mut given);
                    record(given, now, out);
                }
                let event = Event::Exit {
                    channel: number,
                    how: program.exit.take().unwrap_or(end),
                    took,
                    up,
                    down,
                };
                out.push((Room::default(), now.0, event));
            }
            Kind::Session { program: None, .. } => {}
        }
    }
}

fn record(given: Vec<Given>, now: Now, out: &mut Vec<Shown>) {
    out.extend(given.into_iter().map(|(room, event)| (room, now.0, event)));
}

fn count(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
