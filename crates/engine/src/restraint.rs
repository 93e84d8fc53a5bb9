//! The switch with which a server only takes access away. What that means for each event is in `daypass_core::only_take_away`, and
//! the store holds every event against it; here is what is no event, and what is not even tried.

use daypass_core::event::{Actor, Subject, What};
use daypass_core::grant::Reason;
use daypass_core::id::GrantId;
use daypass_core::only_take_away;
use daypass_core::refusal::Refusal;
use daypass_store::{GrantFilter, Outcome, Scope};

use crate::engine::Engine;
use crate::error::Error;

/// How many grants are read at once.
const PAGE: usize = 500;

impl Engine {
    /// From here on, and until this process ends, access is only taken away: nothing is asked for, agreed to, set up, lengthened or
    /// handed out, and neither people nor policy change. What is due to end ends, and people may revoke, give back, deny and lock.
    ///
    /// For a server whose store does not go on from what was signed. It may have been put back from a copy: then nobody knows what
    /// was decided since, whether what it holds as agreed was not taken back long ago, and who was locked.
    pub fn only_take_away(&self) {
        if !self.only_takes_away() {
            tracing::error!(
                "from here on this server only takes access away; nothing is given before the operator has looked"
            );
        }
        self.store().only_take_away();
    }

    /// Whether access is only taken away.
    #[must_use]
    pub fn only_takes_away(&self) -> bool {
        self.store().only_takes_away()
    }

    /// Refuses whatever gives without an event of its own that the store could refuse, or does something before that event.
    ///
    /// # Errors
    /// Where access is only taken away.
    pub fn may_give(&self) -> Result<(), Refusal> {
        if self.only_takes_away() {
            return Err(only_take_away::refusal());
        }
        Ok(())
    }

    /// Ends what was agreed to and had not begun, or not quite: of a store that was put back from a copy nobody knows whether it began
    /// and ended since, or was taken back. How many grants that were.
    ///
    /// # Errors
    /// Where the store does not take it. What has ended by then has; call it again.
    pub async fn end_what_had_not_begun(&self) -> Result<usize, Error> {
        let mut ended = 0;
        loop {
            let filter = GrantFilter {
                states: ["scheduled", "activating"].map(str::to_owned).into(),
                ..GrantFilter::default()
            };
            // What has ended is not in the next page, so that each begins anew.
            let page = self.store().grants(filter, None, PAGE).await?.items;
            if page.is_empty() {
                return Ok(ended);
            }
            for grant in page {
                ended += self.end_unknown(grant.id).await?;
            }
        }
    }

    async fn end_unknown(&self, id: GrantId) -> Result<usize, Error> {
        // An end asks no policy.
        let decide = move |world: &daypass_core::world::World, now| {
            let Some(grant) = world.grants.get(&id).filter(|grant| grant.is_live()) else {
                return Ok(Outcome::default());
            };
            let why = String::from(
                "the store was put back from a copy, so nobody knows what became of it since; who still needs it asks again",
            );
            let event = grant.end(Reason::Ineligible { why }, now)?;
            Ok(Outcome::one(
                Actor::System,
                Subject::Grant(id),
                What::Grant(event),
            ))
        };
        let ended = self.store().transition(Scope::Grant(id), decide).await?;
        Ok(ended.events.len())
    }
}
