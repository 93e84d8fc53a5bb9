//! The key that seals what the server keeps.

use daypass_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /keys/sealing`, and the answer of `POST /keys/sealing/rotate`: which keys the server's file has, and what is sealed by which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sealing {
    /// The id of the key in the file's first line. It tells nothing of the key.
    #[schema(example = "5f1c0a9be2d47730")]
    pub id: String,
    /// How many values it seals.
    pub values: u64,
    /// Every other key: in the file, or needed.
    pub others: Vec<OtherKey>,
    /// When that was so.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// A key that is not in the file's first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OtherKey {
    /// Its id; none for values of a version that did not say by which key they are sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How many values it seals. Where it is none, its line is not needed any more.
    pub values: u64,
    /// Whether the file has it. Where it has not, what it seals cannot be opened.
    pub here: bool,
}
