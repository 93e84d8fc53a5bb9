//! Whether what opens a target directly may be handed out: not where it is reached through the gateway, and not where a request
//! demands that its access is recorded.

use daypass_core::demand::Recording;
use daypass_core::id::{GrantId, RequestId};
use daypass_core::name::Item;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::{Request, State};
use daypass_policy::Access;

use crate::current::Current;
use crate::engine::Engine;
use crate::error::{Error, not_found};

impl Engine {
    /// Whether a request of this grant, or one that lengthened it, was agreed to because its access is recorded. What a request
    /// demands never changes, so that it may be read beside the decision.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn is_to_be_recorded(&self, id: GrantId) -> Result<bool, Error> {
        let first = self.store().request(RequestId::from_bytes(id.bytes())).await?;
        let extending = self.store().requests_extending(id).await?;
        let agreed = |request: &Request| matches!(request.state, State::Approved { .. });
        let mut requests = first.into_iter().chain(extending).filter(agreed);
        Ok(requests.any(|request| request.path.demands.recording == Some(Recording::Required)))
    }
}

/// Whether this may be handed out by the policy in force; `recorded`: what [`Engine::is_to_be_recorded`] says.
pub(crate) fn may_reveal(current: &Current, item: &Item, recorded: bool) -> Result<(), Refusal> {
    let resource = current.policy.resource(item.resource.as_str());
    if resource.ok_or_else(|| left_the_policy(item))?.access == Access::Gateway {
        let what = format!("{} never reveals its credentials", item.resource);
        return Err(Refusal::new(Code::GatewayOnly, what).hint("it is reached through the gateway"));
    }
    if recorded {
        let what = format!(
            "this was agreed to because it is recorded, and what reaches {} directly is not",
            item.resource
        );
        return Err(Refusal::new(Code::Recording, what)
            .hint("give it back and ask again: what it takes by the policy of today is asked then"));
    }
    Ok(())
}

/// The policy in force does not say any more how it is reached.
fn left_the_policy(item: &Item) -> Refusal {
    let what = format!("the policy in force has no resource {} any more", item.resource);
    not_found(what).hint(
        "nothing more is handed out for it; what was granted ends at its deadline, or with daypass release",
    )
}
