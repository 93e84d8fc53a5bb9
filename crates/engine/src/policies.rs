//! Policy revisions: check one without effect, put one in force.

use daypass_core::change::Change;
use daypass_core::event::Actor;
use daypass_core::name::Name;
use daypass_core::refusal::{Code, Refusal};
use daypass_policy::{Access, Location, Policy, Resource, Section, Source, TestOutcome};
use daypass_providers::ConfigProblem;
use daypass_store::Scope;

use crate::caller::Caller;
use crate::changes::Next;
use crate::connectors::find;
use crate::engine::Engine;
use crate::error::Error;

/// Something wrong in a target's configuration, found by the provider that owns it.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Where in the policy's files.
    pub location: Location,
    /// What is wrong.
    pub message: String,
}

/// A policy that loads, and what its checks found.
pub struct Checked {
    /// The policy.
    pub policy: Policy,
    /// What the providers say of their configuration.
    pub findings: Vec<Finding>,
    /// Its own tests.
    pub tests: Vec<TestOutcome>,
    /// What it would change, line by line.
    pub summary: Vec<String>,
    /// The change that waits for others, where it was proposed and not put in force.
    pub change: Option<Box<Change>>,
}

impl Checked {
    /// Whether it may be put in force.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty() && self.tests.iter().all(|test| test.passed)
    }
}

impl Engine {
    /// Loads and checks a policy without putting it in force.
    ///
    /// # Errors
    /// Where it does not load.
    pub fn check_policy(&self, sources: &[Source]) -> Result<Checked, Error> {
        let policy = Policy::load(sources).map_err(|found| Error::Policy(Box::new(found)))?;
        let findings = self.provider_findings(&policy);
        let tests = policy.run_tests();
        let summary = Policy::diff(Some(&self.current().policy), &policy);
        Ok(Checked {
            policy,
            findings,
            tests,
            summary,
            change: None,
        })
    }

    /// Puts a policy in force, as an administrator; or proposes it, where the policy in force says that others must agree.
    ///
    /// # Errors
    /// Where the caller is none, the policy does not load, its own tests fail, it drops a connector that still has access, or
    /// nobody could agree to it.
    pub async fn apply_policy(&self, caller: Caller, sources: &[Source]) -> Result<Checked, Error> {
        caller.administrator()?;
        caller.interactive()?;
        let mut checked = self.sound(sources)?;
        if checked.policy.revision() == self.current().policy.revision() {
            return Ok(checked);
        }
        let next = Next::new(&checked.policy, sources);
        checked.change = self.apply_or_propose(caller, next).await?.map(Box::new);
        Ok(checked)
    }

    /// Puts the operator's own policy files in force at a start, where they differ from what is. Whoever operates the machine
    /// waits for nobody.
    ///
    /// # Errors
    /// As [`Self::apply_policy`].
    pub async fn load_policy(&self, sources: &[Source]) -> Result<Checked, Error> {
        let checked = self.sound(sources)?;
        if checked.policy.revision() == self.current().policy.revision() {
            return Ok(checked);
        }
        let next = Next::new(&checked.policy, sources);
        self.decide(Scope::Policy, move |current, world, _| {
            next.may_come(current, world)?;
            Ok(next.in_force(Actor::System, current, world, None))
        })
        .await?;
        self.install(Policy::load(sources).map_err(|found| Error::Policy(Box::new(found)))?)?;
        Ok(checked)
    }

    /// The policy of these files, where it may be put in force.
    ///
    /// # Errors
    /// Where it does not load, a provider finds something wrong, or its own tests fail.
    pub(crate) fn sound(&self, sources: &[Source]) -> Result<Checked, Error> {
        let checked = self.check_policy(sources)?;
        if let Some(finding) = checked.findings.first() {
            return Err(Refusal::new(
                Code::PolicyInvalid,
                format!("{}: {}", finding.location, finding.message),
            )
            .into());
        }
        if let Some(failed) = checked.tests.iter().find(|test| !test.passed) {
            let failing = checked.tests.iter().filter(|test| !test.passed).count();
            let what = format!(
                "{failing} of the policy's own {} tests fail: {}: {}: expected {}, got {}",
                checked.tests.len(),
                failed.location,
                failed.question,
                failed.expected,
                failed.got
            );
            return Err(Refusal::new(Code::PolicyTestFailed, what)
                .hint("try: daypass policy test FILES")
                .into());
        }
        Ok(checked)
    }

