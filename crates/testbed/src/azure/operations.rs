//! Asynchronous operations: what ARM answers before the work is done, and where one asks how far it is.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::call::{Answer, Call, Reply};
use super::world::Data;

/// How an operation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fate {
    /// After its time, well.
    #[default]
    Well,
    /// After its time, with an error; what it was to do is not done.
    Fails,
    /// Never.
    Never,
}

/// What an operation is about.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// A rule is written or deleted: the group's and the rule's key.
    Rule(String, String),
    /// The answer to a question that takes time.
    Told(Value),
}

/// One operation.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) ends: Option<Timestamp>,
    pub(super) fate: Fate,
    pub(super) work: Work,
    pub(super) done: bool,
}

/// `now` and a duration; the far end of time where that is too far.
pub(super) fn after(now: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| now.checked_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}

impl Data {
    /// Begins an operation and gives its id.
    pub(super) fn begin(&mut self, call: &Call, work: Work) -> String {
        let id = self.new_id(0x0b);
        let ends = (call.fate != Fate::Never).then(|| after(call.now, self.operations_take));
        let operation = Operation {
            ends,
            fate: call.fate,
            work,
            done: false,
        };
        self.operations.insert(id.clone(), operation);
        id
    }

    pub(super) fn settle_operations(&mut self, now: Timestamp) {
        let mut over = Vec::new();
        for operation in self.operations.values_mut() {
            if !operation.done && operation.ends.is_some_and(|ends| ends <= now) {
                operation.done = true;
                over.push((operation.work.clone(), operation.fate));
            }
        }
        for (work, fate) in over {
            if let Work::Rule(nsg, rule) = work
                && let Some(nsg) = self.nsgs.get_mut(&nsg)
            {
                nsg.conclude(&rule, fate == Fate::Well);
            }
        }
    }
}

/// `Azure-AsyncOperation`: where its state is told.
pub(super) fn state_link(call: &Call, subscription: &str, id: &str) -> String {
    format!(
        "{}{subscription}/providers/Microsoft.Network/locations/westeurope/operations/{id}?api-version=2023-09-01",
        call.base
    )
}

/// `Location`: where its result is.
pub(super) fn result_link(call: &Call, subscription: &str, id: &str) -> String {
    format!(
        "{}{subscription}/providers/Microsoft.Network/locations/westeurope/operationResults/{id}?api-version=2023-09-01",
        call.base
    )
}

/// Tells how far one is ("Track asynchronous Azure operations", Azure Resource Manager).
pub(super) fn state(data: &Data, id: &str) -> Answer {
    let operation = data.operations.get(id).ok_or_else(|| Reply::not_found(id))?;
    Ok(Reply::ok(match (operation.done, operation.fate) {
        (false, _) => json!({"status": "InProgress"}),
        (true, Fate::Fails) => json!({"status": "Failed", "error": failure()}),
        (true, _) => json!({"status": "Succeeded"}),
    }))
}

/// Gives its result, or 202 as long as there is none.
pub(super) fn result(call: &Call, data: &Data, id: &str) -> Answer {
    let operation = data.operations.get(id).ok_or_else(|| Reply::not_found(id))?;
    match (operation.done, operation.fate, &operation.work) {
        (false, ..) => Ok(Reply::empty(202)
            .with(
                "Location",
                format!("{}{}?api-version=2023-09-01", call.base, call.path),
            )
            .with("Retry-After", "0")),
        (true, Fate::Fails, _) => Err(Reply::new(500, json!({"error": failure()}))),
        (true, _, Work::Told(told)) => Ok(Reply::ok(told.clone())),
        (true, _, Work::Rule(..)) => Ok(Reply::empty(204)),
    }
}

fn failure() -> Value {
    json!({"code": "InternalServerError", "message": "An error occurred."})
}
