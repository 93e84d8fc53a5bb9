//! Which sessions somebody means: one, or all of a grant.

use clap::Args;
use daypass_api::Client;
use daypass_api::session::{Session, SessionQuery};
use daypass_core::id::GrantId;

use crate::context::pages;
use crate::failure::Failure;

/// The most sessions of a grant that are acted on: what is more is a mistake, or an attack on whoever looks.
const MOST: usize = 10_000;

/// One session, or all of a grant.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// The session, by its (short) id
    id: Option<String>,

    /// All sessions of this grant, by its (short) id
    #[arg(long, value_name = "ID")]
    grant: Option<String>,
}

impl Which {
    /// Whether a grant is named: there may be several sessions.
    pub(super) fn several(&self) -> bool {
        self.grant.is_some()
    }

    /// The grant, by its whole id, where one is named: what is typed could mean another one later.
    pub(super) async fn grant(&self, client: &Client) -> Result<Option<GrantId>, Failure> {
        match &self.grant {
            Some(typed) => Ok(Some(client.grant(typed).await?.id)),
            None => Ok(None),
        }
    }

    /// The sessions, oldest first; of a grant those alone that are not over, where `live`.
    pub(super) async fn sessions(&self, client: &Client, live: bool) -> Result<Vec<Session>, Failure> {
        if let Some(grant) = self.grant(client).await? {
            return of(client, grant, live).await;
        }
        Ok(vec![
            client.session(self.id.as_deref().unwrap_or_default()).await?,
        ])
    }
}

/// The sessions of a grant, oldest first.
pub(super) async fn of(client: &Client, grant: GrantId, live: bool) -> Result<Vec<Session>, Failure> {
    let mut all = pages(MOST, async |cursor| {
        let query = SessionQuery {
            grant: Some(grant.to_string()),
            live: live.then_some(true),
            cursor,
            ..SessionQuery::default()
        };
        client.sessions(&query).await
    })
    .await?;
    all.reverse();
    Ok(all)
}
