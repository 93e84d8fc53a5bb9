//! Whether what was agreed on is still agreed on, before access begins.

use crate::refusal::{Code, Refusal};
use crate::request::Request;
use crate::review::{Missing, Review, Step, counted};

impl Request {
    /// Whether those who agreed are still enough for every step. `stands`: whether this person is still one whom the step asks.
    ///
    /// # Errors
    /// Where a step lacks somebody who agreed to it and is asked no more.
    pub fn still_agreed(&self, stands: impl Fn(&Step, &Review) -> bool) -> Result<(), Refusal> {
        let steps = &self.path.steps;
        let recounted = counted(steps, self.reviews(), |review| {
            steps.get(review.step).is_some_and(|step| stands(step, review))
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
