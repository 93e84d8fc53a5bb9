//! What a program wrote to a terminal as plain lines, for somebody who looks: without what a terminal obeys, and with a count of it.
//!
//! Whoever was recorded may want to hide what was shown. So nothing swallows text for long: a sequence that has no end and a string that
//! nobody ends are given up, the controls of C1 begin nothing (most of today's terminals do not obey them in UTF-8), and what is left
//! out is counted. **Where terminals differ, the text is shown.**

use std::fmt;

/// The longest sequence that is taken for one.
const LONGEST_SEQUENCE: usize = 64;

/// The longest string for the terminal itself: a title, a link. What comes behind so many characters is shown.
const LONGEST_STRING: usize = 4_096;

/// One terminal's text, as it comes in pieces: a sequence may be cut by the end of one.
#[derive(Debug, Default)]
pub struct Plain {
    state: State,
    /// How long the sequence is, or the string.
    length: usize,
    left_out: LeftOut,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// Behind an ESC.
    Escape,
    /// Behind an ESC and bytes that say that more follow.
    Intermediate,
    /// A control sequence, up to its last character.
    Control,
    /// A string for the terminal itself, up to BEL, CAN, SUB or the next ESC.
    String,
}

/// What a character is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Is {
    /// To be shown.
    Letter(char),
    /// The end of a line, or of what is beside each other: what comes stands elsewhere.
    Break,
    /// In a string for the terminal itself.
    Hidden(char),
    /// Its end.
    HiddenEnd,
    /// Nothing to see.
    Nothing,
}

/// What was written and is not shown.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    /// Strings for the terminal itself: titles, links, the clipboard.
    pub strings: u64,
    /// Characters in them, and in sequences without an end.
    pub characters: u64,
    /// Sequences and control characters: colours, where the cursor stands, what is erased.
    pub sequences: u64,
}

impl LeftOut {
    /// Whether nothing is.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = |count: u64, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
        let strings = format!(
            "{} in {} for the terminal itself",
            some(self.characters, "character"),
            some(self.strings, "string")
        );
        let sequences = some(self.sequences, "control sequence");
        match (self.strings + self.characters, self.sequences) {
            (0, _) => f.write_str(&sequences),
            (_, 0) => f.write_str(&strings),
            _ => write!(f, "{strings}, {sequences}"),
        }
    }
}

impl Plain {
    /// The lines of a piece; the last one may go on in the next. Empty ones are left out.
    pub fn lines(&mut self, piece: &str) -> Vec<String> {
        let mut lines = vec![String::new()];
        for c in piece.chars() {
            match (self.take(c), lines.last_mut()) {
                (Is::Letter(c), Some(line)) => line.push(c),
                (Is::Break, _) => lines.push(String::new()),
                _ => {}
            }
        }
        lines.retain(|line| !line.trim().is_empty());
        lines
    }

    /// What was left out since it was last asked for, where that is so many characters of strings or more.
    pub fn left_out_much(&mut self, characters: u64) -> Option<LeftOut> {
        (self.left_out.characters >= characters).then(|| std::mem::take(&mut self.left_out))
    }

    /// What was left out since it was last asked for, where anything was.
    pub fn left_out(&mut self) -> Option<LeftOut> {
        let left_out = std::mem::take(&mut self.left_out);
        (!left_out.is_nothing()).then_some(left_out)
    }

    /// Takes a character. ECMA-48, as VT500 and its successors have it.
    pub(crate) fn take(&mut self, c: char) -> Is {
        match (self.state, c) {
            (State::String, _) => self.in_string(c),
            (_, '\u{1b}') => {
                self.give_up();
                self.begin(State::Escape);
                Is::Nothing
            }
            (State::Text, _) => self.in_text(c),
            // A control character does in a sequence what it does elsewhere, but for those that end it.
            (_, '\u{18}' | '\u{1a}') => {
                self.give_up();
                Is::Nothing
            }
            (_, c) if c.is_control() => self.in_text(c),
            _ => self.in_sequence(c),
        }
    }

    fn in_text(&mut self, c: char) -> Is {
        match c {
            '\n' | '\r' | '\u{b}' | '\u{c}' => Is::Break,
            '\t' => Is::Letter(' '),
            c if c.is_control() => {
                self.left_out.sequences += 1;
                Is::Nothing
            }
            c => Is::Letter(c),
        }
    }

    fn in_string(&mut self, c: char) -> Is {
        match c {
            '\u{1b}' => self.begin(State::Escape),
            '\u{7}' | '\u{18}' | '\u{1a}' | '\u{9c}' => self.state = State::Text,
            // No string that a terminal is to have has lines, and none that is so long is for it alone.
            '\n' => {
                self.state = State::Text;
                return Is::Break;
            }
            c if self.length < LONGEST_STRING => {
                self.length += 1;
                self.left_out.characters += 1;
                return Is::Hidden(c);
            }
            c => {
                self.state = State::Text;
                return self.in_text(c);
            }
        }
        Is::HiddenEnd
    }

