//! From the first characters of an id, as people type them, to the one thing that has it.

use std::str::FromStr;

use daypass_core::id::{ChangeId, GrantId, RequestId, SessionId};
use daypass_core::refusal::{Code, Refusal};

use crate::error::Result;
use crate::link::Link;
use crate::value::Value;

/// The requests whose ids begin so, in their order.
pub(crate) async fn requests(link: &mut Link, typed: &str, most: usize) -> Result<Vec<RequestId>> {
    alike(link, typed, RequestId::LETTER, REQUESTS, most).await
}

/// The grants whose ids begin so, in their order.
pub(crate) async fn grants(link: &mut Link, typed: &str, most: usize) -> Result<Vec<GrantId>> {
    alike(link, typed, GrantId::LETTER, GRANTS, most).await
}

/// The changes whose ids begin so, in their order.
pub(crate) async fn changes(link: &mut Link, typed: &str, most: usize) -> Result<Vec<ChangeId>> {
    alike(link, typed, ChangeId::LETTER, CHANGES, most).await
}

/// The sessions whose ids begin so, in their order.
pub(crate) async fn sessions(link: &mut Link, typed: &str, most: usize) -> Result<Vec<SessionId>> {
    alike(link, typed, SessionId::LETTER, SESSIONS, most).await
}

const REQUESTS: &str = "SELECT id FROM requests WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3";
const GRANTS: &str = "SELECT id FROM grants WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3";
const CHANGES: &str = "SELECT id FROM changes WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3";
const SESSIONS: &str = "SELECT id FROM sessions WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3";

/// How many ids an ambiguous prefix is answered with.
const SHOWN: usize = 5;

pub(crate) async fn request(link: &mut Link, typed: &str) -> Result<RequestId> {
    one(link, typed, RequestId::LETTER, "request", REQUESTS).await
}

pub(crate) async fn grant(link: &mut Link, typed: &str) -> Result<GrantId> {
    one(link, typed, GrantId::LETTER, "grant", GRANTS).await
}

pub(crate) async fn change(link: &mut Link, typed: &str) -> Result<ChangeId> {
    one(link, typed, ChangeId::LETTER, "change", CHANGES).await
}

pub(crate) async fn session(link: &mut Link, typed: &str) -> Result<SessionId> {
    one(link, typed, SessionId::LETTER, "session", SESSIONS).await
}

/// The prefix in the spelling of ids: Crockford's alphabet reads O as 0, and I and L as 1. `None`: no id begins so.
fn spelled(typed: &str, letter: char) -> Option<String> {
    let mut typed = typed.trim().chars().map(|c| c.to_ascii_uppercase());
    let first = typed.next().filter(|first| *first == letter)?;
    let rest = typed.map(|c| match c {
        'O' => '0',
        'I' | 'L' => '1',
        c => c,
    });
    let prefix: String = std::iter::once(first).chain(rest).collect();
    (prefix.len() <= 17 && prefix.chars().all(|c| c.is_ascii_alphanumeric())).then_some(prefix)
}

async fn alike<T: FromStr>(
    link: &mut Link,
    typed: &str,
    letter: char,
    text: &str,
    most: usize,
) -> Result<Vec<T>> {
    let Some(prefix) = spelled(typed, letter) else {
        return Ok(Vec::new());
    };
    // `~` is behind every letter and digit.
    let values = [
        prefix.as_str().into(),
        format!("{prefix}~").into(),
        Value::from(most),
    ];
    let rows = link.rows(text, &values).await?;
    rows.iter().map(|row| row.parse(0)).collect()
}

async fn one<T: FromStr>(link: &mut Link, typed: &str, letter: char, kind: &str, text: &str) -> Result<T> {
    let shown: String = typed.chars().take(40).collect();
    let none = || Refusal::new(Code::NotFound, format!("there is no {kind} {shown:?}"));
    let Some(prefix) = spelled(typed, letter) else {
        return Err(none()
            .hint(format!("the id of a {kind} begins with {letter}"))
            .into());
    };
    // `~` is behind every letter and digit.
    let values = [
        prefix.as_str().into(),
        format!("{prefix}~").into(),
        Value::from(SHOWN + 1),
    ];
    let rows = link.rows(text, &values).await?;
    match rows.as_slice() {
        [] => Err(none().into()),
        [only] => only.parse(0),
        several => {
            let ids = several
                .iter()
                .take(SHOWN)
                .map(|row| row.text(0))
                .collect::<Result<Vec<_>>>()?;
            let more = if several.len() > SHOWN { " and more" } else { "" };
            let what = format!("{shown:?} could be {}{more}", ids.join(", "));
            Err(Refusal::new(Code::Invalid, what).hint("type more of it").into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_spelled_as_ids_are() {
        assert_eq!(spelled(" r7k2oil ", 'R').as_deref(), Some("R7K2011"));
        for text in ["", "G7", "R7'", "R7%", "R7\0", "Ré", &"R".repeat(18)] {
            assert_eq!(spelled(text, 'R'), None, "{text:?}");
        }
    }
}
