//! What tiles and proofs are made of: the leaves' own hashes and bytes, and the tree's nodes at every eighth level above them.
//!
//! A node is written in the transaction that completes it. Whoever asks says up to where: what is behind the newest checkpoint
//! is nobody's yet.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;

use daypass_tlog::proof::{Proof, Subtree};
use daypass_tlog::tile::{self, HEIGHT, Tile};
use daypass_tlog::{Hash, Tree};

use crate::error::{Error, Result};
use crate::link::Link;
use crate::store::Store;
use crate::value::{Statement, Value};

/// Adds a leaf to the tree, and the nodes to keep that it completes.
pub(crate) fn push(tree: &mut Tree, leaf: Hash, completed: &mut Vec<(Subtree, Hash)>) {
    tree.push_telling(leaf, |subtree, hash| {
        if subtree.level > 0 && subtree.level.is_multiple_of(HEIGHT) {
            completed.push((subtree, hash));
        }
    });
}

/// What keeps a node. One that is there already was written by nobody of ours: the right one takes its place.
pub(crate) fn keep((subtree, hash): (Subtree, Hash)) -> Statement {
    let text = "INSERT INTO nodes (level, place, hash) VALUES ($1, $2, $3) \
                ON CONFLICT (level, place) DO UPDATE SET hash = excluded.hash";
    let level = Value::Int(i64::from(subtree.level));
    (text, vec![level, subtree.index.into(), hash.to_vec().into()])
}

/// The nodes of a level (0: the leaves' hashes) in this range.
async fn nodes(link: &mut Link, level: u8, range: Range<u64>) -> Result<Vec<Hash>> {
    let between = [range.start.into(), range.end.into()];
    let rows = if level == 0 {
        let text = "SELECT leaf_index, leaf_hash FROM events WHERE leaf_index >= $1 AND leaf_index < $2 ORDER BY leaf_index";
        link.rows(text, &between).await?
    } else {
        let text =
            "SELECT place, hash FROM nodes WHERE place >= $1 AND place < $2 AND level = $3 ORDER BY place";
        let [start, end] = between;
        link.rows(text, &[start, end, Value::Int(i64::from(level))])
            .await?
    };
    let mut next = range.start;
    let mut hashes = Vec::with_capacity(rows.len());
    for row in &rows {
        if row.count(0)? != next {
            break;
        }
        hashes.push(*row.hash(1)?.bytes());
        next += 1;
    }
    if next != range.end {
        return Err(Error::Corrupt(format!(
            "node {next} of level {level} of the log is missing"
        )));
    }
    Ok(hashes)
}

/// The hash of a complete subtree of a tree of this size.
async fn subtree(link: &mut Link, subtree: Subtree, size: u64) -> Result<Hash> {
    let missing = || Error::Corrupt(format!("a tree of {size} leaves has no {subtree:?}"));
    let (tile, within) = Tile::of(subtree, size).ok_or_else(missing)?;
    let tile::Kind::Hashes { level } = tile.kind() else {
        return Err(missing());
    };
    let first = tile.nodes().start;
    let place = |offset: usize| {
        u64::try_from(offset)
            .map(|offset| first + offset)
            .map_err(Error::corrupt)
    };
    let range = place(within.start)?..place(within.end)?;
    let hashes = nodes(link, level * HEIGHT, range).await?;
    tile::root(&hashes).ok_or_else(missing)
}

/// The tree of the first `size` leaves.
async fn tree(link: &mut Link, size: u64) -> Result<Tree> {
    let mut peaks = Vec::new();
    for peak in Subtree::peaks(size) {
        peaks.push(subtree(link, peak, size).await?);
    }
    Tree::resume(size, peaks).map_err(Error::corrupt)
}

/// The hashes of proofs within a tree of `size` leaves. What several need is read once.
async fn prove(link: &mut Link, proofs: &[Proof], size: u64) -> Result<Vec<Vec<Hash>>> {
    let mut known = BTreeMap::new();
    for need in proofs.iter().flat_map(Proof::needs) {
        if let Entry::Vacant(unknown) = known.entry(need) {
            unknown.insert(subtree(link, need, size).await?);
        }
    }
    let built = proofs
        .iter()
        .map(|proof| proof.build(|need| known.get(&need).copied()));
    let built: Option<Vec<_>> = built.collect();
    built.ok_or_else(|| Error::corrupt("a proof asks for more than it said"))
}

async fn entries(link: &mut Link, range: Range<u64>) -> Result<Vec<Vec<u8>>> {
    let text =
        "SELECT leaf_index, bytes FROM events WHERE leaf_index >= $1 AND leaf_index < $2 ORDER BY leaf_index";
    let rows = link.rows(text, &[range.start.into(), range.end.into()]).await?;
    let mut all = Vec::with_capacity(rows.len());
    for (row, index) in rows.iter().zip(range.clone()) {
        if row.count(0)? != index {
            return Err(Error::Corrupt(format!("entry {index} of the log is missing")));
        }
        all.push(row.bytes(1)?.to_vec());
    }
    let found = range.start + u64::try_from(all.len()).map_err(Error::corrupt)?;
    if found != range.end {
        return Err(Error::Corrupt(format!("entry {found} of the log is missing")));
    }
    Ok(all)
}

/// The log as tiles.
impl Store {
    /// The bytes of a tile or of a bundle of entries, as wide as its name says.
    ///
    /// # Errors
    /// Where the log has not so many entries, or the store does not answer.
    pub async fn log_tile(&self, tile: Tile) -> Result<Vec<u8>> {
        match tile.kind() {
            tile::Kind::Hashes { level } => {
                let (level, range) = (level * HEIGHT, tile.nodes());
                let reading = self.read(move |link| Box::pin(async move { nodes(link, level, range).await }));
                Ok(reading.await?.concat())
            }
            tile::Kind::Entries => {
                let all = self.log_bytes(tile.nodes()).await?;
                tile::bundle(all.iter().map(Vec::as_slice)).map_err(Error::corrupt)
            }
        }
    }

    /// The bytes of the entries with these places in the log.
    ///
    /// # Errors
    /// Where one is missing, or the store does not answer.
    pub async fn log_bytes(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>> {
        self.read(move |link| Box::pin(async move { entries(link, range).await }))
            .await
    }

    /// The hashes of a proof within the tree of the log's first `size` entries.
    ///
    /// # Errors
    /// As [`Self::log_proofs`].
    pub async fn log_proof(&self, proof: Proof, size: u64) -> Result<Vec<Hash>> {
        Ok(self.log_proofs(vec![proof], size).await?.concat())
    }

    /// The hashes of each of these proofs within the tree of the log's first `size` entries.
    ///
    /// # Errors
    /// Where the log has not so many entries, or the store does not answer.
    pub async fn log_proofs(&self, proofs: Vec<Proof>, size: u64) -> Result<Vec<Vec<Hash>>> {
        self.snapshot(move |link| Box::pin(async move { prove(link, &proofs, size).await }))
            .await
    }

    /// The tree of the log's first `size` entries, as the nodes that are kept make it.
    ///
    /// # Errors
    /// Where the log has not so many entries, or the store does not answer.
    pub async fn log_tree(&self, size: u64) -> Result<Tree> {
        self.snapshot(move |link| Box::pin(async move { tree(link, size).await }))
            .await
    }
}
