//! Refusals in words: what is refused and why, who owns the resource, and the command or the person that would help.

use std::collections::BTreeSet;

use daypass_core::name::{Item, Name};
use daypass_core::person::{Kind, Person};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::review::{From, Silence, Step};
use daypass_core::time::Span;

use crate::decide::Bounds;
use crate::document::Rule;
use crate::nearest::{did_you_mean, list};
use crate::scene::Scene;
use crate::{Ask, Policy};

/// The most roles of one request, environments' included. Every decision about it looks at each of them, within a transaction.
const MOST_ITEMS: usize = 1_000;

/// How many rules an explanation names.
const RULES_NAMED: usize = 3;

impl Policy {
    /// Whether the policy has all of these items.
    ///
    /// # Errors
    /// The first that it does not have, with what was probably meant.
    pub(crate) fn exist(&self, items: &BTreeSet<Item>) -> Result<(), Refusal> {
        if items.is_empty() {
            let what = "nothing was asked for";
            return Err(Refusal::new(Code::Invalid, what).hint("daypass request RESOURCE/ROLE"));
        }
        if items.len() > MOST_ITEMS {
            let what = format!("{} roles are too many for one request", items.len());
            return Err(
                Refusal::new(Code::Invalid, what).hint(format!("ask for at most {MOST_ITEMS} at once"))
            );
        }
        for item in items {
            let name = item.resource.as_str();
            let Some(resource) = self.resource(name) else {
                let known = self.document.resources.iter().map(|one| one.name.as_str());
                let hint = did_you_mean(name, known, "daypass ls shows what there is");
                return Err(
                    Refusal::new(Code::UnknownResource, format!("there is no resource {name}")).hint(hint),
                );
            };
            if !resource.roles.contains_key(&item.role) {
                let known = || resource.roles.keys().map(Name::as_str);
                let otherwise = format!("it has {}", list(known()));
                let hint = did_you_mean(item.role.as_str(), known(), otherwise);
                let what = format!("{name} has no role {}", item.role);
                return Err(Refusal::new(Code::UnknownRole, what).hint(hint));
            }
        }
        Ok(())
    }

    /// No rule admits this person to all of the items.
    pub(crate) fn not_eligible(&self, person: &Person, ask: &Ask<'_>) -> Refusal {
        let sets = self.index.sets_of(person);
        let lacking = ask
            .items
            .iter()
            .find(|item| !self.is_open(&sets, item, ask.break_glass));
        let Some(item) = lacking else {
            let items: Vec<String> = ask.items.iter().map(ToString::to_string).collect();
            let alone: Vec<String> = items
                .iter()
                .map(|item| format!("daypass {} {item}", verb(ask)))
                .collect();
            let what = format!("no single rule covers {} together", items.join(" and "));
            return Refusal::new(Code::NoCommonRule, what).hint(alone.join("; "));
        };
        let rule = if ask.break_glass {
            "rule for emergencies"
        } else {
            "rule"
        };
        let what = format!("no {rule} lets {} have {item}", person.login.text());
        let mut hints = Vec::new();
        let also: Vec<String> = self
            .resource(item.resource.as_str())
            .into_iter()
            .flat_map(|resource| resource.roles.keys())
            .map(|role| Item {
                resource: item.resource.clone(),
                role: role.clone(),
            })
            .filter(|other| self.is_open(&sets, other, ask.break_glass))
            .map(|other| other.to_string())
            .collect();
        if !also.is_empty() {
            hints.push(format!(
                "what may be asked for is {}",
                list(also.iter().map(String::as_str))
            ));
        }
        if self.is_open(&sets, item, !ask.break_glass) {
            hints.push(if ask.break_glass {
                format!("it can be asked for: daypass request {item}")
            } else {
                format!("in an emergency: daypass break-glass {item} --reason \"…\"")
            });
        }
        hints.push(self.who_may(item, person, ask.break_glass));
        if let Some(owner) = self
            .resource(item.resource.as_str())
            .and_then(|one| one.owner.as_ref())
        {
            let owner = self.describe(&From::People(owner.clone()));
            hints.push(format!("{} belongs to {owner}", item.resource));
        }
        Refusal::new(Code::NotEligible, what).hint(hints.join("; "))
    }

