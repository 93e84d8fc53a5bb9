//! What passes through the `sftp` subsystem, as far as it is recorded: names of files, what was done to them, and how many bytes. Without IO.
//!
//! Only heads are read; what is in the files goes by. Source: draft-ietf-secsh-filexfer-02, and OpenSSH's PROTOCOL, 4.

use std::collections::HashMap;

use super::event::Event;
use super::wire::{Malformed, Reader};
use crate::record::Text;

/// How much of a message is read: two paths and more. Of data, its head alone.
const HEAD: usize = 16 * 1024;
const HEAD_OF_DATA: usize = 300;

/// How many requests may wait for their answers, and how many files may be open.
const PENDING: usize = 4_096;
const FILES: usize = 1_024;

/// Messages, by their numbers.
mod kind {
    pub(super) const INIT: u8 = 1;
    pub(super) const VERSION: u8 = 2;
    pub(super) const OPEN: u8 = 3;
    pub(super) const CLOSE: u8 = 4;
    pub(super) const READ: u8 = 5;
    pub(super) const WRITE: u8 = 6;
    pub(super) const SETSTAT: u8 = 9;
    pub(super) const FSETSTAT: u8 = 10;
    pub(super) const REMOVE: u8 = 13;
    pub(super) const MKDIR: u8 = 14;
    pub(super) const RMDIR: u8 = 15;
    pub(super) const RENAME: u8 = 18;
    pub(super) const SYMLINK: u8 = 20;
    pub(super) const STATUS: u8 = 101;
    pub(super) const HANDLE: u8 = 102;
    pub(super) const DATA: u8 = 103;
    pub(super) const EXTENDED: u8 = 200;
}

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

