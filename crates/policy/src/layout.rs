//! The layout of a policy's file: indentation, blank lines and what stands at the ends of lines. Nothing else is touched: keys keep
//! their order, comments and quotes stay as they are.
//!
//! Lines are moved, not written anew, so that no comment is lost. That the file says the same afterwards is not believed but
//! looked at: both texts are read, and their trees compared.

use crate::Source;
use crate::diagnostic::{Diagnostics, Problems};
use crate::tree::{self, Node, Value};

/// Why a file is left as it is.
#[derive(Debug)]
pub enum LeftAlone {
    /// It is no YAML that a policy may be written in.
    Unreadable(Box<Diagnostics>),
    /// In the usual layout it would say something else: it has text over several lines whose spaces count.
    WouldChange,
}

/// A file of a policy in the usual layout: two spaces for each level, a blank line before each section, no blank line twice, no
/// spaces at the ends of lines, and one line end at the end.
///
/// # Errors
/// Where the file is better left as it is.
pub fn layout(source: &Source) -> Result<String, LeftAlone> {
    let mut problems = Problems::new(std::slice::from_ref(source));
    let Some(before) = tree::parse(0, source, &mut problems) else {
        return match problems.finish() {
            Err(found) => Err(LeftAlone::Unreadable(Box::new(found))),
            Ok(()) => Err(LeftAlone::WouldChange),
        };
    };
    let laid = Source {
        name: source.name.clone(),
        text: lines(&source.text),
    };
    let mut problems = Problems::new(std::slice::from_ref(&laid));
    let after = tree::parse(0, &laid, &mut problems);
    let solid = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    if after.is_some_and(|after| same(&before, &after)) && solid(&source.text) == solid(&laid.text) {
        Ok(laid.text)
    } else {
        Err(LeftAlone::WouldChange)
    }
}

/// Whether two trees say the same, wherever it stands.
fn same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Map(one), Value::Map(other)) => {
            let pairs = || one.iter().zip(other);
            one.len() == other.len()
                && pairs().all(|(one, other)| one.0.text == other.0.text && same(&one.1, &other.1))
        }
        (Value::List(_) | Value::Map(_), _) | (_, Value::List(_) | Value::Map(_)) => false,
        (Value::Null, Value::Null) => true,
        (Value::Null, _) | (_, Value::Null) => false,
        _ => one.kind() == other.kind() && one.text() == other.text(),
    }
}

/// A level of nesting: the column that it has, and the one that it gets.
#[derive(Debug, Clone, Copy)]
struct Level {
    has: usize,
    gets: usize,
}

/// What a line begins in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// Nothing: its indentation says what it belongs to.
    Block,
    /// Brackets or quotes that an earlier line opened: it moves with that line.
    Open { brackets: usize, quote: Option<char> },
    /// A text of several lines after `|` or `>`; deeper than this column.
    Text { deeper_than: usize },
}

/// The lines of a file in the usual layout.
fn lines(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut levels: Vec<Level> = Vec::new();
    let mut inside = Inside::Block;
    let mut moved = Level { has: 0, gets: 0 };
    for line in text.lines() {
        let body = line.trim_end().trim_start_matches(' ');
        let indent = line.trim_end().len() - body.len();
        if body.is_empty() {
            out.push(String::new());
            continue;
        }
        if let Inside::Text { deeper_than } = inside
            && indent <= deeper_than
        {
            inside = Inside::Block;
        }
        match inside {
            Inside::Text { .. } => out.push(spaced(shifted(indent, moved), body)),
            Inside::Open { brackets, quote } => {
                out.push(spaced(shifted(indent, moved), body));
                inside = after(body, brackets, quote, moved.has);
            }
            Inside::Block if body.starts_with('#') => out.push(spaced(of_comment(&levels, indent), body)),
            Inside::Block => {
                let (gets, body) = placed(&mut levels, indent, body);
                moved = Level { has: indent, gets };
                if gets == 0 && !body.starts_with("- ") && body != "-" {
                    section(&mut out);
                }
                inside = after(&body, 0, None, indent);
                out.push(spaced(gets, &body));
            }
        }
    }
    let mut text = String::new();
    let mut blank = true;
    for line in out {
        // None at the beginning, and no two in a row.
        if !(blank && line.is_empty()) {
            text.push_str(&line);
            text.push('\n');
        }
        blank = line.is_empty();
    }
    while text.ends_with("\n\n") {
        text.pop();
    }
    text
}

fn spaced(indent: usize, body: &str) -> String {
    format!("{}{body}", " ".repeat(indent))
}

fn shifted(indent: usize, moved: Level) -> usize {
    (indent + moved.gets).saturating_sub(moved.has)
}

/// Where a line goes, and how it reads there: `-   name: x` gets one space, and what belongs to it stands under `name`.
fn placed(levels: &mut Vec<Level>, indent: usize, body: &str) -> (usize, String) {
    let gets = level(levels, indent);
    let Some(rest) = body.strip_prefix("- ") else {
        return (gets, body.to_owned());
    };
    let item = rest.trim_start_matches(' ');
    // A comment after the dash is no item; what is one stands in the lines below.
    if item.starts_with('#') {
        return (gets, body.to_owned());
    }
    let has = indent + 2 + (rest.len() - item.len());
    levels.push(Level { has, gets: gets + 2 });
    let (_, item) = placed(levels, has, item);
    (gets, format!("- {item}"))
}

