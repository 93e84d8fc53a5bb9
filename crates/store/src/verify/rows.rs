//! The rows of the tables against those that the events made: each column, by the functions that write it.

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::change::Proposal;
use daypass_core::entitlement::TargetKey;
use daypass_core::event::Subject;
use daypass_core::person::Person;
use daypass_core::text::Hash;
use daypass_core::time::Timestamp;
use daypass_core::world::LEGAL;

use super::Check;
use super::difference::{difference, shown};
use crate::error::{Error, Result};
use crate::link::Link;
use crate::replay::{Replay, Steps};
use crate::value::{Row, Value};
use crate::{changes, entitlements, events, grants, keys, locks, people, requests, sessions, texts};

/// A row as the events made it, column by column. `None`: nobody can tell any more what stands there.
type Made = Vec<Option<Value>>;

/// A table as the events made it.
struct Table {
    /// What one row is called.
    kind: &'static str,
    name: &'static str,
    /// Those that name a row come first.
    columns: Vec<&'static str>,
    /// How many do.
    named_by: usize,
    rows: BTreeMap<String, Made>,
}

impl Table {
    fn new(kind: &'static str, name: &'static str, columns: &[&'static str], named_by: usize) -> Self {
        Self {
            kind,
            name,
            columns: columns.to_vec(),
            named_by,
            rows: BTreeMap::new(),
        }
    }

    fn add(&mut self, values: impl Into<Vec<Value>>) -> Result<()> {
        self.add_known(values.into().into_iter().map(Some).collect())
    }

    fn add_known(&mut self, made: Made) -> Result<()> {
        let named: Vec<Value> = made.iter().take(self.named_by).flatten().cloned().collect();
        self.rows.insert(name(&named)?, made);
        Ok(())
    }

    /// The first difference.
    async fn compare(mut self, link: &mut Link) -> Result<()> {
        let columns = self.columns.join(", ");
        let text = format!(
            "SELECT {columns} FROM {} ORDER BY {}",
            self.name,
            self.columns
                .iter()
                .take(self.named_by)
                .copied()
                .collect::<Vec<_>>()
                .join(", ")
        );
        let rows = link.rows(&text, &[]).await;
        for row in rows.map_err(|error| Check::Tables.at(self.name, error))? {
            let Row(values) = row;
            let named = name(values.get(..self.named_by).unwrap_or_default())?;
            let differs = |what: String| Check::Tables.differs(format!("{} {named}: {what}", self.kind));
            let Some(made) = self.rows.remove(&named) else {
                return Err(differs("it is in the tables, and no event made it".to_owned()));
            };
            for ((column, value), made) in self.columns.iter().zip(&values).zip(&made) {
                if let Some(made) = made
                    && let Some(what) = differing(column, value, made)
                {
                    return Err(differs(what));
                }
            }
        }
        match self.rows.first_key_value() {
            None => Ok(()),
            Some((named, _)) => Err(Check::Tables.differs(format!(
                "{} {named}: the log has it, and the tables do not",
                self.kind
            ))),
        }
    }
}

/// What a row is called.
fn name(values: &[Value]) -> Result<String> {
    let one = |value: &Value| match value {
        Value::Text(text) => Ok(text.clone()),
        Value::Int(number) => Ok(number.to_string()),
        Value::Null | Value::Bytes(_) => Err(Check::Tables.differs("a row is named by nothing")),
    };
    let all: Vec<String> = values.iter().map(one).collect::<Result<_>>()?;
    Ok(all.join(":"))
}

/// In what a column differs, if it does.
fn differing(column: &str, table: &Value, log: &Value) -> Option<String> {
    if table == log {
        return None;
    }
    if let ("document", Value::Text(table), Value::Text(log)) = (column, table, log) {
        let pair = (serde_json::from_str(table), serde_json::from_str(log));
        return match pair {
            // The same, in another order or with other blanks.
            (Ok::<serde_json::Value, _>(table), Ok::<serde_json::Value, _>(log)) if table == log => None,
            (Ok(table), Ok(log)) => Some(difference(&table, &log)),
            _ => Some("its document cannot be read".to_owned()),
        };
    }
    let (table, log) = (told(column, table), told(column, log));
    Some(format!("its column {column} says {table}, the log says {log}"))
}

fn told(column: &str, value: &Value) -> String {
    let is_time = column.ends_with("_at") || column.ends_with("_until") || column == "claim_ends";
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Int(micros) if is_time => Timestamp::from_micros(*micros).to_string(),
        Value::Int(number) => number.to_string(),
        Value::Text(text) => shown(&serde_json::Value::from(text.as_str())),
        Value::Bytes(_) => "bytes".to_owned(),
    }
}

