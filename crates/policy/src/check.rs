//! Checks the parts of a policy against each other: references, kinds, selections, lengths of time, chains that nobody fills.

mod demands;
mod environment;
mod gateway;

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::name::Name;
use daypass_core::review::{From, Silence};

use crate::chain;
use crate::diagnostic::{At, Problems};
use crate::document::{BreakGlass, Document, Label, Resource, Rule, Selector, Step, Who};
use crate::nearest::{did_you_mean, list};
use crate::read::{Declared, Names};
use crate::ticket::Wanted;

/// Notes what does not fit together.
pub(crate) fn check(document: &Document, declared: &Declared, problems: &mut Problems<'_>) {
    let check = Check {
        document,
        declared,
        // What a resource that could not be read would have said is not known.
        all_resources: !declared.resources.torn && document.resources.len() == declared.resources.at.len(),
        words: Words::of(&document.resources),
        sets: document
            .people
            .iter()
            .map(|people| (&people.name, &people.who))
            .collect(),
    };
    for resource in &document.resources {
        check.resource(resource, problems);
    }
    for environment in &document.environments {
        check.environment(environment, problems);
    }
    for guardrail in &document.guardrails {
        for (name, at) in &guardrail.forbid {
            Check::reference("window", name, *at, &declared.windows, problems);
        }
        check.guarding(guardrail, problems);
        if let Some(to) = &guardrail.to {
            check.selector(to, &format!("the guardrail {}", guardrail.name), problems);
        }
    }
    for rule in &document.rules {
        check.rule(rule, problems);
    }
    for (name, at) in &document.defaults.delegates {
        Check::reference("set of people", name, *at, &declared.people, problems);
        if matches!(check.sets.get(name), Some(Who::Schedule(_))) {
            let what =
                format!("{name} is a schedule, which this version does not read: nobody could be a delegate");
            problems.note(*at, what, "name a group of the directory, or logins");
        }
    }
    if let Some(control) = &document.control {
        check.steps(&control.steps, problems);
        check.fillable(&control.steps, problems);
    }
}

struct Check<'d> {
    document: &'d Document,
    declared: &'d Declared,
    all_resources: bool,
    words: Words<'d>,
    sets: BTreeMap<&'d Name, &'d Who>,
}

/// What resources can be selected by.
#[derive(Default)]
struct Words<'d> {
    kinds: BTreeSet<&'d str>,
    names: BTreeSet<&'d str>,
    /// The values of each label.
    labels: BTreeMap<&'d str, BTreeSet<&'d str>>,
}

impl<'d> Words<'d> {
    fn of(resources: &'d [Resource]) -> Self {
        let mut words = Self::default();
        for resource in resources {
            words.kinds.insert(resource.kind.as_str());
            words.names.insert(resource.name.as_str());
            for (label, value) in &resource.labels {
                words
                    .labels
                    .entry(label.as_str())
                    .or_default()
                    .insert(value.as_str());
            }
        }
        words
    }
}

