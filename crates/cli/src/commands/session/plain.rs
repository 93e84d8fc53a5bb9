//! What a terminal showed, as plain text: without the sequences that move its cursor, set its title or have it answer. They came from
//! whoever was recorded, and are nothing for the terminal of who looks.

/// One terminal's text, as it comes in pieces: a sequence may be cut by the end of one.
#[derive(Debug, Default)]
pub(super) struct Plain(State);

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC and bytes that say that more follow.
    Intermediate,
    /// A control sequence, up to its last character.
    Control,
    /// A text for the terminal itself, up to BEL or ESC \.
    Command,
    /// An ESC inside that.
    CommandEscape,
}

impl Plain {
    /// The lines of a piece; the last one may go on in the next. Empty ones are left out.
    pub(super) fn lines(&mut self, piece: &str) -> Vec<String> {
        let mut lines = vec![String::new()];
        for c in piece.chars() {
            let next = self.step(c);
            let was_text = self.0 == State::Text;
            self.0 = next;
            if !was_text || next != State::Text {
                continue;
            }
            match (c, lines.last_mut()) {
                ('\n' | '\r', _) => lines.push(String::new()),
                ('\t', Some(line)) => line.push(' '),
                (c, Some(line)) if !c.is_control() => line.push(c),
                _ => {}
            }
        }
        lines.retain(|line| !line.trim().is_empty());
        lines
    }

    /// ECMA-48, as xterm has it.
    const fn step(&self, c: char) -> State {
        match (self.0, c) {
            // It begins anew, wherever it was.
            (State::Command | State::CommandEscape, '\u{1b}') => State::CommandEscape,
            (_, '\u{1b}') => State::Escape,
            (State::Text, '\u{9b}') | (State::Escape, '[') => State::Control,
            (State::Text, '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}')
            | (State::Escape, ']' | 'P' | 'X' | '^' | '_') => State::Command,
            (State::Escape | State::Intermediate, ' '..='/') => State::Intermediate,
            (State::Control, ' '..='?') => State::Control,
            (State::CommandEscape, '\\') | (State::Command, '\u{7}' | '\u{9c}') => State::Text,
            (State::Command | State::CommandEscape, _) => State::Command,
            _ => State::Text,
        }
    }
}

#[cfg(test)]
mod tests {
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
            all(&["a\u{1b}P1$r\u{1b}\\b\u{1b}(Bc\u{1b}c\u{8}\u{7}d"]),
            ["abcd"]
        );
        assert_eq!(all(&["a\u{1b}", "[2", "Jb"]), ["a", "b"], "in pieces");
        assert_eq!(all(&["a\u{9b}2Jb\u{9d}x\u{9c}c"]), ["abc"]);
    }

    #[test]
    fn no_control_character_is_left_whatever_comes() {
        let mut seed = 7_u32;
        for _ in 0..2000 {
            let mut text = String::new();
            for _ in 0..24 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let odd = [
                    '\u{1b}', '[', ']', '\u{7}', '\u{9b}', 'm', ';', '\\', '\n', 'x', '\u{9d}',
                ];
                text.push(odd[(seed >> 16) as usize % odd.len()]);
            }
            for line in all(&[&text]) {
                assert!(!line.chars().any(char::is_control), "{text:?}");
            }
        }
    }
}
