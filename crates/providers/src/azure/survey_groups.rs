//! Who is in the groups that have roles, without Daypass; and in the groups within these.

use std::collections::BTreeSet;

use daypass_core::name::Name;
use serde_json::{Value, json};

use super::GROUP;
use super::client::Api;
use super::ids::text;
use super::provider::Connected;
use super::survey::{Bookmark, called, or_untold};
use crate::Error;
use crate::inventory::{Found, Offer, Page, Standing, Subject, SubjectKind, told};

/// How many groups a page has: each is a call or two.
const GROUPS: usize = 20;

impl Connected {
    /// Tells the members of some groups that wait for it.
    pub(super) async fn groups_page(&self, at: &mut Bookmark, page: &mut Page) -> Result<(), Error> {
        let some: BTreeSet<String> = at.groups.iter().take(GROUPS).cloned().collect();
        // Without names they are told by their ids; that Graph tells none is said where the members are named.
        let names = or_untold(self.names(&some).await, "groups", &mut Vec::new())?;
        for id in &some {
            let name = names.get(id).unwrap_or(id);
            let all = self.group_members(id).await;
            let all = or_untold(all, &format!("members of the group {name}"), &mut page.untold)?;
            let mut ours = self.put_into(id).await?;
            let scheduled = self.scheduled_into(id).await;
            ours.extend(or_untold(
                scheduled,
                &format!("the group {name}"),
                &mut page.untold,
            )?);
            page.found.push(found(id, name));
            for member in &all {
                let who = subject(member);
                if ours.contains(&who.id) {
                    continue;
                }
                if who.kind == SubjectKind::Group {
                    at.add_group(&who.id);
                }
                page.standing.push(membership(who, id, name));
            }
        }
        at.groups.retain(|id| !some.contains(id));
        at.looked.extend(some);
        Ok(())
    }

    async fn group_members(&self, id: &str) -> Result<Vec<Value>, Error> {
        let path = format!("/v1.0/groups/{id}/members?$select=id&$top=999");
        self.client
            .list(Api::Graph, &path, "reading the group's members")
            .await
    }
}

fn subject(member: &Value) -> Subject {
    let id = text(member, "/id").to_ascii_lowercase();
    Subject {
        name: told(&id),
        id,
        kind: match text(member, "/@odata.type") {
            "#microsoft.graph.user" => SubjectKind::Person,
            "#microsoft.graph.group" => SubjectKind::Group,
            _ => SubjectKind::Program,
        },
    }
}

fn membership(who: Subject, id: &str, name: &str) -> Standing {
    let to_give = who.kind != SubjectKind::Program;
    Standing {
        subject: who,
        right: told(&format!("member of {name}")),
        on: told(&format!("group {id}")),
        by: None,
        last_used: None,
        until: None,
        offer: to_give.then(|| Offer {
            kind: GROUP,
            resource: json!({ "group": id }),
            role: json!({}),
            called: (called(name, id), Name::like("member")),
        }),
    }
}

fn found(id: &str, name: &str) -> Found {
    Found {
        kind: GROUP,
        name: Name::like(name),
        told: told(&format!("group {name} ({id})")),
        resource: json!({ "group": id }),
        roles: vec![(Name::like("member"), json!({}))],
        labels: std::collections::BTreeMap::new(),
    }
}
