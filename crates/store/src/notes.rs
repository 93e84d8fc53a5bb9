//! Notes of connectors about what they made at targets that bear no mark: one line each, beside the other facts of this store. The log
//! says nothing of them; it tells what was given and taken.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::store::Store;

/// Before the name of each: nothing else among the facts of a store begins so.
const NOTE: &str = "note:";

/// The longest name and the longest text, in bytes.
const LONGEST: usize = 1024;

impl Store {
    /// All notes whose names begin so.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn notes(&self, prefix: &str) -> Result<BTreeMap<String, String>> {
        let begins = format!("{NOTE}{prefix}");
        self.read(move |link| {
            let begins = begins.clone();
            Box::pin(async move {
                let text = "SELECT name, value FROM meta WHERE substr(name, 1, length($1)) = $1";
                let rows = link.rows(text, &[begins.into()]).await?;
                let pair = |row: &crate::value::Row| -> Result<(String, String)> {
                    let name = row.text(0)?;
                    let name = name.strip_prefix(NOTE).unwrap_or(name);
                    Ok((name.to_owned(), row.text(1)?.to_owned()))
                };
                rows.iter().map(pair).collect()
            })
        })
        .await
    }

    /// Writes a note, in place of any of that name.
    ///
    /// # Errors
    /// Where it is too long, or could not be kept.
    pub async fn write_note(&self, name: &str, text: &str) -> Result<()> {
        if name.len() > LONGEST || text.len() > LONGEST {
            return Err(Error::Unavailable(
                "a note is longer than notes are kept".to_owned(),
            ));
        }
        let (name, note) = (format!("{NOTE}{name}"), text.to_owned());
        self.write(move |link| {
            let (name, note) = (name.clone(), note.clone());
            Box::pin(async move {
                let text = "INSERT INTO meta (name, value) VALUES ($1, $2) \
                            ON CONFLICT (name) DO UPDATE SET value = excluded.value";
                link.run(text, &[name.into(), note.into()]).await.map(drop)
            })
        })
        .await
    }

    /// Forgets a note.
    ///
    /// # Errors
    /// Where it may still be there.
    pub async fn strike_note(&self, name: &str) -> Result<()> {
        let name = format!("{NOTE}{name}");
        self.write(move |link| {
            let name = name.clone();
            Box::pin(async move {
                let text = "DELETE FROM meta WHERE name = $1";
                link.run(text, &[name.into()]).await.map(drop)
            })
        })
        .await
    }
}
