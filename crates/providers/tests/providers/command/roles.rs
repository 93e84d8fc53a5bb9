//! `examples/command/app_roles.py`: roles in an application's own table.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use daypass_core::entitlement::Fault;
use daypass_core::time::{Span, Timestamp};
use daypass_providers::command::Command;
use daypass_providers::{Credential, Kind, Provider};
use rusqlite::{Connection, OptionalExtension as _};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Operator, connect, example, executable, home, program};
use crate::conformance;
use crate::stand::{Ability, Stand, Use, spec_of};

struct Roles {
    database: PathBuf,
    operator: Operator,
    _home: TempDir,
}

/// A statement of the example's own documentation, from its first words to the semicolon.
fn documented(begin: &str) -> String {
    let text = example("app_roles.py");
    let (_, rest) = text.split_once(begin).unwrap();
    format!("{begin}{};", rest.split_once(';').unwrap().0)
}

impl Roles {
    fn new() -> Self {
        let (home, folder) = home();
        let database = folder.join("app.db");
        let mut program = program(executable(&folder, "app_roles", &example("app_roles.py")));
        program.args = vec![
            database.to_str().unwrap().to_owned(),
            "reader".to_owned(),
            "writer".to_owned(),
        ];
        program.own_expiry = true;
        let operator = Operator {
            programs: BTreeMap::from([("app-roles".to_owned(), program)]),
            secrets: BTreeMap::new(),
        };
        let here = Self {
            database,
            operator,
            _home: home,
        };
        here.db().execute_batch(&documented("CREATE TABLE")).unwrap();
        here
    }

    fn db(&self) -> Connection {
        Connection::open(&self.database).unwrap()
    }

    fn connect(&self, installation: &str) -> Arc<dyn Provider> {
        connect(&self.operator, &json!({"program": "app-roles"}), installation)
    }

    /// Whether the application lets somebody do something, asked as its documentation says.
    fn may(&self, login: &str, role: &str) -> bool {
        let sql = documented("SELECT 1 FROM user_roles");
        let found = self.db().query_row(&sql, [login, role], |_| Ok(()));
        found.optional().unwrap().is_some()
    }
}

#[async_trait]
impl Stand for Roles {
    fn kind(&self) -> &dyn Kind {
        &Command
    }

    fn provider(&self) -> Arc<dyn Provider> {
        self.connect("this")
    }

    fn other_installation(&self) -> Arc<dyn Provider> {
        self.connect("other")
    }

    fn config(&self, gives: &[Ability]) -> (Value, Value) {
        let role = match gives {
            [Ability::Read] => "reader",
            _ => "writer",
        };
        (json!({}), json!({"one_per": "grant", "role": role}))
    }

    fn hostile(&self) -> Vec<(Value, Value)> {
        let mut roles: Vec<_> = conformance::HOSTILE_TEXT
            .into_iter()
            .chain(["admin"])
            .map(|text| json!({ "role": text }))
            .collect();
        roles.extend([
            json!({}),
            json!({"role": 7}),
            json!({"role": "reader", "database": "x"}),
        ]);
        roles.into_iter().map(|role| (json!({}), role)).collect()
    }

    async fn now(&self) -> Timestamp {
        let sql = "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";
        let now: String = self.db().query_row(sql, [], |row| row.get(0)).unwrap();
        now.parse().unwrap()
    }

    async fn open(&self, _: &Credential) -> Option<Box<dyn Use>> {
        None
    }

    async fn add_by_hand(&self, key: &str) {
        let sql = "INSERT INTO user_roles VALUES (?, 'root', 'reader', NULL, 'root')";
        self.db().execute(sql, [key]).unwrap();
    }

    async fn everything_else(&self) -> String {
        let sql = "SELECT coalesce(group_concat(id || login || role || coalesce(valid_until, '') || made_by), '') \
                   FROM user_roles WHERE made_by NOT LIKE 'daypass:%'";
        self.db().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    async fn down(&self) {
        std::fs::rename(&self.database, self.database.with_extension("away")).unwrap();
    }

    async fn up(&self) {
        std::fs::rename(self.database.with_extension("away"), &self.database).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_in_python_keeps_the_contract() {
    let here = Roles::new();
    conformance::all(&here).await;
}

#[tokio::test]
async fn a_role_ends_by_itself_and_nobody_keeps_one_that_they_had() {
    let here = Roles::new();
    let provider = here.provider();
    let (key, spec) = spec_of(&here, 1, here.config(&[Ability::Read]));
    let now = here.now().await;
    provider
        .provision(&key, &spec, "ana", now + Span::hours(1))
        .await
        .unwrap();
    assert!(here.may("ana", "reader") && !here.may("ana", "writer") && !here.may("bo", "reader"));
    // Moving the limit into the past stands for waiting until then.
    provider
        .provision(&key, &spec, "ana", now - Span::seconds(1))
        .await
        .unwrap();
    assert!(!here.may("ana", "reader"), "with Daypass doing nothing");
    provider.revoke(&key, None).await.unwrap();
    let sql = "INSERT INTO user_roles VALUES ('1', 'ana', 'reader', NULL, 'root')";
    here.db().execute(sql, []).unwrap();
    let refused = provider
        .provision(&key, &spec, "ana", now + Span::hours(1))
        .await
        .unwrap_err();
    assert_eq!(refused.fault, Fault::AlreadyStanding, "{refused}");
}
