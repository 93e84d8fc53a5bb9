//! What passes through the `sftp` subsystem, as far as it is recorded: names of files, what was done to them, and how many bytes. Without IO.
//!
//! Only heads are read; what is in the files goes by. Every request and its answer are told apart by their number, as both sides do; **whatever does not
//! fit into that ends the session**, because it could be read there in another way than here. All that an answer may need is counted when it is
//! asked for, so that nothing that a client asks can make an honest answer too much. Source: draft-ietf-secsh-filexfer-02, and OpenSSH's PROTOCOL, 4.

mod handles;
mod request;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::event::{Event, Set};
use super::wire::{Malformed, Reader, Writer};
use crate::record::{Room, Text};
use handles::{File, Handles};
use request::{EACH, HANDLE, Request, Small, Split, Told, kind, read};

/// How many files may be open, with those that are being opened, and how many bytes are kept of names and of what has a record.
const FILES: usize = 1_024;
const KEPT: usize = 256 * 1024;

/// What has no answer for so long is recorded as asked: whoever watches sees it, although the client takes no answers.
const ASKED: Duration = Duration::from_secs(1);

/// So many requests may wait for their answers before the client gets no more of the target's window. Some programs ask for all of a file at once.
const BEHIND: usize = 4_096;

/// The version that is spoken: what OpenSSH has, and nearly everybody.
const VERSION: u32 = 3;

/// For what a file is opened, bit by bit.
const FLAGS: [&str; 6] = ["read", "write", "append", "create", "truncate", "exclusive"];

/// What is to be recorded, with the room that it has.
pub type Given = (Room, Event);

/// What has a record and no answer yet.
#[derive(Debug)]
struct Asked {
    what: Told<u32>,
    room: Room,
    since: Instant,
    /// It is recorded that it was asked.
    said: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Sftp {
    channel: u32,
    up: Split,
    down: Split,
    /// Whether the client, and the target, said which version they speak.
    begun: [bool; 2],
    /// What has no answer yet, by its number.
    small: HashMap<u32, Small<u32>>,
    asked: HashMap<u32, Asked>,
    opening: usize,
    /// When it is to be looked for what waits for long.
    due: Option<Instant>,
    handles: Handles,
    kept: usize,
    told: u64,
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

    /// What the client says just now, and the room for records of it.
    ///
    /// # Errors
    /// It could not be recorded.
    pub fn up(&mut self, bytes: &[u8], (room, now): (&mut Room, Instant)) -> Result<(), Malformed> {
        let mut split = std::mem::take(&mut self.up);
        let fed = split.feed(bytes, |head| self.request(head, room, now));
        self.up = split;
        fed
    }

    /// What the client begins with, where it offers a newer version than is known here: then it is the one that is (WinSCP asks for 6 by
    /// itself, and is content with 3).
    #[must_use]
    pub fn lowered(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut fields = Reader(bytes);
        let (length, kind, version) = (fields.u32().ok()?, fields.u8().ok()?, fields.u32().ok()?);
        if self.begun[0] || !self.up.is_empty() || length < 5 || kind != kind::INIT || version <= VERSION {
            return None;
        }
        let rest = Writer::default().u32(length).u8(kind).u32(VERSION).raw(fields.0);
        Some(rest.done())
    }

    /// What the target says; what is to be recorded comes out, also of what came before an error.
    ///
    /// # Errors
    /// It could not be recorded.
    pub fn down(&mut self, bytes: &[u8], out: &mut Vec<Given>) -> Result<(), Malformed> {
        let mut split = std::mem::take(&mut self.down);
        let fed = split.feed(bytes, |head| self.answer(head, out));
        self.down = split;
        fed
    }

    /// How many requests wait for their answers.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.small.len() + self.asked.len()
    }

    /// How much was asked that has a record of its own.
    #[must_use]
    pub const fn told(&self) -> u64 {
        self.told
    }

    /// Whether so many wait that no more should come.
    pub(super) fn is_behind(&self) -> bool {
        self.waiting() > BEHIND
    }

