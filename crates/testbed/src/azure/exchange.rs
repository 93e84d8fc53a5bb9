//! What was asked and answered, kept for tests: to be counted, and to be held against the official descriptions.

use serde_json::Value;

/// One call and its answer. Tokens and secrets are left out.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// GET, PUT, …
    pub method: String,
    /// The path with its query, as it was sent.
    pub target: String,
    /// The request's headers without `Authorization`, names in small letters.
    pub request_headers: Vec<(String, String)>,
    /// The request's body; null where there is none, or where it is a form.
    pub request: Value,
    /// The answer's status; 0 where the connection was cut or no answer came.
    pub status: u16,
    /// The answer's headers.
    pub headers: Vec<(String, String)>,
    /// The answer's body; none where there is none. A token's is left out.
    pub response: Option<Value>,
    /// Whether a planned fault had its hand in it.
    pub struck: bool,
}
