//! The outbox of notices: how far the log was looked through for what somebody is to hear, and what waits to be delivered.
//!
//! Rows are made from the log and not by the transitions, in one transaction with the place up to which it was looked
//! through: nothing is lost and nothing is queued twice, whoever crashes when. A row is claimed before it is delivered, so
//! that of several servers one does it. Who hears what, and in which words, is decided above.

use std::collections::BTreeMap;

use daypass_core::id::PersonId;
use daypass_core::time::{Span, Timestamp};

use crate::error::{Error, Result};
use crate::link::Link;
use crate::value::{Row, Statement, Value};

/// How long a notice that cannot be delivered holds up later ones about the same thing. After that, a late answer is worth
/// more than the order.
pub const ORDER_KEPT: Span = Span::minutes(15);

/// The longest description of a fault that is kept, in characters.
const MAX_FAULT: usize = 300;

/// What is to be told, to whom, over which channel. The four together are told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The channel's name.
    pub channel: String,
    /// The place of the event in the log.
    pub index: u64,
    /// What kind of notice it is, such as `grant.ended`.
    pub notice: String,
    /// To whom; `None`: to whoever listens at the channel.
    pub recipient: Option<PersonId>,
    /// Those of one lane go out in the order of the log, for [`ORDER_KEPT`].
    pub lane: String,
    /// From when on it may be told. Its age counts from here.
    pub since: Timestamp,
    /// How often it was tried without success.
    pub tries: u64,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It was delivered, or nobody need hear it any more.
    Done,
    /// It is to be tried again.
    Later {
        /// When.
        at: Timestamp,
        /// What went wrong; no secrets.
        fault: String,
    },
    /// It is given up.
    Dead {
        /// What went wrong the last time; no secrets.
        fault: String,
    },
}

/// How a channel stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Its name.
    pub channel: String,
    /// What could be told now and is not yet.
    pub waiting: u64,
    /// Of these, what was tried already.
    pub failing: u64,
    /// What is told later: reminders, and what runs out.
    pub planned: u64,
    /// What was given up.
    pub dead: u64,
    /// Since when the oldest of those that wait could have been told.
    pub oldest: Option<Timestamp>,
}

/// Where the next look through the log begins. The first time, that is its present end: nobody hears of what was before.
pub(crate) async fn begin(link: &mut Link) -> Result<u64> {
    let text = "UPDATE notice_state SET next_index = (SELECT size FROM log_head WHERE id = 1) WHERE next_index IS NULL";
    link.run(text, &[]).await?;
    let row = link
        .row("SELECT next_index FROM notice_state WHERE id = 1", &[])
        .await?;
    row.ok_or_else(|| Error::corrupt("the notices have no place in the log"))?
        .count(0)
}

/// Queues what the entries from `from` up to `to` (exclusive) lead to. `false`: somebody else was quicker, and nothing is done.
pub(crate) async fn queue(link: &mut Link, from: u64, to: u64, all: Vec<Delivery>) -> Result<bool> {
    let text = "UPDATE notice_state SET next_index = $2 WHERE id = 1 AND next_index = $1";
    if link.run(text, &[from.into(), to.into()]).await? != 1 {
        return Ok(false);
    }
    let writes: Vec<Statement> = all.into_iter().map(insert).collect();
    link.batch(&writes).await?;
    Ok(true)
}

fn insert(new: Delivery) -> Statement {
    let text = "INSERT INTO deliveries (channel, leaf_index, notice, recipient, lane, since, next_at) \
                VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (channel, leaf_index, notice, recipient) DO NOTHING";
    let mut values = key(&new);
    values.extend([new.lane.into(), new.since.into()]);
    (text, values)
}

/// The columns of the primary key, in its order.
fn key(of: &Delivery) -> Vec<Value> {
    vec![
        of.channel.as_str().into(),
        of.index.into(),
        of.notice.as_str().into(),
        of.recipient.map_or_else(String::new, |id| id.to_string()).into(),
    ]
}

/// A claim on what is due at a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The channel's name.
    pub channel: String,
    /// Who delivers. Each process has its own.
    pub worker: String,
    /// The present time.
    pub now: Timestamp,
    /// Until when nobody else takes what is claimed: longer than an attempt may take.
    pub until: Timestamp,
    /// How many at most.
    pub limit: usize,
}

/// What somebody must hear now, whatever else waits: an emergency, access that does not go, an account that is shut. Nobody
/// can bury it under what they ask for themselves.
const URGENT: &str = "(notice LIKE 'break_glass.%' OR notice = 'grant.overdue' OR notice = 'lock.locked')";

/// What is urgent first, then by age.
pub(crate) async fn claim(link: &mut Link, claim: &Claim) -> Result<Vec<Delivery>> {
    let mut claimed = Vec::with_capacity(claim.limit);
    for urgent in [URGENT.to_owned(), format!("NOT {URGENT}")] {
        let left = claim.limit.saturating_sub(claimed.len());
        if left > 0 {
            claimed.append(&mut claim_of(link, claim, &urgent, left).await?);
        }
    }
    Ok(claimed)
}

