//! Where connectors' secrets come from, and the one place that decides whether a secret may go to a host.
//!
//! Policy only names secrets; `server.yaml` binds each name to hosts. The check is made at the moment of use, with the host
//! that is about to be called, so that no configuration of a connector can send a secret to a host of its author's choosing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroize as _;

use crate::config::{SecretFrom, SecretSource, TlsMode};

/// The longest secret that is read, in bytes.
const MAX_SECRET: u64 = 64 * 1024;

/// Why a secret is not handed out or not replaced. No variant holds any part of a secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// `server.yaml` names no such secret.
    #[error("server.yaml names no secret \"{0}\"; add it under secrets, with the hosts it may be sent to")]
    Unknown(String),
    /// The secret may not go to this host.
    #[error("server.yaml does not let the secret \"{name}\" go to {host}:{port}")]
    OtherHost {
        /// The secret's name.
        name: String,
        /// The host that was about to get it.
        host: String,
        /// Its port.
        port: u16,
    },
    /// The variable is not set.
    #[error("the environment variable {variable} of the secret \"{name}\" is not set")]
    NoVariable {
        /// The secret's name.
        name: String,
        /// The variable.
        variable: String,
    },
    /// The file could not be read or written.
    #[error("the file {} of the secret \"{name}\": {why}", file.display())]
    File {
        /// The secret's name.
        name: String,
        /// The file.
        file: PathBuf,
        /// What went wrong.
        why: String,
    },
    /// The secret comes from somewhere that Daypass cannot write.
    #[error(
        "the secret \"{0}\" comes from the environment, which Daypass cannot change; give it a file to rotate it"
    )]
    NotReplaceable(String),
}

/// A secret, with how the connection that it goes over is protected.
#[derive(Debug)]
pub struct Bound {
    /// The secret.
    pub value: SecretString,
    /// The trusted certificates in PEM, or `None` where the connection has no TLS.
    pub tls: BoundTls,
}

/// How the connection is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoundTls {
    /// TLS with full verification, trusting these certificates (PEM) beside the system's.
    VerifyFull {
        /// The certificates.
        ca_pem: Option<String>,
    },
    /// None: the host is this machine.
    Disabled,
}

/// The secrets of `server.yaml`. Cheap to clone.
#[derive(Clone)]
pub struct ConfiguredSecrets {
    sources: Arc<BTreeMap<String, SecretSource>>,
}

impl ConfiguredSecrets {
    /// Secrets from these sources. Nothing is read yet.
    #[must_use]
    pub fn new(sources: BTreeMap<String, SecretSource>) -> Self {
        Self {
            sources: Arc::new(sources),
        }
    }

    /// The secret, for this host and no other. It is read anew each time, so that one that was rotated by hand is seen.
    ///
    /// Blocks on a small file; call it off the async threads.
    ///
    /// # Errors
    /// Where there is no such secret, it may not go to this host, or it cannot be read.
    pub fn reveal_blocking(&self, name: &str, host: &str, port: u16) -> Result<Bound, SecretError> {
        let source = self.source(name)?;
        let host = host.to_ascii_lowercase();
        if !source
            .hosts
            .iter()
            .any(|(allowed, at)| *allowed == host && *at == port)
        {
            return Err(SecretError::OtherHost {
                name: name.to_owned(),
                host,
                port,
            });
        }
        let value = match &source.from {
            SecretFrom::File(file) => read(name, file)?,
            SecretFrom::Env(variable) => {
                std::env::var(variable)
                    .map(SecretString::from)
                    .map_err(|_| SecretError::NoVariable {
                        name: name.to_owned(),
                        variable: variable.clone(),
                    })?
            }
        };
        let tls = match &source.tls {
            TlsMode::Disabled => BoundTls::Disabled,
            TlsMode::VerifyFull { ca } => {
                let ca_pem = ca.as_ref().map(std::fs::read_to_string).transpose();
                let ca_pem = ca_pem
                    .map_err(|error| file_error(name, ca.as_deref().unwrap_or(Path::new("")), &error))?;
                BoundTls::VerifyFull { ca_pem }
            }
        };
        Ok(Bound { value, tls })
    }

    /// Puts another secret in the place of this one, durably and at once: whoever reads sees the old or the new, never half.
    ///
    /// Blocks on the disk; call it off the async threads.
    ///
    /// # Errors
    /// Where there is no such secret, or it is not in a file that can be written.
    pub fn replace_blocking(&self, name: &str, new: &SecretString) -> Result<(), SecretError> {
        match &self.source(name)?.from {
            SecretFrom::File(file) => write(file, new).map_err(|error| file_error(name, file, &error)),
            SecretFrom::Env(_) => Err(SecretError::NotReplaceable(name.to_owned())),
        }
    }

    fn source(&self, name: &str) -> Result<&SecretSource, SecretError> {
        self.sources
            .get(name)
            .ok_or_else(|| SecretError::Unknown(name.chars().take(80).collect()))
    }
}

