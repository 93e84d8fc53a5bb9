//! What stands in a tenant without Daypass: roles, groups, and what a policy could name.

use std::sync::Arc;
use std::time::Duration;

use daypass_core::entitlement::Fault as Said;
use daypass_core::time::Span;
use daypass_providers::azure::{AzureGroup, AzureRole, AzureVm};
use daypass_providers::inventory::{Cursor, Found, Page, Standing, SubjectKind};
use daypass_providers::{Kind, Provider};
use daypass_testbed::azure::{Fault, Times};
use serde_json::json;

use super::bench::{Bench, One, address, as_described, give};
use super::rights::actions_of;

/// A tenant whose survey may read everything.
pub(super) fn tenant() -> Bench {
    let bench = Bench::new();
    bench.azure.consent(&bench.us.object, &["Directory.Read.All"]);
    bench
}

fn kind_of(name: &str) -> &'static dyn Kind {
    let all: [&dyn Kind; 3] = [&AzureVm, &AzureRole, &AzureGroup];
    all.into_iter().find(|kind| kind.name() == name).unwrap()
}

/// Holds what a page offers against the kinds that are to take it.
fn is_valid(page: &Page) {
    for offer in page.standing.iter().filter_map(|one| one.offer.as_ref()) {
        let kind = kind_of(offer.kind);
        assert_eq!(kind.check_resource(&offer.resource), Ok(()), "{offer:?}");
        assert_eq!(kind.check_role(&offer.role), Ok(()), "{offer:?}");
        assert!(
            kind.is_place(&offer.resource, &offer.resource) && kind.fits(&offer.role, &offer.role).is_some()
        );
    }
    for found in &page.found {
        let kind = kind_of(found.kind);
        assert_eq!(kind.check_resource(&found.resource), Ok(()), "{found:?}");
        assert!(!found.roles.is_empty(), "{found:?}");
        for (_, role) in &found.roles {
            assert_eq!(kind.check_role(role), Ok(()), "{found:?}");
        }
    }
}

/// All pages of a survey as one, and how many they were.
pub(super) async fn whole(provider: &dyn Provider) -> (Page, usize) {
    let (mut all, mut pages, mut next): (Page, usize, Option<Cursor>) = (Page::default(), 0, None);
    loop {
        let page = provider.survey(next.clone()).await.unwrap().unwrap();
        is_valid(&page);
        pages += 1;
        assert!(
            pages < 50 && (page.next.is_none() || page.next != next),
            "it goes on for ever"
        );
        assert!(page.done >= all.done);
        all.standing.extend(page.standing);
        all.found.extend(page.found);
        all.untold.extend(page.untold);
        (all.done, all.of, next) = (page.done, page.of, page.next);
        if next.is_none() {
            assert_eq!(Some(all.done), all.of);
            return (all, pages);
        }
    }
}

pub(super) async fn surveyed(bench: &Bench) -> Page {
    whole(&*bench.connect("this")).await.0
}

/// `who: right on [by]`, without Daypass's own, which is the program `daypass`.
pub(super) fn lines(page: &Page) -> Vec<String> {
    let line = |one: &Standing| {
        let by = one.by.as_deref().map(|by| format!(" [{by}]")).unwrap_or_default();
        format!("{}: {} {}{by}", one.subject.name, one.right, one.on)
    };
    let others = page.standing.iter().filter(|one| one.subject.name != "daypass");
    let mut all: Vec<_> = others.map(line).collect();
    all.sort();
    all
}

fn of<'p>(page: &'p Page, right: &str) -> &'p Standing {
    let mut all = page.standing.iter().filter(|one| one.right == right);
    let one = all
        .next()
        .unwrap_or_else(|| panic!("nobody has {right}: {:?}", lines(page)));
    assert!(all.next().is_none(), "more than one has {right}");
    one
}

