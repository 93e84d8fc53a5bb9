//! An item on the wire: a role on a resource.

use std::fmt;

use daypass_core::name::{self, Name};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A role on a resource, `orders-prod/write` in text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The thing to reach.
    #[schema(value_type = String, example = "orders-prod")]
    pub resource: Name,
    /// The named permission on it.
    #[schema(value_type = String, example = "write")]
    pub role: Name,
}

impl From<name::Item> for Item {
    fn from(item: name::Item) -> Self {
        Self {
            resource: item.resource,
            role: item.role,
        }
    }
}

impl From<Item> for name::Item {
    fn from(item: Item) -> Self {
        Self {
            resource: item.resource,
            role: item.role,
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.resource, self.role))
    }
}
