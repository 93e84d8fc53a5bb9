//! What somebody's program showed, so that it can be shown to somebody else.
//!
//! Letters, colours and where they stand pass; whatever has a terminal answer, write a clipboard, set a title, open a link or change how it
//! takes its keys does not.

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Text,
    Escape,
    /// Behind an escape with an intermediate byte: one more belongs to it.
    Charset,
    /// In a sequence with numbers.
    Csi,
    /// In a string of which the terminal would do something: to its end.
    String,
    /// In one, and an escape that may be its end.
    StringEscape,
}

/// The longest sequence that is taken for one.
const LONGEST: usize = 64;

/// Moves, erases, scrolls, colours.
const FINALS: &str = "@ABCDEFGHIJKLMPSTXZ`abdefgmr";

/// What it may switch: the other screen, the cursor, wrapping, where the origin is.
const MODES: [&str; 8] = ["?1049", "?1047", "?47", "?25", "?7", "?6", "4", "20"];

fn may(sequence: &str) -> bool {
    let Some(last) = sequence.chars().last() else {
        return false;
    };
    let numbers = sequence.trim_end_matches(last);
    match last {
        'h' | 'l' => MODES.contains(&numbers),
        _ => {
            FINALS.contains(last)
                && numbers
                    .chars()
                    .all(|one| one.is_ascii_digit() || matches!(one, ';' | ':'))
        }
    }
}

/// The harmless part of a text.
#[must_use]
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = At::Text;
    let mut sequence = String::new();
    for letter in text.chars() {
        at = match (at, letter) {
            (At::String, '\u{7}' | '\u{9c}') | (At::StringEscape, '\\') => At::Text,
            (At::String, '\u{1b}') => At::StringEscape,
            (At::String | At::StringEscape, '\u{18}' | '\u{1a}') => At::Text,
            (At::StringEscape, '\u{1b}') => At::StringEscape,
            (At::String | At::StringEscape, _) => At::String,
            (_, '\u{1b}') => At::Escape,
            (_, '\u{9b}') => {
                sequence.clear();
                At::Csi
            }
            (_, '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}') => At::String,
            (_, '\u{18}' | '\u{1a}') => At::Text,
            (At::Escape, '[') => {
                sequence.clear();
                At::Csi
            }
            (At::Escape, 'P' | 'X' | ']' | '^' | '_') => At::String,
            (At::Escape, ' '..='/') => At::Charset,
            (At::Escape, 'D' | 'E' | 'M' | '7' | '8') => {
                out.extend(['\u{1b}', letter]);
                At::Text
            }
            (At::Escape, _) => At::Text,
            (At::Charset, ' '..='/') => At::Charset,
            (At::Charset, _) => At::Text,
            (At::Csi, '@'..='~') => {
                sequence.push(letter);
                if may(&sequence) {
                    out.push_str("\u{1b}[");
                    out.push_str(&sequence);
                }
                At::Text
            }
            (At::Csi, ' '..='?') if sequence.len() < LONGEST => {
                sequence.push(letter);
                At::Csi
            }
            (At::Csi, ' '..='?') => At::Csi,
            // What controls stand in a sequence are done in it.
            (state @ (At::Csi | At::Text), '\r' | '\n' | '\t' | '\u{8}') => {
                out.push(letter);
                state
            }
            (state, letter) if letter.is_control() => state,
            (At::Csi, _) => At::Text,
            (At::Text, letter) => {
                out.push(letter);
                At::Text
            }
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_speaks_to_the_terminal_does_not_pass() {
        for (said, shown) in [
            ("plain é\r\n\tx\u{8}", "plain é\r\n\tx\u{8}"),
            ("\u{1b}[1;31mred\u{1b}[0m", "\u{1b}[1;31mred\u{1b}[0m"),
            ("\u{1b}[?1049h\u{1b}[2J\u{1b}[H", "\u{1b}[?1049h\u{1b}[2J\u{1b}[H"),
            // A title, the clipboard, a link, each with both ends.
            ("a\u{1b}]0;title\u{7}b", "ab"),
            ("a\u{1b}]52;c;cm0gLXJm\u{1b}\\b", "ab"),
            ("a\u{1b}]8;;http://x\u{9c}b", "ab"),
            ("a\u{9d}0;title\u{7}b", "ab"),
            // What makes it answer, and what changes its keys.
            (
                "a\u{1b}[c\u{1b}[6n\u{1b}[>q\u{1b}[?2004h\u{1b}[?1000h\u{1b}=b",
                "ab",
            ),
            (
                "a\u{1b}P$qm\u{1b}\\b\u{1b}_x\u{1b}\\\u{1b}^y\u{1b}\\\u{1b}Xz\u{1b}\\",
                "ab",
            ),
            ("a\u{1b}c\u{1b}(0b\u{1b}#8", "ab"),
            ("a\u{9b}31mb", "a\u{1b}[31mb"),
            ("a\u{5}\u{7}b", "ab"),
            // A string that has no end shows nothing.
            ("a\u{1b}]0;x", "a"),
        ] {
            assert_eq!(harmless(said), shown, "{said:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_harmless_stays_as_it_is(text in "(\\PC|\u{1b}|[\\[\\]0-9;?a-zA-Z\u{7}\u{9b}\u{90}\\\\]){0,60}") {
            let once = harmless(&text);
            prop_assert_eq!(harmless(&once), once.clone());
            let speaks = ["\u{7}", "\u{90}", "\u{9b}", "\u{9d}", "\u{1b}]", "\u{1b}P"];
            let found = speaks.iter().find(|one| once.contains(**one));
            prop_assert_eq!(found, None);
        }
    }
}
