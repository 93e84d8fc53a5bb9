//! Leaf hashes, node hashes and the tree's head (RFC 6962, section 2.1; unchanged in RFC 9162).
//!
//! A tree is kept as its peaks only, so that adding a leaf and telling the head cost O(log n) however long the log has become.

use sha2::{Digest as _, Sha256};

use crate::proof::Subtree;

/// A SHA-256.
pub type Hash = [u8; 32];

/// The hash of a leaf: SHA-256(0x00 ‖ bytes).
#[must_use]
pub fn leaf(bytes: &[u8]) -> Hash {
    Sha256::new()
        .chain_update([0])
        .chain_update(bytes)
        .finalize()
        .into()
}

/// The hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
#[must_use]
pub fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// A tree that grows at its right edge.
///
/// Its peaks are the roots of the complete subtrees that its size is made of, largest first: one for each 1 in the size's
/// binary form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    size: u64,
    peaks: Vec<Hash>,
}

/// The peaks do not belong to a tree of this size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a tree of {size} leaves has {} peaks, not {peaks}", size.count_ones())]
pub struct NoTree {
    size: u64,
    peaks: usize,
}

impl Tree {
    /// The tree of so many leaves with these peaks, largest first, as [`Self::peaks`] told them.
    ///
    /// # Errors
    /// Where the number of peaks does not fit the size.
    pub fn resume(size: u64, peaks: Vec<Hash>) -> Result<Self, NoTree> {
        let fits = u32::try_from(peaks.len()).is_ok_and(|count| count == size.count_ones());
        if fits {
            Ok(Self { size, peaks })
        } else {
            Err(NoTree {
                size,
                peaks: peaks.len(),
            })
        }
    }

    /// How many leaves it has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of its complete subtrees, largest first.
    #[must_use]
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Adds a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        self.push_telling(leaf, |_, _| ());
    }

    /// The same, and tells each subtree that it completes with its hash: from the leaf itself upwards.
    pub fn push_telling(&mut self, leaf: Hash, mut tell: impl FnMut(Subtree, Hash)) {
        let (mut hash, mut level) = (leaf, 0_u8);
        let at = |level: u8| Subtree {
            level,
            index: self.size >> level,
        };
        tell(at(level), hash);
        // As in adding 1 to a binary number: each trailing 1 of the size is a subtree that this leaf completes.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node(&left, &hash);
                level += 1;
                tell(at(level), hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The Merkle tree head: what a checkpoint signs. That of the empty tree is the SHA-256 of nothing.
    #[must_use]
    pub fn head(&self) -> Hash {
        let joined = self
            .peaks
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| node(&left, &right));
        joined.unwrap_or_else(|| Sha256::digest([]).into())
    }
}

impl Extend<Hash> for Tree {
    fn extend<I: IntoIterator<Item = Hash>>(&mut self, leaves: I) {
        leaves.into_iter().for_each(|leaf| self.push(leaf));
    }
}

impl FromIterator<Hash> for Tree {
    fn from_iter<I: IntoIterator<Item = Hash>>(leaves: I) -> Self {
        let mut tree = Self::default();
        tree.extend(leaves);
        tree
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The leaves and heads that Certificate Transparency's reference implementation tests itself with
    /// (google/certificate-transparency, `cpp/merkletree/merkle_tree_test.cc`).
    const LEAVES: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    const HEADS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn leaves(count: usize) -> impl Iterator<Item = Hash> {
        LEAVES
            .into_iter()
            .take(count)
            .map(|text| leaf(&hex::decode(text).unwrap()))
    }

    /// The definition of RFC 6962, section 2.1, word for word.
    fn by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [only] => *only,
            many => {
                let k = many.len().next_power_of_two() / 2;
                let (left, right) = many.split_at(k);
                node(&by_definition(left), &by_definition(right))
            }
        }
    }

    #[test]
    fn heads_are_those_of_the_reference_implementation() {
        for (size, head) in HEADS.into_iter().enumerate() {
            assert_eq!(
                hex::encode(leaves(size).collect::<Tree>().head()),
                head,
                "{size} leaves"
            );
        }
    }

    #[test]
    fn heads_are_those_of_the_definition() {
        let mut tree = Tree::default();
        let mut all = Vec::new();
        for i in 0..300u32 {
            assert_eq!(tree.head(), by_definition(&all), "{i} leaves");
            all.push(leaf(&i.to_be_bytes()));
            tree.push(leaf(&i.to_be_bytes()));
        }
        assert_eq!(tree.size(), 300);
    }

    #[test]
    fn a_tree_goes_on_from_its_peaks() {
        for cut in 0..=8 {
            let begun: Tree = leaves(cut).collect();
            let mut resumed = Tree::resume(begun.size(), begun.peaks().to_vec()).unwrap();
            resumed.extend(leaves(8).skip(cut));
            assert_eq!(hex::encode(resumed.head()), HEADS[8], "cut at {cut}");
        }
    }

    #[test]
    fn what_a_leaf_completes_is_told() {
        let mut tree = Tree::default();
        let mut told = std::collections::BTreeMap::new();
        let all: Vec<Hash> = (0..300u32).map(|i| leaf(&i.to_be_bytes())).collect();
        for leaf in &all {
            tree.push_telling(*leaf, |subtree, hash| {
                assert_eq!(told.insert(subtree, hash), None, "{subtree:?}");
            });
        }
        assert_eq!(told.len(), 300 + 150 + 75 + 37 + 18 + 9 + 4 + 2 + 1);
        for (subtree, hash) in told {
            let from = usize::try_from(subtree.index << subtree.level).unwrap();
            let leaves = &all[from..from + (1 << subtree.level)];
            assert_eq!(hash, by_definition(leaves), "{subtree:?}");
        }
    }

    #[test]
    fn peaks_of_another_tree_are_refused() {
        let tree: Tree = leaves(5).collect();
        for size in [0, 1, 4, 7, 8] {
            assert!(Tree::resume(size, tree.peaks().to_vec()).is_err(), "{size}");
        }
    }

    #[test]
    fn a_leaf_is_never_a_node() {
        let [a, b] = [leaf(b"a"), leaf(b"b")];
        assert_ne!(leaf(&[a, b].concat()), node(&a, &b));
    }
}
