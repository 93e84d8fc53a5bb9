//! The file of one server's pin. It is private, replaced whole, and moved only from what it was compared with: of two commands
//! at once, the slower one does not put an older checkpoint back.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};
use daypass_tlog::key::Verifier;
use daypass_tlog::{Checkpoint, Note};
use serde::{Deserialize, Serialize};

/// How long a look at the log is good for: most commands make a few calls in a row, and many commands follow each other.
const FRESH: Span = Span::minutes(1);
/// More than any pin has, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// How many digits of an address's hash name its file.
const DIGITS: usize = 16;

/// What was seen of a server's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pin {
    /// The server's address.
    pub(crate) server: String,
    /// When it was looked at last, by this machine's clock.
    pub(crate) checked_at: Timestamp,
    /// What was seen; nothing where nothing was signed so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<Pinned>,
}

/// A checkpoint that must not be gone back behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pinned {
    /// The log's public key, as its line.
    pub(crate) key: String,
    /// Whether somebody gave the key, or it is the one that the server showed first.
    pub(crate) given: bool,
    /// Since when this key is pinned.
    pub(crate) since: Timestamp,
    /// The largest checkpoint that was seen, as it was signed.
    pub(crate) checkpoint: String,
    /// When.
    pub(crate) seen_at: Timestamp,
    /// The keys that led to this one by their announcements, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) led: Vec<String>,
    /// Whether the last of them signed this checkpoint too: while both are in use, a server may lack the new one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) beside: bool,
}

impl Pin {
    /// Whether it was looked at so short a time ago that it need not be again.
    pub(crate) fn is_fresh(&self, now: Timestamp) -> bool {
        is_fresh(self.checked_at, now)
    }
}

/// Whether the last of these keys signed it.
pub(crate) fn is_beside(note: &Note, led: &[String]) -> bool {
    let last: Option<Verifier> = led.last().and_then(|key| key.parse().ok());
    last.is_some_and(|last| note.verify(&last).is_ok())
}

/// Whether a look is good for now.
pub(super) fn is_fresh(looked_at: Timestamp, now: Timestamp) -> bool {
    looked_at <= now && now.since(looked_at) < FRESH
}

impl Pinned {
    /// The key that announced this one, while it is in use.
    pub(crate) fn former(&self) -> Option<Verifier> {
        let last = self.led.last().filter(|_| self.beside);
        last.and_then(|key| key.parse().ok())
    }

    /// The key, and the checkpoint that it signed.
    ///
    /// # Errors
    /// Where the file was changed by hand: the key did not sign it.
    pub(crate) fn read(&self) -> Result<(Verifier, Checkpoint), String> {
        let key: Verifier = self
            .key
            .parse()
            .map_err(|error: daypass_tlog::key::NoKey| error.to_string())?;
        let note = Note::parse(self.checkpoint.as_bytes()).map_err(|error| error.to_string())?;
        note.verify(&key).map_err(|error| error.to_string())?;
        let checkpoint = note.text().parse();
        let checkpoint =
            checkpoint.map_err(|error: daypass_tlog::checkpoint::Malformed| error.to_string())?;
        Ok((key, checkpoint))
    }
}

/// Where the pin of a server is kept.
#[derive(Debug, Clone)]
pub(crate) struct PinFile {
    folder: PathBuf,
    name: String,
    /// The server's address.
    pub(crate) server: String,
}

impl PinFile {
    /// That of the server with this address, in this folder.
    pub(crate) fn new(folder: &Path, server: &str) -> Self {
        let digits = Hash::of(server.as_bytes()).to_string();
        Self {
            folder: folder.to_owned(),
            name: digits.chars().take(DIGITS).collect(),
            server: server.to_owned(),
        }
    }