#[tokio::test]
async fn who_has_which_role_is_told_with_where_it_comes_from() {
    let bench = tenant();
    let (sub, web) = (
        bench.scope(),
        bench.azure.resource_group(&bench.subscription, "web"),
    );
    let above = bench.azure.management_group("corp", &[&bench.subscription]);
    bench.azure.assign(&bench.person(1), "Reader", &web);
    bench
        .azure
        .assign(&bench.person(2), "Network Contributor", &above);
    let bound = bench
        .azure
        .assign(&bench.person(3), "Virtual Machine Contributor", &sub);
    bench
        .azure
        .assign_only_if(&bound, "@Resource[x] StringEquals 'y'");
    let own = bench.azure.role(
        "Restarter",
        &["Microsoft.Compute/virtualMachines/restart/action"],
        &[&sub],
    );
    bench.azure.assign(&bench.person(4), &own, &web);
    let until = bench.azure.now() + Duration::from_secs(3_600);
    bench
        .azure
        .make_eligible(&bench.person(5), "Contributor", &web, Some(until));
    let page = surveyed(&bench).await;
    assert_eq!(
        lines(&page),
        [
            format!("p1@corp.example: Reader {web}"),
            format!("p2@corp.example: Network Contributor {sub} [inherited from {above}]"),
            format!("p3@corp.example: Virtual Machine Contributor, with a condition {sub}"),
            format!("p4@corp.example: Restarter {web}"),
            format!("p5@corp.example: eligible: Contributor {web}"),
        ]
    );
    let offered = |right: &str| {
        let offer = of(&page, right).offer.clone();
        offer.map(|offer| (offer.resource, offer.role))
    };
    assert_eq!(
        offered("Reader"),
        Some((json!({"scope": web}), json!({"role": "Reader"})))
    );
    assert_eq!(
        offered("Restarter"),
        Some((json!({"scope": web}), json!({"role": own})))
    );
    assert_eq!(offered("Virtual Machine Contributor, with a condition"), None);
    assert_eq!(
        of(&page, "eligible: Contributor").until.unwrap().micros(),
        until.as_microsecond()
    );
    let us = of(&page, "Owner");
    assert_eq!(
        (us.subject.kind, &us.offer),
        (SubjectKind::Program, &None),
        "Daypass's own role stands, too"
    );
    assert_eq!(
        (us.subject.id.as_str(), us.subject.name.as_str()),
        (bench.us.object.as_str(), "daypass")
    );
    assert_eq!(page.untold, Vec::<String>::new());
    as_described(&bench);
}

/// Something that is given, each kind of it in the tenant of the first.
fn given(bench: &Bench) -> Vec<(&'static dyn Kind, serde_json::Value, serde_json::Value)> {
    let web = bench.azure.resource_group(&bench.subscription, "web");
    let vm = bench.azure.vm(&bench.subscription, "web", "web-1", "10.0.0.4");
    let group = bench.azure.group("operators");
    bench.azure.assign(&group, "Virtual Machine Contributor", &web);
    vec![
        (&AzureRole, json!({"scope": web}), json!({"role": "Contributor"})),
        (
            &AzureRole,
            json!({"scope": web}),
            json!({"role": "Reader", "pim": true}),
        ),
        (&AzureVm, json!({"vms": [vm]}), json!({"ports": [22]})),
        (&AzureGroup, json!({"group": group}), json!({})),
    ]
}

#[tokio::test]
async fn two_places_or_roles_of_one_name_are_called_differently() {
    let bench = tenant();
    let other = bench.azure.subscription("Other");
    bench
        .azure
        .assign(&bench.us.object, "Owner", &format!("/subscriptions/{other}"));
    let scopes = [&bench.subscription, &other].map(|sub| bench.azure.resource_group(sub, "web"));
    for scope in &scopes {
        let own = bench.azure.role("Restarter", &["*/read"], &[scope]);
        bench.azure.assign(&bench.person(1), &own, scope);
        bench.azure.assign(&bench.person(1), "Reader", scope);
    }
    let page = surveyed(&bench).await;
    let all = page.standing.iter().filter_map(|one| one.offer.as_ref());
    let all: Vec<_> = all.map(|one| one.called.clone()).collect();
    let resources: std::collections::BTreeSet<_> =
        all.iter().map(|(resource, _)| resource.as_str()).collect();
    let roles: std::collections::BTreeSet<_> = all.iter().map(|(_, role)| role.as_str()).collect();
    assert_eq!((all.len(), resources.len(), roles.len()), (4, 2, 3), "{all:?}");
    assert!(roles.contains("reader") && resources.iter().all(|name| name.starts_with("web-")));
}

