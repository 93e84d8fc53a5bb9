//! A connection that speaks SSH, while one side waits for the other: before a session, and after it.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::msg::{self, Bye};
use super::transport::{Broken, Role, Transport};
use super::wire::{Malformed, Writer};
use crate::control::{Refusal, Unavailable};

/// How much is read at once.
const MUCH: usize = 64 * 1024;
const LITTLE: usize = 4 * 1024;

/// Why somebody does not come in, or goes.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// The connection broke or was closed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It cannot go on.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// Whoever decides cannot be asked.
    #[error(transparent)]
    Control(#[from] Unavailable),
    /// No, and these are the words.
    #[error("{0}")]
    Told(String),
    /// The other side says goodbye.
    #[error("the other side hung up")]
    Left,
}

impl From<Malformed> for Failed {
    fn from(malformed: Malformed) -> Self {
        Self::Broken(malformed.into())
    }
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Told(match refusal.hint {
            Some(hint) => format!("{} ({hint})", refusal.reason),
            None => refusal.reason,
        })
    }
}

impl Failed {
    /// What a client is told.
    pub(super) fn said(&self) -> Option<(Bye, String)> {
        match self {
            Self::Io(_) | Self::Left => None,
            Self::Broken(broken @ (Broken::NotStrict | Broken::NothingInCommon)) => {
                Some((Bye::KeyExchangeFailed, broken.to_string()))
            }
            Self::Broken(broken) => Some((Bye::ProtocolError, broken.to_string())),
            // What is wrong there is for the operator.
            Self::Control(_) => {
                let words = "whoever decides cannot be asked just now; try again in a moment";
                Some((Bye::ByApplication, words.to_owned()))
            }
            Self::Told(words) => Some((Bye::ByApplication, words.clone())),
        }
    }
}

/// See the module. What is half read or written is kept here and not in a future: one that is dropped has lost nothing.
pub(super) struct Link {
    pub(super) transport: Transport,
    pub(super) reader: OwnedReadHalf,
    pub(super) writer: OwnedWriteHalf,
}

impl Link {
    pub(super) fn new(connection: TcpStream, role: Role) -> Result<Self, Malformed> {
        let (reader, writer) = connection.into_split();
        Ok(Self {
            transport: Transport::new(role)?,
            reader,
            writer,
        })
    }

    /// Writes all that waits.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while !self.transport.output.is_empty() {
            write(&mut self.writer, &mut self.transport.output).await?;
        }
        Ok(())
    }

    /// Waits until the other side has said which version it speaks.
    pub(super) async fn greet(&mut self) -> Result<(), Failed> {
        loop {
            self.flush().await?;
            if self.transport.is_greeted()? {
                return Ok(());
            }
            read(&mut self.reader, &mut self.transport.input).await?;
        }
    }

    /// Waits for a message. What is taken is given at once: who stops waiting while something is written loses none.
    pub(super) async fn receive(&mut self) -> Result<BytesMut, Failed> {
        loop {
            self.flush().await?;
            match self.transport.message()? {
                Some(message) if message.first() == Some(&msg::DISCONNECT) => return Err(Failed::Left),
                Some(message) => return Ok(message),
                // What it answered itself goes out first.
                None if !self.transport.output.is_empty() => {}
                None => read(&mut self.reader, &mut self.transport.input).await?,
            }
        }
    }

    /// Waits until keys are agreed.
    pub(super) async fn agree(&mut self) -> Result<(), Failed> {
        loop {
            self.flush().await?;
            match self.transport.message()? {
                Some(message) if message.first() == Some(&msg::DISCONNECT) => return Err(Failed::Left),
                Some(_) => return Err(Malformed.into()),
                None if !self.transport.output.is_empty() => {}
                None if self.transport.is_ready() => return Ok(()),
                None => read(&mut self.reader, &mut self.transport.input).await?,
            }
        }
    }

    /// Sends a message, and waits until it is written.
    pub(super) async fn say(&mut self, message: &[u8]) -> Result<(), Failed> {
        self.transport.send(message)?;
        Ok(self.flush().await?)
    }

    /// Says goodbye, and waits until that is heard.
    pub(super) async fn hang_up(&mut self, bye: Bye, words: &str) -> Result<(), Failed> {
        self.transport.send_now(&goodbye(bye, words))?;
        self.linger().await;
        Ok(())
    }

    /// Writes what is left, says that no more comes, and lets pass what still comes until the other side has closed: a connection that is
    /// closed with something unread is reset, and what the other side was told last is lost.
    pub(super) async fn linger(&mut self) {
        let Self {
            transport,
            reader,
            writer,
        } = self;
        let writing = async {
            while !transport.output.is_empty() && write(writer, &mut transport.output).await.is_ok() {}
            let _ = writer.shutdown().await;
        };
        let reading = async {
            let mut passed = BytesMut::new();
            while read(reader, &mut passed).await.is_ok() {
                passed.clear();
            }
        };
        tokio::join!(writing, reading);
    }
}

/// The message that ends a connection.
pub(super) fn goodbye(bye: Bye, words: &str) -> Vec<u8> {
    Writer::message(msg::DISCONNECT)
        .u32(bye as u32)
        .string(one_line(words))
        .string("")
        .done()
}

/// Words of others may hold anything, and terminals do what they are told: what is not seen, or turns others round, is a space.
pub(super) fn one_line(words: &str) -> String {
    let is_unseen = |letter: char| {
        letter.is_control()
            || matches!(letter,
                '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    words
        .chars()
        .map(|letter| if is_unseen(letter) { ' ' } else { letter })
        .collect()
}

/// Reads more; the end is an error.
pub(super) async fn read(reader: &mut OwnedReadHalf, input: &mut BytesMut) -> io::Result<()> {
    input.reserve(if input.len() >= LITTLE { MUCH } else { LITTLE });
    match reader.read_buf(input).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Writes some.
pub(super) async fn write(writer: &mut OwnedWriteHalf, output: &mut BytesMut) -> io::Result<()> {
    match writer.write_buf(output).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ => Ok(()),
    }
}
