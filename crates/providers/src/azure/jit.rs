//! Ports of virtual machines, opened by Defender for Cloud: just-in-time policies, which end by themselves.
//!
//! Defender opens a port of a machine to one source at a time: a newer request ends the older one, whoever made it. So where somebody
//! else's is under way, or one of ours for another address, the port is opened by a rule of our own instead. Its requests bear our mark in
//! their justification; the rules that it writes bear none, and are known by their names, the machine, the port and the source.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use daypass_core::entitlement::Fault;
use daypass_core::time::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Api;
use super::config::{Ports, Protocol, Via, Vms};
use super::ids::{Mark, items, mark, read_mark, same, text};
use super::pim::limit;
use super::ports::{Opening, Way};
use super::provider::{Connected, seen};
use super::rules::Rule;
use super::scope::is_vm;
use crate::{Error, Inspection, Progress};

/// "JIT Network Access Policies" at Microsoft Learn.
const VERSION: &str = "2020-01-01";

/// The longest justification that is written, in characters.
const JUSTIFICATION: usize = 300;

/// What names of Defender's rules begin with: the one that it has now, and the one that older ones have.
const RULES: [&str; 2] = ["MicrosoftDefenderForCloud-JITRule", "SecurityCenter-JITRule"];

/// A port of a machine.
type Port<'a> = (&'a str, u16);

/// A request for a port that Defender shows as still open.
struct Request {
    vm: String,
    port: u16,
    source: Option<IpAddr>,
    until: Option<Timestamp>,
    mark: Option<Mark>,
}

impl Request {
    fn is_of(&self, (vm, port): &Port<'_>) -> bool {
        self.port == *port && same(&self.vm, vm)
    }

    fn is_for(&self, key: &str) -> bool {
        self.mark.as_ref().is_some_and(|mark| mark.key == key)
    }
}

/// The requests of policies that are still open. Statuses that are not known are taken for open ones.
fn requests(asker: &str, policies: &[Value]) -> Vec<Request> {
    let mut found = Vec::new();
    let all = policies
        .iter()
        .flat_map(|policy| items(policy, "/properties/requests"));
    for request in all {
        let mark = read_mark(asker, text(request, "/justification"));
        for machine in items(request, "/virtualMachines") {
            for port in items(machine, "/ports") {
                let number = port.pointer("/number").and_then(Value::as_u64);
                let Some(number) = number.and_then(|number| u16::try_from(number).ok()) else {
                    continue;
                };
                if text(port, "/status") == "Revoked" {
                    continue;
                }
                let kept = text(port, "/endTimeUtc").parse().ok();
                found.push(Request {
                    vm: text(machine, "/id").to_owned(),
                    port: number,
                    source: text(port, "/allowedSourceAddressPrefix").parse().ok(),
                    until: limit(mark.as_ref().and_then(|mark| mark.until), kept),
                    mark: mark.clone(),
                });
            }
        }
    }
    found
}

/// What requests for a key are to open, as far as Defender tells.
fn opened(made: &[Request], key: &str) -> Option<Opening> {
    let ours = || made.iter().filter(|request| request.is_for(key));
    let source = ours().find_map(|request| request.source)?;
    let ids: BTreeMap<_, _> = ours()
        .map(|request| (request.vm.to_ascii_lowercase(), request.vm.clone()))
        .collect();
    let ports: BTreeSet<_> = ours().map(|request| request.port).collect();
    Some(Opening {
        vms: Vms {
            ids: ids.into_values().filter(|id| is_vm(id)).collect(),
            via: Via::Jit,
            closed: None,
        },
        ports: Ports(BTreeMap::from([
            (Protocol::Tcp, ports.clone()),
            (Protocol::Udp, ports),
        ])),
        source,
    })
}

/// Whether it is a rule by which Defender lets somebody in.
pub(super) fn is_defenders(rule: &Rule) -> bool {
    rule.allows && RULES.iter().any(|begin| rule.name.starts_with(begin))
}

/// Which policy has which ports of these machines; an error names what none has.
fn covered<'p, 'w>(
    policies: &'p [Value],
    wanted: &'w Opening,
) -> Result<BTreeMap<&'p str, Vec<Port<'w>>>, Error> {
    let mut found: BTreeMap<&str, Vec<Port<'_>>> = BTreeMap::new();
    for vm in &wanted.vms.ids {
        for port in wanted.ports.0.values().flatten() {
            let has = |policy: &&Value| {
                let mut machines = items(policy, "/properties/virtualMachines").iter();
                machines.any(|machine| {
                    let mut ports = items(machine, "/ports").iter();
                    let number = |one: &Value| one.pointer("/number").and_then(Value::as_u64);
                    same(text(machine, "/id"), vm) && ports.any(|one| number(one) == Some(u64::from(*port)))
                })
            };
            let policy = policies.iter().find(has).ok_or_else(|| {
                let what = format!(
                    "no just-in-time policy of Defender has port {port} of {vm}; write one, or take via: jit out of the resource"
                );
                Error::new(Fault::Misconfigured, what)
            })?;
            found.entry(text(policy, "/id")).or_default().push((vm, *port));
        }
    }
    Ok(found)
}

