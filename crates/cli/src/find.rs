//! From what people type to the thing that is meant: short ids, and names of what one holds.

use daypass_api::Client;
use daypass_api::grant::{Grant, GrantQuery};
use daypass_api::request::Request;
use daypass_core::id::{ChangeId, GrantId, RequestId};

use crate::context::pages;
use crate::failure::Failure;

/// The most grants that one person's commands look through.
const MOST: usize = 1_000;

/// The kind of a typed id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Grant,
    Change,
}

/// The kind of a (short) id, where it looks like one: `R7K2M`, `g7k2m9`.
pub(crate) fn kind(text: &str) -> Option<Kind> {
    let plausible = (2..=17).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric());
    match text.chars().next().map(|c| c.to_ascii_uppercase()) {
        Some(RequestId::LETTER) if plausible => Some(Kind::Request),
        Some(GrantId::LETTER) if plausible => Some(Kind::Grant),
        Some(ChangeId::LETTER) if plausible => Some(Kind::Change),
        _ => None,
    }
}

/// The request of a (short) id; a grant's id leads to the request that it came from.
pub(crate) async fn request(client: &Client, text: &str) -> Result<Request, Failure> {
    match kind(text) {
        Some(Kind::Request) => Ok(client.request(text).await?),
        Some(Kind::Grant) => {
            let grant = client.grant(text).await?;
            Ok(client.request(&grant.request.to_string()).await?)
        }
        Some(Kind::Change) | None => Err(Failure::usage(format!("\"{text}\" is no id of a request"))
            .hint("daypass inbox and daypass status show the ids, such as R7K2M9")),
    }
}

/// The grant of a (short) id, or of a resource or RESOURCE/ROLE that one holds; a request's id leads to its grant.
pub(crate) async fn grant(client: &Client, text: &str) -> Result<Grant, Failure> {
    if let Some(grant) = held(client, text).await? {
        return Ok(grant);
    }
    match kind(text) {
        Some(Kind::Grant) => Ok(client.grant(text).await?),
        Some(Kind::Request) => {
            let request = client.request(text).await?;
            let Some(id) = request.grant else {
                let (state, id) = (request.state.as_str(), request.id.short());
                return Err(
                    Failure::error(format!("request {id} is {state} and has led to no grant"))
                        .hint(format!("daypass status {id}")),
                );
            };
            Ok(client.grant(&id.to_string()).await?)
        }
        Some(Kind::Change) | None => Err(Failure::usage(format!(
            "\"{text}\" is no grant of yours, by id or by resource"
        ))
        .hint("daypass status shows what you hold")),
    }
}

/// The one live grant of the caller that gives this resource, or role on it.
async fn held(client: &Client, text: &str) -> Result<Option<Grant>, Failure> {
    let named = |grant: &Grant| {
        grant
            .items
            .iter()
            .any(|item| item.to_string() == text || item.resource.as_str() == text)
    };
    let grants = live(client)
        .await?
        .into_iter()
        .filter(|grant| !grant.state.is_over());
    let mut found: Vec<_> = grants.filter(named).collect();
    if let [_, _, ..] = found.as_slice() {
        let ids: Vec<_> = found.iter().map(|grant| grant.id.short()).collect();
        return Err(
            Failure::usage(format!("\"{text}\" could be any of {}", ids.join(", ")))
                .hint("say which by its id; daypass status shows them"),
        );
    }
    Ok(found.pop())
}

/// The one grant that the caller holds.
pub(crate) async fn only_grant(client: &Client) -> Result<Grant, Failure> {
    let mut grants: Vec<_> = live(client)
        .await?
        .into_iter()
        .filter(|grant| !grant.state.is_over())
        .collect();
    match (grants.pop(), grants.len()) {
        (Some(only), 0) => Ok(only),
        (Some(_), more) => Err(Failure::usage(format!("you hold {} grants", more + 1))
            .hint("say which; daypass status shows them")),
        (None, _) => Err(Failure::error("you hold nothing")),
    }
}

/// All grants of the caller that have not ended.
pub(crate) async fn live(client: &Client) -> Result<Vec<Grant>, Failure> {
    pages(MOST, async |cursor| {
        let query = GrantQuery {
            mine: Some(true),
            live: Some(true),
            cursor,
            ..GrantQuery::default()
        };
        client.grants(&query).await
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_by_their_letter() {
        for (text, expect) in [
            ("R7K2M", Some(Kind::Request)),
            ("g7k2m9", Some(Kind::Grant)),
            ("c7k2m9", Some(Kind::Change)),
            ("R", None),
            ("orders-prod", None),
            ("R/../../x", None),
            ("T7K2M9", None),
            ("", None),
            ("R7K2M9X0V3N5Q8TZB0", None),
        ] {
            assert_eq!(kind(text), expect, "{text}");
        }
    }
}
