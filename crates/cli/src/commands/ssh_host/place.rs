//! What lies on a host: the lists and files that sshd reads. They are written here and nowhere else.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_api::ssh::HostFiles;

use super::doubt;
use crate::durable;
use crate::failure::Failure;

/// What begins every revocation list.
const KRL: &[u8] = b"SSHKRL\n\0";
/// The file of the list.
const LIST: &str = "revoked.krl";
/// The list that was there when the server's log was first found to be another one.
const KEPT: &str = "revoked.kept";
/// The file of those who are trusted.
const AUTHORITIES: &str = "ca.pub";
/// How many are trusted at most: one, and another while one follows the other.
const MOST_TRUSTED: usize = 3;
/// The folder of the principals.
const PRINCIPALS: &str = "principals";

/// The folder of a host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a>(pub(super) &'a Path);

/// What a server sent, in the form in which it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contents {
    list: Vec<u8>,
    /// The lines of those who are trusted; `None` where that stays as it is.
    authorities: Option<String>,
    /// The lines of each user.
    principals: Vec<(String, String)>,
}

impl Contents {
    /// Reads what a server sent.
    ///
    /// # Errors
    /// Where it is odd: these become names and lines of files that root writes.
    pub(super) fn of(files: &HostFiles) -> Result<Self, Failure> {
        let list = decoded(files)
            .ok_or_else(|| Failure::error("the server sent no revocation list; nothing was changed"))?;
        let authorities = match files.authorities.as_slice() {
            [] => std::slice::from_ref(&files.authority),
            several => several,
        };
        let none = files.authority.is_empty();
        let is_line =
            |line: &String| line.trim_end().lines().count() == 1 && line.starts_with("ssh-ed25519 ");
        if !none && (authorities.len() > MOST_TRUSTED || !authorities.iter().all(is_line)) {
            return Err(Failure::error(
                "the server sent no authority; nothing was changed",
            ));
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        for (user, principals) in &files.principals {
            let line = |text: &String| {
                !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && c != '#' && c != '"')
            };
            if user.is_empty() || !user.chars().all(plain) || !principals.iter().all(line) {
                return Err(Failure::error(format!(
                    "the server sent principals for {user:?}; nothing was changed"
                )));
            }
        }
        let lines = || authorities.iter().map(|line| format!("{}\n", line.trim_end()));
        let principals = files.principals.iter().map(|(user, all)| {
            let lines = all.iter().map(|principal| format!("{principal}\n"));
            (user.clone(), lines.collect())
        });
        Ok(Self {
            list,
            authorities: (!none).then(|| lines().collect()),
            principals: principals.collect(),
        })
    }
}

/// The list that a server sent, where it is one.
fn decoded(files: &HostFiles) -> Option<Vec<u8>> {
    let krl = STANDARD.decode(&files.krl).ok()?;
    krl.starts_with(KRL).then_some(krl)
}

