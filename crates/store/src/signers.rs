//! Servers that share a store and sign its log: which of the log's keys each has. The keys are files outside the store, which no
//! server can look into but its own; what each says here is how a rotation knows whom it would leave behind.
//!
//! No event, and nothing is trusted to it: a row that is false holds a rotation up, or lets it go on, as its operator could.

use daypass_core::time::Timestamp;

use crate::error::Result;
use crate::link::Link;
use crate::store::Store;

/// A server that signs the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogServer {
    /// What it calls itself: its host and the file of its keys.
    pub name: String,
    /// The public halves of the keys that it has.
    pub keys: Vec<String>,
    /// When it last said so, by the store's clock.
    pub at: Timestamp,
}

async fn all(link: &mut Link) -> Result<Vec<LogServer>> {
    let rows = link
        .rows("SELECT name, keys, at FROM log_servers ORDER BY name", &[])
        .await?;
    let read = |row: &crate::value::Row| {
        Ok(LogServer {
            name: row.text(0)?.to_owned(),
            keys: row.text(1)?.lines().map(str::to_owned).collect(),
            at: row.time(2)?,
        })
    };
    rows.iter().map(read).collect()
}

impl Store {
    /// The servers that said which keys they have, those among them that run no more.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn log_servers(&self) -> Result<Vec<LogServer>> {
        self.read(|link| Box::pin(all(link))).await
    }

    /// A server says which keys it has. What it said before gives way, and so does who said nothing since `stale`.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn log_server_is(&self, server: LogServer, stale: Timestamp) -> Result<()> {
        self.write(move |link| {
            Box::pin(async move {
                let LogServer { name, keys, at } = server;
                let text = "INSERT INTO log_servers (name, keys, at) VALUES ($1, $2, $3) \
                            ON CONFLICT (name) DO UPDATE SET keys = excluded.keys, at = excluded.at";
                let values = [name.into(), keys.join("\n").into(), at.into()];
                link.run(text, &values).await?;
                link.run("DELETE FROM log_servers WHERE at < $1", &[stale.into()])
                    .await
                    .map(drop)
            })
        })
        .await
    }

    /// A server signs no more: it stops.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn log_server_ends(&self, name: String) -> Result<()> {
        self.write(move |link| {
            Box::pin(async move {
                link.run("DELETE FROM log_servers WHERE name = $1", &[name.into()])
                    .await
                    .map(drop)
            })
        })
        .await
    }
}
