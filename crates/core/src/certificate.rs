//! A certificate for a holder's own key, as the log has it.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A certificate for the holder's own key, as the log has it: what a host's log shows leads here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its number, unique for its authority.
    pub serial: u64,
    /// The fingerprint of the holder's key.
    pub key: String,
    /// Whom it makes its holder at the hosts.
    pub principals: Vec<String>,
    /// From when it is valid.
    pub valid_after: Timestamp,
    /// Until when it is valid.
    pub valid_before: Timestamp,
}
