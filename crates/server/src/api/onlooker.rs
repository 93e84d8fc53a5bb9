//! What somebody sees of what there is to ask for: decided for them as they are, where they ask from.

use daypass_engine::Current;
use daypass_policy::{Directory, Onlooker, Policy};

use crate::app::Parts;
use crate::http::access::{Identity, Origin};
use crate::http::problem::{Answer, Failure};

/// The offers that the policy makes them. With thousands of roles that is work for a thread of its own.
pub(super) async fn offers<T: Send + 'static>(
    app: &Parts,
    current: &Current,
    (identity, Origin(from)): (&Identity, Origin),
    decide: impl FnOnce(&Policy, &Onlooker<'_>, &dyn Directory) -> Vec<T> + Send + 'static,
) -> Answer<Vec<T>> {
    let now = app.engine.store().now().await?;
    let (who, confirmed) = (identity.caller.person, identity.caller.confirmed_at());
    let reads_policy = identity.caller.sees_all();
    let past = app.engine.past_of(current, who).await?;
    let current = current.clone();
    let decided = tokio::task::spawn_blocking(move || {
        let onlooker = Onlooker {
            who,
            past: &past,
            from,
            // Whoever can prove who they are is asked to when they ask for something.
            confirmed: confirmed.map(|_| now),
            reads_policy,
            now,
        };
        decide(&current.policy, &onlooker, current.directory.as_ref())
    });
    decided.await.map_err(|error| Failure::internal(&error))
}
