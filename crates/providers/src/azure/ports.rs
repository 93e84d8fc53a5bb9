//! Ports of virtual machines, opened to an address by rules of the groups on the way to them, and shut again.
//!
//! A rule names the machines' own addresses, so that a group on a subnet opens nothing else there. Two people behind one address have one
//! key, and so one opening.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use daypass_core::entitlement::{Fault, Spec};
use daypass_core::time::Span;
use reqwest::Method;

use super::client::Api;
use super::config::{Ports, Protocol, Via, Vms};
use super::ids::{mark, read_mark, short};
use super::jit::is_defenders;
use super::machines::{Group, Interface, NETWORK, behind};
use super::provider::{Connected, seen};
use super::rules::{Knock, Rule, Verdict, Wanted, judge};
use super::scope::subscription;
use crate::config::misconfigured;
use crate::within::pause;
use crate::{Error, Inspection, Progress};

/// The longest description that ARM takes for a rule, in characters.
const DESCRIPTION: usize = 140;

/// How often a change that goes on is looked at within one call, and how long between.
const LOOKS: usize = 15;
const BETWEEN: Duration = Duration::from_secs(1);

/// When to ask again about a change that goes on for longer.
const POLL: Span = Span::seconds(5);

/// Ports that are opened to an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) vms: Vms,
    pub(super) ports: Ports,
    pub(super) source: IpAddr,
}

impl Opening {
    /// What a spec gives.
    pub(super) fn read(spec: &Spec) -> Result<Self, Error> {
        let vms = Vms::read(&spec.resource).map_err(|problems| misconfigured("resource", &problems))?;
        let ports = Ports::read(&spec.role).map_err(|problems| misconfigured("role", &problems))?;
        let source = spec.source.ok_or_else(|| {
            let what = "no address is known that the ports are to be opened to; the rule needs source:";
            Error::new(Fault::Misconfigured, what)
        })?;
        Ok(Self { vms, ports, source })
    }

    /// The key of it: the same for whoever opens the same to the same address.
    pub(super) fn key(&self) -> String {
        let vms: Vec<_> = self.vms.ids.iter().map(|id| id.to_ascii_lowercase()).collect();
        let source = self.source.to_string();
        let ports = format!("{:?}", self.ports.0);
        let kind = match self.vms.via {
            Via::Nsg => "ports",
            Via::Jit => "jit",
        };
        format!("{kind}-{}", short(&[kind, &vms.join(" "), &ports, &source]))
    }

    pub(super) fn subscriptions(&self) -> BTreeSet<String> {
        self.vms.ids.iter().filter_map(|id| subscription(id)).collect()
    }

    /// Everything that somebody at the address may then reach of an interface.
    fn knocks<'a>(&'a self, interface: &'a Interface) -> impl Iterator<Item = Knock<'a>> {
        let all = self.ports.0.iter();
        all.flat_map(move |(protocol, ports)| {
            ports.iter().map(move |port| Knock {
                protocol: *protocol,
                port: *port,
                source: self.source,
                destinations: &interface.addresses,
            })
        })
    }
}

/// What is on the way to machines.
pub(super) struct Way {
    pub(super) interfaces: Vec<Interface>,
    /// All groups of their subscriptions.
    pub(super) groups: Vec<Group>,
}

/// A rule that is to be in a group.
struct Planned {
    group: String,
    name: String,
    protocol: Protocol,
    source: String,
    destinations: Vec<String>,
    ports: Vec<String>,
    allows: bool,
    description: String,
    band: (u16, u16),
}

impl Planned {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            allows: self.allows,
            protocol: self.protocol,
            source: self.source.clone(),
            destinations: &self.destinations,
            ports: &self.ports,
        }
    }
}

impl Connected {
    /// What names of our rules begin with.
    fn rules_begin(&self) -> String {
        let asker: String = self.asker.chars().take(8).collect();
        format!("daypass-{asker}-")
    }

