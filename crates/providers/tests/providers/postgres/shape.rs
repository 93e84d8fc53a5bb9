//! What a role of ours looks like, and what is refused before there is one.

use daypass_core::entitlement::Fault;
use daypass_providers::postgres::Postgres as PostgresKind;
use daypass_providers::{Inspection, Kind, SecretUse};
use daypass_testbed::Postgres;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{Here, login};

#[tokio::test]
async fn a_role_can_do_what_it_says_and_nothing_else() {
    let here = Here::start().await;
    let case = here.case(1, json!({"member_of": ["app_reader"], "connection_limit": 2}));
    case.provision().await;
    let attributes = "SELECT concat_ws(' ', rolcanlogin, rolinherit, rolsuper, rolcreatedb, rolcreaterole, rolreplication, \
                      rolbypassrls, rolconnlimit, rolvaliduntil) FROM pg_roles WHERE rolname";
    let attributes = here
        .ask("postgres", &format!("{attributes} = '{}'", case.role))
        .await;
    assert_eq!(
        attributes.as_deref(),
        Some("t t f f f f f 2 2099-01-01 00:00:00+00")
    );
    let password = format!(
        "SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = '{}'",
        case.role
    );
    assert_eq!(
        here.ask("postgres", &password).await.as_deref(),
        Some("true"),
        "no password until it is asked for"
    );
    let comment = format!("SELECT shobj_description('{}'::regrole, 'pg_authid')", case.role);
    let comment: Value = serde_json::from_str(&here.ask("postgres", &comment).await.unwrap()).unwrap();
    let expected = json!({"daypass": 1, "installation": "this", "connector": "pg-main", "key": case.key, "holder": "ana"});
    assert_eq!(comment, expected);

    let holder = case.login().await;
    let _second = case.login().await;
    let third = case.provider.credential(&case.key, &case.spec).await.unwrap();
    assert!(login(&third).await.is_err(), "two connections, and no third");
    holder.batch_execute("SELECT * FROM orders").await.unwrap();
    for forbidden in [
        "INSERT INTO orders VALUES (2, '')",
        "SELECT * FROM invoices",
        "CREATE TABLE mine ()",
        "CREATE ROLE friend",
        "CREATE DATABASE mine",
        &format!("GRANT app_reader TO {}", "app_login"),
        &format!("GRANT {} TO app_login", case.role),
        &format!("COMMENT ON ROLE {} IS NULL", case.role),
        &format!("ALTER ROLE {} VALID UNTIL 'infinity'", case.role),
        "SELECT * FROM pg_authid",
        "SET ROLE app_writer",
        "SET SESSION AUTHORIZATION app_reader",
    ] {
        assert!(holder.batch_execute(forbidden).await.is_err(), "{forbidden}");
    }
}

#[tokio::test]
async fn privileges_are_granted_one_by_one_and_taken_back() {
    let here = Here::start().await;
    let grants = json!({"grants": [
        {"on": "schema", "schema": "public", "privileges": ["usage"]},
        {"on": "table", "name": "invoices", "privileges": ["select"]},
    ]});
    let case = here.case(1, grants);
    case.provision().await;
    case.provision().await;
    let holder = case.login().await;
    holder.batch_execute("SELECT * FROM invoices").await.unwrap();
    assert!(holder.batch_execute("DELETE FROM invoices").await.is_err());
    assert!(holder.batch_execute("SELECT * FROM orders").await.is_err());

    let (_, without) =
        crate::stand::spec_of(&here, 1, (json!({"database": "orders"}), json!({"grants": []})));
    case.provider
        .provision(&case.key, &without, "ana", super::far())
        .await
        .unwrap();
    assert!(
        holder.batch_execute("SELECT * FROM invoices").await.is_err(),
        "what the spec no longer says"
    );
    case.provision().await;
    case.revoke().await;
    case.assert_gone().await;
    assert!(!here.exists(&case.role).await);
}

#[tokio::test]
async fn what_the_admin_may_not_grant_is_an_error_and_leaves_no_role() {
    let here = Here::start().await;
    let table = |name: &str, privilege: &str| json!({"grants": [{"on": "table", "name": name, "privileges": [privilege]}]});
    for (role, fault) in [
        (table("invoices", "delete"), Fault::Denied),
        (table("orders", "select"), Fault::Denied),
        (table("nothing", "select"), Fault::NotFound),
        (json!({"member_of": ["nobody_of_this_name"]}), Fault::NotFound),
        (json!({"member_of": ["postgres"]}), Fault::Denied),
        (
            json!({"member_of": ["app_reader", "nobody_of_this_name"]}),
            Fault::NotFound,
        ),
    ] {
        let case = here.case(1, role.clone());
        assert_eq!(case.try_provision().await.unwrap_err().fault, fault, "{role}");
        assert!(!here.exists(&case.role).await, "{role}: all or nothing");
    }
    let elsewhere = here.case_with(
        1,
        json!({"database": "nowhere"}),
        json!({"member_of": ["app_reader"]}),
    );
    assert_eq!(
        elsewhere.try_provision().await.unwrap_err().fault,
        Fault::NotFound
    );
}