/// The column of a line that begins at this one; deeper lines are forgotten.
fn level(levels: &mut Vec<Level>, indent: usize) -> usize {
    while levels.last().is_some_and(|level| level.has > indent) {
        levels.pop();
    }
    match levels.last() {
        Some(level) if level.has == indent => level.gets,
        around => {
            let gets = around.map_or(0, |around| around.gets + 2);
            levels.push(Level { has: indent, gets });
            gets
        }
    }
}

/// A comment stands with the lines of its own column.
fn of_comment(levels: &[Level], indent: usize) -> usize {
    let around = levels.iter().rev().find(|level| level.has <= indent);
    around.map_or(0, |level| {
        if level.has == indent {
            level.gets
        } else {
            level.gets + 2
        }
    })
}

/// Puts a blank line before a section and the comments that belong to it.
fn section(out: &mut Vec<String>) {
    let comments = out.iter().rev().take_while(|line| line.starts_with('#')).count();
    let at = out.len() - comments;
    if at > 0 && out.get(at - 1).is_some_and(|line| !line.is_empty()) {
        out.insert(at, String::new());
    }
}

/// What the next line begins in, after this one.
fn after(body: &str, mut brackets: usize, mut quote: Option<char>, indent: usize) -> Inside {
    let mut last = ' ';
    let mut word = String::new();
    let mut chars = body.chars().peekable();
    while let Some(c) = chars.next() {
        match quote {
            Some('"') if c == '\\' => {
                chars.next();
            }
            // Twice is the quote itself.
            Some('\'') if c == '\'' && chars.peek() == Some(&'\'') => {
                chars.next();
            }
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None => {
                let begins = last == ' ' || "[{,:".contains(last);
                match c {
                    '#' if last == ' ' => break,
                    '"' | '\'' if begins => quote = Some(c),
                    '[' | '{' if begins || brackets > 0 => brackets += 1,
                    ']' | '}' => brackets = brackets.saturating_sub(1),
                    _ => {}
                }
                if c == ' ' {
                    word.clear();
                } else {
                    word.push(c);
                }
            }
        }
        last = c;
    }
    // The last word before the comment.
    let word = if word.is_empty() {
        body.split(" #")
            .next()
            .unwrap_or_default()
            .trim_end()
            .rsplit(' ')
            .next()
            .unwrap_or_default()
    } else {
        word.as_str()
    };
    let is_text = |word: &str| {
        let mut chars = word.chars();
        matches!(chars.next(), Some('|' | '>')) && chars.all(|c| "+-123456789".contains(c))
    };
    if brackets > 0 || quote.is_some() {
        Inside::Open { brackets, quote }
    } else if is_text(word) {
        Inside::Text { deeper_than: indent }
    } else {
        Inside::Block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source {
            name: String::from("p"),
            text: text.to_owned(),
        }
    }

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let laid = layout(&source(text)).unwrap();
        assert_eq!(laid, expect, "{laid}");
        assert_eq!(
            layout(&source(&laid)).unwrap(),
            laid,
            "a second time changes nothing"
        );
    }

    #[test]
    fn levels_are_two_spaces_and_sections_stand_apart() {
        check(
            "\n\nversion: 1   \r\npeople:\n      a:   {group: x}   # why\n# of rules\nrules:\n    -    name: r\n         # of to\n         \
             to: {env: [p,\n              q]}\n         approval:\n             - {from: a}\n\n\n         max: 1h\n\n\n",
            "version: 1\n\npeople:\n  a:   {group: x}   # why\n\n# of rules\nrules:\n  - name: r\n    # of to\n    to: {env: [p,\n         \
             q]}\n    approval:\n      - {from: a}\n\n    max: 1h\n",
        );
    }

    #[test]
    fn lists_at_the_column_of_their_key_stay_there() {
        check(
            "rules:\n- name: r\n  to: {}\n- name: s\n  # end\n",
            "rules:\n- name: r\n  to: {}\n- name: s\n  # end\n",
        );
    }

    #[test]
    fn texts_of_several_lines_keep_what_they_say() {
        check(
            "a:\n    b: |   # text\n        one\n          two\n    c: \"x\n      # no comment\n      y\"\n    d: >-\n     x\n",
            "a:\n  b: |   # text\n      one\n        two\n  c: \"x\n    # no comment\n    y\"\n  d: >-\n   x\n",
        );
    }

    #[test]
    fn what_would_say_something_else_is_left_alone() {
        // The spaces at the ends of these lines belong to the text.
        for text in ["a: |\n  one  \n  two\n", "a: |\n  one\n\n\n  two\n"] {
            assert!(
                matches!(layout(&source(text)), Err(LeftAlone::WouldChange)),
                "{text}"
            );
        }
        let torn = layout(&source("a: [\n"));
        assert!(matches!(torn, Err(LeftAlone::Unreadable(_))));
    }

    #[test]
    fn the_example_is_laid_out_already() {
        let text = include_str!("../../../examples/policy.yaml");
        check(text, text);
    }
}