impl Check<'_> {
    /// Notes a name that nothing declares.
    fn reference(what: &str, name: &Name, at: At, declared: &Names, problems: &mut Problems<'_>) {
        if declared.torn || declared.at.contains_key(name) {
            return;
        }
        if problems.is_full() {
            return problems.note(at, "", "");
        }
        let known = || declared.at.keys().map(Name::as_str);
        let otherwise = if declared.at.is_empty() {
            String::from("none is declared")
        } else {
            format!("known: {}", list(known()))
        };
        problems.note(
            at,
            format!("there is no {what} {name}"),
            did_you_mean(name.as_str(), known(), otherwise),
        );
    }

    fn set(&self, from: &From, at: At, problems: &mut Problems<'_>) {
        if let From::People(name) = from {
            Self::reference("set of people", name, at, &self.declared.people, problems);
        }
    }

    /// Whom the steps ask.
    fn steps(&self, steps: &[Step], problems: &mut Problems<'_>) {
        for step in steps {
            self.set(&step.from.0, step.from.1, problems);
            if let Silence::Escalate { to, .. } = &step.silence {
                self.set(to, step.escalate_at, problems);
            }
        }
    }

    fn resource(&self, resource: &Resource, problems: &mut Problems<'_>) {
        self.recording(resource, problems);
        self.sessions(resource, problems);
        let connectors = &self.declared.connectors;
        let at = resource.at;
        Self::reference(
            "connector",
            &resource.connector,
            resource.connector_at,
            connectors,
            problems,
        );
        if let Some(owner) = &resource.owner {
            Self::reference(
                "set of people",
                owner,
                resource.owner_at,
                &self.declared.people,
                problems,
            );
        }
        let connector = self
            .document
            .connectors
            .iter()
            .find(|connector| connector.name == resource.connector);
        if let Some(connector) = connector {
            let below = format!("{}-", connector.kind);
            let fits = resource.kind == connector.kind || resource.kind.as_str().starts_with(&below);
            if !fits {
                let (kind, of) = (&resource.kind, &connector.kind);
                let what = format!(
                    "the resource {} is of kind {kind}, its connector {} of kind {of}",
                    resource.name, connector.name
                );
                let hint = format!("a connector of kind {of} reaches {of} and kinds that begin with {below}");
                problems.note(at, what, hint);
            }
        }
    }

    fn rule(&self, rule: &Rule, problems: &mut Problems<'_>) {
        for (name, at) in &rule.allow {
            Self::reference("set of people", name, *at, &self.declared.people, problems);
        }
        for (name, at) in &rule.notify {
            Self::reference("set of people", name, *at, &self.declared.people, problems);
        }
        for (name, at) in &rule.when.windows {
            Self::reference("window", name, *at, &self.declared.windows, problems);
        }
        if let Some(Wanted::Named(formats)) = &rule.when.ticket {
            for (name, at) in formats {
                Self::reference("ticket format", name, *at, &self.declared.tickets, problems);
            }
        }
        self.steps(&rule.steps, problems);
        if self.selector(&rule.to, &format!("the rule {}", rule.name), problems) {
            self.roles(rule, problems);
        }
        let defaults = &self.document.defaults;
        let max = rule.max.unwrap_or(defaults.max);
        if let Some(duration) = rule
            .duration
            .filter(|duration| rule.max.is_none() && *duration > max)
        {
            let what = format!("duration {duration} is longer than the default max of {max}");
            problems.note(rule.at, what, "give the rule a max of its own");
        }
        if let Some(glass) = &rule.break_glass {
            self.break_glass(rule, glass, problems);
        }
        self.waiting(rule, problems);
        self.fillable(&rule.steps, problems);
    }

    /// Whether who may use it, and who must look at it, can be answered in the very incident: without any outside service.
    fn break_glass(&self, rule: &Rule, glass: &BreakGlass, problems: &mut Problems<'_>) {
        for (name, at) in [&glass.page, &glass.review_by] {
            Self::reference("set of people", name, *at, &self.declared.people, problems);
        }
        let elsewhere = |name: &Name| matches!(self.sets.get(name), Some(Who::Schedule(_)));
        if let Some((name, at)) = rule.allow.iter().find(|(name, _)| elsewhere(name)) {
            let what =
                format!("who may break the glass must be known here, and {name} is a schedule elsewhere");
            problems.note(*at, what, "name a group of the directory, or logins");
        }
        if let Some(unknown) = rule.when.unknown.first() {
            let what = format!(
                "whether the glass may be broken must be known here, and {unknown} is known elsewhere"
            );
            problems.note(rule.at, what, "remove the condition");
        }
        let (name, at) = &glass.review_by;
        if elsewhere(name) {
            let what = format!("who must review must be known here, and {name} is a schedule elsewhere");
            problems.note(*at, what, "name a group of the directory, or logins");
        }
    }

    /// Whether people who are named one by one can ever fill the steps.
    fn fillable(&self, steps: &[Step], problems: &mut Problems<'_>) {
        // `None`: somebody else knows who that is.
        let named = |from: &From| match from {
            From::Manager => None,
            From::People(name) => match self.sets.get(name) {
                Some(Who::Logins(logins)) => Some(logins),
                _ => None,
            },
        };
        let chain: Vec<(&Step, Vec<&Name>)> = steps
            .iter()
            .filter_map(|step| {
                let mut people: BTreeSet<&Name> = named(&step.from.0)?.iter().collect();
                if let Silence::Escalate { to, .. } = &step.silence {
                    people.extend(named(to)?);
                }
                Some((step, people.into_iter().collect()))
            })
            .collect();
        let wanted: Vec<(u32, Vec<&Name>)> = chain
            .iter()
            .map(|(step, people)| (step.count, people.clone()))
            .collect();
        if let Err(unfilled) = chain::fill(&wanted)
            && let Some((step, people)) = chain.get(unfilled)
        {
            let what = format!(
                "only {} can fill this step, which asks for {}; one person counts once in the whole chain",
                list(people.iter().map(|name| name.as_str())),
                step.count
            );
            problems.note(step.at, what, "ask for fewer, or name more people");
        }
    }

    fn roles(&self, rule: &Rule, problems: &mut Problems<'_>) {
        let Some(roles) = rule.roles.as_ref().filter(|_| self.all_resources) else {
            return;
        };
        let selected = || self.document.resources.iter().filter(|one| rule.to.admits(one));
        for (role, at) in roles {
            if selected().any(|resource| resource.roles.contains_key(role)) {
                continue;
            }
            if problems.is_full() {
                problems.note(*at, "", "");
                continue;
            }
            let known: BTreeSet<&str> = selected()
                .flat_map(|resource| resource.roles.keys().map(Name::as_str))
                .collect();
            let otherwise = format!("they have {}", list(known.iter().copied()));
            problems.note(
                *at,
                format!(
                    "no resource that the rule {} selects has a role {role}",
                    rule.name
                ),
                did_you_mean(role.as_str(), known.iter().copied(), otherwise),
            );
        }
    }

    /// Notes what selects nothing: a guardrail with a slip in it would guard nothing. `true` where it selects something.
    fn selector(&self, selector: &Selector, of: &str, problems: &mut Problems<'_>) -> bool {
        if !self.all_resources {
            return false;
        }
        let resources = &self.document.resources;
        if resources.iter().any(|resource| selector.admits(resource)) {
            // An alternative that is misspelt beside one that is not.
            self.alternatives(selector, of, problems);
            return true;
        }
        if !self.alternatives(selector, of, problems) {
            problems.note(
                selector.at,
                format!("{of} selects no resource ({selector})"),
                "all of its selectors must hold for the same resource",
            );
        }
        false
    }

    /// Notes each word of a selector that no resource has; `true` where there was one.
    fn alternatives(&self, selector: &Selector, of: &str, problems: &mut Problems<'_>) -> bool {
        let before = problems.count();
        let mut words = |what: &str, given: &[(Name, At)], known: &BTreeSet<&str>| {
            for (word, at) in given.iter().filter(|(word, _)| !known.contains(word.as_str())) {
                if problems.is_full() {
                    problems.note(*at, "", "");
                    continue;
                }
                let otherwise = if known.is_empty() {
                    String::from("there are no resources yet")
                } else {
                    format!("known: {}", list(known.iter().copied()))
                };
                problems.note(
                    *at,
                    format!("{of} selects {what} {word}, which no resource has"),
                    did_you_mean(word.as_str(), known.iter().copied(), otherwise),
                );
            }
        };
        words(
            "the kind",
            selector.kind.as_deref().unwrap_or_default(),
            &self.words.kinds,
        );
        words(
            "the resource name",
            selector.resource.as_deref().unwrap_or_default(),
            &self.words.names,
        );
        for Label { label, at, values } in &selector.labels {
            match self.words.labels.get(label.as_str()) {
                Some(known) => words(&format!("{label}:"), values, known),
                None => {
                    let known = self.words.labels.keys().copied().collect();
                    words("by the label", &[(label.clone(), *at)], &known);
                }
            }
        }
        problems.count() > before
    }
}