#[tokio::test]
async fn what_daypass_gave_is_no_standing_access_and_what_another_one_gave_is() {
    for is_ours in [true, false] {
        let bench = tenant();
        let given = given(&bench);
        let before = lines(&surveyed(&bench).await);
        let mut one = One {
            kind: &AzureRole,
            resource: json!({}),
            role: json!({}),
            hostile: Vec::new(),
            by_hand: |_, _| (),
            dump: |_| String::new(),
            bench,
        };
        let maker: Arc<dyn Provider> = one.bench.connect(if is_ours { "this" } else { "other" });
        let until = one.bench.now() + Span::hours(1);
        for (kind, resource, role) in given {
            (one.kind, one.resource, one.role) = (kind, resource, role);
            let (key, spec) = one.placed(1);
            give(&*maker, &key, &spec, until).await;
        }
        let page = surveyed(&one.bench).await;
        if is_ours {
            assert_eq!(lines(&page), before);
            continue;
        }
        let rights = ["Contributor", "Reader", "port 22/tcp open", "member of operators"];
        let ends = rights.map(|right| of(&page, right).until);
        assert_eq!(ends, [None, Some(until), None, None], "PIM tells its limit");
        assert_eq!(of(&page, "port 22/tcp open").subject.id, address(1).to_string());
        as_described(&one.bench);
    }
}

#[tokio::test]
async fn a_survey_changes_nothing_and_tells_who_is_gone_by_the_id() {
    let bench = tenant();
    given(&bench);
    let gone = bench.azure.user("gone@corp.example");
    bench.azure.assign(&gone, "Reader", &bench.scope());
    bench.azure.delete_principal(&gone);
    bench.azure.forget_exchanges();
    let page = surveyed(&bench).await;
    assert_eq!(of(&page, "Reader").subject.name, gone);
    let all = bench.azure.exchanges();
    assert!(all.len() > 10, "{}", all.len());
    for one in all {
        let reads = ["/getByIds", "/oauth2/"]
            .iter()
            .any(|part| one.target.contains(part));
        assert!(one.method == "GET" || reads, "{} {}", one.method, one.target);
    }
    // That something is busy for a while is no reason to begin anew.
    let _struck = bench
        .azure
        .fail("GET", "networkInterfaces", Fault::Busy, Times::Always);
    let provider = bench.connect("this");
    let first = provider.survey(None).await.unwrap().unwrap();
    let busy = provider.survey(first.next).await.unwrap_err();
    assert_eq!(busy.fault, Said::Unavailable, "{busy}");
}

#[tokio::test]
async fn members_of_groups_that_have_roles_are_told_and_those_of_groups_within_them() {
    let bench = tenant();
    let (outer, inner) = (bench.azure.group("outer"), bench.azure.group("inner"));
    let idle = bench.azure.group("idle");
    bench.azure.assign(&outer, "Reader", &bench.scope());
    bench.azure.add_member(&outer, &bench.person(1));
    bench.azure.add_member(&outer, &inner);
    bench.azure.add_member(&inner, &bench.person(2));
    bench.azure.add_member(&inner, &outer);
    bench.azure.add_member(&idle, &bench.person(3));
    let page = surveyed(&bench).await;
    assert_eq!(
        lines(&page),
        [
            format!("inner: member of outer group {outer}"),
            format!("outer: Reader {}", bench.scope()),
            format!("outer: member of inner group {inner}"),
            format!("p1@corp.example: member of outer group {outer}"),
            format!("p2@corp.example: member of inner group {inner}"),
        ]
    );
    let offer = page
        .standing
        .iter()
        .find(|one| one.subject.id == bench.person(1))
        .unwrap();
    assert_eq!(offer.offer.as_ref().unwrap().resource, json!({"group": outer}));
    let groups: Vec<_> = page
        .found
        .iter()
        .filter(|one| one.kind == "azure-group")
        .collect();
    assert_eq!(groups.len(), 2);
    as_described(&bench);
}

