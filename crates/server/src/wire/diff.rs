//! What differs between two sets of files, on the wire.

use std::collections::BTreeMap;

use daypass_api::policy::{DiffLine, FileDiff, PolicyFile};
use daypass_policy::{Part, compare, worth_showing};

/// How many unchanged lines are told around what changed.
const AROUND: usize = 3;
/// So much is compared line by line, lines of the one multiplied by lines of the other; what is beyond is told one after the other.
const MOST_COMPARED: usize = 20_000_000;

/// The files that differ, in the order of their names.
#[must_use]
pub(crate) fn diff(before: &[PolicyFile], after: &[PolicyFile]) -> Vec<FileDiff> {
    let mut texts: BTreeMap<&str, (Option<&str>, Option<&str>)> = BTreeMap::new();
    for file in before {
        texts.entry(&file.name).or_default().0 = Some(&file.text);
    }
    for file in after {
        texts.entry(&file.name).or_default().1 = Some(&file.text);
    }
    let mut left = MOST_COMPARED;
    let differ = texts.into_iter().filter(|(_, (old, new))| old != new);
    differ
        .map(|(name, (old, new))| {
            let parts = match (old, new) {
                (Some(old), Some(new)) => {
                    let work = old.lines().count().saturating_mul(new.lines().count());
                    match left.checked_sub(work) {
                        Some(rest) => {
                            left = rest;
                            compare(old, new)
                        }
                        None => old
                            .lines()
                            .map(Part::Before)
                            .chain(new.lines().map(Part::After))
                            .collect(),
                    }
                }
                (old, new) => old
                    .into_iter()
                    .flat_map(str::lines)
                    .map(Part::Before)
                    .chain(new.into_iter().flat_map(str::lines).map(Part::After))
                    .collect(),
            };
            FileDiff {
                name: name.to_owned(),
                lines: numbered(&parts),
            }
        })
        .collect()
}

/// The lines that are worth showing, with their numbers.
fn numbered(parts: &[Part<'_>]) -> Vec<DiffLine> {
    let (mut before, mut after) = (0, 0);
    let mut lines = Vec::new();
    for (part, shown) in parts.iter().zip(worth_showing(parts, AROUND)) {
        let (old, new, text) = match part {
            Part::Both(text) => (true, true, text),
            Part::Before(text) => (true, false, text),
            Part::After(text) => (false, true, text),
        };
        before += usize::from(old);
        after += usize::from(new);
        if shown {
            lines.push(DiffLine {
                before: old.then_some(before),
                after: new.then_some(after),
                text: (*text).to_owned(),
            });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> PolicyFile {
        PolicyFile {
            name: name.into(),
            text: text.into(),
        }
    }

    fn told(before: &[PolicyFile], after: &[PolicyFile]) -> Vec<String> {
        let line = |line: &DiffLine| {
            let number = |number: Option<usize>| number.map_or_else(|| "-".into(), |n| n.to_string());
            format!("{} {} {}", number(line.before), number(line.after), line.text)
        };
        diff(before, after)
            .iter()
            .flat_map(|file| std::iter::once(file.name.clone()).chain(file.lines.iter().map(line)))
            .collect()
    }

    #[test]
    fn lines_have_their_numbers_and_what_is_the_same_is_left_out() {
        let old = [
            file("a", "1\n2\n3\n4\n5\n6\n7"),
            file("b", "same"),
            file("gone", "x\n"),
        ];
        let new = [
            file("a", "1\n2\n3\n4\nfive\n6\n7"),
            file("b", "same"),
            file("made", "y"),
        ];
        assert_eq!(
            told(&old, &new),
            [
                "a", "2 2 2", "3 3 3", "4 4 4", "5 - 5", "- 5 five", "6 6 6", "7 7 7", "gone", "1 - x",
                "made", "- 1 y"
            ]
        );
        assert!(told(&old, &old).is_empty());
    }
}
