//! The inventory of a tenant: who has what there without Daypass, and what a policy could name.
//!
//! Subscription by subscription, each in two pages: its role assignments, then its machines with the rules before them. At the end the
//! groups that have roles, some to a page. What this identity may not read is told as that, and the rest is told all the same; only what
//! passes (too many calls, no answer) ends a page with an error, and the same cursor is tried again. Azure does not tell when somebody
//! last used something.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use daypass_core::entitlement::Fault;
use daypass_core::name::Name;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ROLE;
use super::client::Api;
use super::ids::{is_guid, items, short, text};
use super::provider::Connected;
use super::scope::is_scope;
use crate::Error;
use crate::inventory::{Cursor, Found, Page, told};

/// How many objects one call names: the limit of "directoryObject: getByIds" in the reference of Graph v1.0.
const NAMES: usize = 1_000;

/// "Resource Groups" in the description of Microsoft.Resources.
const RESOURCES: &str = "2021-04-01";

/// How much of a name is taken into another one, in characters.
const CALLED: usize = 40;

/// How far a survey is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bookmark {
    /// The last subscription that is through; they are taken in the order of their ids.
    after: String,
    /// How many are.
    done: u64,
    /// The subscription whose roles are told, and whose machines come next.
    begun: String,
    /// All subscriptions are through, and groups come.
    at_groups: bool,
    /// Groups whose members are to be told yet.
    pub(super) groups: BTreeSet<String>,
    /// Those that were told.
    pub(super) looked: BTreeSet<String>,
    /// Graph tells no names: that was said, and is not tried again.
    nameless: bool,
}

impl Bookmark {
    fn read(cursor: &Cursor) -> Result<Self, Error> {
        let anew = |_| Error::new(Fault::Conflict, "the survey must begin anew");
        serde_json::from_str(&cursor.0).map_err(anew)
    }

    fn cursor(&self) -> Option<Cursor> {
        serde_json::to_string(self).ok().map(Cursor)
    }

    /// One more group to be told, where it was not yet.
    pub(super) fn add_group(&mut self, id: &str) {
        let id = id.to_ascii_lowercase();
        if is_guid(&id) && !self.looked.contains(&id) {
            self.groups.insert(id);
        }
    }
}

/// What was read; where that is refused for good, it is said, and the rest goes on.
pub(super) fn or_untold<T: Default>(
    read: Result<T, Error>,
    of: &str,
    untold: &mut Vec<String>,
) -> Result<T, Error> {
    match read {
        // A licence that is missing is a 400.
        Err(error)
            if matches!(
                error.fault,
                Fault::Denied | Fault::Misconfigured | Fault::NotFound
            ) =>
        {
            // An error's words are plain and short already; cut further, they would not name the right that is missing.
            untold.push(format!("{}: {}", told(of), error.detail));
            Ok(T::default())
        }
        read => read,
    }
}

impl Connected {
    /// The page that a cursor leads to, or the first.
    pub(super) async fn survey_page(&self, from: Option<&Cursor>) -> Result<Page, Error> {
        let mut at = from.map_or_else(|| Ok(Bookmark::default()), Bookmark::read)?;
        self.page(&mut at).await.map_err(|error| match error.fault {
            // A conflict at Azure passes; here it would mean that the cursor leads nowhere.
            Fault::Conflict => Error::new(Fault::Unavailable, error.detail),
            _ => error,
        })
    }

    async fn page(&self, at: &mut Bookmark) -> Result<Page, Error> {
        let subscriptions = self.named_subscriptions().await?;
        let mut page = Page {
            of: u64::try_from(subscriptions.len()).ok(),
            ..Page::default()
        };
        if subscriptions.is_empty() {
            let what = "the identity sees no subscription: what is given at management groups is told by subscriptions below them";
            page.untold.push(what.to_owned());
        }
        let after = (Bound::Excluded(at.after.as_str()), Bound::Unbounded);
        let mut left = subscriptions.range::<str, _>(after);
        let here = left.next().filter(|_| !at.at_groups);
        let is_last = left.next().is_none();
        match here {
            Some((id, name)) if at.begun != *id => {
                page.found = self.found_scopes(id, name, &mut page.untold).await?;
                self.roles_page(id, at, &mut page).await?;
                at.begun.clone_from(id);
            }
            Some((id, _)) => {
                self.machines_page(id, &mut page).await?;
                at.after.clone_from(id);
                at.done = at.done.saturating_add(1);
                at.at_groups = is_last;
            }
            None => {
                at.at_groups = true;
                self.groups_page(at, &mut page).await?;
            }
        }
        self.name_subjects(at, &mut page).await?;
        page.done = at.done;
        let through = at.at_groups && at.groups.is_empty();
        page.next = if through { None } else { at.cursor() };
        Ok(page)
    }

