//! What passes through the `sftp` subsystem, as far as it is recorded: names of files, what was done to them, and how many bytes. Without IO.
//!
//! Only heads are read; what is in the files goes by. Every request and its answer are told apart by their number, as both sides do; **whatever does not
//! fit into that ends the session**, because it could be read there in another way than here. Source: draft-ietf-secsh-filexfer-02, and OpenSSH's PROTOCOL, 4.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::event::{Event, Set};
use super::wire::{Malformed, Reader};
use crate::record::Text;

/// How much of a message is read: two paths and more. Of data, its head alone.
const HEAD: usize = 16 * 1024;
const HEAD_OF_DATA: usize = 300;

/// How many requests may wait for their answers, how many files may be open, and how many bytes of names are kept of both. Programs keep
/// to some sixty.
const PENDING: usize = 1_024;
const FILES: usize = 1_024;
const KEPT: usize = 64 * 1024;

/// The version that is spoken: what OpenSSH has, and nearly everybody.
const VERSION: u32 = 3;

/// Messages, by their numbers.
mod kind {
    pub(super) const INIT: u8 = 1;
    pub(super) const VERSION: u8 = 2;
    pub(super) const OPEN: u8 = 3;
    pub(super) const CLOSE: u8 = 4;
    pub(super) const READ: u8 = 5;
    pub(super) const WRITE: u8 = 6;
    pub(super) const LSTAT: u8 = 7;
    pub(super) const FSTAT: u8 = 8;
    pub(super) const SETSTAT: u8 = 9;
    pub(super) const FSETSTAT: u8 = 10;
    pub(super) const OPENDIR: u8 = 11;
    pub(super) const READDIR: u8 = 12;
    pub(super) const REMOVE: u8 = 13;
    pub(super) const MKDIR: u8 = 14;
    pub(super) const RMDIR: u8 = 15;
    pub(super) const REALPATH: u8 = 16;
    pub(super) const STAT: u8 = 17;
    pub(super) const RENAME: u8 = 18;
    pub(super) const READLINK: u8 = 19;
    pub(super) const SYMLINK: u8 = 20;
    pub(super) const STATUS: u8 = 101;
    pub(super) const HANDLE: u8 = 102;
    pub(super) const DATA: u8 = 103;
    pub(super) const NAME: u8 = 104;
    pub(super) const ATTRS: u8 = 105;
    pub(super) const EXTENDED: u8 = 200;
    pub(super) const EXTENDED_REPLY: u8 = 201;
}

/// For what a file is opened, bit by bit.
const FLAGS: [&str; 6] = ["read", "write", "append", "create", "truncate", "exclusive"];

/// Extensions that change nothing.
const HARMLESS: [&[u8]; 7] = [
    b"statvfs@openssh.com",
    b"fstatvfs@openssh.com",
    b"fsync@openssh.com",
    b"limits@openssh.com",
    b"expand-path@openssh.com",
    b"home-directory",
    b"users-groups-by-id@openssh.com",
];

/// One direction: where in a message it is.
#[derive(Debug, Default)]
struct Split {
    head: Vec<u8>,
    /// How much of the message's head is wanted, once that is known.
    wanted: usize,
    /// How much goes by after it.
    rest: usize,
}

impl Split {
    /// Reads on; gives each head once it is whole.
    fn feed(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        while !bytes.is_empty() {
            if self.rest > 0 {
                let passed = self.rest.min(bytes.len());
                bytes = bytes.get(passed..).unwrap_or_default();
                self.rest -= passed;
                continue;
            }
            // The length and the kind.
            let wanted = self.wanted.max(5);
            let taken = (wanted - self.head.len()).min(bytes.len());
            let (now, later) = bytes.split_at(taken);
            self.head.extend_from_slice(now);
            bytes = later;
            if self.head.len() < wanted {
                return Ok(());
            }
            let mut head = Reader(&self.head);
            let length = usize::try_from(head.u32()?).map_err(|_| Malformed)?;
            let most = if matches!(head.u8()?, kind::WRITE | kind::DATA) {
                HEAD_OF_DATA
            } else {
                HEAD
            };
            if length == 0 {
                return Err(Malformed);
            }
            if self.wanted == 0 {
                self.wanted = 4 + length.min(most);
                self.rest = 0;
                if self.head.len() < self.wanted {
                    continue;
                }
            }
            take(self.head.get(4..).unwrap_or_default())?;
            self.rest = 4 + length - self.wanted;
            self.wanted = 0;
            self.head.clear();
        }
        Ok(())
    }
}

