//! How a source file looks from outside: its first line, its length, its name.

use super::Finding;
use super::tree::{Tree, words};

/// A reader decides by the first lines whether a file is the one they look for.
pub(super) fn begins_with_its_purpose(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| Finding {
            path: file.path.clone(),
            line: 1,
            rule: "purpose",
            what: "does not begin with `//! ` and what the file is for".into(),
            fix: "say in one sentence what belongs here; attributes come after it",
        })
        .collect()
}

/// The first line past the limit.
const TOO_LONG: usize = 600;

/// What is longer than this has two subjects. (Functions are measured by clippy.)
pub(super) fn files_are_short(tree: &Tree) -> Vec<Finding> {
    tree.with_extension(&["rs", "sql", "html", "css", "js"])
        .map(|file| (file, file.text.lines().count()))
        .filter(|(_, lines)| *lines >= TOO_LONG)
        .map(|(file, lines)| Finding {
            path: file.path.clone(),
            line: TOO_LONG,
            rule: "length",
            what: format!("has {lines} lines; a file has fewer than {TOO_LONG}"),
            fix: "find the second subject and give it a file, tests included",
        })
        .collect()
}

/// Names under which everything fits, so that everything ends up there.
const EMPTY_NAMES: &[&str] = &[
    "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils",
];

/// A name that says nothing attracts what belongs elsewhere.
pub(super) fn names_say_something(tree: &Tree) -> Vec<Finding> {
    let finding = |path: &str, line, name: &str| Finding {
        path: path.to_owned(),
        line,
        rule: "names",
        what: format!("the name {name:?} does not say what is inside"),
        fix: "name it after what it does, or move each part to where it is used",
    };
    let mut findings = Vec::new();
    for file in tree.files() {
        let parts = file
            .path
            .split('/')
            .map(|part| part.split('.').next().unwrap_or_default());
        for name in parts.filter(|part| words_of(part).any(|word| EMPTY_NAMES.contains(&word))) {
            findings.push(finding(&file.path, 1, name));
        }
    }
    for file in tree.rust() {
        for (line, text) in file.code() {
            let mut words = words(text).skip_while(|word| *word != "mod").skip(1);
            let is_module = text.trim_start().starts_with("mod ") || text.trim_start().starts_with("pub");
            if let Some(name) = words
                .next()
                .filter(|name| is_module && EMPTY_NAMES.contains(name))
            {
                findings.push(finding(&file.path, line, name));
            }
        }
    }
    findings
}

/// `http_utils` and `http-utils` are no better than `utils`.
fn words_of(name: &str) -> impl Iterator<Item = &str> {
    name.split(['_', '-'])
}

/// A crate that forgets `[lints] workspace = true` may unwrap, panic and be unsafe.
pub(super) fn crates_take_the_lints(tree: &Tree) -> Vec<Finding> {
    tree.files()
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml") && !file.is_of_another_workspace())
        .filter(|file| !file.text.contains("[lints]\nworkspace = true"))
        .map(|file| Finding {
            path: file.path.clone(),
            line: 1,
            rule: "lints",
            what: "does not take the workspace's lints".into(),
            fix: "add `[lints]` and `workspace = true`",
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finds;

    #[test]
    fn a_file_without_a_purpose_is_found() {
        let files = [
            ("a.rs", "//! Adds.\n"),
            ("b.rs", "#![x]\n//! Late.\n"),
            ("c.rs", ""),
            ("d.md", "x"),
        ];
        finds(begins_with_its_purpose, &files, &["b.rs:1", "c.rs:1"]);
    }

    #[test]
    fn six_hundred_lines_are_too_many() {
        let (short, long) = ("x\n".repeat(599), "x\n".repeat(600));
        let files = [
            ("a.rs", short.as_str()),
            ("b.rs", &long),
            ("c.css", &long),
            ("d.md", &long),
        ];
        finds(files_are_short, &files, &["b.rs:600", "c.css:600"]);
    }

    #[test]
    fn empty_names_are_found_in_paths_and_in_modules() {
        let files = [
            ("src/utils.rs", "//! x"),
            ("common/mod.rs", "//! x"),
            ("src/http_helpers.rs", "//! x"),
            (
                "src/a.rs",
                "//! x\npub(crate) mod misc {}\nmod manager;\n// mod util;\nlet m = \"mod util\";",
            ),
            ("src/commonwealth.rs", "//! x"),
        ];
        let expected = [
            "common/mod.rs:1",
            "src/a.rs:2",
            "src/a.rs:3",
            "src/http_helpers.rs:1",
            "src/utils.rs:1",
        ];
        finds(names_say_something, &files, &expected);
    }

    #[test]
    fn a_crate_without_lints_is_found() {
        let files = [
            ("Cargo.toml", "[workspace]"),
            ("a/Cargo.toml", "[lints]\nworkspace = true\n"),
            ("b/Cargo.toml", "[package]"),
            ("other/Cargo.toml", "[package]\n[workspace]\n"),
        ];
        finds(crates_take_the_lints, &files, &["b/Cargo.toml:1"]);
    }
}
