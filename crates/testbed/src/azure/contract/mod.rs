//! Holds what was asked and answered against the official descriptions: Resource Manager's by Microsoft's own validator, npm's `oav`, in
//! a process of its own; Graph's against its metadata.
//!
//! The descriptions are a folder beside the repository, `../shared/design/contracts`, or where `DAYPASS_CONTRACTS` says. Without it, or
//! without npm and outside CI, nothing is held against anything, and that is said aloud.

mod graph;
mod peer;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::call::set;
use super::{Azure, Exchange};
use crate::{Error, Result};

/// Something that is not as the descriptions say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The call: `PUT /subscriptions/…`.
    pub call: String,
    /// `request` or `response`.
    pub side: String,
    /// The validator's code, message and where in the body.
    pub why: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was looked at, and why.
    NotTested(String),
    /// It was looked at.
    Tested {
        /// How many calls were held against a description.
        held: usize,
        /// How many no description at hand is about: tokens, machines, subscriptions, the Activity Log, asynchronous results, batches of
        /// Graph; and those whose answer nobody heard.
        without: usize,
        /// What is not as described.
        wrong: Vec<Wrong>,
    },
}

impl Azure {
    /// Holds every exchange so far against the official descriptions. Where they are not at hand, it says so aloud.
    ///
    /// # Errors
    /// The validator cannot be installed or run, or `DAYPASS_CONTRACTS` names no folder.
    pub fn check_contract(&self) -> Result<Verdict> {
        check(&self.exchanges())
    }
}

/// The descriptions, by what they are about: a part of the path in small letters, the version, the file.
const DESCRIBED: &[(&str, &str, &str)] = &[
    (
        "/microsoft.authorization/roleassignments",
        "2022-04-01",
        "authorization/resource-manager/Microsoft.Authorization/stable/2022-04-01/authorization-RoleAssignmentsCalls.json",
    ),
    (
        "/microsoft.authorization/roledefinitions",
        "2022-04-01",
        "authorization/resource-manager/Microsoft.Authorization/stable/2022-04-01/authorization-RoleDefinitionsCalls.json",
    ),
    (
        "/microsoft.authorization/roleassignmentschedulerequests",
        "2020-10-01",
        "authorization/resource-manager/Microsoft.Authorization/stable/2020-10-01/RoleAssignmentScheduleRequest.json",
    ),
    (
        "/microsoft.authorization/roleassignmentscheduleinstances",
        "2020-10-01",
        "authorization/resource-manager/Microsoft.Authorization/stable/2020-10-01/RoleAssignmentScheduleInstance.json",
    ),
    (
        "/microsoft.authorization/roleassignmentschedules",
        "2020-10-01",
        "authorization/resource-manager/Microsoft.Authorization/stable/2020-10-01/RoleAssignmentSchedule.json",
    ),
    (
        "/microsoft.authorization/roleeligibilityscheduleinstances",
        "2020-10-01",
        "authorization/resource-manager/Microsoft.Authorization/stable/2020-10-01/RoleEligibilityScheduleInstance.json",
    ),
    (
        "/microsoft.authorization/roleeligibilityschedules",
        "2020-10-01",
        "authorization/resource-manager/Microsoft.Authorization/stable/2020-10-01/RoleEligibilitySchedule.json",
    ),
    (
        "/microsoft.authorization/rolemanagementpolicyassignments",
        "2020-10-01",
        "authorization/resource-manager/Microsoft.Authorization/stable/2020-10-01/RoleManagementPolicyAssignment.json",
    ),
    (
        "/microsoft.authorization/rolemanagementpolicies",
        "2020-10-01",
        "authorization/resource-manager/Microsoft.Authorization/stable/2020-10-01/RoleManagementPolicy.json",
    ),
    (
        "/microsoft.network/networksecuritygroups",
        "2023-09-01",
        "network/resource-manager/Microsoft.Network/stable/2023-09-01/networkSecurityGroup.json",
    ),
    (
        "/microsoft.network/networkinterfaces",
        "2023-09-01",
        "network/resource-manager/Microsoft.Network/stable/2023-09-01/networkInterface.json",
    ),
    (
        "/microsoft.network/virtualnetworks",
        "2023-09-01",
        "network/resource-manager/Microsoft.Network/stable/2023-09-01/virtualNetwork.json",
    ),
    (
        "/jitnetworkaccesspolicies",
        "2020-01-01",
        "security/resource-manager/Microsoft.Security/stable/2020-01-01/jitNetworkAccessPolicies.json",
    ),
];

