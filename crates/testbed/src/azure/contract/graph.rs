//! Holds exchanges with Microsoft Graph against its metadata (`msgraph/v1.0-Prod.csdl`, OData's CSDL): every property that is sent or
//! answered is declared, and has the type that is declared. What a service wants beyond its types is not in the metadata.

use std::path::Path;

use serde_json::Value;

use super::super::Exchange;
use super::super::assignments::is_guid;
use super::super::call::text;
use super::Wrong;
use crate::Result;
use crate::error::Doing as _;

/// The metadata, as text: three megabytes of which a dozen types are looked for.
#[derive(Debug)]
pub(super) struct Metadata(String);

impl Metadata {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let file = folder.join("msgraph/v1.0-Prod.csdl");
        let read = std::fs::read_to_string(&file).doing(|| format!("reading {}", file.display()))?;
        Ok(Self(read))
    }

    /// The element of that name: its first tag and what is inside. The first schema is `microsoft.graph`.
    fn element(&self, kind: &str, name: &str) -> Option<(&str, &str)> {
        let from = self.0.find(&format!("<{kind} Name=\"{name}\""))?;
        let rest = self.0.get(from..)?;
        let (tag, rest) = rest.split_once('>')?;
        if tag.ends_with('/') {
            return Some((tag, ""));
        }
        Some((tag, rest.split_once(&format!("</{kind}>"))?.0))
    }

    /// The declared type of a property, in a type or in what it is derived from.
    fn property(&self, of: &str, name: &str) -> Option<String> {
        let (tag, body) = self
            .element("EntityType", of)
            .or_else(|| self.element("ComplexType", of))?;
        let found = ["Property", "NavigationProperty"].iter().find_map(|kind| {
            let (_, rest) = body.split_once(&format!("<{kind} Name=\"{name}\""))?;
            attribute(rest.split_once('>')?.0, "Type")
        });
        found.or_else(|| {
            let base = attribute(tag, "BaseType")?;
            self.property(local(&base), name)
        })
    }

    /// Says what is not as the type.
    fn hold(&self, kind: &str, value: &Value, at: &str, wrong: &mut Vec<String>) {
        if value.is_null() {
            return;
        }
        if let Some(inner) = kind
            .strip_prefix("Collection(")
            .and_then(|rest| rest.strip_suffix(')'))
        {
            match value.as_array() {
                Some(all) => all.iter().for_each(|one| self.hold(inner, one, at, wrong)),
                None => wrong.push(format!("{at} is no collection")),
            }
            return;
        }
        let said = value.as_str();
        let fine = match kind {
            "Edm.String" => said.is_some(),
            "Edm.Boolean" => value.is_boolean(),
            "Edm.Int32" | "Edm.Int64" => value.is_i64(),
            "Edm.DateTimeOffset" => said.is_some_and(|said| said.parse::<jiff::Timestamp>().is_ok()),
            "Edm.Duration" => said.is_some_and(|said| said.parse::<jiff::Span>().is_ok()),
            "Edm.Guid" => said.is_some_and(is_guid),
            named if named.starts_with("graph.") => return self.hold_named(local(named), value, at, wrong),
            // Types that the stand-in has no use for.
            _ => true,
        };
        if !fine {
            wrong.push(format!("{at} is {value}, and {kind} by the metadata"));
        }
    }

    fn hold_named(&self, kind: &str, value: &Value, at: &str, wrong: &mut Vec<String>) {
        if let Some((_, members)) = self.element("EnumType", kind) {
            let member = value
                .as_str()
                .is_some_and(|said| members.contains(&format!("Name=\"{said}\"")));
            if !member {
                wrong.push(format!("{at} is {value}, which is none of {kind}"));
            }
            return;
        }
        let Some(object) = value.as_object() else {
            wrong.push(format!("{at} is no object"));
            return;
        };
        // What is said of a value says which of the derived types it is.
        let said = object
            .get("@odata.type")
            .and_then(Value::as_str)
            .map(|said| said.trim_start_matches("#microsoft."));
        let kind = said.map_or(kind, local);
        for (name, value) in object.iter().filter(|(name, _)| !name.contains('@')) {
            let at = format!("{at}/{name}");
            match self.property(kind, name) {
                Some(kind) => self.hold(&kind, value, &at, wrong),
                None => wrong.push(format!("{at} is no property of {kind}")),
            }
        }
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    Some(rest.split('"').next()?.to_owned())
}

