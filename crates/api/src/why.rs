//! The auditor's question: why does, or did, this person have access?

use daypass_core::name::Name;
use daypass_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::explain::Explanation;
use crate::grant::Grant;
use crate::request::Request;
use crate::standing::Standing;

/// The query of `GET /why`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhyQuery {
    /// Whose access, by login.
    pub subject: String,
    /// To which resource.
    #[param(value_type = String)]
    pub resource: Name,
    /// To which of its roles; any of them where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub role: Option<Name>,
    /// At which instant, not after now; now where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
}

/// The answer of `GET /why`: what somebody had at an instant, and by whose agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// The login of whose access it is about.
    pub subject: String,
    /// The resource.
    #[schema(value_type = String)]
    pub resource: Name,
    /// The role, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub role: Option<Name>,
    /// The instant.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The grants that gave it then, as far as the caller may see them, newest first.
    pub grants: Vec<Held>,
    /// Whether all grants of this person were looked at. Where not, an older one may be missing.
    pub complete: bool,
    /// What they have there for good without Daypass, as far as this server's surveys told it: asked about now, by auditors and
    /// administrators.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standing: Vec<Standing>,
    /// Where there is none, and it is asked about now: what the policy in force would give, role by role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub otherwise: Vec<Explanation>,
}

/// A grant that gave access at an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Held {
    /// How it stood at that instant.
    pub phase: Phase,
    /// The grant as it is now, with what its targets showed.
    pub grant: Grant,
    /// The request that led to it: its reason, its rule and revision, and who agreed when.
    pub request: Request,
    /// The requests that lengthened it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Request>,
}

/// How a grant stood at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It was being set up: some of the access may have been there.
    SettingUp,
    /// All of it was there.
    Active,
    /// Its end had begun, and it had not been seen to be gone.
    Ending,
}