    /// Whether some rule for emergencies (or some other rule) admits who is in these sets to an item.
    pub(crate) fn is_open(&self, sets: &BTreeSet<usize>, item: &Item, break_glass: bool) -> bool {
        let rules = self.index.admitting(sets, item);
        rules.into_iter().any(|place| self.is_for(place, break_glass))
    }

    fn is_for(&self, place: usize, break_glass: bool) -> bool {
        let rule = self.document.rules.get(place);
        rule.is_some_and(|rule| rule.break_glass.is_some() == break_glass)
    }

    /// Which rules are about an item, and whom they admit.
    fn who_may(&self, item: &Item, person: &Person, break_glass: bool) -> String {
        let mut rules = self.index.concerning(item);
        rules.retain(|place| self.is_for(*place, break_glass));
        if rules.is_empty() {
            let rule = if break_glass {
                "rule for emergencies"
            } else {
                "rule"
            };
            return format!("no {rule} is about {item}");
        }
        let mut named: Vec<String> = rules
            .iter()
            .take(RULES_NAMED)
            .filter_map(|place| self.document.rules.get(*place))
            .map(|rule| {
                let sets: Vec<String> = rule
                    .allow
                    .iter()
                    .map(|(set, _)| self.describe(&From::People(set.clone())))
                    .collect();
                format!("the rule {} admits {}", self.cite(rule), sets.join(" and "))
            })
            .collect();
        if let Some(more @ 1..) = rules.len().checked_sub(RULES_NAMED) {
            named.push(format!("{more} more rules admit others"));
        }
        if person.kind == Kind::Service {
            named.push(String::from(
                "a service account is admitted only by a set of logins that names it",
            ));
        }
        named.join("; ")
    }

    /// Who can say more of what a rule wants, to somebody who cannot read it.
    pub(crate) fn whom_to_ask(&self, item: &Item) -> String {
        let resource = self.resource(item.resource.as_str());
        match resource.and_then(|resource| resource.owner.as_ref()) {
            Some(owner) => {
                let owner = self.describe(&From::People(owner.clone()));
                format!("{} belongs to {owner}, who can say more", item.resource)
            }
            None => String::from("an administrator can say more, or change the rule"),
        }
    }

    /// Longer than the rule with the longest maximum gives.
    pub(crate) fn over_max(&self, ask: &Ask<'_>, rule: &Rule, bounds: &Bounds<'_>) -> Refusal {
        let items = spaced(ask.items);
        let asked = ask
            .duration
            .map(|duration| format!(" for {duration}"))
            .unwrap_or_default();
        let max = bounds.max;
        let source = match bounds.guardrail {
            Some(guardrail) => {
                let place = guardrail.at.location(&self.sources);
                format!("guardrail {}, {place:#}", guardrail.name)
            }
            None => format!("rule {}, {:#}", rule.name, rule.at.location(&self.sources)),
        };
        let what = format!("{items}{asked} is over the limit of {max} ({source})");
        let hint = if ask.extends {
            longer_by(ask, max)
        } else {
            let reason = if ask.has_reason || ask.break_glass || self.document.defaults.reason_required {
                " --reason \"…\""
            } else {
                ""
            };
            let ticket = ask
                .ticket
                .filter(|ticket| is_plain(ticket))
                .map(|ticket| format!(" --ticket {ticket}"))
                .unwrap_or_default();
            format!("daypass {} {items} --for {max}{ticket}{reason}", verb(ask))
        };
        Refusal::new(Code::OverMax, what).hint(hint)
    }

