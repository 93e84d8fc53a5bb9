//! Reports: what the tables say of a period, counted by the database. No document is read for it, but of what is late now.

use std::collections::BTreeMap;

use daypass_core::grant::Grant;
use daypass_core::id::{GrantId, PersonId, RequestId};
use daypass_core::name::{Item, Name};
use daypass_core::request::Request;
use daypass_core::time::{Span, Timestamp};

use crate::error::{Error, Result};
use crate::link::{Link, placeholders};
use crate::store::Store;
use crate::value::{Row, Value};

/// So many resources a report may be limited to, as a statement has only so many values.
pub const MOST_RESOURCES: usize = 8_192;
/// So much is listed of what is late, and of what stands out.
const LISTED: usize = 10;
/// Where waits are cut, in minutes: what is said of how they are spread.
pub const SPREAD: [u64; 5] = [5, 15, 60, 240, 1_440];

/// What a report is about.
#[derive(Debug, Clone)]
pub struct ReportFilter {
    /// What was asked for and opened from then on.
    pub from: Timestamp,
    /// And before then.
    pub until: Timestamp,
    /// The width of the slots that requests are counted in, which is not zero.
    pub slot: Span,
    /// Only what has to do with these; at most [`MOST_RESOURCES`].
    pub resources: Option<Vec<Name>>,
    /// Resources of which nobody can see whether their access is used: grants that give something on them are left out where
    /// that is told.
    pub unseen: Vec<Name>,
}

/// What the tables say of a period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The requests that were made in it.
    pub requests: Vec<Counted>,
    /// How long people took to agree.
    pub waits: Waits,
    /// The resources that were asked for most.
    pub busiest: Vec<Busy>,
    /// The grants that were opened in it.
    pub grants: Opened,
    /// The resources whose grants were used least.
    pub unused: Vec<Unused>,
    /// How the time that access was there compares with access that always is.
    pub exposure: Exposure,
    /// What takes longer than it should.
    pub late: Late,
    /// How it stands now.
    pub now: Standing,
}

/// How many requests of one kind were made in one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Which slot, from 0.
    pub slot: u64,
    /// In which state they are, by name.
    pub state: String,
    /// Who was to agree: `instant`, `reviewed` or `emergency`.
    pub way: String,
    /// How many.
    pub count: u64,
}

/// How long people took to agree, from the request to the last of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waits {
    /// How often they did.
    pub count: u64,
    /// The middle one.
    pub median: Option<Span>,
    /// Nine of ten took no longer.
    pub p90: Option<Span>,
    /// How many were below each of [`SPREAD`] and not below the one before, and how many were above all.
    pub spread: [u64; SPREAD.len() + 1],
}

/// How often a resource was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Busy {
    /// Which.
    pub resource: Name,
    /// How many requests.
    pub requests: u64,
    /// Of how many people.
    pub people: u64,
    /// How many were denied.
    pub denied: u64,
}

/// What became of the grants of a period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// How many were opened.
    pub opened: u64,
    /// How many of them became active.
    pub active: u64,
    /// How many of those are over and would have shown whether they were used.
    pub over: u64,
    /// How many of those were not: nobody was given credentials, and no session was opened.
    pub unused: u64,
}

/// How many grants of a resource were not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unused {
    /// Which.
    pub resource: Name,
    /// How many were active and are over.
    pub over: u64,
    /// How many of those nobody used.
    pub unused: u64,
}

/// How long access was there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exposure {
    /// How many pairs of a person and a resource there were.
    pub pairs: u64,
    /// How long these had access, all together: more than a span can say.
    pub held_seconds: u64,
}

/// What takes longer than it should.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Late {
    /// How many grants became overdue in the period: their access was not seen to be gone in time.
    pub revocations: u64,
    /// How many are overdue now, whenever that began.
    pub revocations_now: u64,
    /// Those that have been for longest.
    pub grants: Vec<LateGrant>,
    /// How many reviews after an emergency are owed now.
    pub reviews_owed: u64,
    /// How many of these nobody gave in time.
    pub reviews_overdue: u64,
    /// Those that have been owed for longest.
    pub requests: Vec<LateReview>,
}

