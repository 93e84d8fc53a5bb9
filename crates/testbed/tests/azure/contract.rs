//! What the stand-in answers is as the official descriptions say, and what is not is found.

use daypass_testbed::azure::Exchange;
use daypass_testbed::azure::contract::{Verdict, check};
use serde_json::{Value, json};

use crate::client::{Bed, gives, opens};

const NAMES: [&str; 2] = [
    "11111111-1111-4111-8111-111111111111",
    "22222222-2222-4222-8222-222222222222",
];

/// What is asked, one after the other.
type Calls = Vec<(&'static str, String, Option<Value>)>;

#[tokio::test]
async fn every_answer_about_roles_is_as_described() {
    let bed = Bed::owner();
    let ana = bed.azure.user("ana@example.com");
    let vm = bed.azure.vm(&bed.s, "web", "web-1", "10.0.0.4");
    let group = bed.azure.resource_group(&bed.s, "web");
    let above = bed.azure.management_group("all", &[&bed.s]);
    bed.azure.assign(&bed.us.object, "Owner", &above);
    let gives = || Some(gives(&ana, "acdd72a7-3385-48ef-bd42-f606fba81ae7"));
    let within = |scope: &str| format!("{scope}/providers/Microsoft.Authorization");
    let at = |scope: &str| {
        format!(
            "{}/roleAssignments/{}?api-version=2022-04-01",
            within(scope),
            NAMES[0]
        )
    };
    let list = |scope: &str| format!("{}/roleAssignments?api-version=2022-04-01", within(scope));
    let definition = format!(
        "{}/roleDefinitions/{}?api-version=2022-04-01",
        within(&group),
        NAMES[0]
    );
    let custom = json!({"properties": {
        "roleName": "Daypass", "assignableScopes": [group], "permissions": [{"actions": ["*/read"]}],
    }});
    let mut calls: Calls = Vec::new();
    for scope in [&group, &vm, &above] {
        calls.push(("PUT", at(scope), gives()));
        calls.push(("PUT", at(scope), gives()));
        calls.push(("GET", at(scope), None));
        calls.push(("GET", list(scope), None));
        calls.push(("DELETE", at(scope), None));
        calls.push(("DELETE", at(scope), None));
        calls.push(("GET", at(scope), None));
    }
    calls.extend([
        ("GET", format!("{}&$filter=atScope()", list(&group)), None),
        ("GET", list(&bed.sub()), None),
        ("PUT", definition.clone(), Some(custom)),
        ("GET", definition.clone(), None),
        (
            "GET",
            format!("{}/roleDefinitions?api-version=2022-04-01", within(&group)),
            None,
        ),
        ("DELETE", definition, None),
    ]);
    holds(&bed, calls).await;
}

#[tokio::test]
async fn every_answer_about_networks_is_as_described() {
    let bed = Bed::owner();
    let vm = bed.azure.vm(&bed.s, "web", "web-1", "10.0.0.4");
    let nsg = bed.azure.nsg_of(&vm);
    bed.azure
        .nsg_at_subnet(&bed.s, "web", &bed.azure.nsg(&bed.s, "web", "subnet-nsg"));
    let version = "api-version=2023-09-01";
    let networks = format!("{}/resourceGroups/web/providers/Microsoft.Network", bed.sub());
    let rule = format!("{nsg}/securityRules/one?{version}");
    let nic = format!("{networks}/networkInterfaces/web-1-nic");
    let calls = vec![
        ("PUT", rule.clone(), Some(opens(200, "198.51.100.7"))),
        ("PUT", rule.clone(), Some(opens(4097, "198.51.100.7"))),
        ("GET", rule.clone(), None),
        ("GET", format!("{nsg}?{version}"), None),
        ("GET", format!("{nsg}/securityRules?{version}"), None),
        (
            "GET",
            format!(
                "{}/providers/Microsoft.Network/networkSecurityGroups?{version}",
                bed.sub()
            ),
            None,
        ),
        ("GET", format!("{nic}?{version}"), None),
        ("GET", format!("{networks}/networkInterfaces?{version}"), None),
        ("GET", format!("{networks}/virtualNetworks/net?{version}"), None),
        (
            "GET",
            format!("{networks}/virtualNetworks/net/subnets/default?{version}"),
            None,
        ),
        (
            "POST",
            format!("{nic}/effectiveNetworkSecurityGroups?{version}"),
            None,
        ),
        ("DELETE", rule.clone(), None),
        ("DELETE", rule, None),
    ];
    holds(&bed, calls).await;
}

#[tokio::test]
async fn every_answer_of_pim_and_defender_is_as_described() {
    let bed = Bed::owner();
    let ana = bed.azure.user("ana@example.com");
    let vm = bed.azure.vm(&bed.s, "web", "web-1", "10.0.0.4");
    let group = bed.azure.resource_group(&bed.s, "web");
    bed.azure.make_eligible(&ana, "Contributor", &group, None);
    let auth = format!("{group}/providers/Microsoft.Authorization");
    let asks = |kind: &str| {
        json!({"properties": {
            "principalId": ana, "roleDefinitionId": format!("{auth}/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"),
            "requestType": kind, "justification": "daypass 7",
            "ticketInfo": {"ticketNumber": "CHG-1", "ticketSystem": "desk"},
            "scheduleInfo": {
                "startDateTime": bed.azure.now().to_string(),
                "expiration": {"type": "AfterDuration", "duration": "PT2H"},
            },
        }})
    };
    let request = |name: &str| format!("{auth}/roleAssignmentScheduleRequests/{name}?api-version=2020-10-01");
    let list = |kind: &str| format!("{auth}/{kind}?api-version=2020-10-01");
    let policy =
        format!("{group}/providers/Microsoft.Security/locations/westeurope/jitNetworkAccessPolicies/default");
    let ends = (bed.azure.now() + jiff::SignedDuration::from_mins(60)).to_string();
    let jit = json!({"kind": "Basic", "properties": {"virtualMachines": [{"id": vm, "ports": [{
        "number": 22, "protocol": "TCP", "allowedSourceAddressPrefix": "*", "maxRequestAccessDuration": "PT3H",
    }]}]}});
    let initiate = json!({"justification": "daypass 7", "virtualMachines": [{"id": vm, "ports": [{
        "number": 22, "endTimeUtc": ends, "allowedSourceAddressPrefix": "198.51.100.7",
    }]}]});
    let calls = vec![
        ("PUT", request(NAMES[0]), Some(asks("AdminAssign"))),
        ("GET", request(NAMES[0]), None),
        ("GET", list("roleAssignmentScheduleRequests"), None),
        ("GET", list("roleAssignmentSchedules"), None),
        ("GET", list("roleAssignmentScheduleInstances"), None),
        ("GET", list("roleEligibilitySchedules"), None),
        ("GET", list("roleEligibilityScheduleInstances"), None),
        ("GET", list("roleManagementPolicyAssignments"), None),
        ("GET", list("roleManagementPolicies"), None),
        ("PUT", request(NAMES[1]), Some(asks("AdminRemove"))),
        ("PUT", format!("{policy}?api-version=2020-01-01"), Some(jit)),
        (
            "POST",
            format!("{policy}/initiate?api-version=2020-01-01"),
            Some(initiate),
        ),
        ("GET", format!("{policy}?api-version=2020-01-01"), None),
        (
            "GET",
            format!(
                "{}/providers/Microsoft.Security/jitNetworkAccessPolicies?api-version=2020-01-01",
                bed.sub()
            ),
            None,
        ),
        ("DELETE", format!("{policy}?api-version=2020-01-01"), None),
    ];
    holds(&bed, calls).await;
}

#[tokio::test]
async fn every_answer_of_graph_is_as_declared() {
    let bed = Bed::new();
    bed.azure.consent(
        &bed.us.object,
        &["Directory.Read.All", "GroupMember.ReadWrite.All"],
    );
    let (ana, bo, team) = (
        bed.azure.user("ana@example.com"),
        bed.azure.user("bo@example.com"),
        bed.azure.group("team"),
    );
    bed.azure.add_member(&team, &bo);
    let refers = json!({"@odata.id": format!("https://graph.microsoft.com/v1.0/directoryObjects/{ana}")});
    let us = &bed.us.object;
    let calls = vec![
        ("GET", "/groups".to_owned(), None),
        ("GET", format!("/groups/{team}"), None),
        ("GET", format!("/groups/{team}/members"), None),
        ("POST", format!("/groups/{team}/members/$ref"), Some(refers)),
        ("DELETE", format!("/groups/{team}/members/{ana}/$ref"), None),
        ("DELETE", format!("/groups/{team}/members/{ana}/$ref"), None),
        ("GET", format!("/users/{ana}"), None),
        ("GET", format!("/servicePrincipals/{us}"), None),
        ("GET", format!("/servicePrincipals/{us}/appRoleAssignments"), None),
        ("GET", "/servicePrincipals".to_owned(), None),
        (
            "GET",
            "/servicePrincipals(appId='00000003-0000-0000-c000-000000000000')".to_owned(),
            None,
        ),
        (
            "POST",
            "/directoryObjects/getByIds".to_owned(),
            Some(json!({"ids": [ana, team]})),
        ),
    ];
    graph_holds(&bed, calls).await;
}

#[tokio::test]
async fn every_answer_of_pim_for_groups_is_as_declared() {
    let bed = Bed::new();
    bed.azure
        .consent(&bed.us.object, &["PrivilegedAccess.ReadWrite.AzureADGroup"]);
    let (ana, bo, team) = (
        bed.azure.user("ana@example.com"),
        bed.azure.user("bo@example.com"),
        bed.azure.group("team"),
    );
    bed.azure.make_eligible_member(&bo, &team, None);
    let pim = "/identityGovernance/privilegedAccess/group";
    let of_team = format!("$filter=groupId%20eq%20'{team}'");
    let ends = bed.azure.now() + jiff::SignedDuration::from_hours(2);
    let asks = |action: &str| {
        Some(json!({
            "action": action, "accessId": "member", "groupId": team, "principalId": ana, "justification": "daypass 7",
            "scheduleInfo": {
                "startDateTime": bed.azure.now().to_string(),
                "expiration": {"type": "afterDateTime", "endDateTime": ends.to_string()},
            },
            "ticketInfo": {"ticketNumber": "CHG-1", "ticketSystem": "desk"},
        }))
    };
    let mut calls = vec![(
        "POST",
        format!("{pim}/assignmentScheduleRequests"),
        asks("adminAssign"),
    )];
    for list in [
        "assignmentScheduleRequests",
        "assignmentSchedules",
        "assignmentScheduleInstances",
        "eligibilitySchedules",
        "eligibilityScheduleInstances",
    ] {
        calls.push(("GET", format!("{pim}/{list}?{of_team}"), None));
    }
    calls.push((
        "POST",
        format!("{pim}/assignmentScheduleRequests"),
        asks("adminRemove"),
    ));
    graph_holds(&bed, calls).await;
}

/// As [`holds`], of Graph.
async fn graph_holds(bed: &Bed, calls: Calls) {
    let count = calls.len();
    for (method, path, body) in calls {
        let got = bed.graph(method, &path, body.as_ref()).await;
        assert!(
            ![400, 401, 403, 500].contains(&got.status),
            "{method} {path}: {got:?}"
        );
    }
    right(bed, count);
}

/// All of it was held against a description and found right; or it was said aloud that nothing was.
async fn holds(bed: &Bed, calls: Calls) {
    let count = calls.len();
    for (method, path, body) in calls {
        let got = bed.arm(method, &path, body.as_ref()).await;
        assert!(![401, 403, 500].contains(&got.status), "{method} {path}: {got:?}");
    }
    right(bed, count);
}

/// What was asked so far is as described.
fn right(bed: &Bed, count: usize) {
    match bed.azure.check_contract().unwrap() {
        Verdict::NotTested(_) => {}
        Verdict::Tested { held, wrong, .. } => {
            assert!(wrong.is_empty(), "{wrong:#?}");
            assert_eq!(held, count);
        }
    }
}

#[test]
fn what_is_not_as_described_is_found() {
    let path = format!(
        "/subscriptions/s/providers/Microsoft.Authorization/roleAssignments/{}",
        NAMES[0]
    );
    let exchange = Exchange {
        method: "PUT".into(),
        target: format!("{path}?api-version=2022-04-01"),
        request_headers: Vec::new(),
        request: json!({"properties": {"principalId": 5, "roleDefinitionId": "x"}}),
        status: 201,
        headers: Vec::new(),
        response: Some(json!({"id": 7, "properties": {"principalId": "x", "roleDefinitionId": "x"}})),
        struck: false,
    };
    let unheard = Exchange {
        status: 0,
        ..exchange.clone()
    };
    let graph = Exchange {
        target: "/v1.0/users/x".into(),
        ..exchange.clone()
    };
    let machine = Exchange {
        target: "/subscriptions/s/providers/Microsoft.Compute/virtualMachines?api-version=2024-03-01".into(),
        ..exchange.clone()
    };
    let pim = "/v1.0/identityGovernance/privilegedAccess/group/assignmentScheduleRequests";
    let pim = Exchange {
        method: "POST".into(),
        target: pim.into(),
        request: json!({"accessId": "membr", "scheduleInfo": {"expiration": {"duration": "PT1H", "until": "x"}}}),
        response: Some(json!({"id": "x", "createdDateTime": "today"})),
        ..exchange.clone()
    };
    let Verdict::Tested { held, without, wrong } = check(&[exchange, unheard, graph, machine, pim]).unwrap()
    else {
        return;
    };
    assert_eq!((held, without), (3, 2));
    let sides: Vec<_> = wrong.iter().map(|one| one.side.as_str()).collect();
    let expected = [
        "request", "response", "response", "response", "request", "request", "response",
    ];
    assert_eq!(sides, expected, "{wrong:#?}");
}
