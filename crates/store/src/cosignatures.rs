//! What witnesses signed: lines of signatures beside the checkpoints, by the log's size and the witness's name.

use daypass_core::time::Timestamp;

use crate::checkpoints::KeptCheckpoint;
use crate::error::Result;
use crate::store::Store;

/// A witness's signature of a checkpoint. That it is here says nothing: whoever verifies the note checks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    /// How many entries the checkpoint has.
    pub size: u64,
    /// The name of the witness's key.
    pub witness: String,
    /// The line of the signature, without its end.
    pub line: String,
    /// When it was fetched.
    pub at: Timestamp,
}

impl Store {
    /// Keeps a signature. One that this witness made of the same checkpoint before gives way.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn keep_cosignature(&self, kept: Cosignature) -> Result<()> {
        self.write(move |link| {
            Box::pin(async move {
                let text = "INSERT INTO cosignatures (size, witness, line, at) VALUES ($1, $2, $3, $4) \
                            ON CONFLICT (size, witness) DO UPDATE SET line = excluded.line, at = excluded.at";
                let Cosignature {
                    size,
                    witness,
                    line,
                    at,
                } = kept;
                link.run(text, &[size.into(), witness.into(), line.into(), at.into()])
                    .await
                    .map(drop)
            })
        })
        .await
    }

    /// The signatures of the checkpoint of so many entries, by the witnesses' names.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn cosignatures(&self, size: u64) -> Result<Vec<Cosignature>> {
        self.read(move |link| {
            Box::pin(async move {
                let text =
                    "SELECT size, witness, line, at FROM cosignatures WHERE size = $1 ORDER BY witness";
                let rows = link.rows(text, &[size.into()]).await?;
                let read = |row: &crate::value::Row| {
                    Ok(Cosignature {
                        size: row.count(0)?,
                        witness: row.text(1)?.to_owned(),
                        line: row.text(2)?.to_owned(),
                        at: row.time(3)?,
                    })
                };
                rows.iter().map(read).collect()
            })
        })
        .await
    }

    /// How many entries the largest checkpoint has that this witness signed; 0 where none.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn last_cosigned(&self, witness: &str) -> Result<u64> {
        let witness = witness.to_owned();
        self.read(move |link| {
            Box::pin(async move {
                let text = "SELECT size FROM cosignatures WHERE witness = $1 ORDER BY size DESC LIMIT 1";
                let row = link.row(text, &[witness.into()]).await?;
                row.map_or(Ok(0), |row| row.count(0))
            })
        })
        .await
    }

    /// The newest checkpoint that at least so many witnesses signed.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn newest_cosigned(&self, least: usize) -> Result<Option<KeptCheckpoint>> {
        let least = i64::try_from(least).unwrap_or(i64::MAX);
        self.read(move |link| {
            Box::pin(async move {
                let text = "SELECT size, note, at FROM checkpoints WHERE size = \
                            (SELECT size FROM cosignatures GROUP BY size HAVING COUNT(*) >= $1 ORDER BY size DESC LIMIT 1)";
                let row = link.row(text, &[least.into()]).await?;
                row.as_ref().map(crate::checkpoints::read).transpose()
            })
        })
        .await
    }
}
