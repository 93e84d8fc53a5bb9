//! The form of a chunk: an age file whose text is a heading and lines, and whose envelope says in clear which chunk it is.
//!
//! The heading is `#daypass-recording <recording> <number> <first> <last> <before> <more|last> <salt>`; asciicast v3 takes such a line as
//! a comment. The same words stand in the envelope as a stanza that age's own programs pass over, with the chain's value and a mark that
//! only the server can make: so a chunk that was stored and not logged is known again by a server that cannot open it.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};

use age_core::format::{FileKey, Stanza};
use bytes::Bytes;

use crate::digest::Digest;
use crate::error::Error;
use crate::fault::Fault;
use crate::keys::{Identities, Recipients, ServerKey};
use crate::place::{Place, WORDS};
use crate::sealed::Sealed;

/// How the heading begins.
const HEADING: &str = "#daypass-recording";

/// The stanza's tag.
const TAG: &str = "daypass-recording-chunk";

/// What the server's key is used for, so that no value serves for another purpose.
const SALT: &str = "daypass recording salt 1";
const MARK: &str = "daypass recording chunk 1";

/// How many bytes of an age file are searched for its envelope. Ours with a hundred recipients has 20 KB.
const ENVELOPE: usize = 64 << 10;

/// Seals lines. The randomness of the file's key is age's own, from the operating system: it cannot be handed in.
pub(crate) fn seal(
    place: &Place,
    lines: &[String],
    recipients: &Recipients,
    key: &ServerKey,
) -> Result<(Bytes, Sealed), Error> {
    let plain = plain(place, lines, key)?;
    let chain = place.before.chain(&plain);
    let stanza = InClear::new(place, chain, key).ok_or(Error::Seal)?;
    let all = recipients
        .iter()
        .chain(std::iter::once(&stanza as &dyn age::Recipient));
    let seal = || -> std::io::Result<Vec<u8>> {
        let encryptor = age::Encryptor::with_recipients(all).map_err(std::io::Error::other)?;
        let mut out = encryptor.wrap_output(Vec::with_capacity(plain.len() + 4096))?;
        out.write_all(&plain)?;
        out.finish()
    };
    let bytes = Bytes::from(seal().map_err(|_| Error::Seal)?);
    let sealed = Sealed {
        recording: place.recording.clone(),
        number: place.number,
        first: place.first,
        last: place.last,
        sealed: Digest::of(&bytes),
        chain,
        bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        is_last: place.is_last,
    };
    Ok((bytes, sealed))
}

fn plain(place: &Place, lines: &[String], key: &ServerKey) -> Result<Vec<u8>, Error> {
    let words = place.words();
    let salt = key.mark(SALT, &words).ok_or(Error::Seal)?;
    let mut plain = format!("{HEADING} {} {salt}\n", words.join(" ")).into_bytes();
    for line in lines {
        plain.extend_from_slice(line.as_bytes());
        plain.push(b'\n');
    }
    Ok(plain)
}

/// Opens a chunk whose stored bytes are those of the log, and holds what it says against its place.
pub(crate) fn open(
    bytes: &[u8],
    logged: &Sealed,
    place: &Place,
    identities: &Identities,
) -> Result<Vec<String>, Fault> {
    let number = logged.number;
    let unreadable = |_| Fault::Unreadable { number };
    let decryptor = age::Decryptor::new_buffered(bytes).map_err(unreadable)?;
    let mut reader = decryptor
        .decrypt(identities.iter())
        .map_err(|error| match error {
            age::DecryptError::NoMatchingKeys => Fault::WrongKey { number },
            _ => Fault::Unreadable { number },
        })?;
    let mut plain = Vec::with_capacity(bytes.len());
    reader
        .read_to_end(&mut plain)
        .map_err(|_| Fault::Unreadable { number })?;
    if place.before.chain(&plain) != logged.chain {
        return Err(Fault::OtherText { number });
    }
    let text = String::from_utf8(plain).map_err(|_| Fault::OtherText { number })?;
    lines(&text, place).ok_or(Fault::OtherText { number })
}

/// The lines of a text whose heading is that of the place; nothing where it is not, or they are not as many as it says.
fn lines(text: &str, place: &Place) -> Option<Vec<String>> {
    let (heading, body) = text.split_once('\n')?;
    let words: Vec<_> = heading
        .strip_prefix(HEADING)?
        .strip_prefix(' ')?
        .split(' ')
        .collect();
    let (_salt, words) = words.split_last()?;
    if Place::read(words)? != *place {
        return None;
    }
    let lines: Vec<_> = body.split_terminator('\n').map(str::to_owned).collect();
    let complete = body.is_empty() || body.ends_with('\n');
    (complete && place.lines() == u64::try_from(lines.len()).ok()).then_some(lines)
}

/// What the envelope says in clear, whoever wrote it.
pub(crate) struct InClear {
    pub(crate) place: Place,
    pub(crate) chain: Digest,
    mark: String,
}

impl InClear {
    fn new(place: &Place, chain: Digest, key: &ServerKey) -> Option<Self> {
        Some(Self {
            mark: key.mark(MARK, &marked(place, chain))?,
            place: place.clone(),
            chain,
        })
    }

    /// From the bytes of a chunk. The format is that of <https://c2sp.org/age>: lines, of which those that begin with `->` open a
    /// stanza, and the one that begins with `---` ends them all.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let envelope = bytes.get(..ENVELOPE).unwrap_or(bytes);
        let line = envelope
            .split(|byte| *byte == b'\n')
            .take_while(|line| !line.starts_with(b"---"))
            .filter_map(|line| std::str::from_utf8(line).ok()?.strip_prefix("-> "))
            .find(|line| line.split(' ').next() == Some(TAG))?;
        let words: Vec<_> = line.split(' ').skip(1).collect();
        let (place, rest) = words.split_at_checked(WORDS)?;
        let &[chain, mark] = rest else {
            return None;
        };
        Some(Self {
            place: Place::read(place)?,
            chain: chain.parse().ok()?,
            mark: mark.to_owned(),
        })
    }

    /// Whether a server with this key wrote it. That the text is the one that it speaks of, only who opens the chunk sees.
    pub(crate) fn is_ours(&self, key: &ServerKey) -> bool {
        key.knows(MARK, &marked(&self.place, self.chain), &self.mark)
    }
}

fn marked(place: &Place, chain: Digest) -> Vec<String> {
    let mut words = place.words().to_vec();
    words.push(chain.to_string());
    words
}

/// A stanza that gives nobody the file's key. age authenticates it with the others, by the key that it does not get.
impl age::Recipient for InClear {
    fn wrap_file_key(&self, _: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        let mut args = marked(&self.place, self.chain);
        args.push(self.mark.clone());
        let stanza = Stanza {
            tag: TAG.to_owned(),
            args,
            body: Vec::new(),
        };
        Ok((vec![stanza], HashSet::new()))
    }
}