    fn provider_findings(&self, policy: &Policy) -> Vec<Finding> {
        let kinds = &self.parts.kinds;
        let mut findings = Vec::new();
        let mut note = |section: Section<'_>, checked: Result<(), Vec<ConfigProblem>>| {
            for problem in checked.err().unwrap_or_default() {
                let location = policy.locate(section, &problem.pointer);
                findings.push(Finding {
                    location,
                    message: problem.message,
                });
            }
        };
        for connector in policy.connectors() {
            let section = Section::Connector(connector.name.as_str());
            let checked = match find(kinds, &connector.kind) {
                Ok(kind) => kind
                    .check_connector(&connector.config)
                    .and_then(|()| kind.check_allowed(&connector.config, self.parts.secrets.as_ref())),
                Err(refusal) => Err(vec![ConfigProblem {
                    pointer: String::new(),
                    message: refusal.to_string(),
                }]),
            };
            note(section, checked);
        }
        for resource in policy.resources() {
            let Ok(kind) = find(kinds, &resource.kind) else {
                continue;
            };
            let through = resource.access == Access::Gateway;
            let checked = kind.check_resource(&resource.config);
            note(
                Section::Resource(resource.name.as_str()),
                checked.and_then(|()| kind.check_resource_access(through, &resource.config)),
            );
            for (name, role) in &resource.roles {
                let section = Section::Role(resource.name.as_str(), name.as_str());
                let checked = kind.check_role(&role.config);
                note(
                    section,
                    checked.and_then(|()| kind.check_role_access(through, &role.config)),
                );
            }
        }
        findings.extend(self.kind_findings(policy));
        findings.extend(self.source_findings(policy));
        findings.extend(self.session_findings(policy));
        findings.extend(self.joint_findings(policy));
        findings
    }

    /// What resources of one connector may not say together.
    fn joint_findings(&self, policy: &Policy) -> Vec<Finding> {
        let mut findings = Vec::new();
        for connector in policy.connectors() {
            let Ok(kind) = find(&self.parts.kinds, &connector.kind) else {
                continue;
            };
            let all = policy.resources().iter();
            let of = all.filter(|resource| resource.connector == connector.name);
            let named: Vec<_> = of.map(|one| (one.name.as_str(), &one.config)).collect();
            for (index, problem) in kind.check_together(&named) {
                let name = named.get(index).map_or("", |(name, _)| *name);
                let location = policy.locate(Section::Resource(name), &problem.pointer);
                let message = problem.message;
                findings.push(Finding { location, message });
            }
        }
        findings
    }

    /// Connectors of a kind that is reached by those of another, and resources whose connector is of another kind than theirs.
    fn kind_findings(&self, policy: &Policy) -> Vec<Finding> {
        let kinds = &self.parts.kinds;
        let mut findings = Vec::new();
        let mut wrong = |section, pointer, message| {
            let location = policy.locate(section, pointer);
            findings.push(Finding { location, message });
        };
        for connector in policy.connectors() {
            if let Ok(kind) = find(kinds, &connector.kind)
                && kind.connector() != kind.name()
            {
                let (of, by) = (kind.name(), kind.connector());
                let message = format!(
                    "there are no connectors of kind {of}: what is of it is reached by one of kind {by}"
                );
                wrong(Section::Connector(connector.name.as_str()), "", message);
            }
        }
        for resource in policy.resources() {
            let connector = policy
                .connectors()
                .iter()
                .find(|one| one.name == resource.connector);
            if let (Some(connector), Ok(kind)) = (connector, find(kinds, &resource.kind))
                && kind.connector() != connector.kind.as_str()
            {
                let message = format!(
                    "{} is of kind {}, which is reached by a connector of kind {}; {} is of kind {}",
                    resource.name,
                    resource.kind,
                    kind.connector(),
                    connector.name,
                    connector.kind
                );
                wrong(Section::Resource(resource.name.as_str()), "", message);
            }
        }
        findings
    }

    /// Rules that give what is opened to an address, and bind nobody to theirs: every request would be refused.
    fn source_findings(&self, policy: &Policy) -> Vec<Finding> {
        let needs_source = |(resource, role): &(&Resource, &Name)| {
            let (kind, role) = (find(&self.parts.kinds, &resource.kind), resource.roles.get(*role));
            kind.is_ok_and(|kind| role.is_some_and(|role| kind.needs(&resource.config, &role.config).source))
        };
        let rules = policy.from_anywhere().into_iter();
        let blind = rules.filter_map(|(diagnostic, gives)| {
            let (resource, role) = gives.into_iter().find(needs_source)?;
            Some(Finding {
                location: diagnostic.location,
                message: format!(
                    "{}, and {}/{role} is opened to the address that it is asked from; write source: [my-ip], or name other roles",
                    diagnostic.message, resource.name
                ),
            })
        });
        blind.collect()
    }

    /// Rules that end access by what its sessions do, for resources whose kind cannot tell of sessions.
    fn session_findings(&self, policy: &Policy) -> Vec<Finding> {
        let tells = |kind: &Name| find(&self.parts.kinds, kind).is_ok_and(|kind| kind.tells_sessions());
        let endings = policy.session_endings().into_iter();
        let blind = endings.filter_map(|(diagnostic, resources)| {
            let resource = resources.into_iter().find(|one| !tells(&one.kind))?;
            Some(Finding {
                location: diagnostic.location,
                message: format!(
                    "{}, and no target of kind {} can tell of sessions: {} is one",
                    diagnostic.message, resource.kind, resource.name
                ),
            })
        });
        blind.collect()
    }
}