    /// The subscriptions that this identity sees, with what people call them.
    async fn named_subscriptions(&self) -> Result<BTreeMap<String, String>, Error> {
        let doing = "reading the subscriptions";
        let path = "/subscriptions?api-version=2022-12-01";
        let all = self.client.list(Api::Arm, path, doing).await?;
        let named = all.iter().map(|one| {
            let id = text(one, "/subscriptionId").to_ascii_lowercase();
            (
                format!("/subscriptions/{id}"),
                text(one, "/displayName").to_owned(),
            )
        });
        Ok(named.filter(|(id, _)| is_scope(id)).collect())
    }

    /// A subscription and its resource groups, as places for roles.
    async fn found_scopes(
        &self,
        subscription: &str,
        name: &str,
        untold: &mut Vec<String>,
    ) -> Result<Vec<Found>, Error> {
        let doing = "reading the resource groups";
        let path = format!("{subscription}/resourcegroups?api-version={RESOURCES}");
        let all = self.client.list(Api::Arm, &path, doing).await;
        let all = or_untold(all, subscription, untold)?;
        let mut found = vec![place(
            subscription,
            name,
            format!("subscription {name}"),
            BTreeMap::new(),
        )];
        for one in &all {
            let (id, name) = (text(one, "/id"), text(one, "/name"));
            found.push(place(id, name, format!("resource group {id}"), labels(one)));
        }
        found.retain(|one| is_scope(text(&one.resource, "/scope")));
        Ok(found)
    }

    /// Puts names where ids stand. Who is not known to Graph any more keeps the id.
    async fn name_subjects(&self, at: &mut Bookmark, page: &mut Page) -> Result<(), Error> {
        if at.nameless {
            return Ok(());
        }
        let ids = page.standing.iter().map(|one| one.subject.id.clone());
        let ids: BTreeSet<String> = ids.filter(|id| is_guid(id)).collect();
        match self.names(&ids).await {
            Ok(names) => {
                for one in &mut page.standing {
                    if let Some(name) = names.get(&one.subject.id) {
                        one.subject.name.clone_from(name);
                    }
                }
                Ok(())
            }
            Err(error) => {
                let refused = or_untold(
                    Err(error),
                    "Graph tells no names, so that ids stand there",
                    &mut page.untold,
                );
                at.nameless = true;
                refused
            }
        }
    }

    /// What people call objects of the directory, by id: who logs in by the login, the others by the name that is shown.
    pub(super) async fn names(&self, ids: &BTreeSet<String>) -> Result<BTreeMap<String, String>, Error> {
        let doing = "reading the names";
        let ids: Vec<&String> = ids.iter().collect();
        let mut names = BTreeMap::new();
        for some in ids.chunks(NAMES) {
            let body = json!({"ids": some, "types": ["user", "group", "servicePrincipal", "device"]});
            let path = "/v1.0/directoryObjects/getByIds";
            let answer = self
                .client
                .call(Api::Graph, Method::POST, path, Some(&body), doing)
                .await?
                .map_err(|refusal| refusal.error(doing))?;
            for one in items(&answer.body, "/value") {
                let name = [text(one, "/userPrincipalName"), text(one, "/displayName")];
                if let Some(name) = name.into_iter().find(|name| !name.is_empty()) {
                    names.insert(text(one, "/id").to_ascii_lowercase(), told(name));
                }
            }
        }
        Ok(names)
    }
}

/// A scope at which roles make sense.
fn place(scope: &str, name: &str, what: String, labels: BTreeMap<Name, Name>) -> Found {
    let roles = ["Reader", "Contributor"].into_iter();
    Found {
        kind: ROLE,
        name: Name::like(name),
        told: told(&what),
        resource: json!({ "scope": scope }),
        roles: roles
            .map(|role| (Name::like(role), json!({ "role": role })))
            .collect(),
        labels,
    }
}

/// What something offered could be called: what people call it, and what keeps two of that name apart.
pub(super) fn called(name: &str, id: &str) -> Name {
    let name: String = name.chars().take(CALLED).collect();
    let apart: String = short(&[&id.to_ascii_lowercase()]).chars().take(6).collect();
    Name::like(&format!("{name}-{apart}"))
}

/// The tags that are labels: those whose two words are names as they stand.
pub(super) fn labels(shown: &Value) -> BTreeMap<Name, Name> {
    let tags = shown.pointer("/tags").and_then(Value::as_object);
    let tags = tags.into_iter().flatten();
    tags.filter_map(|(key, value)| Some((key.parse().ok()?, value.as_str()?.parse().ok()?)))
        .collect()
}
