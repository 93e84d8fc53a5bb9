//! Role assignments that end by themselves: Privileged Identity Management keeps the limit, also with Daypass gone.
//!
//! What stands is a *schedule*; each leads to the request that made it, whose justification bears our mark.

use std::collections::BTreeMap;

use daypass_core::entitlement::{Fault, Spec};
use daypass_core::time::{Span, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Api;
use super::ids::{Mark, fresh_guid, last, mark, read_mark, same, text};
use super::provider::{Connected, seen};
use super::role::Assignment;
use crate::{Error, Inspection, Progress};

/// "Role Assignment Schedule Requests" at Microsoft Learn.
pub(super) const VERSION: &str = "2020-10-01";

/// The longest justification that is written, in characters.
const JUSTIFICATION: usize = 500;

/// When to ask again about what PIM has not made yet.
pub(super) const POLL: Span = Span::seconds(5);

/// How much a limit may differ from the one that was told: PIM may keep whole seconds.
const ROUNDED: Span = Span::seconds(1);

/// What PIM has at a scope for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Held {
    Nothing,
    /// Given by us, under this key.
    Ours(Scheduled),
    /// Given by somebody else: its id.
    Theirs(String),
}

/// A schedule of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scheduled {
    pub(super) name: String,
    /// Its limit: the one that PIM was told, where PIM shows that one, rounded or not.
    pub(super) until: Option<Timestamp>,
    pub(super) in_force: bool,
}

/// The limit that is shown, by what was told and what PIM has.
pub(super) fn limit(told: Option<Timestamp>, kept: Option<Timestamp>) -> Option<Timestamp> {
    match (told, kept) {
        (Some(told), Some(kept)) if told.since(kept) < ROUNDED && kept.since(told) < ROUNDED => Some(told),
        (_, kept) => kept,
    }
}

/// What became of a request, by its status.
pub(super) fn became(status: &str) -> Result<Progress, Error> {
    match status {
        "Denied" | "Failed" | "Invalid" | "Revoked" | "AdminDenied" => Err(Error::new(
            Fault::Denied,
            format!("PIM answered the request with the status {status}"),
        )),
        "PendingApproval" | "PendingApprovalProvisioning" | "PendingAdminDecision" => Err(Error::new(
            Fault::Misconfigured,
            "PIM wants an approval of its own for this role; approvals are Daypass's here: take it out of the role's settings in PIM",
        )),
        pending if pending.starts_with("Pending") => Ok(Progress::Pending { poll_after: POLL }),
        // Unknown words are taken for done: what is there is read back.
        _ => Ok(Progress::Done),
    }
}

fn requests(scope: &str, name: &str) -> String {
    format!(
        "{scope}/providers/Microsoft.Authorization/roleAssignmentScheduleRequests{name}?api-version={VERSION}"
    )
}

fn schedules(scope: &str) -> String {
    format!("{scope}/providers/Microsoft.Authorization/roleAssignmentSchedules?api-version={VERSION}")
}

impl Connected {
    /// What PIM has of this.
    async fn held(&self, key: &str, wanted: &Assignment) -> Result<Held, Error> {
        let path = format!(
            "{}&$filter=principalId%20eq%20'{}'",
            schedules(&wanted.scope),
            wanted.principal
        );
        let all = self
            .client
            .list(Api::Arm, &path, "reading the schedules of PIM")
            .await?;
        let at_scope = |shown: &&Value| {
            wanted.is_given_by(shown) && same(text(shown, "/properties/scope"), &wanted.scope)
        };
        let Some(shown) = all.iter().find(at_scope) else {
            return Ok(Held::Nothing);
        };
        let request = last(text(shown, "/properties/roleAssignmentScheduleRequestId"));
        let path = requests(&wanted.scope, &format!("/{request}"));
        let request = match request {
            "" => None,
            _ => {
                self.client
                    .find(Api::Arm, &path, "reading the request of PIM")
                    .await?
            }
        };
        let mark = request.and_then(|request| self.requested(&request));
        Ok(match mark.filter(|mark| mark.key == key) {
            Some(mark) => Held::Ours(scheduled(shown, &mark)),
            None => Held::Theirs(text(shown, "/id").to_owned()),
        })
    }