    fn rule_name(&self, key: &str, protocol: Protocol) -> String {
        format!(
            "{}{}-{}",
            self.rules_begin(),
            short(&["rule", &self.asker, key]),
            protocol.word()
        )
    }

    fn is_for(&self, rule: &Rule, key: &str) -> bool {
        read_mark(&self.asker, &rule.description).is_some_and(|mark| mark.key == key)
    }

    /// Whether it is an opening of ours, for whatever key. Rules that keep ports shut are not.
    pub(super) fn opens(&self, rule: &Rule) -> bool {
        rule.allows && rule.name.starts_with(&self.rules_begin())
    }

    /// What is on the way to the machines. One that was deleted has no ports; its groups are told all the same.
    pub(super) async fn way(&self, wanted: &Opening) -> Result<Way, Error> {
        let groups = self.groups_in(&wanted.subscriptions()).await?;
        let mut interfaces = Vec::new();
        for vm in &wanted.vms.ids {
            match self.interfaces(vm).await {
                Ok(all) => interfaces.extend(all),
                Err(error) if error.fault == Fault::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Way { interfaces, groups })
    }

    /// Whether some rule of ours is there for a key.
    pub(super) fn has_rules(&self, key: &str, way: &Way) -> bool {
        let mut rules = way.groups.iter().flat_map(|group| &group.rules);
        rules.any(|rule| self.is_for(rule, key))
    }

    /// Refuses where the ports are open to the address without us.
    pub(super) async fn nothing_else_opens(&self, wanted: &Opening, way: &Way) -> Result<(), Error> {
        for interface in &way.interfaces {
            self.nothing_opens(wanted, interface, &way.groups).await?;
        }
        Ok(())
    }

    /// Opens the ports, unless they are open by us.
    pub(super) async fn open(&self, key: &str, wanted: &Opening, holder: &str) -> Result<Progress, Error> {
        let mut interfaces = Vec::new();
        for vm in &wanted.vms.ids {
            interfaces.extend(self.interfaces(vm).await?);
        }
        let groups = self.groups_in(&wanted.subscriptions()).await?;
        for interface in &interfaces {
            if !groups.iter().any(|group| group.is_before(interface)) {
                let what = format!(
                    "{} has no network security group, neither itself nor its subnet: everything is open there, and nothing \
                     would be shut at the end. Give it one",
                    interface.id
                );
                return Err(Error::new(Fault::Misconfigured, what));
            }
        }
        if wanted.vms.closed.unwrap_or(self.connector.closed) {
            for planned in self.shut(wanted, &groups, &interfaces) {
                if self.ensure(&planned, &groups).await? != Progress::Done {
                    return Ok(Progress::Pending { poll_after: POLL });
                }
            }
        }
        let planned = self.planned(key, wanted, &groups, &interfaces, holder);
        let mut missing = Vec::new();
        for one in &planned {
            if !self.is_in(one, &groups, Some(key))? {
                missing.push(one);
            }
        }
        if missing.is_empty() {
            return Ok(Progress::Done);
        }
        for interface in &interfaces {
            self.nothing_opens(wanted, interface, &groups).await?;
        }
        for one in missing {
            if self.ensure(one, &groups).await? != Progress::Done {
                return Ok(Progress::Pending { poll_after: POLL });
            }
        }
        Ok(Progress::Done)
    }

    /// The rules that let somebody in.
    fn planned(
        &self,
        key: &str,
        wanted: &Opening,
        groups: &[Group],
        interfaces: &[Interface],
        holder: &str,
    ) -> Vec<Planned> {
        let mut planned = Vec::new();
        for (group, destinations) in behind(groups, interfaces, wanted.source) {
            for (protocol, ports) in &wanted.ports.0 {
                planned.push(Planned {
                    group: group.to_owned(),
                    name: self.rule_name(key, *protocol),
                    protocol: *protocol,
                    source: wanted.source.to_string(),
                    destinations: destinations.clone(),
                    ports: ports.iter().map(u16::to_string).collect(),
                    allows: true,
                    description: mark(&self.asker, key, None, holder, DESCRIPTION),
                    band: self.connector.allow,
                });
            }
        }
        planned
    }

    /// The rules that keep the same ports shut for everybody else. They stay when nobody has access any more: that is what they are for.
    fn shut(&self, wanted: &Opening, groups: &[Group], interfaces: &[Interface]) -> Vec<Planned> {
        let mut planned = Vec::new();
        for (group, destinations) in behind(groups, interfaces, wanted.source) {
            for (protocol, ports) in &wanted.ports.0 {
                let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
                let what = short(&["closed", &destinations.join(" "), &ports.join(" ")]);
                planned.push(Planned {
                    group: group.to_owned(),
                    name: format!("{}closed-{what}-{}", self.rules_begin(), protocol.word()),
                    protocol: *protocol,
                    source: "*".to_owned(),
                    destinations: destinations.clone(),
                    ports,
                    allows: false,
                    description: "Shut while nobody was given it by Daypass".to_owned(),
                    band: self.connector.deny,
                });
            }
        }
        planned
    }

    /// Whether a rule is as it is to be. One of that name that is not ours is in the way.
    fn is_in(&self, planned: &Planned, groups: &[Group], key: Option<&str>) -> Result<bool, Error> {
        let group = groups.iter().find(|group| group.id == planned.group);
        let mut rules = group.into_iter().flat_map(|group| &group.rules);
        let Some(rule) = rules.find(|rule| rule.name.eq_ignore_ascii_case(&planned.name)) else {
            return Ok(false);
        };
        if key.is_some_and(|key| !self.is_for(rule, key)) {
            return Err(standing(&rule.name, &planned.group));
        }
        Ok(rule.says(&planned.wanted()) && rule.state == "Succeeded")
    }

    /// Refuses where the ports are open to the address without us: they would stay open at the end.
    async fn nothing_opens(
        &self,
        wanted: &Opening,
        interface: &Interface,
        groups: &[Group],
    ) -> Result<(), Error> {
        let rules = self.on_the_way(interface, groups).await?;
        // What Defender opened for us is as good as our own.
        let by_defender = wanted.vms.via == Via::Jit;
        let ours = |rule: &Rule| self.opens(rule) || (by_defender && is_defenders(rule));
        for knock in wanted.knocks(interface) {
            if let Verdict::Open(rule) = judge(&rules, &knock, ours) {
                let what = format!(
                    "port {} of {} is open to {} already, by the rule {rule}, which is not of this Daypass",
                    knock.port, interface.id, knock.source
                );
                return Err(Error::new(Fault::AlreadyStanding, what));
            }
        }
        Ok(())
    }

    /// The rules on the way to an interface: the effective ones, or those that are set where the machine does not run.
    async fn on_the_way(&self, interface: &Interface, groups: &[Group]) -> Result<Vec<Vec<Rule>>, Error> {
        if let Some(effective) = self.effective(interface).await? {
            return Ok(effective);
        }
        let before = groups.iter().filter(|group| group.is_before(interface));
        Ok(before.map(Group::as_set).collect())
    }

    /// Shuts the ports, as far as they are open by us.
    pub(super) async fn close(&self, key: &str, wanted: Option<&Opening>) -> Result<Progress, Error> {
        let mut progress = Progress::Done;
        for (group, name) in self.rules_of(key, wanted).await? {
            if self.delete(&group, &name).await? != Progress::Done {
                progress = Progress::Pending { poll_after: POLL };
            }
        }
        Ok(progress)
    }

    /// Where rules of ours for a key are, or may be and not show yet: each with its group.
    async fn rules_of(
        &self,
        key: &str,
        wanted: Option<&Opening>,
    ) -> Result<BTreeSet<(String, String)>, Error> {
        let subscriptions = match wanted {
            Some(wanted) => wanted.subscriptions(),
            None => self.subscriptions().await?.into_iter().collect(),
        };
        let groups = self.groups_in(&subscriptions).await?;
        let mut found = BTreeSet::new();
        for group in &groups {
            let ours = group.rules.iter().filter(|rule| self.is_for(rule, key));
            found.extend(ours.map(|rule| (group.id.clone(), rule.name.clone())));
        }
        let Some(wanted) = wanted else {
            return Ok(found);
        };
        let Way { interfaces, groups } = self.way(wanted).await?;
        for group in groups
            .iter()
            .filter(|group| interfaces.iter().any(|one| group.is_before(one)))
        {
            for protocol in wanted.ports.0.keys() {
                let name = self.rule_name(key, *protocol);
                let foreign = group
                    .rules
                    .iter()
                    .any(|rule| rule.name.eq_ignore_ascii_case(&name) && !self.is_for(rule, key));
                if !foreign {
                    found.insert((group.id.clone(), name));
                }
            }
        }
        Ok(found)
    }

    /// Whether the ports are open by us: what is set, and where nothing is, what is in force.
    pub(super) async fn is_ruled(&self, key: &str, wanted: Option<&Opening>) -> Result<Inspection, Error> {
        let subscriptions = match wanted {
            Some(wanted) => wanted.subscriptions(),
            None => self.subscriptions().await?.into_iter().collect(),
        };
        let groups = self.groups_in(&subscriptions).await?;
        let mut rules = groups.iter().flat_map(|group| &group.rules);
        if rules.any(|rule| self.is_for(rule, key)) {
            return Ok(seen(true, None));
        }
        let Some(wanted) = wanted else {
            return Ok(seen(false, None));
        };
        let mut residue = BTreeSet::new();
        for vm in &wanted.vms.ids {
            let interfaces = match self.interfaces(vm).await {
                Ok(interfaces) => interfaces,
                Err(error) if error.fault == Fault::NotFound => continue,
                Err(error) => return Err(error),
            };
            for interface in &interfaces {
                let rules = self.on_the_way(interface, &groups).await?;
                let names: Vec<_> = wanted
                    .ports
                    .0
                    .keys()
                    .map(|one| self.rule_name(key, *one))
                    .collect();
                let in_force = |rule: &Rule| names.iter().any(|name| rule.name.eq_ignore_ascii_case(name));
                if rules.iter().flatten().any(in_force) {
                    return Ok(seen(true, None));
                }
                if wanted.vms.closed.unwrap_or(self.connector.closed) {
                    residue.extend(self.drift(wanted, interface, &rules));
                }
            }
        }
        Ok(Inspection::Absent {
            residue: residue.into_iter().collect(),
        })
    }

    /// What opens ports that are to be shut, and is none of ours.
    fn drift(&self, wanted: &Opening, interface: &Interface, rules: &[Vec<Rule>]) -> Vec<String> {
        let open = wanted.knocks(interface).filter_map(|knock| {
            match judge(rules, &knock, |rule| self.opens(rule)) {
                Verdict::Open(rule) => Some(format!(
                    "port {} of {} is open to {} by the rule {rule}, which is not Daypass's",
                    knock.port, interface.id, knock.source
                )),
                Verdict::Shut(_) => None,
            }
        });
        open.collect()
    }

    /// The keys of all openings of ours.
    pub(super) async fn ruled(&self) -> Result<BTreeSet<String>, Error> {
        let subscriptions = self.subscriptions().await?.into_iter().collect();
        let groups = self.groups_in(&subscriptions).await?;
        let rules = groups.iter().flat_map(|group| &group.rules);
        let marks = rules.filter_map(|rule| read_mark(&self.asker, &rule.description));
        Ok(marks.map(|mark| mark.key).collect())
    }

    /// Writes a rule, unless it is there, at a free priority. One change of a group at a time: Azure refuses a second one.
    async fn ensure(&self, planned: &Planned, groups: &[Group]) -> Result<Progress, Error> {
        if self.is_in(planned, groups, None)? {
            return Ok(Progress::Done);
        }
        let _alone = self.changes.lock().await;
        let doing = "writing the rule";
        let path = rule_path(&planned.group, &planned.name);
        for _ in 0..LOOKS {
            let now = self.group(&planned.group).await?;
            let there = now
                .rules
                .iter()
                .find(|rule| rule.name.eq_ignore_ascii_case(&planned.name));
            let kept = there.and_then(|rule| u16::try_from(rule.priority).ok());
            let Some(priority) = kept.or_else(|| free(&now.rules, planned.band)) else {
                let (from, to) = planned.band;
                let what = format!(
                    "{doing}: no priority from {from} to {to} is free in {}",
                    planned.group
                );
                return Err(Error::new(Fault::Misconfigured, what));
            };
            let body = planned.wanted().body(priority, &planned.description);
            let put = self
                .client
                .call(Api::Arm, Method::PUT, &path, Some(&body), doing)
                .await?;
            match put {
                Ok(_) => return self.settled(&path).await,
                Err(refusal) if refusal.fault() == Fault::Conflict => pause(BETWEEN).await,
                Err(refusal) => return Err(refusal.error(doing)),
            }
        }
        let what = format!(
            "{doing}: {} is being changed by somebody else all the while",
            planned.group
        );
        Err(Error::new(Fault::Conflict, what))
    }

    /// Waits a while until a rule is in force.
    async fn settled(&self, path: &str) -> Result<Progress, Error> {
        for _ in 0..LOOKS {
            let shown = self.client.find(Api::Arm, path, "reading the rule").await?;
            match shown
                .as_ref()
                .map(|shown| super::ids::text(shown, "/properties/provisioningState"))
            {
                Some("Succeeded") => return Ok(Progress::Done),
                Some("Failed") => {
                    return Err(Error::new(
                        Fault::Unavailable,
                        "writing the rule: Azure gave it up",
                    ));
                }
                // Not shown at all: it may not show yet.
                _ => pause(BETWEEN).await,
            }
        }
        Ok(Progress::Pending { poll_after: POLL })
    }

    pub(super) async fn delete(&self, group: &str, name: &str) -> Result<Progress, Error> {
        let _alone = self.changes.lock().await;
        let doing = "taking the rule away";
        let path = rule_path(group, name);
        for _ in 0..LOOKS {
            let gone = self
                .client
                .call(Api::Arm, Method::DELETE, &path, None, doing)
                .await?;
            match gone {
                Ok(answer) if answer.status == 204 => return Ok(Progress::Done),
                Ok(_) => {
                    // Two looks: what takes longer is asked for by the reconciler.
                    for _ in 0..LOOKS {
                        if self.client.find(Api::Arm, &path, doing).await?.is_none() {
                            return Ok(Progress::Done);
                        }
                        pause(BETWEEN).await;
                    }
                    return Ok(Progress::Pending { poll_after: POLL });
                }
                Err(refusal) if refusal.status == 404 => return Ok(Progress::Done),
                Err(refusal) if refusal.fault() == Fault::Conflict => pause(BETWEEN).await,
                Err(refusal) => return Err(refusal.error(doing)),
            }
        }
        let what = format!("{doing}: {group} is being changed by somebody else all the while");
        Err(Error::new(Fault::Conflict, what))
    }
}

fn rule_path(group: &str, name: &str) -> String {
    format!("{group}/securityRules/{name}?api-version={NETWORK}")
}

/// A priority that no rule has.
fn free(rules: &[Rule], (from, to): (u16, u16)) -> Option<u16> {
    (from..=to).find(|priority| !rules.iter().any(|rule| rule.is_at(*priority)))
}

fn standing(rule: &str, group: &str) -> Error {
    Error::new(
        Fault::AlreadyStanding,
        format!("the rule {rule} of {group} is not of this Daypass, and has the name that it would use"),
    )
}
