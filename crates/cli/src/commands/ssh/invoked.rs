//! The path of this program as whoever ran it wrote it: one that leads through a link outlives what the link leads to today.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Where this program is found again: by the path that it was called by, or by the name in `path` (`PATH`), links as they are.
/// Where that leads to another file than the one that runs, or to none, it is the file itself.
pub(super) fn invoked(called: Option<&OsStr>, path: &OsStr, runs: &Path) -> PathBuf {
    let same = |file: &PathBuf| {
        let (one, other) = (std::fs::canonicalize(file), std::fs::canonicalize(runs));
        file.is_absolute() && matches!((one, other), (Ok(one), Ok(other)) if one == other)
    };
    let found = called.filter(|called| !called.is_empty()).and_then(|called| {
        if called.as_encoded_bytes().contains(&b'/') {
            return std::path::absolute(called).ok().filter(same);
        }
        // As the shell looked for it.
        std::env::split_paths(path)
            .map(|folder| folder.join(called))
            .find(same)
    });
    found.unwrap_or_else(|| runs.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_stays_a_link_where_it_leads_to_what_runs() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["v1", "v2", "bin", "other"] {
            std::fs::create_dir(at(folder)).unwrap();
        }
        for file in ["v1/daypass", "v2/daypass", "other/daypass"] {
            std::fs::write(at(file), file).unwrap();
        }
        symlink(at("v1/daypass"), at("bin/daypass")).unwrap();
        let (runs, link) = (at("v1/daypass"), at("bin/daypass"));
        let path = std::env::join_paths([at("nowhere"), at("other"), at("bin")]).unwrap();
        let by = |called: &OsStr| invoked(Some(called), &path, &runs);
        assert_eq!(by(link.as_os_str()), link, "by its path");
        assert_eq!(
            by(OsStr::new("daypass")),
            link,
            "by its name: another of that name is not it"
        );
        // What leads elsewhere, or nowhere, is not written down.
        for called in [
            at("v2/daypass"),
            at("gone"),
            PathBuf::from("ssh"),
            PathBuf::from(""),
        ] {
            assert_eq!(by(called.as_os_str()), runs, "{}", called.display());
        }
        assert_eq!(invoked(None, &path, &runs), runs);
        let relative = std::env::join_paths(["."]).unwrap();
        assert_eq!(invoked(Some(OsStr::new("daypass")), &relative, &runs), runs);
    }
}