/// A grant that ought to be gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateGrant {
    /// Which.
    pub id: GrantId,
    /// By which request.
    pub request: RequestId,
    /// Whose.
    pub holder: PersonId,
    /// What it gives.
    pub items: Vec<Item>,
    /// Since when it ends.
    pub since: Timestamp,
}

/// A review that is owed after an emergency, and late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateReview {
    /// Of which request.
    pub id: RequestId,
    /// Whose.
    pub requester: PersonId,
    /// What was taken.
    pub items: Vec<Item>,
    /// When.
    pub since: Timestamp,
}

/// How it stands now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Grants that are active.
    pub grants: u64,
    /// People who hold any of them.
    pub people: u64,
    /// Resources that they give something on.
    pub resources: u64,
    /// How many of them end within the hour.
    pub soon: u64,
    /// What was last seen at a target, or may be there, although no grant wants it. Not counted where only some resources are
    /// asked for.
    pub unwanted: Option<u64>,
}

/// A statement about some resources or all, with its values.
struct Asking {
    values: Vec<Value>,
    /// What stands behind `IN`, where only some are asked for.
    some: Option<String>,
}

impl Asking {
    /// `values` are `$1`, `$2` …; those of the resources come behind them.
    fn new(filter: &ReportFilter, values: impl Into<Vec<Value>>) -> Self {
        let mut asking = Self {
            values: values.into(),
            some: None,
        };
        asking.some = filter.resources.as_deref().map(|some| asking.listed(some));
        asking
    }

    /// The numbers of these names, which become values. One that there is not stands for none.
    fn listed(&mut self, names: &[Name]) -> String {
        let first = self.values.len() + 1;
        // Few lengths, so that few statements are prepared: the last element is repeated.
        let count = names.len().max(1).next_power_of_two();
        let none = Value::from("");
        let last = names.last().map_or(none, Value::from);
        self.values.extend(names.iter().map(Value::from));
        self.values.resize(first - 1 + count, last);
        placeholders(first, count, 1)
    }

    /// What limits a query of requests, of grants or of parts to them. Not by an index, which would be asked once for each
    /// name and row (`|| ''`).
    fn and(&self, of: Of) -> String {
        let Some(some) = &self.some else {
            return String::new();
        };
        match of {
            Of::Request => format!(
                " AND EXISTS (SELECT 1 FROM request_items AS meant WHERE meant.request_id = requests.id AND meant.resource || '' IN ({some}))"
            ),
            Of::Grant(id) => format!(
                " AND EXISTS (SELECT 1 FROM grant_parts AS meant WHERE meant.grant_id = {id} AND meant.resource || '' IN ({some}))"
            ),
            Of::Rows(column) => format!(" AND {column} || '' IN ({some})"),
        }
    }

    async fn rows(&self, link: &mut Link, text: &str) -> Result<Vec<Row>> {
        link.rows(text, &self.values).await
    }

    async fn row(&self, link: &mut Link, text: &str) -> Result<Row> {
        let row = link.row(text, &self.values).await?;
        row.ok_or_else(|| Error::corrupt("a query without a row"))
    }
}

/// What is limited to some resources.
#[derive(Clone, Copy)]
enum Of {
    /// `requests`.
    Request,
    /// The grant whose id this column has.
    Grant(&'static str),
    /// Rows that have a resource in this column.
    Rows(&'static str),
}

impl Store {
    /// What the tables say of a period, all of it at one moment.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn report(&self, filter: ReportFilter, now: Timestamp) -> Result<Report> {
        self.snapshot(move |link| Box::pin(async move { report(link, &filter, now).await }))
            .await
    }

    /// How long people took to agree, of a report nothing else.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn waits(&self, filter: ReportFilter) -> Result<Waits> {
        self.snapshot(move |link| Box::pin(async move { waits(link, &filter).await }))
            .await
    }
}

async fn report(link: &mut Link, filter: &ReportFilter, now: Timestamp) -> Result<Report> {
    Ok(Report {
        requests: requests(link, filter).await?,
        waits: waits(link, filter).await?,
        busiest: busiest(link, filter).await?,
        grants: opened(link, filter).await?,
        unused: unused(link, filter).await?,
        exposure: exposure(link, filter, now).await?,
        late: late(link, filter).await?,
        now: standing(link, filter, now).await?,
    })
}

