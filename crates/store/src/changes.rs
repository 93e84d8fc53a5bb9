//! Changes that wait for others: their rows, what they propose in full, and the queries on them.

use daypass_core::change::Change;
use daypass_core::id::{ChangeId, PersonId};
use daypass_core::time::Timestamp;
use daypass_core::world::{Step, World};

use crate::error::{Error, Result};
use crate::link::Link;
use crate::page::{Cursor, Page};
use crate::select::Select;
use crate::store::Store;
use crate::value::{Row, Statement, Value};
use crate::{due, resolve, texts};

/// Which changes to list. What is not said does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeFilter {
    /// In this state, by name.
    pub state: Option<String>,
    /// Of this person.
    pub proposer: Option<PersonId>,
}

impl Store {
    /// A change.
    ///
    /// # Errors
    /// Where the store does not answer, as everywhere here.
    pub async fn change(&self, id: ChangeId) -> Result<Option<Change>> {
        self.read(move |link| Box::pin(by_id(link, id))).await
    }

    /// A page of changes, newest first; `after` is the last page's `next`.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn change_list(
        &self,
        filter: ChangeFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Change>> {
        self.read(move |link| Box::pin(async move { list(link, &filter, after.as_ref(), limit).await }))
            .await
    }

    /// The name and text of each file of the policy that a change proposes.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn change_files(&self, id: ChangeId) -> Result<Option<Vec<(String, String)>>> {
        self.read(move |link| Box::pin(files(link, id))).await
    }

    /// What is secret of a change that waits: the hash of a password or of a token.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn change_secret(&self, id: ChangeId) -> Result<Option<String>> {
        self.read(move |link| Box::pin(secret(link, id))).await
    }

    /// The change whose id begins so.
    ///
    /// # Errors
    /// A refusal where there is none, or several: it lists them.
    pub async fn resolve_change(&self, typed: &str) -> Result<ChangeId> {
        let typed = typed.to_owned();
        self.read(move |link| Box::pin(async move { resolve::change(link, &typed).await }))
            .await
    }

    /// The changes whose ids begin so, `most` at most.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn changes_like(&self, typed: &str, most: usize) -> Result<Vec<ChangeId>> {
        let typed = typed.to_owned();
        self.read(move |link| Box::pin(async move { resolve::changes(link, &typed, most).await }))
            .await
    }

    /// The changes that nobody answered in time, the longest silent first.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn silent_changes(&self, now: Timestamp, limit: usize) -> Result<Vec<ChangeId>> {
        self.read(move |link| Box::pin(due::silent_changes(link, now, limit)))
            .await
    }
}

/// The columns of a change's row that its events decide, as [`row`] gives their values.
pub(crate) const COLUMNS: [&str; 6] = ["id", "state", "proposer", "created_at", "due_at", "document"];

/// What stands in them.
pub(crate) fn row(change: &Change) -> Result<[Value; 6]> {
    Ok([
        change.id.into(),
        change.state.name().into(),
        change.proposer.into(),
        change.created_at.into(),
        change.due_at().into(),
        Value::json(change)?,
    ])
}

/// What writes a change's row after an event.
pub(crate) fn write(change: Option<&Change>, step: Step) -> Result<Vec<Statement>> {
    let change = change.ok_or_else(|| Error::corrupt("an event about a change made none"))?;
    let [id, state, proposer, created_at, due_at, document] = row(change)?;
    if step.from != "none" {
        let text =
            "UPDATE changes SET previous_state = state, state = $2, due_at = $3, document = $4 WHERE id = $1";
        let mut writes = vec![(text, vec![id.clone(), state, due_at, document])];
        // Whatever became of it: nobody needs its secret any more.
        if !change.is_pending() {
            writes.push(("DELETE FROM change_secrets WHERE change_id = $1", vec![id]));
        }
        return Ok(writes);
    }
    let text = "INSERT INTO changes (id, state, proposer, created_at, due_at, document) \
                VALUES ($1, $2, $3, $4, $5, $6)";
    Ok(vec![(
        text,
        vec![id, state, proposer, created_at, due_at, document],
    )])
}

/// What keeps the files that a change proposes.
pub(crate) fn keep_files(change: ChangeId, sources: &[(String, String)]) -> Result<Statement> {
    let values = vec![change.into(), Value::json(&sources)?];
    Ok((
        "INSERT INTO change_files (change_id, sources) VALUES ($1, $2)",
        values,
    ))
}

/// What keeps the secret of a change.
pub(crate) fn keep_secret(change: ChangeId, secret: String) -> Statement {
    let text = "INSERT INTO change_secrets (change_id, secret) VALUES ($1, $2)";
    (text, vec![change.into(), secret.into()])
}

async fn secret(link: &mut Link, id: ChangeId) -> Result<Option<String>> {
    let text = "SELECT secret FROM change_secrets WHERE change_id = $1";
    let row = link.row(text, &[id.into()]).await?;
    row.map(|row| row.text(0).map(str::to_owned)).transpose()
}

pub(crate) async fn files(link: &mut Link, id: ChangeId) -> Result<Option<Vec<(String, String)>>> {
    let text = "SELECT sources FROM change_files WHERE change_id = $1";
    let row = link.row(text, &[id.into()]).await?;
    row.map(|row| row.json(0)).transpose()
}

/// Loads all that wait, with their rows locked: few ever do.
pub(crate) async fn waiting(link: &mut Link, world: &mut World) -> Result<()> {
    let text = "SELECT document FROM changes WHERE state = 'pending' ORDER BY id FOR UPDATE";
    take(world, &link.rows(text, &[]).await?)
}

/// Loads one, with its row locked.
pub(crate) async fn one(link: &mut Link, world: &mut World, id: ChangeId) -> Result<()> {
    let text = "SELECT document FROM changes WHERE id = $1 FOR UPDATE";
    take(world, &link.rows(text, &[id.into()]).await?)
}

pub(crate) fn take(world: &mut World, rows: &[Row]) -> Result<()> {
    for row in rows {
        let change: Change = row.json(0)?;
        world.changes.insert(change.id, change);
    }
    Ok(())
}

pub(crate) async fn by_id(link: &mut Link, id: ChangeId) -> Result<Option<Change>> {
    let text = "SELECT document FROM changes WHERE id = $1";
    match link.row(text, &[id.into()]).await? {
        Some(row) => texts::opened(link, row.json(0)?).await.map(Some),
        None => Ok(None),
    }
}

pub(crate) async fn list(
    link: &mut Link,
    filter: &ChangeFilter,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<Change>> {
    let mut select = Select::new("SELECT document, created_at, id FROM changes");
    select.equals("state", filter.state.as_deref());
    select.equals("proposer", filter.proposer);
    let (text, values) = select.newest_first(("created_at", "id"), after, limit);
    let rows = link.rows(&text, &values).await?;
    let next = Cursor::behind(&rows, limit, (1, 2))?;
    let mut items = rows
        .iter()
        .map(|row| row.json(0))
        .collect::<Result<Vec<Change>>>()?;
    texts::open(link, &mut items).await?;
    Ok(Page { items, next })
}
