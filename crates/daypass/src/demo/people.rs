//! Who lives in the demo: six people who play, and some colleagues.

use std::collections::{BTreeMap, BTreeSet};

use daypass_api::Secret;
use daypass_api::client::{Client, Connection, EventStream};
use daypass_api::grant::Grant;
use daypass_api::login::Login;
use daypass_core::name::Name;
use daypass_core::person::{Kind, SystemRole};
use daypass_engine::{Caller, Engine, NewPerson, Via};
use daypass_server::{Persona, edge};
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

/// Colleagues, who are in the demo's history and on none of its stages.
const COLLEAGUES: [(&str, &str); 3] = [
    ("finn", "Finn Moreau"),
    ("mia", "Mia Santos"),
    ("raj", "Raj Iyer"),
];

/// Who one can be in the pages of the demo, and what they are there for.
pub(super) fn personas() -> Vec<Persona> {
    let persona = |login: &str, name: &str, about: &str| Persona {
        login: login.to_owned(),
        name: name.to_owned(),
        about: about.to_owned(),
    };
    vec![
        persona(
            "ana",
            "Ana Ruiz",
            "engineer: asks for access, and has some that is about to end",
        ),
        persona("eve", "Eve Park", "engineer: waits for bo"),
        persona("bo", "Bo Lindqvist", "their manager: is asked to approve"),
        persona(
            "cy",
            "Cy Okafor",
            "security: the second step, changes of the policy, and what was done in emergencies",
        ),
        persona("dee", "Dee Tanaka", "auditor: sees everything, changes nothing"),
        persona(ROOT, "Root", "administrator: the policy, people, locks"),
    ]
}

/// Makes everybody, as an administrator would, all with this password (hashed).
pub(super) async fn populate(engine: &Engine, password: String) -> Result<(), Failure> {
    let new = |login: &str, display: &str, role: SystemRole| -> Result<NewPerson, Failure> {
        Ok(NewPerson {
            login: name(login)?,
            display: display.to_owned(),
            kind: Kind::Person,
            role,
            groups: BTreeSet::new(),
            manager: None,
            owner: None,
            mail: None,
            password: Some(password.clone()),
        })
    };
    let root = new(ROOT, "Root", SystemRole::Administrator)?;
    let root = engine.bootstrap(root).await?;
    let caller = Caller {
        person: root.id,
        role: root.role,
        via: Via::Session {
            confirmed_at: engine.store().now().await?,
        },
    };
    for Cast(login, display, group, manager, role) in CAST {
        let person = NewPerson {
            groups: group.into_iter().map(name).collect::<Result<BTreeSet<_>, _>>()?,
            manager: manager.map(name).transpose()?,
            ..new(login, display, role)?
        };
        engine.add_person(caller, person).await?;
    }
    for (login, display) in COLLEAGUES {
        let person = NewPerson {
            groups: BTreeSet::from([name("engineering")?]),
            manager: Some(name("bo")?),
            ..new(login, display, SystemRole::Member)?
        };
        engine.add_person(caller, person).await?;
    }
    Ok(())
}

/// Everybody, logged in.
pub(super) struct People {
    all: BTreeMap<&'static str, (Client, SecretString)>,
}

impl People {
    /// Logs those in who play, over HTTP.
    pub(super) async fn log_in(server: &str, password: &SecretString) -> Result<Self, Failure> {
        let mut all = BTreeMap::new();
        for login in CAST.map(|Cast(login, ..)| login).into_iter().chain([ROOT]) {
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
