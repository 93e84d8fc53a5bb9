//! What a message of SFTP asks, and which answers belong to it. Without IO.

use super::super::event::{Set, readable};
use super::super::wire::{Malformed, Reader};
use crate::record::Text;

/// How much of a message is read: two paths and more. Of data, its head alone.
const HEAD: usize = 16 * 1024;
const HEAD_OF_DATA: usize = 300;

/// What a request or a handle costs besides its names.
pub(super) const EACH: usize = 64;

/// The longest handle (draft-ietf-secsh-filexfer-02, 6.2).
pub(super) const HANDLE: usize = 256;

/// Messages, by their numbers.
pub(super) mod kind {
    pub(in super::super) const INIT: u8 = 1;
    pub(in super::super) const VERSION: u8 = 2;
    pub(in super::super) const OPEN: u8 = 3;
    pub(in super::super) const CLOSE: u8 = 4;
    pub(in super::super) const READ: u8 = 5;
    pub(in super::super) const WRITE: u8 = 6;
    pub(in super::super) const LSTAT: u8 = 7;
    pub(in super::super) const FSTAT: u8 = 8;
    pub(in super::super) const SETSTAT: u8 = 9;
    pub(in super::super) const FSETSTAT: u8 = 10;
    pub(in super::super) const OPENDIR: u8 = 11;
    pub(in super::super) const READDIR: u8 = 12;
    pub(in super::super) const REMOVE: u8 = 13;
    pub(in super::super) const MKDIR: u8 = 14;
    pub(in super::super) const RMDIR: u8 = 15;
    pub(in super::super) const REALPATH: u8 = 16;
    pub(in super::super) const STAT: u8 = 17;
    pub(in super::super) const RENAME: u8 = 18;
    pub(in super::super) const READLINK: u8 = 19;
    pub(in super::super) const SYMLINK: u8 = 20;
    pub(in super::super) const STATUS: u8 = 101;
    pub(in super::super) const HANDLE: u8 = 102;
    pub(in super::super) const DATA: u8 = 103;
    pub(in super::super) const NAME: u8 = 104;
    pub(in super::super) const ATTRS: u8 = 105;
    pub(in super::super) const EXTENDED: u8 = 200;
    pub(in super::super) const EXTENDED_REPLY: u8 = 201;
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
pub(super) struct Split {
    head: Vec<u8>,
    /// How much of the message's head is wanted, once that is known.
    wanted: usize,
    /// How much goes by after it.
    rest: usize,
}

impl Split {
    /// Whether it is at the beginning of a message.
    pub(super) fn is_empty(&self) -> bool {
        self.head.is_empty() && self.rest == 0
    }

