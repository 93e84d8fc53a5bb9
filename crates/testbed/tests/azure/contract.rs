//! What the stand-in answers is as the official descriptions say, and what is not is found.

use daypass_testbed::azure::Exchange;
use daypass_testbed::azure::contract::{Verdict, check};
use serde_json::json;

use crate::client::{Bed, gives, opens};

const NAMES: [&str; 2] = [
    "11111111-1111-4111-8111-111111111111",
    "22222222-2222-4222-8222-222222222222",
];

#[tokio::test]
async fn every_answer_is_as_described() {
    let bed = Bed::owner();
    let ana = bed.azure.user("ana@example.com");
    let vm = bed.azure.vm(&bed.s, "web", "web-1", "10.0.0.4");
    let nsg = bed.azure.nsg_of(&vm);
    bed.azure
        .nsg_at_subnet(&bed.s, "web", &bed.azure.nsg(&bed.s, "web", "subnet-nsg"));
    let group = bed.azure.resource_group(&bed.s, "web");
    let role = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
    let auth = format!("{group}/providers/Microsoft.Authorization");
    let one = format!("{auth}/roleAssignments/{}?api-version=2022-04-01", NAMES[0]);
    let definition = format!("{auth}/roleDefinitions/{}?api-version=2022-04-01", NAMES[0]);
    let custom = json!({"properties": {
        "roleName": "Daypass", "assignableScopes": [group], "permissions": [{"actions": ["*/read"]}],
    }});
    let rule = format!("{nsg}/securityRules/one?api-version=2023-09-01");
    let nic = format!("{group}/providers/Microsoft.Network/networkInterfaces/web-1-nic");
    let calls = [
        ("PUT", one.clone(), Some(gives(&ana, role))),
        ("PUT", one.clone(), Some(gives(&ana, role))),
        ("GET", one.clone(), None),
        (
            "GET",
            format!("{auth}/roleAssignments?api-version=2022-04-01&$filter=atScope()"),
            None,
        ),
        (
            "GET",
            format!(
                "{}/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01",
                bed.sub()
            ),
            None,
        ),
        ("DELETE", one.clone(), None),
        ("DELETE", one.clone(), None),
        ("GET", one, None),
        ("PUT", definition.clone(), Some(custom)),
        (
            "GET",
            format!("{auth}/roleDefinitions?api-version=2022-04-01"),
            None,
        ),
        ("DELETE", definition, None),
        ("PUT", rule.clone(), Some(opens(200, "198.51.100.7"))),
        ("PUT", rule.clone(), Some(opens(4097, "198.51.100.7"))),
        ("GET", rule.clone(), None),
        ("GET", format!("{nsg}?api-version=2023-09-01"), None),
        ("GET", format!("{nsg}/securityRules?api-version=2023-09-01"), None),
        (
            "GET",
            format!(
                "{}/providers/Microsoft.Network/networkSecurityGroups?api-version=2023-09-01",
                bed.sub()
            ),
            None,
        ),
        ("GET", format!("{nic}?api-version=2023-09-01"), None),
        (
            "POST",
            format!("{nic}/effectiveNetworkSecurityGroups?api-version=2023-09-01"),
            None,
        ),
        ("DELETE", rule.clone(), None),
        ("DELETE", rule, None),
    ];
    for (method, path, body) in calls {
        bed.arm(method, &path, body.as_ref()).await;
    }
    holds(&bed, 21);
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
    let calls = [
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
    for (method, path, body) in calls {
        bed.arm(method, &path, body.as_ref()).await;
    }
    holds(&bed, 15);
}

/// All of it was held against a description and found right; or it was said aloud that nothing was.
#[track_caller]
fn holds(bed: &Bed, calls: usize) {
    match bed.azure.check_contract().unwrap() {
        Verdict::NotTested(_) => {}
        Verdict::Tested { held, wrong, .. } => {
            assert!(wrong.is_empty(), "{wrong:#?}");
            assert_eq!(held, calls);
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
    let Verdict::Tested { held, without, wrong } = check(&[exchange, unheard, graph]).unwrap() else {
        return;
    };
    assert_eq!((held, without), (1, 2));
    let sides: Vec<_> = wrong.iter().map(|one| one.side.as_str()).collect();
    assert_eq!(sides, ["request", "response"], "{wrong:#?}");
}