fn file_error(name: &str, file: &Path, why: &impl ToString) -> SecretError {
    SecretError::File {
        name: name.to_owned(),
        file: file.to_owned(),
        why: why.to_string(),
    }
}

fn read(name: &str, path: &Path) -> Result<SecretString, SecretError> {
    let mut file = File::open(path).map_err(|error| file_error(name, path, &error))?;
    // What was opened is looked at, not the path: the two could differ by now.
    let meta = file.metadata().map_err(|error| file_error(name, path, &error))?;
    if !meta.is_file() || meta.len() > MAX_SECRET {
        return Err(file_error(
            name,
            path,
            &format!("it is no file of at most {MAX_SECRET} bytes"),
        ));
    }
    if meta.mode() & 0o077 != 0 {
        let why = format!(
            "others may read or write it (mode {:03o}); chmod 600 it",
            meta.mode() & 0o777
        );
        return Err(file_error(name, path, &why));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)
        .map_err(|error| file_error(name, path, &error))?;
    // Editors and `echo` end a file with a line break that is no part of the secret.
    let secret = SecretString::from(text.trim_end_matches(['\r', '\n']));
    text.zeroize();
    if secret.expose_secret().is_empty() {
        return Err(file_error(name, path, &"it is empty"));
    }
    Ok(secret)
}

fn write(path: &Path, new: &SecretString) -> std::io::Result<()> {
    let path = std::fs::canonicalize(path)?;
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let draft = folder.join(format!(".{name}.new"));
    // A draft that a crash left behind was never in force.
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(new.expose_secret().as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&draft, &path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn secrets(from: SecretFrom) -> ConfiguredSecrets {
        let hosts = vec![("127.0.0.1".to_owned(), 5432)];
        let source = SecretSource {
            from,
            hosts,
            tls: TlsMode::Disabled,
        };
        ConfiguredSecrets::new(BTreeMap::from([("pg".to_owned(), source)]))
    }

    fn file(folder: &Path, text: &str, mode: u32) -> PathBuf {
        let path = folder.join("pg");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_secret_goes_to_its_hosts_only() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = secrets(SecretFrom::File(file(folder.path(), "s3cret\n", 0o600)));
        let bound = secrets.reveal_blocking("pg", "127.0.0.1", 5432).unwrap();
        assert_eq!(bound.value.expose_secret(), "s3cret");
        for (host, port) in [
            ("127.0.0.1", 5433),
            ("127.0.0.2", 5432),
            ("evil.example", 5432),
            ("127.0.0.1.", 5432),
        ] {
            let refused = secrets.reveal_blocking("pg", host, port).unwrap_err();
            assert!(
                matches!(refused, SecretError::OtherHost { .. }),
                "{host}:{port} {refused}"
            );
            assert!(!refused.to_string().contains("s3cret"));
        }
        assert!(matches!(
            secrets.reveal_blocking("pq", "127.0.0.1", 5432),
            Err(SecretError::Unknown(_))
        ));
    }

    #[test]
    fn a_file_that_others_can_read_is_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o644, 0o640, 0o606, 0o660] {
            let secrets = secrets(SecretFrom::File(file(folder.path(), "s3cret", mode)));
            let refused = secrets
                .reveal_blocking("pg", "127.0.0.1", 5432)
                .unwrap_err()
                .to_string();
            assert!(refused.contains("chmod 600"), "{refused}");
        }
    }

    #[test]
    fn an_empty_or_missing_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let empty = secrets(SecretFrom::File(file(folder.path(), "\n", 0o600)));
        assert!(
            empty
                .reveal_blocking("pg", "127.0.0.1", 5432)
                .unwrap_err()
                .to_string()
                .contains("empty")
        );
        let missing = secrets(SecretFrom::File(folder.path().join("none")));
        assert!(missing.reveal_blocking("pg", "127.0.0.1", 5432).is_err());
    }

    #[test]
    fn a_replaced_secret_is_whole_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "old", 0o600);
        let secrets = secrets(SecretFrom::File(path.clone()));
        // What a crash in the middle of an earlier replacement leaves.
        std::fs::write(folder.path().join(".pg.new"), "half").unwrap();
        secrets
            .replace_blocking("pg", &SecretString::from("new"))
            .unwrap();
        assert_eq!(
            secrets
                .reveal_blocking("pg", "127.0.0.1", 5432)
                .unwrap()
                .value
                .expose_secret(),
            "new"
        );
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no draft stays"
        );
    }

    #[test]
    fn the_environment_cannot_be_replaced() {
        let secrets = secrets(SecretFrom::Env("DAYPASS_TEST_UNSET_VARIABLE".to_owned()));
        assert!(matches!(
            secrets.reveal_blocking("pg", "127.0.0.1", 5432),
            Err(SecretError::NoVariable { .. })
        ));
        let refused = secrets
            .replace_blocking("pg", &SecretString::from("x"))
            .unwrap_err();
        assert!(matches!(refused, SecretError::NotReplaceable(_)));
    }
}
