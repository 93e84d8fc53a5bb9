//! Who has which role in a subscription without Daypass: plain assignments, those that PIM ends, and whom PIM lets take one.

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::entitlement::Fault;
use daypass_core::name::Name;
use daypass_core::time::Timestamp;
use serde_json::{Value, json};

use super::client::Api;
use super::config::role_name;
use super::ids::{last, text};
use super::provider::Connected;
use super::scope::{covers, is_scope};
use super::survey::{Bookmark, called, or_untold};
use super::{ROLE, pim, role};
use crate::Error;
use crate::inventory::{Offer, Page, Standing, Subject, SubjectKind, told};

/// "Role Definitions" in the description of Microsoft.Authorization.
const DEFINITIONS: &str = "2022-04-01";

/// What PIM says to a tenant without Entra ID P2 or Governance.
pub(super) const UNLICENSED: &str = "AadPremiumLicenseRequired";

/// A role of somebody at a scope, as an assignment or an instance of PIM's shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Given {
    scope: String,
    definition: String,
    principal: String,
}

impl Given {
    /// In small letters, so that one is one however it is spelled.
    fn read(shown: &Value) -> Self {
        let small = |pointer: &str| text(shown, pointer).to_ascii_lowercase();
        Self {
            scope: small("/properties/scope"),
            definition: last(&small("/properties/roleDefinitionId")).to_owned(),
            principal: small("/properties/principalId"),
        }
    }
}

/// What PIM has in a subscription.
#[derive(Debug, Default)]
struct OfPim {
    /// What it gives for us.
    ours: BTreeSet<Given>,
    /// When it ends what it gives.
    ends: BTreeMap<Given, Timestamp>,
}

impl Connected {
    /// Tells the roles of a subscription, and notes the groups that have some.
    pub(super) async fn roles_page(
        &self,
        subscription: &str,
        at: &mut Bookmark,
        page: &mut Page,
    ) -> Result<(), Error> {
        let assigned = self
            .authorization(subscription, "roleAssignments", role::VERSION)
            .await;
        let assigned = or_untold(assigned, subscription, &mut page.untold)?;
        let names = self
            .authorization(subscription, "roleDefinitions", DEFINITIONS)
            .await;
        let names = or_untold(names, subscription, &mut page.untold)?;
        let names = names.iter().map(|one| {
            let name = text(one, "/properties/roleName").to_owned();
            (text(one, "/name").to_ascii_lowercase(), name)
        });
        let names: BTreeMap<String, String> = names.filter(|(_, name)| !name.is_empty()).collect();
        let told = Told { subscription, names };
        let pim = match self.of_pim(subscription).await {
            // Without a licence PIM gave nothing, for us neither.
            Err(error) if error.detail.contains(UNLICENSED) => Some(OfPim::default()),
            // What it gave for us cannot be told from what stands.
            Err(error) if error.fault == Fault::Denied => {
                let of = format!("roles in {subscription} are not told");
                or_untold(Err(error), &of, &mut page.untold)?
            }
            pim => Some(or_untold(pim, subscription, &mut page.untold)?),
        };
        if let Some(pim) = pim {
            for shown in &assigned {
                let given = Given::read(shown);
                if self.marked(shown).is_none() && !pim.ours.contains(&given) {
                    let until = pim.ends.get(&given).copied();
                    told.tell(shown, &given, until, "", at, page);
                }
            }
        }
        let kind = "roleEligibilityScheduleInstances";
        let eligible = self.authorization(subscription, kind, pim::VERSION).await;
        for shown in &or_untold(eligible, subscription, &mut page.untold)? {
            let until = text(shown, "/properties/endDateTime").parse().ok();
            told.tell(shown, &Given::read(shown), until, "eligible: ", at, page);
        }
        Ok(())
    }

    /// All of one kind in a subscription, with what holds there from above.
    async fn authorization(
        &self,
        subscription: &str,
        kind: &str,
        version: &str,
    ) -> Result<Vec<Value>, Error> {
        let path = format!("{subscription}/providers/Microsoft.Authorization/{kind}?api-version={version}");
        self.client
            .list(Api::Arm, &path, &format!("reading the {kind}"))
            .await
    }

    async fn of_pim(&self, subscription: &str) -> Result<OfPim, Error> {
        let ours = self.schedules_in(subscription).await?.into_iter();
        let ours = ours.map(|(_, given, _)| Given {
            scope: given.scope.to_ascii_lowercase(),
            definition: given.definition.to_ascii_lowercase(),
            principal: given.principal.to_ascii_lowercase(),
        });
        let kind = "roleAssignmentScheduleInstances";
        let all = self.authorization(subscription, kind, pim::VERSION).await?;
        let ends = all.iter().filter_map(|shown| {
            let end = text(shown, "/properties/endDateTime").parse().ok()?;
            Some((Given::read(shown), end))
        });
        Ok(OfPim {
            ours: ours.collect(),
            ends: ends.collect(),
        })
    }
}

/// What is needed to tell a role of a subscription.
struct Told<'a> {
    subscription: &'a str,
    /// What definitions are called, by their GUIDs.
    names: BTreeMap<String, String>,
}

impl Told<'_> {
    fn tell(
        &self,
        shown: &Value,
        given: &Given,
        until: Option<Timestamp>,
        how: &str,
        at: &mut Bookmark,
        page: &mut Page,
    ) {
        let kind = kind(text(shown, "/properties/principalType"));
        if kind == SubjectKind::Group {
            at.add_group(&given.principal);
        }
        let scope = text(shown, "/properties/scope");
        let is_here = covers(self.subscription, scope);
        let on = if is_here { scope } else { self.subscription };
        let named = self.names.get(&given.definition).map(String::as_str);
        let named = named.unwrap_or_else(|| role_name(&given.definition));
        let has_condition = !text(shown, "/properties/condition").is_empty();
        let but = if has_condition { ", with a condition" } else { "" };
        // Without its condition a role would be more. To a program nothing is given.
        let fits = !has_condition && kind != SubjectKind::Program;
        page.standing.push(Standing {
            subject: Subject {
                id: given.principal.clone(),
                name: told(&given.principal),
                kind,
            },
            right: told(&format!("{how}{named}{but}")),
            on: told(on),
            by: (!is_here).then(|| told(&format!("inherited from {scope}"))),
            last_used: None,
            until,
            offer: fits.then(|| offer(on, &given.definition, named)).flatten(),
        });
    }
}

fn offer(scope: &str, definition: &str, named: &str) -> Option<Offer> {
    let role = json!({ "role": role_name(definition) });
    let is_valid = is_scope(scope) && super::config::Assigned::read(&role).is_ok();
    is_valid.then(|| Offer {
        kind: ROLE,
        resource: json!({ "scope": scope }),
        role,
        called: (
            called(last(scope), scope),
            match role_name(definition) == definition {
                true => called(named, definition),
                false => Name::like(named),
            },
        ),
    })
}

/// What a principal is, by the words of "Role Assignments - Create" at Microsoft Learn.
fn kind(word: &str) -> SubjectKind {
    match word {
        "User" => SubjectKind::Person,
        "Group" | "ForeignGroup" => SubjectKind::Group,
        _ => SubjectKind::Program,
    }
}