#[derive(Debug)]
enum Asked {
    Open(Text),
    Close(Vec<u8>),
    Read(Vec<u8>),
    Write(Vec<u8>, u64),
    Done(&'static str, Text, Option<Text>),
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
    asked: HashMap<u32, Asked>,
    files: HashMap<Vec<u8>, File>,
}

fn readable(bytes: &[u8]) -> Text {
    String::from_utf8_lossy(bytes).into_owned().into()
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

    fn request(&mut self, head: &[u8]) -> Result<(), Malformed> {
        let mut fields = Reader(head);
        let kind = fields.u8()?;
        if kind == kind::INIT {
            return Ok(());
        }
        let id = fields.u32()?;
        let mut path = || fields.string().map(readable);
        let asked = match kind {
            kind::OPEN => Asked::Open(path()?),
            kind::SETSTAT => Asked::Done("setstat", path()?, None),
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
            kind::FSETSTAT => {
                let handle = fields.string()?;
                let path = self.files.get(handle).map(|file| file.path.clone());
                Asked::Done("setstat", path.unwrap_or_default(), None)
            }
            kind::EXTENDED => match fields.string()? {
                name if HARMLESS.contains(&name) => return Ok(()),
                b"posix-rename@openssh.com" => Asked::Done(
                    "rename",
                    readable(fields.string()?),
                    Some(readable(fields.string()?)),
                ),
                b"hardlink@openssh.com" => Asked::Done(
                    "link",
                    readable(fields.string()?),
                    Some(readable(fields.string()?)),
                ),
                b"lsetstat@openssh.com" => Asked::Done("setstat", readable(fields.string()?), None),
                other => Asked::Done("extended", readable(other), None),
            },
            _ => return Ok(()),
        };
        // The same number twice would leave one of them without its answer.
        if self.asked.len() >= PENDING || self.asked.insert(id, asked).is_some() {
            return Err(Malformed);
        }
        Ok(())
    }

    fn file(&self, did: &'static str, path: Text, to: Option<Text>, status: Option<u32>) -> Event {
        Event::File {
            channel: self.channel,
            did,
            path,
            to,
            read: 0,
            written: 0,
            status,
        }
    }

    fn closed(&self, file: File, status: Option<u32>) -> Event {
        Event::File {
            channel: self.channel,
            did: "open",
            path: file.path,
            to: None,
            read: file.read,
            written: file.written,
            status,
        }
    }

    fn answer(&mut self, head: &[u8], out: &mut Vec<Event>) -> Result<(), Malformed> {
        let mut fields = Reader(head);
        let kind = fields.u8()?;
        if kind == kind::VERSION {
            return Ok(());
        }
        let id = fields.u32()?;
        let Some(asked) = self.asked.remove(&id) else {
            return Ok(());
        };
        let status = if kind == kind::STATUS {
            Some(fields.u32()?)
        } else {
            None
        };
        match asked {
            Asked::Open(path) if kind == kind::HANDLE => {
                let handle = fields.string()?.to_vec();
                let file = File {
                    path,
                    read: 0,
                    written: 0,
                };
                if self.files.len() >= FILES {
                    return Err(Malformed);
                }
                if let Some(before) = self.files.insert(handle, file) {
                    out.push(self.closed(before, None));
                }
            }
            Asked::Open(path) => out.push(self.file("open", path, None, status)),
            Asked::Read(handle) if kind == kind::DATA => {
                let read = u64::from(fields.u32()?);
                if let Some(file) = self.files.get_mut(&handle) {
                    file.read += read;
                }
            }
            Asked::Write(handle, bytes) => {
                if let (Some(0), Some(file)) = (status, self.files.get_mut(&handle)) {
                    file.written += bytes;
                }
            }
            Asked::Close(handle) => {
                if let Some(file) = self.files.remove(&handle) {
                    out.push(self.closed(file, status));
                }
            }
            Asked::Done(did, path, to) => out.push(self.file(did, path, to, status)),
            Asked::Read(_) => {}
        }
        Ok(())
    }

    /// What was not finished when it ended.
    pub fn cut(&mut self, out: &mut Vec<Event>) {
        for (_, file) in std::mem::take(&mut self.files) {
            out.push(self.closed(file, None));
        }
        for (_, asked) in std::mem::take(&mut self.asked) {
            match asked {
                Asked::Open(path) => out.push(self.file("open", path, None, None)),
                Asked::Done(did, path, to) => out.push(self.file(did, path, to, None)),
                Asked::Close(_) | Asked::Read(_) | Asked::Write(..) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::wire::Writer;
    use super::*;

    fn framed(body: Writer) -> Vec<u8> {
        Writer::default().string(body.done()).done()
    }

    fn talk(cuts: usize) -> Vec<Event> {
        let ups = [
            framed(Writer::message(kind::INIT).u32(3)),
            framed(
                Writer::message(kind::OPEN)
                    .u32(1)
                    .string("/etc/motd")
                    .u32(2)
                    .u32(0),
            ),
            framed(
                Writer::message(kind::WRITE)
                    .u32(2)
                    .string("h")
                    .raw(&[0; 8])
                    .string([7; 5000]),
            ),
            framed(
                Writer::message(kind::READ)
                    .u32(3)
                    .string("h")
                    .raw(&[0; 8])
                    .u32(100),
            ),
            framed(Writer::message(kind::CLOSE).u32(4).string("h")),
            framed(Writer::message(kind::RENAME).u32(5).string("a").string("b")),
        ];
        let downs = [
            framed(Writer::message(kind::VERSION).u32(3)),
            framed(Writer::message(kind::HANDLE).u32(1).string("h")),
            framed(Writer::message(kind::STATUS).u32(2).u32(0)),
            framed(Writer::message(kind::DATA).u32(3).string([1; 77])),
            framed(Writer::message(kind::STATUS).u32(4).u32(0)),
            framed(Writer::message(kind::STATUS).u32(5).u32(3)),
        ];
        let (mut sftp, mut out) = (Sftp::new(1), Vec::new());
        for (up, down) in ups.iter().zip(&downs) {
            up.chunks(cuts).for_each(|bytes| sftp.up(bytes).unwrap());
            down.chunks(cuts)
                .for_each(|bytes| sftp.down(bytes, &mut out).unwrap());
        }
        sftp.cut(&mut out);
        out
    }

    #[test]
    fn files_are_recorded_however_the_bytes_are_cut() {
        let lines: Vec<_> = talk(10_000)
            .iter()
            .map(|event| serde_json::to_string(event).unwrap())
            .collect();
        assert_eq!(
            lines,
            [
                r#"{"kind":"file","channel":1,"did":"open","path":"/etc/motd","read":77,"written":5000,"status":0}"#,
                r#"{"kind":"file","channel":1,"did":"rename","path":"a","to":"b","read":0,"written":0,"status":3}"#,
            ]
        );
        for cuts in [1, 2, 3, 7, 299, 300, 301] {
            assert_eq!(talk(cuts), talk(10_000), "{cuts}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
            let (mut sftp, mut out) = (Sftp::new(1), Vec::new());
            let _ = sftp.up(&bytes);
            let _ = sftp.down(&bytes, &mut out);
            sftp.cut(&mut out);
        }
    }
}
