//! Groups of Entra by Graph.

use serde_json::{Value, json};

use crate::client::Bed;

fn refers(id: &str) -> Value {
    json!({"@odata.id": format!("https://graph.microsoft.com/v1.0/directoryObjects/{id}")})
}

#[tokio::test]
async fn a_member_is_added_once_and_removed_once() {
    let bed = Bed::new();
    let (team, ana) = (bed.azure.group("team"), bed.azure.user("ana@example.com"));
    let add = format!("/groups/{team}/members/$ref");
    let remove = format!("/groups/{team}/members/{ana}/$ref");
    let refused = bed.graph("POST", &add, Some(&refers(&ana))).await;
    assert_eq!(
        (refused.status, refused.code()),
        (403, "Authorization_RequestDenied")
    );
    bed.azure.consent(&bed.us.object, &["GroupMember.ReadWrite.All"]);
    assert_eq!(bed.graph("POST", &add, Some(&refers(&ana))).await.status, 204);
    let again = bed.graph("POST", &add, Some(&refers(&ana))).await;
    assert_eq!(again.status, 400);
    assert!(
        again.body["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with("One or more added object references already exist")
    );
    assert_eq!(bed.azure.members(&team), std::slice::from_ref(&ana));
    assert_eq!(bed.graph("DELETE", &remove, None).await.status, 204);
    assert_eq!(bed.graph("DELETE", &remove, None).await.status, 404);
    let nobody = bed
        .graph(
            "POST",
            &add,
            Some(&refers("00000000-0000-4000-8000-000000000000")),
        )
        .await;
    assert_eq!((nobody.status, nobody.code()), (404, "Request_ResourceNotFound"));
}

#[tokio::test]
async fn who_owns_a_group_changes_it_and_a_role_assignable_one_wants_more() {
    let bed = Bed::new();
    let (team, admins, ana) = (
        bed.azure.group("team"),
        bed.azure.role_assignable_group("admins"),
        bed.azure.user("ana@example.com"),
    );
    bed.azure.add_owner(&team, &bed.us.object);
    let add = async |group: &str| {
        bed.graph(
            "POST",
            &format!("/groups/{group}/members/$ref"),
            Some(&refers(&ana)),
        )
        .await
        .status
    };
    assert_eq!(add(&team).await, 204);
    bed.azure.consent(&bed.us.object, &["GroupMember.ReadWrite.All"]);
    assert_eq!(add(&admins).await, 403);
    bed.azure
        .consent(&bed.us.object, &["RoleManagement.ReadWrite.Directory"]);
    assert_eq!(add(&admins).await, 204);
}

#[tokio::test]
async fn members_are_listed_page_by_page_with_what_was_selected() {
    let bed = Bed::new();
    bed.azure.consent(&bed.us.object, &["GroupMember.Read.All"]);
    let (team, inner) = (bed.azure.group("team"), bed.azure.group("inner"));
    for number in 0..5 {
        bed.azure
            .add_member(&team, &bed.azure.user(&format!("person{number}@example.com")));
    }
    bed.azure.add_member(&team, &inner);
    let ana = bed.azure.user("ana@example.com");
    bed.azure.add_member(&inner, &ana);
    let mut next = format!("/groups/{team}/members?$select=id&$top=4");
    let mut seen = Vec::new();
    while !next.is_empty() {
        let page = bed.graph("GET", &next, None).await;
        seen.extend(page.body["value"].as_array().unwrap().clone());
        next = page.body["@odata.nextLink"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
    }
    assert_eq!(seen.len(), 6);
    assert!(
        seen.iter()
            .all(|one| one["id"].is_string() && one.get("displayName").is_none())
    );
    let all = bed
        .graph("GET", &format!("/groups/{team}/transitiveMembers"), None)
        .await;
    let ids: Vec<_> = all.body["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert_eq!((ids.len(), ids.contains(&ana.as_str())), (7, true));
}

#[tokio::test]
async fn objects_are_looked_up_one_by_one_many_at_once_and_in_batches() {
    let bed = Bed::new();
    let (team, ana) = (bed.azure.group("team"), bed.azure.user("ana@example.com"));
    assert_eq!(bed.graph("GET", &format!("/users/{ana}"), None).await.status, 403);
    bed.azure.consent(&bed.us.object, &["Directory.Read.All"]);
    let user = bed.graph("GET", "/users/ana@example.com?$select=id", None).await;
    assert_eq!(user.body["id"], ana.as_str());
    let own = format!("/servicePrincipals/{}/appRoleAssignments", bed.us.object);
    let own = bed.graph("GET", &own, None).await;
    let graph = bed
        .graph(
            "GET",
            "/servicePrincipals(appId='00000003-0000-0000-c000-000000000000')",
            None,
        )
        .await;
    let roles = graph.body["appRoles"].as_array().unwrap();
    let held = roles
        .iter()
        .find(|role| role["id"] == own.body["value"][0]["appRoleId"])
        .unwrap();
    assert_eq!(held["value"], "Directory.Read.All");
    assert_eq!(graph.body["id"], own.body["value"][0]["resourceId"]);
    let listed = format!("/servicePrincipals?$filter=appId%20eq%20'{}'", bed.us.client);
    assert_eq!(
        bed.graph("GET", &listed, None).await.body["value"][0]["id"],
        bed.us.object.as_str()
    );
    let many = bed
        .graph(
            "POST",
            "/directoryObjects/getByIds",
            Some(&json!({"ids": [ana, team, "x"]})),
        )
        .await;
    let kinds: Vec<_> = many.body["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["@odata.type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["#microsoft.graph.user", "#microsoft.graph.group"]);
    let batch = json!({"requests": [
        {"id": "1", "method": "GET", "url": format!("/users/{ana}")},
        {"id": "2", "method": "GET", "url": "/users/nobody"},
    ]});
    let batch = bed.graph("POST", "/$batch", Some(&batch)).await;
    assert_eq!(
        batch.body["responses"][0]["body"]["userPrincipalName"],
        "ana@example.com"
    );
    assert_eq!(batch.body["responses"][1]["status"], 404);
}
