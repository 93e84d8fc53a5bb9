//! What somebody did with a role, as the Activity Log of the subscription tells it.

use daypass_core::deed::{Deed, Telling};
use daypass_core::time::{Span, Timestamp};
use serde_json::Value;

use super::client::Api;
use super::ids::{same, text};
use super::provider::Connected;
use super::role::Assignment;
use super::scope::{covers, subscription};
use crate::Error;

/// "Activity Logs - List" at Microsoft Learn.
const VERSION: &str = "2015-04-01";

/// How late the log is complete: "3 to 20 minutes" ("Azure Monitor activity log" at Microsoft Learn).
pub(super) const LATE: Span = Span::minutes(20);

/// Where an event has the object id of who called. `caller` is a login for people, which may be given to somebody else.
const OBJECT: &str = "http://schemas.microsoft.com/identity/claims/objectidentifier";

impl Connected {
    /// What the holder of a role did below its scope, the oldest first.
    pub(super) async fn done(
        &self,
        wanted: &Assignment,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Telling, Error> {
        let subscriptions = match subscription(&wanted.scope) {
            Some(subscription) => vec![subscription],
            // A management group: in whatever is seen of it.
            None => self.subscriptions().await?,
        };
        let mut all = Vec::new();
        for subscription in subscriptions {
            let path = format!(
                "{subscription}/providers/Microsoft.Insights/eventtypes/management/values?api-version={VERSION}\
                 &$filter=eventTimestamp%20ge%20'{from}'%20and%20eventTimestamp%20le%20'{to}'"
            );
            let events = self
                .client
                .list(Api::Arm, &path, "reading the Activity Log")
                .await?;
            all.extend(events.iter().filter_map(|event| deed(event, wanted, (from, to))));
        }
        all.sort_by_key(|deed| deed.at);
        Ok(Telling::of(all))
    }
}

/// What an event tells, where it is the holder's, and over.
fn deed(event: &Value, wanted: &Assignment, (from, to): (Timestamp, Timestamp)) -> Option<Deed> {
    let by = event
        .get("claims")
        .and_then(|claims| claims.get(OBJECT)?.as_str());
    let by = by.unwrap_or_else(|| text(event, "/caller"));
    let at: Timestamp = text(event, "/eventTimestamp").parse().ok()?;
    let on = text(event, "/resourceId");
    let status = text(event, "/status/value");
    // Each call has an event for its beginning and one for its end.
    let over = !matches!(status, "Started" | "Accepted");
    let theirs = same(by, &wanted.principal) && covers(&wanted.scope, on);
    (theirs && over && from <= at && at < to).then(|| {
        let outcome = Some(status).filter(|status| !status.is_empty());
        Deed::new(at, text(event, "/operationName/value"), on, outcome)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_a_deed_where_it_is_the_holders_within_the_scope_and_over() {
        let scope = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/web";
        let wanted = Assignment {
            scope: scope.to_owned(),
            definition: String::new(),
            principal: "aaaaaaaa-0000-0000-0000-000000000001".to_owned(),
            pim: false,
        };
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let window = (at("2026-03-07T12:00:00Z"), at("2026-03-07T13:00:00Z"));
        let event = json!({
            "eventTimestamp": "2026-03-07T12:30:00.1234567Z", "caller": "ana@corp.example",
            "claims": {OBJECT: "AAAAAAAA-0000-0000-0000-000000000001"},
            "operationName": {"value": "Microsoft.Compute/virtualMachines/restart/action"},
            "resourceId": format!("{scope}/providers/Microsoft.Compute/virtualMachines/web-1"),
            "status": {"value": "Succeeded"},
        });
        let of = |pointer: &str, value: Value| {
            let mut event = event.clone();
            *event.pointer_mut(pointer).unwrap() = value;
            deed(&event, &wanted, window)
        };
        let told = deed(&event, &wanted, window).unwrap();
        assert_eq!(told.what, "Microsoft.Compute/virtualMachines/restart/action");
        assert_eq!(told.outcome.as_deref(), Some("Succeeded"));
        assert_eq!(of("/status/value", json!("Started")), None);
        assert_eq!(
            of("/resourceId", json!("/subscriptions/x/resourceGroups/other")),
            None
        );
        assert_eq!(
            of("/eventTimestamp", json!("2026-03-07T13:00:00Z")),
            None,
            "that is the next one's"
        );
        assert_eq!(
            of("/claims", json!({OBJECT: "bbbbbbbb-0000-0000-0000-000000000001"})),
            None
        );
    }
}
