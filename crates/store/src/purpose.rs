//! What a store is for. A demo's store is one from before its first event, or never: nobody makes one of a store that people work with.

use crate::error::{Error, Result};
use crate::store::Store;

const MARK: &str = "SELECT value FROM meta WHERE name = 'demo'";

impl Store {
    /// Makes a store in which nothing has happened yet a demo's. There is no way back.
    ///
    /// # Errors
    /// Where something has happened in it; where it does not answer.
    pub async fn become_demo(&self) -> Result<()> {
        self.write(|link| {
            Box::pin(async move {
                if link.row("SELECT id FROM events LIMIT 1", &[]).await?.is_some() {
                    return Err(Error::Unavailable(String::from(
                        "it is no demo's: something has happened in it",
                    )));
                }
                let text =
                    "INSERT INTO meta (name, value) VALUES ('demo', 'yes') ON CONFLICT (name) DO NOTHING";
                link.run(text, &[]).await.map(drop)
            })
        })
        .await
    }

    /// Whether it is a demo's.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn is_demo(&self) -> Result<bool> {
        self.read(|link| Box::pin(async move { Ok(link.row(MARK, &[]).await?.is_some()) }))
            .await
    }
}
