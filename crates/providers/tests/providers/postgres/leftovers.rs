//! What a holder leaves: kept, dropped or given to another, and never with more rights than before.

use daypass_providers::Inspection;
use serde_json::{Value, json};

use super::{Case, Here, documented};
use crate::stand::keys;

fn orders(on_owned: Value) -> Value {
    json!({"database": "orders", "on_owned": on_owned})
}

/// A holder who may make things in the schema `public`.
async fn maker(here: &Here, on_owned: Value) -> Case {
    let case = here.case_with(
        1,
        orders(on_owned),
        json!({"member_of": ["app_reader", "app_writer"]}),
    );
    case.provision().await;
    case
}

/// A function that reads with its owner's rights, open to everybody: a back door.
const BACK_DOOR: &str = "
    CREATE TABLE mine (id int);
    CREATE FUNCTION peek() RETURNS bigint SECURITY DEFINER LANGUAGE sql AS 'SELECT count(*) FROM public.orders';
    CREATE VIEW window_on AS SELECT * FROM orders;
    GRANT SELECT ON window_on TO PUBLIC;
";

/// Whether somebody without any rights of their own reads the orders through what was left.
async fn back_door_is_open(here: &Here) -> bool {
    let nobody = here.superuser("orders").await;
    nobody
        .batch_execute("DROP ROLE IF EXISTS nobody_at_all; CREATE ROLE nobody_at_all; SET ROLE nobody_at_all")
        .await
        .unwrap();
    let peeked = nobody.batch_execute("SELECT public.peek()").await.is_ok();
    let seen = nobody
        .batch_execute("SELECT * FROM public.window_on")
        .await
        .is_ok();
    nobody
        .batch_execute("RESET ROLE; DROP ROLE nobody_at_all")
        .await
        .unwrap();
    peeked || seen
}

#[tokio::test]
async fn kept_things_are_residue_without_rights() {
    let here = Here::start().await;
    here.sql("orders", "GRANT USAGE ON SCHEMA public TO PUBLIC").await;
    let case = maker(&here, json!("keep")).await;
    case.login().await.batch_execute(BACK_DOOR).await.unwrap();
    assert!(
        back_door_is_open(&here).await,
        "while the access lasts it does work"
    );
    case.revoke().await;
    let residue = case.residue().await;
    assert_eq!(
        residue.first(),
        Some(&format!("the role {} stays, without login", case.role))
    );
    for thing in [
        "owns function peek() in database orders",
        "owns view window_on in database orders",
        "owns table mine in database orders",
    ] {
        assert!(
            residue.iter().any(|line| line.replace("public.", "") == thing),
            "{thing} in {residue:?}"
        );
    }
    assert_eq!(residue.len(), 4, "{residue:?}");
    assert!(
        !back_door_is_open(&here).await,
        "its owner reads nothing any more"
    );
    assert_eq!(
        keys(&*case.provider).await,
        Ok(Vec::new()),
        "a finished removal is not on the list"
    );
    let held = format!(
        "SELECT count(*) FROM pg_auth_members WHERE roleid = '{0}'::regrole OR member = '{0}'::regrole",
        case.role
    );
    let expected = if here.major().await >= 16 { "1" } else { "0" };
    assert_eq!(
        here.ask("postgres", &held).await.as_deref(),
        Some(expected),
        "but for the maker's own ADMIN from 16 on"
    );

    // Somebody clears up by hand; the next removal finds nothing in its way.
    here.sql(
        "orders",
        "DROP VIEW window_on; DROP FUNCTION peek(); DROP TABLE mine",
    )
    .await;
    case.revoke().await;
    case.assert_gone().await;
}

#[tokio::test]
async fn a_kept_role_that_gets_its_login_back_by_hand_is_seen() {
    let here = Here::start().await;
    let case = maker(&here, json!("keep")).await;
    case.login()
        .await
        .batch_execute("CREATE TABLE mine (id int)")
        .await
        .unwrap();
    case.revoke().await;
    assert_eq!(keys(&*case.provider).await, Ok(Vec::new()));
    here.sql(
        "postgres",
        &format!("ALTER ROLE {} LOGIN PASSWORD 'again'", case.role),
    )
    .await;
    assert_eq!(keys(&*case.provider).await, Ok(vec![case.key.clone()]));
    case.revoke().await;
    assert_eq!(
        keys(&*case.provider).await,
        Ok(Vec::new()),
        "and is taken away again"
    );
}