#[tokio::test]
async fn a_closed_database_needs_connect() {
    let here = Here::start().await;
    here.sql("orders", "REVOKE CONNECT ON DATABASE orders FROM PUBLIC")
        .await;
    here.sql("orders", &super::documented("setup-connect")).await;
    let case = here.case(1, json!({"member_of": ["app_reader"]}));
    let refused = case.try_provision().await.unwrap_err();
    assert_eq!(refused.fault, Fault::Misconfigured);
    assert!(refused.detail.contains("privileges: [connect]"), "{refused}");
    let connect = json!({"on": "database", "privileges": ["connect"]});
    let case = here.case(1, json!({"member_of": ["app_reader"], "grants": [connect]}));
    case.provision().await;
    case.login()
        .await
        .batch_execute("SELECT * FROM orders")
        .await
        .unwrap();
    case.revoke().await;
    case.assert_gone().await;
}

#[tokio::test]
async fn power_that_could_not_be_taken_back_is_refused() {
    let here = Here::start().await;
    let modern = here.major().await >= 16;
    let refused = |role: Value| {
        let case = here.case(1, role);
        async move {
            let error = case.try_provision().await.unwrap_err();
            assert_eq!(error.fault, Fault::Misconfigured, "{error}");
            assert!(error.detail.contains("could not be taken back"), "{error}");
        }
    };
    refused(json!({"member_of": ["app_login"], "set_role": true})).await;
    refused(json!({"member_of": ["app_admin"]})).await;
    if modern {
        // Inherited, but nobody can become it: its password is safe.
        let case = here.case(2, json!({"member_of": ["app_login"]}));
        case.provision().await;
        assert!(
            case.login()
                .await
                .batch_execute("SET ROLE app_login")
                .await
                .is_err()
        );
    } else {
        refused(json!({"member_of": ["app_login"]})).await;
    }
    // By a detour that the role's name does not show.
    here.sql("postgres", "GRANT pg_read_server_files TO app_reader")
        .await;
    refused(json!({"member_of": ["app_reader"]})).await;
    here.sql(
        "postgres",
        "REVOKE pg_read_server_files FROM app_reader; GRANT postgres TO app_reader",
    )
    .await;
    refused(json!({"member_of": ["app_reader"]})).await;
    here.sql(
        "postgres",
        "REVOKE postgres FROM app_reader; ALTER ROLE app_writer CREATEROLE",
    )
    .await;
    refused(json!({"member_of": ["app_writer"], "set_role": true})).await;
}

#[tokio::test]
async fn set_role_is_as_configured() {
    let here = Here::start().await;
    for set_role in [true, false] {
        let case = here.case(1, json!({"member_of": ["app_writer"], "set_role": set_role}));
        case.provision().await;
        let became = case
            .login()
            .await
            .batch_execute("SET ROLE app_writer")
            .await
            .is_ok();
        assert_eq!(became, set_role || here.major().await < 16);
        case.revoke().await;
    }
}