    fn requested(&self, request: &Value) -> Option<Mark> {
        read_mark(&self.asker, text(request, "/properties/justification"))
    }

    /// Has PIM give the role until then.
    pub(super) async fn schedule(
        &self,
        key: &str,
        wanted: &Assignment,
        holder: &str,
        until: Timestamp,
        spec: &Spec,
    ) -> Result<Progress, Error> {
        let target = match self.held(key, wanted).await? {
            Held::Theirs(id) => return Err(standing(&id)),
            Held::Ours(scheduled) if scheduled.until == Some(until) => {
                return Ok(match scheduled.in_force {
                    true => Progress::Done,
                    false => Progress::Pending { poll_after: POLL },
                });
            }
            Held::Ours(scheduled) => Some(scheduled.name),
            Held::Nothing => None,
        };
        if target.is_none() {
            self.nothing_stands(wanted).await?;
        }
        let mut properties = json!({
            "principalId": wanted.principal,
            "roleDefinitionId": wanted.definition_id(),
            "requestType": if target.is_some() { "AdminUpdate" } else { "AdminAssign" },
            "scheduleInfo": {"expiration": {"type": "AfterDateTime", "endDateTime": until.to_string()}},
            "justification": mark(&self.asker, key, Some(until), holder, JUSTIFICATION),
            "ticketInfo": {"ticketNumber": spec.grant.short(), "ticketSystem": "Daypass"},
        });
        if let (Some(target), Some(properties)) = (target, properties.as_object_mut()) {
            properties.insert("targetRoleAssignmentScheduleId".to_owned(), target.into());
        }
        let doing = "asking PIM for the role";
        let made = self.request(wanted, properties, doing).await?;
        match made {
            Ok(status) => became(&status),
            Err(refusal) if refusal.is("RoleAssignmentExists") => match self.held(key, wanted).await? {
                Held::Ours(_) => Ok(Progress::Pending { poll_after: POLL }),
                _ => Err(standing(&refusal.message)),
            },
            Err(refusal) => Err(refusal.error(doing)),
        }
    }

    async fn request(
        &self,
        wanted: &Assignment,
        properties: Value,
        doing: &str,
    ) -> Result<Result<String, super::error::Refusal>, Error> {
        let path = requests(&wanted.scope, &format!("/{}", fresh_guid()));
        let body = json!({"properties": properties});
        let made = self
            .client
            .call(Api::Arm, Method::PUT, &path, Some(&body), doing)
            .await?;
        Ok(made.map(|answer| text(&answer.body, "/properties/status").to_owned()))
    }

    /// Has PIM take the role away, where it gave it for us.
    pub(super) async fn unschedule(&self, key: &str, wanted: Option<&Assignment>) -> Result<Progress, Error> {
        let all = match wanted {
            Some(wanted) => vec![wanted.clone()],
            None => {
                let all = self.schedules().await?.into_iter();
                all.filter(|(mark, ..)| mark == key)
                    .map(|(_, given, _)| given)
                    .collect()
            }
        };
        for given in all {
            if !matches!(self.held(key, &given).await?, Held::Ours(_)) {
                continue;
            }
            let properties = json!({
                "principalId": given.principal,
                "roleDefinitionId": given.definition_id(),
                "requestType": "AdminRemove",
                "justification": mark(&self.asker, key, None, "", JUSTIFICATION),
            });
            let doing = "asking PIM to take the role away";
            match self.request(&given, properties, doing).await? {
                Ok(_) => {}
                // It ended by itself meanwhile.
                Err(refusal) if refusal.is("RoleAssignmentDoesNotExist") || refusal.status == 404 => {}
                // PIM keeps what it gave for five minutes at least ("ActiveDurationTooShort").
                Err(refusal) if refusal.is("ActiveDurationTooShort") => {
                    return Err(Error::new(Fault::Conflict, refusal.error(doing).detail));
                }
                Err(refusal) => return Err(refusal.error(doing)),
            }
        }
        Ok(Progress::Done)
    }

