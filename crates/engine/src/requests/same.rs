//! Whether what was made under an idempotency key is what is asked for now: a key stands for one command.
//!
//! A request remembers the items that its environments stood for, and not their names. What they stood for *then* says the
//! policy that decided then: its hash is in the request, and the store keeps its files. So an environment that has grown since
//! makes no other command of it, and another environment does.

use std::sync::Arc;

use daypass_core::id::RequestId;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::Request;
use daypass_policy::Policy;

use super::{NewRequest, Verb};
use crate::engine::{Engine, sources};
use crate::error::Error;

impl Engine {
    /// The policy that decided the request of this id, where there is one, it asks for environments, and that policy is not
    /// in force any more. `None` too where it does not load in this version.
    pub(super) async fn policy_then(
        &self,
        id: Option<RequestId>,
        asked: &NewRequest,
    ) -> Result<Option<Arc<Policy>>, Error> {
        let (Some(id), false) = (id, asked.environments.is_empty()) else {
            return Ok(None);
        };
        let Some(made) = self.store().request(id).await? else {
            return Ok(None);
        };
        if made.path.policy == self.current().policy.revision() {
            return Ok(None);
        }
        let revision = self.store().policy_revision(made.path.policy).await?;
        Ok(revision
            .and_then(|revision| Policy::load(&sources(&revision)).ok())
            .map(Arc::new))
    }
}

/// Of these, the policy that decided a request.
pub(super) fn policy_of<'p>(made: &Request, known: [Option<&'p Arc<Policy>>; 2]) -> Option<&'p Policy> {
    let mut known = known.into_iter().flatten();
    known
        .find(|policy| policy.revision() == made.path.policy)
        .map(Arc::as_ref)
}

/// A key stands for one command: what was made under it must be what is asked for now. `then`: the policy that decided it.
pub(super) fn same(
    made: &Request,
    asked: &NewRequest,
    verb: Verb,
    then: Option<&Policy>,
) -> Result<(), Refusal> {
    let items = asked.extends.is_some() || same_items(made, asked, then);
    let duration = asked
        .duration
        .is_none_or(|duration| duration == made.ask.duration);
    let way = made.path.break_glass.is_some() == (verb == Verb::BreakGlass);
    if way && items && duration && made.ask.start == asked.start {
        return Ok(());
    }
    Err(Refusal::new(
        Code::Exists,
        format!(
            "this idempotency key made another request already, {}",
            made.id.short()
        ),
    )
    .hint("send a new key with a new request"))
}

fn same_items(made: &Request, asked: &NewRequest, then: Option<&Policy>) -> bool {
    if asked.environments.is_empty() {
        return made.ask.items == asked.items;
    }
    match then.map(|policy| policy.expand(&asked.environments)) {
        Some(Ok(mut items)) => {
            items.extend(asked.items.iter().cloned());
            made.ask.items == items
        }
        // An environment that there was not: it was not asked for.
        Some(Err(_)) => false,
        // Nobody knows any more what it stood for. What was named beside it must be there.
        None => made.ask.items.is_superset(&asked.items),
    }
}