/// What was asked for and not answered.
#[derive(Debug)]
enum Asked {
    Open(Text, u32),
    OpenDir,
    Close(Vec<u8>),
    Read(Vec<u8>),
    Write(Vec<u8>, u64),
    /// From one file into another, so many bytes; 0 is all.
    Copy(Vec<u8>, Vec<u8>, u64),
    Done(&'static str, Text, Option<Text>),
    /// Of a path, or of what is open.
    Set(Text, Set),
    SetOpen(Vec<u8>, Set),
    /// An extension that nobody knows here.
    Extended(Text),
    /// Nothing is recorded of it, and this would be its answer.
    Other(&'static [u8]),
}

impl Asked {
    /// Whether this is an answer to it.
    fn fits(&self, answer: u8) -> bool {
        if answer == kind::STATUS {
            return true;
        }
        match self {
            Self::Open(..) | Self::OpenDir => answer == kind::HANDLE,
            Self::Read(_) => answer == kind::DATA,
            Self::Close(_)
            | Self::Write(..)
            | Self::Copy(..)
            | Self::Done(..)
            | Self::Set(..)
            | Self::SetOpen(..) => false,
            Self::Extended(_) => matches!(answer, kind::EXTENDED_REPLY | kind::NAME | kind::ATTRS),
            Self::Other(answers) => answers.contains(&answer),
        }
    }

    /// How many bytes of names are kept of it.
    fn size(&self) -> usize {
        match self {
            Self::Open(path, _) | Self::Set(path, _) | Self::Extended(path) => path.len(),
            Self::Close(handle) | Self::Read(handle) | Self::Write(handle, _) | Self::SetOpen(handle, _) => {
                handle.len()
            }
            Self::Copy(from, to, _) => from.len() + to.len(),
            Self::Done(_, path, to) => path.len() + to.as_ref().map_or(0, |to| to.len()),
            Self::OpenDir | Self::Other(_) => 0,
        }
    }
}

#[derive(Debug)]
struct File {
    path: Text,
    read: u64,
    written: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Sftp {
    channel: u32,
    up: Split,
    down: Split,
    /// Whether the client, and the target, said which version they speak.
    begun: [bool; 2],
    asked: HashMap<u32, Asked>,
    files: HashMap<Vec<u8>, File>,
    kept: usize,
}

fn readable(bytes: &[u8]) -> Text {
    String::from_utf8_lossy(bytes).into_owned().into()
}

fn extended(mut fields: Reader<'_>) -> Result<Asked, Malformed> {
    let name = fields.string()?;
    let mut path = || fields.string().map(readable);
    Ok(match name {
        name if HARMLESS.contains(&name) => Asked::Other(&[kind::EXTENDED_REPLY, kind::NAME]),
        b"posix-rename@openssh.com" => Asked::Done("rename", path()?, Some(path()?)),
        b"hardlink@openssh.com" => Asked::Done("link", path()?, Some(path()?)),
        b"lsetstat@openssh.com" => Asked::Set(path()?, set(fields)?),
        b"copy-data" => {
            let from = fields.string()?.to_vec();
            fields.u64()?;
            let bytes = fields.u64()?;
            Asked::Copy(from, fields.string()?.to_vec(), bytes)
        }
        other => Asked::Extended(readable(other)),
    })
}

/// The attributes of a file.
fn set(mut fields: Reader<'_>) -> Result<Set, Malformed> {
    let flags = fields.u32()?;
    let mut set = Set::default();
    if flags & 1 != 0 {
        set.size = Some(fields.u64()?);
    }
    if flags & 2 != 0 {
        set.owner = Some([fields.u32()?, fields.u32()?]);
    }
    if flags & 4 != 0 {
        set.mode = Some(format!("{:04o}", fields.u32()? & 0o7777));
    }
    Ok(set)
}

impl Sftp {
    /// Of this channel.
    #[must_use]
    pub fn new(channel: u32) -> Self {
        Self {
            channel,
            ..Self::default()
        }
    }

    /// What the client says.
    ///
    /// # Errors
    /// It could not be recorded.
    pub fn up(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let mut split = std::mem::take(&mut self.up);
        let fed = split.feed(bytes, |head| self.request(head));
        self.up = split;
        fed
    }

    /// What the target says; what is to be recorded comes out.
    ///
    /// # Errors
    /// It could not be recorded.
    pub fn down(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), Malformed> {
        let mut split = std::mem::take(&mut self.down);
        let fed = split.feed(bytes, |head| self.answer(head, out));
        self.down = split;
        fed
    }

    fn keep(&mut self, bytes: usize) -> Result<(), Malformed> {
        self.kept += bytes;
        if self.kept > KEPT { Err(Malformed) } else { Ok(()) }
    }

    fn request(&mut self, head: &[u8]) -> Result<(), Malformed> {
        let mut fields = Reader(head);
        let kind = fields.u8()?;
        if !std::mem::replace(&mut self.begun[0], true) {
            let begins = kind == kind::INIT && fields.u32()? >= VERSION;
            return if begins { Ok(()) } else { Err(Malformed) };
        }
        let id = fields.u32()?;
        let asked = Self::asks(kind, fields)?;
        // The same number twice would leave one of them without its answer.
        if self.asked.len() >= PENDING || self.asked.contains_key(&id) {
            return Err(Malformed);
        }
        self.keep(asked.size())?;
        self.asked.insert(id, asked);
        Ok(())
    }

    fn asks(kind: u8, mut fields: Reader<'_>) -> Result<Asked, Malformed> {
        let mut path = || fields.string().map(readable);
        Ok(match kind {
            kind::OPEN => Asked::Open(path()?, fields.u32()?),
            kind::SETSTAT => Asked::Set(path()?, set(fields)?),
            kind::REMOVE => Asked::Done("remove", path()?, None),
            kind::MKDIR => Asked::Done("mkdir", path()?, None),
            kind::RMDIR => Asked::Done("rmdir", path()?, None),
            kind::RENAME => Asked::Done("rename", path()?, Some(path()?)),
            kind::SYMLINK => Asked::Done("symlink", path()?, Some(path()?)),
            kind::CLOSE => Asked::Close(fields.string()?.to_vec()),
            kind::READ => Asked::Read(fields.string()?.to_vec()),
            kind::WRITE => {
                let handle = fields.string()?.to_vec();
                fields.u64()?;
                Asked::Write(handle, u64::from(fields.u32()?))
            }
            kind::FSETSTAT => Asked::SetOpen(fields.string()?.to_vec(), set(fields)?),
            kind::OPENDIR => Asked::OpenDir,
            kind::STAT | kind::LSTAT | kind::FSTAT => Asked::Other(&[kind::ATTRS]),
            kind::READDIR | kind::REALPATH | kind::READLINK => Asked::Other(&[kind::NAME]),
            kind::EXTENDED => extended(fields)?,
            // There are no others in this version.
            _ => return Err(Malformed),
        })
    }

    /// The path of what is open.
    fn path(&self, handle: &[u8]) -> Text {
        self.files
            .get(handle)
            .map(|file| file.path.clone())
            .unwrap_or_default()
    }

    fn file(&self, did: &'static str, path: Text, to: Option<Text>, status: Option<u32>) -> Event {
        Event::File {
            channel: self.channel,
            did,
            path,
            to,
            flags: Vec::new(),
            set: Set::default(),
            read: 0,
            written: 0,
            status,
        }
    }

    fn changed(&self, path: Text, what: Set, status: Option<u32>) -> Event {
        let mut event = self.file("setstat", path, None, status);
        if let Event::File { set, .. } = &mut event {
            *set = what;
        }
        event
    }

    fn opened(&self, path: Text, flags: u32, status: Option<u32>) -> Event {
        let named = FLAGS.iter().enumerate();
        let named = named.filter(|(bit, _)| flags & (1 << bit) != 0);
        Event::File {
            channel: self.channel,
            did: "open",
            path,
            to: None,
            flags: named.map(|(_, name)| *name).collect(),
            set: Set::default(),
            read: 0,
            written: 0,
            status,
        }
    }

    fn closed(&self, file: File, status: Option<u32>) -> Event {
        Event::File {
            channel: self.channel,
            did: "close",
            path: file.path,
            to: None,
            flags: Vec::new(),
            set: Set::default(),
            read: file.read,
            written: file.written,
            status,
        }
    }

    fn close(&mut self, handle: &[u8]) -> Option<File> {
        let file = self.files.remove(handle)?;
        self.kept -= handle.len() + file.path.len();
        Some(file)
    }

    fn answer(&mut self, head: &[u8], out: &mut Vec<Event>) -> Result<(), Malformed> {
        let mut fields = Reader(head);
        let kind = fields.u8()?;
        if !std::mem::replace(&mut self.begun[1], true) {
            let begins = kind == kind::VERSION && fields.u32()? == VERSION;
            return if begins { Ok(()) } else { Err(Malformed) };
        }
        let asked = self.asked.remove(&fields.u32()?).ok_or(Malformed)?;
        if !asked.fits(kind) {
            return Err(Malformed);
        }
        self.kept -= asked.size();
        let status = if kind == kind::STATUS {
            Some(fields.u32()?)
        } else {
            None
        };
        match asked {
            Asked::Open(path, flags) if kind == kind::HANDLE => {
                let handle = fields.string()?.to_vec();
                out.push(self.opened(path.clone(), flags, Some(0)));
                if let Some(before) = self.close(&handle) {
                    out.push(self.closed(before, None));
                }
                if self.files.len() >= FILES {
                    return Err(Malformed);
                }
                self.keep(handle.len() + path.len())?;
                let (read, written) = (0, 0);
                self.files.insert(handle, File { path, read, written });
            }
            Asked::Open(path, flags) => out.push(self.opened(path, flags, status)),
            Asked::Read(handle) if kind == kind::DATA => {
                let read = u64::from(fields.u32()?);
                self.moved(&handle, |file| &mut file.read, read);
            }
            Asked::Write(handle, bytes) if status == Some(0) => {
                self.moved(&handle, |file| &mut file.written, bytes);
            }
            Asked::Copy(from, to, bytes) => {
                if status == Some(0) {
                    self.moved(&from, |file| &mut file.read, bytes);
                    self.moved(&to, |file| &mut file.written, bytes);
                }
                out.push(self.file("copy", self.path(&from), Some(self.path(&to)), status));
            }
            Asked::Close(handle) => {
                if let Some(file) = self.close(&handle) {
                    out.push(self.closed(file, status));
                }
            }
            Asked::Done(did, path, to) => out.push(self.file(did, path, to, status)),
            Asked::Set(path, set) => out.push(self.changed(path, set, status)),
            Asked::SetOpen(handle, set) => out.push(self.changed(self.path(&handle), set, status)),
            Asked::Extended(name) => out.push(self.file("extended", name, None, status)),
            Asked::Read(_) | Asked::Write(..) | Asked::OpenDir | Asked::Other(_) => {}
        }
        Ok(())
    }

    fn moved(&mut self, handle: &[u8], which: impl FnOnce(&mut File) -> &mut u64, bytes: u64) {
        if let Some(file) = self.files.get_mut(handle) {
            let count = which(file);
            *count = count.saturating_add(bytes);
        }
    }

    /// What was not finished when it ended.
    pub fn cut(&mut self, out: &mut Vec<Event>) {
        for (_, asked) in std::mem::take(&mut self.asked) {
            match asked {
                Asked::Open(path, flags) => out.push(self.opened(path, flags, None)),
                Asked::Done(did, path, to) => out.push(self.file(did, path, to, None)),
                Asked::Set(path, set) => out.push(self.changed(path, set, None)),
                Asked::SetOpen(handle, set) => out.push(self.changed(self.path(&handle), set, None)),
                Asked::Extended(name) => out.push(self.file("extended", name, None, None)),
                Asked::Copy(from, to, _) => {
                    out.push(self.file("copy", self.path(&from), Some(self.path(&to)), None));
                }
                Asked::Close(_) | Asked::Read(_) | Asked::Write(..) | Asked::OpenDir | Asked::Other(_) => {}
            }
        }
        for (_, file) in std::mem::take(&mut self.files) {
            out.push(self.closed(file, None));
        }
        self.kept = 0;
    }
}
