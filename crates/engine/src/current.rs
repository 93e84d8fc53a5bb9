//! What decisions are made from: policy, directory and connectors at one moment, replaced as a whole.

use std::sync::Arc;

use daypass_core::id::PersonId;
use daypass_core::refusal::Refusal;
use daypass_core::request::{Request, Standing};
use daypass_core::review::Step;
use daypass_core::time::Timestamp;
use daypass_policy::Policy;

use crate::connectors::{Connectors, Kinds};
use crate::directory::Snapshot;

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
    /// What the policy says now about requests made earlier.
    #[must_use]
    pub const fn standing(&self, now: Timestamp) -> Now<'_> {
        Now { current: self, now }
    }
}

/// [`Standing`] at one instant.
pub struct Now<'a> {
    current: &'a Current,
    now: Timestamp,
}

impl Standing for Now<'_> {
    fn may_review(
        &self,
        request: &Request,
        step: &Step,
        escalated: bool,
        person: PersonId,
    ) -> Result<(), Refusal> {
        let Current {
            policy, directory, ..
        } = self.current;
        policy.may_review(request, step, escalated, person, directory.as_ref(), self.now)
    }

    fn may_hold(&self, request: &Request) -> Result<(), Refusal> {
        let Current {
            policy, directory, ..
        } = self.current;
        policy.may_hold(request, directory.as_ref(), self.now)
    }
}
