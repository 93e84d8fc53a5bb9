//! Virtual machines with their interfaces, and the groups of rules on the way to each.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use daypass_core::entitlement::Fault;
use reqwest::Method;
use serde_json::Value;

use super::client::Api;
use super::error::odd;
use super::ids::{items, same, text};
use super::provider::Connected;
use super::rules::Rule;
use crate::Error;
use crate::within::pause;

/// "Network security groups" and "Network interfaces" in the description of Microsoft.Network.
pub(super) const NETWORK: &str = "2023-09-01";

/// "Virtual machines" in the description of Microsoft.Compute.
pub(super) const COMPUTE: &str = "2023-09-01";

/// How often it is asked for effective rules, which Azure works out in some seconds, and how long between.
const LOOKS: usize = 30;
const BETWEEN: Duration = Duration::from_secs(1);

/// An interface of a machine.
#[derive(Debug, Clone)]
pub(super) struct Interface {
    pub(super) id: String,
    pub(super) addresses: Vec<IpAddr>,
    subnets: Vec<String>,
}

impl Interface {
    pub(super) fn read(id: &str, shown: &Value) -> Self {
        let configurations = items(shown, "/properties/ipConfigurations");
        let address = |one: &Value| text(one, "/properties/privateIPAddress").parse().ok();
        let subnet = |one: &Value| text(one, "/properties/subnet/id").to_owned();
        Self {
            id: id.to_owned(),
            addresses: configurations.iter().filter_map(address).collect(),
            subnets: configurations.iter().map(subnet).collect(),
        }
    }
}

/// A group of rules, with what it hangs on.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) rules: Vec<Rule>,
    defaults: Vec<Rule>,
    hangs_on: Vec<String>,
}

impl Group {
    fn read(shown: &Value) -> Self {
        let rules = |place: &str| items(shown, place).iter().map(Rule::of_group).collect();
        let hangs = ["/properties/networkInterfaces", "/properties/subnets"];
        let hangs = hangs.into_iter().flat_map(|place| items(shown, place));
        Self {
            id: text(shown, "/id").to_owned(),
            rules: rules("/properties/securityRules"),
            defaults: rules("/properties/defaultSecurityRules"),
            hangs_on: hangs.map(|one| text(one, "/id").to_owned()).collect(),
        }
    }

    /// Whether packets to this interface pass it.
    pub(super) fn is_before(&self, interface: &Interface) -> bool {
        self.hangs_on
            .iter()
            .any(|on| same(on, &interface.id) || interface.subnets.iter().any(|subnet| same(on, subnet)))
    }

    /// All of its rules, as they are set; what service tags stand for is not told here.
    pub(super) fn as_set(&self) -> Vec<Rule> {
        self.rules.iter().chain(&self.defaults).cloned().collect()
    }
}

impl Connected {
    /// The interfaces of a machine.
    pub(super) async fn interfaces(&self, vm: &str) -> Result<Vec<Interface>, Error> {
        let doing = "reading the virtual machine";
        let path = format!("{vm}?api-version={COMPUTE}");
        let machine = self.client.get(Api::Arm, &path, doing).await?;
        let machine = machine.map_err(|refusal| refusal.error(doing))?.body;
        let mut interfaces = Vec::new();
        for one in items(&machine, "/properties/networkProfile/networkInterfaces") {
            let doing = "reading the network interface";
            let path = format!("{}?api-version={NETWORK}", text(one, "/id"));
            let shown = self.client.get(Api::Arm, &path, doing).await?;
            let shown = shown.map_err(|refusal| refusal.error(doing))?.body;
            interfaces.push(Interface::read(text(one, "/id"), &shown));
        }
        if interfaces.is_empty() {
            return Err(odd(doing, "names no network interface"));
        }
        Ok(interfaces)
    }

    /// All groups of these subscriptions.
    pub(super) async fn groups_in(&self, subscriptions: &BTreeSet<String>) -> Result<Vec<Group>, Error> {
        let mut groups = Vec::new();
        for subscription in subscriptions {
            let path = format!(
                "{subscription}/providers/Microsoft.Network/networkSecurityGroups?api-version={NETWORK}"
            );
            let doing = "reading the network security groups";
            let all = self.client.list(Api::Arm, &path, doing).await?;
            groups.extend(all.iter().map(Group::read));
        }
        Ok(groups)
    }

    /// One group, as it is now.
    pub(super) async fn group(&self, id: &str) -> Result<Group, Error> {
        let doing = "reading the network security group";
        let path = format!("{id}?api-version={NETWORK}");
        let shown = self.client.get(Api::Arm, &path, doing).await?;
        Ok(Group::read(&shown.map_err(|refusal| refusal.error(doing))?.body))
    }

    /// The rules that packets to an interface meet, group by group. `None` where Azure does not tell them: it does so only for machines
    /// that run ("Diagnose a virtual machine network traffic filter problem" at Microsoft Learn).
    pub(super) async fn effective(&self, interface: &Interface) -> Result<Option<Vec<Vec<Rule>>>, Error> {
        let doing = "reading the effective rules";
        let path = format!(
            "{}/effectiveNetworkSecurityGroups?api-version={NETWORK}",
            interface.id
        );
        let asked = self
            .client
            .call(Api::Arm, Method::POST, &path, None, doing)
            .await?;
        let mut answer = match asked {
            Ok(answer) => answer,
            Err(refusal) if matches!(refusal.status, 400 | 409) && refusal.code.contains("NotAttached") => {
                return Ok(None);
            }
            Err(refusal) => return Err(refusal.error(doing)),
        };
        for _ in 0..LOOKS {
            if answer.status != 202 {
                return Ok(Some(read_effective(&answer.body)));
            }
            let Some(location) = answer.location.clone() else {
                return Err(odd(doing, "does not say where the result will be"));
            };
            let next = self.client.get(Api::Arm, &location, doing).await?;
            answer = next.map_err(|refusal| refusal.error(doing))?;
            if answer.status == 202 {
                answer.location = answer.location.or(Some(location));
                pause(BETWEEN).await;
            }
        }
        Err(Error::new(Fault::Unavailable, format!("{doing}: no result yet")))
    }
}

fn read_effective(body: &Value) -> Vec<Vec<Rule>> {
    let groups = items(body, "/value").iter();
    groups
        .map(|group| {
            let rules = items(group, "/effectiveSecurityRules").iter();
            rules.map(Rule::effective).collect()
        })
        .collect()
}

/// What lies behind each group: the addresses of the interfaces that it is before, of one family.
pub(super) fn behind<'g>(
    groups: &'g [Group],
    interfaces: &[Interface],
    source: IpAddr,
) -> BTreeMap<&'g str, Vec<String>> {
    let mut behind = BTreeMap::new();
    for group in groups {
        let addresses = interfaces
            .iter()
            .filter(|interface| group.is_before(interface))
            .flat_map(|interface| &interface.addresses)
            .filter(|address| address.is_ipv4() == source.is_ipv4());
        let addresses: BTreeSet<_> = addresses.map(IpAddr::to_string).collect();
        if !addresses.is_empty() {
            behind.insert(group.id.as_str(), addresses.into_iter().collect());
        }
    }
    behind
}
