//! The files of the workspace, as the rules see them: what git knows or would add, as text.

use std::fs;
use std::process::Command;

use anyhow::Context;

use crate::run::{output, root};

/// Files of a workspace, in memory: rules are pure functions of it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    files: Vec<File>,
}

#[derive(Debug)]
pub(super) struct File {
    /// From the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl Tree {
    pub(super) fn of_the_workspace() -> anyhow::Result<Self> {
        let mut git = Command::new("git");
        git.current_dir(root())
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let mut files = Vec::new();
        for path in output(&mut git)?.split_terminator('\0') {
            let full = root().join(path);
            // Removed but not committed yet: git still lists it.
            if !full.is_file() {
                continue;
            }
            let bytes = fs::read(&full).with_context(|| format!("reading {path}"))?;
            // A picture has no rules.
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(File {
                    path: path.to_owned(),
                    text,
                });
            }
        }
        Ok(Self { files })
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File {
            path: (*path).into(),
            text: (*text).into(),
        };
        Self {
            files: files.iter().map(file).collect(),
        }
    }

    pub(super) fn files(&self) -> &[File] {
        &self.files
    }

    pub(super) fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    pub(super) fn rust(&self) -> impl Iterator<Item = &File> {
        self.with_extension(&["rs"])
    }

    pub(super) fn markdown(&self) -> impl Iterator<Item = &File> {
        self.with_extension(&["md"])
    }

    pub(super) fn with_extension<'a>(&'a self, extensions: &'a [&str]) -> impl Iterator<Item = &'a File> {
        self.files
            .iter()
            .filter(|file| extensions.contains(&file.extension()))
    }
}

impl File {
    /// The part after the last dot of the name; empty without one.
    pub(super) fn extension(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// Its lines, counted from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }

    /// Lines of code: without those that are a comment from their first character on.
    pub(super) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines()
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// Whether this is the manifest of another workspace (`fuzz/`): no crate of ours, and its lints are its own.
    pub(super) fn is_of_another_workspace(&self) -> bool {
        self.path.contains('/') && self.lines().any(|(_, line)| line == "[workspace]")
    }

    /// Whether this is test code by its place.
    pub(super) fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("tests.rs")
    }
}

/// Splits text into words of letters, digits and `_`.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}
