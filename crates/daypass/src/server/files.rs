//! The operator's policy files beside `server.yaml`: reading them, and whether a start puts them in force.

use std::path::{Path, PathBuf};

use daypass_core::event::Actor;
use daypass_engine::Engine;
use daypass_policy::{Policy, Source};

use crate::failure::Failure;

/// Policy files beside `server.yaml`: one file, a folder of them, or both.
const USUAL: [&str; 3] = ["daypass.yaml", "policy.yaml", "policy"];
/// More than any policy file has, in bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// How far back a start looks for a revision that was in force before.
const HISTORY: usize = 1000;

/// What a start does with the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// They are what is in force.
    InForce,
    /// They go in force.
    Apply,
    /// They were in force before, and somebody has put another policy in force since: they must not undo that.
    Outdated,
}

/// Where the files are: what the command line says, else what usually holds a policy beside the configuration.
pub(crate) fn find(config_file: &Path, given: Option<&Path>) -> Vec<PathBuf> {
    if let Some(given) = given {
        return vec![given.to_owned()];
    }
    let beside = |name| config_file.parent().unwrap_or_else(|| Path::new("")).join(name);
    USUAL
        .into_iter()
        .map(beside)
        .filter(|path| path.exists())
        .collect()
}

/// Reads these files, and the YAML files of these folders.
///
/// They are called as `daypass policy apply` calls them, because a revision is a hash over their names too: a file by its
/// own name, one of a folder by that folder's name and its path below.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for path in paths {
        let real = path.canonicalize().map_err(|error| unreadable(path, &error))?;
        let name = real
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if real.is_dir() {
            below(path, &name, &mut sources)?;
        } else {
            sources.push(source(path, name)?);
        }
    }
    if sources.is_empty() {
        let shown: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(
            Failure::error(format!("there is no *.yaml file in {}", shown.join(", ")))
                .hint("daypass init OTHER-FOLDER writes a policy to begin with"),
        );
    }
    Ok(sources)
}

/// The YAML files of a folder and of those in it.
fn below(folder: &Path, name: &str, sources: &mut Vec<Source>) -> Result<(), Failure> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
        paths.push(entry.map_err(|error| unreadable(folder, &error))?.path());
    }
    paths.sort();
    for path in paths {
        let own = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let yaml = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        let full = format!("{name}/{own}");
        // What begins with a dot is an editor's or a version control's.
        if own.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            below(&path, &full, sources)?;
        } else if yaml {
            sources.push(source(&path, full)?);
        }
    }
    Ok(())
}

fn source(path: &Path, name: String) -> Result<Source, Failure> {
    let length = std::fs::metadata(path)
        .map_err(|error| unreadable(path, &error))?
        .len();
    if length > MAX_BYTES {
        return Err(Failure::error(format!(
            "{}: {length} bytes is no policy ({MAX_BYTES} at most)",
            path.display()
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    Ok(Source { name, text })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::error(format!("the policy {} cannot be read: {error}", path.display()))
}

/// Whether a start puts these files in force.
///
/// The files are the operator's, and a changed file goes in force with the next start. But a policy that a person applied
/// over the API must survive a restart on a machine whose files nobody touched.
pub(crate) async fn at_start(engine: &Engine, sources: &[Source]) -> Result<Start, Failure> {
    let history = engine.store().policy_history(HISTORY).await?;
    let Some(in_force) = history.first() else {
        return Ok(Start::Apply);
    };
    // What does not load has never been in force; applying it says what is wrong with it.
    let Ok(policy) = Policy::load(sources) else {
        return Ok(Start::Apply);
    };
    let revision = policy.revision();
    let by_person = matches!(in_force.by, Actor::Person(_));
    Ok(if in_force.revision == revision {
        Start::InForce
    } else if by_person && history.iter().any(|earlier| earlier.revision == revision) {
        Start::Outdated
    } else {
        Start::Apply
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_called_as_the_client_calls_them() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("policy");
        std::fs::create_dir_all(folder.join("db")).unwrap();
        for name in ["b.yaml", "a.yml", ".c.yaml", "d.yaml~", "README.md", "db/e.yaml"] {
            std::fs::write(folder.join(name), name).unwrap();
        }
        std::fs::write(home.path().join("daypass.yaml"), "").unwrap();
        let names = |paths: &[PathBuf]| -> Vec<String> {
            read(paths)
                .unwrap()
                .into_iter()
                .map(|source| source.name)
                .collect()
        };
        assert_eq!(
            names(std::slice::from_ref(&folder)),
            ["policy/a.yml", "policy/b.yaml", "policy/db/e.yaml"]
        );
        assert_eq!(names(&[folder.join("b.yaml")]), ["b.yaml"]);
        let usual = find(&home.path().join("server.yaml"), None);
        assert_eq!(usual, [home.path().join("daypass.yaml"), folder]);
        assert_eq!(names(&usual).len(), 4);
    }

    #[test]
    fn what_is_not_there_is_said_so() {
        let folder = tempfile::tempdir().unwrap();
        let empty = read(&[folder.path().to_owned()]).unwrap_err();
        assert!(empty.to_string().contains("no *.yaml"), "{empty}");
        let missing = read(&[folder.path().join("none")]).unwrap_err();
        assert!(missing.to_string().contains("none cannot be read"), "{missing}");
        assert!(find(&folder.path().join("server.yaml"), None).is_empty());
        assert_eq!(
            find(Path::new("server.yaml"), Some(Path::new("x"))),
            [PathBuf::from("x")]
        );
    }
}