    /// A rule would fit, and there is no reason.
    pub(crate) fn reason_required(&self, ask: &Ask<'_>) -> Refusal {
        let items = spaced(ask.items);
        let length = ask
            .duration
            .map(|duration| format!(" --for {duration}"))
            .unwrap_or_default();
        let hint = format!("daypass {} {items}{length} --reason \"…\"", verb(ask));
        Refusal::new(
            Code::ReasonRequired,
            "a reason is required; reviewers and auditors read it",
        )
        .hint(hint)
    }

    /// A step of the rule's chain lacks somebody who may review it.
    pub(crate) fn no_reviewer(
        &self,
        rule: &Rule,
        steps: &[Step],
        unfilled: usize,
        person: &Person,
        scene: Scene<'_>,
    ) -> Refusal {
        let cited = self.cite(rule);
        let Some(step) = steps.get(unfilled) else {
            return Refusal::new(
                Code::NoReviewer,
                format!("nobody can complete the steps of the rule {cited}"),
            );
        };
        let mut whom = self.describe(&step.from);
        let mut members = self.members(&step.from, scene);
        if let Silence::Escalate { to, .. } = &step.silence {
            whom = format!("{whom}, then {}", self.describe(to));
            members.extend(self.members(to, scene));
        }
        let asks = match step.count {
            0 | 1 => format!("asks {whom}"),
            count => format!("asks for {count} of {whom}"),
        };
        let what = format!(
            "nobody can complete the approval that the rule {cited} wants: step {} {asks}, \
             and too few others remain who may review it",
            unfilled + 1
        );
        let settling = members
            .iter()
            .filter_map(|id| scene.directory.person(*id))
            .filter(|one| one.active && one.kind == Kind::Person && one.id != person.id)
            .filter(|one| scene.now.since(one.changed_at) < self.document.defaults.settle)
            .map(|one| one.changed_at + self.document.defaults.settle)
            .min();
        let login = scene.managed().unwrap_or(person).login.text();
        let hint = match (&step.from, settling) {
            (From::Manager, None) if members.is_empty() => {
                format!("{login} has no manager in the directory; an administrator can enter one")
            }
            (_, Some(from)) => format!(
                "accounts that changed less than {} ago may not review; the first of them may from {from}",
                self.document.defaults.settle
            ),
            _ if self.delegations_bind(steps, scene) => String::from(
                "delegations make some of those whom it asks one voice, and one voice counts once in the whole chain; \
                 it can be asked for once one of them is back, or an administrator has added people to the groups that the rule asks",
            ),
            _ if person.kind == Kind::Service => format!(
                "its owner does not review what it asks for, and one person counts once in the whole chain; \
                 an administrator can add people to the groups that the rule asks, or name another owner: \
                 daypass service owner {} PERSON",
                person.login.text()
            ),
            _ => String::from(
                "nobody reviews their own request, and one person counts once in the whole chain; \
                 an administrator can add people to the groups that the rule asks",
            ),
        };
        Refusal::new(Code::NoReviewer, what).hint(hint)
    }

    /// A rule and where it is written: `prod-write (policy/db.yaml:19)`.
    pub(crate) fn cite(&self, rule: &Rule) -> String {
        format!("{} ({:#})", rule.name, rule.at.location(&self.sources))
    }
}

/// By how much a grant that may last so long in total can still be lengthened.
fn longer_by(ask: &Ask<'_>, max: Span) -> String {
    let left = match (ask.since, ask.deadline) {
        (Some(since), Some(deadline)) => (since + max).since(deadline),
        _ => max,
    };
    if left == Span::ZERO {
        return format!("ask for it anew: daypass request {}", spaced(ask.items));
    }
    format!("extend it by at most {left}")
}

/// The command that asks so.
pub(crate) const fn verb(ask: &Ask<'_>) -> &'static str {
    if ask.break_glass { "break-glass" } else { "request" }
}

/// The items as a command line has them.
pub(crate) fn spaced(items: &BTreeSet<Item>) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether a text means the same to a shell as to its reader.
fn is_plain(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./:#".contains(c);
    (1..=40).contains(&text.len()) && text.chars().all(fits) && !text.starts_with(['-', '#'])
}