impl Place<'_> {
    /// The file of the list.
    pub(super) fn list(self) -> PathBuf {
        self.0.join(LIST)
    }

    /// The file of those who are trusted.
    pub(super) fn authorities(self) -> PathBuf {
        self.0.join(AUTHORITIES)
    }

    /// Where what was seen of the server's log is kept. Under systemd root has no home.
    pub(super) fn pins(self) -> PathBuf {
        self.0.join("pins")
    }

    /// Whether all of it is in place already.
    pub(super) fn has(self, contents: &Contents) -> bool {
        let same = |path: &Path, bytes: &[u8]| std::fs::read(path).is_ok_and(|there| there == bytes);
        let authorities = contents.authorities.as_ref();
        let principals = self.0.join(PRINCIPALS);
        same(&self.list(), &contents.list)
            && authorities.is_none_or(|lines| same(&self.authorities(), lines.as_bytes()))
            && self
                .users()
                .is_ok_and(|users| users.iter().eq(contents.principals.iter().map(|(user, _)| user)))
            && contents
                .principals
                .iter()
                .all(|(user, lines)| same(&principals.join(user), lines.as_bytes()))
    }

    /// Whom this host lets in; nobody where nothing was written yet.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub(super) fn users(self) -> Result<BTreeSet<String>, Failure> {
        let principals = self.0.join(PRINCIPALS);
        let there = match std::fs::read_dir(&principals) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
            there => there.map_err(|error| cannot("read", &principals, &error))?,
        };
        let mut users = BTreeSet::new();
        for entry in there {
            let entry = entry.map_err(|error| cannot("read", &principals, &error))?;
            users.insert(entry.file_name().to_string_lossy().into_owned());
        }
        Ok(users)
    }

    /// Lets nobody in any more: without principals a certificate opens no user.
    ///
    /// # Errors
    /// Where a file cannot be removed.
    pub(super) fn empty(self) -> Result<(), Failure> {
        let principals = self.0.join(PRINCIPALS);
        for user in self.users()? {
            let path = principals.join(user);
            std::fs::remove_file(&path).map_err(|error| cannot("remove", &path, &error))?;
        }
        Ok(())
    }

    /// Puts everything in place: the revoked first, whom to trust last. sshd reads each file anew at each login.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub(super) fn write(self, contents: &Contents) -> Result<(), Failure> {
        let principals = self.0.join(PRINCIPALS);
        let made = DirBuilder::new().recursive(true).mode(0o755).create(&principals);
        made.map_err(|error| cannot("make", &principals, &error))?;
        // sshd reads principals as the user who logs in; root's umask may be 077.
        readable(self.0, 0o755)?;
        readable(&principals, 0o755)?;
        replace(&self.list(), &contents.list)?;
        for user in self.users()? {
            if !contents.principals.iter().any(|(known, _)| *known == user) {
                let path = principals.join(user);
                std::fs::remove_file(&path).map_err(|error| cannot("remove", &path, &error))?;
            }
        }
        for (user, lines) in &contents.principals {
            replace(&principals.join(user), lines.as_bytes())?;
        }
        if let Some(lines) = &contents.authorities {
            replace(&self.authorities(), lines.as_bytes())?;
        }
        let kept = self.0.join(KEPT);
        match std::fs::remove_file(&kept) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(cannot("remove", &kept, &error)),
            _ => Ok(()),
        }
    }

    /// Refuses what was refused when the doubt began, and what the server shows as revoked now; whether that changed anything. Kept as it was
    /// then, the list does not grow with each answer.
    ///
    /// # Errors
    /// Where the lists cannot be joined, read or written.
    pub(super) fn join(self, files: &HostFiles) -> Result<bool, Failure> {
        let (list, kept) = (self.list(), self.0.join(KEPT));
        let now = std::fs::read(&list).map_err(|error| cannot("read", &list, &error))?;
        let before = match std::fs::read(&kept) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                replace(&kept, &now)?;
                now.clone()
            }
            before => before.map_err(|error| cannot("read", &kept, &error))?,
        };
        let shown = STANDARD.decode(&files.krl).unwrap_or_default();
        let joined = doubt::joined(&before, &shown).ok_or_else(|| {
            Failure::error(
                "the revocation lists, the one here and the server's, cannot be joined; nothing was changed",
            )
        })?;
        if joined == now {
            return Ok(false);
        }
        replace(&list, &joined)?;
        Ok(true)
    }
}

/// Replaces it whole; does nothing where it is so already.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if std::fs::read(path).is_ok_and(|there| there == bytes) {
        return readable(path, 0o644);
    }
    durable::replace(path, bytes, Some(0o644)).map_err(|error| cannot("write", path, &error))
}

/// Sets the mode, whatever the umask took away.
fn readable(path: &Path, mode: u32) -> Result<(), Failure> {
    let set = std::fs::metadata(path).and_then(|meta| {
        if meta.permissions().mode() & 0o7777 == mode {
            return Ok(());
        }
        std::fs::set_permissions(path, Permissions::from_mode(mode))
    });
    set.map_err(|error| cannot("set the mode of", path, &error))
}

