//! Plain role assignments: made, found again by a name that follows from the key, and taken away. Azure ends none of them by itself.

use daypass_core::entitlement::{Fault, Spec};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Api;
use super::config;
use super::error::Refusal;
use super::ids::{Mark, guid, is_guid, last, mark, read_mark, same, short, text};
use super::provider::Connected;
use super::scope::covers;
use crate::config::misconfigured;
use crate::{Error, Inspection, Progress};

/// "Role Assignments - Create" at Microsoft Learn.
pub(super) const VERSION: &str = "2022-04-01";

/// The longest description that is written, in characters.
const DESCRIPTION: usize = 500;

/// A role for somebody at a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The scope, as policy writes it.
    pub(super) scope: String,
    /// The role definition's GUID.
    pub(super) definition: String,
    /// The object id of who gets it.
    pub(super) principal: String,
    /// Whether PIM keeps its limit.
    pub(super) pim: bool,
}

impl Assignment {
    /// What a spec gives.
    pub(super) fn read(spec: &Spec) -> Result<Self, Error> {
        let scope = config::scope(&spec.resource).map_err(|problems| misconfigured("resource", &problems))?;
        let role = config::Assigned::read(&spec.role).map_err(|problems| misconfigured("role", &problems))?;
        Ok(Self {
            scope,
            definition: role.definition,
            principal: principal(spec)?,
            pim: role.pim,
        })
    }

    /// The key of it: the same for whoever grants the same to the same person.
    pub(super) fn key(&self) -> String {
        let scope = self.scope.to_ascii_lowercase();
        let kind = if self.pim { "pim" } else { "role" };
        format!(
            "{kind}-{}",
            short(&[kind, &scope, &self.definition, &self.principal])
        )
    }

    /// The full id of the role definition, as it is given at this scope.
    pub(super) fn definition_id(&self) -> String {
        let at = super::scope::subscription(&self.scope).unwrap_or_default();
        format!(
            "{at}/providers/Microsoft.Authorization/roleDefinitions/{}",
            self.definition
        )
    }

    /// Whether an assignment, schedule or instance of Azure's gives this role to this principal.
    pub(super) fn is_given_by(&self, shown: &Value) -> bool {
        same(text(shown, "/properties/principalId"), &self.principal)
            && last(text(shown, "/properties/roleDefinitionId")).eq_ignore_ascii_case(&self.definition)
    }
}

/// The object id of who gets it: from the directory, and of that shape.
pub(super) fn principal(spec: &Spec) -> Result<String, Error> {
    match spec.subject.as_deref() {
        Some(subject) if is_guid(subject) => Ok(subject.to_ascii_lowercase()),
        Some(_) => Err(Error::new(
            Fault::Misconfigured,
            "the handle in the directory is no object id of Entra, which is a GUID: az ad user show --id NAME --query id",
        )),
        None => Err(Error::new(
            Fault::Misconfigured,
            "the directory has no object id of Entra for who is to get it",
        )),
    }
}

/// Where an assignment of ours is.
struct Place {
    scope: String,
    name: String,
}

impl Place {
    fn path(&self) -> String {
        let Self { scope, name } = self;
        format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}?api-version={VERSION}")
    }
}

impl Connected {
    fn assignment_at(&self, key: &str, scope: &str) -> Place {
        Place {
            scope: scope.to_owned(),
            name: guid(&["role assignment", &self.asker, key]),
        }
    }

    /// Makes the assignment, unless it is there.
    pub(super) async fn assign(
        &self,
        key: &str,
        wanted: &Assignment,
        holder: &str,
    ) -> Result<Progress, Error> {
        let place = self.assignment_at(key, &wanted.scope);
        if let Some(shown) = self.assignment(&place).await? {
            return self.is_it(key, wanted, &shown);
        }
        self.nothing_stands(wanted).await?;
        let doing = "making the role assignment";
        let body = json!({"properties": {
            "roleDefinitionId": wanted.definition_id(),
            "principalId": wanted.principal,
            "description": mark(&self.asker, key, None, holder, DESCRIPTION),
        }});
        let made = self
            .client
            .call(Api::Arm, Method::PUT, &place.path(), Some(&body), doing)
            .await?;
        match made {
            Ok(_) => Ok(Progress::Done),
            // One of that name or of that content is there. Only if it is ours is that what was wanted.
            Err(refusal) if refusal.status == 409 && refusal.is("RoleAssignmentExists") => {
                match self.assignment(&place).await? {
                    Some(shown) => self.is_it(key, wanted, &shown),
                    None => Err(standing(&refusal.message)),
                }
            }
            Err(refusal) => Err(refusal.error(doing)),
        }
    }

