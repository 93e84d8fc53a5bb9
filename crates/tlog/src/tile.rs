//! Tiles: the tree and its entries in files that never change, for whoever reads the log over HTTP (C2SP `tlog-tiles`).
//!
//! A tile of hashes is 256 nodes of one level in eight, a bundle of entries 256 leaves' bytes. Full ones stay as they are for ever;
//! of the last of each level there are partial ones, as wide as the tree then was.

use std::fmt;
use std::str::FromStr;

use crate::proof::Subtree;
use crate::tree::{Hash, node};

/// How many levels of the tree one level of tiles holds.
pub const HEIGHT: u8 = 8;
/// How many hashes, or entries, a full tile holds.
pub const WIDTH: u64 = 1 << HEIGHT;
/// The highest level of tiles: 64 bits of leaves are 8 levels of 8.
const TOP: u8 = 7;
/// The longest entry of a bundle, in bytes: its length is told in 16 bits.
pub const LONGEST_ENTRY: usize = u16::MAX as usize;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The nodes of level `8 * level` of the tree.
    Hashes {
        /// From 0, the leaves' hashes, to 7.
        level: u8,
    },
    /// The leaves' bytes.
    Entries,
}

/// The name of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    kind: Kind,
    index: u64,
    width: u16,
}

/// The text is no tile's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no path of a tile")]
pub struct NoTile;

/// A tile's bytes are not of the form of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// There are more or fewer bytes than the tile's width says.
    #[error("the tile has another length than its name says")]
    Length,
    /// An entry is longer than 65,535 bytes.
    #[error("an entry of {0} bytes is longer than a bundle can hold")]
    TooLong(usize),
}

impl Tile {
    /// The tile of this kind and number, as wide as it is in a tree of `size` leaves; `None` where such a tree has none.
    #[must_use]
    pub fn within(kind: Kind, index: u64, size: u64) -> Option<Self> {
        let begin = index.checked_mul(WIDTH)?;
        let width = nodes(kind, size)?.checked_sub(begin)?.min(WIDTH);
        let width = u16::try_from(width).ok().filter(|width| *width > 0)?;
        Some(Self { kind, index, width })
    }

    /// The tile in which a complete subtree's hash can be found in a tree of `size` leaves, and the nodes there that it is made of.
    #[must_use]
    pub fn of(subtree: Subtree, size: u64) -> Option<(Self, std::ops::Range<usize>)> {
        let level = subtree.level / HEIGHT;
        let above = u32::from(subtree.level % HEIGHT);
        let first = subtree.index.checked_shl(above)?;
        let tile = Self::within(Kind::Hashes { level }, first / WIDTH, size)?;
        let begin = usize::try_from(first % WIDTH).ok()?;
        let end = begin + (1usize << above);
        (end <= usize::from(tile.width)).then_some((tile, begin..end))
    }

    /// All tiles, full and partial, of a tree of `size` leaves: those of hashes from the lowest level up.
    pub fn all(kind: Kind, size: u64) -> impl Iterator<Item = Self> {
        let count = nodes(kind, size).unwrap_or_default().div_ceil(WIDTH);
        (0..count).filter_map(move |index| Self::within(kind, index, size))
    }

    /// What it holds.
    #[must_use]
    pub const fn kind(self) -> Kind {
        self.kind
    }

    /// Which of its kind, counted from 0.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.index
    }

    /// How many nodes or entries it holds, from 1 to 256.
    #[must_use]
    pub const fn width(self) -> u16 {
        self.width
    }

    /// Whether it never changes any more.
    #[must_use]
    pub fn is_full(self) -> bool {
        u64::from(self.width) == WIDTH
    }

    /// Whether a tree of `size` leaves has it.
    #[must_use]
    pub fn is_within(self, size: u64) -> bool {
        Self::within(self.kind, self.index, size).is_some_and(|widest| self.width <= widest.width)
    }

    /// Its nodes, numbered as those of their level are; or its entries, by their index in the log.
    #[must_use]
    pub fn nodes(self) -> std::ops::Range<u64> {
        let begin = self.index * WIDTH;
        begin..begin + u64::from(self.width)
    }

    /// The hashes in a tile's bytes.
    ///
    /// # Errors
    /// Where there are not as many as the tile is wide.
    pub fn hashes(self, bytes: &[u8]) -> Result<Vec<Hash>, Malformed> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || hashes.len() != usize::from(self.width) {
            return Err(Malformed::Length);
        }
        Ok(hashes.to_vec())
    }

    /// The entries in a bundle's bytes.
    ///
    /// # Errors
    /// Where there are not as many as the bundle is wide, or a length leads beyond its end.
    pub fn entries(self, mut bytes: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
        let mut entries = Vec::new();
        for _ in 0..self.width {
            let (length, rest) = bytes.split_first_chunk::<2>().ok_or(Malformed::Length)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (entry, rest) = rest.split_at_checked(length).ok_or(Malformed::Length)?;
            entries.push(entry);
            bytes = rest;
        }
        if bytes.is_empty() {
            Ok(entries)
        } else {
            Err(Malformed::Length)
        }
    }
}

