//! Logging in, who one is, and API tokens.

use std::collections::BTreeSet;

use daypass_core::id::TokenId;
use daypass_core::name::Name;
use daypass_core::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::person::Person;
use crate::route::Scope;
use crate::secret::Secret;

/// `POST /login`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The account's login.
    pub login: String,
    /// Its password.
    pub password: Secret,
    /// What to call the session in the list of tokens, such as the machine's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

/// The answer to a login. The token is shown this once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LoggedIn {
    /// The bearer token of the session.
    pub token: Secret,
    /// Until when it is taken.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// Who logged in.
    pub person: Person,
}

/// `POST /session/confirm`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// The password of whoever is logged in.
    pub password: Secret,
}

/// The answer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Confirmed {
    /// When whoever holds this session last proved who they are: just now.
    #[schema(value_type = String, format = DateTime)]
    pub confirmed_at: Timestamp,
}

/// `GET /whoami`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Whoami {
    /// Who calls.
    pub person: Person,
    /// How they came in.
    pub via: Via,
    /// What they came in with, by its id in the list of tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub token: Option<TokenId>,
    /// Until when what they came in with is taken.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// When they last proved, by this session, who they are; not for an API token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub confirmed_at: Option<Timestamp>,
    /// Since when their account is locked, where it is: they may still read, and give back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub locked_since: Option<Timestamp>,
}

/// By what kind of credential somebody came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "via", rename_all = "lowercase")]
pub enum Via {
    /// A person logged in.
    Session,
    /// A program holds an API token of theirs.
    Token {
        /// What it may do.
        scopes: BTreeSet<Scope>,
        /// Of a gateway's: for which resources.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        #[schema(value_type = Vec<String>)]
        resources: BTreeSet<Name>,
    },
    /// A credential for the gateway: it opens sessions there, and nothing else takes it.
    Gateway,
    /// A key of somebody's own that opens sessions there.
    #[serde(rename = "ssh-key")]
    SshKey {
        /// Its fingerprint, as `ssh-keygen -l` shows it.
        fingerprint: String,
    },
}

/// `POST /tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What its owner calls it.
    #[schema(example = "nightly-report")]
    pub name: String,
    /// What it may do; never more than its owner. At least one.
    pub scopes: BTreeSet<Scope>,
    /// Of one with the scope `gateway`: the resources that the gateway may serve. At least one there, and none elsewhere.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub resources: BTreeSet<Name>,
    /// How long it is taken.
    #[schema(value_type = String, example = "30d")]
    pub expires_in: Span,
    /// The service account that it is for, where it is not the caller's own; for who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub login: Option<Name>,
}

/// The answer to a new token. The secret is shown this once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IssuedToken {
    /// What goes into `Authorization: Bearer`.
    pub secret: Secret,
    /// The token.
    pub token: Token,
}

/// A login session or API token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its id.
    #[schema(value_type = String)]
    pub id: TokenId,
    /// Whose it is.
    pub login: String,
    /// What its owner calls it.
    pub name: String,
    /// A login session or an API token.
    #[serde(flatten)]
    pub via: Via,
    /// When it was issued.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Until when it is taken.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// The query of `GET /tokens`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TokenQuery {
    /// Whose; the caller's own where nobody is named. For administrators, auditors, and who answers for a service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
}
