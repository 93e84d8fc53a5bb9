//! What decisions are made from: policy, directory and connectors at one moment, replaced as a whole.

use std::sync::Arc;

use daypass_core::grant::Grant;
use daypass_core::id::{PersonId, RequestId};
use daypass_core::past::Past;
use daypass_core::refusal::Refusal;
use daypass_core::request::{Request, Standing};
use daypass_core::review::{Step, Voter};
use daypass_core::time::Timestamp;
use daypass_core::world::World;
use daypass_policy::Policy;

use crate::connectors::{Connectors, Kinds};
use crate::directory::Snapshot;
use crate::error::not_found;

/// The policy revision in force, the directory, and the connected targets.
#[derive(Clone)]
pub struct Current {
    /// The policy.
    pub policy: Arc<Policy>,
    /// The people.
    pub directory: Arc<Snapshot>,
    /// The targets.
    pub connectors: Arc<Connectors>,
    pub(crate) kinds: Arc<Kinds>,
}

impl Current {
    /// The same under the locks of this world, which is that of the transaction that decides: what was read before may be older.
    #[must_use]
    pub fn under(&self, world: &World) -> Self {
        Self {
            directory: Arc::new(self.directory.under(world.locks.values())),
            ..self.clone()
        }
    }

    /// What the policy says now about requests made earlier, where the requester has had this: the policy may limit by it.
    #[must_use]
    pub const fn standing<'a>(&'a self, world: &'a World, now: Timestamp) -> Now<'a> {
        Now {
            current: self,
            world,
            now,
        }
    }

    /// Whether access by this request may begin: its requester still has the right to it, and those who agreed still are whom its
    /// steps ask.
    ///
    /// # Errors
    /// What is no longer so.
    pub fn still_right(
        &self,
        request: Option<&Request>,
        world: &World,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let request = request.ok_or_else(|| not_found("its request is gone"))?;
        self.standing(world, now).may_hold(request)?;
        self.policy.still_agreed(request, self.directory.as_ref(), now)
    }

    /// Until when the access of a grant may last that begins now, by what its holder has had besides.
    ///
    /// # Errors
    /// Where nothing is left.
    pub fn room(&self, grant: &Grant, past: &Past, now: Timestamp) -> Result<Timestamp, Refusal> {
        let items = grant.parts.iter().map(|part| part.item().clone()).collect();
        let besides = past.without(RequestId::from_bytes(grant.id.bytes()));
        self.policy.room(&items, (now, grant.duration), &besides)
    }
}

/// [`Standing`] at one instant.
pub struct Now<'a> {
    current: &'a Current,
    world: &'a World,
    now: Timestamp,
}

impl Standing for Now<'_> {
    fn may_review(
        &self,
        request: &Request,
        step: &Step,
        escalated: bool,
        voter: Voter<'_>,
    ) -> Result<Option<PersonId>, Refusal> {
        let Current {
            policy, directory, ..
        } = self.current;
        policy.may_review(request, step, escalated, voter, directory.as_ref(), self.now)
    }

    fn may_hold(&self, request: &Request) -> Result<(), Refusal> {
        let Current {
            policy, directory, ..
        } = self.current;
        policy.may_still_hold(request, directory.as_ref(), &self.world.past, self.now)
    }
}