#[tokio::test]
async fn names_with_quotes_and_letters_of_any_kind_work() {
    let here = Here::start().await;
    here.sql("postgres", "CREATE DATABASE \"wéird \"\"'; --\"").await;
    let resource = json!({"database": "wéird \"'; --"});
    let case = here.case_with(1, resource, json!({"member_of": ["Stra\"nge é"]}));
    case.provision().await;
    let database: String = case
        .login()
        .await
        .query_one("SELECT current_database()::text", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(database, "wéird \"'; --");
    case.login()
        .await
        .batch_execute("CREATE TEMP TABLE mine ()")
        .await
        .unwrap();
    case.revoke().await;
    case.assert_gone().await;
}

#[tokio::test]
async fn a_hand_that_adds_or_removes_is_seen() {
    let here = Here::start().await;
    let case = here.case(1, json!({"member_of": ["app_reader"]}));
    case.provision().await;
    here.sql("postgres", &format!("GRANT app_writer TO {}", case.role))
        .await;
    match case.inspect().await {
        Inspection::Present { residue, .. } => assert_eq!(residue.len(), 1, "{residue:?}"),
        other => panic!("{other:?}"),
    }
    here.sql(
        "postgres",
        &format!("ALTER ROLE {} VALID UNTIL 'infinity'", case.role),
    )
    .await;
    assert!(matches!(
        case.inspect().await,
        Inspection::Present { until: None, .. }
    ));
    case.revoke().await;
    case.assert_gone().await;
    case.provision().await;
    here.sql("postgres", &format!("DROP ROLE {}", case.role)).await;
    case.assert_gone().await;
}

#[tokio::test]
async fn no_password_reaches_the_servers_log() {
    let options = Postgres::options()
        .setting("log_statement", "all")
        .setting("log_connections", "on");
    let here = Here::with(options).await;
    let case = here.case(1, json!({"member_of": ["app_reader"]}));
    case.provision().await;
    let credential = case.provider.credential(&case.key, &case.spec).await.unwrap();
    case.provider.rotate_admin().await.unwrap();
    case.revoke().await;
    let log = here.cluster(|cluster| cluster.log()).unwrap();
    assert!(
        log.contains("PASSWORD 'SCRAM-SHA-256$4096:"),
        "the log does hold statements"
    );
    assert!(!log.contains(credential.secret.expose_secret()));
    assert!(!log.contains(&here.secrets.0.lock().unwrap().value));
}

/// What a check of a configuration finds: `pointer: message`, one a line.
fn found(checked: Result<(), Vec<daypass_providers::ConfigProblem>>) -> String {
    let problems = checked.err().unwrap_or_default();
    let lines: Vec<_> = problems
        .iter()
        .map(|problem| format!("{}: {}", problem.pointer, problem.message))
        .collect();
    lines.join("\n")
}

#[test]
fn a_connectors_configuration_is_checked_key_by_key() {
    let connector = |value: Value| found(PostgresKind.check_connector(&value));
    let admin = json!({"user": "daypass", "password": {"secret": "x"}});
    assert_eq!(connector(json!({"host": "db", "admin": admin})), "");
    assert_eq!(
        connector(json!({"hots": "db", "port": 0, "admin": {"user": "x".repeat(64), "password": "hunter2"}})),
        "/hots: there is no key \"hots\"; did you mean host?\n\
         : the key host is missing\n\
         /port: port must be a number from 1 to 65535\n\
         /admin/user: a name has at most 63 bytes in PostgreSQL; this one has 64\n\
         /admin/password: a policy holds no secrets: write {secret: NAME} and bind the name in server.yaml"
    );
    assert_eq!(
        connector(json!(7)),
        ": this must be a mapping with the keys host, port, admin, database"
    );
    let uses = PostgresKind.secrets(&json!({"host": "db", "admin": admin}));
    assert_eq!(
        uses,
        [SecretUse {
            name: "x".into(),
            host: "db".into(),
            port: 5432
        }]
    );
    let secrets = std::sync::Arc::new(super::Held(std::sync::Mutex::default()));
    let connected = PostgresKind.connect(&"pg".parse().unwrap(), &json!({"host": "db"}), secrets, "this");
    assert!(connected.is_err_and(|error| error.fault == Fault::Misconfigured));
}

#[test]
fn a_resources_and_a_roles_configuration_is_checked_key_by_key() {
    let resource = |value: Value| found(PostgresKind.check_resource(&value));
    for good in [
        json!("keep"),
        json!("drop"),
        json!({"reassign_to": "app_owner"}),
        json!(null),
    ] {
        assert_eq!(resource(json!({"database": "orders", "on_owned": good})), "");
    }
    assert_eq!(
        resource(json!({"database": "é".repeat(32), "on_owned": "burn"})),
        "/database: a name has at most 63 bytes in PostgreSQL; this one has 64\n\
         /on_owned: on_owned is keep, drop or {reassign_to: ROLE}"
    );
    let role = |value: Value| found(PostgresKind.check_role(&value));
    assert_eq!(role(json!({"member_of": ["app_reader"]})), "");
    assert_eq!(
        role(json!({})),
        ": say what the role gives: member_of, grants or both"
    );
    assert_eq!(
        role(
            json!({"member_off": [], "member_of": ["pg_execute_server_program", "daypass_g0", 7, ""], "set_role": "no"})
        ),
        "/member_off: there is no key \"member_off\"; did you mean member_of?\n\
         /member_of/0: pg_execute_server_program reaches the server's own files and programs: access through it could not be \
         taken back\n\
         /member_of/1: daypass_g0 is a role that Daypass makes for one grant\n\
         /member_of/2: a role is named by text\n\
         /member_of/3: a name must not be empty\n\
         /set_role: set_role is true or false"
    );
    assert_eq!(
        role(json!({"grants": [
            {"on": "tabel", "privileges": ["select"]},
            {"on": "table", "privileges": ["selct", "trigger"]},
            {"on": "schema", "name": "x", "privileges": []},
        ]})),
        "/grants/0/on: there is no thing to grant on \"tabel\"; did you mean table?\n\
         /grants/1: the key name is missing\n\
         /grants/1/privileges/0: there is no privilege here \"selct\"; did you mean select?\n\
         /grants/1/privileges/1: trigger is not granted: a trigger runs its author's code with the rights of everybody who \
         writes to the table\n\
         /grants/2/name: a grant on schema takes no name\n\
         /grants/2: the key schema is missing\n\
         /grants/2/privileges: name privileges: usage, create"
    );
}
