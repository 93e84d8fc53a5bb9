//! Sessions: their rows, and the queries on them.

use daypass_core::event::{Event, What};
use daypass_core::id::{GrantId, PersonId, SessionId};
use daypass_core::name::Name;
use daypass_core::session::{self, Chunk, Session};
use daypass_core::time::Timestamp;
use daypass_core::world::{Step, World};

use crate::error::{Error, Result};
use crate::link::Link;
use crate::page::{Cursor, Page};
use crate::select::Select;
use crate::store::Store;
use crate::value::{Row, Statement, Value};
use crate::{resolve, texts};

/// Which sessions to list. What is not said does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Under this grant.
    pub grant: Option<GrantId>,
    /// Of this person.
    pub holder: Option<PersonId>,
    /// Only those that are not over.
    pub live: bool,
}

/// Sessions. Each fails where the store does not answer.
#[expect(
    clippy::missing_errors_doc,
    reason = "they fail alike: where the store does not answer"
)]
impl Store {
    /// A session.
    pub async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        self.read(move |link| Box::pin(by_id(link, id))).await
    }

    /// A page of sessions, newest first; `after` is the last page's `next`.
    pub async fn sessions(
        &self,
        filter: SessionFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Session>> {
        self.read(move |link| Box::pin(async move { list(link, &filter, after.as_ref(), limit).await }))
            .await
    }

    /// The sessions that are not over, oldest first: those that a server opened, or all.
    pub async fn live_sessions(&self, server: Option<&Name>) -> Result<Vec<Session>> {
        let server = server.cloned();
        self.read(move |link| Box::pin(async move { live(link, server.as_ref()).await }))
            .await
    }

    /// The sessions that are not over although their grant was seen to be gone, and had begun to end at this instant or before.
    pub async fn outliving_sessions(&self, begun: Timestamp, limit: usize) -> Result<Vec<Session>> {
        self.read(move |link| Box::pin(outliving(link, begun, limit)))
            .await
    }

    /// The sessions that were over at this instant or before and whose recordings are there, oldest first.
    pub async fn recorded_sessions(&self, over: Timestamp, limit: usize) -> Result<Vec<Session>> {
        self.read(move |link| Box::pin(recorded(link, over, limit))).await
    }

    /// Those of these sessions that there are, in any order.
    pub async fn sessions_of_ids(&self, ids: &[SessionId]) -> Result<Vec<Session>> {
        let ids = ids.to_vec();
        self.read(move |link| Box::pin(async move { of_ids(link, &ids).await }))
            .await
    }

    /// What was recorded of a session, chunk by chunk, whether or not it has its place in the log yet.
    pub async fn session_chunks(&self, id: SessionId) -> Result<Vec<Chunk>> {
        self.read(move |link| Box::pin(chunks(link, id))).await
    }

    /// The session whose id begins so. It is a refusal where there is none, or several: it lists them.
    pub async fn resolve_session(&self, typed: &str) -> Result<SessionId> {
        let typed = typed.to_owned();
        self.read(move |link| Box::pin(async move { resolve::session(link, &typed).await }))
            .await
    }

    /// The sessions whose ids begin so, `most` at most.
    pub async fn sessions_like(&self, typed: &str, most: usize) -> Result<Vec<SessionId>> {
        let typed = typed.to_owned();
        self.read(move |link| Box::pin(async move { resolve::sessions(link, &typed, most).await }))
            .await
    }
}

/// The columns of a session's row that its events decide, as [`row`] gives their values.
pub(crate) const COLUMNS: [&str; 8] = [
    "id",
    "state",
    "grant_id",
    "holder",
    "server",
    "opened_at",
    "kept_since",
    "document",
];

/// What stands in them.
pub(crate) fn row(session: &Session) -> Result<[Value; 8]> {
    Ok([
        session.id.into(),
        session.state.name().into(),
        session.grant.into(),
        session.holder.into(),
        (&session.gateway.server).into(),
        session.opened_at.into(),
        session.kept_since().into(),
        Value::json(session)?,
    ])
}

/// What writes a session's row after an event.
pub(crate) fn write(session: Option<&Session>, step: Step) -> Result<Vec<Statement>> {
    let session = session.ok_or_else(|| Error::corrupt("an event about a session made none"))?;
    let [id, state, grant, holder, server, opened_at, kept_since, document] = row(session)?;
    if step.from != "none" {
        let text = "UPDATE sessions SET previous_state = state, state = $2, kept_since = $3, document = $4 WHERE id = $1";
        return Ok(vec![(text, vec![id, state, kept_since, document])]);
    }
    let text = "INSERT INTO sessions (id, state, grant_id, holder, server, opened_at, kept_since, document) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let values = vec![id, state, grant, holder, server, opened_at, kept_since, document];
    Ok(vec![(text, values)])
}

