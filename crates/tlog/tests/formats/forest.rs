//! A tree with all its nodes, to ask for any of them, and the same for the other implementation.

use daypass_tlog::proof::Subtree;
use daypass_tlog::{Hash, Tree, leaf, tile};
use tlog_tiles::HashReader;

/// The leaves that Certificate Transparency's reference implementation tests itself with.
pub(crate) const CT_LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];

/// Leaves' hashes.
pub(crate) struct Forest(pub(crate) Vec<Hash>);

impl Forest {
    /// Of so many different leaves.
    pub(crate) fn of(size: u64) -> Self {
        Self((0..size).map(|number| leaf(&entry(number))).collect())
    }

    pub(crate) fn ct() -> Self {
        Self(
            CT_LEAVES
                .iter()
                .map(|text| leaf(&hex::decode(text).unwrap()))
                .collect(),
        )
    }

    pub(crate) fn head(&self, size: u64) -> Hash {
        self.0[..usize::try_from(size).unwrap()]
            .iter()
            .copied()
            .collect::<Tree>()
            .head()
    }

    pub(crate) fn node(&self, subtree: Subtree) -> Option<Hash> {
        let begin = usize::try_from(subtree.index << subtree.level).unwrap();
        tile::root(self.0.get(begin..begin + (1 << subtree.level))?)
    }
}

pub(crate) fn entry(number: u64) -> Vec<u8> {
    format!("entry {number}").into_bytes()
}

/// The hashes as the other implementation keeps them.
pub(crate) struct Stored(Vec<tlog_tiles::Hash>);

impl Stored {
    pub(crate) fn of(size: u64) -> Self {
        let mut stored = Self(Vec::new());
        for number in 0..size {
            let hashes = tlog_tiles::stored_hashes(number, &entry(number), &stored).unwrap();
            stored.0.extend(hashes);
        }
        stored
    }
}

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        Ok(indexes
            .iter()
            .map(|index| self.0[usize::try_from(*index).unwrap()])
            .collect())
    }
}
