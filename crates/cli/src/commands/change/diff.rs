//! What differs between two sets of files, line by line: what a reviewer of a policy reads.

use std::collections::BTreeSet;

use daypass_api::policy::PolicyFile;

use crate::line::{Line, Style};

/// How many unchanged lines are shown around what changed.
const AROUND: usize = 2;
/// Two parts that differ and are longer than this, multiplied, are shown one after the other instead of side by side.
const MOST_COMPARED: usize = 4_000_000;

/// One line, and in which of the two it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    Both(&'a str),
    Before(&'a str),
    After(&'a str),
}

/// The files that differ, each with its lines. A file that is new or gone is shown whole.
pub(super) fn lines(before: &[PolicyFile], after: &[PolicyFile]) -> Vec<Line> {
    let names: BTreeSet<&str> = before
        .iter()
        .chain(after)
        .map(|file| file.name.as_str())
        .collect();
    let text = |files: &'_ [PolicyFile], name: &str| {
        let file = files.iter().find(|file| file.name == name);
        file.map_or_else(String::new, |file| file.text.clone())
    };
    let mut lines = Vec::new();
    for name in names {
        let (old, new) = (text(before, name), text(after, name));
        if old == new {
            continue;
        }
        lines.push(Line::new().with(Style::Strong, format!("── {name}")));
        lines.extend(shown(&compare(&old, &new)));
    }
    lines
}

/// What changed, with a little around it.
fn shown(parts: &[Part<'_>]) -> Vec<Line> {
    let changed = |at: usize| {
        let around = parts
            .iter()
            .skip(at.saturating_sub(AROUND))
            .take(at.min(AROUND) + AROUND + 1);
        around.into_iter().any(|part| !matches!(part, Part::Both(_)))
    };
    let mut lines = Vec::new();
    let mut skipped = false;
    for (at, part) in parts.iter().enumerate() {
        if !changed(at) {
            if !skipped {
                lines.push(Line::new().with(Style::Faint, "  …"));
            }
            skipped = true;
            continue;
        }
        skipped = false;
        lines.push(match part {
            Part::Both(text) => Line::new().with(Style::Faint, format!("  {text}")),
            Part::Before(text) => Line::new().with(Style::Bad, format!("- {text}")),
            Part::After(text) => Line::new().with(Style::Good, format!("+ {text}")),
        });
    }
    lines
}

/// The lines of both texts in order, each named once where it stands in both.
fn compare<'a>(before: &'a str, after: &'a str) -> Vec<Part<'a>> {
    let (old, new): (Vec<_>, Vec<_>) = (before.split('\n').collect(), after.split('\n').collect());
    let same = |(one, other): &(&&str, &&str)| one == other;
    let head = old.iter().zip(&new).take_while(same).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(rest)
        .take_while(same)
        .count();
    let inner = |lines: &[&'a str]| -> Vec<&'a str> {
        let count = lines.len() - head - tail;
        lines.iter().skip(head).take(count).copied().collect()
    };
    let (from, to) = (inner(&old), inner(&new));
    let mut parts: Vec<Part<'a>> = old.iter().take(head).map(|line| Part::Both(line)).collect();
    if from.len().saturating_mul(to.len()) > MOST_COMPARED {
        parts.extend(from.iter().map(|line| Part::Before(line)));
        parts.extend(to.iter().map(|line| Part::After(line)));
    } else {
        parts.extend(longest_common(&from, &to));
    }
    let ends = old.len() - tail;
    parts.extend(old.iter().skip(ends).map(|line| Part::Both(line)));
    parts
}

/// By the longest common subsequence.
fn longest_common<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Part<'a>> {
    // `left[i][j]`: how many lines the rests from i and from j have in common, in order.
    let mut left = vec![vec![0u32; new.len() + 1]; old.len() + 1];
    let at =
        |left: &[Vec<u32>], i: usize, j: usize| left.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0);
    for (i, one) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            let most = if one == other {
                at(&left, i + 1, j + 1) + 1
            } else {
                at(&left, i + 1, j).max(at(&left, i, j + 1))
            };
            if let Some(cell) = left.get_mut(i).and_then(|row| row.get_mut(j)) {
                *cell = most;
            }
        }
    }
    let (mut i, mut j, mut parts) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (Some(one), Some(other)) if one == other => {
                parts.push(Part::Both(one));
                (i, j) = (i + 1, j + 1);
            }
            (Some(one), other) if other.is_none() || at(&left, i + 1, j) >= at(&left, i, j + 1) => {
                parts.push(Part::Before(one));
                i += 1;
            }
            (_, Some(other)) => {
                parts.push(Part::After(other));
                j += 1;
            }
            (_, None) => return parts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: &str, after: &str) -> Vec<String> {
        let parts = compare(before, after);
        let line = |part: &Part<'_>| match part {
            Part::Both(text) => format!(" {text}"),
            Part::Before(text) => format!("-{text}"),
            Part::After(text) => format!("+{text}"),
        };
        parts.iter().map(line).collect()
    }

    #[test]
    fn what_changed_is_told_and_nothing_else() {
        assert_eq!(told("a\nb\nc", "a\nb\nc"), [" a", " b", " c"]);
        assert_eq!(told("a\nb\nc", "a\nx\nc"), [" a", "-b", "+x", " c"]);
        assert_eq!(told("a\nb", "a\nb\nc"), [" a", " b", "+c"]);
        assert_eq!(told("a\na", "a"), [" a", "-a"]);
        assert_eq!(told("a\nb\nc\nd", "b\nx\nd"), ["-a", " b", "-c", "+x", " d"]);
    }

    /// Whoever reads the lines of either side has all of it.
    #[test]
    fn nothing_is_left_out() {
        let texts = [
            "",
            "a",
            "a\nb\na\nc",
            "c\nb\nb\na",
            "a\nb\nc\nd\ne",
            "e\nd\nc\nb\na",
        ];
        for before in texts {
            for after in texts {
                let parts = compare(before, after);
                let old: Vec<_> = parts
                    .iter()
                    .filter_map(|part| match part {
                        Part::Both(text) | Part::Before(text) => Some(*text),
                        Part::After(_) => None,
                    })
                    .collect();
                let new: Vec<_> = parts
                    .iter()
                    .filter_map(|part| match part {
                        Part::Both(text) | Part::After(text) => Some(*text),
                        Part::Before(_) => None,
                    })
                    .collect();
                assert_eq!(
                    (old.join("\n"), new.join("\n")),
                    (before.to_owned(), after.to_owned())
                );
            }
        }
    }

    #[test]
    fn only_files_that_differ_are_shown() {
        let file = |name: &str, text: &str| PolicyFile {
            name: name.into(),
            text: text.into(),
        };
        let before = [file("a.yaml", "one\ntwo"), file("b.yaml", "same")];
        let after = [file("b.yaml", "same"), file("c.yaml", "new")];
        let shown = lines(&before, &after);
        let text: Vec<String> = shown.iter().map(|line| line.render(false)).collect();
        assert_eq!(
            text,
            ["── a.yaml", "- one", "- two", "+ ", "── c.yaml", "- ", "+ new"]
        );
    }
}