/// Compares all tables that the events make.
pub(super) async fn compare(link: &mut Link, log: &Replay) -> Result<()> {
    access(link, log).await?;
    beside(link, log).await?;
    accounts(link, log)
        .await
        .map_err(|error| Check::Tables.at("people", error))?;
    let at = |table| move |error| Check::Tables.at(table, error);
    legal(link).await.map_err(at("legal_transitions"))?;
    policies(link, log).await.map_err(at("policies"))?;
    proposed(link, log).await.map_err(at("change_files"))
}

/// The steps of a row, which is there because of them.
fn steps<'l>(log: &'l Replay, subject: &Subject) -> Result<&'l Steps> {
    let steps = log.steps.get(subject);
    steps.ok_or_else(|| Error::corrupt("what is replayed has no steps"))
}

/// Requests, grants, what is provisioned for them and the sessions under them, each row with the state that it came from.
async fn access(link: &mut Link, log: &Replay) -> Result<()> {
    let world = &log.world;
    let from = |subject: &Subject| Ok::<_, Error>(Value::from(steps(log, subject)?.from));
    let mut table = Table::new("request", "requests", &with_from(&requests::COLUMNS), 1);
    let mut items = Table::new("item", "request_items", &requests::ITEM_COLUMNS, 2);
    for request in world.requests.values() {
        let from = from(&Subject::Request(request.id))?;
        table.add(and(requests::row(request)?, from))?;
        for item in requests::items(request) {
            items.add(item)?;
        }
    }
    table.compare(link).await?;
    items.compare(link).await?;
    let mut table = Table::new("grant", "grants", &with_from(&grants::COLUMNS), 1);
    let mut parts = Table::new("part", "grant_parts", &grants::PART_COLUMNS, 2);
    let mut wanted: BTreeMap<&TargetKey, Option<Timestamp>> = BTreeMap::new();
    for grant in world.grants.values() {
        let Steps {
            first,
            last,
            from,
            used,
        } = steps(log, &Subject::Grant(grant.id))?;
        let at = grants::When {
            opened: *first,
            used: *used,
            now: *last,
        };
        table.add(and(grants::row(grant, at)?, (*from).into()))?;
        for part in grants::parts(grant, *last) {
            parts.add(part)?;
        }
        if let (until, false) = grants::wanted(grant, *last) {
            for part in &grant.parts {
                let latest = wanted.entry(&part.target).or_default();
                *latest = (*latest).max(until);
            }
        }
    }
    table.compare(link).await?;
    parts.compare(link).await?;
    let columns = [&with_from(&entitlements::COLUMNS), &["wanted_until"][..]].concat();
    let mut table = Table::new("entitlement", "entitlements", &columns, 2);
    for (key, entitlement) in &world.entitlements {
        let from = from(&Subject::Entitlement(key.clone()))?;
        let mut made = and(entitlements::row(entitlement)?, from);
        made.push(wanted.get(key).copied().flatten().into());
        table.add(made)?;
    }
    table.compare(link).await?;
    let mut table = Table::new("session", "sessions", &with_from(&sessions::COLUMNS), 1);
    for session in world.sessions.values() {
        let from = from(&Subject::Session(session.id))?;
        table.add(and(sessions::row(session)?, from))?;
    }
    table.compare(link).await
}

/// Locks, changes, keys, and which policy is in force.
async fn beside(link: &mut Link, log: &Replay) -> Result<()> {
    let world = &log.world;
    let from = |subject: &Subject| Ok::<_, Error>(Value::from(steps(log, subject)?.from));
    let mut table = Table::new("lock", "locks", &with_from(&locks::COLUMNS), 1);
    for (on, lock) in &world.locks {
        let from = from(&Subject::Lock(on.clone()))?;
        table.add(and(locks::row(lock)?, from))?;
    }
    table.compare(link).await?;
    let mut table = Table::new("change", "changes", &with_from(&changes::COLUMNS), 1);
    for change in world.changes.values() {
        let from = from(&Subject::Change(change.id))?;
        table.add(and(changes::row(change)?, from))?;
    }
    table.compare(link).await?;
    let mut table = Table::new("key", "key_states", &with_from(&keys::COLUMNS), 1);
    for (key, standing) in &world.keys {
        let from = from(&Subject::Key(key.clone()))?;
        table.add(and(keys::row(standing)?, from))?;
    }
    table.compare(link).await?;
    let mut table = Table::new(
        "the policy's state",
        "policy_state",
        &["id", "state", "revision", "previous_state"],
        1,
    );
    if let Some(revision) = world.policy {
        let from = from(&Subject::Policy)?;
        table.add([1_i64.into(), "applied".into(), revision.to_string().into(), from])?;
    }
    table.compare(link).await
}