#[tokio::test]
async fn what_a_policy_could_name_is_found() {
    let bench = tenant();
    let web = bench.azure.resource_group(&bench.subscription, "web");
    let vm = |name: &str| format!("{web}/providers/Microsoft.Compute/virtualMachines/{name}");
    for (name, system) in [("linux-1", "Linux"), ("win-1", "Windows")] {
        bench.azure.resource(json!({
            "id": vm(name), "name": name, "type": "Microsoft.Compute/virtualMachines", "location": "westeurope",
            "tags": {"env": "prod", "owner": "a b"},
            "properties": {"storageProfile": {"osDisk": {"osType": system}}},
        }));
    }
    let page = surveyed(&bench).await;
    let told = |one: &Found| {
        let roles: Vec<_> = one
            .roles
            .iter()
            .map(|(name, role)| format!("{name}={role}"))
            .collect();
        let labels: Vec<_> = one
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        format!(
            "{} {} {} {}",
            one.kind,
            one.name,
            roles.join(" "),
            labels.join(" ")
        )
    };
    let roles = r#"contributor={"role":"Contributor"}"#;
    let roles = format!(r#"reader={{"role":"Reader"}} {roles}"#);
    assert_eq!(
        page.found.iter().map(told).collect::<Vec<_>>(),
        [
            format!("azure-role production {roles} "),
            format!("azure-role web {roles} "),
            r#"azure-vm linux-1 ssh={"ports":[22]} env=prod"#.to_owned(),
            r#"azure-vm win-1 rdp={"ports":[3389]} env=prod"#.to_owned(),
        ]
    );
    assert_eq!(page.found[2].resource, json!({"vms": [vm("linux-1")]}));
}

#[tokio::test]
async fn a_survey_of_many_pages_tells_each_thing_once_and_goes_on_after_too_many_calls() {
    let bench = tenant();
    let others: Vec<_> = (0..3)
        .map(|n| bench.azure.subscription(&format!("s{n}")))
        .collect();
    let group = bench.azure.group("operators");
    for (sub, n) in others.iter().zip(1..) {
        let scope = format!("/subscriptions/{sub}");
        bench.azure.assign(&bench.us.object, "Reader", &scope);
        for person in 0..5 {
            bench
                .azure
                .assign(&bench.person(n * 5 + person), "Reader", &scope);
        }
        bench.azure.assign(&group, "Reader", &scope);
    }
    for n in 0..7 {
        bench.azure.add_member(&group, &bench.person(n));
    }
    let (at_once, few) = whole(&*bench.connect("this")).await;
    assert_eq!(
        (at_once.of, few),
        (Some(4), 9),
        "two for a subscription, one for groups"
    );
    bench.azure.page_size(2);
    let provider = bench.connect("this");
    let mut rests: Vec<Standing> = Vec::new();
    let mut next = None;
    for path in [
        "roleAssignments",
        "networkSecurityGroups",
        "roleDefinitions",
        "roleEligibility",
        "virtualMachines",
    ] {
        let struck = bench
            .azure
            .fail("GET", path, Fault::Throttled(60), Times::Exactly(1));
        loop {
            match provider.survey(next.clone()).await {
                Ok(page) => {
                    let page = page.unwrap();
                    rests.extend(page.standing);
                    next = page.next;
                    assert!(next.is_some(), "{path} was never asked");
                }
                Err(error) => {
                    assert_eq!(
                        (error.fault, struck.hits()),
                        (Said::RateLimited, 1),
                        "{path}: {error}"
                    );
                    break;
                }
            }
        }
    }
    while let Some(cursor) = next {
        let page = provider.survey(Some(cursor)).await.unwrap().unwrap();
        rests.extend(page.standing);
        next = page.next;
    }
    assert_eq!(rests, at_once.standing);
    as_described(&bench);
}

#[tokio::test]
async fn where_graph_tells_nothing_ids_stand_for_names() {
    let bench = Bench::bare();
    bench.azure.assign(&bench.us.object, "Owner", &bench.scope());
    let group = bench.azure.group("operators");
    bench.azure.assign(&group, "Reader", &bench.scope());
    bench
        .azure
        .assign(&bench.person(1), "Contributor", &bench.scope());
    let page = surveyed(&bench).await;
    assert_eq!(of(&page, "Reader").subject.name, group);
    assert_eq!(of(&page, "Contributor").subject.name, bench.person(1));
    assert_eq!(page.untold.len(), 2, "{:?}", page.untold);
    assert!(
        page.untold[0].contains("names") && page.untold[1].contains("members"),
        "{:?}",
        page.untold
    );
    // It fails for another reason: that is no answer.
    let _struck = bench
        .azure
        .fail("POST", "getByIds", Fault::Unavailable, Times::Always);
    let failed = bench.connect("this").survey(None).await.unwrap_err();
    assert_eq!(failed.fault, Said::Unavailable);
}

#[tokio::test]
async fn a_cursor_that_says_nothing_leads_to_a_new_beginning() {
    let bench = tenant();
    for odd in ["", "{}x", "[]", "5"] {
        let refused = bench.connect("this").survey(Some(Cursor(odd.to_owned()))).await;
        assert_eq!(refused.unwrap_err().fault, Said::Conflict, "{odd}");
    }
}

#[tokio::test]
async fn hostile_names_are_shown_plain() {
    let bench = tenant();
    let bad = "x\u{1b}[2J\u{202e}\n\"; DROP";
    let group = bench.azure.group(bad);
    let role = bench.azure.role(bad, &["*/read"], &[&bench.scope()]);
    bench.azure.assign(&group, &role, &bench.scope());
    bench
        .azure
        .add_member(&group, &bench.azure.user(&format!("{bad}@corp.example")));
    bench.azure.subscription(bad);
    let page = surveyed(&bench).await;
    let plain = |text: &str| !text.contains(['\u{1b}', '\u{202e}', '\n']);
    assert!(page.standing.len() >= 3);
    for one in &page.standing {
        let texts = [&one.subject.name, &one.right, &one.on];
        assert!(texts.into_iter().all(|text| plain(text)), "{one:?}");
    }
    assert!(page.found.iter().all(|one| plain(&one.told)), "{:?}", page.found);
    assert!(
        page.standing
            .iter()
            .any(|one| one.right.starts_with("member of x"))
    );
}

/// A tenant in which Daypass gave a role by PIM while it could, and may do no more than this since.
async fn may_only(actions: &[&str]) -> Bench {
    let bench = Bench::bare();
    let (us, sub) = (bench.us.object.clone(), bench.scope());
    bench.azure.consent(&us, &["Directory.Read.All"]);
    bench.azure.vm(&bench.subscription, "web", "web-1", "10.0.0.4");
    bench.azure.assign(&bench.person(1), "Reader", &sub);
    let owner = bench.azure.assign(&us, "Owner", &sub);
    let one = One {
        kind: &AzureRole,
        resource: json!({"scope": sub}),
        role: json!({"role": "Contributor", "pim": true}),
        hostile: Vec::new(),
        by_hand: |_, _| (),
        dump: |_| String::new(),
        bench,
    };
    let (key, spec) = one.placed(2);
    give(&*one.bench.connect("this"), &key, &spec, one.hour()).await;
    assert!(one.bench.azure.unassign(&owner));
    let daypass = one.bench.azure.role("Daypass surveys", actions, &[&sub]);
    one.bench.azure.assign(&us, &daypass, &sub);
    one.bench
}

#[tokio::test]
async fn what_may_not_be_read_is_said_and_the_rest_is_told() {
    let actions = actions_of("json survey");
    for missing in std::iter::once(None).chain(actions.iter().map(Some)) {
        let rest = actions.iter().filter(|action| Some(*action) != missing);
        let rest: Vec<_> = rest.map(String::as_str).collect();
        let page = surveyed(&may_only(&rest).await).await;
        let ours = page.standing.iter().any(|one| one.right.contains("Contributor"));
        assert!(!ours, "{missing:?}: what Daypass gave never is standing access");
        match missing {
            None => assert_eq!(
                (page.untold.len(), page.standing.len()),
                (0, 2),
                "{:?}",
                page.untold
            ),
            // A list of resource groups has those that one may read, and is never refused.
            Some(action) if action.contains("resourceGroups") => {
                let is_group = |one: &Found| one.told.contains("resource group");
                assert!(!page.found.iter().any(is_group));
            }
            Some(action) => assert!(
                page.untold.iter().any(|told| told.contains(action.as_str())),
                "{action}: {:?}",
                page.untold
            ),
        }
    }
}
