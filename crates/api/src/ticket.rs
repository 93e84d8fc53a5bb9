//! Tickets: what is told of them. Nothing is looked up, and nothing is remembered.

use daypass_core::id::GrantId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /tickets/closed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseTicket {
    /// The ticket's name, exactly as requests have it.
    #[schema(example = "PAY-7")]
    pub ticket: String,
}

/// The answer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TicketClosed {
    /// The ticket.
    #[schema(example = "PAY-7")]
    pub ticket: String,
    /// The grants that begin to end as completed. They have ended once the targets were seen without them.
    #[schema(value_type = Vec<String>)]
    pub grants: Vec<GrantId>,
}
