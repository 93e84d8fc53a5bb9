//! Documents that stay true: links lead somewhere, code that they name exists, changes and decisions have their place.

use std::collections::BTreeSet;

use super::Finding;
use super::tree::{File, Tree};

/// A dead link is the first thing that a reader meets and the last that a writer sees.
pub(super) fn links_lead_somewhere(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.markdown() {
        for (line, target) in
            prose(file).flat_map(|(line, text)| links(text).map(move |target| (line, target)))
        {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() {
                file.path.clone()
            } else {
                resolve(&file.path, path)
            };
            let what = if !exists(tree, &path) {
                format!("links to {path}, which does not exist")
            } else if !anchor.is_empty() && !tree.get(&path).is_none_or(|file| has_heading(file, anchor)) {
                format!("links to #{anchor}, a heading that {path} does not have")
            } else {
                continue;
            };
            findings.push(Finding {
                path: file.path.clone(),
                line,
                rule: "links",
                what,
                fix: "correct the link",
            });
        }
    }
    findings
}

/// Lines outside fenced code blocks.
fn prose(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    file.lines().filter(move |(_, text)| {
        let fence = text.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The targets of `[text](target)` and `<img src="target">`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let inline = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ']).next());
    let images = text
        .split("src=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    inline.chain(images).filter(|target| !target.is_empty())
}

/// A path relative to the file at `from`, as a path from the root.
fn resolve(from: &str, path: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether this is a file of the tree, or a directory of one. Pictures are not in it, so the disk is asked too.
fn exists(tree: &Tree, path: &str) -> bool {
    let prefix = format!("{path}/");
    tree.files()
        .iter()
        .any(|file| file.path == path || file.path.starts_with(&prefix))
        || crate::run::root().join(path).is_file()
}

/// Whether a heading has this anchor, made as GitHub does: lower case, spaces to hyphens, punctuation dropped.
fn has_heading(file: &File, anchor: &str) -> bool {
    prose(file)
        .filter(|(_, text)| text.starts_with('#'))
        .any(|(_, text)| {
            let title = text.trim_start_matches('#').trim().to_lowercase();
            let slug: String = title
                .chars()
                .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect();
            slug == anchor
        })
}

/// A code span that looks like a path of ours (`crates/…`, with `::name` for a function in it) must be one: the documents
/// say "shown by this test", and that must stay so when the test is renamed. Decisions are history and may name the past.
pub(super) fn named_code_exists(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.markdown().filter(|file| !file.path.starts_with("docs/adr/")) {
        for (line, text) in prose(file) {
            for span in text
                .split('`')
                .skip(1)
                .step_by(2)
                .filter(|span| is_path_of_ours(span))
            {
                let (path, name) = span.split_once("::").unwrap_or((span, ""));
                let path = path.trim_end_matches('/');
                let what = if !exists(tree, path) {
                    format!("names {path}, which does not exist")
                } else if !name.is_empty() && !tree.get(path).is_some_and(|file| defines(file, name)) {
                    format!("names {name}, which {path} does not define")
                } else {
                    continue;
                };
                let fix = "name what shows it today; if nothing does, the sentence is not true";
                findings.push(Finding {
                    path: file.path.clone(),
                    line,
                    rule: "named-code",
                    what,
                    fix,
                });
            }
        }
    }
    findings
}

fn is_path_of_ours(span: &str) -> bool {
    let ours = ["crates/", "xtask/", "docs/", ".ci/"]
        .iter()
        .any(|prefix| span.starts_with(prefix));
    ours && !span.contains([' ', '<', '*', '{', '…'])
}

fn defines(file: &File, name: &str) -> bool {
    ["fn", "mod", "struct", "enum", "trait", "const"]
        .iter()
        .any(|keyword| {
            let definition = format!("{keyword} {name}");
            file.text.match_indices(&definition).any(|(at, _)| {
                let after = file
                    .text
                    .get(at + definition.len()..)
                    .and_then(|rest| rest.chars().next());
                !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
            })
        })
}

/// Whoever upgrades reads one file; it must have a place for what comes next.
pub(super) fn changelog_has_unreleased(tree: &Tree) -> Vec<Finding> {
    const PATH: &str = "CHANGELOG.md";
    if tree
        .get(PATH)
        .is_some_and(|file| file.text.lines().any(|line| line == "## [Unreleased]"))
    {
        return Vec::new();
    }
    vec![Finding {
        path: PATH.into(),
        line: 1,
        rule: "changelog",
        what: "has no section `## [Unreleased]`".into(),
        fix: "add it at the top (keepachangelog.com)",
    }]
}

/// Decisions are referred to by number: each has one (`NNNN-title.md`), and it says so in its title.
pub(super) fn decisions_are_numbered(tree: &Tree) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    for file in tree.markdown() {
        let Some(name) = file.path.strip_prefix("docs/adr/") else {
            continue;
        };
        let number = name.split('-').next().unwrap_or_default();
        let what = if number.len() != 4 || number.bytes().any(|byte| !byte.is_ascii_digit()) {
            format!("{name} does not begin with a number of four digits")
        } else if !seen.insert(number) {
            format!("{number} is taken by another decision")
        } else if !file.text.starts_with(&format!("# {number}. ")) {
            format!("the title does not begin with `# {number}. `")
        } else {
            continue;
        };
        let fix = "take the next free number; docs/adr/0000-template.md shows the form";
        findings.push(Finding {
            path: file.path.clone(),
            line: 1,
            rule: "decisions",
            what,
            fix,
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finds;

    #[test]
    fn dead_links_and_dead_anchors_are_found() {
        let text = "[a](b.md) [gone](c.md)\n[h](b.md#the-end-of-it) [no](b.md#nowhere)\n[up](../README.md) [self](#one)\n\
                    [web](https://x.org/y) <img src=\"no.png\">\n```\n[in code](d.md)\n```\n# One\n";
        let files = [
            ("docs/a.md", text),
            ("docs/b.md", "# B\n## The end, of *it*\n"),
            ("README.md", ""),
        ];
        finds(
            links_lead_somewhere,
            &files,
            &["docs/a.md:1", "docs/a.md:2", "docs/a.md:4"],
        );
    }

    #[test]
    fn a_test_that_is_named_and_gone_is_found() {
        let files = [
            (
                "SECURITY.md",
                "`crates/a/t.rs::holds` `crates/a/t.rs::hold`\n`crates/a/` `crates/<name>/x`\n`crates/b.rs`",
            ),
            ("crates/a/t.rs", "fn holds() {}"),
            ("docs/adr/0001-x.md", "`crates/long/gone.rs`"),
        ];
        finds(named_code_exists, &files, &["SECURITY.md:1", "SECURITY.md:3"]);
    }

    #[test]
    fn a_changelog_without_a_place_for_the_next_change_is_found() {
        finds(
            changelog_has_unreleased,
            &[("CHANGELOG.md", "# C\n## [Unreleased]\n")],
            &[],
        );
        finds(
            changelog_has_unreleased,
            &[("CHANGELOG.md", "# C\n## 0.1\n")],
            &["CHANGELOG.md:1"],
        );
        finds(changelog_has_unreleased, &[], &["CHANGELOG.md:1"]);
    }

    #[test]
    fn decisions_without_or_with_a_taken_number_are_found() {
        let files = [
            ("docs/adr/0001-a.md", "# 0001. A"),
            ("docs/adr/0001-b.md", "# 0001. B"),
            ("docs/adr/0002-c.md", "# C"),
            ("docs/adr/c.md", "# C"),
        ];
        finds(
            decisions_are_numbered,
            &files,
            &["docs/adr/0001-b.md:1", "docs/adr/0002-c.md:1", "docs/adr/c.md:1"],
        );
    }
}
