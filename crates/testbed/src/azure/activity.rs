//! The Activity Log: who wrote what, told some time later.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::call::{Answer, Call, Reply, page};
use super::operations::after;
use super::scope::key;
use super::world::Data;

/// One line of it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) at: Timestamp,
    /// Object id.
    pub(super) caller: String,
    /// The login, as the log shows callers.
    pub(super) login: String,
    pub(super) action: String,
    pub(super) resource: String,
    /// The HTTP status.
    pub(super) status: u16,
    /// Makes its ids.
    pub(super) number: u64,
}

impl Data {
    /// Writes that somebody did something.
    pub(super) fn log(&mut self, at: Timestamp, caller: &str, action: &str, resource: &str, status: u16) {
        self.made += 1;
        let login = self.principals.get(caller).map(|one| match one.kind {
            // Programs are shown by their object id, people by their login ("Azure Activity Log event schema": caller).
            "User" => one.login.clone(),
            _ => one.id.clone(),
        });
        let entry = Entry {
            at,
            caller: caller.to_owned(),
            login: login.unwrap_or_else(|| caller.to_owned()),
            action: action.to_owned(),
            resource: resource.to_owned(),
            status,
            number: self.made,
        };
        self.activity.push(entry);
    }
}

/// `GET /subscriptions/{s}/providers/Microsoft.Insights/eventtypes/management/values` (Activity Logs - List, 2015-04-01).
pub(super) fn answer(call: &Call, data: &Data) -> Answer {
    let filter = call.asked("$filter");
    let below = key(call.path.split("/providers/").next().unwrap_or_default());
    let after_word = |word: &str| {
        let (_, rest) = filter.split_once(word)?;
        rest.split('\'').nth(1)
    };
    let Some(from) = after_word("eventTimestamp ge").and_then(|at| at.parse::<Timestamp>().ok()) else {
        let message = "The $filter has to begin with eventTimestamp ge '…'.";
        return Err(Reply::arm(400, "BadRequest", message));
    };
    let until = after_word("eventTimestamp le")
        .and_then(|at| at.parse().ok())
        .unwrap_or(Timestamp::MAX);
    let caller = after_word("caller eq").or_else(|| after_word("caller eq"));
    let resource = after_word("resourceUri eq").or_else(|| after_word("resourceId eq"));
    let group = after_word("resourceGroupName eq");
    let mut all: Vec<_> = data
        .activity
        .iter()
        .filter(|entry| key(&entry.resource).starts_with(&below))
        .filter(|entry| entry.at >= from && entry.at <= until)
        .filter(|entry| after(entry.at, data.activity_lag) <= call.now)
        .filter(|entry| caller.is_none_or(|who| who == entry.login || who == entry.caller))
        .filter(|entry| resource.is_none_or(|id| key(id) == key(&entry.resource)))
        .filter(|entry| {
            group.is_none_or(|name| key(&entry.resource).contains(&format!("/resourcegroups/{}", key(name))))
        })
        .collect();
    // The newest first, as the service has them.
    all.sort_by_key(|entry| std::cmp::Reverse((entry.at, entry.number)));
    let all = all.into_iter().map(|entry| show(data, entry)).collect();
    Ok(Reply::ok(page(
        call,
        all,
        data.page_size,
        "nextLink",
        "$skiptoken",
    )))
}

fn show(data: &Data, entry: &Entry) -> Value {
    let id = format!("{:08x}-0000-4000-8000-{:012x}", 0xac, entry.number);
    let lower = key(&entry.resource);
    let group = lower
        .split("/resourcegroups/")
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    let (state, code) = match entry.status {
        200..=299 => ("Succeeded", "OK"),
        403 => ("Failed", "Forbidden"),
        _ => ("Failed", "BadRequest"),
    };
    let namespace = entry.action.split('/').next().unwrap_or_default();
    let kind = entry.action.rsplit_once('/').map_or("", |(kind, _)| kind);
    json!({
        "eventTimestamp": entry.at.to_string(),
        "submissionTimestamp": after(entry.at, data.activity_lag).to_string(),
        "eventDataId": id,
        "operationId": id,
        "correlationId": id,
        "caller": entry.login,
        "claims": {
            "http://schemas.microsoft.com/identity/claims/objectidentifier": entry.caller,
        },
        "authorization": {"action": entry.action, "scope": entry.resource},
        "operationName": {"value": entry.action, "localizedValue": entry.action},
        "resourceId": entry.resource,
        "resourceGroupName": group.unwrap_or_default(),
        "resourceProviderName": {"value": namespace, "localizedValue": namespace},
        "resourceType": {"value": kind, "localizedValue": kind},
        "category": {"value": "Administrative", "localizedValue": "Administrative"},
        "status": {"value": state, "localizedValue": state},
        "subStatus": {"value": code, "localizedValue": code},
        "level": if state == "Failed" { "Error" } else { "Informational" },
        "channels": "Operation",
        "eventName": {"value": "EndRequest", "localizedValue": "End request"},
        "subscriptionId": lower.split('/').nth(2).unwrap_or_default(),
        "tenantId": data.tenant,
    })
}
