//! A log that was read and verified whole, with a key that somebody gave, is pinned too.

use daypass_core::time::Timestamp;
use daypass_tlog::Note;
use daypass_tlog::key::Verifier;

use super::TRIES;
use super::file::{Pin, PinFile};
use super::pinned::Pinned;

/// What was verified of a log.
pub(crate) struct Whole<'a> {
    /// Who signed it, by whom that key was given, or led to.
    pub(crate) key: &'a Verifier,
    /// The keys that led there; none where it was given itself.
    pub(crate) led: Vec<String>,
    /// How many entries it has.
    pub(crate) size: u64,
    /// Its checkpoint.
    pub(crate) note: Note,
}

impl PinFile {
    /// The log was read whole and goes on from what was seen: the key that it was held against is pinned from now on, as one that was given.
    /// What another command saw beyond it meanwhile stays.
    ///
    /// # Errors
    /// Where what was seen cannot be read or written.
    pub(crate) fn verified(&self, whole: &Whole<'_>, now: Timestamp) -> Result<(), String> {
        for _ in 0..TRIES {
            let before = self.read()?;
            let pinned = before.as_ref().and_then(|pin| pin.log.as_ref());
            let Some(log) = after(pinned, whole, now)? else {
                return Ok(());
            };
            let after = Pin {
                server: self.server.clone(),
                checked_at: now,
                log: Some(log),
                // That there were two logs is not undone by one of them that is whole.
                forked: before.as_ref().and_then(|pin| pin.forked.clone()),
            };
            if self.swap(before.as_ref(), &after)? {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// What is pinned then; `None` where nothing is to be changed.
fn after(before: Option<&Pinned>, whole: &Whole<'_>, now: Timestamp) -> Result<Option<Pinned>, String> {
    let Whole { key, led, size, note } = whole;
    let new = |key, led| Pinned::new((key, true), led, note, now, before);
    let Some(pinned) = before else {
        return Ok(Some(new(key, led.clone())));
    };
    let seen = pinned.read()?;
    let is_led = pinned.led.contains(&key.to_string());
    // Both sign, and the former one was given: from the new one it does not go back.
    let fresh = if is_led && note.verify(&seen.key).is_ok() {
        new(&seen.key, pinned.led.clone())
    } else if is_led {
        return Ok(None);
    } else if led.is_empty() && seen.key == **key {
        new(key, pinned.led.clone())
    } else {
        new(key, led.clone())
    };
    if seen.checkpoint.size <= *size {
        return Ok(Some(fresh));
    }
    // Another command has seen more meanwhile. By another key it stays as it is: what is verified next tells.
    Ok((fresh.key == pinned.key).then(|| Pinned {
        given: true,
        ..pinned.clone()
    }))
}
