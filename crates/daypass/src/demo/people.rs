//! Who lives in the demo: five people, made through the API as an administrator would make them.

use std::collections::{BTreeMap, BTreeSet};

use daypass_api::client::{Client, Connection};
use daypass_api::person::{Kind, NewPerson, SystemRole};
use daypass_api::session::Login;
use daypass_api::{Secret, person};
use daypass_core::name::Name;
use daypass_server::Server;
use secrecy::SecretString;

use super::random_password;
use crate::failure::Failure;

/// The administrator, who is there first.
pub(super) const ROOT: &str = "root";

/// One of them: login, name, group, manager, role.
struct Cast(
    &'static str,
    &'static str,
    Option<&'static str>,
    Option<&'static str>,
    SystemRole,
);

/// In the order in which they are made: a manager before whom they manage.
const CAST: [Cast; 4] = [
    Cast("bo", "Bo Lindqvist", Some("eng-leads"), None, SystemRole::Member),
    Cast(
        "ana",
        "Ana Ruiz",
        Some("engineering"),
        Some("bo"),
        SystemRole::Member,
    ),
    Cast("cy", "Cy Okafor", Some("security"), None, SystemRole::Member),
    Cast("dee", "Dee Tanaka", None, None, SystemRole::Auditor),
];

/// Everybody, logged in.
pub(super) struct People {
    all: BTreeMap<&'static str, (Client, SecretString)>,
}

impl People {
    /// Makes everybody and logs them in, over HTTP.
    pub(super) async fn settle_in(running: &Server, server: &str) -> Result<Self, Failure> {
        let password = random_password();
        bootstrap(running, password.clone()).await?;
        let mut all = BTreeMap::from([(ROOT, log_in(server, ROOT, password).await?)]);
        for Cast(login, display, group, manager, role) in CAST {
            let password = random_password();
            let new = NewPerson {
                login: name(login)?,
                display: Some(display.to_owned()),
                kind: Kind::Person,
                role,
                groups: group.into_iter().map(name).collect::<Result<BTreeSet<_>, _>>()?,
                manager: manager.map(name).transpose()?,
                mail: None,
                password: Some(Secret::new(password.clone())),
            };
            let (root, _) = all
                .get(ROOT)
                .ok_or_else(|| Failure::error("the administrator is not logged in"))?;
            let _made: person::Person = root.add_person(&new).await.map_err(client)?;
            all.insert(login, log_in(server, login, password).await?);
        }
        Ok(Self { all })
    }

    /// Somebody's way to the server.
    pub(super) fn client(&self, login: &str) -> Result<&Client, Failure> {
        let found = self.all.get(login).map(|(client, _)| client);
        found.ok_or_else(|| Failure::error(format!("{login} does not live here")))
    }

    /// Everybody with the token of their session.
    pub(super) fn sessions(&self) -> impl Iterator<Item = (&'static str, &SecretString)> {
        self.all.iter().map(|(login, (_, token))| (*login, token))
    }
}

async fn bootstrap(server: &Server, password: SecretString) -> Result<(), Failure> {
    let hash = server.hash(password).await?;
    let root = daypass_engine::NewPerson {
        login: name(ROOT)?,
        display: "Root".to_owned(),
        kind: daypass_core::person::Kind::Person,
        role: daypass_core::person::SystemRole::Administrator,
        groups: BTreeSet::new(),
        manager: None,
        mail: None,
        password: Some(hash),
    };
    server.engine().bootstrap(root).await?;
    Ok(())
}

async fn log_in(
    server: &str,
    login: &str,
    password: SecretString,
) -> Result<(Client, SecretString), Failure> {
    let connection = Connection {
        server: server.to_owned(),
        ..Connection::default()
    };
    let ask = Login {
        login: login.to_owned(),
        password: Secret::new(password),
        profile: Some("daypass demo".to_owned()),
    };
    let logged_in = Client::new(&connection)
        .map_err(client)?
        .login(&ask)
        .await
        .map_err(client)?;
    let token = logged_in.token.into_inner();
    let connection = Connection {
        token: Some(token.clone()),
        ..connection
    };
    Ok((Client::new(&connection).map_err(client)?, token))
}

fn name(text: &str) -> Result<Name, Failure> {
    text.parse()
        .map_err(|bad: daypass_core::name::BadName| Failure::error(bad.to_string()))
}

/// What the API answered instead.
pub(super) fn client(error: daypass_api::client::Error) -> Failure {
    Failure::error(error.to_string())
}
