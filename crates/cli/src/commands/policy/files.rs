//! Reading a policy's files: single ones, or all YAML files of a folder.

use std::path::{Path, PathBuf};

use daypass_api::policy::{Diagnostic, PolicyFile};

use crate::failure::Failure;
use crate::line::{Line, Style};

/// More than any policy has, in bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The files of a policy, with where each was read.
pub(super) struct Files {
    files: Vec<(PathBuf, PolicyFile)>,
}

impl Files {
    /// Reads these files, and the YAML files of these folders. Without any: `daypass.yaml`, `policy.yaml` and the folder
    /// `policy`, where they are.
    ///
    /// A file's name in the policy does not depend on where it is checked from, for the revision is a hash over it too: a
    /// file goes by its own name, one of a folder by that folder's name and its path below.
    pub(super) fn read(paths: &[PathBuf]) -> Result<Self, Failure> {
        let usual = ["daypass.yaml", "policy.yaml", "policy"].map(PathBuf::from);
        let there: Vec<_> = usual.iter().filter(|path| path.exists()).cloned().collect();
        let paths = if paths.is_empty() { &there } else { paths };
        let mut found = Vec::new();
        for path in paths {
            let real = path.canonicalize().map_err(|error| unreadable(path, &error))?;
            let name = real
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or("policy")
                .to_owned();
            if real.is_dir() {
                below(path, &name, &mut found)?
            } else {
                found.push((path.clone(), name))
            }
        }
        if found.is_empty() {
            return Err(
                Failure::usage("there are no policy files to read").hint("daypass policy check policy/")
            );
        }
        let mut files: Vec<(PathBuf, PolicyFile)> = Vec::new();
        for (path, name) in found {
            if let Some((other, _)) = files.iter().find(|(_, file)| file.name == name) {
                let (one, other) = (path.display(), other.display());
                return Err(Failure::usage(format!(
                    "{one} and {other} would both be called {name} in the policy"
                )));
            }
            let text = read(&path)?;
            files.push((path, PolicyFile { name, text }));
        }
        Ok(Self { files })
    }

    /// As the API and the policy take them.
    pub(super) fn files(&self) -> Vec<PolicyFile> {
        self.files.iter().map(|(_, file)| file.clone()).collect()
    }

    /// Each file: where it was read, its name in the policy, and its text.
    pub(super) fn each(&self) -> impl Iterator<Item = (&Path, &PolicyFile)> {
        self.files.iter().map(|(path, file)| (path.as_path(), file))
    }

    /// What is wrong, where, with the line in question: paths as they were typed, so that editors find them.
    pub(super) fn draw(&self, diagnostic: &Diagnostic) -> Vec<Line> {
        let file = self.files.iter().find(|(_, file)| file.name == diagnostic.file);
        let path = file.map_or_else(|| diagnostic.file.clone(), |(path, _)| path.display().to_string());
        let place = format!("{path}:{}:{}", diagnostic.line, diagnostic.column);
        let mut lines = vec![
            Line::new()
                .with(Style::Bad, "✗ ")
                .with(Style::Strong, place)
                .text(": ")
                .text(&diagnostic.message),
        ];
        let text = file.and_then(|(_, file)| file.text.lines().nth(diagnostic.line.saturating_sub(1)));
        if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
            let number = diagnostic.line.to_string();
            // Cleaned first, so that the mark stands where the text does.
            let before: String = text.chars().take(diagnostic.column.saturating_sub(1)).collect();
            let indent = crate::clean::clean(&before).chars().count();
            lines.push(
                Line::new()
                    .with(Style::Faint, format!("  {number} │ "))
                    .text(text),
            );
            let gap = " ".repeat(number.len());
            let mark = format!("{}^", " ".repeat(indent));
            lines.push(
                Line::new()
                    .with(Style::Faint, format!("  {gap} │ "))
                    .with(Style::Bad, mark),
            );
        }
        lines.extend(
            diagnostic
                .help
                .iter()
                .map(|help| Line::new().text("  Try: ").text(help)),
        );
        lines
    }
}

/// The YAML files of a folder and of those in it.
fn below(folder: &Path, name: &str, found: &mut Vec<(PathBuf, String)>) -> Result<(), Failure> {
    let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(|error| unreadable(folder, &error))?.path());
    }
    paths.sort();
    for path in paths {
        let Some(own) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let is_yaml = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        // What begins with a dot is an editor's or git's.
        if own.starts_with('.') {
            continue;
        }
        let full = format!("{name}/{own}");
        if path.is_dir() {
            below(&path, &full, found)?;
        } else if is_yaml {
            found.push((path, full));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, Failure> {
    let size = std::fs::metadata(path)
        .map_err(|error| unreadable(path, &error))?
        .len();
    if size > MAX_BYTES {
        return Err(Failure::usage(format!(
            "{} is larger than any policy ({MAX_BYTES} bytes)",
            path.display()
        )));
    }
    std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::error(format!("{} cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_does_not_depend_on_where_one_stands() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("policy");
        std::fs::create_dir_all(folder.join("db")).unwrap();
        for name in ["b.yaml", "a.yml", "db/c.yaml", "notes.txt", ".#b.yaml"] {
            std::fs::write(folder.join(name), "version: 1\n").unwrap();
        }
        let names = |paths: &[PathBuf]| {
            Files::read(paths).map(|files| {
                files
                    .files()
                    .into_iter()
                    .map(|file| file.name)
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(
            names(std::slice::from_ref(&folder)).unwrap(),
            ["policy/a.yml", "policy/b.yaml", "policy/db/c.yaml"]
        );
        assert_eq!(names(&[folder.join("db/..")]).unwrap().len(), 3);
        assert_eq!(names(&[folder.join("b.yaml")]).unwrap(), ["b.yaml"]);
        assert!(names(&[folder.join("b.yaml"), folder.join("b.yaml")]).is_err());
        assert!(names(&[home.path().join("nowhere")]).is_err());
    }

    #[test]
    fn a_mistake_is_shown_in_its_line() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("daypass.yaml");
        std::fs::write(&path, "version: 1\nrules:\n  - alow: x\n").unwrap();
        let files = Files::read(std::slice::from_ref(&path)).unwrap();
        let diagnostic = Diagnostic {
            file: "daypass.yaml".into(),
            line: 3,
            column: 5,
            message: "there is no key alow".into(),
            help: Some("allow".into()),
        };
        let lines: Vec<_> = files
            .draw(&diagnostic)
            .iter()
            .map(|line| line.render(false))
            .collect();
        assert_eq!(
            lines,
            [
                format!("✗ {}:3:5: there is no key alow", path.display()),
                "  3 │   - alow: x".into(),
                "    │     ^".into(),
                "  Try: allow".into(),
            ]
        );
    }
}