    /// Refuses where the principal has the role there already, at that scope or above it, and not by us.
    pub(super) async fn nothing_stands(&self, wanted: &Assignment) -> Result<(), Error> {
        let path = format!(
            "{}/providers/Microsoft.Authorization/roleAssignments?api-version={VERSION}&$filter=principalId%20eq%20'{}'",
            wanted.scope, wanted.principal
        );
        let all = self
            .client
            .list(Api::Arm, &path, "reading the role assignments")
            .await?;
        let stands = all.iter().find(|shown| {
            wanted.is_given_by(shown)
                && covers(text(shown, "/properties/scope"), &wanted.scope)
                && self.marked(shown).is_none()
        });
        match stands {
            Some(shown) => Err(standing(text(shown, "/id"))),
            None => Ok(()),
        }
    }

    /// The mark of an assignment of ours.
    pub(super) fn marked(&self, shown: &Value) -> Option<Mark> {
        read_mark(&self.asker, text(shown, "/properties/description"))
    }

    fn is_it(&self, key: &str, wanted: &Assignment, shown: &Value) -> Result<Progress, Error> {
        let ours = self.marked(shown).is_some_and(|mark| mark.key == key);
        match ours && wanted.is_given_by(shown) {
            true => Ok(Progress::Done),
            false => Err(standing(text(shown, "/id"))),
        }
    }

    async fn assignment(&self, place: &Place) -> Result<Option<Value>, Error> {
        let doing = "reading the role assignment";
        self.client.find(Api::Arm, &place.path(), doing).await
    }

    /// Takes the assignment away. Without a spec it is looked for wherever this identity sees.
    pub(super) async fn unassign(&self, key: &str, wanted: Option<&Assignment>) -> Result<Progress, Error> {
        let places = match wanted {
            Some(wanted) => vec![self.assignment_at(key, &wanted.scope)],
            None => self.assignments_of(key).await?,
        };
        for place in places {
            let shown = self.assignment(&place).await?;
            // Of that name and not ours: it is left alone. Not shown at all: it may not show yet, so it is deleted unseen.
            if shown.is_some_and(|shown| self.marked(&shown).is_none_or(|mark| mark.key != key)) {
                continue;
            }
            let doing = "taking the role assignment away";
            let gone = self
                .client
                .call(Api::Arm, Method::DELETE, &place.path(), None, doing)
                .await?;
            match gone {
                Ok(_) => {}
                Err(Refusal { status: 404, .. }) => {}
                Err(refusal) => return Err(refusal.error(doing)),
            }
        }
        Ok(Progress::Done)
    }

    /// Whether the assignment is there.
    pub(super) async fn is_assigned(
        &self,
        key: &str,
        wanted: Option<&Assignment>,
    ) -> Result<Inspection, Error> {
        let there = match wanted {
            Some(wanted) => {
                let shown = self.assignment(&self.assignment_at(key, &wanted.scope)).await?;
                shown.is_some_and(|shown| self.marked(&shown).is_some_and(|mark| mark.key == key))
            }
            None => !self.assignments_of(key).await?.is_empty(),
        };
        Ok(super::provider::seen(there, None))
    }

    async fn assignments_of(&self, key: &str) -> Result<Vec<Place>, Error> {
        let all = self.assignments().await?.into_iter();
        Ok(all
            .filter(|(mark, _)| mark.key == key)
            .map(|(_, place)| place)
            .collect())
    }

    /// The keys of all assignments of ours.
    pub(super) async fn assigned(&self) -> Result<Vec<String>, Error> {
        let all = self.assignments().await?.into_iter();
        Ok(all.map(|(mark, _)| mark.key).collect())
    }

    /// All assignments of ours. A list of a subscription also has what is given above and below it.
    async fn assignments(&self) -> Result<Vec<(Mark, Place)>, Error> {
        let mut found = Vec::new();
        for subscription in self.subscriptions().await? {
            let path = format!(
                "{subscription}/providers/Microsoft.Authorization/roleAssignments?api-version={VERSION}"
            );
            let all = self
                .client
                .list(Api::Arm, &path, "reading the role assignments")
                .await?;
            for shown in &all {
                if let Some(mark) = self.marked(shown) {
                    let scope = text(shown, "/properties/scope").to_owned();
                    let name = text(shown, "/name").to_owned();
                    found.push((mark, Place { scope, name }));
                }
            }
        }
        Ok(found)
    }
}

fn standing(what: &str) -> Error {
    Error::new(
        Fault::AlreadyStanding,
        format!("the role is given there already, and not by this Daypass: {what}"),
    )
}