/// A row's columns, and the one that says from which state it came.
fn with_from(columns: &[&'static str]) -> Vec<&'static str> {
    [columns, &["previous_state"]].concat()
}

fn and<const N: usize>(row: [Value; N], from: Value) -> Vec<Value> {
    row.into_iter().chain([from]).collect()
}

/// Accounts, with their logins as far as the words of those are kept; and how often the directory changed.
async fn accounts(link: &mut Link, log: &Replay) -> Result<()> {
    let mut people: Vec<Person> = log.world.people.values().cloned().collect();
    texts::open(link, &mut people).await?;
    let columns = [&with_from(&people::COLUMNS), &["login"][..]].concat();
    let mut table = Table::new("person", "people", &columns, 1);
    for person in &people {
        let id = person.id;
        let from = steps(log, &Subject::Person(id))?.from.into();
        let login = match person.login.words() {
            Some(_) => Some(people::login(person)?),
            None if person.active => {
                let what = format!(
                    "person {id}: the words of its login are gone, so that nobody can compare the column"
                );
                return Err(Check::Tables.differs(what));
            }
            // They were erased.
            None => None,
        };
        let mut made: Made = and(people::row(person)?, from).into_iter().map(Some).collect();
        made.push(login);
        table.add_known(made)?;
    }
    table.compare(link).await?;
    let (tables, log) = (people::changes(link).await?, log.world.directory);
    if tables == log {
        return Ok(());
    }
    let what = format!("the directory changed: {tables} times by the tables, {log} times by the log");
    Err(Check::Tables.differs(what))
}

/// The steps that the database lets through.
async fn legal(link: &mut Link) -> Result<()> {
    let text = "SELECT kind, from_state, to_state FROM legal_transitions";
    let mut found = BTreeSet::new();
    for row in &link.rows(text, &[]).await? {
        found.insert((
            row.text(0)?.to_owned(),
            row.text(1)?.to_owned(),
            row.text(2)?.to_owned(),
        ));
    }
    let own =
        |(kind, from, to): &(&str, &str, &str)| ((*kind).to_owned(), (*from).to_owned(), (*to).to_owned());
    let legal: BTreeSet<_> = LEGAL.iter().map(own).collect();
    match found.symmetric_difference(&legal).next() {
        None => Ok(()),
        Some((kind, from, to)) => Err(Check::Tables.differs(format!(
            "legal_transitions: the step of a {kind} from {from} to {to} was put in or taken out"
        ))),
    }
}

/// Each policy that was in force, with its files as its event has the hashes of them.
async fn policies(link: &mut Link, log: &Replay) -> Result<()> {
    let text = "SELECT event_id, revision, sources, applied_at, actor FROM policies ORDER BY event_id";
    let mut rows: BTreeMap<i64, Row> = BTreeMap::new();
    for row in link.rows(text, &[]).await? {
        rows.insert(row.int(0)?, row);
    }
    for applied in &log.policies {
        let differs = |what: &str| Check::Tables.differs(format!("policy {}: {what}", applied.revision));
        let Some(row) = rows.remove(&applied.event) else {
            return Err(differs(
                "the log says that it was put in force, and its row is gone",
            ));
        };
        let same = row.text(1)? == applied.revision.to_string()
            && row.time(3)? == applied.at
            && row.text(4)? == events::actor(applied.actor);
        if !same {
            return Err(differs("its row says another revision, time or actor"));
        }
        if !fits(&row, 2, &applied.files) {
            return Err(differs(
                "its files in the tables are not those that the log has the hashes of",
            ));
        }
    }
    match rows.first_key_value() {
        None => Ok(()),
        Some((event, _)) => Err(Check::Tables.differs(format!(
            "policies: event {event} put no policy in force, and one stands beside it"
        ))),
    }
}

/// The files that changes propose.
async fn proposed(link: &mut Link, log: &Replay) -> Result<()> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for row in link
        .rows("SELECT change_id, sources FROM change_files", &[])
        .await?
    {
        rows.insert(row.text(0)?.to_owned(), row);
    }
    for change in log.world.changes.values() {
        let Proposal::Policy { files, .. } = &change.proposal else {
            continue;
        };
        let row = rows.remove(&change.id.to_string());
        if !row.is_some_and(|row| fits(&row, 1, files)) {
            return Err(Check::Tables.differs(format!(
                "change {}: the files that it proposes are not those that the log has the hashes of",
                change.id
            )));
        }
    }
    match rows.first_key_value() {
        None => Ok(()),
        Some((change, _)) => Err(Check::Tables.differs(format!(
            "change {change}: it proposes no files, and some are kept"
        ))),
    }
}

/// Whether the files in a column are those of these hashes.
fn fits(row: &Row, column: usize, files: &[(String, Hash)]) -> bool {
    let kept: Result<Vec<(String, String)>> = row.json(column);
    let hashed = kept.map(|sources| {
        let hash = |(name, text): (String, String)| (name, Hash::of(text.as_bytes()));
        sources.into_iter().map(hash).collect::<Vec<_>>()
    });
    hashed.is_ok_and(|hashed| hashed == files)
}
