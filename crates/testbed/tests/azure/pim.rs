//! PIM for resources and for groups: access that ends by itself, by the stand-in's clock.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Bed;

const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
const NAMES: [&str; 4] = [
    "11111111-1111-4111-8111-111111111111",
    "22222222-2222-4222-8222-222222222222",
    "33333333-3333-4333-8333-333333333333",
    "44444444-4444-4444-8444-444444444444",
];

fn request(scope: &str, name: &str) -> String {
    format!(
        "{scope}/providers/Microsoft.Authorization/roleAssignmentScheduleRequests/{name}?api-version=2020-10-01"
    )
}

fn list(scope: &str, kind: &str, filter: &str) -> String {
    format!("{scope}/providers/Microsoft.Authorization/{kind}?api-version=2020-10-01&$filter={filter}")
}

fn asks(principal: &str, kind: &str, hours: u32) -> Value {
    json!({"properties": {
        "principalId": principal,
        "roleDefinitionId": format!("/providers/Microsoft.Authorization/roleDefinitions/{READER}"),
        "requestType": kind,
        "justification": "daypass 7",
        "scheduleInfo": {"expiration": {"type": "AfterDuration", "duration": format!("PT{hours}H")}},
    }})
}

#[tokio::test]
async fn an_assignment_begins_is_seen_and_ends_by_itself() {
    let bed = Bed::owner();
    let ana = bed.azure.user("ana@example.com");
    bed.azure.operations_take(Duration::from_secs(60));
    let made = bed
        .arm(
            "PUT",
            &request(&bed.sub(), NAMES[0]),
            Some(&asks(&ana, "AdminAssign", 2)),
        )
        .await;
    assert_eq!(
        (made.status, &made.body["properties"]["status"]),
        (201, &json!("PendingProvisioning"))
    );
    let may = || {
        bed.azure
            .may(&ana, "Microsoft.Compute/virtualMachines/read", &bed.sub())
    };
    let instances = list(
        &bed.sub(),
        "roleAssignmentScheduleInstances",
        &format!("principalId%20eq%20'{ana}'"),
    );
    assert_eq!(bed.arm("GET", &instances, None).await.body["value"], json!([]));
    assert!(!may());
    bed.azure.advance(Duration::from_secs(61));
    assert!(may());
    let seen = bed.arm("GET", &instances, None).await.body["value"][0]["properties"].clone();
    assert_eq!(seen["principalId"], ana.as_str());
    assert!(seen["endDateTime"].is_string());
    let shown = bed.arm("GET", &request(&bed.sub(), NAMES[0]), None).await;
    assert_eq!(shown.body["properties"]["status"], "Provisioned");
    assert_eq!(shown.body["properties"]["justification"], "daypass 7");
    bed.azure.advance(Duration::from_secs(7200));
    assert!(!may());
    assert_eq!(bed.arm("GET", &instances, None).await.body["value"], json!([]));
}

#[tokio::test]
async fn an_assignment_is_made_once_prolonged_and_removed() {
    let bed = Bed::owner();
    let ana = bed.azure.user("ana@example.com");
    let put = async |name: &str, body: Value| {
        let got = bed.arm("PUT", &request(&bed.sub(), name), Some(&body)).await;
        (got.status, got.code().to_owned())
    };
    let fine = (201, String::new());
    assert_eq!(
        put(NAMES[0], asks(&ana, "AdminRemove", 1)).await,
        (400, "RoleAssignmentDoesNotExist".to_owned())
    );
    assert_eq!(put(NAMES[0], asks(&ana, "AdminAssign", 1)).await, fine);
    assert_eq!(
        put(NAMES[1], asks(&ana, "AdminAssign", 1)).await,
        (409, "RoleAssignmentExists".to_owned())
    );
    assert_eq!(put(NAMES[1], asks(&ana, "AdminUpdate", 5)).await, fine);
    bed.azure.advance(Duration::from_secs(2 * 3600));
    assert_eq!(bed.azure.assignments(&bed.sub()).len(), 2, "ours and hers");
    assert_eq!(put(NAMES[2], asks(&ana, "AdminRemove", 1)).await, fine);
    assert_eq!(bed.azure.assignments(&bed.sub()).len(), 1);
    bed.azure.assign(&ana, "Reader", &bed.sub());
    assert_eq!(
        put(NAMES[3], asks(&ana, "AdminAssign", 1)).await.1,
        "RoleAssignmentExists",
        "it stands already"
    );
}