    /// Reads on; gives each head once it is whole.
    pub(super) fn feed(
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

/// A request; what is open is named by `H`.
pub(super) enum Request<H> {
    Small(Small<H>),
    Told(Told<H>),
}

/// Of what is recorded by itself nothing but how many bytes it moved. Thousands of them wait for their answers: it is small.
#[derive(Debug)]
pub(super) enum Small<H> {
    Read(H),
    Write(H, u32),
    Close(H),
    Other(Answers),
}

/// What else than a status answers it.
#[derive(Debug)]
pub(super) enum Answers {
    Attributes,
    Names,
    Handle,
    Extended,
}

/// What has a record of its own.
#[derive(Debug)]
pub(super) enum Told<H> {
    Open(Text, u32),
    /// From one file into another, so many bytes; 0 is all.
    Copy(H, H, u64),
    Done(&'static str, Text, Option<Text>),
    /// Of a path, or of what is open.
    Set(Text, Set),
    SetOpen(H, Set),
    /// An extension that nobody knows here.
    Extended(Text),
}

impl<H> Small<H> {
    /// Whether this is an answer to it.
    pub(super) const fn fits(&self, answer: u8) -> bool {
        if answer == kind::STATUS {
            return true;
        }
        match self {
            Self::Read(_) => answer == kind::DATA,
            Self::Write(..) | Self::Close(_) => false,
            Self::Other(Answers::Attributes) => answer == kind::ATTRS,
            Self::Other(Answers::Names) => answer == kind::NAME,
            Self::Other(Answers::Handle) => answer == kind::HANDLE,
            Self::Other(Answers::Extended) => matches!(answer, kind::EXTENDED_REPLY | kind::NAME),
        }
    }

    /// With another name of what is open.
    pub(super) fn named<T>(
        self,
        mut name: impl FnMut(H) -> Result<T, Malformed>,
    ) -> Result<Small<T>, Malformed> {
        Ok(match self {
            Self::Read(handle) => Small::Read(name(handle)?),
            Self::Write(handle, bytes) => Small::Write(name(handle)?, bytes),
            Self::Close(handle) => Small::Close(name(handle)?),
            Self::Other(answers) => Small::Other(answers),
        })
    }
}

impl<H> Told<H> {
    /// Whether this is an answer to it.
    pub(super) const fn fits(&self, answer: u8) -> bool {
        match self {
            _ if answer == kind::STATUS => true,
            Self::Open(..) => answer == kind::HANDLE,
            Self::Extended(_) => matches!(answer, kind::EXTENDED_REPLY | kind::NAME | kind::ATTRS),
            Self::Copy(..) | Self::Done(..) | Self::Set(..) | Self::SetOpen(..) => false,
        }
    }

    /// How many bytes of names it has.
    pub(super) fn names(&self) -> usize {
        match self {
            Self::Open(path, _) | Self::Set(path, _) | Self::Extended(path) => path.len(),
            Self::Done(_, path, to) => path.len() + to.as_ref().map_or(0, |to| to.len()),
            Self::Copy(..) | Self::SetOpen(..) => 0,
        }
    }

    /// How much is kept of it, with all that its answer may add: so that no answer can be too much.
    pub(super) fn size(&self) -> usize {
        let answer = if matches!(self, Self::Open(..)) {
            HANDLE + EACH
        } else {
            0
        };
        self.names() + EACH + answer
    }

    /// With another name of what is open.
    pub(super) fn named<T>(
        self,
        mut name: impl FnMut(H) -> Result<T, Malformed>,
    ) -> Result<Told<T>, Malformed> {
        Ok(match self {
            Self::Copy(from, to, bytes) => Told::Copy(name(from)?, name(to)?, bytes),
            Self::SetOpen(handle, set) => Told::SetOpen(name(handle)?, set),
            Self::Open(path, flags) => Told::Open(path, flags),
            Self::Done(did, path, to) => Told::Done(did, path, to),
            Self::Set(path, set) => Told::Set(path, set),
            Self::Extended(name) => Told::Extended(name),
        })
    }
}

/// Reads a request, behind its number.
pub(super) fn read(kind: u8, mut fields: Reader<'_>) -> Result<Request<&[u8]>, Malformed> {
    let mut path = || fields.string().map(readable);
    Ok(Request::Told(match kind {
        kind::OPEN => Told::Open(path()?, fields.u32()?),
        kind::SETSTAT => Told::Set(path()?, set(fields)?),
        kind::REMOVE => Told::Done("remove", path()?, None),
        kind::MKDIR => Told::Done("mkdir", path()?, None),
        kind::RMDIR => Told::Done("rmdir", path()?, None),
        kind::RENAME => Told::Done("rename", path()?, Some(path()?)),
        kind::SYMLINK => Told::Done("symlink", path()?, Some(path()?)),
        kind::FSETSTAT => Told::SetOpen(fields.string()?, set(fields)?),
        kind::EXTENDED => return extended(fields),
        _ => return small(kind, fields).map(Request::Small),
    }))
}

fn small(kind: u8, mut fields: Reader<'_>) -> Result<Small<&[u8]>, Malformed> {
    Ok(match kind {
        kind::CLOSE => Small::Close(fields.string()?),
        kind::READ => Small::Read(fields.string()?),
        kind::WRITE => {
            let handle = fields.string()?;
            fields.u64()?;
            Small::Write(handle, fields.u32()?)
        }
        kind::OPENDIR => Small::Other(Answers::Handle),
        kind::STAT | kind::LSTAT | kind::FSTAT => Small::Other(Answers::Attributes),
        kind::READDIR | kind::REALPATH | kind::READLINK => Small::Other(Answers::Names),
        // There are no others in this version.
        _ => return Err(Malformed),
    })
}

fn extended(mut fields: Reader<'_>) -> Result<Request<&[u8]>, Malformed> {
    let name = fields.string()?;
    if HARMLESS.contains(&name) {
        return Ok(Request::Small(Small::Other(Answers::Extended)));
    }
    let mut path = || fields.string().map(readable);
    Ok(Request::Told(match name {
        b"posix-rename@openssh.com" => Told::Done("rename", path()?, Some(path()?)),
        b"hardlink@openssh.com" => Told::Done("link", path()?, Some(path()?)),
        b"lsetstat@openssh.com" => Told::Set(path()?, set(fields)?),
        b"copy-data" => {
            let from = fields.string()?;
            fields.u64()?;
            let bytes = fields.u64()?;
            Told::Copy(from, fields.string()?, bytes)
        }
        other => Told::Extended(readable(other)),
    }))
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