impl Connected {
    async fn policies(&self, subscriptions: impl IntoIterator<Item = String>) -> Result<Vec<Value>, Error> {
        let mut all = Vec::new();
        for subscription in subscriptions {
            let path = format!(
                "{subscription}/providers/Microsoft.Security/jitNetworkAccessPolicies?api-version={VERSION}"
            );
            let doing = "reading the just-in-time policies";
            all.extend(self.client.list(Api::Arm, &path, doing).await?);
        }
        Ok(all)
    }

    /// Has Defender open the ports until then; or opens them by rules, where Defender's would end somebody else's.
    pub(super) async fn initiate(
        &self,
        key: &str,
        wanted: &Opening,
        holder: &str,
        until: Timestamp,
    ) -> Result<Progress, Error> {
        let _alone = self.deciding.lock().await;
        let policies = self.policies(wanted.subscriptions()).await?;
        let by_policy = covered(&policies, wanted)?;
        let way = self.way(wanted).await?;
        let made = requests(&self.asker, &policies);
        let all: Vec<_> = by_policy.values().flatten().copied().collect();
        let in_the_way = |request: &Request| {
            !request.is_for(key)
                && all.iter().any(|port| request.is_of(port))
                && !Self::defenders(request.port, &way, None).is_empty()
        };
        let same_address =
            |request: &&Request| request.mark.is_none() && request.source == Some(wanted.source);
        if let Some(other) = made
            .iter()
            .filter(|request| in_the_way(request))
            .find(same_address)
        {
            let what = format!(
                "Defender has port {} of {} open to {} already, and not for this Daypass",
                other.port, other.vm, wanted.source
            );
            return Err(Error::new(Fault::AlreadyStanding, what));
        }
        if made.iter().any(in_the_way) || self.has_rules(key, &way) {
            return self.open(key, wanted, holder).await;
        }
        let ours = |port: &Port<'_>| {
            made.iter().any(|request| {
                request.is_of(port)
                    && request.is_for(key)
                    && request.until == Some(until)
                    && !Self::defenders(request.port, &way, Some(wanted.source)).is_empty()
            })
        };
        if all.iter().all(ours) {
            return Ok(Progress::Done);
        }
        self.nothing_else_opens(wanted, &way).await?;
        for (policy, ports) in by_policy {
            self.ask_defender(policy, &ports, wanted, (key, holder, until))
                .await?;
        }
        Ok(Progress::Done)
    }

    async fn ask_defender(
        &self,
        policy: &str,
        ports: &[Port<'_>],
        wanted: &Opening,
        (key, holder, until): (&str, &str, Timestamp),
    ) -> Result<(), Error> {
        let mut machines: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for (vm, port) in ports {
            machines.entry(vm).or_default().push(json!({
                "number": port,
                "endTimeUtc": until.to_string(),
                // Without it Defender opens the port to whoever calls: to this server.
                "allowedSourceAddressPrefix": wanted.source.to_string(),
            }));
        }
        let machines: Vec<_> = machines
            .into_iter()
            .map(|(vm, ports)| json!({"id": vm, "ports": ports}))
            .collect();
        let body = json!({
            "virtualMachines": machines,
            "justification": mark(&self.asker, key, Some(until), holder, JUSTIFICATION),
        });
        let path = format!("{policy}/initiate?api-version={VERSION}");
        let doing = "asking Defender for the ports";
        let asked = self
            .client
            .call(Api::Arm, Method::POST, &path, Some(&body), doing)
            .await?;
        asked.map(drop).map_err(|refusal| refusal.error(doing))
    }

    /// Defender's rules that open a port of these machines, to the source or to anybody: each with its group.
    fn defenders(port: u16, way: &Way, from: Option<IpAddr>) -> BTreeSet<(String, String)> {
        let mut found = BTreeSet::new();
        for interface in &way.interfaces {
            for group in way.groups.iter().filter(|group| group.is_before(interface)) {
                let opens = |rule: &&Rule| {
                    is_defenders(rule)
                        && from.is_none_or(|from| rule.is_from(from))
                        && [Protocol::Tcp, Protocol::Udp]
                            .iter()
                            .any(|protocol| rule.reaches(*protocol, port, &interface.addresses))
                };
                let rules = group.rules.iter().filter(opens);
                found.extend(rules.map(|rule| (group.id.clone(), rule.name.clone())));
            }
        }
        found
    }

    /// Shuts the ports before their time: Defender has no call for that, but its rules can be taken away.
    pub(super) async fn end_jit(&self, key: &str, wanted: Option<&Opening>) -> Result<Progress, Error> {
        let (made, wanted) = self.made(key, wanted).await?;
        let mut progress = self.close(key, wanted.as_ref()).await?;
        let Some(wanted) = wanted else {
            return Ok(progress);
        };
        let way = self.way(&wanted).await?;
        let mut rules = BTreeSet::new();
        for request in made.iter().filter(|request| request.is_for(key)) {
            rules.extend(Self::defenders(request.port, &way, Some(wanted.source)));
        }
        for (group, rule) in rules {
            let done = self.delete(&group, &rule).await?;
            if done != Progress::Done {
                progress = done;
            }
        }
        Ok(progress)
    }

    /// Whether the ports are open by us, by Defender or by rules.
    pub(super) async fn is_jit(&self, key: &str, wanted: Option<&Opening>) -> Result<Inspection, Error> {
        let (made, wanted) = self.made(key, wanted).await?;
        if let Some(wanted) = &wanted {
            let way = self.way(wanted).await?;
            let stands = |request: &&Request| {
                request.is_for(key) && !Self::defenders(request.port, &way, Some(wanted.source)).is_empty()
            };
            if let Some(until) = made.iter().filter(stands).map(|request| request.until).max() {
                return Ok(seen(true, until));
            }
        }
        self.is_ruled(key, wanted.as_ref()).await
    }

    /// The keys of all that Defender has open for us, with their limits.
    pub(super) async fn jitted(&self) -> Result<Vec<(String, Option<Timestamp>)>, Error> {
        let policies = self.policies(self.subscriptions().await?).await?;
        let made = requests(&self.asker, &policies);
        let keys: BTreeSet<_> = made
            .iter()
            .filter_map(|request| Some(&request.mark.as_ref()?.key))
            .collect();
        let mut found = Vec::new();
        for key in keys {
            let Some(wanted) = opened(&made, key) else {
                continue;
            };
            let way = self.way(&wanted).await?;
            let stands = |request: &&Request| {
                request.is_for(key) && !Self::defenders(request.port, &way, Some(wanted.source)).is_empty()
            };
            if let Some(until) = made.iter().filter(stands).map(|request| request.until).max() {
                found.push((key.clone(), until));
            }
        }
        Ok(found)
    }

    /// The requests that Defender shows, and what is opened for a key: by its spec, or by the requests themselves.
    async fn made(
        &self,
        key: &str,
        wanted: Option<&Opening>,
    ) -> Result<(Vec<Request>, Option<Opening>), Error> {
        let subscriptions: Vec<_> = match wanted {
            Some(wanted) => wanted.subscriptions().into_iter().collect(),
            None => self.subscriptions().await?,
        };
        let policies = self.policies(subscriptions).await?;
        let made = requests(&self.asker, &policies);
        let wanted = wanted.cloned().or_else(|| opened(&made, key));
        Ok((made, wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_are_over_are_none_and_unknown_statuses_count_as_open() {
        let port = |number: u16, status: &str| {
            json!({"number": number, "status": status, "statusReason": "x", "endTimeUtc": "2026-03-07T12:00:00Z",
                   "allowedSourceAddressPrefix": "203.0.113.7"})
        };
        let vm = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/web/providers/Microsoft.Compute/virtualMachines/a";
        let of = |justification: &str, ports: Vec<Value>| json!({"justification": justification, "virtualMachines": [{"id": vm, "ports": ports}]});
        let told = mark("aa", "jit-1", None, "ana", JUSTIFICATION);
        let policy = json!({"properties": {"requests": [
            of(&told, vec![port(22, "Initiated"), port(23, "Revoked"), port(24, "SomethingNew")]),
            of("mine", vec![port(80, "Initiated")]),
        ]}});
        let made = requests("aa", &[policy]);
        let ours: Vec<_> = made
            .iter()
            .filter(|one| one.is_for("jit-1"))
            .map(|one| one.port)
            .collect();
        assert_eq!((made.len(), ours), (3, vec![22, 24]));
        let opening = opened(&made, "jit-1").unwrap();
        assert_eq!(opening.vms.ids, [vm]);
        assert_eq!(opening.source.to_string(), "203.0.113.7");
        assert_eq!(opened(&made, "jit-2"), None);
    }
}
