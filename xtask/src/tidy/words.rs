//! Words that do not belong into a finished tree: notes to ourselves, and the machine it was written on.

use super::Finding;
use super::tree::{Tree, words};

/// Built from halves, so that this file does not break its own rule.
const NOTES: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
    concat!("HA", "CK"),
];

/// What is not done is an issue, where somebody sees it; a note in the code is where nobody does.
pub(super) fn nothing_is_left_to_do(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree
        .files()
        .iter()
        .filter(|file| file.path != "LICENSE" && file.extension() != "lock")
    {
        for (line, text) in file.lines() {
            if let Some(note) = words(text).find(|word| NOTES.contains(word)) {
                findings.push(Finding {
                    path: file.path.clone(),
                    line,
                    rule: "unfinished",
                    what: format!("says {note}"),
                    fix: "do it, or write an issue and say here what holds today",
                });
            }
        }
    }
    findings
}

/// Directories under which people and build machines keep a checkout or a home.
const CHECKOUTS: &[&str] = &[
    "home",
    "Users",
    "root",
    "work",
    "workspace",
    "workspaces",
    "builds",
    "checkout",
];

/// A path of one machine is wrong on every other. A `~` or a path from the root of the repository is right everywhere.
pub(super) fn no_machine_is_named(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files() {
        for (line, text) in file.lines() {
            if let Some(path) = CHECKOUTS.iter().find_map(|name| absolute_path_under(text, name)) {
                findings.push(Finding {
                    path: file.path.clone(),
                    line,
                    rule: "machine",
                    what: format!("names a path of one machine: {path}"),
                    fix: "write it relative to the repository, or with a placeholder",
                });
            }
        }
    }
    findings
}

/// The absolute path in `text` whose first part is `name`, if there is one. Parts of longer paths and URLs do not count.
fn absolute_path_under<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let needle = format!("/{name}/");
    text.match_indices(&needle).find_map(|(at, _)| {
        let before = text.get(..at)?.chars().next_back();
        let starts = before.is_none_or(|c| !c.is_alphanumeric() && !"./~_-}>$*:)]".contains(c));
        let rest = text.get(at..)?;
        let path = rest
            .split(|c: char| c.is_whitespace() || "\"'`),;".contains(c))
            .next()?;
        // `/home/<name>` and `/root/…` in prose are placeholders.
        let is_real = path
            .get(needle.len()..)?
            .starts_with(|c: char| c.is_alphanumeric() || c == '.');
        (starts && is_real).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finds;

    #[test]
    fn notes_to_ourselves_are_found_as_whole_words() {
        let note = format!(
            "fn f() {{}} // {}: later\n{}S\nlowercase todo in prose\n",
            NOTES[0], NOTES[0]
        );
        finds(
            nothing_is_left_to_do,
            &[("a.rs", &note), ("b.yaml", NOTES[1])],
            &["a.rs:1", "b.yaml:1"],
        );
    }

    #[test]
    fn a_path_of_somebodys_machine_is_found() {
        for dir in CHECKOUTS {
            let text = format!("see /{dir}/ann/daypass for it\nor \"/{dir}/x\"\nfile:///{dir}\n");
            finds(no_machine_is_named, &[("a.md", &text)], &["a.md:1", "a.md:2"]);
        }
    }

    #[test]
    fn urls_placeholders_and_parts_of_paths_are_fine() {
        for text in [
            "https://x.org/home/page",
            "~/builds/x",
            "var/root/x",
            "/home/<you>/x",
            "$HOME/builds/y",
            "/usr/lib/x",
        ] {
            finds(no_machine_is_named, &[("a.md", text)], &[]);
        }
    }
}
