//! What the server signed: checkpoints of the log, each a signed note, by the log's size.

use daypass_core::time::Timestamp;

use crate::error::Result;
use crate::link::Link;
use crate::store::Store;
use crate::value::Row;

/// A checkpoint as it is kept. That it is here says nothing: its signature does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCheckpoint {
    /// How many entries the log had.
    pub size: u64,
    /// The signed note (C2SP `tlog-checkpoint`), whole.
    pub note: String,
    /// When it was signed.
    pub at: Timestamp,
}

pub(crate) fn read(row: &Row) -> Result<KeptCheckpoint> {
    Ok(KeptCheckpoint {
        size: row.count(0)?,
        note: row.text(1)?.to_owned(),
        at: row.time(2)?,
    })
}

/// Those of more than `after` entries, the smallest first.
pub(crate) async fn page(link: &mut Link, after: i64, limit: i64) -> Result<Vec<KeptCheckpoint>> {
    let text = "SELECT size, note, at FROM checkpoints WHERE size > $1 ORDER BY size LIMIT $2";
    let rows = link.rows(text, &[after.into(), limit.into()]).await?;
    rows.iter().map(read).collect()
}

impl Store {
    /// The newest checkpoint: that of the longest log.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn newest_checkpoint(&self) -> Result<Option<KeptCheckpoint>> {
        self.read(|link| {
            Box::pin(async move {
                let text = "SELECT size, note, at FROM checkpoints ORDER BY size DESC LIMIT 1";
                link.row(text, &[]).await?.as_ref().map(read).transpose()
            })
        })
        .await
    }

    /// Those of more than `after` entries, the smallest first; `limit` at most.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn checkpoints_after(&self, after: u64, limit: i64) -> Result<Vec<KeptCheckpoint>> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        self.read(move |link| Box::pin(page(link, after, limit))).await
    }

    /// Keeps a checkpoint. Where there is one of this size it stays: several servers sign the same.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn keep_checkpoint(&self, kept: KeptCheckpoint) -> Result<()> {
        self.write(move |link| {
            Box::pin(async move {
                let text = "INSERT INTO checkpoints (size, note, at) VALUES ($1, $2, $3) ON CONFLICT (size) DO NOTHING";
                let KeptCheckpoint { size, note, at } = kept;
                link.run(text, &[size.into(), note.into(), at.into()])
                    .await
                    .map(drop)
            })
        })
        .await
    }
}
