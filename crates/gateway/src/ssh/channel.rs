//! One channel: what runs in it or is forwarded through it, and what of that is recorded. Without IO.

use std::collections::BTreeMap;
use std::time::Instant;

use daypass_core::time::Timestamp;

use super::event::{Event, Exit};
use super::sftp::Sftp;
use super::terminal::{Shown, Terminal};
use super::wire::Malformed;
use crate::record::{Room, Text};

/// What programs may be told of their surroundings: how people write, where they are, and what their terminal can.
const SURROUNDINGS: [&str; 20] = [
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
    "LC_TIME",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "TZ",
    "GIT_PROTOCOL",
];

/// The longest value of one: all of them fit into the shortest line of a recording.
const LONGEST_VALUE: usize = 48;

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
    pub(super) kind: Kind,
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
            kind,
        }
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

    /// How much room the record of so many bytes from the target takes; none where nothing of them is recorded.
    pub(super) fn cost_of_output(&self, bytes: usize) -> Option<usize> {
        let program = self.program()?;
        match (&program.terminal, &program.sftp) {
            (Some(_), _) => Some(bytes),
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

    /// A program begins: there is one in each channel.
    pub(super) fn begin(
        &mut self,
        what: Begin,
        longest_line: usize,
        (room, now): (&mut Room, Now),
        out: &mut Vec<Shown>,
    ) -> Result<(), Malformed> {
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
            env: std::mem::take(env),
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
        Ok(())
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
    pub(super) fn hears_client(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.up += count(bytes);
        match self.program_mut().and_then(|program| program.sftp.as_mut()) {
            Some(sftp) => sftp.up(bytes),
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
        let mut events = Vec::new();
        sftp.down(bytes, &mut events)?;
        out.extend(
            events
                .into_iter()
                .map(|event| (std::mem::take(room), now.0, event)),
        );
        Ok(())
    }

    /// The target said how the program ended.
    pub(super) fn exits(&mut self, how: Exit) {
        if let Some(program) = self.program_mut() {
            program.exit.get_or_insert(how);
        }
    }

    pub(super) fn terminal(&mut self) -> Option<&mut Terminal> {
        self.program_mut().and_then(|program| program.terminal.as_mut())
    }

    /// It is over: what is left to be recorded. `end` is how a program ended of which nobody said it; of a forwarded connection, whether
    /// there ever was one.
    pub(super) fn over(mut self, end: Exit, now: Now, out: &mut Vec<Shown>) {
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
                    let mut events = Vec::new();
                    sftp.cut(&mut events);
                    out.extend(events.into_iter().map(|event| (Room::default(), now.0, event)));
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

fn count(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
