//! The signed log: proofs about it. Checkpoints and tiles have the formats of C2SP and are no JSON; `docs/audit.md` describes all.

use daypass_core::text::Hash;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The query of `GET /audit/proof`: either `leaf`, or `from`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProofQuery {
    /// That this entry is in the log; counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// That the log of so many entries is the beginning of the longer one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// In the log of so many entries; without it, in the one of the newest checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// The query of `GET /audit/checkpoint`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CheckpointQuery {
    /// How many entries the log had when it was last seen. The answer then begins with the proof that it goes on from there, in the form in which
    /// a witness is asked (C2SP `tlog-witness`). Where the log has fewer now, there is no proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// The newest checkpoint that as many witnesses signed as the server's configuration asks for, and not the newest of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witnessed: Option<bool>,
}

/// A proof about the log (RFC 6962, sections 2.1.1 and 2.1.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogProof {
    /// How many entries the log has for which it holds.
    pub size: u64,
    /// The head of its tree.
    #[schema(value_type = String)]
    pub head: Hash,
    /// The hash of the leaf, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub leaf: Option<Hash>,
    /// The proof's hashes, in the order in which a verifier takes them.
    #[schema(value_type = Vec<String>)]
    pub proof: Vec<Hash>,
}

/// What a grant's proof says it is.
pub const GRANT_PROOF: &str = "daypass-grant-proof/1";

/// All that happened to a grant, as entries of the signed log: what `daypass audit proof` writes into a file. A stranger
/// verifies it with the log's public key alone (`docs/audit.md`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantProof {
    /// `daypass-grant-proof/1`.
    #[schema(example = "daypass-grant-proof/1")]
    pub format: String,
    /// The grant's full id.
    pub grant: String,
    /// The signed note (C2SP `tlog-checkpoint`) that all proofs lead to.
    pub checkpoint: String,
    /// The entries, in the order of the log.
    pub entries: Vec<ProvedEntry>,
    /// The words of the free texts in them, as far as they were not erased.
    pub words: Vec<ProvedWords>,
    /// Where the log's key was rotated: each key's announcement of the next, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyLink>,
}

/// `GET /audit/key/links`: how somebody who has a former key of the log comes to the present one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyLinks {
    /// Each key's announcement of the next, the oldest first.
    pub links: Vec<KeyLink>,
}

/// That a key of the log announced the next one. Who has that key needs nothing else to believe it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyLink {
    /// A checkpoint that the key which announces signed.
    pub checkpoint: String,
    /// The entry that announces, and its proof in the tree of that checkpoint.
    pub entry: ProvedEntry,
}

/// One entry with its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProvedEntry {
    /// Its place in the log, counted from 0.
    pub index: u64,
    /// Its bytes in base64: canonical JSON, of which SHA-256(0x00 ‖ bytes) is the leaf.
    pub entry: String,
    /// The hashes of its inclusion proof in base64, lowest first.
    pub proof: Vec<String>,
}

/// The words of a free text, which the log knows by SHA-256(salt ‖ text) only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProvedWords {
    /// The hash that stands in the entries.
    #[schema(value_type = String)]
    pub hash: Hash,
    /// The salt, in hexadecimal digits.
    pub salt: String,
    /// The text.
    pub text: String,
}
