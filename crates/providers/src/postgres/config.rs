//! What policy writes for connectors, resources and roles of kind `postgres`, read and checked.

use daypass_core::entitlement::Spec;
use serde_json::Value;

use super::grants::{Object as Target, Privileges};
use super::quote::{self, Ident};
use crate::Error;
use crate::config::{self, Object, Problems, Read};

/// How many connections a holder may have at once where the role does not say: enough for a desktop client, too few to
/// starve the server.
const CONNECTION_LIMIT: i32 = 20;

/// A database server, and who Daypass is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Connector {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    /// The name of the secret, never its value.
    pub(super) secret: String,
    /// The database for work on roles.
    pub(super) database: String,
}

/// A database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resource {
    pub(super) database: String,
    pub(super) on_owned: OnOwned,
}

/// What becomes of what the holder made and left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OnOwned {
    /// It stays, owned by a role that nobody can use, and is told as residue.
    Keep,
    /// It is dropped.
    Drop,
    /// It gets this owner.
    ReassignTo(String),
}

/// What the role gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) member_of: Vec<String>,
    /// Whether the holder may `SET ROLE` to what they are a member of (from PostgreSQL 16 on; before that always).
    pub(super) set_role: bool,
    pub(super) grants: Vec<Grant>,
    pub(super) connection_limit: i32,
}

/// Privileges on one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) on: Target,
    pub(super) privileges: Privileges,
}

impl Connector {
    pub(super) fn read(config: &Value) -> Read<Self> {
        config::read(config, Self::parse)
    }

    fn parse(config: &Value, problems: &mut Problems) -> Option<Self> {
        let object = Object::read(config, "", &["host", "port", "admin", "database"], problems)?;
        let host = object.need_text("host", problems);
        if host.is_some_and(|host| host.starts_with('/') || host.contains(['@', ',', ' '])) {
            let what = "host must be one name or address; sockets in the file system are not supported";
            problems.add(&object.at("host"), what);
        }
        let port = object.port(5432, problems);
        let database = name(&object, "database", problems).unwrap_or("postgres");
        let admin = object.need("admin", problems)?;
        let admin = Object::read(admin, &object.at("admin"), &["user", "password"], problems)?;
        admin.need("user", problems)?;
        let user = name(&admin, "user", problems);
        let password = admin.need("password", problems)?;
        if password.is_string() {
            let what = "a policy holds no secrets: write {secret: NAME} and bind the name in server.yaml";
            problems.add(&admin.at("password"), what);
            return None;
        }
        let password = Object::read(password, &admin.at("password"), &["secret"], problems)?;
        let secret = password.need_text("secret", problems);
        Some(Self {
            host: host?.to_owned(),
            port: port?,
            user: user?.to_owned(),
            secret: secret?.to_owned(),
            database: database.to_owned(),
        })
    }
}

impl Resource {
    pub(super) fn read(config: &Value) -> Read<Self> {
        config::read(config, Self::parse)
    }

    fn parse(config: &Value, problems: &mut Problems) -> Option<Self> {
        let object = Object::read(config, "", &["database", "on_owned"], problems)?;
        object.need("database", problems);
        let database = name(&object, "database", problems);
        let on_owned = match object.get("on_owned") {
            None => Some(OnOwned::Keep),
            Some(Value::String(word)) if word == "keep" => Some(OnOwned::Keep),
            Some(Value::String(word)) if word == "drop" => Some(OnOwned::Drop),
            Some(value @ Value::Object(_)) => {
                let to = Object::read(value, &object.at("on_owned"), &["reassign_to"], problems)?;
                to.need("reassign_to", problems);
                name(&to, "reassign_to", problems).map(|role| OnOwned::ReassignTo(role.to_owned()))
            }
            Some(_) => {
                problems.add(
                    &object.at("on_owned"),
                    "on_owned is keep, drop or {reassign_to: ROLE}",
                );
                None
            }
        };
        Some(Self {
            database: database?.to_owned(),
            on_owned: on_owned?,
        })
    }
}

impl Role {
    pub(super) fn read(config: &Value) -> Read<Self> {
        config::read(config, Self::parse)
    }

    fn parse(config: &Value, problems: &mut Problems) -> Option<Self> {
        let keys = ["member_of", "grants", "connection_limit", "set_role"];
        let object = Object::read(config, "", &keys, problems)?;
        let mut member_of = Vec::new();
        for (at, item) in object.list("member_of", problems) {
            match item
                .as_str()
                .ok_or("a role is named by text".to_owned())
                .and_then(member)
            {
                Ok(role) => member_of.push(role),
                Err(what) => problems.add(&at, what),
            }
        }
        let mut grants = Vec::new();
        for (at, item) in object.list("grants", problems) {
            grants.extend(super::grants::read(item, &at, problems));
        }
        if object.get("member_of").is_none() && object.get("grants").is_none() {
            problems.add("", "say what the role gives: member_of, grants or both");
        }
        let set_role = match object.get("set_role") {
            None => Some(false),
            Some(value) => value.as_bool(),
        };
        if set_role.is_none() {
            problems.add(&object.at("set_role"), "set_role is true or false");
        }
        let limit = match object.get("connection_limit") {
            None => Some(CONNECTION_LIMIT),
            Some(value) => value
                .as_i64()
                .filter(|n| (1..=10_000).contains(n))
                .and_then(|n| n.try_into().ok()),
        };
        if limit.is_none() {
            problems.add(
                &object.at("connection_limit"),
                "connection_limit is a number from 1 to 10000",
            );
        }
        Some(Self {
            member_of,
            set_role: set_role?,
            grants,
            connection_limit: limit?,
        })
    }
}

/// Reads a frozen spec. It was checked when the policy was loaded, perhaps by another version.
pub(super) fn spec(spec: &Spec) -> Result<(Resource, Role), Error> {
    let resource =
        Resource::read(&spec.resource).map_err(|problems| config::misconfigured("resource", &problems))?;
    let role = Role::read(&spec.role).map_err(|problems| config::misconfigured("role", &problems))?;
    Ok((resource, role))
}

/// A key that names something in PostgreSQL.
pub(super) fn name<'a>(object: &Object<'a>, key: &str, problems: &mut Problems) -> Option<&'a str> {
    let text = object.text(key, problems)?;
    match quote::ident(text) {
        Ok(Ident { .. }) => Some(text),
        Err(why) => {
            problems.add(&object.at(key), why.to_string());
            None
        }
    }
}

/// Roles whose power reaches outside of the database: what a holder did with it, nobody can take back.
const BEYOND_RECALL: [&str; 3] = [
    "pg_execute_server_program",
    "pg_write_server_files",
    "pg_read_server_files",
];

/// What is wrong with being a member of this role, if its name alone tells.
pub(super) fn beyond_recall(role: &str) -> Option<String> {
    BEYOND_RECALL.contains(&role).then(|| {
        format!(
            "{role} reaches the server's own files and programs: access through it could not be taken back"
        )
    })
}

fn member(role: &str) -> Result<String, String> {
    quote::ident(role).map_err(|why| why.to_string())?;
    match beyond_recall(role) {
        Some(why) => Err(why),
        None if role.starts_with(super::names::PREFIX) => {
            Err(format!("{role} is a role that Daypass makes for one grant"))
        }
        // `public` and `none` are words of the grammar, which PostgreSQL refuses as role names even in quotes.
        None if role == "public" || role == "none" => Err(format!("{role} is no role")),
        None => Ok(role.to_owned()),
    }
}