/// The period: what every query of it has for `$1` and `$2`.
fn period(filter: &ReportFilter) -> [Value; 2] {
    [filter.from.into(), filter.until.into()]
}

async fn requests(link: &mut Link, filter: &ReportFilter) -> Result<Vec<Counted>> {
    let [from, until] = period(filter);
    let asking = Asking::new(filter, [from, until, filter.slot.micros().max(1).into()]);
    let text = format!(
        "SELECT (created_at - $1) / $3 AS slot, state, way, count(*) FROM requests \
         WHERE created_at >= $1 AND created_at < $2{} GROUP BY slot, state, way ORDER BY slot, state, way",
        asking.and(Of::Request)
    );
    let rows = asking.rows(link, &text).await?;
    rows.iter()
        .map(|row| {
            Ok(Counted {
                slot: row.count(0)?,
                state: row.text(1)?.to_owned(),
                way: row.text(2)?.to_owned(),
                count: row.count(3)?,
            })
        })
        .collect()
}

/// That people agreed. Not by the index of states, which has nothing else that is wanted here.
const AGREED: &str = "CASE WHEN state = 'approved' AND way = 'reviewed' THEN 1 ELSE 0 END = 1";

async fn waits(link: &mut Link, filter: &ReportFilter) -> Result<Waits> {
    let asking = Asking::new(filter, period(filter));
    let of = format!(
        "FROM requests WHERE created_at >= $1 AND created_at < $2 AND {AGREED}{}",
        asking.and(Of::Request)
    );
    let below: String = SPREAD
        .iter()
        .enumerate()
        .map(|(nth, minutes)| {
            format!(
                " WHEN answered_at - created_at < {} THEN {nth}",
                minutes * 60_000_000
            )
        })
        .collect();
    let last = SPREAD.len();
    let text =
        format!("SELECT CAST(CASE{below} ELSE {last} END AS BIGINT) AS bin, count(*) {of} GROUP BY bin");
    let mut waits = Waits::default();
    for row in &asking.rows(link, &text).await? {
        let bin = usize::try_from(row.count(0)?).map_err(Error::corrupt)?;
        if let Some(count) = waits.spread.get_mut(bin) {
            *count = row.count(1)?;
        }
    }
    waits.count = waits.spread.iter().sum();
    let text = format!("SELECT answered_at - created_at AS wait {of} ORDER BY wait LIMIT 1 OFFSET ");
    waits.median = nth(link, &asking, &text, waits.count, 50).await?;
    waits.p90 = nth(link, &asking, &text, waits.count, 90).await?;
    Ok(waits)
}

/// The value that so many of a hundred are not above: one that there was, the lower of two in the middle.
async fn nth(link: &mut Link, asking: &Asking, text: &str, of: u64, percent: u64) -> Result<Option<Span>> {
    let Some(offset) = (of * percent).div_ceil(100).checked_sub(1) else {
        return Ok(None);
    };
    // A number that was counted here; as a value it would be another one between the resources.
    let row = asking.row(link, &format!("{text}{offset}")).await?;
    Ok(Some(Span::from_micros(row.count(0)?)))
}

async fn busiest(link: &mut Link, filter: &ReportFilter) -> Result<Vec<Busy>> {
    let asking = Asking::new(filter, period(filter));
    let text = format!(
        "SELECT resource, count(*) AS many, count(DISTINCT requester) FROM request_items \
         WHERE created_at >= $1 AND created_at < $2{} GROUP BY resource ORDER BY many DESC, resource LIMIT {LISTED}",
        asking.and(Of::Rows("resource"))
    );
    let rows = asking.rows(link, &text).await?;
    let denied = denied(link, filter).await?;
    rows.iter()
        .map(|row| {
            let resource: Name = row.parse(0)?;
            Ok(Busy {
                requests: row.count(1)?,
                people: row.count(2)?,
                denied: denied.get(&resource).copied().unwrap_or_default(),
                resource,
            })
        })
        .collect()
}

