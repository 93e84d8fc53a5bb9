//! The one place where text from elsewhere is made harmless for a terminal.
//!
//! A reason or comment is written by somebody else. With control characters it could move the cursor over what was printed,
//! with bidirectional overrides it could make a line read otherwise than it is. Everything printed goes through here.

use daypass_core::text::is_hostile;

/// The text on one line, with what a terminal would obey or hide made visible.
#[must_use]
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str(" ⏎ "),
            '\t' => out.push(' '),
            '\r' => {}
            c if is_hostile(c) => out.push_str(&format!("<U+{:04X}>", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// JSON that means the same, with what a terminal would obey or hide written as escapes.
///
/// Only string contents can hold such characters: outside of strings JSON has line breaks and spaces alone.
#[must_use]
pub(crate) fn clean_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !is_hostile(c) {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

/// A value with every text in it cleaned. For formats that have no escape for what is hostile.
pub(crate) fn clean_value(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(text) => {
            // Line breaks are data here, and the format has its own way to write them.
            Value::String(text.split('\n').map(clean).collect::<Vec<_>>().join("\n"))
        }
        Value::Array(values) => Value::Array(values.into_iter().map(clean_value).collect()),
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, value)| (clean(&key), clean_value(value)))
                .collect(),
        ),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_instead() {
        for (text, expect) in [
            ("plain, ünïcode, 日本語, 👍", "plain, ünïcode, 日本語, 👍"),
            (
                "\u{1b}[2J\u{1b}]0;owned\u{7}",
                "<U+001B>[2J<U+001B>]0;owned<U+0007>",
            ),
            ("\u{9b}31m", "<U+009B>31m"),
            ("a\u{202e}drowssap\u{2069}", "a<U+202E>drowssap<U+2069>"),
            ("a\r\nb\tc", "a ⏎ b c"),
            (
                "\u{e0041}\u{feff}\u{200b}\u{7f}\0",
                "<U+E0041><U+FEFF><U+200B><U+007F><U+0000>",
            ),
        ] {
            assert_eq!(clean(text), expect, "{text:?}");
        }
    }

    #[test]
    fn json_means_the_same_and_holds_nothing_hostile() {
        let value = serde_json::json!({"a\u{202e}": ["\u{1b}[2J\u{9b}", "\u{e0041}", "é👍\n"]});
        for json in [
            serde_json::to_string(&value).unwrap(),
            serde_json::to_string_pretty(&value).unwrap(),
        ] {
            let cleaned = clean_json(&json);
            assert!(
                !cleaned.chars().any(|c| c != '\n' && is_hostile(c)),
                "{cleaned:?}"
            );
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&cleaned).unwrap(),
                value
            );
        }
    }

    #[test]
    fn values_keep_their_line_breaks() {
        let value = clean_value(serde_json::json!({"a": ["x\ny\u{202e}"]}));
        assert_eq!(value, serde_json::json!({"a": ["x\ny<U+202E>"]}));
    }
}