#[tokio::test]
async fn what_the_settings_of_a_role_want_is_shown_and_kept() {
    let bed = Bed::owner();
    let ana = bed.azure.user("ana@example.com");
    bed.azure
        .pim_wants(&bed.sub(), "Reader", Duration::from_secs(4 * 3600), true, true);
    let shown = list(
        &bed.sub(),
        "roleManagementPolicyAssignments",
        &format!("roleDefinitionId%20eq%20'{READER}'"),
    );
    let shown = bed.arm("GET", &shown, None).await.body["value"][0]["properties"]["effectiveRules"].clone();
    assert_eq!(shown[0]["maximumDuration"], "PT4H");
    assert_eq!(shown[1]["enabledRules"], json!(["Justification", "Ticketing"]));
    let mut body = asks(&ana, "AdminAssign", 5);
    body["properties"]["justification"] = "".into();
    let refused = bed.arm("PUT", &request(&bed.sub(), NAMES[0]), Some(&body)).await;
    assert_eq!(
        (refused.status, refused.code()),
        (400, "RoleAssignmentRequestPolicyValidationFailed")
    );
    let words = refused.body["error"]["message"].as_str().unwrap();
    assert!(
        words.ends_with(r#"["ExpirationRule","JustificationRule","TicketingRule"]"#),
        "{words}"
    );
    let mut body = asks(&ana, "AdminAssign", 4);
    body["properties"]["ticketInfo"] = json!({"ticketNumber": "CHG-1", "ticketSystem": "x"});
    assert_eq!(
        bed.arm("PUT", &request(&bed.sub(), NAMES[0]), Some(&body))
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn who_is_eligible_is_told() {
    let bed = Bed::owner();
    let (ana, team) = (bed.azure.user("ana@example.com"), bed.azure.group("team"));
    bed.azure.add_member(&team, &ana);
    let group = bed.azure.resource_group(&bed.s, "web");
    bed.azure.make_eligible(&team, "Contributor", &bed.sub(), None);
    let asked = list(
        &group,
        "roleEligibilityScheduleInstances",
        &format!("assignedTo('{ana}')"),
    );
    let found = bed.arm("GET", &asked, None).await;
    assert_eq!(found.body["value"][0]["properties"]["principalType"], "Group");
    let asked = list(&group, "roleEligibilitySchedules", "atScope()");
    assert_eq!(
        bed.arm("GET", &asked, None).await.body["value"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    bed.azure.make_eligible_member(&ana, &team, None);
    let of_group = format!(
        "/identityGovernance/privilegedAccess/group/eligibilityScheduleInstances?$filter=groupId%20eq%20'{team}'"
    );
    assert_eq!(bed.graph("GET", &of_group, None).await.status, 403);
    bed.azure.consent(
        &bed.us.object,
        &["PrivilegedEligibilitySchedule.Read.AzureADGroup"],
    );
    assert_eq!(
        bed.graph("GET", &of_group, None).await.body["value"][0]["principalId"],
        ana.as_str()
    );
}

#[tokio::test]
async fn a_membership_ends_by_itself_or_by_a_request() {
    let bed = Bed::new();
    let (ana, team) = (bed.azure.user("ana@example.com"), bed.azure.group("team"));
    let at = "/identityGovernance/privilegedAccess/group";
    let body = |action: &str| {
        json!({
            "action": action, "accessId": "member", "groupId": team, "principalId": ana, "justification": "daypass 7",
            "scheduleInfo": {"expiration": {"type": "afterDuration", "duration": "PT2H"}},
        })
    };
    let posts = async |action: &str| {
        let got = bed
            .graph(
                "POST",
                &format!("{at}/assignmentScheduleRequests"),
                Some(&body(action)),
            )
            .await;
        (got.status, got.code().to_owned(), got.body)
    };
    assert_eq!(posts("adminAssign").await.0, 403);
    bed.azure.consent(
        &bed.us.object,
        &["PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup"],
    );
    let (status, _, made) = posts("adminAssign").await;
    assert_eq!((status, &made["status"]), (201, &json!("Provisioned")));
    assert_eq!(bed.azure.members(&team), std::slice::from_ref(&ana));
    assert_eq!(posts("adminAssign").await.1, "RoleAssignmentExists");
    let instances = format!("{at}/assignmentScheduleInstances?$filter=groupId%20eq%20'{team}'");
    assert_eq!(
        bed.graph("GET", &instances, None).await.body["value"][0]["assignmentType"],
        "assigned"
    );
    assert_eq!(
        bed.graph("GET", &format!("{at}/assignmentScheduleInstances"), None)
            .await
            .status,
        400
    );
    let id = made["id"].as_str().unwrap();
    let request = bed
        .graph("GET", &format!("{at}/assignmentScheduleRequests/{id}"), None)
        .await;
    assert_eq!(request.body["justification"], "daypass 7");
    bed.azure.advance(Duration::from_secs(7201));
    assert!(bed.azure.members(&team).is_empty());
    assert_eq!(posts("adminAssign").await.0, 201);
    assert_eq!(posts("adminRemove").await.2["status"], "Revoked");
    assert!(bed.azure.members(&team).is_empty());
    assert_eq!(posts("adminRemove").await.1, "RoleAssignmentDoesNotExist");
}
