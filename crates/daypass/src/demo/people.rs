//! Who lives in the demo: six people, made through the API as an administrator would make them.

use std::collections::{BTreeMap, BTreeSet};

use daypass_api::client::{Client, Connection, EventStream};
use daypass_api::grant::Grant;
use daypass_api::login::Login;
use daypass_api::person::{Kind, NewPerson, SystemRole};
use daypass_api::{Secret, person};
use daypass_core::name::Name;
use daypass_server::{Server, edge};
use secrecy::SecretString;

use super::play::{PATIENCE, not_so};
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
const CAST: [Cast; 5] = [
    Cast("bo", "Bo Lindqvist", Some("eng-leads"), None, SystemRole::Member),
    Cast(
        "ana",
        "Ana Ruiz",
        Some("engineering"),
        Some("bo"),
        SystemRole::Member,
    ),
    Cast(
        "eve",
        "Eve Park",
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
    pub(super) async fn settle_in(
        running: &Server,
        server: &str,
        password: &SecretString,
    ) -> Result<Self, Failure> {
        bootstrap(running, password.clone()).await?;
        let mut all = BTreeMap::from([(ROOT, log_in(server, ROOT, password.clone()).await?)]);
        for Cast(login, display, group, manager, role) in CAST {
            let new = NewPerson {
                login: name(login)?,
                display: Some(display.to_owned()),
                kind: Kind::Person,
                role,
                groups: group.into_iter().map(name).collect::<Result<BTreeSet<_>, _>>()?,
                manager: manager.map(name).transpose()?,
                owner: None,
                mail: None,
                password: Some(Secret::new(password.clone())),
            };
            let (root, _) = all
                .get(ROOT)
                .ok_or_else(|| Failure::error("the administrator is not logged in"))?;
            let _made: person::Person = root.add_person(&new).await.map_err(client)?;
            all.insert(login, log_in(server, login, password.clone()).await?);
        }
        Ok(Self { all })
    }

    /// Somebody's way to the server.
    pub(super) fn client(&self, login: &str) -> Result<&Client, Failure> {
        let found = self.all.get(login).map(|(client, _)| client);
        found.ok_or_else(|| Failure::error(format!("{login} does not live here")))
    }

    /// Reads a grant, as somebody sees it, whenever something happens, until it is so.
    pub(super) async fn until(
        &self,
        login: &str,
        watch: &mut EventStream,
        id: &str,
        so: impl Fn(&Grant) -> bool,
    ) -> Result<Grant, Failure> {
        let reader = self.client(login)?;
        let looking = async {
            loop {
                let grant = reader.grant(id).await.map_err(client)?;
                if so(&grant) {
                    return Ok(grant);
                }
                if watch.next().await.map_err(client)?.is_none() {
                    return Err(not_so("the server ended its stream of events"));
                }
            }
        };
        let late = |late: edge::TimedOut| not_so(&format!("the grant is not where it should be: {late}"));
        edge::within(PATIENCE, looking).await.map_err(late)?
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
        owner: None,
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

/// A name that we wrote.
pub(super) fn name(text: &str) -> Result<Name, Failure> {
    text.parse()
        .map_err(|bad: daypass_core::name::BadName| Failure::error(bad.to_string()))
}

/// What the API answered instead.
pub(super) fn client(error: daypass_api::client::Error) -> Failure {
    Failure::error(error.to_string())
}
