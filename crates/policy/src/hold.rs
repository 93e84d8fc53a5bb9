//! Whether a request that was made may still lead to access: a frozen path never outlives the right to use it.

use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::{Request, State};
use daypass_core::time::Timestamp;

use crate::document::Rule;
use crate::{Ask, Directory, Policy};

impl Policy {
    /// Whether the requester may still have what they asked for (what was agreed on, once it was): the account is active, the
    /// resources and roles are there, the frozen rule is in the policy and still admits this person to all of them, and the
    /// length is within the rule and the guardrails of the day. The frozen steps stay as they are.
    ///
    /// # Errors
    /// What is no longer so.
    pub fn may_hold(
        &self,
        request: &Request,
        directory: &dyn Directory,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let (duration, items) = match &request.state {
            State::Approved { approval, .. } => (approval.duration(), approval.items()),
            _ => (request.ask.duration, &request.ask.items),
        };
        let ask = Ask {
            who: request.ask.requester,
            items,
            duration: Some(duration),
            has_reason: true,
            ticket: request.ask.ticket.as_ref().map(|ticket| ticket.text()),
            extends: request.ask.extends.is_some(),
            break_glass: request.path.break_glass.is_some(),
            now,
        };
        let person = self.asker(ask.who, directory)?;
        self.exist(items)?;
        let name = &request.path.rule;
        let Some(place) = self.index.rule(name) else {
            let what = format!("the rule {name} is no longer in the policy");
            return Err(Refusal::new(Code::NotEligible, what).hint("ask again; another rule may admit you"));
        };
        let admitting = self.admitting(person, items);
        // A rule that was for emergencies and asks people now (or the other way round) is another rule under its name.
        let same =
            |(one, rule): &(usize, &Rule)| *one == place && rule.break_glass.is_some() == ask.break_glass;
        let Some((_, rule)) = admitting.into_iter().find(same) else {
            let what = format!("the rule {name} no longer lets {} have this", person.login.text());
            return Err(Refusal::new(Code::NotEligible, what).hint("ask again; another rule may admit you"));
        };
        let bounds = self.bounds(rule, items);
        if duration > bounds.max {
            return Err(self.over_max(&ask, rule, &bounds));
        }
        Ok(())
    }
}