fn local(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// What is answered below an address, whether as a list, and what is asked there.
fn types(one: &Exchange) -> Option<(&'static str, bool, Option<&'static str>)> {
    let path = one.target.split('?').next()?;
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    let posted = one.method == "POST";
    Some(match parts.as_slice() {
        ["v1.0", "groups"] => ("group", true, None),
        ["v1.0", "groups", _] => ("group", false, None),
        ["v1.0", "groups", _, _list] => ("directoryObject", true, None),
        // A reference alone, and no answer.
        ["v1.0", "groups", _, _list, .., "$ref"] => ("directoryObject", false, Some("directoryObject")),
        ["v1.0", "users", _] => ("user", false, None),
        ["v1.0", "servicePrincipals"] => ("servicePrincipal", true, None),
        ["v1.0", one] if one.starts_with("servicePrincipals(") => ("servicePrincipal", false, None),
        ["v1.0", "servicePrincipals", _] => ("servicePrincipal", false, None),
        ["v1.0", "servicePrincipals", _, "appRoleAssignments"] => ("appRoleAssignment", true, None),
        ["v1.0", "directoryObjects", "getByIds"] => ("directoryObject", true, None),
        ["v1.0", "directoryObjects", _] => ("directoryObject", false, None),
        [
            "v1.0",
            "identityGovernance",
            "privilegedAccess",
            "group",
            list,
            rest @ ..,
        ] => {
            let kind = match *list {
                "assignmentScheduleRequests" => "privilegedAccessGroupAssignmentScheduleRequest",
                "assignmentSchedules" => "privilegedAccessGroupAssignmentSchedule",
                "assignmentScheduleInstances" => "privilegedAccessGroupAssignmentScheduleInstance",
                "eligibilitySchedules" => "privilegedAccessGroupEligibilitySchedule",
                "eligibilityScheduleInstances" => "privilegedAccessGroupEligibilityScheduleInstance",
                _ => return None,
            };
            (kind, !posted && rest.is_empty(), posted.then_some(kind))
        }
        _ => return None,
    })
}

/// Whether an exchange is one that the metadata is about, and somebody heard the answer.
pub(super) fn is_described(one: &Exchange) -> bool {
    one.status != 0 && types(one).is_some()
}

/// What is not as declared.
pub(super) fn check(metadata: &Metadata, one: &Exchange) -> Vec<Wrong> {
    let Some((answered, list, asked)) = types(one) else {
        return Vec::new();
    };
    let told = |side: &str, why: String| Wrong {
        call: format!("{} {} {}", one.method, one.target, one.status),
        side: side.to_owned(),
        why,
    };
    let mut found = Vec::new();
    if let Some(kind) = asked.filter(|_| !one.request.is_null()) {
        let mut wrong = Vec::new();
        metadata.hold_named(kind, &one.request, "", &mut wrong);
        found.extend(wrong.into_iter().map(|why| told("request", why)));
    }
    let Some(body) = &one.response else {
        return found;
    };
    let mut wrong = Vec::new();
    if one.status >= 400 {
        let whole = !text(body, "/error/code").is_empty() && !text(body, "/error/message").is_empty();
        if !whole {
            wrong.push("an error has a code and a message".to_owned());
        }
    } else if list {
        let all = body.get("value").unwrap_or(&Value::Bool(false));
        metadata.hold(
            &format!("Collection(graph.{answered})"),
            all,
            "/value",
            &mut wrong,
        );
    } else {
        metadata.hold_named(answered, body, "", &mut wrong);
    }
    found.extend(wrong.into_iter().map(|why| told("response", why)));
    found
}
