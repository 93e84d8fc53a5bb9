//! What is demanded beside the rule's own steps: steps of guardrails, fresh proofs, recordings. What is frozen into a request,
//! and what the guardrails of the day make of it afterwards.

use std::collections::BTreeSet;

use daypass_core::demand::{Demands, Recording, is_fresh, shorter};
use daypass_core::name::{Item, Name};
use daypass_core::planted::{Fault, is};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::Request;
use daypass_core::review::{Silence, Step};
use daypass_core::time::{Span, Timestamp};

use crate::chain;
use crate::document::{self, Access, Guardrail, Rule};
use crate::refuse::{spaced, verb};
use crate::{Ask, Policy};

/// A guardrail wants a recording of what cannot be recorded.
pub(crate) struct Unrecordable<'p> {
    guardrail: &'p Guardrail,
    resource: Name,
}

impl Policy {
    /// The guardrails over any of these items, each once, in file order.
    pub(crate) fn over<'p>(&'p self, items: &BTreeSet<Item>) -> impl Iterator<Item = &'p Guardrail> {
        let places: BTreeSet<usize> = items
            .iter()
            .flat_map(|item| self.index.guardrails(&item.resource))
            .copied()
            .collect();
        places
            .into_iter()
            .filter_map(|place| self.document.guardrails.get(place))
    }

    /// Who must agree: the rule's steps, then those of the guardrails over the items, as they are frozen into a request. In an
    /// emergency nobody can be waited for.
    pub(crate) fn steps(&self, rule: &Rule, items: &BTreeSet<Item>) -> Vec<Step> {
        let own = rule.steps.iter().map(|step| self.frozen(step, None));
        let ordinary = rule.break_glass.is_none() && !is(Fault::ForgetGuards);
        own.chain(self.guarding(items).filter(|_| ordinary)).collect()
    }

    /// The steps of the guardrails over these items.
    fn guarding(&self, items: &BTreeSet<Item>) -> impl Iterator<Item = Step> {
        self.over(items).flat_map(move |guardrail| {
            let name = Some(&guardrail.name);
            guardrail.steps.iter().map(move |step| self.frozen(step, name))
        })
    }

    /// A step as it is frozen into what asks for it.
    pub(crate) fn frozen(&self, step: &document::Step, guardrail: Option<&Name>) -> Step {
        Step {
            from: step.from.0.clone(),
            count: step.count,
            within: step.within.unwrap_or(self.document.defaults.pending),
            silence: step.silence.clone(),
            mfa: step.mfa,
            guardrail: guardrail.cloned(),
        }
    }

    /// What a rule and the guardrails demand for these items beside steps, as it is frozen into a request.
    pub(crate) fn demands(&self, rule: &Rule, items: &BTreeSet<Item>) -> Demands {
        Demands {
            mfa: shorter(rule.mfa, self.guarding_mfa(items)),
            recording: self.recording(items),
            notify: rule.notify.iter().map(|(set, _)| set.clone()).collect(),
        }
    }

    fn guarding_mfa(&self, items: &BTreeSet<Item>) -> Option<Span> {
        self.over(items).filter_map(|guardrail| guardrail.mfa).min()
    }

    /// What the resources say of recording, and the guardrails over them.
    pub(crate) fn recording(&self, items: &BTreeSet<Item>) -> Option<Recording> {
        let guards = self.over(items).any(|guardrail| guardrail.record);
        let resources = items
            .iter()
            .filter_map(|item| self.resource(item.resource.as_str())?.recording);
        resources.chain(guards.then_some(Recording::Required)).max()
    }

    /// What is reached directly is seen by nobody: where a guardrail wants it recorded, nobody can have it.
    pub(crate) fn recordable(&self, items: &BTreeSet<Item>) -> Result<(), Unrecordable<'_>> {
        for item in items {
            let direct = self
                .resource(item.resource.as_str())
                .filter(|resource| resource.access == Access::Direct);
            let Some(resource) = direct else { continue };
            let one = BTreeSet::from([item.clone()]);
            if let Some(guardrail) = self.over(&one).find(|guardrail| guardrail.record) {
                return Err(Unrecordable {
                    guardrail,
                    resource: resource.name.clone(),
                });
            }
        }
        Ok(())
    }

    pub(crate) fn unrecordable(&self, found: &Unrecordable<'_>) -> Refusal {
        let Unrecordable { guardrail, resource } = found;
        let what = format!(
            "the guardrail {} demands that access to {resource} is recorded, and what is reached directly cannot be",
            self.cited(guardrail)
        );
        Refusal::new(Code::Recording, what)
            .hint("access: gateway on the resource is what records; an administrator can change the policy")
    }

    fn cited(&self, guardrail: &Guardrail) -> String {
        format!("{} ({:#})", guardrail.name, guardrail.at.location(&self.sources))
    }

    /// Whoever asks by this rule must have proved who they are within this length, and did not.
    pub(crate) fn unproved(&self, rule: &Rule, within: Span, ask: &Ask<'_>) -> Refusal {
        let by_guardrail = self
            .over(ask.items)
            .find(|guardrail| guardrail.mfa == Some(within) && rule.mfa != Some(within));
        let source = by_guardrail.map_or_else(
            || format!("the rule {}", self.cite(rule)),
            |guardrail| format!("the guardrail {}", self.cited(guardrail)),
        );
        let what = format!("{source} wants a proof of who asks that is less than {within} old");
        let again = format!("daypass {} {} …", verb(ask), spaced(ask.items));
        unproved(what, ask.confirmed, &again)
    }

    /// Whether a reviewer of this step has proved freshly enough who they are, by what was frozen and by the guardrails of the
    /// day. `proved_at`: when they last did; `None` for what cannot prove it.
    ///
    /// # Errors
    /// [`Code::MfaRequired`], with what to do.
    pub fn proved(
        &self,
        request: &Request,
        step: &Step,
        proved_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let frozen = request.path.demands.mfa_of(step);
        match shorter(frozen, self.guarding_mfa(&request.ask.items)) {
            Some(within) if !is_fresh(proved_at, within, now) => {
                let what = format!(
                    "who reviews {} must have proved who they are less than {within} ago",
                    request.id.short()
                );
                Err(unproved(what, proved_at, "your review"))
            }
            _ => Ok(()),
        }
    }

    /// Whether what was frozen into a request has all that the guardrails of the day demand for these items.
    ///
    /// # Errors
    /// What it lacks. It has to be asked for again, so that everybody sees what it takes.
    pub(crate) fn still_enough(&self, request: &Request, items: &BTreeSet<Item>) -> Result<(), Refusal> {
        self.recordable(items)
            .map_err(|found| self.unrecordable(&found))?;
        let path = &request.path;
        let since = |code, what: String| {
            let what = format!("{what}; this was asked for before that, without it");
            Err(Refusal::new(code, what).hint("ask again"))
        };
        let must = Some(Recording::Required);
        if self.recording(items) == must && path.demands.recording != must {
            let what = format!("access to {} must be recorded now", spaced(items));
            return since(Code::Recording, what);
        }
        let direct = |item: &&Item| {
            let resource = self.resource(item.resource.as_str());
            resource.is_some_and(|resource| resource.access == Access::Direct)
        };
        if path.demands.recording == must
            && let Some(item) = items.iter().find(direct)
        {
            let what = format!(
                "this was agreed to because it is recorded, and {} is reached directly now, which cannot be",
                item.resource
            );
            return Err(Refusal::new(Code::Recording, what).hint("ask again"));
        }
        if let Some(wanted) = self.guarding_mfa(items)
            && path.demands.mfa.is_none_or(|frozen| frozen > wanted)
        {
            let what = format!("a guardrail demands a proof that is less than {wanted} old of who asks");
            return since(Code::NotEligible, what);
        }
        if path.break_glass.is_some() {
            return Ok(());
        }
        let wanted: Vec<Step> = self.guarding(items).collect();
        if let Err(lacking) = covered(&path.steps, &wanted)
            && let Some(step) = wanted.get(lacking)
        {
            let guardrail = step.guardrail.as_ref().map_or("", Name::as_str);
            let asks = self.describe(&step.from);
            let what = format!("the guardrail {guardrail} demands the agreement of {asks} as well");
            return since(Code::NotEligible, what);
        }
        Ok(())
    }
}

