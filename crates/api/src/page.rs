//! Lists come in pages that a cursor leads through.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How many entries a page has where nobody says.
pub const DEFAULT_LIMIT: u32 = 50;
/// The most entries that a page ever has.
pub const MAX_LIMIT: u32 = 500;

/// Some of a list, and how to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The entries, in the list's own order.
    pub items: Vec<T>,
    /// What to send as `cursor` for the next page; absent on the last. Opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// The whole of a short list.
    #[must_use]
    pub const fn all(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}
