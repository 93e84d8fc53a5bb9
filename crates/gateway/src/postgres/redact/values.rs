//! Values that are bound: what the statement calls a password, and what calls itself so.

use super::{CALLED, CALLS, find, without_userinfo};
use crate::record::Value;

/// Whether a text says something of a password: which of its values is one is not looked for.
pub(in crate::postgres) fn is_about_a_password(text: &[u8]) -> bool {
    let mut words = CALLED.iter().chain(&CALLS);
    // Most have none of them, which is seen in two looks.
    (find(text, b"pass").is_some() || find(text, b"crypt").is_some())
        && words.any(|word| find(text, word.as_bytes()).is_some())
}

/// A value as it is recorded, of these bytes.
pub(in crate::postgres) fn hide_value(value: Value, bytes: &[u8]) -> Value {
    if is_about_a_password(bytes) {
        return Value::Hidden;
    }
    if find(bytes, b"://").is_none() {
        return value;
    }
    match value {
        Value::Text(text) => Value::Text(without_userinfo(&text, 1)),
        // A cut may have taken the end of it away.
        Value::Binary(_) | Value::Cut(_) if bytes.contains(&b':') => Value::Hidden,
        value => value,
    }
}
