//! The sequencer: gives committed events their places in the log, in batches, in order and without gaps.
//!
//! It is apart from the transitions so that the tree's head is no lock on the state. Several servers may call it: the row
//! with the head is locked, so that one at a time does it.

use daypass_core::text::Hash;
use daypass_tlog::Tree;

use crate::error::{Error, Result};
use crate::events::{self, Entry};
use crate::link::Link;
use crate::value::Row;
use crate::{texts, tiles};

/// The log's size and the head of its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many entries it has.
    pub size: u64,
    /// The Merkle tree head over them (RFC 6962).
    pub root: Hash,
}

/// The tree as it was left in `log_head`.
fn tree(row: &Row) -> Result<Tree> {
    let (peaks, rest) = row.bytes(1)?.as_chunks();
    if !rest.is_empty() {
        return Err(Error::corrupt("the log's peaks are not whole hashes"));
    }
    Tree::resume(row.count(0)?, peaks.to_vec()).map_err(Error::corrupt)
}

/// Takes up to `limit` events out of the outbox and into the log.
pub(crate) async fn sequence(link: &mut Link, limit: usize) -> Result<Vec<Entry>> {
    let head = link
        .row("SELECT size, peaks FROM log_head WHERE id = 1 FOR UPDATE", &[])
        .await?;
    let mut tree = tree(&head.ok_or_else(|| Error::corrupt("the log has no head"))?)?;
    let size = tree.size();
    // One statement, one moment: between looking at the outbox and numbering it nothing may be added in the middle.
    let place = "UPDATE events SET leaf_index = $1 + placed.nth FROM \
                 (SELECT event_id, row_number() OVER (ORDER BY event_id) - 1 AS nth FROM \
                 (SELECT event_id FROM outbox ORDER BY event_id LIMIT $2) AS waiting) AS placed \
                 WHERE events.id = placed.event_id RETURNING leaf_index, leaf_hash, bytes";
    let rows = link.rows(place, &[size.into(), limit.into()]).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut entries = rows.iter().map(events::read).collect::<Result<Vec<_>>>()?;
    entries.sort_by_key(|entry| entry.index);
    let mut completed = Vec::new();
    for entry in &entries {
        tiles::push(&mut tree, *entry.leaf.bytes(), &mut completed);
    }
    let taken = "DELETE FROM outbox WHERE event_id IN (SELECT id FROM events WHERE leaf_index >= $1)";
    let moved = "UPDATE log_head SET size = $1, peaks = $2 WHERE id = 1";
    let peaks = tree.peaks().concat();
    let mut writes = vec![
        (taken, vec![size.into()]),
        (moved, vec![tree.size().into(), peaks.into()]),
    ];
    writes.extend(completed.into_iter().map(tiles::keep));
    link.batch(&writes).await?;
    texts::open(link, &mut entries).await?;
    Ok(entries)
}

pub(crate) async fn head(link: &mut Link) -> Result<Head> {
    let row = link
        .row("SELECT size, peaks FROM log_head WHERE id = 1", &[])
        .await?;
    let tree = tree(&row.ok_or_else(|| Error::corrupt("the log has no head"))?)?;
    Ok(Head {
        size: tree.size(),
        root: Hash::from_bytes(tree.head()),
    })
}