    /// The file.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.name))
    }

    /// The pin, where there is one.
    ///
    /// # Errors
    /// Where it cannot be read, or is none: nobody then knows what was seen.
    pub(crate) fn read(&self) -> Result<Option<Pin>, String> {
        let path = self.path();
        let wrong = |why: String| format!("{}: {why}", path.display());
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|error| wrong(error.to_string()))?,
        };
        let mut text = String::new();
        file.take(MAX_BYTES)
            .read_to_string(&mut text)
            .map_err(|error| wrong(error.to_string()))?;
        let pin = serde_json::from_str(&text).map_err(|error| wrong(format!("it is no pin: {error}")))?;
        Ok(Some(pin))
    }

    /// Puts `after` in the place of `before`; false where another command was faster.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn swap(&self, before: Option<&Pin>, after: &Pin) -> Result<bool, String> {
        let wrong = |error: std::io::Error| format!("{} cannot be written: {error}", self.path().display());
        let _turn = self.turn().map_err(wrong)?;
        if self.read()?.as_ref() != before {
            return Ok(false);
        }
        self.write(after).map_err(wrong)?;
        Ok(true)
    }

    /// Puts it in the place of whatever is there, because somebody said so.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn put(&self, pin: &Pin) -> Result<(), String> {
        let wrong = |error: std::io::Error| format!("{} cannot be written: {error}", self.path().display());
        let _turn = self.turn().map_err(wrong)?;
        self.write(pin).map_err(wrong)
    }

    /// One command at a time; the turn ends with the file that is returned.
    fn turn(&self) -> std::io::Result<File> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.folder.join(format!(".{}.lock", self.name)))?;
        lock.lock()?;
        Ok(lock)
    }

    fn write(&self, pin: &Pin) -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(pin)?;
        self.replace(&self.path(), &text)
    }

    /// Keeps what was seen and what is shown, to be shown to others; where.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn keep_evidence(&self, what: &serde_json::Value, same: &str) -> Result<PathBuf, String> {
        // The same finding, found again, is in the same file.
        let digits: String = Hash::of(same.as_bytes()).to_string().chars().take(8).collect();
        let path = self.folder.join(format!("{}.evidence-{digits}.json", self.name));
        if path.exists() {
            return Ok(path);
        }
        let wrong = |error: std::io::Error| format!("{} cannot be written: {error}", path.display());
        let _turn = self.turn().map_err(wrong)?;
        let text = serde_json::to_string_pretty(what).map_err(|error| wrong(error.into()))?;
        self.replace(&path, &text).map_err(wrong)?;
        Ok(path)
    }

    /// Written beside and moved over: whoever reads sees the old or the new.
    fn replace(&self, path: &Path, text: &str) -> std::io::Result<()> {
        let draft = self
            .folder
            .join(format!(".{}.{}.new", self.name, std::process::id()));
        // What a process of the same number left behind was never in force.
        match std::fs::remove_file(&draft) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn pin(size: i64) -> Pin {
        Pin {
            server: String::from("https://d.example.com"),
            checked_at: Timestamp::from_micros(size),
            log: None,
        }
    }

    #[test]
    fn the_slower_of_two_commands_puts_nothing_back() {
        let home = tempfile::tempdir().unwrap();
        let file = PinFile::new(&home.path().join("pins"), "https://d.example.com");
        assert_eq!(file.read(), Ok(None));
        assert_eq!(file.swap(None, &pin(1)), Ok(true));
        // Both have compared with the first.
        assert_eq!(file.swap(Some(&pin(1)), &pin(9)), Ok(true));
        assert_eq!(file.swap(Some(&pin(1)), &pin(5)), Ok(false));
        assert_eq!(file.read(), Ok(Some(pin(9))));
        assert_eq!(std::fs::metadata(file.path()).unwrap().mode() & 0o777, 0o600);
        let other = PinFile::new(&home.path().join("pins"), "https://e.example.com");
        assert_eq!(other.read(), Ok(None), "each server has its own");
    }

    #[test]
    fn many_commands_at_once_end_with_the_last_that_was_compared() {
        let home = tempfile::tempdir().unwrap();
        let file = PinFile::new(home.path(), "https://d.example.com");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        loop {
                            let before = file.read().unwrap();
                            let count = before.as_ref().map_or(0, |pin| pin.checked_at.micros());
                            if file.swap(before.as_ref(), &pin(count + 1)).unwrap() {
                                break;
                            }
                        }
                    }
                });
            }
        });
        assert_eq!(file.read(), Ok(Some(pin(200))), "none was lost");
    }

    #[test]
    fn a_broken_file_is_no_pin_and_not_the_same_as_none() {
        let home = tempfile::tempdir().unwrap();
        let file = PinFile::new(home.path(), "https://d.example.com");
        std::fs::write(file.path(), "{}").unwrap();
        assert!(file.read().is_err());
        assert!(file.swap(None, &pin(1)).is_err());
    }

    #[test]
    fn a_look_is_good_for_a_minute_and_a_clock_that_was_set_back_makes_it_old() {
        let at = Timestamp::from_micros(1_000_000_000);
        let pin = Pin {
            checked_at: at,
            ..pin(0)
        };
        assert!(pin.is_fresh(at + Span::seconds(59)));
        assert!(!pin.is_fresh(at + Span::seconds(60)));
        assert!(!pin.is_fresh(at - Span::seconds(1)));
    }
}
