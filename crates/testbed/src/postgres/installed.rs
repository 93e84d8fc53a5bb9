//! Which PostgreSQL is installed on this machine.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Doing;
use crate::{Error, Result};

/// Where packages put PostgreSQL's server programs, which are rarely on `PATH`: Debian and Ubuntu, then the PostgreSQL
/// project's RPMs, then Homebrew. Each `*` stands for one path component that begins with the text before it.
const LAYOUTS: &[(&str, &str)] = &[
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
];

/// An installed PostgreSQL: the directory of its programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    bin: PathBuf,
}

impl Installed {
    /// Finds PostgreSQL: `DAYPASS_PG_BINDIR` if set (and nothing else then), the newest in the usual layouts, `PATH`.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] names the places that were looked at.
    pub fn find() -> Result<Self> {
        let forced = std::env::var_os("DAYPASS_PG_BINDIR");
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::find_in(Path::new("/"), forced.as_deref(), &path)
    }

    fn find_in(root: &Path, forced: Option<&OsStr>, path: &OsStr) -> Result<Self> {
        let candidates: Vec<PathBuf> = match forced {
            Some(dir) => vec![dir.into()],
            None => layouts(root)
                .into_iter()
                .chain(std::env::split_paths(path))
                .collect(),
        };
        let found = candidates
            .iter()
            .find(|dir| dir.join("initdb").is_file() && dir.join("postgres").is_file());
        match (found, forced) {
            (Some(bin), _) => Ok(Self { bin: bin.clone() }),
            (None, Some(dir)) => Err(Error::NotInstalled {
                looked: format!("DAYPASS_PG_BINDIR={}", dir.display()),
            }),
            (None, None) => {
                let layouts: Vec<_> = LAYOUTS
                    .iter()
                    .map(|(dir, name)| format!("{dir}/{name}*"))
                    .collect();
                Err(Error::NotInstalled {
                    looked: format!("{}, PATH", layouts.join(", ")),
                })
            }
        }
    }

    /// The directory that holds `initdb`, `postgres` and usually the clients.
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        &self.bin
    }

    /// The path of one of its programs, such as `psql` or `pgbench`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// What `postgres --version` says: `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn version(&self) -> Result<String> {
        let program = self.program("postgres");
        let output = Command::new(&program)
            .arg("--version")
            .output()
            .doing(|| format!("running {} --version", program.display()))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// The `bin` directories of the usual layouts under `root`, newest version first within each.
fn layouts(root: &Path) -> Vec<PathBuf> {
    LAYOUTS
        .iter()
        .flat_map(|(dir, prefix)| {
            let parent = root.join(dir.trim_start_matches('/'));
            let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(parent)
                .into_iter()
                .flatten()
                .flatten()
                .filter_map(|entry| {
                    let name = entry.file_name();
                    let version = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
                    Some((version, entry.path().join("bin")))
                })
                .collect();
            versions.sort_by(|a, b| b.cmp(a));
            versions.into_iter().map(|(_, bin)| bin)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(root: &Path, dir: &str, programs: &[&str]) -> PathBuf {
        let bin = root.join(dir);
        std::fs::create_dir_all(&bin).unwrap();
        for program in programs {
            std::fs::write(bin.join(program), "").unwrap();
        }
        bin
    }

    #[test]
    fn the_newest_complete_version_wins_by_number_not_by_text() {
        let root = tempfile::tempdir().unwrap();
        install(root.path(), "usr/lib/postgresql/9/bin", &["initdb", "postgres"]);
        let fifteen = install(root.path(), "usr/lib/postgresql/15/bin", &["initdb", "postgres"]);
        install(root.path(), "usr/lib/postgresql/17/bin", &["psql"]); // only the client
        let found = Installed::find_in(root.path(), None, OsStr::new("")).unwrap();
        assert_eq!(found.bin_dir(), fifteen);
    }

    #[test]
    fn the_variable_beats_everything_and_is_not_second_guessed() {
        let root = tempfile::tempdir().unwrap();
        install(root.path(), "usr/lib/postgresql/15/bin", &["initdb", "postgres"]);
        let mine = install(root.path(), "mine", &["initdb", "postgres"]);
        let found = Installed::find_in(root.path(), Some(mine.as_os_str()), OsStr::new("")).unwrap();
        assert_eq!(found.bin_dir(), mine);

        let error =
            Installed::find_in(root.path(), Some(OsStr::new("/nowhere")), OsStr::new("")).unwrap_err();
        assert!(
            error.to_string().contains("DAYPASS_PG_BINDIR=/nowhere"),
            "{error}"
        );
    }

    #[test]
    fn path_is_looked_at_last_and_nothing_is_an_error_that_says_where() {
        let root = tempfile::tempdir().unwrap();
        let error = Installed::find_in(root.path(), None, OsStr::new("")).unwrap_err();
        assert!(error.to_string().contains("/usr/lib/postgresql"), "{error}");
        let on_path = install(root.path(), "elsewhere", &["initdb", "postgres"]);
        let found = Installed::find_in(root.path(), None, on_path.as_os_str()).unwrap();
        assert_eq!(found.bin_dir(), on_path);
    }
}
