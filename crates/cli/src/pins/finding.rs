//! What can be wrong with a log that is shown, and what each finding proves to somebody else. Not all of them prove that there are two
//! logs: an older checkpoint is genuine, a proof may have been spoilt on the way, and anybody can write a note of their own.

use daypass_core::time::Timestamp;
use daypass_tlog::Checkpoint;
use daypass_tlog::key::Verifier;
use daypass_tlog::witness::Refusal;

use super::pinned::Largest;
use super::shown::Shown;
use crate::human::instant;

/// Why a log is not the one that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Two heads of one size, each signed.
    TwoHeads,
    /// It has fewer entries.
    WentBack,
    /// It has more, and the proof that it goes on does not hold.
    NotGoingOn,
    /// It is signed by nobody who may.
    OtherKey,
    /// It was signed, and is no more.
    Unsigned,
    /// A key was given, and nothing of the log is signed.
    NeverSigned,
    /// A key announced the next one in another log than is shown.
    OtherAnnouncement,
    /// What is shown is no checkpoint of this log.
    NoCheckpoint,
}

impl Finding {
    /// What a proposal was refused for.
    pub(super) const fn of(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Smaller { .. } => Self::WentBack,
            Refusal::Twice(_) => Self::TwoHeads,
            Refusal::Forked(_) | Refusal::Stale(_) => Self::NotGoingOn,
            Refusal::Origin(_) | Refusal::Malformed(_) | Refusal::Unverified(_) => Self::NoCheckpoint,
        }
    }

    /// In words.
    pub(crate) const fn what(self) -> &'static str {
        match self {
            Self::TwoHeads => "its log is another one: there are two checkpoints of the same size",
            Self::WentBack => "its log went back: it has fewer entries than it had when it was seen last",
            Self::NotGoingOn => "its log is another one: it does not go on from what was seen last",
            Self::OtherKey => {
                "its log is not signed by the key that it was signed by before, or that was given, nor by one that this key announced"
            }
            Self::Unsigned => "its log was signed when it was seen last, and nothing of it is signed now",
            Self::NeverSigned => "a key of its log was given, and nothing of its log is signed",
            Self::OtherAnnouncement => "its log is not the one in which its key announced the next one",
            Self::NoCheckpoint => "what it shows is no checkpoint of the log that was seen",
        }
    }

    /// What it proves to somebody to whom it is shown.
    pub(crate) const fn proves(self) -> &'static str {
        match self {
            Self::TwoHeads => {
                "both are signed, of one size and differ: that proves to anybody who has the key that whoever holds it signed two logs"
            }
            Self::WentBack => {
                "the smaller one may be genuine and older: that proves what this log had, not that there is another one"
            }
            Self::NotGoingOn => {
                "they are of two sizes, and a proof that does not hold may have been spoilt on the way: whoever has the whole log can tell"
            }
            Self::OtherKey => "a note of another key proves nothing: anybody can write one",
            Self::Unsigned | Self::NeverSigned | Self::NoCheckpoint => {
                "nothing that is shown is signed: it proves nothing to others"
            }
            Self::OtherAnnouncement => {
                "the announcement is signed, and what is shown does not follow from it: whoever has the whole log can tell"
            }
        }
    }

    /// What to do: `accept` is the command that goes on from what is shown now.
    pub(super) fn hint(self, accept: &str) -> String {
        match self {
            Self::OtherKey => format!(
                "ask whoever runs the server for log-key.pub, by another way than through it. A key that was rotated leads to the next one; one that \
                 was lost, replaced or stolen leads nowhere: {accept} --key log-key.pub"
            ),
            Self::NeverSigned => String::from(
                "ask whoever runs the server why its log is not signed. Where it never was, do without DAYPASS_LOG_KEY",
            ),
            _ => format!(
                "ask whoever runs the server what happened, by another way than through it. Where what was lost is explained: {accept}"
            ),
        }
    }
}

/// What was seen and what is shown, a line each.
pub(crate) fn told(seen: Option<&Largest>, shown: Option<&Shown>) -> Vec<String> {
    let of = |checkpoint: &Checkpoint, at: Timestamp| {
        let head = daypass_core::text::Hash::from_bytes(checkpoint.head);
        format!("{} entries, head {head}, on {}", checkpoint.size, instant(at))
    };
    let mut lines = Vec::new();
    if let Some(seen) = seen {
        lines.push(format!("seen:  {}", of(&seen.checkpoint, seen.at)));
        lines.push(format!("       signed by {}", seen.key));
    }
    if let Some(shown) = shown {
        lines.push(match shown.unverified() {
            Some(checkpoint) => format!("shown: {}", of(&checkpoint, shown.at)),
            None => String::from("shown: what is no checkpoint"),
        });
        let signatures = shown.note().signatures().iter();
        let by: Vec<&str> = signatures.map(|signature| signature.name().as_str()).collect();
        lines.push(format!("       with signatures in the name of {}", by.join(", ")));
    } else {
        lines.push(String::from("shown: nothing"));
    }
    lines
}

/// How what is shown, and by which key, differs from what was seen: what must be understood before it is accepted, a line each.
/// Empty where it goes on from it.
pub(crate) fn differences(seen: &Largest, shown: Option<(&Shown, &Verifier)>) -> Vec<String> {
    let Some((shown, key)) = shown else {
        return vec![String::from("NOTHING OF THE LOG IS SIGNED ANY MORE")];
    };
    let mut lines = Vec::new();
    if *key != seen.key {
        lines.push(format!("THE KEY IS ANOTHER ONE: it was {}", seen.key));
        lines.push(format!("                        and is {key}"));
        lines.push(String::from(
            "Compare it with log-key.pub, from whoever runs the server",
        ));
    }
    let Err(finding) = shown.check(key, Some(&seen.checkpoint)) else {
        return lines;
    };
    let sizes = shown.unverified().map(|now| (seen.checkpoint.size, now.size));
    lines.push(match (finding, sizes) {
        (Finding::WentBack, Some((was, is))) => format!(
            "THE LOG WENT BACK by {} entries: what happened in them is lost, or is kept from you",
            was.saturating_sub(is)
        ),
        (Finding::WentBack | Finding::TwoHeads | Finding::NotGoingOn, _) => {
            format!("IT IS ANOTHER LOG: {} ({})", finding.what(), finding.proves())
        }
        _ => finding.what().to_owned(),
    });
    lines
}