/// How many requests for each resource were denied. Of few requests, what they ask for is looked up: on SQLite too, from those.
async fn denied(link: &mut Link, filter: &ReportFilter) -> Result<BTreeMap<Name, u64>> {
    let asking = Asking::new(filter, period(filter));
    let text = format!(
        "SELECT request_items.resource, count(*) FROM requests CROSS JOIN request_items \
         WHERE requests.created_at >= $1 AND requests.created_at < $2 AND CASE WHEN state = 'denied' THEN 1 ELSE 0 END = 1 \
         AND request_items.request_id = requests.id{} GROUP BY request_items.resource",
        asking.and(Of::Rows("request_items.resource"))
    );
    let rows = asking.rows(link, &text).await?;
    rows.iter()
        .map(|row| Ok((row.parse(0)?, row.count(1)?)))
        .collect()
}

/// Whether a grant was active and is over.
const OVER: &str = "active_at IS NOT NULL AND over_at IS NOT NULL";
/// Whether nobody was seen to use it.
const IDLE: &str =
    "used_at IS NULL AND NOT EXISTS (SELECT 1 FROM sessions WHERE sessions.grant_id = grants.id)";

/// A grant may give several roles on one resource: the first of these parts stands for all.
const ONCE: &str = "NOT EXISTS (SELECT 1 FROM grant_parts AS earlier WHERE earlier.grant_id = parts.grant_id \
                    AND earlier.resource = parts.resource AND earlier.position < parts.position)";

/// What leaves out the grants of which nobody can see whether they are used.
fn seen(asking: &mut Asking, unseen: &[Name]) -> String {
    if unseen.is_empty() {
        return String::new();
    }
    let unseen = asking.listed(unseen);
    format!(
        " AND NOT EXISTS (SELECT 1 FROM grant_parts AS hidden WHERE hidden.grant_id = grants.id AND hidden.resource || '' IN ({unseen}))"
    )
}

async fn opened(link: &mut Link, filter: &ReportFilter) -> Result<Opened> {
    let mut asking = Asking::new(filter, period(filter));
    let seen = seen(&mut asking, &filter.unseen);
    let text = format!(
        "SELECT count(*), count(active_at), count(CASE WHEN {OVER}{seen} THEN 1 END), \
         count(CASE WHEN {OVER} AND {IDLE}{seen} THEN 1 END) FROM grants WHERE opened_at >= $1 AND opened_at < $2{}",
        asking.and(Of::Grant("grants.id"))
    );
    let row = asking.row(link, &text).await?;
    Ok(Opened {
        opened: row.count(0)?,
        active: row.count(1)?,
        over: row.count(2)?,
        unused: row.count(3)?,
    })
}

async fn unused(link: &mut Link, filter: &ReportFilter) -> Result<Vec<Unused>> {
    let mut asking = Asking::new(filter, period(filter));
    let seen = seen(&mut asking, &filter.unseen);
    let text = format!(
        "SELECT resource, count(*), count(CASE WHEN idle = 1 THEN 1 END) AS many FROM \
         (SELECT parts.resource, CASE WHEN {IDLE} THEN 1 ELSE 0 END AS idle \
         FROM grants CROSS JOIN grant_parts AS parts WHERE opened_at >= $1 AND opened_at < $2 \
         AND {OVER}{seen} AND parts.grant_id = grants.id AND {ONCE}{}) AS each_one \
         GROUP BY resource HAVING count(CASE WHEN idle = 1 THEN 1 END) > 0 ORDER BY many DESC, resource LIMIT {LISTED}",
        asking.and(Of::Rows("parts.resource"))
    );
    let rows = asking.rows(link, &text).await?;
    rows.iter()
        .map(|row| {
            Ok(Unused {
                resource: row.parse(0)?,
                over: row.count(1)?,
                unused: row.count(2)?,
            })
        })
        .collect()
}

