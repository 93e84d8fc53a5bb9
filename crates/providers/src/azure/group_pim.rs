//! Memberships that end by themselves: PIM for groups keeps the limit, and the justification bears our mark.
//!
//! Graph lists schedules of a group or of a person, never all of them. So it is noted where one was made; whose it is, PIM says.

use std::collections::BTreeSet;

use daypass_core::entitlement::{Fault, Spec};
use daypass_core::time::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Api;
use super::group::Membership;
use super::ids::{mark, read_mark, text};
use super::pim::{POLL, Scheduled, became, limit};
use super::provider::{Connected, seen};
use crate::{Error, Inspection, Progress};

/// "privilegedAccessGroupAssignmentScheduleRequest" at Microsoft Learn, Graph v1.0.
const PIM: &str = "/v1.0/identityGovernance/privilegedAccess/group";

/// The longest justification that is written, in characters.
const JUSTIFICATION: usize = 500;

/// What PIM has of a membership.
enum Held {
    Nothing,
    Ours(Scheduled),
    Theirs,
}

impl Connected {
    async fn held_member(&self, key: &str, wanted: &Membership) -> Result<Held, Error> {
        let Membership { group, principal, .. } = wanted;
        let path = format!(
            "{PIM}/assignmentSchedules?$filter=groupId%20eq%20'{group}'%20and%20principalId%20eq%20'{principal}'"
        );
        let doing = "reading the schedules of PIM for groups";
        let all = self.client.list(Api::Graph, &path, doing).await?;
        let Some(shown) = all.iter().find(|one| text(one, "/accessId") == "member") else {
            return Ok(Held::Nothing);
        };
        let request = text(shown, "/createdUsing");
        let path = format!("{PIM}/assignmentScheduleRequests/{request}");
        let request = match super::ids::is_guid(request) {
            true => self.client.find(Api::Graph, &path, doing).await?,
            false => None,
        };
        let mark = request.and_then(|request| read_mark(&self.asker, text(&request, "/justification")));
        Ok(match mark.filter(|mark| mark.key == key) {
            Some(mark) => {
                let kept = text(shown, "/scheduleInfo/expiration/endDateTime").parse().ok();
                Held::Ours(Scheduled {
                    name: text(shown, "/id").to_owned(),
                    until: limit(mark.until, kept),
                    in_force: !text(shown, "/status").starts_with("Pending"),
                })
            }
            None => Held::Theirs,
        })
    }

    /// Has PIM put somebody into a group until then.
    pub(super) async fn schedule_member(
        &self,
        key: &str,
        wanted: &Membership,
        holder: &str,
        until: Timestamp,
        spec: &Spec,
    ) -> Result<Progress, Error> {
        let action = match self.held_member(key, wanted).await? {
            Held::Theirs => return Err(standing(wanted)),
            Held::Ours(scheduled) if scheduled.until == Some(until) => {
                return Ok(match scheduled.in_force {
                    true => Progress::Done,
                    false => Progress::Pending { poll_after: POLL },
                });
            }
            Held::Ours(_) => "adminUpdate",
            Held::Nothing if self.has_member(wanted).await? => return Err(standing(wanted)),
            Held::Nothing => "adminAssign",
        };
        self.note_schedule(key, wanted).await?;
        let body = json!({
            "accessId": "member",
            "action": action,
            "groupId": wanted.group,
            "principalId": wanted.principal,
            "justification": mark(&self.asker, key, Some(until), holder, JUSTIFICATION),
            "scheduleInfo": {"expiration": {"type": "afterDateTime", "endDateTime": until.to_string()}},
            "ticketInfo": {"ticketNumber": spec.grant.short(), "ticketSystem": "Daypass"},
        });
        let doing = "asking PIM for the membership";
        match self.request_member(&body, doing).await? {
            Ok(status) => became(&status),
            Err(refusal) if refusal.is("RoleAssignmentExists") => {
                match self.held_member(key, wanted).await? {
                    Held::Ours(_) => Ok(Progress::Pending { poll_after: POLL }),
                    _ => Err(standing(wanted)),
                }
            }
            Err(refusal) => Err(refusal.error(doing)),
        }
    }

