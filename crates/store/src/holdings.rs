//! Who has what: each role that a live grant gives somebody, from narrow columns and without a document.

use daypass_core::id::{GrantId, PersonId, RequestId};
use daypass_core::name::{Item, Name};
use daypass_core::time::Timestamp;

use crate::error::Result;
use crate::link::Link;
use crate::select::Select;
use crate::store::Store;
use crate::value::Row;

/// A role on a resource that somebody has, is about to have, or has not been seen to have lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Who.
    pub holder: PersonId,
    /// What.
    pub item: Item,
    /// By which grant.
    pub grant: GrantId,
    /// By which request.
    pub request: RequestId,
    /// In which state that grant is, by name; never `ended`.
    pub state: String,
    /// Since when it is all there.
    pub since: Option<Timestamp>,
    /// When time alone changes it: its deadline, once it is active.
    pub until: Option<Timestamp>,
    /// Who was to agree: `instant`, `reviewed` or `emergency`.
    pub way: String,
}

impl Store {
    /// What somebody has, or everybody, on one resource or all; in no order, `limit` of them at most.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn holdings(
        &self,
        holder: Option<PersonId>,
        resource: Option<Name>,
        limit: usize,
    ) -> Result<Vec<Holding>> {
        self.read(move |link| Box::pin(async move { holdings(link, holder, resource.as_ref(), limit).await }))
            .await
    }
}

async fn holdings(
    link: &mut Link,
    holder: Option<PersonId>,
    resource: Option<&Name>,
    limit: usize,
) -> Result<Vec<Holding>> {
    let mut select = Select::new(
        "SELECT grants.holder, parts.resource, parts.role, grants.id, grants.request, grants.state, grants.active_at, \
         grants.wakes_at, requests.way FROM grants JOIN grant_parts AS parts ON parts.grant_id = grants.id \
         JOIN requests ON requests.id = grants.request",
    );
    select.only("grants.state <> 'ended'");
    select.equals("grants.holder", holder);
    if resource.is_some() {
        // Said again: it is how the index of those that have not ended is found.
        select.only("parts.ended = 0");
    }
    select.equals("parts.resource", resource);
    let (text, values) = select.finish("grants.opened_at, grants.id, parts.position", limit);
    let rows = link.rows(&text, &values).await?;
    rows.iter().map(holding).collect()
}

fn holding(row: &Row) -> Result<Holding> {
    Ok(Holding {
        holder: row.parse(0)?,
        item: Item {
            resource: row.parse(1)?,
            role: row.parse(2)?,
        },
        grant: row.parse(3)?,
        request: row.parse(4)?,
        state: row.text(5)?.to_owned(),
        since: row.maybe_time(6)?,
        until: row.maybe_time(7)?,
        way: row.text(8)?.to_owned(),
    })
}