fn cannot(verb: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::error(format!("cannot {verb} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> HostFiles {
        HostFiles {
            authority: "ssh-ed25519 AAAA daypass fleet\n".into(),
            authorities: Vec::new(),
            version: 3,
            krl: STANDARD.encode(KRL),
            principals: [("deploy".into(), ["deploy@web-1".into()].into())].into(),
        }
    }

    fn put(folder: &Path, files: &HostFiles) -> Result<(), Failure> {
        Place(folder).write(&Contents::of(files)?)
    }

    #[test]
    fn others_can_read_it_whatever_the_umask_was() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |name: &str| {
            let meta = std::fs::metadata(dir.path().join(name)).unwrap();
            meta.permissions().mode() & 0o777
        };
        let all = ["", "principals", "principals/deploy", "ca.pub", "revoked.krl"];
        // tempfile makes 0700; the rest is made narrow by hand between the two, with the same contents.
        for _ in 0..2 {
            put(dir.path(), &files()).unwrap();
            assert_eq!(all.map(mode), [0o755, 0o755, 0o644, 0o644, 0o644]);
            for name in all.iter().rev() {
                let path = dir.path().join(name);
                let narrow = if path.is_dir() { 0o700 } else { 0o600 };
                std::fs::set_permissions(&path, Permissions::from_mode(narrow)).unwrap();
            }
        }
    }

    #[test]
    fn without_an_authority_the_list_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), &files()).unwrap();
        let longer = [KRL, b"more"].concat();
        let without = HostFiles {
            authority: String::new(),
            krl: STANDARD.encode(&longer),
            ..files()
        };
        put(dir.path(), &without).unwrap();
        assert_eq!(std::fs::read(dir.path().join(LIST)).unwrap(), longer);
        let authority = std::fs::read_to_string(dir.path().join("ca.pub")).unwrap();
        assert_eq!(authority, files().authority, "what it trusts stays");
    }

    #[test]
    fn a_host_trusts_two_while_one_follows_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let two = HostFiles {
            authorities: vec![files().authority, "ssh-ed25519 BBBB daypass fleet next\n".into()],
            ..files()
        };
        put(dir.path(), &two).unwrap();
        let authority = std::fs::read_to_string(dir.path().join(AUTHORITIES)).unwrap();
        assert_eq!(authority, two.authorities.concat());
        put(dir.path(), &files()).unwrap();
        let authority = std::fs::read_to_string(dir.path().join(AUTHORITIES)).unwrap();
        assert_eq!(authority, files().authority, "and then one again");
    }

    #[test]
    fn a_host_that_left_lets_nobody_in() {
        let dir = tempfile::tempdir().unwrap();
        Place(dir.path()).empty().unwrap();
        put(dir.path(), &files()).unwrap();
        Place(dir.path()).empty().unwrap();
        assert_eq!(std::fs::read_dir(dir.path().join(PRINCIPALS)).unwrap().count(), 0);
        assert!(dir.path().join(LIST).exists(), "what was revoked stays refused");
    }

    #[test]
    fn what_nobody_may_use_any_more_goes_and_what_is_odd_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), &files()).unwrap();
        std::fs::write(dir.path().join("principals/old"), "old@web-1\n").unwrap();
        put(dir.path(), &files()).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap_or_default();
        assert_eq!(
            (read("principals/deploy"), read("principals/old")),
            ("deploy@web-1\n".into(), String::new())
        );
        for change in [
            (|files| files.krl = STANDARD.encode("nonsense")) as fn(&mut HostFiles),
            |files| files.krl = "%".into(),
            |files| files.authority = "ssh-ed25519 AAAA a\nssh-ed25519 BBBB b\n".into(),
            |files| files.authority = "cert-authority".into(),
            |files| files.authorities = vec!["ssh-ed25519 AAAA a\nssh-ed25519 BBBB b\n".into()],
            |files| files.authorities = vec!["ssh-ed25519 AAAA a\n".into(), "cert-authority".into()],
            |files| files.authorities = vec!["ssh-ed25519 AAAA a\n".into(); 4],
            |files| files.principals = [("../../x".into(), ["a".into()].into())].into(),
            |files| files.principals = [("x".into(), ["a\nroot".into()].into())].into(),
            |files| files.principals = [("x".into(), ["command=\"x\" a".into()].into())].into(),
        ] {
            let mut files = files();
            change(&mut files);
            assert!(put(dir.path(), &files).is_err(), "{files:?}");
            assert_eq!(read("principals/deploy"), "deploy@web-1\n");
        }
    }

    #[test]
    fn what_is_in_place_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place(dir.path());
        let has = |files: &HostFiles| place.has(&Contents::of(files).unwrap());
        assert!(!has(&files()));
        put(dir.path(), &files()).unwrap();
        assert!(has(&files()));
        for change in [
            (|files| files.krl = STANDARD.encode([KRL, b"more"].concat())) as fn(&mut HostFiles),
            |files| files.authority = "ssh-ed25519 BBBB another\n".into(),
            |files| files.principals.clear(),
            |files| files.principals = [("root".into(), ["deploy@web-1".into()].into())].into(),
            |files| files.principals = [("deploy".into(), ["deploy@web-2".into()].into())].into(),
        ] {
            let mut files = files();
            change(&mut files);
            assert!(!has(&files), "{files:?}");
        }
        // A number alone changes nothing.
        assert!(has(&HostFiles {
            version: 9,
            ..files()
        }));
    }

    #[test]
    fn in_doubt_the_list_does_not_grow_with_each_answer() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place(dir.path());
        let list = |serial: &[u8]| {
            let head = [KRL, &[0; 28], &[0; 8]].concat();
            let length = u32::try_from(serial.len()).unwrap().to_be_bytes();
            [head.as_slice(), &[1], &length, serial].concat()
        };
        let shows = |serial: &[u8]| HostFiles {
            krl: STANDARD.encode(list(serial)),
            ..files()
        };
        put(dir.path(), &shows(b"of before")).unwrap();
        assert!(place.join(&shows(b"one")).unwrap());
        assert!(!place.join(&shows(b"one")).unwrap(), "nothing new");
        let length = || std::fs::read(place.list()).unwrap().len();
        let both = length();
        for serial in [b"two", b"six", b"ten"] {
            assert!(place.join(&shows(serial)).unwrap());
            assert_eq!(length(), both, "what was there before the doubt, and the newest");
        }
        let now = std::fs::read(place.list()).unwrap();
        let has = |part: &[u8]| now.windows(part.len()).any(|window| window == part);
        assert!(has(b"of before") && has(b"ten") && !has(b"one"));
        // The doubt is over.
        put(dir.path(), &shows(b"new")).unwrap();
        assert!(!dir.path().join(KEPT).exists());
        assert_eq!(std::fs::read(place.list()).unwrap(), list(b"new"));
    }
}
