//! People and their passwords.

use std::collections::BTreeMap;

use daypass_core::id::PersonId;
use daypass_core::name::{BadName, Name};
use daypass_core::person::Person;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::world::Step;

use crate::error::{Error, Result};
use crate::link::Link;
use crate::texts;
use crate::value::{Statement, Value};

/// The columns of an account's row that its events decide, as [`row`] gives their values. Beside them stands the login.
pub(crate) const COLUMNS: [&str; 4] = ["id", "state", "owner", "document"];

/// What stands in them.
pub(crate) fn row(person: &Person) -> Result<[Value; 4]> {
    Ok([
        person.id.into(),
        if person.active { "active" } else { "inactive" }.into(),
        person.owner.map(|owner| owner.to_string()).into(),
        Value::json(person)?,
    ])
}

/// The login as it stands in its column. Two logins that look alike must be alike: what is no name is not let in here either.
pub(crate) fn login(person: &Person) -> Result<Value> {
    let login: Result<Name, BadName> = person.login.text().parse();
    let login = login.map_err(|bad| Refusal::new(Code::Invalid, bad.to_string()))?;
    Ok((&login).into())
}

/// What writes an account's row after an event.
pub(crate) fn write(person: Option<&Person>, step: Step) -> Result<Vec<Statement>> {
    let person = person.ok_or_else(|| Error::corrupt("an event about a person made none"))?;
    let [id, state, owner, document] = row(person)?;
    if step.from != "none" {
        let text =
            "UPDATE people SET previous_state = state, state = $2, document = $3, owner = $4 WHERE id = $1";
        return Ok(vec![(text, vec![id, state, document, owner])]);
    }
    let text = "INSERT INTO people (id, state, login, document, owner) VALUES ($1, $2, $3, $4, $5)";
    Ok(vec![(text, vec![id, state, login(person)?, document, owner])])
}

/// The service accounts whose owner is locked, with who that is. From the few locks to their accounts, on SQLite too.
pub(crate) async fn owners_locked(link: &mut Link) -> Result<BTreeMap<PersonId, PersonId>> {
    let text = "SELECT people.id, people.owner FROM locks CROSS JOIN people \
                WHERE locks.state = 'locked' AND people.owner = locks.person";
    let rows = link.rows(text, &[]).await?;
    rows.iter()
        .map(|row| Ok((row.parse(0)?, row.parse(1)?)))
        .collect()
}

/// What counts a change of the directory.
pub(crate) fn changed() -> Statement {
    ("UPDATE directory_state SET changes = changes + 1", Vec::new())
}

/// How often the directory changed.
pub(crate) async fn changes(link: &mut Link) -> Result<u64> {
    let row = link.row("SELECT changes FROM directory_state", &[]).await?;
    row.ok_or_else(|| Error::corrupt("the directory has no count"))?
        .count(0)
}

/// Everybody, and how often the directory had changed by then.
pub(crate) async fn directory(link: &mut Link) -> Result<(Vec<Person>, u64)> {
    let changes = changes(link).await?;
    Ok((all(link).await?, changes))
}

/// What sets a password, or replaces it.
pub(crate) fn set_password(person: PersonId, hash: String) -> Statement {
    let text = "INSERT INTO passwords (person, hash) VALUES ($1, $2) \
                ON CONFLICT (person) DO UPDATE SET hash = excluded.hash";
    (text, vec![person.into(), hash.into()])
}

pub(crate) async fn all(link: &mut Link) -> Result<Vec<Person>> {
    let rows = link.rows("SELECT document FROM people ORDER BY id", &[]).await?;
    let mut people = rows
        .iter()
        .map(|row| row.json(0))
        .collect::<Result<Vec<Person>>>()?;
    texts::open(link, &mut people).await?;
    Ok(people)
}

pub(crate) async fn by_id(link: &mut Link, id: PersonId) -> Result<Option<Person>> {
    match link
        .row("SELECT document FROM people WHERE id = $1", &[id.into()])
        .await?
    {
        Some(row) => texts::opened(link, row.json(0)?).await.map(Some),
        None => Ok(None),
    }
}

/// The active account of this login, upper and lower case alike.
pub(crate) async fn by_login(link: &mut Link, login: &str) -> Result<Option<Person>> {
    let text = "SELECT document FROM people WHERE state = 'active' AND lower(login) = lower($1)";
    match link.row(text, &[login.into()]).await? {
        Some(row) => texts::opened(link, row.json(0)?).await.map(Some),
        None => Ok(None),
    }
}

pub(crate) async fn password(link: &mut Link, person: PersonId) -> Result<Option<String>> {
    let row = link
        .row("SELECT hash FROM passwords WHERE person = $1", &[person.into()])
        .await?;
    row.map(|row| row.text(0).map(str::to_owned)).transpose()
}
