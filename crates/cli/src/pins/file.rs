//! The file of one server's pin. It is private, replaced whole, and moved only from what it was compared with: of two commands
//! at once, the slower one does not put an older checkpoint back.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::pinned::Pinned;
use crate::durable;

/// How long a look at the log is good for: most commands make a few calls in a row, and many commands follow each other.
const FRESH: Span = Span::minutes(1);
/// More than any pin has, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// How many digits of an address's hash name its file.
const DIGITS: usize = 16;
/// How many findings of a server are kept. What was found first is what matters, and whoever answers in the server's place must not
/// fill the disk.
const MOST_EVIDENCE: usize = 32;
/// How many pins of other addresses are looked at, at the first use of an address.
const MOST_PINS: usize = 1000;

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
    /// That the server was proved to have two logs, which stands until somebody accepts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) forked: Option<Forked>,
}

/// A proof that there are two logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Forked {
    /// When it was found.
    pub(crate) at: Timestamp,
    /// What was seen and what was shown then, a line each.
    pub(crate) details: Vec<String>,
}

impl Pin {
    /// Whether it was looked at so short a time ago that it need not be again.
    pub(crate) fn is_fresh(&self, now: Timestamp) -> bool {
        is_fresh(self.checked_at, now)
    }
}

/// Whether a look is good for now.
pub(super) fn is_fresh(looked_at: Timestamp, now: Timestamp) -> bool {
    looked_at <= now && now.since(looked_at) < FRESH
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
        durable::replace(&self.path(), format!("{text}\n").as_bytes(), Some(0o600))
    }

    /// Keeps what was seen and what is shown, to be shown to others; where. `same` is what the same finding has in common when it is
    /// found again.
    ///
    /// # Errors
    /// Where it cannot be written, or so many are kept already that another one says little.
    pub(crate) fn keep_evidence(&self, what: &serde_json::Value, same: &str) -> Result<PathBuf, String> {
        let kept = self.evidence_of(same);
        if kept.exists() {
            return Ok(kept);
        }
        let prefix = format!("{}.evidence-", self.name);
        let there = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mine = there.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
        if mine.count() >= MOST_EVIDENCE {
            let folder = self.folder.display();
            return Err(format!(
                "{folder} has {MOST_EVIDENCE} findings about this server already"
            ));
        }
        self.keep(what, kept)
    }

    /// Keeps what somebody accepted, and why, however much is kept already; where.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn keep_accepted(&self, what: &serde_json::Value) -> Result<PathBuf, String> {
        self.keep(what, self.evidence_of(&what.to_string()))
    }

    fn evidence_of(&self, same: &str) -> PathBuf {
        let digits = Hash::of(same.as_bytes());
        self.folder.join(format!("{}.evidence-{digits}.json", self.name))
    }

    fn keep(&self, what: &serde_json::Value, path: PathBuf) -> Result<PathBuf, String> {
        let wrong = |error: std::io::Error| format!("{} cannot be written: {error}", path.display());
        let _turn = self.turn().map_err(wrong)?;
        let text = serde_json::to_string_pretty(what).map_err(|error| wrong(error.into()))?;
        durable::replace(&path, format!("{text}\n").as_bytes(), Some(0o600)).map_err(wrong)?;
        Ok(path)
    }

    /// What is pinned of servers at other addresses. What cannot be read is left out: it is a matter of those addresses.
    pub(crate) fn others(&self) -> Vec<Pin> {
        let there = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let pins = there.filter_map(|entry| {
            let name = entry.file_name().to_str()?.strip_suffix(".json")?.to_owned();
            let is_pin = name.len() == DIGITS && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            (is_pin && name != self.name).then_some(name)
        });
        let read = |name: String| {
            let other = Self { name, ..self.clone() };
            other.read().ok().flatten()
        };
        pins.take(MOST_PINS).filter_map(read).collect()
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
            forked: None,
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

    #[test]
    fn evidence_goes_by_the_whole_finding_and_does_not_fill_the_disk() {
        let home = tempfile::tempdir().unwrap();
        let file = PinFile::new(home.path(), "https://d.example.com");
        let what = serde_json::json!({"what": "x"});
        let first = file.keep_evidence(&what, "0").unwrap();
        let digits = Hash::of(b"0").to_string();
        assert!(first.to_string_lossy().contains(&digits), "{}", first.display());
        for n in 0..MOST_EVIDENCE {
            file.keep_evidence(&what, &n.to_string()).unwrap();
        }
        assert!(file.keep_evidence(&what, "one more").is_err());
        assert_eq!(file.keep_evidence(&what, "0"), Ok(first));
        file.keep_accepted(&what).unwrap();
        let other = PinFile::new(home.path(), "https://e.example.com");
        other.keep_evidence(&what, "0").unwrap();
    }

    #[test]
    fn pins_of_other_addresses_are_found_and_nothing_else_is_taken_for_one() {
        let home = tempfile::tempdir().unwrap();
        let file = PinFile::new(home.path(), "https://d.example.com");
        assert_eq!(file.others(), []);
        file.put(&pin(1)).unwrap();
        let other = PinFile::new(home.path(), "https://e.example.com");
        other.put(&pin(2)).unwrap();
        other.keep_evidence(&serde_json::json!(pin(3)), "x").unwrap();
        std::fs::write(home.path().join("0123456789abcdef.json"), "broken").unwrap();
        assert_eq!(file.others(), [pin(2)]);
    }
}
