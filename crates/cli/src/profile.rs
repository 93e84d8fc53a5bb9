//! The profile that `login` writes: which server, which session. One private file per profile.

use std::fs::{DirBuilder, File};
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use daypass_api::Secret;
use daypass_core::name::Name;
use daypass_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::durable;
use crate::failure::Failure;

/// The profile where nobody says.
const DEFAULT: &str = "default";
/// More than any profile has, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// A server and a session there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Profile {
    /// The server's address.
    pub(crate) server: String,
    /// Who logged in.
    pub(crate) login: String,
    /// The session's token.
    pub(crate) token: Secret,
    /// Until when it is taken.
    pub(crate) expires_at: Timestamp,
    /// A file of certificates to trust besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<PathBuf>,
}

/// Where one profile is kept.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Its name.
    pub(crate) name: Name,
    folder: PathBuf,
}

impl Place {
    /// The place of the profile of this name, or of the default one.
    pub(crate) fn new(config: Option<&Path>, name: Option<&str>) -> Result<Self, Failure> {
        let folder = config.ok_or_else(|| {
            Failure::error("there is no home directory to keep a profile in")
                .hint("set HOME or XDG_CONFIG_HOME")
        })?;
        // A name holds no slash, and does not begin with a dot.
        let name = name
            .unwrap_or(DEFAULT)
            .parse()
            .map_err(|error| Failure::usage(format!("profile {error}")))?;
        Ok(Self {
            name,
            folder: folder.to_owned(),
        })
    }

    /// The file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.name))
    }

    /// A folder of this profile's own, for what belongs to it. It is not made here.
    pub(crate) fn own(&self, what: &str) -> PathBuf {
        self.folder.join(what).join(self.name.as_str())
    }

    /// The profile, where there is one.
    ///
    /// A file that others can read is not used: its session may be in other hands.
    pub(crate) fn load(&self) -> Result<Option<Profile>, Failure> {
        let path = self.file();
        let shown = path.display();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::error(format!("{shown} cannot be read: {error}"))),
        };
        let mode = file
            .metadata()
            .map_err(|error| Failure::error(format!("{shown}: {error}")))?
            .mode();
        if mode & 0o077 != 0 {
            return Err(Failure::error(format!(
                "{shown} can be read by others, and it holds your session"
            ))
            .hint(format!(
                "chmod 600 {shown}; better: daypass login, and revoke the old session"
            )));
        }
        let mut text = String::new();
        file.take(MAX_BYTES)
            .read_to_string(&mut text)
            .map_err(|error| Failure::error(format!("{shown} cannot be read: {error}")))?;
        let profile = serde_json::from_str(&text).map_err(|error| {
            // The position only: the parser's message may quote what it found.
            let (line, column) = (error.line(), error.column());
            Failure::error(format!("{shown}:{line}:{column} is no profile"))
                .hint("daypass login writes it anew")
        })?;
        Ok(Some(profile))
    }

    /// Writes the profile, readable by its owner alone from the first byte on.
    pub(crate) fn save(&self, profile: &Profile) -> Result<(), Failure> {
        let path = self.file();
        let fail =
            |error: std::io::Error| Failure::error(format!("{} cannot be written: {error}", path.display()));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(fail)?;
        let text =
            serde_json::to_string_pretty(profile).map_err(|error| Failure::error(error.to_string()))?;
        durable::replace(&path, text.as_bytes(), Some(0o600)).map_err(fail)
    }

    /// Removes the profile, where there is one.
    pub(crate) fn remove(&self) -> Result<(), Failure> {
        match std::fs::remove_file(self.file()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::error(format!(
                "{} cannot be removed: {error}",
                self.file().display()
            ))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn profile() -> Profile {
        Profile {
            server: "https://daypass.example.com".into(),
            login: "ana".into(),
            token: Secret::new("dps_secret".to_owned()),
            expires_at: Timestamp::EPOCH,
            ca: None,
        }
    }

    #[test]
    fn a_profile_is_its_owners_alone() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("daypass");
        let place = Place::new(Some(&folder), None).unwrap();
        assert!(place.load().unwrap().is_none());
        place.save(&profile()).unwrap();
        place.save(&profile()).unwrap();
        assert_eq!(std::fs::metadata(place.file()).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        assert_eq!(
            std::fs::read_dir(&folder).unwrap().count(),
            1,
            "nothing is left beside it"
        );
        assert_eq!(place.load().unwrap().unwrap().token.expose(), "dps_secret");
        place.remove().unwrap();
        place.remove().unwrap();
        assert!(place.load().unwrap().is_none());
    }

    #[test]
    fn a_profile_that_others_can_read_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        let place = Place::new(Some(home.path()), Some("work")).unwrap();
        place.save(&profile()).unwrap();
        std::fs::set_permissions(place.file(), std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(place.load().is_err());
    }

    #[test]
    fn what_is_broken_is_not_quoted() {
        let home = tempfile::tempdir().unwrap();
        let place = Place::new(Some(home.path()), None).unwrap();
        place.save(&profile()).unwrap();
        std::fs::write(place.file(), r#"{"token": 1, "dps_secret": }"#).unwrap();
        let failure = format!("{:?}", place.load().unwrap_err());
        assert!(!failure.contains("dps_secret"), "{failure}");
    }

    #[test]
    fn a_profile_cannot_be_kept_elsewhere() {
        for name in ["../x", "a/b", ".x", ""] {
            assert!(
                Place::new(Some(Path::new("/tmp")), Some(name)).is_err(),
                "{name:?}"
            );
        }
    }
}
