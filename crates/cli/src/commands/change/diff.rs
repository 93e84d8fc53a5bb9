//! What differs between two sets of files, line by line: what a reviewer of a policy reads.

use std::collections::BTreeSet;

use daypass_api::policy::PolicyFile;
use daypass_policy::{Part, compare, worth_showing};

use crate::line::{Line, Style};

/// How many unchanged lines are shown around what changed.
const AROUND: usize = 2;

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
    let mut lines = Vec::new();
    let mut skipped = false;
    for (part, shown) in parts.iter().zip(worth_showing(parts, AROUND)) {
        if !shown {
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

#[cfg(test)]
mod tests {
    use super::*;

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
