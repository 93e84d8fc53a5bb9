//! Checkpoints (C2SP `tlog-checkpoint`): the size and head of a log's tree, as the text of a signed note.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::tree::{Hash, Tree};

/// A tree's size and head, of the log with this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: its name, by custom that of the key which signs it.
    pub origin: String,
    /// How many leaves the tree has.
    pub size: u64,
    /// Its head.
    pub head: Hash,
    /// Further lines. Daypass writes none.
    pub extensions: Vec<String>,
}

/// The text is no checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The first line is empty or missing.
    #[error("the checkpoint names no log")]
    Origin,
    /// The second line is no number, or written with zeros before it.
    #[error("the checkpoint's second line is no size of a tree")]
    Size,
    /// The third line is no SHA-256 in base64.
    #[error("the checkpoint's third line is no head of a tree")]
    Head,
    /// A further line is empty, or the last one has no end.
    #[error("the checkpoint's further lines are malformed")]
    Extension,
}

impl Checkpoint {
    /// That of a tree.
    #[must_use]
    pub fn of(origin: &str, tree: &Tree) -> Self {
        Self {
            origin: origin.to_owned(),
            size: tree.size(),
            head: tree.head(),
            extensions: Vec::new(),
        }
    }
}

impl FromStr for Checkpoint {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut lines = text.strip_suffix('\n').ok_or(Malformed::Extension)?.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty());
        let origin = origin.ok_or(Malformed::Origin)?.to_owned();
        let written = lines.next().ok_or(Malformed::Size)?;
        let size: u64 = written.parse().map_err(|_| Malformed::Size)?;
        if size.to_string() != written {
            return Err(Malformed::Size);
        }
        let head = lines.next().and_then(|line| STANDARD.decode(line).ok());
        let head = Hash::try_from(head.ok_or(Malformed::Head)?).map_err(|_| Malformed::Head)?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(Malformed::Extension);
        }
        Ok(Self {
            origin,
            size,
            head,
            extensions,
        })
    }
}

/// The text that is signed.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}\n{}\n{}",
            self.origin,
            self.size,
            STANDARD.encode(self.head)
        )?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