    /// Whether PIM gives the role for us, and until when.
    pub(super) async fn is_scheduled(
        &self,
        key: &str,
        wanted: Option<&Assignment>,
    ) -> Result<Inspection, Error> {
        let Some(wanted) = wanted else {
            let all = self.schedules().await?;
            let found = all.into_iter().find(|(mark, ..)| mark == key);
            return Ok(found.map_or_else(|| seen(false, None), |(_, _, until)| seen(true, until)));
        };
        Ok(match self.held(key, wanted).await? {
            Held::Ours(scheduled) => seen(true, scheduled.until),
            Held::Nothing | Held::Theirs(_) => seen(false, None),
        })
    }

    /// The keys of all that PIM gives for us, with their limits.
    pub(super) async fn scheduled(&self) -> Result<Vec<(String, Option<Timestamp>)>, Error> {
        let all = self.schedules().await?.into_iter();
        Ok(all.map(|(key, _, until)| (key, until)).collect())
    }

    async fn schedules(&self) -> Result<Vec<(String, Assignment, Option<Timestamp>)>, Error> {
        let mut found = Vec::new();
        for subscription in self.subscriptions().await? {
            found.extend(self.schedules_in(&subscription).await?);
        }
        Ok(found)
    }

    /// What PIM gives for us in a subscription: each with its key and limit.
    pub(super) async fn schedules_in(
        &self,
        subscription: &str,
    ) -> Result<Vec<(String, Assignment, Option<Timestamp>)>, Error> {
        let mut found = Vec::new();
        let doing = "reading the requests of PIM";
        let all = self
            .client
            .list(Api::Arm, &requests(subscription, ""), doing)
            .await?;
        let marks = all.iter().filter_map(|request| {
            let name = text(request, "/name").to_ascii_lowercase();
            Some((name, self.requested(request)?))
        });
        let marks: BTreeMap<_, _> = marks.collect();
        if marks.is_empty() {
            return Ok(found);
        }
        let doing = "reading the schedules of PIM";
        for shown in self
            .client
            .list(Api::Arm, &schedules(subscription), doing)
            .await?
        {
            let request = last(text(&shown, "/properties/roleAssignmentScheduleRequestId"));
            if let Some(mark) = marks.get(&request.to_ascii_lowercase()) {
                let given = Assignment {
                    scope: text(&shown, "/properties/scope").to_owned(),
                    definition: last(text(&shown, "/properties/roleDefinitionId")).to_owned(),
                    principal: text(&shown, "/properties/principalId").to_owned(),
                    pim: true,
                };
                found.push((mark.key.clone(), given, scheduled(&shown, mark).until));
            }
        }
        Ok(found)
    }
}

fn scheduled(shown: &Value, mark: &Mark) -> Scheduled {
    Scheduled {
        name: text(shown, "/name").to_owned(),
        until: limit(mark.until, text(shown, "/properties/endDateTime").parse().ok()),
        in_force: !text(shown, "/properties/status").starts_with("Pending"),
    }
}

fn standing(what: &str) -> Error {
    Error::new(
        Fault::AlreadyStanding,
        format!("PIM gives the role there already, and not for this Daypass: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rounded_limit_is_the_one_that_was_told() {
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let told = at("2026-03-07T12:00:00.25Z");
        assert_eq!(limit(told, at("2026-03-07T12:00:00Z")), told);
        assert_eq!(limit(told, at("2026-03-07T12:00:01Z")), told);
        let moved = at("2026-03-07T12:30:00Z");
        assert_eq!(limit(told, moved), moved, "changed by hand");
        assert_eq!(limit(told, None), None, "taken off by hand");
    }

    #[test]
    fn a_status_says_what_became_of_it() {
        assert_eq!(became("Provisioned"), Ok(Progress::Done));
        assert_eq!(
            became("PendingProvisioning"),
            Ok(Progress::Pending { poll_after: POLL })
        );
        assert_eq!(became("SomethingNew"), Ok(Progress::Done));
        assert_eq!(became("Denied").unwrap_err().fault, Fault::Denied);
        assert_eq!(became("PendingApproval").unwrap_err().fault, Fault::Misconfigured);
    }
}
