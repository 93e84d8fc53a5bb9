//! Commands that carry an idempotency key: the first is done, every other gets the first one's answer.

use daypass_core::id::PersonId;
use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};

use crate::error::{Error, Result};
use crate::link::Link;
use crate::value::Value;

/// After so long without an answer the first is taken to have died, and another may take its place.
const STALE: Span = Span::minutes(1);

/// Which command: the key of one person on one route. Structured, so that no two collide by spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Who sent it.
    pub person: PersonId,
    /// Method and route.
    pub route: String,
    /// The client's key.
    pub key: String,
}

/// How a command stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is the first of its key: do it, then say what was answered.
    First,
    /// It was done.
    Done(Answer),
    /// It is being done at this moment.
    InProgress,
    /// Another body came with the same key before.
    Mismatch,
}

/// What a command was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; `None` where it was not to be kept, as it held a secret.
    pub body: Option<Vec<u8>>,
}

impl Command {
    fn values(&self) -> Vec<Value> {
        vec![
            self.person.into(),
            self.route.as_str().into(),
            self.key.as_str().into(),
        ]
    }
}

pub(crate) async fn begin(link: &mut Link, command: &Command, body: Hash, now: Timestamp) -> Result<Begun> {
    let text = "INSERT INTO idempotency (person, route, idempotency_key, body_hash, created_at) \
                VALUES ($1, $2, $3, $4, $5) ON CONFLICT (person, route, idempotency_key) DO NOTHING";
    let mut values = command.values();
    values.extend([body.into(), now.into()]);
    if link.run(text, &values).await? == 1 {
        return Ok(Begun::First);
    }
    let text = "SELECT body_hash, finished, status, answer, created_at FROM idempotency \
                WHERE person = $1 AND route = $2 AND idempotency_key = $3 FOR UPDATE";
    // Given up between the two statements: somebody else is just now deciding what becomes of it.
    let Some(row) = link.row(text, &command.values()).await? else {
        return Ok(Begun::InProgress);
    };
    if row.hash(0)? != body {
        return Ok(Begun::Mismatch);
    }
    if row.int(1)? != 0 {
        let status = u16::try_from(row.int(2)?).map_err(Error::corrupt)?;
        return Ok(Begun::Done(Answer {
            status,
            body: row.maybe_bytes(3)?.map(<[u8]>::to_vec),
        }));
    }
    if now < row.time(4)? + STALE {
        return Ok(Begun::InProgress);
    }
    let text =
        "UPDATE idempotency SET created_at = $4 WHERE person = $1 AND route = $2 AND idempotency_key = $3";
    let mut values = command.values();
    values.push(now.into());
    link.run(text, &values).await?;
    Ok(Begun::First)
}

pub(crate) async fn finish(link: &mut Link, command: &Command, answer: Answer) -> Result<()> {
    let text = "UPDATE idempotency SET finished = 1, status = $4, answer = $5 \
                WHERE person = $1 AND route = $2 AND idempotency_key = $3 AND finished = 0";
    let mut values = command.values();
    values.extend([i64::from(answer.status).into(), answer.body.into()]);
    link.run(text, &values).await.map(drop)
}

pub(crate) async fn give_up(link: &mut Link, command: &Command) -> Result<()> {
    let text = "DELETE FROM idempotency \
                WHERE person = $1 AND route = $2 AND idempotency_key = $3 AND finished = 0";
    link.run(text, &command.values()).await.map(drop)
}

/// Forgets what was begun before this instant; how many.
pub(crate) async fn forget(link: &mut Link, before: Timestamp) -> Result<u64> {
    link.run("DELETE FROM idempotency WHERE created_at < $1", &[before.into()])
        .await
}