/// Holds exchanges against the descriptions.
///
/// # Errors
/// As [`Azure::check_contract`].
pub fn check(exchanges: &[Exchange]) -> Result<Verdict> {
    let Some(folder) = folder()? else {
        return Ok(aloud(
            "there is no folder ../shared/design/contracts, and DAYPASS_CONTRACTS names none",
        ));
    };
    let specification = folder.join("azure/specification");
    let described: Vec<_> = exchanges
        .iter()
        .filter_map(|one| Some((one, file(one)?)))
        .collect();
    let Some(peer) = peer::installed()? else {
        return Ok(aloud(
            "this machine has no npm: cargo xtask setup installs it, or says how",
        ));
    };
    let all: Vec<_> = described.iter().map(|(one, _)| told(one)).collect();
    let found = if all.is_empty() {
        json!([])
    } else {
        let files: Vec<_> = DESCRIBED.iter().map(|(.., file)| *file).collect();
        peer::ask(&peer, &specification, &files, &all.into())?
    };
    let found = found.as_array().cloned().unwrap_or_default();
    let mut wrong: Vec<_> = found.iter().filter_map(|one| wrong(&described, one)).collect();
    let of_graph: Vec<_> = exchanges.iter().filter(|one| graph::is_described(one)).collect();
    if !of_graph.is_empty() {
        let metadata = graph::Metadata::read(&folder)?;
        wrong.extend(of_graph.iter().flat_map(|one| graph::check(&metadata, one)));
    }
    let held = described.len() + of_graph.len();
    Ok(Verdict::Tested {
        held,
        without: exchanges.len() - held,
        wrong,
    })
}

fn aloud(why: &str) -> Verdict {
    eprintln!("NOT TESTED: what is asked of Azure and answered is not held against its descriptions: {why}");
    Verdict::NotTested(why.to_owned())
}

/// The folder of the descriptions.
fn folder() -> Result<Option<PathBuf>> {
    if let Some(named) = std::env::var_os("DAYPASS_CONTRACTS") {
        let named = PathBuf::from(named);
        if named.join("azure/specification").is_dir() {
            return Ok(Some(named));
        }
        return Err(Error::Io {
            what: format!(
                "DAYPASS_CONTRACTS names {}, which has no azure/specification",
                named.display()
            ),
            source: std::io::ErrorKind::NotFound.into(),
        });
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/design/contracts");
    Ok(beside.join("azure/specification").is_dir().then_some(beside))
}

/// The description that is about an exchange; none where nobody heard the answer.
fn file(one: &Exchange) -> Option<&'static str> {
    let target = one.target.to_ascii_lowercase();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let about = |(part, version, _): &&(&str, &str, &str)| {
        path.contains(part) && query.contains(&format!("api-version={version}"))
    };
    let (_, _, file) = DESCRIBED.iter().find(about)?;
    (one.status != 0).then_some(file)
}

/// As the validator wants to be told.
fn told(one: &Exchange) -> Value {
    let json_type = json!({"content-type": "application/json"});
    let mut request = json!({
        "method": one.method,
        "url": format!("https://management.azure.com{}", one.target),
        "headers": json_type,
    });
    if !one.request.is_null() {
        set(&mut request, "body", one.request.clone());
    }
    let mut headers = json_type;
    for (name, value) in &one.headers {
        set(&mut headers, &name.to_ascii_lowercase(), value.clone());
    }
    let mut response = json!({"statusCode": one.status.to_string(), "headers": headers});
    if let Some(body) = &one.response {
        set(&mut response, "body", body.clone());
    }
    json!({"request": request, "response": response})
}

fn wrong(described: &[(&Exchange, &'static str)], found: &Value) -> Option<Wrong> {
    let word = |name: &str| found.get(name).and_then(Value::as_str).unwrap_or_default();
    let index = found.get("index").and_then(Value::as_u64).unwrap_or_default();
    let (one, _) = described.get(usize::try_from(index).ok()?)?;
    let why = format!("{}: {} at {}", word("code"), word("message"), word("where"));
    Some(Wrong {
        call: format!("{} {} {}", one.method, one.target, one.status),
        side: word("side").to_owned(),
        why,
    })
}
