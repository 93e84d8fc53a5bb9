//! Role definitions and assignments, and who may do what.

use daypass_testbed::azure::{Fault, Times};
use serde_json::json;

use crate::client::{Bed, gives};

const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
const CONTRIBUTOR: &str = "b24988ac-6180-42a0-ab88-20f7382dd24c";
const ONE: &str = "11111111-1111-4111-8111-111111111111";
const TWO: &str = "22222222-2222-4222-8222-222222222222";

fn at(scope: &str, name: &str) -> String {
    format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}?api-version=2022-04-01")
}

#[tokio::test]
async fn an_assignment_is_made_once_shown_and_taken_away() {
    let bed = Bed::owner();
    let ana = bed.azure.user("ana@example.com");
    let group = bed.azure.resource_group(&bed.s, "web");
    let mut body = gives(&ana, READER);
    body["properties"]["description"] = "daypass".into();
    let first = bed.arm("PUT", &at(&group, ONE), Some(&body)).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(first.body["properties"]["principalType"], "User");
    assert_eq!(bed.arm("PUT", &at(&group, ONE), Some(&body)).await.status, 200);
    let other = bed.arm("PUT", &at(&group, TWO), Some(&body)).await;
    assert_eq!((other.status, other.code()), (409, "RoleAssignmentExists"));
    let changed = bed
        .arm("PUT", &at(&group, ONE), Some(&gives(&ana, CONTRIBUTOR)))
        .await;
    assert_eq!(changed.code(), "RoleAssignmentUpdateNotPermitted");
    let shown = bed.arm("GET", &at(&group, ONE), None).await;
    assert_eq!(shown.body["properties"]["description"], "daypass");
    let [found] = bed.azure.assignments(&group).try_into().unwrap();
    assert_eq!(
        (found.principal.as_str(), found.role.as_str()),
        (ana.as_str(), "Reader")
    );
    assert_eq!(bed.arm("DELETE", &at(&group, ONE), None).await.status, 200);
    assert_eq!(bed.arm("DELETE", &at(&group, ONE), None).await.status, 204);
    assert_eq!(bed.arm("GET", &at(&group, ONE), None).await.status, 404);
}

#[tokio::test]
async fn what_is_not_there_cannot_be_assigned() {
    let bed = Bed::owner();
    let ana = bed.azure.user("ana@example.com");
    let nobody = bed
        .arm("PUT", &at(&bed.sub(), ONE), Some(&gives(TWO, READER)))
        .await;
    assert_eq!((nobody.status, nobody.code()), (400, "PrincipalNotFound"));
    let nothing = bed
        .arm("PUT", &at(&bed.sub(), ONE), Some(&gives(&ana, TWO)))
        .await;
    assert_eq!(
        (nothing.status, nothing.code()),
        (400, "RoleDefinitionDoesNotExist")
    );
    let name = bed
        .arm("PUT", &at(&bed.sub(), "ana"), Some(&gives(&ana, READER)))
        .await;
    assert_eq!(name.code(), "InvalidRoleAssignmentId");
}