/// Loads one, with its row locked.
pub(crate) async fn load(link: &mut Link, world: &mut World, id: SessionId) -> Result<()> {
    let text = "SELECT document FROM sessions WHERE id = $1 FOR UPDATE";
    take(world, &link.rows(text, &[id.into()]).await?)
}

pub(crate) fn take(world: &mut World, rows: &[Row]) -> Result<()> {
    for row in rows {
        let session: Session = row.json(0)?;
        world.sessions.insert(session.id, session);
    }
    Ok(())
}

async fn open(link: &mut Link, rows: &[Row]) -> Result<Vec<Session>> {
    let mut sessions = rows
        .iter()
        .map(|row| row.json(0))
        .collect::<Result<Vec<Session>>>()?;
    texts::open(link, &mut sessions).await?;
    Ok(sessions)
}

async fn by_id(link: &mut Link, id: SessionId) -> Result<Option<Session>> {
    let rows = link
        .rows("SELECT document FROM sessions WHERE id = $1", &[id.into()])
        .await?;
    Ok(open(link, &rows).await?.pop())
}

async fn list(
    link: &mut Link,
    filter: &SessionFilter,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<Session>> {
    let mut select = Select::new("SELECT document, opened_at, id FROM sessions");
    select.equals("grant_id", filter.grant);
    select.equals("holder", filter.holder);
    if filter.live {
        select.only("state <> 'closed'");
    }
    let (text, values) = select.newest_first(("opened_at", "id"), after, limit);
    let rows = link.rows(&text, &values).await?;
    let next = Cursor::behind(&rows, limit, (1, 2))?;
    Ok(Page {
        items: open(link, &rows).await?,
        next,
    })
}

async fn live(link: &mut Link, server: Option<&Name>) -> Result<Vec<Session>> {
    let all = "SELECT document FROM sessions WHERE state <> 'closed' ORDER BY opened_at, id";
    let of_one =
        "SELECT document FROM sessions WHERE state <> 'closed' AND server = $1 ORDER BY opened_at, id";
    let rows = match server {
        Some(server) => link.rows(of_one, &[server.into()]).await?,
        None => link.rows(all, &[]).await?,
    };
    open(link, &rows).await
}

async fn outliving(link: &mut Link, begun: Timestamp, limit: usize) -> Result<Vec<Session>> {
    // From the sessions that are not over, which are few, to their grants; in this order on SQLite too (`CROSS JOIN`).
    let text = "SELECT sessions.document FROM sessions CROSS JOIN grants WHERE sessions.state <> 'closed' \
                AND grants.id = sessions.grant_id AND grants.state = 'ended' AND grants.over_at <= $1 \
                ORDER BY sessions.opened_at, sessions.id LIMIT $2";
    let rows = link.rows(text, &[begun.into(), limit.into()]).await?;
    open(link, &rows).await
}

async fn recorded(link: &mut Link, over: Timestamp, limit: usize) -> Result<Vec<Session>> {
    let text = "SELECT document FROM sessions WHERE kept_since <= $1 ORDER BY kept_since, id LIMIT $2";
    let rows = link.rows(text, &[over.into(), limit.into()]).await?;
    open(link, &rows).await
}

async fn of_ids(link: &mut Link, ids: &[SessionId]) -> Result<Vec<Session>> {
    let ids: Vec<Value> = ids.iter().map(|id| (*id).into()).collect();
    let rows = link
        .listed("SELECT document FROM sessions WHERE id IN (LIST)", 1, &ids)
        .await?;
    open(link, &rows).await
}

async fn chunks(link: &mut Link, id: SessionId) -> Result<Vec<Chunk>> {
    // Numbers are drawn under the session's row: they are in the order in which its events were committed.
    let text = "SELECT bytes FROM events WHERE kind = 'session' AND subject = $1 AND name = 'session.recorded' ORDER BY id";
    let rows = link.rows(text, &[id.to_string().into()]).await?;
    let mut chunks = Vec::with_capacity(rows.len());
    for row in &rows {
        let event: Event = serde_json::from_slice(row.bytes(0)?).map_err(Error::corrupt)?;
        if let What::Session(session::Event::Recorded { chunk }) = event.what {
            chunks.push(chunk);
        }
    }
    Ok(chunks)
}