    /// When [`Sftp::look`] has something to do.
    #[must_use]
    pub const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Records what has no answer for long.
    pub fn look(&mut self, now: Instant, out: &mut Vec<Given>) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        let mut all = std::mem::take(&mut self.asked);
        let mut next = None;
        for asked in all.values_mut().filter(|asked| !asked.said) {
            let due = asked.since + ASKED;
            if due > now {
                next = next.into_iter().chain([due]).min();
                continue;
            }
            asked.said = true;
            let mut event = self.event(&asked.what, None);
            if let Event::File { asked, .. } = &mut event {
                *asked = true;
            }
            out.push((std::mem::take(&mut asked.room), event));
        }
        (self.asked, self.due) = (all, next);
    }

    fn keep(&mut self, bytes: usize) -> Result<(), Malformed> {
        if self.kept + bytes > KEPT {
            return Err(Malformed);
        }
        self.kept += bytes;
        Ok(())
    }

    /// The number of what is open, or is said to be; it is kept as long as somebody uses it.
    fn name(&mut self, handle: &[u8]) -> Result<u32, Malformed> {
        if handle.len() > HANDLE {
            return Err(Malformed);
        }
        let (number, is_new) = self.handles.name(handle);
        if is_new {
            self.keep(handle.len() + EACH)?;
        }
        Ok(number)
    }

    fn unname(&mut self, number: u32) {
        let freed = self.handles.unname(number).map_or(0, |bytes| bytes + EACH);
        self.kept = self.kept.saturating_sub(freed);
    }

    fn request(&mut self, head: &[u8], room: &mut Room, now: Instant) -> Result<(), Malformed> {
        let mut fields = Reader(head);
        let kind = fields.u8()?;
        if !std::mem::replace(&mut self.begun[0], true) {
            let begins = kind == kind::INIT && fields.u32()? >= VERSION;
            return if begins { Ok(()) } else { Err(Malformed) };
        }
        let id = fields.u32()?;
        // The same number twice would leave one of them without its answer.
        if self.small.contains_key(&id) || self.asked.contains_key(&id) {
            return Err(Malformed);
        }
        match read(kind, fields)? {
            Request::Small(small) => {
                let small = small.named(|handle| self.name(handle))?;
                self.small.insert(id, small);
            }
            Request::Told(told) => {
                let what = told.named(|handle| self.name(handle))?;
                let opens = matches!(what, Told::Open(..));
                if opens && self.handles.files() + self.opening >= FILES {
                    return Err(Malformed);
                }
                self.keep(what.size())?;
                self.opening += usize::from(opens);
                self.due.get_or_insert(now + ASKED);
                let asked = Asked {
                    room: room.part(what.names()),
                    what,
                    since: now,
                    said: false,
                };
                self.asked.insert(id, asked);
                self.told += 1;
            }
        }
        Ok(())
    }

    /// The path of what is open; of what is not, how it was called.
    fn path(&self, number: u32) -> Text {
        match self.handles.file(number) {
            Some(file) => file.path.clone(),
            None => {
                let called = self.handles.called(number).map(hex::encode);
                format!("handle:{}", called.unwrap_or_default()).into()
            }
        }
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
            asked: false,
        }
    }

    fn moved_bytes(&self, did: &'static str, file: File, status: Option<u32>) -> Event {
        let mut event = self.file(did, file.path, None, status);
        if let Event::File { read, written, .. } = &mut event {
            (*read, *written) = (file.read, file.written);
        }
        event
    }

    fn changed(&self, path: Text, what: Set, status: Option<u32>) -> Event {
        let mut event = self.file("setstat", path, None, status);
        if let Event::File { set, .. } = &mut event {
            *set = what;
        }
        event
    }

    fn opened(&self, path: Text, bits: u32, status: Option<u32>) -> Event {
        let mut event = self.file("open", path, None, status);
        if let Event::File { flags, .. } = &mut event {
            let named = FLAGS.iter().enumerate();
            let named = named.filter(|(bit, _)| bits & (1 << bit) != 0);
            *flags = named.map(|(_, name)| *name).collect();
        }
        event
    }

    /// The record of it.
    fn event(&self, what: &Told<u32>, status: Option<u32>) -> Event {
        match what {
            Told::Open(path, flags) => self.opened(path.clone(), *flags, status),
            Told::Copy(from, to, _) => self.file("copy", self.path(*from), Some(self.path(*to)), status),
            Told::Done(did, path, to) => self.file(did, path.clone(), to.clone(), status),
            Told::Set(path, set) => self.changed(path.clone(), set.clone(), status),
            Told::SetOpen(handle, set) => self.changed(self.path(*handle), set.clone(), status),
            Told::Extended(name) => self.file("extended", name.clone(), None, status),
        }
    }

    /// What cannot be read of it leaves its request without an answer, and so with a record at the end.
    fn answer(&mut self, head: &[u8], out: &mut Vec<Given>) -> Result<(), Malformed> {
        let mut fields = Reader(head);
        let kind = fields.u8()?;
        if !std::mem::replace(&mut self.begun[1], true) {
            let begins = kind == kind::VERSION && fields.u32()? == VERSION;
            return if begins { Ok(()) } else { Err(Malformed) };
        }
        let id = fields.u32()?;
        let status = match kind {
            kind::STATUS => Some(fields.u32()?),
            _ => None,
        };
        if let Some(small) = self.small.get(&id) {
            if !small.fits(kind) {
                return Err(Malformed);
            }
            let read = match kind {
                kind::DATA => Some(fields.u32()?),
                _ => None,
            };
            if let Some(small) = self.small.remove(&id) {
                self.small_answered(&small, status, read, out);
            }
            return Ok(());
        }
        let asked = self.asked.get(&id).ok_or(Malformed)?;
        if !asked.what.fits(kind) {
            return Err(Malformed);
        }
        let handle = match asked.what {
            Told::Open(..) if kind == kind::HANDLE => Some(fields.string()?),
            _ => None,
        };
        if handle.is_some_and(|handle| handle.len() > HANDLE) {
            return Err(Malformed);
        }
        match self.asked.remove(&id) {
            Some(asked) => self.told_answered(asked, status, handle, out),
            None => Err(Malformed),
        }
    }

    fn small_answered(
        &mut self,
        small: &Small<u32>,
        status: Option<u32>,
        read: Option<u32>,
        out: &mut Vec<Given>,
    ) {
        match *small {
            Small::Read(handle) => {
                if let Some(bytes) = read {
                    self.moved(handle, (u64::from(bytes), 0), status, out);
                }
                self.unname(handle);
            }
            Small::Write(handle, bytes) => {
                if status == Some(0) {
                    self.moved(handle, (0, u64::from(bytes)), status, out);
                }
                self.unname(handle);
            }
            Small::Close(handle) => {
                self.close(handle, status, out);
                self.unname(handle);
            }
            Small::Other(_) => {}
        }
        // After a burst its memory is given back.
        if self.small.is_empty() && self.small.capacity() > BEHIND {
            self.small = HashMap::new();
        }
    }

    fn told_answered(
        &mut self,
        asked: Asked,
        status: Option<u32>,
        handle: Option<&[u8]>,
        out: &mut Vec<Given>,
    ) -> Result<(), Malformed> {
        self.kept = self.kept.saturating_sub(asked.what.size());
        let status = status.or_else(|| handle.map(|_| 0));
        if let Told::Copy(from, to, bytes) = asked.what
            && status == Some(0)
        {
            self.moved(from, (bytes, 0), status, out);
            self.moved(to, (0, bytes), status, out);
        }
        out.push((asked.room, self.event(&asked.what, status)));
        match asked.what {
            Told::Open(path, _) => {
                self.opening = self.opening.saturating_sub(1);
                if let Some(handle) = handle {
                    let number = self.name(handle)?;
                    self.close(number, None, out);
                    self.keep(path.len())?;
                    self.handles.open(number, path);
                    self.unname(number);
                }
            }
            Told::Copy(from, to, _) => {
                self.unname(from);
                self.unname(to);
            }
            Told::SetOpen(handle, _) => self.unname(handle),
            Told::Done(..) | Told::Set(..) | Told::Extended(_) => {}
        }
        Ok(())
    }

    /// It is open no more.
    fn close(&mut self, number: u32, status: Option<u32>, out: &mut Vec<Given>) {
        if let Some(file) = self.handles.close(number) {
            self.kept = self.kept.saturating_sub(file.path.len());
            out.push((Room::default(), self.moved_bytes("close", file, status)));
        }
    }

    /// So many bytes were read, and written. What nobody opened here has a record of its own.
    fn moved(&mut self, number: u32, (read, written): (u64, u64), status: Option<u32>, out: &mut Vec<Given>) {
        if let Some(file) = self.handles.file_mut(number) {
            file.read = file.read.saturating_add(read);
            file.written = file.written.saturating_add(written);
            return;
        }
        let did = if written > 0 { "write" } else { "read" };
        let file = File {
            path: self.path(number),
            read,
            written,
        };
        out.push((Room::default(), self.moved_bytes(did, file, status)));
    }

    /// What was not finished when it ended. What was to be written counts as written: nobody says that it was not.
    pub fn cut(&mut self, out: &mut Vec<Given>) {
        for (_, asked) in std::mem::take(&mut self.asked) {
            out.push((asked.room, self.event(&asked.what, None)));
        }
        let mut written: HashMap<u32, u64> = HashMap::new();
        for (_, small) in std::mem::take(&mut self.small) {
            if let Small::Write(handle, bytes) = small {
                let sum = written.entry(handle).or_default();
                *sum = sum.saturating_add(u64::from(bytes));
            }
        }
        for (handle, bytes) in written {
            self.moved(handle, (0, bytes), None, out);
        }
        for file in std::mem::take(&mut self.handles).into_files() {
            out.push((Room::default(), self.moved_bytes("close", file, None)));
        }
        (self.kept, self.opening, self.due) = (0, 0, None);
    }
}
