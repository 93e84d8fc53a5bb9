//! From the key that a verifier has to the one that signed: by the announcements of the keys in between, none of them believed unproved.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_api::log::KeyLink;
use daypass_core::event::{Event, Subject, What};
use daypass_core::key::{Event as KeyEvent, Key};
use daypass_tlog::key::Verifier;
use daypass_tlog::succession::{Announcement, Successor, successors};
use daypass_tlog::{Checkpoint, Marks};

use super::reader::unsound;
use super::source::Source;
use super::trust::{self, Whose};
use crate::context::Context;
use crate::failure::Failure;

/// A checkpoint that is believed.
#[derive(Debug)]
pub(super) struct Believed {
    pub(super) checkpoint: Checkpoint,
    /// Who signed it.
    pub(super) key: Verifier,
    /// How one came to that key from one that was given; empty where it is one of these.
    pub(super) followed: Vec<Successor>,
}

/// The checkpoint in a note that one of these keys signed, or one that they lead to.
///
/// # Errors
/// Where it is none, or of nobody that is believed.
pub(super) fn signed(note: &[u8], keys: &[Verifier], links: &[KeyLink]) -> Result<Believed, Failure> {
    let why = match trust::signed(note, keys) {
        Ok((checkpoint, key)) => {
            return Ok(Believed {
                checkpoint,
                key,
                followed: Vec::new(),
            });
        }
        Err(why) => why,
    };
    // Of the log's first key, anything can be shown that its file still says; what cannot be read announces nothing.
    let shown: Vec<Announcement> = links.iter().filter_map(announcement).collect();
    for key in keys {
        let mut followed = successors(key, &shown);
        while let Some(last) = followed.last() {
            if let Ok((checkpoint, key)) = trust::signed(note, std::slice::from_ref(&last.key)) {
                return Ok(Believed {
                    checkpoint,
                    key,
                    followed,
                });
            }
            followed.pop();
        }
    }
    Err(unsound(&format!("the checkpoint: {why}")).hint(
        "where the log's key was rotated, your key must be one that announced the next; daypass keys ls shows the present one, and the \
         operator gives it to you; docs/audit.md says what each finding means",
    ))
}

/// The same where the announcements are beside the log; they are asked for only where none of the keys signed it.
///
/// # Errors
/// As [`signed`], and where they cannot be read.
pub(super) async fn believed(source: &Source, note: &[u8], keys: &[Verifier]) -> Result<Believed, Failure> {
    let links = match trust::signed(note, keys) {
        Ok(_) => Vec::new(),
        Err(_) => source.links().await?,
    };
    signed(note, keys, &links)
}

/// The heads that the log must have had: those that somebody saw, that witnesses signed, and that a key signed when it announced the next.
///
/// # Errors
/// Where they are two of one size.
pub(super) fn seen(
    seen: &[Checkpoint],
    witnessed: Option<&Checkpoint>,
    believed: &Believed,
) -> Result<Marks<Whose>, Failure> {
    let mut marks = trust::marks(seen)?;
    if let Some(Checkpoint { size, head, .. }) = witnessed {
        marks.add(*size, *head, Whose::Witnesses).map_err(|_two| {
            unsound(&format!(
                "there are two checkpoints of {size} entries: one that you saw, and one that the witnesses signed"
            ))
        })?;
    }
    for one in &believed.followed {
        let Checkpoint { size, head, .. } = one.checkpoint;
        marks.add(size, head, Whose::Keys).map_err(|_two| {
            unsound(&format!(
                "there are two checkpoints of {size} entries: one that somebody saw, and one by which {} announced the next key",
                one.from
            ))
        })?;
    }
    Ok(marks)
}

/// As the verifier of announcements takes it; `None` where it cannot be read.
pub(crate) fn announcement(link: &KeyLink) -> Option<Announcement> {
    let hash = |text: &String| STANDARD.decode(text).ok()?.try_into().ok();
    Some(Announcement {
        note: link.checkpoint.clone().into_bytes(),
        index: link.entry.index,
        entry: STANDARD.decode(&link.entry.entry).ok()?,
        proof: link.entry.proof.iter().map(hash).collect::<Option<_>>()?,
    })
}

/// Says by which way one came to the key that signed.
pub(super) fn tell(context: &Context, followed: &[Successor]) {
    for one in followed {
        context.out.note(format!(
            "the key that you gave, or that it led to, {}, announced {} in entry {}: the log's key was rotated. If {} was ever stolen, \
             that proves nothing; have the present key from the operator",
            one.from,
            one.key,
            one.index,
            one.from.name()
        ));
    }
}

/// What the log says of its keys, from its first entry to its last.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Keys that sign no more, the place of the entry, and whether somebody else may have them.
    withdrawn: Vec<(String, u64, bool)>,
    /// The next key, while it signs beside the present one or will.
    pub(super) next: Option<(String, u64)>,
}

impl Told {
    pub(super) fn take(&mut self, index: u64, event: &Event) {
        let (Subject::Key(Key::Log), What::Key(what)) = (&event.subject, &event.what) else {
            return;
        };
        match what {
            KeyEvent::Staged { next } => self.next = Some((next.clone(), index)),
            KeyEvent::Withdrawn { old, early } => {
                self.withdrawn.push((old.clone(), index, *early));
                self.next = None;
            }
            KeyEvent::Changed { .. } | KeyEvent::Resealed { .. } => {}
        }
    }

    /// Whether the log itself speaks against the key that signed it, or against the way to it.
    ///
    /// # Errors
    /// Where it does.
    pub(super) fn check(&self, believed: &Believed) -> Result<(), Failure> {
        let key = believed.key.to_string();
        if let Some((_, index, _)) = self.withdrawn.iter().find(|(gone, _, _)| *gone == key) {
            return Err(unsound(&format!(
                "its checkpoint is signed by {key}, which the log took out of use in entry {index}"
            )));
        }
        for one in &believed.followed {
            let from = one.from.to_string();
            let stolen = self
                .withdrawn
                .iter()
                .find(|(gone, _, stolen)| *stolen && *gone == from);
            if let Some((_, index, _)) = stolen {
                return Err(unsound(&format!(
                    "it is signed by {key}, and the key that leads there, {from}, was taken out of use as stolen in entry {index}"
                ))
                .hint("have the log's present key from the operator: daypass audit verify --key NEW"));
            }
        }
        Ok(())
    }
}
