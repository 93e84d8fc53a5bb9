//! The folder that `init` fills: new files and folders only, each remembered, so that a failure leaves nothing behind.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Only the owner may enter or list.
const PRIVATE: u32 = 0o700;

pub(super) struct Folder {
    root: PathBuf,
    /// What was made here, in order; taken away in the opposite order.
    made: Vec<Made>,
}

enum Made {
    File(PathBuf),
    Dir(PathBuf),
    /// A folder that was made here, with all that others put into it since.
    Tree(PathBuf),
}

impl Folder {
    /// The folder; its missing parents are made.
    pub(super) fn create(root: &Path) -> Result<Self, Failure> {
        let mut folder = Self {
            root: root.to_owned(),
            made: Vec::new(),
        };
        if !root.exists() {
            std::fs::create_dir_all(root).map_err(|error| cannot("make", root, &error))?;
            folder.made.push(Made::Dir(root.to_owned()));
        }
        Ok(folder)
    }

    /// A folder in it; one that is there already is taken as it is.
    pub(super) fn dir(&mut self, name: &str) -> Result<(), Failure> {
        self.make_dir(name, 0o755)
    }

    /// A folder in it that only its owner may enter; one that is there already is closed to others.
    pub(super) fn private_dir(&mut self, name: &str) -> Result<(), Failure> {
        self.make_dir(name, PRIVATE)?;
        let path = self.root.join(name);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(PRIVATE))
            .map_err(|error| cannot("close", &path, &error))
    }

    /// A new file in it.
    pub(super) fn file(&mut self, name: &str, text: &str) -> Result<(), Failure> {
        self.make_file(name, text, 0o644)
    }

    /// A new file in it that only its owner may read.
    pub(super) fn secret(&mut self, name: &str, text: &str) -> Result<(), Failure> {
        self.make_file(name, text, 0o600)
    }

    fn make_file(&mut self, name: &str, text: &str, mode: u32) -> Result<(), Failure> {
        let path = self.root.join(name);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)
            .map_err(|error| cannot("write", &path, &error))?;
        self.made.push(Made::File(path.clone()));
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|error| cannot("write", &path, &error))
    }

    /// From here on everything in a folder that was made here counts as made here.
    pub(super) fn all_in(&mut self, name: &str) {
        let path = self.root.join(name);
        for made in &mut self.made {
            if matches!(made, Made::Dir(dir) if *dir == path) {
                *made = Made::Tree(path.clone());
            }
        }
    }

    /// It is done: everything stays.
    pub(super) fn keep(self) {}

    /// Takes away what was made here. What cannot be is left: the failure that led here is what should be told.
    pub(super) fn undo(self) {
        for made in self.made.into_iter().rev() {
            let _left = match made {
                Made::File(path) => std::fs::remove_file(path),
                Made::Dir(path) => std::fs::remove_dir(path),
                Made::Tree(path) => std::fs::remove_dir_all(path),
            };
        }
    }

    fn make_dir(&mut self, name: &str, mode: u32) -> Result<(), Failure> {
        let path = self.root.join(name);
        match DirBuilder::new().mode(mode).create(&path) {
            Ok(()) => self.made.push(Made::Dir(path)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => {}
            Err(error) => return Err(cannot("make", &path, &error)),
        }
        Ok(())
    }
}

fn cannot(verb: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::error(format!("cannot {verb} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_made_goes_and_what_was_there_stays() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("policy")).unwrap();
        std::fs::write(root.path().join("policy/mine.yaml"), "mine").unwrap();
        let mut folder = Folder::create(root.path()).unwrap();
        folder.dir("policy").unwrap();
        folder.private_dir("data").unwrap();
        folder.file("policy/new.yaml", "new").unwrap();
        folder.all_in("data");
        std::fs::write(root.path().join("data/store"), "rows").unwrap();
        assert!(
            folder.file("policy/mine.yaml", "other").is_err(),
            "it never writes over anything"
        );
        folder.undo();
        let left: Vec<_> = std::fs::read_dir(root.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["policy"]);
        assert_eq!(
            std::fs::read_to_string(root.path().join("policy/mine.yaml")).unwrap(),
            "mine"
        );
        assert!(!root.path().join("policy/new.yaml").exists());
    }
}