async fn claim_of(link: &mut Link, claim: &Claim, which: &str, limit: usize) -> Result<Vec<Delivery>> {
    let text = format!(
        "SELECT leaf_index, notice, recipient, lane, since, tries FROM deliveries AS this \
                WHERE channel = $1 AND state = 'waiting' AND next_at <= $2 AND {which} \
                AND (claimed_until IS NULL OR claimed_until <= $2) \
                AND NOT EXISTS (SELECT 1 FROM deliveries AS earlier WHERE earlier.channel = this.channel \
                AND earlier.lane = this.lane AND earlier.state = 'waiting' AND earlier.leaf_index < this.leaf_index \
                AND earlier.since <= $2 AND earlier.since > $3) \
                ORDER BY next_at, leaf_index, notice, recipient LIMIT $4"
    );
    let values = [
        claim.channel.as_str().into(),
        claim.now.into(),
        (claim.now - ORDER_KEPT).into(),
        limit.into(),
    ];
    let rows = link.rows(&text, &values).await?;
    // One that another server claimed between the two statements is not changed any more, and so not taken.
    let text = "UPDATE deliveries SET worker = $5, claimed_until = $6 WHERE channel = $1 AND leaf_index = $2 \
                AND notice = $3 AND recipient = $4 AND state = 'waiting' AND next_at <= $7 \
                AND (claimed_until IS NULL OR claimed_until <= $7)";
    let mut claimed = Vec::with_capacity(rows.len());
    for row in &rows {
        let due = read(&claim.channel, row)?;
        let mut values = key(&due);
        values.extend([claim.worker.as_str().into(), claim.until.into(), claim.now.into()]);
        if link.run(text, &values).await? == 1 {
            claimed.push(due);
        }
    }
    Ok(claimed)
}

fn read(channel: &str, row: &Row) -> Result<Delivery> {
    let recipient = match row.text(2)? {
        "" => None,
        _ => Some(row.parse(2)?),
    };
    Ok(Delivery {
        channel: channel.to_owned(),
        index: row.count(0)?,
        notice: row.text(1)?.to_owned(),
        recipient,
        lane: row.text(3)?.to_owned(),
        since: row.time(4)?,
        tries: row.count(5)?,
    })
}

/// Records what became of it. What is done is done, whoever did it; a failure counts only while the claim is still the
/// worker's: another may be at it by now.
pub(crate) async fn settle(link: &mut Link, of: &Delivery, worker: &str, fate: Fate) -> Result<bool> {
    let mut values = key(of);
    let text = match fate {
        Fate::Done => {
            "DELETE FROM deliveries WHERE channel = $1 AND leaf_index = $2 AND notice = $3 AND recipient = $4"
        }
        Fate::Later { at, fault } => {
            values.extend([worker.into(), shortened(&fault), at.into()]);
            "UPDATE deliveries SET tries = tries + 1, worker = NULL, claimed_until = NULL, fault = $6, next_at = $7 \
             WHERE channel = $1 AND leaf_index = $2 AND notice = $3 AND recipient = $4 AND worker = $5 \
             AND state = 'waiting'"
        }
        Fate::Dead { fault } => {
            values.extend([worker.into(), shortened(&fault)]);
            "UPDATE deliveries SET tries = tries + 1, worker = NULL, claimed_until = NULL, fault = $6, state = 'dead' \
             WHERE channel = $1 AND leaf_index = $2 AND notice = $3 AND recipient = $4 AND worker = $5 \
             AND state = 'waiting'"
        }
    };
    Ok(link.run(text, &values).await? == 1)
}

fn shortened(fault: &str) -> Value {
    let text: String = fault.chars().filter(|c| *c != '\0').take(MAX_FAULT).collect();
    text.into()
}

/// Gives up what could have been told before this instant and never was, on whatever channel; how many on which.
pub(crate) async fn give_up(link: &mut Link, before: Timestamp) -> Result<BTreeMap<String, u64>> {
    let text =
        "SELECT channel, count(*) FROM deliveries WHERE state = 'waiting' AND since < $1 GROUP BY channel";
    let rows = link.rows(text, &[before.into()]).await?;
    let text = "UPDATE deliveries SET state = 'dead', worker = NULL, claimed_until = NULL \
                WHERE state = 'waiting' AND since < $1";
    link.run(text, &[before.into()]).await?;
    rows.iter()
        .map(|row| Ok((row.text(0)?.to_owned(), row.count(1)?)))
        .collect()
}

/// Forgets what was given up and could have been told before this instant; how many.
pub(crate) async fn forget(link: &mut Link, before: Timestamp) -> Result<u64> {
    let text = "DELETE FROM deliveries WHERE state = 'dead' AND since < $1";
    link.run(text, &[before.into()]).await
}

/// How every channel stands that has anything to tell, by name.
pub(crate) async fn backlog(link: &mut Link, now: Timestamp) -> Result<Vec<Backlog>> {
    let text = "SELECT channel, count(*) FILTER (WHERE state = 'waiting' AND since <= $1), \
                count(*) FILTER (WHERE state = 'waiting' AND since <= $1 AND tries > 0), \
                count(*) FILTER (WHERE state = 'waiting' AND since > $1), \
                count(*) FILTER (WHERE state = 'dead'), \
                min(since) FILTER (WHERE state = 'waiting' AND since <= $1) \
                FROM deliveries GROUP BY channel ORDER BY channel";
    link.rows(text, &[now.into()])
        .await?
        .iter()
        .map(|row| {
            Ok(Backlog {
                channel: row.text(0)?.to_owned(),
                waiting: row.count(1)?,
                failing: row.count(2)?,
                planned: row.count(3)?,
                dead: row.count(4)?,
                oldest: row.maybe_time(5)?,
            })
        })
        .collect()
}
