//! Checkpoints that a log must come by: what its tree must be at each of their sizes.

use std::collections::BTreeMap;

use crate::tree::{Hash, Tree};

/// Two checkpoints of one size, with two heads: one log has only one of them. Whoever signed both has shown two logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("two checkpoints of {size} entries have two heads: whoever signed both has shown two logs")]
pub struct TwoLogs {
    /// How many entries both cover.
    pub size: u64,
}

/// The checkpoints that the log has yet to come by. `T`: where each is from.
#[derive(Debug, Clone)]
pub struct Marks<T>(BTreeMap<u64, (Hash, T)>);

impl<T> Default for Marks<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Marks<T> {
    /// Another one. Where there is one of the same size and head already, that one stays.
    ///
    /// # Errors
    /// Where there is one of the same size and another head.
    pub fn add(&mut self, size: u64, head: Hash, from: T) -> Result<(), TwoLogs> {
        match self.0.get(&size) {
            Some((known, _)) if *known != head => Err(TwoLogs { size }),
            Some(_) => Ok(()),
            None => {
                self.0.insert(size, (head, from));
                Ok(())
            }
        }
    }

    /// The log has come to this tree: where the mark of this size is from. `Err`: it should have been another tree, by what is from
    /// there.
    ///
    /// # Errors
    /// Where the mark of this size has another head.
    pub fn pass(&mut self, tree: &Tree) -> Result<Option<T>, T> {
        match self.0.remove(&tree.size()) {
            None => Ok(None),
            Some((head, from)) if head == tree.head() => Ok(Some(from)),
            Some((_, from)) => Err(from),
        }
    }

    /// The smallest that the log has not come by, where there is one: a log that ends before it was cut.
    #[must_use]
    pub fn ahead(&self) -> Option<(u64, &T)> {
        self.0.first_key_value().map(|(size, (_, from))| (*size, from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::leaf;

    #[test]
    fn a_log_comes_by_each_mark_or_it_is_another_one() {
        let mut tree = Tree::default();
        tree.push(leaf(b"one"));
        let mut marks = Marks::default();
        marks.add(1, tree.head(), "kept").unwrap();
        marks.add(1, tree.head(), "again").unwrap();
        assert_eq!(marks.add(1, [7; 32], "seen"), Err(TwoLogs { size: 1 }));
        marks.add(3, [7; 32], "seen").unwrap();
        assert_eq!(marks.pass(&tree), Ok(Some("kept")));
        assert_eq!(marks.ahead(), Some((3, &"seen")));
        tree.push(leaf(b"two"));
        assert_eq!(marks.pass(&tree), Ok(None), "no mark here");
        tree.push(leaf(b"three"));
        assert_eq!(marks.pass(&tree), Err("seen"));
        assert_eq!(marks.ahead(), None);
    }
}