    async fn request_member(
        &self,
        body: &Value,
        doing: &str,
    ) -> Result<Result<String, super::error::Refusal>, Error> {
        let path = format!("{PIM}/assignmentScheduleRequests");
        let made = self
            .client
            .call(Api::Graph, Method::POST, &path, Some(body), doing)
            .await?;
        Ok(made.map(|answer| text(&answer.body, "/status").to_owned()))
    }

    /// Has PIM take somebody out of a group, where it put them in for us.
    pub(super) async fn unschedule_member(
        &self,
        key: &str,
        wanted: Option<&Membership>,
    ) -> Result<Progress, Error> {
        let Some(given) = self.where_scheduled(key, wanted).await? else {
            return Ok(Progress::Done);
        };
        if !matches!(self.held_member(key, &given).await?, Held::Ours(_)) {
            return Ok(Progress::Done);
        }
        let body = json!({
            "accessId": "member",
            "action": "adminRemove",
            "groupId": given.group,
            "principalId": given.principal,
            "justification": mark(&self.asker, key, None, "", JUSTIFICATION),
        });
        let doing = "asking PIM to take the membership away";
        match self.request_member(&body, doing).await? {
            Ok(_) => Ok(Progress::Done),
            // It ended by itself meanwhile.
            Err(refusal) if refusal.is("RoleAssignmentDoesNotExist") || refusal.status == 404 => {
                Ok(Progress::Done)
            }
            Err(refusal) if refusal.is("ActiveDurationTooShort") => {
                Err(Error::new(Fault::Conflict, refusal.error(doing).detail))
            }
            Err(refusal) => Err(refusal.error(doing)),
        }
    }

    /// Whether PIM has somebody in a group for us, and until when.
    pub(super) async fn is_scheduled_member(
        &self,
        key: &str,
        wanted: Option<&Membership>,
    ) -> Result<Inspection, Error> {
        let Some(given) = self.where_scheduled(key, wanted).await? else {
            return Ok(seen(false, None));
        };
        Ok(match self.held_member(key, &given).await? {
            Held::Ours(scheduled) => seen(true, scheduled.until),
            Held::Nothing | Held::Theirs => seen(false, None),
        })
    }

    /// The keys of all memberships that PIM keeps for us, with their limits.
    pub(super) async fn scheduled_members(&self) -> Result<Vec<(String, Option<Timestamp>)>, Error> {
        let mut found = Vec::new();
        for (key, given) in self.scheduled_at().await? {
            if let Held::Ours(scheduled) = self.held_member(&key, &given).await? {
                found.push((key, scheduled.until));
            }
        }
        Ok(found)
    }

    /// Who is in a group because PIM keeps them there for us; or may be, where this identity may not look.
    pub(super) async fn scheduled_into(&self, group: &str) -> Result<BTreeSet<String>, Error> {
        let mut found = BTreeSet::new();
        for (key, given) in self.scheduled_at().await? {
            if !given.group.eq_ignore_ascii_case(group) {
                continue;
            }
            match self.held_member(&key, &given).await {
                Ok(Held::Ours(_)) => drop(found.insert(given.principal)),
                Ok(_) => {}
                Err(error) if error.fault == Fault::Denied => drop(found.insert(given.principal)),
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn where_scheduled(
        &self,
        key: &str,
        wanted: Option<&Membership>,
    ) -> Result<Option<Membership>, Error> {
        match wanted {
            Some(wanted) => Ok(Some(wanted.clone())),
            None => Ok(self.scheduled_at().await?.remove(key)),
        }
    }
}

fn standing(wanted: &Membership) -> Error {
    Error::new(
        Fault::AlreadyStanding,
        format!(
            "{} is a member of {} already, and not by this Daypass",
            wanted.principal, wanted.group
        ),
    )
}
