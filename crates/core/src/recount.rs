//! Whether what was agreed on is still agreed on, before access begins.

use crate::id::PersonId;
use crate::refusal::{Code, Refusal};
use crate::request::Request;
use crate::review::{Missing, Step, counted};

impl Request {
    /// Whether those who agreed are still enough for every step. `stands`: whether this person is still one whom the step asks.
    ///
    /// # Errors
    /// Where a step lacks somebody who agreed to it and is asked no more.
    pub fn still_agreed(&self, stands: impl Fn(&Step, PersonId) -> bool) -> Result<(), Refusal> {
        let steps = &self.path.steps;
        let counts = |step: usize, who| steps.get(step).is_some_and(|step| stands(step, who));
        let recounted = counted(steps, self.reviews(), |review| {
            counts(review.step, review.reviewer)
        });
        let Err(Missing { step, .. }) = recounted else {
            return Ok(());
        };
        let what = format!(
            "whoever agreed to step {} of its request may not review it any more",
            step + 1
        );
        Err(Refusal::new(Code::NotReviewer, what).hint("ask again"))
    }
}