#[tokio::test]
async fn explicit_privileges_of_a_kept_role_are_taken_back() {
    let here = Here::start().await;
    here.sql(
        "orders",
        "GRANT CREATE ON SCHEMA public TO daypass WITH GRANT OPTION",
    )
    .await;
    let case = here.case(
        1,
        json!({"grants": [
            {"on": "schema", "schema": "public", "privileges": ["usage", "create"]},
            {"on": "table", "name": "invoices", "privileges": ["select"]},
            {"on": "database", "privileges": []},
        ]}),
    );
    assert!(
        case.try_provision().await.is_err(),
        "a grant of nothing is a slip"
    );
    let case = here.case(
        1,
        json!({"grants": [
            {"on": "schema", "schema": "public", "privileges": ["usage", "create"]},
            {"on": "table", "name": "invoices", "privileges": ["select"]},
        ]}),
    );
    case.provision().await;
    case.login()
        .await
        .batch_execute("CREATE TABLE mine ()")
        .await
        .unwrap();
    case.revoke().await;
    let residue = case.residue().await;
    assert_eq!(residue.len(), 2, "the role and its table: {residue:?}");
    let may = format!(
        "SELECT has_table_privilege('{}', 'invoices', 'SELECT')",
        case.role
    );
    assert_eq!(here.ask("orders", &may).await.as_deref(), Some("false"));
}

#[tokio::test]
async fn dropped_things_are_gone() {
    let here = Here::start().await;
    let case = maker(&here, json!("drop")).await;
    case.login().await.batch_execute(BACK_DOOR).await.unwrap();
    case.revoke().await;
    case.assert_gone().await;
    assert!(!here.exists(&case.role).await);
    assert_eq!(here.ask("orders", "SELECT to_regclass('mine')").await, None);
    assert_eq!(
        here.ask("orders", "SELECT what FROM orders").await.as_deref(),
        Some("tea"),
        "others' things stay"
    );
}

#[tokio::test]
async fn what_others_depend_on_is_not_dropped() {
    let here = Here::start().await;
    let case = maker(&here, json!("drop")).await;
    case.login()
        .await
        .batch_execute("CREATE TABLE mine (id int PRIMARY KEY)")
        .await
        .unwrap();
    here.sql("orders", "CREATE TABLE theirs (id int REFERENCES mine)")
        .await;
    case.revoke().await;
    let residue = case.residue().await;
    assert!(
        residue
            .iter()
            .any(|line| line.contains("owns table") && line.contains("mine")),
        "{residue:?}"
    );
    assert_eq!(
        here.ask("orders", "SELECT to_regclass('theirs')::text")
            .await
            .as_deref(),
        Some("theirs")
    );
}

#[tokio::test]
async fn data_is_given_to_the_owner_that_policy_names() {
    let here = Here::start().await;
    here.sql("orders", &documented("setup-reassign")).await;
    let case = maker(&here, json!({"reassign_to": "app_owner"})).await;
    let make = "CREATE TABLE mine (id serial PRIMARY KEY, what text); CREATE TYPE mood AS ENUM ('good'); \
                INSERT INTO mine (what) VALUES ('kept')";
    case.login().await.batch_execute(make).await.unwrap();
    case.revoke().await;
    case.assert_gone().await;
    assert!(!here.exists(&case.role).await);
    let owner = "SELECT relowner::regrole FROM pg_class WHERE relname = 'mine'";
    assert_eq!(here.ask("orders", owner).await.as_deref(), Some("app_owner"));
    assert_eq!(
        here.ask("orders", "SELECT what FROM mine").await.as_deref(),
        Some("kept")
    );
}

#[tokio::test]
async fn code_is_never_given_to_anybody() {
    let here = Here::start().await;
    here.sql("orders", "GRANT USAGE ON SCHEMA public TO PUBLIC").await;
    here.sql("orders", &documented("setup-reassign")).await;
    for code in [
        "CREATE FUNCTION peek() RETURNS bigint SECURITY DEFINER LANGUAGE sql AS 'SELECT count(*) FROM public.orders'",
        "CREATE VIEW window_on AS SELECT * FROM orders; GRANT SELECT ON window_on TO PUBLIC",
        "CREATE MATERIALIZED VIEW frozen AS SELECT * FROM orders",
        "CREATE TABLE ruled (id int); CREATE RULE r AS ON INSERT TO ruled DO ALSO SELECT 1",
        "CREATE TABLE indexed (t text); CREATE INDEX ON indexed (lower(t))",
        "CREATE PROCEDURE run() LANGUAGE sql AS 'DELETE FROM public.orders'",
    ] {
        let case = maker(&here, json!({"reassign_to": "app_owner"})).await;
        case.login()
            .await
            .batch_execute("CREATE TABLE mine ()")
            .await
            .unwrap();
        case.login().await.batch_execute(code).await.unwrap();
        case.revoke().await;
        let residue = case.residue().await;
        assert!(
            residue.len() >= 3,
            "{code}: the role, the table, the code: {residue:?}"
        );
        let owned = format!(
            "SELECT count(*) FROM pg_class WHERE relname = 'mine' AND relowner = '{}'::regrole",
            case.role
        );
        assert_eq!(here.ask("orders", &owned).await.as_deref(), Some("1"), "{code}");
        assert!(!back_door_is_open(&here).await, "{code}");
        here.sql("orders", &format!("DROP OWNED BY {}", case.role)).await;
        case.revoke().await;
        case.assert_gone().await;
    }
}

