//! What happened before whoever watches came: grants that ended, a denial, what stands, and what waits for somebody.

use daypass_api::client::EventStream;
use daypass_api::grant::{Grant, GrantState, Revoke};
use daypass_api::policy::{PolicyFile, PolicyFiles};
use daypass_api::request::{Decision, NewRequest, NewReview, Request, RequestState};
use daypass_core::id::{ChangeId, GrantId, RequestId};
use daypass_core::name::Item;
use daypass_core::time::Span;

use super::people::{People, ROOT, client};
use super::play::{expect, not_so};
use crate::failure::Failure;

/// The ticket by which ana holds something; closing it ends that.
pub(super) const TICKET: &str = "PAY-8";
/// How long something lasts that is about to end.
const SOON: Span = Span::minutes(3);
/// What is proposed to be changed in the policy, and into what.
const PROPOSED: [&str; 2] = ["max: 8h", "max: 12h"];

/// What waits.
pub(super) struct History {
    /// Eve's request, for bo.
    pub(super) waits: RequestId,
    /// Root's change of the policy, for security.
    pub(super) change: ChangeId,
}

impl History {
    /// Makes it, over the API.
    pub(super) async fn make(people: &People) -> Result<Self, Failure> {
        let mut watch = people.client("dee")?.events(None).await.map_err(client)?;
        let look = ask("orders-staging/read", Span::hours(1), "PAY-3: compare totals");
        let look = people.client("eve")?.add_request(&look).await.map_err(client)?;
        is_there(people, "eve", &look, &mut watch).await?;
        let why = Revoke {
            reason: Some("eve is on leave".to_owned()),
        };
        let id = GrantId::from(look.id);
        people.client(ROOT)?.revoke(id, &why).await.map_err(client)?;
        let over = |grant: &Grant| grant.state == GrantState::Ended;
        people.until("eve", &mut watch, &id.to_string(), over).await?;
        denied(people).await?;
        let waits = ask(
            "orders-prod/read",
            Span::hours(1),
            "PAY-9: a customer's total is wrong",
        );
        let waits = people.client("eve")?.add_request(&waits).await.map_err(client)?;
        expect(
            waits.state == RequestState::Pending,
            "a look at production waits for bo",
        )?;
        let held = NewRequest {
            ticket: Some(TICKET.to_owned()),
            ..ask("orders-prod/read", Span::minutes(30), "which order is stuck")
        };
        let held = people.client("ana")?.add_request(&held).await.map_err(client)?;
        is_there(people, "ana", &held, &mut watch).await?;
        let change = proposed(people).await?;
        // The last, so that there is something to be seen of it.
        let soon = ask("orders-staging/write", SOON, "PAY-12: see whether the fix holds");
        let soon = people.client("ana")?.add_request(&soon).await.map_err(client)?;
        is_there(people, "ana", &soon, &mut watch).await?;
        Ok(Self {
            waits: waits.id,
            change,
        })
    }
}

/// Bo says no to eve.
async fn denied(people: &People) -> Result<(), Failure> {
    let wanted = ask("orders-prod/write", Span::hours(2), "just in case");
    let wanted = people.client("eve")?.add_request(&wanted).await.map_err(client)?;
    let no = NewReview {
        decision: Decision::Deny,
        digest: wanted.digest,
        duration: None,
        items: None,
        comment: Some("in which case? ask when there is one".to_owned()),
    };
    let after = people
        .client("bo")?
        .review(wanted.id, &no)
        .await
        .map_err(client)?;
    expect(after.state == RequestState::Denied, "one denial ends a request")
}

/// Root proposes another policy, which others must agree to.
async fn proposed(people: &People) -> Result<ChangeId, Failure> {
    let root = people.client(ROOT)?;
    let now = root.policy().await.map_err(client)?;
    let [from, to] = PROPOSED;
    let files = now.files.into_iter().map(|file| PolicyFile {
        text: file.text.replace(from, to),
        ..file
    });
    let files = PolicyFiles {
        files: files.collect(),
        replaces: Some(now.revision),
    };
    let applied = root.apply_policy(&files).await.map_err(client)?;
    let change = applied
        .change
        .ok_or_else(|| not_so("a change of the policy waits for others"))?;
    Ok(change.id)
}

async fn is_there(
    people: &People,
    login: &'static str,
    request: &Request,
    watch: &mut EventStream,
) -> Result<(), Failure> {
    let id = GrantId::from(request.id).to_string();
    let active = |grant: &Grant| grant.state == GrantState::Active;
    people.until(login, watch, &id, active).await.map(drop)
}

fn ask(item: &str, length: Span, reason: &str) -> NewRequest {
    NewRequest {
        items: item.parse::<Item>().ok().map(Into::into).into_iter().collect(),
        environments: [].into(),
        duration: Some(length),
        start: None,
        reason: Some(reason.to_owned()),
        ticket: None,
    }
}
