//! Proofs that a leaf is in a tree, and that one tree is the beginning of another (RFC 6962, sections 2.1.1 and 2.1.2; verified as
//! RFC 9162, sections 2.1.3.2 and 2.1.4.2, says).
//!
//! Who proves may have to fetch hashes from a store or over a network, so a [`Proof`] first says which it needs and is then
//! [built](Proof::build) from them. Who verifies needs nothing but the proof itself.

use crate::tree::{Hash, Tree, node};

/// A complete subtree: that of the leaves from `index << level`, `1 << level` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subtree {
    /// How high it is; 0 is a leaf.
    pub level: u8,
    /// Which of its level, from the left, counted from 0.
    pub index: u64,
}

impl Subtree {
    /// The complete subtrees that a tree of `size` leaves is made of, largest first: those of its peaks.
    #[must_use]
    pub fn peaks(size: u64) -> Vec<Self> {
        subtrees(0, size)
    }
}

/// What a proof consists of: for each of its hashes the complete subtrees that it is made of, left to right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof(Vec<Vec<Subtree>>);

/// Why something is not proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The leaf is beyond the tree, or the older tree is the larger one.
    #[error("there is no such proof: {part} is not within a tree of {size} leaves")]
    NotWithin {
        /// The leaf's index or the older tree's size.
        part: u64,
        /// The tree's size.
        size: u64,
    },
    /// More or fewer hashes than this proof has.
    #[error("the proof has another length than one for these sizes")]
    Length,
    /// The hashes lead elsewhere.
    #[error("the proof leads to another tree head")]
    Head,
}

/// The complete subtrees that the leaves `from..to` are made of, left to right. `from` is where a subtree of the tree begins.
fn subtrees(from: u64, to: u64) -> Vec<Subtree> {
    let mut found = Vec::new();
    let mut at = from;
    while let Some(left) = to.checked_sub(at).filter(|left| *left > 0) {
        let level = at.trailing_zeros().min(left.ilog2());
        found.push(Subtree {
            level: u8::try_from(level).unwrap_or(u8::MAX),
            index: at >> level,
        });
        at += 1 << level;
    }
    found
}

/// The largest power of two that is less than `size`, which is more than 1.
const fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

impl Proof {
    /// That the leaf at `index` is in the tree of `size` leaves. Its hashes are those beside the leaf's way up, lowest first.
    ///
    /// # Errors
    /// Where the tree has no such leaf.
    pub fn of_inclusion(index: u64, size: u64) -> Result<Self, Invalid> {
        if index >= size {
            return Err(Invalid::NotWithin { part: index, size });
        }
        let mut beside = Vec::new();
        let (mut from, mut to) = (0, size);
        while to - from > 1 {
            let middle = from + split(to - from);
            if index < middle {
                beside.push(subtrees(middle, to));
                to = middle;
            } else {
                beside.push(subtrees(from, middle));
                from = middle;
            }
        }
        beside.reverse();
        Ok(Self(beside))
    }

    /// That the tree of `old` leaves is the beginning of the one of `size`. It is empty where either has no leaf, or both as many.
    ///
    /// # Errors
    /// Where the older tree is the larger one.
    pub fn of_consistency(old: u64, size: u64) -> Result<Self, Invalid> {
        if old > size {
            return Err(Invalid::NotWithin { part: old, size });
        }
        if old == 0 || old == size {
            return Ok(Self(Vec::new()));
        }
        let mut beside = Vec::new();
        let (mut from, mut to) = (0, size);
        // Down to the subtree that ends where the old tree ends.
        while to != old {
            let middle = from + split(to - from);
            if old <= middle {
                beside.push(subtrees(middle, to));
                to = middle;
            } else {
                beside.push(subtrees(from, middle));
                from = middle;
            }
        }
        // Where that is the whole old tree, who verifies knows its hash.
        if from > 0 {
            beside.push(subtrees(from, to));
        }
        beside.reverse();
        Ok(Self(beside))
    }

    /// Whose hashes are needed.
    pub fn needs(&self) -> impl Iterator<Item = Subtree> {
        self.0.iter().flatten().copied()
    }

    /// The proof's hashes, from those of the subtrees that it [needs](Self::needs); `None` where `hash` does not know one.
    #[must_use]
    pub fn build(&self, mut hash: impl FnMut(Subtree) -> Option<Hash>) -> Option<Vec<Hash>> {
        self.0
            .iter()
            .map(|parts| {
                let hashes: Option<Vec<Hash>> = parts.iter().map(|part| hash(*part)).collect();
                hashes?
                    .into_iter()
                    .rev()
                    .reduce(|right, left| node(&left, &right))
            })
            .collect()
    }
}

/// Whether the leaf with this hash stands at `index` in the tree of `size` leaves with this head.
///
/// # Errors
/// Where the proof does not show it.
pub fn verify_inclusion(
    (index, leaf): (u64, &Hash),
    (size, head): (u64, &Hash),
    proof: &[Hash],
) -> Result<(), Invalid> {
    if index >= size {
        return Err(Invalid::NotWithin { part: index, size });
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for beside in proof {
        if last == 0 {
            return Err(Invalid::Length);
        }
        if at & 1 == 1 || at == last {
            hash = node(beside, &hash);
            (at, last) = up_to_a_right_child(at, last);
        } else {
            hash = node(&hash, beside);
        }
        at >>= 1;
        last >>= 1;
    }
    ends(last, &[(hash, head)])
}

/// Whether the tree of the first size and head is the beginning of the second.
///
/// # Errors
/// Where the proof does not show it.
pub fn verify_consistency(
    (old, old_head): (u64, &Hash),
    (size, head): (u64, &Hash),
    proof: &[Hash],
) -> Result<(), Invalid> {
    if old > size {
        return Err(Invalid::NotWithin { part: old, size });
    }
    if old == 0 || old == size {
        // Every tree begins with the empty one, whose head is known.
        let empty = Tree::default().head();
        let of_old = if old == size { head } else { &empty };
        if !proof.is_empty() {
            return Err(Invalid::Length);
        }
        return ends(0, &[(*of_old, old_head)]);
    }
    let mut hashes = proof.iter();
    let (mut at, mut last) = (old - 1, size - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    // Of a complete old tree the hash is known, so that the proof leaves it out.
    let first = if old.is_power_of_two() {
        old_head
    } else {
        hashes.next().ok_or(Invalid::Length)?
    };
    let (mut of_old, mut of_new) = (*first, *first);
    for beside in hashes {
        if last == 0 {
            return Err(Invalid::Length);
        }
        if at & 1 == 1 || at == last {
            of_old = node(beside, &of_old);
            of_new = node(beside, &of_new);
            (at, last) = up_to_a_right_child(at, last);
        } else {
            of_new = node(&of_new, beside);
        }
        at >>= 1;
        last >>= 1;
    }
    ends(last, &[(of_old, old_head), (of_new, head)])
}

/// At the right edge, the levels at which nothing stands beside.
const fn up_to_a_right_child(mut at: u64, mut last: u64) -> (u64, u64) {
    while at & 1 == 0 && at != 0 {
        at >>= 1;
        last >>= 1;
    }
    (at, last)
}

fn ends(last: u64, pairs: &[(Hash, &Hash)]) -> Result<(), Invalid> {
    if last != 0 {
        return Err(Invalid::Length);
    }
    let all = pairs.iter().all(|(found, wanted)| found == *wanted);
    all.then_some(()).ok_or(Invalid::Head)
}