    fn in_sequence(&mut self, c: char) -> Is {
        self.length += 1;
        match (self.state, c) {
            _ if self.length > LONGEST_SEQUENCE => {
                self.give_up();
                self.in_text(c)
            }
            (State::Escape, '[') => self.on(State::Control),
            (State::Escape, ']' | 'P' | 'X' | '^' | '_') => {
                self.left_out.strings += 1;
                self.begin(State::String);
                Is::Nothing
            }
            (State::Escape | State::Intermediate, ' '..='/') => self.on(State::Intermediate),
            (State::Control, ' '..='?') => Is::Nothing,
            (State::Escape, 'D' | 'E' | 'M' | '8' | 'c')
            | (State::Control, 'A' | 'B' | 'E' | 'F' | 'H' | 'L' | 'M' | 'S' | 'T' | 'd' | 'e' | 'f' | 'u') =>
            {
                self.end();
                Is::Break
            }
            (_, ' '..='~') => {
                self.end();
                Is::Nothing
            }
            // A letter that is in no sequence: it was none.
            _ => {
                self.give_up();
                self.in_text(c)
            }
        }
    }

    const fn begin(&mut self, state: State) {
        self.state = state;
        self.length = 0;
    }

    const fn on(&mut self, state: State) -> Is {
        self.state = state;
        Is::Nothing
    }

    /// The sequence is whole.
    const fn end(&mut self) {
        self.state = State::Text;
        self.left_out.sequences += 1;
    }

    /// It is none.
    fn give_up(&mut self) {
        if self.state != State::Text {
            self.left_out.characters += u64::try_from(self.length).unwrap_or(u64::MAX);
            self.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(pieces: &[&str]) -> Vec<String> {
        let mut plain = Plain::default();
        pieces.iter().flat_map(|piece| plain.lines(piece)).collect()
    }

    #[test]
    fn what_is_shown_is_what_was_written() {
        assert_eq!(all(&["$ ls\r\na\tb\r\n\r\n$ "]), ["$ ls", "a b", "$ "]);
        assert_eq!(all(&["\u{1b}[1;31mred\u{1b}[0m plain"]), ["red plain"]);
        assert_eq!(all(&["a\u{1b}]0;title\u{7}b\u{1b}]52;c;AAAA\u{1b}\\c"]), ["abc"]);
        assert_eq!(
            all(&["a\u{1b}P1$r\u{1b}\\b\u{1b}(Bc\u{1b}=\u{8}\u{7}d"]),
            ["abcd"]
        );
        assert_eq!(all(&["a\u{1b}", "[2", "Jb"]), ["a", "b"], "in pieces");
        assert_eq!(all(&["\u{1b}[2;1Hone\u{1b}[3;1Htwo"]), ["one", "two"]);
        assert_eq!(
            all(&["a\u{1b}[3\r\n1mb"]),
            ["a", "b"],
            "a line break in a sequence"
        );
    }

    #[test]
    fn no_string_hides_what_comes_behind_it() {
        // A terminal leaves it at any ESC, at CAN and SUB; and some do not know that C1 begin one.
        for begin in [
            "\u{1b}]\u{1b}[0m",
            "\u{1b}P\u{1b}\u{1b}[m",
            "\u{1b}_x\u{18}",
            "\u{1b}^\u{1a}",
            "\u{1b}X\r\n",
            "\u{9d}",
            "\u{90}",
            "\u{98}",
            "\u{9b}",
            "\u{1b}[1é",
        ] {
            let shown = all(&[begin, "cat secrets\r\n"]);
            assert_eq!(shown.last().unwrap(), "cat secrets", "{begin:?}");
        }
        let long = format!("\u{1b}]{}seen", "x".repeat(LONGEST_STRING));
        assert_eq!(all(&[&long]), ["seen"]);
        let long = format!("\u{1b}[{}seen", "1".repeat(LONGEST_SEQUENCE));
        assert_eq!(all(&[&long]), ["1seen"]);
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let mut plain = Plain::default();
        plain.lines("\u{1b}]0;title\u{7}\u{1b}[31mred\u{1b}[0m\u{8}\u{9d}");
        assert_eq!(plain.left_out_much(8), None);
        let left_out = plain.left_out().unwrap();
        assert_eq!(
            left_out.to_string(),
            "7 characters in 1 string for the terminal itself, 4 control sequences"
        );
        assert_eq!(plain.left_out(), None);
        // Also of a string that has no end, and of a sequence.
        plain.lines("\u{1b}]secret");
        assert_eq!(
            plain.left_out_much(6).unwrap().to_string(),
            "6 characters in 1 string for the terminal itself"
        );
        plain.lines("\u{1b}[12;34\u{18}");
        assert_eq!(plain.left_out().unwrap().characters, 6);
    }

    proptest! {
        #[test]
        fn whatever_was_before_words_are_shown(begin in "[\u{1b}\\[\\]P_X^\u{18}\u{1a}\u{7}\\\\0-9;?m \u{90}\u{9b}\u{9d}\u{9c}a\n]{0,40}") {
            let word = all(&[&begin, "\u{1b}[0mWORD\r\n"]);
            prop_assert!(word.iter().any(|line| line.ends_with("WORD")), "{word:?}");
        }

        #[test]
        fn all_is_shown_or_counted_and_nothing_is_left_that_a_terminal_obeys(text in "(\\PC|[\u{1b}\\[\\]P_X^\u{18}\u{7}\\\\0-9;?mH \u{90}\u{9b}\u{9d}]){0,80}") {
            let mut plain = Plain::default();
            let shown: usize = plain.lines(&text).iter().map(|line| line.chars().count()).sum();
            prop_assert!(!plain.lines(&text).iter().any(|line| line.chars().any(char::is_control)));
            if shown < text.trim().chars().filter(|c| *c != ' ').count() {
                // What is open still is counted when it ends.
                plain.lines("\u{18}");
                prop_assert!(plain.left_out().is_some());
            }
        }
    }
}