#[tokio::test]
async fn a_list_has_what_holds_at_its_scope_and_goes_on_page_by_page() {
    let bed = Bed::owner();
    let group = bed.azure.resource_group(&bed.s, "web");
    let team = bed.azure.group("team");
    let mut people = Vec::new();
    for number in 0..5 {
        let person = bed.azure.user(&format!("person{number}@example.com"));
        bed.azure.assign(&person, "Reader", &group);
        people.push(person);
    }
    bed.azure.add_member(&team, &people[0]);
    bed.azure.assign(&team, "Contributor", &bed.sub());
    bed.azure.page_size(2);
    let list = format!("{group}/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01");
    let mut next = list.clone();
    let mut seen = Vec::new();
    while !next.is_empty() {
        let page = bed.arm("GET", &next, None).await;
        let value = page.body["value"].as_array().unwrap().clone();
        assert!(value.len() <= 2);
        seen.extend(value);
        next = page.body["nextLink"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!(seen.len(), 7, "five here, the team's and our own from above");
    bed.azure.page_size(100);
    let count = async |filter: &str| {
        let got = bed.arm("GET", &format!("{list}&$filter={filter}"), None).await;
        got.body["value"].as_array().map(Vec::len)
    };
    assert_eq!(
        count(&format!("principalId%20eq%20'{}'", people[0])).await,
        Some(1)
    );
    assert_eq!(count(&format!("assignedTo('{}')", people[0])).await, Some(2));
    assert_eq!(count("atScope()").await, Some(7));
    assert_eq!(count("other%20eq%20'x'").await, None);
}

#[tokio::test]
async fn a_role_opens_what_it_says_where_it_is_assigned_and_no_more() {
    let bed = Bed::new();
    let (web, db) = (
        bed.azure.resource_group(&bed.s, "web"),
        bed.azure.resource_group(&bed.s, "db"),
    );
    let ana = bed.azure.user("ana@example.com");
    let body = gives(&ana, READER);
    let refused = bed.arm("PUT", &at(&web, ONE), Some(&body)).await;
    assert_eq!((refused.status, refused.code()), (403, "AuthorizationFailed"));
    let words = refused.body["error"]["message"].as_str().unwrap();
    assert!(
        words.contains("'Microsoft.Authorization/roleAssignments/write' over scope"),
        "{words}"
    );
    let role = bed.azure.role(
        "Giver",
        &["Microsoft.Authorization/roleAssignments/write"],
        &["/"],
    );
    let given = bed.azure.assign(&bed.us.object, &role, &web);
    assert_eq!(bed.arm("PUT", &at(&web, ONE), Some(&body)).await.status, 201);
    assert_eq!(bed.arm("PUT", &at(&db, TWO), Some(&body)).await.status, 403);
    assert_eq!(bed.arm("DELETE", &at(&web, ONE), None).await.status, 403);
    assert!(bed.azure.unassign(&given));
    assert_eq!(bed.arm("PUT", &at(&web, ONE), Some(&body)).await.status, 403);
    // Through a group, from the management group above; what the role excepts stays shut.
    let team = bed.azure.group("robots");
    bed.azure.add_member(&team, &bed.us.object);
    let above = bed.azure.management_group("all", &[&bed.s]);
    bed.azure.assign(&team, "Contributor", &above);
    assert_eq!(bed.arm("GET", &at(&web, ONE), None).await.status, 200);
    assert_eq!(bed.arm("DELETE", &at(&web, ONE), None).await.status, 403);
}

#[tokio::test]
async fn a_lock_stands_in_the_way_of_a_removal() {
    let bed = Bed::owner();
    let ana = bed.azure.user("ana@example.com");
    let group = bed.azure.resource_group(&bed.s, "web");
    assert_eq!(
        bed.arm("PUT", &at(&group, ONE), Some(&gives(&ana, READER)))
            .await
            .status,
        201
    );
    bed.azure.lock_scope(&group, false);
    let locked = bed.arm("DELETE", &at(&group, ONE), None).await;
    assert_eq!((locked.status, locked.code()), (409, "ScopeLocked"));
    bed.azure.unlock_scope(&group);
    assert_eq!(bed.arm("DELETE", &at(&group, ONE), None).await.status, 200);
    bed.azure.lock_scope(&group, true);
    assert_eq!(
        bed.arm("PUT", &at(&group, ONE), Some(&gives(&ana, READER)))
            .await
            .code(),
        "ScopeLocked"
    );
}

#[tokio::test]
async fn a_custom_role_is_made_found_by_its_name_and_not_deleted_while_it_is_assigned() {
    let bed = Bed::owner();
    let place = |name: &str| {
        format!(
            "{}/providers/Microsoft.Authorization/roleDefinitions{name}",
            bed.sub()
        )
    };
    let one = format!("{}?api-version=2022-04-01", place(&format!("/{ONE}")));
    let body = json!({"properties": {
        "roleName": "Daypass", "assignableScopes": [bed.sub()], "permissions": [{"actions": ["*/read"]}],
    }});
    assert_eq!(bed.arm("PUT", &one, Some(&body)).await.status, 201);
    let list = format!(
        "{}?api-version=2022-04-01&$filter=roleName%20eq%20'Daypass'",
        place("")
    );
    let found = bed.arm("GET", &list, None).await;
    assert_eq!(found.body["value"][0]["name"], ONE);
    let ana = bed.azure.user("ana@example.com");
    let id = bed.azure.assign(&ana, "Daypass", &bed.sub());
    assert_eq!(
        bed.arm("DELETE", &one, None).await.code(),
        "RoleDefinitionHasAssignments"
    );
    bed.azure.unassign(&id);
    assert_eq!(bed.arm("DELETE", &one, None).await.status, 200);
}

#[tokio::test]
async fn faults_strike_as_often_as_they_are_asked_for() {
    let bed = Bed::owner();
    let ana = bed.azure.user("ana@example.com");
    let body = gives(&ana, READER);
    for (fault, status, code) in [
        (Fault::Denied, 403, "AuthorizationFailed"),
        (Fault::Throttled(7), 429, "SubscriptionRequestsThrottled"),
        (Fault::Busy, 429, "RetryableError"),
        (Fault::Conflict, 409, "Conflict"),
        (Fault::Locked, 409, "ScopeLocked"),
        (Fault::Unavailable, 503, "ServiceUnavailable"),
    ] {
        let struck = bed
            .azure
            .fail("PUT", "/roleAssignments/", fault.clone(), Times::Exactly(1));
        let got = bed.arm("PUT", &at(&bed.sub(), ONE), Some(&body)).await;
        assert_eq!((got.status, got.code()), (status, code), "{fault:?}");
        assert_eq!(
            got.header("retry-after"),
            if code == "SubscriptionRequestsThrottled" {
                "7"
            } else {
                ""
            }
        );
        assert_eq!(struck.hits(), 1);
        assert_eq!(
            bed.arm("GET", &at(&bed.sub(), ONE), None).await.status,
            404,
            "{fault:?}"
        );
    }
    let late = bed.azure.fail(
        "PUT",
        "/roleAssignments/",
        Fault::ErrorAfterTheEffect,
        Times::Exactly(1),
    );
    assert_eq!(
        bed.arm("PUT", &at(&bed.sub(), ONE), Some(&body)).await.status,
        500
    );
    assert_eq!(bed.arm("GET", &at(&bed.sub(), ONE), None).await.status, 200);
    assert_eq!(late.hits(), 1);
}
