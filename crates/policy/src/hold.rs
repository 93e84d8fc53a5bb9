//! Whether a request that was made may still lead to access: a frozen path never outlives the right to use it.

use std::collections::BTreeSet;

use daypass_core::name::{Item, Name};
use daypass_core::past::Past;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::{Request, State};
use daypass_core::time::{Span, Timestamp};

use crate::condition::{EndsBy, Supposing};
use crate::document::Rule;
use crate::{Ask, Directory, Policy};

impl Policy {
    /// Whether the requester may still have what they asked for (what was agreed on, once it was): the account is active, the
    /// resources and roles are there, the frozen rule is in the policy and still admits this person to all of them, its
    /// conditions hold, and the length is within the rule and the guardrails of the day. The frozen
    /// steps stay as they are; where they, or what else was frozen, lack something that those guardrails demand, it is over.
    ///
    /// Where the policy limits by what a person has had, this says no, for it does not know: see [`Self::may_still_hold`].
    ///
    /// # Errors
    /// What is no longer so.
    pub fn may_hold(
        &self,
        request: &Request,
        directory: &dyn Directory,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.may_still_hold(request, directory, Past::unknown(), now)
    }

    /// The same for somebody with this past, in which the request itself is not counted.
    ///
    /// What was agreed on already may have become a little longer than what is left, where access begins later than thought: up
    /// to the length of its activation, which [`Self::room`] then cuts off.
    ///
    /// # Errors
    /// What is no longer so.
    pub fn may_still_hold(
        &self,
        request: &Request,
        directory: &dyn Directory,
        past: &Past,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let (duration, items) = match &request.state {
            State::Approved { approval, .. } => (approval.duration(), approval.items()),
            _ => (request.ask.duration, &request.ask.items),
        };
        let ask = Ask {
            duration: Some(duration),
            ticket: request.ask.ticket.as_ref().map(|ticket| ticket.text()),
            extends: request.ask.extends.is_some(),
            break_glass: request.path.break_glass.is_some(),
            past,
            start: request.ask.start,
            // What cannot be read any more is not certain.
            from: request
                .ask
                .source
                .as_ref()
                .and_then(|source| source.text().parse().ok()),
            ..Ask::new(request.ask.requester, items, now)
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
        let ends_by = self
            .conditions(rule, &ask, person, Supposing::Nothing)
            .map_err(|unmet| self.unmet(rule, &unmet, &ask))?
            .ends_by;
        in_time(request, duration, ends_by.as_ref(), now)?;
        let bounds = self.bounds(rule, items);
        if duration > bounds.max {
            return Err(self.over_max(&ask, rule, &bounds));
        }
        let slack = match request.state {
            State::Approved { .. } => request.path.activation,
            _ => Span::ZERO,
        };
        let length = (duration, slack);
        self.still_enough(request, items)?;
        self.still_within((rule, request), &ask, length, ends_by.as_ref())
    }
}

impl Policy {
    /// For how long access by this rule to these items may last in total today: within the rule, and the guardrails over each.
    /// `None` where the policy has no such rule.
    #[must_use]
    pub fn max_of(&self, rule: &Name, items: &BTreeSet<Item>) -> Option<Span> {
        let rule = self
            .index
            .rule(rule)
            .and_then(|place| self.document.rules.get(place))?;
        Some(self.bounds(rule, items).max)
    }
}

/// Whether the time that was named when the request was made has not passed, and is still the one that the policy names. It is
/// frozen, so that a grant of it could outlive what a later policy says.
fn in_time(
    request: &Request,
    duration: Span,
    ends_by: Option<&EndsBy>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let start = request.ask.start.map_or(now, |start| start.max(now));
    let frozen = request.path.ends_by;
    if let Some(over) = frozen.filter(|over| *over <= start) {
        let what = format!("this could be had until {over}, which has passed");
        return Err(Refusal::new(Code::Window, what).hint("ask again"));
    }
    let Some(ends_by) = ends_by else {
        return Ok(());
    };
    // How far a grant reaches that is lengthened is not known here. It began by now, and what lengthens it holds it to all that
    // its own path lets it last.
    let most = if request.ask.extends.is_some() {
        now + request.path.max
    } else {
        start + request.path.activation + duration
    };
    let reaches = frozen.map_or(most, |frozen| frozen.min(most));
    if reaches > ends_by.at {
        let what = format!(
            "this was asked for under an earlier policy, and could outlast what holds today: {}",
            ends_by.why
        );
        return Err(Refusal::new(Code::Window, what).hint("ask again"));
    }
    Ok(())
}
