//! What shows that access is gone.

use serde::{Deserialize, Serialize};

use crate::id::GrantId;
use crate::name::Item;
use crate::time::Timestamp;

/// What shows that one item is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The item.
    pub item: Item,
    /// What shows it.
    #[serde(flatten)]
    pub proof: Proof,
}

/// How the end of an item is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "proof", rename_all = "snake_case")]
pub enum Proof {
    /// Something else than a look at the target shows that it is not usable.
    Shown {
        /// When that was known.
        at: Timestamp,
        /// What shows it: which hosts acknowledged which list, or what ran out when.
        by: String,
    },
    /// The target was read, and it is not usable there.
    TargetRead {
        /// When.
        at: Timestamp,
        /// What was left behind; no access.
        residue: Vec<String>,
    },
    /// Another grant holds the same opening; it goes with that one.
    HeldBy {
        /// Which.
        grant: GrantId,
    },
    /// No call to provision it was ever intended.
    NeverProvisioned,
}