async fn exposure(link: &mut Link, filter: &ReportFilter, now: Timestamp) -> Result<Exposure> {
    let [from, until] = period(filter);
    let asking = Asking::new(filter, [from, until, filter.until.min(now).into()]);
    let text = format!(
        "SELECT count(*), CAST(coalesce(sum(held), 0) / 1000000 AS BIGINT) FROM (SELECT sum(held) AS held FROM \
         (SELECT grants.holder, parts.resource, CASE WHEN active_at >= $3 THEN 0 \
         WHEN over_at IS NULL OR over_at > $3 THEN $3 - active_at ELSE over_at - active_at END AS held \
         FROM grants CROSS JOIN grant_parts AS parts WHERE opened_at >= $1 AND opened_at < $2 \
         AND active_at IS NOT NULL AND parts.grant_id = grants.id AND {ONCE}{}) AS each_one GROUP BY holder, resource) AS pairs",
        asking.and(Of::Rows("parts.resource"))
    );
    let row = asking.row(link, &text).await?;
    Ok(Exposure {
        pairs: row.count(0)?,
        held_seconds: row.count(1)?,
    })
}

/// What an overdue grant's document says of it; no free text is in it.
const OVERDUE: &str = "state = 'ending' AND document LIKE '%\"overdue\":true%'";

async fn late(link: &mut Link, filter: &ReportFilter) -> Result<Late> {
    let asking = Asking::new(filter, period(filter));
    let text = format!(
        "SELECT count(DISTINCT subject) FROM events WHERE name = 'grant.overdue' AND leaf_index IS NOT NULL \
         AND at >= $1 AND at < $2{}",
        asking.and(Of::Grant("events.subject"))
    );
    let revocations = asking.row(link, &text).await?.count(0)?;
    let asking = Asking::new(filter, []);
    let of = format!(
        "FROM grants WHERE {OVERDUE}{}",
        asking.and(Of::Grant("grants.id"))
    );
    let count = asking.row(link, &format!("SELECT count(*) {of}")).await?;
    let text = format!("SELECT document, over_at {of} ORDER BY over_at, id LIMIT {LISTED}");
    let grants = asking.rows(link, &text).await?;
    let owing = format!("FROM requests WHERE owing = 1{}", asking.and(Of::Request));
    // One that is overdue waits for no instant any more.
    let owed = asking
        .row(link, &format!("SELECT count(*), count(due_at) {owing}"))
        .await?;
    let text = format!("SELECT document {owing} AND due_at IS NULL ORDER BY created_at, id LIMIT {LISTED}");
    let requests = asking.rows(link, &text).await?;
    Ok(Late {
        revocations,
        revocations_now: count.count(0)?,
        grants: grants.iter().map(late_grant).collect::<Result<_>>()?,
        reviews_owed: owed.count(0)?,
        reviews_overdue: owed.count(0)?.saturating_sub(owed.count(1)?),
        requests: requests.iter().map(late_review).collect::<Result<_>>()?,
    })
}

fn late_grant(row: &Row) -> Result<LateGrant> {
    let grant: Grant = row.json(0)?;
    Ok(LateGrant {
        id: grant.id,
        request: grant.request,
        holder: grant.holder,
        items: grant.parts.iter().map(|part| part.item().clone()).collect(),
        since: row.time(1)?,
    })
}

fn late_review(row: &Row) -> Result<LateReview> {
    let request: Request = row.json(0)?;
    Ok(LateReview {
        id: request.id,
        requester: request.ask.requester,
        since: request.created_at,
        items: request.ask.items.into_iter().collect(),
    })
}

async fn standing(link: &mut Link, filter: &ReportFilter, now: Timestamp) -> Result<Standing> {
    let asking = Asking::new(filter, [(now + Span::hours(1)).into()]);
    let text = format!(
        "SELECT count(DISTINCT grants.id), count(DISTINCT holder), count(DISTINCT parts.resource), \
         count(DISTINCT CASE WHEN wakes_at <= $1 THEN grants.id END) FROM grants CROSS JOIN grant_parts AS parts \
         WHERE state = 'active' AND parts.grant_id = grants.id{}",
        asking.and(Of::Rows("parts.resource"))
    );
    let row = asking.row(link, &text).await?;
    let unwanted = match filter.resources {
        Some(_) => None,
        None => {
            let text = "SELECT count(*) FROM entitlements WHERE state <> 'absent' AND wanted_until IS NULL";
            Some(Asking::new(filter, []).row(link, text).await?.count(0)?)
        }
    };
    Ok(Standing {
        grants: row.count(0)?,
        people: row.count(1)?,
        resources: row.count(2)?,
        soon: row.count(3)?,
        unwanted,
    })
}
