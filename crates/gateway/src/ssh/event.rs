//! What happened in a session of SSH, as it is recorded, and the words of its line.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::record::Text;

/// Something that happened. What was typed is not recorded: what a terminal echoes is output, and a password is not echoed.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Event {
    /// A program began whose output is recorded: a shell, or a command with a terminal.
    Terminal {
        /// Counted from 1 in each session.
        channel: u32,
        /// What the client calls its terminal; none where there is no terminal.
        #[serde(skip_serializing_if = "Option::is_none")]
        term: Option<String>,
        /// How many columns.
        columns: u32,
        /// How many rows.
        rows: u32,
    },
    /// What it showed.
    Output {
        /// Of which.
        channel: u32,
        /// On standard error.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        error: bool,
        /// What.
        #[serde(flatten)]
        data: Data,
    },
    /// The terminal has another size.
    Resize {
        /// Of which.
        channel: u32,
        /// How many columns.
        columns: u32,
        /// How many rows.
        rows: u32,
    },
    /// A program begins.
    Exec {
        /// Counted from 1 in each session.
        channel: u32,
        /// The command; a shell has none.
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
        command: Option<Text>,
        /// It is a subsystem, and this its name.
        #[serde(skip_serializing_if = "Option::is_none")]
        subsystem: Option<&'static str>,
        /// What the client told it of its surroundings.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        env: BTreeMap<String, String>,
    },
    /// A program has ended.
    Exit {
        /// Of which.
        channel: u32,
        /// How it ended.
        #[serde(flatten)]
        how: Exit,
        /// From when it began.
        #[serde(rename = "took_us", serialize_with = "micros")]
        took: Duration,
        /// Bytes to it.
        up: u64,
        /// Bytes from it.
        down: u64,
    },
    /// Something was done to a file, by SFTP.
    File {
        /// Of which.
        channel: u32,
        /// `open`, `close`, `remove`, `rename` and so on.
        did: &'static str,
        /// The file.
        #[serde(serialize_with = "some_text")]
        path: Text,
        /// Another one, where there is one.
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
        to: Option<Text>,
        /// For what it was opened.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        flags: Vec<&'static str>,
        /// What was set of it.
        #[serde(flatten)]
        set: Set,
        /// Bytes that were read of it.
        #[serde(skip_serializing_if = "is_zero")]
        read: u64,
        /// Bytes that were written to it.
        #[serde(skip_serializing_if = "is_zero")]
        written: u64,
        /// How the target answered, as SFTP numbers it; 0 is well, and none that it did not.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u32>,
        /// The target has not answered yet, and it is long since it was asked: how it ends is another record.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        asked: bool,
    },
    /// A connection is to be forwarded; or the host is to listen for some.
    Forward {
        /// Counted from 1 in each session; 0 where the host is to listen.
        channel: u32,
        /// `local`, `remote` or `agent`; or `listen`, and `unlisten` where it is to do so no more.
        way: &'static str,
        /// To where, or where it listens.
        to: String,
    },
    /// A connection is closed.
    Closed {
        /// Of which.
        channel: u32,
        /// The target did not open it.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        failed: bool,
        /// From when it began.
        #[serde(rename = "took_us", serialize_with = "micros")]
        took: Duration,
        /// Bytes from the client.
        up: u64,
        /// Bytes to the client.
        down: u64,
    },
    /// Something was asked for that is not allowed.
    Refused {
        /// What.
        what: String,
    },
}

/// What was shown: text that people read and search. Where bytes of it were none, all of it stands beside that as it was.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Data {
    /// As it was shown; a byte that is no text is U+FFFD.
    #[serde(serialize_with = "some_text")]
    pub text: Text,
    /// The bytes in hexadecimal digits, where they are not the text's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
}

/// What was set of a file. Times are not recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Set {
    /// How long it is to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Who may do what with it, in octal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Whose it is to be: user and group, by number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<[u32; 2]>,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Exit {
    /// With this status.
    Status(u32),
    /// By this signal.
    Signal(String),
    /// The target refused to begin it.
    Failed(bool),
    /// Nobody said: the channel was closed before.
    Untold(bool),
    /// The session ended before it did.
    Cut(bool),
}

/// What should be text as text: a byte that is none stands there as `\xff`, so that two names are two.
pub(super) fn readable(bytes: &[u8]) -> Text {
    if let Ok(text) = str::from_utf8(bytes) {
        return text.to_owned().into();
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str("\\x");
            text.push_str(&hex::encode([*byte]));
        }
    }
    text.into()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn some_text<S: serde::Serializer>(text: &Text, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

#[expect(clippy::ref_option, reason = "serde asks so")]
fn text<S: serde::Serializer>(text: &Option<Text>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text.as_deref().unwrap_or_default())
}

fn micros<S: serde::Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
}

impl Event {
    /// What runs there has no terminal.
    pub(super) const fn no_terminal(channel: u32) -> Self {
        Self::Terminal {
            channel,
            term: None,
            columns: 0,
            rows: 0,
        }
    }