/// The bytes of a bundle with these entries.
///
/// # Errors
/// Where one is longer than a bundle can hold.
pub fn bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, Malformed> {
    let mut bytes = Vec::new();
    for entry in entries {
        let length = u16::try_from(entry.len()).map_err(|_| Malformed::TooLong(entry.len()))?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// The root of the complete subtree over these nodes, as many as a power of two; `None` where they are not.
#[must_use]
pub fn root(nodes: &[Hash]) -> Option<Hash> {
    match nodes {
        [only] => Some(*only),
        many if many.len().is_power_of_two() => {
            let (left, right) = many.split_at_checked(many.len() / 2)?;
            Some(node(&root(left)?, &root(right)?))
        }
        _ => None,
    }
}

/// How many complete nodes, or entries, of this kind a tree of `size` leaves has.
const fn nodes(kind: Kind, size: u64) -> Option<u64> {
    match kind {
        Kind::Entries => Some(size),
        Kind::Hashes { level } if level <= TOP => Some(size >> (HEIGHT * level)),
        Kind::Hashes { .. } => None,
    }
}

/// Its path below the log's address, such as `tile/0/x001/067.p/8`.
impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Hashes { level } => write!(f, "tile/{level}/")?,
            Kind::Entries => f.write_str("tile/entries/")?,
        }
        let mut groups = vec![self.index % 1_000];
        let mut rest = self.index / 1_000;
        while rest > 0 {
            groups.push(rest % 1_000);
            rest /= 1_000;
        }
        for (place, group) in groups.iter().enumerate().rev() {
            if place > 0 {
                write!(f, "x{group:03}/")?;
            } else {
                write!(f, "{group:03}")?;
            }
        }
        if !self.is_full() {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

impl FromStr for Tile {
    type Err = NoTile;

    fn from_str(path: &str) -> Result<Self, NoTile> {
        let rest = path.strip_prefix("tile/").ok_or(NoTile)?;
        let (kind, rest) = rest.split_once('/').ok_or(NoTile)?;
        let kind = match kind {
            "entries" => Kind::Entries,
            level => Kind::Hashes {
                level: level.parse().ok().filter(|level| *level <= TOP).ok_or(NoTile)?,
            },
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, width.parse().map_err(|_| NoTile)?),
            None => (rest, u16::try_from(WIDTH).map_err(|_| NoTile)?),
        };
        let mut index = 0_u64;
        let mut groups = number.split('/').peekable();
        while let Some(group) = groups.next() {
            let digits = match groups.peek() {
                Some(_) => group.strip_prefix('x').ok_or(NoTile)?,
                None => group,
            };
            if digits.len() != 3 {
                return Err(NoTile);
            }
            let value: u64 = digits.parse().map_err(|_| NoTile)?;
            index = index
                .checked_mul(1_000)
                .and_then(|index| index.checked_add(value))
                .ok_or(NoTile)?;
        }
        let fits = index
            .checked_mul(WIDTH)
            .and_then(|begin| begin.checked_add(WIDTH));
        if fits.is_none() || width == 0 || u64::from(width) > WIDTH {
            return Err(NoTile);
        }
        let tile = Self { kind, index, width };
        // One tile has one path: no sign, no zero too many, no group too many.
        (tile.to_string() == path).then_some(tile).ok_or(NoTile)
    }
}
