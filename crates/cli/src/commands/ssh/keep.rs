//! What the client keeps for SSH, in a private folder of the profile: its own key, certificates, and which item has which host.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use daypass_api::Item;
use daypass_api::ssh::Certificate;
use daypass_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::program;
use crate::context::Context;
use crate::failure::Failure;

/// The name of the private key's file.
pub(super) const KEY: &str = "id_ed25519";

/// The folder of the profile, open.
pub(super) struct Keep {
    folder: PathBuf,
    /// The private key's file. It never leaves this machine.
    pub(super) key: PathBuf,
    /// The public key's line.
    pub(super) public_key: String,
}

/// What is known of a certificate beside its file.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    valid_before: Timestamp,
}

/// Where an item leads, from its last certificate.
#[derive(Debug, Serialize, Deserialize)]
struct Leads {
    hosts: Vec<String>,
    users: Vec<String>,
}

/// The folder, whether or not it is there.
pub(super) fn folder(context: &Context) -> Result<PathBuf, Failure> {
    Ok(context.place()?.own("ssh"))
}

impl Keep {
    /// Opens the folder; makes it and the key the first time.
    pub(super) async fn open(context: &Context) -> Result<Self, Failure> {
        let folder = folder(context)?;
        private_dir(&folder)?;
        let keygen = program(&context.env.path, "ssh-keygen")?;
        let key = folder.join(KEY);
        if !key.exists() {
            // Made aside and linked into place: of two at the same time one wins, and both use that one.
            let aside =
                tempfile::tempdir_in(&folder).map_err(|error| cannot("write into", &folder, &error))?;
            let fresh = aside.path().join(KEY);
            let mut make = Command::new(&keygen);
            make.args(["-q", "-t", "ed25519", "-N", "", "-C", "daypass", "-f"])
                .arg(&fresh);
            output(make).await?;
            match std::fs::hard_link(&fresh, &key) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(cannot("write", &key, &error));
                }
                _ => {}
            }
        }
        let mut show = Command::new(&keygen);
        show.arg("-y").arg("-P").arg("").arg("-f").arg(&key);
        let public_key = output(show).await?.trim().to_owned();
        Ok(Self {
            folder,
            key,
            public_key,
        })
    }

    /// Whether there is a certificate that lasts until then.
    pub(super) fn has(&self, host: &str, user: &str, until: Timestamp) -> Result<bool, Failure> {
        let file = self.file(host, user)?;
        let note = read::<Note>(&file.with_extension("json"));
        Ok(file.exists() && note.is_some_and(|note| until < note.valid_before))
    }

    /// Keeps a certificate for a host and a user; its file.
    pub(super) fn certificate(
        &self,
        host: &str,
        user: &str,
        certificate: &Certificate,
    ) -> Result<PathBuf, Failure> {
        self.remember(certificate)?;
        let file = self.file(host, user)?;
        replace(&file, certificate.certificate.as_bytes())?;
        // After the certificate: a note without its certificate would promise what is not there.
        write(
            &file.with_extension("json"),
            &Note {
                valid_before: certificate.valid_before,
            },
        )?;
        Ok(file)
    }

    /// Takes away what no grant gives any more.
    pub(super) fn forget(&self, host: &str, user: &str) -> Result<(), Failure> {
        let file = self.file(host, user)?;
        for file in [file.with_extension("json"), file] {
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(cannot("remove", &file, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Keeps where an item leads.
    pub(super) fn remember(&self, certificate: &Certificate) -> Result<(), Failure> {
        let leads = Leads {
            hosts: certificate.hosts.clone(),
            users: certificate.users.clone(),
        };
        write(&self.leads(&certificate.item), &leads)
    }

    /// Whether an item is known to lead elsewhere.
    pub(super) fn rules_out(&self, item: &Item, host: &str, user: &str) -> bool {
        let known = read::<Leads>(&self.leads(item));
        known.is_some_and(|leads| {
            !leads.hosts.iter().any(|one| one == host) || !leads.users.iter().any(|one| one == user)
        })
    }

    fn leads(&self, item: &Item) -> PathBuf {
        // Names hold no slash and do not begin with a dot.
        self.folder.join(format!("{}_{}.item", item.resource, item.role))
    }

    /// The certificate's file, named as `CertificateFile` of `ssh-config` has it.
    fn file(&self, host: &str, user: &str) -> Result<PathBuf, Failure> {
        let fits = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
        for name in [host, user] {
            let plain = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            if !plain || name.len() > 253 || !name.chars().all(fits) {
                return Err(Failure::usage(format!("{name:?} is no name of a host or user")));
            }
        }
        Ok(self.folder.join(format!("{host}_{user}-cert.pub")))
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), Failure> {
    let text = serde_json::to_vec(value).map_err(|error| Failure::error(error.to_string()))?;
    replace(path, &text)
}

/// What a program prints.
async fn output(mut command: Command) -> Result<String, Failure> {
    let output = command.stdin(std::process::Stdio::null()).output().await;
    let output = output.map_err(|error| Failure::error(format!("ssh-keygen cannot be started: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::error(format!("ssh-keygen failed: {}", said.trim())));
    }
    String::from_utf8(output.stdout).map_err(|_| Failure::error("ssh-keygen printed no text"))
}

pub(super) fn private_dir(path: &Path) -> Result<(), Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| cannot("make", path, &error))
}

/// Writes a private file beside and moves it over: a crash leaves the old one or the new one, whole.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let beside = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written.map_err(|error| cannot("write", path, &error))
}

fn cannot(verb: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::error(format!("cannot {verb} {}: {error}", path.display()))
}
