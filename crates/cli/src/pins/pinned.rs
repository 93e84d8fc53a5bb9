//! What is pinned of a log: the key, and the largest checkpoint that was seen. The one place where it is made and read.

use daypass_core::time::{Span, Timestamp};
use daypass_tlog::key::Verifier;
use daypass_tlog::{Checkpoint, Note};
use serde::{Deserialize, Serialize};

/// How long a former key counts alone after it was seen to sign beside the present one: time enough for an operator to bring the new key to
/// every server. Afterwards whoever shows nothing but the former key's signatures is another one.
pub(super) const OVERLAP: Span = Span::hours(30 * 24);

/// A checkpoint that must not be gone back behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pinned {
    /// The log's public key, as its line.
    pub(crate) key: String,
    /// Whether somebody gave the key, or it is the one that the server showed first.
    pub(crate) given: bool,
    /// Since when this key is pinned.
    pub(crate) since: Timestamp,
    /// The largest checkpoint that was seen, as this key signed it.
    pub(crate) checkpoint: String,
    /// When.
    pub(crate) seen_at: Timestamp,
    /// The keys that led to this one by their announcements, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) led: Vec<String>,
    /// When the last of them was seen to sign beside this one; nothing once this one was seen to sign alone. While both are in use, a
    /// server may lack the new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) beside_at: Option<Timestamp>,
    /// A larger checkpoint, which the former key signed alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by_former: Option<ByFormer>,
}

/// A checkpoint of the key that announced the pinned one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ByFormer {
    /// As it was signed.
    pub(crate) checkpoint: String,
    /// When it was seen.
    pub(crate) seen_at: Timestamp,
}

/// The largest checkpoint of a pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Largest {
    /// The pinned key, which need not have signed it: the former one may.
    pub(crate) key: Verifier,
    /// What it says.
    pub(crate) checkpoint: Checkpoint,
    /// As it was signed.
    pub(crate) note: String,
    /// When it was seen.
    pub(crate) at: Timestamp,
}

impl Largest {
    /// Whether this note says the same of the log, whoever signed it.
    pub(super) fn says(&self, note: &Note) -> bool {
        Note::parse(self.note.as_bytes()).is_ok_and(|own| own.text() == note.text())
    }
}

impl Pinned {
    /// What is pinned of a note that this key signed, seen now; `led` are the keys that led there, and `before` is what was pinned.
    pub(crate) fn new(
        (key, given): (&Verifier, bool),
        led: Vec<String>,
        note: &Note,
        now: Timestamp,
        before: Option<&Self>,
    ) -> Self {
        let same = before.filter(|before| before.key == key.to_string());
        let last: Option<Verifier> = led.last().and_then(|key| key.parse().ok());
        let both = last.is_some_and(|last| note.verify(&last).is_ok());
        Self {
            key: key.to_string(),
            given: given || same.is_some_and(|before| before.given),
            since: same.map_or(now, |before| before.since),
            checkpoint: note.to_string(),
            seen_at: now,
            led,
            beside_at: both.then_some(now),
            by_former: None,
        }
    }

    /// The key that announced this one, while it counts alone.
    pub(crate) fn former(&self, now: Timestamp) -> Option<Verifier> {
        let both = self.beside_at.filter(|both| now.since(*both) <= OVERLAP);
        let last = self.led.last().filter(|_| both.is_some());
        last.and_then(|key| key.parse().ok())
    }

    /// The key, and the largest checkpoint that it or the former key signed.
    ///
    /// # Errors
    /// Where the file was changed by hand: they did not sign it.
    pub(crate) fn read(&self) -> Result<Largest, String> {
        let key: Verifier = parsed(&self.key)?;
        let of = |note: &str, by: &Verifier| {
            let (checkpoint, _) =
                daypass_tlog::signed(note.as_bytes(), [by]).map_err(|error| error.to_string())?;
            Ok::<_, String>(checkpoint)
        };
        let own = Largest {
            checkpoint: of(&self.checkpoint, &key)?,
            note: self.checkpoint.clone(),
            at: self.seen_at,
            key,
        };
        let (Some(beyond), Some(former)) = (&self.by_former, self.led.last()) else {
            return Ok(own);
        };
        let checkpoint = of(&beyond.checkpoint, &parsed(former)?)?;
        if checkpoint.size <= own.checkpoint.size {
            return Ok(own);
        }
        Ok(Largest {
            checkpoint,
            note: beyond.checkpoint.clone(),
            at: beyond.seen_at,
            ..own
        })
    }
}

fn parsed(key: &str) -> Result<Verifier, String> {
    key.parse()
        .map_err(|error: daypass_tlog::key::NoKey| error.to_string())
}
