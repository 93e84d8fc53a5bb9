//! Canonical bytes: RFC 8785 JSON, so that what is hashed or logged has one spelling.

use serde::Serialize;

use crate::text::Hash;

/// The value has no JSON form. It cannot happen for the types of this crate; it is an error rather than a panic.
#[derive(Debug, thiserror::Error)]
#[error("no canonical JSON: {0}")]
pub struct NotCanonical(#[from] serde_json::Error);

/// The canonical bytes of a value (RFC 8785).
///
/// # Errors
/// Where the value does not serialise to JSON.
pub fn bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, NotCanonical> {
    Ok(serde_jcs::to_vec(value)?)
}

/// The SHA-256 of the canonical bytes.
///
/// # Errors
/// As [`bytes`].
pub fn digest<T: Serialize>(value: &T) -> Result<Hash, NotCanonical> {
    Ok(Hash::of(&bytes(value)?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn keys_are_sorted_and_nothing_is_padded() {
        let value = serde_json::json!({"b": [1, 2], "a": "é\n", "": null});
        assert_eq!(
            super::bytes(&value).unwrap(),
            "{\"\":null,\"a\":\"é\\n\",\"b\":[1,2]}".as_bytes()
        );
    }
}