/// Who is to prove it, and how.
fn unproved(what: String, proved_at: Option<Timestamp>, again: &str) -> Refusal {
    let hint = match proved_at {
        Some(_) => format!("daypass confirm, which asks for your password; then again {again}"),
        None => String::from("an API token proves nobody's presence; a person must: daypass login"),
    };
    Refusal::new(Code::MfaRequired, what).hint(hint)
}

/// Whether each wanted step has a frozen one of its own that asks for no less; `Err` is the first that has none. Only what a
/// guardrail brought counts: a step of the rule is there beside it. How long people had is history, and not compared.
fn covered(frozen: &[Step], wanted: &[Step]) -> Result<(), usize> {
    let candidates = |wanted: &Step| {
        let brought = frozen.iter().enumerate();
        let fits = brought.filter(|(_, step)| step.guardrail.is_some() && no_less(step, wanted));
        (1, fits.map(|(place, _)| place).collect())
    };
    let wanted: Vec<(u32, Vec<usize>)> = wanted.iter().map(candidates).collect();
    chain::fill(&wanted)
}

fn no_less(frozen: &Step, wanted: &Step) -> bool {
    let others = |step: &Step| match &step.silence {
        Silence::Deny => None,
        Silence::Escalate { to, .. } => Some(to.clone()),
    };
    let nobody_else = others(frozen).is_none() || others(frozen) == others(wanted);
    let as_fresh = wanted
        .mfa
        .is_none_or(|wanted| frozen.mfa.is_some_and(|frozen| frozen <= wanted));
    frozen.from == wanted.from && frozen.count >= wanted.count && nobody_else && as_fresh
}
