//! What witnesses signed: lines of signatures beside the checkpoints, by the log's size and the witness's name.

use daypass_core::time::Timestamp;

use crate::checkpoints::KeptCheckpoint;
use crate::error::Result;
use crate::store::Store;
use crate::value::Row;

/// How many signatures are looked through for the newest checkpoint that enough witnesses signed. Where one of them is away for long,
/// a log that grows each second has as many that too few signed: a stranger may ask, and must not make the store walk through all.
const LATELY: u64 = 2_000;

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
                let read = |row: &Row| {
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

    /// The newest checkpoint that at least so many of these witnesses signed, of those that were signed lately.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn newest_cosigned(&self, by: Vec<String>, least: usize) -> Result<Option<KeptCheckpoint>> {
        self.read(move |link| {
            Box::pin(async move {
                let text = "SELECT size, witness FROM cosignatures ORDER BY size DESC, witness LIMIT $1";
                let rows = link.rows(text, &[LATELY.into()]).await?;
                let Some(size) = agreed(&rows, &by, least)? else {
                    return Ok(None);
                };
                let text = "SELECT size, note, at FROM checkpoints WHERE size = $1";
                let row = link.row(text, &[size.into()]).await?;
                row.as_ref().map(crate::checkpoints::read).transpose()
            })
        })
        .await
    }
}

/// The largest size, in rows by falling size, that enough of these signed.
fn agreed(rows: &[Row], by: &[String], least: usize) -> Result<Option<u64>> {
    let mut count = (0, 0);
    for row in rows {
        let size = row.count(0)?;
        if size != count.0 {
            count = (size, 0);
        }
        let name = row.text(1)?;
        if by.iter().any(|one| one == name) {
            count.1 += 1;
        }
        if count.1 >= least {
            return Ok(Some(size));
        }
    }
    Ok(None)
}