    /// The texts in it that may be long.
    pub(crate) fn texts(&mut self) -> [Option<&mut Text>; 2] {
        match self {
            Self::Exec { command, .. } => [command.as_mut(), None],
            Self::File { path, to, .. } => [Some(path), to.as_mut()],
            Self::Output { data, .. } => [Some(&mut data.text), None],
            _ => [None, None],
        }
    }

    /// How many bytes of texts it has.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Exec { command, env, .. } => {
                let env = env.iter().map(|(name, value)| name.len() + value.len());
                command.as_ref().map_or(0, |text| text.len()) + env.sum::<usize>()
            }
            Self::File { path, to, .. } => path.len() + to.as_ref().map_or(0, |text| text.len()),
            Self::Output { data, .. } => data.text.len() + data.hex.as_ref().map_or(0, String::len),
            Self::Terminal { term, .. } => term.as_ref().map_or(0, String::len),
            Self::Forward { to, .. } => to.len(),
            Self::Refused { what } => what.len(),
            Self::Resize { .. } | Self::Exit { .. } | Self::Closed { .. } => 0,
        }
    }
}

/// What was said in a session is nothing for our own logs.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Event({} bytes)", self.size())
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Data(…)")
    }
}

#[cfg(test)]
mod tests {
    use daypass_core::time::Timestamp;

    use super::*;
    use crate::record::{Cut, Missing, Record, What};

    /// Of programs, one of each kind with all that it can have.
    fn of_programs() -> Vec<Event> {
        let text = |text: &str| Some(Text::from(text));
        let output = |error, data| Event::Output {
            channel: 1,
            error,
            data,
        };
        let exit = |how| Event::Exit {
            channel: 1,
            how,
            took: Duration::from_micros(1_500),
            up: 7,
            down: 9,
        };
        let mut all = vec![
            Event::Exec {
                channel: 1,
                command: text("id"),
                subsystem: None,
                env: [("LC_ALL".to_owned(), "C".to_owned())].into(),
            },
            Event::Exec {
                channel: 1,
                command: None,
                subsystem: Some("sftp"),
                env: BTreeMap::new(),
            },
            Event::Terminal {
                channel: 1,
                term: Some("xterm".to_owned()),
                columns: 80,
                rows: 24,
            },
            output(
                true,
                Data {
                    text: "oh".into(),
                    hex: None,
                },
            ),
            output(
                false,
                Data {
                    text: "\u{fffd}".into(),
                    hex: Some("fffe".to_owned()),
                },
            ),
            Event::Resize {
                channel: 1,
                columns: 100,
                rows: 30,
            },
        ];
        all.extend(
            [
                Exit::Status(3),
                Exit::Signal("KILL".to_owned()),
                Exit::Failed(true),
                Exit::Untold(true),
                Exit::Cut(true),
            ]
            .map(exit),
        );
        all
    }

    /// One of each kind.
    fn each() -> Vec<Event> {
        let mut all = of_programs();
        all.extend([
            Event::File {
                channel: 2,
                did: "open",
                path: "/a".into(),
                to: Some("/b".into()),
                flags: vec!["write"],
                set: Set {
                    size: Some(5),
                    mode: Some("4755".to_owned()),
                    owner: Some([0, 33]),
                },
                read: 3,
                written: 4,
                status: Some(4),
                asked: false,
            },
            Event::File {
                channel: 2,
                did: "remove",
                path: "/a".into(),
                to: None,
                flags: Vec::new(),
                set: Set::default(),
                read: 0,
                written: 0,
                status: None,
                asked: true,
            },
            Event::Forward {
                channel: 3,
                way: "listen",
                to: "localhost:80".to_owned(),
            },
            Event::Forward {
                channel: 3,
                way: "local",
                to: "db:5432".to_owned(),
            },
            Event::Closed {
                channel: 3,
                failed: true,
                took: Duration::from_micros(1_500),
                up: 7,
                down: 9,
            },
            Event::Refused {
                what: "the request x11-req".to_owned(),
            },
        ]);
        all
    }

    /// A new kind is to stand in `each`.
    const fn is_there(event: &Event) {
        match event {
            Event::Terminal { .. }
            | Event::Output { .. }
            | Event::Resize { .. }
            | Event::Exec { .. }
            | Event::Exit { .. }
            | Event::File { .. }
            | Event::Forward { .. }
            | Event::Closed { .. }
            | Event::Refused { .. } => {}
        }
    }

    /// The client's tests hold the same lines against what they show of them: what is added here has to be shown there.
    #[test]
    fn the_lines_of_events_are_those_that_the_client_knows() {
        let lines = each().into_iter().zip(1..).map(|(mut event, number)| {
            is_there(&event);
            let long = event.texts().into_iter().flatten().next().is_some();
            let record = Record {
                number,
                at: Timestamp::EPOCH,
                what: What::Ssh(event),
                cut: long.then(|| Cut {
                    text: Some(Missing {
                        bytes: 7,
                        sha256: [0xab; 32],
                    }),
                    ..Cut::default()
                }),
            };
            record.line() + "\n"
        });
        let lines: String = lines.collect();
        assert_eq!(lines, include_str!("events.jsonl"), "{lines}");
    }
}