#[tokio::test]
async fn every_database_is_cleared() {
    let here = Here::start().await;
    here.sql("postgres", "CREATE DATABASE other").await;
    here.sql("other", "GRANT CREATE ON SCHEMA public TO app_writer")
        .await;
    let case = maker(&here, json!("drop")).await;
    let mut credential = case.provider.credential(&case.key, &case.spec).await.unwrap();
    credential.fields.insert("dbname".into(), "other".into());
    let there = super::login(&credential).await.unwrap();
    there
        .batch_execute("CREATE TABLE mine (); ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")
        .await
        .unwrap();
    case.revoke().await;
    case.assert_gone().await;
    assert_eq!(here.ask("other", "SELECT to_regclass('mine')").await, None);
}

#[tokio::test]
async fn a_database_that_lets_nobody_in_does_not_delay_the_end() {
    let here = Here::start().await;
    here.sql("postgres", "CREATE DATABASE other").await;
    here.sql("other", "GRANT CREATE ON SCHEMA public TO app_writer")
        .await;
    let case = maker(&here, json!("drop")).await;
    let mut credential = case.provider.credential(&case.key, &case.spec).await.unwrap();
    credential.fields.insert("dbname".into(), "other".into());
    super::login(&credential)
        .await
        .unwrap()
        .batch_execute("CREATE TABLE mine ()")
        .await
        .unwrap();
    here.sql("postgres", "REVOKE CONNECT ON DATABASE other FROM PUBLIC")
        .await;
    case.revoke().await;
    let residue = case.residue().await;
    assert!(
        residue.contains(&"owns 1 things and is named in 0 in database other".to_owned()),
        "{residue:?}"
    );
}

#[tokio::test]
async fn what_a_dba_granted_by_hand_stays_as_residue() {
    let here = Here::start().await;
    let case = here.case(1, json!({"member_of": ["app_reader"]}));
    case.provision().await;
    here.sql("orders", "CREATE TABLE secrets ()").await;
    here.sql("orders", &format!("GRANT SELECT ON secrets TO {}", case.role))
        .await;
    case.revoke().await;
    let residue = case.residue().await;
    assert!(
        residue
            .iter()
            .any(|line| line.contains("is named in the privileges of table")),
        "{residue:?}"
    );
}

#[tokio::test]
async fn members_that_others_added_go() {
    let here = Here::start().await;
    let case = maker(&here, json!("keep")).await;
    case.login()
        .await
        .batch_execute("CREATE TABLE mine ()")
        .await
        .unwrap();
    here.sql("postgres", &format!("GRANT {} TO app_login", case.role))
        .await;
    case.revoke().await;
    let residue = case.residue().await;
    let members = format!(
        "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = 'app_login' AND m.roleid = '{}'::regrole",
        case.role
    );
    let left = here.ask("postgres", &members).await.unwrap();
    // From 16 on only who granted a membership may end it; then it is told.
    assert!(
        left == "0" || residue.contains(&"app_login is a member of it".to_owned()),
        "{left} {residue:?}"
    );
}

#[tokio::test]
async fn a_role_that_was_left_can_be_used_again() {
    let here = Here::start().await;
    let case = maker(&here, json!("keep")).await;
    case.login()
        .await
        .batch_execute("CREATE TABLE mine ()")
        .await
        .unwrap();
    case.revoke().await;
    case.provision().await;
    assert_eq!(keys(&*case.provider).await, Ok(vec![case.key.clone()]));
    case.login()
        .await
        .batch_execute("SELECT * FROM mine, orders")
        .await
        .unwrap();
    match case.inspect().await {
        Inspection::Present { until, residue } => {
            assert_eq!(
                (until, residue),
                (
                    Some(super::far()),
                    vec!["owns 1 things in database orders".to_owned()]
                )
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn without_a_spec_nothing_is_dropped_or_given_away() {
    let here = Here::start().await;
    let case = maker(&here, json!("drop")).await;
    case.login()
        .await
        .batch_execute("CREATE TABLE mine ()")
        .await
        .unwrap();
    case.provider.revoke(&case.key, None).await.unwrap();
    assert_eq!(case.residue().await.len(), 2);
    assert_eq!(
        here.ask("orders", "SELECT to_regclass('mine')::text")
            .await
            .as_deref(),
        Some("mine")
    );
    case.revoke().await;
    case.assert_gone().await;
}
