//! What the doctor says of gateways: that there is one where something is reached through one alone, and which of them are there.

use daypass_api::doctor::Check;
use daypass_core::name::Name;
use daypass_engine::Current;
use daypass_policy::{Access, Resource};

use super::through::SSH;
use crate::app::Parts;
use crate::gateway::Front;

const DATABASE: &str = "postgres";

/// All that is to be said of them.
pub(super) fn looked_over(app: &Parts, current: &Current) -> Vec<Check> {
    let Some(front) = &app.gateway else {
        let all: Vec<String> = through(current)
            .map(|resource| resource.name.to_string())
            .collect();
        if all.is_empty() {
            return Vec::new();
        }
        let found = format!("none, and {} are reached through one alone", all.join(", "));
        let advice = "add gateway to server.yaml (docs/gateway.md)";
        return vec![Check::failing("gateway", found, advice)];
    };
    let mut all: Vec<Check> = hosts(front, current).into_iter().collect();
    all.extend(databases(front, current));
    all.extend(apart(front, current));
    all
}

fn through(current: &Current) -> impl Iterator<Item = &Resource> {
    let all = current.policy.resources().iter();
    all.filter(|resource| resource.access == Access::Gateway)
}

/// Something of this kind that is reached through a gateway alone.
fn one<'a>(current: &'a Current, kind: &str) -> Option<&'a Name> {
    let mut all = through(current).filter(|resource| resource.kind.as_str() == kind);
    all.next().map(|resource| &resource.name)
}

fn hosts(front: &Front, current: &Current) -> Option<Check> {
    let Some(entrance) = &front.ssh else {
        return Some(none("ssh", one(current, SSH)?));
    };
    let found = format!(
        "takes clients at {}:{}, which know it by {}",
        entrance.host, entrance.port, entrance.host_key
    );
    Some(Check::good("gateway ssh", found))
}

fn databases(front: &Front, current: &Current) -> Option<Check> {
    let nowhere = front.own.is_none() && front.apart_there().next().is_none();
    one(current, DATABASE)
        .filter(|_| nowhere)
        .map(|resource| none("postgres", resource))
}

fn none(protocol: &str, resource: &Name) -> Check {
    Check::failing(
        format!("gateway {protocol}"),
        format!("none, and {resource} is reached through one alone"),
        format!("add gateway: {{{protocol}: {{listen: …}}}} to server.yaml (docs/gateway.md)"),
    )
}

fn apart(front: &Front, current: &Current) -> Vec<Check> {
    let mut all = Vec::new();
    for (name, is_there) in front.apart_there() {
        let about = format!("gateway {name}");
        all.push(if is_there {
            Check::good(about, "is there, and hears what ends")
        } else {
            let advice =
                "see its log where it runs: daypass gateway --config FILE; nobody gets through it meanwhile";
            Check::failing(about, "is not there", advice)
        });
    }
    let is_host = |name: &Name| {
        let resource = current.policy.resource(name.as_str());
        resource.is_some_and(|resource| resource.kind.as_str() == SSH)
    };
    for (name, resource) in front.apart_serving(is_host) {
        all.push(Check::failing(
            format!("gateway {name}"),
            format!(
                "is to serve {resource}, which is a host: gateways that run apart speak PostgreSQL alone"
            ),
            format!("take {resource} out of gateway.apart in server.yaml"),
        ));
    }
    all
}
