//! The inventory of a real server: who has what there without Daypass, and what a policy could name.

use std::collections::BTreeSet;

use daypass_providers::inventory::{Fit, Page, Standing, SubjectKind};
use daypass_providers::postgres::Postgres as PostgresKind;
use daypass_providers::{Kind, Provider};
use serde_json::json;

use super::{Here, connect};
use crate::stand::Stand;

/// Everything that a survey tells, and how many pages that took.
async fn all(provider: &dyn Provider) -> (Page, usize) {
    let (mut whole, mut from, mut pages) = (Page::default(), None, 0);
    loop {
        let page = provider.survey(from).await.unwrap().expect("PostgreSQL tells");
        pages += 1;
        whole.standing.extend(page.standing);
        whole.found.extend(page.found);
        whole.untold.extend(page.untold);
        (whole.done, whole.of) = (page.done, page.of);
        from = page.next;
        if from.is_none() {
            return (whole, pages);
        }
    }
}

/// What somebody has, in words.
fn of(page: &Page, who: &str) -> BTreeSet<String> {
    let theirs = page.standing.iter().filter(|one| one.subject.id == who);
    theirs.map(words).collect()
}

fn words(one: &Standing) -> String {
    let by = one.by.as_ref().map_or(String::new(), |by| format!(" by {by}"));
    format!("{} on {}{by}", one.right, one.on)
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[tokio::test]
async fn it_tells_who_has_what_where_and_by_what_and_changes_nothing() {
    let here = Here::start().await;
    let people = "CREATE ROLE bob LOGIN; GRANT app_writer TO bob;
                  CREATE ROLE eve LOGIN VALID UNTIL '2097-01-01T00:00:00Z'; GRANT app_admin TO eve;
                  CREATE ROLE joe LOGIN; GRANT SELECT ON invoices TO joe;
                  CREATE ROLE lil LOGIN; GRANT pg_monitor TO lil;
                  CREATE ROLE max SUPERUSER LOGIN;
                  CREATE ROLE nix LOGIN;
                  CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader;
                  CREATE TABLE own (id int); ALTER TABLE own OWNER TO joe";
    here.sql("orders", people).await;
    here.sql("postgres", "CREATE DATABASE closed OWNER nix").await;
    here.sql("postgres", "REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
        .await;
    let ours = here.case(1, json!({"member_of": ["app_reader"]}));
    ours.provision().await;
    let before = here.everything_else().await;
    let (page, pages) = all(here.provider().as_ref()).await;
    assert_eq!(here.everything_else().await, before, "a survey changes nothing");
    assert_eq!((pages, Some(page.done)), (1, page.of));

    assert_eq!(
        of(&page, "bob"),
        set(&["member of app_writer on database orders"])
    );
    assert_eq!(
        of(&page, "eve"),
        set(&[
            "member of app_admin on database orders",
            "member of app_writer, and may make others members of it on database orders by app_admin",
        ])
    );
    let joe = "owner of 1 thing, and privileges of its own on 1 thing on database orders";
    // The owner of a table has its row type too, which the catalog does not count.
    assert_eq!(of(&page, "joe"), set(&[joe]));
    assert!(of(&page, "lil").contains("member of pg_monitor on the whole server"));
    assert!(of(&page, "max").contains("superuser: may do everything on the whole server"));
    assert_eq!(of(&page, "nix"), set(&["owner on database closed"]));
    let everywhere =
        ["closed", "orders", "postgres"].map(|on| format!("member of pg_read_all_data on database {on}"));
    assert_eq!(of(&page, "reader"), everywhere.into_iter().collect());
    assert_eq!(
        of(&page, "PUBLIC"),
        set(&[
            "may connect on database orders",
            "may connect on database postgres"
        ])
    );
    assert_eq!(
        of(&page, &ours.role),
        BTreeSet::new(),
        "what Daypass made is not standing"
    );
    assert!(
        page.standing
            .iter()
            .all(|one| one.last_used.is_none() || one.subject.id != "bob")
    );
    let eve = page.standing.iter().find(|one| one.subject.id == "eve").unwrap();
    assert_eq!(eve.until, Some("2097-01-01T00:00:00Z".parse().unwrap()));
    let daypass = page
        .standing
        .iter()
        .find(|one| one.subject.id == "daypass")
        .unwrap();
    assert_eq!(daypass.subject.kind, SubjectKind::Program);

    // To another installation it is as foreign as anything.
    let (page, _) = all(here.other_installation().as_ref()).await;
    assert_eq!(
        of(&page, &ours.role),
        set(&["member of app_reader on database orders"])
    );
}

#[tokio::test]
async fn what_it_offers_instead_can_be_provisioned_and_is_recognised() {
    let here = Here::start().await;
    here.sql(
        "orders",
        "CREATE ROLE bob LOGIN; GRANT app_writer TO bob; GRANT app_admin TO bob",
    )
    .await;
    let (page, _) = all(here.provider().as_ref()).await;
    let find = |right: &str| {
        let found = page
            .standing
            .iter()
            .find(|one| one.subject.id == "bob" && one.right == right);
        found.unwrap().offer.clone()
    };
    let offer = find("member of app_writer").unwrap();
    let kind = PostgresKind;
    assert_eq!(kind.check_resource(&offer.resource), Ok(()));
    assert_eq!(kind.check_role(&offer.role), Ok(()));
    assert!(kind.is_place(
        &json!({"database": "orders", "on_owned": "drop"}),
        &offer.resource
    ));
    assert!(!kind.is_place(&json!({"database": "postgres"}), &offer.resource));
    let fits = |role| kind.fits(&role, &offer.role);
    assert_eq!(
        fits(json!({"member_of": ["app_writer"], "connection_limit": 3})),
        Some(Fit::Same)
    );
    assert_eq!(
        fits(json!({"member_of": ["app_reader", "app_writer"]})),
        Some(Fit::More)
    );
    assert_eq!(fits(json!({"member_of": ["app_reader"]})), None);
    here.case_with(2, offer.resource, offer.role).provision().await;
    assert_eq!(
        find("member of app_admin"),
        None,
        "what is refused when it is provisioned is not offered"
    );

    let orders = page
        .found
        .iter()
        .find(|found| found.name.as_str() == "orders")
        .unwrap();
    let roles: Vec<_> = orders.roles.iter().map(|(name, _)| name.as_str()).collect();
    assert!(
        roles.contains(&"app_reader") && roles.contains(&"app_writer"),
        "{roles:?}"
    );
    assert!(
        !roles.contains(&"app_admin") && !roles.contains(&"bob"),
        "{roles:?}"
    );
    for found in &page.found {
        assert_eq!(kind.check_resource(&found.resource), Ok(()));
        assert!(!found.roles.is_empty(), "{found:?}");
        assert!(
            found
                .roles
                .iter()
                .all(|(_, role)| kind.check_role(role) == Ok(()))
        );
    }
}

#[tokio::test]
async fn many_logins_come_in_pages_each_once_and_what_is_taken_away_is_gone() {
    let here = Here::start().await;
    let many = "DO $$ BEGIN FOR i IN 1..450 LOOP EXECUTE format('CREATE ROLE u%s LOGIN IN ROLE app_reader', i); END LOOP; END $$";
    here.sql("orders", many).await;
    let provider = here.provider();
    let (page, pages) = all(provider.as_ref()).await;
    assert!(pages >= 3, "{pages}");
    assert_eq!(Some(page.done), page.of);
    let theirs: Vec<_> = page
        .standing
        .iter()
        .filter(|one| one.right == "member of app_reader")
        .map(|one| one.subject.id.clone())
        .collect();
    assert_eq!(
        (theirs.len(), theirs.iter().collect::<BTreeSet<_>>().len()),
        (450, 450)
    );
    here.sql("orders", "REVOKE app_reader FROM u7").await;
    let (page, _) = all(provider.as_ref()).await;
    assert_eq!(of(&page, "u7"), set(&["may log in on the whole server"]));
}

#[tokio::test]
async fn who_is_connected_uses_what_they_have_and_a_hostile_name_stays_one_name() {
    let here = Here::start().await;
    let make = "CREATE ROLE \"a\u{1b}[31m\u{202e}; DROP TABLE orders\" LOGIN IN ROLE app_reader;
                CREATE ROLE bob LOGIN PASSWORD 'pw' IN ROLE app_reader";
    here.sql("orders", make).await;
    let provider = here.provider();
    let before = here.now().await;
    let session = connect(here.port, "bob", "pw", "orders").await.unwrap();
    let (page, _) = all(provider.as_ref()).await;
    let bob = page.standing.iter().find(|one| one.subject.id == "bob").unwrap();
    assert!(bob.last_used.is_some_and(|at| at >= before), "{bob:?}");
    let odd = page
        .standing
        .iter()
        .find(|one| one.subject.id.starts_with("a\u{1b}"))
        .unwrap();
    assert_eq!(odd.subject.name, "a [31m ; DROP TABLE orders");
    assert_eq!(odd.last_used, None);
    drop(session);
}
